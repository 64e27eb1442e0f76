//! The thread that owns a model's context and computes what is asked for: one prompt after
//! another, and the answers to all computed prompts together, token by token.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use lucid_kernel::abi::{StopReason, Token};
use lucid_model::choose::{Answer, Chosen, Rules};

use crate::cache::{Cache, Plan, SequenceId};
use crate::draft::{Drafter, Write};
use crate::engine::CacheStatus;
use crate::load::{LOADING, backend};
use crate::small::Small;
use crate::snapshot::{self, Snapshots};
use crate::vocabulary::native;

/// Answers that are written at once.
pub(crate) const SLOTS: usize = 8;
/// Sequences that are kept at most.
const SEQUENCES_MAX: usize = 16;
/// The fewest and the most prompt tokens that are computed at a time. 128 cost 3 % of the speed
/// of 512, 64 cost 7 %, 32 cost 12 %.
const CHUNK_TOKENS: (usize, usize) = (128, 512);
/// A chunk of a prompt should take about so long: it is what a cancelled request still costs.
const CHUNK_TIME: Duration = Duration::from_millis(500);
/// More tokens of one answer than this are not computed in one step with those of others.
const SHARED_STEP_TOKENS: usize = CHUNK_TOKENS.1 / SLOTS;
/// Fewer new tokens than this say little about the prefill speed.
const MIN_RATE_TOKENS: usize = 16;
/// Architectures in which the tokens behind an evicted page may move up: answers were shown to
/// stay as good (`tests/eviction.rs`). llama.cpp ends the process where a model cannot do it.
const SHIFTING: [&str; 2] = ["llama", "qwen2"];

/// Whether pages can be taken out of the middle of a sequence of this architecture.
pub(crate) fn shifts(architecture: &str) -> bool {
    SHIFTING.contains(&architecture)
}

/// What the thread is told.
pub(crate) enum Order {
    /// Compute this.
    Decode(Box<Job>),
    /// Say what the cache holds, after all that was ordered before.
    Status(Sender<CacheStatus>),
    /// Say when nothing is computed any more that was cancelled.
    Settle(Sender<()>),
    /// Write the sequence that was computed last to disk, after all that was ordered before.
    Keep(Sender<()>),
    /// Empty the cache, after all that was ordered before.
    Forget(Sender<()>),
    /// Say how much likelier the likeliest token after this prompt is than the next, as the
    /// difference of their logits, after all that was ordered before.
    Lead(Arc<[Token]>, Sender<Result<f32, String>>),
}

/// A request, and what its answer must keep to.
pub(crate) struct Job {
    pub(crate) request: Request,
    pub(crate) rules: Rules,
}

/// A request.
pub(crate) struct Request {
    pub(crate) prompt: Arc<[Token]>,
    /// So many tokens at its front open every prompt of their kind.
    pub(crate) boot: usize,
    /// Set when nobody waits for it any more.
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) signals: Sender<Signal>,
}

impl Request {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn tell(&self, signal: Signal) {
        // Nobody listens any more once the caller has gone; the flag then ends the request.
        let _ = self.signals.send(signal);
    }
}

/// What is told of a request.
#[derive(Debug)]
pub(crate) enum Signal {
    /// So many tokens of the prompt are computed, so many are there already.
    Prefill { new: usize, reused: usize },
    /// One more token of the answer.
    Token(Token),
    /// The answer is complete.
    Ended(StopReason),
    /// It could not be computed.
    Failed(String),
}

/// What the engine and its thread both see.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Prefill speed in tokens a second, as the bits of an `f32`; 0 when not measured.
    pub(crate) prefill_rate: AtomicU32,
    /// By how much a smaller model's drafts can speed decoding up, as the bits of an `f32`; 0 when
    /// there is none.
    pub(crate) draft_gain: AtomicU32,
    /// Whether every token is decoded alone.
    pub(crate) plain: AtomicBool,
    /// Whether an evicted page has what follows it computed again, even where it need not.
    pub(crate) rigid: AtomicBool,
}

/// What the context is made for.
#[derive(Debug, Clone)]
pub(crate) struct Size {
    pub(crate) cells: u32,
    pub(crate) threads: i32,
    pub(crate) vocabulary: usize,
    pub(crate) kv_bytes_per_token: u64,
    pub(crate) architecture: String,
}

