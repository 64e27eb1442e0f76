//! Text to index terms, for pages and queries alike.
//!
//! Words are lower-cased, folded to ASCII where they are Latin, and reduced to their English stem
//! (Snowball, <https://snowballstem.org/algorithms/english/stemmer.html>). Names of programs are
//! kept whole and in parts: `maxTokens` and `max_tokens` both give `max`, `token`, `maxtokens`.
//! Scripts without spaces between words give single characters and pairs of them.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

use tantivy::tokenizer::{
    AsciiFoldingFilter, Language, LowerCaser, RawTokenizer, Stemmer, TextAnalyzer, Token, TokenStream,
};

/// Terms are cut to this length, in bytes.
const TERM_BYTES_MAX: usize = 64;
/// Longer words are not names that someone would write in parts, but data, in bytes.
const NAME_BYTES_MAX: usize = 160;
/// A name has at most this many parts.
const PARTS_MAX: usize = 24;
/// Words longer than this are not reduced, in bytes.
const STEM_BYTES_MAX: usize = 23;
/// How many stems are remembered; a power of two.
const STEMS: usize = 1 << 14;

/// Words that say little; they are left out of a query that has others.
const STOP_WORDS: &str = "a about above after again all also am an and any are as at be because been before being \
below between both but by can could did do does doing don down during each few for from further had has have \
having he her here hers him his how i if in into is it its itself just ll me might more most my no nor not now of \
off on once only or other our ours out over own please re s same she should so some such t than that the their \
theirs them then there these they this those through to too under until up us ve very was we were what when \
where which while who whom why will with would you your yours tell get gets give gives got kept like long made \
make makes many may mean means much must need needs often put say says shall use used uses using want wants";

/// What a byte is, as far as words go; what several are together is one `|` a byte.
mod class {
    /// Between words.
    pub(super) const OTHER: u8 = 0;
    pub(super) const LOWER: u8 = 1;
    pub(super) const UPPER: u8 = 2;
    pub(super) const DIGIT: u8 = 4;
    pub(super) const UNDERSCORE: u8 = 8;
    /// Part of a character beyond ASCII.
    pub(super) const BEYOND: u8 = 16;
}

const CLASSES: [u8; 256] = {
    let mut classes = [class::OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => class::LOWER,
            b'A'..=b'Z' => class::UPPER,
            b'0'..=b'9' => class::DIGIT,
            b'_' => class::UNDERSCORE,
            0x80.. => class::BEYOND,
            _ => class::OTHER,
        };
        byte += 1;
    }
    classes
};

