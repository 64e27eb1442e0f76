//! The items of the transcript as lines.

use std::ops::Range;

use lucid_kernel::abi::{Call, Citation, Provenance};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::markdown;
use super::pictures::Drawable;
use super::state::State;
use super::text::{clean, count, duration, fit, pad_left, wrap, wrap_plain};
use super::transcript::{CallEnd, Card, Found, Item, Transcript};

/// The most columns of a call's arguments, and of its result, that the transcript shows;
/// `/page` shows all of a result.
pub const MAX_CALL_COLUMNS: usize = 160;
/// The most places shown under one answer.
pub const MAX_CITATIONS: usize = 12;

/// The most lines of a result that an open card shows; `/page` shows all of it.
const MAX_RESULT_LINES: usize = 20_000;
/// The most bytes of it that are wrapped.
const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// An item's lines at this width.
pub fn lines(item: &Item, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    match item {
        Item::Welcome => welcome(width, state),
        Item::User(text, with) => {
            let mut lines = vec![Line::default()];
            let (first, rest) = (Span::styled("> ", theme.accent()), Span::raw("  "));
            lines.extend(wrap(&[Span::styled(text.as_str(), theme.user())], width, &first, &rest));
            if !with.is_empty() {
                lines.push(Line::styled(fit(&format!("  with {}", with.join(", ")), width), theme.dim()));
            }
            lines
        }
        Item::Answer(text) if text.is_empty() => Vec::new(),
        Item::Answer(text) => {
            markdown::render(text, width, theme, &|language, code| state.code.find(language, code))
        }
        Item::Call(card) if card.open => open_card(card, width, state),
        Item::Call(card) => folded_card(card, width, state),
        Item::Picture(path) => {
            let rows = state.pictures.get(path).map_or(0, Drawable::rows);
            let mut lines = vec![Line::default(); usize::from(rows)];
            lines.extend(wrap_plain(&format!("picture: {path}"), width, theme.dim()));
            lines
        }
        Item::Citations(citations) => citation_lines(citations, width, state),
        Item::Found(found) => {
            let each = found.iter().enumerate();
            each.flat_map(|(at, found)| found_lines(at, found, width, state)).collect()
        }
        Item::Paged(pages) => paged(pages, width, state),
        Item::Note(text) => wrap_plain(text, width, theme.dim()),
        Item::Error(text) => hanging("error: ", text, theme.error(), width),
    }
}

/// The lines of an item that stand for one of its targets.
pub fn rows_of(
    transcript: &Transcript,
    at: usize,
    which: usize,
    width: usize,
    state: &State,
) -> Range<usize> {
    match transcript.items().get(at) {
        Some(Item::Call(card)) if card.open => 0..1,
        Some(Item::Call(card)) => 0..folded_card(card, width, state).len(),
        Some(Item::Citations(citations)) => {
            let mut each = citations.iter().map(|citation| citation_line(citation, width, state).len());
            let start = each.by_ref().take(which).sum();
            start..start + each.next().unwrap_or(0)
        }
        Some(Item::Found(found)) => {
            let mut each = found.iter().enumerate().map(|(at, of)| found_lines(at, of, width, state).len());
            let start = each.by_ref().take(which).sum();
            start..start + each.next().unwrap_or(0)
        }
        _ => 0..0,
    }
}

fn welcome(width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let name = Span::styled(format!("Lucid {}", state.version), theme.strong());
    let folder = Span::styled(format!(" · {}", state.shown_folder()), theme.dim());
    let none = Span::raw("");
    let mut lines = wrap(&[name, folder], width, &none, &none);
    lines.extend(wrap_plain("Ask something. /help shows keys and commands.", width, theme.dim()));
    lines
}

/// Text behind a label, its further lines under its first.
fn hanging(label: &'static str, text: &str, style: Style, width: usize) -> Vec<Line<'static>> {
    let rest = Span::raw(" ".repeat(label.len()));
    wrap(&[Span::styled(text, style)], width, &Span::styled(label, style), &rest)
}

/// A call as one writes it: `calc(expression: "1 + 1")`.
pub fn call_text(call: &Call) -> String {
    if call.arguments.is_null() {
        return fit(&call.tool, MAX_CALL_COLUMNS);
    }
    let arguments: Vec<String> = match &call.arguments {
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}: {value}")).collect()
        }
        other => vec![other.to_string()],
    };
    fit(&format!("{}({})", call.tool, arguments.join(", ")), MAX_CALL_COLUMNS)
}

