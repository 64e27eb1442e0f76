//! A process: one conversation, its pages, and the turn that is under way.

mod calls;
mod memory;
mod tools;
mod turn;

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use self::calls::Due;
use crate::abi::{
    Call, CallReport, Effect, EffectId, Encoded, Extent, Fault, FaultKind, FileRange, Label, MemoryUse,
    Outcome, PageId, Pid, Provenance, Role, SourcePage, Swapped, TokenCount, ToolSpec, Trust, TurnEnd,
    TurnOptions, TurnReport, Usage,
};
use crate::abi::{Decoded, Returned};
use crate::error::KernelError;
use crate::kernel::{Config, Ids};
use crate::memory::evict::{Need, make_room};
use crate::memory::page::Place;
use crate::memory::reuse::Sent;
use crate::memory::window::Slot;
use crate::memory::{Content, ContextWindow, Page, PageKind, PageTable};
use crate::relevance::Words;
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
    /// The rights that the user granted for the session, each with its plugin.
    pub granted: &'a mut BTreeSet<(String, String)>,
    /// Which event it is, counted from 0.
    pub event: u64,
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
    /// Of [`Effect::Ask`]: how long a yes holds; none is a no.
    Allowed(Option<Extent>),
    /// Of [`Effect::Encode`].
    Encoded(Outcome<Encoded>),
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pid: Pid,
    /// Whose pages it began with.
    #[serde(default)]
    of: Option<Pid>,
    table: PageTable,
    window: ContextWindow,
    tools: Vec<ToolSpec>,
    turns: u32,
    prefill_tokens_per_s: Option<f32>,
    /// Whether pages labelled private may go to the engine's host.
    may_send: bool,
    phase: Phase,
    turn: Option<Turn>,
    /// What the engine computed for it last.
    sent: Sent,
    /// How many of its pages swap keeps.
    swapped: u64,
}

/// What a process waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// The user.
    Idle,
    /// Pages for the input, which is not resident yet.
    Paging { id: EffectId, first: PageId },
    /// Pages that the model searched for.
    Searching { id: EffectId, first: PageId },
    /// A page that comes back word for word.
    Recalling { id: EffectId, page: PageId, why: Why },
    /// The engine, still busy with another process.
    Queued,
    /// The engine.
    Decoding { id: EffectId },
    /// The user, about a call.
    Asking { id: EffectId, call: Call },
    /// The tools that are due to return.
    Calling,
    /// The tokens of a text that becomes a result page.
    Encoding { id: EffectId, text: ResultText, then: Then },
}

/// Why a page comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Why {
    /// The model reads it.
    Read,
    /// The user pins it.
    Pin,
}

/// A text on its way to a result page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ResultText {
    /// The address of the page that it becomes, which may stand in it.
    page: PageId,
    text: String,
    /// The event that brought the whole of it, if it came from outside.
    born: Option<u64>,
    /// How many characters the whole of it has, if there is more than this text.
    all: Option<u64>,
    /// How many of its characters are shown; all when none.
    shown: Option<usize>,
    tool: String,
    attempts: u32,
}

/// What follows when a result page is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Then {
    Decode,
    /// It is to be known in every turn; this is what.
    Remember(std::sync::Arc<str>),
}

/// A turn under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Turn {
    options: TurnOptions,
    question: String,
    /// What the question is about.
    #[serde(skip)]
    wanted: Words,
    /// Set until the input page is resident.
    pending: Option<PageId>,
    /// The input page and what came with it.
    input: Vec<PageId>,
    /// The message of the last call; 1 before the first.
    from_message: u32,
    memory: MemoryUse,
    choice: Choice,
    messages: u32,
    calls: Vec<CallReport>,
    made: Vec<Call>,
    /// The calls that the model asked for at once, in its order, until it was told how each ended.
    due: VecDeque<Due>,
    /// How the turn ends when the model was told of all calls; none when it goes on.
    end: Option<TurnEnd>,
    usage: Usage,
    decodes: u32,
    cancelled: bool,
}

