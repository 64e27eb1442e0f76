//! `lucid` without a command: the shell.

use super::host::{self, ShellHost};
use super::session::{Wanted, open};
use super::{PictureArgs, ShellArgs, mount};
use crate::exit::Failure;
use crate::home::Home;
use crate::machine::api::{Command, Notice};
use crate::settings::{Editing, Settings};
use crate::tui;
use crate::tui::host::Opening;
use crate::tui::keymap::Keymap;
use crate::tui::offers::Offer;

/// Opens the shell until the user leaves.
///
/// # Errors
/// When there is no terminal, or the settings cannot be used.
pub fn run(home: &Home, args: &ShellArgs) -> Result<u8, Failure> {
    let mut settings = Settings::load(home)?;
    let folder = super::session::folder();
    let setup = setup(home, &settings, args, &folder)?;
    Home::make_parent(&setup.history_path).map_err(|error| Failure::config(format!("{error:#}")))?;
    let host = ShellHost { home: home.clone(), wanted: wanted(args), folder: folder.clone() };
    let outcome = if args.plain {
        tui::plain::run(std::sync::Arc::new(host), setup)
    } else {
        tui::run(std::sync::Arc::new(host), setup)
    };
    let outcome = outcome.map_err(|error| Failure::usage(format!("{error:#}")))?;
    if outcome.declined_mount && !settings.declined_mounts.contains(&folder) {
        // What was set meanwhile stays.
        settings = Settings::load(home)?;
        settings.declined_mounts.push(folder);
        settings.save(home)?;
    }
    Ok(outcome.code)
}

fn setup(home: &Home, settings: &Settings, args: &ShellArgs, folder: &str) -> Result<tui::Setup, Failure> {
    let keymap = Keymap::with(&settings.keys)
        .map_err(|error| Failure::config(format!("{}: {error}", home.settings_file().display())))?;
    let is_declined = settings.declined_mounts.iter().any(|declined| declined == folder);
    let is_set = args.model.model.is_some() || args.model.engine.is_some();
    let goes_on = &args.goes_on;
    let is_new = !goes_on.resume && !goes_on.fork && goes_on.conversation.is_none();
    let mut offers = Vec::new();
    if is_new && !is_set && !home.settings_file().exists() && !home.journal_file().exists() {
        offers.push(Offer::Model(host::models(home)?));
    } else if is_new && let Some((session, asked)) = host::cut_off(home, folder) {
        offers.push(Offer::Resume(session, asked));
    }
    Ok(tui::Setup {
        folder: folder.to_owned(),
        home: tui::home_folder(),
        history_path: home.history_file(),
        offers,
        offer_mount: !is_declined && !mount::is_too_much(std::path::Path::new(folder)),
        opening: Opening::default(),
        color: super::out::color(),
        keymap,
        vi: settings.screen.editing == Editing::Vi,
        mouse: settings.screen.mouse,
        panics: args.fail_for_a_test,
        version: env!("CARGO_PKG_VERSION").into(),
    })
}

fn wanted(args: &ShellArgs) -> Wanted {
    Wanted {
        model: args.model.clone(),
        tools: !args.no_tools,
        goes_on: args.goes_on.clone(),
        // Folders can be mounted at any time.
        files: Some(true),
        interactive: true,
        ..Wanted::default()
    }
}

/// Measures the screen with a transcript of so many items.
///
/// # Errors
/// When its loop fails.
pub fn measure(home: &Home, blocks: usize) -> Result<serde_json::Value, Failure> {
    let dir = tempfile::tempdir().map_err(|error| Failure::task(format!("no folder to work in: {error}")))?;
    let setup = setup(home, &Settings::default(), &ShellArgs::default(), &super::session::folder())?;
    let setup = tui::Setup {
        offers: Vec::new(),
        offer_mount: false,
        history_path: dir.path().join("history"),
        ..setup
    };
    tui::bench::run(setup, blocks).map_err(|error| Failure::task(format!("{error:#}")))
}

