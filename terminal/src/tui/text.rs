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
    if !text.chars().any(is_unsafe) {
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

/// How many columns a text takes.
pub fn columns(text: &str) -> usize {
    graphemes(text).map(|(_, grapheme)| width_of(grapheme)).sum()
}

/// How many columns one grapheme takes once it is [`clean`].
pub fn width_of(grapheme: &str) -> usize {
    clean(grapheme).width()
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
        for (_, grapheme) in graphemes(&clean(&span.content)) {
            if grapheme == "\n" {
                wrapper.end_line();
            } else {
                wrapper.push(grapheme, span.style);
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
    width: usize,
    indent: Span<'static>,
    rest: Span<'static>,
    lines: Vec<Line<'static>>,
    current: Vec<(String, Style, usize)>,
    used: usize,
    /// How many graphemes of `current` may stay when the line is broken.
    break_at: Option<usize>,
}

impl Wrapper {
    fn new(width: usize, first: &Span<'static>, rest: &Span<'static>) -> Self {
        Self {
            width,
            indent: first.clone(),
            rest: rest.clone(),
            lines: Vec::new(),
            current: Vec::new(),
            used: 0,
            break_at: None,
        }
    }

    /// Columns for text on the line at hand; an indent that would leave too little is dropped.
    fn room(&self) -> usize {
        match self.width.saturating_sub(columns(&self.indent.content)) {
            0..4 => self.width,
            room => room,
        }
    }

    fn push(&mut self, grapheme: &str, style: Style) {
        let wide = width_of(grapheme);
        while self.used + wide > self.room() && !self.current.is_empty() {
            if grapheme == " " {
                self.end_line();
                return;
            }
            let kept = self.break_at.filter(|at| *at < self.current.len()).unwrap_or(self.current.len());
            let tail = self.current.split_off(kept);
            while self.current.pop_if(|(grapheme, ..)| grapheme == " ").is_some() {}
            self.end_line();
            self.used = tail.iter().map(|(_, _, wide)| wide).sum();
            self.current = tail;
        }
        self.current.push((grapheme.to_owned(), style, wide));
        self.used += wide;
        // A line may also be broken after a wide character, as Chinese and Japanese do.
        if grapheme == " " || wide > 1 {
            self.break_at = Some(self.current.len());
        }
    }

    fn end_line(&mut self) {
        let mut spans: Vec<Span<'static>> = Vec::new();
        if self.room() < self.width && !self.indent.content.is_empty() {
            spans.push(self.indent.clone());
        }
        for (grapheme, style, _) in self.current.drain(..) {
            match spans.last_mut() {
                Some(last) if last.style == style => last.content.to_mut().push_str(&grapheme),
                _ => spans.push(Span::styled(grapheme, style)),
            }
        }
        self.lines.push(Line::from(spans));
        self.indent = self.rest.clone();
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
