//! The kernel is pure: no I/O, no clock, no randomness, no threads, no async, and none of the
//! crates that do such things.

use crate::Complaint;
use crate::scan::{code_only, lines_with_word, used_paths};

/// Crates that the kernel does not know.
const CRATES: [&str; 10] = [
    "candle_core",
    "crossterm",
    "mistralrs",
    "rand",
    "ratatui",
    "rusqlite",
    "tantivy",
    "tokenizers",
    "tokio",
    "wasmtime",
];

/// Parts of the standard library that act on the world, or ask it something.
const MODULES: [&str; 8] =
    ["std::env", "std::fs", "std::io", "std::net", "std::os", "std::process", "std::thread", "std::time"];

/// Of these modules, what is only data.
const DATA: [&str; 1] = ["std::time::Duration"];

/// Names and words that stand for the same, however they came into scope.
const WORDS: [&str; 6] = ["Instant", "SystemTime", "RandomState", "async", "await", "unsafe"];

/// What is impure in a source file.
pub fn check(name: &str, text: &str) -> Vec<Complaint> {
    let code = code_only(text);
    let mut found: Vec<(usize, String)> = Vec::new();
    for word in CRATES.iter().chain(&WORDS) {
        found.extend(lines_with_word(&code, word).into_iter().map(|n| (n, word.to_string())));
    }
    for (line, path) in used_paths(&code) {
        if is_impure(&path) {
            found.push((line, path));
        }
    }
    // Paths written out where they are used. Those of `use` lines without braces come twice.
    for (n, line) in code.lines().enumerate() {
        let packed = line.replace(' ', "");
        let written = MODULES.iter().filter(|module| {
            packed.match_indices(*module).any(|(at, _)| {
                let rest = &packed[at..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
                is_impure(&rest[..end.unwrap_or(rest.len())])
            })
        });
        found.extend(written.map(|module| (n + 1, module.to_string())));
    }
    found.sort();
    found.dedup_by_key(|(line, _)| *line);
    found.into_iter().map(|(line, what)| format!("{name}:{line}: the kernel must not use {what}")).collect()
}

fn is_impure(path: &str) -> bool {
    let path = path.trim_start_matches("::");
    let under = |module: &str| {
        path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    MODULES.iter().any(|module| under(module)) && !DATA.iter().any(|data| under(data))
}

#[test]
fn impure_code_is_found() {
    let bad = [
        "use tokio::sync::mpsc;",
        "fn f() { mistralrs::load(); }",
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::File};",
        "use std::{\n    net,\n};",
        "use ::std::thread;",
        "let t = std::time::Instant::now();",
        "use std::time::{Duration, SystemTime};",
        "use std::time;",
        "std::env::var(\"X\")",
        "let n: u8 = rand::random();",
        "async fn f() {}",
        "x.await;",
        "use std::collections::hash_map::RandomState;",
        "unsafe { f() }",
        "use std::time::Instant as Clock;",
    ];
    for text in bad {
        assert_eq!(check("x.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn pure_code_is_let_through() {
    let good = "//! Such as mistralrs.\nuse std::time::Duration;\nuse std::{fmt, sync::Arc};\n\
                /// Never std::fs.\nfn operand() -> &'static str { \"tokio async\" }\n\
                fn f(limit: std::time::Duration) {}\nuse crate::env;";
    assert_eq!(check("x.rs", good), Vec::<Complaint>::new());
}
