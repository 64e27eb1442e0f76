//! Chooses the tokens of one answer, inside mistralrs' sampling step.
//!
//! mistralrs has one random generator for all requests, tells no token ids, and leaves the
//! last token of a sequence without keys and values in its prefix cache. So it is handed
//! logits in which only the token chosen here is possible: the ids are known exactly, a seed
//! repeats, a grammar is followed with every stop token honoured, and a sequence always ends
//! in one token that no prompt goes on with.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Tensor};
use lucid_kernel::abi::{Sampling, StopReason, Token};
use mistralrs::core::CustomLogitsProcessor;
use mistralrs::core::llguidance::Matcher;

use crate::draw::draw;

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

/// What one answer must keep to.
pub(crate) struct Rules {
    pub(crate) prompt_len: usize,
    pub(crate) max_tokens: usize,
    pub(crate) sampling: Sampling,
    pub(crate) matcher: Option<Matcher>,
    /// Tokens with which the model ends its answer.
    pub(crate) stop: Arc<[Token]>,
    /// The token that ends the sequence for mistralrs.
    pub(crate) end: Token,
}

/// Decides at the end whether the sequence is to stay in the prefix cache; it is given how
/// many tokens were written.
pub(crate) type KeepRule = Box<dyn Fn(&[Token]) -> bool + Send + Sync>;

/// The chooser of one answer.
pub(crate) struct Chooser {
    prompt_len: usize,
    max_tokens: usize,
    sampling: Sampling,
    stop: Arc<[Token]>,
    end: Token,
    keep: KeepRule,
    cancelled: AtomicBool,
    state: Mutex<State>,
}

struct State {
    matcher: Option<Matcher>,
    tokens: Vec<Token>,
    ended: Option<StopReason>,
    signals: Sender<Signal>,
}

impl Chooser {
    pub(crate) fn new(rules: Rules, keep: KeepRule, signals: Sender<Signal>) -> Self {
        Self {
            prompt_len: rules.prompt_len,
            max_tokens: rules.max_tokens,
            sampling: rules.sampling,
            stop: rules.stop,
            end: rules.end,
            keep,
            cancelled: AtomicBool::new(false),
            state: Mutex::new(State { matcher: rules.matcher, tokens: Vec::new(), ended: None, signals }),
        }
    }

    /// Ends the answer at the next token.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// The tokens chosen so far, without the end token.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).tokens.clone()
    }

    fn choose(&self, state: &mut State, logits: &mut [f32]) -> Result<Token, String> {
        if state.ended.is_some() || self.cancelled.load(Ordering::Acquire) {
            return self.finish(state, StopReason::Cancelled);
        }
        let position = state.tokens.len();
        let token = match &mut state.matcher {
            None => draw(logits, self.sampling, position),
            Some(matcher) if matcher.is_stopped() => return self.finish(state, StopReason::Stop),
            Some(matcher) => draw_within(matcher, &self.stop, logits, self.sampling, position)?,
        };
        let token = token.ok_or("no token is possible here")?;
        if self.stop.contains(&token) {
            return self.finish(state, StopReason::Stop);
        }
        state.tokens.push(token);
        // Nobody listens any more once the caller has gone; the answer then ends by itself.
        let _ = state.signals.send(Signal::Token(token));
        if let Some(matcher) = &mut state.matcher {
            matcher.consume_token(token).map_err(|e| format!("the grammar failed: {e}"))?;
            if matcher.is_stopped() {
                end(state, StopReason::Stop);
                return Ok(token);
            }
        }
        if state.tokens.len() >= self.max_tokens {
            end(state, StopReason::Limit);
        }
        Ok(token)
    }

    /// Ends the sequence: with the end token it enters the prefix cache, with an error not.
    fn finish(&self, state: &mut State, reason: StopReason) -> Result<Token, String> {
        end(state, reason);
        if (self.keep)(&state.tokens) { Ok(self.end) } else { Err("the sequence is not kept".into()) }
    }
}

impl CustomLogitsProcessor for Chooser {
    fn apply(&self, logits: &Tensor, context: &[Token]) -> candle_core::Result<Tensor> {
        let mut values: Vec<f32> = logits.to_vec1()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.tokens.is_empty() {
            // At the first token the context is only what had to be computed.
            let _ = state.signals.send(Signal::Prefilled(context.len().min(self.prompt_len)));
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

/// Draws a token that the grammar allows here. Where the grammar may end, every stop token
/// is allowed.
fn draw_within(
    matcher: &mut Matcher,
    stop: &[Token],
    logits: &mut [f32],
    sampling: Sampling,
    position: usize,
) -> Result<Option<Token>, String> {
    let failed = |e| format!("the grammar failed: {e}");
    let may_end = matcher.is_accepting().map_err(failed)?;
    if sampling.temperature <= 0.0 {
        // The likeliest token is mostly allowed; then the mask need not be made.
        let Some(token) = draw(logits, sampling, position) else { return Ok(None) };
        let allowed = if stop.contains(&token) {
            may_end
        } else {
            matcher.validate_tokens(&[token]).map_err(failed)? == 1
        };
        if allowed {
            return Ok(Some(token));
        }
    }
    let mask = matcher.compute_mask().map_err(failed)?;
    for (id, logit) in (0..).zip(logits.iter_mut()) {
        let allowed =
            if stop.contains(&id) { may_end } else { (id as usize) < mask.len() && mask.is_allowed(id) };
        if !allowed {
            *logit = f32::NEG_INFINITY;
        }
    }
    Ok(draw(logits, sampling, position))
}