/// A model and what its thread needs besides.
pub(crate) struct Start<'m> {
    pub(crate) model: &'m LlamaModel,
    /// One that drafts for it.
    pub(crate) small: Option<&'m LlamaModel>,
    pub(crate) size: Size,
    pub(crate) snapshots: Option<Snapshots>,
    pub(crate) shared: &'m Shared,
}

/// Runs until all senders of orders are gone. Tells once whether it could start.
pub(crate) fn run(start: Start<'_>, orders: &Receiver<Order>, started: &Sender<Result<(), String>>) {
    match Worker::new(start) {
        Ok(mut worker) => {
            let _ = started.send(Ok(()));
            while worker.listen(orders) {
                worker.admit();
                worker.step();
            }
            worker.keep_rate();
        }
        Err(reason) => {
            let _ = started.send(Err(reason));
        }
    }
}

struct Worker<'m> {
    context: LlamaContext<'m>,
    small: Option<Small<'m>>,
    batch: LlamaBatch<'static>,
    cache: Cache,
    size: Size,
    /// Prompt tokens that are computed at a time.
    chunk: usize,
    /// Room for the logits of one token.
    logits: Vec<f32>,
    shared: &'m Shared,
    snapshots: Option<Snapshots>,
    waiting: VecDeque<Order>,
    running: Vec<Running>,
}

/// A request that is being computed.
struct Running {
    request: Request,
    sequence: Sequence,
    /// When its prompt was begun, and at which token.
    began: (Instant, usize),
    answer: Answer,
    drafter: Drafter,
    /// Chosen tokens that are not computed yet; none while the prompt is computed.
    next: Vec<Token>,
    /// What may come after them.
    draft: Vec<Token>,
    /// The most tokens of prompt and answer.
    room: usize,
}

/// Why an answer ends, if it does.
type Ended = Result<Option<StopReason>, String>;

/// A sequence while it is computed: what of it is in the cells.
struct Sequence {
    id: SequenceId,
    tokens: Vec<Token>,
}

impl Running {
    fn reads(&self) -> bool {
        self.sequence.tokens.len() < self.request.prompt.len()
    }
}

