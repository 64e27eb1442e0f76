//! [`TantivyDisk`]: folders indexed with tantivy, on disk.
//!
//! Every mounted folder has an index of its own, in a folder named after a digest of its path:
//!
//! ```text
//! <index>/<digest>/root              the mounted folder's path
//!                  meta.json ...     tantivy's files
//!                  files.<n>         the table of files (see `state`)
//!                  writer.lock       held by who writes; writer.pid says who
//! ```
//!
//! So one folder's damage, rebuilding or unmounting never touches another's, and two processes
//! may index two folders at once. A file below two mounted folders is in both indexes; a search
//! gives each page once.

mod fault;
mod fuse;
mod gate;
mod lock;
mod reader;
mod schema;
mod state;
pub(crate) mod swap;
mod vectors;
mod writer;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lucid_kernel::port::{
    CancelFlag, Disk, DiskError, Embedder, Hit, Mount, MountOptions, MountProgress, MountReport,
};
use sha2::{Digest, Sha256};
use tantivy::Searcher;
use tantivy::schema::Term;

use self::fuse::CANDIDATES;
use self::gate::Gate;
use self::lock::WriterLock;
use self::reader::{Opened, Totals};
pub(crate) use self::schema::weighted;
use self::state::State;
use self::writer::Writer;
use crate::limits::Limits;
use crate::root;
use crate::scan::{self, Order};
use crate::words::{Words, query_terms};

/// tantivy's list of segments.
const META_FILE: &str = "meta.json";
/// Holds the mounted folder's path.
const ROOT_FILE: &str = "root";
/// A search gives at most this many pages.
const HITS_MAX: usize = 1_000;

/// A mounted folder and whether its index is sound.
pub type Checked = (String, Result<(), DiskError>);

/// Folders indexed with tantivy, on disk.
pub struct TantivyDisk {
    dir: PathBuf,
    limits: Limits,
    opened: Mutex<HashMap<PathBuf, Arc<Opened>>>,
    words: Mutex<Words>,
    embedder: Option<Arc<dyn Embedder>>,
}

