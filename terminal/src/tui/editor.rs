//! The input line: a text of one or more lines with a cursor, edited by whole graphemes.

use std::borrow::Cow;
use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

use super::text::{graphemes, width_of};
use super::undo::{Edit, Run, Undo};

/// The most that may be typed or pasted into one input.
pub const MAX_INPUT_BYTES: usize = 256 * 1024;

/// A move of the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// One grapheme back.
    Left,
    /// One grapheme on.
    Right,
    /// To the start of the word.
    WordLeft,
    /// To the end of the word.
    WordRight,
    /// To the start of the line.
    LineStart,
    /// To the end of the line.
    LineEnd,
}

/// A text and a cursor in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Editor {
    text: String,
    /// A byte offset, always at a grapheme's start or the end.
    cursor: usize,
    /// What was deleted last by word or line.
    cut: String,
    undo: Undo,
}

impl Editor {
    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor as a byte offset.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text; the cursor goes to its end. It is another line from here on: what
    /// was done before cannot be undone.
    pub fn set(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.text = if text.contains('\r') { line_ends(&text).into_owned() } else { text };
        self.cursor = self.text.len();
        self.undo.clear();
    }

    /// Takes the text out, and forgets how it came about.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        self.undo.clear();
        std::mem::take(&mut self.text)
    }

    /// Puts a text that comes back in front of what is there. Not held to
    /// [`MAX_INPUT_BYTES`]: nothing that was typed may be lost. Nor can it be undone.
    pub fn give_back(&mut self, text: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        let text = line_ends(text);
        self.cursor += text.len() + gap.len();
        self.text = format!("{text}{gap}{}", self.text);
        self.undo.clear();
    }

    /// Inserts at the cursor. Says no, and changes nothing, when it would be too long.
    /// Line ends become `\n`; other control characters but tabs are left out.
    pub fn insert(&mut self, text: &str) -> bool {
        let typed = text != "\n" && text.chars().nth(1).is_none();
        self.put(self.cursor..self.cursor, text, if typed { Run::Typing } else { Run::Alone })
    }

    /// Replaces a range of bytes, as [`Editor::insert`] would; the cursor goes behind it. Says
    /// no, and changes nothing, when it would be too long or the text has no such range.
    pub fn replace(&mut self, range: Range<usize>, text: &str) -> bool {
        self.text.get(range.clone()).is_some() && self.put(range, text, Run::Alone)
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion) {
        self.cursor = self.target(motion);
        self.undo.end_run();
    }

    /// Moves the cursor to this byte, or back to the start of the grapheme that it is in.
    pub fn go_to(&mut self, at: usize) {
        self.cursor = boundary_before(&self.text, at);
        self.undo.end_run();
    }

    /// Deletes from the cursor to where the motion goes; words and lines can be put back
    /// with [`Editor::put_back`].
    pub fn delete(&mut self, motion: Motion) {
        let target = self.target(motion);
        let range = target.min(self.cursor)..target.max(self.cursor);
        if range.is_empty() {
            return;
        }
        let mut run = Run::Deleting;
        if !matches!(motion, Motion::Left | Motion::Right) {
            self.cut = self.text[range.clone()].to_owned();
            run = Run::Alone;
        }
        self.change(range, "", run);
    }

    /// Inserts what was deleted last.
    pub fn put_back(&mut self) -> bool {
        let cut = self.cut.clone();
        self.put(self.cursor..self.cursor, &cut, Run::Alone)
    }

    /// Undoes the last step: a run of typing or deleting, or one other change. Says whether
    /// there was one.
    pub fn undo(&mut self) -> bool {
        let cursor = self.undo.undo(&mut self.text);
        self.cursor = cursor.unwrap_or(self.cursor);
        cursor.is_some()
    }

    /// Does again what was undone last; says whether there was anything.
    pub fn redo(&mut self) -> bool {
        let cursor = self.undo.redo(&mut self.text);
        self.cursor = cursor.unwrap_or(self.cursor);
        cursor.is_some()
    }

    /// All changes from here to [`Editor::end_step`], or to the next undo, are undone at once.
    pub fn begin_step(&mut self) {
        self.undo.begin();
    }

    /// Ends what [`Editor::begin_step`] began.
    pub fn end_step(&mut self) {
        self.undo.end();
    }

    /// Whether changes are gathered into one step.
    pub fn is_in_step(&self) -> bool {
        self.undo.is_gathering()
    }

    /// The word before the cursor, if it begins with this sign: where it is, and the word with
    /// its sign.
    pub fn word_before(&self, sign: char) -> Option<(Range<usize>, &str)> {
        let before = &self.text[..self.cursor];
        let start = before.trim_end_matches(|c: char| !c.is_whitespace()).len();
        let word = &before[start..];
        word.starts_with(sign).then_some((start..self.cursor, word))
    }

    /// Moves one row up or down at this width; false when there is no such row.
    pub fn go_row(&mut self, down: bool, width: usize) -> bool {
        let rows = self.rows(width);
        let (row, column) = self.place(&rows);
        let target = if down { row.checked_add(1) } else { row.checked_sub(1) };
        let Some(range) = target.and_then(|row| rows.get(row)) else { return false };
        let mut used = 0;
        self.cursor = range.start;
        for (at, grapheme) in graphemes(&self.text[range.clone()]) {
            if used >= column {
                break;
            }
            used += width_of(grapheme);
            self.cursor = range.start + at + grapheme.len();
        }
        self.undo.end_run();
        true
    }

    /// The rows that the text takes at this width, as byte ranges without line ends.
    pub fn rows(&self, width: usize) -> Vec<Range<usize>> {
        let width = width.max(2);
        let mut rows = Vec::new();
        let (mut at, mut start, mut used) = (0, 0, 0);
        while at < self.text.len() {
            if self.text.as_bytes()[at] == b'\n' {
                rows.push(start..at);
                at += 1;
                (start, used) = (at, 0);
                continue;
            }
            let (bytes, wide) = measure(&self.text, at);
            if used + wide > width {
                rows.push(start..at);
                (start, used) = (at, 0);
            }
            used += wide;
            at += bytes;
        }
        rows.push(start..self.text.len());
        // The cursor behind a full last row stands on a row of its own.
        if used >= width {
            rows.push(self.text.len()..self.text.len());
        }
        rows
    }

    /// The cursor's row and column among these rows.
    pub fn place(&self, rows: &[Range<usize>]) -> (usize, usize) {
        let row = rows.partition_point(|row| row.start <= self.cursor).saturating_sub(1);
        let start = rows.get(row).map_or(0, |row| row.start);
        let before = self.text.get(start..self.cursor).unwrap_or("");
        (row, graphemes(before).map(|(_, grapheme)| width_of(grapheme)).sum())
    }

    fn target(&self, motion: Motion) -> usize {
        let (before, after) = self.text.split_at(self.cursor);
        match motion {
            Motion::Left => graphemes(before).next_back().map_or(0, |(at, _)| at),
            Motion::Right => self.cursor + graphemes(after).next().map_or(0, |(_, grapheme)| grapheme.len()),
            Motion::WordLeft => {
                let mut left = graphemes(before).rev().skip_while(|(_, grapheme)| !is_word(grapheme));
                let gap = left.find(|(_, grapheme)| !is_word(grapheme));
                gap.map_or(0, |(at, grapheme)| at + grapheme.len())
            }
            Motion::WordRight => {
                let mut right = graphemes(after).skip_while(|(_, grapheme)| !is_word(grapheme));
                self.cursor + right.find(|(_, grapheme)| !is_word(grapheme)).map_or(after.len(), |(at, _)| at)
            }
            Motion::LineStart => before.rfind('\n').map_or(0, |at| at + 1),
            Motion::LineEnd => self.cursor + after.find('\n').unwrap_or(after.len()),
        }
    }

    fn put(&mut self, range: Range<usize>, text: &str, run: Run) -> bool {
        let text: String =
            line_ends(text).chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let grows = text.len() > range.len();
        if grows && self.text.len() - range.len() + text.len() > MAX_INPUT_BYTES {
            return false;
        }
        self.change(range, &text, run);
        true
    }

    /// The one place where the text changes and can be changed back.
    fn change(&mut self, range: Range<usize>, text: &str, run: Run) {
        let before = self.cursor;
        let gone = self.text[range.clone()].to_owned();
        self.text.replace_range(range.clone(), text);
        // Two graphemes may have become one (a combining mark was typed): the cursor goes behind it.
        self.cursor = boundary_after(&self.text, range.start + text.len());
        if !gone.is_empty() || !text.is_empty() {
            self.undo.record(Edit { at: range.start, gone, come: text.to_owned() }, before, self.cursor, run);
        }
    }
}

