//! Signatures of plugins, in the form of the tool `minisign`: Ed25519 over BLAKE2b
//! (<https://jedisct1.github.io/minisign/>).

use std::fmt;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use minisign::{KeyPair, PublicKeyBox, SecretKeyBox, SignatureBox};

use super::download::{MAX_SIGNATURE_BYTES, SIGNATURE_ENDING};
use super::{PackageError, download};
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};

/// Who may have signed something.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(minisign::PublicKey);

/// What signs.
pub struct SecretKey(minisign::SecretKey);

/// A signature's text, as it stands beside a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(String);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey")
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PublicKey {
    /// Reads a key: its 56 characters, or the path of a file with it.
    ///
    /// # Errors
    /// [`PackageError::Key`].
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        if let Ok(key) = minisign::PublicKey::from_base64(text) {
            return Ok(Self(key));
        }
        let wrong = |reason: String| PackageError::Key { place: text.to_owned(), reason };
        let path = Path::new(text);
        if !path.is_file() {
            return Err(wrong("it is neither a key of 56 characters nor a file with one".into()));
        }
        let bytes = read_bounded(path, MAX_SIGNATURE_BYTES)?;
        let key = PublicKeyBox::from_string(&String::from_utf8_lossy(&bytes));
        key.and_then(PublicKeyBox::into_public_key).map(Self).map_err(|error| wrong(error.to_string()))
    }
}

impl SecretKey {
    /// Makes a new pair of keys. The secret one is written into a file that nobody else can read, under
    /// a password when one is given, the public one beside it under the ending `pub`.
    ///
    /// # Errors
    /// When a file is there already or cannot be written.
    pub fn generate(path: &Path, password: Option<String>) -> Result<(PublicKey, PathBuf), PackageError> {
        let failed = |error: minisign::PError| PackageError::Key {
            place: path.display().to_string(),
            reason: error.to_string(),
        };
        let pair = match password {
            Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
            None => KeyPair::generate_unencrypted_keypair(),
        };
        let KeyPair { pk, sk } = pair.map_err(failed)?;
        let public = path.with_extension("pub");
        let secret = sk.to_box(Some("secret key of Lucid plugins")).map_err(failed)?;
        create_private(path, secret.into_string().as_bytes())?;
        write_atomically(&public, pk.to_box().map_err(failed)?.into_string().as_bytes())?;
        Ok((PublicKey(pk), public))
    }

    /// Reads the key in a file. `password` is asked for the password when there is one.
    ///
    /// # Errors
    /// When it is no key, or the password is wrong.
    pub fn read(
        path: &Path,
        password: impl FnOnce() -> Result<String, PackageError>,
    ) -> Result<Self, PackageError> {
        let place = || path.display().to_string();
        let text = read_bounded(path, MAX_SIGNATURE_BYTES)?;
        let text = String::from_utf8_lossy(&text);
        let failed =
            |error: minisign::PError| PackageError::Key { place: place(), reason: error.to_string() };
        let boxed = || SecretKeyBox::from_string(&text).map_err(failed);
        if let Ok(key) = boxed()?.into_unencrypted_secret_key() {
            return Ok(Self(key));
        }
        let key = boxed()?.into_secret_key(Some(password()?)).map_err(failed)?;
        Ok(Self(key))
    }

    /// The public key of the pair.
    ///
    /// # Errors
    /// When the secret one is damaged.
    pub fn public(&self) -> Result<PublicKey, PackageError> {
        let failed = |error: minisign::PError| PackageError::Key {
            place: "of this pair".into(),
            reason: error.to_string(),
        };
        minisign::PublicKey::from_secret_key(&self.0).map(PublicKey).map_err(failed)
    }
}

