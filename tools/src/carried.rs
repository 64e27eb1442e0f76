//! Files that a component carries in custom sections, such as an interpreter's own library. Its calls
//! see them in the folders that it names, and cannot change them; other hosts see none.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use wasm_encoder::{CustomSection, Encode as _};
use wasmparser::{Parser, Payload};

/// How the name of such a section begins. The folder follows, and behind a colon the file in it.
const PREFIX: &str = "lucid-file:";
/// The most files of one component.
const MAX_FILES: usize = 4_000;
/// The longest path in a folder, in bytes.
const MAX_PATH_BYTES: usize = 400;

/// A folder as a guest sees it, and where it is.
pub(crate) type Folder = (String, PathBuf);

/// A file in a component.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Carried<'a> {
    /// An absolute path, as the guest sees it.
    pub folder: &'a str,
    /// A path in the folder, its parts divided by `/`.
    pub path: &'a str,
    pub bytes: &'a [u8],
}

/// Adds a file to a component.
pub(crate) fn add(component: &mut Vec<u8>, folder: &str, path: &str, bytes: &[u8]) {
    // Source: WebAssembly core specification, 5.5.3: a custom section has the id 0.
    component.push(0);
    let name = Cow::Owned(format!("{PREFIX}{folder}:{path}"));
    CustomSection { name, data: bytes.into() }.encode(component);
}

/// The files of a component.
///
/// # Errors
/// Which path is none, or that there are too many.
pub(crate) fn read(component: &[u8]) -> Result<Vec<Carried<'_>>, String> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                let Some(name) = section.name().strip_prefix(PREFIX) else { continue };
                let places = name.split_once(':').filter(|(folder, path)| is_folder(folder) && is_path(path));
                let (folder, path) = places.ok_or_else(|| format!("{name:?} is no place of a file"))?;
                found.push(Carried { folder, path, bytes: section.data() });
            }
            _ => {}
        }
        if found.len() > MAX_FILES {
            return Err(format!("it carries more than {MAX_FILES} files"));
        }
    }
    Ok(found)
}

/// Whether a path is absolute and says where it leads.
pub(crate) fn is_folder(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(is_path)
}

/// Whether a path leads down from where it begins, in words that all systems know.
pub(crate) fn is_path(path: &str) -> bool {
    let plain = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-' | '+');
    path.len() <= MAX_PATH_BYTES
        && path.split('/').all(|part| {
            !part.is_empty() && !part.ends_with('.') && !part.starts_with('.') && part.chars().all(plain)
        })
}

/// Puts files under a folder, one of its own for each that a guest sees. What is there already is not
/// written again, and what is there and is not so is.
///
/// # Errors
/// What cannot be read or written.
pub(crate) fn put(files: &[Carried<'_>], place: &Path) -> std::io::Result<Vec<Folder>> {
    let mut folders: Vec<Folder> = Vec::new();
    for file in files {
        let at = folders.iter().position(|(folder, _)| folder == file.folder);
        let at = at.unwrap_or_else(|| {
            folders.push((file.folder.to_owned(), place.join(folders.len().to_string())));
            folders.len() - 1
        });
        let path = folders[at].1.join(file.path);
        if std::fs::read(&path).is_ok_and(|there| there == file.bytes) {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // Another lucid may do the same.
        let part = path.with_added_extension(format!("{}.part", std::process::id()));
        std::fs::write(&part, file.bytes)?;
        std::fs::rename(&part, &path)?;
    }
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn component(files: &[(&str, &str, &[u8])]) -> Vec<u8> {
        let mut component =
            wat::parse_str("(component (core module (@custom \"lucid-file:/a:inner\" \"x\")))").unwrap();
        for (folder, path, bytes) in files {
            add(&mut component, folder, path, bytes);
        }
        component
    }

    #[test]
    fn what_a_component_carries_is_put_where_its_calls_see_it() {
        let component = component(&[
            ("/lib", "a.zip", b"zip"),
            ("/lib/a.zip/data", "b/c.txt", b"text"),
            ("/lib", "d", b""),
        ]);
        let found = read(&component).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], Carried { folder: "/lib/a.zip/data", path: "b/c.txt", bytes: b"text" });
        let place = tempfile::tempdir().unwrap();
        let folders = put(&found, place.path()).unwrap();
        let names: Vec<&str> = folders.iter().map(|(folder, _)| folder.as_str()).collect();
        assert_eq!(names, ["/lib", "/lib/a.zip/data"]);
        let file = folders[1].1.join("b/c.txt");
        assert_eq!(std::fs::read(&file).unwrap(), b"text");
        // Somebody changed it: it is what was carried again.
        std::fs::write(&file, "other").unwrap();
        assert_eq!(put(&found, place.path()).unwrap(), folders);
        assert_eq!(std::fs::read(&file).unwrap(), b"text");
    }

    #[test]
    fn no_path_leads_out() {
        for (folder, path) in [
            ("/lib", "../x"),
            ("/lib", "/x"),
            ("/lib", "a//b"),
            ("/lib", "."),
            ("/lib", "a/./b"),
            ("lib", "x"),
            ("/", "x"),
            ("/lib/..", "x"),
            ("/lib", "a\\b"),
            ("/lib", ""),
            ("/lib", "a:b"),
            ("/lib", "con./x"),
            ("/lib", ".hidden"),
        ] {
            assert!(read(&component(&[(folder, path, b"")])).is_err(), "{folder:?} {path:?}");
        }
        let mut many = component(&[]);
        (0..=MAX_FILES).for_each(|at| add(&mut many, "/lib", &at.to_string(), b""));
        assert!(read(&many).unwrap_err().contains("more than"));
    }

    proptest! {
        #[test]
        fn whatever_is_read_stays_beneath(folder in "[/a-z.:~\\\\]{0,12}", path in "[/a-z.:~\\\\\\x00-\\x20]{0,12}") {
            if let Ok(found) = read(&component(&[(&folder, &path, b"x")])) {
                for file in found {
                    let all = Path::new(file.folder).components().skip(1).chain(Path::new(file.path).components());
                    for part in all {
                        prop_assert!(matches!(part, std::path::Component::Normal(_)), "{:?}", file);
                    }
                }
            }
        }
    }
}
