//! The store against a pip and a hub of our own: real processes and real sockets, no network.
#![allow(clippy::unwrap_used)]

mod fixture;
mod full;
mod hub;
mod store;
mod wheels;
