//! Tools for the model: WebAssembly components, run in a sandbox, described by their own types.
//!
//! [`ToolHost`] loads components and calls them; [`kit`] is what `lucid plugin` does with them.

pub mod bench;
pub mod bundled;
pub mod docs;
mod error;
mod fault;
mod files;
mod host;
pub mod kit;
mod limits;
mod plugin;
mod runtime;
mod sandbox;
mod ticker;
mod value;

pub use error::ToolError;
pub use host::{CallOutput, FolderReport, ToolHost};
pub use limits::Limits;
pub use plugin::{Plugin, checked_name};
