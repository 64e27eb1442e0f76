//! What the shell, `ask` and `run` have in common: they open a machine on the user's home.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossbeam_channel::RecvTimeoutError;
use lucid_disk::TantivyDisk;
use lucid_journal::SqliteJournal;
use lucid_kernel::abi::{EngineInfo, Event, FaultKind, TurnEnd, TurnOptions, TurnReport};
use lucid_kernel::port::{CancelFlag, Disk, DiskError, Embedder, Journal};

use super::{GoesOnArgs, ModelArgs, out};
use crate::engines::{EngineChoice, named};
use crate::exit::Failure;
use crate::home::Home;
use crate::machine::api::{Command, Notice};
use crate::machine::remember::CoreMemory;
use crate::machine::{Machine, Mark, Session, Setup};
use crate::settings::Settings;

/// How often a waiting command looks whether Ctrl-C was pressed.
pub const TICK: Duration = Duration::from_millis(50);

/// What a command wants of its machine.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The model and how it is run, where that is not as the settings say.
    pub model: ModelArgs,
    /// Whether tools are offered.
    pub tools: bool,
    /// Whether the last session goes on, and which of its conversations.
    pub goes_on: GoesOnArgs,
    /// Search these mounted folders alone; all when empty.
    pub roots: Vec<String>,
    /// Whether the model is told of files; when not said, it is where there are any.
    pub files: Option<bool>,
    /// Whether texts come with the question.
    pub has_texts: bool,
    /// Whether somebody can be asked.
    pub interactive: bool,
    /// The session that goes on, where it is not the last one.
    pub session: Option<String>,
}

/// Opens a machine: journal, index, and the loading of model and tools in the background.
///
/// # Errors
/// When the settings, the journal or the index cannot be used.
pub fn open(home: &Home, wanted: &Wanted) -> Result<Machine, Failure> {
    let settings = Settings::load(home)?;
    let journal = open_journal(home)?;
    let session = match &wanted.session {
        Some(name) => {
            let known = journal.sessions().map_err(|error| Failure::config(error.to_string()))?;
            if !known.iter().any(|session| session.session == *name) {
                return Err(Failure::usage(format!("there is no session {name}; /sessions lists them")));
            }
            Session::Continue { name: name.clone(), conversation: None, fork: false }
        }
        None => choose_session(journal.as_ref(), &wanted.goes_on)?,
    };
    let before = engine_of(journal.as_ref(), &session)?;
    let model =
        before.map_or_else(|| wanted.model.clone(), |before| as_before(&settings, &wanted.model, before));
    let pool = super::model::pool(&settings);
    let embedder = super::model::embedder(home, &settings, &pool)?;
    let disk: Arc<dyn Disk> = Arc::new(open_disk_with(home, embedder.clone())?);
    let mounted =
        || disk.mounts().map(|mounts| !mounts.is_empty()).map_err(|error| Failure::config(error.to_string()));
    let has_files = match wanted.files {
        Some(files) => files,
        None => wanted.has_texts || !wanted.roots.is_empty() || mounted()?,
    };
    let goes_on = matches!(session, Session::Continue { .. });
    let (Session::New(name) | Session::Continue { name, .. }) = &session;
    let mark = wanted.interactive.then(|| mark(home, name)).flatten();
    Ok(Machine::start(Setup {
        session,
        folder: folder(),
        journal,
        disk: Some(Arc::clone(&disk)),
        roots: wanted.roots.clone(),
        has_files,
        tools: wanted.tools,
        rules: settings.rules.clone(),
        core: Some(CoreMemory::new(home.memory_file())),
        swap: (wanted.interactive || goes_on).then(|| home.swap_dir()),
        embedder,
        eviction: None,
        interactive: wanted.interactive,
        now_ms: now_ms(),
        loader: super::model::loader(home, &settings, model, pool, Some(disk)),
        undo: wanted.interactive.then(|| home.undo_dir()),
        mark,
    }))
}

/// Marks a session as under way until its machine ends; one that is still marked but held by nobody was
/// cut off. Nothing depends on it but the offer to go on.
fn mark(home: &Home, session: &str) -> Option<Mark> {
    let path = home.open_sessions_dir().join(session);
    Home::make_parent(&path).ok()?;
    std::fs::write(&path, folder()).ok()?;
    let file = std::fs::File::open(&path).ok()?;
    file.try_lock().ok()?;
    Some(Mark { path, _file: file })
}

