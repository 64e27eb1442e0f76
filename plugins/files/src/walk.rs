//! A bounded walk over a folder, and the tools `list` and `find` that show what it came upon.
//!
//! The folders nearest to the beginning come first, so that what a limit leaves out is deep down.

use std::collections::VecDeque;

use crate::disk::{Disk, Entry, Fault, Kind, Place, plain};
use crate::glob::Glob;
use crate::names::refused;
use crate::path::{Last, locate, quoted};
use crate::text::{Output, count, size};

/// The most entries that a walk looks at.
pub const MAX_ENTRIES: usize = 20_000;
/// The most entries that `list` shows.
pub const MAX_LISTED: usize = 500;
/// The most files that `find` shows.
pub const MAX_FOUND: usize = 300;

/// What a walk passed over.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Entries that it looked at.
    pub entries: usize,
    /// Hidden entries, and those that may hold keys or passwords.
    pub refused: usize,
    /// Folders that could not be listed.
    pub unreadable: usize,
    /// Whether a limit ended it.
    pub is_cut: bool,
}

impl Passed {
    /// What was left out, as notes of a result.
    pub fn notes(&self, output: &mut Output) {
        if self.is_cut {
            output
                .note(&format!("stopped after {MAX_ENTRIES} entries; name a deeper folder to see the rest"));
        }
        if self.refused > 0 {
            let entries = count(self.refused, "hidden or secret entry", "hidden or secret entries");
            output.note(&format!("{entries} left alone"));
        }
        if self.unreadable > 0 {
            let folders = count(self.unreadable, "folder", "folders");
            output.note(&format!("{folders} could not be listed"));
        }
    }
}

/// Walks over a folder, and the folders in it when it goes `deep`. `visit` says whether to go on.
///
/// # Errors
/// When the folder itself cannot be listed.
pub fn walk(
    disk: &dyn Disk,
    folder: &Place,
    deep: bool,
    visit: &mut dyn FnMut(Place, &Entry) -> bool,
) -> Result<Passed, Fault> {
    let mut passed = Passed::default();
    let mut folders = VecDeque::from([folder.clone()]);
    while let Some(here) = folders.pop_front() {
        let (mut entries, more) = match disk.list(&here, MAX_ENTRIES - passed.entries) {
            Ok(listed) => listed,
            Err(fault) if here == *folder => return Err(fault),
            Err(_) => {
                passed.unreadable += 1;
                continue;
            }
        };
        passed.is_cut |= more;
        passed.entries += entries.len();
        entries.sort_by(|one, two| one.name.cmp(&two.name));
        for entry in &entries {
            if refused(&entry.name).is_some() {
                passed.refused += 1;
                continue;
            }
            let place = here.child(&entry.name);
            if deep && entry.kind == Kind::Folder {
                folders.push_back(place.clone());
            }
            if !visit(place, entry) {
                return Ok(passed);
            }
        }
        if passed.is_cut {
            break;
        }
    }
    Ok(passed)
}

/// The names in a folder, with sizes.
///
/// # Errors
/// When it is no folder, or not granted.
pub fn list(disk: &dyn Disk, path: &str, deep: bool) -> Result<String, String> {
    let roots = disk.roots();
    if roots.len() > 1 && matches!(path, "" | "." | "/") {
        return Ok(listed_roots(&roots));
    }
    let folder = locate(disk, path, Last::Follow)?;
    let stat = disk.stat(&folder).map_err(|fault| fault.words("list", &folder))?;
    if stat.kind != Kind::Folder {
        return Ok(format!("{folder} is a file of {}; use read", size(stat.bytes)));
    }
    let mut found = Vec::new();
    let mut is_full = false;
    let passed = walk(disk, &folder, deep, &mut |place, entry| {
        is_full = found.len() == MAX_LISTED;
        if !is_full {
            found.push((place, entry.kind));
        }
        !is_full
    });
    let passed = passed.map_err(|fault| fault.words("list", &folder))?;
    found.sort_by(|(one, _), (two, _)| one.parts().cmp(two.parts()));
    let mut output = Output::default();
    output.line(&format!("{folder}:{}", if found.is_empty() { " nothing to show" } else { "" }));
    for (place, kind) in &found {
        let inside = place.inside().strip_prefix(folder.inside()).unwrap_or(place.inside());
        let name = plain(inside.trim_start_matches('/'));
        let line = match kind {
            Kind::Folder => format!("{name}/"),
            Kind::File => match disk.stat(place) {
                Ok(stat) => format!("{name} {}", size(stat.bytes)),
                Err(_) => name,
            },
            Kind::Link => format!("{name} (a link)"),
            Kind::Other => format!("{name} (no file)"),
        };
        is_full |= !output.line(&line);
    }
    if is_full {
        output
            .note(&format!("cut: at most {MAX_LISTED} entries are shown; list a deeper folder, or use find"));
    }
    passed.notes(&mut output);
    Ok(output.finish())
}

fn listed_roots(roots: &[String]) -> String {
    let mut output = Output::default();
    output.line("The granted folders:");
    for root in roots {
        output.line(&plain(root));
    }
    output.finish()
}

/// The files below a folder whose names match a glob.
///
/// # Errors
/// When the pattern is no glob, or the path is no folder or not granted.
pub fn find(disk: &dyn Disk, path: &str, pattern: &str) -> Result<String, String> {
    let glob = Glob::new(pattern)?;
    let folder = locate(disk, path, Last::Follow)?;
    let mut found = Vec::new();
    let mut is_full = false;
    let passed = walk(disk, &folder, true, &mut |place, entry| {
        let inside = place.inside().strip_prefix(folder.inside()).unwrap_or(place.inside());
        if entry.kind == Kind::File && glob.matches(inside.trim_start_matches('/')) {
            is_full = found.len() == MAX_FOUND;
            if !is_full {
                found.push(place);
            }
        }
        !is_full
    });
    let passed = passed.map_err(|fault| fault.words("look in", &folder))?;
    found.sort_by(|one, two| one.parts().cmp(two.parts()));
    let mut output = Output::default();
    if found.is_empty() {
        output.line(&format!(
            "no file below {folder} has a name like {}; for a part of a name write *part*",
            quoted(pattern)
        ));
    }
    for place in &found {
        is_full |= !output.line(&place.to_string());
    }
    if is_full {
        output.note(&format!("cut: at most {MAX_FOUND} files are shown; narrow the pattern"));
    }
    passed.notes(&mut output);
    Ok(output.finish())
}
