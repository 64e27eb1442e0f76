//! Requests: they go to the hosts that were granted, and a name, a redirect or a trick in a URL changes
//! nothing. The server is one of this machine's own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lucid_tools::{Limits, NoServices, Services};
use serde_json::{Value, json};

use crate::Rig;
use crate::server::Server;

fn get(url: &str) -> Value {
    json!({ "url": url, "headers": [], "secret": null })
}

#[test]
fn nothing_is_requested_that_was_not_granted() {
    let server = Server::start();
    let other = Server::start();
    Rig::new(&[]).fails("fetch", get(&server.url("/")), "net:127.0.0.1");
    let rig = Rig::new(&[&server.granted()]);
    let answer = rig.call("fetch", get(&server.url("/"))).unwrap();
    assert_eq!(answer, json!(format!("200 {} hello", server.url("/"))));
    rig.fails("fetch", get(&other.url("/")), "not granted");
    for url in [
        format!("http://2130706433:{}/", other.port),
        format!("http://0x7f000001:{}/", other.port),
        format!("http://0177.0.0.1:{}/", other.port),
        format!("http://127.1:{}/", other.port),
        format!("http://[::1]:{}/", other.port),
        format!("http://[::ffff:127.0.0.1]:{}/", other.port),
        format!("http://localhost:{}/", other.port),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://[fd00:ec2::254]/".into(),
        "http://10.0.0.1/".into(),
        "http://0.0.0.0/".into(),
        "https://example.com/".into(),
    ] {
        rig.fails("fetch", get(&url), "denied");
    }
    assert_eq!(other.requests(), Vec::<String>::new());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_name_that_stands_for_this_machine_needs_the_address_too() {
    let server = Server::start();
    let url = format!("http://localhost:{}/", server.port);
    let name = format!("net:localhost:{}", server.port);
    // What a name stands for is looked at when it is requested, so that it may change as it likes.
    Rig::new(&[&name]).fails("fetch", get(&url), "not on the public network");
    Rig::new(&["net:localhost"]).fails("fetch", get(&url), "one by one");
    assert_eq!(server.requests().len(), 0);
    assert!(Rig::new(&[&name, &server.granted()]).call("fetch", get(&url)).is_ok());
}

#[test]
fn a_redirect_is_checked_like_a_request() {
    let (server, other) = (Server::start(), Server::start());
    let rig = Rig::new(&[&server.granted()]);
    for to in [
        other.url("/"),
        format!("http://localhost:{}/", other.port),
        format!("//127.0.0.1:{}/", other.port),
        "http://169.254.169.254/".into(),
        "file:///etc/passwd".into(),
        "ftp://127.0.0.1/".into(),
        "gopher://x".into(),
        "http://user:password@127.0.0.1/".into(),
    ] {
        let given = rig.call("fetch", get(&server.url(&format!("/to?{to}"))));
        assert!(given.is_err(), "{to} gave {given:?}");
    }
    assert_eq!(other.requests().len(), 0);
    // Those that stay are followed, and not for ever.
    let once = server.url("/to?/there");
    assert_eq!(rig.call("fetch", get(&once)).unwrap(), json!(format!("200 {} hello", server.url("/there"))));
    let mut around = "/".to_owned();
    for _ in 0..9 {
        around = format!("/to?{around}");
    }
    rig.fails("fetch", get(&server.url(&around)), "redirected more than 5 times");
}

#[test]
fn a_request_is_what_it_says() {
    let server = Server::start();
    let rig = Rig::new(&[&server.granted()]);
    for url in ["", "nonsense", "file:///etc/passwd", "http://", "http://a b/", "javascript:alert(1)"] {
        rig.fails("fetch", get(url), "invalid");
    }
    let with_password = server.url("/").replace("http://", "http://me:secret@");
    rig.fails("fetch", get(&with_password), "invalid");
    for (name, value) in [
        ("Host", "example.com"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("x", "a\r\ny: b"),
        ("x y", "a"),
        ("connection", "upgrade"),
    ] {
        let tried = json!({ "url": server.url("/"), "headers": [[name, value]], "secret": null });
        rig.fails("fetch", tried, "invalid");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn an_answer_has_an_end() {
    let server = Server::start();
    let limits = Limits { timeout_ms: 1_000, ..Limits::default() };
    let rig = Rig::with(&[&server.granted()], Arc::new(NoServices), limits);
    let began = Instant::now();
    rig.fails("fetch", get(&server.url("/slow")), "ran longer");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    rig.fails("fetch", get(&server.url("/garbage")), "unreachable");
    rig.fails("fetch", get(&server.url("/breaks")), "unreachable");
    rig.fails("fetch", get("http://127.0.0.1:9/"), "denied");
    let rig = Rig::new(&[&server.granted()]);
    let given = rig.call("fetch", get(&server.url("/big")));
    assert!(given.is_err(), "40 MB were returned");
    rig.fails("fetch-often", json!({ "url": server.url("/"), "times": 100 }), "at most 64 requests");
}

struct Key;

impl Services for Key {
    fn secret(&self, name: &str) -> Option<String> {
        (name == "KEY").then(|| "sk-hidden".into())
    }
}

#[test]
fn a_secret_goes_where_it_may_and_is_never_seen() {
    let (server, other) = (Server::start(), Server::start());
    let secret = format!("secret:KEY@127.0.0.1:{}", server.port);
    let (here, there) = (server.granted(), other.granted());
    let rig = Rig::with(&[&secret, &here, &there], Arc::new(Key), Limits::default());
    let with = |url: &str| json!({ "url": url, "headers": [], "secret": "KEY" });
    let answer = rig.call("fetch", with(&server.url("/"))).unwrap();
    assert!(!answer.to_string().contains("sk-hidden"));
    assert!(server.requests()[0].contains("authorization: Bearer sk-hidden"), "{:?}", server.requests());
    rig.fails("fetch", with(&other.url("/")), "may not go to");
    rig.fails("fetch", with(&server.url(&format!("/to?{}/", "http://169.254.169.254"))), "denied");
    // Where a redirect leads, it does not follow.
    rig.call("fetch", with(&server.url(&format!("/to?{}", other.url("/x"))))).unwrap();
    assert!(other.requests().iter().all(|head| !head.contains("sk-hidden")), "{:?}", other.requests());
    assert_eq!(other.requests().len(), 1);
    let unknown = json!({ "url": server.url("/"), "headers": [], "secret": "OTHER" });
    rig.fails("fetch", unknown, "secret");
    rig.gives("has-secret", json!({ "name": "KEY" }), json!(true));
    rig.gives("has-secret", json!({ "name": "OTHER" }), json!(false));
    let ungranted = Rig::with(&[&server.granted()], Arc::new(Key), Limits::default());
    ungranted.gives("has-secret", json!({ "name": "KEY" }), json!(false));
    ungranted.fails("fetch", with(&server.url("/")), "may not go to");
}

#[test]
fn there_are_no_sockets() {
    let server = Server::start();
    // Not even for who may send requests there.
    let rig = Rig::new(&[&server.granted(), "net:localhost"]);
    rig.fails("connect", json!({ "a": 127, "b": 0, "c": 0, "d": 1, "port": server.port }), "access");
    rig.fails("datagram", json!({}), "access");
    rig.fails("resolve", json!({ "name": "localhost" }), "");
    assert_eq!(server.requests().len(), 0);
}
