//! Pages on their way into the kernel: found, worded, and turned into tokens.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lucid_kernel::abi::{
    Encoded, Fault, FaultKind, FileRange, Label, Outcome, PageId, PageRequest, Pid, Provenance, Recall,
    Secrecy, SourcePage, TokenCount, ToolSpec, Trust,
};
use lucid_kernel::memory::{ContextWindow, Page, PageKind};
use lucid_kernel::port::{Disk, DiskError, Engine, EngineError, Hit, SwapHit};
use lucid_kernel::process::Process;
use lucid_kernel::relevance::{Words, words};
use lucid_kernel::{Kernel, prompt};

use super::api::{ConversationRow, PageRow};
use super::excerpt::excerpt;
use super::follow::{follow, identifiers};
use super::fresh::check;
use super::swap::SwapSpace;

/// A second page whose score is at least the first's over this is given room beside it.
const RIVAL_SCORE: f32 = 2.0;

/// A page whose score is at least this part of the best one's matches as well as that.
const EQUAL_SCORE: f32 = 0.85;

/// With less room than this, no further page is looked at.
const MIN_PAGE_TOKENS: TokenCount = 48;

/// So many pieces of what was said are looked at.
const SAID_AT_MOST: usize = 40;

/// What the question of an answer says counts so much of what the answer says itself.
const ASKED_WEIGHT: f32 = 0.6;

/// What a word counts for the next piece, when one says it already.
const OWN_AGAIN: f32 = 0.8;

/// The same, when the question of one did.
const ASKED_AGAIN: f32 = 0.3;

/// What was said gets at most this part of the room.
const SAID_SHARE: TokenCount = 3;

/// What was said must add at least this part of the query's words, by their weight.
const MIN_SAID: f32 = 0.06;

/// How much meaning counts beside words, for what was said.
const SAID_MEANING: f32 = 0.6;

/// Of texts that have nothing to do with each other, few are nearer than this.
const UNRELATED: f32 = 0.2;

/// So many pages of what was said are brought in.
const SAID_PAGES_MAX: usize = 8;

/// With less room than this, nothing more of what was said is looked at.
const MIN_SAID_TOKENS: TokenCount = 12;

/// The length of a page's first words, in characters.
const PREVIEW_CHARS: usize = 80;

/// The most times that a page which does not fit is cut and measured again.
const MAX_CUTS: u32 = 4;

/// Text with the exact tokens of its engine. Special tokens in it stay text, so that no
/// file and no tool can forge a role.
pub fn encode(engine: &dyn Engine, text: &str) -> Result<Encoded, EngineError> {
    Ok(Encoded::new(text, engine.tokenize(text, false)?))
}

/// Prepares tools to be told with the questions that they fit, when all of them together have more
/// than so many tokens; says whether the instructions can name them all instead.
pub fn describe(
    engine: &dyn Engine,
    tools: &mut [ToolSpec],
    tokens_at_most: TokenCount,
) -> Result<bool, EngineError> {
    let mut described = Vec::new();
    for tool in tools.iter() {
        described.push(encode(engine, &prompt::described(tool))?);
    }
    let tokens: TokenCount = described.iter().map(Encoded::count).sum();
    if tokens <= tokens_at_most {
        return Ok(true);
    }
    for (tool, described) in tools.iter_mut().zip(described) {
        tool.described = Some(described);
    }
    Ok(false)
}

/// Where pages are found.
#[derive(Clone)]
pub struct Places {
    /// Mounted folders, and texts that came with an input; of each, the folders that are
    /// searched alone, all when there are none.
    pub disks: Vec<(Arc<dyn Disk>, Vec<String>)>,
    /// Paths are shown from here.
    pub folder: String,
    /// Files that were found to have changed since they were indexed, and whether they are gone.
    pub changed: Arc<Mutex<BTreeMap<String, bool>>>,
}

/// How many tokens pages may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// All of them.
    pub budget: TokenCount,
    /// Those that the query names.
    pub named: TokenCount,
}

