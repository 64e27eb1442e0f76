//! All that the screen knows, as plain data: [`State::update`] is the only way it changes,
//! and it does no work itself but says what is to be done.

use std::collections::{BTreeMap, VecDeque};

use crossterm::event::{KeyEvent, MouseEvent};
use lucid_kernel::abi::{Call, EffectId, EngineInfo, PageId, Pid, SourcePage, TurnOptions, Usage, Want};
use lucid_kernel::port::{Mount, MountProgress};

use super::code::Code;
use super::editor::Editor;
use super::finder::Finder;
use super::highlight::Highlighted;
use super::history::History;
use super::host::{Answer, Opening, SessionRow, Wish};
use super::keymap::Keymap;
use super::mention;
use super::offers::Offer;
use super::pictures::Drawable;
use super::theme::Theme;
use super::think::Thinking;
use super::transcript::{Item, Scroll, Transcript};
use super::vi::Vi;
use super::{Setup, slash, view};
use crate::machine::api::{Command, Notice, PageRow};

/// How many inputs may wait for their turn.
pub const MAX_QUEUED: usize = 8;
/// A question to the user takes keys only after this long without one, so that what is being
/// typed does not answer it by accident.
pub const ASK_QUIET_MS: u64 = 600;
/// A question that nobody answers is a no after this long.
pub const ASK_MS: u64 = 10 * 60 * 1000;
/// For so long it is seen that a page came or left.
pub const MOVED_MS: u64 = 4_000;
/// Lines a turn of the mouse wheel moves.
pub const WHEEL_LINES: isize = 3;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// The terminal has this size now, in columns and rows.
    Resize(u16, u16),
    /// So many milliseconds have passed since the start.
    Tick(u64),
    /// The machine said something.
    Notice(Box<Notice>),
    /// What was wished came.
    Answer(Box<Answer>),
    /// A piece of code was read: its language, itself, its colours.
    Highlighted(String, String, Highlighted),
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
    /// Have something done outside of it.
    Wish(Wish),
    /// End the machine, if there is one, and start another.
    Open(Opening),
    /// Append to the history file.
    Remember(String),
    /// Put a text onto the terminal's clipboard.
    Copy(String),
    /// Let the terminal ring.
    Ring,
    /// Draw all anew.
    Redraw,
    /// Hand the terminal back to the shell until it calls again.
    Suspend,
    /// Leave.
    Leave,
}

impl Action {
    /// Tells the machine.
    pub fn send(command: Command) -> Self {
        Self::Send(Box::new(command))
    }
}

/// An input, and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The line as it was typed.
    pub line: String,
    /// Texts, each with a name.
    pub attached: Vec<(String, String)>,
}

/// The turn that is under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// When it was sent.
    pub since_ms: u64,
    /// What was said.
    pub said: Said,
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
    /// Pieces of text that came, each about a token.
    pub pieces: u32,
}

/// A call that waits for the user's yes or no.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// Whose conversation it is.
    pub pid: Pid,
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
    /// When it came.
    pub since_ms: u64,
}

/// What lies over the transcript.
#[derive(Debug, Clone, PartialEq)]
pub enum Overlay {
    /// Keys and commands; or one command.
    Help(Option<&'static str>),
    /// One page; none until it came.
    Page(PageId, Option<Box<(PageRow, SourcePage)>>),
    /// Text that was asked for: its title and itself.
    Text(String, String),
}

/// A pane beside the transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pane {
    /// What is in the window.
    Memory,
    /// The conversations.
    Processes,
}

/// The panes: which are shown, which has the keys, how wide they are, and what is chosen in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes {
    /// Whether memory is shown.
    pub memory: bool,
    /// Whether the conversations are.
    pub processes: bool,
    /// Which has the keys; none when the input has them.
    pub focus: Option<Pane>,
    /// Columns of the panes where they stand beside the transcript.
    pub columns: u16,
    /// The chosen row of each.
    pub chosen: (usize, usize),
    /// Whether the mouse holds their border.
    pub dragged: bool,
}

