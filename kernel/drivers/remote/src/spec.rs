//! What a user says of a remote model.

use std::time::Duration;

use lucid_kernel::abi::TokenCount;

use crate::key::Key;

/// A server to ask.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its URL, with or without `/v1`.
    pub url: String,
    /// What it asks for, if anything.
    pub key: Option<Key>,
}

/// How long a server may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To take a connection.
    pub connect: Duration,
    /// To begin its answer; the prompt is computed in this time. What it sends to keep the
    /// connection alive begins it anew.
    pub first_byte: Duration,
    /// To send more of an answer that has begun.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(60),
        }
    }
}

/// How often a request is tried again when nothing else is said.
pub const DEFAULT_RETRIES: u32 = 3;

/// A model on servers.
#[derive(Debug, Clone)]
pub struct RemoteSpec {
    /// The model's name as the user gave it.
    pub name: String,
    /// The model's id on the servers.
    pub model: String,
    /// The servers, all of which have the model.
    pub endpoints: Vec<Endpoint>,
    /// The window in tokens, when the servers do not say or it is to be smaller.
    pub window: Option<TokenCount>,
    /// How long a server may take.
    pub timeouts: Timeouts,
    /// How often all servers are tried again when none could be asked.
    pub retries: u32,
}

impl RemoteSpec {
    /// A model on one server, the rest as usual.
    pub fn new(model: impl Into<String>, url: impl Into<String>) -> Self {
        let model = model.into();
        Self {
            name: model.clone(),
            model,
            endpoints: vec![Endpoint { url: url.into(), key: None }],
            window: None,
            timeouts: Timeouts::default(),
            retries: DEFAULT_RETRIES,
        }
    }
}
