//! One fetcher a model: an advisory lock on a file that also says who holds it.
//!
//! The operating system lets go of the lock when its holder ends, however it ends. Lock files
//! are never removed, so two processes can never hold locks on two files of one name.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::StoreError;

/// The most that is read of a lock file, in bytes.
const MAX_HOLDER_BYTES: u64 = 64;

/// Holds the lock until it is dropped.
#[derive(Debug)]
pub(super) struct PullLock {
    // Closing it releases the lock.
    file: File,
}

impl PullLock {
    /// Takes the lock, or gives the holder when somebody else has it.
    ///
    /// # Errors
    /// When the lock file cannot be used.
    pub(super) fn take(folder: &Path, model_file: &str) -> Result<Result<Self, String>, StoreError> {
        fs::create_dir_all(folder).map_err(StoreError::io("make the folder", folder))?;
        let path = lock_path(folder, model_file);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(holder(&mut file))),
            Err(TryLockError::Error(source)) => return Err(StoreError::io("lock", &path)(source)),
        }
        // Only a help for people: the lock holds without it, on a full disk too.
        let _ = write_holder(&mut file);
        Ok(Ok(Self { file }))
    }
}

impl Drop for PullLock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
    }
}

fn lock_path(folder: &Path, model_file: &str) -> PathBuf {
    folder.join(format!("{model_file}.lock"))
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    write!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_HOLDER_BYTES).read_to_string(&mut text);
    match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(pid)) => format!("another lucid (process {pid})"),
        _ => "another lucid".into(),
    }
}
