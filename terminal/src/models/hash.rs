//! SHA-256 of files and of parts of files, with progress and cancel.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes read at a time. Between two reads it is asked whether to stop.
pub(super) const CHUNK_BYTES: usize = 1024 * 1024;

/// Characters of a SHA-256 in hex.
const HEX_CHARS: usize = 64;

/// Whether a text is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == HEX_CHARS && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A finished hash in lower-case hex.
pub(super) fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes a whole file; none when it was cancelled. `on_bytes` gets the bytes done so far.
///
/// # Errors
/// Those of reading.
pub(super) fn of_file(
    path: &Path,
    on_bytes: &mut dyn FnMut(u64),
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Option<String>> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    Ok(feed(&mut file, u64::MAX, &mut [&mut hasher], on_bytes, cancelled)?.map(|_| hex(hasher)))
}

/// Reads at most `limit` bytes and gives them to all hashers; says how many there were, or
/// none when it was cancelled.
///
/// # Errors
/// Those of reading.
pub(super) fn feed(
    from: &mut dyn Read,
    limit: u64,
    hashers: &mut [&mut Sha256],
    on_bytes: &mut dyn FnMut(u64),
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Option<u64>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut from = from.take(limit);
    let mut done = 0;
    loop {
        if cancelled() {
            return Ok(None);
        }
        let read = match from.read(&mut chunk) {
            Ok(0) => return Ok(Some(done)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for hasher in hashers.iter_mut() {
            hasher.update(&chunk[..read]);
        }
        done += read as u64;
        on_bytes(done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_hash_of_abc() {
        // Source: FIPS 180-2, appendix B.1.
        let expect = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut hasher = Sha256::new();
        let done = feed(&mut &b"abcdef"[..], 3, &mut [&mut hasher], &mut |_| {}, &|| false);
        assert_eq!(done.ok().flatten(), Some(3));
        assert_eq!(hex(hasher), expect);
        assert!(is_sha256(expect) && !is_sha256(&expect.to_uppercase()) && !is_sha256("ba78"));
    }

    #[test]
    fn stops_when_asked() {
        let done = feed(&mut &b"abc"[..], 3, &mut [], &mut |_| {}, &|| true);
        assert_eq!(done.ok(), Some(None));
    }
}
