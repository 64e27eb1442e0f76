//! Why a plugin cannot be had, kept or published.

use crate::error::ToolError;

/// Why a plugin cannot be had, kept or published.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The component, or a file of it.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// It is nowhere that plugins come from.
    #[error("{text} is no place to get a plugin from: {reason}")]
    Origin {
        /// What was given.
        text: String,
        /// What is wrong, and what could be given.
        reason: String,
    },
    /// A server does not give or take it.
    #[error("{server}: {reason}")]
    Server {
        /// The server, without what stands behind its name.
        server: String,
        /// What it said or did.
        reason: String,
    },
    /// No requests can be made at all.
    #[error("no request can be made: {reason}")]
    Network {
        /// Why.
        reason: String,
    },
    /// A registry has something of that name that is no component.
    #[error("{reference} is no WebAssembly component: {reason}")]
    NotAComponent {
        /// The name in the registry.
        reference: String,
        /// What it is.
        reason: String,
    },
    /// What came is not what was asked for.
    #[error("{origin} gave a component with SHA-256 {found}, not {expected}")]
    Digest {
        /// Where it came from.
        origin: String,
        /// The digest that was asked for.
        expected: String,
        /// That of what came.
        found: String,
    },
    /// A signature is not good.
    #[error("the signature of {origin} is not good: {reason}")]
    Signature {
        /// Where it came from.
        origin: String,
        /// What is wrong.
        reason: String,
    },
    /// It must be signed, and is not.
    #[error("{plugin} is not signed, and it must be: by the key {key}. {advice}")]
    Unsigned {
        /// The plugin.
        plugin: String,
        /// The key.
        key: String,
        /// What to do.
        advice: &'static str,
    },
    /// It is signed by another key than it must be.
    #[error("{plugin} is signed by the key {found}, and it must be by {expected}. {advice}")]
    OtherKey {
        /// The plugin.
        plugin: String,
        /// The key that it must be signed by.
        expected: String,
        /// The one that it is signed by.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// A key cannot be read or used.
    #[error("the key {place}: {reason}")]
    Key {
        /// Where it is.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
}
