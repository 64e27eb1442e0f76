//! `lucid mem`, `page`, `pin`, `unpin`, `evict`, `remember` and `forget`: what a session has in
//! memory, read from the journal, without a model.

use std::collections::HashMap;
use std::sync::Arc;

use lucid_kernel::abi::{Effect, Event, PageId, Pid};
use lucid_kernel::port::Journal;
use lucid_kernel::process::Process;
use lucid_kernel::{Config, Kernel, journal};
use serde_json::{Value, json};

use super::ask::source;
use super::{CoreArgs, MemArgs, PageArgs, out, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::pages::{self, is_missed};
use crate::machine::preview;
use crate::machine::remember::CoreMemory;

/// Columns of the drawn window.
const MAP_COLUMNS: usize = 64;

/// A session, as its journal tells it.
struct Told {
    journal: Arc<dyn Journal>,
    name: String,
    events: Vec<Event>,
    kernel: Kernel,
    pid: Pid,
    /// What was moved so far.
    moved: Moved,
}

/// What a session moved between window and disk.
#[derive(Default)]
struct Moved {
    turns: u32,
    faults: u32,
    hits: u32,
    evicted: u32,
    prefilled: u64,
    reused: u64,
    expected_prefilled: u64,
    expected_reused: u64,
}

impl Told {
    fn open(home: &Home, wanted: Option<&str>, conversation: Option<Pid>) -> Result<Self, Failure> {
        let journal = session::open_journal(home)?;
        let unreadable = |error: lucid_kernel::port::JournalError| Failure::config(error.to_string());
        let name = match wanted {
            Some(name) => name.to_owned(),
            None => {
                let sessions = journal.sessions().map_err(unreadable)?;
                let last = sessions.into_iter().find(|session| session.events > 2);
                let none = "there is no session yet; ask something first";
                last.ok_or_else(|| Failure::usage(none))?.session
            }
        };
        let events = journal.load(&name).map_err(|error| match error {
            lucid_kernel::port::JournalError::NotFound { .. } => Failure::usage(error.to_string()),
            error => unreadable(error),
        })?;
        let (mut kernel, mut moved) = (Kernel::default(), HashMap::<Pid, Moved>::new());
        for event in &events {
            for effect in kernel.step(event.clone()) {
                if let Effect::Ended { pid, report } = effect {
                    moved.entry(pid).or_default().add(&report);
                }
            }
        }
        let pid = pages::conversation(&kernel, &name, conversation).map_err(Failure::usage)?;
        let moved = moved.remove(&pid).unwrap_or_default();
        Ok(Self { journal, name, events, kernel, pid, moved })
    }

    /// The other conversations that know a page.
    fn shared_with(&self, page: PageId) -> Vec<String> {
        self.kernel.sharers(page).filter(|pid| *pid != self.pid).map(|pid| pid.to_string()).collect()
    }

    /// All conversations, for programs.
    fn conversations(&self) -> Vec<Value> {
        let row = |process: &Process| {
            json!({
                "conversation": process.pid().to_string(),
                "fork_of": process.fork_of().map(|pid| pid.to_string()),
                "turns": process.turns(),
                "pages": process.table().len(),
                "shared_pages": self.kernel.shared_pages(process),
            })
        };
        self.kernel.processes().values().map(row).collect()
    }

    fn process(&self) -> Result<&Process, Failure> {
        self.kernel.processes().get(&self.pid).ok_or_else(|| Failure::config("the session has no process"))
    }

    fn config(&self) -> Result<&Config, Failure> {
        self.kernel.config().ok_or_else(|| Failure::config("the session was never started"))
    }

    /// What a page says, resident or not.
    fn text(&self, page: PageId) -> Result<Arc<str>, Failure> {
        let process = self.process()?;
        let known = process.table().get(page);
        let known = known.ok_or_else(|| Failure::usage(format!("session {} has no {page}", self.name)))?;
        if let Some(content) = process.table().content(page) {
            return Ok(Arc::clone(&content.text));
        }
        let event = usize::try_from(known.born).ok().and_then(|at| self.events.get(at));
        let text = event.and_then(|event| journal::text_of(event, page));
        text.ok_or_else(|| Failure::config(format!("{page} is not where the journal should have it")))
    }
}

impl Moved {
    fn add(&mut self, report: &lucid_kernel::abi::TurnReport) {
        self.turns += 1;
        self.faults += report.memory.faults;
        self.hits += report.memory.hits;
        self.evicted += report.memory.evicted;
        self.prefilled += u64::from(report.usage.prefilled);
        self.reused += u64::from(report.usage.reused);
        self.expected_prefilled += u64::from(report.memory.expected_prefilled);
        self.expected_reused += u64::from(report.memory.expected_reused);
    }
}

/// Shows the map of the window.
///
/// # Errors
/// When there is no such session, or the journal cannot be read.
pub fn map(home: &Home, args: &MemArgs) -> Result<u8, Failure> {
    let told = Told::open(home, args.session.as_deref(), args.conversation)?;
    let (process, config) = (told.process()?, told.config()?);
    let used = process.window().used(&config.chat);
    let rows = rows(&told, args.all)?;
    if args.json {
        let Moved { turns, faults, hits, evicted, .. } = told.moved;
        out::json(&json!({
            "session": told.name,
            "conversation": told.pid.to_string(),
            "conversations": told.conversations(),
            "model": config.engine.model,
            "window": config.engine.n_ctx,
            "budget": config.budget_tokens(),
            "low": config.low_tokens(),
            "resident": used,
            "pages": process.table().len(),
            "resident_pages": process.window().slots().len(),
            "swapped_pages": process.swapped(),
            "eviction": config.eviction.policy().name(),
            "turns": turns,
            "faults": faults,
            "hits": hits,
            "evicted": evicted,
            "prefilled": told.moved.prefilled,
            "reused": told.moved.reused,
            "expected_prefilled": told.moved.expected_prefilled,
            "expected_reused": told.moved.expected_reused,
            "map": rows,
        }));
        return Ok(exit::OK);
    }
    let budget = config.budget_tokens();
    out::line(&format!(
        "session {} with {}: {used} of {budget} tokens in memory ({} of the window's {} are kept for the answer)",
        told.name, config.engine.model, config.reserve_tokens, config.engine.n_ctx
    ));
    out::line(&drawn(process, budget));
    let Moved { turns, faults, hits, evicted, prefilled, reused, .. } = told.moved;
    out::line(&format!(
        "{turns} turns: {faults} pages brought in, {hits} found in place, {evicted} evicted; \
         {prefilled} tokens computed, {reused} reused"
    ));
    out::line("");
    out::line("  page  kind    tokens  turn        source");
    for row in rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let shared = row["shared_with"].as_array().map_or(0, Vec::len);
        out::line(&out::clean(&format!(
            "{:>6}  {:<7}{:>6}  {:>4}  {:<4}{} {}",
            text("page"),
            text("kind"),
            row["tokens"].to_string(),
            row["last_used_turn"].to_string(),
            text("state"),
            if shared > 0 { '*' } else { ' ' },
            text("source"),
        )));
    }
    if told.kernel.processes().len() > 1 {
        let others = told.kernel.processes().keys().filter(|pid| **pid != told.pid);
        let others = others.map(ToString::to_string).collect::<Vec<_>>().join(", ");
        out::line(&format!("this is conversation {}; * is shared with another one ({others})", told.pid));
    }
    Ok(exit::OK)
}

