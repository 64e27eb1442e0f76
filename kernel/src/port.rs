//! The ports: what the drivers implement and the machine calls. `step` uses none of them.
//!
//! All are synchronous and object-safe; what streams does so by callback, and what takes
//! long looks at a [`CancelFlag`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::abi::{
    Decoded, EngineInfo, Event, FileRange, Grammar, PageId, Sampling, Segment, Token, TokenCount,
};

/// Set by whoever wants something to stop; read by whoever does it.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop. Cannot be taken back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Why an engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The model file is missing, damaged, or of a kind that the engine does not know.
    #[error("cannot load the model {model}: {reason}")]
    Load {
        /// Name or path.
        model: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The grammar was refused.
    #[error("the grammar cannot be used: {0}")]
    Grammar(String),
    /// The prompt does not fit.
    #[error("the prompt has {prompt} tokens, the window only {window}")]
    WindowFull {
        /// Tokens asked for, the answer included.
        prompt: TokenCount,
        /// The window.
        window: TokenCount,
    },
    /// Anything else inside the engine.
    #[error("the engine failed: {0}")]
    Failed(String),
}

/// What to decode.
#[derive(Debug, Clone)]
pub struct DecodeRequest {
    /// The whole window, in order.
    pub layout: Vec<Segment>,
    /// What the output must obey.
    pub grammar: Option<Grammar>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// At most this many tokens.
    pub max_tokens: TokenCount,
}

/// What comes while an engine works. For display only.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// So many prompt tokens are being computed, so many are reused.
    Prefill {
        /// Computed anew.
        prefilled: TokenCount,
        /// Reused.
        reused: TokenCount,
    },
    /// More text. Always whole characters.
    Text(String),
}

/// How a model writes its chat messages, found in its file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChatTemplate {
    /// The Jinja source, if the file has one.
    pub source: Option<String>,
    /// The text of the begin-of-text token, empty when there is none.
    pub bos: String,
    /// The text of the end-of-text token, empty when there is none.
    pub eos: String,
}

/// A model that decodes tokens.
///
/// Promises: `tokenize` and `detokenize` are pure; `decode` returns exactly the sampled
/// tokens; a cancelled `decode` returns what it has with [`crate::abi::StopReason::Cancelled`];
/// as many `decode`s as [`EngineInfo::slots`] may run at once.
pub trait Engine: Send + Sync {
    /// What the kernel must know of it.
    fn info(&self) -> EngineInfo;

    /// How its model writes chat messages.
    fn chat_template(&self) -> ChatTemplate;

    /// Text to tokens. With `special`, the text of a special token (`<|im_end|>`) becomes that
    /// token; without, it stays text, so that no content can forge a role.
    ///
    /// # Errors
    /// When the tokenizer fails.
    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError>;

    /// Tokens to text; special tokens are written out.
    ///
    /// # Errors
    /// When a token is not in the vocabulary.
    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError>;

    /// Decodes, calling `on_delta` as text comes.
    ///
    /// # Errors
    /// See [`EngineError`]. After an error the engine can be used again.
    fn decode(
        &self,
        request: &DecodeRequest,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError>;

    /// Waits until the engine has let go of a `decode` that returned early because it was
    /// cancelled. The next `decode` would wait as long.
    fn settle(&self) {}

    /// Keeps what was computed for the last process on disk, where the engine can, so that the
    /// process goes on faster after a restart. Waits for what is being decoded.
    fn keep(&self) {}

    /// Lets go of what it keeps of earlier prompts, so that the next one is computed whole. Waits
    /// for what is being decoded. An engine that cannot tell what it keeps does nothing.
    fn forget(&self) {}
}

/// A model that makes vectors of texts.
///
/// Promises: each vector has length 1, so that the dot product of two is the cosine of the angle
/// between them: the larger, the nearer in meaning. A text gives the same vector whatever it is
/// embedded with, up to rounding.
pub trait Embedder: Send + Sync {
    /// Which model it is. Vectors of models of other names cannot be compared.
    fn model(&self) -> String;

    /// How many numbers a vector has.
    fn dimensions(&self) -> usize;

