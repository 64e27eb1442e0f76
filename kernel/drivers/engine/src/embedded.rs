//! The embedded engine: mistralrs in this process.

mod turn;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Decoded, EngineInfo, Grammar, Sampling, StopReason, Token, Usage};
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Engine, EngineError};
use lucid_model::choose::Rules;
use lucid_model::grammar::compile;
use lucid_model::llguidance::Matcher;
use lucid_model::load::{LoadOptions, LoadProgress, ModelSpec};
use lucid_model::request::{count, millis, prompt};

use self::turn::{Heard, Session};
use crate::chooser::KeepRule;
use crate::ledger::Ledger;
use crate::load::{Loaded, load};
use crate::runner::{DEVICE_CACHED_SEQUENCES, Runner, discard};

/// Tokens of the prompt with which the prefill speed is measured after loading.
const MEASURE_TOKENS: usize = 16;
/// What mistralrs keeps of earlier sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus {
    /// Cached sequences.
    pub sequences: usize,
    /// Their memory, in bytes.
    pub bytes: u64,
    /// The most it may become, in bytes.
    pub limit_bytes: u64,
    /// How often the cache was emptied because the limit was near.
    pub rebuilds: u32,
}

/// A model that runs in this process.
///
/// One answer is decoded at a time; a second `decode` waits. A cancelled one returns at once,
/// while the engine stops at its next token or at the end of the prefill; the next `decode`
/// waits for that.
pub struct Mistralrs {
    model: Loaded,
    name: String,
    ledger: Arc<Mutex<Ledger>>,
    session: Mutex<Session>,
    /// Prefill speed in tokens a second, as the bits of an `f32`; 0 when not measured.
    prefill_rate: AtomicU32,
}

impl Mistralrs {
    /// Loads a model and starts the engine. Takes seconds; `on_progress` is told the steps.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the model is missing, damaged or of a kind that mistralrs
    /// does not know; [`EngineError::Failed`] when the engine does not start.
    pub fn load(
        spec: &ModelSpec,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, EngineError> {
        let model = load(spec, options, on_progress)?;
        on_progress(LoadProgress::Starting);
        let runner = Runner::start(&model.pipeline)?;
        let limit_bytes = options.cache_bytes();
        let at_most = (!model.on_cpu).then_some(DEVICE_CACHED_SEQUENCES);
        let ledger = Arc::new(Mutex::new(Ledger::new(model.kv_bytes_per_token, limit_bytes, at_most)));
        let engine = Self {
            model,
            name: spec.name.clone(),
            ledger,
            session: Mutex::new(Session { runner: Some(runner), last: None, rebuilds: 0 }),
            prefill_rate: AtomicU32::new(0),
        };
        if options.measure {
            on_progress(LoadProgress::Measuring);
            engine.measure()?;
        }
        Ok(engine)
    }

    /// What the engine keeps of earlier sequences. Waits while an answer is decoded.
    pub fn cache_status(&self) -> CacheStatus {
        let mut session = lock(&self.session);
        let at_once = CancelFlag::new();
        at_once.cancel();
        self.wait_released(&mut session, &at_once);
        let rebuilds = session.rebuilds;
        let ledger = lock(&self.ledger);
        CacheStatus {
            sequences: ledger.len(),
            bytes: ledger.bytes(),
            limit_bytes: ledger.limit_bytes(),
            rebuilds,
        }
    }

    /// Tokens that end an answer of this model.
    pub fn stop_tokens(&self) -> &[Token] {
        &self.model.stop
    }

    /// Computes a short prompt once to know the prefill speed. Nothing of it is kept.
    fn measure(&self) -> Result<(), EngineError> {
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(MEASURE_TOKENS);
        let mut prompt = self.model.vocabulary.tokenize(&text, false)?;
        prompt.truncate(MEASURE_TOKENS.min(self.model.n_ctx.saturating_sub(1) as usize));
        let rules = self.rules(1, Sampling::default(), None);
        let mut session = lock(&self.session);
        let cancel = CancelFlag::new();
        self.submit(&mut session, prompt.into(), rules, Box::new(|_| false))?;
        self.listen(&mut session, &cancel, Instant::now(), &mut |_| ())?;
        self.wait_released(&mut session, &cancel);
        Ok(())
    }

    fn rules(&self, max_tokens: usize, sampling: Sampling, matcher: Option<Matcher>) -> Rules {
        Rules { max_tokens, sampling, matcher, stop: Arc::clone(&self.model.stop) }
    }

    fn matcher(&self, grammar: &Grammar) -> Result<Matcher, EngineError> {
        let factory = self
            .model
            .grammars
            .as_ref()
            .ok_or_else(|| EngineError::Grammar("this model cannot be held to one".into()))?;
        compile(factory, grammar)
    }

    /// Whether a finished sequence is to stay in mistralrs' cache.
    fn keep_rule(&self, prompt: &Arc<[Token]>) -> KeepRule {
        let (ledger, prompt, end) = (Arc::clone(&self.ledger), Arc::clone(prompt), self.model.end);
        Box::new(move |written| {
            let ledger = lock(&ledger);
            let tokens = sequence(&prompt, written, end);
            ledger.pays(&tokens, ledger.find(&prompt))
        })
    }
}

impl Engine for Mistralrs {
    fn info(&self) -> EngineInfo {
        let rate = f32::from_bits(self.prefill_rate.load(Ordering::Relaxed));
        EngineInfo {
            engine: "mistralrs".into(),
            model: self.name.clone(),
            n_ctx: self.model.n_ctx,
            architecture: self.model.architecture.clone(),
            prefill_tokens_per_s: (rate > 0.0).then_some(rate),
            host: None,
            closes_gaps: false,
            slots: 1,
        }
    }

