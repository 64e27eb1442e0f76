//! What lies over the transcript: help, one page, lists that grow shorter, and the question to the user.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use lucid_kernel::abi::SourcePage;

use super::finder::Kind;
use super::manual::COMMANDS;
use super::state::{ASK_MS, Overlay, Question, State};
use super::text::{count, fit, pad, wrap, wrap_plain};
use super::theme::Theme;
use super::{items, keymap, view};
use crate::machine::api::PageRow;

const QUESTION_COLUMNS: u16 = 76;
/// So long before its end it is said that a question will be a no.
const LAST_MS: u64 = 60_000;
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
    let title = question_title(question, state);
    draw_box(state, frame, area, &title, question_lines(question, state, inner(area).width.into()));
    let room = inner(area);
    let keys = Rect { y: room.bottom().saturating_sub(1), height: room.height.min(1), ..room };
    frame.render_widget(Clear, keys);
    let style = if state.is_question_open() { state.theme.user() } else { state.theme.dim() };
    frame.render_widget(Line::styled(fit(answers(question), keys.width.into()), style), keys);
}

/// The keys that answer a question.
pub fn answers(question: &Question) -> &'static str {
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
    view::inside(area, 5, 12)
}

/// Whether all that is shown is there already.
pub const fn is_whole(state: &State) -> bool {
    !matches!(state.overlay, Some(Overlay::Page(_, None)))
}

/// What is shown: its title and its lines.
pub fn content(state: &State, width: usize) -> (String, Vec<Line<'static>>) {
    match &state.overlay {
        None => (String::new(), Vec::new()),
        Some(Overlay::Help(None)) => ("help · Esc closes".into(), help(state, width)),
        Some(Overlay::Help(Some(name))) => (format!("{name} · Esc closes"), manual(name, state, width)),
        Some(Overlay::Page(id, page)) => match page {
            None => (id.to_string(), wrap_plain("looking it up", width, state.theme.dim())),
            Some(page) => (format!("{id} · Esc closes"), page_lines(&page.0, &page.1, state, width)),
        },
        Some(Overlay::Text(title, text)) => {
            (format!("{title} · Esc closes"), wrap_plain(text, width, state.theme.plain()))
        }
    }
}

fn help(state: &State, width: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    let keys = keymap::Command::ALL.iter().map(|(command, _, does, _)| (state.keymap.hints(*command), *does));
    let keys = keys.filter(|(keys, _)| !keys.is_empty());
    let commands =
        COMMANDS.iter().map(|command| (format!("{} {}", command.name, command.argument), command.short));
    let left = 24.min(width / 2);
    let row = |(first, does): (String, &'static str)| {
        let first = Span::styled(pad(&first, left), theme.accent());
        let rest = Span::raw(" ".repeat(left));
        wrap(&[Span::raw(does)], width, &first, &rest)
    };
    let mut lines: Vec<Line<'static>> = commands.flat_map(row).collect();
    lines.push(Line::default());
    let signs = [
        ("@", "name a file, a page, a tool or a session of before"),
        ("!COMMAND", "run a command; its output comes with the next input"),
        ("//", "at the start of a line: a plain slash"),
    ];
    lines.extend(signs.map(|(sign, does)| (sign.to_owned(), does)).into_iter().flat_map(row));
    lines.push(Line::default());
    lines.extend(keys.flat_map(row));
    lines.push(Line::default());
    let remarks =
        "/help COMMAND says more. Hold Shift to select text with the mouse. Keys are set in settings.toml.";
    lines.extend(wrap_plain(remarks, width, theme.dim()));
    lines
}

fn manual(name: &str, state: &State, width: usize) -> Vec<Line<'static>> {
    let Some(manual) = super::manual::find(name) else { return Vec::new() };
    let theme = state.theme;
    let mut lines = wrap_plain(&format!("{} {}", manual.name, manual.argument), width, theme.user());
    lines.extend(wrap_plain(manual.short, width, theme.strong()));
    lines.push(Line::default());
    lines.extend(wrap_plain(manual.long, width, theme.plain()));
    lines.push(Line::default());
    lines.extend(wrap_plain(&format!("For example: {}", manual.example), width, theme.dim()));
    lines
}

/// The most rows of a finder's list.
const FINDER_ROWS: usize = 12;

