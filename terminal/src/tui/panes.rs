//! The panes beside the transcript: what is in the window as a map, and the conversations.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lucid_kernel::abi::Pid;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::keymap::Command as Key;
use super::state::{Action, Pane, State, Talk};
use super::text::{fit, pad, pad_left, seconds, thousands};
use super::theme::Theme;
use super::{items, status, view};
use crate::machine::api::{Command, PageRow};

/// Rows of the map.
const MAP_ROWS: usize = 3;

impl State {
    /// Shows a pane, or hides it.
    pub(super) fn toggle_pane(&mut self, pane: Pane) {
        let shown = match pane {
            Pane::Memory => &mut self.panes.memory,
            Pane::Processes => &mut self.panes.processes,
        };
        *shown = !*shown;
        if !*shown && self.panes.focus == Some(pane) {
            self.panes.focus = None;
        }
    }

    /// Gives the keys to the next one of the input and the shown panes.
    pub(super) fn focus_next(&mut self) {
        let (memory, processes) = (self.panes.memory, self.panes.processes);
        self.panes.focus = match self.panes.focus {
            None if memory => Some(Pane::Memory),
            None | Some(Pane::Memory) if processes => Some(Pane::Processes),
            _ => None,
        };
        if !memory && !processes {
            self.hint = Some("no pane is shown; F2 shows the memory, F3 the conversations".into());
        }
    }

    /// The keys of the pane that has them; says whether it took one.
    pub(super) fn on_pane_key(
        &mut self,
        key: KeyEvent,
        bound: Option<Key>,
        actions: &mut Vec<Action>,
    ) -> bool {
        let Some(pane) = self.panes.focus else { return false };
        let rows = match pane {
            Pane::Memory => self.talk.memory.len(),
            Pane::Processes => self.talks().len(),
        };
        let chosen = self.chosen_mut(pane);
        match bound {
            Some(Key::Cancel) => self.panes.focus = None,
            Some(Key::Older) => *chosen = chosen.saturating_sub(1),
            Some(Key::Newer) => *chosen = (*chosen + 1).min(rows.saturating_sub(1)),
            Some(Key::ScrollUp) => *chosen = chosen.saturating_sub(10),
            Some(Key::ScrollDown) => *chosen = (*chosen + 10).min(rows.saturating_sub(1)),
            Some(Key::LineStart | Key::Top) => *chosen = 0,
            Some(Key::LineEnd | Key::Bottom) => *chosen = rows.saturating_sub(1),
            Some(Key::Send) => self.open_chosen(pane, actions),
            _ => {
                let KeyCode::Char(letter) = key.code else { return false };
                if !key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
                    return false;
                }
                self.on_pane_letter(pane, letter, actions);
            }
        }
        true
    }

    const fn chosen_mut(&mut self, pane: Pane) -> &mut usize {
        match pane {
            Pane::Memory => &mut self.panes.chosen.0,
            Pane::Processes => &mut self.panes.chosen.1,
        }
    }

    pub(super) fn open_chosen(&mut self, pane: Pane, actions: &mut Vec<Action>) {
        match pane {
            Pane::Memory => {
                if let Some(row) = self.talk.memory.get(self.panes.chosen.0) {
                    self.show_page(row.page, actions);
                    self.panes.focus = None;
                }
            }
            Pane::Processes => {
                if let Some(pid) = self.chosen_talk().filter(|pid| Some(*pid) != self.pid) {
                    actions.push(Action::send(Command::Foreground { pid }));
                }
                self.panes.focus = None;
            }
        }
    }

    fn chosen_talk(&self) -> Option<Pid> {
        self.talks().get(self.panes.chosen.1).map(|(pid, _)| *pid)
    }

    fn on_pane_letter(&mut self, pane: Pane, letter: char, actions: &mut Vec<Action>) {
        let page = self.talk.memory.get(self.panes.chosen.0).map(|row| row.page);
        let command = match (pane, letter) {
            (Pane::Memory, 'p') => page.map(|page| Command::Pin { page, pinned: true }),
            (Pane::Memory, 'u') => page.map(|page| Command::Pin { page, pinned: false }),
            (Pane::Memory, 'e') => page.map(|page| Command::Evict { page }),
            (Pane::Processes, 'k') => self.chosen_talk().map(|pid| Command::Kill { pid }),
            (Pane::Processes, 'c') => self.chosen_talk().map(|pid| Command::Cancel { pid: Some(pid) }),
            _ => None,
        };
        match command {
            Some(command) => actions.push(Action::send(command)),
            None => {
                self.hint = Some(match pane {
                    Pane::Memory => "Enter shows a page, p pins, u unpins, e evicts it; Esc goes back".into(),
                    Pane::Processes => {
                        "Enter goes on with one, c cancels its turn, k ends it; Esc goes back".into()
                    }
                });
            }
        }
    }

    /// Lets the turn go on in the background, and goes on in a new conversation.
    pub(super) fn go_on_behind(&mut self, actions: &mut Vec<Action>) {
        if self.talk.turn.is_some() {
            actions.push(Action::send(Command::Begin));
        } else {
            self.hint = Some("nothing is under way; /bg QUESTION asks one in the background".into());
        }
    }

    /// Goes on with the next conversation, or the one before.
    pub(super) fn next_talk(&mut self, on: bool, actions: &mut Vec<Action>) {
        let pids: Vec<Pid> = self.talks().iter().map(|(pid, _)| *pid).collect();
        let at = pids.iter().position(|pid| Some(*pid) == self.pid).unwrap_or(0);
        if pids.len() < 2 {
            self.hint = Some("there is no other conversation; /fork or /new begins one".into());
            return;
        }
        let next = if on { at + 1 } else { at + pids.len() - 1 } % pids.len();
        actions.push(Action::send(Command::Foreground { pid: pids[next] }));
    }
}

