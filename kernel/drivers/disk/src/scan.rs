//! Brings what is held of a folder up to date: walks it, reads and cuts what changed on several
//! threads, and hands it to a [`Store`] on the calling thread.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use lucid_kernel::port::{CancelFlag, DiskError, MountOptions, MountProgress, Skip};

use crate::cut::{self, Cut, Kind};
use crate::decode::Decoded;
use crate::limits::Limits;
use crate::read;
use crate::stat::Stat;
use crate::walk::{Step, Walk};

/// Files that wait to be read.
const JOBS_MAX: usize = 256;
/// Files that were cut and wait to be stored.
const DONE_MAX: usize = 16;
/// How often progress is told when nothing else happens.
const TICK: Duration = Duration::from_millis(100);
/// How many skipped files are named.
const EXAMPLES_MAX: usize = 20;
/// How many reasons there are to skip.
const SKIPS: usize = 7;

/// A file's path below the folder, as the platform encodes it.
pub(crate) type Key = Box<[u8]>;

/// What is held of each file.
pub(crate) type Table = HashMap<Key, Entry>;

/// What is held of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Names its pages in the index.
    pub(crate) id: u64,
    /// The file as it was read.
    pub(crate) stat: Stat,
    /// How many pages it has.
    pub(crate) pages: u32,
    /// Whether it is no text: known so that it need not be read again.
    pub(crate) binary: bool,
}

/// A file that was read and cut.
pub(crate) struct CutFile {
    /// Path below the folder, with `/`.
    pub(crate) name: String,
    pub(crate) decoded: Decoded,
    pub(crate) cut: Cut,
}

/// A file as the store gets it.
pub(crate) struct Done<P> {
    pub(crate) key: Key,
    pub(crate) stat: Stat,
    /// None when it is no text.
    pub(crate) packed: Option<P>,
}

/// Where files go.
pub(crate) trait Store<P> {
    /// Replaces what is held of a file.
    fn put(&mut self, file: Done<P>, old: Option<&Entry>) -> Result<(), DiskError>;

    /// Drops what is held of a file.
    fn remove(&mut self, key: &[u8], old: &Entry) -> Result<(), DiskError>;

    /// Called often: makes safe what was put, when it is time.
    fn tick(&mut self) -> Result<(), DiskError>;
}

/// What is to be scanned.
pub(crate) struct Order<'a> {
    pub(crate) root: &'a Path,
    pub(crate) options: &'a MountOptions,
    pub(crate) limits: &'a Limits,
    pub(crate) cancel: &'a CancelFlag,
    /// What is held so far.
    pub(crate) table: &'a Table,
}

/// What a scan came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) read: u64,
    pub(crate) bytes: u64,
    pub(crate) removed: u64,
    pub(crate) skips: Skips,
    pub(crate) cancelled: bool,
    /// Why the walk ended early, if it did.
    pub(crate) cut_short: Option<String>,
}

/// How many files were skipped, by reason.
type Counts = Vec<(Skip, u64)>;

/// Some of the skipped files.
type Examples = Vec<(Skip, String)>;

/// What was skipped, and why.
#[derive(Debug, Default)]
pub(crate) struct Skips {
    counts: [u64; SKIPS],
    examples: Vec<(Skip, String)>,
}

impl Skips {
    fn add(&mut self, skip: Skip, path: &Path) {
        self.counts[skip as usize] += 1;
        let is_notable = matches!(skip, Skip::TooLarge | Skip::Unreadable | Skip::Changed);
        if is_notable && self.examples.len() < EXAMPLES_MAX {
            self.examples.push((skip, path.to_string_lossy().into_owned()));
        }
    }

    fn merge(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }

    /// Counts in the order of [`Skip`], without the zeros, and examples.
    pub(crate) fn into_parts(self) -> (Counts, Examples) {
        const ORDER: [Skip; SKIPS] = [
            Skip::Binary,
            Skip::TooLarge,
            Skip::Hidden,
            Skip::Ignored,
            Skip::Secret,
            Skip::Unreadable,
            Skip::Changed,
        ];
        let counts = ORDER.into_iter().map(|skip| (skip, self.counts[skip as usize]));
        (counts.filter(|(_, count)| *count > 0).collect(), self.examples)
    }
}

