//! The loop: one message at a time, each event journaled before the kernel takes it.

mod conversations;
mod instructions;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select, unbounded};
use lucid_disk::RamDisk;
use lucid_kernel::abi::{
    Effect, EffectId, Encoded, Event, Extent, Fault, FaultKind, Outcome, PageId, Pid, TurnEnd, TurnOptions,
    Want,
};
use lucid_kernel::chat::ChatFormat;
use lucid_kernel::error::KernelError;
use lucid_kernel::port::{CancelFlag, DecodeRequest, Disk, Engine, MountOptions};
use lucid_kernel::{Config, Kernel};

use super::api::{Command, Notice, PastTurn};
use super::attach;
use super::background::{Background, Work};
use super::digest::Digest;
use super::pages::{self, Places, Room, attached_page, encode};
use super::swap::{self, SwapSpace};
use super::undo::Undo;
use super::work::{Job, Workers};
use super::{Loaded, Session, Setup, Tools};
use crate::exit::{self, Failure};

/// How long what is under way may take to stop when the machine ends.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// The most inputs that wait for the model to load.
const MAX_WAITING_INPUTS: usize = 16;

/// What comes in from the machine's own threads.
pub enum Msg {
    /// An effect was answered.
    Event(Event),
    /// Loading goes on.
    Loading(String, Option<f32>),
    /// Loading is over.
    Loaded(Box<Result<Loaded, Failure>>),
    /// A mount or unmount is over: say what is mounted now.
    MountsChanged,
    /// Lines of pages that left the window of a conversation.
    Digested(Vec<(Pid, PageId, String)>),
    /// Tools came, changed or went: what, a line each.
    ToolsChanged(Vec<String>),
    /// These files are not as they were indexed, and whether they are gone.
    FilesChanged(Vec<(String, bool)>),
}

/// Runs until [`Command::Quit`], or until nobody holds the other ends.
pub fn run(mut setup: Setup, commands: &Receiver<Command>, notices: Sender<Notice>) {
    let (to_self, from_threads) = unbounded();
    let cancel_load = CancelFlag::new();
    spawn_loader(&mut setup, &to_self, &cancel_load);
    let began = Instant::now();
    let mut machine = Machine {
        setup,
        notices,
        to_self,
        began,
        live: None,
        waiting: VecDeque::new(),
        under_way: HashMap::new(),
        attached: None,
        mounting: CancelFlag::new(),
        restarting: false,
        dead: false,
        meddling: false,
        addressed: None,
        behind: None,
        ending: BTreeSet::new(),
    };
    machine.tell_mounts();
    loop {
        select! {
            recv(commands) -> command => match command {
                Ok(Command::Quit) | Err(_) => break,
                Ok(command) => machine.command(command),
            },
            recv(from_threads) -> message => match message {
                Ok(message) => machine.message(message),
                Err(_) => break,
            },
        }
    }
    cancel_load.cancel();
    machine.stop(&from_threads);
}

fn spawn_loader(setup: &mut Setup, to: &Sender<Msg>, cancel: &CancelFlag) {
    let loader = std::mem::replace(&mut setup.loader, Box::new(|_, _| Err(Failure::task("loaded twice"))));
    let (to, cancel) = (to.clone(), cancel.clone());
    std::thread::spawn(move || {
        let progress = to.clone();
        let mut on_progress = |what: String, part: Option<f32>| drop(progress.send(Msg::Loading(what, part)));
        let done =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| loader(&mut on_progress, &cancel)));
        let done = done.unwrap_or_else(|_| {
            Err(Failure::config(
                "the model could not be loaded: the engine stopped by a mistake in the program",
            ))
        });
        drop(to.send(Msg::Loaded(Box::new(done))));
    });
}

struct Machine {
    setup: Setup,
    notices: Sender<Notice>,
    to_self: Sender<Msg>,
    began: Instant,
    live: Option<Live>,
    waiting: VecDeque<Command>,
    /// What is under way: for which conversation, and what stops it.
    under_way: HashMap<EffectId, (Pid, CancelFlag)>,
    /// Texts that came with inputs and are too large for the window.
    attached: Option<Arc<RamDisk>>,
    mounting: CancelFlag,
    /// While a turn that a dead process left open is brought to its end.
    restarting: bool,
    dead: bool,
    /// While the memory itself is changed, of which the user is told otherwise than of an input.
    meddling: bool,
    /// To whom the event at hand was said.
    addressed: Option<Pid>,
    /// What is said to the conversation that begins next, which is not the one that is spoken to.
    behind: Option<String>,
    /// Conversations that end when their turn has.
    ending: BTreeSet<Pid>,
}

