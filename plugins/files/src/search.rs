//! The tool `search`: lines of files that hold some text.

use std::ops::ControlFlow;

use regex::bytes::{Regex, RegexBuilder};

use crate::disk::{Disk, Kind, Place};
use crate::path::{Last, locate, quoted};
use crate::stream::{NoLines, check_text, each_line};
use crate::text::{Output, count, size};
use crate::walk::{Passed, walk};

/// The most lines that are shown.
pub const MAX_MATCHES: usize = 100;
/// How much is read in all, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;
/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1_000;
/// How large the compiled pattern may be, in bytes.
const MAX_COMPILED_BYTES: usize = 2 << 20;
/// How deep a pattern may nest. The stack of a guest is small.
const MAX_NESTED: u32 = 40;
/// How much of a line is shown, in bytes, and how much of that before the match.
const SHOWN_BYTES: usize = 240;
const BEFORE_BYTES: usize = 80;

/// A search on its way.
struct Search<'a> {
    disk: &'a dyn Disk,
    regex: Regex,
    found: Vec<(Place, usize, String)>,
    files: usize,
    not_text: usize,
    bytes_left: u64,
    is_cut: bool,
    is_full: bool,
}

/// The lines that match, of a file or of the files below a folder.
///
/// # Errors
/// When the pattern is not right, or the path is not there or not granted.
pub fn search(disk: &dyn Disk, path: &str, pattern: &str, is_regex: bool) -> Result<String, String> {
    let regex = compiled(pattern, is_regex)?;
    let place = locate(disk, path, Last::Follow)?;
    let stat = disk.stat(&place).map_err(|fault| fault.words("search", &place))?;
    let mut search = Search {
        disk,
        regex,
        found: Vec::new(),
        files: 0,
        not_text: 0,
        bytes_left: MAX_BYTES,
        is_cut: false,
        is_full: false,
    };
    let mut passed = Passed::default();
    if stat.kind == Kind::Folder {
        passed = walk(disk, &place, true, &mut |file, entry| {
            // What cannot be read is passed over: the walk is about the rest.
            if entry.kind == Kind::File && search.file(&file).is_err() {
                search.not_text += 1;
            }
            !search.is_full && !search.is_cut
        })
        .map_err(|fault| fault.words("search", &place))?;
    } else {
        search.file(&place).map_err(|no| no.words(&place))?;
    }
    Ok(search.shown(&place, pattern, passed))
}

fn compiled(pattern: &str, is_regex: bool) -> Result<Regex, String> {
    if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
        return Err(format!("the pattern must have 1 to {MAX_PATTERN_BYTES} bytes"));
    }
    if pattern.contains('\n') {
        return Err("the pattern has a line break; lines are searched one by one: search for one line".into());
    }
    let text = if is_regex { pattern.to_owned() } else { regex::escape(pattern) };
    RegexBuilder::new(&text)
        .case_insensitive(!pattern.chars().any(char::is_uppercase))
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTED)
        .build()
        .map_err(|error| {
            let said = error.to_string();
            let reason = said.lines().last().unwrap_or("it cannot be read").trim_start_matches("error: ");
            format!(
                "{} is no regular expression: {reason}; without is-regex it is plain text",
                quoted(pattern)
            )
        })
}

impl Search<'_> {
    fn file(&mut self, place: &Place) -> Result<(), NoLines> {
        check_text(self.disk, place)?;
        self.files += 1;
        let mut number = 0;
        let (regex, found) = (&self.regex, &mut self.found);
        let mut is_full = false;
        let (bytes, goes_on) = each_line(self.disk, place, self.bytes_left, &mut |line| {
            number += 1;
            let Some(at) = regex.find(line) else { return ControlFlow::Continue(()) };
            if found.len() == MAX_MATCHES {
                is_full = true;
                return ControlFlow::Break(());
            }
            found.push((place.clone(), number, excerpt(line, at.start())));
            ControlFlow::Continue(())
        })?;
        self.bytes_left = self.bytes_left.saturating_sub(bytes);
        self.is_cut |= goes_on;
        self.is_full |= is_full;
        Ok(())
    }

    fn shown(mut self, place: &Place, pattern: &str, passed: Passed) -> String {
        let mut output = Output::default();
        if self.found.is_empty() {
            let files = count(self.files, "file", "files");
            output.line(&format!("no line with {} in {place} ({files} searched)", quoted(pattern)));
        }
        self.found.sort_by(|(one, n, _), (two, m, _)| one.parts().cmp(two.parts()).then(n.cmp(m)));
        for (file, number, text) in &self.found {
            self.is_full |= !output.line(&format!("{file}:{number}: {text}"));
        }
        if self.is_full {
            output.note(&format!(
                "cut: at most {MAX_MATCHES} lines are shown; narrow the pattern or name a deeper folder"
            ));
        }
        if self.is_cut {
            output.note(&format!("stopped after {} were read; name a deeper folder", size(MAX_BYTES)));
        }
        if self.not_text > 0 {
            let files = count(self.not_text, "file", "files");
            output.note(&format!("{files} passed over: no text, or not readable"));
        }
        passed.notes(&mut output);
        output.finish()
    }
}

/// The part of a line around a match, on one line.
fn excerpt(line: &[u8], at: usize) -> String {
    let from = if line.len() <= SHOWN_BYTES { 0 } else { at.saturating_sub(BEFORE_BYTES) };
    let to = line.len().min(from + SHOWN_BYTES);
    // A character that is cut at either end is left out.
    let starts = |index: usize| line.get(index).is_none_or(|byte| byte & 0xc0 != 0x80);
    let from = (from..to).find(|index| starts(*index)).unwrap_or(from);
    let to = (from..=to).rev().find(|index| starts(*index)).unwrap_or(to);
    let text = String::from_utf8_lossy(&line[from..to]);
    let text: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let (before, after) = (if from > 0 { "…" } else { "" }, if to < line.len() { "…" } else { "" });
    format!("{before}{text}{after}")
}
