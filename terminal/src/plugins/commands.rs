//! The tool `shell`, where the settings turn it on: its sandbox, and the folder that the commands of a
//! session share.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lucid_kernel::abi::{Call, Fault};
use lucid_kernel::port::CancelFlag;
use lucid_tools::shell::{CommandLimits, Shell};
use serde_json::Value;

use crate::exit::Failure;
use crate::home::Home;
use crate::machine::ToolOutput;

/// Runs the commands of one session.
pub struct Commands {
    shell: Shell,
    scratch: Scratch,
}

impl Commands {
    /// Tries whether commands can be shut off from the user's files and the network here.
    ///
    /// # Errors
    /// Why they cannot, and what to do.
    pub fn open(home: &Home) -> Result<Self, Failure> {
        let scratch = Scratch::new(&home.shell_dir()).map_err(|error| {
            Failure::config(format!("no folder for commands in {}: {error}", home.shell_dir().display()))
        })?;
        let hidden: Vec<PathBuf> =
            home.folders().into_iter().map(Path::to_path_buf).chain(std::env::home_dir()).collect();
        let search_path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::current_exe().unwrap_or_default();
        let shell = Shell::new(&search_path, &program, &hidden, &scratch.work(), CommandLimits::default())
            .map_err(|error| Failure::config(error.to_string()))?;
        Ok(Self { shell, scratch })
    }

    /// What shuts them off, for a person.
    pub fn sandbox(&self) -> String {
        self.shell.sandbox()
    }

    /// Runs one.
    ///
    /// # Errors
    /// A fault that the model can read.
    pub fn call(&self, call: &Call, cancel: &CancelFlag) -> Result<ToolOutput, Fault> {
        let started = Instant::now();
        let text = self.shell.run(&call.arguments, &self.scratch.work(), cancel)?;
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(ToolOutput { value: Value::String(text.clone()), text, micros })
    }

    /// What one would do.
    pub fn preview(&self, call: &Call) -> String {
        self.shell.preview(&call.arguments)
    }
}

/// A folder that is there as long as the session.
struct Scratch {
    folder: tempfile::TempDir,
    /// The system lets go of the lock when the process ends, however it ends.
    _lock: File,
}

/// The file whose lock says that a session uses the folder.
const LOCK: &str = "lock";

impl Scratch {
    /// Makes one, and removes those of sessions that were killed.
    fn new(parent: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(parent)?;
        for entry in std::fs::read_dir(parent)?.flatten() {
            let left = File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
            if left {
                // What cannot be removed is in nobody's way.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let folder = tempfile::Builder::new().prefix("session-").tempdir_in(parent)?;
        let lock = File::create(folder.path().join(LOCK))?;
        lock.lock()?;
        std::fs::create_dir(folder.path().join("work"))?;
        Ok(Self { folder, _lock: lock })
    }

    /// The part of it that commands see.
    fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_removed_when_its_session_is_over() {
        let parent = tempfile::tempdir().unwrap();
        let parent = parent.path().join("shell");
        let one = Scratch::new(&parent).unwrap();
        std::fs::write(one.work().join("a"), "1").unwrap();
        // One that was killed.
        let killed = parent.join("session-killed");
        std::fs::create_dir_all(killed.join("work/b")).unwrap();
        File::create(killed.join(LOCK)).unwrap();
        let two = Scratch::new(&parent).unwrap();
        assert!(one.work().join("a").exists() && !killed.exists() && one.work() != two.work());
        drop((one, two));
        assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 0);
    }
}
