//! [`RamDisk`]: the same promises in memory, for tests and for texts that are no files, such as
//! piped standard input.
//!
//! Scores are BM25 with the constants that tantivy uses (k1 = 1.2, b = 0.75; Robertson and
//! Zaragoza, "The Probabilistic Relevance Framework", 2009) over the same terms and weights, but
//! with exact lengths, so they may differ a little.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use lucid_kernel::abi::{FileRange, PageId};
use lucid_kernel::port::{
    CancelFlag, Disk, DiskError, Hit, Mount, MountOptions, MountProgress, MountReport, Swap, SwapHit,
};

use crate::cut::{self, Kind};
use crate::decode::Decoded;
use crate::index::swap::{RARE_WORDS, add_new, as_swapped, pieces};
use crate::index::weighted;
use crate::limits::Limits;
use crate::root;
use crate::scan::{self, CutFile, Done, Entry, Key, Order, Store, Table};
use crate::words::{Words, query_terms};

const K1: f32 = 1.2;
const B: f32 = 0.75;

/// Folders and texts indexed in memory.
#[derive(Default)]
pub struct RamDisk {
    limits: Limits,
    /// What searching sees. Replaced as a whole.
    shelves: RwLock<Vec<Arc<Shelf>>>,
    /// Held while something is changed.
    writing: Mutex<()>,
}

/// One mounted folder, or one text.
#[derive(Clone)]
struct Shelf {
    root: String,
    is_folder: bool,
    options: MountOptions,
    complete: bool,
    table: Table,
    files: HashMap<Key, Arc<Vec<RamPage>>>,
    /// Per term: file, page in it, how often.
    postings: HashMap<String, Vec<(Key, u32, u32)>>,
    pages: u64,
    tokens: u64,
}

/// A page and how many terms it has.
struct RamPage {
    hit: Hit,
    terms: Vec<String>,
}

impl RamDisk {
    /// An empty disk.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Makes a text searchable under a name, replacing what had it. Lines and bytes are those of
    /// the text itself; a name that ends like a file's (`notes.md`) tells how to cut it. `search`
    /// finds it when no roots are given, or its name is among them.
    pub fn add_text(&self, name: &str, text: &str) {
        let cut = cut::cut(text, Kind::of(name));
        self.add_cut(&CutFile { name: name.to_owned(), decoded: Decoded::plain(text.to_owned()), cut });
    }

    /// Makes what was cut already searchable under its name.
    fn add_cut(&self, file: &CutFile) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shelf = Shelf::new(&file.name, false, MountOptions::default());
        shelf.files.insert(file.name.as_bytes().into(), Arc::new(pages_of("", file)));
        shelf.complete = true;
        shelf.count();
        self.replace(&file.name, Some(shelf));
    }

    fn shelf(&self, root: &str) -> Option<Arc<Shelf>> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        shelves.iter().find(|shelf| shelf.root == root).cloned()
    }

    fn replace(&self, root: &str, shelf: Option<Shelf>) {
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        shelves.retain(|shelf| shelf.root != root);
        shelves.extend(shelf.map(Arc::new));
    }

    fn searched(&self, roots: &[String]) -> Result<Vec<Arc<Shelf>>, DiskError> {
        if roots.is_empty() {
            return Ok(self.shelves.read().unwrap_or_else(PoisonError::into_inner).clone());
        }
        let find = |path: &String| {
            let shelf = self.shelf(path).or_else(|| self.shelf(&root::resolve(path)));
            shelf.ok_or_else(|| DiskError::NotMounted { path: path.clone() })
        };
        roots.iter().map(find).collect()
    }
}

