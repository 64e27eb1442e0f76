//! What a plugin keeps between its calls: a file a value, in a folder of the plugin's own.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::files::write_atomically;

/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 512;
/// The largest value, in bytes.
const MAX_VALUE_BYTES: usize = 1 << 20;
/// The most values.
const MAX_VALUES: usize = 10_000;

/// A plugin's store. Every value lies in a file that begins with its key.
pub(crate) struct Kept {
    folder: PathBuf,
    quota_bytes: u64,
}

impl Kept {
    pub(crate) fn new(folder: &Path, plugin: &str, quota_mib: u64) -> Self {
        Self { folder: folder.join(plugin), quota_bytes: quota_mib << 20 }
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        check(key)?;
        match fs::read(self.file(key)) {
            Ok(bytes) => Ok(split(&bytes).filter(|(kept, _)| *kept == key).map(|(_, value)| value.to_vec())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        check(key)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(format!("a value has at most {MAX_VALUE_BYTES} bytes, this one has {}", value.len()));
        }
        fs::create_dir_all(&self.folder).map_err(|error| failed(&error))?;
        let file = self.file(key);
        let (mut bytes, mut values) = (0, 0);
        for (path, size) in self.files()? {
            if path != file {
                bytes += size;
                values += 1;
            }
        }
        let size = (2 + key.len() + value.len()) as u64;
        if values >= MAX_VALUES || bytes + size > self.quota_bytes {
            let quota = self.quota_bytes >> 20;
            return Err(format!(
                "there is no room: {values} values with {bytes} bytes are kept, of {quota} MiB"
            ));
        }
        let mut whole = Vec::with_capacity(2 + key.len() + value.len());
        whole.extend_from_slice(&(key.len() as u16).to_le_bytes());
        whole.extend_from_slice(key.as_bytes());
        whole.extend_from_slice(value);
        write_atomically(&file, &whole).map_err(|error| error.to_string())
    }

    pub(crate) fn delete(&self, key: &str) -> Result<bool, String> {
        check(key)?;
        match fs::remove_file(self.file(key)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&error)),
        }
    }

    pub(crate) fn keys(&self, prefix: &str) -> Result<Vec<String>, String> {
        let mut keys = Vec::new();
        for (path, _) in self.files()? {
            let mut front = Vec::new();
            let file = fs::File::open(&path).map_err(|error| failed(&error))?;
            file.take(2 + MAX_KEY_BYTES as u64).read_to_end(&mut front).map_err(|error| failed(&error))?;
            let key = split(&front).map(|(key, _)| key.to_owned());
            keys.extend(key.filter(|key| key.starts_with(prefix)));
        }
        keys.sort();
        Ok(keys)
    }

    /// No key can name a file outside.
    fn file(&self, key: &str) -> PathBuf {
        let digest = Sha256::digest(key.as_bytes());
        self.folder.join(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }

    fn files(&self) -> Result<Vec<(PathBuf, u64)>, String> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(&error)),
        };
        let is_value = |path: &Path| path.file_name().is_some_and(|name| name.len() == 64);
        let mut files = Vec::new();
        for entry in entries.take(2 * MAX_VALUES) {
            let entry = entry.map_err(|error| failed(&error))?;
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            if is_value(&entry.path()) {
                files.push((entry.path(), size));
            }
        }
        Ok(files)
    }
}

fn check(key: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(format!("a key has 1 to {MAX_KEY_BYTES} bytes, this one has {}", key.len()));
    }
    Ok(())
}

fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (key, value) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((std::str::from_utf8(key).ok()?, value))
}

/// Where it lies is nothing that a plugin need know.
fn failed(error: &io::Error) -> String {
    format!("what is kept cannot be read or written: {}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_again_within_its_quota() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path(), "notes", 1);
        assert_eq!(kept.get("a"), Ok(None));
        assert_eq!(kept.keys(""), Ok(Vec::new()));
        for key in ["a", "../../etc/passwd", "ab", "ü/\0"] {
            kept.set(key, key.as_bytes()).unwrap();
            assert_eq!(kept.get(key), Ok(Some(key.as_bytes().to_vec())));
        }
        assert_eq!(kept.keys("a").unwrap(), ["a", "ab"]);
        assert!(kept.set("", b"x").is_err() && kept.set(&"k".repeat(600), b"x").is_err());
        assert!(kept.set("big", &vec![0; MAX_VALUE_BYTES + 1]).is_err());
        kept.set("half", &vec![0; 600 << 10]).unwrap();
        let full = kept.set("more", &vec![0; 600 << 10]).unwrap_err();
        assert!(full.contains("no room"), "{full}");
        kept.set("half", &vec![1; 700 << 10]).unwrap();
        assert_eq!((kept.delete("half"), kept.delete("half")), (Ok(true), Ok(false)));
        assert_eq!(Kept::new(folder.path(), "other", 1).keys(""), Ok(Vec::new()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies beside its folder");
    }
}
