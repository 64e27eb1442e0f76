//! The input line: a text of one or more lines with a cursor, edited by whole graphemes.

use std::ops::Range;

use super::text::{graphemes, width_of};

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
}

impl Editor {
    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor as a byte offset.
    #[cfg(test)]
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing was typed.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text; the cursor goes to its end.
    pub fn set(&mut self, text: impl Into<String>) {
        self.text = text.into();
        self.cursor = self.text.len();
    }

    /// Takes the text out.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        std::mem::take(&mut self.text)
    }

    /// Puts a text that comes back in front of what is there. Not held to
    /// [`MAX_INPUT_BYTES`]: nothing that was typed may be lost.
    pub fn give_back(&mut self, text: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.cursor += text.len() + gap.len();
        self.text = format!("{text}{gap}{}", self.text);
    }

    /// Inserts at the cursor. Says no, and changes nothing, when it would be too long.
    /// Line ends become `\n`; other control characters but tabs are left out.
    pub fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let text: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        if self.text.len() + text.len() > MAX_INPUT_BYTES {
            return false;
        }
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        self.snap();
        true
    }

    /// Moves the cursor.
    pub fn go(&mut self, motion: Motion) {
        self.cursor = self.target(motion);
    }

    /// Deletes from the cursor to where the motion goes; words and lines can be put back
    /// with [`Editor::put_back`].
    pub fn delete(&mut self, motion: Motion) {
        let target = self.target(motion);
        let range = target.min(self.cursor)..target.max(self.cursor);
        self.cursor = range.start;
        let gone: String = self.text.drain(range).collect();
        if !matches!(motion, Motion::Left | Motion::Right) && !gone.is_empty() {
            self.cut = gone;
        }
        self.snap();
    }

    /// Inserts what was deleted last.
    pub fn put_back(&mut self) -> bool {
        let cut = self.cut.clone();
        self.insert(&cut)
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
        true
    }

    /// The rows that the text takes at this width, as byte ranges without line ends.
    pub fn rows(&self, width: usize) -> Vec<Range<usize>> {
        let width = width.max(2);
        let mut rows = Vec::new();
        let (mut start, mut used) = (0, 0);
        for (at, grapheme) in graphemes(&self.text) {
            if grapheme == "\n" {
                rows.push(start..at);
                (start, used) = (at + 1, 0);
                continue;
            }
            let wide = width_of(grapheme);
            if used + wide > width {
                rows.push(start..at);
                (start, used) = (at, 0);
            }
            used += wide;
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
        let row = rows.iter().rposition(|row| row.start <= self.cursor).unwrap_or(0);
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
                let words = before.trim_end_matches(|c: char| !c.is_alphanumeric());
                words.trim_end_matches(char::is_alphanumeric).len()
            }
            Motion::WordRight => {
                let words = after.trim_start_matches(|c: char| !c.is_alphanumeric());
                self.text.len() - words.trim_start_matches(char::is_alphanumeric).len()
            }
            Motion::LineStart => before.rfind('\n').map_or(0, |at| at + 1),
            Motion::LineEnd => self.cursor + after.find('\n').unwrap_or(after.len()),
        }
    }

    /// Two graphemes may have become one (a combining mark was typed): the cursor goes behind it.
    fn snap(&mut self) {
        if self.cursor > 0 {
            let mut ends = graphemes(&self.text).map(|(at, grapheme)| at + grapheme.len());
            self.cursor = ends.find(|end| *end >= self.cursor).unwrap_or(self.text.len());
        }
    }
}
