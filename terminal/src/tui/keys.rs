//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use lucid_kernel::abi::Extent;

use super::editor::Motion;
use super::finder::{Candidate, Choice, Finder, Kind};
use super::host::Wish;
use super::keymap::{Command as Key, typed};
use super::manual::COMMANDS;
use super::state::{ASK_QUIET_MS, Action, Overlay, Pane, State};
use super::text::count;
use super::vi::ViOutcome;
use super::view;
use crate::machine::api::Command;

/// What is pasted and has more than this comes with the input as a page of its own.
pub const PASTE_BYTES: usize = 4 * 1024;
/// The most of all that comes with one input.
pub const ATTACHED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The narrowest and the widest that panes are made.
pub const PANE_COLUMNS: (u16, u16) = (24, 100);
/// By so much.
const PANE_STEP: u16 = 4;

impl State {
    pub(super) fn on_key(&mut self, key: KeyEvent, actions: &mut Vec<Action>) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.hint = None;
        let leave_armed = std::mem::take(&mut self.leave_armed);
        let open = self.is_question_open();
        self.last_key_ms = self.now_ms;
        let bound = self.keymap.command(&key, self.editor.is_empty());
        match bound {
            Some(Key::Interrupt) => return self.on_interrupt(leave_armed, actions),
            Some(Key::Redraw) => return actions.push(Action::Redraw),
            Some(Key::Suspend) => return actions.push(Action::Suspend),
            _ => {}
        }
        if (open && self.on_question_key(key, actions)) || self.on_finder_key(key, bound, actions) {
            return;
        }
        if self.on_pane_key(key, bound, actions) || self.on_small_answer(key, actions) {
            return;
        }
        self.on_line_key(key, bound, actions);
        self.follow_mention(actions);
    }

    /// A key for the line: that of vi, where that is wanted, else as it is bound, else it types.
    fn on_line_key(&mut self, key: KeyEvent, bound: Option<Key>, actions: &mut Vec<Action>) {
        let mut bound = bound;
        if let Some(mut vi) = self.vi.take() {
            vi.set_width(view::input_width(self));
            let outcome = vi.key(&mut self.editor, key);
            self.vi = Some(vi);
            match outcome {
                ViOutcome::Used => return,
                ViOutcome::NotMine => {}
                ViOutcome::Do(command) => bound = Some(command),
            }
        }
        match (bound, typed(&key)) {
            (Some(command), _) => self.on_command(command, key, actions),
            (None, Some(c)) => self.insert(c.encode_utf8(&mut [0; 4])),
            (None, None) => {}
        }
        if let Some(vi) = &self.vi {
            vi.settle(&mut self.editor);
        }
    }

    /// One of the commands that keys can be bound to.
    pub(super) fn on_command(&mut self, command: Key, key: KeyEvent, actions: &mut Vec<Action>) {
        match command {
            Key::Leave => actions.push(Action::Leave),
            Key::Cancel => self.on_esc(actions),
            Key::Send => self.on_send(actions),
            Key::Newline => self.insert("\n"),
            Key::Complete => self.complete(),
            Key::Palette => self.open_palette(),
            Key::SearchHistory => self.open_history(),
            Key::Help => self.show_help(),
            Key::Memory => self.toggle_pane(Pane::Memory),
            Key::Processes => self.toggle_pane(Pane::Processes),
            Key::Focus => self.focus_next(),
            Key::Wider => self.resize_panes(PANE_STEP, true),
            Key::Narrower => self.resize_panes(PANE_STEP, false),
            Key::Fold => self.talk.transcript.toggle_all(),
            Key::SelectUp => self.select(false),
            Key::SelectDown => self.select(true),
            Key::Background => self.go_on_behind(actions),
            Key::Next => self.next_talk(true, actions),
            Key::Previous => self.next_talk(false, actions),
            Key::Interrupt | Key::Redraw | Key::Suspend => {}
            command if self.on_scroll(command, key) => {}
            Key::Older => self.walk(false),
            Key::Newer => self.walk(true),
            command => self.on_edit(command),
        }
    }

    fn on_edit(&mut self, command: Key) {
        let (motion, deletes) = match command {
            Key::Left => (Motion::Left, false),
            Key::Right => (Motion::Right, false),
            Key::WordLeft => (Motion::WordLeft, false),
            Key::WordRight => (Motion::WordRight, false),
            Key::LineStart => (Motion::LineStart, false),
            Key::LineEnd => (Motion::LineEnd, false),
            Key::DeleteLeft => (Motion::Left, true),
            Key::DeleteRight => (Motion::Right, true),
            Key::DeleteWordLeft => (Motion::WordLeft, true),
            Key::DeleteWordRight => (Motion::WordRight, true),
            Key::CutToStart => (Motion::LineStart, true),
            Key::CutToEnd => (Motion::LineEnd, true),
            Key::PasteCut | Key::Undo | Key::Redo => {
                let _ = match command {
                    Key::PasteCut => self.editor.put_back(),
                    Key::Undo => self.editor.undo(),
                    _ => self.editor.redo(),
                };
                return;
            }
            _ => return,
        };
        if deletes { self.editor.delete(motion) } else { self.editor.go(motion) }
    }

    pub(super) fn on_paste(&mut self, text: &str, actions: &mut Vec<Action>) {
        self.hint = None;
        self.leave_armed = false;
        self.last_key_ms = self.now_ms;
        if let Some(finder) = &mut self.finder {
            let query = format!("{}{}", finder.query, text.lines().next().unwrap_or(""));
            finder.look_for(&query);
            return;
        }
        if text.len() <= PASTE_BYTES {
            self.insert(text);
            return self.follow_mention(actions);
        }
        let name = format!("pasted text {}", self.attached.len() + 1);
        self.attach(name, text.replace("\r\n", "\n").replace('\r', "\n"));
    }

    /// Lets a text come with the next input.
    pub(super) fn attach(&mut self, name: String, text: String) {
        let size = self.attached.iter().map(|(_, text)| text.len()).sum::<usize>() + text.len();
        if size > ATTACHED_BYTES_MAX {
            self.hint = Some(format!(
                "{name} is too large to come with an input ({}); put it into a file and mount its folder",
                count(text.len() as u64, "byte")
            ));
            return;
        }
        let lines = count(text.lines().count() as u64, "line");
        self.hint = Some(format!("{name} ({lines}) comes with the next input; Esc takes it away"));
        self.attached.push((name, text));
    }

    pub(super) fn insert(&mut self, text: &str) {
        if !self.editor.insert(text) {
            self.hint = Some(format!(
                "that is too long for one input ({}); mount its folder with /mount, or give it to lucid ask",
                count(text.len() as u64, "byte")
            ));
        }
    }

    fn on_interrupt(&mut self, leave_armed: bool, actions: &mut Vec<Action>) {
        if self.finder.take().is_some() || self.command.take().is_some() {
            return;
        }
        if self.can_cancel() {
            self.cancel(actions);
        } else if !self.editor.is_empty() {
            self.history.push(self.editor.take());
            let draft = self.history.leave();
            self.editor.set(draft);
            self.hint = Some("cleared; Up brings it back".into());
        } else if self.take_back_queue() {
            self.hint = Some("taken back from the queue".into());
        } else if leave_armed {
            actions.push(Action::Leave);
        } else {
            self.leave_armed = true;
            self.hint = Some("Ctrl-C again leaves".into());
        }
    }

    fn on_esc(&mut self, actions: &mut Vec<Action>) {
        if !self.questions.is_empty() {
            self.answer(None, actions);
        } else if self.command.take().is_some() {
            self.hint = Some("not run".into());
        } else if self.overlay.take().is_some() {
            self.overlay_line = 0;
        } else if self.are_panes_over() {
            (self.panes.memory, self.panes.processes) = (false, false);
        } else if self.talk.transcript.chosen.take().is_some() {
        } else if self.can_cancel() {
            self.cancel(actions);
        } else if self.on_offer_esc(actions) {
        } else if let Some((name, _)) = self.attached.pop() {
            self.hint = Some(format!("{name} does not come with the next input"));
        } else if self.take_back_queue() {
            self.hint = Some("taken back from the queue".into());
        }
    }

    /// Whether panes lie over the transcript, as on narrow screens.
    const fn are_panes_over(&self) -> bool {
        (self.panes.memory || self.panes.processes) && self.size.0 < view::PANE_SCREEN_COLUMNS
    }

    fn can_cancel(&self) -> bool {
        self.talk.turn.as_ref().is_some_and(|turn| !turn.cancelled)
    }

    /// Ends the turn: the screen is free at once, and the machine is told. What waited behind
    /// the turn comes back to the line, for it may no longer be meant.
    fn cancel(&mut self, actions: &mut Vec<Action>) {
        let pid = self.pid;
        while let Some(at) = self.questions.iter().position(|question| Some(question.pid) == pid) {
            self.answer_at(at, None, actions);
        }
        if let Some(turn) = &mut self.talk.turn {
            turn.cancelled = true;
            turn.calling.clear();
        }
        self.talk.transcript.settle();
        self.note("cancelled");
        self.take_back_queue();
        actions.push(Action::send(Command::Cancel { pid }));
    }

    /// Keys that answer or scroll the shown question; any other goes to the line.
    fn on_question_key(&mut self, key: KeyEvent, actions: &mut Vec<Action>) -> bool {
        let lines = match key.code {
            KeyCode::Char(letter) if key.modifiers.difference(KeyModifiers::SHIFT).is_empty() => {
                let grants = self.questions.front().is_some_and(|question| !question.wants.is_empty());
                let extent = match letter.to_ascii_lowercase() {
                    'y' => Some(Extent::Once),
                    's' if grants => Some(Extent::Session),
                    'a' if grants => Some(Extent::Always),
                    'n' => None,
                    _ => return false,
                };
                self.answer(extent, actions);
                return true;
            }
            KeyCode::Up => -1,
            KeyCode::Down => 1,
            KeyCode::PageUp => -view::page_lines(self),
            KeyCode::PageDown => view::page_lines(self),
            _ => return false,
        };
        // Reading on is not typing: the question goes on taking keys.
        self.last_key_ms = self.now_ms.saturating_sub(ASK_QUIET_MS);
        self.scroll(lines);
        true
    }

    /// Letters on an empty line that answer what is offered, or whether a command may run.
    fn on_small_answer(&mut self, key: KeyEvent, actions: &mut Vec<Action>) -> bool {
        let KeyCode::Char(letter) = key.code else { return false };
        if !key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
            return false;
        }
        let is_answer = self.editor.is_empty() && "ynYN".contains(letter);
        if let Some(command) = self.command.clone().filter(|_| is_answer) {
            self.command = None;
            if letter.eq_ignore_ascii_case(&'y') {
                self.note(format!("running {command}"));
                actions.push(Action::Wish(Wish::Run { command }));
            } else {
                self.hint = Some("not run".into());
            }
            return true;
        }
        self.editor.is_empty() && self.on_offer_key(letter, actions)
    }

    /// Answers the first question: how long a yes holds; none is a no.
    pub(super) fn answer(&mut self, extent: Option<Extent>, actions: &mut Vec<Action>) {
        self.answer_at(0, extent, actions);
    }

    fn answer_at(&mut self, at: usize, extent: Option<Extent>, actions: &mut Vec<Action>) {
        self.overlay_line = 0;
        if let Some(question) = self.questions.remove(at) {
            let verb = if extent.is_some() { "allowed" } else { "refused" };
            let long = match extent {
                Some(Extent::Session) => " for this session",
                Some(Extent::Always) => " from now on",
                _ => "",
            };
            self.talk_of(question.pid).note(format!("you {verb} {}{long}", question.call.tool));
            let (id, allow, extent) = (question.id, extent.is_some(), extent.unwrap_or_default());
            actions.push(Action::send(Command::Answer { id, allow, extent }));
        }
    }

    /// Keys that move the overlay or the transcript; says whether it was one.
    fn on_scroll(&mut self, command: Key, key: KeyEvent) -> bool {
        let all = isize::MAX / 2;
        let page = view::page_lines(self);
        let covered = self.overlay.is_some();
        let ends = covered || self.editor.is_empty();
        let is_plain = matches!(key.code, KeyCode::Home | KeyCode::End);
        let lines = match command {
            Key::ScrollUp => -page,
            Key::ScrollDown => page,
            Key::Top => -all,
            Key::Bottom => all,
            Key::LineStart if ends && is_plain => -all,
            Key::LineEnd if ends && is_plain => all,
            Key::Older if covered => -1,
            Key::Newer if covered => 1,
            _ => return false,
        };
        self.scroll(lines);
        true
    }

    /// Up or Down: by rows inside a long input, then through the history.
    fn walk(&mut self, down: bool) {
        if self.editor.go_row(down, view::input_width(self)) {
            return;
        }
        let line = self.editor.text().to_owned();
        let found = if down { self.history.newer(&line) } else { self.history.older(&line) };
        if let Some(found) = found {
            self.editor.set(found);
        }
    }

    fn show_help(&mut self) {
        self.overlay_line = 0;
        self.overlay = match self.overlay.take() {
            Some(Overlay::Help(_)) => None,
            _ => Some(Overlay::Help(None)),
        };
    }

    fn resize_panes(&mut self, by: u16, wider: bool) {
        let columns = self.panes.columns;
        let columns = if wider { columns.saturating_add(by) } else { columns.saturating_sub(by) };
        self.panes.columns = columns.clamp(PANE_COLUMNS.0, PANE_COLUMNS.1);
    }

    /// Chooses what Enter opens in the transcript.
    fn select(&mut self, down: bool) {
        self.talk.transcript.choose(down);
        if let Some(scroll) = view::scroll_to_chosen(self) {
            self.talk.transcript.scroll = scroll;
        }
    }

    /// The keys of a list that grows shorter; says whether it took the key.
    fn on_finder_key(&mut self, key: KeyEvent, bound: Option<Key>, actions: &mut Vec<Action>) -> bool {
        let Some(finder) = &mut self.finder else { return false };
        let is_line = matches!(finder.kind, Kind::Mention(_));
        match bound {
            Some(Key::Cancel) => {
                self.dismissed = match &finder.kind {
                    Kind::Mention(range) => Some(range.start),
                    _ => None,
                };
                self.finder = None;
            }
            Some(Key::Older) => finder.go(false),
            Some(Key::Newer | Key::SearchHistory) => finder.go(true),
            Some(Key::Send | Key::Complete) => return self.take_found(actions),
            _ if is_line => return false,
            Some(Key::DeleteLeft) => {
                let mut query = finder.query.clone();
                query.pop();
                finder.look_for(&query);
            }
            Some(Key::DeleteWordLeft | Key::CutToStart) => finder.look_for(""),
            _ => {
                if let KeyCode::Char(c) = key.code
                    && key.modifiers.difference(KeyModifiers::SHIFT).is_empty()
                {
                    let query = format!("{}{c}", finder.query);
                    finder.look_for(&query);
                }
            }
        }
        true
    }

    /// Does what was chosen; says whether anything was.
    fn take_found(&mut self, actions: &mut Vec<Action>) -> bool {
        let Some(finder) = self.finder.take() else { return false };
        let Some(candidate) = finder.choice().cloned() else {
            return !matches!(finder.kind, Kind::Mention(_));
        };
        match candidate.choice {
            Choice::Line(line, at_once) => {
                if !self.editor.is_empty() && self.editor.text() != line {
                    // The line at hand waits in the history.
                    self.history.push(self.editor.take());
                }
                self.editor.set(line);
                if at_once {
                    self.on_enter(actions);
                }
            }
            Choice::Key(command) => {
                let key = KeyEvent::new(KeyCode::Null, KeyModifiers::NONE);
                self.on_command(command, key, actions);
            }
            Choice::Insert(text) => {
                if let Kind::Mention(range) = finder.kind {
                    self.editor.replace(range, &format!("@{text} "));
                }
            }
            Choice::Session(session) => {
                if let Kind::Mention(range) = finder.kind {
                    self.editor.replace(range, "");
                }
                actions.push(Action::Wish(Wish::Recount { session }));
            }
        }
        true
    }

    fn open_palette(&mut self) {
        let commands = COMMANDS.iter().map(|command| {
            let at_once = !command.needs_argument();
            let gap = if at_once { "" } else { " " };
            Candidate {
                text: format!("{} {}", command.name, command.argument).trim_end().to_owned(),
                about: command.short.to_owned(),
                choice: Choice::Line(format!("{}{gap}", command.name), at_once),
            }
        });
        let keys =
            Key::ALL.iter().filter(|(command, ..)| !command.is_editing()).map(|(command, name, about, _)| {
                let keys = self.keymap.hint(*command).unwrap_or_default();
                Candidate {
                    text: (*name).to_owned(),
                    about: format!("{keys}  {about}"),
                    choice: Choice::Key(*command),
                }
            });
        self.finder = Some(Finder::new(Kind::Palette, "", commands.chain(keys).collect()));
    }

    fn open_history(&mut self) {
        let mut seen = std::collections::BTreeSet::new();
        let entries = self.history.entries().rev().filter(|entry| seen.insert(*entry));
        let candidates = entries.map(|entry| Candidate {
            text: entry.to_owned(),
            about: String::new(),
            choice: Choice::Line(entry.to_owned(), false),
        });
        let query = self.editor.text().lines().next().unwrap_or("").to_owned();
        self.finder = Some(Finder::new(Kind::History, &query, candidates.collect()));
    }

    /// Opens, follows or closes the list of what can be named behind an `@`.
    fn follow_mention(&mut self, actions: &mut Vec<Action>) {
        if self.finder.as_ref().is_some_and(|finder| !matches!(finder.kind, Kind::Mention(_))) {
            return;
        }
        let Some((range, word)) = self.editor.word_before('@') else {
            self.finder = None;
            self.dismissed = None;
            return;
        };
        if self.dismissed == Some(range.start) {
            return;
        }
        let query = word.trim_start_matches('@').to_owned();
        match &mut self.finder {
            Some(finder) => {
                finder.kind = Kind::Mention(range);
                finder.look_for(&query);
            }
            None => {
                self.finder = Some(Finder::new(Kind::Mention(range), &query, self.nameable()));
                // What there is may have changed; the list follows when it is known.
                let roots = self.mounts.iter().map(|mount| mount.root.clone()).collect();
                actions.push(Action::Wish(Wish::Names { roots }));
                actions.push(Action::Wish(Wish::Sessions));
            }
        }
    }

    /// All that `@` can name.
    pub(super) fn nameable(&self) -> Vec<Candidate> {
        let insert = |text: &str, about: String| Candidate {
            text: text.to_owned(),
            about,
            choice: Choice::Insert(text.to_owned()),
        };
        let files = self.files.iter().map(|file| insert(file, "file".into()));
        let pages = self.talk.memory.iter().map(|row| {
            let name = row.page.to_string();
            Candidate {
                text: format!("{name} {}", row.preview),
                about: row.kind.clone(),
                choice: Choice::Insert(name),
            }
        });
        let tools = self.tools.iter().map(|tool| Candidate {
            text: tool.clone(),
            about: "tool".into(),
            choice: Choice::Insert(tool.clone()),
        });
        let sessions = self.sessions.iter().map(|row| Candidate {
            text: format!("{} {}", row.began, row.asked),
            about: "session".into(),
            choice: Choice::Session(row.name.clone()),
        });
        files.chain(tools).chain(pages).chain(sessions).collect()
    }
}
