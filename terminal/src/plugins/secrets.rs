//! Secrets that plugins may have put into requests: a file each, that nobody but its owner can read.

use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::home::Home;

/// The longest secret, in bytes.
const MAX_BYTES: u64 = 16 << 10;

/// The folder of the secrets.
pub struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// The user's.
    pub fn new(home: &Home) -> Self {
        Self { folder: home.secrets_dir() }
    }

    /// A secret; none when there is none of this name that can be used.
    pub fn get(&self, name: &str) -> Option<String> {
        let path = self.file(name).ok()?;
        let file = std::fs::File::open(path).ok()?;
        // Asked of the open file, so that it cannot be swapped in between.
        if !is_private(&file.metadata().ok()?) {
            return None;
        }
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_BYTES), &mut text).ok()?;
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Keeps a secret.
    ///
    /// # Errors
    /// When the name or the secret cannot be one, or it cannot be written.
    pub fn set(&self, name: &str, secret: &str) -> Result<(), Failure> {
        let path = self.file(name)?;
        let secret = secret.trim_end_matches(['\r', '\n']);
        let fits = !secret.is_empty()
            && secret.len() as u64 <= MAX_BYTES
            && secret.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !fits {
            let what = "a secret is one line of letters, digits and signs";
            return Err(Failure::usage(format!("{what}, at most {MAX_BYTES} of them")));
        }
        // A new file has the mode 0600 before anything is written into it.
        crate::home::write(&path, secret.as_bytes())
            .map_err(|error| Failure::config(format!("{} cannot be written: {error}", path.display())))
    }

    /// Lets go of a secret; says whether there was one.
    ///
    /// # Errors
    /// When the name cannot be one, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, Failure> {
        let path = self.file(name)?;
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::config(format!("{} cannot be removed: {error}", path.display()))),
        }
    }

    /// The names of all, and whether each can be used: nobody else can read it.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn names(&self) -> Result<Vec<(String, bool)>, Failure> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(Failure::config(format!("{} cannot be listed: {error}", self.folder.display())));
            }
        };
        let named = entries.flatten().map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, entry.metadata().is_ok_and(|metadata| is_private(&metadata)))
        });
        let mut names: Vec<(String, bool)> = named.filter(|(name, _)| is_name(name)).collect();
        names.sort();
        Ok(names)
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, name: &str) -> Result<PathBuf, Failure> {
        if is_name(name) {
            return Ok(self.folder.join(name));
        }
        Err(Failure::usage(format!("{name:?} is no name for a secret; use letters, digits and underscores")))
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=128).contains(&name.len()) && name.chars().all(fits)
}

#[cfg(unix)]
fn is_private(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.is_file() && metadata.permissions().mode().trailing_zeros() >= 6
}

#[cfg(not(unix))]
fn is_private(metadata: &std::fs::Metadata) -> bool {
    metadata.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_where_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::new(&Home::under(folder.path()));
        assert_eq!((secrets.get("KEY"), secrets.names().unwrap()), (None, Vec::new()));
        secrets.set("KEY", "sk-1 2\n").unwrap();
        assert_eq!(secrets.get("KEY").as_deref(), Some("sk-1 2"));
        for (name, secret) in [("../x", "a"), ("", "a"), ("B", ""), ("B", "two\nlines"), ("B", "ü")] {
            assert!(secrets.set(name, secret).is_err(), "{name} {secret}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = secrets.folder().join("KEY");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!((secrets.get("KEY"), secrets.names().unwrap()), (None, vec![("KEY".into(), false)]));
        }
        assert!(secrets.remove("KEY").unwrap() && !secrets.remove("KEY").unwrap());
    }
}
