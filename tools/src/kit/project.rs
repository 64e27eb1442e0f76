//! What a folder says about the plugin in it: `plugin.toml`, and Rust's own `Cargo.toml`.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::module::Module;
use super::{KitError, Language};
use crate::files::read_bounded;
use crate::plugin::checked_name;
use crate::rights::RightsTable;

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The name that a plugin may not have: the file of words beside its component would be the
/// manifest.
pub(super) const MANIFEST_STEM: &str = "plugin";

/// A folder with a plugin in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    /// Where it is, absolute.
    pub dir: PathBuf,
    /// The plugin's name.
    pub name: String,
    /// Its version, when it says one.
    pub version: Option<String>,
    /// What it is written in.
    pub language: Language,
    /// What it is for, where that is not said in the WIT files.
    pub description: Option<String>,
    /// What it asks for.
    pub rights: RightsTable,
    /// The module that it is built around, if it is; the language then has no meaning.
    pub module: Option<Module>,
}

/// `plugin.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Manifest {
    name: Option<String>,
    version: Option<String>,
    language: Option<Language>,
    description: Option<String>,
    rights: RightsTable,
    module: Option<Module>,
}

impl Project {
    /// Reads it. A folder with a `Cargo.toml` and no `plugin.toml` is a plugin in Rust.
    pub fn read(dir: &Path) -> Result<Self, KitError> {
        let dir = dir.canonicalize().map_err(|error| crate::error::ToolError::io("find", dir, error))?;
        let not = |reason: String| KitError::NotAPlugin { dir: dir.clone(), reason };
        let manifest = read_toml::<Manifest>(&dir, "plugin.toml")?;
        let cargo = read_toml::<toml::Table>(&dir, "Cargo.toml")?;
        let (named, has_manifest) = (manifest.is_some(), manifest.is_some() || cargo.is_some());
        if !has_manifest {
            return Err(not("it has no plugin.toml; `lucid plugin new NAME` writes a plugin".into()));
        }
        if !dir.join("wit").is_dir() {
            return Err(not("it has no folder `wit` with the types of its functions".into()));
        }
        let mut manifest = manifest.unwrap_or_default();
        let (description, rights) = (manifest.description.take(), std::mem::take(&mut manifest.rights));
        // Whose home folder it will be is not known here.
        rights.rights(Some(Path::new("/home/user"))).map_err(|error| not(format!("plugin.toml: {error}")))?;
        let language = manifest.language.or(cargo.is_some().then_some(Language::Rust));
        let module = manifest.module.take();
        let language = language.or(module.is_some().then_some(Language::C));
        let language = language.ok_or_else(|| {
            not(format!(
                "plugin.toml names no language; add `language = \"…\"` with one of {}",
                Language::ALL.map(Language::key).join(", ")
            ))
        })?;
        let (name, version) = match (language, cargo) {
            (Language::Rust, cargo) => {
                let cargo = cargo.ok_or_else(|| not("it has no Cargo.toml".into()))?;
                let package = cargo.get("package").and_then(toml::Value::as_table);
                let field = |key: &str| {
                    package.and_then(|it| it.get(key)).and_then(toml::Value::as_str).map(str::to_owned)
                };
                for (key, said) in [("name", &manifest.name), ("version", &manifest.version)] {
                    if said.is_some() && *said != field(key) {
                        return Err(not(format!(
                            "{key} differs in plugin.toml and Cargo.toml; remove it from plugin.toml"
                        )));
                    }
                }
                let name = field("name").ok_or_else(|| not("Cargo.toml names no package".into()))?;
                (name, field("version"))
            }
            _ => (manifest.name.ok_or_else(|| not("plugin.toml gives no name".into()))?, manifest.version),
        };
        let name = checked_name(&name)?;
        if named && name == MANIFEST_STEM {
            return Err(KitError::Reserved { name, language });
        }
        Ok(Self { dir, name, version, language, description, rights, module })
    }

    /// The folder for what is written while building.
    pub fn build_dir(&self) -> Result<PathBuf, KitError> {
        let dir = self.dir.join("build");
        std::fs::create_dir_all(&dir)
            .map_err(|error| crate::error::ToolError::io("make the folder", &dir, error))?;
        Ok(dir)
    }

    /// The author's file, which must be there.
    pub fn source(&self) -> Result<PathBuf, KitError> {
        let file = self.dir.join(self.language.source());
        if file.is_file() {
            return Ok(file);
        }
        let reason = format!("it has no {} with its functions", self.language.source());
        Err(KitError::NotAPlugin { dir: self.dir.clone(), reason })
    }
}

fn read_toml<T: serde::de::DeserializeOwned>(dir: &Path, file: &str) -> Result<Option<T>, KitError> {
    let path = dir.join(file);
    if !path.is_file() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&read_bounded(&path, MAX_MANIFEST_BYTES)?).into_owned();
    toml::from_str(&text)
        .map(Some)
        .map_err(|error| KitError::NotAPlugin { dir: dir.into(), reason: format!("{file}: {error}") })
}
