//! The engine: requests to the thread that computes, and what is heard of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use llama_cpp_2::model::LlamaModel;
use lucid_kernel::abi::{Decoded, EngineInfo, Segment, StopReason, Token, TokenCount, Usage};
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Engine, EngineError};
use lucid_model::choose::Rules;
use lucid_model::grammar::compile;
use lucid_model::load::{LoadOptions, LoadProgress, ModelSpec};
use lucid_model::request::{count, millis, prompt};
use lucid_model::text::TextStream;

use crate::load::{load, load_small};
use crate::small::gain;
use crate::snapshot::Snapshots;
use crate::vocabulary::Vocabulary;
use crate::worker::{self, Job, Order, Request, SLOTS, Shared, Signal, Size, Start, shifts};

/// Tokens of the prompt with which the prefill speed is measured after loading.
const MEASURE_TOKENS: usize = 32;
/// How often a waiting `decode` looks at its cancel flag.
const CANCEL_POLL: Duration = Duration::from_millis(10);

/// What the engine keeps of earlier sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheStatus {
    /// Sequences that are kept.
    pub sequences: usize,
    /// Their tokens; what several share counts once.
    pub tokens: usize,
    /// Their memory, in bytes.
    pub bytes: u64,
    /// The memory that is there for them, in bytes.
    pub limit_bytes: u64,
}

