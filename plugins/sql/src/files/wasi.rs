//! The files of the granted folders.

use std::cell::OnceCell;

use super::{Fault, Mode, clean};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};
use crate::bindings::wasi::random::random;

/// The most bytes that are read or written at once.
const PIECE: usize = 1 << 20;

thread_local! {
    static FOLDERS: OnceCell<Vec<(Descriptor, String)>> = const { OnceCell::new() };
}

/// An open file.
pub struct File(Descriptor);

fn with_folders<T>(look: impl FnOnce(&[(Descriptor, String)]) -> T) -> T {
    FOLDERS.with(|folders| look(folders.get_or_init(preopens::get_directories)))
}

fn broken(error: ErrorCode) -> Fault {
    Fault::Other(format!("the disk says: {}", error.name()))
}

fn is_denied(error: ErrorCode) -> bool {
    matches!(error, ErrorCode::NotPermitted | ErrorCode::Access | ErrorCode::ReadOnly)
}

/// What was granted, to go on from "may be used: ".
fn granted(folders: &[(Descriptor, String)]) -> String {
    let mut names: Vec<&str> = folders.iter().map(|(_, name)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() { "no folder was granted".into() } else { format!("granted: {}", names.join(", ")) }
}

/// A path without the folder that it is in.
fn within<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    rest.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// Tries all folders that hold the path: one of the same name may have more rights than another.
fn tried<T>(
    path: &str,
    change: bool,
    act: impl Fn(&Descriptor, &str) -> Result<T, ErrorCode>,
) -> Result<T, Fault> {
    with_folders(|folders| {
        let mut denied = Fault::Denied(format!("{path} is in no folder of this tool; {}", granted(folders)));
        for (folder, name) in folders {
            let Some(rest) = within(path, name) else { continue };
            match act(folder, rest) {
                Ok(done) => return Ok(done),
                Err(ErrorCode::NoEntry) => return Err(Fault::Missing(path.into())),
                Err(error) if is_denied(error) => {
                    let what = if change { "may not be changed" } else { "leads out of the granted folders" };
                    denied = Fault::Denied(format!("{path} {what}; {}", granted(folders)));
                }
                Err(error) => return Err(Fault::Other(format!("{path}: {}", error.name()))),
            }
        }
        Err(denied)
    })
}

/// The absolute path of a file. A path that is not absolute is looked for in all folders.
pub fn find(path: &str) -> Result<String, Fault> {
    let path = clean(path)?;
    if path.starts_with('/') {
        return Ok(path);
    }
    let mut places: Vec<String> = with_folders(|folders| {
        let full = folders.iter().map(|(_, name)| format!("{}/{path}", name.trim_end_matches('/')));
        full.collect()
    });
    places.sort_unstable();
    places.dedup();
    let there: Vec<&String> = places.iter().filter(|place| exists(place).unwrap_or(false)).collect();
    match (there.as_slice(), places.as_slice()) {
        ([one], _) => Ok((*one).clone()),
        ([], [one]) => Ok(one.clone()),
        ([], _) => Err(Fault::Denied(format!(
            "{path} is in no folder of this tool; {}; give its absolute path",
            with_folders(granted)
        ))),
        _ => Err(Fault::Other(format!("{path} is in several folders; give its absolute path"))),
    }
}

/// Opens a file.
pub fn open(path: &str, mode: Mode) -> Result<File, Fault> {
    let flags = match mode {
        Mode::Read => DescriptorFlags::READ,
        Mode::Write | Mode::Create => DescriptorFlags::READ | DescriptorFlags::WRITE,
    };
    let create = if mode == Mode::Create { OpenFlags::CREATE } else { OpenFlags::empty() };
    let file = tried(path, mode != Mode::Read, |folder, rest| {
        folder.open_at(PathFlags::SYMLINK_FOLLOW, rest, create, flags)
    })?;
    match file.get_type().map_err(broken)? {
        DescriptorType::RegularFile => Ok(File(file)),
        DescriptorType::Directory => Err(Fault::Other(format!("{path} is a folder"))),
        _ => Err(Fault::Other(format!("{path} is no file"))),
    }
}

/// Whether there is a file.
pub fn exists(path: &str) -> Result<bool, Fault> {
    match tried(path, false, |folder, rest| folder.stat_at(PathFlags::SYMLINK_FOLLOW, rest)) {
        Ok(_) => Ok(true),
        Err(Fault::Missing(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Removes a file; says whether there was one.
pub fn remove(path: &str) -> Result<bool, Fault> {
    match tried(path, true, |folder, rest| folder.unlink_file_at(rest)) {
        Ok(()) => Ok(true),
        Err(Fault::Missing(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}

impl File {
    /// Fills the buffer from there on, as far as the file goes.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Fault> {
        let mut done = 0;
        while done < buffer.len() {
            let wanted = (buffer.len() - done).min(PIECE);
            let (bytes, _) = self.0.read(wanted as u64, offset + done as u64).map_err(broken)?;
            // A host that gives more than was asked for is wrong; what fits is taken.
            let read = bytes.len().min(wanted);
            if read == 0 {
                break;
            }
            buffer[done..done + read].copy_from_slice(&bytes[..read]);
            done += read;
        }
        Ok(done)
    }

    /// Writes it all.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        let mut done = 0;
        while done < bytes.len() {
            let piece = &bytes[done..bytes.len().min(done + PIECE)];
            let written = self.0.write(piece, offset + done as u64).map_err(broken)?;
            if written == 0 {
                return Err(Fault::Other("the disk takes no more".into()));
            }
            done += usize::try_from(written).unwrap_or(usize::MAX).min(piece.len());
        }
        Ok(())
    }

    /// Cuts it.
    pub fn set_size(&self, size: u64) -> Result<(), Fault> {
        self.0.set_size(size).map_err(broken)
    }

    /// Has it written to the disk.
    pub fn sync(&self) -> Result<(), Fault> {
        self.0.sync().map_err(broken)
    }

    /// Its size, in bytes.
    pub fn size(&self) -> Result<u64, Fault> {
        self.0.stat().map(|it| it.size).map_err(broken)
    }
}

/// A clock that only goes on, in milliseconds.
pub fn millis() -> u64 {
    monotonic_clock::now() / 1_000_000
}

/// The time, in milliseconds since 1970.
pub fn epoch_millis() -> i64 {
    let now = wall_clock::now();
    i64::try_from(now.seconds).unwrap_or(0).saturating_mul(1_000) + i64::from(now.nanoseconds / 1_000_000)
}

/// Fills the buffer by chance.
pub fn random(buffer: &mut [u8]) {
    let bytes = random::get_random_bytes(buffer.len() as u64);
    let length = bytes.len().min(buffer.len());
    buffer[..length].copy_from_slice(&bytes[..length]);
}
