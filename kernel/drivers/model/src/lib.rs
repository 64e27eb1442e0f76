//! What every engine needs and none should do differently: reading what a model file says of
//! its model ([`gguf`]), grammars ([`grammar`]), the choice of the next token from logits
//! ([`choose`]), and text from the bytes of tokens ([`text`]).

pub mod choose;
pub mod draw;
pub mod gguf;
pub mod grammar;
pub mod load;
pub mod plain;
pub mod request;
pub mod text;

pub use llguidance;
