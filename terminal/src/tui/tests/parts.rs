//! The parts on their own: text, Markdown, history, transcript.

use ratatui::text::{Line, Span};

use super::super::history::{HistoryFile, MAX_ENTRIES};
use super::super::manual::{COMMANDS, Manual};
use super::super::slash;
use super::super::text::{clean, columns, duration, fit, pad, pad_left, seconds, thousands, wrap};
use super::super::transcript::{Item, MAX_ITEMS, Scroll, Transcript};
use super::*;

fn plain(lines: &[Line<'_>]) -> Vec<String> {
    lines.iter().map(ToString::to_string).collect()
}

#[test]
fn wrapping() {
    for (text, width, lines) in [
        ("", 5, vec![""]),
        ("a b c", 5, vec!["a b c"]),
        ("one two three", 7, vec!["one two", "three"]),
        ("one two three", 8, vec!["one two", "three"]),
        ("abcdefgh", 3, vec!["abc", "def", "gh"]),
        ("a\n\nb", 5, vec!["a", "", "b"]),
        ("日本語です", 5, vec!["日本", "語で", "す"]),
        ("ab日本", 3, vec!["ab", "日", "本"]),
        ("日本", 1, vec!["日", "本"]),
        ("e\u{301}e\u{301}e\u{301}", 2, vec!["e\u{301}e\u{301}", "e\u{301}"]),
    ] {
        let none = Span::raw("");
        assert_eq!(plain(&wrap(&[Span::raw(text)], width, &none, &none)), lines, "{text:?} at {width}");
    }
    let hang = wrap(&[Span::raw("one two three")], 10, &Span::raw("> "), &Span::raw("  "));
    assert_eq!(plain(&hang), ["> one two", "  three"]);
}

#[test]
fn fitting() {
    for (text, width, fitted) in [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abcd", 1, "…"),
        ("abcd", 0, ""),
        ("日本語", 4, "日…"),
        ("a\nb\tc", 9, "a b    c"),
        ("\x1b[m", 9, "␛[m"),
    ] {
        assert_eq!(fit(text, width), fitted);
        assert!(columns(&fit(text, width)) <= width);
        assert_eq!((columns(&pad(text, width)), columns(&pad_left(text, width))), (width, width));
    }
}

#[test]
fn numbers() {
    assert_eq!(
        ["0", "999", "1,000", "1,234,567"],
        [0_u64, 999, 1_000, 1_234_567].map(thousands).each_ref().map(String::as_str)
    );
    assert_eq!(
        (duration(312), duration(12_345), duration(1_234_567)),
        ("0.3 ms".into(), "12.3 ms".into(), "1.2 s".into())
    );
    assert_eq!((seconds(950), seconds(61_000)), ("0.9 s".into(), "1 min 01 s".into()));
}

#[test]
fn cleaning_leaves_harmless_text_alone() {
    for text in ["plain", "a\nb", "日本 e\u{301} 👩‍👩‍👧", "«quotes» – dash"] {
        assert!(matches!(clean(text), std::borrow::Cow::Borrowed(_)), "{text}");
    }
    assert_eq!(clean("a\r\nb\rc\u{2028}d"), "a\nb␍c\nd");
}

#[test]
fn completion_covers_every_command() {
    for Manual { name, short, long, example, .. } in COMMANDS {
        let (line, names) = slash::complete(name).unwrap();
        assert!(line.starts_with(name) && names.contains(&name));
        // What stands there as an example can be typed.
        assert!(example.starts_with(name) && slash::parse(example).unwrap().is_ok(), "{name}");
        assert!(!short.is_empty() && long.ends_with('.'), "{name}");
    }
}

#[test]
fn the_book_says_what_the_help_says() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let book = words(include_str!("../../../../docs/src/commands.md"));
    for Manual { name, argument, long, example, .. } in COMMANDS {
        let heading = words(&format!("## `{name} {argument}")).trim_end().to_owned() + "`";
        assert!(book.contains(&heading), "{heading}");
        assert!(book.contains(&words(long)), "{name}: {long}");
        assert!(book.contains(&format!("> {example}")) || !example.starts_with(name), "{example}");
    }
}

#[test]
fn the_transcript_is_bounded_and_keeps_its_place() {
    let mut transcript = Transcript::default();
    for at in 0..MAX_ITEMS {
        transcript.push(Item::Note(at.to_string()));
    }
    transcript.scroll = Scroll::At { item: 10, line: 0 };
    transcript.push(Item::Note("new".into()));
    assert_eq!(transcript.items().len(), MAX_ITEMS);
    assert_eq!(transcript.scroll, Scroll::At { item: 9, line: 0 });
    assert_eq!(transcript.items()[9], Item::Note("10".into()));
    // An answer goes on growing where it is while others are added and dropped.
    transcript.write("a");
    transcript.push(Item::Note("between".into()));
    transcript.write("b");
    assert_eq!(transcript.items()[MAX_ITEMS - 2], Item::Answer("ab".into()));
    transcript.retract();
    assert!(!transcript.items().contains(&Item::Answer("ab".into())));
}

#[test]
fn history_is_bounded_and_outlives_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/history");
    let file = HistoryFile::new(&path);
    assert_eq!(file.load().unwrap(), [""; 0]);
    for entry in ["a\nb", "back\\slash \\n", "日本"] {
        file.append(entry).unwrap();
    }
    assert_eq!(file.load().unwrap(), ["a\nb", "back\\slash \\n", "日本"]);
    for at in 0..2 * MAX_ENTRIES {
        file.append(&format!("entry {at}")).unwrap();
    }
    let entries = file.load().unwrap();
    assert_eq!((entries.len(), entries.last().unwrap().as_str()), (MAX_ENTRIES, "entry 1999"));
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), MAX_ENTRIES, "the file was trimmed");
    let mut history = History::new(entries);
    for at in 0..MAX_ENTRIES + 5 {
        history.push(format!("more {at}"));
    }
    assert_eq!(history.entries().count(), MAX_ENTRIES);
    history.push("more 1004".into());
    assert_eq!(history.entries().count(), MAX_ENTRIES, "no repeats");
}

#[test]
#[cfg(unix)]
fn history_is_private_and_survives_bad_bytes() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history");
    HistoryFile::new(&path).append("x").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&path, b"ok\n\xff\xfe\\\n\n").unwrap();
    assert_eq!(HistoryFile::new(&path).load().unwrap(), ["ok", "\u{fffd}\u{fffd}\\"]);
    assert!(HistoryFile::new(folder.path()).load().is_err());
}
