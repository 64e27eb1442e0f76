//! Swap as the machine has it: the index of what left the window, and the journal, in which the
//! text itself stands.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lucid_disk::{Limits, RamSwap, TantivySwap};
use lucid_kernel::abi::{Effect, Event, PageId, Pid, Provenance, Swapped};
use lucid_kernel::port::{CancelFlag, DiskError, Embedder, Journal, Swap, SwapHit};
use lucid_kernel::{Kernel, journal};

use super::past::Past;

/// So many sessions' swaps are kept.
const SWAPS_MAX: usize = 32;

/// So much of a question is kept beside its answer, in characters.
const ASKED_CHARS: usize = 160;

/// What swap keeps for each conversation, and where it came from.
type Kept = HashMap<Pid, HashMap<PageId, Provenance>>;

/// One session's swap, as one of its conversations sees it. Conversations share what they have in
/// common: an address names the same page in all of them, and its text is kept once.
#[derive(Clone)]
pub struct SwapSpace {
    session: String,
    journal: Arc<dyn Journal>,
    swap: Arc<dyn Swap>,
    kept: Arc<Mutex<Kept>>,
    pid: Pid,
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
                // What is missed of one is made anew.
                crate::home::prune(dir, SWAPS_MAX - 1);
                let swap = TantivySwap::make(&folder(dir, session), Limits::default())?;
                Arc::new(with_embedder(swap, embedder))
            }
            None => Arc::new(RamSwap::default()),
        };
        Ok(Self::with(session, journal, swap))
    }

    fn with(session: &str, journal: &Arc<dyn Journal>, swap: Arc<dyn Swap>) -> Self {
        let (session, journal) = (session.to_owned(), Arc::clone(journal));
        Self { session, journal, swap, kept: Arc::default(), pid: Pid::default() }
    }

    /// The same as this conversation sees it.
    #[must_use]
    pub fn of(&self, pid: Pid) -> Self {
        Self { pid, ..self.clone() }
    }

    /// What is kept for one conversation is kept for this one too, which begins as its fork.
    pub fn fork(&self, of: Pid) {
        let mut kept = self.kept();
        if let Some(shared) = kept.get(&of).cloned() {
            kept.insert(self.pid, shared);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a page that it keeps came from.
    pub fn provenance(&self, page: PageId) -> Option<Provenance> {
        self.kept().get(&self.pid)?.get(&page).cloned()
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
        told: &Replayed,
        embedder: Option<&Arc<dyn Embedder>>,
    ) -> Result<(Self, bool), String> {
        let folder = dir.map(|dir| folder(dir, session));
        let opened = folder.as_ref().map(|folder| TantivySwap::open(folder, Limits::default()));
        let is_damaged = matches!(opened, Some(Err(_)));
        if let Some(Ok(swap)) = opened
            && let Ok(kept) = usize::try_from(swap.pages())
            && let Some(missing) = told.swapped.get(kept..)
        {
            // What left last may not have been kept before the program ended.
            let space = Self::with(session, journal, Arc::new(with_embedder(swap, embedder)));
            space.restore(missing, told)?;
            return Ok((space, false));
        }
        let space = Self::begin(dir, session, journal, embedder).map_err(|error| error.to_string())?;
        space.restore(&told.swapped, told)?;
        Ok((space, is_damaged))
    }

    /// Keeps what is missing of what a session's events tell.
    fn restore(&self, missing: &[(Pid, Swapped)], told: &Replayed) -> Result<(), String> {
        for run in missing.chunk_by(|(one, _), (other, _)| one == other) {
            self.add(&run.iter().map(|(_, page)| page.clone()).collect::<Vec<_>>())?;
        }
        self.kept().clone_from(&told.kept);
        Ok(())
    }

    /// Lets pages be found from now on.
    pub fn keep(&self, pages: &[Swapped]) -> Result<(), String> {
        let is_kept = |page: &Swapped| self.kept().values().any(|kept| kept.contains_key(&page.page));
        let new: Vec<Swapped> = pages.iter().filter(|page| !is_kept(page)).cloned().collect();
        if !new.is_empty() {
            self.add(&new)?;
        }
        let pages = pages.iter().map(|page| (page.page, page.provenance.clone()));
        self.kept().entry(self.pid).or_default().extend(pages);
        Ok(())
    }

    fn add(&self, pages: &[Swapped]) -> Result<(), String> {
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
        self.swap.keep(&kept).map_err(|error| error.to_string())
    }

    /// The pieces of pages that match best.
    pub fn find(&self, query: &str, at_most: usize) -> Result<Vec<SwapHit>, DiskError> {
        let mine = self.kept().get(&self.pid).map_or(0, HashMap::len);
        if mine == 0 {
            return Ok(Vec::new());
        }
        // As many more as others have of what there is, which are not to be seen here.
        let all = usize::try_from(self.swap.pages()).unwrap_or(usize::MAX);
        let mut found = self.swap.find(query, at_most.saturating_mul(all.div_ceil(mine)))?;
        found.retain(|hit| self.provenance(hit.page).is_some());
        found.truncate(at_most);
        Ok(found)
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

/// What a session's events tell.
pub struct Replayed {
    /// The state after them.
    pub kernel: Kernel,
    /// What swap is to keep, each page once, in the order in which it left its first conversation.
    pub swapped: Vec<(Pid, Swapped)>,
    /// What was said.
    pub past: Past,
    kept: Kept,
}

/// Folds a session's events.
pub fn replay(events: &[Event]) -> Replayed {
    let mut kernel = Kernel::default();
    let (mut swapped, mut kept) = (Vec::new(), Kept::new());
    let mut seen: HashSet<PageId> = HashSet::new();
    let mut past = Past::default();
    for (number, event) in (0..).zip(events) {
        let effects = kernel.step(event.clone());
        past.hear(number, event, &effects);
        for effect in effects {
            match effect {
                Effect::Spawned { pid, of } => {
                    let shared = of.and_then(|of| kept.get(&of)).cloned().unwrap_or_default();
                    kept.insert(pid, shared);
                }
                Effect::Swap { pid, pages } => {
                    let of = kept.entry(pid).or_default();
                    of.extend(pages.iter().map(|page| (page.page, page.provenance.clone())));
                    let new = pages.into_iter().filter(|page| seen.insert(page.page));
                    swapped.extend(new.map(|page| (pid, page)));
                }
                _ => {}
            }
        }
    }
    Replayed { kernel, swapped, past, kept }
}
