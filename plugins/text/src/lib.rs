//! Texts: data in them is read and converted, they are searched, compared, hashed, encoded and
//! counted.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod codec;
pub mod compare;
pub mod count;
pub mod data;
pub mod hashes;
pub mod limits;
pub mod paths;
pub mod search;
pub mod substitute;

lucid_plugin::plugin! {
    fn query(text: String, path: String, format: Option<Format>) -> Result<String, String> {
        paths::query(&text, &path, format)
    }

    fn convert(text: String, to: Format, from: Option<Format>) -> Result<String, String> {
        data::convert(&text, to, from)
    }

    fn find(text: String, pattern: String, ignore_case: Option<bool>) -> Result<String, String> {
        search::find(&text, &pattern, ignore_case.unwrap_or(false))
    }

    fn replace(
        text: String,
        pattern: String,
        replacement: String,
        ignore_case: Option<bool>,
    ) -> Result<String, String> {
        substitute::replace(&text, &pattern, &replacement, ignore_case.unwrap_or(false))
    }

    fn diff(old: String, new: String) -> Result<String, String> {
        compare::diff(&old, &new)
    }

    fn hash(text: String, algorithm: Algorithm) -> Result<String, String> {
        hashes::hash(&text, algorithm)
    }

    fn encode(text: String, encoding: Encoding) -> Result<String, String> {
        codec::encode(&text, encoding)
    }

    fn decode(text: String, encoding: Encoding) -> Result<String, String> {
        codec::decode(&text, encoding)
    }

    fn count(text: String, part: Option<String>) -> Result<String, String> {
        count::count(&text, part.as_deref())
    }
}
