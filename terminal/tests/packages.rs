//! Plugins on their way from one person to another, through a real registry.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::Home;
use serde_json::{Value, json};

/// Debian's registry on this machine, on a port of its own. It ends with the test.
struct Registry {
    child: Child,
    host: String,
    folder: tempfile::TempDir,
}

impl Registry {
    /// None outside of CI where it is not installed.
    fn start(users: Option<&str>) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let auth = users.map_or_else(String::new, |users| {
            std::fs::write(at("users"), users).unwrap();
            format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", at("users"))
        });
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
             http:\n  addr: 127.0.0.1:{port}\n{auth}",
            at("store")
        );
        std::fs::write(at("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            assert!(
                std::env::var_os("CI").is_none(),
                "the registry is missing: apt-get install docker-registry"
            );
            eprintln!("skipped: the registry is missing: apt-get install docker-registry");
            return None;
        };
        let registry = Self { child, host: format!("127.0.0.1:{port}"), folder };
        let began = Instant::now();
        while TcpStream::connect(&registry.host).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the registry does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(registry)
    }

    fn name(&self, name: &str) -> String {
        format!("oci://{}/{name}", self.host)
    }

    /// A manifest as any other tool gets it.
    fn manifest(&self, name: &str, tag: &str) -> Value {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let accept = "application/vnd.oci.image.manifest.v1+json";
        write!(
            stream,
            "GET /v2/{name}/manifests/{tag} HTTP/1.0\r\nHost: {}\r\nAccept: {accept}\r\n\r\n",
            self.host
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Writes a component with one function of this name, and words and rights inside it.
fn component(home: &Home, file: &str, version: &str, function: &str, net: &[&str]) {
    use wasm_encoder::{CustomSection, Encode as _};
    let text = format!(
        r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "{function}") (result u32) (canon lift (core func $i "f"))))"#
    );
    let docs = json!({
        "form": 1, "plugin": "seven", "version": version, "description": "Gives sevens.",
        "rights": { "net": net }, "functions": { function: { "description": "Gives a seven." } },
    });
    let mut bytes = wat::parse_str(text).unwrap();
    bytes.push(0);
    let data = docs.to_string().into_bytes();
    CustomSection { name: "lucid-docs".into(), data: data.into() }.encode(&mut bytes);
    home.write(file, bytes);
}

#[test]
fn a_plugin_goes_from_its_author_to_a_user_and_is_updated() {
    let Some(registry) = Registry::start(None) else { return };
    let (author, user) = (Home::new(), Home::new());
    let name = registry.name("tools/seven:1");
    author.run(&["plugin", "keygen"]).bad(2, &["terminal"]);
    let key = author.run(&["plugin", "keygen", "--no-password"]).good();
    let key = key.trim();
    author.run(&["plugin", "keygen", "--no-password"]).bad(2, &["there already"]);
    component(&author, "seven.wasm", "1.0.0", "seven", &["api.example.com"]);
    let sign = author.home("config/plugins.key").display().to_string();
    let published = author.run(&["plugin", "publish", "seven.wasm", &name, "--sign", &sign, "--json"]).json();
    assert_eq!((&published["signed"], &published["version"]), (&json!(true), &json!("1.0.0")));

    // The layout is that of other tools.
    let manifest = registry.manifest("tools/seven", "1");
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json", "{manifest:#}");
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], format!("sha256:{}", published["sha256"].as_str().unwrap()));
    assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1.0.0");

    let ran = user.run(&["plugin", "install", &name]);
    assert!(ran.stderr.contains(&format!("signed by the key {key}")), "{ran:#?}");
    assert!(ran.stderr.contains("imports nothing that could use it"), "{ran:#?}");
    assert!(ran.stderr.contains("asks to") && ran.stderr.contains("net:api.example.com"), "{ran:#?}");
    ran.good();
    assert_eq!(user.run(&["plugin", "call", "seven"]).good().trim(), "7");
    user.run(&["plugin", "grant", "seven", "all"]).good();
    let listed = user.run(&["plugin", "list", "--json"]).json();
    let of = |listed: &Value| {
        listed.as_array().unwrap().iter().find(|it| it["name"] == "seven").cloned().unwrap_or_default()
    };
    let seven = of(&listed);
    assert_eq!((&seven["from"], &seven["key"]), (&json!(name), &json!(key)));
    assert_eq!(seven["granted"], json!(["net:api.example.com"]), "{seven:#}");

    // Nothing new, then something new that asks for more: what was granted stays, no more is.
    assert_eq!(user.run(&["plugin", "update", "--json"]).json()[0]["state"], "newest");
    component(&author, "seven.wasm", "1.1.0", "seven", &["api.example.com", "other.example.com"]);
    author.run(&["plugin", "publish", "seven.wasm", &name]).bad(2, &["sign it again"]);
    author.run(&["plugin", "publish", "seven.wasm", &name, "--sign", &sign]).good();
    assert_eq!(user.run(&["plugin", "update", "--check", "--json"]).json()[0]["state"], "newer");
    let ran = user.run(&["plugin", "update"]);
    assert!(ran.stderr.contains("1.1.0") && ran.stderr.contains("net:other.example.com"), "{ran:#?}");
    ran.good();
    let seven = of(&user.run(&["plugin", "list", "--json"]).json());
    assert_eq!((&seven["version"], &seven["granted"]), (&json!("1.1.0"), &json!(["net:api.example.com"])));

    // By its digest it is what it was, for ever.
    let digest = published["digest"].as_str().unwrap();
    let by_digest = registry.name(&format!("tools/seven@{digest}"));
    let other = Home::new();
    other.run(&["plugin", "install", &by_digest, "--key", key, "--grant", "all"]).good();
    let seven = of(&other.run(&["plugin", "list", "--json"]).json());
    assert_eq!((&seven["version"], &seven["granted"]), (&json!("1.0.0"), &json!(["net:api.example.com"])));

    // Somebody else publishes under the same name: refused, and what is installed stays.
    let thief = Home::new();
    component(&thief, "seven.wasm", "6.6.6", "seven", &[]);
    thief.run(&["plugin", "publish", "seven.wasm", &name]).good();
    user.run(&["plugin", "update", "seven"]).bad(4, &["not signed", key]);
    thief.run(&["plugin", "keygen", "--no-password", "--file", "thief.key"]).good();
    thief.run(&["plugin", "publish", "seven.wasm", &name, "--sign", "thief.key"]).good();
    user.run(&["plugin", "update", "seven"]).bad(4, &["signed by the key", "lucid plugin rm"]);
    assert_eq!(of(&user.run(&["plugin", "list", "--json"]).json())["version"], json!("1.1.0"));
    other.run(&["plugin", "install", &by_digest, "--sha256", &"0".repeat(64)]).bad(4, &["SHA-256"]);
    user.run(&["plugin", "rm", "seven"]).good();
    assert!(
        !user.home("config/grants.toml").exists() || {
            !std::fs::read_to_string(user.home("config/grants.toml")).unwrap().contains("seven")
        }
    );
    user.run(&["plugin", "update", "seven"]).bad(2, &["no plugin named seven"]);
}

