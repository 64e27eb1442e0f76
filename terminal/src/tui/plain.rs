//! Lines instead of a screen: what happens is written once, in order, and nothing moves. For screen
//! readers, and for terminals and pipes that cannot do more.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossbeam_channel::bounded;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use lucid_kernel::abi::Pid;

use super::host::Host;
use super::state::{ASK_QUIET_MS, Msg, State};
use super::text::{clean, clean_line};
use super::transcript::{CallEnd, Item, Transcript};
use super::{Outcome, Session, Setup, items, overlay, screen};

/// So wide are lines that are laid out: lists and help.
const COLUMNS: usize = 100;
/// What has been still for so long is done with what it was told.
const SETTLED: Duration = Duration::from_millis(200);
/// Lines that may wait to be looked at.
const MAX_WAITING: usize = 64;

/// What was written so far.
#[derive(Debug, Default)]
pub struct Lines {
    pid: Option<Pid>,
    /// The number of the next item.
    next: u64,
    /// The bytes written of the answer that is being written.
    bytes: usize,
    asked: Option<lucid_kernel::abi::EffectId>,
    offered: Option<super::offers::Offer>,
    command: Option<String>,
    loading: String,
    hint: Option<String>,
    is_prompted: bool,
    /// Whether nothing more will be typed.
    is_over: bool,
    /// Whether a person types at a terminal.
    is_typed: bool,
    /// When the last line was taken or something came.
    pub(super) changed: Option<Instant>,
}

/// Reads lines and writes lines until the user leaves or the input ends.
///
/// # Errors
/// When input or output fails.
pub fn run(host: Arc<dyn Host>, setup: Setup) -> anyhow::Result<Outcome> {
    let mut session = Session::new(None, host, setup);
    session.plain = Some(Lines { is_typed: io::stdin().is_terminal(), ..Lines::default() });
    let (to, events) = bounded(MAX_WAITING);
    thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            for line in io::stdin().lock().lines() {
                if to.send(line.map(Event::Paste)).is_err() {
                    return;
                }
            }
            // The end of the input: what is under way is still awaited.
            let _ = to.send(Ok(Event::Paste("\u{4}".into())));
            // The channel stays open, or its end would be an error.
            thread::park();
        })
        .context("cannot start the thread that reads the input")?;
    let signals = screen::signals().context("cannot listen to signals")?;
    let result = session.show(&events, &signals);
    session.close();
    let outcome = Outcome { code: session.left.unwrap_or(0), declined_mount: session.state.declined };
    result.map(|()| outcome)
}

impl Session {
    /// A line was typed: a question or an offer is answered by its first letter.
    pub(super) fn on_line(&mut self, line: &str) -> anyhow::Result<()> {
        if line == "\u{4}" {
            if let Some(plain) = &mut self.plain {
                plain.is_over = true;
            }
            return Ok(());
        }
        if let Some(plain) = &mut self.plain {
            plain.is_prompted = false;
        }
        // Who answers in lines has read the question.
        self.state.last_key_ms = self.state.now_ms.saturating_sub(ASK_QUIET_MS);
        let mut letters = line.trim().chars();
        let single = letters.next().filter(|_| letters.next().is_none());
        let is_asked = !self.state.questions.is_empty() || self.state.command.is_some();
        if let Some(letter) = single.filter(|_| is_asked || self.state.offers.front().is_some()) {
            return self.press(KeyCode::Char(letter), KeyModifiers::NONE);
        }
        if line.trim().is_empty() {
            return self.press(KeyCode::Enter, KeyModifiers::NONE);
        }
        self.update(Msg::Paste(line.to_owned()))?;
        self.state.finder = None;
        self.press(KeyCode::Enter, KeyModifiers::NONE)?;
        // What was not taken stands above as it was typed, and cannot be gone on with.
        self.state.editor.take();
        Ok(())
    }

    /// Whether something is under way, or has been until a moment ago: the next line of a pipe waits for
    /// its end, and so does leaving at the end of the input.
    pub(super) fn is_settling(&self) -> bool {
        let state = &self.state;
        let Some(plain) = self.plain.as_ref().filter(|plain| !plain.is_typed) else { return false };
        // What asks the user waits for a line.
        let is_asked = !state.questions.is_empty()
            || state.command.is_some()
            || state.offers.front().is_some_and(super::offers::Offer::is_before_start);
        let is_busy = is_busy(state)
            || state.thinking.is_some()
            || self.wishes > 0
            || ((state.loading.is_some() || state.engine.is_none()) && state.dead.is_none());
        !is_asked && (is_busy || plain.changed.is_none_or(|changed| changed.elapsed() < SETTLED))
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) -> anyhow::Result<()> {
        self.update(Msg::Key(KeyEvent::new(code, modifiers)))
    }

    /// Ctrl-C while an answer is under way.
    pub(super) fn interrupt(&mut self) -> anyhow::Result<()> {
        self.press(KeyCode::Char('c'), KeyModifiers::CONTROL)
    }

    /// Writes what is new.
    pub(super) fn write_lines(&mut self) -> anyhow::Result<()> {
        let Some(mut plain) = self.plain.take() else { return Ok(()) };
        let mut out = String::new();
        plain.write(&mut self.state, &mut out);
        let state = &self.state;
        if plain.is_typed && !plain.is_prompted && !is_busy(state) {
            out.push_str("> ");
            plain.is_prompted = true;
        }
        let is_over = plain.is_over;
        self.plain = Some(plain);
        let works_behind = self.state.others.values().any(|talk| talk.turn.is_some());
        if is_over
            && self.left.is_none()
            && (self.state.dead.is_some() || !(works_behind || self.is_settling()))
        {
            self.left = Some(self.state.dead.unwrap_or(0));
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()).context("cannot write")
    }
}