/// A file to be read.
struct Job {
    path: PathBuf,
    key: Key,
    stat: Stat,
}

/// What became of a job.
struct Finished<P> {
    job: Job,
    /// Packed text, or none for no text, and the bytes read; or why not.
    result: Result<(Option<P>, u64), Skip>,
}

/// What all threads see.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    found: AtomicU64,
    done: AtomicU64,
}

/// What the walk came to.
struct Walked<'t> {
    seen: HashSet<&'t [u8]>,
    skips: Skips,
    cut_short: Option<String>,
    root_unreadable: Option<String>,
}

/// Runs a scan to its end, or until it is cancelled. `pack` runs on the reading threads.
///
/// # Errors
/// The store's, and [`DiskError::Mount`] when the folder cannot be listed.
pub(crate) fn scan<P: Send>(
    order: &Order<'_>,
    pack: &(dyn Fn(CutFile) -> P + Sync),
    store: &mut dyn Store<P>,
    on_progress: &mut dyn FnMut(&MountProgress),
) -> Result<Summary, DiskError> {
    let shared = Shared::default();
    let (jobs_in, jobs) = bounded(JOBS_MAX);
    let (done_in, done) = bounded(DONE_MAX);
    let mut summary = Summary::default();
    let walked = std::thread::scope(|scope| {
        for _ in 0..order.limits.threads() {
            let (jobs, done_in, shared) = (jobs.clone(), done_in.clone(), &shared);
            scope.spawn(move || read_all(order.root, &jobs, &done_in, pack, shared));
        }
        drop((jobs, done_in));
        let walker = scope.spawn(|| walk(order, jobs_in, &shared));
        let stored = collect(order, done, &shared, store, &mut summary, on_progress);
        shared.stop.store(true, Ordering::Relaxed);
        let walked = walker.join().map_err(|_| DiskError::Failed {
            what: format!("walking {}", order.root.display()),
            reason: "an internal fault; please report it".into(),
        });
        stored.and(walked)
    })?;
    if let Some(reason) = walked.root_unreadable {
        return Err(DiskError::Mount { path: order.root.display().to_string(), reason });
    }
    summary.skips.merge(walked.skips);
    summary.cut_short = walked.cut_short;
    if !summary.cancelled && summary.cut_short.is_none() {
        remove_vanished(order.table, &walked.seen, store, &mut summary)?;
    }
    Ok(summary)
}

fn remove_vanished<P>(
    table: &Table,
    seen: &HashSet<&[u8]>,
    store: &mut dyn Store<P>,
    summary: &mut Summary,
) -> Result<(), DiskError> {
    for (key, entry) in table.iter().filter(|(key, _)| !seen.contains(key.as_ref())) {
        store.remove(key, entry)?;
        summary.removed += u64::from(!entry.binary);
    }
    Ok(())
}