    /// One vector for each text, in order. What is longer than the model can take counts up to
    /// there.
    ///
    /// # Errors
    /// [`EngineError::Load`] when it is loaded on demand and cannot be, [`EngineError::Failed`]
    /// otherwise.
    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError>;
}

/// Why the disk could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The folder cannot be mounted.
    #[error("cannot mount {path}: {reason}")]
    Mount {
        /// The folder.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The folder is not mounted.
    #[error("{path} is not mounted; `lucid mounts` lists what is")]
    NotMounted {
        /// The folder.
        path: String,
    },
    /// Another process writes the index.
    #[error("the index is being written by another lucid ({holder}); try again when it is done")]
    Busy {
        /// Who holds it, as far as is known.
        holder: String,
    },
    /// The index is damaged.
    #[error("the index at {path} is damaged ({reason}); `lucid mount --rebuild` makes it anew")]
    Damaged {
        /// Where the index is.
        path: String,
        /// What was found.
        reason: String,
    },
    /// No space is left.
    #[error("no space left on the disk that holds {path}; what was indexed so far is kept")]
    Full {
        /// Where it was writing.
        path: String,
    },
    /// Anything else.
    #[error("{what}: {reason}")]
    Failed {
        /// What was tried, on what.
        what: String,
        /// What went wrong.
        reason: String,
    },
}

/// A piece of a file, as the index holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// Where it is.
    pub range: FileRange,
    /// Headings above it, or the item it stands in, outermost first, joined by ` > `. May be empty.
    pub heading: String,
    /// Its text.
    pub text: String,
    /// How well it matches; higher is better, comparable within one search only.
    pub score: f32,
}

/// How a folder is to be mounted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MountOptions {
    /// Take hidden and secret files too.
    pub hidden: bool,
    /// Throw the folder's part of the index away and make it anew.
    pub rebuild: bool,
}

/// Why a file was not indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Not text.
    Binary,
    /// Over the size limit.
    TooLarge,
    /// Hidden (a dot file or folder).
    Hidden,
    /// Named by an ignore file.
    Ignored,
    /// Likely a secret (`.env`, `*.pem`, `id_*`, …).
    Secret,
    /// Could not be read.
    Unreadable,
    /// Changed or vanished while it was read; the next mount takes it.
    Changed,
}

/// How far a mount is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountProgress {
    /// Files looked at.
    pub files_done: u64,
    /// Files found so far; grows until the walk is over.
    pub files_found: u64,
    /// Bytes of text indexed.
    pub bytes: u64,
    /// The file at hand.
    pub path: String,
}

/// What a mount did.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MountReport {
    /// The folder, absolute.
    pub root: String,
    /// Files in the index now.
    pub files: u64,
    /// Of these, how many were read in this run.
    pub read: u64,
    /// Files that left the index in this run.
    pub removed: u64,
    /// Pages in the index now.
    pub pages: u64,
    /// Bytes of text read in this run.
    pub bytes: u64,
    /// How many files were skipped, by reason, in the order of [`Skip`].
    pub skipped: Vec<(Skip, u64)>,
    /// Up to 20 files that were skipped though they look like the user's own text (unreadable, too large, changed).
    pub examples: Vec<(Skip, String)>,
    /// Whether it was cancelled; what was done is kept.
    pub cancelled: bool,
}

/// A mounted folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// The folder, absolute.
    pub root: String,
    /// How it was mounted.
    pub options: MountOptions,
    /// Files in the index.
    pub files: u64,
    /// Pages in the index.
    pub pages: u64,
    /// False while the first indexing has not run to its end.
    pub complete: bool,
}

/// Folders, cut into pages and searchable.
///
/// Promises: what `search` finds is in the file as it was when it was indexed; a mount that
/// is cancelled or killed keeps whole files only; searching never waits for a mount.
pub trait Disk: Send + Sync {
    /// Mounts a folder, or brings its part of the index up to date.
    ///
    /// # Errors
    /// See [`DiskError`]. A file that cannot be read is counted, not an error.
    fn mount(
        &self,
        root: &str,
        options: &MountOptions,
        cancel: &CancelFlag,
        on_progress: &mut dyn FnMut(&MountProgress),
    ) -> Result<MountReport, DiskError>;

    /// Takes a folder out of the index.
    ///
    /// # Errors
    /// [`DiskError::NotMounted`] and those of writing.
    fn unmount(&self, root: &str) -> Result<(), DiskError>;

