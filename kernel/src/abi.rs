//! The words that the kernel, its drivers and the machine share: identifiers,
//! events, effects, and what they carry. Plain data, nothing that acts.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A token id of the engine's vocabulary.
pub type Token = u32;

/// A number of tokens.
pub type TokenCount = u32;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadAddress;

            fn from_str(text: &str) -> Result<Self, BadAddress> {
                text.strip_prefix($prefix)
                    .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .map(Self)
                    .ok_or_else(|| BadAddress { text: text.into(), example: concat!($prefix, "42") })
            }
        }
    };
}

id!(
    /// A process: one conversation or one background task.
    Pid, "t"
);
id!(
    /// The address of a page, as the model and the user write it (`p42`).
    PageId, "p"
);
id!(
    /// Names one effect; the event that answers it carries the same id.
    EffectId, "e"
);

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address; write it like {example}")]
pub struct BadAddress {
    /// What was given.
    pub text: String,
    /// What an address looks like.
    pub example: &'static str,
}

/// A text together with its exact tokens, made by the engine's own tokenizer.
///
/// The kernel never tokenises: whatever enters it as text enters it like this.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Encoded {
    /// The text.
    pub text: Arc<str>,
    /// Its tokens.
    pub tokens: Arc<[Token]>,
}

impl Encoded {
    /// Pairs a text with its tokens.
    pub fn new(text: impl Into<Arc<str>>, tokens: impl Into<Arc<[Token]>>) -> Self {
        Self { text: text.into(), tokens: tokens.into() }
    }

    /// How many tokens it is.
    pub fn count(&self) -> TokenCount {
        TokenCount::try_from(self.tokens.len()).unwrap_or(TokenCount::MAX)
    }
}

/// Where the text of a page came from, as far as trust goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// Lucid's own instructions.
    System,
    /// The person at the keyboard.
    User,
    /// The model.
    Model,
    /// A tool's output: data, never instructions.
    Tool,
    /// A file's content: data, never instructions.
    File,
}

/// Whether a page may leave the machine without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secrecy {
    /// May be sent to a remote engine that the user named.
    #[default]
    Public,
    /// Asks first.
    Private,
}

/// What is known of a page's content beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Label {
    /// Whose words these are.
    pub trust: Trust,
    /// Whether they may leave the machine.
    pub secrecy: Secrecy,
}

impl Label {
    /// A public label with this trust.
    pub const fn public(trust: Trust) -> Self {
        Self { trust, secrecy: Secrecy::Public }
    }
}

/// A range of a file. Lines count from 1 and include both ends; bytes count from 0,
/// the end excluded, in the file as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FileRange {
    /// Absolute path.
    pub path: Arc<str>,
    /// First and last line.
    pub lines: (u32, u32),
    /// Byte range.
    pub bytes: (u64, u64),
}

impl FileRange {
    /// Whether it is a part of a file on the disk; a text that came with an input is not.
    pub fn is_on_disk(&self) -> bool {
        self.path.starts_with(['/', '\\']) || self.path.get(1..3) == Some(":\\")
    }
}

/// Where a page came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum Provenance {
    /// Lucid itself.
    System,
    /// The user's input.
    User,
    /// The model's output.
    Model,
    /// A tool's result.
    Tool {
        /// The tool's name.
        tool: String,
    },
    /// A part of a file.
    File(FileRange),
}

/// A page as it arrives from outside the kernel, not yet resident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourcePage {
    /// Its address, as it stands in its content: one of those that the kernel gave out with
    /// [`Effect::PageIn`], or, for what comes with an input, the next of the process. Of a page
    /// that comes back, its own.
    pub id: PageId,
    /// The exact text that will stand in the window, address and place included.
    pub content: Encoded,
    /// Where it came from.
    pub provenance: Provenance,
    /// Trust and secrecy.
    pub label: Label,
    /// The raw text alone, without the heading line that the window shows.
    pub text: Arc<str>,
    /// How well it matches, higher is better; 0 when it was named, not found.
    pub score: f32,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// The machine failed, or the other side did.
    Failed(Fault),
    /// It was cancelled before it ended.
    Cancelled,
}

/// What went wrong outside the kernel, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What to branch on.
    pub kind: FaultKind,
    /// What was tried, on what, and what to do.
    pub message: String,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The engine could not decode.
    Engine,
    /// The index could not be read or written.
    Disk,
    /// The tool ran and reported an error of its own.
    Tool,
    /// The tool was stopped: trap, time, memory or output limit.
    Limit,
    /// Policy refused.
    Denied,
    /// Nothing of that name.
    NotFound,
    /// The process was cut off between start and return: it is not known whether it ran.
    OutcomeUnknown,
}