impl Disk for RamDisk {
    fn mount(
        &self,
        root: &str,
        options: &MountOptions,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(&MountProgress),
    ) -> Result<MountReport, DiskError> {
        let path = root::canonical(root)?;
        let root = root::display(&path);
        let Ok(_writing) = self.writing.try_lock() else {
            return Err(DiskError::Busy { holder: format!("process {}", std::process::id()) });
        };
        let old = self.shelf(&root).filter(|_| !options.rebuild);
        let mut shelf = match &old {
            Some(old) => Shelf::clone(old),
            None => Shelf::new(&root, true, MountOptions::default()),
        };
        shelf.options = MountOptions { hidden: options.hidden, rebuild: false };
        let table = shelf.table.clone();
        let pack = |file: CutFile| pages_of(&root, &file);
        let order = Order { root: &path, options, limits: &self.limits, cancel, table: &table };
        let summary = scan::scan(&order, &pack, &mut shelf, on_progress)?;
        shelf.complete |= !summary.cancelled && summary.cut_short.is_none();
        shelf.count();
        let (files, pages) = (shelf.files.len() as u64, shelf.pages);
        self.replace(&root, Some(shelf));
        if let Some(reason) = summary.cut_short {
            return Err(DiskError::Mount { path: root, reason });
        }
        let (skipped, examples) = summary.skips.into_parts();
        Ok(MountReport {
            root,
            files,
            read: summary.read,
            removed: summary.removed,
            pages,
            bytes: summary.bytes,
            skipped,
            examples,
            cancelled: summary.cancelled,
        })
    }

    fn unmount(&self, root: &str) -> Result<(), DiskError> {
        let name = root::resolve(root);
        let name = if self.shelf(&name).is_some() { name } else { root.to_owned() };
        if self.shelf(&name).is_none() {
            return Err(DiskError::NotMounted { path: root.to_owned() });
        }
        self.replace(&name, None);
        Ok(())
    }

    fn mounts(&self) -> Result<Vec<Mount>, DiskError> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let folders = shelves.iter().filter(|shelf| shelf.is_folder);
        let mut mounts: Vec<_> = folders
            .map(|shelf| Mount {
                root: shelf.root.clone(),
                options: shelf.options.clone(),
                files: shelf.files.len() as u64,
                pages: shelf.pages,
                complete: shelf.complete,
            })
            .collect();
        mounts.sort_by(|one, other| one.root.cmp(&other.root));
        Ok(mounts)
    }

    fn search(&self, query: &str, roots: &[String], at_most: usize) -> Result<Vec<Hit>, DiskError> {
        self.search_terms(query_terms(query, &mut Words::default()), roots, at_most)
    }
}

impl RamDisk {
    /// The words of a query that the fewest pages have, of those that any has.
    fn rarest(&self, query: &str, at_most: usize) -> Vec<String> {
        let shelves = self.shelves.read().unwrap_or_else(PoisonError::into_inner);
        let count = |term: &String| -> usize {
            shelves.iter().filter_map(|shelf| shelf.postings.get(term)).map(Vec::len).sum()
        };
        let counted = query_terms(query, &mut Words::default()).into_iter().map(|term| (count(&term), term));
        let mut counted: Vec<(usize, String)> = counted.filter(|(count, _)| *count > 0).collect();
        counted.sort();
        counted.into_iter().take(at_most).map(|(_, term)| term).collect()
    }

    fn search_terms(
        &self,
        terms: Vec<String>,
        roots: &[String],
        at_most: usize,
    ) -> Result<Vec<Hit>, DiskError> {
        let shelves = self.searched(roots)?;
        let pages: u64 = shelves.iter().map(|shelf| shelf.pages).sum();
        let tokens: u64 = shelves.iter().map(|shelf| shelf.tokens).sum();
        let average = tokens as f32 / pages.max(1) as f32;
        let mut weighed: Vec<(usize, &String)> = terms
            .iter()
            .map(|term| {
                (shelves.iter().filter_map(|shelf| shelf.postings.get(term)).map(Vec::len).sum(), term)
            })
            .filter(|(frequency, _)| *frequency > 0)
            .collect();
        weighed.sort();
        weighed.truncate(self.limits.query_terms_max);
        let mut scores: HashMap<(usize, &Key, u32), f32> = HashMap::new();
        for (frequency, term) in weighed {
            let idf = (1.0 + (pages as f32 - frequency as f32 + 0.5) / (frequency as f32 + 0.5)).ln();
            for (index, shelf) in shelves.iter().enumerate() {
                for (key, page, count) in shelf.postings.get(term).into_iter().flatten() {
                    let length = shelf.files[key][*page as usize].terms.len() as f32;
                    let count = *count as f32;
                    let part = count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / average));
                    *scores.entry((index, key, *page)).or_default() += idf * part;
                }
            }
        }
        let found = scores.into_iter().map(|((index, key, page), score)| {
            let hit = &shelves[index].files[key][page as usize].hit;
            Hit { score, ..hit.clone() }
        });
        Ok(best_of(found.collect(), at_most))
    }
}