    /// What is mounted.
    ///
    /// # Errors
    /// Those of reading.
    fn mounts(&self) -> Result<Vec<Mount>, DiskError>;

    /// The pages that match best, best first, at most `at_most`. `roots` limits it to these
    /// mounted folders; empty means all. Any text is a valid query.
    ///
    /// # Errors
    /// Those of reading.
    fn search(&self, query: &str, roots: &[String], at_most: usize) -> Result<Vec<Hit>, DiskError>;

    /// Prepares so many pages of a mounted folder to be found by their meaning too, and gives how
    /// many are left. Where nothing does that, none are.
    ///
    /// # Errors
    /// Those of reading and writing, and [`DiskError::Failed`] when the embedder fails.
    fn embed(&self, _root: &str, _at_most: usize, _cancel: &CancelFlag) -> Result<u64, DiskError> {
        Ok(0)
    }
}

/// A piece of a page that left the window.
#[derive(Debug, Clone, PartialEq)]
pub struct SwapHit {
    /// The page.
    pub page: PageId,
    /// Which of its characters these are: the first, and the one after the last.
    pub chars: (u64, u64),
    /// What else it is found by.
    pub heading: String,
    /// They themselves.
    pub text: String,
    /// How well it matches; higher is better, comparable within one search only.
    pub score: f32,
    /// How near it is to the query in meaning, as a cosine; 0 where that is not known.
    pub nearness: f32,
}

/// What left the window of one conversation, searchable.
pub trait Swap: Send + Sync {
    /// Keeps pages, each with what else it may be found by, such as the question that it answers.
    /// They are found from now on.
    ///
    /// # Errors
    /// Those of writing.
    fn keep(&self, pages: &[(PageId, &str, &str)]) -> Result<(), DiskError>;

    /// The pieces of pages that match best: those with the query's rarest words, then those with
    /// most of its words, then those that are nearest to it in meaning. Any text is a valid query.
    ///
    /// # Errors
    /// Those of reading.
    fn find(&self, query: &str, at_most: usize) -> Result<Vec<SwapHit>, DiskError>;

    /// Prepares so many pieces to be found by their meaning too, and gives how many are left. Where
    /// nothing does that, none are.
    ///
    /// # Errors
    /// Those of reading and writing, and [`DiskError::Failed`] when the embedder fails.
    fn embed(&self, _at_most: usize, _cancel: &CancelFlag) -> Result<u64, DiskError> {
        Ok(0)
    }

    /// How many pages it keeps.
    fn pages(&self) -> u64;
}

/// Why the journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process writes this session.
    #[error("session {session} is being written by another lucid")]
    Busy {
        /// The session.
        session: String,
    },
    /// No such session.
    #[error("there is no session {session}")]
    NotFound {
        /// What was asked for.
        session: String,
    },
    /// No space is left.
    #[error("no space left on the disk that holds {path}")]
    Full {
        /// The journal.
        path: String,
    },
    /// Anything else.
    #[error("the journal at {path}: {reason}")]
    Failed {
        /// The journal.
        path: String,
        /// What went wrong.
        reason: String,
    },
}

/// A session, as the journal lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its name.
    pub session: String,
    /// When it began, in milliseconds since 1970.
    pub began_ms: u64,
    /// The folder it began in.
    pub folder: String,
    /// How many events it has.
    pub events: u64,
}

/// Every event of every session, in order.
///
/// Promises: an event whose `append` returned is there after a crash; events of a session
/// come back in the order they were appended.
pub trait Journal: Send + Sync {
    /// Begins a session.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn begin(&self, session: &str, folder: &str, began_ms: u64) -> Result<(), JournalError>;

    /// Writes one event and returns when it is safe. `seq` counts from 0 without gaps.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn append(&self, session: &str, seq: u64, event: &Event) -> Result<(), JournalError>;

    /// One event of a session.
    ///
    /// # Errors
    /// See [`JournalError`]; [`JournalError::Failed`] when there is no such event.
    fn event(&self, session: &str, seq: u64) -> Result<Event, JournalError>;

    /// All events of a session.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn load(&self, session: &str) -> Result<Vec<Event>, JournalError>;

    /// All sessions, the newest first.
    ///
    /// # Errors
    /// See [`JournalError`].
    fn sessions(&self) -> Result<Vec<SessionInfo>, JournalError>;
}
