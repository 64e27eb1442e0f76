//! YAML 1.2.

use serde_json::Value;
use serde_saphyr::budget;

use super::value::{Strict, too_large};
use crate::limits::place;

/// How deep data may nest. The reader takes much of the stack for each level, and a guest has little.
const MAX_DEPTH: usize = 48;
/// The most values, those of aliases too.
const MAX_NODES: usize = 250_000;
/// 2^63, and how many digits it has.
const LARGE: f64 = 9_223_372_036_854_775_808.0;
const MIN_LARGE_DIGITS: usize = 19;

/// Reads YAML. Several documents become an array.
pub fn read(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        budget: budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        with_snippet: false,
        // What is true, a number or a text in YAML 1.2: `no` and 007 are texts.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        // A key that looks like null is a text as all keys are.
        null_as_string: true,
    };
    let documents: Vec<Strict> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| format!("this is no valid YAML: {error}"))?;
    let mut documents: Vec<Value> = documents.into_iter().map(|it| it.0).collect();
    let value = match documents.len() {
        0 => Value::Null,
        1 => documents.remove(0),
        _ => Value::Array(documents),
    };
    check_integers(text, &value)?;
    Ok(value)
}

/// Refuses integers that were rounded when they were read: they are floats now, and the text has
/// their digits.
fn check_integers(text: &str, value: &Value) -> Result<(), String> {
    let mut floats = Vec::new();
    large(value, &mut floats);
    if floats.is_empty() {
        return Ok(());
    }
    let mut at = 0;
    for run in text.split(|it: char| !it.is_ascii_digit()) {
        let is_fraction = text[..at].ends_with('.') || text[at + run.len()..].starts_with(['.', 'e', 'E']);
        let found = run.len() >= MIN_LARGE_DIGITS && !is_fraction;
        if found && run.parse().is_ok_and(|it: f64| floats.contains(&it)) {
            return Err(format!("at {}: {}", place(text, at), too_large(run)));
        }
        at += run.len() + text[at + run.len()..].chars().next().map_or(0, char::len_utf8);
    }
    Ok(())
}

/// Collects the sizes of floats that are as large as integers of more than 64 bits.
fn large(value: &Value, floats: &mut Vec<f64>) {
    match value {
        Value::Number(number) if number.is_f64() => {
            floats.extend(number.as_f64().map(f64::abs).filter(|it| *it >= LARGE));
        }
        Value::Array(items) => items.iter().for_each(|it| large(it, floats)),
        Value::Object(map) => map.values().for_each(|it| large(it, floats)),
        _ => {}
    }
}

/// Writes YAML.
pub fn write(value: &Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| format!("it cannot be written as YAML: {error}"))
}
