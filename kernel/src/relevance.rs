//! Words in common: the one, simple measure behind routing, the threshold of prefetch and
//! the finding of citations. It is lexical, so a person can check it.

/// The most words that are taken from one text.
const MAX_WORDS: usize = 20_000;

/// What a run of arithmetic is turned into, so that a question with a calculation in it
/// and a tool whose description shows one have a word in common.
pub const ARITHMETIC: &str = "<arithmetic>";

/// Words that say nothing of what a text is about.
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

    /// The part of these words that is not among the `missing`, which are some of them, from 0 to 1.
    pub fn covered_without(&self, missing: &Self) -> f32 {
        if self.is_empty() { 0.0 } else { 1.0 - missing.len() as f32 / self.len() as f32 }
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
    // About one word in seven bytes.
    let mut out = Vec::with_capacity((text.len() / 7).min(MAX_WORDS) + 1);
    let mut lower = String::new();
    for (raw, classes) in Raw::of(text).take(MAX_WORDS) {
        add_word(&mut out, raw, classes, numbers, &mut lower);
    }
    Words::of(out)
}

const HASH_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

const fn hash(word: &str) -> u64 {
    hash_on(HASH_OF_NOTHING, word)
}

/// The hash of a text whose first part has the hash `before`.
const fn hash_on(before: u64, more: &str) -> u64 {
    let (bytes, mut hash, mut at) = (more.as_bytes(), before, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
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

/// The words of a text in order, as they stand.
pub fn raw_words(text: &str) -> impl Iterator<Item = &str> {
    Raw::of(text).map(|(word, _)| word)
}

/// Part of a word; a set bit means that such a byte is in it.
const LETTER_OR_DIGIT: u8 = 1;
/// A capital letter of ASCII.
const CAPITAL: u8 = 2;
/// `_` or `.`, which join the parts of an identifier.
const JOINT: u8 = 4;
/// `'`.
const APOSTROPHE: u8 = 8;
/// A byte of a character outside ASCII: part of a word when the character is.
const WIDE: u8 = 16;

/// What each byte is; 0 parts words.
const CLASS: [u8; 256] = {
    let (mut table, mut byte) = ([0; 256], 0);
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' => LETTER_OR_DIGIT,
            b'A'..=b'Z' => LETTER_OR_DIGIT | CAPITAL,
            b'_' | b'.' => JOINT,
            b'\'' => APOSTROPHE,
            0x80.. => WIDE,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The words of a text with the classes of their bytes. Most text is ASCII, where one look
/// into a table a byte says all.
struct Raw<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Raw<'a> {
    const fn of(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The next bytes that nothing parts, with their classes; empty at the end of the text.
    fn run(&mut self) -> (&'a str, u8) {
        let bytes = self.text.as_bytes();
        let (mut start, mut classes) = (self.at, 0);
        while let Some(byte) = bytes.get(self.at) {
            let mut class = CLASS[usize::from(*byte)];
            let mut size = 1;
            if class == WIDE {
                let c = self.text[self.at..].chars().next().unwrap_or(' ');
                size = c.len_utf8();
                class = if c.is_alphanumeric() { WIDE } else { 0 };
            }
            if class == 0 && classes != 0 {
                break;
            }
            self.at += size;
            classes |= class;
            if class == 0 {
                start = self.at;
            }
        }
        (&self.text[start..self.at], classes)
    }
}

impl<'a> Iterator for Raw<'a> {
    type Item = (&'a str, u8);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (mut word, mut classes) = self.run();
            if classes == 0 {
                return None;
            }
            if classes & (JOINT | APOSTROPHE) != 0 {
                let run = word;
                word = run.trim_matches(|c: char| matches!(c, '.' | '\'' | '_'));
                if word.len() < run.len() {
                    classes = word.bytes().fold(0, |all, byte| all | CLASS[usize::from(byte)]);
                }
            }
            if !word.is_empty() {
                return Some((word, classes));
            }
        }
    }
}

/// Adds the words that `raw` stands for. `lower` is room to work in.
fn add_word(out: &mut Vec<u64>, raw: &str, classes: u8, numbers: bool, lower: &mut String) {
    if raw.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        if numbers {
            out.push(hash(raw));
        }
        return;
    }
    if classes == LETTER_OR_DIGIT {
        return add_part(out, raw, raw.len());
    }
    lower.clear();
    if classes & WIDE == 0 {
        lower.push_str(raw);
        lower.make_ascii_lowercase();
    } else {
        lower.push_str(&raw.to_lowercase());
    }
    let whole = lower.strip_suffix("'s").unwrap_or(lower);
    if is_stop_word(hash(whole)) {
        return;
    }
    if classes & (WIDE | JOINT) == 0 && !has_hump(raw) {
        return add_part(out, whole.trim_matches('\''), raw.len());
    }
    for part in parts(raw) {
        add_part(out, part.to_lowercase().trim_matches('\''), raw.len());
    }
}

/// Room enough that two stop words seldom meet, and a power of two.
const STOP_SLOTS: usize = 512;

/// The hashes of the stop words, each at the first free place from where its lowest bits
/// point; 0 is a free place.
const STOP_HASHES: [u64; STOP_SLOTS] = {
    let (mut table, mut at) = ([0; STOP_SLOTS], 0);
    while at < STOP_WORDS.len() {
        let word = hash(STOP_WORDS[at]);
        let mut slot = word as usize % STOP_SLOTS;
        while table[slot] != 0 {
            slot = (slot + 1) % STOP_SLOTS;
        }
        table[slot] = word;
        at += 1;
    }
    table
};

fn is_stop_word(word: u64) -> bool {
    let mut slot = word as usize % STOP_SLOTS;
    while STOP_HASHES[slot] != 0 {
        if STOP_HASHES[slot] == word {
            return true;
        }
        slot = (slot + 1) % STOP_SLOTS;
    }
    false
}

/// Adds a part of a word, in lower case. A letter alone counts only as a word of its own.
fn add_part(out: &mut Vec<u64>, part: &str, raw_len: usize) {
    if !part.is_ascii() && part.chars().any(is_spaceless) {
        let chars: Vec<char> = part.chars().collect();
        for pair in chars.windows(2.min(chars.len())) {
            out.push(hash(&pair.iter().collect::<String>()));
        }
    } else if part.len() > 1 || raw_len == 1 {
        let whole = hash(part);
        if !is_stop_word(whole) {
            let (root, ending) = stem(part);
            let same = ending.is_empty() && root.len() == part.len();
            out.push(if same { whole } else { hash_on(hash(root), ending) });
        }
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

/// Cuts the commonest English endings, so that "calculating" and "calculates" meet: what is
/// left, and what stands in the ending's place.
fn stem(word: &str) -> (&str, &'static str) {
    if !word.is_ascii() || word.len() < 5 {
        let plural = word.len() == 4 && word.ends_with('s') && !word.ends_with("ss");
        return (if plural { &word[..3] } else { word }, "");
    }
    let endings: &[(&str, &str)] = match word.as_bytes().last() {
        Some(b's') => &[
            ("ations", ""),
            ("ators", ""),
            ("ates", ""),
            ("ings", ""),
            ("ies", "y"),
            ("ers", ""),
            ("es", ""),
            ("s", ""),
        ],
        Some(b'n') => &[("ation", "")],
        Some(b'r') => &[("ator", ""), ("er", "")],
        Some(b'g') => &[("ating", ""), ("ing", "")],
        Some(b'd') => &[("ated", ""), ("ed", "")],
        Some(b'e') => &[("ate", ""), ("e", "")],
        Some(b'y') => &[("edly", ""), ("ly", "")],
        _ => &[],
    };
    for (ending, instead) in endings {
        if let Some(root) = word.strip_suffix(ending)
            && root.len() >= 3
            && !(*ending == "s" && root.ends_with('s'))
        {
            return (root, instead);
        }
    }
    (word, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_found_by_their_hash() {
        assert!(STOP_WORDS.iter().all(|word| is_stop_word(hash(word))));
        assert!(words(&STOP_WORDS.join(" ")).is_empty());
        assert!(!is_stop_word(hash("window")) && !is_stop_word(hash("")));
    }

    #[test]
    fn words_are_parted_as_their_characters_say() {
        let raw = |text| raw_words(text).collect::<Vec<_>>();
        assert_eq!(raw("a_b.c, d's 'e' __f__ (7.5%)"), ["a_b.c", "d's", "e", "f", "7.5"]);
        assert_eq!(raw("ёж\u{2014}Straße…naïve\u{a0}x"), ["ёж", "Straße", "naïve", "x"]);
        assert_eq!(raw("…"), Vec::<&str>::new());
        assert_eq!(raw("'._'"), Vec::<&str>::new());
        assert_eq!(raw(" ''. end"), ["end"]);
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
