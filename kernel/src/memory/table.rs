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
    by_file: HashMap<FileRange, PageId>,
}

impl PageTable {
    /// Adds a page. The address must be new; a second page of the same address is ignored.
    pub fn insert(&mut self, page: Page) {
        if self.pages.contains_key(&page.id) {
            return;
        }
        if let Some(range) = page.file() {
            self.by_file.insert(range.clone(), page.id);
        }
        self.pages.insert(page.id, page);
    }

    /// The page at this address.
    pub fn get(&self, id: PageId) -> Option<&Page> {
        self.pages.get(&id)
    }

    /// The newest page that shows exactly this part of a file.
    pub fn find_file(&self, range: &FileRange) -> Option<&Page> {
        self.by_file.get(range).and_then(|id| self.pages.get(id))
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
