//! Draws the blocks of Markdown: paragraphs, lists, quotes, code.

use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::inline::{Inline, OPTIONS, mask, task};
use super::markdown::Code;
use super::table;
use super::text::{columns, wrap};
use super::theme::Theme;

/// Lists and quotes within each other beyond this are drawn as if they were not.
const MAX_DEPTH: usize = 16;
/// The least columns that text is given; indents that leave less are dropped.
const MIN_COLUMNS: usize = 4;
/// The longest line that is drawn between blocks.
const MAX_RULE: usize = 40;
/// How often text right under a table may turn out to hold another one.
const MAX_TABLES: usize = 8;
const BAR: &str = "│ ";
const BULLET: &str = "• ";

/// What blocks can stand in.
#[derive(Debug, Clone)]
enum Container {
    Quote,
    /// The marker until it is drawn, and how many columns it takes.
    Item {
        marker: Option<String>,
        columns: usize,
    },
}

/// The block that is being read, unless it is plain text.
enum Block {
    None,
    Code { language: String, text: String },
    Table { sides: Vec<Alignment>, rows: Vec<Range<usize>> },
}

/// Draws one text.
pub(super) struct Page<'a, 'o> {
    source: &'a str,
    /// The source as it is parsed; each byte has the same place.
    masked: &'a str,
    width: usize,
    theme: Theme,
    code: Code<'a>,
    out: &'o mut Vec<Line<'static>>,
    containers: Vec<Container>,
    inline: Option<Inline<'a>>,
    block: Block,
    /// Up to where the source has been drawn.
    at: usize,
    /// The start of the line of the byte that was looked at last.
    line: (usize, usize),
    tables: usize,
}

impl<'a, 'o> Page<'a, 'o> {
    /// A page that adds its lines to `out`.
    pub fn new(
        source: &'a str,
        masked: &'a str,
        width: usize,
        theme: Theme,
        code: Code<'a>,
        out: &'o mut Vec<Line<'static>>,
    ) -> Self {
        Self {
            source,
            masked,
            width,
            theme,
            code,
            out,
            containers: Vec::new(),
            inline: None,
            block: Block::None,
            at: 0,
            line: (0, 0),
            tables: MAX_TABLES,
        }
    }

    /// Draws it all.
    pub fn draw(mut self) {
        let options = if self.tables > 0 { OPTIONS } else { OPTIONS.difference(Options::ENABLE_TABLES) };
        for (event, range) in Parser::new_ext(self.masked, options).into_offset_iter() {
            self.event(event, range);
        }
        self.flush();
        self.skip_lines(self.source.len());
    }

