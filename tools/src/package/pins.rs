//! What is installed: each plugin's digest, where it came from and who signed it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};
use crate::plugin::Plugin;
use crate::text::digest;

/// The file in the folder of installed plugins; TOML.
const FILE: &str = "installed.lock";
/// The largest such file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// What was installed under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Where it came from.
    pub from: String,
    /// The SHA-256 of the component, in hexadecimal digits.
    pub sha256: String,
    /// That of the words beside it, when there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub words_sha256: Option<String>,
    /// The public key that it was signed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What keeps others from changing what is installed, as long as it is there.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "it is there to be dropped")] File);

/// All that is installed, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<String, Pin>);

impl Pins {
    /// Reads those of a folder; none when nothing was installed there.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Self, ToolError> {
        let path = file(folder);
        if !path.exists() {
            return Ok(Self::default());
        }
        let bytes = read_bounded(&path, MAX_BYTES)?;
        let pins = std::str::from_utf8(&bytes).map_err(|error| error.to_string());
        let pins = pins.and_then(|text| toml::from_str(text).map_err(|error| error.to_string()));
        let odd = |reason: String| ToolError::io("read", &path, std::io::Error::other(reason));
        Ok(Self(pins.map_err(odd)?))
    }

    /// Reads those that are about to be changed. Until the lock is dropped no other Lucid changes them.
    pub(crate) fn read_to_change(folder: &Path) -> Result<(Self, Lock), ToolError> {
        let fault = |error| ToolError::io("lock", folder, error);
        // The folder itself: a file beside the pins would have to stay for ever.
        let lock = File::open(folder).map_err(fault)?;
        lock.lock().map_err(fault)?;
        Ok((Self::read(folder)?, Lock(lock)))
    }

    /// Writes them.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), ToolError> {
        let path = file(folder);
        if self.0.is_empty() {
            return match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(ToolError::io("remove", &path, error))
                }
                _ => Ok(()),
            };
        }
        let text = toml::to_string(&self.0)
            .map_err(|error| ToolError::io("write", &path, std::io::Error::other(error)))?;
        write_atomically(&path, text.as_bytes())
    }

    /// What was installed under a name.
    pub fn get(&self, name: &str) -> Option<&Pin> {
        self.0.get(name)
    }

    /// All, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pin)> {
        self.0.iter().map(|(name, pin)| (name.as_str(), pin))
    }

    pub(crate) fn insert(&mut self, name: &str, pin: Pin) {
        self.0.insert(name.to_owned(), pin);
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Whether a loaded plugin is what is installed.
    pub(crate) fn is(&self, plugin: &Plugin) -> bool {
        let pin = self.get(&plugin.name);
        pin.is_some_and(|pin| pin.sha256 == plugin.sha256 && pin.words_sha256 == plugin.words_sha256)
    }

    /// Whether a file is what was installed.
    pub(crate) fn check(&self, path: &Path, sha256: &str, words: &[u8]) -> Result<(), ToolError> {
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let Some(pin) = self.get(&name) else {
            return Err(ToolError::NotInstalled { path: path.into() });
        };
        let changed = |found: &str, expected: &str| ToolError::Changed {
            path: path.into(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        };
        if pin.sha256 != sha256 {
            return Err(changed(sha256, &pin.sha256));
        }
        let words = (!words.is_empty()).then(|| digest(words));
        if pin.words_sha256 != words {
            let none = || "none".to_owned();
            let (found, expected) =
                (words.unwrap_or_else(none), pin.words_sha256.clone().unwrap_or_else(none));
            let path = crate::docs::Docs::file_beside(path);
            return Err(ToolError::Changed { path, found, expected });
        }
        Ok(())
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
