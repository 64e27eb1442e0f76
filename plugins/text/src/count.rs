//! Counting.

use crate::limits::{MAX_TEXT_BYTES, check_size, shortened};

/// How many lines, words, characters and bytes a text has, or how often a part is in it.
///
/// # Errors
/// When the text is too long, or the part is empty.
pub fn count(text: &str, part: Option<&str>) -> Result<String, String> {
    check_size("the text", text, MAX_TEXT_BYTES)?;
    match part {
        Some("") => Err("the part to count is empty; leave it out to count words and characters".into()),
        Some(part) => Ok(occurrences(text, part)),
        None => Ok(totals(text)),
    }
}

fn totals(text: &str) -> String {
    let characters = text.chars().count();
    let spaces = text.chars().filter(|it| it.is_whitespace()).count();
    format!(
        "lines: {}, words: {}, characters: {characters} ({} without white space), bytes: {}",
        text.lines().count(),
        text.split_whitespace().count(),
        characters - spaces,
        text.len()
    )
}

/// Both cases are told, because a question such as "how many r" seldom says which it means.
fn occurrences(text: &str, part: &str) -> String {
    let exact = text.matches(part).count();
    let any = text.to_lowercase().matches(&part.to_lowercase()).count();
    let shown = shortened(part, 60);
    if any > exact {
        format!("{} {shown:?}; {} when upper and lower case are the same", times(exact), times(any))
    } else {
        format!("{} {shown:?}", times(exact))
    }
}

fn times(count: usize) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}
