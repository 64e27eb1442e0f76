//! Which package may depend on which: terminal on all, drivers and tools on the kernel alone,
//! the kernel and the guests on none of the others.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::Complaint;
use crate::scan::{code_only, lines_with_word};

const KERNEL: &str = "lucid-kernel";
const DRIVERS: [&str; 5] = ["lucid-engine", "lucid-llama", "lucid-remote", "lucid-disk", "lucid-journal"];
/// What the engines share: a library, which no one else but the terminal uses.
const MODEL: &str = "lucid-model";
/// The checks of all engines: for their tests alone.
const CONTRACT: &str = "lucid-contract";
const TOOLS: &str = "lucid-tools";
const SDK: &str = "lucid-plugin";
const TERMINAL: &str = "lucidsh";

/// What each package of the workspace may depend on, and its folder.
fn allowed(package: &str) -> Option<(&'static str, Vec<&'static str>)> {
    let folder = match package {
        KERNEL => return Some(("kernel/", Vec::new())),
        TERMINAL => {
            let all = DRIVERS.iter().copied().chain([KERNEL, MODEL, CONTRACT, TOOLS]).collect();
            return Some(("terminal/", all));
        }
        "lucid-engine" => return Some(("kernel/drivers/engine/", vec![KERNEL, MODEL, CONTRACT])),
        "lucid-llama" => return Some(("kernel/drivers/llama/", vec![KERNEL, MODEL, CONTRACT])),
        "lucid-remote" => return Some(("kernel/drivers/remote/", vec![KERNEL, MODEL, CONTRACT])),
        MODEL => "kernel/drivers/model/",
        CONTRACT => "kernel/drivers/contract/",
        "lucid-disk" => "kernel/drivers/disk/",
        "lucid-journal" => "kernel/drivers/journal/",
        TOOLS => "tools/",
        _ => return None,
    };
    Some((folder, vec![KERNEL]))
}

/// All that the pure kernel is built from, besides the standard library.
const KERNEL_CRATES: [&str; 8] =
    ["jsonschema", "minijinja", "minijinja-contrib", "proptest", "serde", "serde_json", "sha2", "thiserror"];

/// A package and what its manifest names.
#[derive(Debug, Deserialize)]
pub struct Package {
    name: String,
    /// Of every kind: normal, build and for tests.
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// Its folder, when it is not from a registry.
    path: Option<String>,
}

/// What `cargo metadata` prints; the crate of that name would change the features of
/// serde_json for the whole build.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// The packages of a workspace, read without the network.
pub fn packages(manifest: &Path) -> Vec<Package> {
    if !manifest.exists() {
        return Vec::new();
    }
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot read {}: {error}", manifest.display());
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    metadata.packages
}

/// Manifests that name what they must not.
pub fn check(packages: &[Package]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in packages {
        let name = &package.name;
        let Some((_, allowed)) = allowed(name) else {
            complaints.push(format!("the package {name} has no place among the arrows"));
            continue;
        };
        for Dependency { name: dependency, path } in &package.dependencies {
            let ours = path.is_some() || is_ours(dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                complaints.push(format!("{name} must not depend on {dependency}"));
            }
            if name == KERNEL && !ours && !KERNEL_CRATES.contains(&dependency.as_str()) {
                complaints.push(format!(
                    "the kernel must not depend on {dependency}: it is pure, and its crates are listed here"
                ));
            }
        }
    }
    complaints
}

/// Guests know the contract in plugins/wit and each other's SDK, nothing outside plugins/.
pub fn check_guests(packages: &[Package], plugins: &Path) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in packages {
        for Dependency { name: dependency, path } in &package.dependencies {
            let outside = match path {
                Some(path) => !Path::new(path).starts_with(plugins),
                None => is_ours(dependency),
            };
            if outside {
                complaints.push(format!(
                    "the guest {} must not depend on {dependency}, which is not under plugins/",
                    package.name
                ));
            }
        }
    }
    complaints
}

fn is_ours(name: &str) -> bool {
    name == TERMINAL || name.starts_with("lucid-")
}

