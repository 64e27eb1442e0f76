//! What the screen, a script or `lucid ask` sends to the machine, and what it hears back.

use lucid_kernel::abi::{
    Call, EffectId, EngineInfo, Extent, Fault, PageId, Pid, Provenance, Returned, SourcePage, TokenCount,
    ToolSpec, TurnOptions, TurnReport, Want,
};
use lucid_kernel::port::{Delta, Hit, Mount, MountProgress, MountReport};

/// What a front end asks of the machine.
#[derive(Debug, Clone)]
pub enum Command {
    /// Say something to a conversation. Answered by [`Notice::Ended`].
    Input {
        /// To which; the one spoken to when none.
        pid: Option<Pid>,
        /// What is said.
        text: String,
        /// Texts that come with it, each with a name such as `standard input`.
        attached: Vec<(String, String)>,
        /// Files whose text comes with it.
        files: Vec<String>,
        /// How to answer.
        options: TurnOptions,
    },
    /// End the turn of a conversation. The screen is free at once.
    Cancel {
        /// Which; the one spoken to when none.
        pid: Option<Pid>,
    },
    /// Answer a [`Notice::Ask`].
    Answer {
        /// The effect asked about.
        id: EffectId,
        /// Whether it may run.
        allow: bool,
        /// How long that holds for the rights that it asks for.
        extent: Extent,
    },
    /// Mount a folder or bring it up to date. Answered by [`Notice::Mounted`] or [`Notice::Failed`].
    Mount {
        /// The folder.
        path: String,
    },
    /// Take a folder out of the index.
    Unmount {
        /// The folder.
        path: String,
    },
    /// Show one page. Answered by [`Notice::Page`].
    ShowPage {
        /// Its address.
        page: PageId,
    },
    /// Let a page stay in the window, or no longer. Failure is told by [`Notice::Failed`].
    Pin {
        /// Its address.
        page: PageId,
        /// Whether it stays.
        pinned: bool,
    },
    /// Let a page leave the window.
    Evict {
        /// Its address.
        page: PageId,
    },
    /// Let something be known in every turn, here and in later sessions.
    Remember {
        /// What.
        text: String,
    },
    /// Let something not be known in every turn any more.
    Forget {
        /// The page that says it.
        page: PageId,
    },
    /// Begin a conversation that knows what the current one does, and go on with it. Answered by
    /// [`Notice::Foreground`] or [`Notice::Failed`].
    Fork,
    /// Begin a conversation that knows nothing yet, and go on with it. Answered likewise.
    Begin,
    /// Say something in a conversation of its own, which knows what the current one does where that is
    /// between turns, and go on with the current one. Answered by [`Notice::Foreground`] and, in the end,
    /// [`Notice::Ended`].
    Background {
        /// What is said.
        text: String,
        /// How to answer.
        options: TurnOptions,
    },
    /// End a conversation: its turn is cancelled, and nothing can be said to it any more. Answered by
    /// [`Notice::Conversations`] or [`Notice::Failed`].
    Kill {
        /// Which.
        pid: Pid,
    },
    /// Go on with another conversation. Answered likewise.
    Foreground {
        /// Which.
        pid: Pid,
    },
    /// List the conversations. Answered by [`Notice::Conversations`].
    Conversations,
    /// List the tools. Answered by [`Notice::ToolList`].
    Tools,
    /// Search the mounted folders. Answered by [`Notice::Found`] or [`Notice::Failed`].
    Search {
        /// What for.
        query: String,
        /// The most pages.
        at_most: usize,
    },
    /// End the machine after what is under way was cancelled.
    Quit,
}

