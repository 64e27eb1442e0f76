//! The choice of an answer's tokens, one after another, from the logits that a model gives:
//! sampling, grammar, stop tokens and the token limit, the same for every engine.

use std::sync::Arc;

use llguidance::Matcher;
use lucid_kernel::abi::{Sampling, StopReason, Token};

use crate::draw::draw;

/// What an answer must keep to.
pub struct Rules {
    /// At most this many tokens; at least 1.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// The grammar, at its beginning.
    pub matcher: Option<Matcher>,
    /// Tokens with which the model ends its answer.
    pub stop: Arc<[Token]>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// This token, then more.
    Token(Token),
    /// This token, and no more.
    Last(Token, StopReason),
    /// No more.
    End(StopReason),
}

/// An answer that is being written.
pub struct Answer {
    rules: Rules,
    tokens: Vec<Token>,
}

impl Answer {
    /// An answer without tokens.
    pub const fn new(rules: Rules) -> Self {
        Self { rules, tokens: Vec::new() }
    }

    /// The tokens chosen so far. Stop tokens are not among them.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Chooses the next token from the logits of the whole vocabulary, of which those that the
    /// grammar forbids are lost. The same logits at the same position give the same token.
    ///
    /// # Errors
    /// A reason, when the grammar fails or no token is possible.
    pub fn choose(&mut self, logits: &mut [f32]) -> Result<Chosen, String> {
        let position = self.tokens.len();
        let Rules { matcher, sampling, stop, .. } = &mut self.rules;
        let token = match matcher {
            None => draw(logits, *sampling, position),
            Some(matcher) if matcher.is_stopped() => return Ok(Chosen::End(StopReason::Stop)),
            Some(matcher) => draw_within(matcher, stop, logits, *sampling, position)?,
        };
        let token = token.ok_or("no token is possible here")?;
        if stop.contains(&token) {
            return Ok(Chosen::End(StopReason::Stop));
        }
        self.take(token)
    }

    /// Takes a token as if it had been chosen.
    fn take(&mut self, token: Token) -> Result<Chosen, String> {
        self.tokens.push(token);
        if let Some(matcher) = &mut self.rules.matcher {
            matcher.consume_token(token).map_err(|e| failed(&e))?;
            if matcher.is_stopped() {
                return Ok(Chosen::Last(token, StopReason::Stop));
            }
        }
        if self.tokens.len() >= self.rules.max_tokens {
            return Ok(Chosen::Last(token, StopReason::Limit));
        }
        Ok(Chosen::Token(token))
    }

    /// Takes the tokens of which the grammar leaves no choice, so that the model need not be
    /// asked for them.
    ///
    /// # Errors
    /// A reason, when the grammar fails.
    pub fn forced(&mut self) -> Result<Vec<Chosen>, String> {
        let Some(matcher) = self.rules.matcher.as_mut().filter(|matcher| !matcher.is_stopped()) else {
            return Ok(Vec::new());
        };
        let mut taken = Vec::new();
        for token in matcher.compute_ff_tokens() {
            let chosen = self.take(token)?;
            taken.push(chosen);
            if matches!(chosen, Chosen::Last(..)) {
                break;
            }
        }
        Ok(taken)
    }
}

fn failed(reason: &dyn std::fmt::Display) -> String {
    format!("the grammar failed: {reason}")
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
    let may_end = matcher.is_accepting().map_err(|e| failed(&e))?;
    if sampling.temperature <= 0.0 {
        // The likeliest token is mostly allowed; then the mask need not be made.
        let Some(token) = draw(logits, sampling, position) else { return Ok(None) };
        let allowed = if stop.contains(&token) {
            may_end
        } else {
            matcher.validate_tokens(&[token]).map_err(|e| failed(&e))? == 1
        };
        if allowed {
            return Ok(Some(token));
        }
    }
    let mask = matcher.compute_mask().map_err(|e| failed(&e))?;
    for (id, logit) in (0..).zip(logits.iter_mut()) {
        let allowed =
            if stop.contains(&id) { may_end } else { (id as usize) < mask.len() && mask.is_allowed(id) };
        if !allowed {
            *logit = f32::NEG_INFINITY;
        }
    }
    Ok(draw(logits, sampling, position))
}
