//! The screen in the terminal: what is typed goes to the machine as [`Command`]s, what the
//! machine says comes back as [`Notice`]s.
//!
//! [`state`] is all that the screen knows and changes by [`state::State::update`] alone;
//! [`view`] draws it; this module has the one loop that joins both with the terminal.

pub mod bench;
mod blocks;
mod code;
mod editor;
mod enter;
mod export;
mod finder;
pub mod highlight;
mod history;
pub mod host;
mod inline;
mod items;
mod key;
pub mod keymap;
mod keys;
mod lines;
pub mod manual;
mod markdown;
mod mention;
mod mouse;
mod notices;
pub mod offers;
mod overlay;
mod panes;
mod picture;
mod pictures;
pub mod plain;
mod screen;
mod slash;
mod state;
mod status;
mod svg;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod think;
mod transcript;
mod undo;
mod vi;
mod vi_change;
mod vi_motion;
mod view;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, never, select, unbounded};
use crossterm::event::{Event, MouseEventKind};

pub use self::picture::Picture;
pub use self::text::count;

use self::highlight::{Highlighted, Highlighter};
use self::history::{History, HistoryFile};
use self::host::{Answer, Host, Opening};
use self::screen::{Reader, Screen, Signal};
use self::state::{Action, Msg, State};
use crate::exit::Failure;
use crate::machine::Machine;
use crate::machine::api::{Command, Notice};

/// The least time between two drawings: at most 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// The same when somebody waits for what a key does.
const KEY_FRAME: Duration = Duration::from_millis(4);
/// How often elapsed time is drawn while something is under way.
const TICK: Duration = Duration::from_millis(200);
/// How often it is looked whether a line that waits may be taken.
const SETTLE_TICK: Duration = Duration::from_millis(50);
/// Messages taken in before the screen is drawn again, whatever else waits.
const MAX_BATCH: usize = 512;

/// What the screen must know at its start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The folder it was started in, absolute.
    pub folder: String,
    /// The user's home folder, which is shown as `~`.
    pub home: Option<String>,
    /// Where earlier inputs are kept.
    pub history_path: PathBuf,
    /// What has to be answered before a machine is started.
    pub offers: Vec<offers::Offer>,
    /// Whether to offer to mount the folder, once it is known that it is not mounted.
    pub offer_mount: bool,
    /// Which machine is started.
    pub opening: Opening,
    /// Whether colours may be used: false under `NO_COLOR`.
    pub color: bool,
    /// Which keys do what.
    pub keymap: keymap::Keymap,
    /// Whether the line is edited with the keys of vi.
    pub vi: bool,
    /// Whether the mouse is listened to.
    pub mouse: bool,
    /// Whether it stops by a panic after its first frame, so that a test sees what becomes of the terminal.
    pub panics: bool,
    /// Lucid's version.
    pub version: String,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The exit code: 0, that of [`Notice::Dead`], or 128 and the signal that ended it.
    pub code: u8,
    /// Whether the user does not want the folder mounted.
    pub declined_mount: bool,
}

/// Shows the screen until the user leaves. The machine is started behind the first frame.
///
/// # Errors
/// When there is no terminal, or it fails while it is used. It is given back in any case.
pub fn run(host: Arc<dyn Host>, setup: Setup) -> anyhow::Result<Outcome> {
    let screen = Screen::enter(setup.mouse)
        .context("the screen needs a terminal for input and output; without one use `lucid ask`")?;
    let mut session = Session::new(Some(screen), host, setup);
    let result = session.run();
    session.close();
    let outcome = Outcome { code: session.left.unwrap_or(0), declined_mount: session.state.declined };
    result.map(|()| outcome)
}

fn history_trouble(setup: &Setup, error: &io::Error) -> String {
    format!("earlier inputs could not be read from or kept in {}: {error}", setup.history_path.display())
}

/// What comes from threads of the screen's own.
enum Inner {
    /// A machine was started, or could not be.
    Opened(Result<Machine, Failure>),
    /// What came of a wish.
    Answer(Answer),
    /// A piece of code was read.
    Highlighted(String, String, Highlighted),
}

