//! The tool `write`: a file made, replaced or added to.

use crate::change::{Before, Change, How, MAX_FILE_BYTES};
use crate::disk::Disk;
use crate::path::{Last, locate};
use crate::text::{count, lines, size};

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It is made; an error where there is one.
    Create,
    /// Its content is replaced. It is made where there is none.
    Replace,
    /// The content is added at its end. It is made where there is none.
    Append,
}

/// Writes a text file and says what was done.
///
/// # Errors
/// When the path is not granted, the mode does not fit what is there, or it cannot be written.
pub fn write(disk: &dyn Disk, path: &str, content: &str, mode: Mode) -> Result<String, String> {
    let change = plan(disk, path, content, mode)?;
    change.apply(disk)?;
    let done = match (&change.before, change.how) {
        (Before::Nothing, _) => "made",
        (_, How::Whole) => "replaced",
        (_, How::Append) => "added to",
    };
    let lines = count(lines(content), "line", "lines");
    Ok(format!("{done} {}: {lines}, {}", change.at, size(content.len() as u64)))
}

/// What [`write()`] would change. Changes nothing.
///
/// # Errors
/// As [`write()`], as far as can be known before.
pub fn write_preview(disk: &dyn Disk, path: &str, content: &str, mode: Mode) -> Result<String, String> {
    Ok(plan(disk, path, content, mode)?.shown())
}

fn plan(disk: &dyn Disk, path: &str, content: &str, mode: Mode) -> Result<Change, String> {
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(format!(
            "the content has {}; at most {} are written at once: append the rest",
            size(content.len() as u64),
            size(MAX_FILE_BYTES)
        ));
    }
    let at = locate(disk, path, Last::Follow)?;
    if at.is_root() || path.ends_with('/') {
        return Err(format!("{at} is a folder; name a file in it"));
    }
    let before = Before::of(disk, &at)?;
    if mode == Mode::Create && before != Before::Nothing {
        return Err(format!("{at} is there already; use edit, or write with the mode replace or append"));
    }
    let how = if mode == Mode::Append { How::Append } else { How::Whole };
    let mut content = content.to_owned();
    // What is added begins on a line of its own.
    if how == How::Append && matches!(&before, Before::Text(old) if !old.is_empty() && !old.ends_with('\n')) {
        content.insert(0, '\n');
    }
    Ok(Change { at, before, content, how })
}
