//! A store in a folder of its own, wheels with known parts, and a `python3` that copies them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::models::catalogue::Part;
use crate::models::error::PullError;
use crate::models::hub::HubSettings;
use crate::models::progress::Progress;
use crate::models::pull::{Sources, Target};
use crate::models::space;
use crate::models::store::Store;

/// What a fake pip does besides copying the wheel: `$name` is the package, `$req` the
/// requirement, `$dir` where the wheel goes, `$root` the fixture's folder.
pub(super) const HONEST: &str = "";

pub(super) struct Fixture {
    pub root: tempfile::TempDir,
    pub target: Target,
    pub parts: Vec<Vec<u8>>,
}

impl Fixture {
    /// A model of so many parts of so many bytes, always the same ones.
    pub(super) fn new(parts: usize, part_bytes: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (target, parts) = model(parts, part_bytes);
        fs::create_dir(root.path().join("wheels")).unwrap();
        let fixture = Self { root, target, parts };
        for (n, bytes) in fixture.parts.iter().enumerate() {
            fixture.wheel(n, bytes);
        }
        fixture
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes the wheel of a part, counted from 0, with these bytes in it.
    pub(super) fn wheel(&self, part: usize, bytes: &[u8]) {
        let part = self.target.parts[part];
        let file = fs::File::create(self.path(&format!("wheels/{}.whl", part.package))).unwrap();
        let mut wheel = zip::ZipWriter::new(file);
        let options = zip::write::SimpleFileOptions::default();
        wheel.start_file("package/__init__.py", options).unwrap();
        wheel.start_file(part.inner, options).unwrap();
        wheel.write_all(bytes).unwrap();
        wheel.finish().unwrap();
    }

    /// Puts a `python3` on the search path that answers `-m pip`.
    pub(super) fn pip(&self, does: &str) -> &Self {
        self.program("python3", &script(self.root.path(), does))
    }

    pub(super) fn program(&self, name: &str, text: &str) -> &Self {
        let path = self.path("bin").join(name);
        fs::create_dir_all(self.path("bin")).unwrap();
        // Another thread's fork may hold a file that was just written: a moved one is free.
        let fresh = path.with_extension("new");
        fs::write(&fresh, text).unwrap();
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).unwrap();
        // `sh` reads it, so that no fork elsewhere can make it busy.
        fs::rename(fresh, &path).unwrap();
        self
    }

    /// The requirements that pip was asked for.
    pub(super) fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(Into::into).collect()
    }

    pub(super) fn sources(&self) -> Sources {
        sources(self.root.path())
    }

    pub(super) fn store(&self) -> Store {
        Store::open(self.path("store"), self.sources()).unwrap()
    }

    pub(super) fn pull(&self) -> Result<PathBuf, PullError> {
        self.store().pull_target(&self.target, &mut |_| {}, &|| false)
    }

    pub(super) fn pull_seen(&self) -> (Result<PathBuf, PullError>, Vec<Progress>) {
        let mut seen = Vec::new();
        let result = self.store().pull_target(&self.target, &mut |p| seen.push(p.clone()), &|| false);
        (result, seen)
    }

    /// The file that grows while wheels are fetched.
    pub(super) fn growing(&self) -> PathBuf {
        self.path("store/.partial").join(&self.target.file).join("wheels.part")
    }

    pub(super) fn whole(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// Asserts that the model is there whole and that nothing else is left of the download.
    pub(super) fn assert_installed(&self) {
        assert_eq!(fs::read(self.path("store").join(&self.target.file)).unwrap(), self.whole());
        let left = self.path("store/.partial").join(&self.target.file);
        assert!(!left.exists(), "{} is left", left.display());
    }

    /// Runs [`pull_in_a_process`] in a process of its own.
    pub(super) fn process(&self, store: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", &helper_name(), "--ignored", "--nocapture"])
            .env("LUCID_TEST_ROOT", self.root.path())
            .env("LUCID_TEST_STORE", store)
            .env("LUCID_TEST_PARTS", format!("{} {}", self.parts.len(), self.parts[0].len()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn helper_name() -> String {
    let path = module_path!().split_once("::").unwrap().1;
    format!("{path}::pull_in_a_process")
}

/// Pulls as the environment says and writes down how it ended.
#[test]
#[ignore = "run by other tests, in a process of its own"]
fn pull_in_a_process() {
    let Some(root) = std::env::var_os("LUCID_TEST_ROOT").map(PathBuf::from) else {
        panic!("this is run by other tests");
    };
    let parts = std::env::var("LUCID_TEST_PARTS").unwrap();
    let (count, bytes) = parts.split_once(' ').unwrap();
    let (target, _) = model(count.parse().unwrap(), bytes.parse().unwrap());
    let mut sources = sources(&root);
    if std::env::var_os("LUCID_TEST_FREE_LIES").is_some() {
        sources.free_space = |_| Ok(u64::MAX);
    }
    let store = Store::open(std::env::var_os("LUCID_TEST_STORE").unwrap(), sources).unwrap();
    let outcome = match store.pull_target(&target, &mut |_| {}, &|| false) {
        Ok(path) => format!("0 {}", path.display()),
        Err(error) => format!("{} {error}", error.exit_code()),
    };
    fs::write(root.join("outcome"), outcome).unwrap();
}

/// The reasons of a pull that no source could serve.
pub(super) fn reasons(result: Result<PathBuf, PullError>) -> Vec<String> {
    match result {
        Err(PullError::Unreachable { tried, .. }) => {
            tried.into_iter().map(|tried| format!("{}: {}", tried.source, tried.reason)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn sources(root: &Path) -> Sources {
    let hub = HubSettings { offline: true, proxy_from_env: false, ..HubSettings::default() };
    Sources { hub, search_path: Some(root.join("bin").into()), free_space: space::free }
}

/// A model that begins like a GGUF file and goes on like noise.
fn model(parts: usize, part_bytes: usize) -> (Target, Vec<Vec<u8>>) {
    let mut state = 42_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    let mut data: Vec<Vec<u8>> = (0..parts).map(|_| (0..part_bytes).map(|_| noise()).collect()).collect();
    data[0][..4].copy_from_slice(b"GGUF");
    let text = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let of = |n: usize| Part {
        package: text(format!("model-part{}", n + 1)),
        version: "1.0",
        inner: text(format!("package/data/part{:02}.bin", n + 1)),
        bytes: part_bytes as u64,
        sha256: text(sha256(&data[n])),
        beside_bytes: 0,
    };
    let target = Target {
        name: "tiny".into(),
        file: "tiny.gguf".into(),
        bytes: Some((parts * part_bytes) as u64),
        sha256: Some(sha256(&data.concat())),
        hub: ("owner/tiny".into(), "tiny.gguf".into()),
        parts: Box::leak((0..parts).map(of).collect::<Vec<_>>().into_boxed_slice()),
    };
    (target, data)
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    crate::models::hash::hex(hasher)
}

fn script(root: &Path, does: &str) -> String {
    format!(
        r#"#!/bin/sh
PATH=/usr/bin:/bin
root='{root}'
case "$*" in *--version*) echo 'pip 1.0'; exit 0;; esac
while [ $# -gt 1 ]; do
  if [ "$1" = -d ]; then dir=$2; fi
  shift
done
req=$1
name=${{req%%==*}}
echo "$req" >> "$root/calls"
{does}
cp "$root/wheels/$name.whl" "$dir/$name-1.0-py3-none-any.whl"
"#,
        root = root.display()
    )
}
