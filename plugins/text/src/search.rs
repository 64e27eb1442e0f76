//! Searching with regular expressions.

use regex::{Captures, Regex, RegexBuilder};

use crate::limits::{MAX_LIST_BYTES, MAX_RESULTS, MAX_TEXT_BYTES, check_size, shortened};

/// The most bytes of a pattern.
const MAX_PATTERN_BYTES: usize = 2_000;
/// What a compiled pattern and its cache may take, in bytes.
const MAX_COMPILED_BYTES: usize = 2 << 20;
/// How deep a pattern may nest; a guest's stack is small.
const MAX_NESTING: u32 = 50;
/// The most characters of a line, and of a group, that are shown.
const MAX_LINE_CHARS: usize = 300;

/// Compiles a pattern. `^` and `$` are the ends of a line, as with `grep`.
///
/// # Errors
/// When it is no regular expression, or too large.
pub(crate) fn compiled(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    if pattern.is_empty() {
        return Err("the pattern is empty".into());
    }
    check_size("the pattern", pattern, MAX_PATTERN_BYTES)?;
    RegexBuilder::new(pattern)
        .case_insensitive(ignore_case)
        .multi_line(true)
        .crlf(true)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_COMPILED_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large; repeat less in it".into(),
            // It shows the pattern with a mark below the place.
            error => format!("{error}"),
        })
}

/// The matches of a pattern: whole lines, or the groups when the pattern has some.
///
/// # Errors
/// When the pattern is wrong or the text too long.
pub fn find(text: &str, pattern: &str, ignore_case: bool) -> Result<String, String> {
    check_size("the text", text, MAX_TEXT_BYTES)?;
    let regex = compiled(pattern, ignore_case)?;
    let mut list = List { lines: Lines::new(text), out: String::new(), shown: 0, total: 0, last: 0 };
    if regex.captures_len() > 1 {
        for found in regex.captures_iter(text) {
            list.groups(&regex, &found);
        }
    } else {
        for found in regex.find_iter(text) {
            list.line(found.start());
        }
    }
    Ok(list.done())
}

struct List<'a> {
    lines: Lines<'a>,
    out: String,
    shown: usize,
    total: usize,
    /// The line that was shown last; 0 for none.
    last: usize,
}

impl List<'_> {
    fn has_room(&self) -> bool {
        self.shown < MAX_RESULTS && self.out.len() < MAX_LIST_BYTES
    }

    /// Shows the line of a match, once.
    fn line(&mut self, start: usize) {
        self.total += 1;
        if !self.has_room() {
            return;
        }
        self.shown += 1;
        let (number, line) = self.lines.at(start);
        if number != self.last {
            self.last = number;
            self.add(number, &around(line, start.saturating_sub(self.lines.start)));
        }
    }

    fn groups(&mut self, regex: &Regex, found: &Captures<'_>) {
        self.total += 1;
        if !self.has_room() {
            return;
        }
        self.shown += 1;
        let (number, _) = self.lines.at(found.get(0).map_or(0, |it| it.start()));
        let groups = regex.capture_names().zip(found.iter()).enumerate().skip(1);
        let groups: Vec<String> = groups
            .filter_map(|(index, (name, group))| {
                let name = name.map_or_else(|| index.to_string(), str::to_owned);
                Some(format!("{name}={:?}", shortened(group?.as_str(), MAX_LINE_CHARS)))
            })
            .collect();
        self.add(number, &groups.join(" "));
    }

    fn add(&mut self, number: usize, what: &str) {
        self.out.push_str(&format!("\n{number}: {what}"));
    }

    fn done(self) -> String {
        let matches = match self.total {
            0 => return "no match".into(),
            1 => "1 match".to_owned(),
            total => format!("{total} matches"),
        };
        if self.shown < self.total {
            format!("{matches}, the first {} by line:{}", self.shown, self.out)
        } else {
            format!("{matches}, by line:{}", self.out)
        }
    }
}

/// The part of a long line where the match is.
fn around(line: &str, at: usize) -> String {
    if line.len() <= MAX_LINE_CHARS {
        return line.to_owned();
    }
    let from = line.floor_char_boundary(at.saturating_sub(MAX_LINE_CHARS / 3));
    let front = if from > 0 { "…" } else { "" };
    format!("{front}{}", shortened(&line[from..], MAX_LINE_CHARS))
}

/// Numbers lines, for places that only go forward.
struct Lines<'a> {
    text: &'a str,
    number: usize,
    start: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, number: 1, start: 0 }
    }

    /// The number of the line at a byte, and the line.
    fn at(&mut self, byte: usize) -> (usize, &'a str) {
        let passed = self.text.get(self.start..byte).unwrap_or_default();
        if let Some(last) = passed.rfind('\n') {
            self.number += passed.matches('\n').count();
            self.start += last + 1;
        }
        let line = self.text[self.start..].lines().next().unwrap_or_default();
        (self.number, line)
    }
}