impl<'m> Worker<'m> {
    fn new(start: Start<'m>) -> Result<Self, String> {
        let Start { model, small, size, snapshots, shared } = start;
        let tokens = CHUNK_TOKENS.1 as u32;
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(size.cells))
            .with_n_batch(tokens)
            .with_n_ubatch(tokens)
            .with_n_seq_max(SEQUENCES_MAX as u32)
            .with_kv_unified(true)
            .with_n_threads(size.threads)
            .with_n_threads_batch(size.threads)
            .with_no_perf(true);
        let context = {
            let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
            model.new_context(backend()?, params).map_err(|error| {
                let mib = (u64::from(size.cells) * size.kv_bytes_per_token) >> 20;
                format!("a window of {} tokens ({mib} MiB) cannot be made: {error}; make it smaller with --window", size.cells)
            })?
        };
        if let Some(rate) = snapshots.as_ref().and_then(|snapshots| snapshots.rate(size.threads)) {
            shared.prefill_rate.store(rate.to_bits(), Ordering::Relaxed);
        }
        let small = small.map(|small| Small::new(small, size.cells, size.threads)).transpose()?;
        Ok(Self {
            context,
            small,
            batch: LlamaBatch::new(CHUNK_TOKENS.1, 1),
            cache: Cache::new(size.cells as usize, SEQUENCES_MAX),
            chunk: CHUNK_TOKENS.0,
            logits: Vec::with_capacity(size.vocabulary),
            size,
            shared,
            snapshots,
            waiting: VecDeque::new(),
            running: Vec::new(),
        })
    }

    /// Takes in what was ordered, waiting for it when there is nothing to do. False when no more
    /// can come and all is done.
    fn listen(&mut self, orders: &Receiver<Order>) -> bool {
        if self.waiting.is_empty() && self.running.is_empty() {
            match orders.recv() {
                Ok(order) => self.waiting.push_back(order),
                Err(_) => return false,
            }
        }
        loop {
            match orders.try_recv() {
                Ok(order) => self.waiting.push_back(order),
                Err(TryRecvError::Empty) => return true,
                // The engine is being dropped; its callers have all gone.
                Err(TryRecvError::Disconnected) => {
                    return !self.running.is_empty() || !self.waiting.is_empty();
                }
            }
        }
    }

    /// Begins what can begin. What came first begins first, and prompts are read one at a time.
    fn admit(&mut self) {
        for order in std::mem::take(&mut self.waiting) {
            match order {
                Order::Decode(job) if job.request.is_cancelled() => {
                    job.request.tell(Signal::Ended(StopReason::Cancelled));
                }
                order => self.waiting.push_back(order),
            }
        }
        if !self.running.iter().any(|running| running.request.is_cancelled()) {
            for order in std::mem::take(&mut self.waiting) {
                match order {
                    Order::Settle(answer) => {
                        let _ = answer.send(());
                    }
                    order => self.waiting.push_back(order),
                }
            }
        }
        while let Some(order) = self.waiting.pop_front() {
            let busy = !self.running.is_empty();
            match order {
                Order::Status(answer) if !busy => drop(answer.send(self.status())),
                Order::Keep(answer) if !busy => {
                    self.keep();
                    let _ = answer.send(());
                }
                Order::Forget(answer) if !busy => {
                    self.forget();
                    let _ = answer.send(());
                }
                Order::Lead(prompt, answer) if !busy => drop(answer.send(self.lead(&prompt))),
                Order::Decode(job)
                    if self.running.len() < SLOTS && !self.running.iter().any(Running::reads) =>
                {
                    if let Some(job) = self.begin(*job) {
                        self.waiting.push_front(Order::Decode(Box::new(job)));
                        return;
                    }
                }
                order => {
                    self.waiting.push_front(order);
                    return;
                }
            }
        }
    }

    fn status(&self) -> CacheStatus {
        let bytes = |tokens: usize| tokens as u64 * self.size.kv_bytes_per_token;
        CacheStatus {
            sequences: self.cache.len(),
            tokens: self.cache.used(),
            bytes: bytes(self.cache.used()),
            limit_bytes: bytes(self.size.cells as usize),
        }
    }

    /// Begins a request, or gives it back when there is no room for it yet.
    fn begin(&mut self, job: Job) -> Option<Job> {
        let shifts = shifts(&self.size.architecture);
        self.cache.set_shifts(shifts && !self.shared.rigid.load(Ordering::Relaxed));
        let max_tokens = job.rules.max_tokens;
        let Some(plan) = self.cache.plan(&job.request.prompt, max_tokens) else { return Some(job) };
        let Job { request, rules } = job;
        let reused = self.follow(&plan);
        let reused = self.restore(&request.prompt, plan.sequence, reused);
        request.tell(Signal::Prefill { new: request.prompt.len() - reused, reused });
        let sequence = Sequence { id: plan.sequence, tokens: request.prompt[..reused].to_vec() };
        let room = request.prompt.len() + max_tokens;
        self.running.push(Running {
            began: (Instant::now(), reused),
            answer: Answer::new(rules),
            drafter: Drafter::default(),
            next: Vec::new(),
            draft: Vec::new(),
            request,
            sequence,
            room,
        });
        None
    }

    /// Brings the cells into the planned state; gives how many tokens of the prompt they hold.
    fn follow(&mut self, plan: &Plan) -> usize {
        let shared = match plan.fork_from {
            Some(from) => {
                self.remove(plan.sequence, 0);
                let end = u32::try_from(plan.reused).ok();
                self.context.copy_kv_cache_seq(from, plan.sequence, Some(0), end).is_ok()
            }
            None => {
                let gaps: usize = plan.gaps.iter().map(Range::len).sum();
                self.remove(plan.sequence, plan.reused + gaps)
                    && plan.gaps.iter().rev().all(|gap| self.close(plan.sequence, gap))
            }
        };
        for id in &plan.drop {
            self.remove(*id, 0);
        }
        if shared {
            return plan.reused;
        }
        // Some models cannot go back to a place in a sequence: it begins anew.
        self.remove(plan.sequence, 0);
        0
    }

    /// Removes a range of a sequence; what stands behind it moves up.
    fn close(&mut self, id: SequenceId, gap: &Range<usize>) -> bool {
        let (from, to) = (u32::try_from(gap.start).ok(), u32::try_from(gap.end).ok());
        let Ok(delta) = i32::try_from(gap.len()) else { return false };
        let sequence = u32::try_from(id).ok();
        self.context.clear_kv_cache_seq(sequence, from, to).unwrap_or(false)
            && self.context.kv_cache_seq_add(id, to, None, -delta).is_ok()
    }

    /// Takes the beginning of a prompt from disk, if more of it lies there than is in the cells.
    fn restore(&mut self, prompt: &[Token], id: SequenceId, reused: usize) -> usize {
        let may_gain = prompt.len() > reused + snapshot::TOKENS_MIN;
        let Some(snapshots) = self.snapshots.as_ref().filter(|_| may_gain) else { return reused };
        let Some(found) =
            snapshots.longest(prompt).filter(|found| found.tokens() >= reused + snapshot::TOKENS_MIN)
        else {
            return reused;
        };
        let tokens = found.tokens();
        let snapshots = snapshots.clone();
        self.remove(id, 0);
        if snapshots.load(&mut self.context, id, &found, &prompt[..tokens]) {
            return tokens;
        }
        self.remove(id, 0);
        0
    }

    /// Writes the sequence that was computed last to disk.
    fn keep(&self) {
        if let (Some(snapshots), Some((id, tokens))) = (&self.snapshots, self.cache.newest())
            && tokens.len() >= snapshot::TOKENS_MIN
        {
            snapshots.save(&self.context, id, tokens);
        }
    }

    /// Empties the cache, but for what is being computed.
    fn forget(&mut self) {
        for id in self.cache.clear() {
            self.remove(id, 0);
        }
    }

    /// The difference of the two highest logits after a prompt, which is computed anew.
    fn lead(&mut self, prompt: &[Token]) -> Result<f32, String> {
        self.forget();
        let mut sequence = Sequence { id: 0, tokens: Vec::new() };
        for chunk in prompt.chunks(CHUNK_TOKENS.0) {
            self.batch.clear();
            push(&mut self.batch, &sequence, chunk, chunk.len() - 1)?;
            self.compute()?;
            sequence.tokens.extend_from_slice(chunk);
        }
        let logits = self.context.get_logits_ith(self.batch.n_tokens() - 1);
        let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        for logit in logits {
            if *logit > first {
                (first, second) = (*logit, first);
            } else {
                second = second.max(*logit);
            }
        }
        self.remove(0, 0);
        Ok(first - second)
    }

    /// Removes what a sequence holds from a place on. Removing all always succeeds.
    fn remove(&mut self, id: SequenceId, from: usize) -> bool {
        let (id, from) = (u32::try_from(id).ok(), u32::try_from(from).ok());
        self.context.clear_kv_cache_seq(id, from, None).unwrap_or(false)
    }

    /// Reads some of the prompt that is being read, and adds a token or more to every answer.
    fn step(&mut self) {
        let (cancelled, mut running): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.running).into_iter().partition(|running| running.request.is_cancelled());
        for one in cancelled {
            self.end(one, Ok(StopReason::Cancelled));
        }
        let (reading, mut writing): (Vec<_>, Vec<_>) = running.drain(..).partition(Running::reads);
        for mut one in reading {
            match self.read(&mut one) {
                Ok(None) => self.running.push(one),
                Ok(Some(reason)) => self.end(one, Ok(reason)),
                Err(reason) => self.end(one, Err(reason)),
            }
        }
        if writing.is_empty() {
            return;
        }
        let alone = writing.len() == 1 && self.running.is_empty();
        match self.write(&mut writing, alone) {
            Err(reason) => writing.into_iter().for_each(|one| self.end(one, Err(reason.clone()))),
            Ok(ended) => {
                for (one, ended) in writing.into_iter().zip(ended) {
                    match ended {
                        Ok(None) => self.running.push(one),
                        Ok(Some(reason)) => self.end(one, Ok(reason)),
                        Err(reason) => self.end(one, Err(reason)),
                    }
                }
            }
        }
    }

    /// A request is done with.
    fn end(&mut self, running: Running, ended: Result<StopReason, String>) {
        let Running { request, sequence, .. } = running;
        match ended {
            Ok(reason) => {
                self.cache.done(sequence.id, sequence.tokens);
                request.tell(Signal::Ended(reason));
            }
            Err(reason) => {
                self.remove(sequence.id, 0);
                self.cache.failed(sequence.id);
                request.tell(Signal::Failed(reason));
            }
        }
    }

    /// Computes a chunk of a prompt, and with the last one chooses the answer's first token.
    fn read(&mut self, running: &mut Running) -> Ended {
        let Running { request, sequence, .. } = running;
        let rest = &request.prompt[sequence.tokens.len()..];
        // What opens the prompt is computed apart, so that it can be kept apart.
        let to_boot = request.boot.checked_sub(sequence.tokens.len()).filter(|n| *n > 0);
        let chunk = &rest[..self.chunk.min(rest.len()).min(to_boot.unwrap_or(usize::MAX))];
        let is_last = chunk.len() == rest.len();
        let began = Instant::now();
        self.batch.clear();
        push(&mut self.batch, sequence, chunk, if is_last { chunk.len() - 1 } else { chunk.len() })?;
        self.compute()?;
        sequence.tokens.extend_from_slice(chunk);
        if chunk.len() == self.chunk {
            self.adapt_chunk(began.elapsed());
        }
        if let Some(snapshots) = &self.snapshots
            && sequence.tokens.len() == request.boot
            && request.boot >= snapshot::TOKENS_MIN
        {
            snapshots.save(&self.context, sequence.id, &sequence.tokens);
        }
        if !is_last {
            return Ok(None);
        }
        let row = chunk.len() - 1;
        self.note_rate(running.request.prompt.len() - running.began.1, running.began.0.elapsed());
        self.advance(running, row, None, true)
    }

    fn adapt_chunk(&mut self, took: Duration) {
        let (least, most) = CHUNK_TOKENS;
        if took > CHUNK_TIME {
            self.chunk = (self.chunk / 2).max(least);
        } else if took * 2 <= CHUNK_TIME {
            self.chunk = (self.chunk * 2).min(most);
        }
    }

    fn note_rate(&self, tokens: usize, took: Duration) {
        if tokens >= MIN_RATE_TOKENS && !took.is_zero() {
            self.shared.prefill_rate.store((tokens as f32 / took.as_secs_f32()).to_bits(), Ordering::Relaxed);
        }
    }

    /// Keeps the speed for the next start, which then need not measure it.
    fn keep_rate(&self) {
        let rate = f32::from_bits(self.shared.prefill_rate.load(Ordering::Relaxed));
        if let Some(snapshots) = self.snapshots.as_ref().filter(|_| rate > 0.0) {
            snapshots.keep_rate(self.size.threads, rate);
        }
    }

    /// Computes the chosen tokens of all answers in one step, and chooses what follows them.
    fn write(&mut self, writing: &mut [Running], alone: bool) -> Result<Vec<Ended>, String> {
        for running in writing.iter_mut() {
            let Running { sequence, next, draft, .. } = running;
            let most = if alone { CHUNK_TOKENS.1 } else { SHARED_STEP_TOKENS };
            draft.truncate(most / 2);
            while next.len() + draft.len() > most {
                let chunk: Vec<Token> = next.drain(..(next.len() - 1).min(most / 2).max(1)).collect();
                self.batch.clear();
                push(&mut self.batch, sequence, &chunk, chunk.len())?;
                self.compute()?;
                sequence.tokens.extend_from_slice(&chunk);
            }
        }
        let began = Instant::now();
        self.batch.clear();
        let mut rows = Vec::with_capacity(writing.len());
        for Running { sequence, next, draft, .. } in &*writing {
            rows.push(self.batch.n_tokens() as usize + next.len() - 1);
            let tokens = [next.as_slice(), draft].concat();
            push(&mut self.batch, sequence, &tokens, next.len() - 1)?;
        }
        self.compute()?;
        let took = began.elapsed();
        let mut ended = Vec::with_capacity(writing.len());
        for (running, row) in writing.iter_mut().zip(rows) {
            // Only steps of one token and a draft are comparable.
            let took = (alone && running.next.len() == 1).then_some(took);
            let Running { sequence, next, draft, .. } = running;
            sequence.tokens.append(next);
            sequence.tokens.extend_from_slice(draft);
            ended.push(self.advance(running, row, took, alone));
        }
        Ok(ended)
    }

    /// Chooses what follows the token whose logits are in the row, keeps what of the draft was
    /// right, and drafts anew.
    fn advance(&mut self, running: &mut Running, row: usize, took: Option<Duration>, alone: bool) -> Ended {
        let Running { request, sequence, answer, drafter, next, draft, room, .. } = running;
        let plain = self.shared.plain.load(Ordering::Relaxed);
        let mut right = 0;
        let ended = loop {
            let chosen = choose(&self.context, &mut self.logits, answer, row + right)?;
            match take(chosen, request) {
                (Some(token), None) if draft.get(right) == Some(&token) => right += 1,
                (token, ended) => {
                    next.extend(token);
                    break ended;
                }
            }
        };
        if right < draft.len() {
            let kept = sequence.tokens.len() - (draft.len() - right);
            sequence.tokens.truncate(kept);
            if !self.remove(sequence.id, kept) {
                return Err("what was drafted cannot be taken back".into());
            }
        }
        if let Some(took) = took {
            drafter.learn(draft.len(), right, took);
        }
        draft.clear();
        if ended.is_some() {
            return Ok(ended);
        }
        for chosen in if plain { Vec::new() } else { answer.forced()? } {
            match take(chosen, request) {
                (token, None) => next.extend(token),
                (_, Some(reason)) => return Ok(Some(reason)),
            }
        }
        if !plain && alone {
            let said = [sequence.tokens.as_slice(), next].concat();
            let known = self.size.vocabulary as Token;
            let mut write = self.small.as_mut().map(|small| {
                move |said: &[Token], most: usize| {
                    let mut written = small.write(said, most);
                    written.retain(|token| *token < known);
                    written
                }
            });
            let write = write.as_mut().map(|write| write as Write<'_>);
            *draft = drafter.draft(&said, room.saturating_sub(said.len() + 1), write);
        }
        Ok(None)
    }

    /// Computes the batch.
    fn compute(&mut self) -> Result<(), String> {
        let mut done = self.context.decode(&mut self.batch);
        if matches!(done, Err(DecodeError::NoKvCacheSlot)) {
            // The book was wrong by the few cells that it cannot know of.
            self.forget();
            done = self.context.decode(&mut self.batch);
        }
        done.map_err(|error| format!("llama.cpp: {error}"))
    }
}

