//! The running mistralrs engine: its thread, the requests sent to it, and how it is stopped
//! and started anew over the same weights.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use lucid_kernel::abi::Token;
use lucid_kernel::port::EngineError;
use mistralrs::core::{
    Constraint, CustomLogitsProcessor, DefaultSchedulerMethod, MistralRs, MistralRsBuilder, NormalRequest,
    Pipeline, Request, RequestMessage, Response, SamplingParams, SchedulerConfig, StopTokens,
};
use tokio::sync::{Mutex, mpsc};

use crate::chooser::{Chooser, Release, Signal};

/// A loaded model, as mistralrs shares it between engines.
pub(crate) type SharedPipeline = Arc<Mutex<dyn Pipeline + Send + Sync>>;

/// How many sequences an accelerator's prefix cache holds.
pub(crate) const DEVICE_CACHED_SEQUENCES: usize = 16;

/// How long a stopped engine may take to end what it is computing.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long dropping an engine waits for its thread; what is left then ends by itself.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a stopping engine is looked at.
const STOP_POLL: Duration = Duration::from_millis(2);
/// How long clearing the cache may take.
const CLEAR_TIMEOUT: Duration = Duration::from_secs(5);
/// A token that no vocabulary has. The very last number would be taken for padding.
const NO_TOKEN: Token = Token::MAX - 1;
/// Answers that fit in the channel of one request; mistralrs sends one.
const ANSWERS: usize = 4;

/// A running engine.
pub(crate) struct Runner {
    core: Arc<MistralRs>,
    pipeline: SharedPipeline,
    on_cpu: bool,
}

impl Runner {
    /// Starts an engine with an empty prefix cache over a loaded model.
    pub(crate) fn start(pipeline: &SharedPipeline) -> Result<Self, EngineError> {
        let shared = Arc::clone(pipeline);
        let on_cpu = pipeline.try_lock().is_ok_and(|model| model.device().is_cpu());
        // On a thread of its own, because the caller may be inside an async runtime; with a
        // runtime of one thread, because mistralrs then leaves out its trial run.
        let build = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let scheduler = SchedulerConfig::DefaultScheduler {
                method: DefaultSchedulerMethod::Fixed(std::num::NonZeroUsize::MIN),
            };
            let builder = MistralRsBuilder::new(shared, scheduler, false, None)
                .with_prefix_cache_n(DEVICE_CACHED_SEQUENCES);
            Ok::<_, std::io::Error>(runtime.block_on(builder.build()))
        };
        match thread::Builder::new()
            .name("lucid-engine-start".into())
            .spawn(build)
            .map(thread::JoinHandle::join)
        {
            Ok(Ok(Ok(core))) => Ok(Self { core, pipeline: Arc::clone(pipeline), on_cpu }),
            Ok(Ok(Err(e))) | Err(e) => {
                Err(EngineError::Failed(format!("the engine's thread could not start: {e}")))
            }
            Ok(Err(_)) => Err(EngineError::Failed("mistralrs gave up while starting".into())),
        }
    }

    /// Sends a prompt. What comes of it is told on `signals`.
    pub(crate) fn submit(
        &self,
        prompt: Vec<Token>,
        max_tokens: usize,
        end: Token,
        chooser: Arc<Chooser>,
        signals: Sender<Signal>,
    ) -> Result<(), EngineError> {
        let sampling = SamplingParams {
            temperature: Some(0.0),
            stop_toks: Some(StopTokens::Ids(vec![end])),
            // The end token and one to spare: the chooser itself counts.
            max_len: Some(max_tokens.saturating_add(2)),
            ..SamplingParams::neutral()
        };
        let mut answers = self.send(prompt, sampling, Some(vec![chooser]))?;
        // mistralrs must always find someone to answer: without one it ends its thread.
        let wait = move || {
            let _ = signals.send(Signal::Released(release(answers.blocking_recv())));
        };
        thread::Builder::new()
            .name("lucid-engine-wait".into())
            .spawn(wait)
            .map(drop)
            .map_err(|e| failed("a thread could not start", &e))
    }

    /// Empties the prefix cache of an idle engine; true when that was done.
    ///
    /// mistralrs has no request for it, but it drops the whole cache when a step fails. So it
    /// is sent a token that no vocabulary has, which cannot be looked up. That costs a
    /// millisecond, where a new engine would leave a thread of mistralrs' behind for good and
    /// spread its memory over one more heap of the allocator.
    pub(crate) fn clear_cache(&self) -> bool {
        if !self.on_cpu {
            return false;
        }
        let sampling = SamplingParams { max_len: Some(1), ..SamplingParams::deterministic() };
        let Ok(mut answers) = self.send(vec![NO_TOKEN], sampling, None) else { return false };
        let (sender, receiver) = std::sync::mpsc::channel();
        let wait = move || {
            let _ = sender.send(release(answers.blocking_recv()));
        };
        let waiting = thread::Builder::new().name("lucid-engine-clear".into()).spawn(wait);
        waiting.is_ok() && matches!(receiver.recv_timeout(CLEAR_TIMEOUT), Ok(Release::Cleared(_)))
    }

    fn send(
        &self,
        prompt: Vec<Token>,
        sampling: SamplingParams,
        processors: Option<Vec<Arc<dyn CustomLogitsProcessor>>>,
    ) -> Result<mpsc::Receiver<Response>, EngineError> {
        let (answer, answers) = mpsc::channel(ANSWERS);
        let message = RequestMessage::CompletionTokens(prompt);
        let id = self.core.next_request_id();
        let request = Request::Normal(Box::new(NormalRequest {
            logits_processors: processors,
            constraint: Constraint::None,
            ..NormalRequest::new_simple(message, sampling, answer, id, None, None)
        }));
        let sender = self.core.get_sender(None).map_err(|e| failed("the engine cannot be reached", &e))?;
        sender.try_send(request).map_err(|e| failed("the engine takes no request", &e))?;
        Ok(answers)
    }

    /// Ends the engine, and with it its prefix cache, and waits until it is gone.
    pub(crate) fn stop(self) -> Result<(), EngineError> {
        let pipeline = Arc::clone(&self.pipeline);
        drop(self);
        if wait_until_alone(&pipeline, STOP_TIMEOUT) {
            return Ok(());
        }
        Err(EngineError::Failed(format!("mistralrs did not stop within {} s", STOP_TIMEOUT.as_secs())))
    }
}

/// Waits until nobody but the model's owner and the caller holds the pipeline.
fn wait_until_alone(pipeline: &SharedPipeline, at_most: Duration) -> bool {
    let until = Instant::now() + at_most;
    while Arc::strong_count(pipeline) > 2 {
        if Instant::now() > until {
            return false;
        }
        thread::sleep(STOP_POLL);
    }
    true
}

/// Ends a runner as far as that goes quickly.
pub(crate) fn discard(runner: Runner) {
    let pipeline = Arc::clone(&runner.pipeline);
    drop(runner);
    wait_until_alone(&pipeline, DROP_TIMEOUT);
}

fn failed(what: &str, e: &dyn std::fmt::Display) -> EngineError {
    EngineError::Failed(format!("{what}: {e}"))
}

fn release(answer: Option<Response>) -> Release {
    match answer {
        Some(Response::CompletionDone(_)) => Release::Kept,
        Some(Response::InternalError(e) | Response::ValidationError(e)) => Release::Dropped(e.to_string()),
        Some(Response::CompletionModelError(e, _)) => Release::Cleared(e),
        Some(_) => Release::Cleared("mistralrs gave an answer of another kind".into()),
        None => Release::Dead,
    }
}
