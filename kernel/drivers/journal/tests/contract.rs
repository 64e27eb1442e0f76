//! What every journal promises, checked over each of them.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use common::{input, spawn};
use lucid_journal::{MAX_EVENT_BYTES, MAX_SESSION_NAME_BYTES, RamJournal, SqliteJournal};
use lucid_kernel::abi::Event;
use lucid_kernel::port::{Journal, JournalError};

/// Two writers of one journal, as two processes would have it.
struct Pair {
    first: Box<dyn Journal>,
    second: Box<dyn Journal>,
    _folder: Option<tempfile::TempDir>,
}

fn ram() -> Pair {
    let first = RamJournal::new();
    let second = Box::new(first.another_writer());
    Pair { first: Box::new(first), second, _folder: None }
}

fn sqlite() -> Pair {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/journal.db");
    let open = || Box::new(SqliteJournal::open(&path).unwrap());
    Pair { first: open(), second: open(), _folder: Some(folder) }
}

macro_rules! contract {
    ($($name:ident)*) => {
        mod over_ram {
            $(#[test] fn $name() { super::$name(super::ram()) })*
        }
        mod over_sqlite {
            $(#[test] fn $name() { super::$name(super::sqlite()) })*
        }
    };
}

contract! {
    events_come_back_in_order_and_equal
    a_second_writer_is_busy_until_the_first_is_gone
    different_sessions_are_written_side_by_side
    numbers_have_no_gaps
    an_unknown_session_is_not_found
    a_session_begins_once
    names_have_bounds
    any_name_is_kept_as_it_is
    sessions_are_listed_newest_first
    an_event_that_cannot_be_kept_changes_nothing
}

fn events_come_back_in_order_and_equal(pair: Pair) {
    let events = [spawn("you are Lucid"), input("a \"quoted\"\nline \0 and 🦀", 0.1), Event::Restarted];
    pair.first.begin("a", "/home/u", 5).unwrap();
    assert_eq!(pair.first.load("a").unwrap(), []);
    for (seq, event) in events.iter().enumerate() {
        pair.first.append("a", seq as u64, event).unwrap();
        assert_eq!(pair.second.load("a").unwrap(), events[..=seq], "what was appended is seen at once");
        assert_eq!(pair.second.event("a", seq as u64).unwrap(), events[seq]);
        let none = pair.second.event("a", seq as u64 + 1).unwrap_err().to_string();
        assert!(none.contains("has no event"), "{none}");
    }
}

fn a_second_writer_is_busy_until_the_first_is_gone(pair: Pair) {
    pair.first.begin("a", "/", 0).unwrap();
    let busy = |result| matches!(result, Err(JournalError::Busy { session }) if session == "a");
    assert!(busy(pair.second.append("a", 0, &Event::Restarted)));
    assert!(busy(pair.second.begin("a", "/", 0)));
    pair.first.append("a", 0, &Event::Restarted).unwrap();
    drop(pair.first);
    pair.second.append("a", 1, &Event::Restarted).unwrap();
    assert_eq!(pair.second.load("a").unwrap().len(), 2);
}

fn different_sessions_are_written_side_by_side(pair: Pair) {
    const EVENTS: u64 = 50;
    let write = |journal: &dyn Journal, session: &str| {
        journal.begin(session, "/", 0).unwrap();
        for seq in 0..EVENTS {
            journal.append(session, seq, &input(session, seq as f32)).unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write(&*pair.first, "a"));
        scope.spawn(|| write(&*pair.second, "b"));
        scope.spawn(|| write(&*pair.second, "c"));
    });
    for session in ["a", "b", "c"] {
        let expected: Vec<_> = (0..EVENTS).map(|seq| input(session, seq as f32)).collect();
        assert_eq!(pair.first.load(session).unwrap(), expected);
    }
}

fn numbers_have_no_gaps(pair: Pair) {
    pair.first.begin("a", "/", 0).unwrap();
    let refused = |seq, next| {
        let error = pair.first.append("a", seq, &Event::Restarted).unwrap_err().to_string();
        assert!(
            error.contains(&format!("event {seq} of session a is out of order: {next} comes next")),
            "{error}"
        );
    };
    refused(1, 0);
    refused(u64::MAX, 0);
    pair.first.append("a", 0, &Event::Restarted).unwrap();
    refused(0, 1);
    refused(2, 1);
    pair.first.append("a", 1, &Event::Restarted).unwrap();
    assert_eq!(pair.first.load("a").unwrap().len(), 2);
}

fn an_unknown_session_is_not_found(pair: Pair) {
    let not_found = |error| matches!(error, JournalError::NotFound { session } if session == "none");
    assert!(not_found(pair.first.load("none").unwrap_err()));
    assert!(not_found(pair.first.event("none", 0).unwrap_err()));
    assert!(not_found(pair.first.append("none", 0, &Event::Restarted).unwrap_err()));
    assert_eq!(pair.first.sessions().unwrap(), []);
}

fn a_session_begins_once(pair: Pair) {
    pair.first.begin("a", "/", 0).unwrap();
    pair.first.append("a", 0, &Event::Restarted).unwrap();
    assert!(pair.first.begin("a", "/", 0).unwrap_err().to_string().contains("already"));
    drop(pair.first);
    assert!(pair.second.begin("a", "/", 0).unwrap_err().to_string().contains("already"));
    assert_eq!(pair.second.load("a").unwrap().len(), 1);
}

fn names_have_bounds(pair: Pair) {
    for name in ["", &"x".repeat(MAX_SESSION_NAME_BYTES + 1)] {
        let error = pair.first.begin(name, "/", 0).unwrap_err().to_string();
        assert!(error.contains("cannot name a session"), "{error}");
    }
    pair.first.begin(&"ß".repeat(MAX_SESSION_NAME_BYTES / 2), "/", 0).unwrap();
}

fn any_name_is_kept_as_it_is(pair: Pair) {
    let names = ["../../etc/passwd", "Case", "case", "a b", "'; DROP TABLE event; --", "日本", "nul\0"];
    for name in names {
        pair.first.begin(name, "/", 0).unwrap();
        pair.first.append(name, 0, &spawn(name)).unwrap();
    }
    for name in names {
        assert_eq!(pair.second.load(name).unwrap(), [spawn(name)]);
    }
}

fn sessions_are_listed_newest_first(pair: Pair) {
    for (name, began_ms) in [("old", 1), ("new", 3), ("middle", 2), ("new too", 3)] {
        pair.first.begin(name, "/a folder", began_ms).unwrap();
    }
    pair.first.append("middle", 0, &Event::Restarted).unwrap();
    let listed = pair.second.sessions().unwrap();
    let names: Vec<_> = listed.iter().map(|s| (s.session.as_str(), s.began_ms, s.events)).collect();
    assert_eq!(names, [("new too", 3, 0), ("new", 3, 0), ("middle", 2, 1), ("old", 1, 0)]);
    assert!(listed.iter().all(|s| s.folder == "/a folder"));
}

fn an_event_that_cannot_be_kept_changes_nothing(pair: Pair) {
    pair.first.begin("a", "/", 0).unwrap();
    for event in [input("not a number", f32::NAN), spawn(&"x".repeat(MAX_EVENT_BYTES))] {
        assert!(matches!(pair.first.append("a", 0, &event), Err(JournalError::Failed { .. })));
    }
    pair.first.append("a", 0, &spawn("good")).unwrap();
    assert_eq!(pair.first.load("a").unwrap(), [spawn("good")]);
}
