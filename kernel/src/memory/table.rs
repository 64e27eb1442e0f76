//! The page table: every page a process ever had, resident or not. Nothing leaves it but instructions
//! that hold no longer, so nothing is lost by eviction; what an evicted page says stands in the journal.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::abi::{FileRange, PageId, Provenance};
use crate::memory::{Content, Page};

/// All pages of one process by address.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PageTable {
    pages: BTreeMap<PageId, Page>,
    contents: BTreeMap<PageId, Content>,
    /// The pages of each file, in the order in which they came; paths that pages share.
    #[serde(skip)]
    by_path: HashMap<Arc<str>, Vec<PageId>>,
}

impl PageTable {
    /// Adds a page with its content. The address must be new; a second page of the same address
    /// is ignored.
    pub fn insert(&mut self, mut page: Page, content: Content) {
        if self.pages.contains_key(&page.id) {
            return;
        }
        if let Provenance::File(range) = &mut page.provenance {
            match self.by_path.get_key_value(&range.path) {
                Some((path, _)) => range.path = Arc::clone(path),
                None => drop(self.by_path.insert(Arc::clone(&range.path), Vec::new())),
            }
            if let Some(ids) = self.by_path.get_mut(&range.path) {
                ids.push(page.id);
            }
        }
        self.contents.insert(page.id, content);
        self.pages.insert(page.id, page);
    }

    /// The page at this address.
    pub fn get(&self, id: PageId) -> Option<&Page> {
        self.pages.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: PageId) -> Option<&mut Page> {
        self.pages.get_mut(&id)
    }

    /// What a page says; none when it is not resident.
    pub fn content(&self, id: PageId) -> Option<&Content> {
        self.contents.get(&id)
    }

    /// Takes a page out that is no part of any file and that nothing refers to any more.
    pub(crate) fn remove(&mut self, id: PageId) {
        self.contents.remove(&id);
        self.pages.remove(&id);
    }

    /// Lets go of what a page says, which stands in the journal.
    pub(crate) fn forget(&mut self, id: PageId) {
        self.contents.remove(&id);
    }

    /// Brings back what a page says, as it is shown from now on.
    pub(crate) fn restore(&mut self, id: PageId, content: Content) {
        if let Some(page) = self.pages.get_mut(&id) {
            page.tokens = content.shown.count();
            self.contents.insert(id, content);
        }
    }

    /// The pages that show all of this part of a file, the newest first.
    pub fn showing(&self, range: &FileRange) -> impl Iterator<Item = &Page> {
        let ids = self.by_path.get(&range.path).into_iter().flatten().rev();
        let (first, last) = range.lines;
        let shows =
            move |page: &&Page| page.file().is_some_and(|file| file.lines.0 <= first && last <= file.lines.1);
        ids.filter_map(|id| self.pages.get(id)).filter(shows)
    }

    /// Notes that a page is needed in this turn.
    pub fn touch(&mut self, id: PageId, turn: u32) {
        if let Some(page) = self.pages.get_mut(&id) {
            page.touch(turn);
        }
    }

    /// All pages, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Page> {
        self.pages.values()
    }

    /// All pages, the newest address first.
    pub fn iter_back(&self) -> impl Iterator<Item = &Page> {
        self.pages.values().rev()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_left_takes_little_memory() {
        // Nodes of the tree that grows at its end are a little over half full, so a page takes less
        // than twice its own size; its path is shared.
        assert!(size_of::<Page>() + size_of::<PageId>() <= 104, "{}", size_of::<Page>());
    }
}
