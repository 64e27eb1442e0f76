//! Keys of endpoints: shown nowhere, taken from the environment or from a file that only its
//! owner can read.

use std::fmt;
use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;

/// The longest key that is read, in bytes.
const MAX_KEY_BYTES: u64 = 16 * 1024;
/// What stands for a key where a server's words held it.
const HIDDEN: &str = "[key]";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The variable is not set or not text.
    #[error("the environment variable {name} holds no key; set it, or name a file instead")]
    NoVariable {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("the key file {path} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Others can read the file.
    #[error("others can read the key file {path} (mode {mode:03o}); run: chmod 600 {path}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It cannot be sent.
    #[error("the key from {origin} is empty, too long, or holds characters that no key has")]
    Unusable {
        /// Where it came from.
        origin: String,
    },
}

/// A secret that an endpoint asks for. Debug and errors never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// A key from its text; white space around it is taken off.
    ///
    /// # Errors
    /// [`KeyError::Unusable`].
    pub fn new(text: &str) -> Result<Self, KeyError> {
        Self::checked(text, "the settings")
    }

    /// The key that an environment variable holds.
    ///
    /// # Errors
    /// [`KeyError::NoVariable`] and [`KeyError::Unusable`].
    pub fn from_env(name: &str) -> Result<Self, KeyError> {
        let text = std::env::var(name).map_err(|_| KeyError::NoVariable { name: name.to_owned() })?;
        Self::checked(&text, &format!("the environment variable {name}"))
    }

    /// The key that a file holds. On Unix nobody but its owner may have rights to it.
    ///
    /// # Errors
    /// [`KeyError::Unreadable`], [`KeyError::Exposed`] and [`KeyError::Unusable`].
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let unreadable =
            |error: std::io::Error| KeyError::Unreadable { path: path.to_owned(), reason: error.to_string() };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        // Asked of the open file, so that it cannot be swapped in between.
        check_mode(path, &file.metadata().map_err(unreadable)?)?;
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_KEY_BYTES + 1), &mut text)
            .map_err(unreadable)?;
        Self::checked(&text, &format!("the file {}", path.display()))
    }

    fn checked(text: &str, origin: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let fits = !text.is_empty()
            && text.len() as u64 <= MAX_KEY_BYTES
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(KeyError::Unusable { origin: origin.to_owned() }) }
    }

    /// The value of the header `Authorization`.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A server's words without the key, should it repeat it.
    pub(crate) fn hide(&self, text: &str) -> String {
        text.replace(&self.0, HIDDEN)
    }
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(KeyError::Exposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn check_mode(_: &Path, _: &std::fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Key, KeyError};

    #[test]
    fn a_key_is_never_shown() {
        let key = Key::new(" sk-secret\n").unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert_eq!(key.hide("you sent sk-secret, no"), "you sent [key], no");
        assert!(key.header().unwrap().is_sensitive());
        for bad in ["", "  ", "two words", "new\nline", "ü"] {
            let error = Key::new(bad).unwrap_err();
            assert!(matches!(error, KeyError::Unusable { .. }), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sk-of-a-file\n").unwrap();
        let set =
            |mode| std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        for mode in [0o644, 0o640, 0o601] {
            set(mode);
            let error = Key::from_file(file.path()).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && !error.contains("sk-of"), "{error}");
        }
        set(0o600);
        assert_eq!(Key::from_file(file.path()).unwrap(), Key::new("sk-of-a-file").unwrap());
        assert!(matches!(Key::from_file(&file.path().join("no")), Err(KeyError::Unreadable { .. })));
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = Key::from_env("LUCID_TEST_NO_SUCH_KEY").unwrap_err().to_string();
        assert!(error.contains("LUCID_TEST_NO_SUCH_KEY"), "{error}");
    }
}
