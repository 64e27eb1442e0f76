//! Swap as the machine has it: the index of what left the window, and the journal, in which the
//! text itself stands.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lucid_disk::{Limits, RamSwap, TantivySwap};
use lucid_kernel::abi::{Effect, PageId, Provenance, Swapped};
use lucid_kernel::port::{CancelFlag, DiskError, Embedder, Journal, Swap, SwapHit};
use lucid_kernel::{Kernel, journal};

/// So many sessions' swaps are kept.
const SWAPS_MAX: usize = 32;

/// So much of a question is kept beside its answer, in characters.
const ASKED_CHARS: usize = 160;

/// One session's swap.
#[derive(Clone)]
pub struct SwapSpace {
    session: String,
    journal: Arc<dyn Journal>,
    swap: Arc<dyn Swap>,
    /// Where each page that it keeps came from.
    kept: Arc<Mutex<HashMap<PageId, Provenance>>>,
}

impl SwapSpace {
    /// The swap of a new session; in memory when there is no folder for it.
    ///
    /// # Errors
    /// Those of writing.
    pub fn begin(
        dir: Option<&Path>,
        session: &str,
        journal: &Arc<dyn Journal>,
        embedder: Option<&Arc<dyn Embedder>>,
    ) -> Result<Self, DiskError> {
        let swap: Arc<dyn Swap> = match dir {
            Some(dir) => {
                prune(dir);
                let swap = TantivySwap::make(&folder(dir, session), Limits::default())?;
                Arc::new(with_embedder(swap, embedder))
            }
            None => Arc::new(RamSwap::default()),
        };
        Ok(Self::with(session, journal, swap))
    }

    fn with(session: &str, journal: &Arc<dyn Journal>, swap: Arc<dyn Swap>) -> Self {
        Self { session: session.to_owned(), journal: Arc::clone(journal), swap, kept: Arc::default() }
    }

    fn note(&self, pages: &[Swapped]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(pages.iter().map(|page| (page.page, page.provenance.clone())));
    }

    /// Where a page that it keeps came from.
    pub fn provenance(&self, page: PageId) -> Option<Provenance> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&page).cloned()
    }

    /// The swap of a session that goes on. What it lacks is taken from the journal, all of it when
    /// it is damaged; says whether it was.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn resume(
        dir: Option<&Path>,
        session: &str,
        journal: &Arc<dyn Journal>,
        pages: &[Swapped],
        embedder: Option<&Arc<dyn Embedder>>,
    ) -> Result<(Self, bool), String> {
        let folder = dir.map(|dir| folder(dir, session));
        let opened = folder.as_ref().map(|folder| TantivySwap::open(folder, Limits::default()));
        let is_damaged = matches!(opened, Some(Err(_)));
        if let Some(Ok(swap)) = opened
            && let Ok(kept) = usize::try_from(swap.pages())
            && let Some((kept, missing)) = pages.split_at_checked(kept)
        {
            // What left last may not have been kept before the program ended.
            let space = Self::with(session, journal, Arc::new(with_embedder(swap, embedder)));
            space.note(kept);
            if !missing.is_empty() {
                space.keep(missing)?;
            }
            return Ok((space, false));
        }
        let space = Self::begin(dir, session, journal, embedder).map_err(|error| error.to_string())?;
        space.keep(pages)?;
        Ok((space, is_damaged))
    }

    /// Lets pages be found from now on.
    pub fn keep(&self, pages: &[Swapped]) -> Result<(), String> {
        let texts =
            pages.iter().map(|page| self.text(page.page, page.event)).collect::<Result<Vec<_>, _>>()?;
        // An answer is found by its question too, which often says what it is about.
        let mut asked: HashMap<u32, &str> = HashMap::new();
        for (page, text) in pages.iter().zip(&texts) {
            if page.provenance == Provenance::User {
                asked.insert(page.turn, text);
            }
        }
        let answered: HashSet<u32> =
            pages.iter().filter(|page| page.provenance == Provenance::Model).map(|page| page.turn).collect();
        let worded: Vec<(PageId, String, &str)> = pages
            .iter()
            .zip(&texts)
            .map(|(page, text)| {
                let question = asked.get(&page.turn).filter(|_| page.provenance == Provenance::Model);
                let question = question.map(|text| text.chars().take(ASKED_CHARS).collect());
                // A question states nothing; it is found with its answer.
                let is_asked = page.provenance == Provenance::User
                    && text.trim_end().ends_with('?')
                    && answered.contains(&page.turn);
                let text = if is_asked { "" } else { &**text };
                (page.page, question.unwrap_or_default(), text)
            })
            .collect();
        let kept: Vec<(PageId, &str, &str)> =
            worded.iter().map(|(page, question, text)| (*page, question.as_str(), *text)).collect();
        self.swap.keep(&kept).map_err(|error| error.to_string())?;
        self.note(pages);
        Ok(())
    }

    /// The pieces of pages that match best.
    pub fn find(&self, query: &str, at_most: usize) -> Result<Vec<SwapHit>, DiskError> {
        if self.swap.pages() == 0 { Ok(Vec::new()) } else { self.swap.find(query, at_most) }
    }

    /// Prepares so many pieces to be found by their meaning, and gives how many are left.
    pub fn embed(&self, at_most: usize, cancel: &CancelFlag) -> Result<u64, DiskError> {
        self.swap.embed(at_most, cancel)
    }

    /// What a page says, by the event that brought it.
    pub fn text(&self, page: PageId, event: u64) -> Result<Arc<str>, String> {
        let event = self.journal.event(&self.session, event).map_err(|error| error.to_string())?;
        journal::text_of(&event, page)
            .ok_or_else(|| format!("{page} is not where the journal should have it"))
    }
}

/// Removes the swaps that were written longest ago. What is missed of one is made anew.
fn prune(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut swaps: Vec<(std::time::SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    swaps.sort();
    let surplus = swaps.len().saturating_sub(SWAPS_MAX - 1);
    for (_, swap) in swaps.into_iter().take(surplus) {
        // One that is in use elsewhere goes on with the files that it has open.
        let _ = std::fs::remove_dir_all(swap);
    }
}

fn with_embedder(swap: TantivySwap, embedder: Option<&Arc<dyn Embedder>>) -> TantivySwap {
    match embedder {
        Some(embedder) => swap.with_embedder(Arc::clone(embedder)),
        None => swap,
    }
}

/// Where a session's swap lies.
fn folder(dir: &Path, session: &str) -> PathBuf {
    dir.join(session)
}

/// Folds a session's events, and gives what swap is to keep of it.
pub fn replay(events: &[lucid_kernel::abi::Event]) -> (Kernel, Vec<Swapped>) {
    let mut kernel = Kernel::default();
    let mut swapped = Vec::new();
    for event in events {
        for effect in kernel.step(event.clone()) {
            if let Effect::Swap { pages, .. } = effect {
                swapped.extend(pages);
            }
        }
    }
    (kernel, swapped)
}
