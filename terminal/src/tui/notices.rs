//! What the screen does with what the machine says.

use std::fmt::Write as _;

use lucid_kernel::abi::{Call, EffectId, PageId, Pid, SourcePage, ToolSpec, TurnEnd, TurnReport};
use lucid_kernel::port::{Delta, MountReport, Skip};

use super::state::{Action, Cost, Overlay, Question, State};
use super::text::{count, seconds, thousands};
use super::transcript::{Item, Scroll, Transcript};
use crate::machine::api::{ConversationRow, Notice, PageRow};

impl State {
    pub(super) fn on_notice(&mut self, notice: Notice, actions: &mut Vec<Action>) {
        match notice {
            Notice::Loading { what, part } => self.loading = Some((what, part)),
            Notice::Ready { engine, pid, load_ms, .. } => {
                self.pid = Some(pid);
                let window = thousands(engine.n_ctx);
                let load = seconds(load_ms);
                self.note(format!(
                    "{} is ready after {load}; its window holds {window} tokens",
                    engine.model
                ));
                self.engine = Some(engine);
                self.loading = None;
                self.send_next(actions);
            }
            Notice::Dead { message, code } => self.die(&message, code),
            Notice::Taken => {
                if let Some(turn) = &mut self.turn {
                    turn.taken = true;
                }
            }
            Notice::Refused { message, .. } => {
                self.take_back_turn();
                self.transcript.push(Item::Error(message));
                self.send_next(actions);
            }
            Notice::Stopping(stopping) => self.stopping = stopping,
            Notice::Ended { report, .. } => self.on_ended(&report, actions),
            Notice::Failed { message } => {
                self.mounting = None;
                self.transcript.push(Item::Error(message));
            }
            notice => self.on_progress(notice),
        }
    }

    /// What comes in the middle of a turn, and what was asked for beside it.
    fn on_progress(&mut self, notice: Notice) {
        match notice {
            Notice::Paged { pages } if !self.is_deaf() && !pages.is_empty() => {
                self.transcript.push(Item::Paged(pages));
            }
            Notice::Delta { delta, .. } if !self.is_deaf() => self.on_delta(delta),
            Notice::Retract if !self.is_deaf() => self.transcript.retract(),
            Notice::Calling { id, call } => self.on_calling(id, call),
            Notice::Returned { id, result } => {
                self.transcript.returned(id, &result);
                if let Some(turn) = &mut self.turn {
                    turn.calling.retain(|of| of.0 != id);
                    turn.told = turn.told.take().filter(|told| told.0 != id);
                }
            }
            Notice::Progress { id, message, done } => {
                let turn = self.turn.as_mut();
                if let Some(turn) = turn.filter(|turn| turn.calling.iter().any(|of| of.0 == id)) {
                    turn.told = Some((id, message, done));
                }
            }
            Notice::Ask { id, call, reason, wants, preview } => {
                if self.questions.is_empty() {
                    self.overlay_line = 0;
                    // A key that was on its way must not answer what was not yet read.
                    self.last_key_ms = self.now_ms;
                }
                self.questions.push_back(Question { id, call, reason, wants, preview });
            }
            Notice::Memory(rows) => self.memory = rows,
            Notice::Foreground { pid, of } => self.on_foreground(pid, of),
            Notice::Conversations(rows) => {
                self.note(conversation_list(&rows));
                self.transcript.scroll = Scroll::Follow;
            }
            Notice::Tools { change } => self.note(change),
            Notice::ToolList(tools) => {
                self.note(tool_list(&tools));
                self.transcript.scroll = Scroll::Follow;
            }
            Notice::Page(id, page) => self.on_page(id, page),
            Notice::Remembered { page, text } => {
                self.transcript.push(Item::Note(format!("remembered as {page}: {text}")));
            }
            Notice::Forgotten { page, text } => {
                self.transcript.push(Item::Note(format!("{page} is forgotten: {text}")));
            }
            Notice::Mounts(mounts) => {
                self.mounts = mounts;
                self.offer &= !self.mounts.iter().any(|mount| mount.root == self.folder);
            }
            Notice::MountProgress(progress) => self.mounting = Some(progress),
            Notice::Mounted(report) => {
                self.mounting = None;
                self.note(mounted(&report));
            }
            _ => {}
        }
    }

    /// After a cancel the screen no longer listens to the turn.
    fn is_deaf(&self) -> bool {
        self.turn.as_ref().is_none_or(|turn| turn.cancelled)
    }

    fn on_delta(&mut self, delta: Delta) {
        let Some(turn) = &mut self.turn else { return };
        match delta {
            Delta::Prefill { prefilled, reused } => turn.prefill = Some((prefilled, reused)),
            Delta::Text(text) => self.transcript.write(&text),
        }
    }

