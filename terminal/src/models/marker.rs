//! Remembers that a model file was verified, so that it is not hashed at each start: a small
//! JSON file with the size, time of change and SHA-256 that the file had.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::error::StoreError;

/// The most that is read of a marker, in bytes.
const MAX_MARKER_BYTES: u64 = 16 * 1024;

/// What was found when a file was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    /// The model's name, as the user may type it.
    pub name: String,
    /// The file's size.
    pub bytes: u64,
    /// Nanoseconds since 1970 at which the file was last changed.
    pub changed_ns: u64,
    /// The file's SHA-256.
    pub sha256: String,
}

impl Marker {
    /// What a file looks like now, with a SHA-256 that was just computed.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub(super) fn of(name: &str, file: &Path, sha256: &str) -> std::io::Result<Self> {
        let metadata = fs::metadata(file)?;
        Ok(Self {
            name: name.into(),
            bytes: metadata.len(),
            changed_ns: changed_ns(&metadata),
            sha256: sha256.into(),
        })
    }

    /// The marker of a file of the store; none when there is none that can be read.
    pub(super) fn load(folder: &Path, model_file: &str) -> Option<Self> {
        let mut text = String::new();
        let file = fs::File::open(path(folder, model_file)).ok()?;
        file.take(MAX_MARKER_BYTES).read_to_string(&mut text).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Keeps the marker, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn save(&self, folder: &Path, model_file: &str) -> Result<(), StoreError> {
        let path = path(folder, model_file);
        let write = || -> std::io::Result<()> {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(serde_json::to_string(self)?.as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(StoreError::io("write", &path))
    }

    /// Forgets a file.
    pub(super) fn remove(folder: &Path, model_file: &str) {
        let _ = fs::remove_file(path(folder, model_file));
    }

    /// Whether the file has neither another size nor another time of change.
    pub(super) fn still_holds(&self, metadata: &fs::Metadata) -> bool {
        self.bytes == metadata.len() && self.changed_ns == changed_ns(metadata)
    }
}

fn path(folder: &Path, model_file: &str) -> PathBuf {
    folder.join(format!("{model_file}.json"))
}

fn changed_ns(metadata: &fs::Metadata) -> u64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}
