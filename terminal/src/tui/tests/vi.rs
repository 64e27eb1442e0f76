//! Vi's keys: tables of texts, keys and texts, and any keys on any text.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use proptest::prelude::*;

use super::super::editor::{Editor, MAX_INPUT_BYTES, Motion};
use super::super::keymap::{Command, Keymap, typed};
use super::super::text::graphemes;
use super::super::vi::{Mode, Vi, ViOutcome};

/// A line as the shell would have it.
struct Stage {
    vi: Vi,
    editor: Editor,
    keymap: Keymap,
    /// Commands that are not about the text.
    asked: Vec<Command>,
}

impl Stage {
    /// From a text in which `|` is the cursor.
    fn new(marked: &str, mode: Mode) -> Self {
        let mut stage = Self {
            vi: Vi::default(),
            editor: Editor::default(),
            keymap: Keymap::default(),
            asked: Vec::new(),
        };
        if mode == Mode::Normal {
            stage.keys("<Esc>");
        }
        let at = marked.find('|').unwrap();
        stage.editor.set(marked.replacen('|', "", 1));
        stage.editor.go_to(at);
        stage
    }

    /// Keys as letters; `<Esc>`, `<C-r>` and the like are one.
    fn keys(&mut self, mut keys: &str) -> &mut Self {
        while let Some(c) = keys.chars().next() {
            let name = keys.strip_prefix('<').and_then(|rest| rest.split_once('>'));
            let (event, rest) = match name {
                Some((name, rest)) => (named(name), rest),
                None => (KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), &keys[c.len_utf8()..]),
            };
            keys = rest;
            self.press(event);
        }
        self
    }

    fn press(&mut self, key: KeyEvent) -> ViOutcome {
        let outcome = self.vi.key(&mut self.editor, key);
        let command = match outcome {
            ViOutcome::Used => return outcome,
            ViOutcome::NotMine => self.keymap.command(&key, self.editor.is_empty()),
            ViOutcome::Do(command) => Some(command),
        };
        let editor = &mut self.editor;
        match command {
            Some(Command::Left) => editor.go(Motion::Left),
            Some(Command::Right) => editor.go(Motion::Right),
            Some(Command::LineEnd) => editor.go(Motion::LineEnd),
            Some(Command::DeleteLeft) => editor.delete(Motion::Left),
            Some(Command::DeleteWordLeft) => editor.delete(Motion::WordLeft),
            Some(Command::Newline) => assert!(editor.insert("\n")),
            Some(Command::Undo) => assert!(editor.undo() || editor.text().len() < 99),
            Some(Command::Send) => {
                editor.take();
                self.vi.reset();
                self.asked.push(Command::Send);
            }
            Some(command) => self.asked.push(command),
            None => {
                if let Some(c) = typed(&key) {
                    editor.insert(&c.to_string());
                }
            }
        }
        self.vi.settle(&mut self.editor);
        outcome
    }

    fn marked(&self) -> String {
        let mut text = self.editor.text().to_owned();
        text.insert(self.editor.cursor(), '|');
        text
    }
}

fn named(name: &str) -> KeyEvent {
    if let Some(letter) = name.strip_prefix("C-") {
        return KeyEvent::new(KeyCode::Char(letter.chars().next().unwrap()), KeyModifiers::CONTROL);
    }
    let code = match name {
        "Esc" => KeyCode::Esc,
        "Enter" => KeyCode::Enter,
        "BS" => KeyCode::Backspace,
        "Del" => KeyCode::Delete,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Up" => KeyCode::Up,
        "PgUp" => KeyCode::PageUp,
        "lt" => KeyCode::Char('<'),
        _ => panic!("no key {name}"),
    };
    KeyEvent::new(code, KeyModifiers::NONE)
}

/// What keys in Normal make of a text.
fn check(table: &[(&str, &str, &str)]) {
    for (text, keys, after) in table {
        let mut stage = Stage::new(text, Mode::Normal);
        stage.keys(keys);
        assert_eq!(stage.marked(), *after, "{text:?} {keys}");
        while stage.editor.undo() {}
        assert_eq!(stage.editor.text(), text.replacen('|', "", 1), "{text:?} {keys}, undone");
    }
}

