//! The folders that the host opened for the plugin, through WASI.
//!
//! The host confines each of them too: a path cannot leave it, whatever this plugin asks for.

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
};
use crate::disk::{Disk, Entry, Fault, Kind, Place, Stat};

/// The most names in a row that cannot be read before a folder is given up.
const MAX_BAD_NAMES: usize = 1_000;

/// The folders that were granted.
pub struct Wasi {
    folders: Vec<(Descriptor, String)>,
}

impl Wasi {
    /// What the host opened.
    pub fn new() -> Self {
        Self { folders: get_directories() }
    }

    fn folder(&self, at: &Place) -> Result<&Descriptor, Fault> {
        self.folders.get(at.root()).map(|(folder, _)| folder).ok_or(Fault::Outside)
    }

    fn open(&self, at: &Place, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Fault> {
        self.folder(at)?.open_at(PathFlags::empty(), inside(at), open, flags).map_err(fault)
    }
}

impl Disk for Wasi {
    fn roots(&self) -> Vec<String> {
        self.folders.iter().map(|(_, name)| name.clone()).collect()
    }

    fn stat(&self, at: &Place) -> Result<Stat, Fault> {
        let stat = self.folder(at)?.stat_at(PathFlags::empty(), inside(at)).map_err(fault)?;
        Ok(Stat { kind: kind(stat.type_), bytes: stat.size })
    }

    fn link(&self, at: &Place) -> Result<String, Fault> {
        self.folder(at)?.readlink_at(inside(at)).map_err(|code| match code {
            // Said of links to absolute paths.
            ErrorCode::NotPermitted => Fault::Outside,
            other => fault(other),
        })
    }

    fn list(&self, at: &Place, at_most: usize) -> Result<(Vec<Entry>, bool), Fault> {
        let folder = self.open(at, OpenFlags::DIRECTORY, DescriptorFlags::READ)?;
        let names = folder.read_directory().map_err(fault)?;
        let mut entries = Vec::new();
        let mut bad = 0;
        loop {
            match names.read_directory_entry() {
                Ok(None) => return Ok((entries, false)),
                Ok(Some(_)) if entries.len() == at_most => return Ok((entries, true)),
                Ok(Some(entry)) => entries.push(Entry { name: entry.name, kind: kind(entry.type_) }),
                // A name that is no Unicode cannot be asked for either.
                Err(ErrorCode::IllegalByteSequence) if bad < MAX_BAD_NAMES => bad += 1,
                Err(code) => return Err(fault(code)),
            }
        }
    }

    fn read(&self, at: &Place, offset: u64, at_most: usize) -> Result<Vec<u8>, Fault> {
        let file = self.open(at, OpenFlags::empty(), DescriptorFlags::READ)?;
        let mut bytes = Vec::new();
        while bytes.len() < at_most {
            let left = (at_most - bytes.len()) as u64;
            let (part, is_end) = file.read(left, offset.saturating_add(bytes.len() as u64)).map_err(fault)?;
            bytes.extend_from_slice(&part);
            if is_end || part.is_empty() {
                break;
            }
        }
        Ok(bytes)
    }

    fn create(&self, at: &Place, content: &[u8]) -> Result<(), Fault> {
        let file = self.open(at, OpenFlags::CREATE | OpenFlags::EXCLUSIVE, DescriptorFlags::WRITE)?;
        write_all(&file, content, 0)
    }

    fn append(&self, at: &Place, content: &[u8]) -> Result<(), Fault> {
        let file = self.open(at, OpenFlags::empty(), DescriptorFlags::WRITE)?;
        let end = file.stat().map_err(fault)?.size;
        write_all(&file, content, end)
    }

    fn rename(&self, from: &Place, to: &Place) -> Result<(), Fault> {
        let target = self.folder(to)?;
        self.folder(from)?.rename_at(inside(from), target, inside(to)).map_err(fault)
    }

    fn remove_file(&self, at: &Place) -> Result<(), Fault> {
        self.folder(at)?.unlink_file_at(inside(at)).map_err(fault)
    }

    fn remove_folder(&self, at: &Place) -> Result<(), Fault> {
        self.folder(at)?.remove_directory_at(inside(at)).map_err(fault)
    }

    fn make_folder(&self, at: &Place) -> Result<(), Fault> {
        self.folder(at)?.create_directory_at(inside(at)).map_err(fault)
    }
}

fn write_all(file: &Descriptor, content: &[u8], offset: u64) -> Result<(), Fault> {
    let mut written = 0;
    while written < content.len() {
        let at = offset.saturating_add(written as u64);
        let more = file.write(&content[written..], at).map_err(fault)?;
        if more == 0 {
            return Err(Fault::Full);
        }
        written += (more as usize).min(content.len() - written);
    }
    file.sync_data().map_err(fault)
}

fn inside(at: &Place) -> &str {
    if at.is_root() { "." } else { at.inside() }
}

fn kind(kind: DescriptorType) -> Kind {
    match kind {
        DescriptorType::Directory => Kind::Folder,
        DescriptorType::RegularFile => Kind::File,
        DescriptorType::SymbolicLink => Kind::Link,
        _ => Kind::Other,
    }
}

fn fault(code: ErrorCode) -> Fault {
    match code {
        ErrorCode::NoEntry => Fault::Missing,
        ErrorCode::Exist => Fault::Exists,
        ErrorCode::Access | ErrorCode::NotPermitted | ErrorCode::ReadOnly => Fault::Denied,
        ErrorCode::NotDirectory => Fault::NotFolder,
        ErrorCode::IsDirectory => Fault::IsFolder,
        ErrorCode::NotEmpty => Fault::NotEmpty,
        ErrorCode::CrossDevice => Fault::OtherDrive,
        ErrorCode::Loop => Fault::Outside,
        ErrorCode::InsufficientSpace | ErrorCode::Quota => Fault::Full,
        ErrorCode::NameTooLong => Fault::Other("a name is too long".into()),
        ErrorCode::FileTooLarge => Fault::Other("the file would be too large".into()),
        other => Fault::Other(format!("the system says {}", other.name())),
    }
}
