//! What a plugin is built from, to see when it changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use walkdir::{DirEntry, WalkDir};

use super::KitError;
use super::project::Project;

/// Folders that building fills.
const MADE: &[&str] = &["target", "bindings", "node_modules", "__pycache__"];
/// The most files that are looked at.
const MAX_FILES: usize = 10_000;

/// The files of a plugin's folder that are not made from others, with when they changed and their size in
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

/// Looks at a plugin's folder.
///
/// # Errors
/// When it holds no plugin.
pub fn inputs(dir: &Path) -> Result<Inputs, KitError> {
    let project = Project::read(dir)?;
    let is_written = |entry: &DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let is_made = entry.file_type().is_dir() && MADE.contains(&&*name);
        entry.depth() == 0 || !(is_made || name.starts_with('.') || name.ends_with('~'))
    };
    let walk = WalkDir::new(&project.dir).into_iter().filter_entry(is_written);
    let mut found = BTreeMap::new();
    // A file that is gone again is no input.
    for entry in walk.flatten().filter(|entry| entry.file_type().is_file()).take(MAX_FILES) {
        let path = entry.path();
        let is_component =
            path.extension().is_some_and(|extension| extension == "wasm" || extension == "part");
        if let (false, Ok(metadata)) = (is_component, entry.metadata()) {
            found.insert(path.to_path_buf(), (metadata.modified().ok(), metadata.len()));
        }
    }
    Ok(Inputs(found))
}
