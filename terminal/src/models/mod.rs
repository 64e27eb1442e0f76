//! The model store: which models there are, where each can be had, and how a file gets into
//! the store whole and with the right SHA-256, or not at all.

mod auto;
mod catalogue;
mod error;
mod folders;
mod hash;
mod hub;
mod lock;
mod machine;
mod marker;
mod name;
mod parts;
mod pip;
mod progress;
mod pull;
mod space;
mod store;
#[cfg(test)]
mod tests;
mod transfer;

pub use auto::{AUTO, choose};
pub use catalogue::{EMBEDDER, entry};
pub use error::{PullError, StoreError};
pub use machine::Machine;
pub use name::ModelRef;
pub use progress::{Bar, Progress};
pub use pull::Sources;
pub use store::{EmbedderFiles, Listed, State, Store};
