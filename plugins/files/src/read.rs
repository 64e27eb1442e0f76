//! The tool `read`: a text file, or some of its lines.

use std::ops::ControlFlow;

use crate::disk::Disk;
use crate::path::{Last, locate};
use crate::stream::{check_text, each_line};
use crate::text::{MAX_OUTPUT_BYTES, count, cut, size};

/// The largest file of which lines are counted, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// What goes after the text, so that it is not taken for a part of it.
fn note(text: &mut String, note: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&format!("[{note}]"));
}

/// The lines of a file from `first` to `last`, counted from 1, as many as fit.
///
/// # Errors
/// When it is no text, is not granted, or has no such lines.
pub fn read(disk: &dyn Disk, path: &str, first: Option<u32>, last: Option<u32>) -> Result<String, String> {
    let first = first.unwrap_or(1).max(1) as usize;
    let last = last.map_or(usize::MAX, |last| last as usize);
    if last < first {
        return Err(format!("last-line {last} is before first-line {first}"));
    }
    let place = locate(disk, path, Last::Follow)?;
    let bytes = check_text(disk, &place).map_err(|no| no.words(&place))?;
    let mut text = String::new();
    let mut shown = 0;
    let mut total = 0;
    let mut is_strange = false;
    let mut is_full = false;
    let mut is_line_cut = false;
    let (_, goes_on) = each_line(disk, &place, MAX_FILE_BYTES, &mut |line| {
        total += 1;
        if total < first || total > last || is_full {
            return ControlFlow::Continue(());
        }
        let line = if total == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        let line = String::from_utf8_lossy(line);
        is_strange |= line.contains(char::REPLACEMENT_CHARACTER);
        let room = MAX_OUTPUT_BYTES - text.len();
        if line.len() < room {
            text.push_str(&line);
            text.push('\n');
            shown = total;
        } else {
            is_full = true;
            if total == first {
                text = cut(&line, MAX_OUTPUT_BYTES);
                shown = total;
                is_line_cut = true;
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(|fault| fault.words("read", &place))?;
    if total == 0 {
        return Ok("[the file is empty]".into());
    }
    if first > total {
        return Err(format!("{place} has only {}", count(total, "line", "lines")));
    }
    text.truncate(text.trim_end_matches('\n').len());
    if is_line_cut {
        note(&mut text, &format!("line {first} is longer than what can be shown"));
    }
    let more = if goes_on { " and more" } else { "" };
    if shown < total || goes_on {
        let next =
            if shown < total { format!("; go on with first-line {}", shown + 1) } else { String::new() };
        note(&mut text, &format!("lines {first} to {shown} of {total}{more}, {}{next}", size(bytes)));
    } else if first > 1 {
        note(&mut text, &format!("lines {first} to {shown}, the last"));
    }
    if is_strange {
        note(&mut text, "not all of it is UTF-8: \u{fffd} stands for what is not");
    }
    Ok(text)
}