/// The window as one line: a letter for each part of it, by the kind of its page.
fn drawn(process: &Process, budget: u32) -> String {
    let mut line = String::with_capacity(MAP_COLUMNS + 2);
    let mut drawn = 0;
    let mut tokens = 0_u64;
    for slot in process.window().slots() {
        tokens += u64::from(slot.tokens);
        let until = (tokens * MAP_COLUMNS as u64 / u64::from(budget.max(1))).min(MAP_COLUMNS as u64) as usize;
        let sign = process.table().get(slot.page).map_or('?', |page| match page.kind.name() {
            "boot" => 'B',
            "pinned" => 'P',
            "file" => 'f',
            "turn" => 't',
            "call" => 'c',
            "result" => 'r',
            _ => 'd',
        });
        while drawn < until {
            line.push(sign);
            drawn += 1;
        }
    }
    line.push_str(&".".repeat(MAP_COLUMNS - drawn));
    format!("[{line}]  B boot, P pinned, f file, t turn, c call, r result, d digest")
}

fn rows(told: &Told, all: bool) -> Result<Vec<Value>, Failure> {
    let process = told.process()?;
    let (table, window) = (process.table(), process.window());
    let resident = window.slots().iter().filter_map(|slot| table.get(slot.page));
    let evicted = table.iter().filter(|page| all && is_missed(page, window));
    let folder = session::folder();
    resident
        .chain(evicted)
        .map(|page| {
            let text = told.text(page.id)?;
            let source = source(&page.provenance, &preview(&text), &folder);
            let state = match (window.holds(page.id), page.pinned) {
                (true, true) => "pin",
                (true, false) => "in",
                (false, _) => "out",
            };
            Ok(json!({
                "page": page.id.to_string(),
                "kind": page.kind.name(),
                "tokens": page.tokens,
                "state": state,
                "turn": page.place.turn,
                "last_used_turn": page.last_used_turn,
                "uses": page.uses,
                "shared_with": told.shared_with(page.id),
                "source": source,
            }))
        })
        .collect()
}

