//! Opens the journal's file and sees that it has the tables of this version.

use std::path::Path;
use std::time::{Duration, Instant};

use lucid_kernel::port::JournalError;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::fault::{failed, from_sqlite};
use crate::sqlite::BUSY_TIMEOUT_MS;

/// The version of the tables below, kept in SQLite's `user_version`.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// Marks the file as a journal of Lucid ("LUCD"), kept in SQLite's `application_id`.
const APPLICATION_ID: i64 = 0x4C55_4344;

const TABLES: &str = "
    CREATE TABLE session (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        folder TEXT NOT NULL,
        began_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE event (
        session INTEGER NOT NULL REFERENCES session (id),
        seq INTEGER NOT NULL,
        crc INTEGER NOT NULL,
        json TEXT NOT NULL,
        UNIQUE (session, seq)
    ) STRICT;
";

/// Opens the file, making it when it is not there.
pub(crate) fn open(path: &Path) -> Result<Connection, JournalError> {
    create(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|e| from_sqlite(path, "open it", &e))?;
    let deadline = Instant::now() + Duration::from_millis(BUSY_TIMEOUT_MS);
    // Two first starts at once: SQLite does not wait by itself while the mode is changed.
    while let Err(error) = prepare(&mut connection) {
        let busy =
            matches!(&error, Unfit::Sqlite(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy));
        if !busy || Instant::now() > deadline {
            return Err(match error {
                Unfit::Sqlite(e) => from_sqlite(path, "open it", &e),
                Unfit::Other(reason) => failed(path, reason),
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(connection)
}

/// Why a file cannot be used as the journal.
enum Unfit {
    Sqlite(rusqlite::Error),
    Other(String),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Makes an empty file that only its owner can read; SQLite gives its other files the same rights.
fn create(path: &Path) -> Result<(), JournalError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| failed(path, format!("cannot make the folder {}: {e}", folder.display())))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::StorageFull => {
            Err(JournalError::Full { path: path.display().to_string() })
        }
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(failed(path, format!("cannot make it: {e}")))
        }
        _ => Ok(()),
    }
}

fn prepare(connection: &mut Connection) -> Result<(), Unfit> {
    connection.busy_timeout(Duration::from_millis(BUSY_TIMEOUT_MS))?;
    // In one transaction, so that a first start of another process is seen whole or not at all.
    let version = check(&*connection.transaction()?)?;
    wal(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Has an effect on macOS only, whose plain fsync does not reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Content that was written by something else must not be able to run anything.
    connection.pragma_update(None, "trusted_schema", false)?;
    if version == 0 {
        let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if check(&change)? == 0 {
            change.execute_batch(TABLES)?;
            change.pragma_update(None, "application_id", APPLICATION_ID)?;
            change.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        change.commit()?;
    }
    Ok(())
}

/// The version of the tables in the file; 0 when it is new.
fn check(connection: &Connection) -> Result<i64, Unfit> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (application, version) = (read("application_id")?, read("user_version")?);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        return Err(Unfit::Other(
            "it is a database of another program; move it away, or let Lucid keep its files elsewhere".into(),
        ));
    }
    if version > SCHEMA_VERSION {
        return Err(Unfit::Other(format!(
            "a newer Lucid wrote it (format {version}, this one knows up to {SCHEMA_VERSION}); update Lucid"
        )));
    }
    if version < 1 {
        return Err(Unfit::Other(format!(
            "its format {version} is none that Lucid ever wrote; move it away"
        )));
    }
    Ok(version)
}

/// Switches to a write-ahead log.
fn wal(connection: &Connection) -> Result<(), Unfit> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode == "wal" {
        return Ok(());
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Unfit::Other(
            "its file system has no shared memory files (a network drive?); keep Lucid's files on a local disk"
                .into(),
        ));
    }
    Ok(())
}
