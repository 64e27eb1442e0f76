//! One command: started, watched, and ended with all that it started.

use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lucid_kernel::port::CancelFlag;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};

use super::CommandLimits;
use super::members::{members, system_threads};
use super::output::Output;

/// How often it is asked whether the command has ended.
const TICK: Duration = Duration::from_millis(10);
/// Its processes are counted each time so many ticks have passed, and when the whole system has many more
/// than before: that reads all of `/proc`.
const TICKS_PER_COUNT: u32 = 10;
/// How long a sandbox may take until its own end is that of all in it.
const SET_UP: Duration = Duration::from_secs(1);
/// How long its last words may take to arrive once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much is read of its output at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this exit status; killed by a signal, with that one's number and 128.
    Exited(i32),
    /// It was stopped: its time was over.
    TimedOut,
    /// It was stopped: the user wants it.
    Cancelled,
    /// It was stopped: too much memory.
    Memory,
    /// It was stopped: too many processes.
    Processes,
    /// It was stopped: too much output.
    Output,
}

/// Runs a command to its end, with no input.
///
/// # Errors
/// When it cannot be started.
pub(super) fn run(
    mut command: Command,
    limits: &CommandLimits,
    cancel: &CancelFlag,
) -> std::io::Result<(End, Output)> {
    let (mut reader, writer) = std::io::pipe()?;
    let output = Arc::new(Mutex::new(Output::of(limits.output_bytes)));
    let (kept, (ended, is_read)) = (Arc::clone(&output), channel());
    std::thread::Builder::new().name("command-output".into()).spawn(move || {
        let mut bytes = vec![0; READ_BYTES];
        loop {
            match reader.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => kept.lock().unwrap_or_else(PoisonError::into_inner).add(&bytes[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // Nobody waits any longer for what came too late.
        let _ = ended.send(());
    })?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    // A Ctrl-C in the terminal is for the user's program, which ends the command itself.
    command.process_group(0);
    let mut child = command.spawn()?;
    // This holds the writing end of the pipe.
    drop(command);
    let started = Instant::now();
    let end = watch(&child, limits, cancel, &output);
    // Of many processes, no list is made: there would only be more of them.
    let is_crowd = matches!(end, Ok(Some(End::Processes)));
    kill(&mut child, !is_crowd && started.elapsed() < SET_UP);
    let status = child.wait();
    let _ = is_read.recv_timeout(LAST_WORDS);
    let output = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    let end = match end? {
        Some(end) => end,
        None => {
            let status = status?;
            End::Exited(status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1))
        }
    };
    Ok((end, output))
}

/// Waits until the command ends, without letting its process id go: none. Else why it is to be stopped.
fn watch(
    child: &Child,
    limits: &CommandLimits,
    cancel: &CancelFlag,
    output: &Mutex<Output>,
) -> std::io::Result<Option<End>> {
    let (until, mut tick) = (Instant::now() + limits.timeout, 0_u32);
    let crowd = system_threads().saturating_add(limits.processes);
    let page_bytes = rustix::param::page_size() as u64;
    loop {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(Pid::from_child(child)), look)?.is_some() {
            return Ok(None);
        }
        if cancel.is_cancelled() {
            return Ok(Some(End::Cancelled));
        }
        if Instant::now() >= until {
            return Ok(Some(End::TimedOut));
        }
        if output.lock().unwrap_or_else(PoisonError::into_inner).written > limits.written_bytes {
            return Ok(Some(End::Output));
        }
        tick = tick.wrapping_add(1);
        if tick.is_multiple_of(TICKS_PER_COUNT) || system_threads() > crowd {
            let members = members(child.id());
            if members.iter().map(|member| member.threads).sum::<usize>() > limits.processes {
                return Ok(Some(End::Processes));
            }
            let pages: u64 = members.iter().map(|member| member.pages).sum();
            if pages.saturating_mul(page_bytes) > limits.memory_bytes {
                return Ok(Some(End::Memory));
            }
        }
        std::thread::sleep(TICK);
    }
}

/// Ends the sandbox with all that runs in it.
fn kill(child: &mut Child, is_new: bool) {
    // A namespace of process ids ends with its first process, and that with the sandbox, but for a moment
    // at its beginning: then each process is told. Elsewhere all are in one group.
    let members = if is_new { members(child.id()) } else { Vec::new() };
    // What has ended meanwhile needs no killing.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.kill();
    for member in members {
        let pid = i32::try_from(member.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| member.pid != child.id()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
