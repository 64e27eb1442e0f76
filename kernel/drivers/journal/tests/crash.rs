//! What is left when a writer is killed, and when two processes or a full disk are in the way.
//!
//! The children are this same test binary, told by the environment what to do.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may stop at what it did not expect"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::spawn;
use lucid_journal::SqliteJournal;
use lucid_kernel::abi::Event;
use lucid_kernel::port::{Journal, JournalError};

const PATH: &str = "LUCID_TEST_JOURNAL";
const SESSION: &str = "LUCID_TEST_SESSION";
/// A child that hangs fails its test instead of hanging it.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// Distinct, and over one database page long.
fn event(seq: u64) -> Event {
    spawn(&format!("{seq} ").repeat(1500))
}

fn command(test: &str, path: &Path, session: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--ignored", "--nocapture"])
        .env(PATH, path)
        .env(SESSION, session)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

fn told() -> (PathBuf, String) {
    (std::env::var_os(PATH).unwrap().into(), std::env::var(SESSION).unwrap())
}

#[test]
#[ignore = "the child of the tests below"]
fn child_appends_until_it_is_killed() {
    let (path, session) = told();
    let journal = SqliteJournal::open(path).unwrap();
    if journal.load(&session).is_err() {
        journal.begin(&session, "/", 0).unwrap();
    }
    journal.claim(&session).unwrap();
    let start = journal.load(&session).unwrap().len() as u64;
    let began = Instant::now();
    for seq in start.. {
        journal.append(&session, seq, &event(seq)).unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "safe {seq}").unwrap();
        out.flush().unwrap();
        assert!(began.elapsed() < MAX_WAIT, "nobody killed me");
    }
}

/// Reads what a child reports until it has reported `events` events, and kills it.
/// Gives the number of the last event that it called safe.
fn kill_after(mut child: Child, events: u32, delay: Duration) -> u64 {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: String| line.strip_prefix("safe ").map(|n| n.parse::<u64>().unwrap());
    let mut last = None;
    let mut seen = 0;
    while seen < events {
        let line = lines.next().expect("the child ended by itself").unwrap();
        if let Some(seq) = number(line) {
            last = Some(seq);
            seen += 1;
        }
    }
    std::thread::sleep(delay);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before it died.
    for line in lines.map_while(Result::ok) {
        last = number(line).or(last);
    }
    last.unwrap()
}

#[test]
fn a_killed_writer_loses_nothing_that_was_safe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    for round in 0..12 {
        let child = command("child_appends_until_it_is_killed", &path, "a").spawn().unwrap();
        let safe = kill_after(child, 3 + round, Duration::from_micros(u64::from(round) * 137));
        let loaded = SqliteJournal::open(&path).unwrap().load("a").unwrap();
        // One more may be there: written, but its writer died before it could say so.
        let count = loaded.len() as u64;
        assert!(count == safe + 1 || count == safe + 2, "{safe} was safe, {count} are there");
        for (seq, found) in loaded.iter().enumerate() {
            assert_eq!(*found, event(seq as u64), "event {seq}");
        }
    }
}

#[test]
fn two_processes_write_two_sessions_but_not_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let test = "child_appends_until_it_is_killed";
    let mut first = command(test, &path, "a").spawn().unwrap();
    // Wait until it writes, and keep its pipe open.
    let mut out = BufReader::new(first.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("safe") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the child ended by itself");
    }
    let drain = std::thread::spawn(move || out.lines().map_while(Result::ok).count());

    let ours = SqliteJournal::open(&path).unwrap();
    for refused in [ours.claim("a"), ours.append("a", 0, &Event::Restarted), ours.begin("a", "/", 0)] {
        assert!(matches!(refused, Err(JournalError::Busy { .. })), "{refused:?}");
    }
    let second = command(test, &path, "b").spawn().unwrap();
    ours.begin("c", "/", 0).unwrap();
    for seq in 0..20 {
        ours.append("c", seq, &event(seq)).unwrap();
    }
    let safe = kill_after(second, 10, Duration::ZERO);
    assert!(ours.load("b").unwrap().len() as u64 > safe);
    assert_eq!(ours.load("c").unwrap().len(), 20);

    first.kill().unwrap();
    first.wait().unwrap();
    drain.join().unwrap();
    ours.claim("a").unwrap();
    let next = ours.load("a").unwrap().len() as u64;
    ours.append("a", next, &event(next)).unwrap();
}

#[test]
#[ignore = "the child of the test below"]
fn child_fills_the_disk() {
    let (path, session) = told();
    let journal = SqliteJournal::open(&path).unwrap();
    journal.begin(&session, "/", 0).unwrap();
    let mut seq = 0;
    let error = loop {
        match journal.append(&session, seq, &event(seq)) {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
        assert!(seq < 10_000, "the disk never fills up");
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    assert_eq!(journal.load(&session).unwrap().len() as u64, seq);
    // Opening a new one there is as full.
    let other =
        SqliteJournal::open(path.with_file_name("other.db")).and_then(|j| j.begin("x", "/", 0)).unwrap_err();
    assert!(matches!(other, JournalError::Full { .. }), "{other}");
    // Space again: the session goes on where it was.
    std::fs::remove_file(path.with_file_name("ballast")).unwrap();
    journal.append(&session, seq, &event(seq)).unwrap();
    drop(journal);
    let loaded = SqliteJournal::open(&path).unwrap().load(&session).unwrap();
    assert_eq!(loaded.len() as u64, seq + 1);
    assert!(loaded.iter().zip(0..).all(|(found, n)| *found == event(n)));
    println!("filled");
}

/// On a real full disk: a small tmpfs in a mount namespace of its own. The unit test of the
/// crate fills a file by SQLite's own limit, on every system.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_survived() {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", script]);
        command.stdin(Stdio::null());
        command
    };
    if !unshare("mount -t tmpfs none /mnt").status().is_ok_and(|s| s.success()) {
        eprintln!("not run: this machine lets nobody make a mount namespace");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$DIR\"
        head -c 200000 /dev/zero > \"$DIR/ballast\"
        exec \"$EXE\" child_fills_the_disk --exact --ignored --nocapture";
    let output = unshare(script)
        .env("DIR", folder.path())
        .env("EXE", std::env::current_exe().unwrap())
        .env(PATH, folder.path().join("journal.db"))
        .env(SESSION, "a")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("filled"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