#[test]
fn motions() {
    check(&[
        ("one| two", "h", "on|e two"),
        ("|one", "h", "|one"),
        ("on|e", "l", "on|e"),
        ("|one two", "3l", "one| two"),
        ("a\n|b", "h", "a\n|b"),
        ("|one two-three  four", "w", "one |two-three  four"),
        ("|one two-three  four", "3w", "one two-|three  four"),
        ("|one two-three  four", "2W", "one two-three  |four"),
        ("on|e", "w", "on|e"),
        ("o|ne", "w", "on|e"),
        ("|a\n\n  b", "w", "a\n|\n  b"),
        ("|a\n\n  b", "ww", "a\n\n  |b"),
        ("one two-th|ree", "b", "one two-|three"),
        ("one two-|three", "2b", "one |two-three"),
        ("one two-|three", "B", "one |two-three"),
        ("a\n\n|b", "b", "a\n|\nb"),
        ("|one two-three", "e", "on|e two-three"),
        ("on|e two-three", "e", "one tw|o-three"),
        ("on|e two-three", "E", "one two-thre|e"),
        ("one tw|o ", "e", "one tw|o "),
        ("|one two three", "9e", "one two thre|e"),
        ("  one t|wo", "0", "|  one two"),
        ("  one t|wo", "^", "  |one two"),
        ("  | ", "^", "  | "),
        ("|one\ntwo", "$", "on|e\ntwo"),
        ("|one\ntwo", "2$", "one\ntw|o"),
        ("|a.b.c.d", "f.", "a|.b.c.d"),
        ("|a.b.c.d", "2f.", "a.b|.c.d"),
        ("|a.b.c.d", "t.", "|a.b.c.d"),
        ("|ab.c.d", "t.;", "ab.|c.d"),
        ("|a.b.c.d", "f.;;", "a.b.c|.d"),
        ("|a.b.c.d", "f.;,", "a|.b.c.d"),
        ("a.b.c.|d", "F.", "a.b.c|.d"),
        ("a.b.c.|d", "T.", "a.b.c.|d"),
        ("a.b.c.|d", "T.;", "a.b.|c.d"),
        ("|a.b", "fx", "|a.b"),
        ("|a\n.", "f.", "|a\n."),
        ("a|b\n  cd\nef", "G", "ab\n  cd\n|ef"),
        ("a|b\n  cd\nef", "2G", "ab\n  |cd\nef"),
        ("ab\ncd\ne|f", "gg", "|ab\ncd\nef"),
        ("a|b\ncd\nef", "2gg", "ab\n|cd\nef"),
        ("a|b\ncd\nef", "j", "ab\nc|d\nef"),
        ("a|b\ncd\nef", "2j", "ab\ncd\ne|f"),
        ("ab\ncd\ne|f", "9k", "a|b\ncd\nef"),
        ("abc|d\ne\nfghi", "j", "abcd\n|e\nfghi"),
        ("|日本e\u{301}x", "ll", "日本|e\u{301}x"),
        ("日本e\u{301}|x", "h", "日本|e\u{301}x"),
        ("|日本 語", "e", "日|本 語"),
        ("|abc", "l<BS>", "|abc"),
        ("|abc", "<Right>", "a|bc"),
        ("ab|c", "<Right>", "ab|c"),
        ("|abc", "gx2l", "ab|c"),
    ]);
}

