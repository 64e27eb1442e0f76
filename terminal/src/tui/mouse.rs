//! What the mouse does: it scrolls what it is over, opens what can be opened, and chooses in panes.
//! Text is selected with Shift held, which terminals keep to themselves.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::panes;
use super::state::{Action, Pane, State, WHEEL_LINES};
use super::view::{self, Place};

impl State {
    pub(super) fn on_mouse(&mut self, mouse: MouseEvent, actions: &mut Vec<Action>) {
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollUp => self.on_wheel(at, -WHEEL_LINES),
            MouseEventKind::ScrollDown => self.on_wheel(at, WHEEL_LINES),
            MouseEventKind::Down(MouseButton::Left) => self.on_click(at, actions),
            MouseEventKind::Drag(MouseButton::Left) if self.panes.dragged => self.drag_border(at),
            MouseEventKind::Up(_) => self.panes.dragged = false,
            _ => {}
        }
    }

    fn on_wheel(&mut self, at: Position, lines: isize) {
        let pane = self.pane_at(at).filter(|_| self.overlay.is_none() && self.questions.is_empty());
        let Some((pane, _)) = pane else { return self.scroll(lines) };
        let (rows, chosen) = match pane {
            Pane::Memory => (self.talk.memory.len(), &mut self.panes.chosen.0),
            Pane::Processes => (self.others.len() + 1, &mut self.panes.chosen.1),
        };
        *chosen = chosen.saturating_add_signed(lines).min(rows.saturating_sub(1));
        self.panes.focus = Some(pane);
    }

    fn pane_at(&self, at: Position) -> Option<(Pane, Rect)> {
        let area = view::regions(self).panes;
        panes::areas(self, area).into_iter().find(|(_, area)| area.contains(at))
    }

    fn on_click(&mut self, at: Position, actions: &mut Vec<Action>) {
        let regions = view::regions(self);
        if !self.questions.is_empty() || self.finder.is_some() {
            return;
        }
        if self.overlay.is_none() && regions.panes.width > 0 && at.x == regions.panes.x && at.x > 0 {
            self.panes.dragged = true;
        } else if let Some((pane, area)) = self.pane_at(at) {
            self.click_pane(pane, area, at, actions);
        } else if regions.input.contains(at) {
            self.panes.focus = None;
        } else if self.overlay.is_none()
            && let Some(Place { number, target: Some(which) }) = view::place(self, at)
        {
            self.talk.transcript.chosen = Some((number, which));
            self.open_target(number, which, actions);
        }
    }

    /// A click chooses a row, a second one opens it.
    fn click_pane(&mut self, pane: Pane, area: Rect, at: Position, actions: &mut Vec<Action>) {
        let had_keys = self.panes.focus == Some(pane);
        self.panes.focus = Some(pane);
        let Some(row) = panes::row_at(self, pane, area, at) else { return };
        let chosen = match pane {
            Pane::Memory => &mut self.panes.chosen.0,
            Pane::Processes => &mut self.panes.chosen.1,
        };
        let again = had_keys && *chosen == row;
        *chosen = row;
        if again {
            self.open_chosen(pane, actions);
        }
    }

    fn drag_border(&mut self, at: Position) {
        let columns = self.size.0.saturating_sub(at.x);
        self.panes.columns = columns.clamp(super::keys::PANE_COLUMNS.0, super::keys::PANE_COLUMNS.1);
    }
}
