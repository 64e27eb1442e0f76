//! Cuts a text into pages along its structure, in time linear in its length.
//!
//! Every line gets a rank: how good a place its beginning is for a page to begin. Pages are then
//! taken from the front, each ending at the best place within its size limits. The splitters of
//! the crate text-splitter were measured for this: its code splitter reads 2 MB/s and its
//! Markdown splitter 37 MB/s where indexing alone runs at 80, and one unbroken line of 3 MB keeps
//! it busy for 87 s. It serves where it is best and the input can be bounded: to break long lines
//! of prose between sentences (see [`long`]).

mod code;
mod long;
mod markdown;
mod plain;

use std::ops::Range;

/// Pages are about this long, in bytes.
pub const PAGE_BYTES_TARGET: usize = 700;
/// No page is longer, in bytes.
pub const PAGE_BYTES_MAX: usize = 1_000;
/// A page shorter than this is ended only where it must be, in bytes.
const PAGE_BYTES_MIN: usize = 160;
/// A place of at least this rank ends a page that is long enough, whatever comes after.
const RANK_HARD: u8 = 76;
/// How much being near the target length counts, in ranks.
const NEARNESS: usize = 40;
/// Headings are cut to this length, in bytes.
const HEADING_BYTES_MAX: usize = 80;
/// Headings are nested at most this deep.
const HEADING_DEPTH_MAX: u32 = 8;
/// A text has at most this many headings; what follows stands under the last ones.
const HEADINGS_MAX: usize = 20_000;

/// The ranks that all kinds of text share.
mod rank {
    /// Between the parts of something that should stay whole.
    pub(super) const WITHIN: u8 = 3;
    /// Any line.
    pub(super) const LINE: u8 = 8;
    /// After an empty line.
    pub(super) const PARAGRAPH: u8 = 40;
}

/// A page: a range of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    /// Bytes of the text.
    pub(crate) bytes: Range<usize>,
    /// First and last line, from 1.
    pub(crate) lines: (u32, u32),
    /// Which of [`Cut::headings`] it stands under.
    pub(crate) heading: u32,
}

/// A text cut into pages that follow each other without a gap.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// The pages, in order.
    pub(crate) pages: Vec<Page>,
    headings: Headings,
}

impl Cut {
    /// The headings above a page, outermost first, joined by ` > `.
    pub(crate) fn heading(&self, page: &Page) -> &str {
        self.headings.path(page.heading)
    }

    /// Puts all pages under one heading.
    pub(crate) fn put_under(&mut self, heading: &str) {
        let node = self.headings.open(0, heading);
        for page in &mut self.pages {
            page.heading = node;
        }
    }
}

/// What a text is, as far as its structure goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Markdown.
    Markdown,
    /// A programming language or a data format: lines, indented.
    Code(code::Family),
    /// Anything else.
    Plain,
}

impl Kind {
    /// Tells by the name's ending.
    pub(crate) fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        match ending.as_str() {
            "md" | "markdown" | "mdx" | "mdown" | "mkd" | "qmd" | "rmd" => Self::Markdown,
            other => code::Family::of(other).map_or(Self::Plain, Self::Code),
        }
    }
}

/// One line, or a piece of one that is too long for a page.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: usize,
    /// Its number, from 1.
    number: u32,
    /// How good a place its start is for a page to begin.
    rank: u8,
    /// Whether it is all white space.
    blank: bool,
    /// Whether it only names what follows.
    label: bool,
    heading: u32,
}

/// Cuts a text of this kind.
pub(crate) fn cut(text: &str, kind: Kind) -> Cut {
    let mut headings = Headings::default();
    let lines = match kind {
        Kind::Markdown => markdown::rank(text, &mut headings),
        Kind::Code(family) => code::rank(text, family, &mut headings),
        Kind::Plain => plain::rank(text),
    };
    let lines = long::break_up(text, lines);
    let pages = paginate(text.len(), &lines, &headings);
    Cut { pages, headings }
}

/// Takes pages from the front of the lines until none is left.
fn paginate(text_bytes: usize, lines: &[Line], headings: &Headings) -> Vec<Page> {
    let mut pages = Vec::with_capacity(text_bytes / PAGE_BYTES_TARGET + 1);
    let mut first = 0;
    while first < lines.len() {
        let end = end_of_page(text_bytes, lines, first);
        let taken = &lines[first..end];
        let bytes_end = lines.get(end).map_or(text_bytes, |line| line.start);
        pages.push(Page {
            bytes: taken[0].start..bytes_end,
            lines: (taken[0].number, taken[taken.len() - 1].number),
            heading: headings.shared(taken),
        });
        first = end;
    }
    pages
}

