//! Reading and writing whole files within limits.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::error::ToolError;

/// Reads a file that may have at most `limit_bytes`.
pub(crate) fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, ToolError> {
    let fault = |error| ToolError::io("read", path, error);
    let file = File::open(path).map_err(fault)?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1).read_to_end(&mut bytes).map_err(fault)?;
    if bytes.len() as u64 > limit_bytes {
        let found_bytes = std::fs::metadata(path).map_or(limit_bytes + 1, |meta| meta.len());
        return Err(ToolError::TooLarge { path: path.into(), found_bytes, limit_bytes });
    }
    Ok(bytes)
}

/// Writes a file as a whole or not at all: to a name beside it, to the disk, then renamed.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), ToolError> {
    let fault = |error| ToolError::io("write", path, error);
    let temporary = path.with_added_extension(format!("{}.part", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        // What is half written is of no use; the error that matters is the first.
        drop(std::fs::remove_file(&temporary));
    }
    written.map_err(fault)
}
