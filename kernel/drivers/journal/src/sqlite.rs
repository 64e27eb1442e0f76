//! The journal in a SQLite file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lucid_kernel::abi::Event;
use lucid_kernel::port::{Journal, JournalError, SessionInfo};
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use crate::codec::{self, Record};
use crate::fault::{damaged, failed, from_sqlite};
use crate::lock::{LockError, MAX_SESSION_NAME_BYTES, SessionLock};
use crate::schema;

/// How long to wait for another process that is writing, in milliseconds.
pub const BUSY_TIMEOUT_MS: u64 = 10_000;

/// The most bytes of JSON that one session may have (1 GiB): what `load` must hold.
pub const MAX_SESSION_BYTES: u64 = 1 << 30;

/// The most sessions that `sessions` lists; the oldest are left out.
pub const MAX_SESSIONS_LISTED: u32 = 10_000;

/// Every event of every session, in one SQLite file in WAL mode.
///
/// Whoever begins a session or appends to it holds the session's write lock until the value
/// is dropped or the process ends. The locks are files in a folder beside the journal, named
/// like it and ending in `.locks`.
#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    connection: Connection,
    writing: HashMap<String, Writing>,
}

/// A session whose write lock we hold.
#[derive(Debug)]
struct Writing {
    row: i64,
    /// Where the session ends; none when a failed write leaves it unknown.
    end: Option<End>,
    _lock: SessionLock,
}

#[derive(Debug, Clone, Copy)]
struct End {
    next_seq: u64,
    bytes: u64,
}

