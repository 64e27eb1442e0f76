//! Text as the screen can take it: made harmless, measured in columns, wrapped and cut.
//!
//! Everything that is drawn goes through [`wrap`] or [`fit`], and both call [`clean`]: no
//! control character of a model, a file name or a tool reaches the terminal.

use std::borrow::Cow;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// What a tab looks like.
pub const TAB: &str = "    ";

/// Makes text harmless: control characters become visible signs, direction overrides and
/// invisible tags become `\u{fffd}`, line ends become `\n`, tabs become blanks.
pub fn clean(text: &str) -> Cow<'_, str> {
    // Nearly all text is printable ASCII, which bytes tell faster than characters.
    let is_harmless = text.bytes().all(|byte| is_printable(byte) || byte == b'\n');
    if is_harmless || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\t' => out.push_str(TAB),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            '\u{7f}' => out.push('\u{2421}'),
            // The control pictures block mirrors the first 32 code points.
            '\0'..='\u{1f}' if c != '\n' => {
                out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'));
            }
            c if is_unsafe(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Whether a byte is a character of one column.
fn is_printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}

fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c,
            '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Like [`clean`], and on one line.
pub fn clean_line(text: &str) -> String {
    clean(text).replace('\n', " ")
}

/// The characters as a person counts them, each with its bytes' start.
pub fn graphemes(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    text.grapheme_indices(true)
}

/// A stretch of text. Where one ends, a grapheme ends.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// Printable ASCII: each byte is one grapheme of one column.
    Plain(&'a str),
    /// Anything else, which has to be looked at grapheme by grapheme.
    Mixed(&'a str),
}

/// Splits a text into what is simple to measure and what is not.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let bytes = rest.as_bytes();
        let first = *bytes.first()?;
        let plain = bytes.iter().position(|byte| !is_printable(*byte)).unwrap_or(bytes.len());
        // A character beyond ASCII may combine with the one before it.
        let is_joined = bytes.get(plain).is_some_and(|byte| !byte.is_ascii());
        let plain = plain - usize::from(is_joined && is_printable(first));
        if plain > 0 {
            let (piece, after) = rest.split_at(plain);
            rest = after;
            return Some(Piece::Plain(piece));
        }
        // Nor does it begin anew before the next two ASCII characters in a row.
        let mixed = bytes.windows(2).position(|two| two[0].is_ascii() && is_printable(two[1]));
        let (piece, after) = rest.split_at(mixed.map_or(bytes.len(), |at| at + 1));
        rest = after;
        Some(Piece::Mixed(piece))
    })
}

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    pieces(text)
        .map(|piece| match piece {
            Piece::Plain(text) => text.len(),
            Piece::Mixed(text) => graphemes(text).map(|(_, grapheme)| width_of(grapheme)).sum(),
        })
        .sum()
}

/// How many columns one grapheme takes once it is [`clean`].
pub fn width_of(grapheme: &str) -> usize {
    match grapheme.as_bytes() {
        [byte] if is_printable(*byte) => 1,
        _ => clean(grapheme).width(),
    }
}

