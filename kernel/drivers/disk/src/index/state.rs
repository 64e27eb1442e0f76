//! What an index knows beside its pages: how it was mounted, and the table of its files.
//!
//! The table is a log that only grows: blocks of changes, each with its length and checksum.
//! How much of it counts stands in the commit's own payload, which tantivy replaces in one step
//! together with its list of segments. So pages and table always agree, whenever the process
//! dies; what lies beyond the counted length is cut off by the next writer.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lucid_kernel::port::{DiskError, MountOptions};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fault;
use crate::scan::{Entry, Table};
use crate::stat::Stat;

/// The version of everything in a folder of an index. Another one is rebuilt.
pub(crate) const FORMAT: u32 = 1;
/// A block's head: length and checksum, in bytes.
const HEAD_BYTES: usize = 12;
/// No table is larger, in bytes.
const TABLE_BYTES_MAX: u64 = 4 << 30;
/// A table with more than this share of dead records is written anew (2: half of them).
const DEAD_SHARE: u64 = 2;
/// Fewer dead records than this are no reason to.
const DEAD_MIN: u64 = 1_000;

/// The payload of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// Hidden and secret files too.
    pub(crate) hidden: bool,
    /// Whether indexing has run to its end once.
    pub(crate) complete: bool,
    /// Files in the index.
    pub(crate) files: u64,
    /// Pages in the index.
    pub(crate) pages: u64,
    /// The id that the next file gets.
    pub(crate) next_id: u64,
    /// The number in the table's name.
    pub(crate) table: u64,
    /// How much of the table counts.
    pub(crate) table_bytes: u64,
    /// Records in it, dead ones too.
    pub(crate) table_records: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            hidden: false,
            complete: false,
            files: 0,
            pages: 0,
            next_id: 1,
            table: 0,
            table_bytes: 0,
            table_records: 0,
        }
    }
}

impl State {
    /// Reads a payload; none is an index without a commit.
    pub(crate) fn parse(folder: &Path, payload: Option<&str>) -> Result<Self, DiskError> {
        let Some(payload) = payload else { return Ok(Self::default()) };
        let state: Self = serde_json::from_str(payload)
            .map_err(|error| fault::damaged(folder, format!("its state cannot be read: {error}")))?;
        if state.format == FORMAT {
            return Ok(state);
        }
        Err(fault::damaged(folder, format!("it is of format {}, this lucid writes {FORMAT}", state.format)))
    }

    pub(crate) fn options(&self) -> MountOptions {
        MountOptions { hidden: self.hidden, rebuild: false }
    }

    /// Whether so many records are dead that the table should be written anew.
    pub(crate) fn is_wasteful(&self, live: u64) -> bool {
        let dead = self.table_records.saturating_sub(live);
        dead > DEAD_MIN && dead * DEAD_SHARE > self.table_records
    }
}

/// The table's file.
pub(crate) fn table_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("files.{number}"))
}

/// Reads the table that a state counts.
pub(crate) fn load_table(folder: &Path, state: &State) -> Result<Table, DiskError> {
    let mut table = Table::new();
    if state.table_bytes == 0 {
        return Ok(table);
    }
    let path = table_path(folder, state.table);
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => fault::damaged(folder, "its table of files is missing"),
        _ => fault::io("reading", &path, &error),
    })?;
    let counted = usize::try_from(state.table_bytes).ok().and_then(|end| bytes.get(..end));
    counted
        .and_then(|counted| replay(counted, &mut table))
        .ok_or_else(|| fault::damaged(folder, "its table of files cannot be read"))?;
    Ok(table)
}

fn replay(mut rest: &[u8], table: &mut Table) -> Option<()> {
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(HEAD_BYTES)?;
        let length = u32::from_le_bytes(head[..4].try_into().ok()?) as usize;
        let (block, after) = after.split_at_checked(length)?;
        if checksum(block) != head[4..] {
            return None;
        }
        let mut reader = Reader(block);
        while !reader.0.is_empty() {
            let (key, entry) = reader.record()?;
            match entry {
                Some(entry) => table.insert(key.into(), entry),
                None => table.remove(key),
            };
        }
        rest = after;
    }
    Some(())
}

fn checksum(block: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(block);
    let mut short = [0; 8];
    short.copy_from_slice(&digest[..8]);
    short
}

/// Appends changes to the table and makes them safe. They count once a commit says so.
pub(crate) struct TableLog {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    block: Vec<u8>,
    records: u64,
}

impl TableLog {
    /// Goes on where the state's table ends.
    pub(crate) fn resume(folder: &Path, state: &State) -> Self {
        let path = table_path(folder, state.table);
        Self { path, file: None, bytes: state.table_bytes, block: Vec::new(), records: state.table_records }
    }

    /// Begins the next table with all of these entries.
    pub(crate) fn rewrite(folder: &Path, state: &State, table: &Table) -> Self {
        let path = table_path(folder, state.table + 1);
        let mut log = Self { path, file: None, bytes: 0, block: Vec::new(), records: 0 };
        for (key, entry) in table {
            log.put(key, entry);
        }
        log
    }

    pub(crate) fn put(&mut self, key: &[u8], entry: &Entry) {
        self.head(1 + u8::from(entry.binary), key);
        for number in [
            entry.id,
            entry.stat.size,
            entry.stat.mtime_ns as u64,
            entry.stat.ctime_ns as u64,
            entry.stat.inode,
        ] {
            self.block.extend(number.to_le_bytes());
        }
        self.block.extend(entry.pages.to_le_bytes());
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.head(0, key);
    }

    fn head(&mut self, tag: u8, key: &[u8]) {
        self.records += 1;
        self.block.push(tag);
        self.block.extend((key.len() as u32).to_le_bytes());
        self.block.extend(key);
    }

    /// Writes what was noted; gives the length that counts from now on, and the records in it.
    pub(crate) fn flush(&mut self) -> Result<(u64, u64), DiskError> {
        if self.block.is_empty() {
            return Ok((self.bytes, self.records));
        }
        let block = std::mem::take(&mut self.block);
        self.append(&block).map_err(|error| fault::io("writing", &self.path, &error))?;
        self.bytes += (HEAD_BYTES + block.len()) as u64;
        if self.bytes > TABLE_BYTES_MAX {
            return Err(DiskError::Failed {
                what: format!("writing {}", self.path.display()),
                reason: "the table of files is too large; mount a smaller folder".into(),
            });
        }
        Ok((self.bytes, self.records))
    }

    fn append(&mut self, block: &[u8]) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = File::options().create(true).truncate(false).write(true).open(&self.path)?;
                // What a dead writer left behind its last commit.
                file.set_len(self.bytes)?;
                file.seek(SeekFrom::End(0))?;
                none.insert(file)
            }
        };
        let length = u32::try_from(block.len()).map_err(std::io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(&checksum(block))?;
        file.write_all(block)?;
        file.sync_data()
    }
}

/// Reads records; none at the first that makes no sense.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn record(&mut self) -> Option<(&'a [u8], Option<Entry>)> {
        let tag = self.take(1)?[0];
        let key_bytes = u32::from_le_bytes(self.take(4)?.try_into().ok()?) as usize;
        let key = self.take(key_bytes)?;
        if tag == 0 {
            return Some((key, None));
        }
        let id = self.number()?;
        let stat = Stat {
            size: self.number()?,
            mtime_ns: self.number()? as i64,
            ctime_ns: self.number()? as i64,
            inode: self.number()?,
        };
        let pages = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        (tag <= 2).then_some((key, Some(Entry { id, stat, pages, binary: tag == 2 })))
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }
}
