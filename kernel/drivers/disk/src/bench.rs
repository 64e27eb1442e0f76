//! Measures indexing and searching against plain tantivy, which writes and searches the same
//! pages in the same run.

pub mod retrieval;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lucid_kernel::port::{CancelFlag, Disk, DiskError, MountOptions, MountReport};
use serde_json::{Value, json};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, Schema, TEXT};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};
use walkdir::WalkDir;

use crate::cut::{self, Kind};
use crate::decode;
use crate::{Limits, TantivyDisk};

/// Text files up to this size are taken from the corpus, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;
/// The corpus is looked at in this many files at most.
const CANDIDATES_MAX: usize = 400_000;
/// Files a folder of the generated tree.
const FILES_A_FOLDER: usize = 200;
/// How many queries are timed.
const QUERIES: usize = 1_000;
/// Words a query.
const QUERY_WORDS: usize = 3;
/// Pages a query loads.
const TOP: usize = 10;

/// Copies `files` text files from below `corpus` into a new folder below `dir`, indexes them with
/// [`TantivyDisk`] and with plain tantivy (path and text as default text fields, stored; as many
/// threads, as much memory), then runs the same queries on both, loading the ten best pages.
/// Everything below `dir` is left there for a look, and replaced by the next run.
///
/// Gives `files`, `pages`, `bytes`; `index` and `search` with `lucid`, `raw` and `ratio`. Speeds
/// are in megabytes (1e6) of text a second, commit and merges included; times in microseconds.
///
/// # Errors
/// [`DiskError::Failed`] when the corpus has no text or `dir` cannot be written, and those of
/// indexing.
pub fn run(files: usize, dir: &Path, corpus: &Path) -> Result<Value, DiskError> {
    let built = Built::new(files, dir, corpus)?;
    let again = {
        let start = Instant::now();
        let again = built.mount()?;
        (start.elapsed().as_millis() as u64, again.read)
    };
    let (ours_us, raw_us) = time_queries(&built)?;
    let (ours, raw) = (&built.ours_took, &built.raw_took);
    let speed = |took: &Took| round(built.bytes as f64 / 1e6 / took.seconds);
    Ok(json!({
        "files": built.report.files,
        "pages": built.report.pages,
        "raw_pages": built.raw_pages,
        "bytes": built.bytes,
        "threads": Limits::default().threads(),
        "index": {
            "lucid_mb_per_s": speed(ours),
            "raw_mb_per_s": speed(raw),
            "ratio": round(raw.seconds / ours.seconds),
            "lucid_cpu_s": ours.cpu_s,
            "raw_cpu_s": raw.cpu_s,
            "cpu_ratio": ours.cpu_s.zip(raw.cpu_s).map(|(ours, raw)| round(raw / ours)),
            "unchanged_ms": again.0,
            "unchanged_read": again.1,
            "lucid_bytes_on_disk": size_of(&dir.join(OURS)),
            "raw_bytes_on_disk": size_of(&dir.join(RAW)),
        },
        "search": {
            "queries": built.queries.len(),
            "top": TOP,
            "lucid_us": { "p50": ours_us.0, "p99": ours_us.1 },
            "raw_us": { "p50": raw_us.0, "p99": raw_us.1 },
            "ratio_p50": round(ours_us.0 / raw_us.0),
            "ratio_p99": round(ours_us.1 / raw_us.1),
        },
    }))
}

/// Where the files are, and both indexes of them, in the folder that is worked in.
const TREE: &str = "files";
const OURS: &str = "lucid";
const RAW: &str = "raw";

/// Files that both have indexed.
pub struct Built {
    /// Ours.
    pub disk: Arc<TantivyDisk>,
    raw: Raw,
    root: String,
    report: MountReport,
    bytes: u64,
    raw_pages: usize,
    /// Words that stand in one page together.
    queries: Vec<Vec<String>>,
    ours_took: Took,
    raw_took: Took,
}

/// What building an index took.
struct Took {
    seconds: f64,
    cpu_s: Option<f64>,
}