/// Adds a sequence's next tokens to a batch, with logits from the row `logits_from` of them on.
fn push(
    batch: &mut LlamaBatch<'_>,
    sequence: &Sequence,
    tokens: &[Token],
    logits_from: usize,
) -> Result<(), String> {
    for (row, token) in tokens.iter().enumerate() {
        let place = i32::try_from(sequence.tokens.len() + row).map_err(|_| "the window is too large")?;
        let added = batch.add(native(*token), place, &[sequence.id], row >= logits_from);
        added.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Chooses from the logits of a row of the last step.
fn choose(
    context: &LlamaContext<'_>,
    logits: &mut Vec<f32>,
    answer: &mut Answer,
    row: usize,
) -> Result<Chosen, String> {
    logits.clear();
    let row = i32::try_from(row).map_err(|_| "too many rows")?;
    logits.extend_from_slice(context.get_logits_ith(row));
    answer.choose(logits)
}

/// Tells of a chosen token; gives the token, and why the answer ends if it does.
fn take(chosen: Chosen, request: &Request) -> (Option<Token>, Option<StopReason>) {
    let (token, ended) = match chosen {
        Chosen::Token(token) => (Some(token), None),
        Chosen::Last(token, reason) => (Some(token), Some(reason)),
        Chosen::End(reason) => (None, Some(reason)),
    };
    if let Some(token) = token {
        request.tell(Signal::Token(token));
    }
    (token, ended)
}
