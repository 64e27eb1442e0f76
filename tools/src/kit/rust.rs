//! Building a plugin in Rust: compile, and make it a component.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::project::Project;
use super::toolchain::{TARGET, Toolchain};
use super::{KitError, command};
use crate::files::read_bounded;

/// The component of a plugin, without its words.
pub(super) fn component(
    project: &Project,
    toolchain: &Toolchain,
    cache_dir: &Path,
) -> Result<Vec<u8>, KitError> {
    let module = compile(&project.dir, &project.name, toolchain, &cache_dir.join("target"))?;
    super::build::componentise(&module)
}

fn compile(dir: &Path, name: &str, toolchain: &Toolchain, target: &Path) -> Result<Vec<u8>, KitError> {
    let mut cargo = toolchain.cargo();
    cargo.args(["build", "--release", "--lib", "--manifest-path"]).arg(dir.join("Cargo.toml"));
    cargo.args(toolchain.arguments());
    cargo.arg("--target-dir").arg(target).current_dir(dir);
    if dir.join("Cargo.lock").is_file() || dir.join("../Cargo.lock").is_file() {
        cargo.arg("--locked");
    }
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags(dir, toolchain));
    cargo.env_remove("CARGO_TARGET_DIR");
    if let Some((variable, compiler)) = c_compiler() {
        cargo.env(variable, compiler);
    }
    command::compile(&mut cargo, str::to_owned)?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    Ok(read_bounded(&target.join(TARGET).join("release").join(file), super::build::MAX_MODULE_BYTES)?)
}

/// A crate may bring sources in C, such as SQLite's. What compiles them looks for `clang`, which
/// Debian calls `clang-19`; here it gets the compiler that plugins in C get, unless one is named.
fn c_compiler() -> Option<(String, PathBuf)> {
    let variable = format!("CC_{}", TARGET.replace('-', "_"));
    let named = [variable.clone(), format!("CC_{TARGET}"), "TARGET_CC".into()];
    if named.iter().any(|name| std::env::var_os(name).is_some()) {
        return None;
    }
    let sdk = std::env::var_os("WASI_SDK_PATH").map(|sdk| Path::new(&sdk).join("bin/clang"));
    let found = sdk.filter(|clang| clang.is_file());
    let found = found.or_else(|| ["clang-19", "clang"].into_iter().find_map(command::on_path));
    found.map(|compiler| (variable, compiler))
}

/// No path of the machine ends up in a component, so that it is the same wherever it is built.
fn flags(dir: &Path, toolchain: &Toolchain) -> OsString {
    let mut remapped = toolchain.remapped();
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    remapped.extend(home.map(|home| (home, "/cargo")));
    remapped.push((dir.parent().unwrap_or(dir).into(), "/plugins"));
    let mut flags = OsString::new();
    for (from, to) in remapped {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    flags
}
