//! What stands within a paragraph, as styled text: emphasis, code, links, mathematics.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd};
use ratatui::style::Style;
use ratatui::text::Span;

use super::theme::Theme;

/// What is understood beyond the core of Markdown.
pub(super) const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_MATH);

/// How far the end of mathematics is looked for.
const MAX_MATH: usize = 4_000;

/// Collects the spans of one paragraph, heading or cell.
#[derive(Debug)]
pub(super) struct Inline<'a> {
    source: &'a str,
    theme: Theme,
    /// The style at hand, under those that it comes from.
    styles: Vec<Style>,
    base: Style,
    links: Vec<Link<'a>>,
    /// How deep in something that was drawn as it is written.
    literal: usize,
    spans: Vec<Span<'static>>,
    /// Where the last event ended in the source.
    pub end: usize,
}

#[derive(Debug)]
struct Link<'a> {
    url: CowStr<'a>,
    title: CowStr<'a>,
    /// The first span of its text.
    from: usize,
}

impl<'a> Inline<'a> {
    /// An empty one; `source` is what the ranges of the events are about.
    pub fn new(source: &'a str, base: Style, theme: Theme) -> Self {
        let (styles, links, spans) = (Vec::new(), Vec::new(), Vec::new());
        Self { source, theme, styles, base, links, literal: 0, spans, end: 0 }
    }

    /// The text so far.
    pub fn into_spans(self) -> Vec<Span<'static>> {
        self.spans
    }

    /// Adds what an event says.
    pub fn event(&mut self, event: Event<'a>, range: Range<usize>) {
        let before = self.end;
        self.end = before.max(range.end);
        match event {
            Event::Start(_) if self.literal > 0 => self.literal += 1,
            Event::End(_) if self.literal > 0 => self.literal -= 1,
            _ if self.literal > 0 => {}
            Event::Start(tag) => self.start(tag, &range),
            Event::End(end) => self.finish(end),
            Event::Text(text) => self.text(&text, &range, before),
            Event::Code(code) => self.push(&code, self.style().patch(self.theme.code())),
            Event::InlineMath(math) => self.math(&math, &range, 1),
            Event::DisplayMath(math) => self.math(&math, &range, 2),
            Event::Html(text) | Event::InlineHtml(text) => self.write(&text),
            Event::SoftBreak | Event::HardBreak => self.write("\n"),
            Event::TaskListMarker(is_done) => self.write(task(is_done)),
            Event::Rule | Event::FootnoteReference(_) => self.write(&self.source[range]),
        }
    }

    fn style(&self) -> Style {
        self.styles.last().copied().unwrap_or(self.base)
    }

    fn write(&mut self, text: &str) {
        self.push(text, self.style());
    }

    fn push(&mut self, text: &str, style: Style) {
        if !text.is_empty() {
            self.spans.push(Span::styled(text.to_owned(), style));
        }
    }

    fn text(&mut self, text: &str, range: &Range<usize>, before: usize) {
        // What was masked is written as it was.
        if text.contains("$$") && text.len() == range.len() {
            return self.write(&self.source[range.clone()]);
        }
        // A sign of mathematics without its partner is not an escaped bracket.
        let is_escaped = range.start > before && self.source.as_bytes()[range.start - 1] == b'\\';
        if is_escaped && text.starts_with(['(', ')', '[', ']']) {
            self.write("\\");
        }
        self.write(text);
    }

    fn math(&mut self, text: &str, range: &Range<usize>, sign: usize) {
        let source = self.source;
        self.write(&source[range.start..range.start + sign]);
        self.write(text);
        self.write(&source[range.end - sign..range.end]);
    }

    fn start(&mut self, tag: Tag<'a>, range: &Range<usize>) {
        let style = match tag {
            Tag::Emphasis => self.theme.emphasis(),
            Tag::Strong => self.theme.strong(),
            Tag::Strikethrough => self.theme.struck(),
            Tag::Link { link_type, dest_url, title, .. } if is_whole(link_type) => {
                self.links.push(Link { url: dest_url, title, from: self.spans.len() });
                self.theme.underlined()
            }
            Tag::Image { link_type, dest_url, title, .. } if is_whole(link_type) => {
                self.write("[image: ");
                self.links.push(Link { url: dest_url, title, from: self.spans.len() });
                Style::new()
            }
            // What a definition elsewhere explains is shown as written, so that no later text
            // changes how an earlier one looks.
            _ => {
                self.literal = 1;
                let source = self.source;
                return self.write(&source[range.clone()]);
            }
        };
        self.styles.push(self.style().patch(style));
    }

    fn finish(&mut self, end: TagEnd) {
        self.styles.pop();
        let link = match end {
            TagEnd::Link | TagEnd::Image => self.links.pop(),
            _ => None,
        };
        let Some(Link { url, title, from }) = link else { return };
        let is_image = end == TagEnd::Image;
        if is_image {
            self.write("]");
        }
        let is_told = !is_image && title.is_empty() && self.is_written(&url, from);
        if !is_told {
            let title = if title.is_empty() { String::new() } else { format!(" \"{title}\"") };
            self.push(&format!(" ({url}{title})"), self.style().patch(self.theme.dim()));
        }
    }

    /// Whether the text from a span on is `url` and nothing else.
    fn is_written(&self, url: &str, from: usize) -> bool {
        let left = self.spans[from..].iter().try_fold(url, |left, span| left.strip_prefix(&*span.content));
        left == Some("")
    }
}

