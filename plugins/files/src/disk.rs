//! What the tools need of a file system, and how it says no.
//!
//! A [`Place`] is made only by [`crate::path`], which has checked it, so whoever implements
//! [`Disk`] gets no `..` and no absolute paths. None of its functions follows a link in the last
//! part of a path; links before it have been followed already.

use std::fmt;
use std::rc::Rc;

/// Somewhere in a granted folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    root: usize,
    base: Rc<str>,
    inside: String,
}

impl Place {
    /// A place in the folder with this number and name. `inside` is relative, has neither `.` nor
    /// `..`, and is empty for the folder itself.
    pub(crate) fn new(root: usize, base: Rc<str>, inside: String) -> Self {
        Self { root, base, inside }
    }

    /// Which of [`Disk::roots`] it is in.
    pub fn root(&self) -> usize {
        self.root
    }

    /// Its path in that folder, with `/`. Empty for the folder itself.
    pub fn inside(&self) -> &str {
        &self.inside
    }

    /// Whether it is a granted folder itself.
    pub fn is_root(&self) -> bool {
        self.inside.is_empty()
    }

    /// The names on the way to it, without those above the granted folder.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.inside.split('/').filter(|part| !part.is_empty())
    }

    /// Its last name. Empty for a granted folder.
    pub fn name(&self) -> &str {
        self.inside.rsplit('/').next().unwrap_or_default()
    }

    /// Another place in the same granted folder. `inside` is as for [`Place::new`].
    pub(crate) fn at(&self, inside: String) -> Self {
        Self { inside, ..self.clone() }
    }

    /// What is in it under this name.
    pub(crate) fn child(&self, name: &str) -> Self {
        self.at(if self.is_root() { name.to_owned() } else { format!("{}/{name}", self.inside) })
    }

    /// The folder that it is in, unless it is a granted folder.
    pub fn parent(&self) -> Option<Self> {
        let (above, _) = match self.inside.rsplit_once('/') {
            Some(parts) => parts,
            None if self.is_root() => return None,
            None => ("", ""),
        };
        Some(self.at(above.to_owned()))
    }

    /// Whether it is `folder` or below it.
    pub fn is_in(&self, folder: &Self) -> bool {
        let rest = self.inside.strip_prefix(folder.inside.as_str());
        self.root == folder.root
            && rest.is_some_and(|rest| rest.is_empty() || folder.is_root() || rest.starts_with('/'))
    }
}

/// The absolute path. Control characters are not shown as they are: a name must not look like
/// several lines.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.base))?;
        if !self.is_root() {
            f.write_str(if self.base.ends_with('/') { "" } else { "/" })?;
            f.write_str(&plain(&self.inside))?;
        }
        Ok(())
    }
}

/// A name on one line.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// What something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A symbolic link.
    Link,
    /// A device, a socket and the like.
    Other,
}

/// What is known of something without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes, of a file.
    pub bytes: u64,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What has it.
    pub kind: Kind,
}

/// Why a file system did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no such file or folder.
    Missing,
    /// There is one already.
    Exists,
    /// The operating system does not allow it, or the folder was granted for reading only.
    Denied,
    /// A part of the path is no folder.
    NotFolder,
    /// It is a folder.
    IsFolder,
    /// The folder is not empty.
    NotEmpty,
    /// Two places are on different drives.
    OtherDrive,
    /// A link leads out of the granted folder.
    Outside,
    /// No room is left.
    Full,
    /// Anything else, in the system's words.
    Other(String),
}

impl Fault {
    /// The error for the model: what could not be done, where, and what helps.
    pub fn words(&self, what: &str, place: &Place) -> String {
        let reason = match self {
            Self::Missing => "there is no such file or folder; look with list or find",
            Self::Exists => "there is something of that name already",
            Self::Denied => {
                "the system does not allow it; the folder may be granted for reading only: ask the user"
            }
            Self::NotFolder => "a part of the path is a file, not a folder",
            Self::IsFolder => "it is a folder; use list",
            Self::NotEmpty => "the folder is not empty; remove or move what is in it first",
            Self::OtherDrive => "the places are on different drives; read it, write it there, then remove it",
            Self::Outside => "a link on the way leads out of the granted folder",
            Self::Full => "no room is left on the drive",
            Self::Other(reason) => reason.as_str(),
        };
        format!("cannot {what} {place}: {reason}")
    }
}

/// A file system, confined to the folders that were granted.
pub trait Disk {
    /// The absolute paths of the granted folders.
    fn roots(&self) -> Vec<String>;
    /// What is there.
    fn stat(&self, at: &Place) -> Result<Stat, Fault>;
    /// Where a link leads, relative to its own folder.
    fn link(&self, at: &Place) -> Result<String, Fault>;
    /// At most so many names of a folder, in no order, and whether there are more.
    fn list(&self, at: &Place, at_most: usize) -> Result<(Vec<Entry>, bool), Fault>;
    /// At most so many bytes of a file; fewer only at its end.
    fn read(&self, at: &Place, offset: u64, at_most: usize) -> Result<Vec<u8>, Fault>;
    /// Makes a file with this content. [`Fault::Exists`] where there is something.
    fn create(&self, at: &Place, content: &[u8]) -> Result<(), Fault>;
    /// Adds to the end of a file.
    fn append(&self, at: &Place, content: &[u8]) -> Result<(), Fault>;
    /// Gives something another path. A file in its place is lost.
    fn rename(&self, from: &Place, to: &Place) -> Result<(), Fault>;
    /// Removes a file or a link.
    fn remove_file(&self, at: &Place) -> Result<(), Fault>;
    /// Removes an empty folder.
    fn remove_folder(&self, at: &Place) -> Result<(), Fault>;
    /// Makes a folder in one that is there.
    fn make_folder(&self, at: &Place) -> Result<(), Fault>;
}
