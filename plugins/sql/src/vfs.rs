//! Where SQLite keeps its files: the database of this call and what belongs to it, nothing else.
//!
//! There are no locks, because WASI has none. A database that another program is changing is
//! therefore not opened to change it (see [`crate::database`]).

// Registering is unsafe: SQLite keeps the pointers.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use rsqlite_vfs::{
    AccessMode, FileKind, LockLevel, MemChunksFile, OpenAccess, OpenOptions, OpenRequest, OpenedFile,
    OsCallback, SQLiteIoMethods, SQLiteVfs, SyncOptions, VfsError, VfsErrorCode, VfsFile, VfsResult,
    VfsStore, register_vfs,
};

use crate::files::{self, Fault, File, Mode};

/// What SQLite calls it.
pub const NAME: &str = "lucid";

/// The database that may be opened now.
#[derive(Debug, Clone)]
struct Current {
    path: String,
    write: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    static LAST: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

/// Lets SQLite open this database, and no other from now on.
pub fn allow(path: &str, write: bool) -> Result<(), String> {
    static REGISTERED: OnceLock<Result<(), String>> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| {
        // SAFETY: it happens once, nothing else has this name, and the registration is kept for
        // ever: neither its data nor its functions go away.
        let registered = unsafe { register_vfs::<Methods, Vfs>(NAME, Os, false) };
        registered.map(|it| _ = it.into_raw()).map_err(|error| error.to_string())
    });
    registered.clone()?;
    CURRENT.set(Some(Current { path: path.to_owned(), write }));
    LAST.set(None);
    Ok(())
}

/// What the files said last, if they were the reason of an error.
pub fn last_fault() -> Option<Fault> {
    LAST.take()
}

fn failed(code: VfsErrorCode) -> impl FnOnce(Fault) -> VfsError {
    move |fault| {
        let error = VfsError::new(code, fault.to_string().into());
        LAST.set(Some(fault));
        error
    }
}

fn refused() -> VfsError {
    failed(VfsErrorCode::CantOpen)(Fault::Denied("only the file of this call can be opened".into()))
}

/// The current database, if the file is it or belongs to it.
fn current(name: &str) -> VfsResult<Current> {
    let current = CURRENT.with_borrow(Clone::clone).ok_or_else(refused)?;
    match name.strip_prefix(&current.path) {
        Some("" | "-journal" | "-wal") => Ok(current),
        _ => Err(refused()),
    }
}

/// An open file.
enum Handle {
    /// One of a granted folder.
    Disk { file: File, write: bool },
    /// One that goes with the call.
    Memory(MemChunksFile),
}

impl Handle {
    fn changeable(&self) -> VfsResult<()> {
        match self {
            Self::Disk { write: false, .. } => {
                Err(VfsError::new(VfsErrorCode::ReadOnly, "the file was opened to read it".into()))
            }
            _ => Ok(()),
        }
    }
}

impl VfsFile for Handle {
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> VfsResult<usize> {
        match self {
            Self::Disk { file, .. } => file.read(buffer, offset).map_err(failed(VfsErrorCode::IoRead)),
            Self::Memory(file) => file.read(buffer, offset),
        }
    }

    fn write(&mut self, bytes: &[u8], offset: u64) -> VfsResult<()> {
        self.changeable()?;
        match self {
            Self::Disk { file, .. } => file.write(bytes, offset).map_err(failed(VfsErrorCode::IoWrite)),
            Self::Memory(file) => file.write(bytes, offset),
        }
    }

    fn truncate(&mut self, size: u64) -> VfsResult<()> {
        self.changeable()?;
        match self {
            Self::Disk { file, .. } => file.set_size(size).map_err(failed(VfsErrorCode::IoTruncate)),
            Self::Memory(file) => file.truncate(size),
        }
    }

    fn sync(&mut self, _: SyncOptions) -> VfsResult<()> {
        match self {
            Self::Disk { file, write: true } => file.sync().map_err(failed(VfsErrorCode::IoSync)),
            _ => Ok(()),
        }
    }

