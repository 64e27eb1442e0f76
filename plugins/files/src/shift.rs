//! The tools `move` and `remove`: what changes names and leaves content alone.

use crate::change::make_folders;
use crate::disk::{Disk, Fault, Kind, Place, Stat};
use crate::names::refused;
use crate::path::{Last, locate};
use crate::text::{count, size};

/// The most entries of a folder that are counted to say why it is not empty.
const MAX_COUNTED: usize = 1_000;

/// Moves a file or a folder and says what was done.
///
/// # Errors
/// When it is not there, something is in its way, or the file system does not do it.
pub fn move_to(disk: &dyn Disk, from: &str, to: &str) -> Result<String, String> {
    let (source, _, target) = plan_move(disk, from, to)?;
    make_folders(disk, &target)?;
    disk.rename(&source, &target).map_err(|fault| fault.words("move", &source))?;
    Ok(format!("moved {source} to {target}"))
}

/// What [`move_to`] would do. Changes nothing.
///
/// # Errors
/// As [`move_to`], as far as can be known before.
pub fn move_preview(disk: &dyn Disk, from: &str, to: &str) -> Result<String, String> {
    let (source, stat, target) = plan_move(disk, from, to)?;
    Ok(format!("would move {source} ({}) to {target}", kind(&stat)))
}

fn plan_move(disk: &dyn Disk, from: &str, to: &str) -> Result<(Place, Stat, Place), String> {
    let source = locate(disk, from, Last::Keep)?;
    if source.is_root() {
        return Err(format!("{source} is a granted folder: it cannot be moved"));
    }
    let stat = disk.stat(&source).map_err(|fault| fault.words("move", &source))?;
    let mut target = locate(disk, to, Last::Keep)?;
    match disk.stat(&target) {
        Ok(found) if found.kind == Kind::Folder && target != source => target = target.child(source.name()),
        _ if to.ends_with('/') => target = target.child(source.name()),
        _ => {}
    }
    if target == source {
        return Err(format!("{source} is there already"));
    }
    if target.is_in(&source) {
        return Err(format!("{source} cannot be moved into itself"));
    }
    match disk.stat(&target) {
        Err(Fault::Missing) => Ok((source, stat, target)),
        Ok(_) => Err(format!("{target} is there already and is not overwritten: choose another name")),
        Err(fault) => Err(fault.words("move something to", &target)),
    }
}

/// Removes a file, a link or an empty folder, and says what was done.
///
/// # Errors
/// When it is not there, a folder is not empty, or the file system does not do it.
pub fn remove(disk: &dyn Disk, path: &str) -> Result<String, String> {
    let (place, stat) = plan_remove(disk, path)?;
    let removed = match stat.kind {
        Kind::Folder => disk.remove_folder(&place),
        _ => disk.remove_file(&place),
    };
    removed.map_err(|fault| fault.words("remove", &place))?;
    Ok(format!("removed {place} ({})", kind(&stat)))
}

/// What [`remove`] would do. Changes nothing.
///
/// # Errors
/// As [`remove`], as far as can be known before.
pub fn remove_preview(disk: &dyn Disk, path: &str) -> Result<String, String> {
    let (place, stat) = plan_remove(disk, path)?;
    Ok(format!("would remove {place} ({}) for good", kind(&stat)))
}

fn plan_remove(disk: &dyn Disk, path: &str) -> Result<(Place, Stat), String> {
    let place = locate(disk, path, Last::Keep)?;
    if place.is_root() {
        return Err(format!("{place} is a granted folder: it cannot be removed"));
    }
    let stat = disk.stat(&place).map_err(|fault| fault.words("remove", &place))?;
    if stat.kind == Kind::Folder {
        let (entries, more) =
            disk.list(&place, MAX_COUNTED).map_err(|fault| fault.words("remove", &place))?;
        if !entries.is_empty() {
            let hidden = entries.iter().filter(|entry| refused(&entry.name).is_some()).count();
            let plus = if more { " and more" } else { "" };
            let of_them = if hidden > 0 { format!(", {hidden} of them hidden") } else { String::new() };
            return Err(format!(
                "{place} is not empty: it holds {}{plus}{of_them}; only empty folders are removed",
                count(entries.len(), "entry", "entries")
            ));
        }
    }
    Ok((place, stat))
}

fn kind(stat: &Stat) -> String {
    match stat.kind {
        Kind::Folder => "a folder".into(),
        Kind::File => format!("a file of {}", size(stat.bytes)),
        Kind::Link => "a link".into(),
        Kind::Other => "no file".into(),
    }
}