/// Where the panes stand in the area that they share.
pub fn areas(state: &State, area: Rect) -> [(Pane, Rect); 2] {
    let (memory, processes) = (state.panes.memory, state.panes.processes);
    let talks = u16::try_from(state.talks().len()).unwrap_or(u16::MAX).saturating_add(3);
    let low = match (memory, processes) {
        (true, true) => talks.min(area.height / 2).max(4.min(area.height / 2)),
        (_, true) => area.height,
        _ => 0,
    };
    let high = if memory { area.height - low } else { 0 };
    [
        (Pane::Memory, Rect { height: high, ..area }),
        (Pane::Processes, Rect { y: area.y + area.height - low, height: low, ..area }),
    ]
}

/// Draws the panes.
pub fn draw(state: &State, frame: &mut Frame<'_>, area: Rect) {
    for (pane, area) in areas(state, area) {
        if area.height == 0 || area.width == 0 {
            continue;
        }
        let width = usize::from(inner(area).width);
        let (title, lines) = match pane {
            Pane::Memory => (memory_title(state), memory(state, width, inner(area).height.into())),
            Pane::Processes => ("conversations".into(), processes(state, width, inner(area).height.into())),
        };
        let theme = state.theme;
        let has_keys = state.panes.focus == Some(pane);
        let border = if has_keys { theme.accent() } else { theme.dim() };
        frame.render_widget(Clear, area);
        let title = fit(&format!(" {title} "), usize::from(area.width).saturating_sub(2));
        let block = Block::bordered().border_style(border).title(Span::styled(title, theme.strong()));
        if inner(area) != area {
            frame.render_widget(block, area);
        }
        frame.render_widget(Paragraph::new(lines), inner(area));
    }
}

/// The room inside the border; a small area has none.
fn inner(area: Rect) -> Rect {
    view::inside(area, 4, 12)
}

