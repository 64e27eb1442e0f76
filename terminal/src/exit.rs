//! Exit codes, and failures that carry one.

use std::fmt;

/// It was done.
pub const OK: u8 = 0;
/// The task failed.
pub const FAILED: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// The model, the index, the settings or the home folder cannot be used.
pub const CONFIG: u8 = 3;
/// Policy or the user refused.
pub const DENIED: u8 = 4;
/// Ctrl-C.
pub const CANCELLED: u8 = 130;

/// Why a command ends, in words for a person, with the exit code that says so to a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What was tried, on what, and what to do.
    pub message: String,
}

impl Failure {
    /// A failure with this code.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// [`FAILED`].
    pub fn task(message: impl Into<String>) -> Self {
        Self::new(FAILED, message)
    }

    /// [`USAGE`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(USAGE, message)
    }

    /// [`CONFIG`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(CONFIG, message)
    }

    /// [`CANCELLED`].
    pub fn cancelled() -> Self {
        Self::new(CANCELLED, "cancelled")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::task(format!("{error:#}"))
    }
}
