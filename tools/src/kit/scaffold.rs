//! `lucid plugin new`: a whole project from files that are part of the program.

use std::path::{Path, PathBuf};

use super::project::MANIFEST_STEM;
use super::world::World;
use super::{KitError, Language, c};
use crate::error::ToolError;
use crate::plugin::checked_name;

/// A file's name and its text, with `@NAME@` where the plugin's name goes, `@FN@` where its
/// function's name in the language goes, and `@LANG@` for the language.
type Files = &'static [(&'static str, &'static str)];

macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("../../../plugins/template/", $file))
    };
}

/// What is written for every language.
const COMMON: Files = &[
    ("tests.toml", template!("tests.toml.in")),
    ("wit/world.wit", template!("wit/world.wit.in")),
    ("wit/deps/lucid-tool/tool.wit", include_str!("../../../plugins/wit/tool.wit")),
];

const RUST: Files = &[
    ("plugin.toml", template!("rust/plugin.toml.in")),
    ("Cargo.toml", template!("rust/Cargo.toml.in")),
    ("Cargo.lock", template!("rust/Cargo.lock.in")),
    ("README.md", template!("rust/README.md.in")),
    (".gitignore", "/target\n/*.wasm\n"),
    ("src/lib.rs", template!("rust/src/lib.rs.in")),
    ("src/lucid.rs", include_str!("../../../plugins/sdk/src/lucid.rs")),
];

const JS: Files = &[
    ("plugin.toml", template!("plugin.toml.in")),
    ("package.json", template!("js/package.json.in")),
    ("README.md", template!("js/README.md.in")),
    (".gitignore", "/build\n/node_modules\n/*.wasm\n"),
    ("src/plugin.js", template!("js/src/plugin.js.in")),
    ("src/lucid.js", template!("js/src/lucid.js")),
    ("test/plugin.test.js", template!("js/test/plugin.test.js.in")),
];

const PYTHON: Files = &[
    ("plugin.toml", template!("plugin.toml.in")),
    ("README.md", template!("python/README.md.in")),
    (".gitignore", "/build\n__pycache__\n/*.wasm\n"),
    ("src/plugin.py", template!("python/src/plugin.py.in")),
    ("src/lucid.py", template!("python/src/lucid.py")),
    ("test/test_plugin.py", template!("python/test/test_plugin.py.in")),
];

const C: Files = &[
    ("plugin.toml", template!("plugin.toml.in")),
    ("README.md", template!("c/README.md.in")),
    (".gitignore", "/build\n/build-test\n/*.wasm\n"),
    ("src/plugin.c", template!("c/src/plugin.c.in")),
    ("src/lucid.h", template!("c/src/lucid.h")),
    ("test/test.c", template!("c/test/test.c.in")),
];

/// Writes a new plugin into `parent/NAME` and says where.
///
/// # Errors
/// When the name cannot be one, the folder is there already, or it cannot be written.
pub fn new(name: &str, language: Language, parent: &Path) -> Result<PathBuf, KitError> {
    let name = checked_name(name)?;
    let identifier = language.identifier(&name);
    if name == MANIFEST_STEM || language.reserves(&identifier) {
        return Err(KitError::Reserved { name, language });
    }
    let dir = parent.join(&name);
    if dir.exists() {
        return Err(KitError::Exists { path: dir });
    }
    let files = match language {
        Language::Rust => RUST,
        Language::Js => JS,
        Language::Python => PYTHON,
        Language::C => C,
    };
    for (file, text) in files.iter().chain(COMMON) {
        let path = dir.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| ToolError::io("make the folder", folder, error))?;
        }
        let text = text.replace("@NAME@", &name).replace("@FN@", &identifier);
        let text = text.replace("@LANG@", language.key());
        std::fs::write(&path, text).map_err(|error| ToolError::io("write", &path, error))?;
    }
    if language == Language::C {
        // The author's file includes it, and so does the test.
        c::bindings(&dir, &mut World::read(&dir.join("wit"))?)?;
    }
    Ok(dir)
}
