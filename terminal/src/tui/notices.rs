//! What the screen does with what the machine says, and with what was wished.

use std::fmt::Write as _;
use std::path::Path;

use lucid_kernel::abi::{PageId, Pid, SourcePage, ToolSpec, TurnEnd, TurnReport};
use lucid_kernel::port::{Delta, Hit, MountReport, Skip};

use super::finder::Kind;
use super::host::{Answer, ModelRow, Opening, SessionRow, Wish};
use super::offers::Offer;
use super::pictures;
use super::state::{Action, Cost, Overlay, Question, Said, State, Talk};
use super::text::{count, seconds, thousands};
use super::think::Thinking;
use super::transcript::{Found, Item, Scroll};
use crate::machine::api::{Beginning, Command, ConversationRow, Notice, PageRow, PastTurn};
use crate::machine::preview;

impl State {
    pub(super) fn on_notice(&mut self, notice: Notice, actions: &mut Vec<Action>) {
        match notice {
            Notice::Loading { what, part } => self.loading = Some((what, part)),
            Notice::Ready { engine, session, pid, tools, load_ms } => {
                self.tools = tools;
                self.pid = Some(pid);
                self.session = Some(session);
                let window = thousands(engine.n_ctx);
                let load = seconds(load_ms);
                self.note(format!(
                    "{} is ready after {load}; its window holds {window} tokens",
                    engine.model
                ));
                self.engine = Some(engine);
                self.loading = None;
                actions.push(Action::send(Command::Conversations));
                self.send_next(Some(pid), actions);
            }
            Notice::Dead { message, code } => self.die(&message, code),
            Notice::Taken { pid, before } => self.on_taken(pid, before),
            Notice::Refused { pid, message, .. } => self.on_refused(pid, message, actions),
            Notice::Stopping { pid, stopping } => self.talk_of(pid).stopping = stopping,
            Notice::Ended { pid, report } => self.on_ended(pid, &report, actions),
            Notice::Failed { message } => {
                self.mounting = None;
                // One that could not begin does not end.
                self.thinking = self.thinking.take().filter(Thinking::has_begun);
                self.talk.transcript.push(Item::Error(message));
            }
            Notice::Ask { pid, id, call, reason, wants, preview } => {
                if self.questions.is_empty() {
                    self.overlay_line = 0;
                    // A key that was on its way must not answer what was not yet read.
                    self.last_key_ms = self.now_ms;
                }
                let since_ms = self.now_ms;
                self.questions.push_back(Question { pid, id, call, reason, wants, preview, since_ms });
                actions.push(Action::Ring);
            }
            Notice::Returned { pid, id, result } => {
                let talk = self.talk_of(pid);
                talk.transcript.returned(id, &result);
                if let Some(turn) = &mut talk.turn {
                    turn.calling.retain(|of| of.0 != id);
                    turn.told = turn.told.take().filter(|told| told.0 != id);
                }
                if let Ok(returned) = &result {
                    let paths = pictures::named(&returned.value);
                    paths.iter().for_each(|path| talk.transcript.push(Item::Picture(path.clone())));
                    self.wish_pictures(paths, actions);
                }
            }
            Notice::Past { pid, turns } => {
                on_past(self.talk_of(pid), &turns);
                let items = self.talk_of(pid).transcript.items().iter();
                let paths = items.filter_map(|item| match item {
                    Item::Picture(path) => Some(path.clone()),
                    _ => None,
                });
                let paths = paths.collect();
                self.wish_pictures(paths, actions);
            }
            Notice::Foreground { pid, begun } => self.on_foreground(pid, begun),
            Notice::Background { pid, text } => self.on_background(pid, &text),
            Notice::Killed { pid } => {
                self.others.remove(&pid);
                self.thinking = self.thinking.take().filter(|thinking| !thinking.is_in(pid));
                self.questions.retain(|question| question.pid != pid);
                self.note(format!("{pid} has ended"));
            }
            notice => self.on_progress(notice),
        }
    }