/// What the machine tells a front end.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The model is being fetched or loaded: one line for a person.
    Loading {
        /// What is going on.
        what: String,
        /// How far, from 0 to 1, when known.
        part: Option<f32>,
    },
    /// The model is loaded and the process is there.
    Ready {
        /// The engine.
        engine: EngineInfo,
        /// The session's name.
        session: String,
        /// The conversation that is spoken to.
        pid: Pid,
        /// The names of the tools.
        tools: Vec<String>,
        /// How long loading took, in milliseconds.
        load_ms: u64,
    },
    /// Nothing can be asked: the model or the journal cannot be used.
    Dead {
        /// What is wrong and what to do.
        message: String,
        /// The exit code that fits.
        code: u8,
    },
    /// An input was taken and is safe in the journal.
    Taken {
        /// By which conversation.
        pid: Pid,
        /// Where the session's events stood before it.
        before: u64,
    },
    /// An input was refused; it is not lost, the front end still has it.
    Refused {
        /// By which conversation; none before there is any.
        pid: Option<Pid>,
        /// Why.
        message: String,
        /// The exit code that fits.
        code: u8,
    },
    /// Pages were found for the input.
    Paged {
        /// Of which conversation.
        pid: Pid,
        /// Path, first and last line of each.
        pages: Vec<(String, (u32, u32))>,
    },
    /// The model is at work. Text comes only from decodes that may be shown.
    Delta {
        /// Of which conversation.
        pid: Pid,
        /// What came.
        delta: Delta,
    },
    /// What was shown since the last decode began was not an answer (a call, say): take it back.
    Retract {
        /// In which conversation.
        pid: Pid,
    },
    /// A tool runs.
    Calling {
        /// For which conversation.
        pid: Pid,
        /// Its effect.
        id: EffectId,
        /// What runs.
        call: Call,
        /// The rights that it runs with beyond those granted for ever.
        granted: Vec<String>,
    },
    /// A tool says how far it is.
    Progress {
        /// For which conversation.
        pid: Pid,
        /// Its effect.
        id: EffectId,
        /// What goes on.
        message: String,
        /// How far it is, from 0 to 1, when it knows.
        done: Option<f64>,
    },
    /// A tool returned.
    Returned {
        /// For which conversation.
        pid: Pid,
        /// Its effect.
        id: EffectId,
        /// What came back.
        result: Result<Returned, Fault>,
    },
    /// The user is asked whether a call may run.
    Ask {
        /// For which conversation.
        pid: Pid,
        /// The effect.
        id: EffectId,
        /// What would run.
        call: Call,
        /// Why the user is asked.
        reason: String,
        /// The rights that a yes grants.
        wants: Vec<Want>,
        /// What would be done, as the tool tells it.
        preview: Option<String>,
    },
    /// The turn ended.
    Ended {
        /// Whose.
        pid: Pid,
        /// All about it.
        report: Box<TurnReport>,
    },
    /// A cancelled decode is still running to its next boundary (`true`), or has ended (`false`).
    Stopping {
        /// Of which conversation.
        pid: Pid,
        /// Whether it still runs.
        stopping: bool,
    },
    /// Another conversation is spoken to from now on.
    Foreground {
        /// Which.
        pid: Pid,
        /// How it began, if it began just now.
        begun: Option<Beginning>,
    },
    /// A conversation began in the background, with these words.
    Background {
        /// Which.
        pid: Pid,
        /// What was said to it.
        text: String,
    },
    /// A conversation ended.
    Killed {
        /// Which.
        pid: Pid,
    },
    /// What was said in a conversation before this session went on.
    Past {
        /// In which.
        pid: Pid,
        /// The turns, the oldest first.
        turns: Vec<PastTurn>,
    },
    /// Answers [`Command::Conversations`].
    Conversations(Vec<ConversationRow>),
    /// Answers [`Command::Tools`].
    ToolList(Vec<ToolSpec>),
    /// A tool came, changed or went.
    Tools {
        /// Which, for a person.
        change: String,
        /// The names of all that there are now.
        tools: Vec<String>,
    },
    /// Answers [`Command::Search`].
    Found {
        /// What was searched for.
        query: String,
        /// The pages, best first.
        hits: Vec<Hit>,
    },
    /// What is in memory now; sent after every change.
    Memory {
        /// Of which conversation.
        pid: Pid,
        /// The pages.
        rows: Vec<PageRow>,
    },
    /// Answers [`Command::ShowPage`]: the page and its state, or none.
    Page(PageId, Option<Box<(PageRow, SourcePage)>>),
    /// Something is known in every turn from now on.
    Remembered {
        /// The page that says it.
        page: PageId,
        /// What.
        text: String,
    },
    /// Something is not known in every turn any more.
    Forgotten {
        /// The page that said it.
        page: PageId,
        /// What.
        text: String,
    },
    /// The mounts now; sent at start and after every change.
    Mounts(Vec<Mount>),
    /// How far a mount is.
    MountProgress(MountProgress),
    /// A mount is done.
    Mounted(Box<MountReport>),
    /// Something a command asked for failed; the session goes on.
    Failed {
        /// What was tried, on what, and what to do.
        message: String,
    },
}

/// How a conversation began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// Knowing all that this one does.
    ForkOf(Pid),
    /// Knowing nothing.
    Fresh,
}

/// A turn of before.
#[derive(Debug, Clone, PartialEq)]
pub struct PastTurn {
    /// What was said.
    pub asked: String,
    /// Where the session's events stood before it.
    pub before: u64,
    /// All about it; none when it was cut off.
    pub report: Option<Box<TurnReport>>,
}

/// One line of what is in memory.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct PageRow {
    /// Its address.
    pub page: PageId,
    /// `boot`, `pinned`, `file`, `turn`, `call`, `result` or `digest`.
    pub kind: String,
    /// Its size.
    pub tokens: TokenCount,
    /// Whether it is in the window.
    pub resident: bool,
    /// Whether it stays there until it is unpinned.
    pub pinned: bool,
    /// The turn in which it was last needed.
    pub turn: u32,
    /// Where it came from.
    pub provenance: Provenance,
    /// Its first words, one line, at most 80 characters.
    pub preview: String,
    /// The other conversations of the session that have it too.
    pub shared_with: Vec<Pid>,
}

/// One line of what is being talked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Its name.
    pub pid: Pid,
    /// Whether it is spoken to.
    pub current: bool,
    /// What it began with, if not with nothing.
    pub of: Option<Pid>,
    /// How many turns it had.
    pub turns: u32,
    /// How many pages it knows, and how many of them another one knows too.
    pub pages: (usize, usize),
    /// The first words of what was asked last, if they are known.
    pub asked: String,
}
