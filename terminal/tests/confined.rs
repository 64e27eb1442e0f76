//! Commands where there is no bubblewrap: kept from files by Landlock and from the network by a filter of
//! system calls, or refused.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::Home;
use lucid_kernel::abi::{Fault, FaultKind};
use lucid_kernel::port::CancelFlag;
use lucid_tools::shell::{CommandLimits, Shell, Unconfined};
use serde_json::json;

/// The user that nobody is.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Runs a test of this file as another user: who is root has no such sandbox. True when that was done.
fn ran_as_nobody(test: &str) -> bool {
    if !is_root() {
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(folder.path());
    // Where they lie, nobody may come.
    for (name, from) in
        [("test", std::env::current_exe().unwrap()), ("lucid", env!("CARGO_BIN_EXE_lucid").into())]
    {
        let to = folder.path().join(name);
        std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop)).unwrap();
    }
    let output = Command::new(folder.path().join("test"))
        .args(["--exact", test, "--nocapture"])
        .current_dir(folder.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    true
}

/// `lucid`: beside this test, where it was put there for nobody.
fn lucid() -> PathBuf {
    let beside = std::env::current_exe().unwrap().with_file_name("lucid");
    if beside.exists() { beside } else { env!("CARGO_BIN_EXE_lucid").into() }
}

/// Whether the running kernel has what is needed.
fn has_landlock() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    // Which are switched on is told there, where that is mounted.
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm");
    version >= (6, 12) && modules.map_or(true, |modules| modules.contains("landlock"))
}

fn shell(work: &Path, timeout: Duration) -> Result<Shell, Unconfined> {
    let limits = CommandLimits { timeout, ..CommandLimits::default() };
    // In no folder is there bubblewrap.
    Shell::new("/nowhere".as_ref(), &lucid(), &[], work, limits)
}

struct Rig {
    shell: Shell,
    work: tempfile::TempDir,
}

impl Rig {
    /// None where the kernel cannot do it; that it is refused there is seen to here.
    fn new(timeout: Duration) -> Option<Self> {
        let work = tempfile::tempdir().unwrap();
        match shell(work.path(), timeout) {
            Ok(shell) => Some(Self { shell, work }),
            Err(error) => {
                assert!(!has_landlock(), "{error}");
                assert!(error.to_string().contains("Landlock does not work here"), "{error}");
                None
            }
        }
    }

    fn try_run(&self, command: &str) -> Result<String, Fault> {
        self.shell.run(&json!({ "command": command }), self.work.path(), &CancelFlag::new())
    }

    fn run(&self, command: &str) -> String {
        let text = self.try_run(command).unwrap_or_else(|fault| panic!("{command}: {fault}"));
        text.strip_prefix("exit status 0\n").unwrap().to_owned()
    }

    #[track_caller]
    fn fails(&self, command: &str, why: &str) {
        let fault = self.try_run(&format!("exec 2>&1; {command}")).expect_err(command);
        assert!(fault.kind == FaultKind::Tool && fault.message.contains(why), "{command}: {fault}");
    }
}

