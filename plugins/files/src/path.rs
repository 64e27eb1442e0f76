//! From the path that the model wrote to a [`Place`] in a granted folder, or a refusal.
//!
//! Paths are taken apart as text, so `..` never reaches the file system. Links are followed here,
//! one by one, so that what is opened in the end is known and its name is checked too.

use std::rc::Rc;

use crate::disk::{Disk, Fault, Kind, Place, plain};
use crate::names::{Reason, refused};

/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 4_096;
/// The most names of a path.
const MAX_PARTS: usize = 128;
/// The most links on the way to a place.
const MAX_LINKS: usize = 16;

/// What to do with a link at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// Go where it leads: what is wanted is what a file holds.
    Follow,
    /// Stay with it: what is wanted is the name.
    Keep,
}

/// Where a path leads.
///
/// # Errors
/// When it leaves the granted folders, or what it names is left alone.
pub fn locate(disk: &dyn Disk, path: &str, last: Last) -> Result<Place, String> {
    follow(disk, parse(path, &disk.roots())?, last)
}

/// Where a path leads if no part of it is a link.
///
/// # Errors
/// When it leaves the granted folders.
pub fn parse(path: &str, roots: &[String]) -> Result<Place, String> {
    if path.len() > MAX_PATH_BYTES || path.contains('\0') {
        return Err(format!("the path is no path: it is longer than {MAX_PATH_BYTES} bytes or holds a NUL"));
    }
    let windows = roots.iter().any(|root| has_drive(root) || root.starts_with("\\\\"));
    let is_absolute = path.starts_with('/') || windows && (path.starts_with('\\') || has_drive(path));
    if !is_absolute {
        if path == "~" || path.starts_with("~/") {
            return Err(format!("~ is not known here; write the path in full: {}", granted(roots)));
        }
        let [root] = roots else {
            return Err(format!(
                "{} is relative, which is clear only with one granted folder; {}",
                quoted(path),
                granted(roots)
            ));
        };
        let parts = joined(Vec::new(), path, windows).ok_or_else(|| leaves(path, roots))?;
        return place(0, root, &parts, path);
    }
    let parts = joined(Vec::new(), path, windows).ok_or_else(|| leaves(path, roots))?;
    let best = roots
        .iter()
        .enumerate()
        .filter_map(|(number, root)| {
            let above = joined(Vec::new(), root, windows)?;
            let same = |(one, two): (&&str, &&str)| one == two || windows && one.eq_ignore_ascii_case(two);
            let is_above = above.len() <= parts.len() && above.iter().zip(&parts).all(same);
            is_above.then_some((above.len(), number, root))
        })
        .max_by_key(|(length, ..)| *length);
    let (length, number, root) = best.ok_or_else(|| leaves(path, roots))?;
    place(number, root, &parts[length..], path)
}

fn place(number: usize, root: &str, parts: &[&str], path: &str) -> Result<Place, String> {
    if parts.len() > MAX_PARTS {
        return Err(format!("{} has more than {MAX_PARTS} names", quoted(path)));
    }
    Ok(Place::new(number, Rc::from(root), parts.join("/")))
}

/// The parts of a path that begins at `parts`. None when `..` goes above the beginning.
fn joined<'a>(mut parts: Vec<&'a str>, path: &'a str, windows: bool) -> Option<Vec<&'a str>> {
    for part in path.split(|c| c == '/' || windows && c == '\\') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts)
}

fn has_drive(path: &str) -> bool {
    path.chars().next().is_some_and(|c| c.is_ascii_alphabetic()) && path[1..].starts_with(':')
}

fn follow(disk: &dyn Disk, mut place: Place, last: Last) -> Result<Place, String> {
    for _ in 0..=MAX_LINKS {
        check_names(&place)?;
        match next_link(disk, &place, last)? {
            Some(target) => place = target,
            None => return Ok(place),
        }
    }
    Err(format!("{place} has more than {MAX_LINKS} links on the way; they may lead in a circle"))
}

/// Where the first link on the way to a place leads, with what follows it.
fn next_link(disk: &dyn Disk, place: &Place, last: Last) -> Result<Option<Place>, String> {
    let parts: Vec<&str> = place.parts().collect();
    for end in 1..=parts.len() {
        let here = place.at(parts[..end].join("/"));
        match disk.stat(&here) {
            Ok(stat) if stat.kind == Kind::Link && (end < parts.len() || last == Last::Follow) => {
                let outside = || Fault::Outside.words("use", &here);
                let target = disk.link(&here).map_err(|fault| fault.words("follow the link", &here))?;
                if target.starts_with(['/', '\\']) || has_drive(&target) {
                    return Err(outside());
                }
                let above = joined(parts[..end - 1].to_vec(), &target, false).ok_or_else(outside)?;
                let all: Vec<&str> = above.iter().chain(&parts[end..]).copied().collect();
                if all.len() > MAX_PARTS {
                    return Err(outside());
                }
                return Ok(Some(place.at(all.join("/"))));
            }
            Ok(_) => {}
            // What is not there has no links; whoever uses the place says what is wrong.
            Err(Fault::Missing | Fault::NotFolder) => return Ok(None),
            Err(fault) => return Err(fault.words("look at", &here)),
        }
    }
    Ok(None)
}

/// Refuses what is left alone, wherever it is on the way below the granted folder.
fn check_names(place: &Place) -> Result<(), String> {
    for name in place.parts() {
        match refused(name) {
            Some(Reason::Secret) => {
                return Err(format!(
                    "{place} is left alone: {} may hold keys or passwords; the user can open it",
                    quoted(name)
                ));
            }
            Some(Reason::Hidden) => {
                return Err(format!(
                    "{place} is left alone: {} is hidden (it begins with a dot)",
                    quoted(name)
                ));
            }
            None => {}
        }
    }
    Ok(())
}

fn leaves(path: &str, roots: &[String]) -> String {
    format!("{} is not in a granted folder; {}", quoted(path), granted(roots))
}

fn granted(roots: &[String]) -> String {
    match roots {
        [] => "no folder is granted: ask the user to grant one".into(),
        [one] => format!("the granted folder is {}", plain(one)),
        many => {
            let names: Vec<_> = many.iter().map(|root| plain(root)).collect();
            format!("the granted folders are {}", names.join(", "))
        }
    }
}

/// A path or a name of the model's, short and on one line.
pub fn quoted(text: &str) -> String {
    const MAX_CHARS: usize = 200;
    let cut: String = text.chars().take(MAX_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{:?}{more}", plain(&cut))
}