fn memory_title(state: &State) -> String {
    match state.occupancy() {
        Some((resident, budget)) => format!("memory {} of {}", thousands(resident), thousands(budget)),
        None => "memory".into(),
    }
}

/// The sign of a kind of page, so that the map can be read without colours.
pub fn sign(kind: &str) -> char {
    match kind {
        "boot" => 'b',
        "pinned" => 'k',
        "file" => 'f',
        "call" => 'c',
        "result" => 'r',
        "digest" => 'd',
        _ => 't',
    }
}

/// How a page looks: by its kind, bright when it was needed in this turn.
fn look(row: &PageRow, turn: u32, theme: Theme) -> Style {
    let style = match row.kind.as_str() {
        "file" => theme.accent(),
        "call" | "result" => theme.tool(),
        "boot" | "digest" => theme.plain(),
        _ => theme.good(),
    };
    if row.turn >= turn || row.pinned {
        style.add_modifier(Modifier::BOLD)
    } else {
        style.add_modifier(Modifier::DIM)
    }
}

/// The window as a map: each page takes cells by its tokens, and what is free is dotted.
fn map(state: &State, width: usize, turn: u32) -> Vec<Line<'static>> {
    let cells = width * MAP_ROWS;
    let (resident, budget) = state.occupancy().unwrap_or((0, 1));
    let whole = budget.max(resident).max(1);
    let mut all: Vec<(char, Style)> = Vec::with_capacity(cells);
    let mut used = 0_u64;
    for row in state.talk.memory.iter().filter(|row| row.resident) {
        used += u64::from(row.tokens);
        let to = usize::try_from(used * cells as u64 / u64::from(whole)).unwrap_or(cells).min(cells);
        // Even the smallest page is seen, while there is room.
        let to = to.max(all.len() + 1).min(cells);
        let style = look(row, turn, state.theme);
        let first = all.len();
        while all.len() < to {
            let cell = if all.len() == first { sign(&row.kind) } else { '█' };
            all.push((cell, style));
        }
    }
    all.resize(cells, ('·', state.theme.dim()));
    all.chunks(width.max(1))
        .map(|row| {
            Line::from(row.iter().map(|(c, style)| Span::styled(c.to_string(), *style)).collect::<Vec<_>>())
        })
        .collect()
}

fn memory(state: &State, width: usize, height: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    let rows = &state.talk.memory;
    if rows.is_empty() {
        return vec![Line::styled(fit("nothing is in memory yet", width), theme.dim())];
    }
    let turn = rows.iter().map(|row| row.turn).max().unwrap_or(0);
    let mut lines = if has_map(height) { map(state, width, turn) } else { Vec::new() };
    let room = height.saturating_sub(lines.len());
    let has_keys = state.panes.focus == Some(Pane::Memory);
    let chosen = state.panes.chosen.0.min(rows.len() - 1);
    let first = first_page(state, room);
    let shown = rows.iter().enumerate().skip(first).take(room);
    lines.extend(shown.map(|(at, row)| {
        let line = memory_row(state, row, turn, width);
        if has_keys && at == chosen { line.patch_style(Modifier::REVERSED) } else { line }
    }));
    lines
}

const fn has_map(height: usize) -> bool {
    height > MAP_ROWS + 3
}

/// The first page of the list. What came last stands at the end, and is what one looks for.
fn first_page(state: &State, room: usize) -> usize {
    let rows = state.talk.memory.len();
    let has_keys = state.panes.focus == Some(Pane::Memory);
    let wanted = if has_keys { state.panes.chosen.0.saturating_sub(room / 2) } else { rows };
    wanted.min(rows.saturating_sub(room))
}

