//! Words in common: the one, simple measure behind routing, the threshold of prefetch and
//! the finding of citations. It is lexical, so a person can check it.

use std::borrow::Cow;

/// The most words that are taken from one text.
const MAX_WORDS: usize = 20_000;

/// What a run of arithmetic is turned into, so that a question with a calculation in it
/// and a tool whose description shows one have a word in common.
pub const ARITHMETIC: &str = "<arithmetic>";

/// Sorted, for a binary search.
const STOP_WORDS: &[&str] = &[
    "a", "about", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can",
    "could", "did", "do", "does", "each", "for", "from", "get", "give", "had", "has", "have", "her", "him",
    "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "let", "like", "make", "many", "may",
    "me", "more", "most", "much", "must", "my", "no", "not", "now", "of", "on", "one", "only", "or", "other",
    "our", "out", "over", "please", "she", "should", "so", "some", "such", "tell", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "to", "us", "use", "used", "using", "was",
    "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// A set of words, each kept as a hash, so that sets of whole pages are compared in
/// microseconds. The hash is FNV-1a with 64 bits, the same on every machine.
/// Source: <http://www.isthe.com/chongo/tech/comp/fnv/>.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(Vec<u64>);

impl Words {
    fn of(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    /// How many words there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each word as a set of its own.
    pub fn singles(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.iter().map(|word| Self(vec![*word]))
    }

    /// How many words both have.
    pub fn shared(&self, other: &Self) -> usize {
        let (mut a, mut b, mut count) = (self.0.iter().peekable(), other.0.iter().peekable(), 0);
        while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
            match x.cmp(y) {
                std::cmp::Ordering::Less => drop(a.next()),
                std::cmp::Ordering::Greater => drop(b.next()),
                std::cmp::Ordering::Equal => {
                    count += 1;
                    a.next();
                    b.next();
                }
            }
        }
        count
    }

    /// Those that `other` has not.
    pub fn without(&self, other: &Self) -> Self {
        Self(self.0.iter().filter(|word| other.0.binary_search(word).is_err()).copied().collect())
    }

    /// Those of both together.
    pub fn with(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    /// The part of these words that is also in `text`, from 0 to 1.
    pub fn covered_by(&self, text: &Self) -> f32 {
        if self.is_empty() { 0.0 } else { self.shared(text) as f32 / self.len() as f32 }
    }
}

/// The words of a text that carry meaning: lower case, stems, identifiers in their parts,
/// numbers as they stand, scripts without spaces as pairs of characters.
pub fn words(text: &str) -> Words {
    collect(text, true)
}

/// Like [`words`], with [`ARITHMETIC`] in the place of calculations and without bare numbers.
pub fn features(text: &str) -> Words {
    let mut out = collect(text, false).0;
    if has_arithmetic(text) {
        out.push(hash(ARITHMETIC));
    }
    Words::of(out)
}

fn collect(text: &str, numbers: bool) -> Words {
    let mut out = Vec::new();
    for raw in raw_words(text).take(MAX_WORDS) {
        add_word(&mut out, raw, numbers);
    }
    Words::of(out)
}

fn hash(word: &str) -> u64 {
    word.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether a number is followed by an operator and a number, or by a percent sign.
pub fn has_arithmetic(text: &str) -> bool {
    let chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace() && *c != ',').collect();
    let operator = |c: char| matches!(c, '+' | '*' | '/' | '^' | '×' | '÷' | '−' | '-');
    chars.iter().enumerate().any(|(at, c)| {
        if !(c.is_ascii_digit() || *c == ')') {
            return false;
        }
        match chars.get(at + 1) {
            Some('%') => true,
            Some(next) if operator(*next) => {
                let mut rest = chars[at + 2..].iter().skip_while(|c| matches!(c, '(' | '-' | '*'));
                rest.next().is_some_and(char::is_ascii_digit) && !is_date(&chars, at + 1)
            }
            _ => false,
        }
    })
}

/// `2026-11-23` and `1/2/2026` are dates or paths, not calculations: the same sign `-` or
/// `/` stands twice with digits alone between.
fn is_date(chars: &[char], at: usize) -> bool {
    let sign = chars[at];
    if !matches!(sign, '-' | '/') {
        return false;
    }
    let after = chars[at + 1..].iter().find(|c| !c.is_ascii_digit());
    let before = chars[..at].iter().rev().find(|c| !c.is_ascii_digit());
    after == Some(&sign) || before == Some(&sign)
}

/// The words of a text in order, as they stand, in lower case.
pub fn raw_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || c == '\''))
        .map(|word| word.trim_matches(|c: char| matches!(c, '.' | '\'' | '_')))
        .filter(|word| !word.is_empty())
}

