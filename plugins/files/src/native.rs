//! The file system of the machine, for tests: WebAssembly has `wasi.rs` in its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::disk::{Disk, Entry, Fault, Kind, Place, Stat};

/// Some folders of this machine. What is below a link that leads out of them is not reached.
#[derive(Debug, Default)]
pub struct Native {
    roots: Vec<PathBuf>,
}

impl Native {
    /// The folders must be there and are named by their absolute paths.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn new(roots: &[PathBuf]) -> io::Result<Self> {
        Ok(Self { roots: roots.iter().map(fs::canonicalize).collect::<io::Result<_>>()? })
    }

    /// Where a place is, once its folder is known to be below the granted one.
    fn real(&self, at: &Place) -> Result<PathBuf, Fault> {
        let root = self.roots.get(at.root()).ok_or(Fault::Outside)?;
        let Some(above) = at.parent() else { return Ok(root.clone()) };
        let above = root.join(above.inside()).canonicalize().map_err(fault)?;
        if above.starts_with(root) { Ok(above.join(at.name())) } else { Err(Fault::Outside) }
    }

    /// A file that is no link, which opening it would follow.
    fn open(&self, at: &Place, options: &mut OpenOptions) -> Result<File, Fault> {
        match self.stat(at)?.kind {
            Kind::Folder => Err(Fault::IsFolder),
            Kind::Link => Err(Fault::Outside),
            _ => options.open(self.real(at)?).map_err(fault),
        }
    }
}

impl Disk for Native {
    fn roots(&self) -> Vec<String> {
        self.roots.iter().map(|root| root.to_string_lossy().into_owned()).collect()
    }

    fn stat(&self, at: &Place) -> Result<Stat, Fault> {
        let metadata = fs::symlink_metadata(self.real(at)?).map_err(fault)?;
        Ok(Stat { kind: kind(metadata.file_type()), bytes: metadata.len() })
    }

    fn link(&self, at: &Place) -> Result<String, Fault> {
        let target = fs::read_link(self.real(at)?).map_err(fault)?;
        target.into_os_string().into_string().map_err(|_| Fault::Outside)
    }

    fn list(&self, at: &Place, at_most: usize) -> Result<(Vec<Entry>, bool), Fault> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.real(at)?).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            if entries.len() == at_most {
                return Ok((entries, true));
            }
            if let (Ok(name), Ok(kind_of)) = (entry.file_name().into_string(), entry.file_type()) {
                entries.push(Entry { name, kind: kind(kind_of) });
            }
        }
        Ok((entries, false))
    }

    fn read(&self, at: &Place, offset: u64, at_most: usize) -> Result<Vec<u8>, Fault> {
        let mut file = self.open(at, OpenOptions::new().read(true))?;
        file.seek(SeekFrom::Start(offset)).map_err(fault)?;
        let mut bytes = Vec::new();
        file.take(at_most as u64).read_to_end(&mut bytes).map_err(fault)?;
        Ok(bytes)
    }

    fn create(&self, at: &Place, content: &[u8]) -> Result<(), Fault> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(self.real(at)?).map_err(fault)?;
        file.write_all(content).and_then(|()| file.sync_data()).map_err(fault)
    }

    fn append(&self, at: &Place, content: &[u8]) -> Result<(), Fault> {
        let mut file = self.open(at, OpenOptions::new().append(true))?;
        file.write_all(content).and_then(|()| file.sync_data()).map_err(fault)
    }

    fn rename(&self, from: &Place, to: &Place) -> Result<(), Fault> {
        fs::rename(self.real(from)?, self.real(to)?).map_err(fault)
    }

    fn remove_file(&self, at: &Place) -> Result<(), Fault> {
        fs::remove_file(self.real(at)?).map_err(fault)
    }

    fn remove_folder(&self, at: &Place) -> Result<(), Fault> {
        fs::remove_dir(self.real(at)?).map_err(fault)
    }

    fn make_folder(&self, at: &Place) -> Result<(), Fault> {
        fs::create_dir(self.real(at)?).map_err(fault)
    }
}

fn kind(kind: fs::FileType) -> Kind {
    match () {
        () if kind.is_symlink() => Kind::Link,
        () if kind.is_dir() => Kind::Folder,
        () if kind.is_file() => Kind::File,
        () => Kind::Other,
    }
}

fn fault(error: io::Error) -> Fault {
    match error.kind() {
        ErrorKind::NotFound => Fault::Missing,
        ErrorKind::AlreadyExists => Fault::Exists,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Fault::Denied,
        ErrorKind::NotADirectory => Fault::NotFolder,
        ErrorKind::IsADirectory => Fault::IsFolder,
        ErrorKind::DirectoryNotEmpty => Fault::NotEmpty,
        ErrorKind::CrossesDevices => Fault::OtherDrive,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Fault::Full,
        _ => Fault::Other(error.to_string()),
    }
}
