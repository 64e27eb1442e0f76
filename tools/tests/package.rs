//! Getting plugins: pins, signatures, and servers that behave badly.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use common::{call, runs};
use lucid_kernel::port::CancelFlag;
use lucid_tools::kit::{self, KitError};
use lucid_tools::package::{
    Candidate, Change, Origin, PackageError, Pins, PublicKey, SecretKey, Wanted, check, get, install, sign,
};
use lucid_tools::{Limits, ToolError, ToolHost, bundled};
use serde_json::json;

/// A folder with files, and one of installed plugins.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn installed(&self) -> PathBuf {
        self.path("plugins")
    }

    /// A component that exports `NAME` and returns nothing.
    fn component(&self, file: &str, function: &str) -> PathBuf {
        let path = self.path(file);
        std::fs::write(&path, wat::parse_str(runs(function, "nop")).unwrap()).unwrap();
        path
    }

    fn host(&self) -> ToolHost {
        let host = ToolHost::new(Some(&self.path("cache")), Limits::default());
        host.load_bundled().unwrap();
        host.load_installed(&self.installed()).unwrap();
        host
    }

    fn check(&self, origin: &str, wanted: &Wanted) -> Result<Candidate, PackageError> {
        let package = get(&Origin::parse(origin)?, &|_| Ok(None), &mut |_| {}, &CancelFlag::new())?;
        check(&self.host(), package, wanted, &Pins::read(&self.installed()).unwrap())
    }

    fn install(&self, origin: &str) -> Result<Change, PackageError> {
        let candidate = self.check(origin, &Wanted::default())?;
        install(&candidate, &self.installed())?;
        Ok(candidate.change)
    }

    fn key(&self, name: &str) -> SecretKey {
        let path = self.path(name);
        SecretKey::generate(&path, None).unwrap();
        SecretKey::read(&path, || unreachable!()).unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn installed_plugins_are_replaced_listed_and_removed() {
    let place = Place::new();
    let file = place.component("My_Tool.wasm", "act");
    assert_eq!(place.install(text(&file)).unwrap(), Change::New);
    assert_eq!(place.install(text(&file)).unwrap(), Change::Nothing);
    place.component("My_Tool.wasm", "act-more");
    assert_eq!(place.install(text(&file)).unwrap(), Change::Newer);
    let host = place.host();
    assert_eq!(call(&host, "my_tool_act_more", json!({})).unwrap().text, "done");
    assert_eq!(kit::list(&host, &place.installed()).unwrap().len(), bundled::COMPONENTS.len() + 1);

    // Another plugin whose tool has the same name is refused, and the folder stays as it is.
    let clash = place.component("my.wasm", "tool-act-more");
    let error = place.install(text(&clash)).unwrap_err();
    assert!(matches!(error, PackageError::Tool(ToolError::Clash { .. })), "{error}");
    let taken = place.component("calc.wasm", "other");
    assert!(place.install(text(&taken)).unwrap_err().to_string().contains("part of Lucid"));

    kit::remove("my-tool", &place.installed()).unwrap();
    assert!(matches!(kit::remove("my-tool", &place.installed()), Err(KitError::NotInstalled { .. })));
    assert!(kit::remove("../my-tool", &place.installed()).is_err());
    assert_eq!(std::fs::read_dir(place.installed()).unwrap().count(), 0);
}

#[test]
fn installs_at_the_same_moment_lose_nothing() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for nth in 0..8 {
            let place = &place;
            scope.spawn(move || {
                let name = format!("plugin-{nth}");
                let file = place.component(&format!("{name}.wasm"), &name);
                place.install(text(&file)).unwrap();
            });
        }
    });
    let pins = Pins::read(&place.installed()).unwrap();
    assert_eq!(pins.iter().count(), 8);
    assert_eq!(place.host().load_installed(&place.installed()).unwrap().plugins.len(), 8);
}

