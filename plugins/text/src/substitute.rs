//! Replacing.

use regex::{Captures, Regex};

use crate::limits::{MAX_TEXT_BYTES, check_size};
use crate::search::compiled;

/// The most bytes of a replacement.
const MAX_REPLACEMENT_BYTES: usize = 64 << 10;

/// Replaces all matches of a regular expression.
///
/// # Errors
/// When the pattern or the replacement is wrong, nothing matches, or the result is too long.
pub fn replace(text: &str, pattern: &str, replacement: &str, ignore_case: bool) -> Result<String, String> {
    check_size("the text", text, MAX_TEXT_BYTES)?;
    check_size("the replacement", replacement, MAX_REPLACEMENT_BYTES)?;
    let regex = compiled(pattern, ignore_case)?;
    let parts = parts(replacement, &regex)?;
    let mut out = String::new();
    let mut copied = 0;
    let mut count = 0;
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[copied..whole.start()]);
        copied = whole.end();
        count += 1;
        fill(&mut out, &parts, &found);
        if out.len() > MAX_TEXT_BYTES {
            return Err(format!("the new text would have more than {MAX_TEXT_BYTES} bytes; replace less"));
        }
    }
    if count == 0 {
        return Err(format!("nothing in the text matches {pattern:?}, so nothing was replaced"));
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

/// A piece of a replacement.
enum Part<'a> {
    Text(&'a str),
    Group(usize),
}

fn fill(out: &mut String, parts: &[Part<'_>], found: &Captures<'_>) {
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Group(group) => out.push_str(found.get(*group).map_or("", |it| it.as_str())),
        }
    }
}

/// Cuts a replacement into pieces. A group that the pattern lacks is refused: the `regex` crate
/// would put nothing there, and `$1a` would be a group of that name.
fn parts<'a>(replacement: &'a str, regex: &Regex) -> Result<Vec<Part<'a>>, String> {
    let mut parts = Vec::new();
    let mut rest = replacement;
    while let Some(at) = rest.find(['$', '\\']) {
        let (before, sign) = rest.split_at(at);
        parts.push(Part::Text(before));
        let after = &sign[1..];
        let name = if sign.starts_with('$') { name(after)? } else { digits(after).map(|it| (it, it.len())) };
        if let Some((name, length)) = name {
            parts.push(Part::Group(group(name, regex)?));
            rest = &after[length..];
        } else {
            parts.push(Part::Text(&sign[..1]));
            // `$$` is one dollar.
            rest = if sign.starts_with("$$") { &after[1..] } else { after };
        }
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// The name of a group after a dollar and how long it is written.
fn name(after: &str) -> Result<Option<(&str, usize)>, String> {
    if let Some(braced) = after.strip_prefix('{') {
        let end = braced.find('}').ok_or("in the replacement a { after $ has no }; write $$ for a dollar")?;
        return Ok(Some((&braced[..end], end + 2)));
    }
    if let Some(digits) = digits(after) {
        return Ok(Some((digits, digits.len())));
    }
    let end = after.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(after.len());
    Ok((end > 0).then(|| (&after[..end], end)))
}

fn digits(text: &str) -> Option<&str> {
    let end = text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

fn group(name: &str, regex: &Regex) -> Result<usize, String> {
    let found = match name.parse::<usize>() {
        Ok(number) => (number < regex.captures_len()).then_some(number),
        Err(_) => regex.capture_names().position(|it| it == Some(name)),
    };
    let names: Vec<&str> = regex.capture_names().flatten().collect();
    let named = if names.is_empty() { String::new() } else { format!(", named {}", names.join(", ")) };
    found.ok_or_else(|| {
        format!(
            "the replacement has group {name:?}, and the pattern has {} groups{named}; write $$ for a dollar",
            regex.captures_len() - 1
        )
    })
}