fn class_of(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Turns text into terms. Remembers stems, so keep one a thread.
#[derive(Clone)]
pub(crate) struct Words {
    stems: Stems,
    token: Token,
}

impl Default for Words {
    fn default() -> Self {
        Self {
            stems: Stems::default(),
            token: Token { text: String::with_capacity(TERM_BYTES_MAX), ..Token::default() },
        }
    }
}

impl Words {
    /// Gives every term of the text to `sink`, in order, repeated ones too.
    pub(crate) fn each(&mut self, text: &str, sink: &mut dyn FnMut(&Token)) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let first = class_of(byte);
            if first == class::OTHER {
                at += 1;
                continue;
            }
            let (end, classes) = run(bytes, at);
            if classes & class::BEYOND == 0 {
                self.ascii_word(text, at..end, classes, sink);
                at = end;
            } else {
                at = self.beyond_ascii(text, at, sink);
            }
        }
    }

    /// The terms of the text as strings.
    pub(crate) fn terms(&mut self, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        self.each(text, &mut |token| terms.push(token.text.clone()));
        terms
    }

    fn ascii_word(&mut self, text: &str, at: Range<usize>, classes: u8, sink: &mut dyn FnMut(&Token)) {
        if has_parts(&text.as_bytes()[at.clone()], classes) {
            if at.len() <= NAME_BYTES_MAX {
                self.name(text, at, sink);
            } else {
                self.emit(&text[at], sink);
            }
        } else {
            self.plain(text, at, classes & class::DIGIT == 0, sink);
        }
    }

    /// A word without parts.
    fn plain(&mut self, text: &str, at: Range<usize>, reduce: bool, sink: &mut dyn FnMut(&Token)) {
        if reduce && at.len() <= STEM_BYTES_MAX {
            self.token.text.clear();
            self.stems.push(text, at, &mut self.token.text);
            sink(&self.token);
        } else {
            self.emit(&text[at], sink);
        }
    }

    /// A word with underscores or capitals inside: its parts, then the whole.
    fn name(&mut self, text: &str, word: Range<usize>, sink: &mut dyn FnMut(&Token)) {
        let mut parts = 0;
        let mut at = word.start;
        while let Some(part) = next_part(&text.as_bytes()[..word.end], at) {
            at = part.end;
            if parts < PARTS_MAX {
                let digits = text.as_bytes()[part.clone()].iter().any(u8::is_ascii_digit);
                self.plain(text, part, !digits, sink);
            }
            parts += 1;
        }
        if parts > 1 {
            self.token.text.clear();
            let whole = text.as_bytes()[word].iter().filter(|byte| **byte != b'_').take(TERM_BYTES_MAX);
            self.token.text.extend(whole.map(|byte| char::from(byte.to_ascii_lowercase())));
            sink(&self.token);
        }
    }

    fn emit(&mut self, ascii: &str, sink: &mut dyn FnMut(&Token)) {
        self.token.text.clear();
        self.token.text.push_str(&ascii[..ascii.len().min(TERM_BYTES_MAX)]);
        self.token.text.make_ascii_lowercase();
        sink(&self.token);
    }

    /// A word that has characters beyond ASCII, from `at` on; gives where it ends.
    fn beyond_ascii(&mut self, text: &str, at: usize, sink: &mut dyn FnMut(&Token)) -> usize {
        let mut word = String::new();
        let mut previous: Option<char> = None;
        let mut end = text.len();
        for (index, c) in text[at..].char_indices() {
            if is_unspaced(c) {
                if !word.is_empty() {
                    end = at + index;
                    break;
                }
                self.unspaced(previous.replace(c), c, sink);
            } else if previous.is_some() {
                end = at + index;
                break;
            } else if c.is_alphanumeric() || c == '_' {
                if word.len() < TERM_BYTES_MAX {
                    word.push(c);
                }
            } else if !is_mark(c) {
                end = at + index + c.len_utf8();
                break;
            }
        }
        if !word.is_empty() {
            self.token.text.clear();
            self.stems.reduce_any(&word, &mut self.token.text);
            sink(&self.token);
        }
        end
    }

    /// A character of a script without spaces, and the pair that it makes with the one before.
    fn unspaced(&mut self, previous: Option<char>, c: char, sink: &mut dyn FnMut(&Token)) {
        self.token.text.clear();
        self.token.text.push(c);
        sink(&self.token);
        if let Some(previous) = previous {
            self.token.text.clear();
            self.token.text.extend([previous, c]);
            sink(&self.token);
        }
    }
}

/// Where the word that begins at `at` ends, and the classes of its bytes. At a byte beyond ASCII
/// it ends behind it.
fn run(bytes: &[u8], at: usize) -> (usize, u8) {
    let mut classes = class::OTHER;
    let mut end = at;
    while let Some(&byte) = bytes.get(end) {
        let class = class_of(byte);
        if class == class::OTHER {
            break;
        }
        classes |= class;
        end += 1;
        if class == class::BEYOND {
            break;
        }
    }
    (end, classes)
}

/// Whether a word has underscores, a capital after a small letter or a digit, or a small letter
/// after two capitals.
fn has_parts(word: &[u8], classes: u8) -> bool {
    use class::{DIGIT, LOWER, UNDERSCORE, UPPER};
    if classes & UNDERSCORE != 0 {
        return true;
    }
    if classes & UPPER == 0 || classes & (LOWER | DIGIT) == 0 {
        return false;
    }
    let is = |byte: u8, class: u8| class_of(byte) & class != 0;
    word.windows(2).any(|pair| is(pair[0], LOWER | DIGIT) && is(pair[1], UPPER))
        || word.windows(3).any(|three| is(three[0], UPPER) && is(three[1], UPPER) && is(three[2], LOWER))
}

