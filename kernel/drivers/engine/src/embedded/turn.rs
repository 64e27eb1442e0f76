//! One request at a time: how it reaches the engine, what is heard of it, and how the book
//! of cached sequences is kept while it runs.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use lucid_kernel::abi::{StopReason, Token};
use lucid_kernel::port::{CancelFlag, Delta, EngineError};
use lucid_model::choose::Rules;
use lucid_model::text::TextStream;

use super::{Mistralrs, lock, sequence};
use crate::chooser::{Chooser, Frame, KeepRule, Release, Signal};
use crate::ledger::Match;
use crate::runner::{Runner, discard};

/// How often a waiting `decode` looks at its cancel flag.
const CANCEL_POLL: Duration = Duration::from_millis(10);
/// Fewer new tokens than this say little about the prefill speed.
const MIN_RATE_TOKENS: usize = 16;
/// Tokens of an answer that are counted in advance when the room in the cache is checked.
const ANSWER_HEADROOM_TOKENS: usize = 512;

/// What only one `decode` at a time may touch.
pub(super) struct Session {
    pub(super) runner: Option<Runner>,
    /// The last request, until the engine has let go of it.
    pub(super) last: Option<Running>,
    pub(super) rebuilds: u32,
}

/// A request that the engine has.
pub(super) struct Running {
    pub(super) prompt: Arc<[Token]>,
    pub(super) found: Match,
    pub(super) chooser: Arc<Chooser>,
    pub(super) signals: Receiver<Signal>,
}

/// What came of listening to a request.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) tokens: Vec<Token>,
    pub(super) text: String,
    pub(super) prefilled: Option<usize>,
    pub(super) first_token: Option<Duration>,
}

impl Mistralrs {
    /// Takes the session, unless it is cancelled first.
    pub(super) fn session(&self, cancel: &CancelFlag) -> Option<MutexGuard<'_, Session>> {
        loop {
            match self.session.try_lock() {
                Ok(session) => return Some(session),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if cancel.is_cancelled() => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(CANCEL_POLL),
            }
        }
    }

    /// Waits until the engine has let go of the last request and books what it kept. False
    /// when it was cancelled first.
    pub(super) fn wait_released(&self, session: &mut Session, cancel: &CancelFlag) -> bool {
        while let Some(last) = &session.last {
            match last.signals.recv_timeout(CANCEL_POLL) {
                Ok(Signal::Released(release)) => self.book(session, release),
                Ok(_) => (),
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => return false,
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => self.book(session, Release::Dead),
            }
        }
        true
    }

    pub(super) fn book(&self, session: &mut Session, release: Release) {
        let Some(last) = session.last.take() else { return };
        let tokens = sequence(&last.prompt, &last.chooser.tokens(), self.model.end);
        let mut ledger = lock(&self.ledger);
        match release {
            Release::Kept => ledger.insert(tokens, last.found),
            Release::Dropped(_) => (),
            Release::Cleared(_) => ledger.clear(),
            Release::Dead => {
                ledger.clear();
                drop(ledger);
                if let Some(runner) = session.runner.take() {
                    discard(runner);
                }
            }
        }
    }

    /// Empties the cache when this prompt would carry it over its limit: mistralrs cannot let
    /// single sequences go. Says what of the prompt is then expected to be reused.
    pub(super) fn make_room(
        &self,
        session: &mut Session,
        tokens: usize,
        prompt: &[Token],
    ) -> Result<Match, EngineError> {
        let ledger = lock(&self.ledger);
        let found = ledger.find(prompt);
        let fits = ledger.has_room_for(tokens, found);
        drop(ledger);
        if session.runner.is_some() && fits {
            return Ok(found);
        }
        if session.runner.as_ref().is_some_and(Runner::clear_cache) {
            session.rebuilds += 1;
        } else {
            if let Some(runner) = session.runner.take() {
                runner.stop()?;
                session.rebuilds += 1;
            }
            session.runner = Some(Runner::start(&self.model.pipeline)?);
        }
        let mut ledger = lock(&self.ledger);
        ledger.clear();
        Ok(ledger.find(prompt))
    }

    /// Hands a prompt to the engine and says what of it is expected to be reused.
    pub(super) fn submit(
        &self,
        session: &mut Session,
        prompt: Arc<[Token]>,
        rules: Rules,
        keep: KeepRule,
    ) -> Result<Match, EngineError> {
        let tokens = prompt.len() + rules.max_tokens.min(ANSWER_HEADROOM_TOKENS);
        let found = self.make_room(session, tokens, &prompt)?;
        let runner =
            session.runner.as_ref().ok_or_else(|| EngineError::Failed("the engine is not running".into()))?;
        let (sender, signals) = mpsc::channel();
        let max_tokens = rules.max_tokens;
        let frame = Frame { prompt_len: prompt.len(), end: self.model.end };
        let chooser = Arc::new(Chooser::new(frame, rules, keep, sender.clone()));
        runner.submit(prompt.to_vec(), max_tokens, frame.end, Arc::clone(&chooser), sender)?;
        session.last = Some(Running { prompt, found, chooser, signals });
        Ok(found)
    }

    /// Listens to the running request until its answer is complete or cancelled.
    pub(super) fn listen(
        &self,
        session: &mut Session,
        cancel: &CancelFlag,
        submitted: Instant,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<(Heard, StopReason), EngineError> {
        let (mut heard, mut stream) = (Heard::default(), TextStream::default());
        let mut show = |heard: &mut Heard, text: String| {
            if !text.is_empty() {
                heard.text.push_str(&text);
                on_delta(Delta::Text(text));
            }
        };
        let stop = loop {
            let Some(last) = &session.last else {
                return Err(EngineError::Failed("the engine let go of the request".into()));
            };
            if cancel.is_cancelled() {
                last.chooser.cancel();
                break StopReason::Cancelled;
            }
            match last.signals.recv_timeout(CANCEL_POLL) {
                Err(RecvTimeoutError::Timeout) => (),
                Ok(Signal::Prefilled(new)) => {
                    heard.prefilled = Some(new);
                    self.note_rate(new, submitted.elapsed());
                }
                Ok(Signal::Token(token)) => {
                    heard.first_token.get_or_insert_with(|| submitted.elapsed());
                    heard.tokens.push(token);
                    let text = stream.push(&self.model.vocabulary.bytes_of(token));
                    show(&mut heard, text);
                }
                Ok(Signal::Ended(reason)) => break reason,
                Ok(Signal::Released(release)) => return Err(self.broken(session, release)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.broken(session, Release::Dead)),
            }
        };
        show(&mut heard, stream.finish());
        Ok((heard, stop))
    }

    /// The engine let go of a request before its answer was complete.
    pub(super) fn broken(&self, session: &mut Session, release: Release) -> EngineError {
        let reason = match &release {
            Release::Kept => "the answer ended without a reason".to_owned(),
            Release::Dropped(reason) | Release::Cleared(reason) => reason.clone(),
            Release::Dead => "its thread ended; it starts anew with the next question".to_owned(),
        };
        self.book(session, release);
        EngineError::Failed(format!("mistralrs: {reason}"))
    }

    pub(super) fn note_rate(&self, tokens: usize, took: Duration) {
        if tokens >= MIN_RATE_TOKENS && !took.is_zero() {
            let tokens = f32::from(u16::try_from(tokens).unwrap_or(u16::MAX));
            self.prefill_rate.store((tokens / took.as_secs_f32()).to_bits(), Ordering::Relaxed);
        }
    }
}
