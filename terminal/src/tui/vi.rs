//! Vi's keys over the input line: a state machine that is given keys and changes the editor.

use std::ops::Range;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::editor::{Editor, boundary_before};
use super::keymap::{Command, typed};
use super::vi_motion::{self as motion, Find, Reach, back, forward, line, next, previous};

/// The highest count before a command.
pub const MAX_COUNT: usize = 9_999;

/// What typing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It types.
    #[default]
    Insert,
    /// It gives commands.
    Normal,
    /// It gives commands about what is selected.
    Visual,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViOutcome {
    /// It was vi's.
    Used,
    /// It means what it means without vi. Afterwards, call [`Vi::settle`].
    NotMine,
    /// It means this command: `k` on the first row and `j` on the last go through the history.
    /// Afterwards, call [`Vi::settle`].
    Do(Command),
}

/// The state of vi's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vi {
    pub(super) mode: Mode,
    /// Columns of the input, for `j` and `k`.
    width: usize,
    pub(super) pending: Pending,
    /// Where the selection began.
    pub(super) anchor: usize,
    pub(super) typing: Option<Typing>,
    found: Option<Find>,
    pub(super) register: Register,
    /// The characters of the command at hand, without counts.
    pub(super) keys: Vec<char>,
    pub(super) last: Option<Change>,
}

/// A command that is not complete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// 0 for none.
    pub count: usize,
    operator: Option<Operator>,
    /// What was counted before the operator; 0 for none.
    outer_count: usize,
    wait: Option<Wait>,
}

/// What is done with a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Delete,
    Change,
    Yank,
}

/// What the next character is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    Go,
    Find { forward: bool, till: bool },
    Replace,
    Object { around: bool },
}

/// What was deleted or yanked, and whether it is whole lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Register {
    pub text: String,
    pub lines: bool,
}

/// A change that `.` can repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub keys: Vec<char>,
    pub count: usize,
    /// How many graphemes were selected, when some were.
    pub span: Option<usize>,
    /// What was typed at the end of it.
    pub typed: String,
}

/// What is being typed: all between two offsets, from the start and from the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Typing {
    pub change: Change,
    pub start: usize,
    pub rest: usize,
    /// The cursor and the text's bytes at the last key.
    pub seen: (usize, usize),
}

impl Default for Vi {
    fn default() -> Self {
        Self {
            mode: Mode::Insert,
            width: 80,
            pending: Pending::default(),
            anchor: 0,
            typing: None,
            found: None,
            register: Register::default(),
            keys: Vec::new(),
            last: None,
        }
    }
}

