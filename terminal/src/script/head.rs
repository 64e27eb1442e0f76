//! The head of a script: name, parameters with their defaults, folders to mount.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::Problem;
use super::parse::is_name;
use super::{Mount, Param};

/// What a head says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Head {
    pub name: Option<String>,
    pub params: Vec<Param>,
    pub mounts: Vec<Mount>,
}

/// The head as it is written. Unknown keys are errors: they are misspelt ones.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    #[serde(default)]
    params: Option<Map<String, Value>>,
    #[serde(default)]
    mounts: Option<Mounts>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Mounts {
    One(String),
    Many(Vec<String>),
}

/// Reads the lines between the two `---`; `first` is the number of the first of them.
/// An error comes with its line.
pub(super) fn parse(lines: &[&str], first: usize) -> Result<Head, (usize, Problem)> {
    let source = lines.join("\n");
    if lines.iter().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Head::default());
    }
    let written: Written =
        read(&source).map_err(|(line, reason)| (first + line.saturating_sub(1), Problem::BadHead(reason)))?;
    let line_of = |what: &str| {
        let starts = |line: &&str| {
            let line = line.trim_start_matches([' ', '-', '"', '\'']);
            line.starts_with(what)
        };
        first + lines.iter().position(starts).unwrap_or(0)
    };
    let mut params = Vec::new();
    for (name, value) in written.params.unwrap_or_default() {
        let line = line_of(&name);
        if !is_name(&name) {
            return Err((line, Problem::BadName(name)));
        }
        let default = match value {
            Value::Null => None,
            Value::Array(_) | Value::Object(_) => {
                let reason = format!("the default of {name} is no text, number, true or false");
                return Err((line, Problem::BadHead(reason)));
            }
            value => Some(value),
        };
        params.push(Param { name, default });
    }
    let folders = match written.mounts {
        None => Vec::new(),
        Some(Mounts::One(folder)) => vec![folder],
        Some(Mounts::Many(folders)) => folders,
    };
    let mounts = folders.into_iter().map(|folder| {
        let at = lines.iter().position(|line| line.contains(&folder)).unwrap_or(0);
        Mount { line: first + at, folder }
    });
    Ok(Head { name: written.name, params, mounts: mounts.collect() })
}

/// Reads YAML (or JSON, which is YAML too). An error comes with its line, counted from 1.
pub(super) fn read<T: serde::de::DeserializeOwned>(source: &str) -> Result<T, (usize, String)> {
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    // `no` and `on` are words, not truth values.
    options.strict_booleans = true;
    serde_saphyr::from_str_with_options(source, options).map_err(|error| {
        let line = error.location().and_then(|at| usize::try_from(at.line()).ok());
        (line.unwrap_or(1).max(1), one_line(&error.to_string()))
    })
}

/// A message of a library, fit to stand in one of ours.
pub(super) fn one_line(message: &str) -> String {
    const MAX_CHARS: usize = 300;
    let words: Vec<&str> = message.split_whitespace().collect();
    words.join(" ").chars().take(MAX_CHARS).collect::<String>().trim_end_matches('.').to_owned()
}