/// A tool as the model may call it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name that the model writes, unique in a process.
    pub name: String,
    /// What it does, for the model and for people. May be empty.
    pub description: String,
    /// Other words that people use for it ("calculator"). May be empty.
    pub keywords: Vec<String>,
    /// JSON schema of the arguments: always of type `object`.
    pub parameters: Value,
    /// What it would be let do that was not granted yet: the user is asked before it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wants: Vec<Want>,
    /// How it is told to the model with a question that it fits, where there are too many tools for
    /// the instructions to name them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Encoded>,
}

/// A right that a tool asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Whose right it would be: that of all tools of a plugin.
    pub plugin: String,
    /// The right, as whoever runs the tool writes it.
    pub right: String,
    /// What it lets the tool do, for a person, to go on from "it may".
    pub words: String,
}

/// How long a yes holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// For this call.
    #[default]
    Once,
    /// For this session.
    Session,
    /// For all sessions from now on.
    Always,
}

/// A checked call: the tool exists and the arguments fit its schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The tool's name.
    pub tool: String,
    /// Its arguments, an object.
    pub arguments: Value,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Returned {
    /// The result as JSON.
    pub value: Value,
    /// The result as the model will read it, with its tokens; only its beginning when it is much
    /// too large for the window.
    pub content: Encoded,
    /// How many characters the whole of it has, when `content` is only its beginning.
    #[serde(default)]
    pub chars: Option<u64>,
    /// How long the call took, in microseconds.
    pub micros: u64,
}

/// Why decoding ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A stop token, or the end of the grammar.
    Stop,
    /// The token limit.
    Limit,
    /// It was cancelled; what came so far is kept.
    Cancelled,
}

/// What one decode cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Prompt tokens that were computed anew.
    pub prefilled: TokenCount,
    /// Prompt tokens whose keys and values were still there.
    pub reused: TokenCount,
    /// Tokens written.
    pub decoded: TokenCount,
    /// From the request to the first token, in milliseconds.
    pub first_token_ms: u64,
    /// From the request to the end, in milliseconds.
    pub total_ms: u64,
}

/// A finished decode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoded {
    /// Exactly the tokens that the engine sampled, without the stop token.
    pub tokens: Arc<[Token]>,
    /// Their text.
    pub text: Arc<str>,
    /// Why it ended.
    pub stop: StopReason,
    /// What it cost.
    pub usage: Usage,
}

/// How tokens are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 is greedy.
    pub temperature: f32,
    /// Nucleus; 1 keeps all.
    pub top_p: f32,
    /// The seed of the draw.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_p: 1.0, seed: 0 }
    }
}

/// What decoded text must obey, as an llguidance Lark grammar.
/// Source: <https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md>.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grammar {
    /// The Lark source.
    pub lark: String,
    /// The same for a server that knows no Lark.
    #[serde(default)]
    pub shape: Shape,
}

/// What a grammar allows, in the words of inference servers: it may allow more than the Lark
/// source, and less only in that several calls have to come one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Nothing but the source says it.
    #[default]
    Lark,
    /// Free text that is no call.
    Text,
    /// A call to one of these tools, or free text too when `or_text`.
    Calls {
        /// The tools.
        tools: Vec<ToolSpec>,
        /// Whether text may come instead.
        or_text: bool,
        /// Whether several calls may come at once.
        #[serde(default)]
        several: bool,
    },
    /// A JSON value of this schema.
    Value {
        /// The schema.
        schema: Value,
    },
}

/// A run of the layout that belongs to one page, or to the chat format when `page` is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Whose tokens these are.
    pub page: Option<PageId>,
    /// The tokens.
    pub tokens: Arc<[Token]>,
}

/// The engine, as the kernel must know it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// The engine's name, such as `mistralrs`.
    pub engine: String,
    /// The model's name, as the user knows it.
    pub model: String,
    /// The window in tokens: the model's own, or the user's smaller limit.
    pub n_ctx: TokenCount,
    /// The model's name for itself in its file, if any, such as `qwen2`.
    pub architecture: String,
    /// Prefill speed in tokens a second, if it was measured.
    pub prefill_tokens_per_s: Option<f32>,
    /// The host that prompts are sent to; none when they stay on this machine.
    #[serde(default)]
    pub host: Option<String>,
    /// Whether it can take pages out of the middle of what it has computed, without computing what
    /// stands behind them again.
    #[serde(default)]
    pub closes_gaps: bool,
    /// How many answers it decodes at once; at least 1.
    #[serde(default = "one_slot")]
    pub slots: u32,
}

const fn one_slot() -> u32 {
    1
}