/// What there is once the model is loaded.
struct Live {
    kernel: Kernel,
    engine: Arc<dyn Engine>,
    workers: Workers,
    background: Background,
    swap: SwapSpace,
    digests: HashMap<Pid, Digest>,
    /// The rights that each question asks for.
    asked: HashMap<EffectId, Vec<Want>>,
    tools: Arc<dyn Tools>,
    /// Whether there may be other tools than the processes know.
    are_tools_due: bool,
    /// The first words of pages, of which the kernel knows no more once they left.
    previews: HashMap<PageId, String>,
    session: String,
    seq: u64,
    pid: Pid,
}

impl Live {
    /// Whether a page is being brought back to be pinned.
    fn is_pinning(&self, pid: Option<Pid>) -> bool {
        let process = self.kernel.processes().get(&pid.unwrap_or(self.pid));
        process.is_some_and(|process| process.is_pinning())
    }
}

/// A session that begins or goes on.
struct Begun {
    kernel: Kernel,
    swap: SwapSpace,
    session: String,
    seq: u64,
    pid: Pid,
    past: BTreeMap<Pid, Vec<PastTurn>>,
}

impl Machine {
    fn command(&mut self, command: Command) {
        match command {
            Command::Input { pid, .. } if self.dead => {
                self.refuse(pid, "nothing can be asked: see above", exit::CONFIG)
            }
            Command::Input { pid, .. } if self.live.is_none() => {
                if self.waiting.len() >= MAX_WAITING_INPUTS {
                    return self.refuse(pid, "too many inputs wait for the model", exit::FAILED);
                }
                self.waiting.push_back(command);
            }
            // A page is being brought back to be pinned: the input waits for it.
            Command::Input { pid, .. } if self.live.as_ref().is_some_and(|live| live.is_pinning(pid)) => {
                self.waiting.push_back(command);
            }
            Command::Input { pid, text, attached, files, options } => {
                self.input(pid, &text, attached, &files, options);
            }
            Command::Cancel { pid } => {
                self.waiting.clear();
                self.mounting.cancel();
                if let Some(pid) = pid.or(self.live.as_ref().map(|live| live.pid)) {
                    self.apply(Event::Cancel { pid });
                }
            }
            Command::Answer { id, allow, extent } => {
                self.keep_grant(id, allow, extent);
                self.apply(Event::Answered { id, allow, extent });
            }
            Command::Mount { path } => self.mount(path),
            Command::Unmount { path } => self.unmount(path),
            Command::ShowPage { page } => {
                let found = self.live.as_ref().and_then(|live| {
                    let process = live.kernel.processes().get(&live.pid)?;
                    let known = process.table().get(page)?;
                    let (text, content) = match process.table().content(page) {
                        Some(content) => (Arc::clone(&content.text), content.shown.clone()),
                        // What is not resident stands in the journal.
                        None => {
                            let text = live.swap.text(page, known.born).ok()?;
                            (Arc::clone(&text), Encoded::new(text, []))
                        }
                    };
                    let source = lucid_kernel::abi::SourcePage {
                        id: known.id,
                        content,
                        provenance: known.provenance.clone(),
                        label: known.label,
                        score: 0.0,
                        text,
                    };
                    let preview = pages::preview(&source.text);
                    let row = pages::row(&live.kernel, process, known, preview);
                    Some(Box::new((row, source)))
                });
                self.tell(Notice::Page(page, found));
            }
            Command::Pin { page, pinned } => self.meddle(|pid, _| Ok(Event::Pin { pid, page, pinned })),
            Command::Evict { page } => self.meddle(|pid, _| Ok(Event::Evict { pid, page })),
            Command::Forget { page } => self.meddle(|pid, _| Ok(Event::Forget { pid, page })),
            Command::Remember { text } => self.meddle(|pid, live| {
                let id = live.kernel.next_page();
                Ok(Event::Remember { pid, page: pages::core_page(live.engine.as_ref(), id, text.trim())? })
            }),
            Command::Fork => self.meddle(|pid, _| Ok(Event::Fork { pid })),
            Command::Begin => self.begin_another(),
            Command::Background { text, options } => self.background(text, options),
            Command::Kill { pid } => self.kill(pid),
            Command::Foreground { pid } => self.foreground(pid),
            Command::Search { query, at_most } => self.search(query, at_most),
            Command::Tools => {
                let specs = self.live.as_ref().map(|live| live.tools.specs());
                let specs = specs.filter(|_| self.setup.tools).unwrap_or_default();
                self.tell(Notice::ToolList(specs));
            }
            Command::Conversations => self.tell_conversations(),
            Command::Quit => {}
        }
    }