/// The text on one line of at most `width` columns; what is cut off is marked by `…`.
pub fn fit(text: &str, width: usize) -> String {
    let text = clean_line(text);
    if columns(&text) <= width {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    for (_, grapheme) in graphemes(&text) {
        let wide = width_of(grapheme);
        if used + wide + 1 > width {
            break;
        }
        out.push_str(grapheme);
        used += wide;
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// Like [`fit`], filled with blanks to exactly `width` columns.
pub fn pad(text: &str, width: usize) -> String {
    let mut out = fit(text, width);
    let used = columns(&out);
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
    out
}

/// Like [`pad`], with the blanks in front.
pub fn pad_left(text: &str, width: usize) -> String {
    let out = fit(text, width);
    let blanks = width.saturating_sub(columns(&out));
    " ".repeat(blanks) + &out
}

/// Wraps styled text at `width` columns, between words where it can. The first line begins
/// with `first`, the others with `rest`. Line breaks in the text are kept.
pub fn wrap(
    spans: &[Span<'_>],
    width: usize,
    first: &Span<'static>,
    rest: &Span<'static>,
) -> Vec<Line<'static>> {
    let mut wrapper = Wrapper::new(width.max(1), first, rest);
    for span in spans {
        for piece in pieces(&clean(&span.content)) {
            match piece {
                Piece::Plain(text) => wrapper.push_plain(text, span.style),
                Piece::Mixed(text) => wrapper.push_mixed(text, span.style),
            }
        }
    }
    wrapper.end_line();
    wrapper.lines
}

/// Wraps plain text in one style, without indents.
pub fn wrap_plain(text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    let none = Span::raw("");
    wrap(&[Span::styled(text, style)], width, &none, &none)
}

struct Wrapper {
    indent: Span<'static>,
    rest: Span<'static>,
    /// Columns for text on the line at hand and on those after it.
    room: usize,
    rest_room: usize,
    lines: Vec<Line<'static>>,
    /// The text of the line at hand and how far each of its styles goes.
    current: String,
    styles: Vec<(usize, Style)>,
    used: usize,
    /// Where the line may be broken: in bytes, and in columns.
    break_at: Option<(usize, usize)>,
}

impl Wrapper {
    fn new(width: usize, first: &Span<'static>, rest: &Span<'static>) -> Self {
        // An indent that would leave too little is dropped.
        let fitting = |indent: &Span<'static>| match width.saturating_sub(columns(&indent.content)) {
            room if room < 4 || room == width => (Span::raw(""), width),
            room => (indent.clone(), room),
        };
        let ((indent, room), (rest, rest_room)) = (fitting(first), fitting(rest));
        Self {
            indent,
            rest,
            room,
            rest_room,
            lines: Vec::new(),
            current: String::new(),
            styles: Vec::new(),
            used: 0,
            break_at: None,
        }
    }

    /// Takes printable ASCII, as much at once as the line has room for.
    fn push_plain(&mut self, mut text: &str, style: Style) {
        while !text.is_empty() {
            let fits = self.room.saturating_sub(self.used).min(text.len());
            let (now, later) = text.split_at(fits.max(1));
            text = later;
            if fits == 0 {
                self.push(now, 1, style);
                continue;
            }
            let blank = now.bytes().rposition(|byte| byte == b' ');
            if let Some(at) = blank {
                self.break_at = Some((self.current.len() + at + 1, self.used + at + 1));
            }
            self.append(now, fits, style);
        }
    }

    fn push_mixed(&mut self, text: &str, style: Style) {
        for (_, grapheme) in graphemes(text) {
            if grapheme == "\n" {
                self.end_line();
            } else {
                self.push(grapheme, width_of(grapheme), style);
            }
        }
    }

    fn push(&mut self, grapheme: &str, wide: usize, style: Style) {
        while self.used + wide > self.room && !self.current.is_empty() {
            if grapheme == " " {
                self.end_line();
                return;
            }
            self.break_line();
        }
        self.append(grapheme, wide, style);
        // A line may also be broken after a wide character, as Chinese and Japanese do.
        if grapheme == " " || wide > 1 {
            self.break_at = Some((self.current.len(), self.used));
        }
    }

    fn append(&mut self, text: &str, wide: usize, style: Style) {
        self.current.push_str(text);
        self.used += wide;
        match self.styles.last_mut() {
            Some((end, last)) if *last == style => *end = self.current.len(),
            _ => self.styles.push((self.current.len(), style)),
        }
    }

    /// Ends the line where it may be broken; what comes after that begins the next one.
    fn break_line(&mut self) {
        let whole = (self.current.len(), self.used);
        let (kept, columns) = self.break_at.filter(|(at, _)| *at < whole.0).unwrap_or(whole);
        let tail = self.current.split_off(kept);
        let moved: Vec<(usize, Style)> = self
            .styles
            .iter()
            .filter(|(end, _)| *end > kept)
            .map(|(end, style)| (end - kept, *style))
            .collect();
        let last = graphemes(&self.current).rev().find(|(_, grapheme)| *grapheme != " ");
        let end = last.map_or(0, |(at, grapheme)| at + grapheme.len());
        self.current.truncate(end);
        self.end_line();
        (self.current, self.styles, self.used) = (tail, moved, whole.1 - columns);
    }

    fn end_line(&mut self) {
        let mut spans: Vec<Span<'static>> = Vec::new();
        if !self.indent.content.is_empty() {
            spans.push(self.indent.clone());
        }
        let mut from = 0;
        for (end, style) in self.styles.drain(..) {
            let text = &self.current[from..end.min(self.current.len())];
            from += text.len();
            match spans.last_mut() {
                _ if text.is_empty() => {}
                Some(last) if last.style == style => last.content.to_mut().push_str(text),
                _ => spans.push(Span::styled(text.to_owned(), style)),
            }
        }
        self.current.clear();
        self.lines.push(Line::from(spans));
        self.indent.clone_from(&self.rest);
        self.room = self.rest_room;
        self.used = 0;
        self.break_at = None;
    }
}

/// A number with a comma between thousands.
pub fn thousands(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its word: `1 file`, `2,000 files`.
pub fn count(number: impl Into<u64>, word: &str) -> String {
    let number = number.into();
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", thousands(number))
}

/// A span of time, from microseconds.
pub fn duration(micros: u64) -> String {
    match micros {
        0..1_000_000 => format!("{}.{} ms", micros / 1000, micros / 100 % 10),
        _ => seconds(micros / 1000),
    }
}

/// A span of time from milliseconds, in seconds or minutes.
pub fn seconds(ms: u64) -> String {
    match ms {
        0..60_000 => format!("{}.{} s", ms / 1000, ms / 100 % 10),
        _ => format!("{} min {:02} s", ms / 60_000, ms / 1000 % 60),
    }
}