/// The most decodes of one turn, answers to bad calls included.
const MAX_DECODES_PER_TURN: u32 = 16;

/// So many pages are named that could leave.
const LARGEST_NAMED: usize = 4;

/// The most times that an over-long result is cut and measured again.
const MAX_CUTS: u32 = 4;

impl Process {
    /// A new process with its boot page and what is to be known in every turn.
    ///
    /// # Errors
    /// When the instructions, the tools and the core memory leave no room for a conversation.
    pub fn spawn(
        pid: Pid,
        system: Encoded,
        tools: Vec<ToolSpec>,
        core: Vec<SourcePage>,
        step: &mut Step<'_>,
    ) -> Result<Self, KernelError> {
        let config = step.config;
        let mut process = Self {
            pid,
            of: None,
            table: PageTable::default(),
            window: ContextWindow::default(),
            tools,
            turns: 0,
            prefill_tokens_per_s: config.engine.prefill_tokens_per_s,
            may_send: false,
            phase: Phase::Idle,
            turn: None,
            sent: Sent::default(),
            swapped: 0,
        };
        let place = Place { turn: 0, message: 0 };
        let boot = boot_page(step.ids.page(), system, step.event);
        let boot_tokens = process.window.used_with(&[Slot::of(&boot.0)], &config.chat);
        let mut front = vec![boot];
        for source in core {
            step.ids.given(source.id);
            front.push(core_page(source, Role::System, place, step.event));
        }
        let slots: Vec<Slot> = front.iter().map(|(page, _)| Slot::of(page)).collect();
        let tokens = process.window.used_with(&slots, &config.chat);
        let room = room_of_front(config);
        let window = config.engine.n_ctx;
        if boot_tokens > room {
            return Err(too_many_tools(boot_tokens, config));
        }
        if tokens > room {
            let what = format!("what is to be remembered, with the instructions ({boot_tokens}),");
            let remedy = format!("forget some of it: {}", largest(&slots[1..]));
            return Err(KernelError::TooLarge { what, tokens, room, window, remedy });
        }
        for (page, content) in front {
            process.window.push(&page);
            process.table.insert(page, content);
        }
        Ok(process)
    }

    /// Another one that knows the same, for between turns. What the pages say is not copied.
    pub(crate) fn fork(&self, pid: Pid) -> Self {
        Self { pid, of: Some(self.pid), ..self.clone() }
    }

    /// Its name.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Whose pages it began with; none when with its own.
    pub const fn fork_of(&self) -> Option<Pid> {
        self.of
    }

    /// How many turns it had.
    pub const fn turns(&self) -> u32 {
        self.turns
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

    /// Whether a page comes back to be pinned.
    pub const fn is_pinning(&self) -> bool {
        matches!(self.phase, Phase::Recalling { why: Why::Pin, .. })
    }

    /// The effects that it waits for: one, or those of all calls that run side by side.
    pub fn open_effects(&self) -> impl Iterator<Item = EffectId> + '_ {
        let one = match &self.phase {
            Phase::Idle | Phase::Queued | Phase::Calling => None,
            Phase::Paging { id, .. }
            | Phase::Searching { id, .. }
            | Phase::Recalling { id, .. }
            | Phase::Decoding { id }
            | Phase::Asking { id, .. }
            | Phase::Encoding { id, .. } => Some(*id),
        };
        let due = self.turn.iter().flat_map(|turn| &turn.due);
        one.into_iter().chain(due.filter_map(Due::running))
    }

    /// Whether it waits for the user's word on a call.
    pub fn is_asking(&self, id: EffectId) -> bool {
        matches!(&self.phase, Phase::Asking { id: asked, .. } if *asked == id)
    }