/// The next part of a name from `at` on: `HTTPServer_new` has `HTTP`, `Server`, `new`.
fn next_part(name: &[u8], at: usize) -> Option<Range<usize>> {
    use class::{DIGIT, LOWER, OTHER, UNDERSCORE, UPPER};
    let start = at + name[at..].iter().position(|byte| *byte != b'_')?;
    let class_at = |at: usize| name.get(at).map_or(OTHER, |byte| class_of(*byte));
    let mut end = start + 1;
    while end < name.len() {
        let next_is_lower = class_at(end + 1) == LOWER;
        let is_plural = name.get(end + 1) == Some(&b's') && class_at(end + 2) != LOWER;
        match (class_at(end - 1), class_at(end)) {
            (_, UNDERSCORE) => break,
            (LOWER | DIGIT, UPPER) => break,
            (UPPER, UPPER) if next_is_lower && !is_plural => break,
            _ => end += 1,
        }
    }
    Some(start..end)
}

/// Scripts that put no spaces between words: Han, Kana, Hangul, Thai, Lao, Khmer, Myanmar.
/// Source: Unicode 16.0, Blocks.txt.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1100..=0x11FF | 0x1780..=0x17FF | 0x3040..=0x318F
        | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA960..=0xA97F | 0xAC00..=0xD7FF
        | 0xF900..=0xFAFF | 0xFF66..=0xFF9F | 0x20000..=0x3FFFF)
}

/// Combining marks, soft hyphens and joiners: part of a word, but not of its term.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x00AD | 0x200B..=0x200D | 0xFE00..=0xFE0F)
}

/// Stems of words, the recent ones remembered.
#[derive(Clone)]
struct Stems {
    known: Vec<Known>,
    english: TextAnalyzer,
    folding: TextAnalyzer,
}

/// A word of at most [`STEM_BYTES_MAX`] letters in lower case, and its stem: how much of the
/// word it keeps, and what stands behind that. Half a cache line.
#[derive(Clone, Copy, Default)]
struct Known {
    word: Key,
    kept: u8,
    tail_bytes: u8,
    tail: [u8; TAIL_BYTES_MAX],
}

/// A stem that ends in more letters than this that its word has not is not remembered; the
/// stemmer puts two at most.
const TAIL_BYTES_MAX: usize = 6;

/// The letters of a word in lower case, eight a number, zeros behind them.
type Key = [u64; 3];

/// Bytes of a key.
const KEY_BYTES: usize = STEM_BYTES_MAX + 1;

/// Which bits of a key a word of so many bytes has.
const MASKS: [Key; KEY_BYTES] = {
    let mut masks = [[0; 3]; KEY_BYTES];
    let mut bytes = 0;
    while bytes < KEY_BYTES {
        let mut at = 0;
        while at < bytes {
            masks[bytes][at / 8] |= 0xFF << (at % 8 * 8);
            at += 1;
        }
        bytes += 1;
    }
    masks
};

impl Default for Stems {
    fn default() -> Self {
        let raw = || TextAnalyzer::builder(RawTokenizer::default());
        let folding = raw().filter(LowerCaser).filter(AsciiFoldingFilter).filter(LowerCaser);
        Self {
            known: vec![Known::default(); STEMS],
            english: raw().filter(Stemmer::new(Language::English)).build(),
            folding: folding.filter(Stemmer::new(Language::English)).build(),
        }
    }
}

impl Stems {
    /// Appends the stem of the ASCII word that the text has there, of at most
    /// [`STEM_BYTES_MAX`] letters, in any case.
    fn push(&mut self, text: &str, at: Range<usize>, out: &mut String) {
        let word = &text[at.clone()];
        let (key, is_lower) = key_of(text.as_bytes(), at);
        let slot = slot(&key);
        if self.known[slot].word != key {
            let lower = word.to_ascii_lowercase();
            let stem = self.stem(&lower);
            match Known::of(key, &lower, &stem) {
                Some(known) => self.known[slot] = known,
                None => return out.push_str(&stem),
            }
        }
        let known = &self.known[slot];
        let start = out.len();
        out.push_str(&word[..usize::from(known.kept)]);
        if !is_lower {
            out[start..].make_ascii_lowercase();
        }
        out.extend(known.tail[..usize::from(known.tail_bytes)].iter().map(|byte| char::from(*byte)));
    }

