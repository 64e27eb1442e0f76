//! What a page looks like inside tantivy: one field of terms, one number that names its file,
//! and one stored record.
//!
//! Path, headings and text share one field of terms, the file's name counted twice, on its first
//! page four times, because what opens a file says what it is about; and a heading once more than
//! it stands in the text. This is BM25F with whole-number weights (Robertson and Zaragoza, "The Probabilistic
//! Relevance Framework", 2009, section 3.4), at the price of searching one field.

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
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{Index, IndexSettings};

use crate::index::gate::Permit;
use crate::root;
use crate::scan::CutFile;
use crate::words::Words;

/// The name of our tokenizer in the schema. It changes when the terms do.
const TOKENIZER: &str = "lucid-words-2";

const TERMS: Field = Field::from_field_id(0);
const FILE: Field = Field::from_field_id(1);
const RECORD: Field = Field::from_field_id(2);

/// The field of terms.
pub(crate) const fn terms_field() -> Field {
    TERMS
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
    builder.add_text_field("terms", TextOptions::default().set_indexing_options(indexing));
    builder.add_u64_field("file", NumericOptions::default().set_indexed());
    builder.add_text_field("record", TextOptions::default().set_stored());
    builder.build()
}

/// How every index stores its records. Compressing them on the indexing thread itself is faster
/// than handing them to one more thread.
pub(crate) fn settings() -> IndexSettings {
    IndexSettings { docstore_compress_dedicated_thread: false, ..IndexSettings::default() }
}

/// Makes our tokenizer known to an index.
pub(crate) fn register(index: &Index) {
    index.tokenizers().register(TOKENIZER, TextAnalyzer::from(Words::default()));
}

/// The pages of one file, ready to be indexed: records one after another.
pub(crate) struct Packed {
    records: String,
    pages: Vec<Place>,
    _permit: Permit,
}

/// Where the parts of a page's record are.
struct Place {
    name: Range<usize>,
    heading: Range<usize>,
    text: Range<usize>,
}

/// Packs a file's pages. Pages of white space alone are left out: nothing can be found in them.
pub(crate) fn pack(file: &CutFile, permit: impl FnOnce(usize) -> Permit) -> Packed {
    let text = &file.decoded.text;
    let is_blank = |bytes: &Range<usize>| text[bytes.clone()].trim_start().is_empty();
    let pages: Vec<_> = file.cut.pages.iter().filter(|page| !is_blank(&page.bytes)).collect();
    let places: Vec<usize> = pages.iter().flat_map(|page| [page.bytes.start, page.bytes.end]).collect();
    let offsets = file.decoded.file_offsets(&places);
    let mut records = String::with_capacity(text.len() + pages.len() * (file.name.len() + 64));
    let mut packed = Vec::with_capacity(pages.len());
    for (page, bytes) in pages.iter().zip(offsets.chunks_exact(2)) {
        let heading = file.cut.heading(page);
        let start = records.len();
        let (first, last) = page.lines;
        let head =
            format!("{first} {last} {} {} {} {}\n", bytes[0], bytes[1], file.name.len(), heading.len());
        records.push_str(&head);
        let name = push(&mut records, &file.name);
        let heading = push(&mut records, heading);
        let text = push(&mut records, &text[page.bytes.clone()]);
        debug_assert_eq!(start + head.len(), name.start);
        packed.push(Place { name, heading, text });
    }
    let permit = permit(records.len());
    Packed { records, pages: packed, _permit: permit }
}

fn push(records: &mut String, part: &str) -> Range<usize> {
    let start = records.len();
    records.push_str(part);
    start..records.len()
}

impl Packed {
    /// How many pages there are.
    pub(crate) fn len(&self) -> usize {
        self.pages.len()
    }

    /// One document a page.
    pub(crate) fn into_pages(self, file: u64) -> impl ExactSizeIterator<Item = PageDoc> {
        let packed = Arc::new(self);
        (0..packed.pages.len()).map(move |page| PageDoc { packed: Arc::clone(&packed), page, file })
    }
}

/// A page as tantivy takes it.
pub(crate) struct PageDoc {
    packed: Arc<Packed>,
    page: usize,
    file: u64,
}

impl PageDoc {
    fn record(&self) -> Range<usize> {
        let start = match self.page {
            0 => 0,
            page => self.packed.pages[page - 1].text.end,
        };
        start..self.packed.pages[self.page].text.end
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
    type FieldsValuesIter<'a> = std::array::IntoIter<(Field, PageValue<'a>), 8>;

    fn iter_fields_and_values(&self) -> Self::FieldsValuesIter<'_> {
        let records = self.packed.records.as_str();
        let place = &self.packed.pages[self.page];
        let name = &records[place.name.clone()];
        let stem = file_stem(name);
        let heading = &records[place.heading.clone()];
        let opening = opening(stem, self.page == 0);
        [
            (TERMS, PageValue::Text(name)),
            (TERMS, PageValue::Text(stem)),
            (TERMS, PageValue::Text(opening)),
            (TERMS, PageValue::Text(opening)),
            (TERMS, PageValue::Text(heading)),
            (TERMS, PageValue::Text(&records[place.text.clone()])),
            (FILE, PageValue::Number(self.file)),
            (RECORD, PageValue::Text(&records[self.record()])),
        ]
        .into_iter()
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
    /// The page under a folder; none when the record makes no sense.
    pub(crate) fn into_hit(self, root: &str, score: f32) -> Option<Hit> {
        let (head, rest) = self.0.split_once('\n')?;
        let mut numbers = head.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        let lines = (u32::try_from(next()?).ok()?, u32::try_from(next()?).ok()?);
        let bytes = (next()?, next()?);
        let name_bytes = usize::try_from(next()?).ok()?;
        let heading_bytes = usize::try_from(next()?).ok()?;
        let (name, rest) = rest.split_at_checked(name_bytes)?;
        let (heading, text) = rest.split_at_checked(heading_bytes)?;
        let range = FileRange { path: root::join(root, name), lines, bytes };
        Some(Hit { range, heading: heading.to_owned(), text: text.to_owned(), score })
    }
}

/// What a page is given twice more beside its own words: the file's name, if it opens the file.
pub(crate) fn opening(stem: &str, is_first: bool) -> &str {
    if is_first { stem } else { "" }
}

/// A file's name without folders and ending.
pub(crate) fn file_stem(name: &str) -> &str {
    let last = name.rfind('/').map_or(name, |at| &name[at + 1..]);
    last.split_once('.').map_or(last, |(stem, _)| if stem.is_empty() { last } else { stem })
}
