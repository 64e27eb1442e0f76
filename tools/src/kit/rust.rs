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
    command::compile(&mut cargo, str::to_owned)?;
    let file = format!("{}.wasm", name.replace('-', "_"));
    Ok(read_bounded(&target.join(TARGET).join("release").join(file), super::build::MAX_MODULE_BYTES)?)
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
