//! Reads one file whole, if it is text and holds still.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lucid_kernel::port::Skip;

use crate::decode::{self, Decoded};
use crate::stat::Stat;

/// File systems stamp changes with a clock this coarse at worst; two changes within it can look alike.
const CLOCK_TICK: Duration = Duration::from_millis(20);
/// So much of a file is looked at before the rest is read, in bytes.
const HEAD_BYTES: usize = 8 << 10;

/// Reads and decodes the file that had this stat when it was found.
///
/// Not text: [`Skip::Binary`]. Not as it was, or not the same before and after the read:
/// [`Skip::Changed`].
pub(crate) fn read(path: &Path, found: &Stat) -> Result<Decoded, Skip> {
    wait_out_the_tick(found);
    let file = File::open(path).map_err(|error| skip_of(error.kind()))?;
    expect_unchanged(&file, found)?;
    let bytes = read_bytes(&file, found.size)?;
    expect_unchanged(&file, found)?;
    decode::decode(bytes).ok_or(Skip::Binary)
}

fn read_bytes(file: &File, size: u64) -> Result<Vec<u8>, Skip> {
    let size_bytes = usize::try_from(size).map_err(|_| Skip::TooLarge)?;
    let mut bytes = Vec::with_capacity(size_bytes + 1);
    let read = |bytes: &mut Vec<u8>, at_most: u64| {
        file.take(at_most).read_to_end(bytes).map_err(|error| skip_of(error.kind()))
    };
    if size_bytes > HEAD_BYTES {
        read(&mut bytes, HEAD_BYTES as u64)?;
        if decode::is_binary_head(&bytes) {
            return Err(Skip::Binary);
        }
    }
    // One byte more than there should be, to notice a file that grows.
    let rest = size + 1 - bytes.len() as u64;
    read(&mut bytes, rest)?;
    if bytes.len() == size_bytes { Ok(bytes) } else { Err(Skip::Changed) }
}

fn expect_unchanged(file: &File, found: &Stat) -> Result<(), Skip> {
    let metadata = file.metadata().map_err(|error| skip_of(error.kind()))?;
    if metadata.is_file() && Stat::of(&metadata) == *found { Ok(()) } else { Err(Skip::Changed) }
}

/// A file written within the last tick could be written again without a new time stamp: the index
/// would hold the old text for ever. Waiting until the tick is over rules that out.
fn wait_out_the_tick(found: &Stat) {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return };
    let age_ns = (now.as_nanos() as i64).saturating_sub(found.mtime_ns.max(found.ctime_ns));
    let tick_ns = CLOCK_TICK.as_nanos() as i64;
    if (0..tick_ns).contains(&age_ns) {
        std::thread::sleep(Duration::from_nanos((tick_ns - age_ns) as u64));
    }
}

fn skip_of(kind: ErrorKind) -> Skip {
    if kind == ErrorKind::NotFound { Skip::Changed } else { Skip::Unreadable }
}
