//! The engines: what decodes tokens for Lucid, behind [`lucid_kernel::port::Engine`].
//!
//! [`Mistralrs`] runs a model in this process; [`Scripted`] answers by a script, for tests.
//! [`gguf`] tells what a model file holds without loading it.

mod chooser;
mod draw;
mod embedded;
pub mod gguf;
mod grammar;
mod ledger;
mod load;
mod runner;
mod scripted;
mod text;
mod vocabulary;

pub use embedded::{CacheStatus, Mistralrs};
pub use load::{LoadOptions, LoadProgress, ModelSource, ModelSpec};
pub use scripted::{Exchange, Expect, Pace, Scripted};
