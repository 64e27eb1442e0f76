//! Tools for the model: WebAssembly components, run in a sandbox, described by their own types.
//!
//! [`ToolHost`] loads components and calls them; [`kit`] is what `lucid plugin` does with them. One tool is
//! no component: [`shell`].

pub mod attach;
pub mod bench;
pub mod bundled;
mod carried;
mod code;
mod described;
pub mod docs;
mod error;
mod fault;
mod files;
mod host;
mod imports;
mod kept;
pub mod kit;
mod limits;
mod missing;
mod net;
mod outgoing;
pub mod package;
mod plugin;
pub mod rights;
mod runtime;
mod sandbox;
mod services;
pub mod shell;
mod text;
mod ticker;
mod value;

pub use error::ToolError;
pub use host::{CallOutput, FolderReport, InstalledChange, ToolHost};
pub use limits::Limits;
pub use plugin::{Plugin, checked_name};
pub use services::{Level, NoServices, Scope, Services};