#[test]
fn changes() {
    check(&[
        ("a|bc", "x", "a|c"),
        ("ab|c", "x", "a|b"),
        ("|abc", "2x", "|c"),
        ("|abc", "9x", "|"),
        ("|", "x", "|"),
        ("a|e\u{301}b", "x", "a|b"),
        ("ab|c", "X", "a|c"),
        ("ab|c", "9X", "|c"),
        ("a|bc", "<Del>", "a|c"),
        ("a|bc", "rx", "a|xc"),
        ("a|bc", "2rx", "ax|x"),
        ("a|bc", "3rx", "a|bc"),
        ("a|bc", "r<Esc>x", "a|c"),
        ("a|bc", "r<Enter>", "a|bc"),
        ("a|日c", "re", "a|ec"),
        ("a|bc", "sxy<Esc>", "ax|yc"),
        ("|abc", "2sx<Esc>", "|xc"),
        ("o|ne\ntwo", "Sx<Esc>", "|x\ntwo"),
        ("o|ne\ntwo", "D", "|o\ntwo"),
        ("o|ne\ntwo", "Cx<Esc>", "o|x\ntwo"),
        ("|aBc d", "3~", "AbC| d"),
        ("a|ß", "~", "aS|S"),
        ("o|ne\ntwo\nthree", "dd", "|two\nthree"),
        ("one\n  t|wo", "dd", "|one"),
        ("o|ne\n  two\nthree", "2dd", "|three"),
        ("o|ne", "dd", "|"),
        ("|", "dd", "|"),
        ("one\nt|wo\nthree", "ccx<Esc>", "one\n|x\nthree"),
        ("o|ne\ntwo\nthree", "dj", "|three"),
        ("o|ne\ntwo", "dk", "o|ne\ntwo"),
        ("one\ntw|o", "dj", "one\ntw|o"),
        ("one\ntw|o\nthree", "dG", "|one"),
        ("one\ntw|o\nthree", "dgg", "|three"),
        ("|one two", "dw", "|two"),
        ("one |two", "dw", "one| "),
        ("|one\ntwo", "dw", "|\ntwo"),
        ("|one two three", "2dw", "|three"),
        ("|one two three four five", "2d2w", "|five"),
        ("one| two", "dw", "one|two"),
        ("|one two", "cwx<Esc>", "|x two"),
        ("|a b", "cwx<Esc>", "|x b"),
        ("|one two three", "c2wx<Esc>", "|x three"),
        ("one|  two", "cwx<Esc>", "one|xtwo"),
        ("|one two", "de", "| two"),
        ("one tw|o", "db", "one |o"),
        ("one tw|o", "d0", "|o"),
        ("o|ne two", "d$", "|o"),
        ("o|ne two", "dfe", "o| two"),
        ("o|ne two", "dt ", "o| two"),
        ("one tw|o", "dFn", "o|o"),
        ("one tw|o", "dTn", "on|o"),
        ("o|ne", "dfx", "o|ne"),
        ("a.b.|c", "d2F.", "a|c"),
        ("one t|wo three", "diw", "one | three"),
        ("one t|wo three", "daw", "one |three"),
        ("one t|wo", "daw", "on|e"),
        ("one|  two", "diw", "one|two"),
        ("one|  two", "daw", "on|e"),
        ("one two-t|hree four", "daW", "one |four"),
        ("one t|wo three four", "d2aw", "one |four"),
        ("one t|wo three", "ciwx<Esc>", "one |x three"),
        ("a\n|\nb", "diw", "a\n|\nb"),
        ("a\n|\nb", "ciwx<Esc>", "a\n|x\nb"),
        ("one t|wo", "d<Esc>x", "one t|o"),
        ("one t|wo", "dq", "one t|wo"),
        ("one t|wo", "dyx", "one t|o"),
        ("one t|wo", "d<Enter>", "one t|wo"),
        ("one t|wo", "dr", "one t|wo"),
    ]);
}

#[test]
fn typing() {
    check(&[
        ("a|bc", "ix<Esc>", "a|xbc"),
        ("a|bc", "ax<Esc>", "ab|xc"),
        ("|", "ax<Esc>", "|x"),
        ("  a|b", "Ix<Esc>", "  |xab"),
        ("a|b\nc", "Ax<Esc>", "ab|x\nc"),
        ("a|b\nc", "ox<Esc>", "ab\n|x\nc"),
        ("a|b\nc", "Ox<Esc>", "|x\nab\nc"),
        ("a|b", "3ixy<Esc>", "axyxyx|yb"),
        ("a|b", "2ox<Esc>", "ab\nx\n|x"),
        ("a|b", "i<Esc>", "|ab"),
        ("|ab", "i<Esc>", "|ab"),
        ("a|b", "ae\u{301}<Esc>", "ab|e\u{301}"),
        ("|", "/help", "/help|"),
        ("a|b", "/x", "|a"),
        ("a|b", "ixyz<BS><C-w>q<Esc>", "|qb"),
    ]);
    // All that was typed is one step.
    for (keys, after) in [("", "one two x|y"), ("u", "on|e"), ("uu", "on|e"), ("u<C-r>", "one two x|y")] {
        let mut stage = Stage::new("o|ne", Mode::Normal);
        stage.keys("A two<BS><BS>wo xy<Esc>").keys(keys);
        assert_eq!(stage.marked(), after, "{keys}");
    }
}

