//! Conversations: how they begin beside each other, are spoken to in turn, and end.

use std::collections::BTreeMap;

use lucid_kernel::abi::{Event, Pid, TurnOptions};

use super::super::api::{Beginning, Notice, PastTurn};
use super::super::pages;
use super::super::work::Job;
use super::{Live, Machine};
use crate::exit::Failure;
use crate::machine::preview;

impl Machine {
    /// Lets what is said from now on go to another conversation; what the first one does goes on.
    pub(super) fn foreground(&mut self, pid: Pid) {
        let Some(live) = &mut self.live else { return };
        if !live.kernel.processes().contains_key(&pid) {
            return drop(self.tell_failed(&format!("there is no conversation {pid}; /ps lists them")));
        }
        live.pid = pid;
        self.tell(Notice::Foreground { pid, begun: None });
        self.tell_memory(None);
        self.show_digest();
    }

    /// A conversation began. What is said from now on goes to it, unless it began in the background.
    pub(super) fn spawned(&mut self, pid: Pid, of: Option<Pid>) {
        let Some(live) = &mut self.live else { return };
        if let Some(of) = of {
            if let Some(digest) = live.digests.get(&of).cloned() {
                live.digests.insert(pid, digest);
            }
            // Behind what leaves the other one's window, which is on its way to swap.
            live.workers.send(Job::Fork { of, pid });
        }
        if let Some(text) = self.behind.take() {
            self.tell(Notice::Background { pid, text });
        } else {
            live.pid = pid;
            let begun = Some(of.map_or(Beginning::Fresh, Beginning::ForkOf));
            self.tell(Notice::Foreground { pid, begun });
        }
    }

    /// Begins a conversation that knows nothing yet.
    pub(super) fn begin_another(&mut self) {
        match self.spawn() {
            Some(Ok(event)) => self.apply(event),
            Some(Err(failure)) => drop(self.tell_failed(&failure.message)),
            None => drop(self.tell_failed("the model is not loaded yet; try again when it is")),
        }
    }

    /// The event by which one begins, told what the first one was told; none before the model is loaded.
    fn spawn(&self) -> Option<Result<Event, Failure>> {
        let live = self.live.as_ref()?;
        let config = live.kernel.config()?;
        let begin = || {
            let (system, tools) = self.instructions(live.engine.as_ref(), live.tools.as_ref(), config)?;
            let core = self.core_pages(live.engine.as_ref(), live.kernel.next_page().0 + 1)?;
            Ok(Event::Spawn { system, tools, core })
        };
        Some(begin())
    }

    /// Says something in a conversation of its own, and goes on with the current one.
    pub(super) fn background(&mut self, text: String, options: TurnOptions) {
        let Some(live) = &self.live else {
            return drop(self.tell_failed("the model is not loaded yet; try again when it is"));
        };
        let is_idle = live.kernel.processes().get(&live.pid).is_some_and(|process| process.is_idle());
        let known: Vec<Pid> = live.kernel.processes().keys().copied().collect();
        let begins = if is_idle { Some(Ok(Event::Fork { pid: live.pid })) } else { self.spawn() };
        self.behind = Some(text.clone());
        match begins {
            Some(Ok(event)) => self.apply(event),
            Some(Err(failure)) => drop(self.tell_failed(&failure.message)),
            None => {}
        }
        // One that did not begin was refused, which the user has been told.
        self.behind = None;
        let begun = self
            .live
            .as_ref()
            .and_then(|live| live.kernel.processes().keys().copied().find(|pid| !known.contains(pid)));
        if begun.is_some() {
            self.input(begun, &text, Vec::new(), &[], options);
        }
    }

    /// Ends a conversation, at the end of its turn if one is under way, which is cancelled.
    pub(super) fn kill(&mut self, pid: Pid) {
        let Some(live) = &self.live else { return };
        let Some(process) = live.kernel.processes().get(&pid) else {
            return drop(self.tell_failed(&format!("there is no conversation {pid}; /ps lists them")));
        };
        if live.kernel.processes().len() == 1 {
            let message = format!("{pid} is the only conversation; Esc ends its turn, /quit leaves");
            return drop(self.tell_failed(&message));
        }
        let is_idle = process.is_idle();
        self.ending.insert(pid);
        if is_idle {
            self.end_killed();
        } else {
            self.apply(Event::Cancel { pid });
        }
    }

    /// Ends the conversations that are to end and are between turns.
    pub(super) fn end_killed(&mut self) {
        let is_idle = |live: &Live, pid: &Pid| {
            live.kernel.processes().get(pid).is_some_and(|process| process.is_idle())
        };
        while let Some(live) = &self.live {
            let Some(pid) = self.ending.iter().copied().find(|pid| is_idle(live, pid)) else { return };
            self.ending.remove(&pid);
            self.apply(Event::Exit { pid });
            let Some(live) = &mut self.live else { return };
            if live.kernel.processes().contains_key(&pid) {
                continue;
            }
            live.digests.remove(&pid);
            let next = (live.pid == pid).then(|| live.kernel.spoken_to()).flatten();
            if let Some(next) = next {
                self.foreground(next);
            }
            self.tell(Notice::Killed { pid });
        }
    }

    /// Searches the mounted folders, beside all else.
    pub(super) fn search(&mut self, query: String, at_most: usize) {
        let Some(disk) = self.setup.disk.clone() else {
            return drop(self.tell_failed("there is no index to search"));
        };
        let (notices, roots) = (self.notices.clone(), self.setup.roots.clone());
        std::thread::spawn(move || {
            let notice = match disk.search(&query, &roots, at_most) {
                Ok(hits) => Notice::Found { query, hits },
                Err(error) => Notice::Failed { message: error.to_string() },
            };
            drop(notices.send(notice));
        });
    }

    pub(super) fn tell_conversations(&self) {
        if let Some(live) = &self.live {
            let rows = pages::conversations(&live.kernel, live.pid, &live.previews);
            self.tell(Notice::Conversations(rows));
        }
    }

    /// What was said before this session went on.
    pub(super) fn tell_past(&mut self, past: BTreeMap<Pid, Vec<PastTurn>>) {
        if let Some(live) = self.live.as_mut().filter(|_| !past.is_empty()) {
            for process in live.kernel.processes().values() {
                for page in process.table().iter() {
                    if let Some(content) = process.table().content(page.id) {
                        let words = || preview(&content.text);
                        live.previews.entry(page.id).or_insert_with(words);
                    }
                }
            }
        }
        for (pid, turns) in past {
            self.tell(Notice::Past { pid, turns });
        }
    }
}
