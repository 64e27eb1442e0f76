//! What can go wrong in the model store, in words for a person, each with its exit code.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::progress::bytes_text;

/// Exit code: the task failed.
const FAILED: u8 = 1;
/// Exit code: the model is missing, damaged or cannot be had.
const NO_MODEL: u8 = 3;
/// Exit code: the user cancelled.
const CANCELLED: u8 = 130;

/// Why a model cannot be found, used or removed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No model has this name.
    #[error("there is no model {given:?}{}; `lucid model list` shows all", near_text(near))]
    Unknown {
        /// What was asked for.
        given: String,
        /// Names that are near it.
        near: Vec<String>,
    },
    /// There is no file at this path.
    #[error("there is no model file {}", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The file is not a model file that Lucid loads.
    #[error("{} is no GGUF model file: {reason}", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// The model makes vectors.
    #[error(
        "{name} does not answer, it finds pages by their meaning; `lucid model list` shows those that do"
    )]
    NoAnswers {
        /// The model.
        name: String,
    },
    /// The model does not make vectors.
    #[error("{name} does not make vectors of texts; {} does", super::catalogue::EMBEDDER)]
    NoVectors {
        /// The model.
        name: String,
    },
    /// The model is known but not on this machine.
    #[error("the model {name} is not on this machine yet; `lucid model pull {name}` fetches it")]
    Missing {
        /// The model.
        name: String,
    },
    /// The model's file is not what it was when it was fetched.
    #[error(
        "the model file {} is damaged: {expected} was expected, {found} found; \
         `lucid model pull {name}` fetches it again",
        path.display()
    )]
    Damaged {
        /// The model.
        name: String,
        /// Its file.
        path: PathBuf,
        /// The size or SHA-256 that it should have.
        expected: String,
        /// The one that it has.
        found: String,
    },
    /// Only files of the store can be removed.
    #[error("{} is not in the model store, so it is left alone; remove the file yourself", path.display())]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// Another lucid is fetching this model.
    #[error("the model {name} is being fetched by {holder}; try again when it is done")]
    Busy {
        /// The model.
        name: String,
        /// Who, as far as is known.
        holder: String,
    },
    /// The operating system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl StoreError {
    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io { source, .. } if is_full(source) => FAILED,
            Self::Busy { .. } | Self::NotOurs { .. } => FAILED,
            _ => NO_MODEL,
        }
    }

    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_path_buf(), source }
    }
}

/// Why a model could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// None of the sources gave it.
    #[error(
        "cannot fetch the model {name}{}. Tried:{}\n{}",
        bytes.map(|bytes| format!(" ({})", bytes_text(bytes))).unwrap_or_default(),
        tried_text(tried),
        hint(name, tried)
    )]
    Unreachable {
        /// The model.
        name: String,
        /// Its size, if known.
        bytes: Option<u64>,
        /// The sources, in the order they were tried.
        tried: Vec<Tried>,
    },
    /// The disk has too little space.
    #[error("{space}{}", kept_text(name, *kept_bytes))]
    Full {
        /// The model.
        name: String,
        /// How much, and where.
        space: NoSpace,
        /// How much of the model is already there and kept.
        kept_bytes: u64,
    },
    /// The user cancelled.
    #[error(
        "fetching {name} was cancelled; what is finished is kept, `lucid model pull {name}` goes on from there"
    )]
    Cancelled {
        /// The model.
        name: String,
    },
    /// The store itself cannot be used, or the name means nothing.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PullError {
    /// The exit code of a program that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => NO_MODEL,
            Self::Full { .. } => FAILED,
            Self::Cancelled { .. } => CANCELLED,
            Self::Store(error) => error.exit_code(),
        }
    }
}

/// One source that was tried, and why it did not give the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The source, for people.
    pub source: String,
    /// Why not, in one line.
    pub reason: String,
    /// What the user can do about this one, if anything.
    pub hint: Option<String>,
}

/// Too little space on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSpace {
    /// The folder that is being written.
    pub folder: PathBuf,
    /// What is needed now, in bytes, as far as is known.
    pub needed_bytes: Option<u64>,
    /// What is free, in bytes.
    pub free_bytes: u64,
}

impl fmt::Display for NoSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folder, free) = (self.folder.display(), bytes_text(self.free_bytes));
        match self.needed_bytes {
            Some(needed) => write!(
                f,
                "not enough space on the disk that holds {folder}: {} are needed, {free} are free",
                bytes_text(needed)
            ),
            None => write!(f, "no space left on the disk that holds {folder}: {free} are free"),
        }
    }
}

/// Why one source, or the pull as a whole, stops.
#[derive(Debug)]
pub(super) enum Stop {
    /// This source cannot give it: try the next.
    Reason { reason: String, hint: Option<String> },
    /// The user wants it to end.
    Cancelled,
    /// The disk is full.
    Full(NoSpace),
    /// The store cannot be used.
    Store(StoreError),
}

impl Stop {
    pub(super) fn reason(reason: impl Into<String>) -> Self {
        Self::Reason { reason: reason.into(), hint: None }
    }

    /// A failed write into the store: a full disk, or anything else.
    pub(super) fn write(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            if is_full(&source) {
                let folder = path.parent().unwrap_or(path).to_path_buf();
                let free_bytes = fs4::available_space(&folder).unwrap_or(0);
                return Self::Full(NoSpace { folder, needed_bytes: None, free_bytes });
            }
            Self::Store(StoreError::Io { what, path: path.to_path_buf(), source })
        }
    }
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Whether an error says that the disk, or the user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn near_text(near: &[String]) -> String {
    match near {
        [] => String::new(),
        names => format!("; near it: {}", names.join(", ")),
    }
}

fn tried_text(tried: &[Tried]) -> String {
    tried.iter().map(|tried| format!("\n  - {}: {}", tried.source, tried.reason)).collect()
}

fn hint(name: &str, tried: &[Tried]) -> String {
    let mut hint = String::new();
    for own in tried.iter().filter_map(|tried| tried.hint.as_ref()) {
        hint.push_str(own);
        hint.push('\n');
    }
    hint.push_str(&format!(
        "Check the network and run `lucid model pull {name}` again, or name a GGUF file that is on this \
         machine: `--model FILE`"
    ));
    hint
}

fn kept_text(name: &str, kept_bytes: u64) -> String {
    if kept_bytes == 0 {
        return format!("; make room, then run `lucid model pull {name}` again");
    }
    format!(
        "; {} of {name} are there and kept: make room, then `lucid model pull {name}` goes on",
        bytes_text(kept_bytes)
    )
}
