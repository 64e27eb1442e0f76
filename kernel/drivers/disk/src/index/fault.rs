//! What tantivy and the file system report, as the port's errors.

use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;

use lucid_kernel::port::DiskError;
use tantivy::TantivyError;
use tantivy::directory::error::{OpenReadError, OpenWriteError};

/// Writing this much tells whether there is space, in bytes.
const PROBE_BYTES: usize = 256 << 10;
/// Where it is written.
pub(crate) const PROBE_FILE: &str = "probe.tmp";

/// A failed operation on a file.
pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> DiskError {
    if is_full(error) {
        return full(path);
    }
    DiskError::Failed { what: format!("{what} {}", path.display()), reason: error.to_string() }
}

fn full(path: &Path) -> DiskError {
    DiskError::Full { path: path.display().to_string() }
}

/// A damaged index.
pub(crate) fn damaged(folder: &Path, reason: impl Into<String>) -> DiskError {
    DiskError::Damaged { path: folder.display().to_string(), reason: reason.into() }
}

/// A failed reading of an index: what does not read as it was written is damaged.
pub(crate) fn reading(folder: &Path, error: &TantivyError) -> DiskError {
    match io_error(error) {
        Some(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::OutOfMemory) => {
            io("reading the index in", folder, error)
        }
        _ => match error {
            TantivyError::LockFailure(..) | TantivyError::SystemError(_) => DiskError::Failed {
                what: format!("reading the index in {}", folder.display()),
                reason: error.to_string(),
            },
            _ => damaged(folder, error.to_string()),
        },
    }
}

/// A failed writing of an index.
pub(crate) fn writing(folder: &Path, error: &TantivyError) -> DiskError {
    // An indexing thread that fails does not always say why, or only in words; whether there is
    // space can be found out, but what it could not write it may have removed since.
    if io_error(error).is_some_and(is_full) || tells_full(&error.to_string()) || !has_space(folder) {
        return full(folder);
    }
    if let Some(error) = io_error(error) {
        return io("writing the index in", folder, error);
    }
    match error {
        TantivyError::DataCorruption(_) | TantivyError::OpenReadError(_) => {
            damaged(folder, error.to_string())
        }
        _ => DiskError::Failed {
            what: format!("writing the index in {}", folder.display()),
            reason: error.to_string(),
        },
    }
}

fn io_error(error: &TantivyError) -> Option<&io::Error> {
    match error {
        TantivyError::IoError(error) => Some(error),
        TantivyError::OpenWriteError(OpenWriteError::IoError { io_error, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => Some(io_error),
        _ => None,
    }
}

/// Whether an error, or one that it was made from, says that there is no room.
fn is_full(error: &io::Error) -> bool {
    if is_full_kind(error.kind()) {
        return true;
    }
    let mut inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(error) = inner {
        // tantivy shares its errors, and shares those again. The source of one that holds another
        // is that other's source, so what it holds has to be asked for.
        let shared = error.downcast_ref::<Arc<io::Error>>().map(AsRef::as_ref);
        if let Some(held) = error.downcast_ref::<io::Error>().or(shared) {
            return is_full(held);
        }
        inner = error.source();
    }
    false
}

/// Whether the text of an error names a system error that says so.
fn tells_full(text: &str) -> bool {
    text.split("(os error ")
        .skip(1)
        .filter_map(|rest| rest.split_once(')')?.0.parse().ok())
        .any(|code| is_full_kind(io::Error::from_raw_os_error(code).kind()))
}

fn is_full_kind(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Writes a little, to see whether that still goes.
fn has_space(folder: &Path) -> bool {
    let path = folder.join(PROBE_FILE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; PROBE_BYTES])?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&path);
    !written.is_err_and(|error| is_full(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_known_however_deep_it_is_told() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let shared = |error| io::Error::other(Arc::new(error));
        for error in [
            full(),
            io::Error::other(full()),
            shared(full()),
            shared(shared(full())),
            shared(io::Error::other(full())),
        ] {
            assert!(is_full(&error), "{error:?}");
        }
        assert!(!is_full(&io::Error::other(Arc::new(io::Error::from(ErrorKind::NotFound)))));
        assert!(tells_full("Internal error: 'No space left on device (os error 28)'"));
        assert!(!tells_full("No such file or directory (os error 2), (os error x), (os error 28"));
    }
}