/// The line before which the page that begins at `first` ends.
fn end_of_page(text_bytes: usize, lines: &[Line], first: usize) -> usize {
    let start = lines[first].start;
    if text_bytes - start <= PAGE_BYTES_TARGET && !has_hard_break(lines, first) {
        return lines.len();
    }
    let (mut best, mut best_value) = (first + 1, 0);
    for (index, line) in lines.iter().enumerate().skip(first + 1) {
        let bytes = line.start - start;
        if bytes > PAGE_BYTES_MAX {
            return best;
        }
        if bytes >= PAGE_BYTES_MIN && line.rank >= RANK_HARD {
            return index;
        }
        // Too short a page is taken only when nothing better comes.
        let is_short = bytes < PAGE_BYTES_MIN;
        let value = if is_short { 0 } else { usize::from(line.rank) + nearness(bytes) };
        if is_short || value >= best_value {
            (best, best_value) = (index, value);
        }
    }
    if text_bytes - start <= PAGE_BYTES_MAX { lines.len() } else { best }
}

fn has_hard_break(lines: &[Line], first: usize) -> bool {
    let start = lines[first].start;
    lines[first + 1..].iter().any(|line| line.rank >= RANK_HARD && line.start - start >= PAGE_BYTES_MIN)
}

/// 0 at no length and at the most, [`NEARNESS`] at the target.
fn nearness(bytes: usize) -> usize {
    if bytes <= PAGE_BYTES_TARGET {
        NEARNESS * bytes / PAGE_BYTES_TARGET
    } else {
        NEARNESS * (PAGE_BYTES_MAX - bytes) / (PAGE_BYTES_MAX - PAGE_BYTES_TARGET)
    }
}

/// The lines of a text: start, content without the line end.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).chain([text.len()]);
    let mut start = 0;
    ends.filter_map(move |end| {
        let line = std::mem::replace(&mut start, end)..end;
        (!line.is_empty()).then(|| (line.start, text[line].trim_end_matches(['\n', '\r'])))
    })
}

/// All headings of a text as a tree; number 0 is the root, which has no name.
#[derive(Debug)]
struct Headings {
    nodes: Vec<Heading>,
    /// The headings that are open, outermost first, each with its level.
    open: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Heading {
    parent: u32,
    depth: u32,
    path: String,
}

impl Default for Headings {
    fn default() -> Self {
        Self { nodes: vec![Heading { parent: 0, depth: 0, path: String::new() }], open: Vec::new() }
    }
}

impl Headings {
    /// The innermost open heading.
    fn current(&self) -> u32 {
        self.open.last().map_or(0, |(_, node)| *node)
    }

    /// Closes all headings of this level and deeper ones.
    fn close(&mut self, level: u32) {
        while self.open.last().is_some_and(|(open, _)| *open >= level) {
            self.open.pop();
        }
    }

    /// Opens a heading of this level under the innermost one of a lower level.
    fn open(&mut self, level: u32, name: &str) -> u32 {
        self.close(level);
        let parent = self.current();
        let name = shorten(name, HEADING_BYTES_MAX);
        let above = &self.nodes[parent as usize];
        if name.is_empty() || above.depth >= HEADING_DEPTH_MAX || self.nodes.len() > HEADINGS_MAX {
            return parent;
        }
        let path = match above.path.as_str() {
            "" => name.to_owned(),
            above => format!("{above} > {name}"),
        };
        let depth = above.depth + 1;
        let node = u32::try_from(self.nodes.len()).unwrap_or(0);
        self.nodes.push(Heading { parent, depth, path });
        self.open.push((level, node));
        node
    }

    fn path(&self, node: u32) -> &str {
        &self.nodes[node as usize].path
    }

    /// The innermost heading that all lines with content stand under.
    fn shared(&self, lines: &[Line]) -> u32 {
        let content = lines.iter().filter(|line| !line.blank && !line.label);
        let labels = lines.iter().filter(|line| line.label);
        content
            .map(|line| line.heading)
            .reduce(|one, other| self.meet(one, other))
            .or_else(|| labels.map(|line| line.heading).reduce(|one, other| self.meet(one, other)))
            .unwrap_or(lines[0].heading)
    }

    /// The innermost heading above both, or the one that is above the other.
    fn meet(&self, mut one: u32, mut other: u32) -> u32 {
        while one != other {
            let deeper = if self.depth(one) > self.depth(other) { &mut one } else { &mut other };
            *deeper = self.nodes[*deeper as usize].parent;
        }
        one
    }

    fn depth(&self, node: u32) -> u32 {
        self.nodes[node as usize].depth
    }
}

/// The text up to this many bytes, ended between characters.
fn shorten(text: &str, bytes_max: usize) -> &str {
    let text = text.trim();
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or(text).trim_end()
}

#[cfg(test)]
mod tests;