    /// Keeps what the user granted for ever. It is journaled as granted for the session too.
    fn keep_grant(&mut self, id: EffectId, allow: bool, extent: Extent) {
        let Some(live) = &mut self.live else { return };
        let wants = live.asked.remove(&id).unwrap_or_default();
        if allow
            && extent == Extent::Always
            && !wants.is_empty()
            && let Err(failure) = live.tools.grant(&wants)
        {
            self.tell_failed(&failure.message);
        }
    }

    fn message(&mut self, message: Msg) {
        match message {
            Msg::Event(event) => {
                let came_back = matches!(event, Event::PagedIn { .. });
                self.apply(event);
                if came_back && !self.live.as_ref().is_some_and(|live| live.is_pinning(None)) {
                    self.take_waiting();
                }
            }
            Msg::Loading(what, part) => self.tell(Notice::Loading { what, part }),
            Msg::Loaded(loaded) => match loaded.and_then(|loaded| self.boot(loaded)) {
                Ok(()) => self.take_waiting(),
                Err(failure) => self.die(&failure),
            },
            Msg::MountsChanged => {
                self.tell_mounts();
                self.wake_background();
            }
            Msg::Digested(lines) => {
                if let Some(live) = &mut self.live {
                    for (pid, page, line) in lines {
                        live.digests.entry(pid).or_default().add(page, line);
                    }
                }
                self.show_digest();
            }
            Msg::ToolsChanged(changes) => self.on_tools_changed(changes),
            Msg::FilesChanged(files) => self.on_changed(&files),
        }
    }

    /// Lets what can wait be done, where somebody may come back to it.
    fn wake_background(&self) {
        if let Some(live) = self.live.as_ref().filter(|_| self.setup.interactive) {
            live.background.wake();
        }
    }

    /// Puts lines of what left the window into it, between turns.
    fn show_digest(&mut self) {
        let Some(live) = &mut self.live else { return };
        let Some(process) = live.kernel.processes().get(&live.pid).filter(|process| process.is_idle()) else {
            return;
        };
        let Some(digest) = live.digests.get_mut(&process.pid()) else { return };
        if !digest.is_due() {
            return;
        }
        let room = live.kernel.config().map_or(0, Config::digest_tokens);
        // Without it nothing is lost: the pages are found as before.
        if let Ok(Some(page)) = digest.page(live.engine.as_ref(), live.kernel.next_page(), room) {
            let pid = live.pid;
            self.apply(Event::Digested { pid, page });
        }
    }

    fn take_waiting(&mut self) {
        for command in std::mem::take(&mut self.waiting) {
            self.command(command);
        }
    }