impl SqliteJournal {
    /// Opens the journal at `path`, making the file and its folder when they are not there.
    ///
    /// # Errors
    /// [`JournalError::Full`] without space; [`JournalError::Failed`] when the file is damaged,
    /// is no journal, was written by a newer version, or cannot be reached.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        let path = path.as_ref().to_path_buf();
        let connection = schema::open(&path)?;
        let inner = Mutex::new(Inner { connection, writing: HashMap::new() });
        Ok(Self { path, inner })
    }

    /// Takes the write lock of a session that is to be continued, so that nobody appends
    /// between `load` and the first `append`. Does nothing when it is held already.
    ///
    /// # Errors
    /// [`JournalError::Busy`] when another holds it, [`JournalError::NotFound`] without such a session.
    pub fn claim(&self, session: &str) -> Result<(), JournalError> {
        self.claimed(&mut self.lock(), session).map(|_| ())
    }

    fn claimed<'a>(
        &self,
        inner: &'a mut Inner,
        session: &str,
    ) -> Result<(&'a Connection, &'a mut Writing), JournalError> {
        if !inner.writing.contains_key(session) {
            let row = self.row_of(&inner.connection, session)?;
            let lock = self.take_lock(session)?;
            inner.writing.insert(session.to_owned(), Writing { row, end: None, _lock: lock });
        }
        match inner.writing.get_mut(session) {
            Some(writing) => Ok((&inner.connection, writing)),
            None => Err(not_found(session)),
        }
    }

    fn take_lock(&self, session: &str) -> Result<SessionLock, JournalError> {
        SessionLock::take(&beside(&self.path, ".locks"), session).map_err(|error| match error {
            LockError::Held => JournalError::Busy { session: session.to_owned() },
            LockError::Io(e) if e.kind() == std::io::ErrorKind::StorageFull => {
                JournalError::Full { path: self.path.display().to_string() }
            }
            LockError::Io(e) => failed(&self.path, format!("cannot lock session {session}: {e}")),
        })
    }

    fn row_of(&self, connection: &Connection, session: &str) -> Result<i64, JournalError> {
        connection
            .prepare_cached("SELECT id FROM session WHERE name = ?1")
            .and_then(|mut s| s.query_row([session], |row| row.get(0)).optional())
            .map_err(|e| from_sqlite(&self.path, "look a session up", &e))?
            .ok_or_else(|| not_found(session))
    }

    fn end_of(&self, connection: &Connection, row: i64) -> Result<End, JournalError> {
        connection
            .query_row(
                "SELECT coalesce(max(seq) + 1, 0), coalesce(sum(octet_length(json)), 0)
                 FROM event WHERE session = ?1",
                [row],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
            )
            .map(|(seq, bytes)| End { next_seq: seq.cast_unsigned(), bytes: bytes.cast_unsigned() })
            .map_err(|e| from_sqlite(&self.path, "find the end of a session", &e))
    }

    fn insert(
        &self,
        connection: &Connection,
        row: i64,
        seq: u64,
        record: &Record,
    ) -> Result<(), JournalError> {
        connection
            .prepare_cached("INSERT INTO event (session, seq, crc, json) VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut s| s.execute(params![row, seq.cast_signed(), record.crc, record.json]))
            .map(|_| ())
            .map_err(|e| from_sqlite(&self.path, "write an event", &e))
    }

    // A panic elsewhere leaves the connection as SQLite left it: rolled back, and good.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for SqliteJournal {
    fn begin(&self, session: &str, folder: &str, began_ms: u64) -> Result<(), JournalError> {
        if session.is_empty() || session.len() > MAX_SESSION_NAME_BYTES {
            return Err(failed(
                &self.path,
                format!("{session:?} cannot name a session: a name has 1 to {MAX_SESSION_NAME_BYTES} bytes"),
            ));
        }
        let mut inner = self.lock();
        let exists = || {
            failed(
                &self.path,
                format!("there is a session {session} already; continue it, or take another name"),
            )
        };
        if inner.writing.contains_key(session) {
            return Err(exists());
        }
        let lock = self.take_lock(session)?;
        inner
            .connection
            .execute(
                "INSERT INTO session (name, folder, began_ms) VALUES (?1, ?2, ?3)",
                params![session, folder, began_ms.cast_signed()],
            )
            .map_err(|e| match e.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => exists(),
                _ => from_sqlite(&self.path, "begin a session", &e),
            })?;
        let row = inner.connection.last_insert_rowid();
        let end = Some(End { next_seq: 0, bytes: 0 });
        inner.writing.insert(session.to_owned(), Writing { row, end, _lock: lock });
        Ok(())
    }

    fn append(&self, session: &str, seq: u64, event: &Event) -> Result<(), JournalError> {
        let record = codec::encode(event).map_err(|reason| failed(&self.path, reason))?;
        let mut inner = self.lock();
        let (connection, writing) = self.claimed(&mut inner, session)?;
        // Taken out, and put back only when the write is known to have succeeded.
        let end = match writing.end.take() {
            Some(end) => end,
            None => self.end_of(connection, writing.row)?,
        };
        writing.end = Some(end);
        if seq != end.next_seq {
            return Err(out_of_order(&self.path, session, seq, end.next_seq));
        }
        let bytes = end.bytes + record.json.len() as u64;
        if bytes > MAX_SESSION_BYTES {
            return Err(failed(
                &self.path,
                format!("session {session} has reached {MAX_SESSION_BYTES} bytes; begin a new one"),
            ));
        }
        writing.end = None;
        self.insert(connection, writing.row, seq, &record)?;
        writing.end = Some(End { next_seq: seq + 1, bytes });
        Ok(())
    }

    fn load(&self, session: &str) -> Result<Vec<Event>, JournalError> {
        let inner = self.lock();
        let row = self.row_of(&inner.connection, session)?;
        let broken = |e: &rusqlite::Error| from_sqlite(&self.path, "read a session", e);
        let mut select = inner
            .connection
            .prepare_cached("SELECT seq, crc, json FROM event WHERE session = ?1 ORDER BY seq")
            .map_err(|e| broken(&e))?;
        let mut rows = select.query([row]).map_err(|e| broken(&e))?;
        let mut events = Vec::new();
        while let Some(row) = rows.next().map_err(|e| broken(&e))? {
            let number = events.len();
            let read = || -> rusqlite::Result<(i64, u32, &str)> {
                let text = row.get_ref(2)?.as_str()?;
                Ok((row.get(0)?, row.get(1)?, text))
            };
            let event = match read() {
                Err(e) => Err(e.to_string()),
                Ok((seq, ..)) if usize::try_from(seq) != Ok(number) => Err("it is missing".into()),
                Ok((_, crc, json)) => codec::decode(json, crc),
            };
            events.push(event.map_err(|found| {
                damaged(&self.path, &format!("event {number} of session {session}: {found}"))
            })?);
        }
        Ok(events)
    }

    fn event(&self, session: &str, seq: u64) -> Result<Event, JournalError> {
        let inner = self.lock();
        let row = self.row_of(&inner.connection, session)?;
        let found = inner
            .connection
            .prepare_cached("SELECT crc, json FROM event WHERE session = ?1 AND seq = ?2")
            .and_then(|mut select| {
                let read = |row: &rusqlite::Row<'_>| {
                    let text = row.get_ref(1)?.as_str()?;
                    Ok(codec::decode(text, row.get(0)?))
                };
                select.query_row(params![row, seq.cast_signed()], read).optional()
            })
            .map_err(|e| from_sqlite(&self.path, "read an event", &e))?;
        let event = found.ok_or_else(|| no_event(&self.path, session, seq))?;
        event.map_err(|found| damaged(&self.path, &format!("event {seq} of session {session}: {found}")))
    }

    fn sessions(&self) -> Result<Vec<SessionInfo>, JournalError> {
        let inner = self.lock();
        let list = || {
            let mut select = inner.connection.prepare_cached(
                "SELECT name, began_ms, folder,
                        coalesce((SELECT max(seq) + 1 FROM event WHERE session = session.id), 0)
                 FROM session ORDER BY began_ms DESC, id DESC LIMIT ?1",
            )?;
            select
                .query_map([MAX_SESSIONS_LISTED], |row| {
                    Ok(SessionInfo {
                        session: row.get(0)?,
                        began_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                        folder: row.get(2)?,
                        events: row.get::<_, i64>(3)?.cast_unsigned(),
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        list().map_err(|e| from_sqlite(&self.path, "list the sessions", &e))
    }
}

/// The path with something after its name.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Says that an event does not follow the last one.
pub(crate) fn out_of_order(path: &Path, session: &str, seq: u64, next: u64) -> JournalError {
    failed(path, format!("event {seq} of session {session} is out of order: {next} comes next"))
}

/// Says that there is no such event.
pub(crate) fn no_event(path: &Path, session: &str, seq: u64) -> JournalError {
    failed(path, format!("session {session} has no event {seq}"))
}

pub(crate) fn not_found(session: &str) -> JournalError {
    JournalError::NotFound { session: session.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_full_and_the_session_goes_on_when_there_is_space() {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path().join("journal.db")).unwrap();
        journal.begin("a", "/", 0).unwrap();
        let limit = |pages: i64| {
            let inner = journal.lock();
            inner
                .connection
                .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
                .unwrap();
        };
        limit(20);
        let mut seq = 0;
        let error = loop {
            match journal.append("a", seq, &big()) {
                Ok(()) => seq += 1,
                Err(error) => break error,
            }
            assert!(seq < 100, "20 pages never fill up");
        };
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        assert_eq!(journal.load("a").unwrap().len() as u64, seq);
        limit(10_000);
        journal.append("a", seq, &big()).unwrap();
        assert_eq!(journal.load("a").unwrap(), vec![big(); seq as usize + 1]);
    }

    #[test]
    fn a_hole_in_the_numbers_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(folder.path().join("journal.db")).unwrap();
        journal.begin("a", "/", 0).unwrap();
        for seq in 0..3 {
            journal.append("a", seq, &Event::Restarted).unwrap();
        }
        journal.lock().connection.execute("DELETE FROM event WHERE seq = 1", []).unwrap();
        let error = journal.load("a").unwrap_err().to_string();
        assert!(error.contains("event 1 of session a: it is missing"), "{error}");
    }

    fn big() -> Event {
        let system = lucid_kernel::abi::Encoded::new("x".repeat(8000), [1]);
        Event::Spawn { system, tools: Vec::new(), core: Vec::new() }
    }
}
