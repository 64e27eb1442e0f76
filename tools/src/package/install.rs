//! Checking a component that is to be installed, and installing it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Package, PackageError, Pin, Pins, PublicKey, Signature};
use crate::docs::Docs;
use crate::error::ToolError;
use crate::files::write_atomically;
use crate::host::ToolHost;
use crate::plugin::Plugin;
use crate::text::digest;

/// What the user says that a component must be.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: Option<String>,
    /// The key that it must be signed by.
    pub key: Option<PublicKey>,
}

/// A component that may be installed.
#[derive(Debug)]
pub struct Candidate {
    /// What it is and asks for.
    pub plugin: Plugin,
    /// The key that it is signed by.
    pub key: Option<PublicKey>,
    /// What it would change.
    pub change: Change,
    package: Package,
}

/// What installing a component changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There is none of this name.
    New,
    /// It is what is installed.
    Nothing,
    /// It is from where the installed one is, or signed by the same key.
    Newer,
    /// It has the name of an installed one, and nothing says that it is by the same author: what that
    /// one was granted must not be granted to it.
    Other,
}

/// What to do about a key, for the user.
const ADVICE: &str = "If its author says that this is right, run `lucid plugin rm` and install it anew.";

/// Checks a component: that it can be used, is what the user wants, and is signed as it must be.
///
/// # Errors
/// What stands against it.
pub fn check(
    host: &ToolHost,
    package: Package,
    wanted: &Wanted,
    pins: &Pins,
) -> Result<Candidate, PackageError> {
    let origin = package.origin.to_string();
    let found = digest(&package.component);
    if let Some(expected) = wanted.sha256.as_ref().filter(|it| !it.eq_ignore_ascii_case(&found)) {
        return Err(PackageError::Digest { origin, expected: expected.clone(), found });
    }
    let words = (!package.words.is_empty()).then_some(package.words.as_slice());
    let plugin = host.inspect_bytes_with(&package.name(), &package.component, &package.words)?;
    if crate::bundled::find(&plugin.name).is_some() {
        return Err(ToolError::Bundled { plugin: plugin.name }.into());
    }
    let pin = pins.get(&plugin.name);
    let pinned = pin.and_then(|pin| pin.key.as_deref()).map(PublicKey::parse).transpose()?;
    // What the user says now stands above what was pinned.
    let expected = wanted.key.as_ref().or(pinned.as_ref());
    let key = match &package.signature {
        Some(text) => {
            let checked = Signature::check(text, &package.component, expected);
            Some(checked.map_err(|reason| PackageError::Signature { origin: origin.clone(), reason })?)
        }
        None => None,
    };
    for expected in [wanted.key.as_ref(), pinned.as_ref()].into_iter().flatten() {
        let (name, expected_key) = (plugin.name.clone(), expected.to_string());
        match &key {
            None => return Err(PackageError::Unsigned { plugin: name, key: expected_key, advice: ADVICE }),
            Some(found) if found != expected => {
                let found = found.to_string();
                return Err(PackageError::OtherKey {
                    plugin: name,
                    expected: expected_key,
                    found,
                    advice: ADVICE,
                });
            }
            Some(_) => {}
        }
    }
    no_tool_is_taken(&host.plugins(), &plugin)?;
    let change = match pin {
        None => Change::New,
        Some(pin) if pin.sha256 == plugin.sha256 && pin.words_sha256 == words.map(digest) => Change::Nothing,
        Some(pin) if pin.from == origin || pinned.is_some() => Change::Newer,
        Some(_) => Change::Other,
    };
    Ok(Candidate { plugin, key, change, package })
}

/// Installs it into the folder. One of the same name is replaced.
///
/// # Errors
/// When the folder cannot be written.
pub fn install(candidate: &Candidate, folder: &Path) -> Result<PathBuf, PackageError> {
    let Candidate { plugin, package, key, .. } = candidate;
    std::fs::create_dir_all(folder).map_err(|error| ToolError::io("make the folder", folder, error))?;
    let path = folder.join(format!("{}.wasm", plugin.name));
    let beside = Docs::file_beside(&path);
    let (mut pins, _lock) = Pins::read_to_change(folder)?;
    // Between these steps what lies there is not what is pinned, and is not loaded.
    pins.insert(
        &plugin.name,
        Pin {
            from: package.origin.to_string(),
            sha256: plugin.sha256.clone(),
            words_sha256: (!package.words.is_empty()).then(|| digest(&package.words)),
            key: key.as_ref().map(ToString::to_string),
        },
    );
    pins.write(folder)?;
    write_atomically(&path, &package.component)?;
    if !package.words.is_empty() {
        write_atomically(&beside, &package.words)?;
    } else if beside.exists() {
        std::fs::remove_file(&beside).map_err(|error| ToolError::io("remove", &beside, error))?;
    }
    Ok(path)
}

/// No other plugin has a tool of the same name.
fn no_tool_is_taken(others: &[Arc<Plugin>], plugin: &Plugin) -> Result<(), ToolError> {
    for other in others.iter().filter(|other| other.name != plugin.name || other.path.is_none()) {
        let taken = plugin.tools.iter().find(|tool| other.tools.iter().any(|it| it.name == tool.name));
        if let Some(tool) = taken {
            return Err(ToolError::Clash {
                tool: tool.name.clone(),
                plugin: plugin.name.clone(),
                holder: other.name.clone(),
            });
        }
    }
    Ok(())
}
