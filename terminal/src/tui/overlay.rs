//! What lies over the transcript: help, memory, one page, and the question to the user.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use lucid_kernel::abi::SourcePage;

use super::keys::KEYS;
use super::slash::COMMANDS;
use super::state::{Overlay, Question, State};
use super::text::{count, fit, pad, pad_left, thousands, wrap, wrap_plain};
use super::theme::Theme;
use super::{items, status};
use crate::machine::api::PageRow;

const QUESTION_COLUMNS: u16 = 72;
/// So much of what a call would do is shown.
const PREVIEW_LINES_MAX: usize = 400;

/// Draws the overlay over this area.
pub fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let (title, lines) = content(state, inner(area).width.into());
    draw_box(state, frame, area, &title, lines);
}

/// Draws the question over the whole screen's middle.
pub fn draw_question(state: &State, frame: &mut Frame<'_>) {
    let Some(question) = state.questions.front() else { return };
    let area = question_area(state);
    let title = format!("may {} run?", question.call.tool);
    draw_box(state, frame, area, &title, question_lines(question, state, inner(area).width.into()));
    let room = inner(area);
    let keys = Rect { y: room.bottom().saturating_sub(1), height: room.height.min(1), ..room };
    frame.render_widget(Clear, keys);
    let style = if state.is_question_open() { state.theme.user() } else { state.theme.dim() };
    frame.render_widget(Line::styled(fit(answers(question), keys.width.into()), style), keys);
}

/// The keys that answer a question.
fn answers(question: &Question) -> &'static str {
    if question.wants.is_empty() {
        "y: run it   n or Esc: refuse"
    } else {
        "y: once   s: this session   a: always   n or Esc: refuse"
    }
}

/// The last line to which what is shown can be scrolled.
pub fn last_line(state: &State, transcript: Rect) -> usize {
    let (room, lines) = if let Some(question) = state.questions.front() {
        let room = inner(question_area(state));
        // The keys take the last row.
        let lines = question_lines(question, state, room.width.into()).len() + 1;
        (room, lines)
    } else {
        let room = inner(transcript);
        (room, content(state, room.width.into()).1.len())
    };
    lines.saturating_sub(room.height.into())
}

/// The offer to mount the folder.
pub fn offer_lines(state: &State) -> Vec<Line<'static>> {
    let theme = state.theme;
    let text = format!("Mount {}, so that answers can come from its files?  ", state.shown_folder());
    let none = Span::raw("");
    let keys = Span::styled("y / n", theme.user());
    wrap(&[Span::styled(text, theme.strong()), keys], usize::from(state.size.0), &none, &none)
}

fn draw_box(state: &State, frame: &mut Frame<'_>, area: Rect, title: &str, lines: Vec<Line<'static>>) {
    let room = inner(area);
    let below = lines.len().saturating_sub(state.overlay_line + usize::from(room.height));
    frame.render_widget(Clear, area);
    if room != area {
        let title = fit(&format!(" {title} "), usize::from(area.width).saturating_sub(2));
        let mut block = Block::bordered()
            .border_style(state.theme.dim())
            .title(Span::styled(title, state.theme.strong()));
        if below > 0 {
            block = block.title_bottom(
                Line::styled(fit(" more below ", room.width.into()), state.theme.accent()).right_aligned(),
            );
        }
        frame.render_widget(block, area);
    }
    let lines: Vec<Line<'static>> =
        lines.into_iter().skip(state.overlay_line).take(room.height.into()).collect();
    frame.render_widget(Paragraph::new(lines), room);
}

/// The room inside the border; a small area has none.
fn inner(area: Rect) -> Rect {
    if area.height < 5 || area.width < 12 {
        return area;
    }
    Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2)
}

fn content(state: &State, width: usize) -> (String, Vec<Line<'static>>) {
    match &state.overlay {
        None => (String::new(), Vec::new()),
        Some(Overlay::Help) => ("help · Esc closes".into(), help(state, width)),
        Some(Overlay::Memory) => (memory_title(state), memory(state, width)),
        Some(Overlay::Page(id, page)) => match page {
            None => (id.to_string(), wrap_plain("looking it up", width, state.theme.dim())),
            Some(page) => (format!("{id} · Esc closes"), page_lines(&page.0, &page.1, state, width)),
        },
    }
}

fn help(state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    let keys = KEYS.iter().map(|(keys, does)| ((*keys).to_owned(), *does));
    let commands = COMMANDS.iter().map(|(name, argument, does)| (format!("{name} {argument}"), *does));
    let row = |(left, does): (String, &'static str)| {
        let first = Span::styled(pad(&left, 19), theme.accent());
        let rest = Span::raw(" ".repeat(19));
        wrap(&[Span::raw(does)], width, &first, &rest)
    };
    let mut lines: Vec<Line<'static>> = commands.flat_map(row).collect();
    lines.push(Line::default());
    lines.extend(keys.flat_map(row));
    lines.push(Line::default());
    let remarks =
        "A line that begins with // is sent with one slash. Hold Shift to select text with the mouse.";
    lines.extend(wrap_plain(remarks, width, theme.dim()));
    lines
}

