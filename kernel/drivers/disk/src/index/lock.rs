//! One writer a folder: a locked file, which the system frees when its holder dies, and beside
//! it the holder's process id, for others to name.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use lucid_kernel::port::DiskError;

use super::fault;

/// The locked file.
pub(crate) const LOCK_FILE: &str = "writer.lock";
/// Who holds it.
pub(crate) const HOLDER_FILE: &str = "writer.pid";

/// The right to write, until it is dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    /// Takes the right to write in this folder of an index.
    ///
    /// # Errors
    /// [`DiskError::Busy`] when someone has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, DiskError> {
        Self::take_files(folder, LOCK_FILE, HOLDER_FILE)
    }

    /// The same for a part of what is in the folder, with a locked file of its own.
    ///
    /// # Errors
    /// [`DiskError::Busy`] when someone has it.
    pub(crate) fn take_files(folder: &Path, lock: &str, holder_file: &str) -> Result<Self, DiskError> {
        let path = folder.join(lock);
        let failed = |error| fault::io("locking", &path, &error);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DiskError::Busy { holder: holder(&folder.join(holder_file)) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Only for others to read: being without it is no reason not to write.
        let _ = fs::write(folder.join(holder_file), std::process::id().to_string());
        Ok(Self { _file: file })
    }
}

fn holder(file: &Path) -> String {
    let named = fs::read_to_string(file).ok();
    match named.as_deref().map(str::trim).and_then(|pid| pid.parse::<u32>().ok()) {
        Some(pid) => format!("process {pid}"),
        None => "process unknown".into(),
    }
}
