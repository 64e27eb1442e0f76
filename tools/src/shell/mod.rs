//! The one tool that is no plugin: a command of the system, shut off from the network and from the
//! user's files.
//!
//! A command runs in a sandbox of its own, made by [bubblewrap](https://github.com/containers/bubblewrap)
//! or, where that cannot be had, by Landlock: it sees the system's programs, one working folder, and
//! nothing else. Where there is no sandbox, there is no [`Shell`], and so no command.

#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
mod child;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod members;
#[cfg(target_os = "linux")]
mod output;
#[cfg(target_os = "linux")]
mod sandbox;
#[cfg(target_os = "linux")]
mod system;

#[cfg(target_os = "linux")]
pub use self::landlock::{ARGUMENT as CONFINED, NotEntered, enter};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lucid_kernel::abi::{Fault, FaultKind, ToolSpec};
use lucid_kernel::policy::SHELL;
use lucid_kernel::port::CancelFlag;
use serde_json::{Value, json};

/// The longest command, in bytes, and the most lines of one: the user reads all of it before each run.
pub const MAX_COMMAND_BYTES: usize = 8 << 10;
/// See [`MAX_COMMAND_BYTES`].
pub const MAX_COMMAND_LINES: usize = 200;

/// What one command may use. One that goes over is stopped with all that it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandLimits {
    /// Wall-clock time.
    pub timeout: Duration,
    /// What the model reads of the output, in bytes: of more, the beginning and the end.
    pub output_bytes: usize,
    /// What it may write to its output at all, in bytes.
    pub written_bytes: u64,
    /// The memory of all its processes together, in bytes. It is looked at now and then; one process
    /// alone can never have more than twice that.
    pub memory_bytes: u64,
    /// Its processes and threads at once.
    pub processes: usize,
    /// The largest file that it may write, in bytes; also the room in its `/tmp`.
    pub file_bytes: u64,
}

impl Default for CommandLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            output_bytes: 64 << 10,
            written_bytes: 64 << 20,
            memory_bytes: 2 << 30,
            processes: 256,
            file_bytes: 256 << 20,
        }
    }
}

/// Why no command can be run on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unconfined {
    /// There are sandboxes for commands on Linux alone.
    #[error("commands can be shut off from your files and the network on Linux alone")]
    System,
    /// The program of bubblewrap is not there.
    #[error("bubblewrap is not installed (`bwrap` is in no folder of PATH)")]
    Missing,
    /// A sandbox does not do what is needed.
    #[error("{what} does not work here ({reason})")]
    Failed {
        /// What makes the sandbox.
        what: String,
        /// What it said.
        reason: String,
    },
    /// A folder that must not be seen holds the system's programs, or lies among them.
    #[error("the folder {} cannot be hidden from the system's programs", folder.display())]
    Entangled {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no sandbox.
    #[error(
        "commands cannot be shut off from your files and the network: {bubblewrap}, and {landlock}; install \
         the package bubblewrap, 0.8 or newer, for example with `apt-get install bubblewrap`"
    )]
    Neither {
        /// What is wrong with the one.
        bubblewrap: Box<Self>,
        /// What is wrong with the other.
        landlock: Box<Self>,
    },
}

/// A text that is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// There is nothing in it.
    #[error("the command is empty")]
    Empty,
    /// Nobody would read it all.
    #[error(
        "the command is too long: {bytes} bytes in {lines} lines, of at most {MAX_COMMAND_BYTES} bytes in \
         {MAX_COMMAND_LINES} lines; write what it needs into a file first"
    )]
    TooLong {
        /// Its bytes.
        bytes: usize,
        /// Its lines.
        lines: usize,
    },
    /// What is shown of it would not be what is run.
    #[error("the command holds a control character ({0:?}); only line breaks and tabs are allowed")]
    Control(char),
    /// The call has other arguments.
    #[error("give the command as a text")]
    Argument,
}

/// Runs commands, each in a sandbox of its own.
#[derive(Debug)]
pub struct Shell {
    #[cfg(target_os = "linux")]
    sandbox: sandbox::Sandbox,
    limits: CommandLimits,
}

impl Shell {
    /// Finds a sandbox and tries it in the folder `work`: bubblewrap in `search_path`, a list of folders as
    /// in `PATH`, else Landlock by `program`, which has to become a command with [`enter`] when it is called
    /// with [`CONFINED`]. What lies in the `hidden` folders is never seen by a command, `work` excepted.
    ///
    /// # Errors
    /// Why no command can be run here, in words for the user.
    #[cfg(target_os = "linux")]
    pub fn new(
        search_path: &OsStr,
        program: &Path,
        hidden: &[PathBuf],
        work: &Path,
        limits: CommandLimits,
    ) -> Result<Self, Unconfined> {
        let sandbox = sandbox::Sandbox::find(search_path, program, hidden, work, &limits)?;
        Ok(Self { sandbox, limits })
    }

