//! Queries: JSONPath as RFC 9535 has it.

use serde_json::Value;
use serde_json_path::JsonPath;

use crate::bindings::Format;
use crate::data;
use crate::limits::{MAX_LIST_BYTES, MAX_RESULTS, check_size, shortened};

/// The most bytes of a path.
const MAX_PATH_BYTES: usize = 1_000;
/// How deep brackets may nest in a path; a guest's stack is small.
const MAX_NESTING: usize = 24;
/// The most values that a query may visit.
const MAX_VISITS: u64 = 10_000_000;
/// The most keys that are named when nothing matches.
const MAX_KEYS: usize = 20;

/// The values that a path picks, as a JSON array.
///
/// # Errors
/// When the data or the path is wrong, or the query would take too long.
pub fn query(text: &str, path: &str, format: Option<Format>) -> Result<String, String> {
    let written = with_root(path)?;
    let parsed = JsonPath::parse(&written).map_err(|error| {
        let at = written.get(..error.position()).map_or(0, |before| before.chars().count()) + 1;
        format!("the path {written} is wrong at character {at}: {}", error.message())
    })?;
    let value = data::read(text, format)?;
    check_cost(&written, &value)?;
    Ok(shown(&parsed.query(&value).all(), &value))
}

/// A path that begins at the root: `.name`, `[0]` and `name` are taken as well, and jq's `[]`.
fn with_root(path: &str) -> Result<String, String> {
    let path = path.trim();
    check_size("the path", path, MAX_PATH_BYTES)?;
    let plain = unquoted(path);
    let mut depth = 0_usize;
    for sign in plain.chars() {
        match sign {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(format!("the path nests more than {MAX_NESTING} deep"));
        }
    }
    let rooted = match path.chars().next() {
        None => return Err("the path is empty; $ is the whole, $.name a member, $[0] an item".into()),
        Some('$') => path.to_owned(),
        Some('.') if path.len() == 1 => "$".to_owned(),
        Some('.' | '[') => format!("${path}"),
        Some('@') => format!("${}", &path[1..]),
        Some(_) => format!("$.{path}"),
    };
    Ok(if plain == path { rooted.replace("[]", "[*]") } else { rooted })
}

/// The path without what stands in quotes.
fn unquoted(path: &str) -> String {
    let mut plain = String::new();
    let mut quote = None;
    let mut signs = path.chars();
    while let Some(sign) = signs.next() {
        match quote {
            Some(_) if sign == '\\' => drop(signs.next()),
            Some(open) if sign == open => quote = None,
            Some(_) => {}
            None if sign == '\'' || sign == '"' => quote = Some(sign),
            None => plain.push(sign),
        }
    }
    plain
}

/// Refuses a path that could visit too many values: `..` may find a value once for each level above
/// it, a list of selectors once for each of them, and a `$` in a filter starts again for each value.
fn check_cost(path: &str, value: &Value) -> Result<(), String> {
    let plain = unquoted(path);
    let (nodes, depth) = size(value);
    let factors = [
        (depth, plain.matches("..").count()),
        (2, plain.matches(',').count()),
        (nodes, plain.matches('$').count().saturating_sub(1)),
    ];
    let mut visits = nodes;
    for (factor, times) in factors {
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        visits = visits.saturating_mul(factor.saturating_pow(times));
    }
    if visits <= MAX_VISITS {
        return Ok(());
    }
    Err("the query could take too long on so much data; use fewer .., fewer lists in brackets and no $ in \
         filters, or give a part of the data"
        .into())
}

/// How many values there are, and in how many levels.
fn size(value: &Value) -> (u64, u64) {
    let add = |sum: (u64, u64), item: (u64, u64)| (sum.0 + item.0, sum.1.max(item.1 + 1));
    match value {
        Value::Array(items) => items.iter().map(size).fold((1, 1), add),
        Value::Object(map) => map.values().map(size).fold((1, 1), add),
        _ => (1, 1),
    }
}

fn shown(found: &[&Value], whole: &Value) -> String {
    if found.is_empty() {
        return format!("[]\n(nothing matches; {})", outline(whole));
    }
    let mut out = String::from("[");
    let mut count = 0;
    for value in found.iter().take(MAX_RESULTS) {
        let value = value.to_string();
        if count > 0 && out.len() + value.len() > MAX_LIST_BYTES {
            break;
        }
        if count > 0 {
            out.push(',');
        }
        out.push_str(&value);
        count += 1;
    }
    out.push(']');
    if count < found.len() {
        out.push_str(&format!("\n(the first {count} of {} matches)", found.len()));
    }
    out
}

/// What the data is, for whoever asked for a key that it does not have.
fn outline(value: &Value) -> String {
    match value {
        Value::Object(map) => format!("$ is an object with {}", keys(map)),
        Value::Array(items) => match items.first() {
            Some(Value::Object(map)) => {
                format!("$ is an array of {}, the first an object with {}", items.len(), keys(map))
            }
            _ => format!("$ is an array of {}", items.len()),
        },
        other => format!("$ is {}", shortened(&other.to_string(), 60)),
    }
}

fn keys(map: &serde_json::Map<String, Value>) -> String {
    let names: Vec<String> = map.keys().take(MAX_KEYS).map(|it| shortened(it, 40)).collect();
    let more = if map.len() > MAX_KEYS { ", …" } else { "" };
    format!("the keys {}{more}", names.join(", "))
}