fn memory_title(state: &State) -> String {
    let pages = count(state.memory.len() as u64, "page");
    match state.occupancy() {
        Some((resident, budget)) => {
            format!("memory: {} of {} tokens · {pages} · Esc closes", thousands(resident), thousands(budget))
        }
        None => format!("memory: {pages} · Esc closes"),
    }
}

/// Columns of the memory table that are always there: address, kind, tokens, bar, state.
const FIXED_COLUMNS: usize = 6 + 8 + 8 + 1 + 8 + 2 + 5;

fn memory(state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    if state.memory.is_empty() {
        return wrap_plain("nothing is in memory yet", width, theme.dim());
    }
    let room = width.saturating_sub(FIXED_COLUMNS);
    let source = if room >= 30 { (room / 2).min(36) } else { room };
    let preview = room.saturating_sub(source + 1);
    let head = format!(
        "{}{}{}{:11}{}{} {}",
        pad("page", 6),
        pad("kind", 8),
        pad_left("tokens", 8),
        "",
        pad("where", 5),
        pad(" source", source),
        pad("text", preview)
    );
    let mut lines = vec![Line::styled(fit(&head, width), theme.dim())];
    let largest = state.memory.iter().map(|row| row.tokens).max().unwrap_or(1).max(1);
    lines.extend(state.memory.iter().map(|row| memory_row(row, largest, source, preview, state)));
    if state.memory.iter().any(|row| !row.shared_with.is_empty()) {
        lines.extend(wrap_plain("* shared with another conversation (/ps)", width, theme.dim()));
    }
    lines
}

fn memory_row(row: &PageRow, largest: u32, source: usize, preview: usize, state: &State) -> Line<'static> {
    let theme = state.theme;
    let mut spans = vec![
        Span::styled(pad(&row.page.to_string(), 6), theme.strong()),
        Span::raw(pad(&row.kind, 8)),
        Span::raw(pad_left(&thousands(row.tokens), 8)),
        Span::raw(" "),
    ];
    let part = if row.resident { f64::from(row.tokens) / f64::from(largest) } else { 0.0 };
    spans.extend(status::bar(part, 8, state));
    // Not resident means evicted: still searchable, and read back when it is needed.
    let place = match (row.resident, row.pinned) {
        (true, true) => "  pin",
        (true, false) => "  in",
        (false, _) => "  out",
    };
    let shared = if row.shared_with.is_empty() { "" } else { "*" };
    spans.push(Span::raw(pad(&format!("{place}{shared}"), 7)));
    let place = items::source(&row.provenance, state);
    spans.push(Span::styled(pad(&place, source.saturating_sub(1)), theme.accent()));
    spans.push(Span::raw(" "));
    spans.push(Span::styled(fit(&row.preview, preview), theme.dim()));
    Line::from(spans)
}

fn page_lines(row: &PageRow, page: &SourcePage, state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    let place = if row.resident { "in the window" } else { "out of the window" };
    let source = items::source(&page.provenance, state);
    let also: Vec<String> = row.shared_with.iter().map(ToString::to_string).collect();
    let also = if also.is_empty() { String::new() } else { format!(" · shared with {}", also.join(", ")) };
    let head = format!("{} · {} · {place} · from {source}{also}", row.kind, count(row.tokens, "token"));
    let mut lines = wrap_plain(&head, width, theme.dim());
    lines.push(Line::default());
    lines.extend(wrap_plain(&page.text, width, theme.plain()));
    lines
}

fn question_lines(question: &Question, state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    let mut lines = wrap_plain(&question.reason, width, theme.plain());
    lines.push(Line::default());
    lines.extend(wrap_plain(&question.call.tool, width, theme.tool()));
    let indent = Span::raw("  ");
    match &question.preview {
        // It says what the arguments do, and better.
        Some(preview) => lines.extend(preview_lines(preview, width, theme)),
        None => {
            let arguments = items::argument_lines(&question.call);
            lines.extend(wrap(&[Span::raw(arguments)], width, &indent, &indent));
        }
    }
    lines.push(Line::default());
    lines
}

/// What a call would do; of a diff, what comes and what goes in colours of their own.
fn preview_lines(preview: &str, width: usize, theme: Theme) -> Vec<Line<'static>> {
    let style = |line: &str| match line.as_bytes().first() {
        Some(b'+') => theme.good(),
        Some(b'-') => theme.error(),
        _ => theme.plain(),
    };
    let lines = preview.lines().take(PREVIEW_LINES_MAX);
    let mut lines: Vec<Line<'static>> = lines.flat_map(|line| wrap_plain(line, width, style(line))).collect();
    if preview.lines().nth(PREVIEW_LINES_MAX).is_some() {
        lines.push(Line::styled("…", theme.dim()));
    }
    lines
}

/// The question's box: in the middle, as large as its text, at most the whole screen.
fn question_area(state: &State) -> Rect {
    let (width, height) = state.size;
    let wide = width.min(QUESTION_COLUMNS);
    let lines = state
        .questions
        .front()
        .map_or(0, |question| question_lines(question, state, usize::from(wide.saturating_sub(2))).len() + 3);
    let high = height.min(u16::try_from(lines).unwrap_or(u16::MAX));
    Rect::new((width - wide) / 2, (height - high) / 2, wide, high)
}