#[test]
fn what_is_not_what_was_installed_is_not_loaded() {
    let place = Place::new();
    let file = place.component("mine.wasm", "act");
    std::fs::write(file.with_extension("toml"), "description = \"Mine.\"\n").unwrap();
    place.install(text(&file)).unwrap();
    let failed = || {
        let host = ToolHost::new(Some(&place.path("cache")), Limits::default());
        let report = host.load_installed(&place.installed()).unwrap();
        report.failed.into_iter().map(|(_, error)| error.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(failed(), Vec::<String>::new());
    let (component, words) = (place.installed().join("mine.wasm"), place.installed().join("mine.toml"));
    let before = std::fs::read(&words).unwrap();
    std::fs::write(&words, "description = \"Mine.\"\n[rights]\nnet = [\"example.com\"]\n").unwrap();
    assert!(failed()[0].contains("mine.toml was changed"), "{:?}", failed());
    std::fs::remove_file(&words).unwrap();
    assert!(failed()[0].contains("mine.toml was changed"), "{:?}", failed());
    std::fs::write(&words, before).unwrap();
    assert_eq!(failed(), Vec::<String>::new());
    std::fs::copy(place.component("other.wasm", "other"), &component).unwrap();
    assert!(failed()[0].contains("mine.wasm was changed"), "{:?}", failed());
    // Put there by hand.
    std::fs::copy(&file, place.installed().join("by-hand.wasm")).unwrap();
    assert!(failed()[0].contains("by-hand.wasm was not installed"), "{:?}", failed());
    // A damaged list of what is installed is told, and nothing is loaded.
    std::fs::write(place.installed().join("installed.lock"), "mine = 3").unwrap();
    let host = ToolHost::new(None, Limits::default());
    assert!(host.load_installed(&place.installed()).unwrap_err().to_string().contains("installed.lock"));
}

#[test]
fn a_component_that_changes_after_it_was_described_is_not_called() {
    let place = Place::new();
    let file = place.component("mine.wasm", "act");
    // The first host compiles and describes it, the second one knows the description alone.
    drop(ToolHost::new(Some(&place.path("cache")), Limits::default()).load(&file).unwrap());
    let host = ToolHost::new(Some(&place.path("cache")), Limits::default());
    host.load(&file).unwrap();
    place.component("mine.wasm", "other");
    let fault = call(&host, "mine_act", json!({})).unwrap_err();
    assert!(fault.message.contains("mine.wasm was changed"), "{fault:?}");
    place.component("mine.wasm", "act");
    assert_eq!(call(&host, "mine_act", json!({})).unwrap().text, "done");
}

#[test]
fn descriptions_that_are_damaged_are_made_again() {
    let place = Place::new();
    let file = place.component("mine.wasm", "act");
    let cache = place.path("cache");
    let describe = || ToolHost::new(Some(&cache), Limits::default()).load(&file).unwrap().tools.clone();
    let first = describe();
    for entry in std::fs::read_dir(cache.join("described")).unwrap() {
        let path = entry.unwrap().path();
        let whole = std::fs::read_to_string(&path).unwrap();
        for damaged in
            [whole.replace("mine_act", "mine_bad"), whole[..whole.len() / 2].to_owned(), String::new()]
        {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(describe(), first);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "it is written again");
        }
    }
    // Other words beside the same component are another description.
    std::fs::write(file.with_extension("toml"), "[functions.act]\ndescription = \"Acts.\"\n").unwrap();
    assert_eq!(describe()[0].description, "Acts.");
}

#[test]
fn a_key_is_trusted_at_first_and_then_alone() {
    let place = Place::new();
    let (ours, theirs) = (place.key("ours.key"), place.key("theirs.key"));
    let file = place.component("mine.wasm", "act");
    sign(&file, &ours).unwrap();
    assert_eq!(place.install(text(&file)).unwrap(), Change::New);
    let our_key = ours.public().unwrap();
    let pins = || Pins::read(&place.installed()).unwrap();
    assert_eq!(pins().get("mine").unwrap().key, Some(our_key.to_string()));
    // Changed since it was signed; signed by another; not signed any more; by the same key again.
    place.component("mine.wasm", "act-more");
    let error = place.install(text(&file)).unwrap_err();
    assert!(matches!(error, PackageError::Signature { .. }), "{error}");
    sign(&file, &theirs).unwrap();
    let error = place.install(text(&file)).unwrap_err();
    assert!(matches!(error, PackageError::OtherKey { .. }) && error.to_string().contains("lucid plugin rm"));
    // What the user says by the way changes nothing about the pinned key.
    let wanted = Wanted { key: Some(theirs.public().unwrap()), ..Wanted::default() };
    assert!(matches!(place.check(text(&file), &wanted), Err(PackageError::OtherKey { .. })));
    std::fs::remove_file(file.with_added_extension("minisig")).unwrap();
    let error = place.install(text(&file)).unwrap_err();
    assert!(matches!(error, PackageError::Unsigned { .. }), "{error}");
    sign(&file, &ours).unwrap();
    assert_eq!(place.install(text(&file)).unwrap(), Change::Newer);
    // From elsewhere by the same key it is the same author's.
    let moved = place.path("moved");
    std::fs::create_dir(&moved).unwrap();
    let moved = place.component("moved/mine.wasm", "act");
    sign(&moved, &ours).unwrap();
    assert_eq!(place.install(text(&moved)).unwrap(), Change::Newer);
    // Without any key, another place is another author.
    kit::remove("mine", &place.installed()).unwrap();
    for file in [&file, &moved] {
        std::fs::remove_file(file.with_added_extension("minisig")).unwrap();
    }
    assert_eq!(place.install(text(&file)).unwrap(), Change::New);
    assert_eq!(place.install(text(&moved)).unwrap(), Change::Other);
}

#[test]
fn what_the_user_says_of_it_must_hold() {
    let place = Place::new();
    let file = place.component("mine.wasm", "act");
    let digest = place.check(text(&file), &Wanted::default()).unwrap().plugin.sha256;
    let wanted = |sha256: &str| Wanted { sha256: Some(sha256.to_owned()), ..Wanted::default() };
    place.check(text(&file), &wanted(&digest.to_uppercase())).unwrap();
    let error = place.check(text(&file), &wanted(&"0".repeat(64))).unwrap_err();
    assert!(matches!(error, PackageError::Digest { .. }) && error.to_string().contains(&digest), "{error}");
    let key = place.key("ours.key");
    let wanted = Wanted { key: Some(key.public().unwrap()), ..Wanted::default() };
    assert!(matches!(place.check(text(&file), &wanted), Err(PackageError::Unsigned { .. })));
    sign(&file, &key).unwrap();
    assert_eq!(place.check(text(&file), &wanted).unwrap().key, wanted.key);
    assert!(PublicKey::parse(text(&place.path("ours.pub"))).unwrap() == key.public().unwrap());
}

/// A server on this machine that answers each path with these bytes, head included, until it is dropped.
fn server(answers: Vec<(&'static str, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = answers.iter().find(|(known, _)| *known == path).map(|(_, bytes)| bytes.clone());
            let none = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec();
            drop(stream.write_all(&answer.unwrap_or(none)));
        }
    });
    format!("http://127.0.0.1:{port}")
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn moved(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .into_bytes()
}

