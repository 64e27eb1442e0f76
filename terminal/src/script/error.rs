//! What is wrong with a script, where, and what to do.

use std::fmt;
use std::path::PathBuf;

use super::{MAX_NAME_BYTES, MAX_RENDERED_BYTES, MAX_SCRIPT_BYTES, MAX_STEPS};

/// A problem at a line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// The script.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.problem)
    }
}

impl std::error::Error for ScriptError {}

/// What can be wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The file is over the limit.
    TooLong,
    /// The head is not closed.
    OpenHead,
    /// The head cannot be read.
    BadHead(String),
    /// A fenced block is not closed.
    OpenFence,
    /// There is nothing to do.
    NoSteps,
    /// There is too much to do.
    TooManySteps,
    /// A step's number does not follow the one before.
    OutOfOrder {
        /// The number it has.
        found: String,
        /// The number it should have.
        expected: usize,
    },
    /// A step says nothing.
    EmptyStep,
    /// A text that cannot be a name.
    BadName(String),
    /// A name that is taken.
    Duplicate(String),
    /// A step has two names for its result.
    TwoNames,
    /// A step has two schemas.
    TwoSchemas,
    /// A schema that cannot be used.
    BadSchema(String),
    /// Two opening braces that do not hold a name.
    BadPlaceholder(String),
    /// A name that nothing has been bound to.
    UnknownName {
        /// The name.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A field of a result that is plain text.
    NoFields(String),
    /// A field that a value does not have.
    UnknownField {
        /// The whole reference.
        reference: String,
        /// The part that is not there.
        field: String,
        /// What there is instead.
        known: String,
    },
    /// A step that is over the limit when its names are filled in.
    RenderedTooLong,
    /// A parameter without a default that was not given.
    MissingParam(String),
    /// A parameter that the script does not have.
    UnknownParam {
        /// What was given.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => {
                write!(f, "the script is over {MAX_SCRIPT_BYTES} bytes; mount long texts instead")
            }
            Self::OpenHead => write!(f, "the head is not closed; end it with a line `---`"),
            Self::BadHead(reason) => {
                write!(f, "the head cannot be read: {reason}; it is YAML with `name`, `params` and `mounts`")
            }
            Self::OpenFence => write!(f, "the fenced block is not closed; end it with the same fence"),
            Self::NoSteps => write!(f, "there are no steps; write one as `1. What to do`"),
            Self::TooManySteps => write!(f, "there are over {MAX_STEPS} steps; split the script"),
            Self::OutOfOrder { found, expected } => {
                write!(f, "this is step {found} where {expected} comes next; number the steps 1, 2, 3 …")
            }
            Self::EmptyStep => write!(f, "the step says nothing; write what to do after its number"),
            Self::BadName(name) => write!(
                f,
                "{name:?} cannot be a name; use up to {MAX_NAME_BYTES} letters, digits and `_`, a letter first"
            ),
            Self::Duplicate(name) => write!(f, "the name {name} is taken; choose another"),
            Self::TwoNames => write!(f, "the step has a second `-> name`; a step has one result"),
            Self::TwoSchemas => write!(f, "the step has a second `as:`; a step has one schema"),
            Self::BadSchema(reason) => write!(
                f,
                "the schema after `as:` cannot be used: {reason}; write a JSON schema, such as `as: {{type: integer}}`"
            ),
            Self::BadPlaceholder(found) => write!(
                f,
                "{found:?} is no reference; write {{{{name}}}} or {{{{name.field}}}}, or \\{{{{ for the braces themselves"
            ),
            Self::UnknownName { name, known } => {
                write!(f, "nothing is called {name} here; {}", listed("known are", known))
            }
            Self::NoFields(name) => write!(
                f,
                "the result {name} is plain text and has no fields; give its step a schema with `as:`"
            ),
            Self::UnknownField { reference, field, known } => {
                write!(f, "{{{{{reference}}}}} cannot be filled in: there is no {field}; {known}")
            }
            Self::RenderedTooLong => write!(
                f,
                "the step is over {MAX_RENDERED_BYTES} bytes when its names are filled in; pass less on"
            ),
            Self::MissingParam(name) => {
                write!(f, "the parameter {name} is missing; give it with --param {name}=VALUE")
            }
            Self::UnknownParam { name, known } => {
                write!(f, "there is no parameter {name}; {}", listed("the script takes", known))
            }
        }
    }
}

fn listed(intro: &str, names: &[String]) -> String {
    match names {
        [] => "there are none".into(),
        names => format!("{intro} {}", names.join(", ")),
    }
}