    /// The stem of a word in lower case, never empty.
    fn stem(&mut self, lower: &str) -> String {
        let mut stream = self.english.token_stream(lower);
        let stem = stream.next().map(|token| token.text.as_str()).filter(|stem| !stem.is_empty());
        stem.unwrap_or(lower).to_owned()
    }

    /// Lower-cases, folds and reduces a word of any script.
    fn reduce_any(&mut self, word: &str, out: &mut String) {
        let mut stream = self.folding.token_stream(word);
        match stream.next() {
            Some(token) => out.push_str(&token.text),
            None => out.push_str(word),
        }
    }
}

impl Known {
    /// None when the stem is not of the form that is remembered.
    fn of(word: Key, lower: &str, stem: &str) -> Option<Self> {
        let kept = lower.bytes().zip(stem.bytes()).take_while(|(a, b)| a == b).count();
        let rest =
            stem.as_bytes().get(kept..).filter(|rest| rest.len() <= TAIL_BYTES_MAX && stem.is_ascii())?;
        let mut tail = [0; TAIL_BYTES_MAX];
        tail[..rest.len()].copy_from_slice(rest);
        Some(Self { word, kept: kept as u8, tail_bytes: rest.len() as u8, tail })
    }
}

/// The key of the word of ASCII letters that a text has there, and whether it is in lower case
/// already.
fn key_of(text: &[u8], at: Range<usize>) -> (Key, bool) {
    /// The bit that every letter has, and the one that only small letters have.
    const LETTER: u64 = 0x4040_4040_4040_4040;
    let mut copy = [0; KEY_BYTES];
    // What follows the word is read too, where there is enough, and masked out.
    let bytes = text[at.start..].first_chunk().unwrap_or_else(|| {
        copy[..at.len()].copy_from_slice(&text[at.clone()]);
        &copy
    });
    let mut key = Key::default();
    let mut is_lower = true;
    for ((number, part), mask) in key.iter_mut().zip(bytes.as_chunks::<8>().0).zip(MASKS[at.len()]) {
        let raw = u64::from_le_bytes(*part) & mask;
        *number = raw | ((raw & LETTER) >> 1);
        is_lower &= *number == raw;
    }
    (key, is_lower)
}

/// Spreads words over the remembered ones: multiply and fold, after FxHash.
fn slot(key: &Key) -> usize {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let hash = key.iter().fold(0_u64, |hash, part| (hash.rotate_left(5) ^ part).wrapping_mul(FACTOR));
    (hash >> 40) as usize & (STEMS - 1)
}

/// A stream goes through this many texts.
pub(crate) const TEXTS: usize = 6;

impl Words {
    /// The terms of these texts, one after another, as tantivy takes them.
    pub(crate) fn stream<'a>(&'a mut self, texts: [&'a str; TEXTS]) -> Stream<'a> {
        Stream { words: self, texts, ahead: None, current: Token::default() }
    }
}

/// The terms of some texts, as tantivy takes them.
pub(crate) struct Stream<'a> {
    words: &'a mut Words,
    texts: [&'a str; TEXTS],
    /// The terms not yet given, last first, once someone asks for them one by one.
    ahead: Option<Vec<String>>,
    current: Token,
}

impl TokenStream for Stream<'_> {
    fn advance(&mut self) -> bool {
        let ahead = self.ahead.get_or_insert_with(|| {
            let mut terms: Vec<String> = self.texts.iter().flat_map(|text| self.words.terms(text)).collect();
            terms.reverse();
            terms
        });
        match ahead.pop() {
            Some(term) => {
                self.current.text = term;
                true
            }
            None => false,
        }
    }