    /// How many of its pages swap is to keep.
    pub const fn swapped(&self) -> u64 {
        self.swapped
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
        if front.is_none_or(|page| page.kind != PageKind::Boot) {
            return Err(format!("{}: the boot page is not at the front", self.pid));
        }
        if self.phase == Phase::Idle && self.turn.is_some() {
            return Err(format!("{}: idle in the middle of a turn", self.pid));
        }
        let is_running = self.turn.iter().flat_map(|turn| &turn.due).any(|due| due.running().is_some());
        if is_running != (self.phase == Phase::Calling) {
            return Err(format!(
                "{}: it waits for calls that do not run, or not for those that do",
                self.pid
            ));
        }
        Ok(())
    }

    /// Appends a page to the window, evicting what is colder. False, with nothing changed, when it
    /// does not fit.
    fn admit(&mut self, page: Page, content: Content, step: &mut Step<'_>) -> bool {
        let fits = self.make_room(&[Slot::of(&page)], step);
        if fits {
            self.window.push(&page);
            self.table.insert(page, content);
        }
        fits
    }

    /// Brings a page back that is in the table, at a place, as it is shown from now on. False, with
    /// nothing changed, when it does not fit.
    fn readmit(
        &mut self,
        id: PageId,
        content: Content,
        role: Role,
        place: Place,
        step: &mut Step<'_>,
    ) -> bool {
        let slot = Slot { page: id, role, place, tokens: content.shown.count() };
        if !self.make_room(&[slot], step) {
            return false;
        }
        self.table.restore(id, content);
        if let Some(page) = self.table.get_mut(id) {
            (page.role, page.place) = (role, place);
            page.touch(self.turns);
            self.window.push(page);
        }
        true
    }

    /// Evicts what must go for these to be appended. False, with nothing changed, when that is not
    /// enough.
    fn make_room(&mut self, more: &[Slot], step: &mut Step<'_>) -> bool {
        let nothing = Words::default();
        let turn = self.turn.as_ref();
        let need = Need {
            more,
            high: step.config.budget_tokens(),
            low: step.config.low_tokens(),
            turn: self.turns,
            input: turn.map_or(&[], |turn| &turn.input),
            from_message: turn.map_or(0, |turn| turn.from_message),
            wanted: turn.map_or(&nothing, |turn| &turn.wanted),
        };
        let policy = step.config.eviction.policy();
        let Some(gone) = make_room(&mut self.window, &mut self.table, &step.config.chat, policy, &need)
        else {
            return false;
        };
        self.evicted(&gone, step);
        true
    }

    /// Lets go of what pages say that have left the window.
    fn evicted(&mut self, gone: &[PageId], step: &mut Step<'_>) {
        let mut pages = Vec::new();
        for id in gone {
            self.table.forget(*id);
            if let Some(page) = self.table.get_mut(*id) {
                pages.extend(swap(page));
                page.recalled = true;
            }
        }
        if let Some(turn) = &mut self.turn {
            turn.memory.evicted += u32::try_from(gone.len()).unwrap_or(u32::MAX);
        }
        self.swap_out(pages, step);
    }

    fn swap_out(&mut self, pages: Vec<Swapped>, step: &mut Step<'_>) {
        if !pages.is_empty() {
            self.swapped += pages.len() as u64;
            step.out.push(Effect::Swap { pid: self.pid, pages });
        }
    }

    /// Tokens that a new message could have if everything evictable left.
    fn room(&self, role: Role, config: &Config) -> TokenCount {
        let nothing = Words::default();
        let turn = self.turn.as_ref();
        let need = Need {
            more: &[],
            high: 0,
            low: 0,
            turn: self.turns,
            input: turn.map_or(&[], |turn| &turn.input),
            from_message: turn.map_or(0, |turn| turn.from_message),
            wanted: &nothing,
        };
        let stays = self
            .window
            .slots()
            .iter()
            .filter(|slot| self.table.get(slot.page).is_some_and(|page| need.keeps(page)));
        let used = crate::memory::window::used(stays.copied(), &config.chat);
        config.budget_tokens().saturating_sub(used).saturating_sub(config.chat.span(role).cost())
    }

