//! What the host needs of the program around it to serve a call's imports.

use std::path::PathBuf;
use std::sync::Arc;

use lucid_kernel::port::{CancelFlag, Hit};

use crate::rights::Rights;

/// How much a note of a plugin matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a mistake.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is odd.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// What the program around the host offers to plugins that were granted it. By default nothing.
///
/// All of it may block: it is never run on the thread of a call.
pub trait Services: Send + Sync {
    /// The mounted folders.
    fn mounted(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// The parts of mounted files that match best.
    ///
    /// # Errors
    /// What failed, for the model.
    fn search(&self, _query: &str, _at_most: usize) -> Result<Vec<Hit>, String> {
        Err("there is no disk to search here".into())
    }

    /// Lines of a mounted file, both ends included, counted from 1.
    ///
    /// # Errors
    /// What failed, for the model.
    fn read(&self, _path: &str, _lines: (u32, u32)) -> Result<String, String> {
        Err("there is no disk to read here".into())
    }

    /// What the model answers to a prompt, of at most so many tokens.
    ///
    /// # Errors
    /// What failed, for the plugin.
    fn ask(&self, _prompt: &str, _max_tokens: u32, _cancel: &CancelFlag) -> Result<String, String> {
        Err("there is no model to ask here".into())
    }

    /// A secret, if there is one of this name.
    fn secret(&self, _name: &str) -> Option<String> {
        None
    }

    /// A variable of the environment.
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    /// The folder that keeps what plugins keep.
    fn kept(&self) -> Option<PathBuf> {
        None
    }

    /// A tool says how far it is.
    fn progress(&self, _tool: &str, _message: &str, _done: Option<f64>) {}

    /// A plugin leaves a note.
    fn log(&self, _plugin: &str, _level: Level, _message: &str) {}
}

/// Offers nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServices;

impl Services for NoServices {}

/// What one call may do, and who serves it.
#[derive(Clone)]
pub struct Scope {
    /// What was granted.
    pub rights: Arc<Rights>,
    /// Who serves it.
    pub services: Arc<dyn Services>,
}

impl Scope {
    /// The same with the rights of these kinds alone; see [`Rights::of_kinds`].
    pub(crate) fn of_kinds(&self, kinds: Option<&[String]>) -> Self {
        let rights = Arc::new(self.rights.of_kinds(kinds));
        Self { rights, services: Arc::clone(&self.services) }
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self { rights: Arc::default(), services: Arc::new(NoServices) }
    }
}
