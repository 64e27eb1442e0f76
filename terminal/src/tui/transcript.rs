//! What was said and done, as a bounded list of items, and the place one looks at.

use std::cell::RefCell;
use std::collections::VecDeque;

use lucid_kernel::abi::{Call, Citation, EffectId, Fault, PageId, Returned};

use super::lines::Memo;
use super::pictures;
use crate::machine::api::PastTurn;

/// The most items that are kept; the journal has the others.
pub const MAX_ITEMS: usize = 20_000;
/// The most of one answer that is kept.
pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// One thing in the transcript.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The first lines: version and folder.
    Welcome,
    /// What the user said, and the names of what came with it.
    User(String, Vec<String>),
    /// What the model said, in Markdown.
    Answer(String),
    /// A call of a tool.
    Call(Box<Card>),
    /// A picture that a tool gave: its file.
    Picture(String),
    /// What the answer above rests on.
    Citations(Vec<Citation>),
    /// Pages that were read in.
    Paged(Vec<(String, (u32, u32))>),
    /// Pages that were found by `/search`: place, heading and first words of each.
    Found(Vec<Found>),
    /// A remark, secondary.
    Note(String),
    /// Something that went wrong.
    Error(String),
}

/// A call of a tool, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Its effect.
    pub id: EffectId,
    /// What runs.
    pub call: Call,
    /// The rights that it runs with beyond those granted for ever.
    pub granted: Vec<String>,
    /// How it ended; none while it runs.
    pub end: Option<CallEnd>,
    /// Whether all of it is shown, once the user said so.
    pub open: bool,
}

/// A page that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The file.
    pub path: String,
    /// First and last line, counted from 1.
    pub lines: (u32, u32),
    /// The headings above it.
    pub heading: String,
    /// Its first words.
    pub text: String,
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

/// What can be opened in the transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A tool's card.
    Card,
    /// A page of memory.
    Page(PageId),
    /// A place in a file: path, first and last line.
    File(String, (u32, u32)),
}

/// The items and the place one looks at.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    items: VecDeque<Item>,
    /// How many items went before the first.
    gone: u64,
    /// The answer that text is added to.
    open: Option<usize>,
    /// Where one looks.
    pub scroll: Scroll,
    /// What the keys have chosen: the number of an item, and which of its targets.
    pub chosen: Option<(u64, usize)>,
    /// The lines of items, so that they are not made for every frame. Says nothing that the items do not.
    pub memo: RefCell<Memo>,
}

impl Transcript {
    /// The items, the oldest first.
    pub const fn items(&self) -> &VecDeque<Item> {
        &self.items
    }

    /// The number of an item, which it keeps while older ones go.
    pub const fn number(&self, at: usize) -> u64 {
        self.gone + at as u64
    }

