//! Names of mounted folders: absolute, without links.

use std::path::{Path, PathBuf};

use lucid_kernel::port::DiskError;

/// The folder that a path leads to.
///
/// # Errors
/// [`DiskError::Mount`] when there is none.
pub(crate) fn canonical(root: &str) -> Result<PathBuf, DiskError> {
    let refuse = |reason: String| DiskError::Mount { path: root.to_owned(), reason };
    let path = Path::new(root).canonicalize().map_err(|error| refuse(error.to_string()))?;
    if !path.is_dir() {
        return Err(refuse("it is not a folder".into()));
    }
    if path.to_str().is_none() {
        return Err(refuse("its name is not valid Unicode; rename it".into()));
    }
    Ok(PathBuf::from(display(&path)))
}

/// The name of a mounted folder, also when it is gone.
pub(crate) fn resolve(root: &str) -> String {
    let path = Path::new(root);
    let path = path.canonicalize().or_else(|_| std::path::absolute(path));
    path.map_or_else(|_| root.to_owned(), |path| display(&path))
}

/// A path as it is shown: without the prefix that Windows gives to canonical paths, and without
/// an ending separator.
pub(crate) fn display(path: &Path) -> String {
    let shown = path.to_string_lossy();
    let shown = shown.strip_prefix(r"\\?\").filter(|rest| !rest.starts_with("UNC")).unwrap_or(&shown);
    let trimmed = shown.trim_end_matches('/');
    if trimmed.is_empty() { shown.to_owned() } else { trimmed.to_owned() }
}

/// The absolute path of a file below a folder.
pub(crate) fn join(root: &str, name: &str) -> String {
    let separator = std::path::MAIN_SEPARATOR;
    let name = if separator == '/' { name.to_owned() } else { name.replace('/', &separator.to_string()) };
    if root.ends_with(separator) { format!("{root}{name}") } else { format!("{root}{separator}{name}") }
}
