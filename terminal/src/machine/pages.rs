//! Pages on their way into the kernel: found, worded, and turned into tokens.

use std::path::Path;
use std::sync::Arc;

use lucid_kernel::abi::{
    Encoded, Fault, FaultKind, FileRange, Label, Outcome, PageId, PageRequest, Provenance, Secrecy,
    SourcePage, TokenCount, Trust,
};
use lucid_kernel::memory::Page;
use lucid_kernel::port::{Disk, DiskError, Engine, EngineError, Hit};
use lucid_kernel::relevance::{Words, words};
use lucid_kernel::{Kernel, prompt};

use super::api::PageRow;
use super::excerpt::excerpt;

/// A second page whose score is at least the first's over this is given room beside it.
const RIVAL_SCORE: f32 = 2.0;

/// With less room than this, no further page is looked at.
const MIN_PAGE_TOKENS: TokenCount = 48;

/// The most times that a page which does not fit is cut and measured again.
const MAX_CUTS: u32 = 4;

/// Text with the exact tokens of its engine. Special tokens in it stay text, so that no
/// file and no tool can forge a role.
pub fn encode(engine: &dyn Engine, text: &str) -> Result<Encoded, EngineError> {
    Ok(Encoded::new(text, engine.tokenize(text, false)?))
}

/// Where pages are found.
#[derive(Clone)]
pub struct Places {
    /// Mounted folders, and texts that came with an input; of each, the folders that are
    /// searched alone, all when there are none.
    pub disks: Vec<(Arc<dyn Disk>, Vec<String>)>,
    /// Paths are shown from here.
    pub folder: String,
}

impl Places {
    /// The pages that match best and fit into `budget` tokens together.
    pub fn page_in(
        &self,
        engine: &dyn Engine,
        request: &PageRequest,
        first: PageId,
        budget: TokenCount,
    ) -> Outcome<Vec<SourcePage>> {
        let PageRequest::Search { query, at_most } = request;
        match self.search(query, *at_most as usize) {
            Ok(hits) => match self.fill(engine, query, hits, first, budget) {
                Ok(pages) => Outcome::Done(pages),
                Err(error) => Outcome::Failed(Fault::new(FaultKind::Engine, error.to_string())),
            },
            Err(error) => Outcome::Failed(Fault::new(FaultKind::Disk, error.to_string())),
        }
    }

    fn search(&self, query: &str, at_most: usize) -> Result<Vec<Hit>, DiskError> {
        let mut lists = Vec::new();
        for (disk, roots) in &self.disks {
            lists.push(disk.search(query, roots, at_most)?.into_iter());
        }
        // Scores of different indexes cannot be compared: take their best in turn.
        let mut hits = Vec::new();
        while hits.len() < at_most {
            let round: Vec<Hit> = lists.iter_mut().filter_map(Iterator::next).collect();
            if round.is_empty() {
                break;
            }
            hits.extend(round);
        }
        hits.truncate(at_most);
        Ok(hits)
    }

    /// The best pages while they fit. So that one page is not all that the model sees, the first
    /// gets at most two thirds; of what does not fit whole, the part that matches best.
    fn fill(
        &self,
        engine: &dyn Engine,
        query: &str,
        hits: Vec<Hit>,
        first: PageId,
        budget: TokenCount,
    ) -> Result<Vec<SourcePage>, EngineError> {
        let mut pages: Vec<SourcePage> = Vec::new();
        let mut left = budget;
        let wanted = words(query);
        let rivals = hits.len() > 1 && hits[1].score * RIVAL_SCORE >= hits[0].score;
        for hit in hits {
            let id = PageId(first.0 + pages.len() as u64);
            let share = if pages.is_empty() && rivals { budget / 3 * 2 } else { left };
            if let Some(page) = self.fitting(engine, id, &wanted, hit, share.min(left))? {
                left -= page.content.count();
                pages.push(page);
            }
            if left < MIN_PAGE_TOKENS {
                break;
            }
        }
        Ok(pages)
    }

    /// A hit as a page of at most so many tokens: whole, or the part of it that matches best.
    fn fitting(
        &self,
        engine: &dyn Engine,
        id: PageId,
        wanted: &Words,
        hit: Hit,
        tokens_at_most: TokenCount,
    ) -> Result<Option<SourcePage>, EngineError> {
        let mut page = self.file_page(engine, id, hit.clone())?;
        let mut chars = hit.text.chars().count();
        for _ in 0..MAX_CUTS {
            let tokens = page.content.count();
            if tokens <= tokens_at_most {
                return Ok(Some(page));
            }
            // Characters that are likely to fit, by how many tokens these were.
            chars = chars * tokens_at_most as usize / tokens as usize * 9 / 10;
            let Some(part) = excerpt(&hit, wanted, chars) else { return Ok(None) };
            page = self.file_page(engine, id, part)?;
        }
        Ok((page.content.count() <= tokens_at_most).then_some(page))
    }

    fn file_page(&self, engine: &dyn Engine, id: PageId, hit: Hit) -> Result<SourcePage, EngineError> {
        let shown = shown_path(&hit.range.path, &self.folder);
        let text = prompt::file_page(id, &hit.range, &hit.heading, &shown, &hit.text);
        Ok(SourcePage {
            id,
            content: encode(engine, &text)?,
            provenance: Provenance::File(hit.range),
            label: Label { trust: Trust::File, secrecy: Secrecy::Private },
            text: hit.text.into(),
            score: hit.score,
        })
    }
}

/// A text that came with an input, as one page.
pub fn attached_page(
    engine: &dyn Engine,
    id: PageId,
    name: &str,
    text: &str,
) -> Result<SourcePage, EngineError> {
    let lines = u32::try_from(text.lines().count().max(1)).unwrap_or(u32::MAX);
    let range = FileRange { path: name.to_owned(), lines: (1, lines), bytes: (0, text.len() as u64) };
    Ok(SourcePage {
        id,
        content: encode(engine, &prompt::attached_page(id, name, text))?,
        provenance: Provenance::File(range),
        label: Label { trust: Trust::File, secrecy: Secrecy::Private },
        text: text.into(),
        score: 0.0,
    })
}

/// A path as a person reads it: from the folder they are in when it is below it.
pub fn shown_path(path: &str, folder: &str) -> String {
    match Path::new(path).strip_prefix(folder) {
        Ok(inside) if !folder.is_empty() && inside != Path::new("") => inside.display().to_string(),
        _ => path.to_owned(),
    }
}

/// What is in memory, resident pages first, in the order of the window.
pub fn rows(kernel: &Kernel) -> Vec<PageRow> {
    let mut out = Vec::new();
    for process in kernel.processes().values() {
        let resident = process.window().slots().iter().filter_map(|slot| process.table().get(slot.page));
        out.extend(resident.map(|page| row(page, true)));
        let evicted = process.table().iter().filter(|page| !process.window().holds(page.id));
        out.extend(evicted.map(|page| row(page, false)));
    }
    out
}

/// One page as a line.
pub fn row(page: &Page, resident: bool) -> PageRow {
    let words = page.text.split_whitespace().collect::<Vec<_>>().join(" ");
    PageRow {
        page: page.id,
        kind: page.kind.name().to_owned(),
        tokens: page.tokens(),
        resident,
        provenance: page.provenance.clone(),
        preview: words.chars().take(80).collect(),
    }
}
