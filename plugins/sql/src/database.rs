//! Opening a database so that it is read only, or changed without harm.

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::errors::{explain, hint};
use crate::files::{self, Fault, Mode};
use crate::guard::{self, Refusal};
use crate::limits::{MAX_HEAP_BYTES, MAX_SQL_BYTES, MAX_TIME, MAX_VALUE_BYTES, STEPS_PER_LOOK};
use crate::sheet::{self, Form};
use crate::vfs;

/// How a journal begins that SQLite would have to play back.
/// Source: <https://www.sqlite.org/fileformat2.html>, section 3.
const JOURNAL_MAGIC: &[u8] = &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];

/// What SQLite allows, made smaller: its stack is small here, and what is large is slow.
const LIMITS: &[(Limit, i32)] = &[
    (Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, MAX_SQL_BYTES as i32),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 200),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 20),
    // VACUUM needs one.
    (Limit::SQLITE_LIMIT_ATTACHED, 1),
];

/// A database that is open.
pub struct Database {
    pub connection: Connection,
    /// Where it is.
    pub path: String,
    refusal: Refusal,
}

impl Database {
    /// Opens a database or a CSV file to read it.
    pub fn read(file: &str) -> Result<Self, String> {
        let path = files::find(file).map_err(|fault| fault.to_string())?;
        if let Some(form) = Form::of(&path) {
            let connection = Connection::open_in_memory().map_err(|error| error.to_string())?;
            let mut database = Self { connection, path, refusal: Refusal::default() };
            database.set_up(false)?;
            sheet::load(&mut database.connection, &database.path, form)?;
            database.told(database.connection.pragma_update(None, "query_only", true))?;
            return database.watched(false);
        }
        unfinished(&path, false)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open(path, flags, false)
    }

    /// Opens a database to change it; makes it when it is not there.
    pub fn write(file: &str) -> Result<Self, String> {
        let path = files::find(file).map_err(|fault| fault.to_string())?;
        if Form::of(&path).is_some() {
            return Err(format!("{path} is no database and can only be read; use `query`"));
        }
        unfinished(&path, true)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::open(path, flags, true)
    }

    fn open(path: String, flags: OpenFlags, write: bool) -> Result<Self, String> {
        vfs::allow(&path, write)?;
        let refusal = Refusal::default();
        let connection = Connection::open_with_flags_and_vfs(&path, flags, vfs::NAME)
            .map_err(|error| explain(&error, &path, &refusal))?;
        let mut database = Self { connection, path, refusal };
        database.set_up(write)?;
        database.watched(write)
    }

    /// Everything that a statement may not change, before the first one is compiled.
    fn set_up(&mut self, write: bool) -> Result<(), String> {
        let connection = &mut self.connection;
        let set = (|| {
            for (limit, value) in LIMITS {
                connection.set_limit(*limit, *value)?;
            }
            for (config, on) in [
                (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
                (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
                // A name in double quotes that is not there is an error, and no text.
                (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
                (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
                (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
                (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !write),
            ] {
                connection.set_db_config(config, on)?;
            }
            connection.pragma_update(None, "hard_heap_limit", MAX_HEAP_BYTES)?;
            connection.pragma_update(None, "temp_store", "memory")?;
            // Without this, a database with a write-ahead log would need memory that is shared with
            // other programs.
            connection.pragma_update(None, "locking_mode", "exclusive")?;
            let end = files::millis().saturating_add(MAX_TIME.as_millis() as u64);
            connection.progress_handler(STEPS_PER_LOOK, Some(move || files::millis() > end))
        })();
        self.told(set)
    }

    fn watched(mut self, write: bool) -> Result<Self, String> {
        // The first look into the file, so that one that is no database is named as such.
        if !self.told(has_readable_names(&self.connection))? {
            return Err(format!("{} is damaged: the name of a table or a column is no UTF-8", self.path));
        }
        let watched = guard::watch(&mut self.connection, write);
        self.refusal = self.told(watched)?;
        Ok(self)
    }

    /// An error of SQLite in words.
    pub fn told<T>(&self, result: rusqlite::Result<T>) -> Result<T, String> {
        result.map_err(|error| {
            let mut message = explain(&error, &self.path, &self.refusal);
            let more = hint(&self.connection, &message);
            message.push_str(&more);
            message
        })
    }
}

/// Names that are no UTF-8 would break what asks for each name.
fn has_readable_names(connection: &Connection) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare("SELECT name, tbl_name, sql FROM sqlite_schema")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..3 {
            if let ValueRef::Text(bytes) = row.get_ref(column)?
                && std::str::from_utf8(bytes).is_err()
            {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Refuses what another program left unfinished, or is just doing: without locks it cannot be told
/// which, and to guess could ruin the database.
fn unfinished(path: &str, write: bool) -> Result<(), String> {
    let told = |fault: Fault| fault.to_string();
    match files::exists(path).map_err(told)? {
        true => {}
        false if write => return Ok(()),
        false => return Err(Fault::Missing(path.into()).to_string()),
    }
    let journal = format!("{path}-journal");
    if files::exists(&journal).map_err(told)? {
        let mut magic = [0; 8];
        files::open(&journal, Mode::Read).and_then(|file| file.read(&mut magic, 0)).map_err(told)?;
        if magic == JOURNAL_MAGIC {
            return Err(format!(
                "another program is changing {path}, or broke off while it did; try again, or open it with \
                 that program first ({journal} is there)"
            ));
        }
    }
    for end in ["-wal", "-shm"] {
        let log = format!("{path}{end}");
        if write && files::exists(&log).map_err(told)? {
            return Err(format!(
                "another program has {path} open, or did not close it; close it there before it is changed \
                 here ({log} is there)"
            ));
        }
    }
    Ok(())
}
