//! Models that come from the hub: a small server of our own stands for it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Fixture, HONEST, reasons, sha256};
use crate::models::error::PullError;
use crate::models::name::ModelRef;
use crate::models::progress::Progress;
use crate::models::store::Store;

/// How the server answers.
#[derive(Debug, Clone, Default)]
struct Behaviour {
    /// The file's bytes.
    bytes: Vec<u8>,
    /// The SHA-256 that it states; none states none.
    etag: Option<String>,
    /// A status other than success.
    status: Option<u16>,
    /// Ends each connection after so many bytes of the file.
    breaks_after: Option<usize>,
    /// Takes connections and never answers.
    silent: bool,
    /// Knows no ranges but that of the first byte.
    ignores_ranges: bool,
    /// The JSON list of files.
    list: String,
}

/// A hub. It redirects to another host name of its own, as the real one does.
struct Server {
    port: u16,
    behaviour: Arc<Mutex<Behaviour>>,
    /// The request lines and headers, one text a request.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, behaviour: Arc::new(Mutex::new(behaviour)), requests: Arc::default() };
        let (behaviour, requests) = (Arc::clone(&server.behaviour), Arc::clone(&server.requests));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (behaviour, requests) = (Arc::clone(&behaviour), Arc::clone(&requests));
                thread::spawn(move || answer(stream, port, &behaviour, &requests));
            }
        });
        server
    }

    fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour.lock().unwrap());
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// A store that has this hub and no cache.
    fn store(&self, fixture: &Fixture) -> Store {
        let mut sources = fixture.sources();
        sources.hub.offline = false;
        sources.hub.endpoint = Some(format!("http://127.0.0.1:{}/", self.port));
        sources.hub.token = Some("secret".into());
        sources.hub.answer_timeout = Duration::from_secs(1);
        Store::open(fixture.path("store"), sources).unwrap()
    }

    fn pull(&self, fixture: &Fixture) -> (Result<PathBuf, PullError>, Vec<Progress>) {
        let mut seen = Vec::new();
        let mut see = |progress: &Progress| seen.push(progress.clone());
        let result = self.store(fixture).pull_target(&fixture.target, &mut see, &|| false);
        (result, seen)
    }
}

fn answer(mut stream: TcpStream, port: u16, behaviour: &Mutex<Behaviour>, requests: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let head: Vec<String> =
        lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    requests.lock().unwrap().push(head.join("\n"));
    let behaviour = behaviour.lock().unwrap().clone();
    if behaviour.silent {
        thread::sleep(Duration::from_secs(30));
        return;
    }
    let path = head[0].split(' ').nth(1).unwrap();
    let close = "Connection: close\r\n\r\n";
    if let Some(status) = behaviour.status {
        let _ = write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n{close}");
    } else if path.starts_with("/api/models/") {
        let length = behaviour.list.len();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{close}{}", behaviour.list);
    } else if path.contains("/resolve/main/") {
        let etag =
            behaviour.etag.as_ref().map(|etag| format!("X-Linked-Etag: \"{etag}\"\r\n")).unwrap_or_default();
        let to = format!("http://localhost:{port}/blob");
        let _ = write!(stream, "HTTP/1.1 302 Found\r\n{etag}Location: {to}\r\nContent-Length: 0\r\n{close}");
    } else {
        blob(&mut stream, &head, &behaviour);
    }
}

