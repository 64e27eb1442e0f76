//! Eviction: which resident pages make room for new ones.
//!
//! What is evicted together stays coherent: a part of a file goes alone, a finished turn goes
//! whole, so that no answer stands without its question.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::abi::{PageId, TokenCount};
use crate::chat::ChatTokens;
use crate::memory::page::{PageKind, Place};
use crate::memory::window::Slot;
use crate::memory::{ContextWindow, Page, PageTable};
use crate::relevance::Words;

/// Pages that leave together.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// The pages.
    pub pages: Vec<PageId>,
    /// What can go before anything of the next class does.
    pub class: Class,
    /// The turn in which one of them was last needed.
    pub last_used_turn: u32,
    /// In how many turns one of them was needed, at most.
    pub uses: u32,
    /// Whether one of them was needed since eviction last looked at it.
    pub referenced: bool,
    /// The part of the question's words that it holds, from 0 to 1; 0 when nobody looks at it.
    pub wanted: f32,
    /// Its tokens, framing left out.
    pub tokens: TokenCount,
}

/// How near a unit is to what is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It belongs to earlier turns.
    Earlier,
    /// A call of this turn that was answered, and is not the last.
    Answered,
    /// It was found for this turn's question.
    Found,
}

/// Says in which order units leave.
pub trait EvictionPolicy {
    /// Its name, for records.
    fn name(&self) -> &'static str;

    /// Whether it looks at [`Unit::wanted`], which costs time to find out.
    fn looks_at_question(&self) -> bool {
        false
    }

    /// How much a unit is worth keeping in this turn; what is worth least leaves first, of equals
    /// the one that stands first in the window.
    fn worth(&self, unit: &Unit, turn: u32) -> f64;
}

/// The policies that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Eviction {
    /// See [`Lru`].
    Lru,
    /// See [`Clock`].
    Clock,
    /// See [`Cost`].
    #[default]
    Cost,
}

impl Eviction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lru, Self::Clock, Self::Cost];

    /// The policy.
    pub fn policy(self) -> &'static dyn EvictionPolicy {
        match self {
            Self::Lru => &Lru,
            Self::Clock => &Clock,
            Self::Cost => &Cost,
        }
    }
}

/// Least recently used first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lru;

impl EvictionPolicy for Lru {
    fn name(&self) -> &'static str {
        "lru"
    }

    fn worth(&self, unit: &Unit, _: u32) -> f64 {
        f64::from(unit.last_used_turn)
    }
}

/// First in, first out, with a second chance for what was needed since eviction last looked at
/// it (F. Corbató, "A Paging Experiment with the Multics System", 1968). One round of eviction is
/// one sweep of the hand.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock;

impl EvictionPolicy for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn worth(&self, unit: &Unit, _: u32) -> f64 {
        f64::from(u8::from(unit.referenced))
    }
}

/// What is likely to be needed again, for what it costs to bring back: how often and how lately
/// it was needed, whether the question speaks of it, and its size, since a small page costs more
/// a token to find again (as in GreedyDual-Size-Frequency, L. Cherkasova 1998).
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost;

impl Cost {
    /// After so many turns without need, a page is half as likely to be needed.
    const HALF_LIFE_TURNS: f64 = 4.0;
    /// What finding a page again costs besides its own tokens, in tokens: its heading, and the
    /// chance that it is not found.
    const FIND_TOKENS: f64 = 32.0;
    /// How much the question speaks for a page, against one that was needed just now.
    const WANTED: f64 = 2.0;
}

impl EvictionPolicy for Cost {
    fn name(&self) -> &'static str {
        "cost"
    }

    fn looks_at_question(&self) -> bool {
        true
    }

    fn worth(&self, unit: &Unit, turn: u32) -> f64 {
        let age = f64::from(turn.saturating_sub(unit.last_used_turn));
        let often = f64::from(unit.uses.max(1)).sqrt();
        let likely = often * (-age / Self::HALF_LIFE_TURNS).exp2() + Self::WANTED * f64::from(unit.wanted);
        likely * (1.0 + Self::FIND_TOKENS / f64::from(unit.tokens.max(1)))
    }
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
    /// The turn that is under way.
    pub turn: u32,
    /// These stay: what was just said and what came with it.
    pub input: &'a [PageId],
    /// Messages of this turn from this one on stay: the last call and its result.
    pub from_message: u32,
    /// What the turn is about.
    pub wanted: &'a Words,
}

