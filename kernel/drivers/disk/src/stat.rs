//! What the file system says of a file, enough to know whether it changed.

use std::fs::Metadata;
use std::time::UNIX_EPOCH;

/// Two equal values mean: the same file, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Stat {
    /// Size in bytes.
    pub(crate) size: u64,
    /// Time of the last change of content, in nanoseconds since 1970 (wraps far outside).
    pub(crate) mtime_ns: i64,
    /// Time of the last change of anything, on Unix; catches content changed under an old mtime.
    pub(crate) ctime_ns: i64,
    /// Number of the file in its file system, on Unix.
    pub(crate) inode: u64,
}

impl Stat {
    /// Reads what matters from the metadata.
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let (ctime_ns, inode) = identity(metadata);
        Self { size: metadata.len(), mtime_ns: mtime_ns(metadata), ctime_ns, inode }
    }
}

fn mtime_ns(metadata: &Metadata) -> i64 {
    let Ok(time) = metadata.modified() else { return 0 };
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i64,
        Err(before) => (before.duration().as_nanos() as i64).wrapping_neg(),
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (i64, u64) {
    use std::os::unix::fs::MetadataExt;
    let ctime_ns = metadata.ctime().wrapping_mul(1_000_000_000).wrapping_add(metadata.ctime_nsec());
    (ctime_ns, metadata.ino() ^ metadata.dev().rotate_left(40))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (i64, u64) {
    (0, 0)
}
