//! Vectors of an index's pages, by which they are found by their meaning.
//!
//! They lie beside tantivy's files, which never change them:
//!
//! ```text
//! vectors.bin               vectors by the digest of the text that they were made of; it only
//!                           grows, and is begun anew for another model
//! <segment>.texts           the digest of each page of a segment
//! vectors.lock              held by who writes; vectors.pid says who
//! ```
//!
//! A segment never changes, and a text keeps its digest: what is indexed anew, merged or rebuilt
//! is not embedded again, and a page whose vector is lost is only without one. Each number of a
//! vector takes one byte, the largest of it being ±127: cosines are then off by less than 0.01 (see
//! the tests), and a million pages of 384 numbers take 400 MB instead of 1.5 GB.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucid_kernel::port::{CancelFlag, DiskError, Embedder};
use sha2::{Digest, Sha256};
use tantivy::{DocAddress, Searcher, SegmentReader};

use super::fault;
use super::lock::WriterLock;
use super::schema::Record;
use crate::stat::Stat;

pub(crate) const VECTORS_FILE: &str = "vectors.bin";
pub(crate) const LOCK_FILE: &str = "vectors.lock";
pub(crate) const HOLDER_FILE: &str = "vectors.pid";
const TEXTS_ENDING: &str = "texts";
/// Begins the file; the version changes when its form does.
const MAGIC: &[u8; 8] = b"LUCIDV1\n";
/// The row of a page without a vector.
const NONE: u32 = u32::MAX;
/// The digest of a text that was not read yet.
const UNREAD: u64 = 0;
/// Bytes of a text's digest and of the factor that makes numbers of bytes.
const KEY_BYTES: usize = 8;
const SCALE_BYTES: usize = 4;
/// So many texts are embedded at once.
const BATCH: usize = 32;

/// The vectors of one index.
pub(crate) struct Vectors {
    folder: PathBuf,
    embedder: Arc<dyn Embedder>,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    store: Arc<Store>,
    /// The file that the store was read of.
    stat: Stat,
    /// The row of each page of a segment, by the segment's name.
    rows: HashMap<String, Arc<[u32]>>,
}

/// What is in the file of vectors.
#[derive(Default)]
struct Store {
    rows: HashMap<u64, u32>,
    scales: Vec<f32>,
    bytes: Vec<i8>,
}

impl Store {
    fn add(&mut self, key: u64, scale: f32, bytes: impl Iterator<Item = i8>) {
        let row = u32::try_from(self.scales.len()).unwrap_or(NONE);
        self.rows.entry(key).or_insert(row);
        self.scales.push(scale);
        self.bytes.extend(bytes);
    }

    fn cosine(&self, query: &[f32], row: u32) -> Option<f32> {
        let row = row as usize;
        let scale = self.scales.get(row)?;
        let bytes = self.bytes.get(row * query.len()..(row + 1) * query.len())?;
        Some(scale * dot(query, bytes))
    }
}

