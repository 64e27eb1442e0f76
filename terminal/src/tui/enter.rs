//! What Enter and Tab do with the line: it is sent, or a slash command is carried out or completed.

use lucid_kernel::abi::TurnOptions;

use super::export;
use super::host::{Opening, Wish};
use super::manual;
use super::slash::{self, Slash};
use super::state::{Action, MAX_QUEUED, Overlay, Pane, State};
use super::text::count;
use super::transcript::{Item, Scroll, Target, Transcript};
use crate::machine::api::Command;

/// The most pages that `/search` lists.
const FOUND_MAX: usize = 12;

impl State {
    /// Enter: opens what is chosen, takes what is offered, or does what the line says.
    pub(super) fn on_send(&mut self, actions: &mut Vec<Action>) {
        if self.editor.is_empty() {
            if let Some((number, which)) = self.talk.transcript.chosen {
                return self.open_target(number, which, actions);
            }
            if self.on_offer_enter(actions) {
                return;
            }
        }
        self.on_enter(actions);
    }

    pub(super) fn on_enter(&mut self, actions: &mut Vec<Action>) {
        let line = self.editor.text().to_owned();
        if line.trim().is_empty() {
            return;
        }
        if let Some(command) = line.trim().strip_prefix('!').map(str::trim).filter(|text| !text.is_empty()) {
            self.command = Some(command.to_owned());
            return self.leave_line(&line, actions);
        }
        match slash::parse(&line) {
            Some(Ok(command)) => {
                self.leave_line(&line, actions);
                self.on_slash(command, actions);
            }
            Some(Err(message)) => self.hint = Some(message),
            None if self.dead.is_some() => {
                self.hint = Some("nothing can be asked any more; Ctrl-C clears the line".into())
            }
            None if self.talk.queue.len() >= MAX_QUEUED => {
                self.hint = Some(format!("{MAX_QUEUED} inputs wait already; this one stays here"));
            }
            None => {
                self.leave_line(&line, actions);
                self.pass_offers(actions);
                self.submit(line, actions);
            }
        }
    }

    /// Empties the line into the history; a draft that waited behind it comes back.
    fn leave_line(&mut self, line: &str, actions: &mut Vec<Action>) {
        self.history.push(line.to_owned());
        actions.push(Action::Remember(line.to_owned()));
        let draft = self.history.leave();
        self.editor.set(draft);
        if let Some(vi) = &mut self.vi {
            vi.reset();
        }
    }

    fn on_slash(&mut self, command: Slash, actions: &mut Vec<Action>) {
        self.overlay_line = 0;
        let was = self.overlay.take();
        if let Some(command) = sent_as_it_is(&command) {
            return actions.push(Action::send(command));
        }
        match command {
            Slash::Help(of) => self.overlay = (was != Some(Overlay::Help(of))).then_some(Overlay::Help(of)),
            Slash::Memory => self.toggle_pane(Pane::Memory),
            Slash::Processes => self.toggle_pane(Pane::Processes),
            Slash::Page(page) => self.show_page(page, actions),
            Slash::Jobs => self.tell(jobs(self)),
            Slash::Background(None) => self.go_on_behind(actions),
            Slash::Background(Some(text)) => {
                let options = TurnOptions::default();
                actions.push(Action::send(Command::Background { text, options }));
            }
            Slash::Think(text) => self.think(text, actions),
            Slash::Grant(plugin, right) => actions.push(Action::Wish(Wish::Grant { plugin, right })),
            Slash::Model(None) => actions.push(Action::Wish(Wish::Models)),
            Slash::Model(Some(name)) => self.open(Opening { model: Some(name), session: None }, actions),
            Slash::Sessions(None) => {
                self.wants_sessions = true;
                actions.push(Action::Wish(Wish::Sessions));
            }
            Slash::Sessions(Some(name)) => self.open(Opening { model: None, session: Some(name) }, actions),
            Slash::Rewind(of) => self.rewind(of, actions),
            Slash::Export(format, path) => {
                let title = self.session.clone().unwrap_or_else(|| "session".into());
                let text = export::export(&self.talk.transcript, &title, format);
                let path = path.unwrap_or_else(|| format!("{title}.{}", format.extension()));
                actions.push(Action::Wish(Wish::Write { path, text }));
            }
            Slash::Copy(is_code) => match copied(&self.talk.transcript, is_code) {
                Some(text) => {
                    self.hint = Some(format!("copied {}", count(text.chars().count() as u64, "character")));
                    actions.push(Action::Copy(text));
                }
                None => self.hint = Some("there is nothing to copy yet".into()),
            },
            Slash::Mount(path) => {
                self.offers_mount = false;
                self.offers.retain(|offer| !offer.is_mount());
                actions.push(Action::send(Command::Mount { path }));
            }
            Slash::Mounts => self.tell(mount_list(self)),
            Slash::Quit => actions.push(Action::Leave),
            _ => {}
        }
    }

    pub(super) fn show_page(&mut self, page: lucid_kernel::abi::PageId, actions: &mut Vec<Action>) {
        self.overlay_line = 0;
        self.overlay = Some(Overlay::Page(page, None));
        actions.push(Action::send(Command::ShowPage { page }));
    }