impl Vi {
    /// What typing does.
    #[cfg(test)]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The mode as the status line has it; none while typing types.
    pub fn label(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Insert => None,
            Mode::Normal => Some("NORMAL"),
            Mode::Visual => Some("VISUAL"),
        }
    }

    /// Tells how many columns the input has.
    pub fn set_width(&mut self, width: usize) {
        self.width = width;
    }

    /// Begins anew, ready to type: for the next line once one was sent. What was yanked and
    /// what can be repeated stay.
    pub fn reset(&mut self) {
        self.mode = Mode::Insert;
        self.typing = None;
        self.clear();
    }

    /// What is selected.
    pub fn selection(&self, editor: &Editor) -> Option<Range<usize>> {
        let text = editor.text();
        let anchor = boundary_before(text, self.anchor);
        let (start, last) = (anchor.min(editor.cursor()), anchor.max(editor.cursor()));
        (self.mode == Mode::Visual).then(|| start..next(text, last))
    }

    /// Puts the cursor where commands have it: on a grapheme of the line, not behind the last.
    pub fn settle(&self, editor: &mut Editor) {
        let (text, at) = (editor.text(), editor.cursor());
        let line = line(text, at);
        if self.mode != Mode::Insert && at == line.end {
            let last = back(text, line.end, 1, line.start);
            editor.go_to(last);
        }
    }

    /// Takes a key.
    pub fn key(&mut self, editor: &mut Editor, key: KeyEvent) -> ViOutcome {
        if key.kind == KeyEventKind::Release {
            return ViOutcome::NotMine;
        }
        let is_escape = key.code == KeyCode::Esc && key.modifiers.is_empty();
        if self.mode == Mode::Insert {
            if is_escape {
                self.end_typing(editor);
                return ViOutcome::Used;
            }
            self.follow_typing(editor);
            return ViOutcome::NotMine;
        }
        self.settle(editor);
        if is_escape {
            return self.escape();
        }
        match self.letter(key) {
            Some(letter) => self.letter_key(editor, letter),
            None if key.code == KeyCode::Char('r') && key.modifiers == KeyModifiers::CONTROL => {
                self.undo(editor, Editor::redo)
            }
            // In the midst of a command they only end it, and neither send nor delete.
            None if self.pending != Pending::default()
                && matches!(key.code, KeyCode::Enter | KeyCode::Backspace | KeyCode::Delete) =>
            {
                self.clear()
            }
            None => {
                self.clear();
                ViOutcome::NotMine
            }
        }
    }

    pub(super) fn escape(&mut self) -> ViOutcome {
        let idle = self.mode == Mode::Normal && self.pending == Pending::default();
        self.mode = Mode::Normal;
        self.clear();
        if idle { ViOutcome::NotMine } else { ViOutcome::Used }
    }

    /// The letter that a key stands for.
    fn letter(&self, key: KeyEvent) -> Option<char> {
        let is_plain =
            key.modifiers.difference(KeyModifiers::SHIFT).is_empty() && self.pending.wait.is_none();
        match key.code {
            KeyCode::Backspace if is_plain => Some('h'),
            KeyCode::Delete if is_plain => Some('x'),
            _ => typed(&key),
        }
    }

    /// Drops what is pending.
    pub(super) fn clear(&mut self) -> ViOutcome {
        self.pending = Pending::default();
        self.keys.clear();
        ViOutcome::Used
    }

    pub(super) fn letter_key(&mut self, editor: &mut Editor, letter: char) -> ViOutcome {
        if let Some(wait) = self.pending.wait.take() {
            self.keys.push(letter);
            return self.awaited(editor, wait, letter);
        }
        if let Some(digit) = letter.to_digit(10).filter(|digit| *digit > 0 || self.pending.count > 0) {
            self.pending.count = (self.pending.count * 10 + digit as usize).min(MAX_COUNT);
            return ViOutcome::Used;
        }
        self.keys.push(letter);
        let count = self.count();
        match letter {
            'j' | 'k' if self.pending.operator.is_none() => self.go_rows(editor, letter == 'j'),
            'g' => self.wait(Wait::Go),
            'f' | 't' | 'F' | 'T' => {
                self.wait(Wait::Find { forward: letter.is_lowercase(), till: "tT".contains(letter) })
            }
            'i' | 'a' if self.mode == Mode::Visual || self.pending.operator.is_some() => {
                self.wait(Wait::Object { around: letter == 'a' })
            }
            'd' | 'c' | 'y' => self.operator(editor, letter),
            _ => match self.motion(editor, letter, count) {
                Some(found) => self.arrive(editor, found),
                None if self.mode == Mode::Visual => self.visual_key(editor, letter),
                None if self.pending.operator.is_some() => self.clear(),
                None => self.normal_key(editor, letter, count.unwrap_or(1)),
            },
        }
    }

    pub(super) fn wait(&mut self, wait: Wait) -> ViOutcome {
        self.pending.wait = Some(wait);
        ViOutcome::Used
    }

    pub(super) fn count(&self) -> Option<usize> {
        let Pending { count, outer_count, .. } = self.pending;
        (count > 0 || outer_count > 0).then(|| (count.max(1) * outer_count.max(1)).min(MAX_COUNT))
    }

    fn go_rows(&mut self, editor: &mut Editor, down: bool) -> ViOutcome {
        let count = self.count().unwrap_or(1);
        self.clear();
        let mut went = 0;
        while went < count && editor.go_row(down, self.width) {
            // In the column that commands have, or the next row would be the same.
            self.settle(editor);
            went += 1;
        }
        match (self.mode, went, down) {
            (Mode::Normal, 0, true) => ViOutcome::Do(Command::Newer),
            (Mode::Normal, 0, false) => ViOutcome::Do(Command::Older),
            _ => ViOutcome::Used,
        }
    }

    /// The character that a command waited for.
    fn awaited(&mut self, editor: &mut Editor, wait: Wait, letter: char) -> ViOutcome {
        let count = self.count();
        let (text, at) = (editor.text(), editor.cursor());
        match wait {
            Wait::Go if letter == 'g' => {
                let to = motion::below(text, 0, count.unwrap_or(1) - 1);
                self.arrive(editor, Some((motion::first_of_line(text, to), Reach::Lines)))
            }
            Wait::Find { forward, till } => {
                let find = Find { sign: letter, forward, till };
                self.found = Some(find);
                let to = motion::find(text, at, find, count.unwrap_or(1), false);
                self.arrive(editor, to.map(|to| (to, reach_of(find))))
            }
            Wait::Object { around } if "wW".contains(letter) => {
                let range = motion::object(text, at, letter == 'W', around, count.unwrap_or(1));
                self.take_object(editor, range)
            }
            Wait::Replace => self.replace(editor, letter, count.unwrap_or(1)),
            _ => self.clear(),
        }
    }

    fn take_object(&mut self, editor: &mut Editor, range: Range<usize>) -> ViOutcome {
        match self.pending.operator {
            Some(operator) => self.operate(editor, operator, range, false, None),
            None => {
                self.anchor = range.start;
                let last = if range.is_empty() { range.end } else { previous(editor.text(), range.end) };
                editor.go_to(last);
                self.clear()
            }
        }
    }

    /// Where a motion leads, none inside when it cannot; none when it is no motion.
    fn motion(&self, editor: &Editor, letter: char, count: Option<usize>) -> Option<Option<(usize, Reach)>> {
        let (text, at, times) = (editor.text(), editor.cursor(), count.unwrap_or(1));
        let here = line(text, at);
        let big = letter.is_uppercase();
        let far = |go: &dyn Fn(usize) -> usize| {
            let mut to = at;
            for _ in 0..times {
                let on = go(to);
                if on == to {
                    break;
                }
                to = on;
            }
            to
        };
        Some(match letter {
            'h' => Some((back(text, at, times, here.start), Reach::Exclusive)),
            'l' | ' ' => Some((forward(text, at, times, here.end), Reach::Exclusive)),
            '0' => Some((here.start, Reach::Exclusive)),
            '^' => Some((motion::first_of_line(text, at), Reach::Exclusive)),
            '$' => Some((line(text, motion::below(text, at, times - 1)).end, Reach::Exclusive)),
            'w' | 'W' => Some(self.word(text, at, big, far(&|at| motion::word(text, at, big)), times)),
            'b' | 'B' => Some((far(&|at| motion::word_back(text, at, big)), Reach::Exclusive)),
            'e' | 'E' => {
                let to = far(&|at| motion::word_end(text, at, big, false).unwrap_or(at));
                (to != at).then_some((to, Reach::Inclusive))
            }
            'j' => (here.end < text.len()).then(|| (motion::below(text, at, times), Reach::Lines)),
            'k' => (here.start > 0).then(|| (motion::above(text, at, times), Reach::Lines)),
            'G' => {
                let to = motion::below(text, 0, count.unwrap_or(usize::MAX) - 1);
                Some((motion::first_of_line(text, to), Reach::Lines))
            }
            ';' | ',' => self.found.and_then(|find| {
                let find = Find { forward: find.forward == (letter == ';'), ..find };
                motion::find(text, at, find, times, true).map(|to| (to, reach_of(find)))
            }),
            _ => return None,
        })
    }

    /// `w` under an operator: `c` leaves the blanks behind the word, and no line end is taken.
    fn word(&self, text: &str, at: usize, big: bool, to: usize, count: usize) -> (usize, Reach) {
        let Some(operator) = self.pending.operator else { return (to, Reach::Exclusive) };
        let on_word = text[at..].starts_with(|c: char| !c.is_whitespace());
        if operator == Operator::Change && on_word {
            let first = motion::word_end(text, at, big, true).unwrap_or(at);
            let end = (1..count).fold(first, |at, _| motion::word_end(text, at, big, false).unwrap_or(at));
            return (end, Reach::Inclusive);
        }
        let words = text[at..to].trim_end().len();
        let end = text[at + words..to].find('\n').map_or(to, |more| at + words + more);
        (end, Reach::Exclusive)
    }

    /// Goes where a motion leads, or lets the operator have what lies between.
    fn arrive(&mut self, editor: &mut Editor, found: Option<(usize, Reach)>) -> ViOutcome {
        let Some((to, reach)) = found else { return self.clear() };
        let Some(operator) = self.pending.operator else {
            editor.go_to(to);
            self.settle(editor);
            return self.clear();
        };
        let text = editor.text();
        let (start, end) = (to.min(editor.cursor()), to.max(editor.cursor()));
        let range = match reach {
            Reach::Exclusive => start..end,
            Reach::Inclusive => start..next(text, end),
            Reach::Lines => line(text, start).start..line(text, end).end,
        };
        self.operate(editor, operator, range, reach == Reach::Lines, None)
    }

    fn operator(&mut self, editor: &mut Editor, letter: char) -> ViOutcome {
        let operator = match letter {
            'd' => Operator::Delete,
            'c' => Operator::Change,
            _ => Operator::Yank,
        };
        match self.pending.operator {
            _ if self.mode == Mode::Visual => self.visual_key(editor, letter),
            None => {
                let outer_count = self.pending.count;
                self.pending = Pending { operator: Some(operator), outer_count, ..Pending::default() };
                ViOutcome::Used
            }
            Some(before) if before == operator => self.whole_lines(editor, operator),
            Some(_) => self.clear(),
        }
    }

    pub(super) fn whole_lines(&mut self, editor: &mut Editor, operator: Operator) -> ViOutcome {
        let (text, at) = (editor.text(), editor.cursor());
        let last = motion::below(text, at, self.count().unwrap_or(1) - 1);
        let range = line(text, at).start..line(text, last).end;
        self.operate(editor, operator, range, true, None)
    }
}

fn reach_of(find: Find) -> Reach {
    if find.forward { Reach::Inclusive } else { Reach::Exclusive }
}
