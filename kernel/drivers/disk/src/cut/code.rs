//! Programming languages and data formats, read by their lines: indentation, empty lines,
//! comments, and the words that begin an item. No grammar is parsed, so any input takes linear
//! time and an unknown construct costs a less good cut, never a fault.

use super::{Headings, Line, lines, rank};

/// A tab counts as this many spaces.
const TAB_SPACES: u32 = 4;
/// Before a line that begins an item, added to what its place is worth.
const ITEM: u8 = 16;
/// After an empty line, added likewise.
const AFTER_BLANK: u8 = 28;
/// Words that may stand before the word that begins an item.
const MODIFIERS_MAX: usize = 6;

/// Languages that begin their items alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Rust.
    Rust,
    /// Python, and Ruby's `def`, `class` and `module`.
    Python,
    /// JavaScript, TypeScript.
    Script,
    /// Go.
    Go,
    /// C, C++, C#, Java, Kotlin, Swift, Scala, PHP and the like.
    Braces,
    /// Shells.
    Shell,
    /// `[section]` files.
    Sections,
    /// Any other lines that are indented by sense.
    Data,
}

impl Family {
    /// Tells by the ending of a file's name, in lower case.
    pub(super) fn of(ending: &str) -> Option<Self> {
        Some(match ending {
            "rs" => Self::Rust,
            "py" | "pyi" | "rb" | "ex" | "exs" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte" => Self::Script,
            "go" => Self::Go,
            "c" | "h" | "cc" | "cpp" | "cxx" | "hpp" | "hh" | "cs" | "java" | "kt" | "kts" | "swift"
            | "scala" | "php" | "dart" | "m" | "mm" | "zig" | "proto" | "wit" => Self::Braces,
            "sh" | "bash" | "zsh" | "fish" | "ps1" => Self::Shell,
            "toml" | "ini" | "cfg" | "conf" | "service" | "desktop" => Self::Sections,
            "json" | "jsonl" | "yaml" | "yml" | "xml" | "html" | "htm" | "css" | "scss" | "sql" | "lua"
            | "pl" | "r" | "jl" | "hs" | "ml" | "clj" | "el" | "lisp" | "vim" | "cmake" | "gradle" | "s"
            | "asm" | "tf" | "nix" | "csv" | "tsv" => Self::Data,
            _ => return None,
        })
    }

    /// The words that begin an item.
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["fn", "struct", "enum", "trait", "impl", "mod", "union", "macro_rules!"],
            Self::Python => &["def", "class", "module", "defmodule", "defp"],
            Self::Script => &["function", "class", "interface", "namespace", "enum"],
            Self::Go => &["func", "type"],
            Self::Braces => &[
                "class",
                "struct",
                "enum",
                "interface",
                "namespace",
                "union",
                "record",
                "object",
                "trait",
                "protocol",
                "extension",
                "function",
                "fun",
                "func",
                "fn",
                "message",
                "service",
                "world",
            ],
            Self::Shell => &["function"],
            Self::Sections | Self::Data => &[],
        }
    }

    /// Words that may stand before those.
    fn modifiers(self) -> &'static [&'static str] {
        match self {
            Self::Rust => &["pub", "async", "unsafe", "const", "extern", "default", "\"C\""],
            Self::Python => &["async"],
            Self::Script => &["export", "default", "async", "declare", "abstract", "const"],
            Self::Braces => &[
                "public",
                "private",
                "protected",
                "internal",
                "static",
                "final",
                "abstract",
                "sealed",
                "open",
                "override",
                "export",
                "typedef",
                "data",
                "partial",
                "async",
                "pub",
                "inline",
            ],
            Self::Go | Self::Shell | Self::Sections | Self::Data => &[],
        }
    }
}

pub(super) fn rank(text: &str, family: Family, headings: &mut Headings) -> Vec<Line> {
    let mut ranked: Vec<Line> = Vec::new();
    // Where the comments and attributes that stand directly above this line begin.
    let mut lead: Option<usize> = None;
    let mut after_blank = true;
    for (number, (start, line)) in (1..).zip(lines(text)) {
        let trimmed = line.trim_start();
        let indent = indentation(&line[..line.len() - trimmed.len()]);
        let blank = trimmed.is_empty();
        let mut this = Line { start, number, rank: 0, blank, label: false, heading: headings.current() };
        if blank {
            lead = None;
        } else if is_lead(trimmed, family) {
            this.rank = if lead.is_some() { rank::WITHIN } else { place(indent, after_blank) + ITEM / 2 };
            headings.close_for(indent, trimmed);
            this.heading = headings.current();
            lead = lead.or(Some(ranked.len()));
        } else if let Some(name) = item_name(trimmed, family, indent) {
            this.heading = headings.open(level_of(family, indent), name);
            this.label = true;
            this.rank = if lead.is_some() { rank::WITHIN } else { place(indent, after_blank) + ITEM };
            for line in lead.take().map_or(&mut [][..], |first| &mut ranked[first..]) {
                line.heading = this.heading;
                line.label = true;
            }
        } else {
            headings.close_for(indent, trimmed);
            this.heading = headings.current();
            let is_tail = is_tail(trimmed);
            this.label = is_tail;
            this.rank = if is_tail { 0 } else { place(indent, after_blank) };
            if lead.take().is_some() {
                this.rank = this.rank.min(rank::WITHIN);
            }
        }
        after_blank = blank;
        ranked.push(this);
    }
    ranked
}

