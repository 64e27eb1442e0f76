//! Names in double braces, and the values that they stand for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::MAX_RENDERED_BYTES;
use super::error::Problem;
use super::parse::is_name;

/// What each name stands for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bindings(BTreeMap<String, Value>);

impl Bindings {
    /// Nothing bound yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds a name, or binds it anew.
    pub fn bind(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(name.into(), value);
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// All names, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

/// A piece of a text with names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Text as it is.
    Text(&'a str),
    /// A reference: a name and the fields below it.
    Reference(Vec<&'a str>),
}

/// Fills in the names of a text: texts as they are, other values as JSON.
///
/// # Errors
/// What is no reference, what is not bound, a field that is not there, and a result over
/// [`MAX_RENDERED_BYTES`].
pub fn render(text: &str, bindings: &Bindings) -> Result<String, Problem> {
    let mut out = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Reference(path) => match look_up(&path, bindings)? {
                Value::String(text) => out.push_str(text),
                value => out.push_str(&value.to_string()),
            },
        }
        if out.len() > MAX_RENDERED_BYTES {
            return Err(Problem::RenderedTooLong);
        }
    }
    Ok(out)
}

/// Splits a text at its references. `\{{` is two braces.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Problem> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        if let Some(before) = rest[..at].strip_suffix('\\') {
            found.extend([Piece::Text(before), Piece::Text("{{")]);
            rest = &rest[at + 2..];
            continue;
        }
        found.push(Piece::Text(&rest[..at]));
        let inner = &rest[at + 2..];
        let end = inner.find("}}").ok_or_else(|| bad(&rest[at..]))?;
        let path: Vec<&str> = inner[..end].trim().split('.').collect();
        let is_field = |field: &&str| {
            let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
            !field.is_empty() && field.chars().all(word)
        };
        if !is_name(path[0]) || !path[1..].iter().all(is_field) {
            return Err(bad(&rest[at..at + end + 4]));
        }
        found.push(Piece::Reference(path));
        rest = &inner[end + 2..];
    }
    found.push(Piece::Text(rest));
    Ok(found)
}

fn bad(found: &str) -> Problem {
    const MAX_SHOWN_CHARS: usize = 40;
    let line = found.lines().next().unwrap_or_default();
    Problem::BadPlaceholder(line.chars().take(MAX_SHOWN_CHARS).collect())
}

fn look_up<'a>(path: &[&str], bindings: &'a Bindings) -> Result<&'a Value, Problem> {
    let unknown = || Problem::UnknownName { name: path[0].into(), known: bindings.names() };
    let mut value = bindings.get(path[0]).ok_or_else(unknown)?;
    for field in &path[1..] {
        let below = match value {
            Value::Object(fields) => fields.get(*field),
            Value::Array(items) => field.parse::<usize>().ok().and_then(|n| items.get(n)),
            _ => None,
        };
        value = below.ok_or_else(|| Problem::UnknownField {
            reference: path.join("."),
            field: (*field).into(),
            known: contents(value),
        })?;
    }
    Ok(value)
}

/// What a value has, for a person who asked for something else.
fn contents(value: &Value) -> String {
    const MAX_FIELDS: usize = 20;
    match value {
        Value::Object(fields) if fields.is_empty() => "the value has no fields".into(),
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().take(MAX_FIELDS).map(String::as_str).collect();
            format!("the value has {}", names.join(", "))
        }
        Value::Array(items) => {
            format!("the value is a list of {} items, the first of them 0", items.len())
        }
        _ => "the value has no fields".into(),
    }
}