/// Prints one page, word for word.
///
/// # Errors
/// When there is no such page.
pub fn page(home: &Home, args: &PageArgs) -> Result<u8, Failure> {
    let id = address(&args.page)?;
    let told = Told::open(home, args.session.as_deref(), args.conversation)?;
    let text = told.text(id)?;
    if args.json {
        let page = told.process()?.table().get(id);
        out::json(&json!({
            "page": id.to_string(),
            "kind": page.map(|page| page.kind.name()),
            "tokens": page.map(|page| page.tokens),
            "resident": told.process()?.window().holds(id),
            "pinned": page.map(|page| page.pinned),
            "provenance": page.map(|page| &page.provenance),
            "shared_with": told.shared_with(id),
            "text": text,
        }));
    } else {
        out::line(&out::clean(&text));
    }
    Ok(exit::OK)
}

/// What is done to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It stays.
    Pin,
    /// It need not stay.
    Unpin,
    /// It leaves.
    Evict,
}

/// Changes a session that nobody has open.
///
/// # Errors
/// When there is no such page, it cannot be moved so, or the session is open elsewhere.
pub fn change(home: &Home, args: &PageArgs, what: Move) -> Result<u8, Failure> {
    let page = address(&args.page)?;
    let mut told = Told::open(home, args.session.as_deref(), args.conversation)?;
    if what == Move::Pin
        && told.process()?.table().get(page).is_some()
        && !told.process()?.window().holds(page)
    {
        let advice = "is not in memory, and bringing it back needs the model: `lucid --continue`, then /pin";
        return Err(Failure::usage(format!("{page} {advice}")));
    }
    let pid = told.pid;
    let event = match what {
        Move::Pin => Event::Pin { pid, page, pinned: true },
        Move::Unpin => Event::Pin { pid, page, pinned: false },
        Move::Evict => Event::Evict { pid, page },
    };
    // What would be refused is not recorded.
    for effect in told.kernel.clone().step(event.clone()) {
        if let Effect::Refused { error } = effect {
            return Err(Failure::usage(error.to_string()));
        }
    }
    let seq = told.events.len() as u64;
    told.journal.append(&told.name, seq, &event).map_err(|error| Failure::config(error.to_string()))?;
    told.kernel.step(event);
    let (process, config) = (told.process()?, told.config()?);
    let used = process.window().used(&config.chat);
    let done = match what {
        Move::Pin => "is pinned",
        Move::Unpin => "is no longer pinned",
        Move::Evict => "left the window; it can still be searched and read",
    };
    if args.json {
        let page = page.to_string();
        out::json(
            &json!({ "page": page, "session": told.name, "resident": used, "budget": config.budget_tokens() }),
        );
    } else {
        out::line(&format!("{page} {done}: {used} of {} tokens in memory", config.budget_tokens()));
    }
    Ok(exit::OK)
}

/// Adds to the core memory; without a text, lists it.
///
/// # Errors
/// When its file cannot be read or written.
pub fn remember(home: &Home, args: &CoreArgs) -> Result<u8, Failure> {
    let (memory, text) = (CoreMemory::new(home.memory_file()), args.text.join(" "));
    let failed = |error: std::io::Error| Failure::config(format!("{}: {error}", memory.path().display()));
    if !text.trim().is_empty() {
        memory.add(&text).map_err(failed)?;
    }
    let facts = memory.facts().map_err(failed)?;
    if args.json {
        out::json(&json!({ "file": memory.path(), "facts": facts }));
    } else {
        facts.iter().for_each(|fact| out::line(&out::clean(fact)));
        if facts.is_empty() {
            out::note(&format!("nothing is remembered; facts are kept in {}", memory.path().display()));
        }
    }
    Ok(exit::OK)
}

/// Takes a fact out of the core memory.
///
/// # Errors
/// When it is not there, or the file cannot be written.
pub fn forget(home: &Home, args: &CoreArgs) -> Result<u8, Failure> {
    let (memory, text) = (CoreMemory::new(home.memory_file()), args.text.join(" "));
    let failed = |error: std::io::Error| Failure::config(format!("{}: {error}", memory.path().display()));
    if text.trim().is_empty() {
        return Err(Failure::usage("say what to forget, as `lucid remember` lists it"));
    }
    if !memory.remove(&text).map_err(failed)? {
        let advice = "`lucid remember` lists what is";
        return Err(Failure::usage(format!("that is not remembered; {advice}")));
    }
    if args.json {
        out::json(&json!({ "file": memory.path(), "facts": memory.facts().map_err(failed)? }));
    }
    Ok(exit::OK)
}

fn address(text: &str) -> Result<PageId, Failure> {
    text.parse().map_err(|error: lucid_kernel::abi::BadAddress| Failure::usage(error.to_string()))
}