impl Places {
    /// The pages that match best and fit into the room together.
    pub fn page_in(
        &self,
        engine: &dyn Engine,
        swap: &SwapSpace,
        request: &PageRequest,
        first: PageId,
        room: Room,
    ) -> Outcome<Vec<SourcePage>> {
        let found = match request {
            PageRequest::Search { query, at_most } => {
                self.find(engine, swap, query, *at_most as usize, first, room)
            }
            PageRequest::Recall(recall) => {
                self.recall(engine, swap, recall, room.budget).map(|page| vec![page])
            }
        };
        match found {
            Ok(pages) => Outcome::Done(pages),
            Err(fault) => Outcome::Failed(fault),
        }
    }

    /// The pages that match best, of files and of what was said. What was said is short and most
    /// of it says little, so it has to match and gets a part of the room only.
    fn find(
        &self,
        engine: &dyn Engine,
        swap: &SwapSpace,
        query: &str,
        at_most: usize,
        first: PageId,
        Room { budget, named: room }: Room,
    ) -> Result<Vec<SourcePage>, Fault> {
        let on_disk = |error: DiskError| Fault::new(FaultKind::Disk, error.to_string());
        let in_engine = |error: EngineError| Fault::new(FaultKind::Engine, error.to_string());
        let hits = self.search(query, at_most).map_err(on_disk)?;
        let lines = follow(query, |name, most| self.search(name, most)).map_err(on_disk)?;
        let named = self.fill_named(engine, lines, first, at_most, room / 4 * 3).map_err(in_engine)?;
        let taken: TokenCount = named.iter().map(|page| page.content.count()).sum();
        let (budget, next) = (budget.saturating_sub(taken), PageId(first.0 + named.len() as u64));
        let is_shown = |hit: &Hit| named.iter().any(|page| shows_part_of(&page.provenance, &hit.range));
        // Where lines refer to lines, what stands around them says nothing of them.
        let is_table = !named.is_empty() && named.iter().all(|page| identifiers(&page.text).nth(1).is_some());
        let most = if is_table { 0 } else { at_most - named.len() };
        let hits: Vec<Hit> = hits.into_iter().filter(|hit| !is_shown(hit)).take(most).collect();
        let said = swap.find(query, SAID_AT_MOST).map_err(on_disk)?;
        let room = budget / SAID_SHARE;
        let said = fill_said(engine, swap, query, said, room).map_err(in_engine)?;
        let taken: TokenCount = said.iter().map(|page| page.content.count()).sum();
        let mut pages = named;
        pages.extend(self.fill(engine, query, hits, next, budget - taken).map_err(in_engine)?);
        pages.extend(said);
        Ok(pages)
    }

    /// A page of this process, word for word, from one of its characters on, as much as fits.
    fn recall(
        &self,
        engine: &dyn Engine,
        swap: &SwapSpace,
        recall: &Recall,
        budget: TokenCount,
    ) -> Result<SourcePage, Fault> {
        let text = swap.text(recall.page, recall.event);
        let text = text.map_err(|reason| Fault::new(FaultKind::Disk, reason))?;
        let all = text.chars().count();
        let from = usize::try_from(recall.from).unwrap_or(usize::MAX).min(all);
        let mut shown = all - from;
        let in_engine = |error: EngineError| Fault::new(FaultKind::Engine, error.to_string());
        for _ in 0..MAX_CUTS {
            let part: String = text.chars().skip(from).take(shown).collect();
            let mut worded = prompt::recalled_page(recall.page, &recall.provenance, recall.from, "", &part);
            if from + shown < all {
                let next = from + shown;
                worded = format!(
                    "{}\n[{all} characters in all; read {} from {next} for more]\n\n",
                    worded.trim_end(),
                    recall.page
                );
            }
            let content = encode(engine, &worded).map_err(in_engine)?;
            let tokens = content.count();
            if tokens <= budget {
                return Ok(SourcePage {
                    id: recall.page,
                    content,
                    provenance: recall.provenance.clone(),
                    label: said_label(&recall.provenance),
                    text: part.into(),
                    score: 0.0,
                });
            }
            shown = shown * budget as usize / tokens as usize * 9 / 10;
        }
        let reason = format!("there is no room for {}", recall.page);
        Err(Fault::new(FaultKind::Limit, reason))
    }

