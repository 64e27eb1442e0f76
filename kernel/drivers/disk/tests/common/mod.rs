//! What the tests of this crate share.
#![allow(dead_code)]

use std::fs;
use std::path::Path;

use lucid_kernel::port::{CancelFlag, Disk, DiskError, Hit, MountOptions, MountReport, Skip};

/// Writes a file, making its folders.
pub fn write(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, content).expect("written");
}

/// Mounts with plain options.
pub fn mount(disk: &dyn Disk, root: &Path) -> MountReport {
    try_mount(disk, root, &MountOptions::default()).expect("mounted")
}

/// Mounts, or says why not.
pub fn try_mount(disk: &dyn Disk, root: &Path, options: &MountOptions) -> Result<MountReport, DiskError> {
    disk.mount(path(root), options, &CancelFlag::new(), &mut |_| {})
}

/// Searches everything.
pub fn search(disk: &dyn Disk, query: &str) -> Vec<Hit> {
    disk.search(query, &[], 10).expect("searched")
}

/// The names of the files found, best first, each once.
pub fn names(disk: &dyn Disk, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    for hit in search(disk, query) {
        let name = Path::new(&*hit.range.path).file_name().expect("a name").to_string_lossy().into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// How many files were skipped for this reason.
pub fn skipped(report: &MountReport, skip: Skip) -> u64 {
    report.skipped.iter().find(|(found, _)| *found == skip).map_or(0, |(_, count)| *count)
}

/// A path as text.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("Unicode")
}
