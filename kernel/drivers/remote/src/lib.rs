//! Any OpenAI-compatible endpoint behind [`lucid_kernel::port::Engine`]: vLLM, llama.cpp's
//! server, mistral.rs's, Ollama, hosted ones.
//!
//! ```no_run
//! use std::sync::Arc;
//! use lucid_kernel::port::Engine as _;
//! use lucid_remote::{O200k, Remote, RemoteSpec};
//!
//! let spec = RemoteSpec::new("qwen2.5-coder", "http://localhost:8080");
//! let engine = Remote::connect(spec, Arc::new(O200k))?;
//! assert!(engine.info().host.is_none(), "what goes to localhost stays on this machine");
//! # Ok::<(), lucid_kernel::port::EngineError>(())
//! ```
//!
//! # From tokens to messages and back
//!
//! The kernel lays out tokens; a server takes messages. This engine has a vocabulary of its own:
//! text is counted by a [`TextTokens`], and three more tokens say who speaks. No text becomes one
//! of these, so that what was laid out is cut back into exactly the messages it was made of. A
//! call and its result become a server's `tool_calls` and `tool` messages.
//!
//! Counts are therefore near a server's own, not equal to them: where a server states its counts
//! they are reported, and a prompt that it finds too long is
//! [`EngineError::WindowFull`](lucid_kernel::port::EngineError::WindowFull) with its figures.
//! `max_tokens` is counted by the server.
//!
//! # What answers are held to
//!
//! The [`Shape`](lucid_kernel::abi::Shape) of a grammar is what is sent: `tools`, or
//! `response_format` with a JSON schema. A call comes back as the text `{"name":…,"arguments":…}`
//! that the kernel reads; what a model thinks before its answer is left out. A Lark source alone
//! goes to servers that know Lark; for others it is an error.
//!
//! # When servers fail
//!
//! A request is tried again, at once on another endpoint and after a pause on the same, as long
//! as nothing was written: on a connection that fails, on 429 (after the seconds that `Retry-After`
//! says, a minute at most) and on 500, 502, 503 and 504. After that an error says that the turn can be tried again. Nothing
//! hangs: connecting, the wait for the answer's begin and each wait within it have a limit
//! ([`Timeouts`]), and a [`CancelFlag`](lucid_kernel::port::CancelFlag) closes the connection, on
//! which servers stop.
//!
//! # What leaves the machine
//!
//! [`EngineInfo::host`](lucid_kernel::abi::EngineInfo::host) names where prompts go; it is none
//! only when every endpoint is this machine, and then no proxy is used either. A [`Key`] is in no
//! error, even if the server repeats it, and a request is never sent on to another host.

mod address;
mod answer;
mod body;
mod dialect;
mod engine;
mod exchange;
mod fault;
mod key;
mod messages;
mod pool;
mod probe;
mod server;
mod spec;
mod sse;
mod tokens;
mod vocabulary;

pub use address::check_url;
pub use engine::Remote;
pub use key::{Key, KeyError};
pub use spec::{DEFAULT_RETRIES, Endpoint, RemoteSpec, Timeouts};
pub use tokens::{O200k, TextTokens, UnknownToken};
