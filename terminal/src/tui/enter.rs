//! What Enter and Tab do with the line: it is sent, or a slash command is carried out or completed.

use super::slash::{self, Slash};
use super::state::{Action, MAX_QUEUED, Overlay, State};
use super::text::count;
use super::transcript::Scroll;
use crate::machine::api::Command;

impl State {
    pub(super) fn on_enter(&mut self, actions: &mut Vec<Action>) {
        let line = self.editor.text().to_owned();
        if line.trim().is_empty() {
            return;
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
            None if self.queue.len() >= MAX_QUEUED => {
                self.hint = Some(format!("{MAX_QUEUED} inputs wait already; this one stays here"));
            }
            None => {
                self.leave_line(&line, actions);
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
    }

    fn on_slash(&mut self, command: Slash, actions: &mut Vec<Action>) {
        self.overlay_line = 0;
        let was = self.overlay.take();
        if let Some(command) = memory_command(&command) {
            // What becomes of the page is seen there.
            self.overlay = was.filter(|overlay| *overlay == Overlay::Memory);
            return actions.push(send(command));
        }
        match command {
            Slash::Help => self.overlay = (was != Some(Overlay::Help)).then_some(Overlay::Help),
            Slash::Memory => self.overlay = (was != Some(Overlay::Memory)).then_some(Overlay::Memory),
            Slash::Page(page) => {
                self.overlay = Some(Overlay::Page(page, None));
                actions.push(send(Command::ShowPage { page }));
            }
            Slash::Pin(_) | Slash::Unpin(_) | Slash::Evict(_) | Slash::Forget(_) => {}
            Slash::Remember(text) => actions.push(send(Command::Remember { text })),
            Slash::Fork => actions.push(send(Command::Fork)),
            Slash::Tools => actions.push(send(Command::Tools)),
            Slash::Conversations => actions.push(send(Command::Conversations)),
            Slash::Foreground(pid) => actions.push(send(Command::Foreground { pid })),
            Slash::Mount(path) => {
                self.offer = false;
                actions.push(send(Command::Mount { path }));
            }
            Slash::Unmount(path) => actions.push(send(Command::Unmount { path })),
            Slash::Mounts => {
                let text = mount_list(self);
                self.note(text);
                self.transcript.scroll = Scroll::Follow;
            }
            Slash::Quit => actions.push(Action::Leave),
        }
    }

    pub(super) fn complete(&mut self) {
        match slash::complete(self.editor.text()) {
            Some((line, names)) => {
                if names.len() > 1 {
                    self.hint = Some(names.join("  "));
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

fn send(command: Command) -> Action {
    Action::Send(Box::new(command))
}

/// What moves one page of memory.
const fn memory_command(command: &Slash) -> Option<Command> {
    match *command {
        Slash::Pin(page) => Some(Command::Pin { page, pinned: true }),
        Slash::Unpin(page) => Some(Command::Pin { page, pinned: false }),
        Slash::Evict(page) => Some(Command::Evict { page }),
        Slash::Forget(page) => Some(Command::Forget { page }),
        _ => None,
    }
}
