//! The folder of installed plugins.

use std::path::{Path, PathBuf};

use super::KitError;
use crate::error::ToolError;
use crate::host::ToolHost;
use crate::package::Pins;
use crate::plugin::Plugin;

/// The most plugins in a folder.
const MAX_PLUGINS: usize = 1_000;

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
    let (mut pins, _lock) = Pins::read_to_change(folder)?;
    pins.remove(&name);
    Ok(pins.write(folder)?)
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
        let plugin = host.inspect_bundled(bundled);
        found.push((PathBuf::from(format!("{} (part of lucid)", bundled.name)), plugin));
    }
    let pins = Pins::read(folder)?;
    for path in components_in(folder)? {
        let plugin = host.inspect_installed(&path, &pins);
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
