//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use lucid_kernel::abi::Extent;

use super::editor::Motion;
use super::state::{ASK_QUIET_MS, Action, State};
use super::text::count;
use super::view;
use crate::machine::api::Command;

/// Keys and what they do, for `/help`.
pub const KEYS: [(&str, &str); 14] = [
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J", "new line"),
    ("Esc, Ctrl-C", "cancel the turn"),
    ("Ctrl-C", "clear the line; twice on an empty line: leave"),
    ("Ctrl-D", "leave, on an empty line"),
    ("Up, Down", "earlier inputs, or rows of a long one"),
    ("PgUp, PgDn, wheel", "scroll"),
    ("Home, End", "start or end of the line; on an empty line: of all"),
    ("Ctrl-Left, -Right", "word by word (also Alt-B, Alt-F)"),
    ("Ctrl-A, Ctrl-E", "start or end of the line"),
    ("Ctrl-W, -U, -K", "cut a word, to the start, to the end"),
    ("Ctrl-Y", "put back what was cut"),
    ("Tab", "complete a command"),
    ("Ctrl-L, Ctrl-Z", "draw anew; suspend"),
];

impl State {
    pub(super) fn on_key(&mut self, key: KeyEvent, actions: &mut Vec<Action>) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        self.hint = None;
        let leave_armed = std::mem::take(&mut self.leave_armed);
        let open = self.is_question_open();
        self.last_key_ms = self.now_ms;
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => self.on_ctrl_c(leave_armed, actions),
            KeyCode::Char('d') if control && self.editor.is_empty() => actions.push(Action::Leave),
            KeyCode::Char('l') if control => actions.push(Action::Redraw),
            KeyCode::Char('z') if control => actions.push(Action::Suspend),
            KeyCode::Esc => self.on_esc(actions),
            _ if open && self.on_question_key(key, actions) => {}
            KeyCode::Char(c) if self.takes_offer_key(key) && "ynYN".contains(c) => {
                self.on_offer(c.eq_ignore_ascii_case(&'y'), actions);
            }
            KeyCode::Enter if !key.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::SHIFT) => {
                self.on_enter(actions)
            }
            _ => {
                if !self.on_scroll_key(key) {
                    self.on_edit_key(key);
                }
            }
        }
    }

    pub(super) fn on_paste(&mut self, text: &str) {
        self.hint = None;
        self.leave_armed = false;
        self.last_key_ms = self.now_ms;
        self.insert(text);
    }

    fn insert(&mut self, text: &str) {
        if !self.editor.insert(text) {
            self.hint = Some(format!(
                "that is too long for one input ({}); mount its folder with /mount, or give it to lucid ask",
                count(text.len() as u64, "byte")
            ));
        }
    }

    fn on_ctrl_c(&mut self, leave_armed: bool, actions: &mut Vec<Action>) {
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
        } else if self.overlay.take().is_some() {
            self.overlay_line = 0;
        } else if self.can_cancel() {
            self.cancel(actions);
        } else if self.offer {
            self.offer = false;
        } else if self.take_back_queue() {
            self.hint = Some("taken back from the queue".into());
        }
    }

    fn can_cancel(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| !turn.cancelled)
    }

    /// Ends the turn: the screen is free at once, and the machine is told. What waited behind
    /// the turn comes back to the line, for it may no longer be meant.
    fn cancel(&mut self, actions: &mut Vec<Action>) {
        while !self.questions.is_empty() {
            self.answer(None, actions);
        }
        if let Some(turn) = &mut self.turn {
            turn.cancelled = true;
            turn.calling.clear();
        }
        self.transcript.settle();
        self.note("cancelled");
        self.take_back_queue();
        actions.push(Action::Send(Box::new(Command::Cancel)));
    }

    /// Keys that answer or scroll the shown question; any other goes to the line.
    fn on_question_key(&mut self, key: KeyEvent, actions: &mut Vec<Action>) -> bool {
        let lines = match key.code {
            KeyCode::Char(letter) => {
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

    fn takes_offer_key(&self, key: KeyEvent) -> bool {
        self.offer && self.editor.is_empty() && key.modifiers.difference(KeyModifiers::SHIFT).is_empty()
    }

    /// Answers the question: how long a yes holds; none is a no.
    fn answer(&mut self, extent: Option<Extent>, actions: &mut Vec<Action>) {
        self.overlay_line = 0;
        if let Some(question) = self.questions.pop_front() {
            let verb = if extent.is_some() { "allowed" } else { "refused" };
            let long = match extent {
                Some(Extent::Session) => " for this session",
                Some(Extent::Always) => " from now on",
                _ => "",
            };
            self.note(format!("you {verb} {}{long}", question.call.tool));
            let (id, allow, extent) = (question.id, extent.is_some(), extent.unwrap_or_default());
            actions.push(Action::Send(Box::new(Command::Answer { id, allow, extent })));
        }
    }

    fn on_offer(&mut self, accept: bool, actions: &mut Vec<Action>) {
        self.offer = false;
        self.declined = !accept;
        if accept {
            actions.push(Action::Send(Box::new(Command::Mount { path: self.folder.clone() })));
        } else {
            self.hint = Some("not mounted; /mount DIR does it later".into());
        }
    }

    /// Keys that move the overlay or the transcript; says whether it was one.
    fn on_scroll_key(&mut self, key: KeyEvent) -> bool {
        let all = isize::MAX / 2;
        let page = view::page_lines(self);
        let covered = self.overlay.is_some();
        let ends = covered || self.editor.is_empty() || key.modifiers.contains(KeyModifiers::CONTROL);
        let lines = match key.code {
            KeyCode::PageUp => -page,
            KeyCode::PageDown => page,
            KeyCode::Home if ends => -all,
            KeyCode::End if ends => all,
            KeyCode::Up if covered => -1,
            KeyCode::Down if covered => 1,
            _ => return false,
        };
        self.scroll(lines);
        true
    }

    fn on_edit_key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => self.insert("\n"),
            KeyCode::Char('j') if control => self.insert("\n"),
            KeyCode::Tab => self.complete(),
            KeyCode::Up => self.walk(false),
            KeyCode::Down => self.walk(true),
            KeyCode::Char('p') if control => self.walk(false),
            KeyCode::Char('n') if control => self.walk(true),
            KeyCode::Char('y') if control => {
                self.editor.put_back();
            }
            KeyCode::Backspace if control || alt => self.editor.delete(Motion::WordLeft),
            KeyCode::Backspace => self.editor.delete(Motion::Left),
            KeyCode::Char('h') if control => self.editor.delete(Motion::Left),
            KeyCode::Char('w') if control => self.editor.delete(Motion::WordLeft),
            KeyCode::Delete if control || alt => self.editor.delete(Motion::WordRight),
            KeyCode::Char('d') if alt => self.editor.delete(Motion::WordRight),
            KeyCode::Char('d') if control => self.editor.delete(Motion::Right),
            KeyCode::Delete => self.editor.delete(Motion::Right),
            KeyCode::Char('u') if control => self.editor.delete(Motion::LineStart),
            KeyCode::Char('k') if control => self.editor.delete(Motion::LineEnd),
            _ => match motion(key) {
                Some(motion) => self.editor.go(motion),
                None => {
                    if let KeyCode::Char(c) = key.code
                        && control == alt
                    {
                        // Control with Alt is AltGr on some keyboards: it types.
                        self.insert(c.encode_utf8(&mut [0; 4]));
                    }
                }
            },
        }
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
}

fn motion(key: KeyEvent) -> Option<Motion> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Left if control || alt => Motion::WordLeft,
        KeyCode::Right if control || alt => Motion::WordRight,
        KeyCode::Char('b') if alt => Motion::WordLeft,
        KeyCode::Char('f') if alt => Motion::WordRight,
        KeyCode::Left => Motion::Left,
        KeyCode::Right => Motion::Right,
        KeyCode::Char('b') if control => Motion::Left,
        KeyCode::Char('f') if control => Motion::Right,
        KeyCode::Home => Motion::LineStart,
        KeyCode::End => Motion::LineEnd,
        KeyCode::Char('a') if control => Motion::LineStart,
        KeyCode::Char('e') if control => Motion::LineEnd,
        _ => return None,
    })
}
