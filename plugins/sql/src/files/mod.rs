//! Files, clocks and chance: from WASI in a guest, from the standard library where tests run.

use std::fmt;

use crate::limits::MAX_PATH_BYTES;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(not(target_family = "wasm"))]
pub use native::{File, epoch_millis, exists, find, millis, open, random, remove};
#[cfg(target_family = "wasm")]
pub use wasi::{File, epoch_millis, exists, find, millis, open, random, remove};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To read.
    Read,
    /// To read and change.
    Write,
    /// The same; it is made when it is not there.
    Create,
}

/// Why a file cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing(String),
    /// It was not granted; says what was.
    Denied(String),
    /// Something else.
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "there is no file {path}"),
            Self::Denied(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

/// A path without what leads back or nowhere. Links are the host's business.
pub fn clean(path: &str) -> Result<String, Fault> {
    if path.trim().is_empty() {
        return Err(Fault::Other("the path of the file is empty".into()));
    }
    if path.len() > MAX_PATH_BYTES || path.contains('\0') {
        return Err(Fault::Other(format!("the path is no path of at most {MAX_PATH_BYTES} bytes")));
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                // Above the root there is nothing; above a relative path there may be.
                if parts.pop().is_none() && !path.starts_with('/') {
                    return Err(Fault::Denied(format!("{path} leads out of its folder")));
                }
            }
            other => parts.push(other),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    Ok(format!("{root}{}", parts.join("/")))
}

/// All of a file, if it has at most so many bytes.
pub fn read_all(path: &str, most: usize) -> Result<Vec<u8>, Fault> {
    let file = open(path, Mode::Read)?;
    let size = file.size()?;
    let size = usize::try_from(size).ok().filter(|size| *size <= most).ok_or_else(|| {
        Fault::Other(format!("{path} has {size} bytes; at most {most} can be read into memory"))
    })?;
    let mut bytes = vec![0; size];
    let read = file.read(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_cleaned() {
        let clean = |path: &str| super::clean(path).map_err(|fault| fault.to_string());
        assert_eq!(clean("/a//b/./c/../d.db").as_deref(), Ok("/a/b/d.db"));
        assert_eq!(clean("./a/b.db").as_deref(), Ok("a/b.db"));
        assert_eq!(clean("/../a").as_deref(), Ok("/a"));
        assert!(clean("../a").unwrap_err().contains("leads out"));
        assert!(clean(" ").is_err() && clean("a\0b").is_err() && clean(&"a".repeat(2_000)).is_err());
    }
}
