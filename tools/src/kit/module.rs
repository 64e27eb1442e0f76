//! Building a plugin around a module for WASI 0.1 that somebody else built, such as an interpreter.
//!
//! The module comes from a pinned package and is known by its hash. The author's part is an adapter for
//! each module that it imports from, in WebAssembly's text form: it stands in for WASI, and one of them
//! exports the functions of the world. It shares the module's memory and so can hold no data of its
//! own: a text beside it becomes a function that writes the text into memory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::KitError;
use super::build::{MAX_MODULE_BYTES, compiling};
use super::command::{made_once, output};
use super::project::Project;
use super::world::World;
use crate::error::ToolError;
use crate::files::read_bounded;

/// The largest text beside an adapter, in bytes, and the most files.
const MAX_TEXT_BYTES: u64 = 64 << 10;
const MAX_FILES: usize = 100;
/// The adapter that exports the functions of the world.
const MAIN: &str = "wasi_snapshot_preview1";

/// The part `[module]` of `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Module {
    /// A package of PyPI and its version: `name==1.0`.
    pub pypi: String,
    /// The module in it.
    pub file: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
}

/// The component of a plugin, without its words, and what made it.
pub(super) fn component(
    project: &Project,
    module: &Module,
    world: &World,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<(Vec<u8>, String), KitError> {
    let made_of = module.pypi.replace("==", " ");
    let bytes = fetched(module, cache_dir, on_step)?;
    on_step(&compiling(project, &made_of));
    let fault = |error| KitError::Componentise { reason: format!("{error:#}") };
    let mut encoder = ComponentEncoder::default().module(&bytes).map_err(fault)?.validate(true);
    let sources = Sources::read(&project.dir.join("src"))?;
    for (name, text) in &sources.adapters {
        let mut adapter = wat::parse_str(with_texts(text, &sources.texts))
            .map_err(|error| KitError::Compile { output: format!("src/{name}.wat: {error}") })?;
        if name == MAIN {
            embed_component_metadata(&mut adapter, &world.resolve, world.id, StringEncoding::UTF8)
                .map_err(fault)?;
        }
        encoder = encoder.adapter(name, &adapter).map_err(fault)?;
    }
    Ok((encoder.encode().map_err(fault)?, made_of))
}

/// The module, fetched when it is not there.
fn fetched(module: &Module, cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Vec<u8>, KitError> {
    let fault = |reason: String| KitError::Compile { output: format!("{}: {reason}", module.pypi) };
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.' | '=');
    if !module.pypi.contains("==") || module.pypi.starts_with('-') || !module.pypi.chars().all(plain) {
        return Err(fault("a package is named with its version, such as name==1.0".into()));
    }
    let place = cache_dir.join(module.pypi.replace("==", "-"));
    made_once(&place, |work| {
        on_step(&format!("fetching {} from PyPI (once)", module.pypi));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
        pip.args(["--only-binary", ":all:", "--target"]).arg(work).arg(&module.pypi);
        output(&mut pip).map(drop)
    })
    .map_err(fault)?;
    let bytes = read_bounded(&place.join(&module.file), MAX_MODULE_BYTES)?;
    let mut hash = String::new();
    for byte in Sha256::digest(&bytes) {
        let _ = write!(hash, "{byte:02x}");
    }
    if hash == module.sha256 {
        Ok(bytes)
    } else {
        Err(fault(format!("{} has the SHA-256 {hash} and not that of plugin.toml", module.file.display())))
    }
}

/// The files of `src`, by the names that they have without their endings.
#[derive(Default)]
struct Sources {
    /// `*.wat`.
    adapters: Vec<(String, String)>,
    /// All others.
    texts: Vec<(String, String)>,
}

impl Sources {
    fn read(folder: &Path) -> Result<Self, KitError> {
        let fault = |error| ToolError::io("list", folder, error);
        let mut found = Self::default();
        for entry in std::fs::read_dir(folder).map_err(fault)?.take(MAX_FILES) {
            let path = entry.map_err(fault)?.path();
            let text = String::from_utf8_lossy(&read_bounded(&path, MAX_TEXT_BYTES)?).into_owned();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match path.extension().is_some_and(|extension| extension == "wat") {
                true => found.adapters.push((name, text)),
                false => found.texts.push((name, text)),
            }
        }
        found.adapters.sort();
        found.texts.sort();
        Ok(found)
    }
}

/// An adapter with a function `$text-NAME` for each text: it writes the text to an address and gives
/// its length; at the address 0 it only gives the length.
fn with_texts(adapter: &str, texts: &[(String, String)]) -> String {
    let mut functions = String::new();
    for (name, text) in texts {
        let call = format!("(call $text-{name} ");
        if !adapter.contains(&call) {
            continue;
        }
        let _ =
            writeln!(functions, "(func $text-{name} (param $to i32) (result i32) (if (local.get $to) (then");
        let (whole, rest) = text.as_bytes().as_chunks::<8>();
        for (at, eight) in whole.iter().enumerate() {
            let value = i64::from_le_bytes(*eight);
            let _ = writeln!(functions, "(i64.store offset={} (local.get $to) (i64.const {value}))", at * 8);
        }
        for (at, one) in rest.iter().enumerate() {
            let offset = whole.len() * 8 + at;
            let _ = writeln!(functions, "(i32.store8 offset={offset} (local.get $to) (i32.const {one}))");
        }
        let _ = writeln!(functions, ")) (i32.const {}))", text.len());
    }
    match adapter.trim_end().strip_suffix(')') {
        Some(open) => format!("{open}{functions})"),
        None => adapter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_a_function() {
        let texts = [("a".into(), "123456789".into()), ("b".into(), "unused".into())];
        let adapter = "(module (memory 1) (func (export \"f\") (drop (call $text-a (i32.const 8)))))\n";
        let text = with_texts(adapter, &texts);
        assert!(text.contains("offset=8 (local.get $to) (i32.const 57)") && text.contains("(i32.const 9)"));
        assert!(!text.contains("$text-b"));
        wat::parse_str(text).unwrap();
        assert_eq!(with_texts("no module", &texts), "no module");
    }

    #[test]
    fn a_package_without_a_version_is_refused() {
        for pypi in ["name", "-r==1", "a b==1", "name @ x==1"] {
            let module = Module { pypi: pypi.into(), file: "m.wasm".into(), sha256: String::new() };
            let error = fetched(&module, Path::new("/nowhere"), &mut |_| {}).unwrap_err();
            assert!(error.to_string().contains("with its version"), "{pypi}: {error}");
        }
    }
}
