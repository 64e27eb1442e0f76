//! One writer a session: an advisory lock on a file of the session's own.
//!
//! The operating system lets go of the lock when its holder ends, however it ends, so a
//! killed process leaves no session locked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// The most bytes that a session's name may have. Written out in a file name, a byte takes
/// up to three characters, and file names end at 255.
pub const MAX_SESSION_NAME_BYTES: usize = 64;

/// How often to try again when the lock file is replaced under us.
const MAX_TRIES: usize = 100;

/// Why a session cannot be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Somebody else holds it.
    Held,
    /// The lock file cannot be used.
    Io(io::Error),
}

/// Holds a session's lock until it is dropped.
#[derive(Debug)]
pub(crate) struct SessionLock {
    path: PathBuf,
    // Closing it releases the lock.
    _file: File,
}

impl SessionLock {
    /// Takes the lock at once or says who is in the way.
    pub(crate) fn take(folder: &Path, session: &str) -> Result<Self, LockError> {
        fs::create_dir_all(folder).map_err(LockError::Io)?;
        let path = folder.join(file_name(session));
        for _ in 0..MAX_TRIES {
            let file = open(&path).map_err(LockError::Io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(LockError::Held),
                Err(TryLockError::Error(e)) => return Err(LockError::Io(e)),
            }
            // The holder before us removes the file while it lets go: a lock on a file that
            // is no longer there would keep nobody out.
            if is_still(&file, &path) {
                return Ok(Self { path, _file: file });
            }
        }
        Err(LockError::Held)
    }
}

impl Drop for SessionLock {
    fn drop(&mut self) {
        // Only where `is_still` can tell. A file that stays is harmless.
        if cfg!(unix) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => a.ino() == b.ino() && a.dev() == b.dev(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still(_file: &File, _path: &Path) -> bool {
    true
}

/// Any name as a file name: what is not a small letter, a digit, `-` or `_` is written `%XX`,
/// so that two names never meet, on a file system that ignores case either.
fn file_name(session: &str) -> String {
    let mut name = String::with_capacity(session.len() + 5);
    for byte in session.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name + ".lock"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_held_off_until_the_first_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let first = SessionLock::take(folder.path(), "a").unwrap();
        assert!(matches!(SessionLock::take(folder.path(), "a"), Err(LockError::Held)));
        SessionLock::take(folder.path(), "b").unwrap();
        drop(first);
        SessionLock::take(folder.path(), "a").unwrap();
    }

    #[test]
    fn a_lock_file_left_behind_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(file_name("a")), "").unwrap();
        SessionLock::take(folder.path(), "a").unwrap();
    }

    #[test]
    fn names_never_meet_and_fit() {
        assert_eq!(file_name("20261123-a_b"), "20261123-a_b.lock");
        assert_ne!(file_name("A"), file_name("a"));
        assert_eq!(file_name("../x"), "%2E%2E%2Fx.lock");
        assert!(file_name(&"/".repeat(MAX_SESSION_NAME_BYTES)).len() <= 255);
    }

    #[test]
    fn many_threads_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let holders = std::sync::atomic::AtomicUsize::new(0);
        let taken = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    use std::sync::atomic::Ordering::SeqCst;
                    for _ in 0..500 {
                        if let Ok(lock) = SessionLock::take(folder.path(), "a") {
                            assert_eq!(holders.fetch_add(1, SeqCst), 0);
                            taken.fetch_add(1, SeqCst);
                            holders.fetch_sub(1, SeqCst);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.into_inner() > 0);
    }
}
