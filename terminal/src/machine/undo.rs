//! What tools change in the user's folders, kept so that it can be taken back: before a call that may
//! change files the folders are looked through, after it what changed is written down, with what stood
//! there before.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lucid_kernel::abi::EffectId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The most files of the folders that one call may change.
const FILES_MAX: usize = 5_000;
/// The most bytes that are kept of one session.
const BYTES_MAX: u64 = 128 * 1024 * 1024;
/// Of so many sessions it is kept, beside the one that begins.
const SESSIONS_MAX: usize = 7;
/// A larger file is not kept.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is kept of one session.
#[derive(Debug, Clone)]
pub struct Undo {
    dir: PathBuf,
}

/// A file as it is told from what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Look {
    bytes: u64,
    /// Nanoseconds since 1970 at which it was changed.
    changed_ns: u64,
}

/// Folders before a call.
#[derive(Debug)]
pub struct Before {
    id: EffectId,
    folders: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Look>,
    /// Why nothing can be taken back.
    lacks: Option<String>,
}

/// What one call changed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Changes {
    files: Vec<Change>,
    /// Why it cannot be taken back.
    lacks: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Change {
    path: PathBuf,
    /// How it was; none when it was not there.
    before: Option<Look>,
    /// How the call left it; none when it is gone.
    after: Option<Look>,
}

impl Undo {
    /// What is kept of a session under this folder.
    pub fn of(dir: &Path, session: &str) -> Self {
        Self { dir: dir.join(session) }
    }

    /// The same for a session that begins or goes on: what is kept of the sessions longest ago goes.
    pub fn begin(dir: &Path, session: &str) -> Self {
        crate::home::prune(dir, SESSIONS_MAX);
        Self::of(dir, session)
    }

    /// Looks through the folders that a call may change, and keeps what it may change.
    pub fn before(&self, id: EffectId, folders: Vec<PathBuf>) -> Before {
        let mut before = Before { id, folders, files: BTreeMap::new(), lacks: None };
        before.lacks =
            look_through(&before.folders, &mut before.files).and_then(|()| self.keep(&before.files)).err();
        before
    }

    /// Writes down what the call changed.
    ///
    /// # Errors
    /// Words for a person, when that cannot be written.
    pub fn after(&self, before: Before) -> Result<(), String> {
        let mut now = BTreeMap::new();
        let lacks = before.lacks.or_else(|| look_through(&before.folders, &mut now).err());
        let mut changes = Changes { files: Vec::new(), lacks };
        if changes.lacks.is_none() {
            let gone = before.files.iter().filter(|(path, _)| !now.contains_key(*path));
            changes.files.extend(gone.map(|(path, look)| Change {
                path: path.clone(),
                before: Some(*look),
                after: None,
            }));
            let other = now.iter().filter(|(path, look)| before.files.get(*path) != Some(look));
            changes.files.extend(other.map(|(path, look)| Change {
                path: path.clone(),
                before: before.files.get(path).copied(),
                after: Some(*look),
            }));
        }
        if changes.files.is_empty() && changes.lacks.is_none() {
            return Ok(());
        }
        let text = serde_json::to_vec(&changes).map_err(|error| error.to_string())?;
        crate::home::write(&self.dir.join(format!("{}.json", before.id.0)), &text)
            .map_err(|error| error.to_string())
    }

    /// Keeps what the files hold, once for each look.
    fn keep(&self, files: &BTreeMap<PathBuf, Look>) -> Result<(), String> {
        let kept = self.dir.join("files");
        fs::create_dir_all(&kept).map_err(|error| error.to_string())?;
        let mut bytes: u64 = fs::read_dir(&kept)
            .map_err(|error| error.to_string())?
            .flatten()
            .filter_map(|entry| entry.metadata().ok())
            .map(|file| file.len())
            .sum();
        for (path, look) in files {
            let copy = kept.join(name(path, *look));
            if copy.exists() {
                continue;
            }
            bytes += look.bytes;
            if look.bytes > FILE_BYTES_MAX || bytes > BYTES_MAX {
                return Err(format!("{} is too large to be kept", path.display()));
            }
            fs::copy(path, &copy).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(())
    }

    /// Takes back what the calls from this one on changed, the last one first: a line for each file.
    pub fn take_back(&self, from: EffectId) -> Vec<String> {
        let mut calls = self.calls();
        calls.retain(|call| *call >= from.0);
        calls.sort_unstable_by(|one, other| other.cmp(one));
        let mut lines = Vec::new();
        for call in calls {
            let path = self.dir.join(format!("{call}.json"));
            let read = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Changes>(&text).ok());
            let Some(changes) = read else {
                lines.push(format!("what call {call} changed cannot be read in {}", path.display()));
                continue;
            };
            lines.extend(changes.lacks.map(|why| format!("what call {call} changed stays: {why}")));
            lines.extend(changes.files.iter().map(|change| self.take_one_back(change)));
        }
        lines
    }

