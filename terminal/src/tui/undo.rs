//! What was changed in the input line, so that it can be undone and done again.

use std::collections::VecDeque;

/// How many steps can be undone.
pub const MAX_STEPS: usize = 200;
/// The most bytes that all steps together keep.
pub const MAX_BYTES: usize = 1 << 20;

/// What a change belongs to: changes of one run that follow each other are one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Run {
    /// A step of its own.
    #[default]
    Alone,
    /// A character was typed.
    Typing,
    /// A character was deleted.
    Deleting,
}

/// One change: at a byte offset, a text went and another came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The byte offset.
    pub at: usize,
    /// What was there.
    pub gone: String,
    /// What is there now.
    pub come: String,
}

/// The changes that are undone together, and the cursor before and after them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    edits: Vec<Edit>,
    before: usize,
    after: usize,
}

/// Whether changes are being gathered into one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Gathering {
    #[default]
    No,
    /// The next change opens the step.
    Begun,
    /// The last step is it.
    Going,
}

/// The steps that were done, and those that were undone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undo {
    done: VecDeque<Step>,
    undone: Vec<Step>,
    /// Of `done`; what is undone was counted there, and goes before anything new comes.
    bytes: usize,
    run: Run,
    gathering: Gathering,
}

impl Undo {
    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next change begins a step, whatever run it is of.
    pub fn end_run(&mut self) {
        self.run = Run::Alone;
    }

    /// All changes from here to [`Undo::end`] are one step.
    pub fn begin(&mut self) {
        if self.gathering == Gathering::No {
            self.gathering = Gathering::Begun;
        }
    }

    /// Ends what [`Undo::begin`] began.
    pub fn end(&mut self) {
        self.gathering = Gathering::No;
        self.run = Run::Alone;
    }

    /// Whether changes are being gathered into one step.
    pub fn is_gathering(&self) -> bool {
        self.gathering != Gathering::No
    }

    /// Notes a change and where the cursor was and is.
    pub fn record(&mut self, edit: Edit, before: usize, after: usize, run: Run) {
        self.undone.clear();
        let going = self.gathering == Gathering::Going;
        let joins = going || (self.gathering == Gathering::No && run != Run::Alone && run == self.run);
        self.run = run;
        let left = match self.done.back_mut() {
            Some(step) if joins => {
                self.bytes -= step.bytes();
                let left = step.take_in(edit, going);
                step.after = if left.is_none() { after } else { step.after };
                self.bytes += step.bytes();
                left
            }
            _ => Some(edit),
        };
        if let Some(edit) = left {
            let step = Step { edits: vec![edit], before, after };
            self.bytes += step.bytes();
            self.done.push_back(step);
        }
        if self.is_gathering() {
            self.gathering = Gathering::Going;
        }
        self.trim();
    }

    /// Undoes the last step in the text; gives the cursor.
    pub fn undo(&mut self, text: &mut String) -> Option<usize> {
        self.end();
        let step = self.done.pop_back()?;
        self.bytes -= step.bytes();
        for edit in step.edits.iter().rev() {
            text.replace_range(edit.at..edit.at + edit.come.len(), &edit.gone);
        }
        let cursor = step.before;
        self.undone.push(step);
        Some(cursor)
    }

    /// Does in the text what was undone last; gives the cursor.
    pub fn redo(&mut self, text: &mut String) -> Option<usize> {
        self.end();
        let step = self.undone.pop()?;
        for edit in &step.edits {
            text.replace_range(edit.at..edit.at + edit.gone.len(), &edit.come);
        }
        let cursor = step.after;
        self.bytes += step.bytes();
        self.done.push_back(step);
        Some(cursor)
    }

    fn trim(&mut self) {
        while self.done.len() > MAX_STEPS || self.bytes > MAX_BYTES {
            let Some(step) = self.done.pop_front() else { break };
            self.bytes -= step.bytes();
            if self.done.is_empty() && self.is_gathering() {
                self.gathering = Gathering::Begun;
            }
        }
    }
}

impl Step {
    fn bytes(&self) -> usize {
        self.edits.iter().map(|edit| size_of::<Edit>() + edit.gone.len() + edit.come.len()).sum()
    }

    /// Adds a change, at any place when changes are being gathered; gives it back when it is
    /// a step of its own: elsewhere, or a new word.
    fn take_in(&mut self, edit: Edit, gathering: bool) -> Option<Edit> {
        let last = self.edits.last_mut()?;
        let blank = |text: Option<char>| text.is_some_and(char::is_whitespace);
        let is_word = blank(last.come.chars().next_back()) && !blank(edit.come.chars().next());
        if (gathering || !is_word) && last.join(&edit) {
            return None;
        }
        if !gathering {
            return Some(edit);
        }
        self.edits.push(edit);
        None
    }
}

impl Edit {
    /// Makes one change of two, if the other one touches it.
    fn join(&mut self, next: &Self) -> bool {
        let end = self.at + self.come.len();
        if next.gone.is_empty() && next.at == end {
            self.come.push_str(&next.come);
        } else if !next.come.is_empty() {
            return false;
        } else if next.at >= self.at && next.at + next.gone.len() == end {
            self.come.truncate(next.at - self.at);
        } else if self.come.is_empty() && next.at + next.gone.len() == self.at {
            self.gone.insert_str(0, &next.gone);
            self.at = next.at;
        } else if next.at == end {
            self.gone.push_str(&next.gone);
        } else {
            return false;
        }
        true
    }
}
