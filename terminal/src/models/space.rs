//! Whether the disk has room, asked before anything is written.

use std::io;
use std::path::Path;

use super::error::{NoSpace, Stop, StoreError};

/// Kept free beyond what a file needs, for the file system's own records.
pub(super) const SLACK_BYTES: u64 = 1024 * 1024;

/// Tells the free bytes on the disk that holds a folder.
pub(super) type FreeSpace = fn(&Path) -> io::Result<u64>;

/// Refuses when fewer than `needed_bytes` and the slack are free.
pub(super) fn check(folder: &Path, needed_bytes: u64, free_space: FreeSpace) -> Result<(), Stop> {
    let free_bytes = free_space(folder).map_err(StoreError::io("ask for the free space of", folder))?;
    let needed_bytes = needed_bytes.saturating_add(SLACK_BYTES);
    if free_bytes < needed_bytes {
        return Err(Stop::Full(NoSpace {
            folder: folder.to_path_buf(),
            needed_bytes: Some(needed_bytes),
            free_bytes,
        }));
    }
    Ok(())
}

/// The free bytes as the operating system tells them.
pub(super) fn free(folder: &Path) -> io::Result<u64> {
    fs4::available_space(folder)
}