    /// Keeps for another session what is kept of the calls before this one.
    pub fn hand_on(&self, to: &Self, before: EffectId) {
        let link = |from: PathBuf, to: PathBuf| {
            // What cannot be kept there can only not be taken back from there.
            let _ = fs::create_dir_all(to.parent().unwrap_or(Path::new(".")));
            let _ = fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop));
        };
        for call in self.calls().into_iter().filter(|call| *call < before.0) {
            let name = format!("{call}.json");
            link(self.dir.join(&name), to.dir.join(&name));
        }
        let files = fs::read_dir(self.dir.join("files")).into_iter().flatten().flatten();
        files.for_each(|file| link(file.path(), to.dir.join("files").join(file.file_name())));
    }

    /// The calls that changed something.
    fn calls(&self) -> Vec<u64> {
        let numbered = |entry: &fs::DirEntry| -> Option<u64> {
            entry.path().file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()
        };
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| numbered(&entry)).collect()
    }

    fn take_one_back(&self, change: &Change) -> String {
        let path = change.path.display();
        if look_at(&change.path).ok().flatten() != change.after {
            return format!("{path} was changed since by somebody else; it stays as it is");
        }
        let done = match change.before {
            None => fs::remove_file(&change.path).map(|()| "is removed again"),
            Some(look) => self.put_back(&change.path, look).map(|()| "is as it was"),
        };
        done.map_or_else(|error| format!("{path} stays as it is: {error}"), |what| format!("{path} {what}"))
    }

    fn put_back(&self, path: &Path, look: Look) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(self.dir.join("files").join(name(path, look)), path)?;
        // What was changed before it is told from it by this.
        let changed: SystemTime = UNIX_EPOCH + Duration::from_nanos(look.changed_ns);
        File::options().write(true).open(path)?.set_modified(changed)
    }
}

/// What a kept file is called.
fn name(path: &Path, look: Look) -> String {
    let mut hash = Sha256::new();
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update(look.bytes.to_le_bytes());
    hash.update(look.changed_ns.to_le_bytes());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// All files of these folders. Links are not followed: a tool cannot leave its folders by them.
fn look_through(folders: &[PathBuf], files: &mut BTreeMap<PathBuf, Look>) -> Result<(), String> {
    for folder in folders {
        for entry in ignore::WalkBuilder::new(folder).standard_filters(false).build().flatten() {
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            if files.len() >= FILES_MAX {
                return Err(format!("{} has more than {FILES_MAX} files", folder.display()));
            }
            if let Some(look) = look_at(entry.path()).map_err(|error| error.to_string())? {
                files.insert(entry.into_path(), look);
            }
        }
    }
    Ok(())
}

fn look_at(path: &Path) -> std::io::Result<Option<Look>> {
    let file = match fs::symlink_metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let changed = file.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let changed_ns = u64::try_from(changed.as_nanos()).unwrap_or(u64::MAX);
    Ok(Some(Look { bytes: file.len(), changed_ns }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        // A file system tells changes apart by a clock that is not that fine.
        std::thread::sleep(Duration::from_millis(12));
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_calls_changed_is_taken_back_and_what_others_changed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("notes");
        fs::create_dir(&folder).unwrap();
        let file = |name: &str| folder.join(name);
        for (name, text) in [("a.md", "one"), ("b.md", "two"), ("c.md", "three")] {
            write(&file(name), text);
        }
        let undo = Undo::of(&dir.path().join("undo"), "s");
        let call = |id: u64, change: &dyn Fn()| {
            let before = undo.before(EffectId(id), vec![folder.clone()]);
            change();
            undo.after(before).unwrap();
        };
        call(3, &|| write(&file("a.md"), "early"));
        call(7, &|| {
            write(&file("a.md"), "changed");
            write(&file("d.md"), "new");
            fs::remove_file(file("b.md")).unwrap();
        });
        call(9, &|| {
            write(&file("a.md"), "changed again");
            write(&file("c.md"), "changed");
        });
        call(10, &|| {});
        write(&file("c.md"), "by hand");
        let lines = undo.take_back(EffectId(7));
        let read = |name: &str| fs::read_to_string(file(name)).ok();
        assert_eq!(read("a.md").as_deref(), Some("early"), "{lines:#?}");
        assert_eq!(read("b.md").as_deref(), Some("two"));
        assert_eq!((read("c.md").as_deref(), read("d.md")), (Some("by hand"), None));
        let stays: Vec<&String> = lines.iter().filter(|line| line.contains("somebody else")).collect();
        assert!(matches!(&stays[..], [line] if line.contains("c.md")), "{lines:#?}");
        assert_eq!(undo.take_back(EffectId(99)), [""; 0]);
    }

    #[test]
    fn a_folder_that_is_too_large_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("large");
        fs::create_dir(&folder).unwrap();
        File::create(folder.join("a")).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        let undo = Undo::of(&dir.path().join("undo"), "s");
        let before = undo.before(EffectId(1), vec![folder]);
        undo.after(before).unwrap();
        let lines = undo.take_back(EffectId(1));
        assert!(matches!(&lines[..], [line] if line.contains("too large")), "{lines:?}");
    }
}
