//! The lines of the transcript's items, kept from frame to frame: an item is drawn anew only when it
//! changed, and of an answer that is being written only what may still look different.

use std::collections::HashMap;

use ratatui::text::Line;

use super::state::State;
use super::transcript::{Item, Transcript};
use super::{items, markdown};

/// So many items' lines are kept: more than any screen shows.
const MAX_KEPT: usize = 256;

/// The lines of items at one width.
#[derive(Debug, Clone, Default)]
pub struct Memo {
    width: usize,
    kept: HashMap<u64, Drawn>,
}

/// One item's lines.
#[derive(Debug, Clone, Default)]
struct Drawn {
    lines: Vec<Line<'static>>,
    /// Of an answer that is being written: the bytes whose look is settled, how many lines they take, and
    /// the bytes that are drawn.
    settled: (usize, usize),
    bytes: usize,
}

impl Memo {
    /// An item changed.
    pub fn forget(&mut self, number: u64) {
        self.kept.remove(&number);
    }

    /// All may look different.
    pub fn clear(&mut self) {
        self.kept.clear();
    }

    /// How many items' lines are kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    fn make_room(&mut self, width: usize) {
        if self.width != width {
            self.width = width;
            self.kept.clear();
        }
        if self.kept.len() >= MAX_KEPT {
            self.kept.clear();
        }
    }
}

/// How many lines an item takes at this width.
pub fn height(state: &State, transcript: &Transcript, at: usize, width: usize) -> usize {
    drawn(state, transcript, at, width, |lines| lines.len())
}

/// Some of the lines of an item at this width.
pub fn some(
    state: &State,
    transcript: &Transcript,
    at: usize,
    width: usize,
    (skip, take): (usize, usize),
) -> Vec<Line<'static>> {
    drawn(state, transcript, at, width, |lines| lines.iter().skip(skip).take(take).cloned().collect())
}

fn drawn<T>(
    state: &State,
    transcript: &Transcript,
    at: usize,
    width: usize,
    of: impl FnOnce(&[Line<'static>]) -> T,
) -> T {
    let Some(item) = transcript.items().get(at) else { return of(&[]) };
    let mut memo = transcript.memo.borrow_mut();
    memo.make_room(width);
    let number = transcript.number(at);
    match item {
        Item::Answer(text) if transcript.is_open(at) => {
            let drawn = memo.kept.entry(number).or_default();
            drawn.write(text, width, state);
            of(&drawn.lines)
        }
        item => {
            let make = || Drawn { lines: items::lines(item, width, state), ..Drawn::default() };
            of(&memo.kept.entry(number).or_insert_with(make).lines)
        }
    }
}

impl Drawn {
    /// Draws what came since: all that is not settled.
    fn write(&mut self, text: &str, width: usize, state: &State) {
        if self.bytes == text.len() && !self.lines.is_empty() {
            return;
        }
        let (bytes, lines) = self.settled;
        self.lines.truncate(lines);
        let more = markdown::settled(&text[bytes..]);
        if more > 0 {
            let settled = &text[bytes..bytes + more];
            self.lines.extend(markdown::render(settled, width, state.theme, &|language, code| {
                state.code.find(language, code)
            }));
            self.settled = (bytes + more, self.lines.len());
        }
        // Code that is not whole yet is not worth being read for its colours.
        let rest = &text[bytes + more..];
        self.lines.extend(markdown::render(rest, width, state.theme, &|_, _| None));
        self.bytes = text.len();
    }
}
