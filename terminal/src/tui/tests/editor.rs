//! The editor on its own: undo, replacing, words, and rows against a plain reading of the text.

use std::ops::Range;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::editor::{Editor, MAX_INPUT_BYTES, Motion};
use super::super::text::{graphemes, width_of};

const MOTIONS: [Motion; 6] =
    [Motion::Left, Motion::Right, Motion::WordLeft, Motion::WordRight, Motion::LineStart, Motion::LineEnd];

/// An editor from a text in which `|` is the cursor.
fn editor(marked: &str) -> Editor {
    let mut editor = Editor::default();
    let at = marked.find('|').unwrap();
    editor.set(marked.replacen('|', "", 1));
    editor.go_to(at);
    editor
}

fn marked(editor: &Editor) -> String {
    let mut text = editor.text().to_owned();
    text.insert(editor.cursor(), '|');
    text
}

#[test]
fn undo_goes_by_runs() {
    let mut line = editor("|");
    for c in "one two".chars() {
        line.insert(&c.to_string());
    }
    line.delete(Motion::Left);
    line.delete(Motion::Left);
    line.insert("pasted text");
    line.insert("\n");
    line.go(Motion::Left);
    line.delete(Motion::LineStart);
    let states = ["|\n", "one tpasted text|\n", "one tpasted text|", "one t|", "one two|", "one |", "|"];
    assert_eq!(marked(&line), states[0]);
    // The cursor comes back to where it was before the change.
    for state in &states[1..] {
        assert!(line.undo());
        assert_eq!(marked(&line), *state);
    }
    assert!(!line.undo());
    for state in states[..6].iter().rev() {
        assert!(line.redo());
        assert_eq!(line.text(), state.replace('|', ""));
    }
    assert!(!line.redo());
    // What is new replaces what was undone.
    line.undo();
    line.insert("x");
    assert!(!line.redo());
}

#[test]
fn a_step_holds_all_that_is_done_in_it() {
    let mut line = editor("a| b");
    line.begin_step();
    line.delete(Motion::Left);
    line.insert("one");
    line.go(Motion::LineEnd);
    line.insert(" two");
    line.delete(Motion::Left);
    line.end_step();
    line.insert("x");
    assert_eq!(marked(&line), "one b twx|");
    assert!(line.undo() && line.undo());
    assert_eq!(marked(&line), "a| b");
    assert!(!line.undo());
    assert!(line.redo());
    assert_eq!(marked(&line), "one b tw|");
}

#[test]
fn another_line_has_another_past() {
    for change in [
        (|line| line.set("new")) as fn(&mut Editor),
        |line| line.give_back("back"),
        |line| {
            line.take();
        },
    ] {
        let mut line = editor("|");
        line.insert("typed");
        change(&mut line);
        let text = line.text().to_owned();
        assert!(!line.undo() && !line.redo());
        assert_eq!(line.text(), text);
    }
}

#[test]
fn undo_is_bounded() {
    let mut line = editor("|");
    for _ in 0..300 {
        line.insert("ab");
    }
    assert_eq!(std::iter::from_fn(|| line.undo().then_some(())).count(), 200);
    assert_eq!(line.text().len(), 200);
    // Pastes and cuts of 200 KiB: only as many as 1 MiB holds.
    let mut line = editor("|");
    for _ in 0..10 {
        line.insert(&"x".repeat(200 << 10));
        line.delete(Motion::LineStart);
    }
    assert_eq!(std::iter::from_fn(|| line.undo().then_some(())).count(), 5);
}

#[test]
fn replacing() {
    for (text, range, by, after) in [
        ("see @sr| now", 4..7, "@src/main.rs", "see @src/main.rs| now"),
        ("abc|", 0..1, "", "|bc"),
        ("abc|", 1..1, "\r\nx\x1b", "a\nx|bc"),
        ("e|x", 1..2, "\u{301}", "e\u{301}|"),
    ] {
        let mut line = editor(text);
        assert!(line.replace(range, by));
        assert_eq!(marked(&line), after);
        assert!(line.undo());
        assert_eq!(marked(&line), text);
    }
    let mut line = editor("日|");
    for (range, by) in [(1..3, "x".to_owned()), (0..9, "x".into()), (0..3, "x".repeat(MAX_INPUT_BYTES + 1))] {
        assert!(!line.replace(range, &by));
    }
    assert_eq!(marked(&line), "日|");
}

#[test]
fn words_with_a_sign() {
    for (text, word) in [
        ("@|", Some((0..1, "@"))),
        ("see @src/ma|in", Some((4..11, "@src/ma"))),
        ("a\n@x|", Some((2..4, "@x"))),
        ("@a@b|", Some((0..4, "@a@b"))),
        ("@a @日|", Some((3..7, "@日"))),
        ("a@b|", None),
        ("@a |", None),
        ("|@a", None),
        ("|", None),
    ] {
        assert_eq!(editor(text).word_before('@'), word, "{text}");
    }
}

