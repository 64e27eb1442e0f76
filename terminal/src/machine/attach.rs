//! Files that come with an input.

use std::io::Read;
use std::path::{Path, PathBuf};

/// The most of one file, in bytes.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// A file's path and text; the path as the user wrote it begins with `~` or is meant from their folder.
///
/// # Errors
/// Words for a person, when it cannot be read, is no text or is too large.
pub fn read(path: &str, folder: &str) -> Result<(String, String), String> {
    let full = full_path(path, folder);
    let failed = |reason: String| format!("{path} cannot come with the question: {reason}");
    let file = std::fs::File::open(&full).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    let is_file = file.metadata().is_ok_and(|file| file.is_file());
    if !is_file {
        return Err(failed("it is no file; mount a folder with /mount".into()));
    }
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(failed("it is too large; mount its folder with /mount".into()));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok((full.display().to_string(), text)),
        _ => Err(failed("it is no text".into())),
    }
}

/// Where a path leads that the user wrote: from `~`, or from the folder that they are in.
pub fn full_path(path: &str, folder: &str) -> PathBuf {
    let home = path.strip_prefix("~/").zip(std::env::home_dir());
    home.map_or_else(|| Path::new(folder).join(path), |(rest, home)| home.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_files_are_read_and_others_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().display().to_string();
        std::fs::write(dir.path().join("a.md"), "one").unwrap();
        std::fs::write(dir.path().join("b.bin"), [0, 1, 2]).unwrap();
        assert_eq!(read("a.md", &folder).unwrap(), (format!("{folder}/a.md"), "one".into()));
        for (path, reason) in [("b.bin", "no text"), ("none.md", "No such file"), (".", "no file")] {
            let message = read(path, &folder).unwrap_err();
            assert!(message.contains(path) && message.contains(reason), "{message}");
        }
    }
}
