//! Vi's commands that change the line, type, undo and repeat.

use std::ops::Range;

use super::editor::{Editor, MAX_INPUT_BYTES};
use super::text::graphemes;
use super::vi::{Change, Mode, Operator, Register, Typing, Vi, ViOutcome, Wait};
use super::vi_motion::{back, first_of_line, forward, line, next, previous};

impl Vi {
    pub(super) fn normal_key(&mut self, editor: &mut Editor, letter: char, count: usize) -> ViOutcome {
        let (text, at) = (editor.text(), editor.cursor());
        let line = line(text, at);
        let (delete, change) = (Operator::Delete, Operator::Change);
        match letter {
            'x' => self.operate(editor, delete, at..forward(text, at, count, line.end), false, None),
            'X' => self.operate(editor, delete, back(text, at, count, line.start)..at, false, None),
            's' => self.operate(editor, change, at..forward(text, at, count, line.end), false, None),
            'D' => self.operate(editor, delete, at..line.end, false, None),
            'C' => self.operate(editor, change, at..line.end, false, None),
            'S' => self.whole_lines(editor, change),
            'r' => self.wait(Wait::Replace),
            '~' => self.toggle(editor, count),
            'p' | 'P' => self.put(editor, letter == 'p', count),
            'u' => self.undo(editor, Editor::undo),
            '.' => self.repeat(editor),
            'v' => {
                self.clear();
                self.anchor = at;
                self.mode = Mode::Visual;
                ViOutcome::Used
            }
            'i' | 'a' | 'I' | 'A' | 'o' | 'O' => self.type_at(editor, letter),
            // The shell's own commands begin so.
            '/' if text.is_empty() => {
                self.type_at(editor, 'i');
                editor.insert("/");
                ViOutcome::Used
            }
            _ => self.clear(),
        }
    }

    pub(super) fn visual_key(&mut self, editor: &mut Editor, letter: char) -> ViOutcome {
        let operator = match letter {
            'd' | 'x' => Operator::Delete,
            'c' | 's' => Operator::Change,
            'y' => Operator::Yank,
            'v' => return self.escape(),
            _ => return self.clear(),
        };
        let Some(range) = self.selection(editor) else { return self.clear() };
        let span = graphemes(&editor.text()[range.clone()]).count();
        self.mode = Mode::Normal;
        self.keys = vec![letter];
        self.operate(editor, operator, range, false, Some(span))
    }

    /// Does what an operator does with a range; of lines, it is without the last line's end.
    pub(super) fn operate(
        &mut self,
        editor: &mut Editor,
        operator: Operator,
        range: Range<usize>,
        lines: bool,
        span: Option<usize>,
    ) -> ViOutcome {
        let text = editor.text();
        if range.is_empty() && operator != Operator::Change && (!lines || text.is_empty()) {
            return self.clear();
        }
        if !range.is_empty() || lines {
            self.register = Register { text: text[range.clone()].to_owned(), lines };
        }
        match operator {
            Operator::Yank => {
                // Yanking its own line leaves the cursor alone.
                if !lines || range.start < line(text, editor.cursor()).start {
                    editor.go_to(range.start);
                }
                self.settle(editor);
            }
            Operator::Delete => {
                self.last = Some(self.change(span));
                delete(editor, range, lines);
                self.settle(editor);
            }
            Operator::Change => {
                let change = self.change(span);
                editor.begin_step();
                editor.replace(range, "");
                self.begin_typing(editor, change);
            }
        }
        self.clear()
    }

    /// The command at hand, to be repeated.
    fn change(&self, span: Option<usize>) -> Change {
        let count = self.count().unwrap_or(0);
        Change { keys: self.keys.clone(), count, span, typed: String::new() }
    }

    pub(super) fn replace(&mut self, editor: &mut Editor, letter: char, count: usize) -> ViOutcome {
        let (text, at) = (editor.text(), editor.cursor());
        let end = forward(text, at, count, line(text, at).end);
        // Too few graphemes are not replaced at all.
        if graphemes(&text[at..end]).count() == count {
            self.last = Some(self.change(None));
            if editor.replace(at..end, &letter.to_string().repeat(count)) {
                let last = previous(editor.text(), editor.cursor());
                editor.go_to(last);
            }
            self.settle(editor);
        }
        self.clear()
    }

    fn toggle(&mut self, editor: &mut Editor, count: usize) -> ViOutcome {
        let (text, at) = (editor.text(), editor.cursor());
        let range = at..forward(text, at, count, line(text, at).end);
        let mut toggled = String::new();
        for c in text[range.clone()].chars() {
            if c.is_lowercase() {
                toggled.extend(c.to_uppercase());
            } else {
                toggled.extend(c.to_lowercase());
            }
        }
        if !range.is_empty() {
            self.last = Some(self.change(None));
            editor.replace(range, &toggled);
            self.settle(editor);
        }
        self.clear()
    }

