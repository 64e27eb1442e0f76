//! What was said and done, as a bounded list of items, and the place one looks at.

use std::collections::VecDeque;

use lucid_kernel::abi::{Call, Citation, EffectId, Fault, Returned};

/// The most items that are kept; the journal has the others.
pub const MAX_ITEMS: usize = 2_000;
/// The most of one answer that is kept.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// One thing in the transcript.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The first lines: version and folder.
    Welcome,
    /// What the user said.
    User(String),
    /// What the model said, in Markdown.
    Answer(String),
    /// A call of a tool.
    Call {
        /// Its effect.
        id: EffectId,
        /// What runs.
        call: Call,
        /// How it ended; none while it runs.
        end: Option<CallEnd>,
    },
    /// What the answer above rests on.
    Citations(Vec<Citation>),
    /// Pages that were read in.
    Paged(Vec<(String, (u32, u32))>),
    /// A remark, secondary.
    Note(String),
    /// Something that went wrong.
    Error(String),
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEnd {
    /// With a result, after so many microseconds.
    Done(String, u64),
    /// With an error.
    Failed(String),
    /// The turn ended before it did.
    Unfinished,
}

/// Where one looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scroll {
    /// At the end, whatever comes.
    #[default]
    Follow,
    /// From this line of this item on.
    At {
        /// The item.
        item: usize,
        /// Its line.
        line: usize,
    },
}

/// The items and the place one looks at.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    items: VecDeque<Item>,
    /// The answer that text is added to.
    open: Option<usize>,
    /// Where one looks.
    pub scroll: Scroll,
}

impl Transcript {
    /// The items, the oldest first.
    pub fn items(&self) -> &VecDeque<Item> {
        &self.items
    }

    /// Adds an item; the oldest goes when there are too many.
    pub fn push(&mut self, item: Item) {
        self.items.push_back(item);
        if self.items.len() > MAX_ITEMS {
            self.remove(0);
        }
    }

    /// Adds text to the answer that is being written.
    pub fn write(&mut self, text: &str) {
        if self.open.is_none() {
            self.push(Item::Answer(String::new()));
            self.open = Some(self.items.len() - 1);
        }
        if let Some(Item::Answer(answer)) = self.open.and_then(|at| self.items.get_mut(at)) {
            let room = MAX_ANSWER_BYTES.saturating_sub(answer.len());
            answer.push_str(&text[..text.floor_char_boundary(room)]);
        }
    }

    /// Takes back what was written since the last decode began.
    pub fn retract(&mut self) {
        if let Some(at) = self.open.take() {
            self.remove(at);
        }
    }

    /// Ends the answer that is being written: later text begins another.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Puts the whole answer in place of what was written so far.
    pub fn answer(&mut self, text: &str) {
        self.write("");
        if let Some(Item::Answer(answer)) = self.open.take().and_then(|at| self.items.get_mut(at)) {
            text[..text.floor_char_boundary(MAX_ANSWER_BYTES)].clone_into(answer);
        }
    }

    /// Notes what a call gave back.
    pub fn returned(&mut self, id: EffectId, result: &Result<Returned, Fault>) {
        let end = match result {
            Ok(returned) => CallEnd::Done(plain_value(&returned.value), returned.micros),
            Err(fault) => CallEnd::Failed(fault.to_string()),
        };
        let call =
            self.items.iter_mut().rev().find(|item| matches!(item, Item::Call { id: of, .. } if *of == id));
        if let Some(Item::Call { end: slot, .. }) = call {
            *slot = Some(end);
        }
    }

    /// The turn is over: no answer is being written and no call runs any more.
    pub fn settle(&mut self) {
        self.close();
        for item in self.items.iter_mut().rev().take_while(|item| !matches!(item, Item::User(_))) {
            if let Item::Call { end: end @ None, .. } = item {
                *end = Some(CallEnd::Unfinished);
            }
        }
    }

    /// Takes the last thing the user said back out.
    pub fn unsay(&mut self) {
        if let Some(at) = self.items.iter().rposition(|item| matches!(item, Item::User(_))) {
            self.remove(at);
        }
    }

    fn remove(&mut self, at: usize) {
        self.items.remove(at);
        self.open = match self.open {
            Some(open) if open == at => None,
            Some(open) if open > at => Some(open - 1),
            open => open,
        };
        if let Scroll::At { item, line } = &mut self.scroll {
            match (*item).cmp(&at) {
                std::cmp::Ordering::Greater => *item -= 1,
                std::cmp::Ordering::Equal => *line = 0,
                std::cmp::Ordering::Less => {}
            }
        }
    }
}

/// A JSON value as a person reads it: text without its quotes.
pub fn plain_value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