    fn on_calling(&mut self, id: EffectId, call: Call) {
        self.transcript.close();
        if let Some(turn) = &mut self.turn {
            turn.calling.push((id, call.tool.clone()));
        }
        self.questions.retain(|question| question.id != id);
        self.transcript.push(Item::Call { id, call, end: None });
    }

    fn on_page(&mut self, id: PageId, page: Option<Box<(PageRow, SourcePage)>>) {
        let Some(Overlay::Page(wanted, slot)) = &mut self.overlay else { return };
        if *wanted != id {
            return;
        }
        if page.is_some() {
            *slot = page;
        } else {
            self.overlay = None;
            self.transcript.push(Item::Error(format!("there is no page {id}; /mem lists what is in memory")));
        }
    }

    fn on_ended(&mut self, report: &TurnReport, actions: &mut Vec<Action>) {
        let was_cancelled = self.turn.take().is_some_and(|turn| turn.cancelled);
        self.questions.clear();
        self.stopping &= was_cancelled || report.end == TurnEnd::Cancelled;
        if !was_cancelled && !report.answer.is_empty() {
            self.transcript.answer(&report.answer);
        }
        self.transcript.settle();
        if !was_cancelled {
            if !report.citations.is_empty() {
                self.transcript.push(Item::Citations(report.citations.clone()));
            }
            match &report.end {
                TurnEnd::Answered => {}
                TurnEnd::Cut => self.note("the answer was cut: it reached its limit of tokens"),
                TurnEnd::Cancelled => self.note("cancelled"),
                TurnEnd::Failed(fault) => self.transcript.push(Item::Error(fault.to_string())),
            }
        }
        self.cost = Some(Cost { usage: report.usage, resident: report.resident, budget: report.budget });
        self.send_next(actions);
    }

    /// The screen shows another conversation from now on; what was on it is kept for a return.
    fn on_foreground(&mut self, pid: Pid, of: Option<Pid>) {
        let Some(was) = self.pid.replace(pid).filter(|was| *was != pid) else { return };
        let shown = (self.transcript.clone(), self.cost);
        if of == Some(was) {
            self.note(format!("this is {pid} now, which knows all that {was} does; /fg {was} goes back"));
        } else {
            let (transcript, cost) = self.others.remove(&pid).unwrap_or_else(|| {
                let mut transcript = Transcript::default();
                transcript.push(Item::Welcome);
                (transcript, None)
            });
            (self.transcript, self.cost) = (transcript, cost);
            self.note(format!("this is {pid} again"));
        }
        self.others.insert(was, shown);
        self.transcript.scroll = Scroll::Follow;
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.transcript.push(Item::Note(text.into()));
    }
}

/// A line for each tool, and one for each right that it would ask for.
fn tool_list(tools: &[ToolSpec]) -> String {
    if tools.is_empty() {
        return "there are no tools here".into();
    }
    let lines = tools.iter().flat_map(|tool| {
        let asks = tool.wants.iter().map(|want| format!("    asks before it may {}", want.words));
        std::iter::once(format!("{}: {}", tool.name, tool.description)).chain(asks)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line for each conversation.
fn conversation_list(rows: &[ConversationRow]) -> String {
    let lines = rows.iter().map(|row| {
        let current = if row.current { " (this one)" } else { "" };
        let of = row.of.map_or_else(String::new, |of| format!(", forked from {of}"));
        let (pages, shared) = row.pages;
        let turns = count(row.turns, "turn");
        let asked = if row.asked.is_empty() { String::new() } else { format!(": {}", row.asked) };
        format!("{}{current}: {turns}, {}, {shared} shared{of}{asked}", row.pid, count(pages as u64, "page"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// One line on what a mount did.
fn mounted(report: &MountReport) -> String {
    let verb = if report.cancelled { "mounting was stopped; so far" } else { "mounted" };
    let mut out =
        format!("{verb} {}: {}, {}", report.root, count(report.files, "file"), count(report.pages, "page"));
    let skipped: Vec<String> = report
        .skipped
        .iter()
        .filter(|(_, files)| *files > 0)
        .map(|(why, files)| format!("{} {}", thousands(*files), reason(*why)))
        .collect();
    // Writing into a String cannot fail.
    if !skipped.is_empty() {
        let _ = write!(out, "; skipped {}", skipped.join(", "));
    }
    for (why, path) in &report.examples {
        let _ = write!(out, "\n  {}: {path}", reason(*why));
    }
    out
}

fn reason(why: Skip) -> &'static str {
    match why {
        Skip::Binary => "not text",
        Skip::TooLarge => "too large",
        Skip::Hidden => "hidden",
        Skip::Ignored => "ignored",
        Skip::Secret => "likely secret",
        Skip::Unreadable => "unreadable",
        Skip::Changed => "changed while read",
    }
}