impl Need<'_> {
    /// Whether a page stays whatever happens.
    pub fn keeps(&self, page: &Page) -> bool {
        page.kind == PageKind::Boot
            || page.pinned
            || self.input.contains(&page.id)
            || (page.place.turn == self.turn && page.place.message >= self.from_message)
    }
}

/// Makes room for `more`, so that the window with them has at most `high` tokens. When
/// something must go, as much goes as brings it down to `low`, so that the front of the
/// layout, and the engine's cache of it, is disturbed seldom. Boot pages, pinned pages and what
/// `need` names stay. Returns what left, or `None` with nothing changed when no eviction is enough.
pub fn make_room(
    window: &mut ContextWindow,
    table: &mut PageTable,
    chat: &ChatTokens,
    policy: &dyn EvictionPolicy,
    need: &Need<'_>,
) -> Option<Vec<PageId>> {
    if window.used_with(need.more, chat) <= need.high {
        return Some(Vec::new());
    }
    let units = evictable(window, table, need, policy.looks_at_question());
    let mut units: Vec<(f64, Unit)> =
        units.into_iter().map(|unit| (policy.worth(&unit, need.turn), unit)).collect();
    units.sort_by(|(a, one), (b, other)| one.class.cmp(&other.class).then(a.total_cmp(b)));
    let by_page: HashMap<PageId, Slot> = window.slots().iter().map(|slot| (slot.page, *slot)).collect();
    let mut in_message: HashMap<Place, u32> = HashMap::new();
    for slot in window.slots().iter().chain(need.more) {
        *in_message.entry(slot.place).or_default() += 1;
    }
    let mut gone: HashSet<PageId> = HashSet::new();
    let mut total = window.used_with(need.more, chat);
    for (_, unit) in &units {
        // What was found for this very question leaves only where it must.
        let enough = if unit.class == Class::Found { need.high } else { need.low };
        if total <= enough {
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
    for page in units.iter().flat_map(|(_, unit)| &unit.pages).filter(|page| !gone.contains(page)) {
        if let Some(page) = table.get_mut(*page) {
            page.referenced = false;
        }
    }
    let mut gone: Vec<PageId> = gone.into_iter().collect();
    gone.sort_unstable();
    Some(gone)
}

/// What may leave, in the order of the window.
fn evictable(window: &ContextWindow, table: &PageTable, need: &Need<'_>, with_wanted: bool) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    // An earlier turn, or a call of this one, and where its unit is.
    let mut open: Option<((u32, u32), usize)> = None;
    for slot in window.slots() {
        let Some(page) = table.get(slot.page) else { continue };
        if need.keeps(page) {
            continue;
        }
        let is_current = page.place.turn == need.turn;
        let alone = page.goes_alone();
        let class = match (is_current, page.place.message) {
            // It speaks of earlier turns, wherever it stands.
            _ if page.is_made_anew() => Class::Earlier,
            (false, _) => Class::Earlier,
            (true, 0) => Class::Found,
            (true, _) => Class::Answered,
        };
        let wanted = table.content(page.id).filter(|_| with_wanted).map_or(0.0, |content| {
            let missing = need.wanted.without(&content.words);
            need.wanted.covered_without(&missing)
        });
        // A call and its result are two messages, one after the other.
        let key = (page.place.turn, if is_current { page.place.message.div_ceil(2) } else { 0 });
        if let Some((_, at)) = open.filter(|(other, _)| *other == key && !alone) {
            units[at].take(page, slot.tokens, wanted);
            continue;
        }
        if !alone {
            open = Some((key, units.len()));
        }
        let mut unit = Unit {
            pages: Vec::new(),
            class,
            last_used_turn: 0,
            uses: 0,
            referenced: false,
            wanted: 0.0,
            tokens: 0,
        };
        unit.take(page, slot.tokens, wanted);
        units.push(unit);
    }
    units
}

impl Unit {
    fn take(&mut self, page: &Page, tokens: TokenCount, wanted: f32) {
        self.pages.push(page.id);
        self.tokens = self.tokens.saturating_add(tokens);
        self.last_used_turn = self.last_used_turn.max(page.last_used_turn);
        self.uses = self.uses.max(page.uses);
        self.referenced |= page.referenced;
        self.wanted = self.wanted.max(wanted);
    }
}
