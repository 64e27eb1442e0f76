//! The kernel of Lucid: a pure state machine that decides what a language model sees,
//! what it may do, and what is remembered.
//!
//! It has no I/O, clock, randomness, threads or async. Everything that happens outside
//! enters as an [`abi::Event`]; everything it wants done leaves as an [`abi::Effect`].
//! The same events always give the same state and the same effects, so a session is a
//! fold over its journal.

pub mod abi;
pub mod chat;
pub mod citation;
pub mod error;
pub mod grammar;
pub mod journal;
pub mod kernel;
pub mod memory;
pub mod policy;
pub mod port;
pub mod process;
pub mod prompt;
pub mod relevance;
pub mod routing;
pub mod scheduler;
pub mod syscall;

pub use kernel::{Config, Kernel};
