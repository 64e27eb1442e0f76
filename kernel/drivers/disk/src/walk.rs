//! Finds the files of a folder that may be indexed, and says why the others may not.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use lucid_kernel::port::{MountOptions, Skip};
use walkdir::{DirEntry, WalkDir};

use crate::stat::Stat;

/// Folders deeper than this are not entered.
const DEPTH_MAX: usize = 256;
/// An ignore file larger than this is not read, in bytes.
const IGNORE_BYTES_MAX: u64 = 1 << 20;
/// Where version control keeps its own data: never shown, never counted.
const NEVER: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".bzr"];
/// Ignore files, the later rule over the earlier one.
const IGNORE_FILES: [&str; 2] = [".gitignore", ".ignore"];
/// Folders that hold keys.
const SECRET_FOLDERS: [&str; 5] = [".ssh", ".gnupg", ".aws", ".kube", ".password-store"];
/// Files that hold keys or passwords.
const SECRET_FILES: [&str; 6] = [".netrc", "_netrc", ".pgpass", ".htpasswd", ".git-credentials", ".npmrc"];
/// Endings of key files.
const SECRET_ENDINGS: [&str; 8] = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk"];
/// What may follow the name of a private key (`id_rsa.bak`).
const KEY_ENDINGS: [&str; 5] = ["pub", "bak", "old", "orig", "txt"];

/// One thing that the walk came upon.
#[derive(Debug)]
pub(crate) enum Step {
    /// A file that may be indexed.
    File { path: PathBuf, stat: Stat },
    /// A file, or a whole folder, that may not. A folder counts once.
    Skipped { path: PathBuf, skip: Skip },
    /// The folder itself cannot be listed.
    RootUnreadable { reason: String },
}

/// A walk over a folder, in the order of names. Links are not followed.
pub(crate) struct Walk {
    entries: walkdir::IntoIter,
    hidden: bool,
    /// Rules from the outermost folder inwards, each with the depth it was found at.
    rules: Vec<(usize, Gitignore)>,
}

impl Walk {
    /// Begins at `root`, which must be absolute.
    pub(crate) fn new(root: &Path, options: &MountOptions) -> Self {
        let mut rules: Vec<_> = rules_above(root).into_iter().map(|rules| (0, rules)).collect();
        rules.extend(rules_of(root).map(|rules| (0, rules)));
        let entries = WalkDir::new(root)
            .follow_links(false)
            .min_depth(1)
            .max_depth(DEPTH_MAX)
            .sort_by_file_name()
            .into_iter();
        Self { entries, hidden: options.hidden, rules }
    }

    /// Why this entry is not taken, if so. `None` inside: not taken and not counted.
    fn refuse(&self, entry: &DirEntry) -> Option<Option<Skip>> {
        let name = entry.file_name();
        if NEVER.iter().any(|never| name == *never) {
            return Some(None);
        }
        if !self.hidden {
            if is_secret(name) {
                return Some(Some(Skip::Secret));
            }
            if name.as_encoded_bytes().first() == Some(&b'.') {
                return Some(Some(Skip::Hidden));
            }
        }
        self.is_ignored(entry).then_some(Some(Skip::Ignored))
    }

    fn is_ignored(&self, entry: &DirEntry) -> bool {
        let is_folder = entry.file_type().is_dir();
        for (_, rules) in self.rules.iter().rev() {
            match rules.matched(entry.path(), is_folder) {
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
                Match::None => {}
            }
        }
        false
    }

    fn enter(&mut self, entry: &DirEntry) {
        if let Some(rules) = rules_of(entry.path()) {
            self.rules.push((entry.depth(), rules));
        }
    }

    /// The step that an entry makes, none when it makes none.
    fn step(&mut self, entry: DirEntry) -> Option<Step> {
        while self.rules.last().is_some_and(|(depth, _)| *depth > 0 && *depth >= entry.depth()) {
            self.rules.pop();
        }
        let kind = entry.file_type();
        if kind.is_symlink() {
            return None;
        }
        if let Some(refused) = self.refuse(&entry) {
            if kind.is_dir() {
                self.entries.skip_current_dir();
            }
            return refused.map(|skip| Step::Skipped { path: entry.into_path(), skip });
        }
        if kind.is_dir() {
            self.enter(&entry);
            return None;
        }
        if !kind.is_file() {
            return Some(Step::Skipped { path: entry.into_path(), skip: Skip::Binary });
        }
        Some(match entry.metadata() {
            Ok(metadata) => Step::File { path: entry.into_path(), stat: Stat::of(&metadata) },
            Err(error) => {
                let gone = error.io_error().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound);
                let skip = if gone { Skip::Changed } else { Skip::Unreadable };
                Step::Skipped { path: entry.into_path(), skip }
            }
        })
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            match self.entries.next()? {
                Ok(entry) => {
                    if let Some(step) = self.step(entry) {
                        return Some(step);
                    }
                }
                Err(error) if error.depth() == 0 => {
                    return Some(Step::RootUnreadable { reason: error.to_string() });
                }
                Err(error) => {
                    let path = error.path().map(Path::to_path_buf).unwrap_or_default();
                    return Some(Step::Skipped { path, skip: Skip::Unreadable });
                }
            }
        }
    }
}

/// Whether a name is one that keys and passwords go by.
pub fn is_secret(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_lowercase();
    let name = name.as_str();
    name.starts_with(".env")
        || SECRET_FOLDERS.contains(&name)
        || SECRET_FILES.contains(&name)
        || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))
        || is_private_key(name)
}

/// `id_rsa`, `id_ed25519.pub` and their like, but not `id_mapping.rs`.
fn is_private_key(name: &str) -> bool {
    name.strip_prefix("id_").is_some_and(|rest| match rest.rsplit_once('.') {
        None => !rest.is_empty(),
        Some((_, ending)) => KEY_ENDINGS.contains(&ending),
    })
}

/// The rules that a folder's own ignore files give.
fn rules_of(folder: &Path) -> Option<Gitignore> {
    let files = IGNORE_FILES.map(|name| folder.join(name));
    rules_from(folder, &files)
}

/// The rules of the folders above, up to the root of the repository that holds `root`, and the
/// repository's own exclude file.
fn rules_above(root: &Path) -> Vec<Gitignore> {
    let Some(top) = root.ancestors().find(|folder| folder.join(".git").exists()) else {
        return Vec::new();
    };
    let mut rules: Vec<_> =
        root.ancestors().skip(1).take_while(|folder| folder.starts_with(top)).filter_map(rules_of).collect();
    rules.extend(rules_from(top, &[top.join(".git/info/exclude")]));
    rules.reverse();
    rules
}

fn rules_from(folder: &Path, files: &[PathBuf]) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(folder);
    let mut any = false;
    for file in files {
        let readable = file
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= IGNORE_BYTES_MAX);
        if !readable {
            continue;
        }
        let Ok(bytes) = std::fs::read(file) else { continue };
        for line in String::from_utf8_lossy(&bytes).lines() {
            // A rule that cannot be parsed ignores nothing, as in git.
            any |= builder.add_line(Some(file.clone()), line).is_ok();
        }
    }
    if !any {
        return None;
    }
    builder.build().ok().filter(|rules| !rules.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_names_are_known() {
        for name in [".env", ".env.local", "server.PEM", "id_rsa", "id_ed25519.pub", "a.key", ".ssh"] {
            assert!(is_secret(OsStr::new(name)), "{name}");
        }
        for name in ["id_mapping.rs", "environment.md", "keys.md", "env", "id_.md"] {
            assert!(!is_secret(OsStr::new(name)), "{name}");
        }
    }
}
