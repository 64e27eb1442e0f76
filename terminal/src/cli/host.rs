//! What the screen has done for it outside of the machine, with the same means as the commands.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lucid_kernel::abi::{Event, Pid};
use lucid_kernel::port::{Journal, SessionInfo};

use super::session::{self, Wanted};
use super::{GoesOnArgs, ModelArgs, model, rights};
use crate::exit::Failure;
use crate::home::Home;
use crate::machine::api::PastTurn;
use crate::machine::undo::Undo;
use crate::machine::{Machine, full_path, preview, swap};
use crate::models;
use crate::settings::Settings;
use crate::tui::host::{Answer, Host, ModelRow, Opening, SessionRow, Wish};

/// The most files that can be named.
const NAMES_MAX: usize = 20_000;
/// So many sessions are listed.
const SESSIONS_MAX: usize = 20;
/// The most that a command's output is kept of, in bytes.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;
/// So long a command may run.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// Lines before and behind those of a file that are asked for.
const AROUND_LINES: usize = 5;
/// The most of a file that is read to show some of its lines, in bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The commands' means, for the screen.
pub struct ShellHost {
    /// The user's folders.
    pub home: Home,
    /// What every machine of this screen is started with.
    pub wanted: Wanted,
    /// The folder that the user is in.
    pub folder: String,
}

impl Host for ShellHost {
    fn open(&self, opening: &Opening) -> Result<Machine, Failure> {
        let mut wanted = self.wanted.clone();
        if let Some(model) = &opening.model {
            wanted.model = ModelArgs { model: Some(model.clone()), ..ModelArgs::default() };
        }
        if opening.session.is_some() {
            wanted.session.clone_from(&opening.session);
            wanted.goes_on = GoesOnArgs::default();
        }
        session::open(&self.home, &wanted)
    }

    fn carry_out(&self, wish: Wish) -> Answer {
        let done = match wish {
            Wish::Names { roots } => Ok(Answer::Names { files: self.names(&roots) }),
            Wish::Run { command } => {
                run(&command, &self.folder).map(|output| Answer::Ran { command, output })
            }
            Wish::Grant { plugin, right } => rights::granted(&self.home, &plugin, &[right], false)
                .map(|lines| Answer::Done(lines.join("\n"))),
            Wish::Models => models(&self.home).map(Answer::Models),
            Wish::Sessions => self.sessions().map(Answer::Sessions),
            Wish::Recount { session } => {
                self.recount(&session).map(|text| Answer::Recounted { session, text })
            }
            Wish::Rewind { session, before } => {
                self.rewind(&session, before).map(|(session, files)| Answer::Rewound { session, files })
            }
            Wish::Write { path, text } => self.write(&path, &text),
            Wish::Read { path, lines } => read(&path, lines),
            Wish::Picture { path } => Answer::picture(path).map_err(Failure::task),
            Wish::Use { model: name } => model::store(&self.home)
                .and_then(|store| model::choose(&self.home, &store, &name))
                .map(|chosen| Answer::Done(format!("from now on: {chosen}"))),
        };
        done.unwrap_or_else(|failure| Answer::Failed(failure.message))
    }
}

impl ShellHost {
    /// The files of the folder that the user is in, as one writes them from there, and of the mounted ones.
    fn names(&self, roots: &[String]) -> Vec<String> {
        let mut names = Vec::new();
        let is_outside = |root: &&String| !Path::new(root).starts_with(&self.folder);
        let is_too_much = super::mount::is_too_much(Path::new(&self.folder));
        let own = Some(&self.folder).filter(|_| !is_too_much);
        for root in own.into_iter().chain(roots.iter().filter(is_outside)) {
            let walk = ignore::WalkBuilder::new(root).require_git(false).build();
            for entry in walk.flatten() {
                if names.len() >= NAMES_MAX {
                    return names;
                }
                let path = entry.path();
                if entry.file_type().is_some_and(|kind| kind.is_file()) {
                    let shown = path.strip_prefix(&self.folder).unwrap_or(path).display().to_string();
                    // What has blanks in it would not be one word.
                    if !shown.contains(char::is_whitespace) {
                        names.push(shown);
                    }
                }
            }
        }
        names.sort();
        names
    }

