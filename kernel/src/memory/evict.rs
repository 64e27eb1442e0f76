//! Eviction: which resident pages make room for new ones.
//!
//! What is evicted together stays coherent: a part of a file goes alone, a finished turn
//! goes whole, so that no answer stands without its question.

use std::collections::{HashMap, HashSet};

use crate::abi::{PageId, TokenCount};
use crate::chat::ChatTokens;
use crate::memory::page::{PageKind, Place};
use crate::memory::window::Slot;
use crate::memory::{ContextWindow, PageTable};

/// Pages that leave together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The pages.
    pub pages: Vec<PageId>,
    /// The turn in which one of them was last needed.
    pub last_used_turn: u32,
    /// Whether it is a part of a file, which can be read again at no loss.
    pub file: bool,
    /// Its tokens, framing left out.
    pub tokens: TokenCount,
}

/// Says in which order units leave.
pub trait EvictionPolicy {
    /// Its name, for records.
    fn name(&self) -> &'static str;

    /// Orders the units: the first leaves first.
    fn order(&self, units: &mut [Unit]);
}

/// Least recently used first; among equals file pages first, then the older.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lru;

impl EvictionPolicy for Lru {
    fn name(&self) -> &'static str {
        "lru"
    }

    fn order(&self, units: &mut [Unit]) {
        units.sort_by_key(|unit| (unit.last_used_turn, !unit.file, unit.pages.first().copied()));
    }
}

/// Makes room for `more`, so that the window with them has at most `high` tokens. When
/// something must go, as much goes as brings it down to `low`, so that the front of the
/// layout, and the engine's cache of it, is disturbed seldom. Boot pages and pages of
/// `current_turn` stay. Returns what left, or `None` with nothing changed when no
/// eviction is enough.
pub fn make_room(
    window: &mut ContextWindow,
    table: &PageTable,
    chat: &ChatTokens,
    policy: &dyn EvictionPolicy,
    need: &Need<'_>,
) -> Option<Vec<PageId>> {
    if window.used_with(need.more, chat) <= need.high {
        return Some(Vec::new());
    }
    let mut units = evictable(window, table, need.current_turn);
    policy.order(&mut units);
    let by_page: HashMap<PageId, Slot> = window.slots().iter().map(|slot| (slot.page, *slot)).collect();
    let mut in_message: HashMap<Place, u32> = HashMap::new();
    for slot in window.slots().iter().chain(need.more) {
        *in_message.entry(slot.place).or_default() += 1;
    }
    let mut gone: HashSet<PageId> = HashSet::new();
    let mut total = window.used_with(need.more, chat);
    for unit in units {
        if total <= need.low {
            break;
        }
        for slot in unit.pages.iter().filter_map(|page| by_page.get(page)) {
            total = total.saturating_sub(slot.tokens);
            if let Some(left) = in_message.get_mut(&slot.place) {
                *left -= 1;
                if *left == 0 {
                    total = total.saturating_sub(chat.span(slot.role).cost());
                }
            }
            gone.insert(slot.page);
        }
    }
    if total > need.high {
        return None;
    }
    window.remove(|slot| gone.contains(&slot.page));
    let mut gone: Vec<PageId> = gone.into_iter().collect();
    gone.sort_unstable();
    Some(gone)
}

/// What room is needed for.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    /// What is to be appended.
    pub more: &'a [Slot],
    /// The most tokens the window may have.
    pub high: TokenCount,
    /// Where eviction stops.
    pub low: TokenCount,
    /// Pages of this turn stay.
    pub current_turn: u32,
}

fn evictable(window: &ContextWindow, table: &PageTable, current_turn: u32) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut turn_unit: Option<(u32, usize)> = None;
    for slot in window.slots() {
        let Some(page) = table.get(slot.page) else { continue };
        if page.kind == PageKind::Boot || page.place.turn == current_turn {
            continue;
        }
        if page.kind == PageKind::File {
            units.push(Unit {
                pages: vec![page.id],
                last_used_turn: page.last_used_turn,
                file: true,
                tokens: slot.tokens,
            });
            continue;
        }
        match turn_unit {
            Some((turn, at)) if turn == page.place.turn => {
                let unit = &mut units[at];
                unit.pages.push(page.id);
                unit.tokens = unit.tokens.saturating_add(slot.tokens);
                unit.last_used_turn = unit.last_used_turn.max(page.last_used_turn);
            }
            _ => {
                turn_unit = Some((page.place.turn, units.len()));
                units.push(Unit {
                    pages: vec![page.id],
                    last_used_turn: page.last_used_turn,
                    file: false,
                    tokens: slot.tokens,
                });
            }
        }
    }
    units
}
