//! Writes one folder's index, in commits that a crash cannot tear.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lucid_kernel::port::DiskError;
use tantivy::indexer::{IndexWriterOptions, UserOperation};
use tantivy::schema::Term;
use tantivy::{Directory, Index, IndexWriter, TantivyError};

use super::lock::{HOLDER_FILE, LOCK_FILE};
use super::schema::{self, Packed, PageDoc};
use super::state::{State, TableLog, table_path};
use super::{META_FILE, ROOT_FILE, fault, reader, vectors};
use crate::limits::Limits;
use crate::scan::{Done, Entry, Key, Store, Table};

/// Files that tantivy keeps beside the segments.
const TANTIVY_FILES: [&str; 3] = [".managed.json", ".tantivy-writer.lock", ".tantivy-meta.lock"];
/// Threads that merge segments.
const MERGE_THREADS: usize = 1;

/// The files of one index while they are written.
pub(crate) struct Writer {
    folder: PathBuf,
    limits: Limits,
    index: Index,
    /// None until there is something to write: it costs threads and memory.
    tantivy: Option<IndexWriter<PageDoc>>,
    state: State,
    log: TableLog,
    /// What the table will be, if it must be written anew.
    changes: Vec<(Key, Option<Entry>)>,
    committed: Instant,
    uncommitted_bytes: u64,
    /// Whether anything differs from the last commit.
    dirty: bool,
}

impl Writer {
    /// Begins at the last commit; what a dead writer left is removed.
    pub(crate) fn new(folder: &Path, index: Index, state: State, limits: &Limits) -> Result<Self, DiskError> {
        let log = TableLog::resume(folder, &state);
        let writer = Self {
            folder: folder.to_path_buf(),
            limits: limits.clone(),
            index,
            tantivy: None,
            state,
            log,
            changes: Vec::new(),
            committed: Instant::now(),
            uncommitted_bytes: 0,
            dirty: false,
        };
        writer.sweep();
        Ok(writer)
    }

    /// How it is mounted from now on.
    pub(crate) fn set_hidden(&mut self, hidden: bool) {
        self.dirty |= self.state.hidden != hidden;
        self.state.hidden = hidden;
    }

    /// Makes everything safe. With `complete`, indexing has run to its end.
    pub(crate) fn finish(mut self, mut table: Table, complete: bool) -> Result<State, DiskError> {
        if complete && !self.state.complete {
            self.state.complete = true;
            self.dirty = true;
        }
        let live = self.live_entries(&table);
        if complete && self.dirty && self.state.is_wasteful(live) {
            for (key, entry) in self.changes.drain(..) {
                match entry {
                    Some(entry) => table.insert(key, entry),
                    None => table.remove(&key),
                };
            }
            self.log = TableLog::rewrite(&self.folder, &self.state, &table);
            self.state.table += 1;
        }
        if self.dirty {
            self.commit()?;
        }
        let merged = self.tantivy.take().filter(|_| complete).map(IndexWriter::wait_merging_threads);
        // A merge that fails leaves the segments as they were.
        drop(merged);
        self.sweep();
        Ok(self.state.clone())
    }

    /// Gives up what was not committed and removes it.
    pub(crate) fn abandon(mut self) {
        self.tantivy = None;
        self.sweep();
    }

    fn live_entries(&self, table: &Table) -> u64 {
        let mut live = table.len() as u64;
        for (key, entry) in &self.changes {
            match (table.contains_key(key), entry) {
                (false, Some(_)) => live += 1,
                (true, None) => live = live.saturating_sub(1),
                _ => {}
            }
        }
        live
    }

    fn commit(&mut self) -> Result<(), DiskError> {
        (self.state.table_bytes, self.state.table_records) = self.log.flush()?;
        let payload = serde_json::to_string(&self.state).map_err(|error| DiskError::Failed {
            what: format!("writing the index in {}", self.folder.display()),
            reason: error.to_string(),
        })?;
        self.open_tantivy()?;
        let Some(tantivy) = &mut self.tantivy else { return Ok(()) };
        let committed = tantivy.prepare_commit().and_then(|mut prepared| {
            prepared.set_payload(&payload);
            prepared.commit()
        });
        committed.map_err(|error| fault::writing(&self.folder, &error))?;
        self.committed = Instant::now();
        self.uncommitted_bytes = 0;
        self.dirty = false;
        Ok(())
    }

    fn open_tantivy(&mut self) -> Result<(), DiskError> {
        if self.tantivy.is_some() {
            return Ok(());
        }
        let options = IndexWriterOptions::builder()
            .num_worker_threads(self.limits.threads())
            .memory_budget_per_thread(self.limits.writer_memory_bytes)
            .num_merge_threads(MERGE_THREADS)
            .build();
        let opened = self.index.writer_with_options(options);
        self.tantivy = Some(opened.map_err(|error| fault::writing(&self.folder, &error))?);
        Ok(())
    }

