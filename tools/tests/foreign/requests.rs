//! Requests by `wasi:http`: the same rights, addresses and limits as those by `lucid:tool/http`.

use std::time::{Duration, Instant};

use lucid_kernel::port::CancelFlag;
use lucid_tools::Limits;
use serde_json::{Value, json};

use crate::server::Server;
use crate::{Rig, made};

fn get(url: &str) -> Value {
    json!({ "method": "GET", "url": url, "headers": [], "body": "" })
}

fn rig(component: &[u8], granted: &[&str]) -> Rig {
    Rig::new("requests", component, granted, Limits { timeout_ms: 20_000, ..Limits::default() })
}

fn fails(rig: &Rig, arguments: Value, wanted: &[&str]) {
    let message = rig.call("requests_ask", arguments.clone()).expect_err(&arguments.to_string()).message;
    for words in wanted {
        assert!(message.contains(words), "{arguments}: {words:?} is not in: {message}");
    }
}

#[test]
fn they_need_the_rights_of_all_requests() {
    let Some(component) = made::requests() else { return };
    let (server, other) = (Server::start(), Server::start());
    fails(
        &rig(&component, &[]),
        get(&server.url("/")),
        &["HttpRequestDenied", "its requests failed: ", &format!("({})", server.granted())],
    );
    let rig = rig(&component, &[&server.granted()]);
    for url in [
        other.url("/"),
        format!("http://localhost:{}/", server.port),
        format!("http://[::1]:{}/", server.port),
        format!("http://2130706433:{}/", other.port),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://10.0.0.1/".into(),
        "https://example.com/".into(),
    ] {
        fails(&rig, get(&url), &["HttpRequestDenied", "not granted (net:"]);
    }
    assert_eq!((server.requests().len(), other.requests().len()), (0, 0));
    let name = format!("net:localhost:{}", server.port);
    let named = get(&format!("http://localhost:{}/", server.port));
    fails(
        &self::rig(&component, &[&name]),
        named.clone(),
        &["HttpRequestDenied", "not on the public network"],
    );
    assert_eq!(server.requests().len(), 0);
    assert!(self::rig(&component, &[&name, &server.granted()]).call("requests_ask", named).is_ok());
}

#[test]
fn they_are_sent_as_they_are_and_redirects_are_the_guests_own() {
    let Some(component) = made::requests() else { return };
    let (server, other) = (Server::start(), Server::start());
    let rig = rig(&component, &[&server.granted()]);
    let body = "word ".repeat(4_000);
    let posted = json!({
        "method": "POST", "url": server.url("/form?a=b%20c"), "body": body,
        "headers": [["x-mine", "yes"], ["te", "trailers"], ["user-agent", "guest/1.0"]],
    });
    let answer = rig.call("requests_ask", posted).unwrap();
    assert_eq!((&answer["status"], &answer["body"]), (&json!(200), &json!("hello")));
    assert!(answer["headers"].as_array().unwrap().contains(&json!(["x-one", "two"])), "{answer}");
    let seen = server.requests().remove(0);
    let (head, sent) = seen.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /form?a=b%20c http/1.1\r\n"), "{head}");
    for line in [
        "x-mine: yes".to_owned(),
        "user-agent: guest/1.0".to_owned(),
        format!("host: 127.0.0.1:{}", server.port),
        format!("content-length: {}", body.len()),
    ] {
        assert!(head.lines().any(|found| found == line), "{line:?} is not in {head}");
    }
    assert!(!head.contains("te: trailers"), "{head}");
    assert_eq!(sent, body);

    let answer = rig.call("requests_ask", get(&server.url(&format!("/to?{}", other.url("/"))))).unwrap();
    assert_eq!(answer["status"], json!(302));
    assert!(answer["headers"].as_array().unwrap().contains(&json!(["location", other.url("/")])), "{answer}");
    assert_eq!(other.requests().len(), 0);
    let brewed = json!({ "method": "BREW", "url": server.url("/"), "headers": [], "body": "" });
    fails(&rig, brewed, &["there is no method BREW"]);
    let headers: Vec<Value> = (0..70).map(|n| json!([format!("x-{n}"), "a"])).collect();
    let many = json!({ "method": "GET", "url": server.url("/"), "headers": headers, "body": "" });
    fails(&rig, many, &["at most 64 headers"]);
}

#[test]
fn they_have_the_limits_of_all_requests() {
    let Some(component) = made::requests() else { return };
    let server = Server::start();
    let rig = rig(&component, &[&server.granted()]);
    let often = json!({ "url": server.url("/"), "times": 100 });
    assert_eq!(rig.call("requests_ask_often", often).unwrap(), json!(64));
    assert_eq!(server.requests().len(), 64);
    fails(&rig, get(&server.url("/big")), &["an answer has more than 16 MiB"]);
    // What a guest has the host keep is bounded.
    let hoard = |count: u32, size: u32| rig.call("requests_hoard", json!({ "count": count, "size": size }));
    assert_eq!(hoard(100, 20_000).unwrap(), json!(100));
    assert!(hoard(100_000, 20_000).unwrap_err().message.contains("resource table"));
    assert!(hoard(1, 40_000).is_err());
    // Nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rig = self::rig(&component, &[&format!("net:{closed}"), &server.granted()]);
    fails(&rig, get(&format!("http://{closed}/")), &["DestinationUnavailable", "refused"]);
    fails(&rig, get(&server.url("/").replace("http:", "https:")), &["TlsCertificateError", "speak TLS"]);

    let hasty = Limits { timeout_ms: 2_000, ..Limits::default() };
    let hasty = Rig::new("requests", &component, &[&server.granted()], hasty);
    let began = Instant::now();
    fails(&hasty, get(&server.url("/slow")), &["ran longer than 2000 ms"]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let cancel = CancelFlag::new();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| rig.call_until("requests_ask", get(&server.url("/slow")), &cancel));
        std::thread::sleep(Duration::from_millis(500));
        let began = Instant::now();
        cancel.cancel();
        assert!(call.join().unwrap().unwrap_err().message.contains("cancelled"));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}
