//! Scripts: Markdown files whose numbered steps are put to the model one after the other,
//! each result bound to a name that later steps can use.
//!
//! ```text
//! ---
//! name: digest
//! params:
//!   topic:            # must be given: --param topic=…
//!   count: 3          # has a default
//! mounts: [notes]
//! ---
//! 1. Name the {{count}} most important points about {{topic}}. -> points
//!    as: {type: array, items: {type: string}}
//! 2. Write a paragraph from these points: {{points}} -> text
//! ```
//!
//! [`Script::parse`] checks all that can be checked before the first question is asked;
//! [`run()`] puts the steps to whatever implements [`Ask`].

mod check;
mod error;
mod head;
mod parse;
mod run;
mod template;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde_json::Value;

pub use error::ScriptError;
pub use run::{Ask, AskError, Progress, Report, StepAnswer, run};

/// The most bytes that a script may have (1 MiB).
pub const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// The most steps that a script may have.
pub const MAX_STEPS: usize = 100;

/// The most bytes of one step when its names are filled in (1 MiB).
pub const MAX_RENDERED_BYTES: usize = 1 << 20;

/// The most bytes that a name may have.
pub const MAX_NAME_BYTES: usize = 64;

/// A script, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Its name: from the head, or that of its file without the ending.
    pub name: String,
    /// Where it was read, for messages.
    pub path: PathBuf,
    /// What may be given to it.
    pub params: Vec<Param>,
    /// Folders that it reads, as they are written: names in `{{…}}` are not filled in yet.
    pub mounts: Vec<Mount>,
    /// What it does, in order. Never empty.
    pub steps: Vec<Step>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value when none is given; none when one must be given.
    pub default: Option<Value>,
}

/// A folder that a script reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The line of the head, counted from 1.
    pub line: usize,
    /// The folder, with names in `{{…}}`.
    pub folder: String,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its number, counted from 1.
    pub number: usize,
    /// The line on which it begins, counted from 1.
    pub line: usize,
    /// What is put to the model, with names in `{{…}}`.
    pub text: String,
    /// The name of its result.
    pub bind: Option<String>,
    /// The JSON schema that its result is held to. Without one the result is text.
    pub schema: Option<Value>,
}
