//! The page table: every page a process ever had, resident or not. Nothing leaves it,
//! so nothing is lost by eviction.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::abi::{FileRange, PageId};
use crate::memory::Page;

/// All pages of one process by address.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PageTable {
    pages: BTreeMap<PageId, Page>,
    #[serde(skip)]
    by_path: HashMap<String, Vec<PageId>>,
}

impl PageTable {
    /// Adds a page. The address must be new; a second page of the same address is ignored.
    pub fn insert(&mut self, page: Page) {
        if self.pages.contains_key(&page.id) {
            return;
        }
        if let Some(range) = page.file() {
            self.by_path.entry(range.path.clone()).or_default().push(page.id);
        }
        self.pages.insert(page.id, page);
    }

    /// The page at this address.
    pub fn get(&self, id: PageId) -> Option<&Page> {
        self.pages.get(&id)
    }

    /// The pages that show all of this part of a file, the newest first.
    pub fn showing(&self, range: &FileRange) -> impl Iterator<Item = &Page> {
        let ids = self.by_path.get(&range.path).into_iter().flatten().rev();
        let (first, last) = range.lines;
        let shows =
            move |page: &&Page| page.file().is_some_and(|file| file.lines.0 <= first && last <= file.lines.1);
        ids.filter_map(|id| self.pages.get(id)).filter(shows)
    }

    /// Notes that a page was needed in this turn.
    pub fn touch(&mut self, id: PageId, turn: u32) {
        if let Some(page) = self.pages.get_mut(&id) {
            page.last_used_turn = page.last_used_turn.max(turn);
        }
    }

    /// All pages, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Page> {
        self.pages.values()
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }
}