    /// There is none on this system.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn new(_: &OsStr, _: &Path, _: &[PathBuf], _: &Path, _: CommandLimits) -> Result<Self, Unconfined> {
        Err(Unconfined::System)
    }

    /// What makes the sandboxes, for a person.
    #[cfg(target_os = "linux")]
    pub fn sandbox(&self) -> String {
        self.sandbox.to_string()
    }

    /// There is none on this system.
    #[cfg(not(target_os = "linux"))]
    pub fn sandbox(&self) -> String {
        String::new()
    }

    /// The tool, as the model may call it.
    pub fn spec() -> ToolSpec {
        ToolSpec {
            name: SHELL.into(),
            description: "Runs a shell command on a machine without network and without the user's files. \
                          Files that it writes stay for the next command."
                .into(),
            keywords: ["command", "bash", "terminal"].map(String::from).into(),
            parameters: json!({
                "type": "object",
                "properties": { "command": { "type": "string", "description": "The command line" } },
                "required": ["command"],
                "additionalProperties": false,
            }),
            wants: Vec::new(),
            described: None,
        }
    }

    /// The command of a call, when it can be run.
    ///
    /// # Errors
    /// Why it cannot, in words that the model can read.
    pub fn command(arguments: &Value) -> Result<&str, BadCommand> {
        let command = arguments.get("command").and_then(Value::as_str).ok_or(BadCommand::Argument)?;
        if command.trim().is_empty() {
            return Err(BadCommand::Empty);
        }
        let (bytes, lines) = (command.len(), command.lines().count());
        if bytes > MAX_COMMAND_BYTES || lines > MAX_COMMAND_LINES {
            return Err(BadCommand::TooLong { bytes, lines });
        }
        let odd = command.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
        odd.map_or(Ok(command), |odd| Err(BadCommand::Control(odd)))
    }

    /// What a call would do, for the user who is asked whether it may: the whole command.
    pub fn preview(&self, arguments: &Value) -> String {
        let command = match Self::command(arguments) {
            Ok(command) => command,
            Err(error) => return format!("it would fail: {error}"),
        };
        let lines = command.split('\n').zip(std::iter::once("$ ").chain(std::iter::repeat("> ")));
        let shown: String = lines.map(|(line, prompt)| format!("{prompt}{line}\n")).collect();
        let seconds = self.limits.timeout.as_secs();
        format!("{shown}\nIt has no network, sees none of your files, and ends after {seconds} seconds.")
    }

    /// Runs the command of a call in the folder `work`, which it may change, and waits for its end: at
    /// most [`CommandLimits::timeout`], and about a hundredth of a second once `cancel` is set. Nothing
    /// that it started runs on. Gives the exit status and the output.
    ///
    /// # Errors
    /// `Tool` for a command that is not run or ends with another exit status than 0; `Limit` when it was
    /// stopped or the sandbox could not be made.
    #[cfg(target_os = "linux")]
    pub fn run(&self, arguments: &Value, work: &Path, cancel: &CancelFlag) -> Result<String, Fault> {
        use child::End;
        let not_run = |kind, why: String| Fault::new(kind, format!("the command was not run: {why}"));
        let command =
            Self::command(arguments).map_err(|error| not_run(FaultKind::Tool, error.to_string()))?;
        let (end, output) =
            child::run(self.sandbox.command(command, work, &self.limits), &self.limits, cancel)
                .map_err(|error| not_run(FaultKind::Limit, error.to_string()))?;
        let limits = &self.limits;
        let why = match end {
            End::Exited(0) => return Ok(format!("exit status 0\n{output}")),
            End::Exited(code) => {
                let killed = if code > 128 { format!(" (signal {})", code - 128) } else { String::new() };
                let message = format!("the command ended with exit status {code}{killed}\n{output}");
                return Err(Fault::new(FaultKind::Tool, message));
            }
            End::Cancelled => return Err(Fault::new(FaultKind::Limit, "the command was cancelled")),
            End::TimedOut => format!("it ran longer than {} seconds", limits.timeout.as_secs_f32()),
            End::Memory => format!("it needed more than {} MiB of memory", limits.memory_bytes >> 20),
            End::Processes => format!("it had more than {} processes", limits.processes),
            End::Output => format!("it wrote more than {} MiB", limits.written_bytes >> 20),
        };
        let message = format!("the command was stopped: {why}; its output until then:\n{output}");
        Err(Fault::new(FaultKind::Limit, message))
    }

    /// There is none on this system.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(target_os = "linux"))]
    pub fn run(&self, _: &Value, _: &Path, _: &CancelFlag) -> Result<String, Fault> {
        Err(Fault::new(FaultKind::Limit, Unconfined::System.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

    use super::*;

    #[test]
    fn what_is_shown_is_what_is_run() {
        let command = |text: &str| Shell::command(&json!({ "command": text })).map(str::to_owned);
        assert_eq!(command("ls\n\techo é"), Ok("ls\n\techo é".into()));
        assert_eq!(command(" \n"), Err(BadCommand::Empty));
        for odd in ['\0', '\r', '\u{1b}', '\u{9b}', '\u{7f}'] {
            assert_eq!(command(&format!("echo {odd}")), Err(BadCommand::Control(odd)));
        }
        assert!(command(&"a".repeat(MAX_COMMAND_BYTES)).is_ok());
        let long = ["a".repeat(MAX_COMMAND_BYTES + 1), "\n".repeat(MAX_COMMAND_LINES) + "\na"];
        for long in long {
            assert!(matches!(command(&long), Err(BadCommand::TooLong { .. })));
        }
        for arguments in [json!({}), json!({ "command": 1 }), json!(null)] {
            assert_eq!(Shell::command(&arguments), Err(BadCommand::Argument));
        }
    }
}