    /// What comes in the middle of a turn, and what was asked for beside it.
    fn on_progress(&mut self, notice: Notice) {
        let now_ms = self.now_ms;
        match notice {
            Notice::Paged { pid, pages } => {
                let talk = self.talk_of(pid);
                if !talk.is_deaf() && !pages.is_empty() {
                    talk.transcript.push(Item::Paged(pages));
                }
            }
            Notice::Delta { pid, delta } => on_delta(self.talk_of(pid), delta),
            Notice::Retract { pid } => {
                let talk = self.talk_of(pid);
                if !talk.is_deaf() {
                    talk.transcript.retract();
                }
            }
            Notice::Calling { pid, id, call, granted } => {
                self.questions.retain(|question| question.id != id);
                let talk = self.talk_of(pid);
                if let Some(turn) = talk.turn.as_mut().filter(|turn| !turn.cancelled) {
                    turn.calling.push((id, call.tool.clone()));
                }
                talk.transcript.called(id, call, granted);
            }
            Notice::Progress { pid, id, message, done } => {
                let turn = self.talk_of(pid).turn.as_mut();
                if let Some(turn) = turn.filter(|turn| turn.calling.iter().any(|of| of.0 == id)) {
                    turn.told = Some((id, message, done));
                }
            }
            Notice::Memory { pid, rows } => on_memory(self.talk_of(pid), rows, now_ms),
            notice => self.on_answered(notice),
        }
    }

    /// What was asked for beside the turns.
    fn on_answered(&mut self, notice: Notice) {
        match notice {
            Notice::Conversations(rows) => self.on_conversations(&rows),
            Notice::Tools { change, tools } => {
                self.tools = tools;
                self.note(change);
            }
            Notice::ToolList(tools) => {
                self.tools = tools.iter().map(|tool| tool.name.clone()).collect();
                self.tell(tool_list(&tools));
            }
            Notice::Found { query, hits } => self.on_found(&query, hits),
            Notice::Page(id, page) => self.on_page(id, page),
            Notice::Remembered { page, text } => self.note(format!("remembered as {page}: {text}")),
            Notice::Forgotten { page, text } => self.note(format!("{page} is forgotten: {text}")),
            Notice::Mounts(mounts) => {
                self.mounts = mounts;
                let folder = Path::new(&self.folder);
                if self.mounts.iter().any(|mount| folder.starts_with(&mount.root)) {
                    self.offers.retain(|offer| !offer.is_mount());
                } else if std::mem::take(&mut self.offers_mount) {
                    self.offers.push_back(Offer::Mount(self.is_first_start));
                }
            }
            Notice::MountProgress(progress) => self.mounting = Some(progress),
            Notice::Mounted(report) => {
                self.mounting = None;
                self.note(mounted(&report));
            }
            _ => {}
        }
    }

    /// Has pictures read that are not yet; without colours none can be drawn.
    fn wish_pictures(&self, paths: Vec<String>, actions: &mut Vec<Action>) {
        let new = paths.into_iter().filter(|path| self.theme.color && !self.pictures.contains_key(path));
        actions.extend(new.map(|path| Action::Wish(Wish::Picture { path })));
    }

    fn on_taken(&mut self, pid: Pid, before: u64) {
        let talk = self.talk_of(pid);
        if let Some(turn) = &mut talk.turn {
            turn.taken = true;
        }
        let asked = preview(talk.asked());
        talk.turns.push((before, asked));
    }

    fn on_refused(&mut self, pid: Option<Pid>, message: String, actions: &mut Vec<Action>) {
        if pid.is_none() || pid == self.pid {
            self.take_back_turn();
            self.talk.transcript.push(Item::Error(message));
        } else if let Some(pid) = pid {
            let talk = self.talk_of(pid);
            talk.turn = None;
            talk.transcript.push(Item::Error(message));
        }
        self.send_next(pid.or(self.pid), actions);
    }