impl Default for Panes {
    fn default() -> Self {
        Self { memory: false, processes: false, focus: None, columns: 40, chosen: (0, 0), dragged: false }
    }
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

/// One conversation as the screen has it.
#[derive(Debug, Clone)]
pub struct Talk {
    /// What was said and done.
    pub transcript: Transcript,
    /// What it began with, if not with nothing.
    pub of: Option<Pid>,
    /// Inputs that wait for their turn.
    pub queue: VecDeque<Said>,
    /// The turn under way.
    pub turn: Option<Turn>,
    /// Whether the engine still runs to its next boundary after a cancel.
    pub stopping: bool,
    /// What is in memory.
    pub memory: Vec<PageRow>,
    /// Pages that came (true) or left just now, and when.
    pub moved: Vec<(PageId, bool, u64)>,
    /// What the last turn cost.
    pub cost: Option<Cost>,
    /// The turns: where the session's events stood before each, and what was asked.
    pub turns: Vec<(u64, String)>,
    /// Whether it ended a turn while another one was looked at.
    pub is_news: bool,
}

impl Default for Talk {
    /// One in which nothing was said.
    fn default() -> Self {
        let mut transcript = Transcript::default();
        transcript.push(Item::Welcome);
        Self {
            transcript,
            of: None,
            queue: VecDeque::new(),
            turn: None,
            stopping: false,
            memory: Vec::new(),
            moved: Vec::new(),
            cost: None,
            turns: Vec::new(),
            is_news: false,
        }
    }
}

impl Talk {
    /// After a cancel the screen no longer listens to the turn.
    pub fn is_deaf(&self) -> bool {
        self.turn.as_ref().is_none_or(|turn| turn.cancelled)
    }

    /// The last words of the user.
    pub fn asked(&self) -> &str {
        let said = self.transcript.items().iter().rev().find_map(|item| match item {
            Item::User(text, _) => Some(text.as_str()),
            _ => None,
        });
        said.unwrap_or("")
    }

    /// A turn begins.
    pub fn begin_turn(&mut self, now_ms: u64, said: Said) {
        self.turn = Some(Turn {
            since_ms: now_ms,
            said,
            taken: false,
            cancelled: false,
            prefill: None,
            calling: Vec::new(),
            told: None,
            pieces: 0,
        });
    }

    /// Says something secondary.
    pub fn note(&mut self, text: impl Into<String>) {
        self.transcript.push(Item::Note(text.into()));
    }
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
    /// The keys.
    pub keymap: Keymap,
    /// The keys of vi, where they are wanted.
    pub vi: Option<Vi>,
    /// The session's name, once it is known.
    pub session: Option<String>,
    /// The conversation that is looked at, once it is known.
    pub pid: Option<Pid>,
    /// The same.
    pub talk: Talk,
    /// The others.
    pub others: BTreeMap<Pid, Talk>,
    /// The input line.
    pub editor: Editor,
    /// Texts that come with the next input, each with a name.
    pub attached: Vec<(String, String)>,
    /// The inputs of before.
    pub history: History,
    /// The engine, once it is ready.
    pub engine: Option<EngineInfo>,
    /// What is being loaded, and how far it is, from 0 to 1.
    pub loading: Option<(String, Option<f32>)>,
    /// The exit code, once nothing can be asked any more.
    pub dead: Option<u8>,
    /// Calls that wait for a yes or no; the first is shown.
    pub questions: VecDeque<Question>,
    /// What lies over the transcript.
    pub overlay: Option<Overlay>,
    /// The first line of the overlay or the question that is shown.
    pub overlay_line: usize,
    /// The panes.
    pub panes: Panes,
    /// What is being looked for by a few letters.
    pub finder: Option<Finder>,
    /// Where the word begins for which it was put away.
    pub dismissed: Option<usize>,
    /// The sessions of before, as they were listed last.
    pub sessions: Vec<SessionRow>,
    /// Whether the list that comes is to be shown.
    pub wants_sessions: bool,
    /// Paths that can be named, as they were listed last.
    pub files: Vec<String>,
    /// The tools' names.
    pub tools: Vec<String>,
    /// A question that is being thought about.
    pub thinking: Option<Thinking>,
    /// A command of the user's that waits for a yes.
    pub command: Option<String>,
    /// The mounted folders.
    pub mounts: Vec<Mount>,
    /// The mount under way.
    pub mounting: Option<MountProgress>,
    /// What is offered or asked at the start.
    pub offers: VecDeque<Offer>,
    /// Whether mounting the folder is to be offered when it is known what is mounted.
    pub offers_mount: bool,
    /// Whether this is the first start, which leads through three steps.
    pub is_first_start: bool,
    /// Whether mounting the folder was declined.
    pub declined: bool,
    /// A short word on the last key; gone at the next.
    pub hint: Option<String>,
    /// Whether the next Ctrl-C leaves.
    pub leave_armed: bool,
    /// Code in its colours.
    pub code: Code,
    /// Pictures, by their files.
    pub pictures: BTreeMap<String, Drawable>,
}

impl State {
    /// The screen at its start.
    pub fn new(setup: &Setup, history: History) -> Self {
        Self {
            folder: setup.folder.clone(),
            home: setup.home.clone(),
            version: setup.version.clone(),
            theme: Theme { color: setup.color },
            size: (80, 24),
            now_ms: 0,
            last_key_ms: 0,
            keymap: setup.keymap.clone(),
            vi: setup.vi.then(Vi::default),
            session: None,
            pid: None,
            talk: Talk::default(),
            others: BTreeMap::new(),
            editor: Editor::default(),
            attached: Vec::new(),
            history,
            engine: None,
            loading: Some(("starting".into(), None)),
            dead: None,
            questions: VecDeque::new(),
            overlay: None,
            overlay_line: 0,
            panes: Panes::default(),
            finder: None,
            dismissed: None,
            sessions: Vec::new(),
            wants_sessions: false,
            files: Vec::new(),
            tools: Vec::new(),
            thinking: None,
            command: None,
            mounts: Vec::new(),
            mounting: None,
            offers: setup.offers.iter().cloned().collect(),
            offers_mount: setup.offer_mount,
            is_first_start: setup.offers.iter().any(|offer| matches!(offer, Offer::Model(_))),
            declined: false,
            hint: None,
            leave_armed: false,
            code: Code::default(),
            pictures: BTreeMap::new(),
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
            Msg::Paste(text) => self.on_paste(&text, &mut actions),
            Msg::Mouse(mouse) => self.on_mouse(mouse, &mut actions),
            Msg::Resize(width, height) => self.size = (width, height),
            Msg::Tick(now_ms) => self.on_tick(now_ms, &mut actions),
            Msg::Notice(notice) => self.on_notice(*notice, &mut actions),
            Msg::Answer(answer) => self.on_answer(*answer, &mut actions),
            Msg::Highlighted(language, code, colours) => {
                self.code.read(&language, &code, colours);
                self.forget_lines();
            }
            Msg::Gone => self.die("the machine has stopped; leave with Ctrl-D and start lucid again", 1),
            Msg::Trouble(message) => self.talk.transcript.push(Item::Error(message)),
        }
        actions
    }