/// A conversation's swap in memory, for conversations that nobody goes on with.
#[derive(Default)]
pub struct RamSwap {
    disk: RamDisk,
    pages: AtomicU64,
}

impl Swap for RamSwap {
    fn keep(&self, pages: &[(PageId, &str, &str)]) -> Result<(), DiskError> {
        for (page, heading, text) in pages {
            self.disk.add_cut(&pieces(*page, heading, text));
        }
        self.pages.fetch_add(pages.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn find(&self, query: &str, at_most: usize) -> Result<Vec<SwapHit>, DiskError> {
        let same = |one: &Hit, other: &Hit| one.range == other.range;
        let mut hits = Vec::new();
        for rare in self.disk.rarest(query, RARE_WORDS) {
            let rare = self.disk.search_terms(vec![rare], &[], at_most / (RARE_WORDS + 1))?;
            add_new(&mut hits, rare, at_most, same);
        }
        add_new(&mut hits, self.disk.search(query, &[], at_most)?, at_most, same);
        Ok(hits.into_iter().filter_map(as_swapped).collect())
    }

    fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }
}

/// The best hits, each page once; equal ones by their place.
fn best_of(mut hits: Vec<Hit>, at_most: usize) -> Vec<Hit> {
    let place = |hit: &Hit| (hit.range.path.clone(), hit.range.bytes);
    hits.sort_by(|one, other| other.score.total_cmp(&one.score).then_with(|| place(one).cmp(&place(other))));
    hits.dedup_by(|one, other| one.range == other.range);
    hits.truncate(at_most);
    hits
}

/// The pages of a file that can be found.
fn pages_of(root: &str, file: &CutFile) -> Vec<RamPage> {
    let text = &file.decoded.text;
    let mut words = Words::default();
    let path = if root.is_empty() { file.name.clone() } else { root::join(root, &file.name) };
    let mut pages = Vec::new();
    for page in &file.cut.pages {
        let body = &text[page.bytes.clone()];
        if body.trim_start().is_empty() {
            continue;
        }
        let offsets = file.decoded.file_offsets(&[page.bytes.start, page.bytes.end]);
        let heading = file.cut.heading(page).to_owned();
        let mut terms = Vec::new();
        for part in weighted(&file.name, &heading, body, pages.is_empty()) {
            terms.extend(words.terms(part));
        }
        let range =
            FileRange { path: path.as_str().into(), lines: page.lines, bytes: (offsets[0], offsets[1]) };
        let hit = Hit { range, heading, text: body.to_owned(), score: 0.0 };
        pages.push(RamPage { hit, terms });
    }
    pages
}

impl Shelf {
    fn new(root: &str, is_folder: bool, options: MountOptions) -> Self {
        Self {
            root: root.to_owned(),
            is_folder,
            options,
            complete: false,
            table: Table::new(),
            files: HashMap::new(),
            postings: HashMap::new(),
            pages: 0,
            tokens: 0,
        }
    }

    /// Counts all terms anew.
    fn count(&mut self) {
        (self.pages, self.tokens) = (0, 0);
        self.postings.clear();
        for (key, pages) in &self.files {
            for (number, page) in (0..).zip(pages.iter()) {
                self.pages += 1;
                self.tokens += page.terms.len() as u64;
                let mut counts: HashMap<&str, u32> = HashMap::new();
                for term in &page.terms {
                    *counts.entry(term).or_default() += 1;
                }
                for (term, count) in counts {
                    self.postings.entry(term.to_owned()).or_default().push((key.clone(), number, count));
                }
            }
        }
    }
}

impl Store<Vec<RamPage>> for Shelf {
    fn put(&mut self, file: Done<Vec<RamPage>>, _: Option<&Entry>) -> Result<(), DiskError> {
        let binary = file.packed.is_none();
        let pages = file.packed.unwrap_or_default();
        let count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
        if binary {
            self.files.remove(&file.key);
        } else {
            self.files.insert(file.key.clone(), Arc::new(pages));
        }
        self.table.insert(file.key, Entry { id: 0, stat: file.stat, pages: count, binary });
        Ok(())
    }

    fn remove(&mut self, key: &[u8], _: &Entry) -> Result<(), DiskError> {
        self.files.remove(key);
        self.table.remove(key);
        Ok(())
    }

    fn tick(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