    fn on_page(&mut self, id: PageId, page: Option<Box<(PageRow, SourcePage)>>) {
        if let Some(Overlay::Page(shown, slot)) = &mut self.overlay
            && *shown == id
        {
            if page.is_some() {
                *slot = page;
            } else {
                self.overlay = None;
                let message = format!("there is no page {id}; /mem lists what is in memory");
                self.talk.transcript.push(Item::Error(message));
            }
        }
    }

    fn on_ended(&mut self, pid: Pid, report: &TurnReport, actions: &mut Vec<Action>) {
        let is_current = self.pid.is_none_or(|current| current == pid);
        self.questions.retain(|question| question.pid != pid);
        let talk = self.talk_of(pid);
        let was_cancelled = talk.turn.take().is_some_and(|turn| turn.cancelled);
        talk.stopping &= was_cancelled || report.end == TurnEnd::Cancelled;
        if was_cancelled {
            talk.transcript.settle();
        } else {
            end_turn(talk, report);
        }
        talk.cost = Some(Cost { usage: report.usage, resident: report.resident, budget: report.budget });
        let thought = self.thought(pid, report, actions);
        let talk = self.talk_of(pid);
        if !is_current && !thought {
            talk.is_news = true;
            let asked = preview(talk.asked());
            let how = match &report.end {
                TurnEnd::Failed(_) => "failed",
                TurnEnd::Cancelled => "was cancelled",
                _ => "is done",
            };
            self.note(format!("{pid} {how}: {asked} (/fg {pid} shows it)"));
            actions.push(Action::Ring);
        }
        self.send_next(Some(pid), actions);
    }

    /// The screen shows another conversation from now on; what was on it is kept for a return.
    fn on_foreground(&mut self, pid: Pid, begun: Option<Beginning>) {
        let Some(was) = self.pid.replace(pid).filter(|was| *was != pid) else { return };
        let mut next = self.others.remove(&pid).unwrap_or_default();
        match begun {
            Some(Beginning::ForkOf(of)) => {
                next.transcript = self.talk.transcript.clone();
                next.turns.clone_from(&self.talk.turns);
                next.cost = self.talk.cost;
                next.of = Some(of);
                next.note(format!("this is {pid} now, which knows all that {was} does; /fg {was} goes back"));
            }
            Some(Beginning::Fresh) => {
                next.note(format!("this is {pid} now, which knows nothing yet; /fg {was} goes back"));
            }
            None => next.note(format!("this is {pid} again")),
        }
        next.is_news = false;
        next.transcript.scroll = Scroll::Follow;
        let shown = std::mem::replace(&mut self.talk, next);
        self.others.insert(was, shown);
        self.overlay = None;
    }

    /// A conversation began in the background.
    fn on_background(&mut self, pid: Pid, text: &str) {
        let (of, now_ms) = (self.pid, self.now_ms);
        let talk = self.talk_of(pid);
        talk.of = of;
        talk.transcript.push(Item::User(text.to_owned(), Vec::new()));
        talk.begin_turn(now_ms, Said { line: text.to_owned(), attached: Vec::new() });
        let what =
            if self.thinks_in(pid, text) { "thinks about it" } else { "works on it in the background" };
        self.note(format!("{pid} {what}: {}", preview(text)));
    }

    fn on_conversations(&mut self, rows: &[ConversationRow]) {
        for row in rows {
            self.talk_of(row.pid).of = row.of;
        }
    }

    fn on_found(&mut self, query: &str, hits: Vec<Hit>) {
        if hits.is_empty() {
            return self.tell(format!("nothing in the mounted folders matches {query}"));
        }
        let found = hits.into_iter().map(|hit| Found {
            path: hit.range.path.to_string(),
            lines: hit.range.lines,
            heading: hit.heading,
            text: preview(&hit.text),
        });
        self.talk.transcript.push(Item::Found(found.collect()));
        self.talk.transcript.scroll = Scroll::Follow;
    }