    /// Where the item of this number is.
    pub fn position(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.gone)?).ok()?;
        (at < self.items.len()).then_some(at)
    }

    /// Whether text is being added to this item.
    pub fn is_open(&self, at: usize) -> bool {
        self.open == Some(at)
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
        if let Some(at) = self.open.take() {
            self.forget(at);
        }
    }

    /// Puts the whole answer in place of what was written so far.
    pub fn answer(&mut self, text: &str) {
        self.write("");
        if let Some(at) = self.open.take() {
            if let Some(Item::Answer(answer)) = self.items.get_mut(at) {
                text[..text.floor_char_boundary(MAX_ANSWER_BYTES)].clone_into(answer);
            }
            self.forget(at);
        }
    }

    /// A call began.
    pub fn called(&mut self, id: EffectId, call: Call, granted: Vec<String>) {
        self.close();
        self.push(Item::Call(Box::new(Card { id, call, granted, end: None, open: false })));
    }

    /// A command of the user's ran.
    pub fn ran(&mut self, command: &str, output: &str) {
        let call = Call { tool: format!("$ {command}"), arguments: serde_json::Value::Null };
        let end = Some(CallEnd::Done(output.trim_end().to_owned(), 0));
        self.push(Item::Call(Box::new(Card {
            id: EffectId(0),
            call,
            granted: Vec::new(),
            end,
            open: false,
        })));
    }

    /// Notes what a call gave back.
    pub fn returned(&mut self, id: EffectId, result: &Result<Returned, Fault>) {
        let end = match result {
            Ok(returned) => CallEnd::Done(plain_value(&returned.value), returned.micros),
            Err(fault) => CallEnd::Failed(fault.to_string()),
        };
        let is_it = |item: &Item| matches!(item, Item::Call(card) if card.id == id);
        if let Some(at) = self.items.iter().rposition(is_it) {
            if let Some(Item::Call(card)) = self.items.get_mut(at) {
                card.end = Some(end);
            }
            self.forget(at);
        }
    }

    /// The turn is over: no answer is being written and no call runs any more.
    pub fn settle(&mut self) {
        self.close();
        let turn = self.items.iter().rposition(|item| matches!(item, Item::User(..))).map_or(0, |at| at + 1);
        for at in turn..self.items.len() {
            if let Some(Item::Call(card)) = self.items.get_mut(at).filter(|item| is_running(item)) {
                card.end = Some(CallEnd::Unfinished);
                self.forget(at);
            }
        }
    }

    /// Takes the last thing the user said back out.
    pub fn unsay(&mut self) {
        if let Some(at) = self.items.iter().rposition(|item| matches!(item, Item::User(..))) {
            self.remove(at);
        }
    }

    /// Opens or closes a card.
    pub fn toggle(&mut self, at: usize) {
        if let Some(Item::Call(card)) = self.items.get_mut(at) {
            card.open = !card.open;
            self.forget(at);
        }
    }

    /// Closes all cards, or opens them when all are closed.
    pub fn toggle_all(&mut self) {
        let any = self.items.iter().any(|item| matches!(item, Item::Call(card) if card.open));
        for item in &mut self.items {
            if let Item::Call(card) = item {
                card.open = !any;
            }
        }
        self.memo.get_mut().clear();
    }

    /// Puts turns of before in front of what is there.
    pub fn begin_with(&mut self, turns: &[PastTurn]) {
        let now = std::mem::take(&mut self.items);
        self.open = None;
        self.memo.get_mut().clear();
        for turn in turns {
            self.past_turn(turn);
        }
        now.into_iter().filter(|item| *item != Item::Welcome).for_each(|item| self.push(item));
    }

    fn past_turn(&mut self, turn: &PastTurn) {
        self.push(Item::User(turn.asked.clone(), Vec::new()));
        let Some(report) = &turn.report else {
            return self.push(Item::Note("this turn was cut off".into()));
        };
        for call in &report.calls {
            let pictures = call.result.as_ref().map(pictures::named).unwrap_or_default();
            let end = match &call.result {
                Ok(value) => CallEnd::Done(plain_value(value), call.micros),
                Err(fault) => CallEnd::Failed(fault.to_string()),
            };
            let said = Call { tool: call.tool.clone(), arguments: call.arguments.clone() };
            let card = Card { id: EffectId(0), call: said, granted: Vec::new(), end: Some(end), open: false };
            self.push(Item::Call(Box::new(card)));
            pictures.into_iter().for_each(|path| self.push(Item::Picture(path)));
        }
        if !report.answer.is_empty() {
            self.answer(&report.answer);
        }
        if !report.citations.is_empty() {
            self.push(Item::Citations(report.citations.clone()));
        }
    }

    /// What can be opened in an item, in the order in which it is drawn.
    pub fn targets(&self, at: usize) -> Vec<Target> {
        match self.items.get(at) {
            Some(Item::Call(_)) => vec![Target::Card],
            Some(Item::Citations(citations)) => {
                let shown = citations.iter().take(super::items::MAX_CITATIONS);
                shown.map(|citation| Target::Page(citation.page)).collect()
            }
            Some(Item::Found(found)) => {
                found.iter().map(|found| Target::File(found.path.clone(), found.lines)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Chooses the next target, or the one before; none behind the last.
    pub fn choose(&mut self, on: bool) {
        let (number, which) = match self.chosen {
            Some((number, which)) => (number, which),
            None if on => return,
            None => (self.number(self.items.len()), 0),
        };
        let mut at = self.position(number).unwrap_or(self.items.len());
        if on {
            if which + 1 < self.targets(at).len() {
                self.chosen = Some((number, which + 1));
                return;
            }
            let next = (at + 1..self.items.len()).find(|at| !self.targets(*at).is_empty());
            self.chosen = next.map(|at| (self.number(at), 0));
        } else {
            if which > 0 {
                self.chosen = Some((number, which - 1));
                return;
            }
            while at > 0 {
                at -= 1;
                let targets = self.targets(at).len();
                if targets > 0 {
                    self.chosen = Some((self.number(at), targets - 1));
                    return;
                }
            }
        }
    }

    /// An item is not as it was drawn.
    fn forget(&mut self, at: usize) {
        let number = self.number(at);
        self.memo.get_mut().forget(number);
    }

    fn remove(&mut self, at: usize) {
        self.items.remove(at);
        if at == 0 {
            self.gone += 1;
        } else {
            // The numbers of all behind it change.
            self.memo.get_mut().clear();
            self.chosen = None;
        }
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

fn is_running(item: &Item) -> bool {
    matches!(item, Item::Call(card) if card.end.is_none())
}

/// A JSON value as a person reads it: text without its quotes.
pub fn plain_value(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
