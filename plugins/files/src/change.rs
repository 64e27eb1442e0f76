//! A change to one file: worked out first, so that it can be shown before it is made.

use crate::diff::unified;
use crate::disk::{Disk, Fault, Kind, Place};
use crate::stream::{NoLines, check_text};
use crate::text::{count, lines, size};

/// The largest file that is compared or edited, and the largest that is written, in bytes.
pub const MAX_FILE_BYTES: u64 = 4 << 20;
/// How many names are tried for a temporary file. Those that are taken were left by a call that
/// was stopped.
const MAX_TEMPORARY: usize = 20;

/// What a file holds before it is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// There is no file.
    Nothing,
    /// This text.
    Text(String),
    /// Something that is no text, or too large to compare; says what.
    Other(String),
}

/// How the new content gets into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As a new file that takes the place of the old one.
    Whole,
    /// At the end of the file.
    Append,
}

/// A file, what it holds, and what it is to hold.
#[derive(Debug)]
pub struct Change {
    pub(crate) at: Place,
    pub(crate) before: Before,
    /// The new content; what is added, for [`How::Append`].
    pub(crate) content: String,
    pub(crate) how: How,
}

impl Before {
    /// Looks at a file.
    ///
    /// # Errors
    /// When it is there and is no file, or cannot be looked at.
    pub fn of(disk: &dyn Disk, at: &Place) -> Result<Self, String> {
        let stat = match disk.stat(at) {
            Ok(stat) => stat,
            Err(Fault::Missing) => return Ok(Self::Nothing),
            Err(fault) => return Err(fault.words("write", at)),
        };
        match stat.kind {
            Kind::File => {}
            Kind::Folder => return Err(Fault::IsFolder.words("write", at)),
            Kind::Link | Kind::Other => return Err(format!("cannot write {at}: it is no file")),
        }
        match check_text(disk, at) {
            Ok(bytes) if bytes > MAX_FILE_BYTES => Ok(Self::Other(format!("a file of {}", size(bytes)))),
            Ok(_) => {
                let bytes =
                    disk.read(at, 0, MAX_FILE_BYTES as usize).map_err(|fault| fault.words("read", at))?;
                Ok(match String::from_utf8(bytes) {
                    Ok(text) => Self::Text(text),
                    Err(error) => {
                        let bytes = error.as_bytes().len() as u64;
                        Self::Other(format!("text of {} that is not UTF-8", size(bytes)))
                    }
                })
            }
            Err(NoLines::Binary(what)) => Ok(Self::Other(what)),
            Err(no) => Err(no.words(at)),
        }
    }
}

impl Change {
    /// The change as a unified diff, or a sentence where there is nothing to compare.
    pub fn shown(&self) -> String {
        let path = self.at.to_string();
        let content = count(lines(&self.content), "line", "lines");
        match (&self.before, self.how) {
            (Before::Nothing, _) if self.content.is_empty() => format!("would make the empty file {path}"),
            (Before::Nothing, _) => unified(&path, None, &self.content),
            (Before::Text(old), _) if *old == self.whole(old) => format!("would change nothing in {path}"),
            (Before::Text(old), _) => unified(&path, Some(old), &self.whole(old)),
            (Before::Other(what), How::Whole) => format!("would replace {path} ({what}) by {content}"),
            (Before::Other(what), How::Append) => format!("would add {content} to {path} ({what})"),
        }
    }

    /// What the file holds in the end, if it holds this now.
    fn whole(&self, old: &str) -> String {
        match self.how {
            How::Whole => self.content.clone(),
            How::Append => format!("{old}{}", self.content),
        }
    }

    /// Makes the change. What was in the file stays until the new content is written whole.
    ///
    /// # Errors
    /// When the file system does not do it.
    pub fn apply(&self, disk: &dyn Disk) -> Result<(), String> {
        let words = |fault: Fault| fault.words("write", &self.at);
        match (self.how, &self.before) {
            (How::Append, Before::Text(_) | Before::Other(_)) => {
                disk.append(&self.at, self.content.as_bytes()).map_err(words)
            }
            _ => {
                make_folders(disk, &self.at)?;
                replace(disk, &self.at, self.content.as_bytes()).map_err(words)
            }
        }
    }
}

/// Writes a file beside the one that is meant and gives it its name.
fn replace(disk: &dyn Disk, at: &Place, content: &[u8]) -> Result<(), Fault> {
    let folder = at.parent().ok_or(Fault::IsFolder)?;
    let mut made = Err(Fault::Exists);
    for number in 0..MAX_TEMPORARY {
        let temporary = folder.child(&format!(".lucid-write-{number}.tmp"));
        match disk.create(&temporary, content) {
            Err(Fault::Exists) => continue,
            Err(fault) => {
                // What could not be written whole is of no use, and the first error matters.
                drop(disk.remove_file(&temporary));
                return Err(fault);
            }
            Ok(()) => {
                made = disk.rename(&temporary, at);
                if made.is_err() {
                    drop(disk.remove_file(&temporary));
                }
                break;
            }
        }
    }
    made.map_err(|fault| match fault {
        Fault::Exists => Fault::Other("remove the .lucid-write-*.tmp files beside it".into()),
        other => other,
    })
}

/// Makes the folders above a place that are not there.
///
/// # Errors
/// When a part of the path is a file, or a folder cannot be made.
pub fn make_folders(disk: &dyn Disk, at: &Place) -> Result<(), String> {
    let mut missing = Vec::new();
    let mut above = at.parent();
    while let Some(folder) = above {
        match disk.stat(&folder) {
            Ok(stat) if stat.kind == Kind::Folder => break,
            Ok(_) => return Err(Fault::NotFolder.words("write", at)),
            Err(Fault::Missing) => above = folder.parent(),
            Err(fault) => return Err(fault.words("write", at)),
        }
        missing.push(folder);
    }
    for folder in missing.iter().rev() {
        match disk.make_folder(folder) {
            Ok(()) | Err(Fault::Exists) => {}
            Err(fault) => return Err(fault.words("make the folder", folder)),
        }
    }
    Ok(())
}
