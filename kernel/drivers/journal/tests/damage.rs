//! Files that are damaged, foreign, newer, or in a place that cannot be used.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod common;

use std::path::{Path, PathBuf};

use common::spawn;
use lucid_journal::SqliteJournal;
use lucid_kernel::abi::Event;
use lucid_kernel::port::{Journal, JournalError};

const EVENTS: u64 = 40;

fn event(seq: u64) -> Event {
    spawn(&format!("{seq} ").repeat(700))
}

/// A closed journal of one session, all in its main file.
fn closed() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal.begin("a", "/", 0).unwrap();
    for seq in 0..EVENTS {
        journal.append("a", seq, &event(seq)).unwrap();
    }
    drop(journal);
    assert!(!path.with_file_name("journal.db-wal").exists(), "closing takes the log into the file");
    (folder, path)
}

fn load(path: &Path) -> Result<Vec<Event>, JournalError> {
    SqliteJournal::open(path)?.load("a")
}

/// What must be said of a file that cannot be used.
fn check(path: &Path, expect: &[&str]) {
    let error = load(path).unwrap_err();
    assert!(matches!(error, JournalError::Failed { .. }), "{error:?}");
    let said = error.to_string();
    for part in expect.iter().chain([&"journal.db"]) {
        assert!(said.contains(part), "{said:?} does not say {part:?}");
    }
}

#[test]
fn a_file_that_is_no_database_is_told() {
    let (_folder, path) = closed();
    std::fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    check(&path, &["damaged", "move it away", ".recover"]);
}

#[test]
fn a_truncated_file_is_told() {
    let (_folder, path) = closed();
    let whole = std::fs::read(&path).unwrap();
    for part in [1, 2, 3, 5, 7, 9] {
        std::fs::write(&path, &whole[..whole.len() * part / 10]).unwrap();
        check(&path, &["damaged", "move it away"]);
    }
}

#[test]
fn no_garbled_byte_passes_for_an_event() {
    let (_folder, path) = closed();
    let whole = std::fs::read(&path).unwrap();
    let expected: Vec<_> = (0..EVENTS).map(event).collect();
    let mut noticed = 0;
    // A prime stride reaches headers, indexes and texts.
    for at in (0..whole.len()).step_by(1009) {
        let mut garbled = whole.clone();
        for byte in garbled.iter_mut().skip(at).take(16) {
            *byte ^= 0x55;
        }
        std::fs::write(&path, &garbled).unwrap();
        match load(&path) {
            // Unused space, or a field that loading does not need.
            Ok(found) => assert_eq!(found, expected, "garbled at byte {at}"),
            Err(JournalError::Failed { .. } | JournalError::NotFound { .. }) => noticed += 1,
            Err(other) => panic!("garbled at byte {at}: {other:?}"),
        }
        let _ = std::fs::remove_file(path.with_file_name("journal.db-wal"));
        let _ = std::fs::remove_file(path.with_file_name("journal.db-shm"));
    }
    assert!(noticed > 50, "only {noticed} noticed");
}

#[test]
fn a_newer_format_is_not_touched() {
    let (_folder, path) = closed();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 2).unwrap();
    raw.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    check(&path, &["a newer Lucid wrote it (format 2, this one knows up to 1)", "update Lucid"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_another_program_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    raw.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    check(&path, &["another program"]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn an_empty_file_is_a_new_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::write(&path, "").unwrap();
    assert_eq!(SqliteJournal::open(&path).unwrap().sessions().unwrap(), []);
}

#[test]
fn a_folder_in_its_place_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    std::fs::create_dir(&path).unwrap();
    check(&path, &["cannot open it"]);
}

#[test]
fn a_file_where_its_folder_should_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    check(&file.join("journal.db"), &["cannot make the folder"]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = SqliteJournal::open(&path).unwrap();
    journal.begin("a", "/", 0).unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm", "journal.db.locks/a.lock"] {
        let mode = path.with_file_name(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[test]
fn many_first_starts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let path = folder.path().join(format!("{round}.db"));
        std::thread::scope(|scope| {
            for writer in 0..6 {
                let path = &path;
                scope.spawn(move || {
                    let journal = SqliteJournal::open(path).unwrap();
                    journal.begin(&format!("s{writer}"), "/", writer).unwrap();
                });
            }
        });
        assert_eq!(SqliteJournal::open(&path).unwrap().sessions().unwrap().len(), 6);
    }
}