/// The text with `\n` for every line end: the cursor must not stand inside a `\r\n`.
fn line_ends(text: &str) -> Cow<'_, str> {
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Whether a grapheme belongs to a word.
fn is_word(grapheme: &str) -> bool {
    grapheme.starts_with(char::is_alphanumeric)
}

/// The nearest start of a grapheme at or behind this byte, which must be a character's.
fn boundary_after(text: &str, at: usize) -> usize {
    if is_boundary(text, at) {
        return at;
    }
    let next = GraphemeCursor::new(at, text.len(), true).next_boundary(text, 0);
    next.ok().flatten().unwrap_or(text.len())
}

/// The nearest start of a grapheme at or before this byte.
pub fn boundary_before(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    if is_boundary(text, at) {
        return at;
    }
    let previous = GraphemeCursor::new(at, text.len(), true).prev_boundary(text, 0);
    previous.ok().flatten().unwrap_or(0)
}

fn is_boundary(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
}

/// The bytes and columns of the grapheme at this byte. Most text is of characters that stand
/// alone; looking up the others' properties takes fifty times as long.
fn measure(text: &str, at: usize) -> (usize, usize) {
    let bytes = text.as_bytes();
    if matches!(bytes[at], b' '..=b'~') && bytes.get(at + 1).is_none_or(u8::is_ascii) {
        return (1, 1);
    }
    let mut chars = text[at..].chars();
    if let Some(c) = chars.next()
        && let Some(wide) = plain_width(c)
        && chars.next().is_none_or(|next| next == '\n' || plain_width(next).is_some())
    {
        return (c.len_utf8(), wide);
    }
    graphemes(&text[at..]).next().map_or((bytes.len() - at, 0), |(_, first)| (first.len(), width_of(first)))
}

/// The columns of a character that is never one grapheme with another of these: ASCII, Latin,
/// Greek, Cyrillic, kana, Chinese and Korean. None for any other.
fn plain_width(c: char) -> Option<usize> {
    match c {
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' => Some(1),
        '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3ff}' | '\u{400}'..='\u{482}' => Some(1),
        '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' => Some(2),
        '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{ff01}'..='\u{ff5e}' => Some(2),
        _ => None,
    }
}