impl Signature {
    /// Signs bytes; `comment` is signed too and shown with the signature.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn of(bytes: &[u8], key: &SecretKey, comment: &str) -> Result<Self, PackageError> {
        let public = key.public()?;
        let signed = minisign::sign(
            Some(&public.0),
            &key.0,
            Cursor::new(bytes),
            Some(comment),
            // Where the key is stands with the signature, so that trust can begin at the first use.
            Some(&format!("{KEY_COMMENT}{public}")),
        );
        let failed = |error: minisign::PError| PackageError::Key {
            place: public.to_string(),
            reason: error.to_string(),
        };
        Ok(Self(signed.map_err(failed)?.into_string()))
    }

    /// Checks a signature's text against the bytes, and says whose it is: that of `known`, or else that of
    /// the key which it names itself.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(text: &str, bytes: &[u8], known: Option<&PublicKey>) -> Result<PublicKey, String> {
        let signature = SignatureBox::from_string(text).map_err(|error| error.to_string())?;
        let named = signature.untrusted_comment().ok();
        let named = named.as_deref().and_then(|comment| comment.strip_prefix(KEY_COMMENT));
        let named = named.and_then(|key| minisign::PublicKey::from_base64(key.trim()).ok()).map(PublicKey);
        // One by another key than the known one is told as such, when it says which.
        let is_known = |key: &&PublicKey| key.0.keynum() == signature.keynum();
        let key = known.filter(is_known).cloned().or(named).ok_or_else(|| match known {
            Some(_) => "it is by another key".to_owned(),
            None => "it does not say by which key; give the author's with --key".to_owned(),
        })?;
        minisign::verify(&key.0, &signature, Cursor::new(bytes), true, false, false)
            .map_err(|_| "the component is not what was signed".to_owned())?;
        Ok(key)
    }
}

/// The front of a signature's first line, before the public key.
const KEY_COMMENT: &str = "signed by the key ";

/// Signs a component's file: writes the signature beside it.
///
/// # Errors
/// When the file cannot be read or the signature not be written.
pub fn sign(file: &Path, key: &SecretKey) -> Result<PathBuf, PackageError> {
    let package = download::read(file)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let signature = Signature::of(&package.component, key, &format!("file:{name}"))?;
    let beside = file.with_added_extension(SIGNATURE_ENDING);
    write_atomically(&beside, signature.0.as_bytes())?;
    Ok(beside)
}

/// Creates a file that only its owner can read, and never writes over one.
fn create_private(path: &Path, bytes: &[u8]) -> Result<(), PackageError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written =
        options.open(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| ToolError::io("write", path, error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(folder: &Path, name: &str, password: Option<&str>) -> SecretKey {
        let path = folder.join(name);
        SecretKey::generate(&path, password.map(str::to_owned)).unwrap();
        SecretKey::read(&path, || Ok(password.unwrap_or_default().to_owned())).unwrap()
    }

    #[test]
    fn what_is_signed_is_checked_and_whose_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (key(folder.path(), "ours.key", None), key(folder.path(), "theirs.key", None));
        let (our_key, their_key) = (ours.public().unwrap(), theirs.public().unwrap());
        let signature = Signature::of(b"component", &ours, "file:x.wasm").unwrap().to_string();
        assert_eq!(Signature::check(&signature, b"component", None).unwrap(), our_key);
        assert_eq!(Signature::check(&signature, b"component", Some(&our_key)).unwrap(), our_key);
        // That it is another key is for the caller to judge.
        assert_eq!(Signature::check(&signature, b"component", Some(&their_key)).unwrap(), our_key);
        assert!(Signature::check(&signature, b"other", None).unwrap_err().contains("not what was signed"));
        // Another key that is named in the comment, which is not signed, signs nothing.
        let renamed = signature.replace(&our_key.to_string(), &their_key.to_string());
        assert!(Signature::check(&renamed, b"component", None).is_err());
        assert!(Signature::check(&renamed.replace("key", "hand"), b"component", None).is_err());
        // One of the tool `minisign` names no key: it must be known.
        let plain = signature.replace(KEY_COMMENT, "signature from ");
        assert_eq!(Signature::check(&plain, b"component", Some(&our_key)).unwrap(), our_key);
        assert!(Signature::check(&plain, b"component", None).unwrap_err().contains("--key"));
        assert!(
            Signature::check(&plain, b"component", Some(&their_key)).unwrap_err().contains("another key")
        );
        for broken in ["", "untrusted comment: x", "untrusted comment: x\nAAAA\n", "no signature at all"] {
            assert!(Signature::check(broken, b"component", Some(&our_key)).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn keys_are_kept_for_their_owner_and_written_over_by_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.key");
        let (public, beside) = SecretKey::generate(&path, None).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(PublicKey::parse(beside.to_str().unwrap()).unwrap(), public);
        assert_eq!(PublicKey::parse(&public.to_string()).unwrap(), public);
        assert!(PublicKey::parse("nothing").unwrap_err().to_string().contains("56 characters"));
        assert!(SecretKey::generate(&path, None).unwrap_err().to_string().contains("my.key"));
        assert_eq!(SecretKey::read(&path, || unreachable!()).unwrap().public().unwrap(), public);
    }
}