    /// What can be done about something that does not fit.
    fn remedy(&self) -> String {
        let slots = self.window.slots().iter();
        let pinned = slots.filter(|slot| self.table.get(slot.page).is_some_and(|page| page.pinned));
        let pinned: Vec<Slot> = pinned.copied().collect();
        let unpin =
            if pinned.is_empty() { String::new() } else { format!(", unpin pages ({})", largest(&pinned)) };
        format!("shorten it{unpin}, or use a model with a larger window")
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
                memory: turn.memory,
            }),
        });
    }

    fn cite(&self, question: &str, answer: &str) -> Vec<crate::abi::Citation> {
        let resident = self.window.slots().iter();
        let resident =
            resident.filter_map(|slot| self.table.get(slot.page).zip(self.table.content(slot.page)));
        let files: Vec<(&Page, &Content)> =
            resident.filter(|(page, _)| page.kind == PageKind::File).collect();
        if files.is_empty() || answer.is_empty() {
            return Vec::new();
        }
        crate::citation::find(question, answer, &files)
    }
}

/// A page that is about to be made.
struct NewPage {
    id: PageId,
    kind: PageKind,
    role: Role,
    place: Place,
    provenance: Provenance,
    label: Label,
}

impl NewPage {
    fn page(self, content: Content, born: u64) -> (Page, Content) {
        let Self { id, kind, role, place, provenance, label } = self;
        let page = Page {
            id,
            kind,
            role,
            place,
            tokens: content.shown.count(),
            provenance,
            label,
            born,
            last_used_turn: place.turn,
            uses: 1,
            referenced: true,
            pinned: kind == PageKind::Pinned,
            swapped: false,
            recalled: false,
        };
        (page, content)
    }
}

/// The largest of some pages, for a person.
fn largest(slots: &[Slot]) -> String {
    let mut slots: Vec<&Slot> = slots.iter().collect();
    slots.sort_by_key(|slot| (std::cmp::Reverse(slot.tokens), slot.page));
    let named =
        slots.iter().take(LARGEST_NAMED).map(|slot| format!("{} has {} tokens", slot.page, slot.tokens));
    named.collect::<Vec<_>>().join(", ")
}

/// A page of instructions.
fn boot_page(id: PageId, system: Encoded, born: u64) -> (Page, Content) {
    let place = Place { turn: 0, message: 0 };
    let (provenance, label) = (Provenance::System, Label::public(Trust::System));
    NewPage { id, kind: PageKind::Boot, role: Role::System, place, provenance, label }
        .page(Content::plain(system), born)
}

/// What instructions may take of the window, with what is to be remembered, in tokens.
fn room_of_front(config: &Config) -> TokenCount {
    config.budget_tokens() / 4 * 3
}

fn too_many_tools(tokens: TokenCount, config: &Config) -> KernelError {
    let what = "the instructions with the list of tools".into();
    let remedy = "offer fewer tools, or use a model with a larger window".into();
    let (room, window) = (room_of_front(config), config.engine.n_ctx);
    KernelError::TooLarge { what, tokens, room, window, remedy }
}

/// A page of the core memory.
fn core_page(source: SourcePage, role: Role, place: Place, born: u64) -> (Page, Content) {
    let content = Content::of(&source);
    let SourcePage { id, provenance, label, .. } = source;
    NewPage { id, kind: PageKind::Pinned, role, place, provenance, label }.page(content, born)
}

/// What swap is to keep of a page; none when it has it, and of a file, which lies on the disk.
fn swap(page: &mut Page) -> Option<Swapped> {
    let on_disk = page.file().is_some_and(FileRange::is_on_disk);
    if page.swapped || on_disk || page.is_made_anew() {
        return None;
    }
    page.swapped = true;
    Some(Swapped {
        page: page.id,
        provenance: page.provenance.clone(),
        turn: page.place.turn,
        event: page.born,
    })
}

fn failed(kind: FaultKind, message: impl Into<String>) -> TurnEnd {
    TurnEnd::Failed(Fault::new(kind, message))
}