    /// Opens what was chosen in the transcript.
    pub(super) fn open_target(&mut self, number: u64, which: usize, actions: &mut Vec<Action>) {
        let Some(at) = self.talk.transcript.position(number) else { return };
        match self.talk.transcript.targets(at).into_iter().nth(which) {
            Some(Target::Card) => self.talk.transcript.toggle(at),
            Some(Target::Page(page)) => self.show_page(page, actions),
            Some(Target::File(path, lines)) => actions.push(Action::Wish(Wish::Read { path, lines })),
            None => {}
        }
    }

    /// Lists the turns, or goes back to before one of them.
    fn rewind(&mut self, of: Option<usize>, actions: &mut Vec<Action>) {
        let turns = &self.talk.turns;
        let Some(number) = of else {
            let lines = turns.iter().enumerate().map(|(at, (_, asked))| format!("{}: {asked}", at + 1));
            let lines: Vec<String> = lines.collect();
            return self.tell(if lines.is_empty() {
                "there is no turn to go back to yet".into()
            } else {
                format!("{}\n/rewind N goes back to before turn N", lines.join("\n"))
            });
        };
        match (turns.get(number - 1), &self.session) {
            (Some((before, _)), Some(session)) => {
                let wish = Wish::Rewind { session: session.clone(), before: *before };
                actions.push(Action::Wish(wish));
            }
            _ => self.hint = Some(format!("there is no turn {number}; /rewind lists them")),
        }
    }

    /// Ends the machine and starts another.
    pub(super) fn open(&mut self, opening: Opening, actions: &mut Vec<Action>) {
        self.take_back_queue();
        self.take_back_turn();
        self.talk.transcript.settle();
        self.forget_machine();
        let (engine, dead) = (self.engine.take(), self.dead.take());
        if engine.is_some() || dead.is_some() {
            let fresh = super::state::Talk::default();
            let was = std::mem::replace(&mut self.talk, fresh);
            // What was said stays on the screen, though the model knows nothing of it.
            if opening.session.is_none() {
                self.talk.transcript = was.transcript;
            }
        }
        self.pid = None;
        self.session = None;
        self.others.clear();
        self.loading = Some(("starting".into(), None));
        actions.push(Action::Open(opening));
    }

    /// Shows a list at the end of the transcript.
    pub(super) fn tell(&mut self, text: String) {
        self.note(text);
        self.talk.transcript.scroll = Scroll::Follow;
    }

    pub(super) fn complete(&mut self) {
        match slash::complete(self.editor.text()) {
            Some((line, names)) => {
                if names.len() > 1 {
                    self.hint = Some(names.join("  "));
                } else if let Some(manual) = names.first().and_then(|name| manual::find(name)) {
                    self.hint = Some(manual.short.to_owned());
                }
                self.editor.set(line);
            }
            None if self.editor.text().starts_with('/') => {
                self.hint = Some("no command begins like this; /help lists them".into());
            }
            None => {}
        }
    }
}

/// The last answer, or the last code in one.
fn copied(transcript: &Transcript, is_code: bool) -> Option<String> {
    let answers = transcript.items().iter().rev().filter_map(|item| match item {
        Item::Answer(text) if !text.is_empty() => Some(text),
        _ => None,
    });
    if is_code {
        return answers.filter_map(|text| export::last_code(text)).next();
    }
    let mut answers = answers;
    answers.next().cloned()
}

fn jobs(state: &State) -> String {
    let talks = state.talks();
    let busy = talks.iter().filter(|(_, talk)| talk.turn.is_some()).map(|(pid, talk)| {
        let doing = super::status::doing(state, *pid, talk);
        format!("{pid}: {doing}: {}", talk.asked().lines().next().unwrap_or(""))
    });
    let mut lines: Vec<String> = busy.collect();
    if let Some(progress) = &state.mounting {
        lines.push(format!("mounting: {} of {} files", progress.files_done, progress.files_found));
    }
    if lines.is_empty() { "nothing is under way".into() } else { lines.join("\n") }
}

fn mount_list(state: &State) -> String {
    if state.mounts.is_empty() {
        return "nothing is mounted; /mount DIR lets answers come from the files of a folder".into();
    }
    let lines = state.mounts.iter().map(|mount| {
        let state = if mount.complete { "" } else { ", not complete: mount it again" };
        format!("{}: {}, {}{state}", mount.root, count(mount.files, "file"), count(mount.pages, "page"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What the machine is told without any change of the screen.
fn sent_as_it_is(command: &Slash) -> Option<Command> {
    Some(match command {
        Slash::Pin(page) => Command::Pin { page: *page, pinned: true },
        Slash::Unpin(page) => Command::Pin { page: *page, pinned: false },
        Slash::Evict(page) => Command::Evict { page: *page },
        Slash::Forget(page) => Command::Forget { page: *page },
        Slash::Remember(text) => Command::Remember { text: text.clone() },
        Slash::Search(query) => Command::Search { query: query.clone(), at_most: FOUND_MAX },
        Slash::Fork => Command::Fork,
        Slash::New => Command::Begin,
        Slash::Tools => Command::Tools,
        Slash::Foreground(pid) => Command::Foreground { pid: *pid },
        Slash::Kill(pid) => Command::Kill { pid: *pid },
        Slash::Unmount(path) => Command::Unmount { path: path.clone() },
        _ => return None,
    })
}