/// Draws the list that grows shorter, above the input.
pub fn draw_finder(state: &State, frame: &mut Frame<'_>, transcript: Rect) {
    let Some(finder) = &state.finder else { return };
    let theme = state.theme;
    let (title, has_query) = match finder.kind {
        Kind::Palette => ("commands", true),
        Kind::History => ("earlier inputs", true),
        Kind::Mention(_) => ("name with @", false),
    };
    let bottom = view::regions(state).rule.y;
    let count = finder.found().len();
    let rows = count.clamp(1, FINDER_ROWS) + usize::from(has_query) + 2;
    let height = u16::try_from(rows).unwrap_or(u16::MAX).min(bottom);
    let width = state.size.0.min(transcript.width.max(60));
    let area = Rect::new(0, bottom - height, width, height);
    let room = view::inside(area, 3, 2);
    let wide = usize::from(room.width);
    let mut lines = Vec::new();
    if has_query {
        let query = Span::raw(fit(&finder.query, wide.saturating_sub(3)));
        lines.push(Line::from(vec![
            Span::styled("? ", theme.accent()),
            query,
            Span::styled("▏", theme.accent()),
        ]));
    }
    let shown = usize::from(room.height).saturating_sub(lines.len());
    let first = (finder.chosen + 1).saturating_sub(shown);
    for (at, candidate) in finder.found().enumerate().skip(first).take(shown) {
        let about = fit(&candidate.about, wide / 2);
        let text = fit(&candidate.text, wide.saturating_sub(super::text::columns(&about) + 4));
        let gap = wide.saturating_sub(super::text::columns(&text) + super::text::columns(&about) + 2);
        let line = Line::from(vec![
            Span::raw(if at == finder.chosen { "> " } else { "  " }),
            Span::raw(text),
            Span::raw(" ".repeat(gap)),
            Span::styled(about, theme.dim()),
        ]);
        lines.push(if at == finder.chosen { line.patch_style(Modifier::BOLD) } else { line });
    }
    if count == 0 {
        lines.push(Line::styled("  nothing matches", theme.dim()));
    }
    frame.render_widget(Clear, area);
    if room != area {
        let title = Span::styled(format!(" {title} "), theme.strong());
        frame.render_widget(Block::bordered().border_style(theme.dim()).title(title), area);
    }
    frame.render_widget(Paragraph::new(lines), room);
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

/// What is asked, in words: who asks, why, what would be done, and what a yes lets happen.
pub fn question_lines(question: &Question, state: &State, width: usize) -> Vec<Line<'static>> {
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
    if !question.wants.is_empty() {
        lines.push(Line::default());
        lines.extend(wrap_plain("A yes lets it:", width, theme.plain()));
        for want in &question.wants {
            let dash = Span::styled("- ", theme.dim());
            let words = format!("{} ({} for {})", want.words, want.right, want.plugin);
            lines.extend(wrap(&[Span::raw(words)], width, &dash, &indent));
        }
        lines.extend(leaving_lines(question, state, width));
    }
    lines.push(Line::default());
    lines
}

/// The most pages that are named of those that could leave the machine.
const LEAVING_MAX: usize = 6;

/// Of a call that may send something: whose pages the model has read when it wrote what is sent.
fn leaving_lines(question: &Question, state: &State, width: usize) -> Vec<Line<'static>> {
    if !question.wants.iter().any(|want| want.right.starts_with("net:") || want.right.starts_with("secret:"))
    {
        return Vec::new();
    }
    let is_current = Some(question.pid) == state.pid;
    let talk = if is_current { Some(&state.talk) } else { state.others.get(&question.pid) };
    let rows = talk.map_or(&[][..], |talk| &talk.memory).iter();
    let pages: Vec<String> = rows
        .filter(|row| row.resident && row.kind == "file")
        .map(|row| items::source(&row.provenance, state))
        .collect();
    if pages.is_empty() {
        return Vec::new();
    }
    let more = pages.len().saturating_sub(LEAVING_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = pages.into_iter().take(LEAVING_MAX).collect::<Vec<_>>().join(", ");
    let text =
        format!("What it sends may say what stands in these pages, which the model has read: {named}{more}.");
    wrap_plain(&text, width, state.theme.plain())
}

/// Who asks, how many others wait, and how long it still does.
pub fn question_title(question: &Question, state: &State) -> String {
    let who = if Some(question.pid) == state.pid { String::new() } else { format!("{}: ", question.pid) };
    let others = match state.questions.len() {
        0 | 1 => String::new(),
        all => format!(" (1 of {all})"),
    };
    let left = (question.since_ms + ASK_MS).saturating_sub(state.now_ms);
    let left =
        if left < LAST_MS { format!(" · no in {}", super::text::seconds(left)) } else { String::new() };
    format!("{who}may {} run?{others}{left}", question.call.tool)
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
