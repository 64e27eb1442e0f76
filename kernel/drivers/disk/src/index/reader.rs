//! Reads one folder's index: opens it, checks it, follows new commits, finds pages.

use std::collections::HashMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lucid_kernel::port::{DiskError, Embedder, Hit};
use tantivy::collector::TopDocs;
use tantivy::directory::MmapDirectory;
use tantivy::index::{SegmentComponent, SegmentMeta};
use tantivy::query::{Bm25StatisticsProvider, BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Term};
use tantivy::{DocAddress, Index, IndexReader, ReloadPolicy, Searcher};

use super::fuse::{Candidate, add_near};
use super::schema::{self, Record};
use super::state::State;
use super::vectors::Vectors;
use super::{META_FILE, fault};
use crate::stat::Stat;

/// So many blocks of stored pages (16 KB each) are kept unpacked a segment.
const CACHED_BLOCKS: usize = 16;
/// How often reading is tried anew when a writer replaces files meanwhile.
const TRIES: usize = 4;

/// One folder's index, open for reading.
pub(crate) struct Opened {
    folder: PathBuf,
    /// The mounted folder.
    pub(crate) root: String,
    index: Index,
    reader: IndexReader,
    seen: Mutex<Seen>,
    /// By which its pages are found by their meaning.
    pub(crate) vectors: Option<Vectors>,
}

/// The commit that was read last.
#[derive(Clone)]
struct Seen {
    meta: Stat,
    state: State,
}

impl Opened {
    /// Opens an index that has at least been created; its checksums are verified when it is not
    /// larger than `verify_bytes_max`.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] and those of reading.
    pub(crate) fn open(
        folder: &Path,
        root: &str,
        verify_bytes_max: u64,
        embedder: Option<&Arc<dyn Embedder>>,
    ) -> Result<Self, DiskError> {
        let vectors = || embedder.map(|embedder| Vectors::new(folder, Arc::clone(embedder)));
        let mut tries = 0;
        loop {
            tries += 1;
            let opened = unpanicked(folder, || Self::try_open(folder, root, verify_bytes_max));
            // A merge may have replaced the files between two looks at them.
            if opened.is_ok() || tries == TRIES {
                return opened.map(|opened| Self { vectors: vectors(), ..opened });
            }
        }
    }

    fn try_open(folder: &Path, root: &str, verify_bytes_max: u64) -> Result<Self, DiskError> {
        let reading = |error: tantivy::TantivyError| fault::reading(folder, &error);
        let meta = meta_stat(folder)?;
        let index = open_index(folder)?;
        let state = State::parse(folder, index.load_metas().map_err(reading)?.payload.as_deref())?;
        let reader: IndexReader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(CACHED_BLOCKS)
            .try_into()
            .map_err(reading)?;
        verify(folder, &index, &reader.searcher(), verify_bytes_max)?;
        let seen = Mutex::new(Seen { meta, state });
        Ok(Self { folder: folder.to_path_buf(), root: root.to_owned(), index, reader, seen, vectors: None })
    }

    /// The newest commit's state and pages.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] and those of reading.
    pub(crate) fn current(&self) -> Result<(State, Searcher), DiskError> {
        let meta = meta_stat(&self.folder)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.meta != meta {
            seen.state = unpanicked(&self.folder, || self.reload())?;
            seen.meta = meta;
        }
        Ok((seen.state.clone(), self.reader.searcher()))
    }

    fn reload(&self) -> Result<State, DiskError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let reloaded = self.reader.reload().and_then(|()| self.index.load_metas());
            match reloaded {
                Ok(metas) => return State::parse(&self.folder, metas.payload.as_deref()),
                Err(error) if tries == TRIES => return Err(fault::reading(&self.folder, &error)),
                Err(_) => {}
            }
        }
    }

    /// Verifies every checksum of the index.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] and those of reading.
    pub(crate) fn verify(&self) -> Result<(), DiskError> {
        let (_, searcher) = self.current()?;
        unpanicked(&self.folder, || verify(&self.folder, &self.index, &searcher, u64::MAX))
    }

    /// The pages that have the most of these words, and those that are nearest in meaning to the
    /// query when its vector is given.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] and those of reading.
    pub(crate) fn candidates(
        &self,
        searcher: &Searcher,
        terms: &[(Term, u64)],
        totals: &Totals,
        query: Option<&[f32]>,
        at_most: usize,
    ) -> Result<Vec<Candidate>, DiskError> {
        let mut candidates = by_words(&self.folder, searcher, terms, totals, at_most)?;
        if let (Some(vectors), Some(query)) = (&self.vectors, query) {
            let view = vectors.view(searcher)?;
            unpanicked(&self.folder, || {
                add_near(&mut candidates, searcher, &view, query, at_most);
                Ok(())
            })?;
        }
        Ok(candidates)
    }

    /// Whether any page can be found by its meaning.
    pub(crate) fn has_vectors(&self, searcher: &Searcher) -> bool {
        let view = |vectors: &Vectors| vectors.view(searcher).is_ok_and(|view| view.has_any());
        self.vectors.as_ref().is_some_and(view)
    }

    /// A page of the index.
    ///
    /// # Errors
    /// [`DiskError::Damaged`] and those of reading.
    pub(crate) fn load(&self, searcher: &Searcher, score: f32, page: DocAddress) -> Result<Hit, DiskError> {
        load(&self.folder, &self.root, searcher, score, page)
    }
}

