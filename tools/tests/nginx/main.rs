//! The bundled plugin `fetch` against a server that nobody wrote for it: nginx, as Debian has it.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod server;
mod tls;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Call, Fault};
use lucid_kernel::port::CancelFlag;
use lucid_tools::{Limits, Scope, ToolHost, bundled};
use serde_json::{Value, json};

use server::Nginx;

const PAGE: &[u8] = b"<html><head><title>Zoo</title></head><body><h1>Animals</h1>\
    <p>See <a href=\"/lions.html\">lions</a>.</p></body></html>";

/// How long a call may go on once it was stopped, on a busy machine.
const SOON: Duration = Duration::from_secs(5);

/// The host with the plugin, and what was granted.
struct Rig {
    host: ToolHost,
    scope: Scope,
}

impl Rig {
    fn new(granted: &[String], limits: Limits) -> Self {
        let host = ToolHost::new(None, limits);
        host.load_bundled_one(bundled::find("fetch").unwrap()).unwrap();
        let rights = granted.iter().map(|address| format!("net:{address}").parse().unwrap()).collect();
        Self { host, scope: Scope { rights: Arc::new(rights), ..Scope::default() } }
    }

    fn of(nginx: &Nginx) -> Self {
        Self::new(&[nginx.address(0)], Limits::default())
    }

    fn call(&self, tool: &str, arguments: Value, cancel: &CancelFlag) -> Result<String, Fault> {
        self.host.call(&Call { tool: tool.into(), arguments }, &self.scope, cancel).map(|output| output.text)
    }

    fn get(&self, url: &str) -> Result<String, Fault> {
        self.call("fetch_get", json!({ "url": url }), &CancelFlag::new())
    }

    fn fails(&self, url: &str, wanted: &[&str]) -> String {
        let message = self.get(url).expect_err(url).message;
        for words in wanted {
            assert!(message.contains(words), "{url}: {words:?} is not in: {message}");
        }
        message
    }
}

#[test]
fn pages_are_read_and_other_answers_are_told() {
    let servers = "server {
        listen @0@;
        location = /chunked.html { ssi on; }
        location = /empty { return 204; }
        location = /broken { return 500; }
        location = /busy { return 503 'come back later'; }
        location = /closed { return 444; }
        location = /login { return 401; }
        location = /type-of-none { default_type ''; return 200 '{\"a\": 1}'; }
        client_max_body_size 1k;
    }";
    let www: [(&str, &[u8]); 3] =
        [("page.html", PAGE), ("chunked.html", PAGE), ("data.json", b"{\"lions\": [1, 2]}")];
    let Some(nginx) = Nginx::start(servers, &www) else { return };
    let rig = Rig::of(&nginx);
    let url = |path: &str| format!("http://{}{path}", nginx.address(0));
    for path in ["/page.html", "/chunked.html"] {
        let text = rig.get(&url(path)).unwrap();
        assert!(
            text.contains("# Animals") && text.contains(&format!("[lions]({})", url("/lions.html"))),
            "{text}"
        );
    }
    assert!(rig.get(&url("/data.json")).unwrap().contains("\"lions\""));
    assert!(rig.get(&url("/type-of-none")).unwrap().contains("\"a\": 1"));
    assert!(rig.get(&url("/empty")).unwrap().contains("the answer is empty (HTTP 204"));
    rig.fails(&url("/nothing"), &["HTTP 404 (not found)", "404 Not Found"]);
    rig.fails(&url("/broken"), &["HTTP 500 (internal server error)"]);
    rig.fails(&url("/busy"), &["HTTP 503 (service unavailable: try later)", "come back later"]);
    rig.fails(&url("/login"), &["HTTP 401 (unauthorized"]);
    rig.fails(&url("/closed"), &["cannot be reached"]);
    let posted = |path: &str, body: String| {
        let arguments = json!({ "url": url(path), "body": body });
        rig.call("fetch_post", arguments, &CancelFlag::new()).unwrap_err().message
    };
    assert!(posted("/page.html", "a".into()).contains("HTTP 405 (method not allowed)"));
    assert!(posted("/page.html", "a".repeat(2_000)).contains("HTTP 413"));
}

