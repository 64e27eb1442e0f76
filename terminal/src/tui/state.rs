//! All that the screen knows, as plain data: [`State::update`] is the only way it changes,
//! and it does no work itself but says what is to be done.

use std::collections::{BTreeMap, VecDeque};

use crossterm::event::KeyEvent;
use lucid_kernel::abi::{Call, EffectId, EngineInfo, PageId, Pid, SourcePage, TurnOptions, Usage, Want};
use lucid_kernel::port::{Mount, MountProgress};

use super::editor::Editor;
use super::history::History;
use super::theme::Theme;
use super::transcript::{Item, Transcript};
use super::{Setup, slash, view};
use crate::machine::api::{Command, Notice, PageRow};

/// How many inputs may wait for their turn.
pub const MAX_QUEUED: usize = 8;
/// A question to the user takes keys only after this long without one, so that what is being
/// typed does not answer it by accident.
pub const ASK_QUIET_MS: u64 = 600;
/// Lines a turn of the mouse wheel moves.
pub const WHEEL_LINES: isize = 3;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse wheel was turned, by lines; negative is up.
    Wheel(isize),
    /// The terminal has this size now, in columns and rows.
    Resize(u16, u16),
    /// So many milliseconds have passed since the start.
    Tick(u64),
    /// The machine said something.
    Notice(Box<Notice>),
    /// The machine is gone: nothing can be sent any more.
    Gone,
    /// Something inside went wrong that the user should know.
    Trouble(String),
}

/// Something to be done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Tell the machine.
    Send(Box<Command>),
    /// Append to the history file.
    Remember(String),
    /// Draw all anew.
    Redraw,
    /// Hand the terminal back to the shell until it calls again.
    Suspend,
    /// Leave.
    Leave,
}

/// The turn that is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// When it was sent.
    pub since_ms: u64,
    /// The line as it was typed.
    pub line: String,
    /// Whether the machine has it safe.
    pub taken: bool,
    /// Whether the user ended it.
    pub cancelled: bool,
    /// Prompt tokens computed anew and reused, in the decode at hand.
    pub prefill: Option<(u32, u32)>,
    /// The tools that run.
    pub calling: Vec<(EffectId, String)>,
    /// What the last of them that said so says of how far it is.
    pub told: Option<(EffectId, String, Option<f64>)>,
}

/// A call that waits for the user's yes or no.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Its effect.
    pub id: EffectId,
    /// What would run.
    pub call: Call,
    /// Why the user is asked.
    pub reason: String,
    /// The rights that a yes grants.
    pub wants: Vec<Want>,
    /// What would be done, as the tool tells it.
    pub preview: Option<String>,
}

/// What lies over the transcript.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// Keys and commands.
    Help,
    /// What is in memory.
    Memory,
    /// One page; none until it came.
    Page(PageId, Option<Box<(PageRow, SourcePage)>>),
}

/// What the last turn cost, and how full it left the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Tokens and times.
    pub usage: Usage,
    /// Tokens resident at its end.
    pub resident: u32,
    /// The most that may be resident.
    pub budget: u32,
}

/// All that the screen knows.
#[derive(Debug, Clone)]
pub struct State {
    /// The folder it was started in.
    pub folder: String,
    /// The user's home folder, which is shown as `~`.
    pub home: Option<String>,
    /// Lucid's version.
    pub version: String,
    /// How things look.
    pub theme: Theme,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Milliseconds since the start.
    pub now_ms: u64,
    /// When the last key came.
    pub last_key_ms: u64,
    /// What was said and done.
    pub transcript: Transcript,
    /// The conversation that is spoken to, once it is known.
    pub pid: Option<Pid>,
    /// What was said and done in the others.
    pub others: BTreeMap<Pid, (Transcript, Option<Cost>)>,
    /// The input line.
    pub editor: Editor,
    /// The inputs of before.
    pub history: History,
    /// Inputs that wait for their turn.
    pub queue: VecDeque<String>,
    /// The engine, once it is ready.
    pub engine: Option<EngineInfo>,
    /// What is being loaded, and how far it is, from 0 to 1.
    pub loading: Option<(String, Option<f32>)>,
    /// The exit code, once nothing can be asked any more.
    pub dead: Option<u8>,
    /// The turn under way.
    pub turn: Option<Turn>,
    /// Whether the engine still runs to its next boundary after a cancel.
    pub stopping: bool,
    /// Calls that wait for a yes or no; the first is shown.
    pub questions: VecDeque<Question>,
    /// What lies over the transcript.
    pub overlay: Option<Overlay>,
    /// The first line of the overlay or the question that is shown.
    pub overlay_line: usize,
    /// What is in memory.
    pub memory: Vec<PageRow>,
    /// The mounted folders.
    pub mounts: Vec<Mount>,
    /// The mount under way.
    pub mounting: Option<MountProgress>,
    /// What the last turn cost.
    pub cost: Option<Cost>,
    /// Whether mounting the folder is being offered.
    pub offer: bool,
    /// Whether the offer was declined.
    pub declined: bool,
    /// A short word on the last key; gone at the next.
    pub hint: Option<String>,
    /// Whether the next Ctrl-C leaves.
    pub leave_armed: bool,
}