/// Sources that name a package, or include a file, which their own package must not know.
pub fn check_source(name: &str, text: &str) -> Vec<Complaint> {
    let ours = DRIVERS.iter().copied().chain([KERNEL, MODEL, TOOLS, TERMINAL]);
    // The longest folder wins: the drivers lie under the kernel's.
    let owner = ours
        .clone()
        .filter_map(|package| allowed(package).map(|(folder, may)| (package, folder, may)))
        .filter(|(_, folder, _)| name.starts_with(folder))
        .max_by_key(|(_, folder, _)| folder.len());
    let Some((package, _, may)) = owner else { return Vec::new() };
    let code = code_only(text);
    let mut complaints = Vec::new();
    for other in ours.chain([SDK]).filter(|other| *other != package && !may.contains(other)) {
        for line in lines_with_word(&code, &other.replace('-', "_")) {
            complaints.push(format!("{name}:{line}: {package} must not name {other}"));
        }
    }
    for (n, (line, code)) in text.lines().zip(code.lines()).enumerate() {
        // Up and out of `src` and back into some other package's sources.
        let takes = code.trim_start().starts_with("#[path") || code.contains("include!(");
        if takes && line.contains("../") && line.contains("/src/") {
            complaints
                .push(format!("{name}:{}: a source file of another package must not be taken in", n + 1));
        }
    }
    complaints
}

#[cfg(test)]
fn dependency(name: &str, path: Option<&str>) -> Dependency {
    Dependency { name: name.into(), path: path.map(str::to_owned) }
}

#[cfg(test)]
fn package(name: &str, dependencies: &[&str]) -> Package {
    let dependencies = dependencies.iter().map(|name| dependency(name, None)).collect();
    Package { name: name.into(), dependencies }
}

#[test]
fn wrong_arrows_are_found() {
    let wrong = [
        ("lucid-kernel", "lucid-disk"),
        ("lucid-kernel", "tokio"),
        ("lucid-kernel", "rand"),
        ("lucid-disk", "lucid-journal"),
        ("lucid-engine", "lucid-tools"),
        ("lucid-engine", "lucid-llama"),
        ("lucid-model", "lucid-engine"),
        ("lucid-disk", "lucid-model"),
        ("lucid-tools", "lucid-engine"),
        ("lucid-tools", "lucidsh"),
        ("lucidsh", "lucid-plugin"),
        ("lucid-new", "lucid-kernel"),
    ];
    for (from, to) in wrong {
        assert_eq!(check(&[package(from, &[to])]).len(), 1, "{from} -> {to}");
    }
    let right = [
        package("lucidsh", &["lucid-kernel", "lucid-disk", "lucid-tools", "clap"]),
        package("lucid-tools", &["lucid-kernel", "wasmtime"]),
        package("lucid-kernel", &["serde"]),
    ];
    assert_eq!(check(&right), Vec::<Complaint>::new());
}

#[test]
fn a_renamed_neighbour_is_found() {
    let mut renamed = package("lucid-disk", &[]);
    renamed.dependencies.push(dependency("store", Some("/repo/kernel/drivers/journal")));
    assert_eq!(check(&[renamed]).len(), 1);
}

#[test]
fn guests_that_reach_out_are_found() {
    let guest = |path: Option<&str>| Package {
        name: "calc".into(),
        dependencies: vec![dependency("lucid-kernel", path)],
    };
    let plugins = Path::new("/repo/plugins");
    assert_eq!(check_guests(&[guest(Some("/repo/kernel"))], plugins).len(), 1);
    assert_eq!(check_guests(&[guest(None)], plugins).len(), 1);
    assert_eq!(check_guests(&[guest(Some("/repo/plugins/sdk"))], plugins).len(), 0);
}

#[test]
fn sources_that_name_a_stranger_are_found() {
    let count = |name, text| check_source(name, text).len();
    assert_eq!(count("kernel/drivers/disk/src/x.rs", "use lucid_journal::SqliteJournal;"), 1);
    assert_eq!(count("kernel/drivers/disk/src/x.rs", "use lucid_kernel::abi::Pid;"), 0);
    assert_eq!(count("kernel/src/x.rs", "fn f(x: lucid_engine::Mistral) {}"), 1);
    assert_eq!(count("kernel/src/x.rs", "// lucid_engine implements it"), 0);
    assert_eq!(count("tools/src/x.rs", "use lucid_disk as d;"), 1);
    assert_eq!(count("terminal/src/x.rs", "use lucid_disk::Index; use lucid_plugin::X;"), 1);
    assert_eq!(count("tools/src/x.rs", "#[path = \"../../kernel/src/abi.rs\"] mod abi;"), 1);
    assert_eq!(count("plugins/calc/src/lib.rs", "use lucid_plugin::tool;"), 0);
}
