//! Breaks up lines that are longer than a page: minified code, data without line ends, prose
//! with one line a paragraph.

use text_splitter::{ChunkCapacity, ChunkConfig, TextSplitter};

use super::{Line, PAGE_BYTES_MAX, PAGE_BYTES_TARGET, rank};

/// Prose is handed to text-splitter in parts of at most this length: its time grows faster than its input, in bytes.
const PROSE_BYTES_MAX: usize = 8 << 10;
/// Prose has no run without a space that is longer than this, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// Prose has a sentence end at least this often, in bytes.
const SENTENCE_BYTES_MAX: usize = 600;
/// How far back from a limit a better place is looked for, in bytes.
const LOOK_BACK_BYTES: usize = 200;

/// Replaces every line longer than a page by its pieces. They keep its number.
pub(super) fn break_up(text: &str, lines: Vec<Line>) -> Vec<Line> {
    let end_of = |index: usize| lines.get(index + 1).map_or(text.len(), |next: &Line| next.start);
    if (0..lines.len()).all(|index| end_of(index) - lines[index].start <= PAGE_BYTES_MAX) {
        return lines;
    }
    let mut broken = Vec::with_capacity(lines.len() * 2);
    for (index, line) in lines.iter().enumerate() {
        broken.push(*line);
        let whole = &text[line.start..end_of(index)];
        if whole.len() > PAGE_BYTES_MAX {
            let starts = piece_starts(whole);
            broken.extend(starts.into_iter().map(|at| Line {
                start: line.start + at,
                rank: rank::LINE,
                ..*line
            }));
        }
    }
    broken
}

/// Where the pieces of a line begin, the first one left out.
fn piece_starts(line: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut rest = 0;
    while line.len() - rest > PROSE_BYTES_MAX {
        let end = rest + cut_before(&line[rest..], PROSE_BYTES_MAX);
        starts.extend(pieces_of_part(&line[rest..end]).map(|at| rest + at));
        starts.push(end);
        rest = end;
    }
    starts.extend(pieces_of_part(&line[rest..]).map(|at| rest + at));
    starts
}

fn pieces_of_part(part: &str) -> Box<dyn Iterator<Item = usize> + '_> {
    if is_prose(part) { Box::new(sentences(part)) } else { Box::new(windows(part)) }
}

fn sentences(part: &str) -> impl Iterator<Item = usize> {
    let capacity = ChunkCapacity::new(PAGE_BYTES_TARGET);
    let capacity = capacity.with_max(PAGE_BYTES_MAX).unwrap_or(capacity);
    let config = ChunkConfig::new(capacity).with_trim(false).with_sizer(Bytes);
    let splitter = TextSplitter::new(config);
    let starts: Vec<usize> = splitter.chunk_indices(part).map(|(at, _)| at).filter(|at| *at > 0).collect();
    starts.into_iter()
}

/// Sizes by bytes, as pages are.
struct Bytes;

impl text_splitter::ChunkSizer for Bytes {
    fn size(&self, chunk: &str) -> usize {
        chunk.len()
    }
}

fn windows(part: &str) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if part.len() - at <= PAGE_BYTES_MAX {
            return None;
        }
        at += cut_before(&part[at..], PAGE_BYTES_TARGET);
        Some(at)
    })
}

/// A good place to cut at or shortly before a limit: after white space, else after punctuation,
/// else between two characters. Never 0.
fn cut_before(text: &str, limit: usize) -> usize {
    let end = text.floor_char_boundary(limit);
    let begin = text.ceil_char_boundary(end.saturating_sub(LOOK_BACK_BYTES).max(1));
    let back = &text[begin.min(end)..end];
    let after = |found: Option<(usize, char)>| found.map(|(at, c)| begin + at + c.len_utf8());
    let space = after(back.char_indices().rfind(|(_, c)| c.is_whitespace()));
    let mark = || after(back.char_indices().rfind(|(_, c)| matches!(c, ';' | ',' | '}' | '>' | '。' | '、')));
    space.or_else(mark).unwrap_or(end)
}

/// Whether sentences are to be expected, and nothing that makes looking for them slow.
fn is_prose(part: &str) -> bool {
    let (mut word, mut sentence) = (0, 0);
    let mut ended = false;
    for c in part.chars() {
        let bytes = c.len_utf8();
        sentence += bytes;
        if c.is_whitespace() {
            if ended {
                sentence = 0;
            }
            word = 0;
        } else {
            word += bytes;
        }
        ended = matches!(c, '.' | '!' | '?' | '…') || ended && matches!(c, '"' | ')' | '\'' | '”' | '’');
        if word > WORD_BYTES_MAX || sentence > SENTENCE_BYTES_MAX {
            return false;
        }
    }
    true
}