#[test]
fn what_a_registry_has_that_is_wrong_is_told() {
    let Some(registry) = Registry::start(None) else { return };
    let home = Home::new();
    home.run(&["plugin", "install", &registry.name("none:1")]).bad(1, &["none:1"]);
    home.run(&["plugin", "install", "oci://127.0.0.1:9/none:1"]).bad(1, &["127.0.0.1:9"]);
    component(&home, "seven.wasm", "1.0.0", "seven", &[]);
    let name = registry.name("seven:1");
    home.run(&["plugin", "publish", "seven.wasm", "seven.oci"]).bad(2, &["oci://HOST/NAME:TAG"]);
    home.write("core.wasm", b"\0asm\x01\0\0\0");
    home.run(&["plugin", "publish", "core.wasm", &name]).bad(1, &["core"]);
    let published = home.run(&["plugin", "publish", "seven.wasm", &name, "--json"]).json();
    // Somebody changes the component in the registry's store.
    let digest = published["sha256"].as_str().unwrap();
    let blob = registry
        .folder
        .path()
        .join(format!("store/docker/registry/v2/blobs/sha256/{}/{digest}/data", &digest[..2]));
    let mut bytes = std::fs::read(&blob).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bytes).unwrap();
    home.run(&["plugin", "install", &name]).bad(1, &["igest"]);
    assert!(!home.home("data/plugins/seven.wasm").exists());
}

#[test]
fn a_registry_that_wants_a_login_gets_the_one_that_is_kept() {
    // The password is `secret of ann`, hashed by Apache's htpasswd.
    let users = "ann:$2y$05$dCJIXCRladROm8Ssb4Euz.qhhnRWwegnO2b6EXwHV.iuRWh52qYvC\n";
    let Some(registry) = Registry::start(Some(users)) else { return };
    let home = Home::new();
    component(&home, "seven.wasm", "1.0.0", "seven", &[]);
    let name = registry.name("seven:1");
    home.run(&["plugin", "publish", "seven.wasm", &name]).bad(1, &["log in"]);
    let run = |login: &str| {
        let auth = json!({ "auths": { &registry.host: { "auth": login } } });
        home.write("docker/config.json", auth.to_string());
        let mut command = home.command(&["plugin", "publish", "seven.wasm", &name]);
        command.env("DOCKER_CONFIG", home.work("docker"));
        common::Ran::of(command.output().unwrap())
    };
    // In Base64: `ann:wrong`, and the right one.
    run("YW5uOndyb25n").bad(1, &["log in"]);
    assert!(run("YW5uOnNlY3JldCBvZiBhbm4=").good().contains("sha256:"));
    home.run(&["plugin", "install", &name]).bad(1, &["log in"]);
}