/// The sum in eight parts, so that the compiler can compute them side by side.
fn dot(query: &[f32], bytes: &[i8]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0.0_f32; LANES];
    let (query, bytes) = (query.chunks_exact(LANES), bytes.chunks_exact(LANES));
    let rest: f32 = query.remainder().iter().zip(bytes.remainder()).map(|(a, b)| a * f32::from(*b)).sum();
    for (a, b) in query.zip(bytes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * f32::from(b[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// A vector as bytes, and the factor that makes it of them again.
fn quantised(vector: &[f32]) -> (f32, Vec<i8>) {
    let largest = vector.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs()));
    let scale = largest / f32::from(i8::MAX);
    (scale, vector.iter().map(|value| (value / scale).round() as i8).collect())
}

/// Whether a file is one of those that are kept here: who writes the index leaves them alone.
pub(crate) fn is_ours(name: &Path) -> bool {
    [VECTORS_FILE, LOCK_FILE, HOLDER_FILE].iter().any(|ours| name == Path::new(ours))
        || name.extension().is_some_and(|ending| ending == TEXTS_ENDING)
}

/// What names a text: the same text has the same vector, wherever it stands.
fn key(heading: &str, text: &str) -> u64 {
    let mut digest = Sha256::new();
    digest.update(heading.len().to_le_bytes());
    digest.update(heading);
    digest.update(text);
    let bytes = digest.finalize();
    u64::from_le_bytes(std::array::from_fn(|at| bytes[at])).max(UNREAD + 1)
}

/// What is embedded of a page.
fn embedded(heading: &str, text: &str) -> String {
    if heading.is_empty() { text.to_owned() } else { format!("{heading}\n{text}") }
}

impl Vectors {
    /// The vectors of the index in a folder, which need not have any yet.
    pub(crate) fn new(folder: &Path, embedder: Arc<dyn Embedder>) -> Self {
        Self { folder: folder.to_path_buf(), embedder, loaded: Mutex::default() }
    }

    /// Makes the vectors of at most so many pages that have none, and gives how many are left.
    ///
    /// # Errors
    /// [`DiskError::Busy`] while another program makes them; those of reading and writing, and of
    /// the embedder.
    pub(crate) fn update(
        &self,
        searcher: &Searcher,
        at_most: usize,
        cancel: &CancelFlag,
    ) -> Result<u64, DiskError> {
        let store = self.store()?;
        let lacks = |segment: &&SegmentReader| {
            let rows = self.rows(segment, &store);
            segment.doc_ids_alive().any(|doc| rows[doc as usize] == NONE)
        };
        let lacking: Vec<&SegmentReader> = searcher.segment_readers().iter().filter(lacks).collect();
        if lacking.is_empty() {
            return Ok(0);
        }
        let _lock = WriterLock::take_files(&self.folder, LOCK_FILE, HOLDER_FILE)?;
        let mut file = self.open_to_write()?;
        let (mut left, mut room) = (0, at_most);
        for segment in lacking {
            let before = self.texts(segment);
            let mut texts = before.clone();
            let result = self.update_segment(&mut file, segment, &mut texts, room, cancel);
            if before != texts {
                self.save_texts(segment, &texts)?;
            }
            let (made, missing) = result?;
            left += missing;
            room -= made.min(room);
        }
        self.forget_all_but(searcher)?;
        Ok(left)
    }

    /// Gives how many were made and how many are left.
    fn update_segment(
        &self,
        file: &mut Growing,
        segment: &SegmentReader,
        texts: &mut [u64],
        at_most: usize,
        cancel: &CancelFlag,
    ) -> Result<(usize, u64), DiskError> {
        let reading = |error: tantivy::TantivyError| fault::reading(&self.folder, &error);
        let pages = segment.get_store_reader(1).map_err(|error| reading(error.into()))?;
        let (mut made, mut missing) = (0, 0);
        let mut waiting: Vec<(u64, String)> = Vec::new();
        for doc in segment.doc_ids_alive() {
            if file.known.contains(&texts[doc as usize]) {
                continue;
            }
            // Without room, the rest is only counted; that some of it may have vectors of the same
            // text elsewhere is found out when there is.
            if cancel.is_cancelled() || made + waiting.len() >= at_most {
                missing += 1;
                continue;
            }
            let record: Record = pages.get(doc).map_err(reading)?;
            let Some((heading, text)) = record.heading_and_text() else {
                return Err(fault::damaged(&self.folder, "a stored page cannot be read"));
            };
            let key = key(heading, text);
            texts[doc as usize] = key;
            if file.known.contains(&key) || waiting.iter().any(|(other, _)| *other == key) {
                continue;
            }
            waiting.push((key, embedded(heading, text)));
            if waiting.len() == BATCH {
                made += self.make(file, &mut waiting)?;
            }
        }
        made += self.make(file, &mut waiting)?;
        Ok((made, missing))
    }

    /// Embeds what waits and appends it to the file.
    fn make(&self, file: &mut Growing, waiting: &mut Vec<(u64, String)>) -> Result<usize, DiskError> {
        if waiting.is_empty() {
            return Ok(0);
        }
        let texts: Vec<&str> = waiting.iter().map(|(_, text)| text.as_str()).collect();
        let vectors = embed(self.embedder.as_ref(), &texts)?;
        let mut entries = Vec::new();
        for ((key, _), vector) in waiting.iter().zip(&vectors) {
            let (scale, bytes) = quantised(vector);
            entries.extend_from_slice(&key.to_le_bytes());
            entries.extend_from_slice(&scale.to_le_bytes());
            entries.extend(bytes.iter().map(|byte| byte.to_le_bytes()[0]));
        }
        let written = file.file.write_all(&entries);
        written.map_err(|error| fault::io("writing", &self.path(), &error))?;
        let made = waiting.len();
        file.known.extend(waiting.drain(..).map(|(key, _)| key));
        Ok(made)
    }

    fn lock(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(VECTORS_FILE)
    }

    /// What a file of these vectors begins with.
    fn header(&self) -> Vec<u8> {
        let model = self.embedder.model();
        let mut header = MAGIC.to_vec();
        for number in [self.embedder.dimensions(), model.len()] {
            header.extend_from_slice(&u32::try_from(number).unwrap_or(0).to_le_bytes());
        }
        header.extend_from_slice(model.as_bytes());
        header
    }

    fn entry_bytes(&self) -> usize {
        KEY_BYTES + SCALE_BYTES + self.embedder.dimensions()
    }

    /// The file, ready to grow. What a crash left half is cut off; a file of another model is
    /// begun anew.
    fn open_to_write(&self) -> Result<Growing, DiskError> {
        let path = self.path();
        let writing = |error: std::io::Error| fault::io("writing", &path, &error);
        let header = self.header();
        let bytes = fs::read(&path).unwrap_or_default();
        if !bytes.starts_with(&header) {
            fs::write(&path, &header).map_err(writing)?;
        }
        let (store, whole) = self.parsed(&bytes);
        let file = File::options().append(true).open(&path).map_err(writing)?;
        file.set_len(whole).map_err(writing)?;
        Ok(Growing { file, known: store.rows.into_keys().collect() })
    }

    /// What is in the file, read anew when it has changed.
    fn store(&self) -> Result<Arc<Store>, DiskError> {
        let path = self.path();
        let stat = fs::metadata(&path).map_or_else(|_| Stat::default(), |metadata| Stat::of(&metadata));
        let mut loaded = self.lock();
        if loaded.stat != stat {
            let bytes = match fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                bytes => bytes.map_err(|error| fault::io("reading", &path, &error))?,
            };
            *loaded = Loaded { store: Arc::new(self.parsed(&bytes).0), stat, rows: HashMap::new() };
        }
        Ok(Arc::clone(&loaded.store))
    }

    /// The whole entries of the right model, and up to which byte they are; of anything else
    /// nothing.
    fn parsed(&self, bytes: &[u8]) -> (Store, u64) {
        let header = self.header();
        let mut store = Store::default();
        let entries = bytes.strip_prefix(header.as_slice()).unwrap_or_default();
        let entries = entries.chunks_exact(self.entry_bytes());
        let whole =
            if bytes.starts_with(&header) { bytes.len() - entries.remainder().len() } else { header.len() };
        for entry in entries {
            let (key, rest) = entry.split_at(KEY_BYTES);
            let (scale, vector) = rest.split_at(SCALE_BYTES);
            let key = u64::from_le_bytes(std::array::from_fn(|at| key[at]));
            let scale = f32::from_le_bytes(std::array::from_fn(|at| scale[at]));
            // A damaged factor must not make an order of pages that cannot be sorted.
            let scale = if scale.is_finite() { scale } else { 0.0 };
            store.add(key, scale, vector.iter().map(|byte| i8::from_le_bytes([*byte])));
        }
        (store, whole as u64)
    }

    fn texts_path(&self, segment: &str) -> PathBuf {
        self.folder.join(segment).with_extension(TEXTS_ENDING)
    }

    fn save_texts(&self, segment: &SegmentReader, texts: &[u64]) -> Result<(), DiskError> {
        let path = self.texts_path(&segment.segment_id().uuid_string());
        let bytes: Vec<u8> = texts.iter().flat_map(|text| text.to_le_bytes()).collect();
        let fresh = path.with_extension("new.texts");
        let written = fs::write(&fresh, bytes).and_then(|()| fs::rename(&fresh, &path));
        written.map_err(|error| fault::io("writing", &path, &error))
    }

    /// The digest of each page of a segment, as far as they were read.
    fn texts(&self, segment: &SegmentReader) -> Vec<u64> {
        let pages = segment.max_doc() as usize;
        let bytes = fs::read(self.texts_path(&segment.segment_id().uuid_string())).unwrap_or_default();
        let texts = bytes.chunks_exact(KEY_BYTES);
        let mut texts: Vec<u64> =
            texts.map(|text| u64::from_le_bytes(std::array::from_fn(|at| text[at]))).collect();
        texts.resize(pages, UNREAD);
        texts
    }

    /// The row of each page of a segment.
    fn rows(&self, segment: &SegmentReader, store: &Arc<Store>) -> Arc<[u32]> {
        let name = segment.segment_id().uuid_string();
        if let Some(rows) = self.lock().rows.get(&name) {
            return Arc::clone(rows);
        }
        let row = |text: &u64| store.rows.get(text).copied().unwrap_or(NONE);
        let rows: Arc<[u32]> = self.texts(segment).iter().map(row).collect();
        let mut loaded = self.lock();
        // Not when another thread saw a newer file meanwhile.
        if Arc::ptr_eq(&loaded.store, store) {
            loaded.rows.insert(name, Arc::clone(&rows));
        }
        rows
    }

    /// Removes what is known of segments that are no more.
    fn forget_all_but(&self, searcher: &Searcher) -> Result<(), DiskError> {
        let live: Vec<String> =
            searcher.segment_readers().iter().map(|segment| segment.segment_id().uuid_string()).collect();
        self.lock().rows.clear();
        let listed =
            fs::read_dir(&self.folder).map_err(|error| fault::io("listing", &self.folder, &error))?;
        for entry in listed.flatten() {
            let path = entry.path();
            let is_texts = path.extension().is_some_and(|ending| ending == TEXTS_ENDING);
            let is_live = path.file_stem().is_some_and(|stem| live.iter().any(|name| stem == name.as_str()));
            if is_texts && !is_live {
                // If it stays, it only takes space.
                let _ = fs::remove_file(path);
            }
        }
        Ok(())
    }

    /// What is known of all pages of a searcher now.
    ///
    /// # Errors
    /// Those of reading.
    pub(crate) fn view(&self, searcher: &Searcher) -> Result<View, DiskError> {
        let store = self.store()?;
        let rows = searcher.segment_readers().iter().map(|segment| self.rows(segment, &store)).collect();
        Ok(View { store, rows })
    }
}