/// The calling thread's part: store what comes, tell how far it is, look at the flag.
fn collect<P>(
    order: &Order<'_>,
    done: Receiver<Finished<P>>,
    shared: &Shared,
    store: &mut dyn Store<P>,
    summary: &mut Summary,
    on_progress: &mut dyn FnMut(&MountProgress),
) -> Result<(), DiskError> {
    let mut path = String::new();
    loop {
        if order.cancel.is_cancelled() {
            summary.cancelled = true;
            return Ok(());
        }
        match done.recv_timeout(TICK) {
            Ok(finished) => {
                path = finished.job.path.to_string_lossy().into_owned();
                take(order, finished, store, summary)?;
                shared.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        store.tick()?;
        on_progress(&progress(shared, summary.bytes, path.clone()));
    }
    on_progress(&progress(shared, summary.bytes, path));
    Ok(())
}

fn progress(shared: &Shared, bytes: u64, path: String) -> MountProgress {
    MountProgress {
        files_done: shared.done.load(Ordering::Relaxed),
        files_found: shared.found.load(Ordering::Relaxed),
        bytes,
        path,
    }
}

fn take<P>(
    order: &Order<'_>,
    finished: Finished<P>,
    store: &mut dyn Store<P>,
    summary: &mut Summary,
) -> Result<(), DiskError> {
    let Finished { job, result } = finished;
    let old = order.table.get(&job.key);
    match result {
        Ok((packed, bytes)) => {
            if packed.is_some() {
                summary.read += 1;
                summary.bytes += bytes;
            } else {
                summary.skips.add(Skip::Binary, &job.path);
                summary.removed += u64::from(old.is_some_and(|old| !old.binary));
            }
            store.put(Done { key: job.key, stat: job.stat, packed }, old)
        }
        Err(skip) => {
            summary.skips.add(skip, &job.path);
            match old {
                // What was indexed of it stays until the file holds still.
                Some(old) if skip != Skip::Changed => {
                    summary.removed += u64::from(!old.binary);
                    store.remove(&job.key, old)
                }
                _ => Ok(()),
            }
        }
    }
}

/// A reading thread.
fn read_all<P>(
    root: &Path,
    jobs: &Receiver<Job>,
    done: &Sender<Finished<P>>,
    pack: &(dyn Fn(CutFile) -> P + Sync),
    shared: &Shared,
) {
    for job in jobs {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        // A fault in a decoder or splitter costs its file, not the mount.
        let result = catch_unwind(AssertUnwindSafe(|| read_one(root, &job, pack)));
        let result = result.unwrap_or(Err(Skip::Unreadable));
        if done.send(Finished { job, result }).is_err() {
            return;
        }
    }
}

fn read_one<P>(
    root: &Path,
    job: &Job,
    pack: &(dyn Fn(CutFile) -> P + Sync),
) -> Result<(Option<P>, u64), Skip> {
    match read::read(&job.path, &job.stat) {
        Ok(decoded) => {
            let name = name_below(root, &job.path);
            let cut = cut::cut(&decoded.text, Kind::of(&name));
            Ok((Some(pack(CutFile { name, decoded, cut })), job.stat.size))
        }
        Err(Skip::Binary) => Ok((None, 0)),
        Err(skip) => Err(skip),
    }
}

/// The walking thread.
fn walk<'t>(order: &Order<'t>, jobs: Sender<Job>, shared: &Shared) -> Walked<'t> {
    let mut walked =
        Walked { seen: HashSet::new(), skips: Skips::default(), cut_short: None, root_unreadable: None };
    for step in Walk::new(order.root, order.options) {
        if shared.stop.load(Ordering::Relaxed) || order.cancel.is_cancelled() {
            break;
        }
        match step {
            Step::RootUnreadable { reason } => {
                walked.root_unreadable = Some(reason);
                break;
            }
            Step::Skipped { path, skip } => {
                if skip == Skip::Changed
                    && let Some((key, _)) = order.table.get_key_value(key_of(order.root, &path).as_ref())
                {
                    walked.seen.insert(key);
                }
                walked.skips.add(skip, &path);
            }
            Step::File { path, stat } => {
                if shared.found.fetch_add(1, Ordering::Relaxed) >= order.limits.files_max {
                    let most = order.limits.files_max;
                    walked.cut_short = Some(format!("it has more than {most} files; mount a smaller folder"));
                    break;
                }
                match visit(order, path, stat, &mut walked) {
                    Some(job) => {
                        if jobs.send(job).is_err() {
                            break;
                        }
                    }
                    None => {
                        shared.done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }
    walked
}

/// Notes a file; gives the job to read it if that must be.
fn visit<'t>(order: &Order<'t>, path: PathBuf, stat: Stat, walked: &mut Walked<'t>) -> Option<Job> {
    if stat.size > order.limits.file_bytes_max {
        walked.skips.add(Skip::TooLarge, &path);
        return None;
    }
    let key = key_of(order.root, &path);
    if let Some((known, entry)) = order.table.get_key_value(&key) {
        walked.seen.insert(known);
        if entry.stat == stat {
            if entry.binary {
                walked.skips.add(Skip::Binary, &path);
            }
            return None;
        }
    }
    Some(Job { path, key, stat })
}

fn key_of(root: &Path, path: &Path) -> Key {
    path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes().into()
}

/// The path below the folder as it is shown, with `/`.
fn name_below(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path).to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' {
        below.into_owned()
    } else {
        below.replace(std::path::MAIN_SEPARATOR, "/")
    }
}
