//! What a page looks like inside tantivy: one record, indexed and stored, and one number that
//! names its file.
//!
//! Path, headings and text share one field of terms, the file's name counted twice, on its first
//! page four times, because what opens a file says what it is about; and a heading once more than
//! it stands in the text. This is BM25F with whole-number weights (Robertson and Zaragoza, "The
//! Probabilistic Relevance Framework", 2009, section 3.4), at the price of searching one field.
//!
//! The tokenizer finds these parts in the record itself: tantivy copies every value of a document
//! once more, so that a page that is one value costs half of what its parts and a record would.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use lucid_kernel::abi::FileRange;
use lucid_kernel::port::Hit;
use tantivy::schema::document::{
    DeserializeError, DocumentDeserialize, DocumentDeserializer, ReferenceValue, ReferenceValueLeaf,
};
use tantivy::schema::{
    Document, Field, IndexRecordOption, NumericOptions, OwnedValue, Schema, TextFieldIndexing, TextOptions,
    Value,
};
use tantivy::tokenizer::{TextAnalyzer, Tokenizer};
use tantivy::{Index, IndexSettings};

use crate::index::gate::Permit;
use crate::root;
use crate::scan::CutFile;
use crate::words::{self, TEXTS, Words};

/// The name of our tokenizer in the schema. It changes when the terms do.
const TOKENIZER: &str = "lucid-page-1";

const RECORD: Field = Field::from_field_id(0);
const FILE: Field = Field::from_field_id(1);

/// The field of terms.
pub(crate) const fn terms_field() -> Field {
    RECORD
}

/// The field that names the file.
pub(crate) const fn file_field() -> Field {
    FILE
}

/// The schema of every index.
pub(crate) fn schema() -> Schema {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqs)
        .set_fieldnorms(true);
    builder.add_text_field("page", TextOptions::default().set_indexing_options(indexing).set_stored());
    builder.add_u64_field("file", NumericOptions::default().set_indexed());
    builder.build()
}

/// How every index stores its records. Compressing them on the indexing thread itself is faster
/// than handing them to one more thread.
pub(crate) fn settings() -> IndexSettings {
    IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() }
}

/// Makes our tokenizer known to an index.
pub(crate) fn register(index: &Index) {
    index.tokenizers().register(TOKENIZER, TextAnalyzer::from(PageWords::default()));
}

/// The texts whose terms make a page findable, each as often as it counts.
pub(crate) fn weighted<'a>(name: &'a str, heading: &'a str, text: &'a str, opens: bool) -> [&'a str; TEXTS] {
    let stem = file_stem(name);
    let opening = if opens { stem } else { "" };
    [name, stem, opening, opening, heading, text]
}

/// The terms of a record.
#[derive(Clone, Default)]
struct PageWords(Words);

impl Tokenizer for PageWords {
    type TokenStream<'a> = words::Stream<'a>;

    fn token_stream<'a>(&'a mut self, record: &'a str) -> words::Stream<'a> {
        let texts = match Parts::of(record) {
            Some(parts) => weighted(parts.name, parts.heading, parts.text, parts.opens),
            // Not one of ours; its words are those that it has.
            None => weighted("", "", record, false),
        };
        self.0.stream(texts)
    }
}

/// A record taken apart. It is one line of numbers, then name, heading and text without anything
/// between them.
struct Parts<'a> {
    lines: (u32, u32),
    bytes: (u64, u64),
    /// Whether the page opens its file.
    opens: bool,
    name: &'a str,
    heading: &'a str,
    text: &'a str,
}

impl<'a> Parts<'a> {
    /// None when it is no record.
    fn of(record: &'a str) -> Option<Self> {
        let (head, rest) = record.split_once('\n')?;
        let mut numbers = head.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let lines = (u32::try_from(next()?).ok()?, u32::try_from(next()?).ok()?);
        let bytes = (next()?, next()?);
        let opens = next()? == 1;
        let name_bytes = usize::try_from(next()?).ok()?;
        let heading_bytes = usize::try_from(next()?).ok()?;
        let (name, rest) = rest.split_at_checked(name_bytes)?;
        let (heading, text) = rest.split_at_checked(heading_bytes)?;
        Some(Self { lines, bytes, opens, name, heading, text })
    }

    fn push(&self, records: &mut String) {
        let Self { lines: (first, last), bytes: (start, end), name, heading, text, .. } = self;
        let opens = u8::from(self.opens);
        // Writing to a string cannot fail.
        let _ = writeln!(records, "{first} {last} {start} {end} {opens} {} {}", name.len(), heading.len());
        for part in [name, heading, text] {
            records.push_str(part);
        }
    }
}