impl Headings {
    /// Closes the items that a line with this indentation cannot belong to. A closing brace still
    /// belongs to the item that it ends.
    fn close_for(&mut self, indent: u32, trimmed: &str) {
        let level = indent + 1;
        self.close(if is_tail(trimmed) { level + 1 } else { level });
    }
}

/// A section of a `[section]` file holds what is not indented under it.
fn level_of(family: Family, indent: u32) -> u32 {
    if family == Family::Sections { 0 } else { indent + 1 }
}

fn place(indent: u32, after_blank: bool) -> u8 {
    let base = match indent {
        0 => 30,
        1..=4 => 16,
        5..=8 => 10,
        _ => rank::WITHIN + 1,
    };
    if after_blank { base + AFTER_BLANK } else { base }
}

fn indentation(white: &str) -> u32 {
    white.bytes().map(|byte| if byte == b'\t' { TAB_SPACES } else { 1 }).sum()
}

/// Comments, attributes and decorators: they lead what follows.
fn is_lead(trimmed: &str, family: Family) -> bool {
    match trimmed.as_bytes() {
        [b'/', b'/' | b'*', ..] | [b'*', b' ' | b'/', ..] | [b'*'] => true,
        [b'#', b'[' | b'!', ..] => true,
        [b'#', ..] => matches!(family, Family::Python | Family::Shell | Family::Sections | Family::Data),
        [b'@', ..] => true,
        [b'-', b'-', ..] => family == Family::Data,
        _ => false,
    }
}

/// A line that ends what came before it.
fn is_tail(trimmed: &str) -> bool {
    trimmed.starts_with(['}', ')', ']', '{']) || trimmed == "end" || trimmed.starts_with("</")
}

/// The item that a line begins, as it is written there, without its body.
fn item_name(trimmed: &str, family: Family, indent: u32) -> Option<&str> {
    match family {
        Family::Data => return None,
        Family::Sections => {
            let inner = trimmed.strip_prefix('[')?.trim_end().strip_suffix(']')?;
            return Some(inner.trim_matches(['[', ']']));
        }
        Family::Shell => {
            if let Some((name, _)) = trimmed.split_once("()").filter(|(name, _)| is_name(name.trim_end())) {
                return Some(name.trim_end());
            }
        }
        Family::Braces if indent == 0 && is_c_function(trimmed) => return Some(signature(trimmed)),
        _ => {}
    }
    begins_with_word(trimmed, family).then(|| signature(trimmed))
}

fn begins_with_word(trimmed: &str, family: Family) -> bool {
    let (words, modifiers) = (family.words(), family.modifiers());
    for token in trimmed.split([' ', '\t']).take(MODIFIERS_MAX) {
        let word = token.split(['(', '<', '{', ':']).next().unwrap_or(token);
        if is_among(word, words) {
            // `class` alone, or `type = 3`, names nothing.
            return trimmed.len() > token.len();
        }
        if !is_among(word, modifiers) {
            return false;
        }
    }
    false
}

/// Whether the list has the word. It seldom has, and the first letter mostly tells.
fn is_among(word: &str, list: &[&str]) -> bool {
    let first = word.as_bytes().first();
    list.iter().any(|other| other.as_bytes().first() == first && *other == word)
}

/// `int main(int argc, char **argv) {`, and not a call, a prototype or a macro's use.
fn is_c_function(trimmed: &str) -> bool {
    let begins = trimmed.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let Some((before, _)) = trimmed.split_once('(') else { return false };
    begins
        && before.trim_end().contains([' ', '*'])
        && !before.contains(['=', '"', '.'])
        && !trimmed.trim_end().ends_with(';')
}

/// A line up to where its body begins.
fn signature(trimmed: &str) -> &str {
    let end = trimmed.find(['{', ';']).unwrap_or(trimmed.len());
    let end = trimmed[..end].find(" where ").unwrap_or(end);
    let signature = trimmed[..end].trim_end();
    // Without the arguments, which the page itself shows.
    let name_end = signature
        .find('(')
        .filter(|at| *at > 0 && !signature.starts_with("func (") && !signature.starts_with("pub("));
    name_end.map_or(signature, |at| &signature[..at]).trim_end_matches([':', ' '])
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}
