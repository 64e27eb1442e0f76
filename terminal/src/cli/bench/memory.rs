//! The memory manager against what it is for: chains of references, facts of long ago, and what a
//! session's prompts cost.

mod cost;
mod dialogue;
mod nested;
mod quiet;

use std::path::PathBuf;
use std::sync::Arc;

use lucid_journal::RamJournal;
use lucid_kernel::abi::{Effect, Event, TurnOptions, TurnReport};
use lucid_kernel::journal;
use lucid_kernel::memory::evict::Eviction;
use lucid_kernel::port::{CancelFlag, Disk, Embedder, Engine, Journal};

pub use cost::run as cost;
pub use dialogue::run as dialogue;
pub use nested::run as nested;

use crate::cli::{ModelArgs, model, session};
use crate::exit::Failure;
use crate::home::Home;
use crate::machine::{Loaded, Machine, Session, Setup, ToolOutput, Tools};
use crate::settings::Settings;

/// The session's name in its journal.
const SESSION: &str = "bench";

/// Loads the engine that is wanted.
pub(super) fn load(home: &Home, wanted: &ModelArgs, cancel: &CancelFlag) -> Result<Arc<dyn Engine>, Failure> {
    let settings = Settings::load(home)?;
    let mut progress = session::LoadProgress::new();
    let mut show = |what: String, part| progress.show(&what, part);
    let pool = model::pool(&settings);
    let engine = model::load_engine(home, &settings, wanted, &pool, &mut show, cancel);
    progress.done();
    engine
}

/// A machine on an engine that is there, with its own journal and without tools.
struct Bench {
    machine: Machine,
    journal: Arc<RamJournal>,
    engine: Arc<dyn Engine>,
}

impl Bench {
    fn start(
        engine: &Arc<dyn Engine>,
        disk: Option<Arc<dyn Disk>>,
        eviction: Option<Eviction>,
        cancel: &CancelFlag,
    ) -> Result<Self, Failure> {
        Self::with_swap(engine, disk, eviction, None, None, cancel)
    }

    /// With a folder for what leaves the window, and what finds it by its meaning.
    fn with_swap(
        engine: &Arc<dyn Engine>,
        disk: Option<Arc<dyn Disk>>,
        eviction: Option<Eviction>,
        swap: Option<PathBuf>,
        embedder: Option<Arc<dyn Embedder>>,
        cancel: &CancelFlag,
    ) -> Result<Self, Failure> {
        let journal = Arc::new(RamJournal::new());
        let loaded = Loaded {
            engine: Arc::clone(engine),
            tools: Arc::new(NoTools),
            writer: None,
            left_out: Vec::new(),
        };
        let machine = Machine::start(Setup {
            session: Session::New(SESSION.into()),
            folder: String::new(),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            has_files: disk.is_some(),
            disk,
            roots: Vec::new(),
            tools: false,
            rules: Vec::new(),
            core: None,
            swap,
            embedder,
            eviction,
            interactive: false,
            now_ms: 0,
            loader: Box::new(move |_, _| Ok(loaded)),
            undo: None,
            mark: None,
        });
        session::wait_ready(&machine, cancel)?;
        Ok(Self { machine, journal, engine: Arc::clone(engine) })
    }

    fn turn(&self, text: &str, options: TurnOptions, cancel: &CancelFlag) -> Result<TurnReport, Failure> {
        session::turn(&self.machine, text, options, cancel)
    }

    /// The text of the last prompt.
    fn last_prompt(&self) -> Result<String, Failure> {
        let tokens = last_layout(&self.events()?);
        self.engine.detokenize(&tokens).map_err(|error| Failure::task(error.to_string()))
    }

    fn events(&self) -> Result<Vec<Event>, Failure> {
        self.journal.load(SESSION).map_err(|error| Failure::task(error.to_string()))
    }
}

/// The tokens of the last prompt that a session sent.
fn last_layout(events: &[Event]) -> Vec<u32> {
    let (_, effects) = journal::trace(events);
    let mut decodes = effects.into_iter().flatten().rev().filter_map(|effect| match effect {
        Effect::Decode { layout, .. } => Some(layout),
        _ => None,
    });
    let last = decodes.next().unwrap_or_default();
    last.iter().flat_map(|segment| segment.tokens.iter().copied()).collect()
}

struct NoTools;

impl Tools for NoTools {
    fn preview(
        &self,
        _: &lucid_kernel::abi::Call,
        _: &[lucid_kernel::abi::Want],
        _: &CancelFlag,
    ) -> Option<String> {
        None
    }

    fn grant(&self, _: &[lucid_kernel::abi::Want]) -> Result<(), Failure> {
        Ok(())
    }

    fn specs(&self) -> Vec<lucid_kernel::abi::ToolSpec> {
        Vec::new()
    }

    fn call(
        &self,
        call: &lucid_kernel::abi::Call,
        _: &[String],
        _: crate::plugins::OnProgress,
        _: &CancelFlag,
    ) -> Result<ToolOutput, lucid_kernel::abi::Fault> {
        let message = format!("there is no tool {}", call.tool);
        Err(lucid_kernel::abi::Fault::new(lucid_kernel::abi::FaultKind::NotFound, message))
    }
}
