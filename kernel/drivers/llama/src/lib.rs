//! llama.cpp in this process, behind [`lucid_kernel::port::Engine`]: the fast engine on a CPU.
//!
//! A thread owns the model's context; what it keeps of earlier prompts is booked in `cache`,
//! which knows nothing of llama.cpp and so is tested without a model.

mod cache;
mod draft;
mod engine;
mod load;
mod small;
mod snapshot;
mod vocabulary;
mod words;
mod worker;

pub use engine::{CacheStatus, LlamaCpp};
