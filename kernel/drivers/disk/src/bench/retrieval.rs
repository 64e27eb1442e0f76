//! Measures how good searching is, on a collection with relevance judgements.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lucid_kernel::port::{CancelFlag, Disk, DiskError, Embedder, MountOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{STORED, STRING, Schema, TEXT, Value as _};
use tantivy::{Index, IndexWriter, TantivyDocument};

use super::{Times, failed, percentiles, round, tantivy_failed};
use crate::{Limits, TantivyDisk};

/// Results that count.
const TOP: usize = 10;
/// Pages looked at for them: a document may be cut into several.
const PAGES: usize = 50;

/// Relevant documents of each query, with their grades.
type Judgements = BTreeMap<String, HashMap<String, f64>>;

/// Documents, best first.
type Ranking = Vec<String>;

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "_id")]
    id: String,
    #[serde(default)]
    title: String,
    text: String,
}

/// Searches a collection in the form of the BEIR benchmark (`corpus.jsonl`, `queries.jsonl`,
/// `qrels/test.tsv`) with plain tantivy, with [`TantivyDisk`] by words, and with an embedder by words
/// and meaning. `dir` is worked in.
///
/// Gives for each the mean nDCG@10 with the grades as gains (Järvelin and Kekäläinen, 2002), the
/// mean recall@10, and the time of a query in microseconds.
///
/// # Errors
/// [`DiskError::Failed`] when the collection cannot be read, and those of indexing.
pub fn run(collection: &Path, dir: &Path, embedder: Option<Arc<dyn Embedder>>) -> Result<Value, DiskError> {
    let documents = texts(&collection.join("corpus.jsonl"))?;
    let judgements = judgements(&collection.join("qrels/test.tsv"))?;
    let mut queries = texts(&collection.join("queries.jsonl"))?;
    queries.retain(|query| judgements.contains_key(&query.id));
    let tree = dir.join("files");
    fs::create_dir_all(&tree).map_err(failed("making", &tree))?;
    let mut ids = HashMap::new();
    for (number, document) in documents.iter().enumerate() {
        let path = tree.join(format!("{number}.txt"));
        let text = format!("{}\n\n{}\n", document.title, document.text);
        fs::write(&path, text.trim_start()).map_err(failed("writing", &path))?;
        ids.insert(format!("{number}.txt"), document.id.clone());
    }
    let root = tree.to_string_lossy().into_owned();
    let index = dir.join("index");
    let disk = TantivyDisk::open(&index, Limits::default())?;
    let report = disk.mount(&root, &MountOptions::default(), &CancelFlag::new(), &mut |_| {})?;
    let by_words = searched(&disk, &queries, &ids)?;
    drop(disk);
    let mut found = json!({
        "plain_tantivy": plain(&documents, &queries)?.scored(&judgements),
        "words": by_words.scored(&judgements),
    });
    if let Some(embedder) = embedder {
        let disk = TantivyDisk::open(&index, Limits::default())?.with_embedder(embedder);
        let began = Instant::now();
        while disk.embed(&root, usize::MAX, &CancelFlag::new())? > 0 {}
        let seconds = began.elapsed().as_secs_f64();
        found["words_and_meaning"] = searched(&disk, &queries, &ids)?.scored(&judgements);
        found["embedding"] =
            json!({ "seconds": round(seconds), "pages_per_s": round(report.pages as f64 / seconds) });
    }
    found["documents"] = json!(documents.len());
    found["pages"] = json!(report.pages);
    found["queries"] = json!(queries.len());
    Ok(found)
}

/// What was found, query by query, and how long each took.
struct Run {
    rankings: Vec<(String, Ranking)>,
    times: Times,
}

impl Run {
    fn scored(&self, judgements: &Judgements) -> Value {
        let mean = |measure: &dyn Fn(&HashMap<String, f64>, &Ranking) -> f64| {
            let values = self.rankings.iter().map(|(query, ranking)| measure(&judgements[query], ranking));
            round(values.sum::<f64>() / self.rankings.len().max(1) as f64)
        };
        json!({
            "ndcg_at_10": mean(&ndcg),
            "recall_at_10": mean(&recall),
            "query_us": { "p50": self.times.0, "p99": self.times.1 },
        })
    }
}

fn gain(grades: impl Iterator<Item = f64>) -> f64 {
    (2_u32..).zip(grades.take(TOP)).map(|(rank, grade)| grade / f64::from(rank).log2()).sum()
}

fn ndcg(relevant: &HashMap<String, f64>, ranking: &Ranking) -> f64 {
    let mut ideal: Vec<f64> = relevant.values().copied().collect();
    ideal.sort_by(|one, other| other.total_cmp(one));
    let found = ranking.iter().map(|id| relevant.get(id).copied().unwrap_or(0.0));
    gain(found) / gain(ideal.into_iter()).max(f64::MIN_POSITIVE)
}

fn recall(relevant: &HashMap<String, f64>, ranking: &Ranking) -> f64 {
    let found = ranking.iter().take(TOP).filter(|id| relevant.contains_key(*id)).count();
    found as f64 / relevant.len().clamp(1, TOP) as f64
}