/// The rows as they are by definition, grapheme by grapheme.
fn slow_rows(text: &str, width: usize) -> Vec<Range<usize>> {
    let mut rows = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (at, grapheme) in graphemes(text) {
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
    rows.push(start..text.len());
    if used >= width {
        rows.push(text.len()..text.len());
    }
    rows
}

#[test]
fn every_character_takes_its_columns() {
    for c in (0..=0x1_ffff).filter_map(char::from_u32) {
        for text in [format!("{c}{c}"), format!("a{c}é"), format!("한{c}\n\u{600}{c}")] {
            let mut line = Editor::default();
            line.set(text.clone());
            for width in [2, 3] {
                assert_eq!(line.rows(width), slow_rows(line.text(), width), "{text:?} {c:?}");
            }
        }
    }
}

#[test]
fn rows_of_a_long_text_are_quick() {
    for text in ["words of a plain text\n", "äöü слово ", "日本語です。", "no line break ", "👩‍👩‍👧 ", "e\u{301}"]
    {
        let mut line = Editor::default();
        line.set(text.repeat(MAX_INPUT_BYTES / text.len()));
        let took = (0..5).map(|_| {
            let start = Instant::now();
            assert!(line.rows(80).len() > 100);
            start.elapsed()
        });
        let best = took.min().unwrap_or_default();
        // Loose, for a build without optimisation on a busy machine.
        assert!(best < Duration::from_millis(200), "{text:?}: {best:?}");
    }
}

/// One thing done to an editor.
#[derive(Debug, Clone)]
enum Step {
    Insert(String),
    Go(usize),
    GoTo(usize),
    Delete(usize),
    PutBack,
    Row(bool, usize),
    Replace(usize, usize, String),
    Begin,
    End,
}

/// Text with much that is joined, wide or invisible.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(
        &[
            "a", "b ", " ", "\n", "日", "e\u{301}", "\u{301}", "\u{200d}", "👩", "🇩", "\u{600}", "한", "\t",
            "ᄀ", "\r",
        ][..],
    );
    prop_oneof![
        4 => prop::collection::vec(odd, 0..6).prop_map(|parts| parts.concat()),
        1 => any::<String>(),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => text().prop_map(Step::Insert),
        4 => prop::sample::select(&["a", " ", "\u{301}", "日"][..]).prop_map(|c| Step::Insert(c.into())),
        3 => (0..6_usize).prop_map(Step::Go),
        1 => (0..60_usize).prop_map(Step::GoTo),
        4 => (0..6_usize).prop_map(Step::Delete),
        1 => Just(Step::PutBack),
        1 => (any::<bool>(), 0..12_usize).prop_map(|(down, width)| Step::Row(down, width)),
        1 => (0..40_usize, 0..9_usize, text()).prop_map(|(at, len, by)| Step::Replace(at, len, by)),
        1 => Just(Step::Begin),
        1 => Just(Step::End),
    ]
}

fn apply(line: &mut Editor, step: &Step) {
    match step {
        Step::Insert(text) => assert!(line.insert(text)),
        Step::Go(motion) => line.go(MOTIONS[*motion]),
        Step::GoTo(at) => line.go_to(*at),
        Step::Delete(motion) => line.delete(MOTIONS[*motion]),
        Step::PutBack => assert!(line.put_back()),
        Step::Row(down, width) => {
            line.go_row(*down, *width);
        }
        Step::Replace(at, len, by) => {
            line.replace(*at..at + len, by);
        }
        Step::Begin => line.begin_step(),
        Step::End => line.end_step(),
    }
}

fn stands_right(line: &Editor) -> bool {
    line.cursor() == line.text().len() || graphemes(line.text()).any(|(at, _)| at == line.cursor())
}

proptest! {
    #[test]
    fn all_can_be_undone_and_done_again(first in text(), steps in prop::collection::vec(step(), 0..60)) {
        let mut line = Editor::default();
        line.set(first);
        let first = line.text().to_owned();
        for step in &steps {
            apply(&mut line, step);
            prop_assert!(stands_right(&line), "{:?} at {}", line.text(), line.cursor());
        }
        let last = line.text().to_owned();
        let mut states = vec![last.clone()];
        while line.undo() {
            prop_assert!(stands_right(&line));
            states.push(line.text().to_owned());
        }
        prop_assert_eq!(line.text(), first);
        while line.redo() {
            states.pop();
            prop_assert_eq!(Some(line.text()), states.last().map(String::as_str));
            prop_assert!(stands_right(&line));
        }
        prop_assert_eq!(line.text(), last);
    }

    #[test]
    fn rows_are_as_defined(text in text(), more in text(), width in 0..9_usize) {
        let mut line = Editor::default();
        line.set(text + &more);
        prop_assert_eq!(line.rows(width), slow_rows(line.text(), width.max(2)));
    }
}