    fn token(&self) -> &Token {
        &self.current
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.current
    }

    /// What indexing uses: no term is allocated.
    fn process(&mut self, sink: &mut dyn FnMut(&Token)) {
        for text in self.texts {
            self.words.each(text, sink);
        }
    }
}

/// The different terms of a query, in order, without stop words where others remain.
pub(crate) fn query_terms(query: &str, words: &mut Words) -> Vec<String> {
    /// So much of a query is read, in bytes.
    const QUERY_BYTES_MAX: usize = 16 << 10;
    let query = &query[..query.floor_char_boundary(QUERY_BYTES_MAX)];
    let mut seen = HashSet::new();
    let mut terms = words.terms(query);
    terms.retain(|term| seen.insert(term.clone()));
    if terms.iter().any(|term| !stop_words().contains(term)) {
        terms.retain(|term| !stop_words().contains(term));
    }
    // A pair of characters says more than each alone.
    let is_pair = |term: &String| term.chars().count() == 2 && term.chars().all(is_unspaced);
    if terms.iter().any(is_pair) {
        let paired: HashSet<char> =
            terms.iter().filter(|term| is_pair(term)).flat_map(|term| term.chars()).collect();
        let is_covered = |term: &String| {
            let mut chars = term.chars();
            chars.next().is_some_and(|c| paired.contains(&c)) && chars.next().is_none()
        };
        terms.retain(|term| !is_covered(term));
    }
    terms
}

fn stop_words() -> &'static HashSet<String> {
    static STOP: OnceLock<HashSet<String>> = OnceLock::new();
    STOP.get_or_init(|| Words::default().terms(STOP_WORDS).into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        Words::default().terms(text)
    }

    #[test]
    fn words_are_reduced() {
        assert_eq!(terms("Installing the Parsers"), ["instal", "the", "parser"]);
    }

    #[test]
    fn names_are_kept_whole_and_in_parts() {
        assert_eq!(terms("maxTokens"), ["max", "token", "maxtokens"]);
        assert_eq!(terms("max_tokens"), ["max", "token", "maxtokens"]);
        assert_eq!(terms("HTTPServer2Go"), ["http", "server2", "go", "httpserver2go"]);
        assert_eq!(terms("IDs __init__ sha256"), ["id", "init", "sha256"]);
        assert_eq!(terms("MAX_SIZE"), ["max", "size", "maxsize"]);
    }

    #[test]
    fn other_scripts() {
        assert_eq!(terms("café CAFÉ cafe\u{301}"), ["cafe", "cafe", "cafe"]);
        assert_eq!(terms("Привет, мир"), ["привет", "мир"]);
        assert_eq!(terms("파일을"), ["파", "일", "파일", "을", "일을"]);
        assert_eq!(terms("x中文y"), ["x", "中", "文", "中文", "y"]);
    }

    #[test]
    fn stop_words_go_only_where_others_remain() {
        let query = |text| query_terms(text, &mut Words::default());
        assert_eq!(query("How do I install it?"), ["instal"]);
        assert_eq!(query("to be or not to be"), ["to", "be", "or", "not"]);
        assert_eq!(query("파일을 찾기"), ["파일", "일을", "찾기"]);
        assert!(query("+-\"(] AND:").len() <= 1);
    }

    proptest! {
        #[test]
        fn any_text_gives_short_terms(text in "\\PC{0,300}|[A-Za-z_0-9]{0,400}") {
            for term in terms(&text) {
                prop_assert!(!term.is_empty() && term.len() <= TERM_BYTES_MAX * 4, "{term:?}");
            }
        }

        #[test]
        fn one_by_one_is_the_same(text in "(\\PC|[a-zA-Z_ ]){0,200}") {
            let mut words = Words::default();
            let mut one_by_one = Vec::new();
            let mut stream = words.stream(["", &text, "", "", "", ""]);
            while stream.advance() {
                one_by_one.push(stream.token().text.clone());
            }
            drop(stream);
            prop_assert_eq!(one_by_one, terms(&text));
        }
    }
}
