//! What lies at the top of the repository, and how each file looks.

use std::collections::BTreeSet;

use crate::Complaint;

/// The top level, besides dot files. All of it must be there.
const TOP: [&str; 12] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "docs",
    "kernel",
    "plugins",
    "rust-toolchain.toml",
    "terminal",
    "tools",
];

/// The most bytes of a source file. Most are near 10 KiB.
const MAX_SOURCE_BYTES: usize = 40 << 10;

/// Written by a program, not by a person.
const GENERATED: [&str; 1] = ["bindings.rs"];

/// The tests of the module beside it, whose name says what it is for.
const TESTS: &str = "tests.rs";

/// Too much or too little at the top.
pub fn check_top(files: &[String]) -> Vec<Complaint> {
    let found: BTreeSet<&str> = files.iter().filter_map(|name| name.split('/').next()).collect();
    let extra = found
        .iter()
        .filter(|name| !name.starts_with('.') && !TOP.contains(name))
        .map(|name| format!("{name} does not belong at the top level"));
    let missing = TOP
        .iter()
        .filter(|name| !found.contains(*name))
        .map(|name| format!("{name} is missing at the top level"));
    extra.chain(missing).collect()
}

/// A source file that is too long, or does not say what it is for.
pub fn check_source(name: &str, text: &str) -> Vec<Complaint> {
    let file = name.rsplit('/').next().unwrap_or(name);
    if GENERATED.contains(&file) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let first: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .take_while(|line| !line.trim().is_empty())
        .collect();
    let first = first.join(" ").trim().to_owned();
    if first.is_empty() && file != TESTS {
        complaints.push(format!("{name}: its first line is no `//!` that says what it is for"));
    } else if !first.is_empty() && !first.contains(['.', ':', '?', '!']) {
        complaints.push(format!("{name}: its opening `//!` is no sentence: {first:?}"));
    }
    if text.len() > MAX_SOURCE_BYTES {
        complaints.push(format!(
            "{name}: {} bytes are too many for one file, at most {MAX_SOURCE_BYTES}; split it by concept",
            text.len()
        ));
    }
    complaints
}

/// Tabs, white space at the end of a line, no line break at the end of the file.
pub fn check_space(name: &str, text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (n, line) in text.split('\n').enumerate() {
        if line.contains('\t') {
            complaints.push(format!("{name}:{}: a tab", n + 1));
        }
        if line.ends_with(char::is_whitespace) {
            complaints.push(format!("{name}:{}: white space at the end of the line", n + 1));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        complaints.push(format!("{name}: no line break at the end"));
    }
    complaints
}

#[test]
fn a_wrong_top_level_is_found() {
    let mut files: Vec<String> = TOP.iter().map(|name| name.to_string()).collect();
    files.extend([".ci/run".to_owned(), "docs/src/x.md".to_owned()]);
    assert_eq!(check_top(&files), Vec::<Complaint>::new());
    files.push("scratch/x.rs".into());
    files.retain(|name| name != "LICENSE");
    assert_eq!(check_top(&files).len(), 2);
}

#[test]
fn a_source_file_must_say_what_it_is_for() {
    let count = |text: &str| check_source("a/x.rs", text).len();
    assert_eq!(count("//! What it is for.\n\nfn f() {}\n"), 0);
    assert_eq!(count("//! What it is for,\n//! in two lines.\n"), 0);
    assert_eq!(count("fn f() {}\n"), 1);
    assert_eq!(count("// Not a module comment.\n"), 1);
    assert_eq!(count("//!\n//! Late.\n"), 1);
    assert_eq!(count("//! Helpers\n\nuse x;\n"), 1);
    assert_eq!(count(""), 1);
    assert_eq!(check_source("a/tests.rs", "use super::*;\n").len(), 0);
}

#[test]
fn a_source_file_must_not_be_huge() {
    let long = |bytes| format!("//! Long.\n{}", "x".repeat(bytes));
    assert_eq!(check_source("a/x.rs", &long(MAX_SOURCE_BYTES)).len(), 1);
    assert_eq!(check_source("a/x.rs", &long(MAX_SOURCE_BYTES - 100)).len(), 0);
    assert_eq!(check_source("a/bindings.rs", &long(MAX_SOURCE_BYTES)).len(), 0);
}

#[test]
fn stray_white_space_is_found() {
    assert_eq!(check_space("x", "a\n\nb\n"), Vec::<Complaint>::new());
    for bad in ["a\tb\n", "a \n", "a\r\n", "a"] {
        assert_eq!(check_space("x", bad).len(), 1, "{bad:?}");
    }
}