    fn write(&self, path: &str, text: &str) -> Result<Answer, Failure> {
        let full = full_path(path, &self.folder);
        let failed = |error: std::io::Error| {
            let advice =
                if error.kind() == std::io::ErrorKind::AlreadyExists { "; name another file" } else { "" };
            Failure::task(format!("{} cannot be written: {error}{advice}", full.display()))
        };
        let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&full);
        std::io::Write::write_all(&mut file.map_err(failed)?, text.as_bytes()).map_err(failed)?;
        Ok(Answer::Done(format!("written: {}", full.display())))
    }

    fn journal(&self) -> Result<Arc<dyn Journal>, Failure> {
        session::open_journal(&self.home)
    }

    fn sessions(&self) -> Result<Vec<SessionRow>, Failure> {
        let journal = self.journal()?;
        let all = journal.sessions().map_err(failed)?;
        let mut rows = Vec::new();
        for info in all.into_iter().filter(|info| info.events > 2).take(SESSIONS_MAX) {
            let events = journal.load(&info.session).map_err(failed)?;
            rows.push(session_row(&info, &events));
        }
        Ok(rows)
    }

    /// What was said in the conversation of a session that was spoken to last, in Markdown.
    fn recount(&self, session: &str) -> Result<String, Failure> {
        let events = self.journal()?.load(session).map_err(failed)?;
        let told = swap::replay(&events);
        let pid = told.kernel.spoken_to().unwrap_or(Pid(1));
        let turns = told.past.0.get(&pid).map_or(&[][..], Vec::as_slice);
        let one = |turn: &PastTurn| {
            let answer = turn.report.as_ref().map_or("", |report| &report.answer);
            format!("User: {}\n\nAnswer: {answer}\n", turn.asked)
        };
        Ok(turns.iter().map(one).collect::<Vec<_>>().join("\n"))
    }

    /// Begins a session with the first events of another one, and takes back what tools changed after them.
    fn rewind(&self, session: &str, before: u64) -> Result<(String, Vec<String>), Failure> {
        let journal = self.journal()?;
        let events = journal.load(session).map_err(failed)?;
        let (name, now_ms) = session::new_name();
        journal.begin(&name, &self.folder, now_ms).map_err(failed)?;
        for (number, event) in (0..before).zip(&events) {
            journal.append(&name, number, event).map_err(failed)?;
        }
        // Effects are numbered as they come: those of the calls since are the ones behind.
        let kept = swap::replay(&events[..events.len().min(before as usize)]);
        let of = |session: &str| Undo::of(&self.home.undo_dir(), session);
        let next = kept.kernel.next_effect();
        let lines = of(session).take_back(next);
        of(session).hand_on(&of(&name), next);
        Ok((name, lines))
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::config(error.to_string())
}

fn session_row(info: &SessionInfo, events: &[Event]) -> SessionRow {
    let mut asked = events.iter().filter_map(|event| match event {
        Event::Input { content, .. } => Some(&content.text),
        _ => None,
    });
    SessionRow {
        name: info.session.clone(),
        began: began(info.began_ms),
        folder: info.folder.clone(),
        turns: asked.clone().count(),
        asked: asked.next_back().map_or_else(String::new, |text| preview(text)),
    }
}

