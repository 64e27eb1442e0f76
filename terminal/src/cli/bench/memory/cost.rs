//! What a session's prompts cost: tokens that are computed in each turn, against two ways in which
//! others fill a window. All three see the same questions and the same found pages.
//!
//! - a sliding window: everything is sent again, and the oldest messages fall off when it is full;
//! - compaction: when 80 % of the window are full, the model reads it all and writes a summary, from
//!   which the session goes on.
//!
//! Both are counted as kindly as can be, with an engine that keeps the prefix of the last prompt, and
//! as programs do that send all of it to one that keeps nothing. What anybody has to compute, each
//! question and each page once, is counted too.

use std::sync::Arc;

use lucid_disk::{Limits, RamDisk};
use lucid_kernel::Kernel;
use lucid_kernel::abi::{Event, FileRange, Outcome, Provenance, TokenCount, TurnOptions};
use lucid_kernel::memory::evict::Eviction;
use lucid_kernel::port::{Disk, Engine, MountOptions};
use lucid_kernel::process::Process;
use serde_json::{Value, json};

use super::quiet::Quiet;
use super::{Bench, load};
use crate::cli::{ModelArgs, session};
use crate::exit::Failure;
use crate::home::Home;

/// Turns of the session.
const TURNS: usize = 50;
/// Tokens of a summary.
const SUMMARY_TOKENS: TokenCount = 200;
/// Where compaction begins, in percent of the budget.
const COMPACTION_PERCENT: u32 = 80;

/// Asks about the headings of a folder's files, three questions to each in a row.
///
/// # Errors
/// When the folder cannot be read, the model cannot be loaded or a turn fails.
pub fn run(home: &Home, wanted: &ModelArgs, corpus: &std::path::Path) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = ModelArgs { window: wanted.window.or(Some(2048)), ..wanted.clone() };
    let real = load(home, &wanted, &cancel)?;
    let disk = RamDisk::new(Limits::default());
    let failed = |error: lucid_kernel::port::DiskError| Failure::task(error.to_string());
    disk.mount(&corpus.display().to_string(), &MountOptions::default(), &cancel, &mut |_| {})
        .map_err(failed)?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let questions = questions(disk.as_ref()).map_err(failed)?;
    let mut runs = Vec::new();
    let kinds = [false, true].into_iter().flat_map(|closes| Eviction::ALL.map(|eviction| (closes, eviction)));
    for (closes_gaps, eviction) in kinds {
        let engine: Arc<dyn Engine> = Arc::new(Quiet::new(Arc::clone(&real), closes_gaps));
        let bench = Bench::start(&engine, Some(Arc::clone(&disk)), Some(eviction), &cancel)?;
        let (mut prefilled, mut expected, mut faults, mut hits) = (0, 0, 0, 0);
        for question in &questions {
            let report = bench.turn(question, TurnOptions::default(), &cancel)?;
            prefilled += report.usage.prefilled;
            expected += report.memory.expected_prefilled;
            faults += report.memory.faults;
            hits += report.memory.hits;
        }
        let events = bench.events()?;
        bench.machine.stop();
        let budget = budget(&events);
        let others = Others::of(&events, budget);
        let per_turn = |tokens: u64| tokens as f64 / questions.len() as f64;
        runs.push(json!({
            "engine_takes_pages_out": closes_gaps,
            "eviction": eviction.policy().name(),
            "prefilled_per_turn": per_turn(prefilled.into()),
            "expected_per_turn": per_turn(expected.into()),
            "faults": faults,
            "hits": hits,
            "least_per_turn": per_turn(others.least),
            "sliding_window_per_turn": per_turn(others.sliding),
            "compaction_per_turn": per_turn(others.compaction),
            "to_the_better_of_both": part_of_better(prefilled, others.sliding, others.compaction),
            "without_a_kept_prefix": {
                "sliding_window_per_turn": per_turn(others.sliding_sent),
                "compaction_per_turn": per_turn(others.compaction_sent),
                "to_the_better_of_both": part_of_better(prefilled, others.sliding_sent, others.compaction_sent),
            },
        }));
    }
    let info = real.info();
    Ok(json!({
        "bench": "cost of a session",
        "tokens_of": info.model,
        "window": info.n_ctx,
        "turns": questions.len(),
        "runs": runs,
    }))
}

/// Questions about what the folder holds, by its own headings.
fn questions(disk: &dyn Disk) -> Result<Vec<String>, lucid_kernel::port::DiskError> {
    let mut headings: Vec<String> = Vec::new();
    for word in ["error", "file", "how", "option", "command", "model", "page", "test", "value", "list"] {
        for hit in disk.search(word, &[], 40)? {
            let heading = hit.heading.rsplit(" > ").next().unwrap_or_default().trim().to_owned();
            if heading.split_whitespace().count() >= 2 && !headings.contains(&heading) {
                headings.push(heading);
            }
        }
    }
    let forms = ["What is said about {}?", "Which rules hold for {}?", "Give an example of {}."];
    let all = headings.iter().flat_map(|heading| forms.iter().map(|form| form.replace("{}", heading)));
    Ok(all.take(TURNS).collect())
}

