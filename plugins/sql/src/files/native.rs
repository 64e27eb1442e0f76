//! The files of this machine, for tests.

use std::collections::hash_map::RandomState;
use std::fs::OpenOptions;
use std::hash::BuildHasher as _;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[cfg(unix)]
use std::os::unix::fs::FileExt as _;

use super::{Fault, Mode, clean};

/// An open file.
pub struct File(std::fs::File);

fn fault(path: &str, error: &std::io::Error) -> Fault {
    match error.kind() {
        ErrorKind::NotFound => Fault::Missing(path.into()),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Fault::Denied(format!("{path}: {error}"))
        }
        _ => Fault::Other(format!("{path}: {error}")),
    }
}

fn broken(error: std::io::Error) -> Fault {
    Fault::Other(error.to_string())
}

/// The absolute path of a file.
pub fn find(path: &str) -> Result<String, Fault> {
    let full = std::path::absolute(clean(path)?).map_err(broken)?;
    clean(&full.to_string_lossy())
}

/// Opens a file.
pub fn open(path: &str, mode: Mode) -> Result<File, Fault> {
    if Path::new(path).is_dir() {
        return Err(Fault::Other(format!("{path} is a folder")));
    }
    let opened = OpenOptions::new()
        .read(true)
        .write(mode != Mode::Read)
        .create(mode == Mode::Create)
        .truncate(false)
        .open(path);
    opened.map(File).map_err(|error| fault(path, &error))
}

/// Whether there is a file.
pub fn exists(path: &str) -> Result<bool, Fault> {
    Path::new(path).try_exists().map_err(broken)
}

/// Removes a file; says whether there was one.
pub fn remove(path: &str) -> Result<bool, Fault> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(fault(path, &error)),
    }
}

impl File {
    /// Fills the buffer from there on, as far as the file goes.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64).map_err(broken)? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }

    /// Writes it all.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        self.0.write_all_at(bytes, offset).map_err(broken)
    }

    /// Cuts it.
    pub fn set_size(&self, size: u64) -> Result<(), Fault> {
        self.0.set_len(size).map_err(broken)
    }

    /// Has it written to the disk.
    pub fn sync(&self) -> Result<(), Fault> {
        self.0.sync_all().map_err(broken)
    }

    /// Its size, in bytes.
    pub fn size(&self) -> Result<u64, Fault> {
        self.0.metadata().map(|it| it.len()).map_err(broken)
    }
}

/// A clock that only goes on, in milliseconds.
pub fn millis() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    u64::try_from(START.get_or_init(Instant::now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The time, in milliseconds since 1970.
pub fn epoch_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Fills the buffer by chance.
pub fn random(buffer: &mut [u8]) {
    for part in buffer.chunks_mut(8) {
        let bytes = RandomState::new().hash_one(part.len()).to_le_bytes();
        part.copy_from_slice(&bytes[..part.len()]);
    }
}