    fn boot(&mut self, loaded: Loaded) -> Result<(), Failure> {
        let Loaded { engine, tools, writer, left_out } = loaded;
        let begun = match self.setup.session.clone() {
            Session::New(name) => self.begin(&name, &engine, &tools)?,
            Session::Continue { name, conversation, .. } => self.resume(&name, conversation, &engine)?,
        };
        let Begun { kernel, swap, session, seq, pid, past } = begun;
        let at_once = !self.setup.interactive;
        let undo = self.setup.undo.as_ref().map(|dir| Undo::begin(dir, &session));
        let workers = Workers::start(&engine, &tools, &self.to_self, &self.notices, &swap, at_once, undo);
        let background = Background::start(Work {
            disk: self.setup.disk.clone(),
            swap: swap.clone(),
            writer,
            to: self.to_self.clone(),
            notices: self.notices.clone(),
        });
        let info = engine.info();
        let previews = HashMap::new();
        self.live = Some(Live {
            kernel,
            engine,
            workers,
            background,
            swap,
            digests: HashMap::new(),
            asked: HashMap::new(),
            tools,
            // A session that goes on may have been held with other ones.
            are_tools_due: true,
            previews,
            session: session.clone(),
            seq,
            pid,
        });
        if self.live.as_ref().is_some_and(|live| live.kernel.processes().values().any(|p| !p.is_idle())) {
            self.restarting = true;
            self.apply(Event::Restarted);
            self.restarting = false;
        }
        if matches!(self.setup.session, Session::Continue { fork: true, .. }) {
            self.apply(Event::Fork { pid });
        }
        let load_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let pid = self.live.as_ref().map_or(pid, |live| live.pid);
        let tools = self.tool_names();
        self.tell(Notice::Ready { engine: info, session, pid, tools, load_ms });
        self.tell_past(past);
        self.show_tools();
        self.watch_tools();
        // What was said while loading is gone from a screen by now.
        for what in left_out.iter().filter(|_| self.setup.interactive) {
            self.tell_failed(what);
        }
        self.wake_background();
        self.tell_memory(None);
        Ok(())
    }

    fn begin(&self, name: &str, engine: &Arc<dyn Engine>, tools: &Arc<dyn Tools>) -> Result<Begun, Failure> {
        let unusable = |what: &str, reason: String| Failure::config(format!("{what}: {reason}"));
        let format = ChatFormat::probe(&engine.chat_template());
        let chat = format
            .framing
            .encode(|text| engine.tokenize(text, true).map(|tokens| Encoded::new(text, tokens)))
            .map_err(|error| unusable("the model's chat format cannot be used", error.to_string()))?;
        let mut config = Config::new(engine.info(), chat);
        config.has_disk = self.setup.has_files;
        config.policy.rules.clone_from(&self.setup.rules);
        config.eviction = self.setup.eviction.unwrap_or(config.eviction);
        let (system, specs) = self.instructions(engine.as_ref(), tools.as_ref(), &config)?;
        // The first address is that of the instructions.
        let core = self.core_pages(engine.as_ref(), 2)?;
        let journal = &self.setup.journal;
        journal
            .begin(name, &self.setup.folder, self.setup.now_ms)
            .map_err(|error| unusable("the session cannot be recorded", error.to_string()))?;
        let mut kernel = Kernel::default();
        let mut pid = Pid(0);
        let events = [Event::Boot { config: Box::new(config) }, Event::Spawn { system, tools: specs, core }];
        for (seq, event) in events.into_iter().enumerate() {
            journal
                .append(name, seq as u64, &event)
                .map_err(|error| unusable("the session cannot be recorded", error.to_string()))?;
            for effect in kernel.step(event) {
                match effect {
                    Effect::Spawned { pid: spawned, .. } => pid = spawned,
                    Effect::Refused { error } => return Err(Failure::config(error.to_string())),
                    _ => {}
                }
            }
        }
        let embedder = self.setup.embedder.as_ref();
        let swap = SwapSpace::begin(self.setup.swap.as_deref(), name, journal, embedder)
            .map_err(|error| unusable("what leaves the window cannot be kept", error.to_string()))?;
        Ok(Begun { kernel, swap, session: name.to_owned(), seq: 2, pid, past: BTreeMap::new() })
    }

