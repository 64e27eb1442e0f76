//! The screen in the terminal: what is typed goes to the machine as [`Command`]s, what the
//! machine says comes back as [`Notice`]s.
//!
//! [`state`] is all that the screen knows and changes by [`state::State::update`] alone;
//! [`view`] draws it; this module has the one loop that joins both with the terminal.

mod editor;
mod enter;
mod history;
mod items;
mod keys;
mod markdown;
mod notices;
mod overlay;
mod picture;
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
mod transcript;
mod view;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, never, select};
use crossterm::event::{Event, MouseEventKind};

pub use self::picture::Picture;
pub use self::text::count;

use self::history::{History, HistoryFile};
use self::screen::{Reader, Screen, Signal};
use self::state::{Action, Msg, State, WHEEL_LINES};
use crate::machine::api::{Command, Notice};

/// The least time between two drawings: at most 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// How often elapsed time is drawn while something is under way.
const TICK: Duration = Duration::from_millis(200);
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
    /// Whether to offer to mount the folder.
    pub offer_mount: bool,
    /// Whether colours may be used: false under `NO_COLOR`.
    pub color: bool,
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

/// Shows the screen until the user leaves. `commands` should not be bounded tightly: the screen
/// waits while it is full. [`Command::Quit`] is sent at the end; the caller waits for the machine.
///
/// # Errors
/// When there is no terminal, or it fails while it is used. It is given back in any case.
pub fn run(commands: Sender<Command>, notices: Receiver<Notice>, setup: Setup) -> anyhow::Result<Outcome> {
    let file = HistoryFile::new(&setup.history_path);
    let (entries, trouble) = match file.load() {
        Ok(entries) => (entries, None),
        Err(error) => (Vec::new(), Some(history_trouble(&setup, &error))),
    };
    let mut state = State::new(&setup, History::new(entries));
    if let Some(trouble) = trouble {
        state.update(Msg::Trouble(trouble));
    }
    let screen = Screen::enter()
        .context("the screen needs a terminal for input and output; without one use `lucid ask`")?;
    let mut session =
        Session { state, screen, commands, notices, file, setup, began: Instant::now(), left: None };
    let result = session.run();
    let _ = session.commands.send(Command::Quit);
    let outcome = Outcome { code: session.left.unwrap_or(0), declined_mount: session.state.declined };
    result.map(|()| outcome)
}

fn history_trouble(setup: &Setup, error: &io::Error) -> String {
    format!("earlier inputs could not be read from or kept in {}: {error}", setup.history_path.display())
}

struct Session {
    state: State,
    screen: Screen,
    commands: Sender<Command>,
    notices: Receiver<Notice>,
    file: HistoryFile,
    setup: Setup,
    began: Instant,
    /// The exit code, once it is over.
    left: Option<u8>,
}

impl Session {
    fn run(&mut self) -> anyhow::Result<()> {
        let reader = Reader::start().context("cannot start the thread that reads the terminal")?;
        let signals = screen::signals().context("cannot listen to signals")?;
        let result = self.show(&reader, &signals);
        if result.is_err() {
            // The terminal went away, perhaps before its signal came, which is still held back.
            self.keep_line();
        }
        result
    }

    fn show(&mut self, reader: &Reader, signals: &Receiver<Signal>) -> anyhow::Result<()> {
        let size = self.screen.terminal.size().context("cannot ask the terminal for its size")?;
        self.update(Msg::Resize(size.width, size.height))?;
        let mut drawn = Instant::now();
        self.draw()?;
        while self.left.is_none() {
            self.wait(reader, signals, None)?;
            // What else is there is taken in before drawing, and drawing waits for its turn.
            let mut batch = 1;
            while self.left.is_none() && batch < MAX_BATCH {
                let pause = FRAME.saturating_sub(drawn.elapsed());
                if !self.wait(reader, signals, Some(pause))? {
                    break;
                }
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
        let state = &self.state;
        self.screen.terminal.draw(|frame| view::draw(state, frame)).context("cannot draw on the terminal")?;
        Ok(())
    }

    /// Waits for one thing to happen, at most this long; without a limit until something does or
    /// time itself changes what is shown. Says whether it was not the limit that ended it.
    fn wait(
        &mut self,
        reader: &Reader,
        signals: &Receiver<Signal>,
        limit: Option<Duration>,
    ) -> anyhow::Result<bool> {
        let pause = limit.or_else(|| self.state.is_moving().then_some(TICK));
        let timer = pause.map_or_else(never, crossbeam_channel::after);
        let panics = self.screen.panics.clone();
        select! {
            recv(reader.events) -> event => {
                let event = event.unwrap_or_else(|_| Err(io::ErrorKind::UnexpectedEof.into()));
                self.on_event(event.context("cannot read from the terminal")?)?;
            }
            recv(self.notices) -> notice => match notice {
                Ok(notice) => self.update(Msg::Notice(Box::new(notice)))?,
                Err(_) => {
                    self.notices = never();
                    self.update(Msg::Gone)?;
                }
            },
            recv(panics) -> panic => {
                if let Ok(panic) = panic {
                    self.update(Msg::Trouble(format!("a part of lucid failed: {panic}")))?;
                }
            }
            recv(signals) -> signal => match signal {
                Ok(Signal::Continued) => self.screen.resume().context("cannot take the terminal over again")?,
                Ok(Signal::End(code)) => self.end_by_signal(code),
                Err(_) => {}
            },
            recv(timer) -> _ => {
                self.state.update(Msg::Tick(self.now_ms()));
                return Ok(limit.is_none());
            }
        }
        Ok(true)
    }

    fn on_event(&mut self, event: Event) -> anyhow::Result<()> {
        let msg = match event {
            Event::Key(key) => Msg::Key(key),
            Event::Paste(text) => Msg::Paste(text),
            Event::Resize(width, height) => Msg::Resize(width, height),
            Event::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => Msg::Wheel(-WHEEL_LINES),
                MouseEventKind::ScrollDown => Msg::Wheel(WHEEL_LINES),
                _ => return Ok(()),
            },
            Event::FocusGained | Event::FocusLost => return Ok(()),
        };
        self.update(msg)
    }

    fn update(&mut self, msg: Msg) -> anyhow::Result<()> {
        self.state.update(Msg::Tick(self.now_ms()));
        for action in self.state.update(msg) {
            self.act(action)?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action) -> anyhow::Result<()> {
        match action {
            Action::Send(command) => {
                if self.commands.send(at_home(*command)).is_err() {
                    self.state.update(Msg::Gone);
                }
            }
            Action::Remember(line) => self.remember(&line),
            Action::Redraw => self.screen.terminal.clear().context("cannot clear the terminal")?,
            Action::Suspend => self.screen.suspend().context("cannot suspend")?,
            Action::Leave => self.left = Some(self.state.dead.unwrap_or(0)),
        }
        Ok(())
    }

    /// A history that cannot be written is told once and then left alone.
    fn remember(&mut self, line: &str) {
        if let Err(error) = self.file.append(line) {
            let trouble = history_trouble(&self.setup, &error);
            let told = self
                .state
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

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
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
