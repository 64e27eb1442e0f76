//! Where everything of a store stands, and whether a model's file is what it should be.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::{Stop, StoreError};
use super::hash;
use super::marker::Marker;
use super::progress::Progress;
use super::pull::Target;

/// How a model's file was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// It is there and verified.
    Here,
    /// There is none.
    Absent,
    /// It is not what it should be.
    Damaged { expected: String, found: String },
}

/// Where everything of a store stands.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    root: PathBuf,
}

impl Folders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn model(&self, file: &str) -> PathBuf {
        self.root.join(file)
    }

    pub(super) fn partial(&self, file: &str) -> PathBuf {
        self.root.join(".partial").join(file)
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join(".locks")
    }

    pub(super) fn markers(&self) -> PathBuf {
        self.root.join(".verified")
    }

    /// Verifies a model's file: by its marker when that still holds, else by hashing it.
    pub(super) fn check(
        &self,
        target: &Target,
        on_progress: &mut dyn FnMut(&Progress),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Check, Stop> {
        let path = self.model(&target.file);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Check::Absent),
            Err(error) => return Err(StoreError::io("look at", &path)(error).into()),
        };
        let bytes = metadata.len();
        if let Some(expected) = target.bytes.filter(|expected| *expected != bytes) {
            let text = |bytes| format!("{bytes} bytes");
            return Ok(Check::Damaged { expected: text(expected), found: text(bytes) });
        }
        let marker = Marker::load(&self.markers(), &target.file);
        let expected = target.sha256.clone().or_else(|| marker.as_ref().map(|marker| marker.sha256.clone()));
        let agrees =
            |marker: &Marker| Some(&marker.sha256) == expected.as_ref() && marker.still_holds(&metadata);
        if marker.as_ref().is_some_and(agrees) {
            return Ok(Check::Here);
        }
        let what = format!("checking {}", target.name);
        let mut report = |done_bytes| {
            on_progress(&Progress { what: what.clone(), part: None, done_bytes, total_bytes: Some(bytes) });
        };
        let found = hash::of_file(&path, &mut report, cancelled)
            .map_err(StoreError::io("read", &path))?
            .ok_or(Stop::Cancelled)?;
        // A file that the user put there himself, of a model whose SHA-256 nobody told us.
        let expected = expected.unwrap_or_else(|| found.clone());
        if found != expected {
            let text = |sha256| format!("the SHA-256 {sha256}");
            return Ok(Check::Damaged { expected: text(expected), found: text(found) });
        }
        // Where the marker cannot be kept, the file is only hashed again next time.
        if let Ok(marker) = Marker::of(&target.name, &path, &found) {
            let _ = marker.save(&self.markers(), &target.file);
        }
        Ok(Check::Here)
    }
}
