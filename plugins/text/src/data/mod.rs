//! Data in a text: JSON, YAML, TOML and CSV, all read into JSON values.

mod csv;
mod json;
mod toml;
mod value;
mod yaml;

use serde_json::Value;

use crate::bindings::Format;
use crate::limits::{MAX_DATA_BYTES, check_size};

/// Converts data from one form to another.
///
/// # Errors
/// When the data is too large, cannot be read, or has no form there.
pub fn convert(text: &str, to: Format, from: Option<Format>) -> Result<String, String> {
    write(&read(text, from)?, to)
}

/// Reads data. The format is guessed when none is given.
///
/// # Errors
/// When it is too large or cannot be read.
pub fn read(text: &str, format: Option<Format>) -> Result<Value, String> {
    check_size("the data", text, MAX_DATA_BYTES)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err("the data is empty".into());
    }
    match format {
        Some(format) => read_as(text, format),
        None => guess(text),
    }
}

fn read_as(text: &str, format: Format) -> Result<Value, String> {
    match format {
        Format::Json => json::read(text),
        Format::Yaml => yaml::read(text),
        Format::Toml => toml::read(text),
        Format::Csv => csv::read(text),
    }
}

/// Writes data, neatly indented.
///
/// # Errors
/// When it has no form there, such as null in TOML.
pub fn write(value: &Value, format: Format) -> Result<String, String> {
    match format {
        Format::Json => json::write(value),
        Format::Yaml => yaml::write(value),
        Format::Toml => toml::write(value),
        Format::Csv => csv::write(value),
    }
}

/// Tries the strictest form first. Nearly every text is YAML, but seldom more than one string; and
/// what begins like JSON is told the mistakes of JSON.
fn guess(text: &str) -> Result<Value, String> {
    let json = match json::read(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if let Ok(value) = toml::read(text) {
        return Ok(value);
    }
    let yaml = match yaml::read(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => return Ok(value),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    if csv::is_likely(text)
        && let Ok(value) = csv::read(text)
    {
        return Ok(value);
    }
    let first = text.trim_start().chars().next();
    Err(match yaml {
        _ if matches!(first, Some('{' | '[')) => json,
        Some(yaml) => format!("the format was not recognised, so say which it is; read as YAML: {yaml}"),
        None => "the format was not recognised, so say which it is: json, yaml, toml or csv".into(),
    })
}

/// The path of a member, for messages: `$.a.b`, `$["x y"]`.
fn member(path: &str, key: &str) -> String {
    let is_plain = key.starts_with(|it: char| it.is_alphabetic() || it == '_')
        && key.chars().all(|it| it.is_alphanumeric() || it == '_');
    if is_plain { format!("{path}.{key}") } else { format!("{path}[{key:?}]") }
}