#[test]
fn registers_undo_and_repeat() {
    check(&[
        ("|one two", "dwP", "one| two"),
        ("|one two", "dwp", "tone| wo"),
        ("|one two", "ywP", "one| one two"),
        ("|ab", "xp", "b|a"),
        ("|ab", "yl3p", "aaa|ab"),
        ("o|ne\ntwo", "yyp", "one\n|one\ntwo"),
        ("one\nt|wo", "yyP", "one\n|two\ntwo"),
        ("  o|ne\ntwo", "ddp", "two\n  |one"),
        ("o|ne\ntwo\nthree", "2yyGp", "one\ntwo\nthree\n|one\ntwo"),
        ("one t|wo", "yiwP", "one tw|otwo"),
        ("one t|wo", "y0P", "one |tone two"),
        ("a|b", "p", "a|b"),
        ("|abc", "xu", "|abc"),
        ("|abc", "xxuu", "|abc"),
        ("|abc", "xxx3u", "|abc"),
        ("|abc", "xxu<C-r>", "|c"),
        ("|abc", "xx2u2<C-r>", "|c"),
        ("|abcdef", "x.", "|cdef"),
        ("|abcdef", "2x.", "|ef"),
        ("|abcdef", "x3.", "|ef"),
        ("|one two three", "dw.", "|three"),
        ("|one two three", "cwx<Esc>w.", "x |x three"),
        ("|a b", "ixy<Esc>.", "xx|yya b"),
        ("|a\nb", "Ax<Esc>j.", "ax\nb|x"),
        ("|a", "ox<Esc>.", "a\nx\n|x"),
        ("|abcd", "rxl.", "x|xcd"),
        ("|abcd", "~.", "AB|cd"),
        ("|a.b.c", "df..", "|c"),
        ("one\n|two\nthree\nfour", "dd.", "one\n|four"),
        ("|ab cd", "xp.", "ba|a cd"),
        ("|abc", "i1<Esc>ll2.", "1a1|1bc"),
        ("|abc", "ix<Left>y<Esc>", "|yxabc"),
        ("|abc", "ix<C-e>y<Esc>0.", "|yxabcy"),
        ("|abc", "x.u.", "|c"),
        ("|abc", "i<Esc>.", "|abc"),
        ("|abc", ".", "|abc"),
    ]);
}

#[test]
fn selections() {
    check(&[
        ("o|ne two", "vd", "o|e two"),
        ("|one two", "ved", "| two"),
        ("|one two", "vex", "| two"),
        ("one t|wo", "vbd", "one |o"),
        ("|one two", "vecx<Esc>", "|x two"),
        ("|one two", "vey$p", "one twoon|e"),
        ("|one\ntwo", "vjd", "|wo"),
        ("one t|wo three", "viwd", "one | three"),
        ("one t|wo three", "vawd", "one |three"),
        ("o|ne", "v<Esc>x", "o|e"),
        ("o|ne", "vvx", "o|e"),
        ("|one two", "vf d", "|two"),
        ("|abcdef", "vld.", "|ef"),
        ("|abcdef", "vlcx<Esc>l.", "x|xef"),
        ("a\n|\nb", "vd", "a\n|b"),
        ("|", "vd", "|"),
        ("|abc", "v<Right>d", "|c"),
        ("|abc", "v<C-r>uid", "|abc"),
    ]);
    let mut stage = Stage::new("o|ne two", Mode::Normal);
    assert_eq!((stage.vi.label(), stage.vi.selection(&stage.editor)), (Some("NORMAL"), None));
    stage.keys("ve");
    assert_eq!((stage.vi.label(), stage.vi.selection(&stage.editor)), (Some("VISUAL"), Some(1..3)));
    stage.keys("0");
    assert_eq!(stage.vi.selection(&stage.editor), Some(0..2));
    // Whatever became of the text.
    stage.editor.set("日");
    assert_eq!(stage.vi.selection(&stage.editor), Some(0..3));
    stage.keys("cx");
    assert_eq!((stage.vi.label(), stage.vi.selection(&stage.editor)), (None, None));
}