    /// What was wished came.
    pub(super) fn on_answer(&mut self, answer: Answer, actions: &mut Vec<Action>) {
        match answer {
            Answer::Names { files } => {
                self.files = files;
                self.renew_finder();
            }
            Answer::Ran { command, output } => {
                self.talk.transcript.ran(&command, &output);
                self.talk.transcript.scroll = Scroll::Follow;
                self.attach(format!("output of {command}"), output);
            }
            Answer::Models(models) => self.tell(model_list(&models)),
            Answer::Sessions(rows) => {
                if std::mem::take(&mut self.wants_sessions) {
                    self.tell(session_list(&rows));
                }
                self.sessions = rows;
                self.renew_finder();
            }
            Answer::Recounted { session, text } => self.attach(format!("session {session}"), text),
            Answer::Rewound { session, files } => {
                files.into_iter().for_each(|line| self.note(line));
                self.open(Opening { model: None, session: Some(session) }, actions);
            }
            Answer::Text { title, text } => {
                self.overlay_line = 0;
                self.overlay = Some(Overlay::Text(title, text));
            }
            Answer::Picture { path, picture } => {
                self.pictures.insert(path, picture);
                self.forget_lines();
            }
            Answer::Done(words) => self.note(words),
            Answer::Failed(message) => self.talk.transcript.push(Item::Error(message)),
        }
    }

    fn renew_finder(&mut self) {
        let candidates = self.nameable();
        if let Some(finder) = self.finder.as_mut().filter(|finder| matches!(finder.kind, Kind::Mention(_))) {
            finder.replace(candidates);
        }
    }
}

fn on_delta(talk: &mut Talk, delta: Delta) {
    let Some(turn) = talk.turn.as_mut().filter(|turn| !turn.cancelled) else { return };
    match delta {
        Delta::Prefill { prefilled, reused } => turn.prefill = Some((prefilled, reused)),
        Delta::Text(text) => {
            turn.pieces += 1;
            talk.transcript.write(&text);
        }
    }
}

/// Takes in what is in memory, and notes what came and what left.
fn on_memory(talk: &mut Talk, rows: Vec<PageRow>, now_ms: u64) {
    let resident = |rows: &[PageRow], page: PageId| rows.iter().any(|row| row.page == page && row.resident);
    if !talk.memory.is_empty() {
        for row in rows.iter().filter(|row| row.resident != resident(&talk.memory, row.page)) {
            talk.moved.retain(|(page, ..)| *page != row.page);
            talk.moved.push((row.page, row.resident, now_ms));
        }
    }
    talk.memory = rows;
}

fn on_past(talk: &mut Talk, turns: &[PastTurn]) {
    talk.transcript.begin_with(turns);
    talk.turns = turns.iter().map(|turn| (turn.before, preview(&turn.asked))).collect();
}

fn end_turn(talk: &mut Talk, report: &TurnReport) {
    if !report.answer.is_empty() {
        talk.transcript.answer(&report.answer);
    }
    talk.transcript.settle();
    if !report.citations.is_empty() {
        talk.transcript.push(Item::Citations(report.citations.clone()));
    }
    match &report.end {
        TurnEnd::Answered => {}
        TurnEnd::Cut => talk.note("the answer was cut: it reached its limit of tokens"),
        TurnEnd::Cancelled => talk.note("cancelled"),
        TurnEnd::Failed(fault) => talk.transcript.push(Item::Error(fault.to_string())),
    }
}

fn model_list(models: &[ModelRow]) -> String {
    let lines = models.iter().map(|model| {
        let mark = if model.is_chosen { "* " } else { "  " };
        let here = if model.is_here { "here" } else { &model.size };
        format!("{mark}{} ({here}): {}", model.name, model.about)
    });
    lines.collect::<Vec<_>>().join("\n") + "\n/model NAME goes on with another one"
}

fn session_list(rows: &[SessionRow]) -> String {
    if rows.is_empty() {
        return "there is no session of before".into();
    }
    let lines = rows.iter().map(|row| {
        let turns = count(row.turns as u64, "turn");
        format!("{}: {}, {turns}, in {}: {}", row.name, row.began, row.folder, row.asked)
    });
    lines.collect::<Vec<_>>().join("\n") + "\n/sessions NAME goes on with one"
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
