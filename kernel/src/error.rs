//! What the kernel refuses, and why.

use serde::{Deserialize, Serialize};

use crate::abi::{EffectId, PageId, Pid, TokenCount};

/// An event that the kernel does not take. Nothing changes when it says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum KernelError {
    /// Another event came before [`crate::abi::Event::Boot`].
    #[error("the kernel is not booted")]
    NotBooted,
    /// A second boot.
    #[error("the kernel is booted already")]
    AlreadyBooted,
    /// The settings make no sense.
    #[error("{0}")]
    BadConfig(String),
    /// No such process.
    #[error("there is no process {0}")]
    NoProcess(Pid),
    /// The process is in the middle of a turn.
    #[error("process {0} is still busy with the turn before")]
    ProcessBusy(Pid),
    /// There would be nobody left to speak to.
    #[error("{0} is the only conversation; begin another one first")]
    LastProcess(Pid),
    /// The event answers nothing that is under way.
    #[error("nothing under way is called {0}")]
    NoEffect(EffectId),
    /// The event does not fit the effect it names.
    #[error("effect {0} is not answered like this")]
    WrongAnswer(EffectId),
    /// It cannot fit, whatever is evicted.
    #[error(
        "{what} has {tokens} tokens, and at most {room} fit into the window of {window} tokens; {remedy}"
    )]
    TooLarge {
        /// What is too big.
        what: String,
        /// Its tokens.
        tokens: TokenCount,
        /// What would fit.
        room: TokenCount,
        /// The window.
        window: TokenCount,
        /// What to do.
        remedy: String,
    },
    /// A page that cannot be moved so.
    #[error("{page} {reason}")]
    BadPage {
        /// The page.
        page: PageId,
        /// Why not.
        reason: String,
    },
    /// There is nothing in the input.
    #[error("the input is empty")]
    Empty,
    /// A limit was reached.
    #[error("too many {what}: at most {limit}")]
    Limit {
        /// Of what.
        what: String,
        /// The limit.
        limit: u64,
    },
    /// A schema that cannot be used.
    #[error("the schema of {what} cannot be used: {reason}")]
    BadSchema {
        /// Whose.
        what: String,
        /// Why.
        reason: String,
    },
}