    fn run(&mut self, operations: Vec<UserOperation<PageDoc>>) -> Result<(), DiskError> {
        self.dirty = true;
        if operations.is_empty() {
            return Ok(());
        }
        self.open_tantivy()?;
        let ran = self.tantivy.as_ref().map(|tantivy| tantivy.run(operations));
        match ran {
            Some(Err(error)) => Err(self.why(&error)),
            _ => Ok(()),
        }
    }

    /// A sender learns only that indexing stopped; the threads themselves know why.
    fn why(&mut self, error: &TantivyError) -> DiskError {
        let inner = self.tantivy.as_mut().and_then(|tantivy| tantivy.prepare_commit().err());
        fault::writing(&self.folder, inner.as_ref().unwrap_or(error))
    }

    /// Removes every file that the last commit does not need. Errors are left for the next time.
    fn sweep(&self) {
        let _ = self.try_sweep();
    }

    fn try_sweep(&self) -> Result<(), DiskError> {
        let reading = |error: TantivyError| fault::reading(&self.folder, &error);
        let directory = self.index.directory();
        // Another process that opens the files just now holds this lock meanwhile.
        let _lock =
            directory.acquire_lock(&tantivy::directory::META_LOCK).map_err(|error| reading(error.into()))?;
        let metas = self.index.load_metas().map_err(reading)?;
        let state = State::parse(&self.folder, metas.payload.as_deref())?;
        let mut needed: HashSet<PathBuf> = metas.segments.iter().flat_map(reader::segment_files).collect();
        needed.extend([META_FILE, ROOT_FILE, LOCK_FILE, HOLDER_FILE].map(PathBuf::from));
        needed.extend(TANTIVY_FILES.map(PathBuf::from));
        needed.extend(table_path(&self.folder, state.table).file_name().map(PathBuf::from));
        let listed =
            fs::read_dir(&self.folder).map_err(|error| fault::io("listing", &self.folder, &error))?;
        for entry in listed.flatten() {
            let name = entry.file_name();
            if !needed.contains(Path::new(&name)) && !vectors::is_ours(Path::new(&name)) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    fn note(&mut self, key: Key, entry: Option<Entry>) {
        match &entry {
            Some(entry) => self.log.put(&key, entry),
            None => self.log.remove(&key),
        }
        self.changes.push((key, entry));
    }

    fn forget(&mut self, old: &Entry) -> Option<UserOperation<PageDoc>> {
        if !old.binary {
            self.state.files = self.state.files.saturating_sub(1);
            self.state.pages = self.state.pages.saturating_sub(u64::from(old.pages));
        }
        (old.pages > 0).then(|| UserOperation::Delete(Term::from_field_u64(schema::file_field(), old.id)))
    }
}

impl Store<Packed> for Writer {
    fn put(&mut self, file: Done<Packed>, old: Option<&Entry>) -> Result<(), DiskError> {
        let mut operations: Vec<_> = old.and_then(|old| self.forget(old)).into_iter().collect();
        let id = self.state.next_id;
        self.state.next_id += 1;
        let binary = file.packed.is_none();
        let pages = file.packed.as_ref().map_or(0, Packed::len);
        self.state.files += u64::from(!binary);
        self.state.pages += pages as u64;
        if let Some(packed) = file.packed {
            self.uncommitted_bytes += file.stat.size;
            operations.extend(packed.into_pages(id).map(UserOperation::Add));
        }
        self.run(operations)?;
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        self.note(file.key, Some(Entry { id, stat: file.stat, pages, binary }));
        Ok(())
    }

    fn remove(&mut self, key: &[u8], old: &Entry) -> Result<(), DiskError> {
        let operations = self.forget(old).into_iter().collect();
        self.run(operations)?;
        self.note(key.into(), None);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), DiskError> {
        let interval = Duration::from_millis(self.limits.commit_interval_ms);
        let due = self.committed.elapsed() >= interval || self.uncommitted_bytes >= self.limits.commit_bytes;
        if self.dirty && due { self.commit() } else { Ok(()) }
    }
}

/// Makes a new, empty index in a folder.
pub(crate) fn create_index(folder: &Path) -> Result<Index, DiskError> {
    let writing = |error: TantivyError| fault::writing(folder, &error);
    let builder = Index::builder().schema(schema::schema()).settings(schema::settings());
    builder.create_in_dir(folder).map_err(writing)?;
    reader::open_index(folder)
}
