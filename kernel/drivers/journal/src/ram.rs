//! A journal in memory, for tests. It keeps every promise but the one about crashes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucid_kernel::abi::Event;
use lucid_kernel::port::{Journal, JournalError, SessionInfo};

use crate::codec::{self, Record};
use crate::fault::failed;
use crate::lock::MAX_SESSION_NAME_BYTES;
use crate::sqlite::{no_event, not_found, out_of_order};

/// A journal in memory. Events are kept as JSON, as the real journal does.
#[derive(Debug, Default)]
pub struct RamJournal {
    store: Arc<Store>,
    writer: u64,
}

#[derive(Debug, Default)]
struct Store {
    writers: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: BTreeMap<String, Session>,
    /// Which writer holds which session.
    held: HashMap<String, u64>,
    begun: u64,
}

#[derive(Debug)]
struct Session {
    info: SessionInfo,
    number: u64,
    records: Vec<Record>,
}

impl RamJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// A second writer of the same journal, as another process would be.
    pub fn another_writer(&self) -> Self {
        let writer = self.store.writers.fetch_add(1, Ordering::Relaxed) + 1;
        Self { store: Arc::clone(&self.store), writer }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.store.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, state: &mut State, session: &str) -> Result<(), JournalError> {
        match state.held.entry(session.to_owned()).or_insert(self.writer) {
            holder if *holder == self.writer => Ok(()),
            _ => Err(JournalError::Busy { session: session.to_owned() }),
        }
    }
}

impl Drop for RamJournal {
    fn drop(&mut self) {
        self.state().held.retain(|_, writer| *writer != self.writer);
    }
}

impl Journal for RamJournal {
    fn begin(&self, session: &str, folder: &str, began_ms: u64) -> Result<(), JournalError> {
        if session.is_empty() || session.len() > MAX_SESSION_NAME_BYTES {
            let reason =
                format!("{session:?} cannot name a session: a name has 1 to {MAX_SESSION_NAME_BYTES} bytes");
            return Err(failed(memory(), reason));
        }
        let mut state = self.state();
        if state.sessions.contains_key(session) {
            return Err(match state.held.get(session) {
                Some(writer) if *writer != self.writer => JournalError::Busy { session: session.to_owned() },
                _ => failed(memory(), format!("there is a session {session} already")),
            });
        }
        self.hold(&mut state, session)?;
        let info =
            SessionInfo { session: session.to_owned(), began_ms, folder: folder.to_owned(), events: 0 };
        state.begun += 1;
        let number = state.begun;
        state.sessions.insert(session.to_owned(), Session { info, number, records: Vec::new() });
        Ok(())
    }

    fn append(&self, session: &str, seq: u64, event: &Event) -> Result<(), JournalError> {
        let record = codec::encode(event).map_err(|reason| failed(memory(), reason))?;
        let mut state = self.state();
        if !state.sessions.contains_key(session) {
            return Err(not_found(session));
        }
        self.hold(&mut state, session)?;
        let Some(found) = state.sessions.get_mut(session) else { return Err(not_found(session)) };
        if seq != found.info.events {
            return Err(out_of_order(memory(), session, seq, found.info.events));
        }
        found.records.push(record);
        found.info.events += 1;
        Ok(())
    }

    fn load(&self, session: &str) -> Result<Vec<Event>, JournalError> {
        let state = self.state();
        let found = state.sessions.get(session).ok_or_else(|| not_found(session))?;
        found
            .records
            .iter()
            .map(|record| codec::decode(&record.json, record.crc).map_err(|e| failed(memory(), e)))
            .collect()
    }

    fn event(&self, session: &str, seq: u64) -> Result<Event, JournalError> {
        let state = self.state();
        let found = state.sessions.get(session).ok_or_else(|| not_found(session))?;
        let record = usize::try_from(seq).ok().and_then(|seq| found.records.get(seq));
        let record = record.ok_or_else(|| no_event(memory(), session, seq))?;
        codec::decode(&record.json, record.crc).map_err(|e| failed(memory(), e))
    }

    fn sessions(&self) -> Result<Vec<SessionInfo>, JournalError> {
        let state = self.state();
        let mut sessions: Vec<&Session> = state.sessions.values().collect();
        sessions.sort_by_key(|s| std::cmp::Reverse((s.info.began_ms, s.number)));
        Ok(sessions.into_iter().map(|s| s.info.clone()).collect())
    }
}

/// What stands where the path would.
fn memory() -> &'static Path {
    Path::new("(memory)")
}