    /// Whether something on the screen changes by itself as time goes by.
    pub fn is_moving(&self) -> bool {
        let is_busy = |talk: &Talk| talk.turn.is_some() || !talk.moved.is_empty();
        is_busy(&self.talk) || !self.questions.is_empty() || self.others.values().any(is_busy)
    }

    fn on_tick(&mut self, now_ms: u64, actions: &mut Vec<Action>) {
        self.now_ms = self.now_ms.max(now_ms);
        let now = self.now_ms;
        for talk in self.each_talk() {
            talk.moved.retain(|(_, _, since)| now < since + MOVED_MS);
        }
        while self.questions.front().is_some_and(|question| now >= question.since_ms + ASK_MS) {
            self.answer(None, actions);
            self.note("nobody answered in time, which is a no");
        }
    }

    /// Whether the shown question takes keys yet.
    pub fn is_question_open(&self) -> bool {
        !self.questions.is_empty() && self.now_ms >= self.last_key_ms + ASK_QUIET_MS
    }

    /// The conversation of this name, as far as it is known.
    pub fn talk_of(&mut self, pid: Pid) -> &mut Talk {
        if self.pid.is_none_or(|current| current == pid) {
            return &mut self.talk;
        }
        self.others.entry(pid).or_default()
    }

    /// All conversations.
    fn each_talk(&mut self) -> impl Iterator<Item = &mut Talk> {
        std::iter::once(&mut self.talk).chain(self.others.values_mut())
    }

    /// Something that items are drawn with came: all of them are drawn anew.
    pub(super) fn forget_lines(&mut self) {
        self.each_talk().for_each(|talk| talk.transcript.memo.get_mut().clear());
    }

    /// All conversations, by their names.
    pub fn talks(&self) -> Vec<(Pid, &Talk)> {
        let mut all: Vec<(Pid, &Talk)> = self.others.iter().map(|(pid, talk)| (*pid, talk)).collect();
        all.extend(self.pid.map(|pid| (pid, &self.talk)));
        all.sort_by_key(|(pid, _)| *pid);
        all
    }