/// A model that llama.cpp runs in this process.
///
/// Prompts are read one after another, in the order in which they were asked for; answers are
/// decoded together. A cancelled one returns at once, while the engine stops at its next token
/// or at the end of the chunk of the prompt that it computes.
pub struct LlamaCpp {
    name: String,
    vocabulary: Vocabulary,
    template: ChatTemplate,
    architecture: String,
    n_ctx: TokenCount,
    stop: Arc<[Token]>,
    /// None once it is being dropped.
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

impl LlamaCpp {
    /// Loads a model and starts the engine. Takes seconds; `on_progress` is told the steps.
    ///
    /// # Errors
    /// [`EngineError::Load`] when the model is missing, damaged, larger than the free memory or
    /// of a kind that llama.cpp does not know.
    pub fn load(
        spec: &ModelSpec,
        options: &LoadOptions,
        on_progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, EngineError> {
        let loaded = load(spec, options, on_progress)?;
        on_progress(LoadProgress::Starting);
        let failed = |reason: String| EngineError::Load { model: spec.name.clone(), reason };
        let size = Size {
            cells: loaded.n_ctx,
            threads: i32::try_from(options.threads()).unwrap_or(i32::MAX),
            vocabulary: loaded.vocabulary.size(),
            kv_bytes_per_token: loaded.kv_bytes_per_token,
            architecture: loaded.architecture.clone(),
        };
        let (orders, received) = mpsc::channel();
        let (started, has_started) = mpsc::channel();
        let snapshots = options.snapshots.as_deref().and_then(|folder| Snapshots::new(folder, &loaded.path));
        let shared = Arc::new(Shared::default());
        let small = options.draft.as_ref().map(|spec| load_small(spec, &loaded.model)).transpose();
        let small = small.map_err(failed)?;
        let (model, theirs) = (Arc::clone(&loaded.model), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("lucid-llama".into())
            .spawn(move || {
                let small = small.filter(|small| pays(&model, small, size.threads, &theirs));
                let start =
                    Start { model: &model, small: small.as_deref(), size, snapshots, shared: &theirs };
                worker::run(start, &received, &started);
            })
            .map_err(|error| failed(format!("a thread could not start: {error}")))?;
        let gone = || Err("the engine's thread ended while it started".into());
        has_started.recv().unwrap_or_else(|_| gone()).map_err(failed)?;
        let engine = Self {
            name: spec.name.clone(),
            vocabulary: loaded.vocabulary,
            template: loaded.template,
            architecture: loaded.architecture,
            n_ctx: loaded.n_ctx,
            stop: loaded.stop,
            orders: Some(orders),
            thread: Some(thread),
            shared,
        };
        if options.measure && engine.shared.prefill_rate.load(Ordering::Relaxed) == 0 {
            on_progress(LoadProgress::Measuring);
            engine.measure()?;
        }
        Ok(engine)
    }

    /// What the engine keeps of earlier sequences. Waits while an answer is decoded.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when the engine's thread has ended.
    pub fn cache_status(&self) -> Result<CacheStatus, EngineError> {
        self.ask(Order::Status)
    }

    /// Orders something that is answered, and waits for the answer.
    fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Result<T, EngineError> {
        let (answer, answered) = mpsc::channel();
        self.order(order(answer))?;
        answered.recv().map_err(|_| dead())
    }

    /// By how much the drafts of the smaller model can speed decoding up on this machine, as it was
    /// measured at the start; none when there is no such model. Below 1 it is not used.
    pub fn draft_gain(&self) -> Option<f32> {
        let gain = f32::from_bits(self.shared.draft_gain.load(Ordering::Relaxed));
        (gain > 0.0).then_some(gain)
    }

    /// Whether every token is decoded alone, from the next answer on: what forced tokens and
    /// drafts win is measured against that. The answers are the same.
    pub fn set_plain(&self, plain: bool) {
        self.shared.plain.store(plain, Ordering::Relaxed);
    }

    /// Whether what stands behind an evicted page is computed anew, from the next answer on: what
    /// moving it up wins, and costs in quality, is measured against that.
    pub fn set_rigid(&self, rigid: bool) {
        self.shared.rigid.store(rigid, Ordering::Relaxed);
    }

    /// By how much the likeliest token after a prompt leads, as the difference of its logit and
    /// the next one's. Where it is small, the choice depends on how many tokens were computed
    /// at once: steps of other sizes sum the same numbers in another order.
    ///
    /// # Errors
    /// [`EngineError::Failed`] when the prompt cannot be computed.
    pub fn lead(&self, prompt: &[Token]) -> Result<f32, EngineError> {
        self.ask(|answer| Order::Lead(prompt.into(), answer))?.map_err(EngineError::Failed)
    }

    /// Tokens that end an answer of this model.
    pub fn stop_tokens(&self) -> &[Token] {
        &self.stop
    }

    /// Computes a short prompt to know the prefill speed; the first step of all is slower.
    fn measure(&self) -> Result<(), EngineError> {
        let text = "The quick brown fox jumps over the lazy dog. ".repeat(MEASURE_TOKENS);
        let tokens = self.vocabulary.tokenize(&text, false)?;
        let most = (self.n_ctx as usize).saturating_sub(1).min(MEASURE_TOKENS);
        for part in tokens.chunks(most).take(2) {
            let rules = Rules {
                max_tokens: 1,
                sampling: lucid_kernel::abi::Sampling::default(),
                matcher: None,
                stop: Arc::clone(&self.stop),
            };
            let signals = self.submit(part.into(), 0, rules, &Arc::default())?;
            for signal in signals {
                if let Signal::Failed(reason) = signal {
                    return Err(EngineError::Failed(reason));
                }
            }
        }
        Ok(())
    }

    fn order(&self, order: Order) -> Result<(), EngineError> {
        let sent = self.orders.as_ref().map(|orders| orders.send(order).is_ok());
        if sent == Some(true) { Ok(()) } else { Err(dead()) }
    }

    fn submit(
        &self,
        prompt: Arc<[Token]>,
        boot: usize,
        rules: Rules,
        cancelled: &Arc<AtomicBool>,
    ) -> Result<Receiver<Signal>, EngineError> {
        let (sender, signals) = mpsc::channel();
        let request = Request { prompt, boot, cancelled: Arc::clone(cancelled), signals: sender };
        self.order(Order::Decode(Box::new(Job { request, rules })))?;
        Ok(signals)
    }

    /// Listens to a request until its answer is complete or cancelled.
    fn listen(
        &self,
        signals: &Receiver<Signal>,
        cancel: &CancelFlag,
        heard: &mut Heard,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<StopReason, EngineError> {
        loop {
            if cancel.is_cancelled() {
                return Ok(StopReason::Cancelled);
            }
            match signals.recv_timeout(CANCEL_POLL) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(dead()),
                Ok(Signal::Prefill { new, reused }) => {
                    (heard.prefilled, heard.reused) = (new, reused);
                    on_delta(Delta::Prefill { prefilled: count(new), reused: count(reused) });
                }
                Ok(Signal::Token(token)) => {
                    heard.first_token.get_or_insert_with(|| heard.began.elapsed());
                    heard.tokens.push(token);
                    let text = heard.stream.push(&self.vocabulary.bytes_of(token));
                    heard.show(text, on_delta);
                }
                Ok(Signal::Ended(reason)) => return Ok(reason),
                Ok(Signal::Failed(reason)) => return Err(EngineError::Failed(reason)),
            }
        }
    }
}

/// Whether a smaller model's drafts can pay on this machine. It is let go of where they cannot.
fn pays(model: &LlamaModel, small: &LlamaModel, threads: i32, shared: &Shared) -> bool {
    let gain = gain(model, small, threads).unwrap_or(0.0);
    shared.draft_gain.store((gain as f32).to_bits(), Ordering::Relaxed);
    gain > 1.0
}

/// What was heard of a request so far.
struct Heard {
    began: Instant,
    tokens: Vec<Token>,
    stream: TextStream,
    text: String,
    prefilled: usize,
    reused: usize,
    first_token: Option<Duration>,
}

impl Heard {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            tokens: Vec::new(),
            stream: TextStream::default(),
            text: String::new(),
            prefilled: 0,
            reused: 0,
            first_token: None,
        }
    }