/// The pages of an index in `folder` that have the most of these words.
///
/// # Errors
/// [`DiskError::Damaged`] and those of reading.
pub(crate) fn by_words(
    folder: &Path,
    searcher: &Searcher,
    terms: &[(Term, u64)],
    totals: &Totals,
    at_most: usize,
) -> Result<Vec<Candidate>, DiskError> {
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    unpanicked(folder, || {
        let query = disjunction(terms);
        let top = TopDocs::with_limit(at_most).order_by_score();
        let found = searcher
            .search_with_statistics_provider(query.as_ref(), &top, totals)
            .map_err(|error| fault::reading(folder, &error))?;
        Ok(found.into_iter().map(|(words, page)| Candidate { page, words, cosine: None }).collect())
    })
}

/// A page of an index in `folder`, as a file below `root`.
///
/// # Errors
/// [`DiskError::Damaged`] and those of reading.
pub(crate) fn load(
    folder: &Path,
    root: &str,
    searcher: &Searcher,
    score: f32,
    page: DocAddress,
) -> Result<Hit, DiskError> {
    unpanicked(folder, || {
        let record: Record = searcher.doc(page).map_err(|error| fault::reading(folder, &error))?;
        let hit = record.into_hit(root, score);
        hit.ok_or_else(|| fault::damaged(folder, "a stored page cannot be read"))
    })
}

/// Opens an index and makes sure that it is one of ours.
pub(crate) fn open_index(folder: &Path) -> Result<Index, DiskError> {
    let reading = |error: tantivy::TantivyError| fault::reading(folder, &error);
    let directory = MmapDirectory::open(folder).map_err(|error| reading(error.into()))?;
    let index = Index::open(directory).map_err(reading)?;
    if index.schema() != schema::schema() {
        return Err(fault::damaged(folder, "it was made by another version of lucid"));
    }
    schema::register(&index);
    Ok(index)
}

fn meta_stat(folder: &Path) -> Result<Stat, DiskError> {
    let path = folder.join(META_FILE);
    match fs::metadata(&path) {
        Ok(metadata) => Ok(Stat::of(&metadata)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(fault::damaged(folder, format!("{META_FILE} is missing")))
        }
        Err(error) => Err(fault::io("reading", &path, &error)),
    }
}

/// Runs what may panic on garbled data; a panic is damage.
fn unpanicked<T>(folder: &Path, read: impl FnOnce() -> Result<T, DiskError>) -> Result<T, DiskError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(fault::damaged(folder, "its data makes no sense")))
}

fn verify(folder: &Path, index: &Index, searcher: &Searcher, bytes_max: u64) -> Result<(), DiskError> {
    let metas = index.searchable_segment_metas().map_err(|error| fault::reading(folder, &error))?;
    let is_read = |id| searcher.segment_readers().iter().any(|segment| segment.segment_id() == id);
    let mut files: Vec<PathBuf> =
        metas.iter().filter(|meta| is_read(meta.id())).flat_map(segment_files).collect();
    let mut bytes = 0;
    files.retain(|file| {
        let length = fs::metadata(folder.join(file)).map_or(0, |metadata| metadata.len());
        bytes += length;
        length > 0
    });
    if bytes > bytes_max {
        return Ok(());
    }
    for file in files {
        let sound = index.directory().validate_checksum(&file);
        if !sound.map_err(|error| fault::reading(folder, &error.into()))? {
            return Err(fault::damaged(folder, format!("the checksum of {} is wrong", file.display())));
        }
    }
    Ok(())
}

/// The files that a segment may have; not all of them need to exist.
pub(crate) fn segment_files(meta: &SegmentMeta) -> Vec<PathBuf> {
    use SegmentComponent::{Delete, FastFields, FieldNorms, Positions, Postings, Store, Terms};
    let components = [Postings, Positions, FastFields, FieldNorms, Terms, Store, Delete];
    components.into_iter().map(|component| meta.relative_path(component)).collect()
}

fn disjunction(terms: &[(Term, u64)]) -> Box<dyn Query> {
    let one = |term: &Term| -> Box<dyn Query> {
        Box::new(TermQuery::new(term.clone(), IndexRecordOption::WithFreqs))
    };
    match terms {
        [(term, _)] => one(term),
        terms => {
            Box::new(BooleanQuery::new(terms.iter().map(|(term, _)| (Occur::Should, one(term))).collect()))
        }
    }
}

/// What BM25 needs to know of all searched indexes together, so that their scores compare.
pub(crate) struct Totals {
    pages: u64,
    tokens: u64,
    frequencies: HashMap<Term, u64>,
}

impl Totals {
    /// Sums over all searchers.
    pub(crate) fn of(searchers: &[&Searcher], terms: &[Term]) -> tantivy::Result<Self> {
        let mut totals = Self { pages: 0, tokens: 0, frequencies: HashMap::new() };
        for searcher in searchers {
            totals.pages += searcher.total_num_docs()?;
            totals.tokens += searcher.total_num_tokens(schema::terms_field())?;
            for term in terms {
                *totals.frequencies.entry(term.clone()).or_default() += searcher.doc_freq(term)?;
            }
        }
        Ok(totals)
    }

    /// The terms that occur at all, the rarest first, at most so many.
    pub(crate) fn rarest(&self, terms: Vec<Term>, at_most: usize) -> Vec<(Term, u64)> {
        let frequency = |term: &Term| self.frequencies.get(term).copied().unwrap_or(0);
        let mut terms: Vec<_> = terms.into_iter().map(|term| (frequency(&term), term)).collect();
        terms.retain(|(frequency, _)| *frequency > 0);
        terms.sort_by_key(|(frequency, _)| *frequency);
        terms.truncate(at_most);
        terms.into_iter().map(|(frequency, term)| (term, frequency)).collect()
    }
}

impl Bm25StatisticsProvider for Totals {
    fn total_num_tokens(&self, _: Field) -> tantivy::Result<u64> {
        Ok(self.tokens)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.pages)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        Ok(self.frequencies.get(term).copied().unwrap_or(0))
    }
}
