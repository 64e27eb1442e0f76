//! The WIT files of a plugin: which functions its world exports.

use std::path::{Path, PathBuf};

use wit_parser::{Function, Resolve, Type, TypeDefKind, WorldId, WorldItem};

use super::KitError;

/// The interface through which a guest leaves its last words, without its version.
const DIAGNOSTICS: &str = "lucid:tool/diagnostics";

/// The one world of a folder of WIT files.
pub(super) struct World {
    /// The folder.
    pub dir: PathBuf,
    /// All that the files say.
    pub resolve: Resolve,
    /// The world.
    pub id: WorldId,
}

/// A function that the world exports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Export {
    /// Its name in WIT.
    pub name: String,
    /// What it can fail with.
    pub failure: Failure,
}

/// What a function can fail with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It returns no `result`.
    Never,
    /// A text: `result<_, string>`.
    Text,
    /// Another value, or none.
    Value,
}

impl World {
    /// Reads it.
    pub fn read(dir: &Path) -> Result<Self, KitError> {
        let fault = |reason: String| KitError::Wit { dir: dir.into(), reason };
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(dir).map_err(|error| fault(format!("{error:#}")))?;
        let id = resolve.select_world(&[package], None).map_err(|error| fault(format!("{error:#}")))?;
        Ok(Self { dir: dir.into(), resolve, id })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.resolve.worlds[self.id].name
    }

    /// The functions that it exports, for languages whose glue knows no interfaces.
    pub fn functions(&self) -> Result<Vec<Export>, KitError> {
        let mut found = Vec::new();
        for (key, item) in &self.resolve.worlds[self.id].exports {
            match item {
                WorldItem::Function(function) => {
                    found.push(Export { name: function.name.clone(), failure: self.failure(function) });
                }
                WorldItem::Interface { .. } => {
                    let name = self.resolve.name_world_key(key);
                    let reason = format!(
                        "the world exports the interface {name}; in this language export its functions from \
                         the world itself"
                    );
                    return Err(KitError::Wit { dir: self.dir.clone(), reason });
                }
                WorldItem::Type { .. } => {}
            }
        }
        if found.is_empty() {
            let reason = "the world exports no function; add one with `export`".into();
            return Err(KitError::Wit { dir: self.dir.clone(), reason });
        }
        Ok(found)
    }

    /// The names of all that it exports, as a component has them.
    pub fn exports(&self) -> Vec<String> {
        self.resolve.worlds[self.id].exports.keys().map(|key| self.resolve.name_world_key(key)).collect()
    }

    /// The full name of `lucid:tool/diagnostics` when the world imports it.
    pub fn diagnostics(&self) -> Option<String> {
        let imports = self.resolve.worlds[self.id].imports.keys();
        let mut names = imports.map(|key| self.resolve.name_world_key(key));
        names.find(|name| name.split('@').next() == Some(DIAGNOSTICS))
    }

    /// Whether the files hold a package of this name.
    pub fn has_package(&self, namespace: &str, name: &str) -> bool {
        let mut names = self.resolve.package_names.keys();
        names.any(|package| package.namespace == namespace && package.name == name)
    }

    fn failure(&self, function: &Function) -> Failure {
        let Some(Type::Id(mut id)) = function.result else { return Failure::Never };
        while let TypeDefKind::Type(Type::Id(alias)) = self.resolve.types[id].kind {
            id = alias;
        }
        match &self.resolve.types[id].kind {
            TypeDefKind::Result(result) if self.is_text(result.err) => Failure::Text,
            TypeDefKind::Result(_) => Failure::Value,
            _ => Failure::Never,
        }
    }

    fn is_text(&self, mut ty: Option<Type>) -> bool {
        while let Some(Type::Id(id)) = ty {
            match self.resolve.types[id].kind {
                TypeDefKind::Type(alias) => ty = Some(alias),
                _ => return false,
            }
        }
        ty == Some(Type::String)
    }
}