impl Built {
    /// Indexes `files` files from below `corpus` in a folder, see [`run`].
    ///
    /// # Errors
    /// Those of [`run`].
    pub fn new(files: usize, dir: &Path, corpus: &Path) -> Result<Self, DiskError> {
        let tree = dir.join(TREE);
        let (ours_dir, raw_dir) = (dir.join(OURS), dir.join(RAW));
        for old in [&tree, &ours_dir, &raw_dir] {
            if old.exists() {
                fs::remove_dir_all(old).map_err(failed("removing", old))?;
            }
        }
        let texts = copy_corpus(files, corpus, &tree)?;
        let bytes = texts.iter().map(|(_, text)| text.len() as u64).sum();
        let pages = pages_of(&texts);
        let limits = Limits::default();
        let disk = Arc::new(TantivyDisk::open(&ours_dir, limits.clone())?);
        let root = tree.to_string_lossy().into_owned();
        let (start, cpu) = (Instant::now(), Cpu::now());
        let report = mount(&disk, &root)?;
        let ours_took = Took { seconds: start.elapsed().as_secs_f64(), cpu_s: cpu.elapsed_s() };
        let (start, cpu) = (Instant::now(), Cpu::now());
        let raw = Raw::build(&raw_dir, &pages, &limits).map_err(tantivy_failed(&raw_dir))?;
        let raw_took = Took { seconds: start.elapsed().as_secs_f64(), cpu_s: cpu.elapsed_s() };
        let (raw_pages, queries) = (pages.len(), queries_from(&pages));
        Ok(Self { disk, raw, root, report, bytes, raw_pages, queries, ours_took, raw_took })
    }

    fn mount(&self) -> Result<MountReport, DiskError> {
        mount(&self.disk, &self.root)
    }

    /// How many pages ours has.
    pub const fn pages(&self) -> u64 {
        self.report.pages
    }

    /// Questions: words that stand in one page together.
    pub fn queries(&self) -> &[Vec<String>] {
        &self.queries
    }

    /// How long plain tantivy takes to find and load the best pages.
    ///
    /// # Errors
    /// Those of tantivy.
    pub fn time_raw(&self, words: &[String]) -> Result<Duration, DiskError> {
        self.raw.time(words).map_err(tantivy_failed(Path::new(RAW)))
    }
}

fn mount(disk: &TantivyDisk, root: &str) -> Result<MountReport, DiskError> {
    disk.mount(root, &MountOptions::default(), &CancelFlag::new(), &mut |_| {})
}

/// The processor time of this process, where the system tells it: on a machine that is busy with
/// other things it compares better than time on the clock.
struct Cpu(Option<u64>);

impl Cpu {
    /// Source: proc(5), `/proc/pid/stat`, fields 14 and 15, in ticks of 10 ms.
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let after_name = stat.as_deref().and_then(|stat| stat.rsplit_once(')')).map(|(_, rest)| rest);
        let ticks = after_name
            .map(|rest| rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum());
        Self(ticks)
    }

    fn elapsed_s(&self) -> Option<f64> {
        const TICKS_A_S: f64 = 100.0;
        let spent = Self::now().0?.checked_sub(self.0?)?;
        Some(round(spent as f64 / TICKS_A_S))
    }
}

fn failed<'a>(what: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> DiskError + 'a {
    move |error| DiskError::Failed { what: format!("{what} {}", path.display()), reason: error.to_string() }
}

fn tantivy_failed(path: &Path) -> impl Fn(tantivy::TantivyError) -> DiskError + '_ {
    move |error| DiskError::Failed {
        what: format!("running plain tantivy in {}", path.display()),
        reason: error.to_string(),
    }
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn size_of(dir: &Path) -> u64 {
    let files = WalkDir::new(dir).into_iter().flatten();
    files
        .filter_map(|entry| entry.metadata().ok())
        .filter(|metadata| metadata.is_file())
        .map(|metadata| metadata.len())
        .sum()
}

