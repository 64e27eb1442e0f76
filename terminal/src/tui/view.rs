//! Draws the state: a pure function from [`State`] to a frame.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::state::State;
use super::text::{clean, fit};
use super::transcript::{Item, Scroll};
use super::{items, lines, offers, overlay, panes, pictures, status};

/// The most rows the input line grows to.
pub const MAX_INPUT_ROWS: usize = 8;
/// The most waiting inputs that are shown.
pub const MAX_QUEUE_ROWS: usize = 3;
/// From this many columns on, the status line needs one row only.
pub const WIDE_COLUMNS: u16 = 110;
/// With fewer rows than this, everything but input, status and transcript is left out.
pub const LOW_ROWS: u16 = 10;
const PROMPT: &str = "> ";
/// Who scrolls by more lines than this means the end.
const FAR: isize = isize::MAX / 4;

/// The narrowest screen on which panes stand beside the transcript; on others they lie over it.
pub const PANE_SCREEN_COLUMNS: u16 = 100;
/// Columns that the transcript keeps beside panes.
const TRANSCRIPT_COLUMNS: u16 = 50;

/// Where everything stands, from top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Regions {
    /// What was said and done.
    pub transcript: Rect,
    /// The panes, beside the transcript or over it.
    pub panes: Rect,
    /// What is offered, or asked about a command.
    pub offer: Rect,
    /// Inputs that wait.
    pub queue: Rect,
    /// A line between.
    pub rule: Rect,
    /// What comes with the next input.
    pub attached: Rect,
    /// The input line.
    pub input: Rect,
    /// A word on the last key.
    pub hint: Rect,
    /// The status line.
    pub status: Rect,
}

/// Shares the screen out. What matters most gets its rows first.
pub fn regions(state: &State) -> Regions {
    let (width, height) = state.size;
    let rows = state.editor.rows(input_width(state)).len();
    let mut left = height;
    let mut take = |wanted: usize| {
        let given = left.min(u16::try_from(wanted).unwrap_or(u16::MAX));
        left -= given;
        given
    };
    let input = take(rows.clamp(1, MAX_INPUT_ROWS.min(usize::from(height / 3)).max(1)));
    let mut transcript = take(1);
    let low = height < LOW_ROWS;
    let status = take(if low || width >= WIDE_COLUMNS { 1 } else { 2 });
    let hint = take(usize::from(state.hint.is_some()));
    let offer = take(offer_lines(state).len());
    let attached = take(usize::from(!state.attached.is_empty()));
    let queue = state.talk.queue.len();
    let queue = take(if low { queue.min(1) } else { queue.min(MAX_QUEUE_ROWS) });
    let rule = take(usize::from(!low));
    transcript += left;
    let mut y = 0;
    let mut place = |rows: u16| {
        let area = Rect::new(0, y, width, rows);
        y += rows;
        area
    };
    let (transcript, panes) = beside(state, place(transcript));
    Regions {
        transcript,
        panes,
        offer: place(offer),
        queue: place(queue),
        rule: place(rule),
        attached: place(attached),
        input: place(input),
        hint: place(hint),
        status: place(status),
    }
}

/// The transcript and the panes: beside each other where there is room, else the panes over it.
fn beside(state: &State, area: Rect) -> (Rect, Rect) {
    if !state.panes.memory && !state.panes.processes {
        return (area, Rect::default());
    }
    if area.width < PANE_SCREEN_COLUMNS {
        return (area, area);
    }
    let panes = state.panes.columns.min(area.width.saturating_sub(TRANSCRIPT_COLUMNS));
    let transcript = Rect { width: area.width - panes, ..area };
    (transcript, Rect { x: area.x + transcript.width, width: panes, ..area })
}

/// Draws everything.
pub fn draw(state: &State, frame: &mut Frame<'_>) {
    let sized;
    let state = if frame.area().as_size() == state.size.into() {
        state
    } else {
        // The terminal was resized and its event is still on the way.
        sized = State { size: (frame.area().width, frame.area().height), ..state.clone() };
        &sized
    };
    let regions = regions(state);
    draw_transcript(state, frame, regions.transcript);
    if regions.panes.width > 0 {
        panes::draw(state, frame, regions.panes);
    }
    if state.overlay.is_some() {
        overlay::draw(state, frame, regions.transcript);
    }
    frame.render_widget(Paragraph::new(offer_lines(state)), regions.offer);
    draw_queue(state, frame, regions.queue);
    let rule = "─".repeat(usize::from(regions.rule.width));
    frame.render_widget(Line::styled(rule, state.theme.dim()), regions.rule);
    draw_attached(state, frame, regions.attached);
    draw_input(state, frame, regions.input);
    if let Some(hint) = &state.hint {
        frame.render_widget(
            Line::styled(fit(hint, width_of(regions.hint)), state.theme.accent()),
            regions.hint,
        );
    }
    frame.render_widget(Paragraph::new(status::lines(state, regions.status)), regions.status);
    if state.finder.is_some() {
        overlay::draw_finder(state, frame, regions.transcript);
    }
    if !state.questions.is_empty() {
        overlay::draw_question(state, frame);
    }
}

