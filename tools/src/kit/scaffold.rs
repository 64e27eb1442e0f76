//! `lucid plugin new`: a whole project from files that are part of the program.

use std::path::{Path, PathBuf};

use super::KitError;
use crate::error::ToolError;
use crate::plugin::checked_name;

/// What is written, with `NAME` where the plugin's name goes and `FN` where its name as an
/// identifier of Rust goes.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../plugins/template/Cargo.toml.in")),
    ("Cargo.lock", include_str!("../../../plugins/template/Cargo.lock.in")),
    ("README.md", include_str!("../../../plugins/template/README.md.in")),
    (".gitignore", "/target\n/*.wasm\n"),
    ("src/lib.rs", include_str!("../../../plugins/template/src/lib.rs.in")),
    ("src/lucid.rs", include_str!("../../../plugins/sdk/src/lucid.rs")),
    ("wit/world.wit", include_str!("../../../plugins/template/wit/world.wit.in")),
    ("wit/deps/lucid-tool/tool.wit", include_str!("../../../plugins/wit/tool.wit")),
];

/// Writes a new plugin into `parent/NAME` and says where.
///
/// # Errors
/// When the name cannot be one, the folder is there already, or it cannot be written.
pub fn new(name: &str, parent: &Path) -> Result<PathBuf, KitError> {
    let name = checked_name(name)?;
    let dir = parent.join(&name);
    if dir.exists() {
        return Err(KitError::Exists { path: dir });
    }
    let identifier = name.replace('-', "_");
    for (file, text) in FILES {
        let path = dir.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| ToolError::io("make the folder", folder, error))?;
        }
        let text = text.replace("@NAME@", &name).replace("@FN@", &identifier);
        std::fs::write(&path, text).map_err(|error| ToolError::io("write", &path, error))?;
    }
    Ok(dir)
}