    /// Tokens in the window and the most that may be there; none before anything is known.
    pub fn occupancy(&self) -> Option<(u32, u32)> {
        self.occupancy_of(&self.talk)
    }

    /// The same of one conversation.
    pub fn occupancy_of(&self, talk: &Talk) -> Option<(u32, u32)> {
        let budget = talk.cost.map(|cost| cost.budget).or(self.engine.as_ref().map(|engine| engine.n_ctx))?;
        let resident = match talk.cost {
            Some(cost) if talk.memory.is_empty() => cost.resident,
            _ => talk.memory.iter().filter(|row| row.resident).map(|row| row.tokens).sum(),
        };
        Some((resident, budget))
    }

    /// Says something secondary in the conversation that is looked at.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.talk.note(text);
    }

    /// Ends the session for good: what was typed and not taken comes back to the line.
    pub(super) fn die(&mut self, message: &str, code: u8) {
        if self.dead.is_none() {
            self.dead = Some(code);
            self.talk.transcript.settle();
            self.talk.transcript.push(Item::Error(message.to_owned()));
            self.take_back_queue();
            self.take_back_turn();
        }
        self.forget_machine();
    }

    /// Nothing that the machine did goes on.
    pub(super) fn forget_machine(&mut self) {
        for talk in self.each_talk() {
            talk.turn = None;
            talk.stopping = false;
        }
        self.loading = None;
        self.mounting = None;
        self.thinking = None;
        self.questions.clear();
    }

    /// Puts an input into the queue, and sends it if it may go.
    pub(super) fn submit(&mut self, line: String, actions: &mut Vec<Action>) {
        let attached = std::mem::take(&mut self.attached);
        self.talk.queue.push_back(Said { line, attached });
        self.offers_mount = false;
        self.offers.retain(|offer| !offer.is_mount());
        self.talk.transcript.scroll = Scroll::Follow;
        self.send_next(self.pid, actions);
    }

    /// Sends the next input that waits in a conversation, if the model is ready and no turn of it is
    /// under way.
    pub(super) fn send_next(&mut self, pid: Option<Pid>, actions: &mut Vec<Action>) {
        if self.engine.is_none() || self.dead.is_some() {
            return;
        }
        let now_ms = self.now_ms;
        let talk = self.talk_of(pid.or(self.pid).unwrap_or_default());
        if talk.turn.is_some() {
            return;
        }
        let Some(said) = talk.queue.pop_front() else { return };
        let text = slash::literal(&said.line).to_owned();
        let (files, mut pages) = mention::named(&text, &self.files);
        let talk = self.talk_of(pid.or(self.pid).unwrap_or_default());
        let names = said.attached.iter().map(|(name, _)| name.clone()).chain(files.iter().cloned());
        talk.transcript.push(Item::User(text.clone(), names.collect()));
        let attached = said.attached.clone();
        talk.begin_turn(now_ms, said);
        pages.retain(|page| !talk.memory.iter().any(|row| row.page == *page && row.resident));
        // What is named shall be there when it is read.
        actions.extend(pages.into_iter().map(|page| Action::send(Command::Pin { page, pinned: true })));
        let command = Command::Input { pid, text, attached, files, options: TurnOptions::default() };
        actions.push(Action::send(command));
    }

    /// Gives an input that was sent but not taken back to the line.
    pub(super) fn take_back_turn(&mut self) {
        if let Some(turn) = self.talk.turn.take().filter(|turn| !turn.taken) {
            self.talk.transcript.unsay();
            self.give_back(turn.said);
        }
    }

    fn give_back(&mut self, said: Said) {
        self.editor.give_back(&said.line);
        self.attached.splice(0..0, said.attached);
    }

    /// Gives the inputs that wait back to the line; says whether there were any.
    pub(super) fn take_back_queue(&mut self) -> bool {
        let any = !self.talk.queue.is_empty();
        while let Some(said) = self.talk.queue.pop_back() {
            self.give_back(said);
        }
        any
    }

    /// Moves the overlay, or the transcript, by so many lines.
    pub(super) fn scroll(&mut self, lines: isize) {
        if self.overlay.is_some() || !self.questions.is_empty() {
            let last = view::overlay_last_line(self);
            self.overlay_line = self.overlay_line.saturating_add_signed(lines).min(last);
        } else {
            self.talk.transcript.scroll = view::scrolled(self, lines);
        }
    }
}