    fn put(&mut self, editor: &mut Editor, behind: bool, count: usize) -> ViOutcome {
        let Register { text: put, lines } = &self.register;
        if (put.is_empty() && !lines) || put.len().saturating_mul(count) > MAX_INPUT_BYTES {
            return self.clear();
        }
        let (text, at) = (editor.text(), editor.cursor());
        let line = line(text, at);
        let (to, put) = match (lines, behind) {
            (true, true) => (line.end, format!("\n{put}").repeat(count)),
            (true, false) => (line.start, format!("{put}\n").repeat(count)),
            (false, true) if at < line.end => (next(text, at), put.repeat(count)),
            (false, _) => (at, put.repeat(count)),
        };
        let lines = *lines;
        self.last = Some(self.change(None));
        if editor.replace(to..to, &put) {
            let (text, end) = (editor.text(), editor.cursor());
            let cursor = match (lines, behind) {
                (true, true) => first_of_line(text, to + 1),
                (true, false) => first_of_line(text, to),
                (false, _) if put.contains('\n') => to,
                (false, _) => previous(text, end),
            };
            editor.go_to(cursor);
        }
        self.settle(editor);
        self.clear()
    }

    pub(super) fn undo(&mut self, editor: &mut Editor, go: fn(&mut Editor) -> bool) -> ViOutcome {
        if self.mode == Mode::Normal {
            for _ in 0..self.count().unwrap_or(1) {
                if !go(editor) {
                    break;
                }
            }
            self.settle(editor);
        }
        self.clear()
    }

    /// Does the last change again: its keys, with another count if one is given, and its text.
    fn repeat(&mut self, editor: &mut Editor) -> ViOutcome {
        let given = self.count();
        self.clear();
        let Some(last) = self.last.clone() else { return ViOutcome::Used };
        match last.span {
            Some(span) => {
                let to = forward(editor.text(), editor.cursor(), span, editor.text().len());
                self.anchor = editor.cursor();
                let end = previous(editor.text(), to).max(self.anchor);
                editor.go_to(end);
                self.mode = Mode::Visual;
                self.visual_key(editor, last.keys.first().copied().unwrap_or('v'));
            }
            None => {
                self.pending.count = given.unwrap_or(last.count);
                for letter in last.keys {
                    self.letter_key(editor, letter);
                }
            }
        }
        if self.mode == Mode::Insert {
            editor.insert(&last.typed);
            self.end_typing(editor);
        }
        self.clear()
    }

    fn type_at(&mut self, editor: &mut Editor, letter: char) -> ViOutcome {
        let change = self.change(None);
        let (text, at) = (editor.text(), editor.cursor());
        let (line, first, behind) = (line(text, at), first_of_line(text, at), next(text, at));
        editor.begin_step();
        match letter {
            'a' if at < line.end => editor.go_to(behind),
            'I' => editor.go_to(first),
            'A' => editor.go_to(line.end),
            'o' => {
                editor.replace(line.end..line.end, "\n");
            }
            'O' => {
                editor.replace(line.start..line.start, "\n");
                editor.go_to(line.start);
            }
            _ => {}
        }
        self.begin_typing(editor, change);
        self.clear()
    }

    fn begin_typing(&mut self, editor: &mut Editor, change: Change) {
        editor.begin_step();
        let (at, len) = (editor.cursor(), editor.text().len());
        self.typing = Some(Typing { change, start: at, rest: len - at, seen: (at, len) });
        self.mode = Mode::Insert;
    }

    /// Sees what the shell did with the keys so far: what is typed elsewhere, or in another
    /// line, is another text.
    pub(super) fn follow_typing(&mut self, editor: &mut Editor) {
        let now = (editor.cursor(), editor.text().len());
        match &mut self.typing {
            Some(typing) if editor.is_in_step() && (now.1 != typing.seen.1 || now.0 == typing.seen.0) => {
                typing.seen = now;
            }
            _ => {
                let change = Change { keys: vec!['i'], count: 0, span: None, typed: String::new() };
                self.begin_typing(editor, change);
            }
        }
    }

    pub(super) fn end_typing(&mut self, editor: &mut Editor) {
        self.follow_typing(editor);
        if let Some(Typing { mut change, start, rest, .. }) = self.typing.take() {
            let text = editor.text();
            let end = text.len().checked_sub(rest);
            let typed = end.and_then(|end| text.get(start..end)).unwrap_or_default().to_owned();
            self.type_more(editor, &change, &typed);
            change.typed = typed;
            // To go in and out of typing is no change.
            if change.keys != ['i'] || !change.typed.is_empty() {
                self.last = Some(change);
            }
        }
        editor.end_step();
        self.mode = Mode::Normal;
        self.clear();
        let (text, at) = (editor.text(), editor.cursor());
        let left = if at > line(text, at).start { previous(text, at) } else { at };
        editor.go_to(left);
    }

    /// A count before `i`, `o` and the like types the text so many times.
    fn type_more(&mut self, editor: &mut Editor, change: &Change, typed: &str) {
        let more = change.count.saturating_sub(1);
        let Some(letter) = change.keys.first().filter(|letter| "iaIAoO".contains(**letter)) else { return };
        let typed = if "oO".contains(*letter) { format!("\n{typed}") } else { typed.to_owned() };
        if more > 0 && typed.len().saturating_mul(more) <= MAX_INPUT_BYTES {
            editor.insert(&typed.repeat(more));
        }
    }
}

fn delete(editor: &mut Editor, range: Range<usize>, lines: bool) {
    if !lines {
        editor.replace(range, "");
        return;
    }
    // With one line end: the one behind or, of the last line, the one before.
    let range = match editor.text()[range.end..].is_empty() {
        false => range.start..range.end + 1,
        true => range.start.saturating_sub(1)..range.end,
    };
    editor.replace(range, "");
    let first = first_of_line(editor.text(), editor.cursor());
    editor.go_to(first);
}
