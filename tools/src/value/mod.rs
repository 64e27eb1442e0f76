//! Component values and types as JSON: the schema that the model is held to, arguments on
//! their way in, results on their way out.
//!
//! | WIT | JSON |
//! |---|---|
//! | `bool` | `true`, `false` |
//! | `u8` … `u64`, `s8` … `s64` | an integer, all bits kept |
//! | `f32`, `f64` | a number; infinities and NaN are errors |
//! | `char` | a string of one Unicode scalar |
//! | `string` | a string |
//! | `list<u8>` | a base64 string (RFC 4648, padded) |
//! | `list<T>`, `list<T, N>` | an array |
//! | `tuple<…>` | an array of that length |
//! | `record` | an object; only options may be left out |
//! | `option<T>` | the value, or absent, or null; nested: `{"some": …}` |
//! | `enum` | a string |
//! | `flags` | an array of strings; one that stands twice counts once |
//! | `variant` | `{"case": value}`; a case without a payload is a string |
//! | `result<T, E>` | inside a value `{"ok": …}` or `{"error": …}`; as the whole result of a function the value, or an error |
//!
//! Names are written as in the WIT. Resources, streams, futures, maps and error contexts have
//! no JSON form: a function that has one is refused by name.

mod from_json;
pub(crate) mod schema;
mod to_json;

pub(crate) use from_json::arguments;
pub(crate) use schema::{Unsupported, parameters};
pub(crate) use to_json::{NoJson, payload, to_json};

use wasmtime::component::Type;

/// A value that does not fit its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct Misfit {
    /// Where, such as `points[2].x`.
    pub path: String,
    /// What was expected and what was found.
    pub reason: String,
}

/// The path of a field below `path`.
pub(crate) fn field(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The path of a case of a variant, enum or flags below `path`.
pub(crate) fn case(path: &str, name: &str) -> String {
    format!("{path}({name})")
}

/// Whether this is the option of an option, which is written `{"some": …}`.
pub(crate) fn is_option(ty: &Type) -> bool {
    matches!(ty, Type::Option(_))
}

/// Whether a list of this element is written in base64.
pub(crate) fn is_byte(ty: &Type) -> bool {
    matches!(ty, Type::U8)
}