    fn event(&mut self, event: Event<'a>, range: Range<usize>) {
        match (event, &mut self.block) {
            (Event::End(TagEnd::CodeBlock), _) => {
                self.flush();
                self.at = range.end;
            }
            (Event::End(TagEnd::Table), Block::Table { sides, rows }) => {
                let (sides, rows) = (std::mem::take(sides), std::mem::take(rows));
                self.block = Block::None;
                self.draw_table(&sides, &rows, range.end);
            }
            (Event::Text(text), Block::Code { text: code, .. }) => code.push_str(&text),
            (Event::Start(Tag::TableHead | Tag::TableRow), Block::Table { rows, .. }) => rows.push(range),
            (_, Block::Table { .. }) => {}
            (Event::Start(tag), _) if is_block(&tag) => {
                self.flush();
                self.start(tag, &range);
            }
            (Event::End(TagEnd::Item), _) => {
                self.flush();
                self.end_item();
            }
            (Event::End(TagEnd::BlockQuote(_)), _) => {
                self.flush();
                self.containers.pop();
            }
            (Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::HtmlBlock), _) => {
                self.flush();
                self.at = range.end;
            }
            (Event::End(TagEnd::List(_)), _) => self.flush(),
            (Event::Rule, _) => {
                self.flush();
                self.skip_to(range.start);
                let (_, room) = self.room(0);
                let line = "─".repeat(room.min(MAX_RULE));
                self.write(&[Span::styled(line, self.theme.dim())], 0);
                self.at = range.end;
            }
            (Event::TaskListMarker(is_done), _) => {
                if !self.mark(is_done) {
                    self.text(range.start, self.theme.plain()).event(Event::TaskListMarker(is_done), range);
                }
            }
            (event, _) => self.text(range.start, self.theme.plain()).event(event, range),
        }
    }

    fn start(&mut self, tag: Tag<'a>, range: &Range<usize>) {
        self.skip_to(range.start);
        match tag {
            Tag::BlockQuote(_) => self.containers.push(Container::Quote),
            Tag::Item => self.start_item(range.start),
            Tag::Heading { level, .. } => {
                let style = self.theme.strong();
                let is_high = matches!(level, HeadingLevel::H1 | HeadingLevel::H2);
                let style = if is_high { style.patch(self.theme.underlined()) } else { style };
                self.text(range.start, style);
            }
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or("").to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.block = Block::Code { language, text: String::new() };
            }
            Tag::Table(sides) => self.block = Block::Table { sides, rows: Vec::new() },
            Tag::Paragraph | Tag::HtmlBlock => {
                self.text(range.start, self.theme.plain());
            }
            _ => {}
        }
    }

    /// The text that is being read; begins one if there is none.
    fn text(&mut self, from: usize, style: Style) -> &mut Inline<'a> {
        if self.inline.is_none() {
            self.skip_to(from);
        }
        self.inline.get_or_insert_with(|| Inline::new(self.source, style, self.theme))
    }

    fn start_item(&mut self, from: usize) {
        let rest = &self.source[from..];
        let sign = rest.trim_start_matches(' ');
        let digits = sign.bytes().take_while(u8::is_ascii_digit).count();
        let end = (digits + 1).min(sign.len());
        let marker = if digits == 0 { BULLET.to_owned() } else { format!("{} ", &sign[..end]) };
        self.at = from + rest.len() - sign.len() + end;
        self.containers.push(Container::Item { columns: columns(&marker), marker: Some(marker) });
    }

    /// Draws what is left of an item: its marker, when it holds nothing.
    fn end_item(&mut self) {
        if self.is_marker_open() {
            let rest = self.rest_of_line();
            self.write(&[Span::raw(rest.trim().to_owned())], 0);
        }
        self.containers.pop();
    }

    /// Puts the sign of a task in place of the bullet.
    fn mark(&mut self, is_done: bool) -> bool {
        if self.containers.len() > MAX_DEPTH {
            return false;
        }
        match self.containers.last_mut() {
            Some(Container::Item { marker: Some(marker), .. }) if marker == BULLET => {
                task(is_done).clone_into(marker);
                true
            }
            _ => false,
        }
    }

    /// Draws the block that was read.
    fn flush(&mut self) {
        if let Some(inline) = self.inline.take() {
            self.at = self.at.max(inline.end);
            let mut spans = inline.into_spans();
            // The last line of raw HTML comes with its end.
            while spans.pop_if(|last| last.content == "\n").is_some() {}
            if let Some(last) = spans.last_mut().filter(|last| last.content.ends_with('\n')) {
                last.content = last.content.trim_end_matches('\n').to_owned().into();
            }
            self.write(&spans, 0);
        }
        if let Block::Code { language, text } = std::mem::replace(&mut self.block, Block::None) {
            self.draw_code(&language, &text);
        }
    }

    fn draw_code(&mut self, language: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        let parts = if language.is_empty() { None } else { (self.code)(language, text) };
        let Some(parts) = parts else {
            for line in text.split('\n') {
                self.write(&[Span::styled(line, self.theme.code())], 2);
            }
            return;
        };
        for line in parts.iter() {
            let spans: Vec<Span<'_>> = line
                .iter()
                .map(|(kind, text)| Span::styled(text.as_str(), self.theme.syntax(*kind)))
                .collect();
            self.write(&spans, 2);
        }
    }

    fn draw_table(&mut self, sides: &[Alignment], rows: &[Range<usize>], end: usize) {
        let source = self.source;
        let texts: Vec<&str> = rows.iter().map(|row| source[row.clone()].trim_matches(['\n', ' '])).collect();
        let (_, room) = self.room(0);
        let Some((lines, taken)) = table::render(&texts, sides, room, self.theme) else {
            return self.write_lines(end);
        };
        self.put(lines, 0);
        self.at = end;
        let rest = texts[taken..].join("\n");
        if !rest.is_empty() {
            let containers = self.containers.iter().take(MAX_DEPTH).cloned().collect();
            let masked = mask(&rest);
            let mut page = Page::new(&rest, &masked, self.width, self.theme, self.code, self.out);
            (page.containers, page.tables) = (containers, self.tables - 1);
            page.draw();
        }
    }

    /// Draws the lines before the one that `to` stands in which belong to no block.
    fn skip_to(&mut self, to: usize) {
        let end = self.line_start(to);
        self.skip_lines(end);
    }

    fn skip_lines(&mut self, end: usize) {
        if self.at >= end {
            return;
        }
        if self.at > 0 && self.source.as_bytes()[self.at - 1] != b'\n' {
            let is_open = self.is_marker_open();
            let rest = self.rest_of_line().trim();
            if is_open && !rest.is_empty() {
                self.write(&[Span::raw(rest.to_owned())], 0);
            }
        }
        self.write_lines(end);
    }

    /// Draws whole lines as they are written.
    fn write_lines(&mut self, end: usize) {
        let source = self.source;
        let lines = source.get(self.at..end).unwrap_or("");
        self.at = self.at.max(end);
        for line in lines.split_inclusive('\n') {
            let text = line.trim_start_matches(['>', ' ', '\n']);
            if text.is_empty() {
                self.write_blank(line.bytes().filter(|byte| *byte == b'>').count());
                continue;
            }
            let quotes = self.containers.iter().take(MAX_DEPTH).filter(|it| matches!(it, Container::Quote));
            let text = (0..quotes.count())
                .fold(line, |line, _| line.trim_start_matches(' ').strip_prefix('>').unwrap_or(line));
            self.write(&[Span::raw(text.trim_matches([' ', '\n']))], 0);
        }
    }

    /// A line without text, in that many quotes.
    fn write_blank(&mut self, quotes: usize) {
        let mut left = quotes.min(MAX_DEPTH);
        let mut start = String::new();
        for container in self.containers.iter().take(MAX_DEPTH) {
            match container {
                Container::Quote if left == 0 => break,
                Container::Quote => {
                    start.push_str(BAR);
                    left -= 1;
                }
                Container::Item { columns, .. } => start.push_str(&" ".repeat(*columns)),
            }
        }
        start.push_str(&BAR.repeat(left));
        start.truncate(start.trim_end().len());
        let is_narrow = columns(&start) + MIN_COLUMNS > self.width;
        let start = if is_narrow { String::new() } else { start };
        self.out.push(if start.is_empty() { Line::default() } else { Line::styled(start, self.theme.dim()) });
    }

    /// Whether the marker of the innermost item has not been drawn.
    fn is_marker_open(&self) -> bool {
        let item =
            self.containers.iter().take(MAX_DEPTH).rev().find(|it| matches!(it, Container::Item { .. }));
        matches!(item, Some(Container::Item { marker: Some(_), .. }))
    }

    /// What is left of the line at hand, which counts as drawn then.
    fn rest_of_line(&mut self) -> &'a str {
        let rest = &self.source[self.at.min(self.source.len())..];
        let end = rest.find('\n').map_or(rest.len(), |end| end + 1);
        self.at += end;
        &rest[..end]
    }

    fn line_start(&mut self, at: usize) -> usize {
        let (start, seen) = self.line;
        let (start, seen) = if at < seen { (0, 0) } else { (start, seen) };
        let found = self.source.as_bytes()[seen..at].iter().rposition(|byte| *byte == b'\n');
        self.line = (found.map_or(start, |end| seen + end + 1), at);
        self.line.0
    }

    /// The columns of the indent and of the text, `extra` columns further in. None of the first
    /// when there is no room for it.
    fn room(&self, extra: usize) -> (usize, usize) {
        let of = |container: &Container| match container {
            Container::Quote => columns(BAR),
            Container::Item { columns, .. } => *columns,
        };
        let indent = self.containers.iter().take(MAX_DEPTH).map(of).sum::<usize>() + extra;
        match self.width.saturating_sub(indent) {
            0..MIN_COLUMNS => (0, self.width),
            room => (indent, room),
        }
    }

    /// Draws text, wrapped, in the containers at hand.
    fn write(&mut self, spans: &[Span<'_>], extra: usize) {
        let none = Span::raw("");
        let (_, room) = self.room(extra);
        self.put(wrap(spans, room, &none, &none), extra);
    }

    /// Adds lines, with what the containers put before them.
    fn put(&mut self, lines: Vec<Line<'static>>, extra: usize) {
        let (indent, _) = self.room(extra);
        for mut line in lines {
            let mut start: Vec<Span<'static>> = Vec::new();
            for container in self.containers.iter_mut().take(MAX_DEPTH) {
                start.push(match container {
                    Container::Quote => Span::styled(BAR, self.theme.dim()),
                    Container::Item { marker, columns } => {
                        Span::raw(marker.take().unwrap_or_else(|| " ".repeat(*columns)))
                    }
                });
            }
            if extra > 0 {
                start.push(Span::raw(" ".repeat(extra)));
            }
            if indent > 0 {
                start.append(&mut line.spans);
                line.spans = start;
            }
            self.out.push(line);
        }
    }
}

/// Whether a tag begins a block, and not a part of one.
fn is_block(tag: &Tag<'_>) -> bool {
    matches!(
        tag,
        Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::List(_)
            | Tag::Item
            | Tag::Table(_)
    )
}