#[test]
fn a_url_gives_a_component_and_its_signature() {
    let place = Place::new();
    let key = place.key("ours.key");
    let file = place.component("mine.wasm", "act");
    sign(&file, &key).unwrap();
    let signature = std::fs::read(file.with_added_extension("minisig")).unwrap();
    let url = server(vec![
        ("/mine.wasm", ok(&std::fs::read(&file).unwrap())),
        ("/mine.wasm.minisig", ok(&signature)),
        ("/moved.wasm", moved("/mine.wasm")),
        ("/away.wasm", moved("http://192.0.2.1/mine.wasm")),
        ("/round.wasm", moved("/round.wasm")),
        ("/page.wasm", ok(b"<html>a page</html>")),
        ("/page.wasm.minisig", ok(b"<html>a page</html>")),
        ("/cut.wasm", b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\nshort".to_vec()),
        ("/huge.wasm", [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![0; 257 << 20]].concat()),
        ("/broken.wasm", b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec()),
    ]);
    let of = |path: &str| place.check(&format!("{url}{path}"), &Wanted::default());
    let candidate = of("/mine.wasm").unwrap();
    assert_eq!((candidate.plugin.name.as_str(), candidate.key), ("mine", Some(key.public().unwrap())));
    assert_eq!(of("/moved.wasm").unwrap().plugin.name, "moved");
    assert_eq!(place.install(&format!("{url}/mine.wasm")).unwrap(), Change::New);
    assert_eq!(Pins::read(&place.installed()).unwrap().get("mine").unwrap().from, format!("{url}/mine.wasm"));
    for (path, words) in [
        ("/none.wasm", "there is no such file"),
        ("/away.wasm", "redirects to where plugins are not fetched from"),
        ("/round.wasm", "redirects too often"),
        ("/page.wasm", "not a WebAssembly component"),
        ("/cut.wasm", "http://127.0.0.1"),
        ("/huge.wasm", "more than 256 MiB"),
        ("/broken.wasm", "500"),
    ] {
        let error = of(path).unwrap_err().to_string();
        assert!(error.contains(words), "{path}: {error}");
    }
}

#[test]
fn fetching_ends_when_it_is_cancelled() {
    // It accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = Origin::parse(&format!("http://{}/x.wasm", silent.local_addr().unwrap())).unwrap();
    let cancel = CancelFlag::new();
    let (flag, began) = (cancel.clone(), std::time::Instant::now());
    let stopper = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        flag.cancel();
    });
    assert!(matches!(get(&origin, &|_| Ok(None), &mut |_| {}, &cancel), Err(PackageError::Cancelled)));
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    stopper.join().unwrap();
}
