//! Chooses the tokens of one answer, inside mistralrs' sampling step.
//!
//! mistralrs has one random generator for all requests, tells no token ids, and leaves the
//! last token of a sequence without keys and values in its prefix cache. So it is handed
//! logits in which only the token chosen here is possible: the ids are known exactly, a seed
//! repeats, a grammar is followed with every stop token honoured, and a sequence always ends
//! in one token that no prompt goes on with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};
use lucid_kernel::abi::{StopReason, Token};
use lucid_model::choose::{Answer, Chosen, Rules};
use mistralrs::core::CustomLogitsProcessor;

/// What the engine's thread tells the caller of `decode`.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The prompt was computed; so many of its tokens were new.
    Prefilled(usize),
    /// One more token of the answer.
    Token(Token),
    /// The answer is complete.
    Ended(StopReason),
    /// The engine has let go of the request.
    Released(Release),
}

/// How mistralrs let go of a request.
#[derive(Debug)]
pub(crate) enum Release {
    /// It finished; the sequence is in the prefix cache.
    Kept,
    /// It ended without entering the prefix cache.
    Dropped(String),
    /// The step failed; mistralrs has cleared its prefix cache.
    Cleared(String),
    /// Its thread is gone.
    Dead,
}

/// Decides at the end whether the sequence is to stay in the prefix cache; it is given how
/// many tokens were written.
pub(crate) type KeepRule = Box<dyn Fn(&[Token]) -> bool + Send + Sync>;

/// What mistralrs must know of a request besides the rules of its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) prompt_len: usize,
    /// The token that ends the sequence for mistralrs.
    pub(crate) end: Token,
}

/// The chooser of one answer.
pub(crate) struct Chooser {
    frame: Frame,
    keep: KeepRule,
    cancelled: AtomicBool,
    state: Mutex<State>,
}

struct State {
    answer: Answer,
    ended: Option<StopReason>,
    signals: Sender<Signal>,
}

impl Chooser {
    pub(crate) fn new(frame: Frame, rules: Rules, keep: KeepRule, signals: Sender<Signal>) -> Self {
        let state = State { answer: Answer::new(rules), ended: None, signals };
        Self { frame, keep, cancelled: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Ends the answer at the next token.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// The tokens chosen so far, without the end token.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answer.tokens().to_vec()
    }

    fn choose(&self, state: &mut State, logits: &mut [f32]) -> Result<Token, String> {
        if state.ended.is_some() || self.cancelled.load(Ordering::Acquire) {
            return self.finish(state, StopReason::Cancelled);
        }
        let chosen = state.answer.choose(logits)?;
        // Nobody listens any more once the caller has gone; the answer then ends by itself.
        if let Chosen::Token(token) | Chosen::Last(token, _) = chosen {
            let _ = state.signals.send(Signal::Token(token));
        }
        match chosen {
            Chosen::Token(token) => Ok(token),
            Chosen::Last(token, reason) => {
                end(state, reason);
                Ok(token)
            }
            Chosen::End(reason) => self.finish(state, reason),
        }
    }

    /// Ends the sequence: with the end token it enters the prefix cache, with an error not.
    fn finish(&self, state: &mut State, reason: StopReason) -> Result<Token, String> {
        end(state, reason);
        let kept = (self.keep)(state.answer.tokens());
        if kept { Ok(self.frame.end) } else { Err("the sequence is not kept".into()) }
    }
}

impl CustomLogitsProcessor for Chooser {
    fn apply(&self, logits: &Tensor, context: &[Token]) -> candle_core::Result<Tensor> {
        let mut values: Vec<f32> = logits.to_vec1()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.answer.tokens().is_empty() {
            // At the first token the context is only what had to be computed.
            let _ = state.signals.send(Signal::Prefilled(context.len().min(self.frame.prompt_len)));
        }
        let token = self.choose(&mut state, &mut values).map_err(candle_core::Error::Msg)?;
        drop(state);
        let slot = token as usize;
        if slot >= values.len() {
            return Err(candle_core::Error::Msg(format!("token {token} has no logit")));
        }
        values.fill(f32::NEG_INFINITY);
        values[slot] = 0.0;
        Tensor::from_vec(values, logits.shape(), &Device::Cpu)
    }
}

/// Says once that the answer is complete. One more step follows, so that the keys and values
/// of the last token are in the cache; the caller need not wait for it.
fn end(state: &mut State, reason: StopReason) {
    if state.ended.is_none() {
        state.ended = Some(reason);
        let _ = state.signals.send(Signal::Ended(reason));
    }
}
