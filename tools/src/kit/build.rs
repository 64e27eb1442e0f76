//! Building a guest: compile, make it a component, write its words into it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use wasm_encoder::{CustomSection, Encode as _};
use wit_component::ComponentEncoder;

use super::toolchain::{TARGET, Toolchain};
use super::{KitError, docs};
use crate::docs::SECTION;
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};
use crate::plugin::checked_name;

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The largest module that is read, in bytes.
const MAX_MODULE_BYTES: u64 = 256 << 20;

/// How much of the compiler's words is shown, in lines.
const MAX_OUTPUT_LINES: usize = 60;

/// A plugin that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The compiler.
    pub compiler: String,
}

/// Builds the plugin in `dir` into `dir/NAME.wasm`. `cache_dir` holds toolchains and what is
/// compiled; `on_step` hears what goes on.
///
/// # Errors
/// When the folder holds no plugin, there is no compiler, or the source has mistakes.
pub fn build(dir: &Path, cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Built, KitError> {
    let toolchain = Toolchain::find(cache_dir, on_step)?;
    let (name, component) = component(dir, &toolchain, cache_dir, on_step)?;
    let path = dir.join(format!("{name}.wasm"));
    write_atomically(&path, &component)?;
    Ok(Built { name, path, bytes: component.len() as u64, compiler: toolchain.version })
}

/// Builds the plugin in `dir` into memory.
pub(super) fn component(
    dir: &Path,
    toolchain: &Toolchain,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<(String, Vec<u8>), KitError> {
    let dir = dir.canonicalize().map_err(|error| ToolError::io("find", dir, error))?;
    let manifest = Manifest::read(&dir)?;
    let words = docs::read(&dir.join("wit"), &manifest.name, manifest.version.clone())?;
    on_step(&format!("compiling {} with {}", manifest.name, toolchain.version));
    let module = compile(&dir, &manifest, toolchain, &cache_dir.join("target"))?;
    let mut component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| KitError::Componentise { reason: format!("{error:#}") })?;
    let text =
        serde_json::to_vec(&words).map_err(|error| KitError::Componentise { reason: error.to_string() })?;
    // Source: WebAssembly core specification, 5.5.3: a custom section has the id 0.
    component.push(0);
    CustomSection { name: SECTION.into(), data: text.into() }.encode(&mut component);
    Ok((manifest.name, component))
}

struct Manifest {
    name: String,
    version: Option<String>,
}

impl Manifest {
    fn read(dir: &Path) -> Result<Self, KitError> {
        let not = |reason: String| KitError::NotAPlugin { dir: dir.into(), reason };
        let path = dir.join("Cargo.toml");
        if !path.is_file() {
            return Err(not("it has no Cargo.toml; `lucid plugin new NAME` writes a plugin".into()));
        }
        if !dir.join("wit").is_dir() {
            return Err(not("it has no folder `wit` with the types of its functions".into()));
        }
        let text = String::from_utf8_lossy(&read_bounded(&path, MAX_MANIFEST_BYTES)?).into_owned();
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| not(format!("Cargo.toml: {error}")))?;
        let package = table.get("package").and_then(toml::Value::as_table);
        let field = |key: &str| package.and_then(|package| package.get(key)).and_then(toml::Value::as_str);
        let name = field("name").ok_or_else(|| not("Cargo.toml names no package".into()))?;
        Ok(Self { name: checked_name(name)?, version: field("version").map(str::to_owned) })
    }
}

fn compile(
    dir: &Path,
    manifest: &Manifest,
    toolchain: &Toolchain,
    target: &Path,
) -> Result<Vec<u8>, KitError> {
    let mut cargo = toolchain.cargo();
    cargo.args(["build", "--release", "--lib", "--manifest-path"]).arg(dir.join("Cargo.toml"));
    cargo.args(toolchain.arguments());
    cargo.arg("--target-dir").arg(target).current_dir(dir);
    if dir.join("Cargo.lock").is_file() || dir.join("../Cargo.lock").is_file() {
        cargo.arg("--locked");
    }
    cargo.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", flags(dir, toolchain));
    cargo.env_remove("CARGO_TARGET_DIR").stdout(Stdio::null());
    let out = cargo
        .output()
        .map_err(|error| KitError::NoToolchain { tried: format!("cargo cannot be run: {error}") })?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        let lines: Vec<&str> = said.lines().collect();
        let from = lines.len().saturating_sub(MAX_OUTPUT_LINES);
        return Err(KitError::Compile { output: lines[from..].join("\n") });
    }
    let file = format!("{}.wasm", manifest.name.replace('-', "_"));
    Ok(read_bounded(&target.join(TARGET).join("release").join(file), MAX_MODULE_BYTES)?)
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