/// Asks questions and prints the shell's screen after the last as SVG: the pictures of the
/// papers are made by this, with the real view and the real model.
///
/// # Errors
/// As [`run`].
pub fn picture(home: &Home, args: &PictureArgs) -> Result<u8, Failure> {
    let shell = ShellArgs { model: args.model.clone(), ..ShellArgs::default() };
    let machine = open(home, &wanted(&shell))?;
    let settings = Settings::load(home)?;
    let setup = setup(home, &settings, &shell, &super::session::folder())?;
    let setup = tui::Setup { offers: Vec::new(), offer_mount: false, color: true, ..setup };
    let picture = tui::Picture::new(&setup, args.columns, args.rows);
    let mut film = Film { picture, is_wanted: args.film, now_ms: 0, last: std::time::Instant::now() };
    let mut left = args.questions.iter();
    let mut ready = false;
    while let Ok(notice) = machine.notices.recv() {
        if let Notice::Dead { message, code } = &notice {
            return Err(Failure::new(*code, message.clone()));
        }
        let free = matches!(notice, Notice::Ended { .. } | Notice::Refused { .. } | Notice::Ready { .. });
        ready |= matches!(notice, Notice::Ready { .. });
        for command in film.hear(notice)? {
            drop(machine.commands.send(command));
        }
        if free && ready {
            for question in left.by_ref() {
                let commands = film.say(question)?;
                let asked = commands.iter().any(|command| matches!(command, Command::Input { .. }));
                for command in commands {
                    drop(machine.commands.send(command));
                }
                if asked {
                    break;
                }
                // What a command changes is seen before the next line is typed.
                while let Ok(notice) = machine.notices.recv_timeout(super::session::TICK) {
                    film.hear(notice)?;
                }
            }
        }
        if free && ready && left.len() == 0 && film.picture.is_idle() {
            break;
        }
    }
    // What was sent before the last turn ended is still to be heard: the memory, say.
    while let Ok(notice) = machine.notices.recv_timeout(super::session::TICK) {
        film.hear(notice)?;
    }
    let drawn = if args.film { film.picture.film("lucid") } else { film.picture.svg("lucid")? };
    super::out::line(&drawn);
    machine.stop();
    Ok(crate::exit::OK)
}

/// A pause before and after a line that is typed in a film, and between its letters, in milliseconds.
const PAUSE_MS: u64 = 900;
const LETTER_MS: u64 = 45;
/// The least time between two pictures of a film, and the longest that one waits for the next.
const PICTURE_MS: std::ops::Range<u64> = 90..2_500;

/// A picture that is taken again and again.
struct Film {
    picture: tui::Picture,
    is_wanted: bool,
    /// The film's time, in which nobody waits for long.
    now_ms: u64,
    last: std::time::Instant,
}

impl Film {
    fn hear(&mut self, notice: Notice) -> Result<Vec<Command>, Failure> {
        let commands = self.picture.notice(notice);
        let since = u64::try_from(self.last.elapsed().as_millis()).unwrap_or(u64::MAX);
        if since >= PICTURE_MS.start {
            self.last = std::time::Instant::now();
            self.take(since.min(PICTURE_MS.end))?;
        }
        Ok(commands)
    }

    fn take(&mut self, later_ms: u64) -> Result<(), Failure> {
        self.now_ms += later_ms;
        self.picture.tick(self.now_ms);
        if self.is_wanted {
            self.picture.take(self.now_ms).map_err(|error| Failure::task(format!("{error:#}")))?;
        }
        Ok(())
    }

    fn say(&mut self, line: &str) -> Result<Vec<Command>, Failure> {
        self.take(PAUSE_MS)?;
        if self.is_wanted {
            for letter in line.chars() {
                self.picture.type_text(letter.encode_utf8(&mut [0; 4]));
                self.take(LETTER_MS)?;
            }
        }
        self.take(PAUSE_MS / 2)?;
        let commands = if self.is_wanted { self.picture.enter() } else { self.picture.type_line(line) };
        self.last = std::time::Instant::now();
        self.take(PICTURE_MS.start)?;
        Ok(commands)
    }
}
