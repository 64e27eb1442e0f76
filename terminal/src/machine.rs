//! The machine: the one event loop. It owns the kernel, the journal, all threads and the
//! one channel on which everything comes in; it turns effects into work and work into events.

pub mod api;
mod attach;
mod background;
mod core;
mod digest;
mod excerpt;
pub mod follow;
mod fresh;
pub mod pages;
mod past;
pub mod remember;
pub mod swap;
#[cfg(test)]
mod tests;
pub mod undo;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use lucid_kernel::abi::{Call, Fault, Pid, ToolSpec, Want};
use lucid_kernel::memory::evict::Eviction;
use lucid_kernel::policy::Rule;
use lucid_kernel::port::{CancelFlag, Disk, Embedder, Engine, Journal};
use serde_json::Value;

use crate::exit::Failure;
use api::{Command, Notice};
pub use attach::full_path;
pub use digest::complete;
pub use pages::{preview, shown_path};
use remember::CoreMemory;

use crate::plugins::OnProgress;

/// What runs tools, as the machine needs it.
pub trait Tools: Send + Sync {
    /// What can be called.
    fn specs(&self) -> Vec<ToolSpec>;

    /// Runs one call with these rights beyond those that were granted for ever. Never panics, never
    /// hangs past its limits.
    ///
    /// # Errors
    /// A fault that the model can read.
    fn call(
        &self,
        call: &Call,
        granted: &[String],
        on_progress: OnProgress,
        cancel: &CancelFlag,
    ) -> Result<ToolOutput, Fault>;

    /// What a call would do, for the user who is asked whether it may run; none where the tool does not
    /// say.
    fn preview(&self, call: &Call, wants: &[Want], cancel: &CancelFlag) -> Option<String>;

    /// The folders whose files a call may change with these rights beyond those granted for ever.
    fn writes_to(&self, _call: &Call, _granted: &[String]) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Says from now on when tools came, changed or went: what, a line each for a person.
    fn watch(&self, _on_change: Box<dyn Fn(Vec<String>) + Send>) {}

    /// Keeps rights for all later sessions.
    ///
    /// # Errors
    /// When they cannot be written.
    fn grant(&self, wants: &[Want]) -> Result<(), Failure>;
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    /// As JSON.
    pub value: Value,
    /// As the model reads it.
    pub text: String,
    /// How long it took, in microseconds.
    pub micros: u64,
}

/// What is loaded in the background while one can already type.
pub struct Loaded {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// The tools.
    pub tools: Arc<dyn Tools>,
    /// Loads the model that puts what left the window into lines, if one is named for it.
    pub writer: Option<LoadWriter>,
    /// The tools that are not there though they should be, and why.
    pub left_out: Vec<String>,
}

/// Loads a model.
pub type LoadWriter = Box<dyn FnOnce() -> Result<Arc<dyn Engine>, Failure> + Send>;

/// Loads, telling how far it is, and stops when the flag is set.
pub type Loader =
    Box<dyn FnOnce(&mut dyn FnMut(String, Option<f32>), &CancelFlag) -> Result<Loaded, Failure> + Send>;

/// Whether a session begins or goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// A new one of this name.
    New(String),
    /// One that was held before.
    Continue {
        /// Its name.
        name: String,
        /// Which of its conversations; that spoken to last when none.
        conversation: Option<Pid>,
        /// Whether a new conversation begins with what that one knows.
        fork: bool,
    },
}

/// What a machine is made of.
pub struct Setup {
    /// Which session.
    pub session: Session,
    /// The folder that the user is in; paths are shown from here.
    pub folder: String,
    /// Where events are kept.
    pub journal: Arc<dyn Journal>,
    /// The index, if there is one.
    pub disk: Option<Arc<dyn Disk>>,
    /// Search only these mounted folders; all when empty.
    pub roots: Vec<String>,
    /// Whether the model is told of files and searches them.
    pub has_files: bool,
    /// Whether tools are offered.
    pub tools: bool,
    /// What may run.
    pub rules: Vec<Rule>,
    /// What is to be known in every turn; nothing is kept when none.
    pub core: Option<CoreMemory>,
    /// The folder that keeps what left the windows of sessions; in memory when none.
    pub swap: Option<PathBuf>,
    /// By which pages are found by their meaning too.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Which pages leave first; as the kernel chooses when none.
    pub eviction: Option<Eviction>,
    /// Whether somebody can answer [`Notice::Ask`]; else a call that asks is refused.
    pub interactive: bool,
    /// Milliseconds since 1970, for the journal's list of sessions.
    pub now_ms: u64,
    /// The engine and the tools.
    pub loader: Loader,
    /// The folder in which it is kept what tools change, by session; nothing is kept when none.
    pub undo: Option<PathBuf>,
    /// Says that the session is under way, for as long as it is.
    #[expect(dead_code, reason = "it is held, and that is all it is for")]
    pub mark: Option<Mark>,
}

/// A file that is held while a session is under way, and goes with its end.
#[derive(Debug)]
pub struct Mark {
    /// Where it is.
    pub path: PathBuf,
    /// Holds its lock.
    pub _file: std::fs::File,
}

impl Drop for Mark {
    fn drop(&mut self) {
        // What is left of it is an offer too many.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A running machine.
pub struct Machine {
    /// What to do.
    pub commands: Sender<Command>,
    /// What happens.
    pub notices: Receiver<Notice>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Machine {
    /// Starts a machine. It is there at once; [`Notice::Ready`] or [`Notice::Dead`] follows.
    pub fn start(setup: Setup) -> Self {
        let (commands, incoming) = unbounded();
        let (outgoing, notices) = unbounded();
        let thread = std::thread::spawn(move || core::run(setup, &incoming, outgoing));
        Self { commands, notices, thread: Some(thread) }
    }

    /// What stands for a machine where its notices are written by hand: to measure the screen.
    pub const fn scripted(commands: Sender<Command>, notices: Receiver<Notice>) -> Self {
        Self { commands, notices, thread: None }
    }

    /// Ends the machine; what was acknowledged is in the journal.
    pub fn stop(self) {
        // A machine that is gone already needs no telling.
        drop(self.commands.send(Command::Quit));
        drop(self.thread.map(std::thread::JoinHandle::join));
    }
}
