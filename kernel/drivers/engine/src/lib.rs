//! The engines: what decodes tokens for Lucid, behind [`lucid_kernel::port::Engine`].
//!
//! [`Mistralrs`] runs a model in this process; [`Scripted`] answers by a script, for tests.

mod chooser;
mod embedded;
mod embedder;
mod ledger;
mod load;
mod runner;
mod scripted;
mod vocabulary;

pub use embedded::{CacheStatus, Mistralrs};
pub use embedder::SentenceBert;
pub use scripted::{Exchange, Expect, Pace, Scripted};