    fn resume(
        &self,
        name: &str,
        conversation: Option<Pid>,
        engine: &Arc<dyn Engine>,
    ) -> Result<Begun, Failure> {
        let events = self.setup.journal.load(name).map_err(|error| Failure::config(error.to_string()))?;
        let told = swap::replay(&events);
        let Some(config) = told.kernel.config().filter(|_| !told.kernel.processes().is_empty()) else {
            return Err(Failure::config(format!("session {name} has no conversation; start a new one")));
        };
        let pid = pages::conversation(&told.kernel, name, conversation).map_err(Failure::usage)?;
        let (then, now) = (&config.engine, engine.info());
        if then.model != now.model || then.n_ctx != now.n_ctx {
            return Err(Failure::usage(format!(
                "session {name} was held with {} and a window of {} tokens, not with {} and {}; \
                 continue it with --model {} --window {}",
                then.model, then.n_ctx, now.model, now.n_ctx, then.model, then.n_ctx
            )));
        }
        let journal = &self.setup.journal;
        let (dir, embedder) = (self.setup.swap.as_deref(), self.setup.embedder.as_ref());
        let (swap, was_damaged) =
            SwapSpace::resume(dir, name, journal, &told, embedder).map_err(|reason| {
                Failure::config(format!("what left the window of session {name} cannot be kept: {reason}"))
            })?;
        if was_damaged {
            let message =
                "the index of what was said earlier was damaged; it was made anew from the journal".into();
            self.tell(Notice::Failed { message });
        }
        let (kernel, past) = (told.kernel, told.past.0);
        Ok(Begun { kernel, swap, session: name.to_owned(), seq: events.len() as u64, pid, past })
    }

    fn input(
        &mut self,
        pid: Option<Pid>,
        text: &str,
        mut attached: Vec<(String, String)>,
        files: &[String],
        options: TurnOptions,
    ) {
        let Some(live) = &self.live else { return };
        let (pid, engine) = (pid.unwrap_or(live.pid), Arc::clone(&live.engine));
        for file in files {
            match attach::read(file, &self.setup.folder) {
                Ok(named) => attached.push(named),
                Err(reason) => return self.refuse(Some(pid), &reason, exit::USAGE),
            }
        }
        let config_budget = live.kernel.config().map_or(0, Config::budget_tokens);
        let mut next = live.kernel.next_page();
        let prepared = (|| {
            let content = encode(engine.as_ref(), text)?;
            let mut pages = Vec::new();
            for (name, text) in attached.iter().filter(|(_, text)| !text.trim().is_empty()) {
                // A text that would fill the window is cut and searched like a file.
                let page = if text.len() / 2 > config_budget as usize * 4 {
                    None
                } else {
                    Some(attached_page(engine.as_ref(), next, name, text)?)
                };
                match page {
                    Some(page) if page.content.count() <= config_budget / 2 => {
                        pages.push(page);
                        next.0 += 1;
                    }
                    _ => self.attached.get_or_insert_with(Default::default).add_text(name, text),
                }
            }
            Ok::<_, lucid_kernel::port::EngineError>((content, pages))
        })();
        match prepared {
            Ok((content, attached)) => self.apply(Event::Input { pid, content, attached, options }),
            Err(error) => self.refuse(Some(pid), &error.to_string(), exit::FAILED),
        }
    }

