//! Hashes.

use data_encoding::HEXLOWER;
use md5::Digest as _;

use crate::bindings::Algorithm;
use crate::limits::{MAX_TEXT_BYTES, check_size};

/// The hash of the bytes of a text, in lower-case hexadecimal.
///
/// # Errors
/// When the text is too long.
pub fn hash(text: &str, algorithm: Algorithm) -> Result<String, String> {
    check_size("the text", text, MAX_TEXT_BYTES)?;
    Ok(match algorithm {
        Algorithm::Sha256 => HEXLOWER.encode(&sha2::Sha256::digest(text)),
        Algorithm::Sha1 => HEXLOWER.encode(&sha1::Sha1::digest(text)),
        Algorithm::Md5 => HEXLOWER.encode(&md5::Md5::digest(text)),
        Algorithm::Crc32 => format!("{:08x}", crc32fast::hash(text.as_bytes())),
    })
}