fn budget(events: &[Event]) -> TokenCount {
    events
        .iter()
        .find_map(|event| match event {
            Event::Boot { config } => Some(config.budget_tokens()),
            _ => None,
        })
        .unwrap_or(0)
}

fn part_of_better(ours: u32, one: u64, other: u64) -> f64 {
    f64::from(ours) / one.min(other).max(1) as f64
}

/// What the same session would have cost elsewhere, in tokens that are computed.
#[derive(Default)]
struct Others {
    sliding: u64,
    compaction: u64,
    /// The same, where nothing is kept of the last prompt.
    sliding_sent: u64,
    compaction_sent: u64,
    /// With all of it kept for ever.
    least: u64,
}

/// A page that a turn needed: where it is, and its tokens.
type Needed = (FileRange, TokenCount);

impl Others {
    /// Of the session that these events tell. Their engines keep the last prompt's prefix, as ours,
    /// and they need the same pages in each turn; what of them is still in their window they do
    /// not send again.
    fn of(events: &[Event], budget: TokenCount) -> Self {
        let mut kernel = Kernel::default();
        let boot = events.iter().find_map(|event| match event {
            Event::Spawn { system, .. } => Some(system.count()),
            _ => None,
        });
        let boot = boot.unwrap_or(0);
        let room = budget.saturating_sub(boot);
        let (mut sliding, mut compacted) = (Window::new(room), Window::new(room));
        let mut everything = Window::new(TokenCount::MAX);
        let mut costs = Self::default();
        let (mut asked, mut needed): (TokenCount, Vec<Needed>) = (0, Vec::new());
        for event in events {
            kernel.step(event.clone());
            match event {
                Event::Input { content, .. } => asked = content.count(),
                Event::PagedIn { outcome: Outcome::Done(pages), .. } => {
                    let process = kernel.processes().values().next();
                    needed = pages
                        .iter()
                        .filter_map(|page| match &page.provenance {
                            Provenance::File(range) => Some((range.clone(), page.content.count())),
                            _ => None,
                        })
                        .filter(|(range, _)| process.is_some_and(|process| shows(process, range)))
                        .collect();
                }
                Event::Decoded { outcome: Outcome::Done(decoded), .. } => {
                    let said = decoded.tokens.len() as TokenCount;
                    costs.sliding += sliding.slide(asked, &needed, said);
                    costs.compaction += compacted.compact(asked, &needed, said);
                    costs.sliding_sent += u64::from(boot + sliding.used() - said);
                    costs.compaction_sent += u64::from(boot + compacted.used() - said);
                    costs.least += everything.slide(asked, &needed, said);
                    needed.clear();
                }
                _ => {}
            }
        }
        costs
    }
}

fn shows(process: &Process, range: &FileRange) -> bool {
    process.table().showing(range).any(|page| process.window().holds(page.id))
}

/// A window of messages: the tokens of each, and the pages in it.
struct Window {
    room: TokenCount,
    messages: Vec<(TokenCount, Vec<FileRange>)>,
}

impl Window {
    const fn new(room: TokenCount) -> Self {
        Self { room, messages: Vec::new() }
    }

    fn used(&self) -> TokenCount {
        self.messages.iter().map(|(tokens, _)| tokens).sum()
    }

    /// What of a turn is not in the window.
    fn new_tokens(&self, asked: TokenCount, needed: &[Needed]) -> TokenCount {
        let is_here = |range: &FileRange| self.messages.iter().any(|(_, pages)| pages.contains(range));
        let missing = needed.iter().filter(|(range, _)| !is_here(range)).map(|(_, tokens)| tokens);
        asked + missing.sum::<TokenCount>()
    }

    fn push(&mut self, tokens: TokenCount, needed: &[Needed]) {
        self.messages.push((tokens, needed.iter().map(|(range, _)| range.clone()).collect()));
    }

    /// Sends one more message, dropping the oldest while it does not fit: then all that is left has
    /// another beginning, and is computed anew.
    fn slide(&mut self, asked: TokenCount, needed: &[Needed], said: TokenCount) -> u64 {
        let mut dropped = false;
        while self.used() + self.new_tokens(asked, needed) > self.room && !self.messages.is_empty() {
            self.messages.remove(0);
            dropped = true;
        }
        let new = self.new_tokens(asked, needed);
        let cost = if dropped { self.used() + new } else { new };
        self.push(new + said, needed);
        u64::from(cost)
    }

    /// Sends one more message; at the mark, the model first writes a summary, which costs what
    /// decoding and then reading it costs, and takes the place of all messages.
    fn compact(&mut self, asked: TokenCount, needed: &[Needed], said: TokenCount) -> u64 {
        let mut cost = 0;
        let mark = self.room * COMPACTION_PERCENT / 100;
        if self.used() + self.new_tokens(asked, needed) > mark && !self.messages.is_empty() {
            self.messages = vec![(SUMMARY_TOKENS, Vec::new())];
            cost = 2 * SUMMARY_TOKENS;
        }
        let new = self.new_tokens(asked, needed);
        self.push(new + said, needed);
        u64::from(cost + new)
    }
}