impl TantivyDisk {
    /// Opens the indexes below `dir`, which is created if it is not there. A damaged one is
    /// reported when it is used, so that others can be used and it can be rebuilt.
    ///
    /// # Errors
    /// [`DiskError::Full`] and [`DiskError::Failed`] when `dir` cannot be made.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, DiskError> {
        fs::create_dir_all(dir).map_err(|error| fault::io("making the folder", dir, &error))?;
        let dir = dir.canonicalize().map_err(|error| fault::io("opening the folder", dir, &error))?;
        Ok(Self { dir, limits, opened: Mutex::default(), words: Mutex::default(), embedder: None })
    }

    /// Lets pages be found by their meaning too: those that [`Disk::embed`] has seen to.
    #[must_use]
    pub fn with_embedder(self, embedder: Arc<dyn Embedder>) -> Self {
        Self { embedder: Some(embedder), ..self }
    }

    /// A query's vector; none when it cannot be made, or is one name, which is found by its
    /// letters.
    fn meaning_of(&self, query: &str, terms: usize) -> Option<Vec<f32>> {
        let embedder = self.embedder.as_ref().filter(|_| terms > 1)?;
        // Words alone find pages too: what is wrong with the model is told where it is looked at.
        vectors::embed(embedder.as_ref(), &[query]).ok()?.into_iter().next()
    }

    /// Verifies every index whole, by its checksums: each mounted folder (or the index's own
    /// folder, when it no longer says which) and what is wrong with it.
    ///
    /// # Errors
    /// When the indexes cannot be listed.
    pub fn check(&self) -> Result<Vec<Checked>, DiskError> {
        let folders = self.folders()?;
        let checked = folders.into_iter().map(|folder| match read_root(&folder) {
            Ok(root) => {
                let sound = self.opened(&folder).and_then(|opened| opened.map_or(Ok(()), |it| it.verify()));
                (root, sound)
            }
            Err(error) => (folder.display().to_string(), Err(error)),
        });
        Ok(checked.collect())
    }

    /// Removes the indexes that [`TantivyDisk::check`] finds damaged; their folders must be
    /// mounted again. Gives the folders.
    ///
    /// # Errors
    /// [`DiskError::Busy`] and those of writing.
    pub fn remove_damaged(&self) -> Result<Vec<String>, DiskError> {
        let mut removed = Vec::new();
        for folder in self.folders()? {
            let root = read_root(&folder);
            let sound = root.as_ref().is_ok_and(|_| {
                let opened = self.opened(&folder);
                opened.and_then(|opened| opened.map_or(Ok(()), |it| it.verify())).is_ok()
            });
            if !sound {
                self.discard(&folder)?;
                removed.push(root.unwrap_or_else(|_| folder.display().to_string()));
            }
        }
        Ok(removed)
    }

    fn folder_of(&self, root: &str) -> PathBuf {
        const DIGEST_BYTES: usize = 8;
        let digest = Sha256::digest(root.as_bytes());
        self.dir.join(digest[..DIGEST_BYTES].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    /// The folders of all indexes.
    fn folders(&self) -> Result<Vec<PathBuf>, DiskError> {
        let failed = |error| fault::io("listing", &self.dir, &error);
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// The index in a folder; none while it is being made or taken away.
    fn opened(&self, folder: &Path) -> Result<Option<Arc<Opened>>, DiskError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = opened.get(folder) {
            return Ok(Some(Arc::clone(open)));
        }
        if is_unmade(folder) {
            return Ok(None);
        }
        let root = read_root(folder)?;
        let open =
            Arc::new(Opened::open(folder, &root, self.limits.verify_bytes_max, self.embedder.as_ref())?);
        opened.insert(folder.to_path_buf(), Arc::clone(&open));
        Ok(Some(open))
    }

    fn close(&self, folder: &Path) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(folder);
    }

    /// Removes a folder's index.
    fn discard(&self, folder: &Path) -> Result<(), DiskError> {
        let lock = WriterLock::take(folder)?;
        self.close(folder);
        // The root goes last: without it the rest is no index, with it the rest can be removed again.
        empty(folder, &[ROOT_FILE, lock::LOCK_FILE])?;
        drop(lock);
        fs::remove_dir_all(folder).map_err(|error| fault::io("removing", folder, &error))
    }

    /// The folder's index, ready to be written, and its state.
    fn prepare(
        &self,
        folder: &Path,
        root: &str,
        rebuild: bool,
    ) -> Result<(tantivy::Index, State), DiskError> {
        if rebuild {
            self.close(folder);
            empty(folder, &[lock::LOCK_FILE, lock::HOLDER_FILE, vectors::LOCK_FILE, vectors::VECTORS_FILE])?;
        }
        if is_unmade(folder) {
            let path = folder.join(ROOT_FILE);
            fs::write(&path, root).map_err(|error| fault::io("writing", &path, &error))?;
            return Ok((writer::create_index(folder)?, State::default()));
        }
        // Opening it as a reader checks it as one.
        let Some(opened) = self.opened(folder)? else {
            return Err(fault::damaged(folder, "it vanished"));
        };
        let (state, _) = opened.current()?;
        Ok((reader::open_index(folder)?, state))
    }

    fn searched(&self, roots: &[String]) -> Result<Vec<Arc<Opened>>, DiskError> {
        let folders = if roots.is_empty() {
            self.folders()?
        } else {
            let mut folders = Vec::new();
            for path in roots {
                let folder = self.folder_of(&root::resolve(path));
                if !folder.is_dir() {
                    return Err(DiskError::NotMounted { path: path.clone() });
                }
                folders.push(folder);
            }
            folders.sort();
            folders.dedup();
            folders
        };
        let opened = folders.iter().map(|folder| self.opened(folder));
        opened.filter_map(Result::transpose).collect()
    }
}

impl Disk for TantivyDisk {
    fn mount(
        &self,
        root: &str,
        options: &MountOptions,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(&MountProgress),
    ) -> Result<MountReport, DiskError> {
        let path = root::canonical(root)?;
        let root = root::display(&path);
        let folder = self.folder_of(&root);
        fs::create_dir_all(&folder).map_err(|error| fault::io("making the folder", &folder, &error))?;
        let _lock = WriterLock::take(&folder)?;
        let (index, state) = self.prepare(&folder, &root, options.rebuild)?;
        let table = state::load_table(&folder, &state)?;
        let mut writer = Writer::new(&folder, index, state, &self.limits)?;
        writer.set_hidden(options.hidden);
        let gate = Gate::default();
        let pack = |file| schema::pack(&file, |bytes| gate.enter(bytes));
        let order = Order { root: &path, options, limits: &self.limits, cancel, table: &table };
        let summary = match scan::scan(&order, &pack, &mut writer, on_progress) {
            Ok(summary) => summary,
            Err(error) => {
                writer.abandon();
                return Err(error);
            }
        };
        let complete = !summary.cancelled && summary.cut_short.is_none();
        let state = writer.finish(table, complete)?;
        if let Some(reason) = summary.cut_short {
            return Err(DiskError::Mount { path: root, reason });
        }
        let (skipped, examples) = summary.skips.into_parts();
        Ok(MountReport {
            root,
            files: state.files,
            read: summary.read,
            removed: summary.removed,
            pages: state.pages,
            bytes: summary.bytes,
            skipped,
            examples,
            cancelled: summary.cancelled,
        })
    }

