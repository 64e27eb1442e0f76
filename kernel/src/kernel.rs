//! The kernel: [`Kernel::step`] is the only way its state changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::abi::{Effect, EffectId, EngineInfo, Event, PageId, Pid, TokenCount};
use crate::chat::ChatTokens;
use crate::error::KernelError;
use crate::memory::Page;
use crate::memory::evict::Eviction;
use crate::policy::Policy;
use crate::process::{Answer, Process, Step};
use crate::scheduler::Scheduler;

/// The most processes at once.
pub const MAX_PROCESSES: usize = 64;

/// The most tools of one process.
pub const MAX_TOOLS: usize = 256;

/// The smallest window that instructions, a question and an answer fit into.
pub const MIN_WINDOW_TOKENS: TokenCount = 256;

/// A digest may have one part in so many of the budget.
const DIGEST_PART: TokenCount = 12;

/// The validated settings of a session. They are part of the first event, so a replay
/// needs nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The engine.
    pub engine: EngineInfo,
    /// How its model frames messages.
    pub chat: ChatTokens,
    /// Tokens of the window kept free for the answer.
    pub reserve_tokens: TokenCount,
    /// Prefetch fills at least this many tokens, if there is room.
    pub prefetch_min_tokens: TokenCount,
    /// Prefetch fills at most what the engine prefills in this time.
    pub prefetch_seconds: f32,
    /// The most pages that one prefetch or search brings.
    pub prefetch_pages: u32,
    /// Eviction stops at this part of the budget, in percent.
    pub low_watermark_percent: u32,
    /// The most calls of one turn.
    pub max_calls_per_turn: u32,
    /// Which pages leave first.
    #[serde(default)]
    pub eviction: Eviction,
    /// Whether there is anything to page in.
    pub has_disk: bool,
    /// What may run.
    pub policy: Policy,
}

impl Config {
    /// The defaults for an engine.
    pub fn new(engine: EngineInfo, chat: ChatTokens) -> Self {
        let reserve_tokens = (engine.n_ctx / 4).clamp(64, 1024);
        // Whoever computes all behind an evicted page again is better off with few, large evictions.
        let low_watermark_percent = if engine.closes_gaps { 95 } else { 50 };
        Self {
            engine,
            chat,
            reserve_tokens,
            prefetch_min_tokens: 512,
            prefetch_seconds: 8.0,
            prefetch_pages: 8,
            low_watermark_percent,
            max_calls_per_turn: 4,
            eviction: Eviction::default(),
            has_disk: false,
            policy: Policy::default(),
        }
    }

    /// The most tokens that may be resident: the window less the answer's reserve.
    pub const fn budget_tokens(&self) -> TokenCount {
        self.engine.n_ctx.saturating_sub(self.reserve_tokens)
    }

    /// Where eviction stops.
    pub fn low_tokens(&self) -> TokenCount {
        let low = u64::from(self.budget_tokens()) * u64::from(self.low_watermark_percent.min(100)) / 100;
        TokenCount::try_from(low).unwrap_or(TokenCount::MAX)
    }

    /// What a digest may have.
    pub const fn digest_tokens(&self) -> TokenCount {
        self.budget_tokens() / DIGEST_PART
    }

    fn validate(&self) -> Result<(), KernelError> {
        if self.engine.n_ctx < MIN_WINDOW_TOKENS {
            return Err(KernelError::BadConfig(format!(
                "a window of {} tokens is too small; at least {MIN_WINDOW_TOKENS} are needed",
                self.engine.n_ctx
            )));
        }
        if self.reserve_tokens == 0 || self.reserve_tokens >= self.engine.n_ctx {
            return Err(KernelError::BadConfig(format!(
                "a reserve of {} tokens for the answer does not fit a window of {}",
                self.reserve_tokens, self.engine.n_ctx
            )));
        }
        Ok(())
    }
}

/// Where new identifiers come from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ids {
    next_pid: u64,
    next_effect: u64,
    /// Addresses are those of the whole session, so that one names the same page in every process.
    last_page: u64,
}

impl Ids {
    /// A new effect's name.
    pub const fn effect(&mut self) -> EffectId {
        self.next_effect += 1;
        EffectId(self.next_effect)
    }

    /// A new page's address.
    pub const fn page(&mut self) -> PageId {
        let id = self.next_page();
        self.last_page = id.0;
        id
    }

    /// The address that the next page will get.
    pub const fn next_page(&self) -> PageId {
        PageId(self.last_page.saturating_add(1))
    }

    /// Addresses up to this one were given by the machine.
    pub fn given(&mut self, page: PageId) {
        self.last_page = self.last_page.max(page.0);
    }

