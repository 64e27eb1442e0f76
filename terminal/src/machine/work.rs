//! The workers: threads that carry out effects and send back one event for each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lucid_kernel::abi::{
    Call, Decoded, EffectId, Event, Fault, FaultKind, Outcome, PageId, PageRequest, Pid, Returned,
    StopReason, Swapped, Want,
};
use lucid_kernel::port::{CancelFlag, DecodeRequest, Delta, Engine};

use super::Tools;
use super::api::Notice;
use super::core::Msg;
use super::pages::{Places, Room, encode};
use super::swap::SwapSpace;
use super::undo::Undo;
use crate::plugins::OnProgress;

/// So many characters are surely more than a token, on average.
const CHARS_PER_TOKEN_MAX: usize = 8;

/// A piece of work. Each that carries out an effect with an id is answered by one event.
pub enum Job {
    /// Decode.
    Decode {
        /// The effect.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What.
        request: DecodeRequest,
        /// Whether text may be shown while it comes.
        show: bool,
        /// Set to stop it.
        cancel: CancelFlag,
    },
    /// Find pages.
    PageIn {
        /// The effect.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What.
        request: PageRequest,
        /// The first address.
        first: PageId,
        /// The most tokens.
        room: Room,
        /// Where.
        places: Places,
    },
    /// Say when all is done that was sent before, of what is not decoding.
    Settle(Sender<()>),
    /// Let pages be found that left the window.
    Swap {
        /// Whose.
        pid: Pid,
        /// The pages.
        pages: Vec<Swapped>,
    },
    /// Let a conversation find what another one finds.
    Fork {
        /// The other one.
        of: Pid,
        /// The new one.
        pid: Pid,
    },
    /// Ask the user whether a call may run, with what it would do.
    Ask {
        /// The effect.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What would run.
        call: Call,
        /// Why the user is asked.
        reason: String,
        /// The rights that a yes grants.
        wants: Vec<Want>,
        /// Set when nobody waits for an answer any more.
        cancel: CancelFlag,
    },
    /// Run a tool.
    Call {
        /// The effect.
        id: EffectId,
        /// For whom.
        pid: Pid,
        /// What.
        call: Call,
        /// With these rights beyond those that it always has.
        granted: Vec<String>,
        /// Set to stop it.
        cancel: CancelFlag,
    },
}

/// The threads that work. They end when this is dropped.
pub struct Workers {
    decodes: Sender<Job>,
    others: Sender<Job>,
    worker: Arc<Worker>,
}

impl Workers {
    /// Starts a thread for each of the engine's slots and one for the disk. Each call gets one of its
    /// own: those of one turn run side by side, and none keeps pages waiting.
    pub fn start(
        engine: &Arc<dyn Engine>,
        tools: &Arc<dyn Tools>,
        to: &Sender<Msg>,
        notices: &Sender<Notice>,
        swap: &SwapSpace,
        embeds_at_once: bool,
        undo: Option<Undo>,
    ) -> Self {
        let worker = Arc::new(Worker {
            engine: Arc::clone(engine),
            tools: Arc::clone(tools),
            to: to.clone(),
            notices: notices.clone(),
            swap: swap.clone(),
            embeds_at_once,
            undo,
        });
        let spawn = |jobs: &Receiver<Job>| {
            let (jobs, worker) = (jobs.clone(), Arc::clone(&worker));
            std::thread::spawn(move || {
                for job in jobs {
                    worker.work(job);
                }
            });
        };
        let (decodes, decode_jobs) = unbounded();
        let (others, other_jobs) = unbounded();
        for _ in 0..engine.info().slots.max(1) {
            spawn(&decode_jobs);
        }
        spawn(&other_jobs);
        Self { decodes, others, worker }
    }

    /// Waits until all is done that is not decoding, but not for ever.
    pub fn settle(&self, at_most: Duration) {
        let (done, is_done) = crossbeam_channel::bounded(1);
        self.send(Job::Settle(done));
        let _ = is_done.recv_timeout(at_most);
    }

    /// Hands a job to its thread.
    pub fn send(&self, job: Job) {
        let to = match job {
            Job::Call { .. } => {
                let worker = Arc::clone(&self.worker);
                std::thread::spawn(move || worker.work(job));
                return;
            }
            Job::Decode { .. } => &self.decodes,
            _ => &self.others,
        };
        // The threads live as long as the sender; a send can only fail after their panic,
        // which `work` turns into an answer.
        drop(to.send(job));
    }
}

struct Worker {
    engine: Arc<dyn Engine>,
    tools: Arc<dyn Tools>,
    to: Sender<Msg>,
    notices: Sender<Notice>,
    swap: SwapSpace,
    /// Whether there is no idle time in which what left the window could be embedded.
    embeds_at_once: bool,
    /// Keeps what calls change.
    undo: Option<Undo>,
}