/// Copies text files in the order of their paths; a corpus with fewer is copied again.
fn copy_corpus(files: usize, corpus: &Path, tree: &Path) -> Result<Vec<(String, String)>, DiskError> {
    let is_fit = |entry: &walkdir::DirEntry| {
        let size = entry.metadata().map_or(0, |metadata| metadata.len());
        entry.file_type().is_file() && size > 0 && size <= FILE_BYTES_MAX
    };
    let shown = |name: &str| !name.starts_with('.');
    let entries = WalkDir::new(corpus).sort_by_file_name().into_iter().flatten();
    let candidates = entries.filter(is_fit).take(CANDIDATES_MAX).map(walkdir::DirEntry::into_path);
    let mut sources: Vec<(PathBuf, String)> = Vec::with_capacity(files);
    for path in candidates {
        if sources.len() == files {
            break;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read(&path).ok().and_then(decode::decode);
        if let Some(text) =
            text.filter(|_| shown(&name) && !name.ends_with(".key") && !name.ends_with(".pem"))
        {
            sources.push((PathBuf::from(name), text.text));
        }
    }
    if sources.is_empty() {
        return Err(DiskError::Failed {
            what: format!("looking for text files below {}", corpus.display()),
            reason: "there are none; name a folder that has some".into(),
        });
    }
    let mut texts = Vec::with_capacity(files);
    for (number, (name, text)) in sources.iter().cycle().take(files).enumerate() {
        let folder = tree.join(format!("part-{}", number / FILES_A_FOLDER));
        if number % FILES_A_FOLDER == 0 {
            fs::create_dir_all(&folder).map_err(failed("making", &folder))?;
        }
        let path = folder.join(format!("{number}-{}", name.display()));
        fs::write(&path, text).map_err(failed("writing", &path))?;
        let name = path.strip_prefix(tree).unwrap_or(&path).to_string_lossy().into_owned();
        texts.push((name, text.clone()));
    }
    Ok(texts)
}

/// The pages that [`TantivyDisk`] makes of the texts.
fn pages_of(texts: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut pages = Vec::new();
    for (name, text) in texts {
        let cut = cut::cut(text, Kind::of(name));
        let bodies = cut.pages.iter().map(|page| &text[page.bytes.clone()]);
        pages.extend(bodies.filter(|body| !body.trim_start().is_empty()).map(|body| (name.as_str(), body)));
    }
    pages
}

/// Plain tantivy.
struct Raw {
    reader: IndexReader,
    body: Field,
}

impl Raw {
    fn build(dir: &Path, pages: &[(&str, &str)], limits: &Limits) -> tantivy::Result<Self> {
        fs::create_dir_all(dir)?;
        let mut schema = Schema::builder();
        let path = schema.add_text_field("path", TEXT | STORED);
        let body = schema.add_text_field("body", TEXT | STORED);
        let index = Index::create_in_dir(dir, schema.build())?;
        let threads = limits.threads();
        let mut writer: IndexWriter =
            index.writer_with_num_threads(threads, limits.writer_memory_bytes * threads)?;
        for (name, text) in pages {
            let mut document = TantivyDocument::default();
            document.add_text(path, name);
            document.add_text(body, text);
            writer.add_document(document)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { reader, body })
    }

    fn time(&self, words: &[String]) -> tantivy::Result<Duration> {
        let start = Instant::now();
        let searcher = self.reader.searcher();
        let clauses = words.iter().map(|word| {
            let term = Term::from_field_text(self.body, word);
            let clause: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            (Occur::Should, clause)
        });
        let query = BooleanQuery::new(clauses.collect());
        let top = TopDocs::with_limit(TOP).order_by_score();
        for (_, address) in searcher.search(&query, &top)? {
            searcher.doc::<TantivyDocument>(address)?;
        }
        Ok(start.elapsed())
    }
}

/// Words that stand in one page together, spread evenly over all pages.
fn queries_from(pages: &[(&str, &str)]) -> Vec<Vec<String>> {
    const WORD_CHARS_MIN: usize = 4;
    let step = (pages.len() / QUERIES).max(1);
    let words_of = |(index, (_, text)): (usize, &(&str, &str))| {
        let is_word =
            |word: &&str| word.len() >= WORD_CHARS_MIN && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let mut words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_word).collect();
        words.sort_unstable();
        words.dedup();
        let spread = (words.len() / QUERY_WORDS).max(1);
        let words = words.into_iter().skip(index % spread).step_by(spread).take(QUERY_WORDS);
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    let sampled = pages.iter().step_by(step).take(QUERIES).enumerate().map(words_of);
    sampled.filter(|words| words.len() == QUERY_WORDS).collect()
}

/// p50 and p99, in microseconds.
type Times = (f64, f64);

/// Runs every query on both, one after the other; gives p50 and p99 of each in microseconds.
fn time_queries(built: &Built) -> Result<(Times, Times), DiskError> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // The first round warms both up.
    for round in 0..2 {
        for words in &built.queries {
            let text = words.join(" ");
            let start = Instant::now();
            built.disk.search(&text, &[], TOP)?;
            let ours_took = start.elapsed();
            let theirs_took = built.time_raw(words)?;
            if round > 0 {
                ours.push(ours_took);
                theirs.push(theirs_took);
            }
        }
    }
    Ok((percentiles(ours), percentiles(theirs)))
}

fn percentiles(mut times: Vec<Duration>) -> Times {
    times.sort();
    let at =
        |part: usize| times.get(times.len() * part / 100).map_or(0.0, |time| round(time.as_secs_f64() * 1e6));
    (at(50), at(99))
}