    fn unmount(&self, root: &str) -> Result<(), DiskError> {
        let folder = self.folder_of(&root::resolve(root));
        if !folder.is_dir() {
            return Err(DiskError::NotMounted { path: root.to_owned() });
        }
        self.discard(&folder)
    }

    fn mounts(&self) -> Result<Vec<Mount>, DiskError> {
        let mut mounts = Vec::new();
        for folder in self.folders()? {
            let Some(opened) = self.opened(&folder)? else { continue };
            let (state, _) = opened.current()?;
            mounts.push(Mount {
                root: opened.root.clone(),
                options: state.options(),
                files: state.files,
                pages: state.pages,
                complete: state.complete,
            });
        }
        mounts.sort_by(|one, other| one.root.cmp(&other.root));
        Ok(mounts)
    }

    fn search(&self, query: &str, roots: &[String], at_most: usize) -> Result<Vec<Hit>, DiskError> {
        let at_most = at_most.min(HITS_MAX);
        let opened = self.searched(roots)?;
        let terms = query_terms(query, &mut self.words.lock().unwrap_or_else(PoisonError::into_inner));
        if terms.is_empty() || opened.is_empty() || at_most == 0 {
            return Ok(Vec::new());
        }
        let terms: Vec<Term> =
            terms.iter().map(|term| Term::from_field_text(schema::terms_field(), term)).collect();
        let searchers =
            opened.iter().map(|opened| Ok(opened.current()?.1)).collect::<Result<Vec<_>, DiskError>>()?;
        let totals = Totals::of(&searchers.iter().collect::<Vec<_>>(), &terms)
            .map_err(|error| fault::reading(&self.dir, &error))?;
        let asked = terms.len();
        let terms = totals.rarest(terms, self.limits.query_terms_max);
        let has_vectors = |(opened, searcher): (&Arc<Opened>, &Searcher)| opened.has_vectors(searcher);
        let has_vectors = opened.iter().zip(&searchers).any(has_vectors);
        let query = if has_vectors { self.meaning_of(query, asked) } else { None };
        let looked_at = if query.is_some() { at_most.max(CANDIDATES) } else { at_most };
        let mut found = Vec::new();
        for (at, (opened, searcher)) in opened.iter().zip(&searchers).enumerate() {
            let candidates = opened.candidates(searcher, &terms, &totals, query.as_deref(), looked_at)?;
            found.extend(candidates.into_iter().map(|candidate| (at, candidate)));
        }
        let scores = fuse::fused(found.iter().map(|(_, candidate)| candidate));
        let mut scored: Vec<_> = scores.into_iter().zip(found).collect();
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut hits = Vec::new();
        let mut seen = HashSet::new();
        for (score, (at, candidate)) in scored {
            if hits.len() == at_most {
                break;
            }
            let hit = opened[at].load(&searchers[at], score, candidate.page)?;
            // A file below two mounted folders is in both indexes.
            if opened.len() == 1 || seen.insert(hit.range.clone()) {
                hits.push(hit);
            }
        }
        Ok(hits)
    }

    fn embed(&self, root: &str, at_most: usize, cancel: &CancelFlag) -> Result<u64, DiskError> {
        let folder = self.folder_of(&root::resolve(root));
        if !folder.is_dir() {
            return Err(DiskError::NotMounted { path: root.to_owned() });
        }
        let Some(opened) = self.opened(&folder)? else { return Ok(0) };
        let Some(vectors) = &opened.vectors else { return Ok(0) };
        vectors.update(&opened.current()?.1, at_most, cancel)
    }
}

/// Whether there is no index yet, and none that lost its list of segments either.
fn is_unmade(folder: &Path) -> bool {
    !folder.join(META_FILE).exists() && !has_segments(folder)
}

fn has_segments(folder: &Path) -> bool {
    let is_segment =
        |name: &std::ffi::OsStr| Path::new(name).extension().is_some_and(|ending| ending == "store");
    fs::read_dir(folder).is_ok_and(|entries| entries.flatten().any(|entry| is_segment(&entry.file_name())))
}

fn read_root(folder: &Path) -> Result<String, DiskError> {
    fs::read_to_string(folder.join(ROOT_FILE))
        .map_err(|error| fault::damaged(folder, format!("its file {ROOT_FILE} cannot be read: {error}")))
}

/// Removes all files of a folder but these.
fn empty(folder: &Path, but: &[&str]) -> Result<(), DiskError> {
    let failed = |error| fault::io("emptying", folder, &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !but.iter().any(|name| entry.file_name() == *name) {
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
    }
    Ok(())
}