#[test]
fn redirects_are_followed_where_they_may_lead() {
    let servers = "
        server {
            listen @0@;
            location = /absolute { return 302 http://@0@/page.html; }
            location = /relative { return 301 /page.html; }
            location = /deep/down/relative { return 307 ../../page.html; }
            location = /twice { return 308 /relative; }
            location = /loop { return 302 /loop; }
            location = /ping { return 302 /pong; }
            location = /pong { return 302 /ping; }
            location = /away { return 302 http://@1@/page.html; }
            location = /local { return 302 http://localhost/page.html; }
            location = /file { return 302 file:///etc/passwd; }
            location = /nonsense { return 302 'http://['; }
            location = /posted { return 303 /page.html; }
        }
        server { listen @1@; }";
    let Some(nginx) = Nginx::start(servers, &[("page.html", PAGE)]) else { return };
    let rig = Rig::of(&nginx);
    let url = |path: &str| format!("http://{}{path}", nginx.address(0));
    for path in ["/absolute", "/relative", "/deep/down/relative", "/twice"] {
        let text = rig.get(&url(path)).unwrap();
        assert!(text.contains("# Animals"), "{path}: {text}");
        assert!(text.ends_with(&format!("[from {}]", url("/page.html"))), "{path}: {text}");
    }
    for path in ["/loop", "/ping"] {
        rig.fails(&url(path), &["redirected more than 5 times"]);
    }
    rig.fails(&url("/away"), &["was not asked", &format!("net:{}", nginx.address(1))]);
    rig.fails(&url("/local"), &["not granted", "net:localhost"]);
    rig.fails(&url("/file"), &["file is neither http nor https"]);
    rig.fails(&url("/nonsense"), &["redirects to what is no URL"]);
    let arguments = json!({ "url": url("/posted"), "body": "{}" });
    assert!(rig.call("fetch_post", arguments, &CancelFlag::new()).unwrap().contains("# Animals"));
    let both = Rig::new(&[nginx.address(0), nginx.address(1)], Limits::default());
    let text = both.get(&url("/away")).unwrap();
    assert!(text.ends_with(&format!("[from http://{}/page.html]", nginx.address(1))), "{text}");
}

#[test]
fn a_large_body_is_cut_and_not_read_to_its_end() {
    const BYTES: usize = 40_000_000;
    let large = "a line of text\n".repeat(BYTES / 15);
    let Some(nginx) = Nginx::start("server { listen @0@; }", &[("large.txt", large.as_bytes())]) else {
        return;
    };
    let text = Rig::of(&nginx).get(&format!("http://{}/large.txt", nginx.address(0))).unwrap();
    assert!(text.starts_with("a line of text\n") && text.len() < 64 << 10, "{} bytes", text.len());
    let end = &text[text.len() - 120..];
    assert!(end.contains("[cut: ") && end.contains("2.0 MiB was read of 38.1 MiB]"), "{end}");
    // What lies in the buffers of both ends was sent too.
    let line = nginx.logged("/large.txt");
    let sent: usize = line.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(sent < BYTES / 2, "{line}");
}

#[test]
fn a_slow_body_takes_no_longer_than_the_call_may() {
    let servers = "server { listen @0@; location /slow { alias www; limit_rate 1k; } \
        location /dripping { alias www; limit_rate 4k; } }";
    let slow = "slow ".repeat(12_000);
    let files: [(&str, &[u8]); 2] = [("slow.txt", slow.as_bytes()), ("short.txt", &[b'x'; 6_000])];
    let Some(nginx) = Nginx::start(servers, &files) else { return };
    let url = |path: &str| format!("http://{}{path}", nginx.address(0));
    // One that is slow and comes to an end is read.
    let rig = Rig::of(&nginx);
    assert!(rig.get(&url("/dripping/short.txt")).unwrap().starts_with(&"x".repeat(6_000)));

    let rig = Rig::new(&[nginx.address(0)], Limits { timeout_ms: 700, ..Limits::default() });
    let began = Instant::now();
    rig.fails(&url("/slow/slow.txt"), &["was stopped", "longer than 700 ms"]);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());

    let rig = Rig::new(&[nginx.address(0)], Limits { timeout_ms: 600_000, ..Limits::default() });
    let (cancel, arguments) = (CancelFlag::new(), json!({ "url": url("/slow/slow.txt") }));
    let (fault, waited) = std::thread::scope(|scope| {
        let call = scope.spawn(|| rig.call("fetch_get", arguments, &cancel));
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        cancel.cancel();
        (call.join().unwrap().unwrap_err(), began.elapsed())
    });
    assert!(fault.message.contains("was cancelled"), "{fault}");
    assert!(waited < SOON, "{waited:?}");
    // The connections were given up: nothing goes on in the background.
    let line = nginx.logged("/slow/slow.txt");
    let sent: usize = line.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(sent < slow.len(), "{line}");
}

#[test]
fn nothing_compressed_is_asked_for_and_none_is_taken_for_text() {
    let servers = "server {
        listen @0@;
        gzip on;
        gzip_min_length 1;
        location = /page.html { }
        location = /forced.html { gzip off; gzip_static always; }
    }";
    // What `gzip -n` makes of an empty file.
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let files: [(&str, &[u8]); 2] = [("page.html", PAGE), ("forced.html.gz", &packed)];
    let Some(nginx) = Nginx::start(servers, &files) else { return };
    let rig = Rig::of(&nginx);
    let url = |path: &str| format!("http://{}{path}", nginx.address(0));
    assert!(rig.get(&url("/page.html")).unwrap().contains("# Animals"));
    let line = nginx.logged("/page.html");
    assert!(line.starts_with(&format!("/page.html 200 {} \"-\" \"lucid/", PAGE.len())), "{line}");
    // A server that compresses unasked is not understood, and that is said.
    let text = rig.get(&url("/forced.html")).unwrap();
    assert!(text.contains("[no text: text/html, 20 B]"), "{text}");
}

#[test]
fn nothing_is_asked_where_nothing_was_granted() {
    let Some(nginx) = Nginx::start("server { listen @0@; }", &[("page.html", PAGE)]) else { return };
    let url = |path: &str| format!("http://{}{path}", nginx.address(0));
    Rig::new(&[], Limits::default()).fails(&url("/secret.html"), &["not granted"]);
    Rig::of(&nginx).get(&url("/page.html")).unwrap();
    nginx.logged("/page.html");
    assert!(!nginx.has_logged("/secret.html"));
}