/// Waits until a machine's model is loaded, showing how far it is. Gives the session's name.
///
/// # Errors
/// When it cannot be loaded, or was cancelled.
pub fn wait_ready(machine: &Machine, cancel: &CancelFlag) -> Result<String, Failure> {
    let mut progress = LoadProgress::new();
    let outcome = loop {
        if cancel.is_cancelled() {
            break Err(Failure::cancelled());
        }
        match machine.notices.recv_timeout(TICK) {
            Ok(Notice::Loading { what, part }) => progress.show(&what, part),
            Ok(Notice::Ready { session, .. }) => break Ok(session),
            Ok(Notice::Dead { message, code }) => break Err(Failure::new(code, message)),
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                break Err(Failure::task("the machine ended before it was ready"));
            }
        }
    };
    progress.done();
    outcome
}

/// Says something to a machine that is ready, and waits for the end of the turn.
///
/// # Errors
/// When the input is refused or the machine ends.
pub fn turn(
    machine: &Machine,
    text: &str,
    options: TurnOptions,
    cancel: &CancelFlag,
) -> Result<TurnReport, Failure> {
    let gone = || Failure::task("the machine ended before it answered");
    let input =
        Command::Input { pid: None, text: text.to_owned(), attached: Vec::new(), files: Vec::new(), options };
    machine.commands.send(input).map_err(|_| gone())?;
    let mut cancelled = false;
    loop {
        if cancel.is_cancelled() && !std::mem::replace(&mut cancelled, true) {
            drop(machine.commands.send(Command::Cancel { pid: None }));
        }
        match machine.notices.recv_timeout(TICK) {
            Ok(Notice::Ended { report, .. }) => return Ok(*report),
            Ok(Notice::Refused { message, code, .. } | Notice::Dead { message, code }) => {
                return Err(Failure::new(code, message));
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(gone()),
        }
    }
}

/// Why the turn, or a call of it, was not allowed, if it was not.
pub fn denied(report: &TurnReport) -> Option<String> {
    let end = match &report.end {
        TurnEnd::Failed(fault) => Some(fault),
        _ => None,
    };
    let faults = report.calls.iter().filter_map(|call| call.result.as_ref().err()).chain(end);
    let denied = faults.filter(|fault| fault.kind == FaultKind::Denied).map(|fault| &fault.message).next()?;
    let lacks_rights = denied.contains(lucid_kernel::policy::UNGRANTED);
    let advice = if lacks_rights { "; `lucid plugin grant` lets it" } else { "" };
    Some(format!("{denied}{advice}"))
}

/// Opens the journal.
///
/// # Errors
/// When it is damaged or cannot be made.
pub fn open_journal(home: &Home) -> Result<Arc<dyn Journal>, Failure> {
    let path = home.journal_file();
    Home::make_parent(&path).map_err(|error| Failure::config(format!("{error:#}")))?;
    let journal = SqliteJournal::open(&path).map_err(|error| Failure::config(error.to_string()))?;
    Ok(Arc::new(journal))
}

/// Opens the index with what finds pages by their meaning, as the settings say.
///
/// # Errors
/// Those of [`open_disk`] and [`super::model::embedder`].
pub fn open_searched_disk(home: &Home) -> Result<TantivyDisk, Failure> {
    let settings = Settings::load(home)?;
    open_disk_with(home, super::model::embedder(home, &settings, &super::model::pool(&settings))?)
}

fn open_disk_with(home: &Home, embedder: Option<Arc<dyn Embedder>>) -> Result<TantivyDisk, Failure> {
    let disk = open_disk(home)?;
    Ok(match embedder {
        Some(embedder) => disk.with_embedder(embedder),
        None => disk,
    })
}

/// Opens the index, in which pages are found by their words.
///
/// # Errors
/// When it is damaged or cannot be made.
pub fn open_disk(home: &Home) -> Result<TantivyDisk, Failure> {
    TantivyDisk::open(&home.index_dir(), lucid_disk::Limits::default()).map_err(|error| {
        let full = matches!(error, DiskError::Full { .. });
        Failure::new(if full { crate::exit::FAILED } else { crate::exit::CONFIG }, error.to_string())
    })
}

/// The folder that the user is in.
pub fn folder() -> String {
    std::env::current_dir().map(|dir| dir.display().to_string()).unwrap_or_default()
}

/// A flag that Ctrl-C sets. A second Ctrl-C ends the program at once.
pub fn on_ctrl_c() -> CancelFlag {
    let flag = CancelFlag::new();
    let (set, seen) = (flag.clone(), std::sync::atomic::AtomicBool::new(false));
    let handled = ctrl_c(move || {
        if seen.swap(true, std::sync::atomic::Ordering::Relaxed) {
            std::process::exit(i32::from(crate::exit::CANCELLED));
        }
        set.cancel();
    });
    if let Err(error) = handled {
        out::note(&format!("lucid: Ctrl-C will end the program at once: {error}"));
    }
    flag
}

#[cfg(unix)]
fn ctrl_c(mut on_signal: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            on_signal();
        }
    });
    Ok(())
}

