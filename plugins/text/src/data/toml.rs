//! TOML.

use serde_json::{Map, Number, Value};
use toml::Table;

use super::member;
use super::value::not_finite;
use crate::limits::place;

/// The key under which a value stands that is no table: TOML has no other values alone.
pub const WRAPPER: &str = "items";

/// Reads TOML. Dates and times become texts.
pub fn read(text: &str) -> Result<Value, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or_else(String::new, |span| format!(" at {}", place(text, span.start)));
        format!("this is no valid TOML: {}{at}", error.message())
    })?;
    object(table)
}

fn object(table: Table) -> Result<Value, String> {
    let members = table.into_iter().map(|(key, value)| Ok((key, from_toml(value)?)));
    members.collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

fn from_toml(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(it) => Value::String(it),
        toml::Value::Integer(it) => it.into(),
        toml::Value::Float(it) => Value::Number(Number::from_f64(it).ok_or_else(|| not_finite(it))?),
        toml::Value::Boolean(it) => Value::Bool(it),
        toml::Value::Datetime(it) => Value::String(it.to_string()),
        toml::Value::Array(items) => {
            Value::Array(items.into_iter().map(from_toml).collect::<Result<_, _>>()?)
        }
        toml::Value::Table(table) => object(table)?,
    })
}

/// Writes TOML. A value that is no object stands under the key [`WRAPPER`].
pub fn write(value: &Value) -> Result<String, String> {
    let table = match to_toml(value, "$")? {
        toml::Value::Table(table) => table,
        other => Table::from_iter([(WRAPPER.to_owned(), other)]),
    };
    toml::to_string_pretty(&table).map_err(|error| format!("it cannot be written as TOML: {error}"))
}

fn to_toml(value: &Value, path: &str) -> Result<toml::Value, String> {
    Ok(match value {
        Value::Null => return Err(format!("{path} is null, which TOML does not have; take it out first")),
        Value::Bool(it) => toml::Value::Boolean(*it),
        Value::Number(number) => match (number.as_i64(), number.is_u64()) {
            (Some(whole), _) => toml::Value::Integer(whole),
            (None, true) => return Err(format!("{path} is {number}, and TOML has integers up to 2^63 - 1")),
            (None, false) => toml::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(it) => toml::Value::String(it.clone()),
        Value::Array(items) => {
            let items = items.iter().enumerate().map(|(index, it)| to_toml(it, &format!("{path}[{index}]")));
            toml::Value::Array(items.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let members = map.iter().map(|(key, it)| Ok((key.clone(), to_toml(it, &member(path, key))?)));
            toml::Value::Table(members.collect::<Result<Table, String>>()?)
        }
    })
}