    /// Journals an event, gives it to the kernel, and starts what the kernel wants done.
    /// Events that are answered on the spot follow at once.
    fn apply(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(live) = &mut self.live else { return };
            if let Err(error) = self.setup.journal.append(&live.session, live.seq, &event) {
                let code = if matches!(error, lucid_kernel::port::JournalError::Full { .. }) {
                    exit::FAILED
                } else {
                    exit::CONFIG
                };
                return self.die(&Failure::new(code, format!("the session cannot be recorded: {error}")));
            }
            let before = live.seq;
            live.seq += 1;
            let whose = self.whose(&event);
            self.addressed = whose;
            self.tell_event(&event, whose);
            let Some(live) = &mut self.live else { return };
            let decoded = matches!(event, Event::Decoded { .. });
            let input = matches!(event, Event::Input { .. });
            self.meddling = matches!(
                event,
                Event::Pin { .. }
                    | Event::Evict { .. }
                    | Event::Remember { .. }
                    | Event::Forget { .. }
                    | Event::Fork { .. }
                    | Event::Spawn { .. }
                    | Event::Exit { .. }
                    | Event::Tools { .. }
            );
            let effects = live.kernel.step(event);
            if decoded && !effects.iter().any(|effect| matches!(effect, Effect::Ended { .. })) {
                whose.into_iter().for_each(|pid| self.tell(Notice::Retract { pid }));
            }
            if input && !effects.iter().any(|effect| matches!(effect, Effect::Refused { .. })) {
                whose.into_iter().for_each(|pid| self.tell(Notice::Taken { pid, before }));
            }
            let changed = !effects.is_empty() || self.meddling;
            for effect in effects {
                events.extend(self.carry_out(effect));
            }
            if changed {
                self.tell_memory(whose);
            }
        }
        if let Some(live) = self.live.as_ref().filter(|_| self.setup.interactive) {
            live.background.set_busy(live.kernel.processes().values().any(|process| !process.is_idle()));
        }
        self.end_killed();
        self.show_tools();
        self.show_digest();
    }

    /// The conversation that an event is about.
    fn whose(&self, event: &Event) -> Option<Pid> {
        match event {
            Event::Input { pid, .. } | Event::Cancel { pid } | Event::Fork { pid } => Some(*pid),
            Event::PagedIn { id, .. }
            | Event::Decoded { id, .. }
            | Event::Started { id }
            | Event::Returned { id, .. }
            | Event::Answered { id, .. } => self.under_way.get(id).map(|(pid, _)| *pid),
            _ => None,
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Event> {
        let live = self.live.as_ref()?;
        match effect {
            Effect::PageIn { id, pid, request, first, budget, room } => {
                let places = self.places();
                self.flag(id, pid);
                let live = self.live.as_ref()?;
                live.workers.send(Job::PageIn {
                    id,
                    pid,
                    request,
                    first,
                    room: Room { budget, named: room },
                    places,
                });
            }
            Effect::Decode { id, pid, layout, grammar, sampling, max_tokens, show, .. } => {
                let request = DecodeRequest { layout, grammar, sampling, max_tokens };
                let cancel = self.flag(id, pid);
                let live = self.live.as_ref()?;
                live.workers.send(Job::Decode { id, pid, request, show, cancel });
            }
            Effect::Call { id, pid, call, granted, .. } => {
                let cancel = self.flag(id, pid);
                self.tell(Notice::Calling { pid, id, call: call.clone(), granted: granted.clone() });
                self.apply(Event::Started { id });
                let live = self.live.as_ref()?;
                live.workers.send(Job::Call { id, pid, call, granted, cancel });
            }
            Effect::Ask { id, pid, call, reason, wants, .. } => {
                if !self.setup.interactive {
                    return Some(Event::Answered { id, allow: false, extent: Extent::Once });
                }
                let cancel = self.flag(id, pid);
                let live = self.live.as_mut()?;
                live.asked.insert(id, wants.clone());
                live.workers.send(Job::Ask { id, pid, call, reason, wants, cancel });
            }
            Effect::Encode { id, text, .. } => {
                let outcome = match encode(live.engine.as_ref(), &text) {
                    Ok(encoded) => Outcome::Done(encoded),
                    Err(error) => Outcome::Failed(Fault::new(FaultKind::Engine, error.to_string())),
                };
                return Some(Event::Encoded { id, outcome });
            }
            Effect::Cancel { id } => return self.cancel(id),
            Effect::Spawned { pid, of } => self.spawned(pid, of),
            Effect::Swap { pid, pages } => {
                live.background.left(pid, &pages);
                live.workers.send(Job::Swap { pid, pages });
            }
            Effect::Remembered { page, text, .. } => {
                let kept = self.setup.core.as_ref().map_or(Ok(()), |memory| memory.add(&text));
                match kept {
                    Ok(()) => self.tell(Notice::Remembered { page, text: text.to_string() }),
                    Err(error) => self.tell_core_trouble(&error),
                }
            }
            Effect::Forgotten { page, text, .. } => {
                let dropped = self.setup.core.as_ref().map_or(Ok(true), |memory| memory.remove(&text));
                match dropped {
                    Ok(_) => self.tell(Notice::Forgotten { page, text: text.to_string() }),
                    Err(error) => self.tell_core_trouble(&error),
                }
            }
            // A turn of the process that died: nobody here waits for its end.
            Effect::Ended { report, .. } if self.restarting => {
                let why = match report.end {
                    TurnEnd::Failed(fault) => fault.message,
                    _ => "it was cut off".into(),
                };
                self.tell(Notice::Failed { message: format!("the last turn of this session: {why}") });
            }
            Effect::Ended { pid, report } => self.tell(Notice::Ended { pid, report }),
            Effect::Refused { error } => {
                let code = match error {
                    KernelError::Empty | KernelError::BadSchema { .. } => exit::USAGE,
                    _ => exit::FAILED,
                };
                if self.meddling {
                    return self.tell_failed(&error.to_string());
                }
                // What answers an effect that has ended meanwhile needs no word.
                if !matches!(error, KernelError::NoEffect(_) | KernelError::WrongAnswer(_)) {
                    self.refuse(self.addressed, &error.to_string(), code);
                }
            }
        }
        None
    }

    /// Stops work under way. A question to the user has no thread that would answer.
    fn cancel(&mut self, id: EffectId) -> Option<Event> {
        if let Some((_, flag)) = self.under_way.get(&id) {
            flag.cancel();
        }
        let live = self.live.as_ref()?;
        let asking = live.kernel.processes().values().any(|process| process.is_asking(id));
        asking.then_some(Event::Answered { id, allow: false, extent: Extent::Once })
    }

    fn flag(&mut self, id: EffectId, pid: Pid) -> CancelFlag {
        self.under_way.entry(id).or_insert_with(|| (pid, CancelFlag::new())).1.clone()
    }

    fn places(&self) -> Places {
        let mut disks: Vec<(Arc<dyn Disk>, Vec<String>)> = Vec::new();
        disks.extend(self.attached.clone().map(|disk| (disk as Arc<dyn Disk>, Vec::new())));
        disks.extend(self.setup.disk.clone().map(|disk| (disk, self.setup.roots.clone())));
        Places { disks, folder: self.setup.folder.clone(), changed: Arc::default() }
    }

    fn mount(&mut self, path: String) {
        let Some(disk) = self.setup.disk.clone() else {
            return self.tell(Notice::Failed { message: "there is no index to mount into".into() });
        };
        self.mounting = CancelFlag::new();
        let (notices, to_self, cancel) = (self.notices.clone(), self.to_self.clone(), self.mounting.clone());
        std::thread::spawn(move || {
            let mut last = Instant::now();
            let mut on_progress = |progress: &lucid_kernel::port::MountProgress| {
                if last.elapsed() >= Duration::from_millis(100) {
                    last = Instant::now();
                    drop(notices.send(Notice::MountProgress(progress.clone())));
                }
            };
            let notice = match disk.mount(&path, &MountOptions::default(), &cancel, &mut on_progress) {
                Ok(report) => Notice::Mounted(Box::new(report)),
                Err(error) => Notice::Failed { message: error.to_string() },
            };
            drop(notices.send(notice));
            drop(to_self.send(Msg::MountsChanged));
        });
    }

    /// What changed was read anew; the index is brought up to date behind it.
    fn on_changed(&mut self, files: &[(String, bool)]) {
        for (path, gone) in files {
            let path = super::shown_path(path, &self.setup.folder);
            let what = if *gone { "is gone since" } else { "changed since, and was read anew" };
            self.tell(Notice::Failed { message: format!("{path} was indexed and {what}") });
        }
        let mounts = self.setup.disk.as_ref().and_then(|disk| disk.mounts().ok()).unwrap_or_default();
        let roots = mounts.into_iter().map(|mount| mount.root);
        let is_in =
            |root: &String| files.iter().any(|(path, _)| std::path::Path::new(path).starts_with(root));
        for root in roots.filter(is_in) {
            if std::path::Path::new(&root).is_dir() {
                self.mount(root);
            } else {
                let message = format!("the mounted folder {root} is gone; `lucid umount` takes it out");
                self.tell(Notice::Failed { message });
            }
        }
    }

    fn unmount(&mut self, path: String) {
        let Some(disk) = self.setup.disk.clone() else { return };
        let (notices, to_self) = (self.notices.clone(), self.to_self.clone());
        std::thread::spawn(move || {
            if let Err(error) = disk.unmount(&path) {
                drop(notices.send(Notice::Failed { message: error.to_string() }));
            }
            drop(to_self.send(Msg::MountsChanged));
        });
    }

    fn stop(&mut self, from_threads: &Receiver<Msg>) {
        self.mounting.cancel();
        let busy = self.live.as_ref().map(|live| live.kernel.processes().values());
        let busy: Vec<Pid> =
            busy.into_iter().flatten().filter(|of| !of.is_idle()).map(|of| of.pid()).collect();
        for pid in busy {
            self.apply(Event::Cancel { pid });
        }
        let until = Instant::now() + STOP_TIMEOUT;
        while self.live.as_ref().is_some_and(|live| !live.kernel.open_effects().is_empty()) {
            match from_threads.recv_deadline(until) {
                Ok(message) => self.message(message),
                Err(_) => break,
            }
        }
        if let Some(live) = &self.live {
            live.workers.settle(STOP_TIMEOUT);
        }
        // Who can be asked is likely to go on with the session later.
        let goes_on = self.setup.interactive || matches!(self.setup.session, Session::Continue { .. });
        if let Some(live) = self.live.as_ref().filter(|_| goes_on) {
            live.engine.keep();
        }
    }

    fn die(&mut self, failure: &Failure) {
        self.dead = true;
        self.live = None;
        self.tell(Notice::Dead { message: failure.message.clone(), code: failure.code });
        for _ in std::mem::take(&mut self.waiting) {
            self.refuse(None, &failure.message, failure.code);
        }
    }

    fn refuse(&self, pid: Option<Pid>, message: &str, code: u8) {
        self.tell(Notice::Refused { pid, message: message.to_owned(), code });
    }

    fn tell_event(&mut self, event: &Event, whose: Option<Pid>) {
        match event {
            Event::PagedIn { id, .. }
            | Event::Decoded { id, .. }
            | Event::Returned { id, .. }
            | Event::Answered { id, .. } => drop(self.under_way.remove(id)),
            _ => {}
        }
        let Some(pid) = whose else { return };
        match event {
            Event::PagedIn { outcome: Outcome::Failed(fault), .. } => {
                self.tell(Notice::Failed { message: fault.message.clone() });
            }
            Event::PagedIn { outcome: Outcome::Done(found), .. } => {
                let range = |page: &lucid_kernel::abi::SourcePage| match &page.provenance {
                    lucid_kernel::abi::Provenance::File(range) => Some((range.path.to_string(), range.lines)),
                    _ => None,
                };
                self.tell(Notice::Paged { pid, pages: found.iter().filter_map(range).collect() });
            }
            Event::Returned { id, outcome } => {
                let result = match outcome {
                    Outcome::Done(returned) => Ok(returned.clone()),
                    Outcome::Failed(fault) => Err(fault.clone()),
                    Outcome::Cancelled => Err(Fault::new(FaultKind::Limit, "cancelled")),
                };
                self.tell(Notice::Returned { pid, id: *id, result });
            }
            _ => {}
        }
    }

    fn tell_mounts(&self) {
        let Some(disk) = &self.setup.disk else { return };
        match disk.mounts() {
            Ok(mounts) => self.tell(Notice::Mounts(mounts)),
            Err(error) => self.tell(Notice::Failed { message: error.to_string() }),
        }
    }

    /// Of the conversation that is spoken to, when it is not said of which.
    fn tell_memory(&mut self, pid: Option<Pid>) {
        if let Some(live) = &mut self.live {
            let pid = pid.unwrap_or(live.pid);
            let rows = pages::rows(&live.kernel, pid, &mut live.previews);
            self.tell(Notice::Memory { pid, rows });
        }
    }

    fn tell_core_trouble(&self, error: &std::io::Error) {
        let path = self.setup.core.as_ref().map(|memory| memory.path().display().to_string());
        self.tell_failed(&format!("{} could not be changed: {error}", path.unwrap_or_default()));
    }

    /// Says that something failed; always none, for the end of a match.
    fn tell_failed(&self, message: &str) -> Option<Event> {
        self.tell(Notice::Failed { message: message.to_owned() });
        None
    }

    /// Does something to the memory itself.
    fn meddle(&mut self, event: impl FnOnce(Pid, &Live) -> Result<Event, lucid_kernel::port::EngineError>) {
        let Some(live) = &self.live else {
            self.tell_failed("the model is not loaded yet; try again when it is");
            return;
        };
        match event(live.pid, live) {
            Ok(event) => self.apply(event),
            Err(error) => drop(self.tell_failed(&error.to_string())),
        }
    }

    /// A front end that is gone needs no notice.
    fn tell(&self, notice: Notice) {
        drop(self.notices.send(notice));
    }
}
