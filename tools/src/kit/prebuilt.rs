//! The bundled components, kept built so that a fresh clone needs no compiler for
//! WebAssembly, and checked against their sources.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cases::Cases;
use super::{KitError, build};
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};
use crate::host::ToolHost;
use crate::limits::Limits;
use crate::rights::BadRight;
use crate::services::Scope;
use crate::text::{digest, hex};

/// The bundled plugins, and the one that tests the sandbox.
const NAMES: &[&str] = &["calc", "text", "time", "files", "fetch", "sql", "python", "hostile"];

/// The largest source file and the most of them.
const MAX_SOURCE_BYTES: u64 = 4 << 20;
const MAX_SOURCE_FILES: usize = 1_000;

/// What a built component was made of: `plugins/prebuilt/NAME.lock.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// SHA-256 over the names and contents of the source files.
    pub source_sha256: String,
    /// The compiler.
    pub compiler: String,
    /// How it was called.
    pub flags: Vec<String>,
    /// SHA-256 of the component.
    pub sha256: String,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// The same compiler gave the same bytes.
    Same,
    /// Another compiler was found: sources and words agree and the plugin's cases pass on what it
    /// built, but the bytes cannot be compared.
    OtherCompiler {
        /// The one that was found.
        found: String,
        /// The one of the lock file.
        locked: String,
    },
}

/// Builds every bundled plugin again and compares.
///
/// # Errors
/// [`KitError::Stale`] when one does not come from its source, and those of building.
pub fn check(
    repo: &Path,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<Vec<(String, Checked)>, KitError> {
    NAMES.iter().map(|name| Ok(((*name).to_owned(), check_one(repo, name, cache_dir, on_step)?))).collect()
}

/// Builds every bundled plugin and writes components and lock files.
///
/// # Errors
/// Those of building and writing.
pub fn update(repo: &Path, cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<(), KitError> {
    for name in NAMES {
        let made = build::component(&plugin_dir(repo, name), cache_dir, on_step)?;
        let lock = Lock {
            source_sha256: source_hash(repo, name)?,
            compiler: made.compiler,
            flags: made.flags,
            sha256: digest(&made.component),
        };
        let text = toml::to_string(&lock).map_err(|error| stale(name, error.to_string()))?;
        write_atomically(&component_file(repo, name), &made.component)?;
        write_atomically(&lock_file(repo, name), text.as_bytes())?;
    }
    Ok(())
}

fn check_one(
    repo: &Path,
    name: &str,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<Checked, KitError> {
    let text = read_bounded(&lock_file(repo, name), MAX_SOURCE_BYTES)?;
    let lock: Lock =
        toml::from_str(&String::from_utf8_lossy(&text)).map_err(|error| stale(name, error.to_string()))?;
    let kept = read_bounded(&component_file(repo, name), MAX_SOURCE_BYTES)?;
    if digest(&kept) != lock.sha256 {
        return Err(stale(name, "its SHA-256 is not that of the lock file"));
    }
    if source_hash(repo, name)? != lock.source_sha256 {
        return Err(stale(name, "the source changed after it was built"));
    }
    let made = build::component(&plugin_dir(repo, name), cache_dir, on_step)?;
    let rebuilt = made.component;
    if made.compiler == lock.compiler && made.flags == lock.flags {
        if rebuilt != kept {
            return Err(stale(name, "the same compiler gives other bytes"));
        }
        return Ok(Checked::Same);
    }
    let words = |bytes: &[u8]| crate::docs::Docs::from_component(name, bytes);
    if words(&kept)? != words(&rebuilt)? {
        return Err(stale(name, "its descriptions are not those of the source"));
    }
    passes_cases(repo, name, &rebuilt)?;
    Ok(Checked::OtherCompiler { found: made.compiler, locked: lock.compiler })
}

/// Runs a component on the cases of its author.
fn passes_cases(repo: &Path, name: &str, component: &[u8]) -> Result<(), KitError> {
    let cases = Cases::read(&plugin_dir(repo, name))?;
    let host = ToolHost::new(None, Limits::default());
    let plugin = host.load_bytes(name, component)?;
    for case in cases.iter() {
        let rights = case.grants.iter().map(|right| right.parse()).collect::<Result<_, _>>();
        let rights = rights.map_err(|error: BadRight| stale(name, error.to_string()))?;
        let scope = Scope { rights: Arc::new(rights), ..Scope::default() };
        let ran = case.run(&host, &plugin, &scope);
        if let Some(failure) = ran.failure {
            return Err(stale(name, format!("{} {}: {failure}", ran.call.tool, ran.call.arguments)));
        }
    }
    Ok(())
}

fn stale(name: &str, reason: impl Into<String>) -> KitError {
    KitError::Stale { name: name.to_owned(), reason: reason.into() }
}

fn plugin_dir(repo: &Path, name: &str) -> PathBuf {
    repo.join("plugins").join(name)
}

fn component_file(repo: &Path, name: &str) -> PathBuf {
    repo.join("plugins/prebuilt").join(format!("{name}.wasm"))
}

fn lock_file(repo: &Path, name: &str) -> PathBuf {
    repo.join("plugins/prebuilt").join(format!("{name}.lock.toml"))
}

/// Over the plugin's own files, the SDK, and the workspace's manifest and lock file.
fn source_hash(repo: &Path, name: &str) -> Result<String, KitError> {
    let plugins = repo.join("plugins");
    let mut files = vec![plugins.join("Cargo.toml"), plugins.join("Cargo.lock")];
    collect(&plugins.join(name).join("plugin.toml"), &mut files)?;
    for part in ["Cargo.toml", "src", "wit"] {
        collect(&plugins.join(name).join(part), &mut files)?;
        collect(&plugins.join("sdk").join(part), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let shown = file.strip_prefix(&plugins).unwrap_or(&file).display().to_string();
        let bytes = read_bounded(&file, MAX_SOURCE_BYTES)?;
        hash.update((shown.len() as u64).to_le_bytes());
        hash.update(shown);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    Ok(hex(&hash.finalize()))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), KitError> {
    if path.is_file() {
        files.push(path.into());
    } else if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|error| ToolError::io("list", path, error))?;
        for entry in entries.take(MAX_SOURCE_FILES) {
            collect(&entry.map_err(|error| ToolError::io("list", path, error))?.path(), files)?;
        }
    }
    Ok(())
}
