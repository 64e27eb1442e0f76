//! What a Lucid plugin written in Rust needs: the macro [`plugin!`].
//!
//! `lucid plugin new` writes the same module, [`lucid`], into the project it makes, so that
//! a plugin needs no crate of ours. The bundled plugins take it from here.

#![deny(unsafe_code)]
#![warn(missing_docs)]

#[macro_use]
pub mod lucid;
