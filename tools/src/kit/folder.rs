//! The folder of installed plugins.

use std::path::{Path, PathBuf};

use super::KitError;
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};
use crate::host::ToolHost;
use crate::plugin::Plugin;

/// The most plugins in a folder.
const MAX_PLUGINS: usize = 1_000;

/// The largest component that is installed, in bytes.
const MAX_COMPONENT_BYTES: u64 = 256 << 20;

/// A plugin that was installed.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Where it lies now.
    pub path: PathBuf,
    /// The names of its tools.
    pub tools: Vec<String>,
}

/// Checks a component and copies it into the folder. One of the same name is replaced.
///
/// # Errors
/// When it is no usable component, or one of its tools has the name of another's.
pub fn install(host: &ToolHost, file: &Path, folder: &Path) -> Result<Installed, KitError> {
    let plugin = host.inspect(file)?;
    for other in host.plugins().iter().filter(|other| other.name != plugin.name || other.path.is_none()) {
        let taken =
            plugin.tools.iter().find(|tool| other.tools.iter().any(|theirs| theirs.name == tool.name));
        if let Some(tool) = taken {
            return Err(ToolError::Clash {
                tool: tool.name.clone(),
                plugin: plugin.name.clone(),
                holder: other.name.clone(),
            }
            .into());
        }
    }
    std::fs::create_dir_all(folder).map_err(|error| ToolError::io("make the folder", folder, error))?;
    let path = folder.join(format!("{}.wasm", plugin.name));
    write_atomically(&path, &read_bounded(file, MAX_COMPONENT_BYTES)?)?;
    let words = crate::docs::Docs::file_beside(file);
    if words.is_file() {
        write_atomically(
            &crate::docs::Docs::file_beside(&path),
            &read_bounded(&words, MAX_COMPONENT_BYTES)?,
        )?;
    }
    let tools = plugin.tools.iter().map(|tool| tool.name.clone()).collect();
    Ok(Installed { name: plugin.name, path, tools })
}

/// Removes an installed plugin.
///
/// # Errors
/// [`KitError::NotInstalled`], and those of removing.
pub fn remove(name: &str, folder: &Path) -> Result<(), KitError> {
    let name = crate::plugin::checked_name(name)?;
    let path = folder.join(format!("{name}.wasm"));
    if !path.is_file() {
        return Err(KitError::NotInstalled { name });
    }
    std::fs::remove_file(&path).map_err(|error| ToolError::io("remove", &path, error))?;
    let words = crate::docs::Docs::file_beside(&path);
    if words.is_file() {
        std::fs::remove_file(&words).map_err(|error| ToolError::io("remove", &words, error))?;
    }
    Ok(())
}

/// Where a plugin is, and what it is or why it cannot be used.
pub type Found = (PathBuf, Result<Plugin, ToolError>);

/// The bundled plugins, then those of the folder; one that cannot be used comes with the reason.
///
/// # Errors
/// When the folder cannot be listed.
pub fn list(host: &ToolHost, folder: &Path) -> Result<Vec<Found>, KitError> {
    let mut found = Vec::new();
    for bundled in crate::bundled::COMPONENTS {
        let plugin = host.inspect_bytes(bundled.name, bundled.bytes);
        found.push((PathBuf::from(format!("{} (part of lucid)", bundled.name)), plugin));
    }
    for path in components_in(folder)? {
        let plugin = host.inspect(&path);
        found.push((path, plugin));
    }
    Ok(found)
}

/// The `*.wasm` files of a folder by name; none when there is no folder.
pub(crate) fn components_in(folder: &Path) -> Result<Vec<PathBuf>, ToolError> {
    let fault = |error| ToolError::io("list", folder, error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(error)),
    };
    let mut found = Vec::new();
    for entry in entries.take(MAX_PLUGINS) {
        let path = entry.map_err(fault)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