fn blob(stream: &mut TcpStream, head: &[String], behaviour: &Behaviour) {
    let range = head.iter().find_map(|line| line.strip_prefix("Range: bytes=")).unwrap();
    let (from, to) = range.split_once('-').unwrap();
    let all = behaviour.bytes.len();
    let first_byte_only = to == "0";
    let from: usize = if behaviour.ignores_ranges && !first_byte_only { 0 } else { from.parse().unwrap() };
    let to = to.parse().unwrap_or(all - 1).min(all - 1);
    let body = &behaviour.bytes[from..=to];
    let status = if behaviour.ignores_ranges && !first_byte_only {
        "200 OK\r\n".to_string()
    } else {
        format!("206 Partial Content\r\nContent-Range: bytes {from}-{to}/{all}\r\n")
    };
    let _ = write!(stream, "HTTP/1.1 {status}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let sent = behaviour.breaks_after.map_or(body.len(), |limit| limit.min(body.len()));
    let _ = stream.write_all(&body[..sent]);
}

/// A model that only the hub has.
fn fixture() -> (Fixture, Server) {
    let mut fixture = Fixture::new(1, 400_000);
    fixture.target.parts = &[];
    let bytes = fixture.whole();
    let server = Server::start(Behaviour { etag: Some(sha256(&bytes)), bytes, ..Behaviour::default() });
    (fixture, server)
}

#[test]
fn a_file_comes_whole_and_the_token_stays_with_the_hub() {
    let (fixture, server) = fixture();
    let (result, seen) = server.pull(&fixture);
    result.unwrap();
    fixture.assert_installed();
    assert_eq!(seen.last().unwrap().done_bytes, 400_000);
    for request in server.requests() {
        let to_hub = request.contains("/resolve/main/");
        assert_eq!(request.contains("Bearer secret"), to_hub, "{request}");
    }
    // It is there now: the hub is not asked again.
    let asked = server.requests().len();
    server.pull(&fixture).0.unwrap();
    assert_eq!(server.requests().len(), asked);
}

#[test]
fn a_connection_that_breaks_is_taken_up_again() {
    let (fixture, server) = fixture();
    server.set(|behaviour| behaviour.breaks_after = Some(150_000));
    server.pull(&fixture).0.unwrap();
    fixture.assert_installed();
    let ranges =
        server.requests().iter().filter(|r| r.contains("/blob") && r.contains("bytes=300000-")).count();
    assert_eq!(ranges, 1, "{:?}", server.requests());
}

#[test]
fn what_an_earlier_try_left_is_not_fetched_again() {
    for ignores_ranges in [false, true] {
        let (fixture, server) = fixture();
        let dir = fixture.path("store/.partial/tiny.gguf");
        fs::create_dir_all(&dir).unwrap();
        let name = format!("hub-{}.part", &sha256(&fixture.whole())[..16]);
        fs::write(dir.join(name), &fixture.whole()[..250_000]).unwrap();
        server.set(|behaviour| behaviour.ignores_ranges = ignores_ranges);
        let (result, seen) = server.pull(&fixture);
        result.unwrap();
        fixture.assert_installed();
        assert_eq!(seen.iter().find(|p| p.what == "fetching tiny").unwrap().done_bytes, 250_000);
        assert!(server.requests().iter().any(|request| request.contains("bytes=250000-")));
    }
}

#[test]
fn another_file_than_expected_is_not_even_fetched() {
    let (fixture, server) = fixture();
    let other = "f".repeat(64);
    server.set(|behaviour| behaviour.etag = Some(other.clone()));
    let reasons = reasons(server.pull(&fixture).0);
    let right = fixture.target.sha256.clone().unwrap();
    assert!(reasons[1].contains(&other) && reasons[1].contains(&right), "{reasons:?}");
    server.set(|behaviour| behaviour.bytes.truncate(399_999));
    assert!(
        super::fixture::reasons(server.pull(&fixture).0)[1].contains("399999 bytes, 400000 were expected")
    );
    assert!(server.requests().iter().all(|request| !request.contains("bytes=0-\n")));
}

#[test]
fn bytes_that_are_wrong_are_thrown_away() {
    let (fixture, server) = fixture();
    server.set(|behaviour| behaviour.bytes[1000] ^= 1);
    let result = server.pull(&fixture).0;
    assert_eq!(result.as_ref().unwrap_err().exit_code(), 3);
    let reasons = reasons(result);
    assert!(reasons[1].contains(&fixture.target.sha256.clone().unwrap()), "{reasons:?}");
    assert!(reasons[1].contains("it was thrown away"), "{reasons:?}");
    assert_eq!(fs::read_dir(fixture.path("store/.partial/tiny.gguf")).unwrap().count(), 0);
}

#[test]
fn what_the_hub_refuses_is_told_in_words() {
    let (fixture, server) = fixture();
    for (status, expect) in
        [(404, "no such file"), (401, "set HF_TOKEN"), (429, "try again later"), (500, "HTTP status 500")]
    {
        server.set(|behaviour| behaviour.status = Some(status));
        let reasons = reasons(server.pull(&fixture).0);
        assert!(reasons[1].starts_with("the Hugging Face hub (owner/tiny, tiny.gguf): "), "{reasons:?}");
        assert!(reasons[1].contains(expect), "{reasons:?}");
    }
}

#[test]
fn a_silent_hub_is_given_up_and_the_next_source_serves() {
    let mut fixture = Fixture::new(2, 50_000);
    let parts = std::mem::take(&mut fixture.target.parts);
    let server = Server::start(Behaviour { silent: true, ..Behaviour::default() });
    let begun = Instant::now();
    assert!(reasons(server.pull(&fixture).0)[1].contains("no answer within 1 seconds"));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    fixture.target.parts = parts;
    fixture.pip(HONEST);
    server.pull(&fixture).0.unwrap();
    fixture.assert_installed();
}

#[test]
fn a_silent_hub_can_be_cancelled_at_once() {
    let (fixture, server) = fixture();
    server.set(|behaviour| behaviour.silent = true);
    let begun = Instant::now();
    let cancelled = || begun.elapsed() > Duration::from_millis(100);
    let result = server.store(&fixture).pull_target(&fixture.target, &mut |_| {}, &cancelled);
    assert!(matches!(result, Err(PullError::Cancelled { .. })), "{result:?}");
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}

#[test]
fn no_hub_at_all_is_told_at_once() {
    let (fixture, server) = fixture();
    let mut sources = fixture.sources();
    sources.hub.offline = false;
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    sources.hub.endpoint = Some(format!("http://127.0.0.1:{port}"));
    drop(server);
    let store = Store::open(fixture.path("store"), sources).unwrap();
    let begun = Instant::now();
    let reasons = reasons(store.pull_target(&fixture.target, &mut |_| {}, &|| false));
    assert!(reasons[1].contains("no connection: "), "{reasons:?}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_repository_s_best_file_is_chosen_and_found_again() {
    let (fixture, server) = fixture();
    server.set(|behaviour| {
        behaviour.list = r#"{"sha":"x","siblings":[{"rfilename":"README.md"},
            {"rfilename":"m-Q8_0.gguf"},{"rfilename":"m-Q4_K_M.gguf"}]}"#
            .into();
    });
    let store = server.store(&fixture);
    let model = store.resolve("someone/some-model").unwrap();
    assert_eq!(model, ModelRef::Hub { repo: "someone/some-model".into(), file: None });
    let path = store.pull(&model, &mut |_| {}, &|| false).unwrap();
    assert_eq!(path, fixture.path("store/someone--some-model--m-Q4_K_M.gguf"));
    assert_eq!(fs::read(&path).unwrap(), fixture.whole());
    // From now on without the hub.
    let offline = fixture.store();
    assert_eq!(offline.path(&model).unwrap(), path);
    let listed = offline.list().unwrap();
    assert_eq!(listed.last().unwrap().name, "someone/some-model:m-Q4_K_M.gguf");
    offline.rm("someone/some-model").unwrap();
    assert!(!path.exists());
    // Without a SHA-256 nothing can be checked, so nothing is taken.
    server.set(|behaviour| behaviour.etag = None);
    assert!(reasons(store.pull(&model, &mut |_| {}, &|| false))[1].contains("states no SHA-256"));
}

