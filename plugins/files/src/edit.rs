//! The tool `edit`: some text of a file replaced by other text.

use crate::change::{Before, Change, How, MAX_FILE_BYTES};
use crate::disk::Disk;
use crate::nearest::nearest;
use crate::path::{Last, locate};
use crate::text::{count, size};

/// The most lines that are named where a text is found more than once.
const MAX_NAMED: usize = 10;

/// Replaces text and returns the change as a unified diff.
///
/// # Errors
/// When `old` is not there, or is there more than once without `all`; and as for writing.
pub fn edit(disk: &dyn Disk, path: &str, old: &str, new: &str, all: bool) -> Result<String, String> {
    let change = plan(disk, path, old, new, all)?;
    change.apply(disk)?;
    Ok(change.shown())
}

/// What [`edit`] would change, as a unified diff. Changes nothing.
///
/// # Errors
/// As [`edit`], as far as can be known before.
pub fn edit_preview(disk: &dyn Disk, path: &str, old: &str, new: &str, all: bool) -> Result<String, String> {
    Ok(plan(disk, path, old, new, all)?.shown())
}

fn plan(disk: &dyn Disk, path: &str, old: &str, new: &str, all: bool) -> Result<Change, String> {
    if old.is_empty() {
        return Err("old is empty: give the text to replace, or use write".into());
    }
    if old == new {
        return Err("old and new are the same: nothing would change".into());
    }
    let at = locate(disk, path, Last::Follow)?;
    let text = match Before::of(disk, &at)? {
        Before::Text(text) => text,
        Before::Other(what) => return Err(format!("cannot edit {at}: it is {what}")),
        Before::Nothing => return Err(format!("there is no {at}; find it with find, or make it with write")),
    };
    let (old, new) = with_breaks_of(&text, old, new);
    let found: Vec<usize> = text.match_indices(&old).map(|(index, _)| index).collect();
    match found.len() {
        0 => return Err(format!("old is not in {at}; {}", nearest(&text, &old))),
        1 => {}
        _ if all => {}
        many => {
            let at_lines: Vec<String> =
                found.iter().take(MAX_NAMED).map(|index| line_of(&text, *index).to_string()).collect();
            let more = if many > MAX_NAMED { ", …" } else { "" };
            return Err(format!(
                "old is in {at} {many} times, on the lines {}{more}; give more of the text around it, or set all",
                at_lines.join(", ")
            ));
        }
    }
    let bytes = text.len() - found.len() * old.len() + found.len().saturating_mul(new.len());
    if bytes as u64 > MAX_FILE_BYTES {
        let times = count(found.len(), "place", "places");
        return Err(format!(
            "the file would have {} after changing {times}; that is too much",
            size(bytes as u64)
        ));
    }
    let content = text.replace(&old, &new);
    Ok(Change { at, before: Before::Text(text), content, how: How::Whole })
}

/// Both texts with line breaks as the file has them, which the model did not see.
fn with_breaks_of(text: &str, old: &str, new: &str) -> (String, String) {
    let plain = |text: &str| text.replace("\r\n", "\n");
    if text.contains(old) {
        (old.to_owned(), new.to_owned())
    } else if text.contains("\r\n") {
        (plain(old).replace('\n', "\r\n"), plain(new).replace('\n', "\r\n"))
    } else {
        (plain(old), plain(new))
    }
}

fn line_of(text: &str, index: usize) -> usize {
    text.as_bytes()[..index].iter().filter(|byte| **byte == b'\n').count() + 1
}