/// Who speaks in a chat message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// What the kernel asks of the disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageRequest {
    /// The pages that match best.
    Search {
        /// Free text.
        query: String,
        /// At most this many pages of files.
        at_most: u32,
    },
    /// A page of the process that is not resident, word for word.
    Recall(Recall),
}

/// Where the text of a page that is not resident stands, and how it is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recall {
    /// Its address.
    pub page: PageId,
    /// The event that brought it, counted from 0.
    pub event: u64,
    /// Where it came from.
    pub provenance: Provenance,
    /// So many of its characters are left out at its beginning.
    pub from: u64,
}

/// A page that swap is to keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swapped {
    /// Its address.
    pub page: PageId,
    /// Where it came from.
    pub provenance: Provenance,
    /// The turn in which it was said.
    pub turn: u32,
    /// Which event brought it, counted from 0: its text stands there.
    pub event: u64,
}

/// Something that happened outside. The only input of the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// The machine is up: always the first event, and once only.
    Boot {
        /// The validated settings.
        config: Box<crate::kernel::Config>,
    },
    /// A process begins.
    Spawn {
        /// Instructions, tool list included: the boot page.
        system: Encoded,
        /// What it may call.
        tools: Vec<ToolSpec>,
        /// What is to be known in every turn, each with the next address: the first is that of the
        /// instructions.
        #[serde(default)]
        core: Vec<SourcePage>,
    },
    /// There are other tools than before: the instructions of all processes are these from now on. Only
    /// between turns.
    Tools {
        /// Instructions, tool list included: the boot page, with the next address.
        system: Encoded,
        /// What may be called.
        tools: Vec<ToolSpec>,
    },
    /// A process begins with all that another one knows, and goes its own way from here. They share
    /// their pages. Only between turns of the other one.
    Fork {
        /// The other one.
        pid: Pid,
    },
    /// The user said something to a process.
    Input {
        /// To whom.
        pid: Pid,
        /// What was said.
        content: Encoded,
        /// Pages that came with it (standard input, a file named on the command line).
        attached: Vec<SourcePage>,
        /// How to answer.
        options: TurnOptions,
    },
    /// Answers [`Effect::PageIn`].
    PagedIn {
        /// The effect.
        id: EffectId,
        /// The pages, best first, each with an address from `first` on.
        outcome: Outcome<Vec<SourcePage>>,
    },
    /// Answers [`Effect::Decode`].
    Decoded {
        /// The effect.
        id: EffectId,
        /// What was decoded.
        outcome: Outcome<Decoded>,
    },
    /// The machine is about to run the call of [`Effect::Call`]: journaled before it runs.
    Started {
        /// The effect.
        id: EffectId,
    },
    /// Answers [`Effect::Call`].
    Returned {
        /// The effect.
        id: EffectId,
        /// What came back.
        outcome: Outcome<Returned>,
    },
    /// Answers [`Effect::Ask`].
    Answered {
        /// The effect.
        id: EffectId,
        /// Whether the user allows it.
        allow: bool,
        /// How long a yes holds for the rights that were asked for.
        #[serde(default)]
        extent: Extent,
    },
    /// Answers [`Effect::Encode`].
    Encoded {
        /// The effect.
        id: EffectId,
        /// The text with its tokens.
        outcome: Outcome<Encoded>,
    },
    /// The user wants a page to stay in the window, or no longer to. A page that is not resident
    /// is brought back first. Only between turns.
    Pin {
        /// Whose.
        pid: Pid,
        /// The page.
        page: PageId,
        /// Whether it stays from now on.
        pinned: bool,
    },
    /// The user wants a page to leave the window. Only between turns.
    Evict {
        /// Whose.
        pid: Pid,
        /// The page.
        page: PageId,
    },
    /// The user wants something to be known in every turn, in this process and in later ones.
    /// Only between turns.
    Remember {
        /// Whose.
        pid: Pid,
        /// What, with the next address.
        page: SourcePage,
    },
    /// What was said earlier and left the window, in a line each. It takes the place of the digest
    /// before it. Only between turns.
    Digested {
        /// Whose.
        pid: Pid,
        /// The lines, with the next address.
        page: SourcePage,
    },
    /// The user wants something not to be known in every turn any more. Only between turns.
    Forget {
        /// Whose.
        pid: Pid,
        /// The page that says it.
        page: PageId,
    },
    /// The user wants the process's turn to end now.
    Cancel {
        /// Whose.
        pid: Pid,
    },
    /// A process ends for good. Only between its turns, and never the last one.
    Exit {
        /// Which.
        pid: Pid,
    },
    /// The machine came up again after an unclean end: nothing that was under way still is.
    Restarted,
}