/// A call's arguments, one a line, exactly as the tool would get them.
pub fn argument_lines(call: &Call) -> String {
    match &call.arguments {
        serde_json::Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n")
        }
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A call on one line, or as many as that takes.
fn folded_card(card: &Card, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let mut spans = vec![Span::styled(call_text(&card.call), theme.tool())];
    match &card.end {
        Some(CallEnd::Done(value, micros)) => {
            spans.push(Span::styled(" -> ", theme.dim()));
            spans.push(Span::raw(fit(value, MAX_CALL_COLUMNS)));
            if *micros > 0 {
                spans.push(Span::styled(format!(" · {}", duration(*micros)), theme.dim()));
            }
        }
        Some(CallEnd::Failed(message)) => {
            spans.push(Span::styled(" -> ", theme.dim()));
            spans.push(Span::styled(fit(&format!("error: {message}"), MAX_CALL_COLUMNS), theme.error()));
        }
        Some(CallEnd::Unfinished) => spans.push(Span::styled(" -> not finished", theme.dim())),
        None => spans.push(Span::styled(" …", theme.dim())),
    }
    wrap(&spans, width, &Span::styled("▸ ", theme.dim()), &Span::raw("    "))
}

/// A call with its arguments, what it may do, its result and its time.
fn open_card(card: &Card, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let time = match &card.end {
        Some(CallEnd::Done(_, micros)) if *micros > 0 => format!(" · {}", duration(*micros)),
        _ => String::new(),
    };
    let head = [Span::styled(card.call.tool.clone(), theme.tool()), Span::styled(time, theme.dim())];
    let mut lines = wrap(&head, width, &Span::styled("▾ ", theme.dim()), &Span::raw("    "));
    let bar = Span::styled("│ ", theme.dim());
    let arguments = argument_lines(&card.call);
    if !arguments.is_empty() {
        lines.extend(wrap(&[Span::raw(arguments)], width, &bar, &bar));
    }
    if !card.granted.is_empty() {
        let rights = format!("with the right {}", card.granted.join(", "));
        lines.extend(wrap(&[Span::styled(rights, theme.dim())], width, &bar, &bar));
    }
    let (text, style) = match &card.end {
        Some(CallEnd::Done(value, _)) => (value.as_str(), theme.plain()),
        Some(CallEnd::Failed(message)) => (message.as_str(), theme.error()),
        Some(CallEnd::Unfinished) => ("not finished", theme.dim()),
        None => ("…", theme.dim()),
    };
    let part = &text[..text.floor_char_boundary(MAX_RESULT_BYTES)];
    let end = Span::styled("└ ", theme.dim());
    let mut result = wrap(&[Span::styled(part, style)], width, &end, &Span::raw("  "));
    if result.len() > MAX_RESULT_LINES || part.len() < text.len() {
        result.truncate(MAX_RESULT_LINES);
        result.push(Line::styled("  … /page shows all of it", theme.dim()));
    }
    lines.extend(result);
    lines
}

fn citation_line(citation: &Citation, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let place = place(&citation.path, citation.lines, state);
    let spans =
        [Span::styled(place, theme.accent()), Span::styled(format!(" {}", citation.page), theme.dim())];
    wrap(&spans, width, &Span::raw("  "), &Span::raw("    "))
}

fn citation_lines(citations: &[Citation], width: usize, state: &State) -> Vec<Line<'static>> {
    let shown = citations.iter().take(MAX_CITATIONS);
    let mut lines: Vec<Line<'static>> =
        shown.flat_map(|citation| citation_line(citation, width, state)).collect();
    if citations.len() > MAX_CITATIONS {
        let more = format!("  and {} more", citations.len() - MAX_CITATIONS);
        lines.extend(wrap_plain(&more, width, state.theme.dim()));
    }
    lines
}

fn found_lines(at: usize, found: &Found, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let place = place(&found.path, found.lines, state);
    let heading = if found.heading.is_empty() { String::new() } else { format!("  {}", found.heading) };
    let first = Span::styled(pad_left(&format!("{} ", at + 1), 4), theme.dim());
    let spans = [Span::styled(place, theme.accent()), Span::styled(heading, theme.dim())];
    let mut lines = wrap(&spans, width, &first, &Span::raw("    "));
    lines.push(Line::raw(fit(&format!("    {}", found.text), width)));
    lines
}

fn paged(pages: &[(String, (u32, u32))], width: usize, state: &State) -> Vec<Line<'static>> {
    let places: Vec<String> = pages.iter().map(|(path, lines)| place(path, *lines, state)).collect();
    let text = format!("read {}: {}", count(pages.len() as u64, "page"), places.join(", "));
    vec![Line::styled(fit(&text, width), state.theme.dim())]
}

/// `docs/src/x.md:10-24`, relative to the folder lucid was started in where that is shorter.
pub fn place(path: &str, (first, last): (u32, u32), state: &State) -> String {
    let inside = path.strip_prefix(state.folder.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let path = clean(inside.unwrap_or(path));
    if first == last { format!("{path}:{first}") } else { format!("{path}:{first}-{last}") }
}

/// Where a page came from, in few words.
pub fn source(provenance: &Provenance, state: &State) -> String {
    match provenance {
        Provenance::System => "lucid".into(),
        Provenance::User => "you".into(),
        Provenance::Model => "the model".into(),
        Provenance::Tool { tool } => tool.clone(),
        Provenance::File(range) => place(&range.path, range.lines, state),
    }
}
