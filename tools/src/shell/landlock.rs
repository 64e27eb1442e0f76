//! The sandbox of a command where bubblewrap cannot be had: Landlock keeps it from the user's files, and a
//! filter of system calls from the network and from what Landlock does not know of.
//!
//! A process can only shut itself off, and stays so in all that it becomes. So the program starts itself
//! once more, as [`ARGUMENT`] says, and that second one becomes the command ([`enter`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Signal, set_parent_process_death_signal, setpriority_process};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::system::{self, NICE, covered, seen};
use super::{CommandLimits, Unconfined};

/// The program's own command that becomes a command in the sandbox.
pub const ARGUMENT: &str = "confined";
/// What is needed of Landlock: from this on it also keeps signals within the sandbox. Linux 6.12.
const NEEDED: ABI = ABI::V6;
/// Devices that a command may read, and those that it may write.
const DEVICES: [&str; 4] = ["/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
const NULL: &str = "/dev/null";

/// Why this process did not become a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotEntered {
    /// In words for a person.
    pub reason: String,
}

/// Makes sandboxes.
#[derive(Debug)]
pub(super) struct Sandbox {
    program: PathBuf,
}

impl Sandbox {
    /// With the program that is to become the command.
    ///
    /// # Errors
    /// When a hidden folder lies among what is seen of the system: Landlock takes nothing back.
    pub(super) fn find(program: &Path, hidden: &[PathBuf]) -> Result<Self, Unconfined> {
        match covered(hidden, &seen())?.into_iter().next() {
            Some(folder) => Err(Unconfined::Entangled { folder }),
            None => Ok(Self { program: program.to_path_buf() }),
        }
    }

    /// The sandbox with a command in it, to be started.
    pub(super) fn command(&self, text: &str, work: &Path, limits: &CommandLimits) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(system::environment(work)).current_dir(work);
        command.arg(ARGUMENT).arg(work).arg("--");
        // The system counts all of the user's processes, so that their number is watched alone. What is
        // left of a command when the program is killed does not compute for ever.
        command.args(system::limited(text, limits, None, Some(limits.timeout.as_secs().max(1)), &[]));
        command
    }
}

/// Shuts this process off from the user's files, but for the folder `work`, and from the network; then it
/// becomes `command`. Comes back only when that fails, with the reason.
pub fn enter(work: &Path, command: &[OsString]) -> NotEntered {
    let failed = |reason| NotEntered { reason };
    let Some((program, arguments)) = command.split_first() else { return failed("no command".into()) };
    if let Err(reason) = shut_off(work) {
        return failed(reason);
    }
    failed(Command::new(program).args(arguments).exec().to_string())
}

fn shut_off(work: &Path) -> Result<(), String> {
    // Who may do what the system's administrator may has ways around.
    let status = std::fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let rights =
        status.lines().filter_map(|line| line.strip_prefix("CapPrm:").or(line.strip_prefix("CapEff:")));
    if rights.map(str::trim).any(|rights| rights.chars().any(|digit| digit != '0')) {
        return Err("it does not hold for who has the rights of the system's administrator".into());
    }
    setpriority_process(None, NICE).map_err(|error| error.to_string())?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| error.to_string())?;
    keep_from_files(work).map_err(|error| error.to_string())?;
    let filter = filter().map_err(|error| error.to_string())?;
    seccompiler::apply_filter(&filter).map_err(|error| error.to_string())
}

fn keep_from_files(work: &Path) -> Result<(), landlock::RulesetError> {
    let all = AccessFs::from_all(NEEDED);
    let made = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let read = AccessFs::from_read(NEEDED);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(NEEDED))?
        .scope(Scope::from_all(NEEDED))?
        .create()?
        .add_rules(path_beneath_rules(seen(), read))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::ReadFile))?
        .add_rules(path_beneath_rules([NULL], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules([work], all & !made))?
        .restrict_self()?;
    // What is required and not there is an error before.
    debug_assert_eq!(status.ruleset, RulesetStatus::FullyEnforced);
    Ok(())
}

/// What a command does not do, of what Landlock does not keep it from.
const DENIED: &[i64] = &[
    // The network; sockets in the file system lead to other programs of the user.
    libc::SYS_socket,
    libc::SYS_io_uring_setup,
    // To leave the group of processes that is ended with it.
    libc::SYS_setsid,
    libc::SYS_setpgid,
    // To change files by their names alone.
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    // To hear what happens to files.
    libc::SYS_inotify_add_watch,
    libc::SYS_fanotify_mark,
    // To reach the user's other processes: their memory, what they share, how they run.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_process_madvise,
    // The user's keys.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // To get another view of the system, or deep into it.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
];

/// The same under names that only older processors' systems have.
#[cfg(target_arch = "x86_64")]
const DENIED_OLD: &[i64] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_OLD: &[i64] = &[];

/// System calls that came later than all that programs need, and that will come: `fchmodat2` and
/// `setxattrat` are among them.
const LATER: std::ops::Range<i64> = 450..600;
/// The other way to number them, which processors of this kind have, and the range of its own numbers.
#[cfg(target_arch = "x86_64")]
const X32: Option<(i64, std::ops::Range<i64>)> = Some((0x4000_0000, 512..548));
#[cfg(not(target_arch = "x86_64"))]
const X32: Option<(i64, std::ops::Range<i64>)> = None;

fn filter() -> Result<BpfProgram, seccompiler::BackendError> {
    let unless_zero = |argument: u8, length: SeccompCmpArgLen| {
        let is_set = SeccompCondition::new(argument, length, SeccompCmpOp::Ne, 0)?;
        Ok::<_, seccompiler::BackendError>(vec![SeccompRule::new(vec![is_set])?])
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    rules.extend(DENIED.iter().chain(DENIED_OLD).copied().chain(LATER).map(|call| (call, Vec::new())));
    // Of an open file the times may be set, of one by its name not; limits only its own.
    rules.insert(libc::SYS_utimensat, unless_zero(1, SeccompCmpArgLen::Qword)?);
    rules.insert(libc::SYS_prlimit64, unless_zero(0, SeccompCmpArgLen::Dword)?);
    if let Some((bit, own)) = X32 {
        let others: Vec<i64> = rules.keys().copied().chain(own).map(|call| call | bit).collect();
        rules.extend(others.into_iter().map(|call| (call, Vec::new())));
    }
    let not_permitted = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Allow, not_permitted, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

    use super::*;

    #[test]
    fn the_filter_is_one_that_the_system_takes() {
        assert!((100..4_096).contains(&filter().unwrap().len()));
    }

    #[test]
    fn a_folder_among_the_programs_cannot_be_hidden() {
        let program = std::env::current_exe().unwrap();
        let folder = PathBuf::from("/usr/bin").canonicalize().unwrap();
        let hidden = [folder.clone()];
        assert_eq!(Sandbox::find(&program, &hidden).unwrap_err(), Unconfined::Entangled { folder });
    }
}
