//! A file's lines, one after the other, without the whole file in memory.

use std::ops::ControlFlow;

use crate::disk::{Disk, Fault, Kind, Place};
use crate::text::{binary, size};

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 512 << 10;
/// The largest line, in bytes. A longer one is taken apart.
const MAX_LINE_BYTES: usize = 1 << 20;
/// How much of a file is looked at to tell what it is, in bytes.
pub const HEAD_BYTES: usize = 8 << 10;

/// Why a file has no lines.
#[derive(Debug)]
pub enum NoLines {
    /// It cannot be read.
    Fault(Fault),
    /// It is no text; says what it is.
    Binary(String),
}

impl NoLines {
    /// The error for the model.
    pub fn words(&self, place: &Place) -> String {
        match self {
            Self::Fault(fault) => fault.words("read", place),
            Self::Binary(what) => format!("{place} is no text: {what}"),
        }
    }
}

impl From<Fault> for NoLines {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Refuses what is not a file of text, and says how large it is.
///
/// # Errors
/// [`NoLines`].
pub fn check_text(disk: &dyn Disk, place: &Place) -> Result<u64, NoLines> {
    let stat = disk.stat(place)?;
    match stat.kind {
        Kind::Folder => return Err(Fault::IsFolder.into()),
        Kind::File => {}
        Kind::Link | Kind::Other => return Err(NoLines::Binary("a device or a link".into())),
    }
    let head = disk.read(place, 0, HEAD_BYTES)?;
    match binary(&head, place.name()) {
        Some(what) => Err(NoLines::Binary(format!("{what} of {}", size(stat.bytes)))),
        None => Ok(stat.bytes),
    }
}

/// Gives each line to `visit`, without its line break, until that has enough or `at_most` bytes
/// were read. Returns how many bytes that were, and whether the file goes on.
///
/// # Errors
/// When it cannot be read.
pub fn each_line(
    disk: &dyn Disk,
    place: &Place,
    at_most: u64,
    visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(u64, bool), Fault> {
    let mut offset = 0;
    let mut open = Vec::new();
    loop {
        let wanted = at_most.saturating_sub(offset).min(CHUNK_BYTES as u64) as usize;
        let chunk = if wanted == 0 { Vec::new() } else { disk.read(place, offset, wanted)? };
        offset += chunk.len() as u64;
        let mut rest = chunk.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            open.extend_from_slice(&rest[..end]);
            rest = &rest[end + 1..];
            let line = open.strip_suffix(b"\r").unwrap_or(&open);
            if visit(line).is_break() {
                return Ok((offset, false));
            }
            open.clear();
        }
        open.extend_from_slice(rest);
        let is_last = chunk.len() < wanted || wanted == 0;
        if !open.is_empty() && (is_last || open.len() > MAX_LINE_BYTES) {
            if visit(&open).is_break() {
                return Ok((offset, false));
            }
            open.clear();
        }
        if is_last {
            let goes_on = wanted == 0 && !disk.read(place, offset, 1)?.is_empty();
            return Ok((offset, goes_on));
        }
    }
}
