//! A Rust compiler for WebAssembly, found wherever this machine has one.
//!
//! In this order: a compiler that has the target; one that has the source of its standard
//! library and builds it for the target; Debian's packages of a compiler for WebAssembly,
//! unpacked into a folder of our own, because installing them would conflict.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::output;
use super::{KitError, Language};

/// The target that guests are compiled for: it has no WASI, so a guest starts with no rights.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages, unpacked and not installed.
const DEBIAN_PACKAGES: &[&str] = &[
    "rustc-web",
    "libstd-rust-web-dev",
    "libstd-rust-web-1.96",
    "rust-web-src",
    "libllvm22",
    "lld-22",
    "rust-web-llvm",
];

/// A way to compile for WebAssembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// What it is, for people and lock files: `rustc 1.96.0`.
    pub version: String,
    rustc: Option<PathBuf>,
    build_std: bool,
    prefix: Option<PathBuf>,
}

impl Toolchain {
    /// Finds one. `cache_dir` is where Debian's packages are unpacked; `on_step` hears what
    /// takes long.
    ///
    /// # Errors
    /// [`KitError::NoToolchain`], with what was tried.
    pub fn find(cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Self, KitError> {
        let mut tried = Vec::new();
        match installed() {
            Ok(found) => return Ok(found),
            Err(reason) => tried.push(format!("rustc: {reason}")),
        }
        match debian(cache_dir, on_step) {
            Ok(found) => return Ok(found),
            Err(reason) => tried.push(format!("Debian's packages: {reason}")),
        }
        Err(KitError::NoToolchain { language: Language::Rust, tried: tried.join("\n") })
    }

    /// `cargo`, set up to compile with it. The caller adds the command and the folder.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new("cargo");
        cargo.stdin(Stdio::null());
        if let Some(rustc) = &self.rustc {
            cargo.env("RUSTC", rustc);
        }
        if let Some(prefix) = &self.prefix {
            cargo.env("LD_LIBRARY_PATH", prefix.join("usr/lib/x86_64-linux-gnu"));
            let mut path = prefix.join("usr/bin").into_os_string();
            if let Some(rest) = std::env::var_os("PATH") {
                path.push(":");
                path.push(rest);
            }
            cargo.env("PATH", path);
        }
        if self.build_std {
            cargo.env("RUSTC_BOOTSTRAP", "1");
        }
        cargo
    }

    /// The arguments that `cargo build` needs beside its own.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--target".into(), TARGET.into()];
        if self.build_std {
            arguments.extend(["-Z".into(), "build-std=core,alloc,std,panic_abort".into()]);
        }
        arguments
    }

    /// Folders whose names must not end up in what is built, with what stands for them.
    pub fn remapped(&self) -> Vec<(PathBuf, &'static str)> {
        self.prefix.iter().map(|prefix| (prefix.clone(), "/toolchain")).collect()
    }
}

fn installed() -> Result<Toolchain, String> {
    let version = output(Command::new("rustc").arg("--version"))?;
    let libdir = output(Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]))?;
    let has_target = std::fs::read_dir(libdir.trim()).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
    });
    let sysroot = PathBuf::from(output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    let has_source = sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file();
    if !has_target && !has_source {
        return Err("has neither the target nor the source of its standard library".into());
    }
    Ok(Toolchain { version: short(&version), rustc: None, build_std: !has_target, prefix: None })
}

fn debian(cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Toolchain, String> {
    let prefix = cache_dir.join("debian-rust-web");
    let rustc = prefix.join("usr/bin/rustc");
    if !rustc.is_file() {
        unpack(cache_dir, &prefix, on_step)?;
    }
    let lib = prefix.join("usr/lib/x86_64-linux-gnu");
    let version = output(Command::new(&rustc).arg("--version").env("LD_LIBRARY_PATH", lib))?;
    Ok(Toolchain { version: short(&version), rustc: Some(rustc), build_std: true, prefix: Some(prefix) })
}

/// Unpacks beside the final name and renames, so that what is cut off is not taken for whole.
fn unpack(cache_dir: &Path, prefix: &Path, on_step: &mut dyn FnMut(&str)) -> Result<(), String> {
    let io = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let work = cache_dir.join(format!("debian-rust-web.{}", std::process::id()));
    let packages = work.join("packages");
    std::fs::create_dir_all(&packages).map_err(|error| io("cannot make a folder to unpack into", error))?;
    on_step("fetching Debian's Rust compiler for WebAssembly (about 300 MB, once)");
    let done = (|| {
        output(Command::new("apt-get").arg("download").args(DEBIAN_PACKAGES).current_dir(&packages))?;
        let files =
            std::fs::read_dir(&packages).map_err(|error| io("cannot list what was fetched", error))?;
        let root = work.join("prefix");
        for file in files.flatten() {
            output(Command::new("dpkg").arg("-x").arg(file.path()).arg(&root))?;
        }
        match std::fs::rename(&root, prefix) {
            // Another lucid was faster.
            Err(_) if prefix.join("usr/bin/rustc").is_file() => Ok(()),
            other => other.map_err(|error| io("cannot put the compiler in its place", error)),
        }
    })();
    // What is left over is of no use; the error that matters is the first.
    drop(std::fs::remove_dir_all(&work));
    done
}

/// `rustc 1.96.0 (hash date) (Debian …)` without what changes from day to day.
fn short(version: &str) -> String {
    version.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}