/// What is offered, or whether a command of the user's may run.
fn offer_lines(state: &State) -> Vec<Line<'static>> {
    let Some(command) = &state.command else { return offers::lines(state) };
    let (theme, none) = (state.theme, Span::raw(""));
    let text = format!("Run {command} in {}? Its output comes with the next input.  ", state.shown_folder());
    let asked = [Span::styled(text, theme.strong()), Span::styled("y / n", theme.user())];
    super::text::wrap(&asked, usize::from(state.size.0), &none, &none)
}

fn draw_attached(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let names: Vec<&str> = state.attached.iter().map(|(name, _)| name.as_str()).collect();
    let text = fit(&format!("with: {}", names.join(", ")), width_of(area));
    if area.height > 0 {
        frame.render_widget(Line::styled(text, state.theme.dim()), area);
    }
}

/// The room inside a border; an area with fewer rows or columns than these has none.
pub const fn inside(area: Rect, rows: u16, columns: u16) -> Rect {
    if area.height < rows || area.width < columns {
        return area;
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
}

/// Columns for the text of the input line.
pub fn input_width(state: &State) -> usize {
    usize::from(state.size.0).saturating_sub(PROMPT.len()).max(2)
}

/// How far PageUp and PageDown go: a screen less one line.
pub fn page_lines(state: &State) -> isize {
    isize::try_from(regions(state).transcript.height.saturating_sub(1).max(1)).unwrap_or(1)
}

/// The last line to which the overlay or the question can be scrolled.
pub fn overlay_last_line(state: &State) -> usize {
    overlay::last_line(state, regions(state).transcript)
}

fn width_of(area: Rect) -> usize {
    usize::from(area.width)
}

fn draw_transcript(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let transcript = &state.talk.transcript;
    let (first, line) = top(state, area);
    let height = usize::from(area.height);
    let mut lines = Vec::new();
    let mut pictures = Vec::new();
    let mut skip = line;
    for at in first..transcript.items().len() {
        let from = lines.len();
        let room = height - from;
        lines.extend(lines::some(state, transcript, at, width_of(area), (skip, room)));
        if let Some((number, which)) = transcript.chosen
            && transcript.number(at) == number
        {
            let rows = items::rows_of(transcript, at, which, width_of(area), state);
            for row in rows.filter_map(|row| row.checked_sub(skip)) {
                if let Some(line) = lines.get_mut(from + row) {
                    *line = std::mem::take(line).patch_style(Modifier::REVERSED);
                }
            }
        }
        if let Some(Item::Picture(path)) = transcript.items().get(at)
            && let Some(picture) = state.pictures.get(path).filter(|_| skip == 0)
        {
            pictures.push((from, picture));
        }
        skip = 0;
        if lines.len() >= height {
            break;
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
    for (from, picture) in pictures {
        // Half a picture cannot be drawn by every protocol; its file is named below it.
        let rows = usize::from(picture.rows());
        if from + rows <= height && area.width >= pictures::COLUMNS {
            let y = area.y + u16::try_from(from).unwrap_or(u16::MAX);
            picture.draw(frame, Rect { y, height: picture.rows(), ..area });
        }
    }
    if transcript.scroll != Scroll::Follow && area.height > 1 {
        let text = fit(" more below: End ", width_of(area));
        let wide = u16::try_from(super::text::columns(&text)).unwrap_or(area.width);
        let mark = Rect::new(area.right() - wide, area.bottom() - 1, wide, 1);
        frame.render_widget(Line::styled(text, state.theme.accent()), mark);
    }
}

/// What stands at a place of the screen: an item's number, and which of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The item's number.
    pub number: u64,
    /// What can be opened there.
    pub target: Option<usize>,
}

/// What of the transcript stands at a place.
pub fn place(state: &State, at: Position) -> Option<Place> {
    let area = regions(state).transcript;
    if !area.contains(at) {
        return None;
    }
    let transcript = &state.talk.transcript;
    let (item, line) = on(state, area, top(state, area), usize::from(at.y - area.y))?;
    let target = (0..transcript.targets(item).len())
        .find(|which| items::rows_of(transcript, item, *which, width_of(area), state).contains(&line));
    Some(Place { number: transcript.number(item), target })
}

/// Where one has to look to see what is chosen; none when it is seen.
pub fn scroll_to_chosen(state: &State) -> Option<Scroll> {
    let area = regions(state).transcript;
    let transcript = &state.talk.transcript;
    let (number, which) = transcript.chosen?;
    let item = transcript.position(number)?;
    let line = items::rows_of(transcript, item, which, width_of(area), state).start;
    let first = top(state, area);
    let height = usize::from(area.height).max(1);
    if (item, line) < first {
        return Some(Scroll::At { item, line });
    }
    let last = on(state, area, first, height - 1);
    if last.is_some_and(|last| (item, line) > last) {
        let (item, line) = back(state, area, (item, line), height - 1);
        return Some(Scroll::At { item, line });
    }
    None
}

/// The first item and line that are shown.
fn top(state: &State, area: Rect) -> (usize, usize) {
    let transcript = &state.talk.transcript;
    match transcript.scroll {
        Scroll::Follow => back(state, area, (transcript.items().len(), 0), usize::from(area.height)),
        Scroll::At { item, line } => {
            let lines = height(state, area, item);
            (item, line.min(lines.saturating_sub(1)))
        }
    }
}

fn height(state: &State, area: Rect, item: usize) -> usize {
    lines::height(state, &state.talk.transcript, item, width_of(area))
}

/// The place so many lines above another, or the very first.
fn back(state: &State, area: Rect, (mut item, mut line): (usize, usize), mut lines: usize) -> (usize, usize) {
    loop {
        if line >= lines {
            return (item, line - lines);
        }
        lines -= line;
        if item == 0 {
            return (0, 0);
        }
        item -= 1;
        line = height(state, area, item);
    }
}

/// The place so many lines below another; none when that is behind the end.
fn on(state: &State, area: Rect, (mut item, line): (usize, usize), lines: usize) -> Option<(usize, usize)> {
    let mut lines = line.saturating_add(lines);
    while item < state.talk.transcript.items().len() {
        let height = height(state, area, item);
        if lines < height {
            return Some((item, lines));
        }
        lines -= height;
        item += 1;
    }
    None
}

/// Where one looks after scrolling by so many lines; negative is up. Whoever reaches the end
/// follows it again.
pub fn scrolled(state: &State, lines: isize) -> Scroll {
    let area = regions(state).transcript;
    // What lies between is not laid out to go to either end.
    if lines > FAR {
        return Scroll::Follow;
    }
    let from = if lines < -FAR { (0, 0) } else { top(state, area) };
    let (item, line) = if lines < 0 {
        back(state, area, from, lines.unsigned_abs())
    } else {
        match on(state, area, from, lines.unsigned_abs()) {
            Some(to) => to,
            None => return Scroll::Follow,
        }
    };
    let end = (state.talk.transcript.items().len(), 0);
    if (item, line) >= back(state, area, end, usize::from(area.height)) {
        return Scroll::Follow;
    }
    Scroll::At { item, line }
}

fn draw_queue(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let shown = usize::from(area.height);
    let hidden = state.talk.queue.len().saturating_sub(shown);
    let lines = state.talk.queue.iter().take(shown).enumerate().map(|(at, said)| {
        let line = &said.line;
        let more =
            if at + 1 == shown && hidden > 0 { format!(" (and {hidden} more)") } else { String::new() };
        Line::styled(fit(&format!("waits{more}: {line}"), width_of(area)), state.theme.dim())
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}

fn draw_input(state: &State, frame: &mut Frame<'_>, area: Rect) {
    let text = state.editor.text();
    let rows = state.editor.rows(input_width(state));
    let (row, column) = state.editor.place(&rows);
    let height = usize::from(area.height);
    // The cursor's row is always among those shown.
    let first = row.saturating_sub(height.saturating_sub(1)).min(rows.len().saturating_sub(height));
    let lines =
        rows.iter().enumerate().skip(first).take(height).map(|(at, range)| input_row(state, at, range));
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
    if text.is_empty() && area.height > 0 {
        let room = Rect {
            x: area.x + (PROMPT.len() as u16).min(area.width),
            width: area.width.saturating_sub(PROMPT.len() as u16),
            ..area
        };
        frame.render_widget(Line::styled(fit(placeholder(state), width_of(room)), state.theme.dim()), room);
    }
    if !state.is_question_open() && state.panes.focus.is_none() && area.height > 0 {
        let x = PROMPT.len() + column;
        let x =
            area.x.saturating_add(u16::try_from(x).unwrap_or(u16::MAX)).min(area.right().saturating_sub(1));
        frame.set_cursor_position(Position::new(x, area.y + (row - first) as u16));
    }
}

fn input_row(state: &State, at: usize, range: &Range<usize>) -> Line<'static> {
    let text = clean(&state.editor.text()[range.clone()]).into_owned();
    let prompt = if at == 0 { PROMPT } else { "  " };
    Line::from(vec![Span::styled(prompt, state.theme.accent()), Span::raw(text)])
}

fn placeholder(state: &State) -> &'static str {
    match (state.dead, &state.engine, &state.talk.turn) {
        (Some(_), ..) => "Ctrl-D leaves",
        (None, None, _) => "Type already; it is sent when the model is ready",
        (None, Some(_), Some(turn)) if !turn.cancelled => "Esc cancels",
        _ => "",
    }
}