/// What ended a pause.
#[derive(PartialEq, Eq)]
enum Woken {
    /// The user did something.
    Input,
    /// Something else happened.
    Other,
    /// Its limit.
    Limit,
}

struct Session {
    state: State,
    screen: Option<Screen>,
    host: Arc<dyn Host>,
    machine: Option<Machine>,
    /// What the machine is told when it is there.
    pending: Vec<Command>,
    notices: Receiver<Notice>,
    to_self: Sender<Inner>,
    inner: Receiver<Inner>,
    highlighter: Option<Sender<(String, String)>>,
    /// How many wishes are being carried out.
    wishes: usize,
    file: HistoryFile,
    setup: Setup,
    began: Instant,
    /// The exit code, once it is over.
    left: Option<u8>,
    /// Where lines are written instead of a screen.
    plain: Option<plain::Lines>,
    /// When each drawing began and ended, and each input was taken, where that is measured.
    measured: Option<bench::Measured>,
}

impl Session {
    fn new(screen: Option<Screen>, host: Arc<dyn Host>, setup: Setup) -> Self {
        let file = HistoryFile::new(&setup.history_path);
        let (entries, trouble) = match file.load() {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(history_trouble(&setup, &error))),
        };
        let mut state = State::new(&setup, History::new(entries));
        if let Some(trouble) = trouble {
            state.update(Msg::Trouble(trouble));
        }
        let (to_self, inner) = unbounded();
        Self {
            state,
            screen,
            host,
            machine: None,
            pending: Vec::new(),
            notices: never(),
            to_self,
            inner,
            highlighter: None,
            wishes: 0,
            file,
            setup,
            began: Instant::now(),
            left: None,
            plain: None,
            measured: None,
        }
    }

    fn run(&mut self) -> anyhow::Result<()> {
        let reader = Reader::start().context("cannot start the thread that reads the terminal")?;
        let signals = screen::signals().context("cannot listen to signals")?;
        let result = self.show(&reader.events, &signals);
        if result.is_err() {
            // The terminal went away, perhaps before its signal came, which is still held back.
            self.keep_line();
        }
        result
    }

    /// Gives the terminal back and ends the machine.
    fn close(&mut self) {
        self.screen = None;
        if let Some(machine) = self.machine.take() {
            machine.stop();
        }
    }

    fn show(
        &mut self,
        events: &Receiver<io::Result<Event>>,
        signals: &Receiver<Signal>,
    ) -> anyhow::Result<()> {
        if let Some(screen) = &self.screen {
            let (width, height) = screen.size().context("cannot ask the terminal for its size")?;
            self.update(Msg::Resize(width, height))?;
        }
        let mut drawn = Instant::now();
        self.draw()?;
        assert!(!self.setup.panics, "this is for a test");
        if self.state.offers.front().is_none_or(|offer| !offer.is_before_start()) {
            self.act(Action::Open(self.setup.opening.clone()))?;
        }
        while self.left.is_none() {
            let mut frame = FRAME;
            let mut note = |woken: &Woken| {
                if *woken == Woken::Input {
                    frame = KEY_FRAME;
                }
                frame
            };
            let mut least = note(&self.wait(events, signals, None)?);
            // What else is there is taken in before drawing, and drawing waits for its turn.
            let mut batch = 1;
            while self.left.is_none() && batch < MAX_BATCH {
                let pause = least.saturating_sub(drawn.elapsed());
                let woken = self.wait(events, signals, Some(pause))?;
                if woken == Woken::Limit {
                    break;
                }
                least = note(&woken);
                batch += 1;
            }
            if self.left.is_none() {
                self.draw()?;
                drawn = Instant::now();
            }
        }
        Ok(())
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        if self.plain.is_some() {
            return self.write_lines();
        }
        let state = &self.state;
        if let Some(screen) = &mut self.screen {
            let began = Instant::now();
            screen.draw(|frame| view::draw(state, frame)).context("cannot draw on the terminal")?;
            if let Some(measured) = &mut self.measured {
                measured.frames.push((began, Instant::now()));
            }
        }
        for wanted in self.state.code.wanted() {
            self.highlight(wanted);
        }
        Ok(())
    }

    /// Has a piece of code read, beside the drawing.
    fn highlight(&mut self, wanted: (String, String)) {
        let to = self.to_self.clone();
        let highlighter = self.highlighter.get_or_insert_with(|| {
            let (wants, wanted) = unbounded::<(String, String)>();
            thread::spawn(move || {
                let highlighter = Highlighter::new();
                for (language, code) in wanted {
                    if let Some(colours) = highlighter.highlight(&language, &code) {
                        let _ = to.send(Inner::Highlighted(language, code, colours));
                    }
                }
            });
            wants
        });
        let _ = highlighter.send(wanted);
    }

    /// Waits for one thing to happen, at most this long; without a limit until something does or
    /// time itself changes what is shown.
    fn wait(
        &mut self,
        events: &Receiver<io::Result<Event>>,
        signals: &Receiver<Signal>,
        limit: Option<Duration>,
    ) -> anyhow::Result<Woken> {
        let pause = limit.or_else(|| self.state.is_moving().then_some(TICK));
        let timer = pause.map_or_else(never, crossbeam_channel::after);
        // Lines of a pipe are taken one after the other, each when what came before is done.
        let none = never();
        let is_settling = self.is_settling();
        let events = if is_settling { &none } else { events };
        let timer =
            if is_settling && limit.is_none() { crossbeam_channel::after(SETTLE_TICK) } else { timer };
        let panics = self.screen.as_ref().map_or_else(never, |screen| screen.panics.clone());
        select! {
            recv(events) -> event => {
                let event = event.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()));
                self.on_event(event.context("cannot read from the terminal")?)?;
                if let Some(measured) = &mut self.measured {
                    measured.inputs.push(Instant::now());
                }
                return Ok(Woken::Input);
            }
            recv(self.notices) -> notice => match notice {
                Ok(notice) => self.update(Msg::Notice(Box::new(notice)))?,
                Err(_) => {
                    self.notices = never();
                    self.update(Msg::Gone)?;
                }
            },
            recv(self.inner) -> inner => {
                if let Ok(inner) = inner {
                    self.on_inner(inner)?;
                }
            }
            recv(panics) -> panic => {
                if let Ok(panic) = panic {
                    self.update(Msg::Trouble(format!("a part of lucid failed: {panic}")))?;
                }
            }
            recv(signals) -> signal => match signal {
                Ok(Signal::Continued) => {
                    if let Some(screen) = &mut self.screen {
                        screen.resume().context("cannot take the terminal over again")?;
                    }
                }
                Ok(Signal::End(_)) if self.plain.is_some() && self.state.talk.turn.is_some() => self.interrupt()?,
                Ok(Signal::End(code)) => self.end_by_signal(code),
                Err(_) => {}
            },
            recv(timer) -> _ => {
                self.tick()?;
                return Ok(if limit.is_none() { Woken::Other } else { Woken::Limit });
            }
        }
        Ok(Woken::Other)
    }

    fn on_inner(&mut self, inner: Inner) -> anyhow::Result<()> {
        match inner {
            Inner::Opened(Ok(machine)) => {
                self.notices = machine.notices.clone();
                for command in std::mem::take(&mut self.pending) {
                    let _ = machine.commands.send(command);
                }
                self.machine = Some(machine);
                Ok(())
            }
            Inner::Opened(Err(failure)) => {
                let notice = Notice::Dead { message: failure.message, code: failure.code };
                self.update(Msg::Notice(Box::new(notice)))
            }
            Inner::Answer(answer) => {
                self.wishes = self.wishes.saturating_sub(1);
                self.update(Msg::Answer(Box::new(answer)))
            }
            Inner::Highlighted(language, code, colours) => {
                self.update(Msg::Highlighted(language, code, colours))
            }
        }
    }

    fn on_event(&mut self, event: Event) -> anyhow::Result<()> {
        let msg = match event {
            Event::Paste(line) if self.plain.is_some() => return self.on_line(&line),
            Event::Key(key) => Msg::Key(key),
            Event::Paste(text) => Msg::Paste(text),
            Event::Resize(width, height) => Msg::Resize(width, height),
            Event::Mouse(mouse) if mouse.kind == MouseEventKind::Moved => return Ok(()),
            Event::Mouse(mouse) => Msg::Mouse(mouse),
            Event::FocusGained | Event::FocusLost => return Ok(()),
        };
        self.update(msg)
    }

    fn tick(&mut self) -> anyhow::Result<()> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.update(Msg::Tick(now_ms)).into_iter().try_for_each(|action| self.act(action))
    }

    fn update(&mut self, msg: Msg) -> anyhow::Result<()> {
        if let Some(plain) = &mut self.plain {
            plain.changed = Some(Instant::now());
        }
        self.tick()?;
        self.state.update(msg).into_iter().try_for_each(|action| self.act(action))
    }

    fn act(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Send(command) => self.send(at_home(*command)),
            Action::Wish(wish) => {
                self.wishes += 1;
                let (host, to) = (Arc::clone(&self.host), self.to_self.clone());
                thread::spawn(move || drop(to.send(Inner::Answer(host.carry_out(wish)))));
            }
            Action::Open(opening) => {
                self.notices = never();
                let (host, to, before) = (Arc::clone(&self.host), self.to_self.clone(), self.machine.take());
                thread::spawn(move || {
                    if let Some(before) = before {
                        before.stop();
                    }
                    drop(to.send(Inner::Opened(host.open(&opening))));
                });
            }
            Action::Remember(line) => self.remember(&line),
            Action::Copy(text) => {
                if let Some(screen) = &mut self.screen {
                    screen.copy(&text).context("cannot write to the terminal")?;
                }
            }
            Action::Ring => {
                if let Some(screen) = &mut self.screen {
                    screen.ring().context("cannot write to the terminal")?;
                }
            }
            Action::Redraw => {
                if let Some(screen) = &mut self.screen {
                    screen.clear().context("cannot clear the terminal")?;
                }
            }
            Action::Suspend => {
                if let Some(screen) = &mut self.screen {
                    screen.suspend().context("cannot suspend")?;
                }
            }
            Action::Leave => self.left = Some(self.state.dead.unwrap_or(0)),
        }
        Ok(())
    }

    fn send(&mut self, command: Command) {
        match &self.machine {
            Some(machine) => {
                if machine.commands.send(command).is_err() {
                    self.state.update(Msg::Gone);
                }
            }
            None => self.pending.push(command),
        }
    }

    /// A history that cannot be written is told once and then left alone.
    fn remember(&mut self, line: &str) {
        if let Err(error) = self.file.append(line) {
            let trouble = history_trouble(&self.setup, &error);
            let told = self
                .state
                .talk
                .transcript
                .items()
                .iter()
                .any(|item| matches!(item, transcript::Item::Error(text) if *text == trouble));
            if !told {
                self.state.update(Msg::Trouble(trouble));
            }
        }
    }

    fn end_by_signal(&mut self, code: u8) {
        self.keep_line();
        self.left = Some(code);
    }

    /// Nothing that was typed is lost: the line can be found with Up next time.
    fn keep_line(&mut self) {
        let line = self.state.editor.text().to_owned();
        if !line.trim().is_empty() {
            self.remember(&line);
        }
    }
}

/// `~` at the start of a folder is the home folder, as in a shell.
fn at_home(command: Command) -> Command {
    match command {
        Command::Mount { path } => Command::Mount { path: home_path(path) },
        Command::Unmount { path } => Command::Unmount { path: home_path(path) },
        other => other,
    }
}

fn home_path(path: String) -> String {
    let rest = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    match (rest, home_folder()) {
        (Some(rest), Some(home)) => format!("{home}{rest}"),
        _ => path,
    }
}

/// The user's home folder.
pub fn home_folder() -> Option<String> {
    std::env::home_dir().map(|home| home.display().to_string()).filter(|home| home.len() > 1)
}