/// A process that is ended with the test.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_command_is_kept_from_files_and_the_network() {
    if ran_as_nobody("a_command_is_kept_from_files_and_the_network") {
        return;
    }
    let Some(rig) = Rig::new(Duration::from_secs(20)) else { return };
    assert_eq!(rig.shell.sandbox(), "Landlock");
    assert_eq!(rig.run("echo one; echo two >&2; echo kept > file; cat file"), "one\ntwo\nkept\n");
    assert_eq!(rig.run("mkdir -p a/b && mv file a/b && rm -r a && ls -A"), "(no output)");
    assert_eq!(
        rig.run("cat; python3 -c 'print(6 * 7)' > /dev/null; pwd").trim(),
        rig.work.path().to_str().unwrap()
    );
    rig.fails("echo so; exit 3", "exit status 3\nso\n");

    // Files that everybody could read and change.
    let home = tempfile::tempdir().unwrap();
    let all =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    all(home.path(), 0o777);
    let secret = home.path().join("secret");
    std::fs::write(&secret, "hunter2\n").unwrap();
    all(&secret, 0o666);
    let (home, secret) = (home.path().display(), secret.display());
    for command in [
        format!("cat {secret}"),
        format!("ls {home}"),
        format!("echo x > {secret}"),
        format!("echo x >> {secret}"),
        format!("truncate -s 0 {secret}"),
        format!("touch {home}/new"),
        format!("rm {secret}"),
        format!("mv {secret} ."),
        format!("ln {secret} link"),
        format!("ln -s {secret} link; cat link"),
        format!("cd {home}; cat secret"),
        "ls /".into(),
        "ls /home".into(),
        "cat /etc/hostname".into(),
        "cat /proc/self/environ".into(),
        "cat /proc/1/cmdline".into(),
        "touch /tmp/lucid-test".into(),
        "touch /dev/shm/lucid-test".into(),
        "touch /usr/lucid-test".into(),
    ] {
        assert!(rig.try_run(&command).is_err(), "{command}");
    }
    assert_eq!(std::fs::read_to_string(secret.to_string()).unwrap(), "hunter2\n");
    // Landlock does not know of these.
    for change in ["chmod 600", "chown 65534", "touch -d 2001-01-01", "setfattr -n user.a -v b"] {
        assert!(rig.try_run(&format!("{change} {secret}")).is_err(), "{change}");
    }
    let before = std::fs::metadata(secret.to_string()).unwrap();
    assert!(before.mode() & 0o777 == 0o666 && before.modified().unwrap().elapsed().unwrap().as_secs() < 60);
    for call in
        ["chmod(p, 0o600)", "utime(p, (1, 1))", "setxattr(p, 'user.a', b'b')", "chown(p, 65534, 65534)"]
    {
        rig.fails(&format!("python3 -c \"import os; p = '{secret}'; os.{call}\""), "PermissionError");
    }

    let names = rig.run("env | cut -d= -f1 | sort | xargs");
    assert_eq!(names, "HOME LANG NO_COLOR PATH PWD SHELL SHLVL TERM _\n");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    rig.fails(&format!("echo > /dev/tcp/127.0.0.1/{port}"), "Operation not permitted");
    let path = rig.work.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
        rig.fails(&format!("python3 -c 'import socket; socket.socket(socket.{family})'"), "PermissionError");
    }

    // Another process of the same user.
    let victim = Victim(Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap());
    let pid = victim.0.id();
    rig.fails(&format!("kill {pid}"), "ermitted");
    rig.fails(&format!("prlimit --pid {pid} --cpu=1"), "ermitted");
    rig.fails(&format!("renice 19 {pid}"), "ermitted");
    for out in ["setsid --wait true", "unshare --user true", "chmod 700 .", "kill -9 1"] {
        assert!(rig.try_run(out).is_err(), "{out}");
    }
}

#[test]
fn a_command_is_ended_with_all_that_it_started() {
    if ran_as_nobody("a_command_is_ended_with_all_that_it_started") {
        return;
    }
    let Some(rig) = Rig::new(Duration::from_secs(2)) else { return };
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mark = format!("{}{:09}", 2_000_000 + since.as_secs() % 1_000_000, since.subsec_nanos());
    let running = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| String::from_utf8_lossy(line).contains(&mark)).count()
    };
    let gone = || {
        let until = Instant::now() + Duration::from_secs(5);
        while running() > 0 {
            assert!(Instant::now() < until, "{} processes run on", running());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let leave = format!(
        "sleep {mark} & (setsid sleep {mark} || sleep {mark} &) 2> a; (trap '' TERM HUP; sleep {mark} &)"
    );
    assert_eq!(rig.run(&format!("{leave}; echo done")), "done\n");
    gone();
    let fault = rig.try_run(&format!("{leave}; set -m; sleep {mark} & wait; sleep {mark}")).unwrap_err();
    assert!(fault.kind == FaultKind::Limit && fault.message.contains("ran longer than 2 seconds"), "{fault}");
    gone();
}

#[test]
fn who_is_root_has_no_such_sandbox() {
    if !is_root() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let error = shell(work.path(), Duration::from_secs(20)).unwrap_err().to_string();
    for word in ["`bwrap` is in no folder of PATH", "administrator", "apt-get install bubblewrap"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn the_doctor_says_whether_commands_can_be_run() {
    let home = Home::new();
    let finding = |path: Option<&str>| {
        let mut command = home.command(&["doctor", "--json"]);
        path.map(|path| command.env("PATH", path));
        let findings: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        findings.as_array().unwrap().iter().find(|finding| finding["what"] == "shell").cloned()
    };
    assert_eq!(finding(None), None, "it is off");
    std::fs::create_dir_all(home.home("config")).unwrap();
    std::fs::write(home.home("config/settings.toml"), "[tools]\nshell = true\n").unwrap();
    let good = finding(None).unwrap();
    assert!(good["ok"] == true && good["found"].as_str().unwrap().contains("bwrap"), "{good}");
    let without = finding(Some("/nowhere")).unwrap();
    if is_root() || !has_landlock() {
        assert_eq!(without["ok"], false);
        assert!(without["found"].as_str().unwrap().contains("install the package bubblewrap"), "{without}");
    } else {
        assert!(without["found"].as_str().unwrap().contains("Landlock"), "{without}");
    }
    // The folder of a session that is over is gone.
    assert_eq!(std::fs::read_dir(home.home("cache/shell")).unwrap().count(), 0);
}