    /// Lines that the question names, or that those refer to, as pages: first those that follow each
    /// other in a chain.
    fn fill_named(
        &self,
        engine: &dyn Engine,
        lines: Vec<Hit>,
        first: PageId,
        at_most: usize,
        budget: TokenCount,
    ) -> Result<Vec<SourcePage>, EngineError> {
        let mut pages: Vec<SourcePage> = Vec::new();
        let mut left = budget;
        // A small model loses its way where it is not told.
        let leads = leads(&lines);
        let is_chain = leads.iter().any(Option::is_some);
        for (mut line, leads) in lines.into_iter().zip(leads) {
            let id = PageId(first.0 + pages.len() as u64);
            match leads {
                Some(other) => line.heading = format!("leads to {}", PageId(first.0 + other as u64)),
                None if is_chain => line.heading = "leads no further".into(),
                None => {}
            }
            // Named, not found: it need not share words with the question.
            let page = SourcePage { score: 0.0, ..self.file_page(engine, id, line)? };
            if page.content.count() > left || pages.len() == at_most {
                break;
            }
            left -= page.content.count();
            pages.push(page);
        }
        Ok(pages)
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
        let fresh = check(query, hits);
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).extend(fresh.changed);
        Ok(fresh.hits)
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
        let best = hits.first().map_or(0.0, |hit| hit.score);
        let mut open = wanted.clone();
        for hit in hits {
            // What is asked for and not yet spoken of is worth its tokens, and so is what matches as
            // well as the best.
            let rest = open.without(&words(&format!("{} {} {}", hit.range.path, hit.heading, hit.text)));
            if rest.len() == open.len() && hit.score < best * EQUAL_SCORE {
                continue;
            }
            let id = PageId(first.0 + pages.len() as u64);
            let share = if pages.is_empty() && rivals { budget / 3 * 2 } else { left };
            if let Some(page) = self.fitting(engine, id, &wanted, hit, share.min(left))? {
                left -= page.content.count();
                pages.push(page);
                open = rest;
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

/// Of each line, the next one that speaks of something that it names.
fn leads(lines: &[Hit]) -> Vec<Option<usize>> {
    let named: Vec<Vec<&str>> = lines.iter().map(|line| identifiers(&line.text).collect()).collect();
    let next = |at: usize| {
        let shares = |other: &&Vec<&str>| other.iter().any(|name| named[at].contains(name));
        named.iter().skip(at + 1).position(|other| shares(&other)).map(|more| at + 1 + more)
    };
    (0..lines.len()).map(next).collect()
}

/// Whether a page shows a part of this range.
fn shows_part_of(shown: &Provenance, range: &FileRange) -> bool {
    let Provenance::File(part) = shown else { return false };
    part.path == range.path && range.lines.0 <= part.lines.0 && part.lines.1 <= range.lines.1
}

/// What was said and matches best, while it fits; of a page that was found in pieces, the best
/// one.
fn fill_said(
    engine: &dyn Engine,
    swap: &SwapSpace,
    query: &str,
    hits: Vec<SwapHit>,
    budget: TokenCount,
) -> Result<Vec<SourcePage>, EngineError> {
    let wanted = words(query);
    let mut pages: Vec<SourcePage> = Vec::new();
    let mut left = budget;
    for hit in speaking(hits, &wanted) {
        let Some(provenance) = swap.provenance(hit.page) else { continue };
        if pages.iter().any(|page| page.id == hit.page) {
            continue;
        }
        let Some(page) = said_page(engine, hit, provenance, &wanted, left)? else { continue };
        left -= page.content.count();
        pages.push(page);
        if left < MIN_SAID_TOKENS || pages.len() == SAID_PAGES_MAX {
            break;
        }
    }
    Ok(pages)
}

/// A piece of what was said, with the words of the question it answered and its own.
struct Said {
    hit: SwapHit,
    asked: Words,
    own: Words,
}

/// Those pieces of what was said that hold enough of what is wanted, or mean nearly the same, best
/// first. A word counts the
/// more the fewer of them have it, and the less the more of those that were taken have it already,
/// so that all that is asked for is spoken of. What says nothing but what is asked is of no use.
fn speaking(hits: Vec<SwapHit>, wanted: &Words) -> Vec<SwapHit> {
    let mut left: Vec<Said> = hits
        .into_iter()
        .map(|hit| Said { asked: words(&hit.heading), own: words(&hit.text), hit })
        .filter(|said| !said.own.without(wanted).is_empty())
        .collect();
    let mut weights: Vec<(Words, f32)> = wanted
        .singles()
        .filter_map(|word| {
            let own = left.iter().filter(|said| said.own.shared(&word) > 0).count();
            let asked = left.iter().filter(|said| said.asked.shared(&word) > 0).count();
            match (own, asked) {
                (0, 0) => None,
                (0, asked) => Some((word, ASKED_WEIGHT / asked as f32)),
                (own, _) => Some((word, 1.0 / own as f32)),
            }
        })
        .collect();
    let all: f32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut taken = Vec::new();
    while taken.len() < SAID_PAGES_MAX {
        let worth = |said: &Said| -> f32 {
            let parts = weights.iter().map(|(word, weight)| weight * said.share(word));
            let near = ((said.hit.nearness - UNRELATED) / (1.0 - UNRELATED)).max(0.0);
            parts.sum::<f32>() / all.max(f32::MIN_POSITIVE) + SAID_MEANING * near
        };
        // Of equals the first, which the index ranks higher.
        let best = left.iter().map(worth).enumerate().rev().max_by(|(_, a), (_, b)| a.total_cmp(b));
        let Some((at, _)) = best.filter(|(_, worth)| *worth >= MIN_SAID) else { break };
        let said = left.remove(at);
        for (word, weight) in &mut weights {
            *weight *= match said.share(word) {
                0.0 => 1.0,
                1.0 => OWN_AGAIN,
                _ => ASKED_AGAIN,
            };
        }
        taken.push(said.hit);
    }
    taken
}

impl Said {
    /// How much it holds of a word.
    fn share(&self, word: &Words) -> f32 {
        match (self.own.shared(word), self.asked.shared(word)) {
            (0, 0) => 0.0,
            (0, _) => ASKED_WEIGHT,
            _ => 1.0,
        }
    }
}

/// A piece of what was said as a page of at most so many tokens: whole, or the part of it that
/// matches best.
fn said_page(
    engine: &dyn Engine,
    hit: SwapHit,
    provenance: Provenance,
    wanted: &Words,
    tokens_at_most: TokenCount,
) -> Result<Option<SourcePage>, EngineError> {
    let range = FileRange { path: "".into(), lines: (1, 1), bytes: (0, hit.text.len() as u64) };
    let whole = Hit { range, heading: hit.heading, text: hit.text, score: hit.score };
    let mut part = whole.clone();
    for _ in 0..MAX_CUTS {
        let left_out = usize::try_from(part.range.bytes.0).unwrap_or(0);
        let before = whole.text.get(..left_out).map_or(0, |text| text.chars().count());
        let from = hit.chars.0 + before as u64;
        let worded = prompt::recalled_page(hit.page, &provenance, from, &part.heading, &part.text);
        let content = encode(engine, &worded)?;
        let tokens = content.count();
        if tokens <= tokens_at_most {
            let label = said_label(&provenance);
            let text = part.text.into();
            return Ok(Some(SourcePage { id: hit.page, content, provenance, label, text, score: hit.score }));
        }
        let chars = part.text.chars().count() * tokens_at_most as usize / tokens as usize * 9 / 10;
        match excerpt(&whole, wanted, chars) {
            Some(shorter) => part = shorter,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The label of what comes back.
fn said_label(provenance: &Provenance) -> Label {
    match provenance {
        Provenance::System => Label::public(Trust::System),
        Provenance::User => Label::public(Trust::User),
        Provenance::Model => Label::public(Trust::Model),
        Provenance::Tool { .. } => Label::public(Trust::Tool),
        Provenance::File(_) => Label { trust: Trust::File, secrecy: Secrecy::Private },
    }
}

/// A fact of the core memory, as a page.
pub fn core_page(engine: &dyn Engine, id: PageId, fact: &str) -> Result<SourcePage, EngineError> {
    Ok(SourcePage {
        id,
        content: encode(engine, &prompt::core_page(id, fact))?,
        provenance: Provenance::User,
        // It may have been said to another engine than the one that reads it now.
        label: Label { trust: Trust::User, secrecy: Secrecy::Private },
        text: fact.into(),
        score: 0.0,
    })
}

/// A text that came with an input, as one page.
pub fn attached_page(
    engine: &dyn Engine,
    id: PageId,
    name: &str,
    text: &str,
) -> Result<SourcePage, EngineError> {
    let lines = u32::try_from(text.lines().count().max(1)).unwrap_or(u32::MAX);
    let range = FileRange { path: name.into(), lines: (1, lines), bytes: (0, text.len() as u64) };
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

/// So many pages that left are told of, the newest.
const EVICTED_TOLD: usize = 100;

/// What a conversation has in memory, resident pages first, in the order of the window; then what left
/// last. `previews` has the first words of all pages that were told of before.
pub fn rows(kernel: &Kernel, pid: Pid, previews: &mut HashMap<PageId, String>) -> Vec<PageRow> {
    let Some(process) = kernel.processes().get(&pid) else { return Vec::new() };
    let (table, window) = (process.table(), process.window());
    let mut out = Vec::new();
    for slot in window.slots() {
        let Some((page, content)) = table.get(slot.page).zip(table.content(slot.page)) else { continue };
        let preview = previews.entry(page.id).or_insert_with(|| preview(&content.text)).clone();
        out.push(row(kernel, process, page, preview));
    }
    let mut evicted: Vec<&Page> =
        table.iter_back().filter(|page| is_missed(page, window)).take(EVICTED_TOLD).collect();
    evicted.reverse();
    let preview = |page: &Page| previews.get(&page.id).cloned().unwrap_or_default();
    out.extend(evicted.into_iter().map(|page| row(kernel, process, page, preview(page))));
    out
}

/// The conversation of a session that is meant; that spoken to last when none is named.
///
/// # Errors
/// Which there are, when it is none of them.
pub fn conversation(kernel: &Kernel, session: &str, wanted: Option<Pid>) -> Result<Pid, String> {
    let found = wanted.or(kernel.spoken_to()).filter(|pid| kernel.processes().contains_key(pid));
    found.ok_or_else(|| {
        let known: Vec<String> = kernel.processes().keys().map(ToString::to_string).collect();
        let known = if known.is_empty() { "none".into() } else { known.join(", ") };
        let wanted = wanted.map_or_else(String::new, |pid| format!(" {pid}"));
        format!("session {session} has no conversation{wanted}; it has {known}")
    })
}

/// The conversations of a session.
pub fn conversations(
    kernel: &Kernel,
    current: Pid,
    previews: &HashMap<PageId, String>,
) -> Vec<ConversationRow> {
    let row = |process: &Process| {
        let pages = process.table();
        let is_asked = |page: &&Page| page.kind == PageKind::Turn && page.provenance == Provenance::User;
        ConversationRow {
            pid: process.pid(),
            current: process.pid() == current,
            of: process.fork_of(),
            turns: process.turns(),
            pages: (pages.len(), kernel.shared_pages(process)),
            asked: pages
                .iter_back()
                .find(is_asked)
                .and_then(|page| previews.get(&page.id))
                .cloned()
                .unwrap_or_default(),
        }
    };
    kernel.processes().values().map(row).collect()
}

/// Whether a page left and holds what is not made anew.
pub fn is_missed(page: &Page, window: &ContextWindow) -> bool {
    !window.holds(page.id) && !page.is_made_anew()
}

/// The first words of a text, in one line.
pub fn preview(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if words.len() >= PREVIEW_CHARS {
            break;
        }
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
    }
    words.chars().take(PREVIEW_CHARS).collect()
}

/// One page of a conversation as a line.
pub fn row(kernel: &Kernel, process: &Process, page: &Page, preview: String) -> PageRow {
    PageRow {
        page: page.id,
        kind: page.kind.name().to_owned(),
        tokens: page.tokens,
        resident: process.window().holds(page.id),
        pinned: page.pinned,
        turn: page.last_used_turn,
        provenance: page.provenance.clone(),
        preview,
        shared_with: kernel.sharers(page.id).filter(|pid| *pid != process.pid()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_leads_to_the_next_that_speaks_of_what_it_names() {
        let line = |text: &str| Hit {
            range: FileRange { path: "a.json".into(), lines: (1, 1), bytes: (0, 1) },
            heading: String::new(),
            text: text.into(),
            score: 1.0,
        };
        let lines = [
            line("alpha-1: beta-22"),
            line("other-5: nothing"),
            line("beta-22: gamma-3"),
            line("gamma-3: 9"),
        ];
        assert_eq!(leads(&lines), [Some(2), None, Some(3), None]);
        assert_eq!(leads(&[]), []);
    }
}