#[test]
fn the_hub_s_own_cache_is_used() {
    let fixture = Fixture::new(1, 100_000);
    let bytes = fixture.whole();
    let mut sources = fixture.sources();
    let cache = fixture.path("cache");
    sources.hub.cache = Some(cache.clone());
    let blob = in_cache(&cache, &bytes);
    let store = Store::open(fixture.path("store"), sources).unwrap();
    fs::write(&blob, b"GGUF, but another").unwrap();
    let found = reasons(store.pull_target(&fixture.target, &mut |_| {}, &|| false));
    assert!(found[0].contains("the copy there has the SHA-256"), "{found:?}");
    fs::write(&blob, &bytes).unwrap();
    store.pull_target(&fixture.target, &mut |_| {}, &|| false).unwrap();
    fixture.assert_installed();
    assert!(blob.exists());
}

/// Lays a file into a cache as the hub's own tools do; gives its blob.
fn in_cache(cache: &Path, bytes: &[u8]) -> PathBuf {
    let repo = cache.join("models--owner--tiny");
    for folder in ["blobs", "refs", "snapshots/abc"] {
        fs::create_dir_all(repo.join(folder)).unwrap();
    }
    let blob = repo.join("blobs").join(sha256(bytes));
    fs::write(&blob, bytes).unwrap();
    fs::write(repo.join("refs/main"), "abc").unwrap();
    let link = Path::new("../../blobs").join(sha256(bytes));
    std::os::unix::fs::symlink(link, repo.join("snapshots/abc/tiny.gguf")).unwrap();
    blob
}