fn searched(disk: &TantivyDisk, queries: &[Text], ids: &HashMap<String, String>) -> Result<Run, DiskError> {
    let mut rankings = Vec::new();
    let mut times = Vec::new();
    for query in queries {
        let began = Instant::now();
        let hits = disk.search(&query.text, &[], PAGES)?;
        times.push(began.elapsed());
        let mut ranking = Ranking::new();
        for hit in hits {
            let id = hit.range.path.rsplit('/').next().and_then(|name| ids.get(name));
            // A document is as good as its best page.
            if let Some(id) = id.filter(|id| !ranking.contains(id)) {
                ranking.push(id.clone());
            }
        }
        rankings.push((query.id.clone(), ranking));
    }
    Ok(Run { rankings, times: percentiles(times) })
}

/// Plain tantivy: title and text as default text fields, the query through its own parser.
fn plain(documents: &[Text], queries: &[Text]) -> Result<Run, DiskError> {
    let failed = |error: tantivy::TantivyError| tantivy_failed(Path::new("memory"))(error);
    let mut schema = Schema::builder();
    let id = schema.add_text_field("id", STRING | STORED);
    let title = schema.add_text_field("title", TEXT);
    let text = schema.add_text_field("text", TEXT);
    let index = Index::create_in_ram(schema.build());
    let mut writer: IndexWriter =
        index.writer_with_num_threads(1, Limits::default().writer_memory_bytes).map_err(failed)?;
    for document in documents {
        let mut entry = TantivyDocument::default();
        entry.add_text(id, &document.id);
        entry.add_text(title, &document.title);
        entry.add_text(text, &document.text);
        writer.add_document(entry).map_err(failed)?;
    }
    writer.commit().map_err(failed)?;
    let searcher = index.reader().map_err(failed)?.searcher();
    let parser = QueryParser::for_index(&index, vec![title, text]);
    let mut rankings = Vec::new();
    let mut times = Vec::new();
    for query in queries {
        let began = Instant::now();
        let (parsed, _) = parser.parse_query_lenient(&query.text);
        let top = TopDocs::with_limit(TOP).order_by_score();
        let mut ranking = Ranking::new();
        for (_, address) in searcher.search(&parsed, &top).map_err(failed)? {
            let entry: TantivyDocument = searcher.doc(address).map_err(failed)?;
            ranking.extend(entry.get_first(id).and_then(|value| value.as_str()).map(str::to_owned));
        }
        times.push(began.elapsed());
        rankings.push((query.id.clone(), ranking));
    }
    Ok(Run { rankings, times: percentiles(times) })
}

fn texts(path: &Path) -> Result<Vec<Text>, DiskError> {
    let content = fs::read_to_string(path).map_err(failed("reading", path))?;
    let lines = content.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).map_err(|error| failed("reading", path)(error.into())))
        .collect()
}

/// Lines of a query, a document and a grade, parted by tabs; the first line names the columns.
fn judgements(path: &Path) -> Result<Judgements, DiskError> {
    let content = fs::read_to_string(path).map_err(failed("reading", path))?;
    let mut judgements = Judgements::new();
    for line in content.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let mut columns = line.split('\t').map(str::trim);
        let (Some(query), Some(document), Some(grade)) = (columns.next(), columns.next(), columns.next())
        else {
            let wrong = std::io::Error::other(format!("{line:?} is no judgement"));
            return Err(failed("reading", path)(wrong));
        };
        let grade: f64 =
            grade.parse().map_err(|_| failed("reading", path)(std::io::Error::other(format!("{line:?}"))))?;
        if grade > 0.0 {
            judgements.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
        }
    }
    Ok(judgements)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_those_of_the_literature() {
        let relevant = HashMap::from([("a".to_owned(), 2.0), ("b".to_owned(), 1.0)]);
        let ranking = |ids: &str| ids.chars().map(String::from).collect::<Ranking>();
        assert_eq!(ndcg(&relevant, &ranking("ab")), 1.0);
        // (1 + 2 / log2 3) / (2 + 1 / log2 3)
        assert!((ndcg(&relevant, &ranking("ba")) - 0.859_72).abs() < 1e-5);
        assert_eq!(ndcg(&relevant, &ranking("xyz")), 0.0);
        assert_eq!(recall(&relevant, &ranking("xb")), 0.5);
    }

    #[test]
    fn a_collection_is_searched() {
        let collection = tempfile::tempdir().unwrap();
        let at = |name: &str| collection.path().join(name);
        fs::create_dir_all(at("qrels")).unwrap();
        fs::write(
            at("corpus.jsonl"),
            "{\"_id\":\"d1\",\"title\":\"Zebras\",\"text\":\"They are striped.\"}\n\
             {\"_id\":\"d2\",\"text\":\"The rent is due.\"}\n",
        )
        .unwrap();
        fs::write(at("queries.jsonl"), "{\"_id\":\"q1\",\"text\":\"striped zebra\"}\n").unwrap();
        fs::write(at("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq1\td1\t1\n").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let found = run(collection.path(), dir.path(), None).unwrap();
        assert_eq!(found["words"]["ndcg_at_10"], 1.0);
        assert_eq!(found["plain_tantivy"]["recall_at_10"], 1.0);
        fs::write(at("qrels/test.tsv"), "query-id\tcorpus-id\tscore\nq1 d1\n").unwrap();
        let dir = tempfile::tempdir().unwrap();
        assert!(run(collection.path(), dir.path(), None).unwrap_err().to_string().contains("test.tsv"));
    }
}
