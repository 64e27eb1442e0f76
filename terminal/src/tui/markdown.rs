//! The little Markdown that models write, as styled lines: headings, lists, quotes, tables, fenced
//! code, `**bold**` and code in backticks. Anything else is shown as it is.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::table;
use super::text::{clean, columns, wrap};
use super::theme::Theme;

/// Renders a text, wrapped at `width` columns. An open fence counts as code to the end, so
/// that an answer can be drawn while it comes.
pub fn render(text: &str, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let text = clean(text);
    let mut lines = Vec::new();
    let mut fenced = false;
    let source: Vec<&str> = text.trim_end().split('\n').collect();
    let mut at = 0;
    while let Some(line) = source.get(at) {
        let table = if fenced { None } else { table::render(&source[at..], width, theme) };
        if let Some((drawn, taken)) = table {
            lines.extend(drawn);
            at += taken;
            continue;
        }
        at += 1;
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let indent = Span::raw("  ");
            lines.extend(wrap(&[Span::styled(*line, theme.code())], width, &indent, &indent));
        } else {
            lines.extend(block(line, width, theme));
        }
    }
    lines
}

fn block(line: &str, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let none = Span::raw("");
    let body = line.trim_start();
    let indent = " ".repeat(line.len() - body.len());
    if let Some(heading) = heading(body) {
        return wrap(&inline(heading, theme.strong(), theme), width, &none, &none);
    }
    if let Some(quote) = body.strip_prefix("> ") {
        let bar = Span::styled(indent + "│ ", theme.dim());
        return wrap(&inline(quote, theme.plain(), theme), width, &bar, &bar);
    }
    if let Some((marker, rest)) = list_item(body) {
        let first = format!("{indent}{marker} ");
        let hang = Span::raw(" ".repeat(columns(&first)));
        return wrap(&inline(rest, theme.plain(), theme), width, &Span::raw(first), &hang);
    }
    let indent = Span::raw(indent);
    wrap(&inline(body, theme.plain(), theme), width, &indent, &indent)
}

/// The text of a heading.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    let depth = line.len() - rest.len();
    (1..=6).contains(&depth).then(|| rest.strip_prefix(' ')).flatten()
}

/// The marker and the text of a list item.
fn list_item(line: &str) -> Option<(&str, &str)> {
    let (marker, rest) = line.split_once(' ')?;
    if matches!(marker, "-" | "*" | "+") {
        return Some(("•", rest));
    }
    let digits = marker.strip_suffix(['.', ')'])?;
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then_some((marker, rest))
}

/// Splits a line at `**bold**` and code in backticks; a sign without its partner stays text.
pub(super) fn inline<'a>(line: &'a str, base: Style, theme: Theme) -> Vec<Span<'a>> {
    let mut spans = Vec::new();
    let mut plain_from = 0;
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        let found = between(rest, "**").map(|inner| (inner, 2, base.patch(theme.strong())));
        let found = found.or_else(|| between(rest, "`").map(|inner| (inner, 1, base.patch(theme.code()))));
        if let Some((inner, sign, style)) = found {
            spans.push(Span::styled(&line[plain_from..at], base));
            spans.push(Span::styled(inner, style));
            at += inner.len() + 2 * sign;
            plain_from = at;
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    spans.push(Span::styled(&line[plain_from..], base));
    spans.retain(|span| !span.content.is_empty());
    spans
}

/// What stands between two `sign`s when the text begins with one. Blanks at either end mean
/// that it is no markup but a power or a product.
fn between<'a>(text: &'a str, sign: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(sign)?;
    let inner = &rest[..rest.find(sign)?];
    (!inner.is_empty() && inner.trim() == inner).then_some(inner)
}