#[cfg(not(unix))]
fn ctrl_c(_on_signal: impl FnMut() + Send + 'static) -> std::io::Result<()> {
    Ok(())
}

/// A name for a new session, and when it begins, in milliseconds since 1970.
pub fn new_name() -> (String, u64) {
    let now_ms = now_ms();
    (format!("s{now_ms}-{}", std::process::id()), now_ms)
}

fn choose_session(journal: &dyn Journal, wanted: &GoesOnArgs) -> Result<Session, Failure> {
    let GoesOnArgs { resume, fork, conversation } = *wanted;
    if !resume && !fork && conversation.is_none() {
        return Ok(Session::New(new_name().0));
    }
    let sessions = journal.sessions().map_err(|error| Failure::config(error.to_string()))?;
    sessions
        .into_iter()
        .find(|session| session.events > 2)
        .map(|session| Session::Continue { name: session.session, conversation, fork })
        .ok_or_else(|| Failure::usage("there is no session to go on with yet; ask something first"))
}

/// What a session goes on with: the same as before, unless something else is wanted.
fn as_before(settings: &Settings, wanted: &ModelArgs, before: EngineInfo) -> ModelArgs {
    let far = named::engine_of_session(&before.model).filter(|name| settings.engines.contains_key(*name));
    let near =
        EngineChoice::compiled().into_iter().map(EngineChoice::name).find(|name| *name == before.engine);
    let engine = far.or(near).map(str::to_owned);
    let model = far.is_none().then_some(before.model);
    let ModelArgs { model: wants_model, engine: wants_engine, window } = wanted.clone();
    ModelArgs {
        model: wants_model.or(model),
        engine: wants_engine.or(engine),
        window: window.or(Some(before.n_ctx)),
    }
}

/// The engine that a session was held with.
fn engine_of(journal: &dyn Journal, session: &Session) -> Result<Option<EngineInfo>, Failure> {
    let Session::Continue { name, .. } = session else { return Ok(None) };
    let events = journal.load(name).map_err(|error| Failure::config(error.to_string()))?;
    Ok(events.into_iter().find_map(|event| match event {
        Event::Boot { config } => Some(config.engine),
        _ => None,
    }))
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How far loading is, on stderr: a moving line on a terminal, plain lines elsewhere.
pub struct LoadProgress {
    bar: Option<indicatif::ProgressBar>,
    last: String,
}

impl LoadProgress {
    /// Nothing is shown until there is something to show.
    pub const fn new() -> Self {
        Self { bar: None, last: String::new() }
    }

    /// Shows one line, and a bar when it is known how far it is.
    pub fn show(&mut self, what: &str, part: Option<f32>) {
        use std::io::IsTerminal;
        if !std::io::stderr().is_terminal() {
            if part.is_none() && self.last != what {
                out::note(what);
            }
            self.last = what.to_owned();
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = indicatif::ProgressBar::new(1000);
            let style = indicatif::ProgressStyle::with_template("{spinner} {msg} {wide_bar} {percent:>3} %");
            bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        bar.set_message(what.to_owned());
        bar.set_position((part.unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u64);
    }

    /// Takes the line away.
    pub fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
