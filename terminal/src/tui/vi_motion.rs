//! Where vi's motions lead, and what its text objects cover: functions from a text and a byte
//! offset, which is always a grapheme's start or the end.

use std::ops::Range;

use super::text::graphemes;

/// What an operator takes between the cursor and where a motion leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Up to the later of both.
    Exclusive,
    /// The grapheme there too.
    Inclusive,
    /// Whole lines.
    Lines,
}

/// A search for a character in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Find {
    /// The character.
    pub sign: char,
    /// To the right.
    pub forward: bool,
    /// Stops one grapheme before it.
    pub till: bool,
}

/// What a grapheme is to words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Blank,
    Word,
    Sign,
}

/// The start of the grapheme behind this one.
pub fn next(text: &str, at: usize) -> usize {
    at + graphemes(&text[at..]).next().map_or(0, |(_, grapheme)| grapheme.len())
}

/// The start of the grapheme before this one.
pub fn previous(text: &str, at: usize) -> usize {
    graphemes(&text[..at]).next_back().map_or(0, |(at, _)| at)
}

/// So many graphemes on, but not past the limit.
pub fn forward(text: &str, at: usize, count: usize, limit: usize) -> usize {
    graphemes(&text[at..limit]).nth(count).map_or(limit, |(more, _)| at + more)
}

/// So many graphemes back, but not past the limit; the count is not 0.
pub fn back(text: &str, at: usize, count: usize, limit: usize) -> usize {
    graphemes(&text[limit..at]).nth_back(count - 1).map_or(limit, |(more, _)| limit + more)
}

/// The line that this byte is in, without its end.
pub fn line(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |before| before + 1);
    start..at + text[at..].find('\n').unwrap_or(text.len() - at)
}

/// The first grapheme of the line that is not blank, or its last.
pub fn first_of_line(text: &str, at: usize) -> usize {
    let line = line(text, at);
    let filled =
        graphemes(&text[line.clone()]).find(|(_, grapheme)| !grapheme.starts_with(char::is_whitespace));
    filled.map_or_else(|| back(text, line.end, 1, line.start), |(more, _)| line.start + more)
}

/// The start of the line so many lines below; the last line when there are fewer.
pub fn below(text: &str, at: usize, count: usize) -> usize {
    let mut start = line(text, at).start;
    for _ in 0..count {
        match line(text, start).end {
            end if end < text.len() => start = end + 1,
            _ => break,
        }
    }
    start
}

/// The start of the line so many lines above; the first line when there are fewer.
pub fn above(text: &str, at: usize, count: usize) -> usize {
    let mut start = line(text, at).start;
    for _ in 0..count {
        start = line(text, start.saturating_sub(1)).start;
    }
    start
}

/// `w`: the start of the next word, or an empty line.
pub fn word(text: &str, from: usize, big: bool) -> usize {
    let mut at = run_end(text, from, big);
    if class(text, from, big) == Class::Blank {
        at = from;
    }
    while at < text.len() && class(text, at, big) == Class::Blank {
        if at != from && is_empty_line(text, at) {
            break;
        }
        at = next(text, at);
    }
    at
}

/// `e`: the last grapheme of this word or, unless `stay`, of the next when it is there already;
/// none behind the last word.
pub fn word_end(text: &str, from: usize, big: bool, stay: bool) -> Option<usize> {
    let mut at = if stay { from } else { next(text, from) };
    while at < text.len() && class(text, at, big) == Class::Blank {
        at = next(text, at);
    }
    (at < text.len()).then(|| previous(text, run_end(text, at, big)))
}

/// `b`: the start of this word or, when it is there already, of the one before; or an empty line.
pub fn word_back(text: &str, from: usize, big: bool) -> usize {
    let mut at = previous(text, from);
    while at > 0 && class(text, at, big) == Class::Blank && !is_empty_line(text, at) {
        at = previous(text, at);
    }
    if class(text, at, big) == Class::Blank { at } else { run_start(text, at, big, 0) }
}

/// Where the character is found for the so-manieth time. `again` is for a search that stopped
/// before it and must not find the same.
pub fn find(text: &str, from: usize, what: Find, count: usize, again: bool) -> Option<usize> {
    let line = line(text, from);
    let again = again && what.till;
    let is_it = |grapheme: &str| grapheme.strip_prefix(what.sign).is_some_and(str::is_empty);
    if what.forward {
        let start = forward(text, from, if again { 2 } else { 1 }, line.end);
        let mut found = graphemes(&text[start..line.end]).filter(|(_, grapheme)| is_it(grapheme));
        let at = start + found.nth(count - 1)?.0;
        Some(if what.till { previous(text, at) } else { at })
    } else {
        let end = if again { back(text, from, 1, line.start) } else { from };
        let mut found = graphemes(&text[line.start..end]).rev().filter(|(_, grapheme)| is_it(grapheme));
        let at = line.start + found.nth(count - 1)?.0;
        Some(if what.till { next(text, at) } else { at })
    }
}

/// `iw` and `aw`: words or the blanks between them, within the line; around, with the blanks
/// behind or else before.
pub fn object(text: &str, at: usize, big: bool, around: bool, count: usize) -> Range<usize> {
    let line = line(text, at);
    let text = &text[..line.end];
    let is_blank = |at: usize| at < text.len() && class(text, at, big) == Class::Blank;
    let mut start = run_start(text, at, big, line.start);
    let mut end = run_end(text, at, big);
    if around && (is_blank(at) || is_blank(end)) {
        end = run_end(text, end, big);
    } else if around && start > line.start && is_blank(previous(text, start)) {
        start = run_start(text, previous(text, start), big, line.start);
    }
    for _ in 1..count {
        if end == text.len() {
            break;
        }
        end = run_end(text, end, big);
        end = if around { run_end(text, end, big) } else { end };
    }
    start..end
}

/// The end of the graphemes of one class that begin here.
fn run_end(text: &str, from: usize, big: bool) -> usize {
    let this = class(text, from, big);
    let mut at = from;
    while at < text.len() && class(text, at, big) == this {
        at = next(text, at);
    }
    at
}

/// The start of the graphemes of one class that this one is of.
fn run_start(text: &str, from: usize, big: bool, limit: usize) -> usize {
    let this = class(text, from, big);
    let mut at = from;
    while at > limit && class(text, previous(text, at), big) == this {
        at = previous(text, at);
    }
    at
}

fn class(text: &str, at: usize, big: bool) -> Class {
    match text[at..].chars().next() {
        Some(c) if c == '_' || c.is_alphanumeric() => Class::Word,
        Some(c) if !c.is_whitespace() && big => Class::Word,
        Some(c) if !c.is_whitespace() => Class::Sign,
        _ => Class::Blank,
    }
}

fn is_empty_line(text: &str, at: usize) -> bool {
    line(text, at).is_empty()
}