/// The file of vectors while it is written.
struct Growing {
    file: File,
    /// The digests of the texts that have a vector in it.
    known: HashSet<u64>,
}

/// The vectors of one state of an index.
pub(crate) struct View {
    store: Arc<Store>,
    /// For each segment.
    rows: Vec<Arc<[u32]>>,
}

impl View {
    /// Whether any page has a vector.
    pub(crate) fn has_any(&self) -> bool {
        self.rows.iter().any(|rows| rows.iter().any(|row| *row != NONE))
    }

    /// How near a page is to a query; none when it has no vector.
    pub(crate) fn cosine(&self, query: &[f32], page: DocAddress) -> Option<f32> {
        let rows = self.rows.get(page.segment_ord as usize)?;
        self.store.cosine(query, *rows.get(page.doc_id as usize)?)
    }

    /// The pages that are nearest to a query, the nearest first.
    pub(crate) fn nearest(
        &self,
        searcher: &Searcher,
        query: &[f32],
        at_most: usize,
    ) -> Vec<(f32, DocAddress)> {
        let mut near = Vec::new();
        for (ord, (segment, rows)) in (0..).zip(searcher.segment_readers().iter().zip(&self.rows)) {
            let alive = segment.alive_bitset();
            for (doc, row) in (0..).zip(rows.iter()) {
                if alive.is_some_and(|alive| !alive.is_alive(doc)) {
                    continue;
                }
                if let Some(cosine) = self.store.cosine(query, *row) {
                    near.push((cosine, DocAddress::new(ord, doc)));
                }
            }
        }
        let by_nearness = |one: &(f32, DocAddress), other: &(f32, DocAddress)| {
            other.0.total_cmp(&one.0).then(one.1.cmp(&other.1))
        };
        if near.len() > at_most && at_most > 0 {
            near.select_nth_unstable_by(at_most - 1, by_nearness);
            near.truncate(at_most);
        }
        near.sort_by(by_nearness);
        near.truncate(at_most);
        near
    }
}