/// The sign of a task.
pub(super) fn task(is_done: bool) -> &'static str {
    if is_done { "☑ " } else { "☐ " }
}

/// Whether a link says by itself where it leads.
fn is_whole(kind: LinkType) -> bool {
    matches!(kind, LinkType::Inline | LinkType::Autolink | LinkType::Email)
}

/// Writes mathematics between `\(` and `\)` or `\[` and `\]` with dollars, which the parser
/// knows and leaves alone. Every byte keeps its place.
pub(super) fn mask(source: &str) -> Cow<'_, str> {
    if !source.contains("\\(") && !source.contains("\\[") {
        return Cow::Borrowed(source);
    }
    let mut code = literal_ranges(source).into_iter().peekable();
    let mut masked = source.to_owned();
    let mut at = 0;
    while let Some(found) = source[at..].find('\\') {
        at += found;
        while code.next_if(|range| range.end <= at).is_some() {}
        let limit = code.peek().map_or(source.len(), |range| range.start);
        if limit <= at {
            at = code.peek().map_or(source.len(), |range| range.end);
            continue;
        }
        if let Some(end) = math_end(&source[at..limit]) {
            masked.replace_range(at..at + 2, "$$");
            masked.replace_range(at + end - 2..at + end, "$$");
            at += end;
        } else {
            // What a backslash stands before is no backslash of its own.
            at += 1 + source[at + 1..].chars().next().map_or(0, char::len_utf8);
        }
    }
    Cow::Owned(masked)
}

/// Where code and the like stand, in order.
fn literal_ranges(source: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Parser::new_ext(source, OPTIONS)
        .into_offset_iter()
        .filter(|(event, _)| {
            matches!(
                event,
                Event::Code(_)
                    | Event::Html(_)
                    | Event::InlineHtml(_)
                    | Event::InlineMath(_)
                    | Event::DisplayMath(_)
                    | Event::Start(Tag::CodeBlock(_))
            )
        })
        .map(|(_, range)| range)
        .collect();
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// Where the mathematics that a text begins with ends; none when it begins with none.
fn math_end(text: &str) -> Option<usize> {
    let close = match text.as_bytes().get(..2)? {
        b"\\(" => b')',
        b"\\[" => b']',
        _ => return None,
    };
    let bytes = &text.as_bytes()[..text.len().min(MAX_MATH)];
    let mut at = 2;
    while let Some(byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (b'\\', Some(next)) if *next == close => return (at > 2).then_some(at + 2),
            // Another one begins: this was none.
            (b'\\', Some(b'(' | b'[')) | (b'$', _) => return None,
            (b'\\', Some(_)) => at += 2,
            (b'\n', Some(b'\n')) => return None,
            _ => at += 1,
        }
    }
    None
}
