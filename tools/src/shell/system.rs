//! What a command has of the system, in whichever sandbox.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{CommandLimits, Unconfined};

/// What a command sees of the system, where it is there: programs, libraries, and what finds them.
const SYSTEM: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
];

/// Sets the limits of processes and becomes what follows: `sh -c LIMIT sh FILE_BLOCKS MEMORY_KIB PROCESSES
/// SECONDS …`. What cannot be set was set stricter before. The number of processes has another letter in
/// each shell.
const LIMIT: &str = "{ ulimit -c 0; ulimit -f \"$1\"; ulimit -v \"$2\"; ulimit -t \"$4\"; \
                     ulimit -u \"$3\" || ulimit -p \"$3\"; } 2> /dev/null; shift 4; exec \"$@\"";
/// POSIX counts files in blocks of so many bytes.
const BLOCK_BYTES: u64 = 512;
const UNLIMITED: &str = "unlimited";

/// What there is of [`SYSTEM`].
pub(super) fn seen() -> Vec<PathBuf> {
    SYSTEM.iter().map(PathBuf::from).filter(|path| path.symlink_metadata().is_ok()).collect()
}

/// Those of the hidden folders that would be seen, to be covered.
///
/// # Errors
/// When one holds what must be seen.
pub(super) fn covered(hidden: &[PathBuf], seen: &[PathBuf]) -> Result<Vec<PathBuf>, Unconfined> {
    let real = |path: &PathBuf| path.canonicalize().ok();
    // What is not there cannot be seen.
    let hidden: Vec<PathBuf> = hidden.iter().filter_map(real).collect();
    let seen: Vec<PathBuf> = seen.iter().filter_map(real).collect();
    if let Some(folder) = hidden.iter().find(|folder| seen.iter().any(|path| path.starts_with(folder))) {
        return Err(Unconfined::Entangled { folder: folder.clone() });
    }
    Ok(hidden.into_iter().filter(|folder| seen.iter().any(|path| folder.starts_with(path))).collect())
}

/// What reads commands.
fn shell() -> &'static str {
    if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" }
}

/// The nice value of a command: however many processes it starts, they are seen to in time.
pub(super) const NICE: i32 = 19;

/// The whole environment of a command that works in this folder.
pub(super) fn environment(work: &Path) -> [(&'static str, OsString); 6] {
    [
        ("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin".into()),
        ("HOME", work.into()),
        ("LANG", "C.UTF-8".into()),
        ("TERM", "dumb".into()),
        ("NO_COLOR", "1".into()),
        ("SHELL", shell().into()),
    ]
}

/// A command under limits, as a program and its arguments. The numbers of its processes and of the seconds
/// that one of them computes are limited where they are given. The program `through` starts it.
pub(super) fn limited(
    text: &str,
    limits: &CommandLimits,
    processes: Option<usize>,
    seconds: Option<u64>,
    through: &[&str],
) -> Vec<String> {
    let number =
        |number: Option<u64>| number.map_or_else(|| UNLIMITED.to_owned(), |number| number.to_string());
    let numbers = [
        (limits.file_bytes / BLOCK_BYTES).to_string(),
        // In KiB, and twice as much as all together may have.
        (limits.memory_bytes / 512).to_string(),
        number(processes.map(|processes| processes as u64)),
        number(seconds),
    ];
    let before = ["/bin/sh", "-c", LIMIT, "sh"].into_iter().map(str::to_owned);
    // A command is no option, whatever it begins with.
    let command = [through, &[shell(), "-c", "--", text]].concat().into_iter().map(str::to_owned);
    before.chain(numbers).chain(command).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

    use super::*;

    #[test]
    fn a_home_among_the_programs_is_covered_and_one_around_them_refused() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let path = |name: &str| root.join(name);
        for name in ["usr/bin", "usr/home/ada", "home/ada"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        std::os::unix::fs::symlink("usr/home", path("link")).unwrap();
        let seen = [path("usr"), path("gone")];
        let covered = |name: &str| covered(&[path(name)], &seen);
        assert_eq!(covered("home/ada"), Ok(vec![]));
        assert_eq!(covered("nowhere"), Ok(vec![]));
        assert_eq!(covered("usr/home/ada"), Ok(vec![path("usr/home/ada")]));
        assert_eq!(covered("link/ada"), Ok(vec![path("usr/home/ada")]));
        for around in ["usr", ""] {
            let folder = path(around).canonicalize().unwrap();
            assert_eq!(covered(around), Err(Unconfined::Entangled { folder }));
        }
    }
}
