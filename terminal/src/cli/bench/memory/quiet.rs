//! An engine that reads every prompt as a real one would and answers the same few words, so that
//! what a session's memory does can be measured over hundreds of turns without waiting for answers.

use std::sync::{Arc, Mutex, PoisonError};

use lucid_kernel::abi::{Decoded, EngineInfo, StopReason, Token, Usage};
use lucid_kernel::memory::reuse::Sent;
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Engine, EngineError};
use lucid_model::request::{count, prompt};

/// What it always says.
const ANSWER: &str = "Noted.";

/// The words, the window and the chat format of a real engine, without its answers.
pub struct Quiet {
    engine: Arc<dyn Engine>,
    closes_gaps: bool,
    held: Mutex<Sent>,
}

impl Quiet {
    /// In the place of this engine, as one that keeps the beginning of a prompt alone, or can take
    /// pages out of its middle too.
    pub fn new(engine: Arc<dyn Engine>, closes_gaps: bool) -> Self {
        Self { engine, closes_gaps, held: Mutex::default() }
    }
}

impl Engine for Quiet {
    fn info(&self) -> EngineInfo {
        EngineInfo { closes_gaps: self.closes_gaps, ..self.engine.info() }
    }

    fn chat_template(&self) -> ChatTemplate {
        self.engine.chat_template()
    }

    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        self.engine.tokenize(text, special)
    }

    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        self.engine.detokenize(tokens)
    }

    fn decode(
        &self,
        request: &DecodeRequest,
        _: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError> {
        let prompt = prompt(request, self.info().n_ctx, |_| true)?;
        let tokens = self.engine.tokenize(ANSWER, false)?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = held.reused(&request.layout, self.closes_gaps) as usize;
        held.send(&request.layout);
        held.hear(&tokens.as_slice().into());
        drop(held);
        on_delta(Delta::Text(ANSWER.into()));
        let usage = Usage {
            prefilled: count(prompt.len() - reused),
            reused: count(reused),
            decoded: count(tokens.len()),
            first_token_ms: 0,
            total_ms: 0,
        };
        Ok(Decoded { tokens: tokens.into(), text: ANSWER.into(), stop: StopReason::Stop, usage })
    }
}
