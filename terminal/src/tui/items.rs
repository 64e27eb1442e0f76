//! The items of the transcript as lines.

use lucid_kernel::abi::{Call, Citation, Provenance};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::markdown;
use super::state::State;
use super::text::{clean, count, duration, fit, wrap, wrap_plain};
use super::transcript::{CallEnd, Item};

/// The most columns of a call's arguments, and of its result, that the transcript shows;
/// `/page` shows all of a result.
pub const MAX_CALL_COLUMNS: usize = 160;
/// The most places shown under one answer.
pub const MAX_CITATIONS: usize = 12;

/// An item's lines at this width.
pub fn lines(item: &Item, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    match item {
        Item::Welcome => welcome(width, state),
        Item::User(text) => {
            let mut lines = vec![Line::default()];
            let (first, rest) = (Span::styled("> ", theme.accent()), Span::raw("  "));
            lines.extend(wrap(&[Span::styled(text.as_str(), theme.user())], width, &first, &rest));
            lines
        }
        Item::Answer(text) if text.is_empty() => Vec::new(),
        Item::Answer(text) => markdown::render(text, width, theme),
        Item::Call { call, end, .. } => call_lines(call, end.as_ref(), width, state),
        Item::Citations(citations) => citation_lines(citations, width, state),
        Item::Paged(pages) => paged(pages, width, state),
        Item::Note(text) => wrap_plain(text, width, theme.dim()),
        Item::Error(text) => hanging("error: ", text, theme.error(), width),
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
        other => other.to_string(),
    }
}

fn call_lines(call: &Call, end: Option<&CallEnd>, width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let mut spans = vec![Span::styled(call_text(call), theme.tool())];
    match end {
        Some(CallEnd::Done(value, micros)) => {
            spans.push(Span::styled(" -> ", theme.dim()));
            spans.push(Span::raw(fit(value, MAX_CALL_COLUMNS)));
            spans.push(Span::styled(format!(" · {}", duration(*micros)), theme.dim()));
        }
        Some(CallEnd::Failed(message)) => {
            spans.push(Span::styled(" -> ", theme.dim()));
            spans.push(Span::styled(fit(&format!("error: {message}"), MAX_CALL_COLUMNS), theme.error()));
        }
        Some(CallEnd::Unfinished) => spans.push(Span::styled(" -> not finished", theme.dim())),
        None => spans.push(Span::styled(" …", theme.dim())),
    }
    wrap(&spans, width, &Span::raw(""), &Span::raw("    "))
}

fn citation_lines(citations: &[Citation], width: usize, state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let mut lines = Vec::new();
    for citation in citations.iter().take(MAX_CITATIONS) {
        let place = place(&citation.path, citation.lines, state);
        let spans =
            [Span::styled(place, theme.accent()), Span::styled(format!(" {}", citation.page), theme.dim())];
        lines.extend(wrap(&spans, width, &Span::raw("  "), &Span::raw("    ")));
    }
    if citations.len() > MAX_CITATIONS {
        let more = format!("  and {} more", citations.len() - MAX_CITATIONS);
        lines.extend(wrap_plain(&more, width, theme.dim()));
    }
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