    fn show(&mut self, text: String, on_delta: &mut dyn FnMut(Delta)) {
        if !text.is_empty() {
            self.text.push_str(&text);
            on_delta(Delta::Text(text));
        }
    }

    fn decoded(self, stop: StopReason) -> Decoded {
        let total = self.began.elapsed();
        Decoded {
            usage: Usage {
                prefilled: count(self.prefilled),
                reused: count(self.reused),
                decoded: count(self.tokens.len()),
                first_token_ms: millis(self.first_token.unwrap_or(total)),
                total_ms: millis(total),
            },
            tokens: self.tokens.into(),
            text: self.text.into(),
            stop,
        }
    }
}

impl Engine for LlamaCpp {
    fn info(&self) -> EngineInfo {
        let rate = f32::from_bits(self.shared.prefill_rate.load(Ordering::Relaxed));
        EngineInfo {
            engine: "llama.cpp".into(),
            model: self.name.clone(),
            n_ctx: self.n_ctx,
            architecture: self.architecture.clone(),
            prefill_tokens_per_s: (rate > 0.0).then_some(rate),
            host: None,
            closes_gaps: shifts(&self.architecture),
            slots: SLOTS as u32,
        }
    }

    fn chat_template(&self) -> ChatTemplate {
        self.template.clone()
    }

    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        self.vocabulary.tokenize(text, special)
    }

    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        self.vocabulary.detokenize(tokens)
    }

    fn decode(
        &self,
        request: &DecodeRequest,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError> {
        let mut heard = Heard::new();
        let prompt = prompt(request, self.n_ctx, |token| self.vocabulary.contains(token))?;
        let matcher = match &request.grammar {
            Some(grammar) => Some(compile(self.vocabulary.grammars()?, grammar)?),
            None => None,
        };
        if request.max_tokens == 0 {
            return Ok(heard.decoded(StopReason::Limit));
        }
        let rules = Rules {
            max_tokens: request.max_tokens as usize,
            sampling: request.sampling,
            matcher,
            stop: Arc::clone(&self.stop),
        };
        let cancelled = Arc::new(AtomicBool::new(false));
        let signals = self.submit(prompt, boot_tokens(&request.layout), rules, &cancelled)?;
        let stop = self.listen(&signals, cancel, &mut heard, on_delta);
        cancelled.store(true, Ordering::Release);
        let rest = heard.stream.finish();
        heard.show(rest, on_delta);
        Ok(heard.decoded(stop?))
    }

    fn settle(&self) {
        // An engine whose thread has ended computes nothing.
        let _ = self.ask(Order::Settle);
    }

    fn keep(&self) {
        // What cannot be kept is computed again.
        let _ = self.ask(Order::Keep);
    }

    fn forget(&self) {
        let _ = self.ask(Order::Forget);
    }
}

impl Drop for LlamaCpp {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How many tokens the layout's first page ends after: the instructions, which are the same at
/// every start. 0 when it is the only one.
fn boot_tokens(layout: &[Segment]) -> usize {
    let Some(boot) = layout.iter().position(|segment| segment.page.is_some()) else { return 0 };
    let has_more = layout[boot + 1..].iter().any(|segment| segment.page.is_some());
    if has_more { layout[..=boot].iter().map(|segment| segment.tokens.len()).sum() } else { 0 }
}

fn dead() -> EngineError {
    EngineError::Failed("llama.cpp: the engine's thread has ended; start lucid anew".into())
}