/// How long ago it was, for a person.
fn began(began_ms: u64) -> String {
    let began = UNIX_EPOCH + Duration::from_millis(began_ms);
    let minutes = began.elapsed().map_or(0, |since| since.as_secs() / 60);
    match minutes {
        0 => "just now".into(),
        1..60 => format!("{minutes} min ago"),
        60..2_880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}

/// The models that can be had, the best for this machine marked.
pub fn models(home: &Home) -> Result<Vec<ModelRow>, Failure> {
    let listed = model::store(home)?.list().map_err(failed)?;
    let settings = Settings::load(home)?;
    let auto = models::choose(&models::Machine::probe());
    let chosen = if settings.model == models::AUTO { auto.name } else { settings.model.as_str() };
    let row = |listed: models::Listed| ModelRow {
        is_chosen: listed.name == chosen,
        size: listed.bytes.map_or_else(|| "?".into(), super::out::bytes),
        is_here: listed.state == models::State::Here,
        about: listed.entry.map_or_else(String::new, |entry| entry.about.to_owned()),
        name: listed.name,
    };
    Ok(listed.into_iter().filter(|listed| listed.name != models::EMBEDDER).map(row).collect())
}

/// Some lines of a file, with what stands around them.
fn read(path: &str, (first, last): (u32, u32)) -> Result<Answer, Failure> {
    let failed = |error: std::io::Error| Failure::task(format!("{path} cannot be read: {error}"));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes);
    let from = (first as usize).saturating_sub(1 + AROUND_LINES);
    let lines = text.lines().enumerate().skip(from).take(last as usize + AROUND_LINES - from);
    let shown = lines.map(|(at, line)| {
        let is_meant = (first as usize..=last as usize).contains(&(at + 1));
        format!("{}{:>5}  {line}", if is_meant { ">" } else { " " }, at + 1)
    });
    let text = shown.collect::<Vec<_>>().join("\n");
    Ok(Answer::Text { title: format!("{path}:{first}-{last}"), text })
}

/// Runs a command of the user's own: what it wrote, and how it ended where that was no success.
fn run(command: &str, folder: &str) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::task(format!("{command} cannot be run: {error}"));
    let mut out = tempfile::tempfile().map_err(failed)?;
    let shell = std::env::var_os("SHELL").filter(|_| cfg!(unix)).unwrap_or_else(|| "sh".into());
    let mut shell = Command::new(shell);
    shell.arg("-c").arg(command).current_dir(folder).stdin(Stdio::null());
    shell.stdout(out.try_clone().map_err(failed)?).stderr(out.try_clone().map_err(failed)?);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut shell, 0);
    let mut child = shell.spawn().map_err(failed)?;
    let until = std::time::Instant::now() + COMMAND_TIMEOUT;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break Some(status);
        }
        if std::time::Instant::now() >= until {
            end(&mut child);
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    std::io::Seek::rewind(&mut out).map_err(failed)?;
    let mut bytes = Vec::new();
    (&mut out).take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(status) if status.success() => {}
        Some(status) => text.push_str(&format!("\n({status})")),
        None => text.push_str(&format!("\n(ended after {} s)", COMMAND_TIMEOUT.as_secs())),
    }
    Ok(text)
}

/// Ends a command and all that it started.
fn end(child: &mut std::process::Child) {
    #[cfg(unix)]
    {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// A session that did not end as it should, with what was asked last in it: of this folder, the newest.
pub fn cut_off(home: &Home, folder: &str) -> Option<(String, String)> {
    let journal = session::open_journal(home).ok()?;
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(home.open_sessions_dir()).ok()?.flatten() {
        let file = std::fs::File::open(entry.path()).ok()?;
        // One that is held is under way elsewhere.
        if file.try_lock().is_err() {
            continue;
        }
        let is_here = std::fs::read_to_string(entry.path()).is_ok_and(|of| of == folder);
        if is_here {
            found.push(entry.file_name().to_string_lossy().into_owned());
            // It is offered once.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    found.sort();
    found.into_iter().rev().find_map(|name| {
        let events = journal.load(&name).ok()?;
        let asked = events.iter().rev().find_map(|event| match event {
            Event::Input { content, .. } => Some(preview(&content.text)),
            _ => None,
        });
        asked.map(|asked| (name, asked))
    })
}
