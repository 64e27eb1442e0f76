//! The context window: which pages are resident, in which order, and how many tokens
//! they take, framing included, to the token.

use serde::{Deserialize, Serialize};

use crate::abi::{PageId, Role, TokenCount};
use crate::chat::ChatTokens;
use crate::memory::page::Place;
use crate::memory::{Page, PageTable};

/// A resident page, with what the layout needs of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Its address.
    pub page: PageId,
    /// Who speaks.
    pub role: Role,
    /// Where it stands.
    pub place: Place,
    /// Its size.
    pub tokens: TokenCount,
}

impl Slot {
    /// The slot of a page.
    pub fn of(page: &Page) -> Self {
        Self { page: page.id, role: page.role, place: page.place, tokens: page.tokens }
    }
}

/// The resident pages of one process, in order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContextWindow {
    slots: Vec<Slot>,
}

impl ContextWindow {
    /// The resident pages, in the order of the layout.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Whether a page is resident.
    pub fn holds(&self, id: PageId) -> bool {
        self.slots.iter().any(|slot| slot.page == id)
    }

    /// Appends a page at the end. Nothing happens when it is resident already.
    pub fn push(&mut self, page: &Page) {
        if !self.holds(page.id) {
            self.slots.push(Slot::of(page));
        }
    }

    /// Puts a page in the place of the first one.
    pub fn replace_front(&mut self, page: &Page) {
        if let Some(front) = self.slots.first_mut() {
            *front = Slot::of(page);
        }
    }

    /// Takes pages out; they stay in the table.
    pub fn remove(&mut self, gone: impl Fn(&Slot) -> bool) {
        self.slots.retain(|slot| !gone(slot));
    }

    /// Tokens of the whole layout, with every message's framing and, at the end, the
    /// opening of the model's answer.
    pub fn used(&self, chat: &ChatTokens) -> TokenCount {
        used(self.slots.iter().copied(), chat)
    }

    /// What [`ContextWindow::used`] would be with these slots appended.
    pub fn used_with(&self, more: &[Slot], chat: &ChatTokens) -> TokenCount {
        used(self.slots.iter().chain(more).copied(), chat)
    }

    /// Every resident page is in the table with its content, at the size the window counts.
    pub fn agrees_with(&self, table: &PageTable) -> bool {
        let counted = |slot: &Slot| table.content(slot.page).map(|content| content.shown.count());
        self.slots.iter().all(|slot| counted(slot) == Some(slot.tokens))
    }
}

/// Tokens of a layout made of these slots.
pub fn used(slots: impl Iterator<Item = Slot>, chat: &ChatTokens) -> TokenCount {
    let mut total = chat.generate.count();
    let mut open: Option<Place> = None;
    for slot in slots {
        if open != Some(slot.place) {
            total = total.saturating_add(chat.span(slot.role).cost());
            open = Some(slot.place);
        }
        total = total.saturating_add(slot.tokens);
    }
    total
}