impl State {
    /// The screen at its start.
    pub fn new(setup: &Setup, history: History) -> Self {
        let mut transcript = Transcript::default();
        transcript.push(Item::Welcome);
        Self {
            folder: setup.folder.clone(),
            home: setup.home.clone(),
            version: setup.version.clone(),
            theme: Theme { color: setup.color },
            size: (80, 24),
            now_ms: 0,
            last_key_ms: 0,
            transcript,
            pid: None,
            others: BTreeMap::new(),
            editor: Editor::default(),
            history,
            queue: VecDeque::new(),
            engine: None,
            loading: Some(("starting".into(), None)),
            dead: None,
            turn: None,
            stopping: false,
            questions: VecDeque::new(),
            overlay: None,
            overlay_line: 0,
            memory: Vec::new(),
            mounts: Vec::new(),
            mounting: None,
            cost: None,
            offer: setup.offer_mount,
            declined: false,
            hint: None,
            leave_armed: false,
        }
    }

    /// The folder it was started in, as people write it.
    pub fn shown_folder(&self) -> String {
        let below = self.home.as_ref().and_then(|home| self.folder.strip_prefix(home.as_str()));
        match below.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(rest) => format!("~{rest}"),
            None => self.folder.clone(),
        }
    }

    /// Takes in what happened and says what is to be done.
    pub fn update(&mut self, msg: Msg) -> Vec<Action> {
        let mut actions = Vec::new();
        match msg {
            Msg::Key(key) => self.on_key(key, &mut actions),
            Msg::Paste(text) => self.on_paste(&text),
            Msg::Wheel(lines) => self.scroll(lines),
            Msg::Resize(width, height) => self.size = (width, height),
            Msg::Tick(now_ms) => self.now_ms = self.now_ms.max(now_ms),
            Msg::Notice(notice) => self.on_notice(*notice, &mut actions),
            Msg::Gone => self.die("the machine has stopped; leave with Ctrl-D and start lucid again", 1),
            Msg::Trouble(message) => self.transcript.push(Item::Error(message)),
        }
        actions
    }

    /// Whether something on the screen changes by itself as time goes by.
    pub fn is_moving(&self) -> bool {
        self.turn.is_some() || !self.questions.is_empty()
    }

    /// Whether the shown question takes keys yet.
    pub fn is_question_open(&self) -> bool {
        !self.questions.is_empty() && self.now_ms >= self.last_key_ms + ASK_QUIET_MS
    }

    /// Tokens in the window and the most that may be there; none before anything is known.
    pub fn occupancy(&self) -> Option<(u32, u32)> {
        let budget = self.cost.map(|cost| cost.budget).or(self.engine.as_ref().map(|engine| engine.n_ctx))?;
        let resident = match self.cost {
            Some(cost) if self.memory.is_empty() => cost.resident,
            _ => self.memory.iter().filter(|row| row.resident).map(|row| row.tokens).sum(),
        };
        Some((resident, budget))
    }

    /// Ends the session for good: what was typed and not taken comes back to the line.
    pub(super) fn die(&mut self, message: &str, code: u8) {
        if self.dead.is_none() {
            self.dead = Some(code);
            self.transcript.settle();
            self.transcript.push(Item::Error(message.to_owned()));
            self.take_back_queue();
            self.take_back_turn();
        }
        self.turn = None;
        self.loading = None;
        self.mounting = None;
        self.stopping = false;
        self.questions.clear();
    }

    /// Puts an input into the queue, and sends it if it may go.
    pub(super) fn submit(&mut self, line: String, actions: &mut Vec<Action>) {
        self.queue.push_back(line);
        self.offer = false;
        self.transcript.scroll = super::transcript::Scroll::Follow;
        self.send_next(actions);
    }

    /// Sends the next input that waits, if the model is ready and no turn is under way.
    pub(super) fn send_next(&mut self, actions: &mut Vec<Action>) {
        if self.engine.is_none() || self.dead.is_some() || self.turn.is_some() {
            return;
        }
        let Some(line) = self.queue.pop_front() else { return };
        let text = slash::literal(&line).to_owned();
        self.transcript.push(Item::User(text.clone()));
        self.turn = Some(Turn {
            since_ms: self.now_ms,
            line,
            taken: false,
            cancelled: false,
            prefill: None,
            calling: Vec::new(),
            told: None,
        });
        let command = Command::Input { text, attached: Vec::new(), options: TurnOptions::default() };
        actions.push(Action::Send(Box::new(command)));
    }

    /// Gives an input that was sent but not taken back to the line.
    pub(super) fn take_back_turn(&mut self) {
        if let Some(turn) = self.turn.take().filter(|turn| !turn.taken) {
            self.transcript.unsay();
            self.editor.give_back(&turn.line);
        }
    }

    /// Gives the inputs that wait back to the line; says whether there were any.
    pub(super) fn take_back_queue(&mut self) -> bool {
        let any = !self.queue.is_empty();
        while let Some(line) = self.queue.pop_back() {
            self.editor.give_back(&line);
        }
        any
    }

    /// Moves the overlay, or the transcript, by so many lines.
    pub(super) fn scroll(&mut self, lines: isize) {
        if self.overlay.is_some() || !self.questions.is_empty() {
            let last = view::overlay_last_line(self);
            self.overlay_line = self.overlay_line.saturating_add_signed(lines).min(last);
        } else {
            self.transcript.scroll = view::scrolled(self, lines);
        }
    }
}
