//! A process: one conversation, its pages, and the turn that is under way.

mod turn;

use serde::{Deserialize, Serialize};

use crate::abi::{
    Call, CallReport, Effect, EffectId, Encoded, Fault, FaultKind, Label, Outcome, PageId, Pid, Provenance,
    Role, SourcePage, TokenCount, ToolSpec, Trust, TurnEnd, TurnOptions, TurnReport, Usage,
};
use crate::abi::{Decoded, Returned};
use crate::error::KernelError;
use crate::kernel::{Config, Ids};
use crate::memory::evict::{Lru, Need, make_room};
use crate::memory::page::Place;
use crate::memory::window::Slot;
use crate::memory::{ContextWindow, Page, PageKind, PageTable};
use crate::routing::Choice;
use crate::scheduler::Scheduler;

/// What a handler of one event works with.
#[derive(Debug)]
pub struct Step<'a> {
    /// The settings.
    pub config: &'a Config,
    /// New names.
    pub ids: &'a mut Ids,
    /// Who decodes next.
    pub scheduler: &'a mut Scheduler,
    /// What is to be done.
    pub out: Vec<Effect>,
}

/// An event that answers an effect.
#[derive(Debug)]
pub enum Answer {
    /// Of [`Effect::PageIn`].
    PagedIn(Outcome<Vec<SourcePage>>),
    /// Of [`Effect::Decode`].
    Decoded(Outcome<Decoded>),
    /// Of [`Effect::Call`].
    Returned(Outcome<Returned>),
    /// Of [`Effect::Ask`].
    Allowed(bool),
    /// Of [`Effect::Encode`].
    Encoded(Outcome<Encoded>),
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pid: Pid,
    table: PageTable,
    window: ContextWindow,
    tools: Vec<ToolSpec>,
    next_page: u64,
    turns: u32,
    prefill_tokens_per_s: Option<f32>,
    /// Whether pages labelled private may go to the engine's host.
    may_send: bool,
    phase: Phase,
    turn: Option<Turn>,
}

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// The user.
    Idle,
    /// Pages for the input, which is not resident yet.
    Paging { id: EffectId },
    /// Pages that the model searched for.
    Searching { id: EffectId },
    /// The engine, still busy with another process.
    Queued,
    /// The engine.
    Decoding { id: EffectId },
    /// The user, about a call.
    Asking { id: EffectId, call: Call },
    /// A tool.
    Calling { id: EffectId, call: Call, started: bool },
    /// The tokens of a text that becomes a result page.
    Encoding { id: EffectId, text: ResultText, then: Then },
}

/// A text on its way to a result page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ResultText {
    text: String,
    /// How many of its characters are shown; all when none.
    shown: Option<usize>,
    tool: String,
    attempts: u32,
}

/// What follows when a result page is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Then {
    Decode,
    End(TurnEnd),
}

/// A turn under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Turn {
    options: TurnOptions,
    question: String,
    /// Set until the input page is resident.
    pending: Option<PageId>,
    choice: Choice,
    messages: u32,
    calls: Vec<CallReport>,
    made: Vec<Call>,
    usage: Usage,
    decodes: u32,
    cancelled: bool,
}

/// The most decodes of one turn, answers to bad calls included.
const MAX_DECODES_PER_TURN: u32 = 16;

/// The most times that an over-long result is cut and measured again.
const MAX_CUTS: u32 = 4;

impl Process {
    /// A new process with its boot page.
    ///
    /// # Errors
    /// When the instructions and tools leave no room for a conversation.
    pub fn spawn(
        pid: Pid,
        system: Encoded,
        tools: Vec<ToolSpec>,
        config: &Config,
    ) -> Result<Self, KernelError> {
        let mut process = Self {
            pid,
            table: PageTable::default(),
            window: ContextWindow::default(),
            tools,
            next_page: 1,
            turns: 0,
            prefill_tokens_per_s: config.engine.prefill_tokens_per_s,
            may_send: false,
            phase: Phase::Idle,
            turn: None,
        };
        let text = std::sync::Arc::clone(&system.text);
        let boot = Page {
            id: process.new_page(),
            kind: PageKind::Boot,
            role: Role::System,
            place: Place { turn: 0, message: 0 },
            content: system,
            text,
            provenance: Provenance::System,
            label: Label::public(Trust::System),
            last_used_turn: 0,
            words: crate::relevance::Words::default(),
        };
        let tokens = process.window.used_with(&[Slot::of(&boot)], &config.chat);
        let room = config.budget_tokens() / 4 * 3;
        if tokens > room {
            return Err(KernelError::TooLarge {
                what: "the instructions with the list of tools".into(),
                tokens,
                room,
                window: config.engine.n_ctx,
            });
        }
        process.window.push(&boot);
        process.table.insert(boot);
        Ok(process)
    }

