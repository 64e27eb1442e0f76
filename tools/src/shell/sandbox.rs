//! Which sandbox there is on this machine.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lucid_kernel::port::CancelFlag;

use super::child::{self, End};
use super::{CommandLimits, Unconfined, bubblewrap, landlock};

/// How long the trial may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The trial: a process can be started and a file written, and what no command sees is not seen.
const PROBE: &str = "(echo $((6 * 7))) && : > probe && rm probe && ! ls /sys 2> /dev/null";
const PROBED: &str = "42\n";
/// The most of what went wrong that is told, in characters.
const REASON_CHARS: usize = 300;

/// Makes sandboxes.
#[derive(Debug)]
pub(super) enum Sandbox {
    /// The better one: a command has a system of its own.
    Bubblewrap(bubblewrap::Sandbox),
    /// A command is kept from much of the system.
    Landlock(landlock::Sandbox),
}

impl Sandbox {
    /// The first of the two that works here.
    ///
    /// # Errors
    /// What is wrong with each.
    pub(super) fn find(
        search_path: &OsStr,
        program: &Path,
        hidden: &[PathBuf],
        work: &Path,
        limits: &CommandLimits,
    ) -> Result<Self, Unconfined> {
        let first = bubblewrap::Sandbox::find(search_path, hidden).map(Self::Bubblewrap);
        first.and_then(|sandbox| sandbox.tried(work, limits)).or_else(|bubblewrap| {
            let second = landlock::Sandbox::find(program, hidden).map(Self::Landlock);
            second.and_then(|sandbox| sandbox.tried(work, limits)).map_err(|landlock| Unconfined::Neither {
                bubblewrap: Box::new(bubblewrap),
                landlock: Box::new(landlock),
            })
        })
    }

    fn tried(self, work: &Path, limits: &CommandLimits) -> Result<Self, Unconfined> {
        let failed = |reason: &str| {
            let reason = crate::text::one_line(reason, REASON_CHARS);
            Err(Unconfined::Failed { what: self.to_string(), reason })
        };
        let limits = CommandLimits { timeout: PROBE_TIMEOUT, ..*limits };
        match child::run(self.command(PROBE, work, &limits), &limits, &CancelFlag::new()) {
            Ok((End::Exited(0), output)) if output.to_string() == PROBED => Ok(self),
            Ok((_, output)) => failed(&output.to_string()),
            Err(error) => failed(&error.to_string()),
        }
    }

    /// The sandbox with a command in it, to be started.
    pub(super) fn command(&self, text: &str, work: &Path, limits: &CommandLimits) -> Command {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.command(text, work, limits),
            Self::Landlock(sandbox) => sandbox.command(text, work, limits),
        }
    }
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bubblewrap(sandbox) => sandbox.program.display().fmt(f),
            Self::Landlock(_) => f.write_str("Landlock"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

    use super::*;

    #[test]
    fn where_neither_works_it_is_told_why_and_what_to_do() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let limits = CommandLimits::default();
        let link = |to: &str, name: &str| {
            let path = folder.path().join(name);
            std::os::unix::fs::symlink(to, &path).unwrap();
            path
        };
        let find = |program: &Path| {
            let path = folder.path().as_os_str();
            Sandbox::find(path, program, &[], work.path(), &limits).unwrap_err().to_string()
        };
        // What ends well without being a sandbox is none.
        for unfit in ["/bin/true", "/bin/echo", "/bin/false", "/nowhere"] {
            let error = find(Path::new(unfit));
            assert!(error.contains("`bwrap` is in no folder of PATH"), "{error}");
            assert!(error.contains("Landlock does not work here"), "{error}");
            assert!(error.contains("apt-get install bubblewrap"), "{error}");
        }
        link("/bin/echo", "bwrap");
        let error = find(&link("/bin/echo", "lucid"));
        assert!(error.contains("bwrap does not work here (--unshare-all"), "{error}");
        assert!(error.contains("Landlock does not work here (confined "), "{error}");
    }
}
