//! Markdown: headings, fenced blocks, lists, tables, paragraphs.
//! Source: <https://spec.commonmark.org/0.31.2/> (ATX and setext headings, fences).

use super::{Headings, Line, lines, rank};

/// Before a fenced block.
const FENCE: u8 = 42;
/// Before a list item that follows an empty line.
const ITEM: u8 = 34;
/// Before a heading of the first level; deeper ones are worth a little less.
const HEADING: u8 = 100;
/// A line indented by so much or more is no heading and no fence, in spaces.
const INDENT_MAX: usize = 3;
/// Levels of headings.
const LEVEL_MAX: u32 = 6;

/// The mark that opened a fenced block: its character and how many.
type Fence = (u8, usize);

pub(super) fn rank(text: &str, headings: &mut Headings) -> Vec<Line> {
    let mut ranked: Vec<Line> = Vec::new();
    let mut block = Block::Open;
    // Whether nothing but empty lines came since the last heading.
    let mut at_heading = false;
    for (number, (start, line)) in (1..).zip(lines(text)) {
        let after_blank = ranked.last().is_none_or(|line| line.blank);
        let blank = line.bytes().all(|byte| byte.is_ascii_whitespace());
        let mut this = Line { start, number, rank: 0, blank, label: false, heading: headings.current() };
        if let Some(rank) = block.rank_within(line, number, after_blank) {
            this.rank = rank;
        } else if let Some((level, name)) = heading(line) {
            this.heading = headings.open(level, name);
            this.label = true;
            this.rank = heading_rank(level);
        } else if let Some((level, name)) = ranked.last().and_then(|above| underlined(text, above, line)) {
            this.heading = headings.open(level, name);
            this.label = true;
            if let Some(above) = ranked.last_mut() {
                *above = Line { heading: this.heading, label: true, rank: heading_rank(level), ..*above };
            }
        } else if !blank {
            this.rank = paragraph_rank(line, after_blank);
        }
        // What follows a heading directly stays with it, another heading too.
        if at_heading {
            this.rank = this.rank.min(rank::WITHIN);
        }
        if blank {
            this.rank = 0;
        } else {
            at_heading = this.label;
        }
        ranked.push(this);
    }
    ranked
}

/// What the lines at hand are inside of.
enum Block {
    Open,
    FrontMatter,
    Fenced(Fence),
}

impl Block {
    /// The rank of a line that is part of a fenced block or of front matter; none of others.
    fn rank_within(&mut self, line: &str, number: u32, after_blank: bool) -> Option<u8> {
        match *self {
            Self::Open if number == 1 && line == "---" => {
                *self = Self::FrontMatter;
                Some(rank::LINE)
            }
            Self::Open => {
                *self = Self::Fenced(opens(line)?);
                Some(FENCE)
            }
            Self::FrontMatter => {
                if line == "---" || line == "..." {
                    *self = Self::Open;
                }
                Some(rank::WITHIN)
            }
            Self::Fenced(fence) if closes(line, fence) => {
                *self = Self::Open;
                Some(0)
            }
            Self::Fenced(_) => Some(if after_blank { rank::LINE } else { rank::WITHIN }),
        }
    }
}

fn paragraph_rank(line: &str, after_blank: bool) -> u8 {
    match (after_blank, starts_item(line)) {
        (true, true) => ITEM,
        (true, false) => rank::PARAGRAPH,
        (false, true) => rank::LINE * 2,
        (false, false) if line.starts_with('|') => rank::WITHIN,
        (false, false) => rank::LINE,
    }
}

fn heading_rank(level: u32) -> u8 {
    HEADING - 4 * level as u8
}

/// The line without its indentation, if that is small enough for a mark.
fn unindented(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches(' ');
    (line.len() - rest.len() <= INDENT_MAX).then_some(rest)
}

/// `## Name ##` as (2, "Name").
fn heading(line: &str) -> Option<(u32, &str)> {
    let rest = unindented(line)?;
    let name = rest.trim_start_matches('#');
    let level = u32::try_from(rest.len() - name.len()).ok()?;
    let is_heading = (1..=LEVEL_MAX).contains(&level) && (name.is_empty() || name.starts_with([' ', '\t']));
    is_heading.then(|| (level, name.trim().trim_end_matches('#').trim_end()))
}

/// A line of `=` or `-` under a one-line paragraph makes it a heading.
fn underlined<'text>(text: &'text str, above: &Line, line: &str) -> Option<(u32, &'text str)> {
    let mark = unindented(line)?.trim_end();
    let level = match mark.as_bytes().first()? {
        b'=' => 1,
        b'-' => 2,
        _ => return None,
    };
    let is_mark = mark.len() >= 2 && mark.bytes().all(|byte| byte == mark.as_bytes()[0]);
    let is_paragraph = !above.blank && above.rank == rank::PARAGRAPH;
    let name = text.get(above.start..)?.lines().next()?;
    (is_mark && is_paragraph && !name.starts_with(['|', '>', ' '])).then_some((level, name))
}

fn opens(line: &str) -> Option<Fence> {
    let rest = unindented(line)?;
    let mark = *rest.as_bytes().first().filter(|byte| matches!(byte, b'`' | b'~'))?;
    let count = rest.bytes().take_while(|byte| *byte == mark).count();
    let is_inline = mark == b'`' && rest[count..].contains('`');
    (count >= 3 && !is_inline).then_some((mark, count))
}

fn closes(line: &str, (mark, count): Fence) -> bool {
    let rest = line.trim();
    rest.len() >= count && rest.bytes().all(|byte| byte == mark)
}

fn starts_item(line: &str) -> bool {
    let rest = line.trim_start();
    let after_number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    rest.starts_with("- ")
        || rest.starts_with("* ")
        || rest.starts_with("+ ")
        || after_number.len() < rest.len()
            && (after_number.starts_with(". ") || after_number.starts_with(") "))
}