/// How one turn is to be answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnOptions {
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The most tokens of one answer; the reserve of the window when none.
    pub max_tokens: Option<TokenCount>,
    /// Whether tools may be called.
    pub tools: bool,
    /// Whether pages are looked for.
    pub prefetch: bool,
    /// A JSON schema that the answer is held to.
    pub schema: Option<Value>,
}

impl Default for TurnOptions {
    fn default() -> Self {
        Self { sampling: Sampling::default(), max_tokens: None, tools: true, prefetch: true, schema: None }
    }
}

/// Something for the machine to do. Every effect with an `id` is answered by exactly
/// one event with the same id; the others are notices and need no answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// Find pages on the disk.
    PageIn {
        /// Names the answer.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What to find.
        request: PageRequest,
        /// The address of the first page that comes back; the others follow.
        first: PageId,
        /// All pages together may have at most this many tokens.
        budget: TokenCount,
        /// The same for those that the query names exactly, which no other page can stand in for: so
        /// many as there is room for, however long they take. At least `budget`.
        room: TokenCount,
    },
    /// Decode tokens after this layout.
    Decode {
        /// Names the answer.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// The whole window, in order.
        layout: Vec<Segment>,
        /// What the output must obey.
        grammar: Option<Grammar>,
        /// How tokens are drawn.
        sampling: Sampling,
        /// At most this many.
        max_tokens: TokenCount,
        /// Whether what is decoded may be shown while it comes.
        show: bool,
    },
    /// Run a tool.
    Call {
        /// Names the answer.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What to run.
        call: Call,
        /// The rights that the user granted in this session, beyond those that the tool has anyway.
        granted: Vec<String>,
    },
    /// Ask the user whether a call may run.
    Ask {
        /// Names the answer.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What would run.
        call: Call,
        /// Why the user is asked.
        reason: String,
        /// The rights that a yes grants.
        wants: Vec<Want>,
    },
    /// Turn a text of the kernel's own into tokens.
    Encode {
        /// Names the answer.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// The text.
        text: String,
    },
    /// Stop this effect early. It is still answered by its own event.
    Cancel {
        /// The effect.
        id: EffectId,
    },
    /// Pages left the window, or are too large for it: swap is to keep what they say, so that it
    /// can be found.
    Swap {
        /// Whose.
        pid: Pid,
        /// The pages.
        pages: Vec<Swapped>,
    },
    /// Something is to be known in every later process too.
    Remembered {
        /// Who was told.
        pid: Pid,
        /// The page that says it here.
        page: PageId,
        /// What.
        text: Arc<str>,
    },
    /// Something need not be known any more.
    Forgotten {
        /// Who was told.
        pid: Pid,
        /// The page that said it here.
        page: PageId,
        /// What.
        text: Arc<str>,
    },
    /// A process began.
    Spawned {
        /// Its pid.
        pid: Pid,
        /// Whose pages it shares.
        of: Option<Pid>,
    },
    /// A turn ended.
    Ended {
        /// Whose.
        pid: Pid,
        /// How.
        report: Box<TurnReport>,
    },
    /// The event was not taken: nothing changed.
    Refused {
        /// Why.
        error: crate::error::KernelError,
    },
}

/// A place in a file that an answer rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Absolute path.
    pub path: String,
    /// First and last line, counted from 1.
    pub lines: (u32, u32),
    /// The page's address.
    pub page: PageId,
}

/// A call that was made in a turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallReport {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
    /// Its result, or the error it reported.
    pub result: Result<Value, Fault>,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TurnEnd {
    /// The model answered.
    Answered,
    /// The answer was cut at its token limit.
    Cut,
    /// The user cancelled.
    Cancelled,
    /// It could not be done.
    Failed(Fault),
}

/// All of a turn that a person or a program wants to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TurnReport {
    /// How it ended.
    pub end: TurnEnd,
    /// What the model said.
    pub answer: String,
    /// What the answer rests on.
    pub citations: Vec<Citation>,
    /// What was called.
    pub calls: Vec<CallReport>,
    /// The sums over all decodes of the turn; `first_token_ms` is that of the first.
    pub usage: Usage,
    /// Tokens resident at the end.
    pub resident: TokenCount,
    /// The most that may be resident.
    pub budget: TokenCount,
    /// What moved between window and disk.
    pub memory: MemoryUse,
}

/// What a turn moved between the window and the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Prompt tokens that the kernel expects the engine to reuse, over all decodes.
    pub expected_reused: TokenCount,
    /// Prompt tokens that it expects the engine to compute.
    pub expected_prefilled: TokenCount,
    /// Found pages that were resident already.
    pub hits: u32,
    /// Found pages that had to be brought in.
    pub faults: u32,
    /// Pages that left.
    pub evicted: u32,
}
