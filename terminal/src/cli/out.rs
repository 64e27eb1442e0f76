//! Printing: results on stdout, the rest on stderr. Colour only on a terminal that wants it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal, Write};

use serde::Serialize;

/// Whether stderr may have colour.
pub fn color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A line of result. A reader that is gone (`| head`) ends the program quietly.
pub fn line(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(i32::from(crate::exit::OK));
    }
}

/// A piece of result, at once.
pub fn piece(text: &str) {
    let mut out = std::io::stdout();
    if write!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(i32::from(crate::exit::OK));
    }
}

/// A result as one JSON object.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(error) => self::error(&format!("the result cannot be written as JSON: {error}")),
    }
}

/// A word to the person beside the result.
pub fn note(text: &str) {
    eprintln!("{text}");
}

/// A failure.
pub fn error(text: &str) {
    let (red, plain) = if color() { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{red}lucid:{plain} {text}");
}

/// A count of bytes for a person: `1.1 GB`.
pub fn bytes(count: u64) -> String {
    indicatif::DecimalBytes(count).to_string()
}

/// Text of a file, a tool or the model, without the control characters that a terminal obeys.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
