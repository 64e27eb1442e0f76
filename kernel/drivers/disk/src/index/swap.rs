//! Swap: what left a conversation's window, in an index of its own, so that it is found as files
//! are. The index is made of the journal and can be made anew of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucid_kernel::abi::PageId;
use lucid_kernel::port::{CancelFlag, DiskError, Embedder, Hit, Swap, SwapHit};
use tantivy::schema::Term;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError};

use super::fuse::{Candidate, add_near};
use super::gate::Gate;
use super::reader::{Totals, by_words, load, open_index};
use super::vectors::{self, Vectors};
use super::writer::create_index;
use super::{HITS_MAX, META_FILE, fault, schema};
use crate::cut::{self, Kind};
use crate::decode::Decoded;
use crate::limits::Limits;
use crate::scan::CutFile;
use crate::words::{Words, query_terms};

/// So many of the rarest words of a query are searched alone.
pub(crate) const RARE_WORDS: usize = 4;
/// Memory of the writer, in bytes: the least that tantivy takes.
const WRITER_BYTES: usize = 15_000_000;

/// A conversation's swap in a folder, by tantivy. Who writes the conversation's journal alone may
/// have it open.
pub struct TantivySwap {
    folder: PathBuf,
    limits: Limits,
    inner: Mutex<Inner>,
    /// By which pieces are found by their meaning.
    vectors: Option<Vectors>,
    embedder: Option<Arc<dyn Embedder>>,
}

struct Inner {
    index: Index,
    reader: IndexReader,
    /// How many pages it keeps.
    pages: u64,
    words: Words,
}

