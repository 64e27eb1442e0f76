//! JSON.

use serde_json::Value;

use super::value::{Strict, too_large};
use crate::limits::place;

/// Reads JSON.
pub fn read(text: &str) -> Result<Value, String> {
    let Strict(value) =
        serde_json::from_str(text).map_err(|error| format!("this is no valid JSON: {error}"))?;
    check_integers(text)?;
    Ok(value)
}

/// Writes JSON with two spaces a level.
pub fn write(value: &Value) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| format!("it cannot be written as JSON: {error}"))
}

/// Refuses integers that were rounded when they were read. The text must be valid JSON.
fn check_integers(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' {
            at = end_of_string(bytes, at);
        } else if byte == b'-' || byte.is_ascii_digit() {
            let is_part = |it: &u8| it.is_ascii_digit() || matches!(it, b'-' | b'+' | b'.' | b'e' | b'E');
            let length = bytes[at..].iter().take_while(|it| is_part(it)).count();
            let number = &text[at..at + length];
            let is_whole = !number.contains(['.', 'e', 'E']);
            if is_whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                return Err(format!("at {}: {}", place(text, at), too_large(number)));
            }
            at += length;
        } else {
            at += 1;
        }
    }
    Ok(())
}

/// Where the string that begins at a quote is over.
fn end_of_string(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at
}