/// The pages of one file, ready to be indexed: records one after another.
pub(crate) struct Packed {
    records: String,
    /// Where each record ends.
    ends: Vec<usize>,
    _permit: Permit,
}

/// Packs a file's pages. Pages of white space alone are left out: nothing can be found in them.
pub(crate) fn pack(file: &CutFile, permit: impl FnOnce(usize) -> Permit) -> Packed {
    let text = &file.decoded.text;
    let is_blank = |bytes: &Range<usize>| text[bytes.clone()].trim_start().is_empty();
    let pages: Vec<_> = file.cut.pages.iter().filter(|page| !is_blank(&page.bytes)).collect();
    let places: Vec<usize> = pages.iter().flat_map(|page| [page.bytes.start, page.bytes.end]).collect();
    let offsets = file.decoded.file_offsets(&places);
    let mut records = String::with_capacity(text.len() + pages.len() * (file.name.len() + 64));
    let mut ends = Vec::with_capacity(pages.len());
    for (page, bytes) in pages.iter().zip(offsets.chunks_exact(2)) {
        let parts = Parts {
            lines: page.lines,
            bytes: (bytes[0], bytes[1]),
            opens: ends.is_empty(),
            name: &file.name,
            heading: file.cut.heading(page),
            text: &text[page.bytes.clone()],
        };
        parts.push(&mut records);
        ends.push(records.len());
    }
    let permit = permit(records.len());
    Packed { records, ends, _permit: permit }
}

impl Packed {
    /// How many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One document a page.
    pub(crate) fn into_pages(self, file: u64) -> impl ExactSizeIterator<Item = PageDoc> {
        let packed = Arc::new(self);
        (0..packed.len()).map(move |page| PageDoc { packed: Arc::clone(&packed), page, file })
    }
}

/// A page as tantivy takes it.
pub(crate) struct PageDoc {
    packed: Arc<Packed>,
    page: usize,
    file: u64,
}

impl PageDoc {
    fn record(&self) -> &str {
        let start = self.page.checked_sub(1).map_or(0, |before| self.packed.ends[before]);
        &self.packed.records[start..self.packed.ends[self.page]]
    }
}

/// A value of a page's field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PageValue<'a> {
    Text(&'a str),
    Number(u64),
}

impl<'a> Value<'a> for PageValue<'a> {
    type ArrayIter = std::iter::Empty<Self>;
    type ObjectIter = std::iter::Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match *self {
            Self::Text(text) => ReferenceValueLeaf::Str(text),
            Self::Number(number) => ReferenceValueLeaf::U64(number),
        })
    }
}

impl Document for PageDoc {
    type Value<'a> = PageValue<'a>;
    type FieldsValuesIter<'a> = std::array::IntoIter<(Field, PageValue<'a>), 2>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        [(RECORD, PageValue::Text(self.record())), (FILE, PageValue::Number(self.file))].into_iter()
    }
}

/// A page as it comes back from the store: its record.
pub(crate) struct Record(String);

impl DocumentDeserialize for Record {
    fn deserialize<'de, D>(mut deserializer: D) -> Result<Self, DeserializeError>
    where
        D: DocumentDeserializer<'de>,
    {
        let mut record = String::new();
        while let Some((_, value)) = deserializer.next_field::<OwnedValue>()? {
            if let OwnedValue::Str(text) = value {
                record = text;
            }
        }
        Ok(Self(record))
    }
}

impl Record {
    /// What a page says, and under what; none when the record makes no sense.
    pub(crate) fn heading_and_text(&self) -> Option<(&str, &str)> {
        Parts::of(&self.0).map(|parts| (parts.heading, parts.text))
    }

    /// The page under a folder; none when the record makes no sense.
    pub(crate) fn into_hit(self, root: &str, score: f32) -> Option<Hit> {
        let Parts { lines, bytes, name, heading, text, .. } = Parts::of(&self.0)?;
        let range = FileRange { path: root::join(root, name).into(), lines, bytes };
        Some(Hit { range, heading: heading.to_owned(), text: text.to_owned(), score })
    }
}

/// A file's name without folders and ending.
fn file_stem(name: &str) -> &str {
    let last = name.rfind('/').map_or(name, |at| &name[at + 1..]);
    last.split_once('.').map_or(last, |(stem, _)| if stem.is_empty() { last } else { stem })
}
