//! What can go wrong before a tool runs: loading a component, describing it, building one.

use std::path::PathBuf;

/// Why a component cannot be used as a plugin.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is larger than the host reads.
    #[error("{} has {found_bytes} bytes; the most that is read is {limit_bytes}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The WebAssembly engine cannot be set up.
    #[error("cannot set up the WebAssembly engine: {reason}")]
    Engine {
        /// What the engine said.
        reason: String,
    },
    /// The bytes are no component that the engine compiles.
    #[error("{plugin} is not a WebAssembly component that can be used: {reason}")]
    NotAComponent {
        /// The plugin.
        plugin: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The component wants something that the host does not offer.
    #[error("{plugin} imports what Lucid does not offer: {reason}")]
    Import {
        /// The plugin.
        plugin: String,
        /// What that is, all of it, and what to do where something helps.
        reason: String,
    },
    /// The component exports no function.
    #[error("{plugin} exports no function, so there is nothing to call")]
    NoFunction {
        /// The plugin.
        plugin: String,
    },
    /// A function cannot be offered as a tool.
    #[error("{plugin} cannot be used: its function {function} {reason}")]
    Function {
        /// The plugin.
        plugin: String,
        /// The function, as the component exports it.
        function: String,
        /// What stands in the way.
        reason: String,
    },
    /// A name is not one that a plugin can have.
    #[error(
        "{name:?} cannot be a plugin's name: use lower-case letters, digits and dashes, \
         a letter first, at most {limit} characters"
    )]
    Name {
        /// What was given.
        name: String,
        /// The most characters.
        limit: usize,
    },
    /// Two tools have one name.
    #[error("the tool name {tool} of {plugin} is already taken by {holder}")]
    Clash {
        /// The tool.
        tool: String,
        /// The plugin that came second.
        plugin: String,
        /// The plugin that has it.
        holder: String,
    },
    /// It has the name of a plugin that is part of the program.
    #[error("{plugin} is the name of a plugin that is part of Lucid; it needs another name")]
    Bundled {
        /// The plugin.
        plugin: String,
    },
    /// A component was put among the installed ones by hand.
    #[error("{} was not installed; `lucid plugin install` takes a file from any folder", path.display())]
    NotInstalled {
        /// The file.
        path: PathBuf,
    },
    /// A file is not what was installed or described.
    #[error("{} was changed: its SHA-256 is {found}, not {expected}; install it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// What it was.
        expected: String,
    },
    /// The descriptions that come with a component cannot be read.
    #[error("the descriptions of {plugin} ({place}) cannot be read: {reason}")]
    Docs {
        /// The plugin.
        plugin: String,
        /// Where they are.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// A limit of the host was reached while loading.
    #[error("{plugin} has more {what} than the host takes ({limit})")]
    TooMany {
        /// The plugin.
        plugin: String,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl ToolError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}