/// The row of a pane's list at this place.
pub fn row_at(state: &State, pane: Pane, area: Rect, at: Position) -> Option<usize> {
    let room = inner(area);
    let line = usize::from(at.y.checked_sub(room.y)?);
    let height = usize::from(room.height);
    let (skipped, first, rows) = match pane {
        Pane::Memory => {
            let map = if has_map(height) { MAP_ROWS } else { 0 };
            (map, first_page(state, height - map), state.talk.memory.len())
        }
        Pane::Processes => (1, first_talk(state, height), state.talks().len()),
    };
    let row = line.checked_sub(skipped)? + first;
    (row < rows && line < height).then_some(row)
}

/// The first conversation of the list.
const fn first_talk(state: &State, height: usize) -> usize {
    state.panes.chosen.1.saturating_sub(height.saturating_sub(2))
}

/// A page on one line.
pub fn memory_row(state: &State, row: &PageRow, turn: u32, width: usize) -> Line<'static> {
    let theme = state.theme;
    let moved = state.talk.moved.iter().find(|(page, ..)| *page == row.page);
    let mark = match (moved, row.resident, row.pinned) {
        (Some((_, true, _)), ..) => '+',
        (Some((_, false, _)), ..) => '-',
        (_, false, _) => '○',
        (_, _, true) => '■',
        _ => '●',
    };
    let shared = if row.shared_with.is_empty() { " " } else { "*" };
    let source = items::source(&row.provenance, state);
    let words = if matches!(row.kind.as_str(), "file") { source } else { row.preview.clone() };
    let style = if row.resident { look(row, turn, theme) } else { theme.dim() };
    let left = format!("{mark}{shared}{}{} ", pad(&row.page.to_string(), 5), pad(&row.kind, 7));
    let tokens = pad_left(&thousands(row.tokens), 6);
    let room = width.saturating_sub(2 + 5 + 7 + 1 + 6 + 1);
    Line::from(vec![
        Span::styled(left, style),
        Span::raw(tokens),
        Span::raw(" "),
        Span::styled(fit(&words, room), theme.dim()),
    ])
}

fn processes(state: &State, width: usize, height: usize) -> Vec<Line<'static>> {
    let theme = state.theme;
    let has_keys = state.panes.focus == Some(Pane::Processes);
    let talks = state.talks();
    let chosen = state.panes.chosen.1.min(talks.len().saturating_sub(1));
    let first = first_talk(state, height);
    let head = format!("{}{}{}{}", pad("", 5), pad_left("tokens", 7), pad_left("time", 8), "  state");
    let mut lines = vec![Line::styled(fit(&head, width), theme.dim())];
    for (at, (pid, talk)) in talks.iter().enumerate().skip(first).take(height.saturating_sub(1)) {
        let line = process_row(state, *pid, talk, width);
        lines.push(if has_keys && at == chosen { line.patch_style(Modifier::REVERSED) } else { line });
    }
    lines
}

/// A conversation on one line.
pub fn process_row(state: &State, pid: Pid, talk: &Talk, width: usize) -> Line<'static> {
    let theme = state.theme;
    let mark = match (Some(pid) == state.pid, talk.is_news) {
        (true, _) => '>',
        (_, true) => '!',
        _ => ' ',
    };
    let tokens = state.occupancy_of(talk).map_or(0, |(resident, _)| resident);
    let time = talk.turn.as_ref().map_or_else(
        || talk.cost.map_or_else(String::new, |cost| seconds(cost.usage.total_ms)),
        |turn| seconds(state.now_ms.saturating_sub(turn.since_ms)),
    );
    let doing = status::doing(state, pid, talk);
    let busy = if talk.turn.is_some() { theme.accent() } else { theme.dim() };
    let left = format!(
        "{mark}{}{}{}  ",
        pad(&pid.to_string(), 4),
        pad_left(&thousands(tokens), 7),
        pad_left(&time, 8)
    );
    let room = width.saturating_sub(1 + 4 + 7 + 8 + 2);
    let said = talk.asked().lines().next().unwrap_or("");
    Line::from(vec![Span::raw(left), Span::styled(fit(&format!("{doing}: {said}"), room), busy)])
}