pub(crate) fn embed(embedder: &dyn Embedder, texts: &[&str]) -> Result<Vec<Vec<f32>>, DiskError> {
    let failed =
        |reason: String| DiskError::Failed { what: "looking for the meaning of texts".into(), reason };
    let vectors = embedder.embed(texts).map_err(|error| failed(error.to_string()))?;
    let fits = |vector: &Vec<f32>| {
        vector.len() == embedder.dimensions() && vector.iter().all(|number| number.is_finite())
    };
    if vectors.len() == texts.len() && vectors.iter().all(fits) {
        return Ok(vectors);
    }
    Err(failed(format!("{} did not make the vectors that it should", embedder.model())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_give_the_cosine_to_a_hundredth(
            numbers in prop::collection::vec(-1.0_f32..1.0, 2 * 384),
            peak in 1.0_f32..8.0,
        ) {
            let unit = |numbers: &[f32]| -> Vec<f32> {
                let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
                numbers.iter().map(|number| number / length).collect()
            };
            let (query, mut page) = (unit(&numbers[..384]), numbers[384..].to_vec());
            // One number that is far larger than the others leaves them few steps.
            page[7] *= peak;
            let page = unit(&page);
            let exact: f32 = query.iter().zip(&page).map(|(one, other)| one * other).sum();
            let (scale, bytes) = quantised(&page);
            prop_assert!((exact - scale * dot(&query, &bytes)).abs() < 0.01);
        }
    }
}