    fn size(&self) -> VfsResult<u64> {
        match self {
            Self::Disk { file, .. } => file.size().map_err(failed(VfsErrorCode::IoStat)),
            Self::Memory(file) => file.size(),
        }
    }

    fn lock(&mut self, _: LockLevel) -> VfsResult<()> {
        Ok(())
    }

    fn unlock(&mut self, _: LockLevel) -> VfsResult<()> {
        Ok(())
    }

    fn check_reserved_lock(&self) -> VfsResult<bool> {
        Ok(false)
    }
}

struct Store;

impl VfsStore for Store {
    type File = Handle;
    type AppData = Os;

    fn open_file(_: &Os, request: OpenRequest<'_>) -> VfsResult<OpenedFile<Handle>> {
        let memory = |access| OpenedFile { file: Handle::Memory(MemChunksFile::default()), access };
        let kind = request.options.kind();
        let own = matches!(kind, Some(FileKind::MainDb | FileKind::MainJournal | FileKind::Wal));
        let Some(name) = request.filename.filter(|_| own) else {
            // What is written aside while a statement runs.
            return Ok(memory(OpenAccess::ReadWrite));
        };
        let current = current(name.path())?;
        let write = current.write && request.options.access() == OpenAccess::ReadWrite;
        let mode = match (write, request.options.create()) {
            (false, _) => Mode::Read,
            (true, false) => Mode::Write,
            (true, true) => Mode::Create,
        };
        let access = if write { OpenAccess::ReadWrite } else { OpenAccess::ReadOnly };
        match files::open(name.path(), mode) {
            Ok(file) => Ok(OpenedFile { file: Handle::Disk { file, write }, access }),
            // A database that keeps such a log has none while all is in the database itself; SQLite
            // would make an empty one.
            Err(Fault::Missing(_)) if kind == Some(FileKind::Wal) && !write => Ok(memory(access)),
            Err(fault) => Err(failed(VfsErrorCode::CantOpen)(fault)),
        }
    }

    fn close_file(_: &Os, name: Option<&str>, _: Handle, options: OpenOptions) -> VfsResult<()> {
        match name {
            Some(name) if options.delete_on_close() && current(name).is_ok_and(|it| it.write) => {
                files::remove(name).map(drop).map_err(failed(VfsErrorCode::IoDelete))
            }
            _ => Ok(()),
        }
    }

    fn access(_: &Os, name: &str, mode: AccessMode) -> VfsResult<bool> {
        let current = current(name)?;
        let may = mode != AccessMode::ReadWrite || current.write;
        Ok(may && files::exists(name).map_err(failed(VfsErrorCode::IoAccess))?)
    }

    fn full_pathname(_: &Os, name: &str) -> VfsResult<String> {
        Ok(name.to_owned())
    }

    fn delete_file(_: &Os, name: &str, _: bool) -> VfsResult<()> {
        if !current(name)?.write {
            return Err(refused());
        }
        match files::remove(name).map_err(failed(VfsErrorCode::IoDelete))? {
            true => Ok(()),
            false => Err(VfsError::new(VfsErrorCode::IoDeleteNoEntry, "it is not there".into())),
        }
    }
}

/// The clock and chance.
struct Os;

impl OsCallback for Os {
    /// Nothing is worth waiting for without locks.
    fn sleep(&self, _: Duration) {}

    fn random(&self, buffer: &mut [u8]) -> usize {
        files::random(buffer);
        buffer.len()
    }

    fn epoch_timestamp_in_ms(&self) -> VfsResult<i64> {
        Ok(files::epoch_millis())
    }
}

struct Methods;

impl SQLiteIoMethods for Methods {
    type Store = Store;
}

struct Vfs;

impl SQLiteVfs<Methods> for Vfs {
    type Os = Os;

    fn os(data: &Os) -> &Os {
        data
    }
}