fn add_word(out: &mut Vec<u64>, raw: &str, numbers: bool) {
    if raw.starts_with(|c: char| c.is_ascii_digit()) {
        if numbers {
            out.push(hash(raw));
        }
        return;
    }
    let plain = raw.is_ascii() && !raw.bytes().any(|b| matches!(b, b'_' | b'.')) && !has_hump(raw);
    if plain && raw.len() <= PLAIN_BYTES {
        // Most words of most texts: nothing is allocated for them.
        let mut buffer = [0; PLAIN_BYTES];
        let lower = &mut buffer[..raw.len()];
        lower.copy_from_slice(raw.as_bytes());
        lower.make_ascii_lowercase();
        if let Ok(lower) = std::str::from_utf8(lower) {
            return add_plain(out, lower);
        }
    }
    let lower = raw.to_lowercase();
    if plain {
        return add_plain(out, &lower);
    }
    if is_stop_word(lower.strip_suffix("'s").unwrap_or(&lower)) {
        return;
    }
    for part in parts(raw) {
        add_part(out, part.to_lowercase().trim_matches('\''), raw.len());
    }
}

/// Longer words are rare, in bytes.
const PLAIN_BYTES: usize = 48;

/// No stop word is longer, in bytes.
const STOP_WORD_BYTES: usize = 6;

fn is_stop_word(word: &str) -> bool {
    word.len() <= STOP_WORD_BYTES && STOP_WORDS.binary_search(&word).is_ok()
}

/// A word of ASCII letters and digits in lower case.
fn add_plain(out: &mut Vec<u64>, lower: &str) {
    let whole = lower.strip_suffix("'s").unwrap_or(lower);
    let part = whole.trim_matches('\'');
    if !is_stop_word(whole) && (part.len() > 1 || lower.len() == 1) && !is_stop_word(part) {
        out.push(hash(&stem(part)));
    }
}

fn add_part(out: &mut Vec<u64>, part: &str, raw_len: usize) {
    if part.chars().any(is_spaceless) {
        let chars: Vec<char> = part.chars().collect();
        for pair in chars.windows(2.min(chars.len())) {
            out.push(hash(&pair.iter().collect::<String>()));
        }
    } else if (part.len() > 1 || raw_len == 1) && !is_stop_word(part) {
        out.push(hash(&stem(part)));
    }
}

fn has_hump(word: &str) -> bool {
    word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

/// `readFile_now` in its parts: read, File, now.
fn parts(word: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, c) in word.char_indices() {
        let border = matches!(c, '_' | '.');
        if border || (c.is_uppercase() && before.is_lowercase()) {
            if at > start {
                out.push(&word[start..at]);
            }
            start = if border { at + c.len_utf8() } else { at };
        }
        before = c;
    }
    if start < word.len() {
        out.push(&word[start..]);
    }
    out
}

const fn is_spaceless(c: char) -> bool {
    matches!(c as u32, 0x1100..=0x11FF | 0x3040..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF)
}

/// Cuts the commonest English endings, so that "calculating" and "calculates" meet.
fn stem(word: &str) -> Cow<'_, str> {
    if !word.is_ascii() || word.len() < 5 {
        let plural = word.len() == 4 && word.ends_with('s') && !word.ends_with("ss");
        return Cow::Borrowed(if plural { &word[..3] } else { word });
    }
    // No ending ends in another letter.
    if !matches!(word.as_bytes().last(), Some(b's' | b'n' | b'r' | b'g' | b'd' | b'e' | b'y')) {
        return Cow::Borrowed(word);
    }
    for (ending, keep) in [
        ("ations", ""),
        ("ation", ""),
        ("ators", ""),
        ("ator", ""),
        ("ating", ""),
        ("ated", ""),
        ("ates", ""),
        ("ate", ""),
        ("ings", ""),
        ("ing", ""),
        ("ies", "y"),
        ("edly", ""),
        ("ed", ""),
        ("ers", ""),
        ("er", ""),
        ("es", ""),
        ("ly", ""),
        ("s", ""),
        ("e", ""),
    ] {
        if let Some(root) = word.strip_suffix(ending)
            && root.len() >= 3
            && !(ending == "s" && root.ends_with('s'))
        {
            return if keep.is_empty() { Cow::Borrowed(root) } else { Cow::Owned(format!("{root}{keep}")) };
        }
    }
    Cow::Borrowed(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted_and_short() {
        assert!(STOP_WORDS.is_sorted());
        assert!(STOP_WORDS.iter().all(|word| word.len() <= STOP_WORD_BYTES));
    }

    #[test]
    fn forms_of_a_word_meet() {
        for (one, other) in [
            ("Calculating calculates", "calculate CALCULATED"),
            ("max_tokens maxTokens", "max token"),
            ("the rent's due", "rents due"),
            ("ports", "port"),
            ("queries", "query"),
            ("x", "X"),
        ] {
            assert_eq!(words(one), words(other), "{one} / {other}");
        }
        assert!(words("what is it's the").is_empty());
        assert_eq!(words("'quoted'"), words("quoted"));
        assert_eq!(words("7411").len(), 1);
        let long = "a".repeat(60);
        assert_eq!(words(&long.to_uppercase()), words(&long));
    }
}
