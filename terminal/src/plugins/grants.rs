//! What the user granted to plugins for ever: `grants.toml`, read anew when it changes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use lucid_tools::rights::Rights;

use crate::exit::Failure;
use crate::home::Home;

/// The largest file of grants that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The grants of all plugins, by their names.
pub type Grants = BTreeMap<String, Arc<Rights>>;

/// The file that keeps them.
pub struct GrantFile {
    path: PathBuf,
    read: Mutex<Option<(SystemTime, Grants)>>,
}

impl GrantFile {
    /// The user's.
    pub fn new(home: &Home) -> Self {
        Self { path: home.grants_file(), read: Mutex::new(None) }
    }

    /// All grants.
    ///
    /// # Errors
    /// When the file cannot be read: then nothing is granted.
    pub fn all(&self) -> Result<Grants, Failure> {
        let changed = match std::fs::metadata(&self.path).and_then(|metadata| metadata.modified()) {
            Ok(changed) => changed,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Grants::new()),
            Err(error) => return Err(self.failed(&error.to_string())),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, grants)) = read.as_ref().filter(|(then, _)| *then == changed) {
            return Ok(grants.clone());
        }
        let grants = self.load()?;
        *read = Some((changed, grants.clone()));
        Ok(grants)
    }

    /// What a plugin was granted.
    ///
    /// # Errors
    /// As [`GrantFile::all`].
    pub fn of(&self, plugin: &str) -> Result<Arc<Rights>, Failure> {
        Ok(self.all()?.remove(plugin).unwrap_or_default())
    }

    /// Changes what a plugin was granted.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn change(&self, plugin: &str, change: impl FnOnce(&mut Rights)) -> Result<Arc<Rights>, Failure> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut grants = if self.path.exists() { self.load()? } else { Grants::new() };
        let mut rights = grants.remove(plugin).map_or_else(Rights::default, |rights| (*rights).clone());
        change(&mut rights);
        let rights = Arc::new(rights);
        if !rights.is_empty() {
            grants.insert(plugin.to_owned(), Arc::clone(&rights));
        }
        *read = None;
        let text = toml::to_string_pretty(&grants).map_err(|error| self.failed(&error.to_string()))?;
        Home::make_parent(&self.path).map_err(|error| self.failed(&format!("{error:#}")))?;
        crate::home::write(&self.path, text.as_bytes()).map_err(|error| self.failed(&error.to_string()))?;
        Ok(rights)
    }

    fn load(&self) -> Result<Grants, Failure> {
        let size = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if size > MAX_BYTES {
            return Err(self.failed(&format!("it has more than {MAX_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(&self.path).map_err(|error| self.failed(&error.to_string()))?;
        toml::from_str(&text).map_err(|error| self.failed(&error.to_string()))
    }

    fn failed(&self, reason: &str) -> Failure {
        Failure::config(format!("what plugins were granted, in {}: {reason}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_granted_holds_until_it_is_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::under(folder.path());
        let file = GrantFile::new(&home);
        assert!(file.of("weather").unwrap().is_empty());
        let right: lucid_tools::rights::Right = "net:api.example.com".parse().unwrap();
        file.change("weather", |rights| rights.insert(right.clone())).unwrap();
        let text = std::fs::read_to_string(home.grants_file()).unwrap();
        assert_eq!(text, "weather = [\"net:api.example.com\"]\n");
        assert!(GrantFile::new(&home).of("weather").unwrap().allow(&right));
        assert!(file.of("other").unwrap().is_empty());
        file.change("weather", |rights| {
            rights.remove(&right);
        })
        .unwrap();
        assert!(file.all().unwrap().is_empty());
        std::fs::write(home.grants_file(), "weather = [\"root:all\"]\n").unwrap();
        let failure = GrantFile::new(&home).all().unwrap_err();
        assert!(
            failure.message.contains("grants.toml") && failure.message.contains("root:all"),
            "{failure:?}"
        );
    }
}