impl TantivySwap {
    /// Opens the swap in `folder`, making it when it is not there.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] when it cannot be read: [`TantivySwap::make`] makes it anew. Those of
    /// reading and writing.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, DiskError> {
        if !folder.join(META_FILE).exists() {
            return Self::make(folder, limits);
        }
        Self::with(folder, limits, open_index(folder)?)
    }

    /// Makes an empty one in `folder`, whatever was there.
    ///
    /// # Errors
    /// Those of writing.
    pub fn make(folder: &Path, limits: Limits) -> Result<Self, DiskError> {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(fault::io("removing", folder, &error));
            }
            _ => {}
        }
        fs::create_dir_all(folder).map_err(|error| fault::io("making the folder", folder, &error))?;
        Self::with(folder, limits, create_index(folder)?)
    }

    fn with(folder: &Path, limits: Limits, index: Index) -> Result<Self, DiskError> {
        let reading = |error: TantivyError| fault::reading(folder, &error);
        let metas = index.load_metas().map_err(reading)?;
        let pages = match metas.payload.as_deref() {
            None => 0,
            Some(payload) => {
                payload.parse().map_err(|_| fault::damaged(folder, "it does not say what it keeps"))?
            }
        };
        let reader: IndexReader =
            index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(reading)?;
        let inner = Mutex::new(Inner { index, reader, pages, words: Words::default() });
        Ok(Self { folder: folder.to_path_buf(), limits, inner, vectors: None, embedder: None })
    }

    /// Lets pieces be found by their meaning too: those that [`Swap::embed`] has seen to.
    #[must_use]
    pub fn with_embedder(self, embedder: Arc<dyn Embedder>) -> Self {
        let vectors = Vectors::new(&self.folder, Arc::clone(&embedder));
        Self { vectors: Some(vectors), embedder: Some(embedder), ..self }
    }

    /// A query's vector; none when it cannot be made: words alone find pages too.
    fn meaning_of(&self, query: &str) -> Option<Vec<f32>> {
        let embedder = self.embedder.as_ref()?;
        vectors::embed(embedder.as_ref(), &[query]).ok()?.into_iter().next()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds what is not there yet.
pub(crate) fn add_new<T>(found: &mut Vec<T>, more: Vec<T>, at_most: usize, same: impl Fn(&T, &T) -> bool) {
    for one in more {
        if found.len() < at_most && !found.iter().any(|other| same(other, &one)) {
            found.push(one);
        }
    }
}

fn same_page(one: &Candidate, other: &Candidate) -> bool {
    one.page == other.page
}

/// A page cut into pieces that are found one by one; each says which characters of it it holds.
pub(crate) fn pieces(page: PageId, heading: &str, text: &str) -> CutFile {
    let mut cut = cut::cut(text, Kind::of(""));
    cut.put_under(heading);
    let (mut at, mut chars) = (0, 0_u32);
    let mut count = |to: usize| {
        chars = chars.saturating_add(u32::try_from(text[at..to].chars().count()).unwrap_or(u32::MAX));
        at = to;
        chars
    };
    for piece in &mut cut.pages {
        piece.lines = (count(piece.bytes.start), count(piece.bytes.end));
    }
    CutFile { name: page.to_string(), decoded: Decoded::plain(text.to_owned()), cut }
}

impl Swap for TantivySwap {
    fn keep(&self, pages: &[(PageId, &str, &str)]) -> Result<(), DiskError> {
        let mut inner = self.lock();
        let writing = |error: TantivyError| fault::writing(&self.folder, &error);
        let gate = Gate::default();
        let mut writer: IndexWriter<schema::PageDoc> =
            inner.index.writer_with_num_threads(1, WRITER_BYTES).map_err(writing)?;
        for (page, heading, text) in pages {
            let packed = schema::pack(&pieces(*page, heading, text), |bytes| gate.enter(bytes));
            for piece in packed.into_pages(page.0) {
                writer.add_document(piece).map_err(writing)?;
            }
        }
        let kept = inner.pages + pages.len() as u64;
        let mut commit = writer.prepare_commit().map_err(writing)?;
        commit.set_payload(&kept.to_string());
        commit.commit().map_err(writing)?;
        writer.wait_merging_threads().map_err(writing)?;
        inner.reader.reload().map_err(|error| fault::reading(&self.folder, &error))?;
        inner.pages = kept;
        Ok(())
    }

    fn find(&self, query: &str, at_most: usize) -> Result<Vec<SwapHit>, DiskError> {
        let mut inner = self.lock();
        let at_most = at_most.min(HITS_MAX);
        let terms = query_terms(query, &mut inner.words);
        if at_most == 0 {
            return Ok(Vec::new());
        }
        let terms: Vec<Term> =
            terms.iter().map(|term| Term::from_field_text(schema::terms_field(), term)).collect();
        let searcher = inner.reader.searcher();
        drop(inner);
        let totals =
            Totals::of(&[&searcher], &terms).map_err(|error| fault::reading(&self.folder, &error))?;
        let terms = totals.rarest(terms, self.limits.query_terms_max);
        let by_words =
            |terms: &[(Term, u64)], at_most| by_words(&self.folder, &searcher, terms, &totals, at_most);
        let mut found = Vec::new();
        // Many turns have the form of a question, and few speak of whom it asks about: each of the
        // rarest words has its say.
        for rare in terms.chunks(1).take(RARE_WORDS) {
            add_new(&mut found, by_words(rare, at_most / (RARE_WORDS + 1))?, at_most, same_page);
        }
        add_new(&mut found, by_words(&terms, at_most)?, at_most, same_page);
        if let Some((vectors, vector)) = self.vectors.as_ref().zip(self.meaning_of(query)) {
            let view = vectors.view(&searcher)?;
            add_near(&mut found, &searcher, &view, &vector, at_most);
        }
        let damaged = || fault::damaged(&self.folder, "a kept page has no address");
        let swapped = |one: Candidate| {
            let hit = load(&self.folder, "", &searcher, one.words, one.page)?;
            let hit = as_swapped(hit).ok_or_else(damaged)?;
            Ok(SwapHit { nearness: one.cosine.unwrap_or(0.0), ..hit })
        };
        found.into_iter().map(swapped).collect()
    }

    fn embed(&self, at_most: usize, cancel: &CancelFlag) -> Result<u64, DiskError> {
        let Some(vectors) = &self.vectors else { return Ok(0) };
        let searcher = self.lock().reader.searcher();
        vectors.update(&searcher, at_most, cancel)
    }

    fn pages(&self) -> u64 {
        self.lock().pages
    }
}

/// A piece of a page by what the index says of it.
pub(crate) fn as_swapped(hit: Hit) -> Option<SwapHit> {
    let page = hit.range.path.rsplit('/').next()?.parse().ok()?;
    let (from, to) = hit.range.lines;
    let chars = (u64::from(from), u64::from(to));
    Some(SwapHit { page, chars, heading: hit.heading, text: hit.text, score: hit.score, nearness: 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn swap(folder: &Path) -> TantivySwap {
        TantivySwap::open(folder, Limits::default()).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_by_its_words_and_is_there_again_later() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("swap");
        let kept = swap(&folder);
        assert_eq!(kept.find("zebra", 5).unwrap(), []);
        kept.keep(&[(PageId(2), "", "My zebra is called Anton."), (PageId(7), "When?", "The rent is due.")])
            .unwrap();
        let long: String = (0..400).map(|n| format!("Line {n} says nothing.\n")).collect();
        let long = format!("{long}The walrus sits at the end: äöü.\n");
        kept.keep(&[(PageId(9), "", &long)]).unwrap();
        let found = kept.find("what is the zebra called?", 5).unwrap();
        assert_eq!((found[0].page, found[0].text.as_str()), (PageId(2), "My zebra is called Anton."));
        drop(kept);
        let kept = swap(&folder);
        assert_eq!(kept.pages(), 3);
        let walrus = kept.find("walrus", 5).unwrap().remove(0);
        assert_eq!(walrus.page, PageId(9));
        let (from, to) = (walrus.chars.0 as usize, walrus.chars.1 as usize);
        let part: String = long.chars().skip(from).take(to - from).collect();
        assert_eq!(part, walrus.text);
    }

    #[test]
    fn a_damaged_one_is_told_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        swap(folder.path()).keep(&[(PageId(2), "", "zebra")]).unwrap();
        fs::write(folder.path().join(META_FILE), "{").unwrap();
        let opened = TantivySwap::open(folder.path(), Limits::default());
        assert!(matches!(opened, Err(DiskError::Damaged { .. })));
        let made = TantivySwap::make(folder.path(), Limits::default()).unwrap();
        assert_eq!((made.pages(), made.find("zebra", 5).unwrap()), (0, vec![]));
    }
}