    /// So many addresses from the next one on, for the machine to give.
    pub const fn reserve_pages(&mut self, pages: u32) -> PageId {
        let first = self.next_page();
        self.last_page = self.last_page.saturating_add(pages as u64);
        first
    }

    const fn pid(&mut self) -> Pid {
        self.next_pid += 1;
        Pid(self.next_pid)
    }
}

/// The whole state of a session.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kernel {
    config: Option<Config>,
    processes: BTreeMap<Pid, Process>,
    scheduler: Scheduler,
    ids: Ids,
    /// The rights that the user granted for the session, each with its plugin.
    granted: BTreeSet<(String, String)>,
    /// The process that began or was spoken to last.
    spoken_to: Option<Pid>,
    /// How many events there were.
    events: u64,
}

impl Kernel {
    /// Takes one event and says what is to be done. An event that is not taken changes
    /// nothing and gives [`Effect::Refused`].
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        let taken = self.take(event);
        self.events += 1;
        match taken {
            Ok(effects) => effects,
            Err(error) => vec![Effect::Refused { error }],
        }
    }

    /// The settings, once booted.
    pub const fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// The processes.
    pub const fn processes(&self) -> &BTreeMap<Pid, Process> {
        &self.processes
    }

    /// The process that began or was spoken to last; none before the first.
    pub const fn spoken_to(&self) -> Option<Pid> {
        self.spoken_to
    }

    /// The address that the next page will get.
    pub const fn next_page(&self) -> PageId {
        self.ids.next_page()
    }

    /// The name that the next effect will get.
    pub const fn next_effect(&self) -> EffectId {
        EffectId(self.ids.next_effect + 1)
    }

    /// How many pages of a process another one knows too.
    pub fn shared_pages(&self, process: &Process) -> usize {
        process.table().iter().filter(|page| self.sharers(page.id).nth(1).is_some()).count()
    }

    /// The processes that know this page, resident or not.
    pub fn sharers(&self, page: PageId) -> impl Iterator<Item = Pid> + '_ {
        let know = move |process: &&Process| process.table().get(page).is_some();
        self.processes.values().filter(know).map(Process::pid)
    }

    /// The effects that no event has answered yet.
    pub fn open_effects(&self) -> Vec<(Pid, EffectId)> {
        let open = |process: &Process| process.open_effects().collect::<Vec<_>>();
        let each = self.processes.iter().map(|(pid, process)| (*pid, open(process)));
        each.flat_map(|(pid, ids)| ids.into_iter().map(move |id| (pid, id))).collect()
    }

    /// What must hold after every step; the reason when something does not.
    ///
    /// # Errors
    /// Which invariant is broken.
    pub fn check_invariants(&self) -> Result<(), String> {
        let Some(config) = &self.config else { return Ok(()) };
        self.processes.values().try_for_each(|process| process.check_invariants(config))
    }

    /// An address names the same page in all processes that know it; the address that does not.
    /// Takes longer than the rest, and so is asked for alone.
    ///
    /// # Errors
    /// Which address that is.
    pub fn check_addresses(&self) -> Result<(), String> {
        let mut known: BTreeMap<PageId, &Page> = BTreeMap::new();
        for page in self.processes.values().flat_map(|process| process.table().iter()) {
            let other = *known.entry(page.id).or_insert(page);
            if (other.born, &other.provenance) != (page.born, &page.provenance) {
                return Err(format!("{} names two pages", page.id));
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<Vec<Effect>, KernelError> {
        if let Event::Boot { config } = event {
            return self.boot(*config);
        }
        let Some(config) = &self.config else { return Err(KernelError::NotBooted) };
        let mut step = Step {
            config,
            ids: &mut self.ids,
            scheduler: &mut self.scheduler,
            granted: &mut self.granted,
            event: self.events,
            out: Vec::new(),
        };
        match event {
            Event::Boot { .. } => return Err(KernelError::AlreadyBooted),
            Event::Spawn { system, tools, core } => {
                if self.processes.len() >= MAX_PROCESSES {
                    return Err(limit("processes", MAX_PROCESSES));
                }
                if tools.len() > MAX_TOOLS {
                    return Err(limit("tools", MAX_TOOLS));
                }
                let before = step.ids.clone();
                let pid = step.ids.pid();
                let process = Process::spawn(pid, system, tools, core, &mut step);
                let process = process.inspect_err(|_| *step.ids = before)?;
                self.processes.insert(pid, process);
                self.spoken_to = Some(pid);
                step.out.push(Effect::Spawned { pid, of: None });
            }
            Event::Tools { system, tools } => {
                if tools.len() > MAX_TOOLS {
                    return Err(limit("tools", MAX_TOOLS));
                }
                if let Some(busy) = self.processes.values().find(|process| !process.is_idle()) {
                    return Err(KernelError::ProcessBusy(busy.pid()));
                }
                let (before, id) = (step.ids.clone(), step.ids.page());
                // All of them or none.
                let mut changed = self.processes.clone();
                for process in changed.values_mut() {
                    let done = process.replace_tools(id, &system, &tools, &mut step);
                    done.inspect_err(|_| *step.ids = before.clone())?;
                }
                self.processes = changed;
            }
            Event::Fork { pid: of } => {
                let process = self.processes.get(&of).ok_or(KernelError::NoProcess(of))?;
                if self.processes.len() >= MAX_PROCESSES {
                    return Err(limit("processes", MAX_PROCESSES));
                }
                if !process.is_idle() {
                    return Err(KernelError::ProcessBusy(of));
                }
                let pid = step.ids.pid();
                self.processes.insert(pid, process.fork(pid));
                self.spoken_to = Some(pid);
                step.out.push(Effect::Spawned { pid, of: Some(of) });
            }
            Event::Input { pid, content, attached, options } => {
                find(&mut self.processes, pid)?.input(content, attached, options, &mut step)?;
                self.spoken_to = Some(pid);
            }
            Event::Pin { pid, page, pinned } => {
                find(&mut self.processes, pid)?.pin(page, pinned, &mut step)?;
            }
            Event::Evict { pid, page } => find(&mut self.processes, pid)?.evict(page, &mut step)?,
            Event::Remember { pid, page } => find(&mut self.processes, pid)?.remember(page, &mut step)?,
            Event::Digested { pid, page } => find(&mut self.processes, pid)?.digested(page, &mut step)?,
            Event::Forget { pid, page } => find(&mut self.processes, pid)?.forget(page, &mut step)?,
            Event::Exit { pid } => {
                if !find(&mut self.processes, pid)?.is_idle() {
                    return Err(KernelError::ProcessBusy(pid));
                }
                if self.processes.len() == 1 {
                    return Err(KernelError::LastProcess(pid));
                }
                self.processes.remove(&pid);
                if self.spoken_to == Some(pid) {
                    self.spoken_to = self.processes.keys().next_back().copied();
                }
            }
            Event::Cancel { pid } => find(&mut self.processes, pid)?.cancel(&mut step),
            Event::Restarted => {
                step.scheduler.clear();
                for process in self.processes.values_mut() {
                    process.restarted(&mut step);
                }
            }
            Event::Started { id } => owner(&mut self.processes, id)?.started(id)?,
            Event::PagedIn { id, outcome } => {
                owner(&mut self.processes, id)?.answered(id, Answer::PagedIn(outcome), &mut step)?;
            }
            Event::Decoded { id, outcome } => {
                owner(&mut self.processes, id)?.answered(id, Answer::Decoded(outcome), &mut step)?;
            }
            Event::Returned { id, outcome } => {
                owner(&mut self.processes, id)?.answered(id, Answer::Returned(outcome), &mut step)?;
            }
            Event::Answered { id, allow, extent } => {
                owner(&mut self.processes, id)?.answered(
                    id,
                    Answer::Allowed(allow.then_some(extent)),
                    &mut step,
                )?;
            }
            Event::Encoded { id, outcome } => {
                owner(&mut self.processes, id)?.answered(id, Answer::Encoded(outcome), &mut step)?;
            }
        }
        while let Some(pid) = step.scheduler.pick(config.engine.slots) {
            if let Some(process) = self.processes.get_mut(&pid) {
                process.decode(&mut step);
            }
        }
        Ok(step.out)
    }

    fn boot(&mut self, config: Config) -> Result<Vec<Effect>, KernelError> {
        if self.config.is_some() {
            return Err(KernelError::AlreadyBooted);
        }
        config.validate()?;
        self.config = Some(config);
        Ok(Vec::new())
    }
}

fn limit(what: &str, limit: usize) -> KernelError {
    KernelError::Limit { what: what.to_owned(), limit: limit as u64 }
}

fn find(processes: &mut BTreeMap<Pid, Process>, pid: Pid) -> Result<&mut Process, KernelError> {
    processes.get_mut(&pid).ok_or(KernelError::NoProcess(pid))
}

fn owner(processes: &mut BTreeMap<Pid, Process>, id: EffectId) -> Result<&mut Process, KernelError> {
    let waits = |process: &&mut Process| process.open_effects().any(|open| open == id);
    processes.values_mut().find(waits).ok_or(KernelError::NoEffect(id))
}