impl Worker {
    fn work(&self, job: Job) {
        let failed = |kind, what: &str| {
            Fault::new(kind, format!("{what} stopped by a mistake in the program; please report it"))
        };
        let mut decoding = None;
        let event = match job {
            Job::Decode { id, pid, request, show, cancel } => {
                decoding = Some(pid);
                let done = catch_unwind(AssertUnwindSafe(|| self.decode(pid, &request, show, &cancel)));
                let outcome =
                    done.unwrap_or_else(|_| Outcome::Failed(failed(FaultKind::Engine, "the engine was")));
                Event::Decoded { id, outcome }
            }
            Job::PageIn { id, pid, request, first, room, places } => {
                let done = catch_unwind(AssertUnwindSafe(|| {
                    places.page_in(self.engine.as_ref(), &self.swap.of(pid), &request, first, room)
                }));
                let outcome =
                    done.unwrap_or_else(|_| Outcome::Failed(failed(FaultKind::Disk, "the search was")));
                let changed =
                    std::mem::take(&mut *places.changed.lock().unwrap_or_else(PoisonError::into_inner));
                if !changed.is_empty() {
                    drop(self.to.send(Msg::FilesChanged(changed.into_iter().collect())));
                }
                Event::PagedIn { id, outcome }
            }
            Job::Settle(done) => {
                let _ = done.send(());
                return;
            }
            Job::Swap { pid, pages } => {
                let kept = catch_unwind(AssertUnwindSafe(|| self.keep(pid, &pages)));
                let kept = kept.unwrap_or_else(|_| Err("by a mistake in the program".into()));
                if let Err(reason) = kept {
                    let message = format!("what left the window will not be found by searching: {reason}");
                    drop(self.notices.send(Notice::Failed { message }));
                }
                return;
            }
            Job::Ask { id, pid, call, reason, wants, cancel } => {
                let preview = catch_unwind(AssertUnwindSafe(|| self.tools.preview(&call, &wants, &cancel)));
                let preview = preview.ok().flatten();
                // Nobody is to be asked about a turn that has ended meanwhile.
                if !cancel.is_cancelled() {
                    drop(self.notices.send(Notice::Ask { pid, id, call, reason, wants, preview }));
                }
                return;
            }
            Job::Fork { of, pid } => return self.swap.of(pid).fork(of),
            Job::Call { id, pid, call, granted, cancel } => {
                let done = catch_unwind(AssertUnwindSafe(|| self.call((pid, id), &call, &granted, &cancel)));
                let outcome =
                    done.unwrap_or_else(|_| Outcome::Failed(failed(FaultKind::Tool, "the tool was")));
                Event::Returned { id, outcome }
            }
        };
        let cut_off =
            decoding.filter(|_| matches!(&event, Event::Decoded { outcome, .. } if was_cancelled(outcome)));
        // Nobody hears it only when the machine has ended.
        drop(self.to.send(Msg::Event(event)));
        if let Some(pid) = cut_off {
            drop(self.notices.send(Notice::Stopping { pid, stopping: true }));
            self.engine.settle();
            drop(self.notices.send(Notice::Stopping { pid, stopping: false }));
        }
    }

    fn keep(&self, pid: Pid, pages: &[Swapped]) -> Result<(), String> {
        self.swap.of(pid).keep(pages)?;
        if self.embeds_at_once {
            self.swap.embed(usize::MAX, &CancelFlag::new()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn decode(&self, pid: Pid, request: &DecodeRequest, show: bool, cancel: &CancelFlag) -> Outcome<Decoded> {
        if cancel.is_cancelled() {
            return Outcome::Cancelled;
        }
        // What begins like a call is not shown as an answer.
        let held = AtomicBool::new(!show);
        let begun = AtomicBool::new(false);
        let mut on_delta = |delta: Delta| {
            if let Delta::Text(text) = &delta {
                if !begun.swap(true, Ordering::Relaxed) && text.trim_start().starts_with('{') {
                    held.store(true, Ordering::Relaxed);
                }
                if held.load(Ordering::Relaxed) {
                    return;
                }
            }
            drop(self.notices.send(Notice::Delta { pid, delta }));
        };
        match self.engine.decode(request, cancel, &mut on_delta) {
            Ok(decoded) => Outcome::Done(decoded),
            Err(error) => Outcome::Failed(Fault::new(FaultKind::Engine, error.to_string())),
        }
    }

    fn call(
        &self,
        (pid, id): (Pid, EffectId),
        call: &Call,
        granted: &[String],
        cancel: &CancelFlag,
    ) -> Outcome<Returned> {
        if cancel.is_cancelled() {
            return Outcome::Cancelled;
        }
        let notices = self.notices.clone();
        let on_progress: OnProgress = Arc::new(move |message, done| {
            drop(notices.send(Notice::Progress { pid, id, message: message.to_owned(), done }));
        });
        let folders = self.tools.writes_to(call, granted);
        let before = self.undo.as_ref().filter(|_| !folders.is_empty()).map(|undo| undo.before(id, folders));
        let called = self.tools.call(call, granted, on_progress, cancel);
        if let (Some(undo), Some(before)) = (&self.undo, before)
            && let Err(reason) = undo.after(before)
        {
            let message = format!("what {} changed cannot be taken back later: {reason}", call.tool);
            drop(self.notices.send(Notice::Failed { message }));
        }
        let output = match called {
            Ok(output) => output,
            Err(_) if cancel.is_cancelled() => return Outcome::Cancelled,
            Err(fault) => return Outcome::Failed(fault),
        };
        // Of a result that cannot fit the window, the beginning is enough to be cut to what can.
        let most = self.engine.info().n_ctx as usize * CHARS_PER_TOKEN_MAX;
        let all = output.text.chars().count();
        let chars = (all > most).then_some(all as u64);
        let head = chars.map(|_| output.text.chars().take(most).collect::<String>());
        match encode(self.engine.as_ref(), head.as_deref().unwrap_or(&output.text)) {
            Ok(content) => {
                Outcome::Done(Returned { value: output.value, content, chars, micros: output.micros })
            }
            Err(error) => Outcome::Failed(Fault::new(FaultKind::Engine, error.to_string())),
        }
    }
}

const fn was_cancelled(outcome: &Outcome<Decoded>) -> bool {
    match outcome {
        Outcome::Done(decoded) => matches!(decoded.stop, StopReason::Cancelled),
        Outcome::Failed(_) => false,
        Outcome::Cancelled => true,
    }
}