/// Whether something is under way that was asked for here.
fn is_busy(state: &State) -> bool {
    state.talk.turn.is_some() || !state.talk.queue.is_empty() || state.mounting.is_some()
}

impl Lines {
    fn write(&mut self, state: &mut State, out: &mut String) {
        if let Some((what, _)) = &state.loading
            && *what != self.loading
        {
            self.say(&clean_line(what), out);
            what.clone_into(&mut self.loading);
        }
        if self.pid != state.pid {
            if let Some(was) = self.pid.and_then(|was| state.others.get(&was)) {
                // What came there before the other one was gone to.
                self.write_items(&was.transcript, state, out);
                // What is new in the other one is what is added from now on, and its last words.
                let transcript = &state.talk.transcript;
                self.next = transcript.number(transcript.items().len().saturating_sub(1));
            }
            self.pid = state.pid;
            self.bytes = 0;
        }
        self.write_items(&state.talk.transcript, state, out);
        self.write_rest(state, out);
    }

    fn say(&mut self, line: &str, out: &mut String) {
        if std::mem::take(&mut self.is_prompted) {
            // What comes while a prompt stands there begins a line of its own.
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
    }

    /// Writes the items that are new and will not change, and of an answer that comes its whole lines.
    fn write_items(&mut self, transcript: &Transcript, state: &State, out: &mut String) {
        while let Some(at) = transcript.position(self.next) {
            let Some(item) = transcript.items().get(at) else { break };
            if let (Item::Answer(text), true) = (item, transcript.is_open(at)) {
                let whole = text.rfind('\n').map_or(0, |end| end + 1);
                if whole > self.bytes {
                    self.say(clean(&text[self.bytes..whole]).trim_end_matches('\n'), out);
                    self.bytes = whole;
                }
                break;
            }
            if matches!(item, Item::Call(card) if card.end.is_none()) {
                break;
            }
            let text = item_text(item, self.bytes, state);
            if !text.is_empty() {
                self.say(&text, out);
            }
            self.next += 1;
            self.bytes = 0;
        }
    }

    /// What is shown for a while on a screen: questions, offers, lists, help.
    fn write_rest(&mut self, state: &mut State, out: &mut String) {
        let mut say = |text: String| {
            out.push_str(&text);
            out.push('\n');
        };
        if state.overlay.is_some() && overlay::is_whole(state) {
            let (title, lines) = overlay::content(state, COLUMNS);
            say(title.trim_end_matches(" · Esc closes").to_owned());
            lines.iter().for_each(|line| say(line.to_string().trim_end().to_owned()));
            state.overlay = None;
        }
        if std::mem::take(&mut state.panes.memory) {
            // What came or left just now is a matter of moments, and a line stays.
            state.talk.moved.clear();
            let turn = state.talk.memory.iter().map(|row| row.turn).max().unwrap_or(0);
            let rows = state.talk.memory.iter();
            rows.for_each(|row| say(super::panes::memory_row(state, row, turn, COLUMNS).to_string()));
        }
        if std::mem::take(&mut state.panes.processes) {
            for (pid, talk) in state.talks() {
                say(super::panes::process_row(state, pid, talk, COLUMNS).to_string());
            }
        }
        let question = state.questions.front();
        if self.asked != question.map(|question| question.id) {
            self.asked = question.map(|question| question.id);
            if let Some(question) = question {
                say(overlay::question_title(question, state));
                let lines = overlay::question_lines(question, state, COLUMNS);
                lines.iter().for_each(|line| say(line.to_string().trim_end().to_owned()));
                say(overlay::answers(question).to_owned());
            }
        }
        if self.offered.as_ref() != state.offers.front() {
            self.offered = state.offers.front().cloned();
            super::offers::lines(state).iter().for_each(|line| say(line.to_string()));
        }
        if self.command != state.command {
            self.command.clone_from(&state.command);
            if let Some(command) = &state.command {
                say(format!("Run {}? y / n", clean_line(command)));
            }
        }
        if self.hint != state.hint {
            self.hint.clone_from(&state.hint);
            if let Some(hint) = &state.hint {
                say(clean_line(hint));
            }
        }
    }
}

/// An item in words; of an answer, what comes behind so many bytes.
fn item_text(item: &Item, bytes: usize, state: &State) -> String {
    match item {
        // It stands there as it was typed.
        Item::User(..) => String::new(),
        Item::Answer(text) => clean(text.get(bytes..).unwrap_or(text)).trim_end().to_owned(),
        Item::Call(card) => {
            let end = match &card.end {
                Some(CallEnd::Done(value, _)) => clean(value).into_owned(),
                Some(CallEnd::Failed(message)) => format!("error: {}", clean(message)),
                _ => "not finished".into(),
            };
            format!("called {}: {end}", items::call_text(&card.call))
        }
        Item::Citations(_) => format!("from:\n{}", laid_out(item, state)),
        item => laid_out(item, state),
    }
}

fn laid_out(item: &Item, state: &State) -> String {
    let lines = items::lines(item, COLUMNS, state);
    lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
