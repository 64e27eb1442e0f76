//! From the text of a script to its head and steps.

use std::path::Path;

use serde_json::Value;

use super::error::{Problem, ScriptError};
use super::head::{self, Head};
use super::{MAX_NAME_BYTES, MAX_SCRIPT_BYTES, MAX_STEPS, Script, Step, check};

/// A problem and its line.
type At = (usize, Problem);

impl Script {
    /// Reads a script and checks all that can be checked before it runs: its head, the order
    /// of its steps, its schemas, and that every name in `{{…}}` is bound before it is used.
    ///
    /// # Errors
    /// The first problem, with its line and what to do. `path` is for messages, and gives the
    /// name when the head gives none; the file is not read.
    pub fn parse(source: &str, path: &Path) -> Result<Self, ScriptError> {
        let script = read(source, path)
            .and_then(|script| check::names(&script).map(|()| script))
            .map_err(|(line, problem)| ScriptError { path: path.to_path_buf(), line, problem })?;
        Ok(script)
    }
}

/// Whether a text can name a parameter or a result.
pub(super) fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read(source: &str, path: &Path) -> Result<Script, At> {
    if source.len() > MAX_SCRIPT_BYTES {
        return Err((1, Problem::TooLong));
    }
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let lines: Vec<&str> = source.lines().collect();
    let (head, body) = split_head(&lines)?;
    let steps = blocks(&lines, body)?.into_iter().map(step).collect::<Result<Vec<_>, _>>()?;
    if steps.is_empty() {
        return Err((lines.len().max(1), Problem::NoSteps));
    }
    let of_file = || path.file_stem().map_or("script".into(), |stem| stem.to_string_lossy().into());
    Ok(Script {
        name: head.name.unwrap_or_else(of_file),
        path: path.to_path_buf(),
        params: head.params,
        mounts: head.mounts,
        steps,
    })
}

/// The head, and the index of the first line after it.
fn split_head(lines: &[&str]) -> Result<(Head, usize), At> {
    let is_mark = |line: &&str| line.trim_end() == "---";
    let start = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(0);
    if !lines.get(start).is_some_and(is_mark) {
        return Ok((Head::default(), start));
    }
    let body = start + 1;
    let length = lines[body..].iter().position(is_mark);
    let end = body + length.ok_or((start + 1, Problem::OpenHead))?;
    Ok((head::parse(&lines[body..end], body + 1)?, end + 1))
}

/// A step's own lines, still as they are written.
struct Block<'a> {
    number: usize,
    /// Each with its number in the file, and without the step's indentation.
    lines: Vec<(usize, &'a str)>,
}

/// Finds the steps. What stands before, between and after them is for readers.
fn blocks<'a>(lines: &[&'a str], body: usize) -> Result<Vec<Block<'a>>, At> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    let mut fence = Fence::default();
    let mut inside = false;
    let mut indent = 0;
    let mut after_blank = false;
    for (n, line) in lines.iter().enumerate().skip(body) {
        let (number, was_open) = (n + 1, fence.is_open());
        fence.see(line, number);
        if !was_open && let Some((written, text)) = numbered(line) {
            let expected = blocks.len() + 1;
            if written != expected.to_string() {
                return Err((number, Problem::OutOfOrder { found: written.into(), expected }));
            }
            if expected > MAX_STEPS {
                return Err((number, Problem::TooManySteps));
            }
            indent = line.len() - text.len();
            // A fence may begin right after the number.
            fence.see(text, number);
            blocks.push(Block { number: expected, lines: vec![(number, text)] });
            (inside, after_blank) = (true, false);
            continue;
        }
        let blank = line.trim().is_empty();
        let outdented = !line.starts_with([' ', '\t']);
        // As Markdown has it: a paragraph goes on without indentation, but not after a blank line.
        let ends = !was_open && !blank && outdented && (after_blank || line.starts_with('#'));
        inside = inside && !ends;
        after_blank = blank;
        if inside && let Some(block) = blocks.last_mut() {
            block.lines.push((number, dedent(line, indent)));
        }
    }
    match fence.open {
        Some((line, ..)) => Err((line, Problem::OpenFence)),
        None => Ok(blocks),
    }
}

/// The number and the text of a line like `12. text` or `12) text` at the margin.
fn numbered(line: &str) -> Option<(&str, &str)> {
    const MAX_DIGITS: usize = 9;
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || digits > MAX_DIGITS {
        return None;
    }
    let rest = line[digits..].strip_prefix(['.', ')'])?;
    let is_item = rest.is_empty() || rest.starts_with([' ', '\t']);
    is_item.then(|| (&line[..digits], rest.trim_start()))
}

