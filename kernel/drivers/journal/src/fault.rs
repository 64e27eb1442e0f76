//! What SQLite reports, in words for a person.

use std::io::{self, Write};
use std::path::Path;

use lucid_kernel::port::JournalError;
use rusqlite::ErrorCode;

use crate::sqlite::{BUSY_TIMEOUT_MS, beside};

/// A failure of the journal at `path` that happened while `what` was done.
pub(crate) fn failed(path: &Path, reason: impl Into<String>) -> JournalError {
    JournalError::Failed { path: path.display().to_string(), reason: reason.into() }
}

/// What to tell of a journal whose content cannot be trusted.
pub(crate) fn damaged(path: &Path, found: &str) -> JournalError {
    failed(
        path,
        format!(
            "it is damaged ({found}); move it away, together with the files of the same name \
             ending in -wal and -shm, and Lucid begins a new one; \
             `sqlite3 FILE .recover` reads what is left of the old one"
        ),
    )
}

/// Turns an error of SQLite into the port's.
pub(crate) fn from_sqlite(path: &Path, what: &str, error: &rusqlite::Error) -> JournalError {
    let full = || JournalError::Full { path: path.display().to_string() };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => full(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &error.to_string()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => failed(
            path,
            format!(
                "cannot {what}: another program has held it for {} s; try again when it is done",
                BUSY_TIMEOUT_MS / 1000
            ),
        ),
        // SQLite reports a full disk so too when it cannot grow its index of the log.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if disk_is_full(path) => full(),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => failed(
            path,
            format!("cannot {what}: it is read-only for you; check the rights of the file and of its folder"),
        ),
        _ => failed(path, format!("cannot {what}: {error}")),
    }
}

/// Whether a small file cannot be written beside the journal for want of space.
fn disk_is_full(path: &Path) -> bool {
    const PROBE_BYTES: usize = 64 << 10;
    let probe = beside(path, &format!(".probe-{}", std::process::id()));
    let written = std::fs::File::create(&probe)
        .and_then(|mut file| file.write_all(&[0; PROBE_BYTES]).and_then(|()| file.sync_all()));
    let _ = std::fs::remove_file(&probe);
    matches!(written, Err(e) if matches!(e.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
}