#[test]
fn what_is_left_to_the_shell() {
    for (text, keys, asked) in [
        ("a|b", "j", vec![Command::Newer]),
        ("a|b", "k", vec![Command::Older]),
        ("a\n|b", "kk", vec![Command::Older]),
        ("|a\nb", "jj", vec![Command::Newer]),
        ("a|b", "vjk", vec![]),
        ("a|b", "<Up>", vec![Command::Older]),
        ("a|b", "<Esc>", vec![Command::Cancel]),
        ("a|b", "d<Esc>2<Esc>f<Esc>", vec![]),
        ("a|b", "<Enter>", vec![Command::Send]),
        ("a|b", "d<Enter>", vec![]),
        ("a|b", "<C-l><PgUp><C-c>", vec![Command::Redraw, Command::ScrollUp, Command::Interrupt]),
        ("a|b", "<C-r>", vec![]),
        ("a|b", "i<C-r>", vec![Command::SearchHistory]),
        ("a|b", "iz<Esc>", vec![]),
        ("a|b", "zZqQ:?<lt>日", vec![]),
    ] {
        let mut stage = Stage::new(text, Mode::Normal);
        stage.keys(keys);
        assert_eq!(stage.asked, asked, "{text} {keys}");
    }
    // By rows of the screen.
    let mut stage = Stage::new("abcd|efgh", Mode::Normal);
    stage.vi.set_width(4);
    stage.keys("k");
    assert_eq!((stage.marked().as_str(), stage.asked.len()), ("|abcdefgh", 0));
    // After a line was sent, the next is typed.
    let mut stage = Stage::new("a|b", Mode::Normal);
    stage.keys("v<Enter>xy");
    assert_eq!((stage.marked().as_str(), stage.vi.mode()), ("xy|", Mode::Insert));
    stage.keys("<Esc>.");
    assert_eq!(stage.marked(), "xx|yy");
    // A key that is let go does nothing.
    let release = KeyEvent::new_with_kind(KeyCode::Char('x'), KeyModifiers::NONE, KeyEventKind::Release);
    assert_eq!(stage.press(release), ViOutcome::NotMine);
    assert_eq!(stage.marked(), "xx|yy");
}

#[test]
fn counts_are_bounded() {
    let mut stage = Stage::new("|", Mode::Normal);
    stage.keys("99999999999999999999999ixyz<Esc>");
    assert_eq!(stage.editor.text().len(), 3 * 9_999);
    stage.keys("0y$9999p9999999.");
    assert!(stage.editor.text().len() <= MAX_INPUT_BYTES);
    stage.keys("9999w9999b9999e9999j9999kG9999dd99999u");
    assert_eq!(stage.editor.text(), "");
}

/// Keys that mean something, and some that do not.
fn any_keys() -> impl Strategy<Value = Vec<String>> {
    let letters = "hljkwbeWBE0^$fFtT;,gGxXrsSDCdcypPuiaIAoOv~./123qa b-\u{301}日";
    let letters: Vec<String> = letters.chars().map(String::from).collect();
    let named = [
        "<Esc>", "<Esc>", "<C-r>", "<Enter>", "<BS>", "<Left>", "<Right>", "<Up>", "<C-w>", "<C-j>", "<C-e>",
        "<C-7>",
    ];
    let named: Vec<String> = named.map(String::from).to_vec();
    let key = prop_oneof![
        6 => prop::sample::select(letters),
        2 => prop::sample::select(named),
    ];
    prop::collection::vec(key, 0..60)
}

fn any_text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(
        &[
            "a", "b ", " ", "\n", "日", "e\u{301}", "\u{301}", "\u{200d}", "👩", "🇩", "\u{600}", "한", "\t",
            "-", ".",
        ][..],
    );
    prop_oneof![
        4 => prop::collection::vec(odd, 0..20).prop_map(|parts| parts.concat()),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_keys_on_any_text(text in any_text(), at in 0..40_usize, keys in any_keys(), width in 0..9_usize) {
        let mut stage = Stage::new("|", Mode::Normal);
        stage.editor.set(text);
        stage.editor.go_to(at);
        stage.vi.settle(&mut stage.editor);
        stage.vi.set_width(width);
        for key in &keys {
            stage.keys(key);
            let (text, at) = (stage.editor.text(), stage.editor.cursor());
            prop_assert!(at == text.len() || graphemes(text).any(|(start, _)| start == at), "{text:?} at {at}");
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let behind = at > line && text[at..].chars().next().is_none_or(|c| c == '\n');
            prop_assert!(stage.vi.mode() == Mode::Insert || !behind, "{text:?} at {at}");
            if let Some(range) = stage.vi.selection(&stage.editor) {
                prop_assert!(text.get(range).is_some());
            }
        }
    }

    #[test]
    fn all_that_vi_does_can_be_undone(text in any_text(), at in 0..40_usize, keys in any_keys()) {
        let mut stage = Stage::new("|", Mode::Normal);
        stage.editor.set(text);
        stage.editor.go_to(at);
        let first = stage.editor.text().to_owned();
        for key in keys.iter().filter(|key| *key != "<Enter>") {
            stage.keys(key);
        }
        let last = stage.editor.clone();
        while stage.editor.undo() {}
        // So few keys make fewer steps than are kept.
        prop_assert_eq!(stage.editor.text(), first);
        let mut again = last.clone();
        let mut steps = 0;
        while again.undo() {
            steps += 1;
        }
        for _ in 0..steps {
            prop_assert!(again.redo());
        }
        prop_assert_eq!(again.text(), last.text());
    }
}