    fn chat_template(&self) -> ChatTemplate {
        self.model.template.clone()
    }

    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        self.model.vocabulary.tokenize(text, special)
    }

    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        self.model.vocabulary.detokenize(tokens)
    }

    fn decode(
        &self,
        request: &DecodeRequest,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError> {
        let started = Instant::now();
        let prompt = prompt(request, self.model.n_ctx, |token| self.model.vocabulary.contains(token))?;
        let matcher = request.grammar.as_ref().map(|grammar| self.matcher(grammar)).transpose()?;
        let prompt_len = prompt.len();
        let nothing = |reason| decoded(Heard::default(), reason, (0, 0), started, Duration::ZERO);
        if request.max_tokens == 0 {
            return Ok(nothing(StopReason::Limit));
        }
        let Some(mut session) = self.session(cancel) else {
            return Ok(nothing(StopReason::Cancelled));
        };
        if !self.wait_released(&mut session, cancel) {
            return Ok(nothing(StopReason::Cancelled));
        }
        let rules = self.rules(request.max_tokens as usize, request.sampling, matcher);
        let keep = self.keep_rule(&prompt);
        let found = self.submit(&mut session, prompt, rules, keep)?;
        let submitted = Instant::now();
        let expected = (prompt_len - found.reused, found.reused);
        on_delta(Delta::Prefill { prefilled: count(expected.0), reused: count(expected.1) });
        let (heard, reason) = self.listen(&mut session, cancel, submitted, on_delta)?;
        let prefilled = heard.prefilled.unwrap_or(expected.0);
        let waited = submitted.duration_since(started);
        Ok(decoded(heard, reason, (prefilled, prompt_len - prefilled), started, waited))
    }

    fn settle(&self) {
        let mut session = lock(&self.session);
        self.wait_released(&mut session, &CancelFlag::new());
    }
}

impl Drop for Mistralrs {
    fn drop(&mut self) {
        let session = self.session.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &session.last {
            last.chooser.cancel();
        }
        if let Some(runner) = session.runner.take() {
            discard(runner);
        }
    }
}

fn decoded(
    heard: Heard,
    stop: StopReason,
    (prefilled, reused): (usize, usize),
    started: Instant,
    waited: Duration,
) -> Decoded {
    let total = started.elapsed();
    Decoded {
        usage: Usage {
            prefilled: count(prefilled),
            reused: count(reused),
            decoded: count(heard.tokens.len()),
            first_token_ms: millis(heard.first_token.map_or(total, |first| first + waited)),
            total_ms: millis(total),
        },
        tokens: heard.tokens.into(),
        text: heard.text.into(),
        stop,
    }
}

/// The tokens under which mistralrs caches a finished sequence.
fn sequence(prompt: &[Token], written: &[Token], end: Token) -> Vec<Token> {
    prompt.iter().chain(written).copied().chain([end]).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