    /// Its name.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// All its pages.
    pub const fn table(&self) -> &PageTable {
        &self.table
    }

    /// Its resident pages.
    pub const fn window(&self) -> &ContextWindow {
        &self.window
    }

    /// What it may call.
    pub fn tools(&self) -> &[ToolSpec] {
        &self.tools
    }

    /// Whether it waits for the user to say something.
    pub const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// The address that its next page will get.
    pub const fn next_page(&self) -> PageId {
        PageId(self.next_page)
    }

    /// The effect that it waits for.
    pub const fn open_effect(&self) -> Option<EffectId> {
        match &self.phase {
            Phase::Idle | Phase::Queued => None,
            Phase::Paging { id }
            | Phase::Searching { id }
            | Phase::Decoding { id }
            | Phase::Asking { id, .. }
            | Phase::Calling { id, .. }
            | Phase::Encoding { id, .. } => Some(*id),
        }
    }

    /// Whether it waits for the user's word on a call.
    pub fn is_asking(&self, id: EffectId) -> bool {
        matches!(&self.phase, Phase::Asking { id: asked, .. } if *asked == id)
    }

    /// The call that was started and has not returned.
    pub const fn call_under_way(&self) -> Option<(EffectId, &Call)> {
        match &self.phase {
            Phase::Calling { id, call, started: true } => Some((*id, call)),
            _ => None,
        }
    }

    /// What must hold after every step.
    ///
    /// # Errors
    /// What does not.
    pub fn check_invariants(&self, config: &Config) -> Result<(), String> {
        let used = self.window.used(&config.chat);
        let budget = config.budget_tokens();
        if used > budget {
            return Err(format!("{}: {used} tokens are resident, the budget is {budget}", self.pid));
        }
        if !self.window.agrees_with(&self.table) {
            return Err(format!("{}: the window holds what the table does not", self.pid));
        }
        let front = self.window.slots().first().and_then(|slot| self.table.get(slot.page));
        if front.is_none_or(|page| page.kind != PageKind::Boot || page.id != PageId(1)) {
            return Err(format!("{}: the boot page is not at the front", self.pid));
        }
        if self.phase == Phase::Idle && self.turn.is_some() {
            return Err(format!("{}: idle in the middle of a turn", self.pid));
        }
        Ok(())
    }

    fn new_page(&mut self) -> PageId {
        let id = PageId(self.next_page);
        self.next_page += 1;
        id
    }

    /// Appends pages to the window, evicting what is colder. False, with nothing changed,
    /// when they do not fit.
    fn admit(&mut self, pages: Vec<Page>, config: &Config) -> bool {
        let more: Vec<Slot> = pages.iter().map(Slot::of).collect();
        let need = Need {
            more: &more,
            high: config.budget_tokens(),
            low: config.low_tokens(),
            current_turn: self.turns,
        };
        if make_room(&mut self.window, &self.table, &config.chat, &Lru, &need).is_none() {
            return false;
        }
        for page in pages {
            self.window.push(&page);
            self.table.insert(page);
        }
        true
    }

    /// Tokens that a new message could have if everything evictable left.
    fn room(&self, role: Role, config: &Config) -> TokenCount {
        let stays =
            self.window.slots().iter().filter(|slot| slot.place.turn == self.turns || slot.place.turn == 0);
        let used = crate::memory::window::used(stays.copied(), &config.chat);
        config.budget_tokens().saturating_sub(used).saturating_sub(config.chat.span(role).cost())
    }

    fn end(&mut self, end: TurnEnd, answer: String, step: &mut Step<'_>) {
        let Some(turn) = self.turn.take() else { return };
        self.phase = Phase::Idle;
        let citations = self.cite(&turn.question, &answer);
        for citation in &citations {
            self.table.touch(citation.page, self.turns);
        }
        step.out.push(Effect::Ended {
            pid: self.pid,
            report: Box::new(TurnReport {
                end,
                answer,
                citations,
                calls: turn.calls,
                usage: turn.usage,
                resident: self.window.used(&step.config.chat),
                budget: step.config.budget_tokens(),
            }),
        });
    }

    fn cite(&self, question: &str, answer: &str) -> Vec<crate::abi::Citation> {
        let resident = self.window.slots().iter().filter_map(|slot| self.table.get(slot.page));
        let files: Vec<&Page> = resident.filter(|page| page.kind == PageKind::File).collect();
        if files.is_empty() || answer.is_empty() {
            return Vec::new();
        }
        crate::citation::find(question, answer, &files)
    }
}

fn failed(kind: FaultKind, message: impl Into<String>) -> TurnEnd {
    TurnEnd::Failed(Fault::new(kind, message))
}