fn dedent(line: &str, indent: usize) -> &str {
    let spaces = line.bytes().take(indent).take_while(|b| matches!(b, b' ' | b'\t')).count();
    &line[spaces..]
}

/// Follows the fenced blocks of a Markdown text.
#[derive(Default)]
struct Fence {
    /// The line, mark and length of the fence that is open.
    open: Option<(usize, char, usize)>,
}

impl Fence {
    fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn see(&mut self, line: &str, number: usize) {
        let text = line.trim();
        let Some(mark) = text.chars().next().filter(|c| matches!(c, '`' | '~')) else { return };
        let length = text.chars().take_while(|c| *c == mark).count();
        if length < 3 {
            return;
        }
        match self.open {
            None => {
                // "```x```" is a code span in a line of its own.
                if !text[length..].contains(mark) {
                    self.open = Some((number, mark, length));
                }
            }
            Some((_, open, at_least)) => {
                if mark == open && length >= at_least && text.len() == length {
                    self.open = None;
                }
            }
        }
    }
}

/// Takes the name and the schema out of a step's lines; the rest is its text.
fn step(block: Block<'_>) -> Result<Step, At> {
    let line = block.lines.first().map_or(1, |(line, _)| *line);
    let mut bind = None;
    let mut schema = None;
    let mut text: Vec<&str> = Vec::new();
    let mut fence = Fence::default();
    let mut lines = block.lines.into_iter().peekable();
    while let Some((at, written)) = lines.next() {
        let was_open = fence.is_open();
        fence.see(written, at);
        if was_open || fence.is_open() {
            text.push(written);
            continue;
        }
        if let Some(inline) = written.trim().strip_prefix("as:") {
            if schema.is_some() {
                return Err((at, Problem::TwoSchemas));
            }
            let (at, source) = match inline.trim() {
                "" => fenced(&mut lines, at)?,
                inline => (at, inline.to_owned()),
            };
            schema = Some(read_schema(&source, at)?);
            continue;
        }
        let (rest, name) = bound(written);
        if let Some(name) = name {
            if bind.is_some() {
                return Err((at, Problem::TwoNames));
            }
            if !is_name(name) {
                return Err((at, Problem::BadName(name.into())));
            }
            bind = Some(name.to_owned());
        }
        text.push(rest);
    }
    let text = text.join("\n").trim().to_owned();
    if text.is_empty() {
        return Err((line, Problem::EmptyStep));
    }
    Ok(Step { number: block.number, line, text, bind, schema })
}

/// Splits `text -> name`. What follows the arrow is a name when it is one word.
fn bound(line: &str) -> (&str, Option<&str>) {
    let Some(at) = line.rfind("->") else { return (line, None) };
    let (before, name) = (&line[..at], line[at + 2..].trim());
    let apart = before.is_empty() || before.ends_with([' ', '\t']);
    let word = !name.is_empty() && !name.contains(char::is_whitespace) && !name.contains('`');
    if apart && word { (before.trim_end(), Some(name)) } else { (line, None) }
}

/// The content of the fenced block that follows, and its first line.
fn fenced<'a>(
    lines: &mut impl Iterator<Item = (usize, &'a str)>,
    after: usize,
) -> Result<(usize, String), At> {
    let mut fence = Fence::default();
    let mut content: Vec<&str> = Vec::new();
    let mut first = after;
    for (at, line) in lines {
        let was_open = fence.is_open();
        fence.see(line, at);
        match (was_open, fence.is_open()) {
            (false, true) => first = at + 1,
            (true, true) => content.push(line),
            (true, false) => return Ok((first, content.join("\n"))),
            (false, false) if line.trim().is_empty() => {}
            (false, false) => break,
        }
    }
    Err((after, Problem::BadSchema("there is none on the line, and no fenced block follows".into())))
}

/// Reads a schema, and sees that it is one.
fn read_schema(source: &str, at: usize) -> Result<Value, At> {
    let bad = |line: usize, reason| (line, Problem::BadSchema(reason));
    let schema: Value =
        head::read(source).map_err(|(line, reason)| bad(at + line.saturating_sub(1), reason))?;
    if !schema.is_object() {
        return Err(bad(at, format!("{} is no object", head::one_line(&schema.to_string()))));
    }
    match jsonschema::validator_for(&schema) {
        Ok(_) => Ok(schema),
        Err(error) => Err(bad(at, head::one_line(&error.to_string()))),
    }
}
