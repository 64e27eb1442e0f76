//! A smaller model with the same tokens, which drafts for a larger one.

use std::num::NonZeroU32;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use lucid_kernel::abi::Token;

use crate::load::{LOADING, backend};
use crate::vocabulary::native;

/// Tokens that are computed at a time.
const BATCH_TOKENS: usize = 256;
/// A draft ends before a token of which the smaller model is less sure than this.
const SURE: f32 = 0.6;
/// So many of the tokens of a draft are taken to be right when it is reckoned whether drafts can
/// pay: what is reported for models of one family.
const RIGHT: f64 = 0.8;
/// The draft with which that is reckoned, in tokens.
const RECKONED_TOKENS: usize = 4;
/// The prompt after which it stands, in tokens.
const RECKONED_PROMPT_TOKENS: u32 = 32;

/// The smaller model and what it has read.
pub(crate) struct Small<'m> {
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    cells: usize,
    tokens: Vec<Token>,
}

impl<'m> Small<'m> {
    pub(crate) fn new(model: &'m LlamaModel, cells: u32, threads: i32) -> Result<Self, String> {
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(cells))
            .with_n_batch(BATCH_TOKENS as u32)
            .with_n_ubatch(BATCH_TOKENS as u32)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_no_perf(true);
        let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        let context = model
            .new_context(backend()?, params)
            .map_err(|error| format!("the model that drafts cannot start: {error}"))?;
        Ok(Self {
            context,
            batch: LlamaBatch::new(BATCH_TOKENS, 1),
            cells: cells as usize,
            tokens: Vec::new(),
        })
    }

    /// What it would say after these tokens: at most so many more, fewer where it is not sure. A
    /// draft that cannot be made is an empty one.
    pub(crate) fn write(&mut self, said: &[Token], most: usize) -> Vec<Token> {
        let mut written = Vec::new();
        if said.is_empty() || said.len() + most > self.cells || self.read(said).is_none() {
            return written;
        }
        while written.len() < most {
            let Some((token, share)) = self.likeliest() else { break };
            if share < SURE {
                break;
            }
            written.push(token);
            if written.len() < most && self.read(&[said, &written].concat()).is_none() {
                break;
            }
        }
        written
    }

    /// Reads what it has not read yet of these tokens, so that the logits of the last one are there.
    fn read(&mut self, said: &[Token]) -> Option<()> {
        let same = self.tokens.iter().zip(said).take_while(|(a, b)| a == b).count().min(said.len() - 1);
        self.tokens.truncate(same);
        self.context.clear_kv_cache_seq(Some(0), u32::try_from(same).ok(), None).ok()?;
        for chunk in said[same..].chunks(BATCH_TOKENS) {
            self.batch.clear();
            for (row, token) in chunk.iter().enumerate() {
                let place = i32::try_from(self.tokens.len() + row).ok()?;
                self.batch.add(native(*token), place, &[0], row + 1 == chunk.len()).ok()?;
            }
            if self.context.decode(&mut self.batch).is_err() {
                self.tokens.clear();
                self.context.clear_kv_cache();
                return None;
            }
            self.tokens.extend_from_slice(chunk);
        }
        Some(())
    }

    /// The likeliest next token and its share of all.
    fn likeliest(&self) -> Option<(Token, f32)> {
        let logits = self.context.get_logits_ith(self.batch.n_tokens() - 1);
        let (token, best) = (0..).zip(logits).max_by(|(_, a), (_, b)| a.total_cmp(b))?;
        let all: f32 = logits.iter().map(|logit| (logit - best).exp()).sum();
        Some((token, all.recip()))
    }

    /// How long it takes to read so many more tokens at once. The quickest of a few times: the
    /// first step of all is slower.
    fn step(&mut self, more: usize) -> Option<Duration> {
        let said: Vec<Token> = (100..100 + RECKONED_PROMPT_TOKENS).collect();
        let longer = [said.as_slice(), &said[..more]].concat();
        let mut quickest = None;
        for _ in 0..3 {
            self.read(&said)?;
            let began = Instant::now();
            self.read(&longer)?;
            let took = began.elapsed();
            quickest = Some(quickest.map_or(took, |before: Duration| before.min(took)));
        }
        quickest
    }
}

/// By how much the drafts of a smaller model can speed decoding up on this machine: below 1 they
/// cost more than they win.
pub(crate) fn gain(model: &LlamaModel, small: &LlamaModel, threads: i32) -> Option<f64> {
    let seconds = |model, more| {
        let mut reader = Small::new(model, RECKONED_PROMPT_TOKENS * 2, threads).ok()?;
        reader.step(more).map(|took| took.as_secs_f64())
    };
    let (one, several) = (seconds(model, 1)?, seconds(model, RECKONED_TOKENS + 1)?);
    let drafted = RECKONED_TOKENS as f64;
    Some((1.0 + RIGHT * drafted) * one / (several + drafted * seconds(small, 1)?))
}

/// Whether two models have the same tokens, so that one can draft for the other.
pub(crate) fn same_tokens(one: &LlamaModel, other: &LlamaModel) -> bool {
    let piece = |model: &LlamaModel, token| model.vocab().token_to_piece(native(token), true, None);
    let size = Token::try_from(one.n_vocab().min(other.n_vocab())).unwrap_or(0);
    // Models of one family differ in how many tokens at the end stand for nothing.
    (0..size).all(|token| piece(one, token) == piece(other, token))
}
