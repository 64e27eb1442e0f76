//! The sandbox of a command, as bubblewrap makes it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::system::{self, NICE, covered, seen};
use super::{CommandLimits, Unconfined};

/// The program.
const PROGRAM: &str = "bwrap";
/// Where a command works, as it sees it.
const WORK: &str = "/work";
/// Whose it is, as it sees it: nobody who is anybody outside.
const USER: &str = "1000";
/// The room in its shared memory, in bytes.
const SHARED_BYTES: u64 = 64 << 20;

/// Makes sandboxes.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) program: PathBuf,
    /// Folders within what is seen of the system that are covered.
    covered: Vec<PathBuf>,
}

impl Sandbox {
    /// Finds the program in a list of folders.
    ///
    /// # Errors
    /// When it is not there, or a hidden folder cannot be hidden.
    pub(super) fn find(search_path: &OsStr, hidden: &[PathBuf]) -> Result<Self, Unconfined> {
        // A name without a folder could be anything in the folder that the user is in.
        let folders = std::env::split_paths(search_path).filter(|folder| folder.is_absolute());
        let program = folders.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file());
        let program = program.ok_or(Unconfined::Missing)?;
        Ok(Self { program, covered: covered(hidden, &seen())? })
    }

    /// The sandbox with a command in it, to be started.
    pub(super) fn command(&self, text: &str, work: &Path, limits: &CommandLimits) -> Command {
        let mut command = Command::new(&self.program);
        // The sandbox's own first process can be read in there, its environment with it.
        command.env_clear().current_dir("/");
        // No network, no processes and no users but its own, and no way to make more of those.
        command.args(["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"]);
        command.args(["--uid", USER, "--gid", USER, "--hostname", "lucid"]);
        // Its end is that of all in it, and it cannot type into the user's terminal.
        command.args(["--die-with-parent", "--new-session", "--clearenv"]);
        for (name, value) in system::environment(Path::new(WORK)) {
            command.args(["--setenv", name]).arg(value);
        }
        for path in seen() {
            match std::fs::read_link(&path) {
                Ok(to) => command.arg("--symlink").arg(to).arg(&path),
                Err(_) => command.arg("--ro-bind").arg(&path).arg(&path),
            };
        }
        for folder in &self.covered {
            command.arg("--tmpfs").arg(folder).arg("--remount-ro").arg(folder);
        }
        let (file, shared) = (limits.file_bytes.to_string(), SHARED_BYTES.to_string());
        // Who is root outside could change settings of the whole system in /proc.
        command.args(["--proc", "/proc", "--remount-ro", "/proc"]);
        command.args(["--dev", "/dev", "--size", &shared, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
        command.args(["--size", &file, "--tmpfs", "/tmp"]);
        command.arg("--bind").arg(work).args([WORK, "--chdir", WORK, "--remount-ro", "/", "--"]);
        // Not the sandbox itself, which has to see to their end.
        let modestly = ["nice", "-n", &NICE.to_string()];
        command.args(system::limited(text, limits, Some(limits.processes), None, &modestly));
        command
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

    use super::*;

    #[test]
    fn the_program_is_found_in_folders_with_a_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let find = |path: &OsStr| Sandbox::find(path, &[]).map(|sandbox| sandbox.program);
        assert_eq!(find(folder.path().as_os_str()), Err(Unconfined::Missing));
        let program = folder.path().join(PROGRAM);
        std::fs::write(&program, "").unwrap();
        assert_eq!(find(folder.path().as_os_str()), Ok(program));
        assert_eq!(find(OsStr::new("bin:.:")), Err(Unconfined::Missing));
    }
}
