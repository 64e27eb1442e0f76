//! Commands in a real sandbox: what they can do, what they cannot, and that nothing of them is left.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Fault, FaultKind};
use lucid_kernel::port::CancelFlag;
use lucid_tools::shell::{CommandLimits, MAX_COMMAND_BYTES, Shell};
use serde_json::json;

/// More than any command here takes, less than those that would run on.
const SOON: Duration = Duration::from_secs(60);

struct Rig {
    shell: Shell,
    work: tempfile::TempDir,
}

impl Rig {
    fn new(change: impl FnOnce(&mut CommandLimits)) -> Self {
        Self::hiding(&[], change)
    }

    fn hiding(hidden: &[PathBuf], change: impl FnOnce(&mut CommandLimits)) -> Self {
        let mut limits = CommandLimits { timeout: SOON * 2, ..CommandLimits::default() };
        change(&mut limits);
        let work = tempfile::tempdir().unwrap();
        let path = std::env::var_os("PATH").unwrap();
        let shell = Shell::new(&path, Path::new("/nowhere"), hidden, work.path(), limits)
            .expect("these tests run commands in a sandbox: apt-get install bubblewrap");
        Self { shell, work }
    }

    fn try_run(&self, command: &str) -> Result<String, Fault> {
        self.shell.run(&json!({ "command": command }), self.work.path(), &CancelFlag::new())
    }

    /// The output of a command that ends well.
    fn run(&self, command: &str) -> String {
        let text = self.try_run(command).unwrap_or_else(|fault| panic!("{command}: {fault}"));
        text.strip_prefix("exit status 0\n").unwrap().to_owned()
    }

    /// Why a command that does not end well did not.
    fn fault(&self, command: &str, kind: FaultKind) -> String {
        let fault = self.try_run(command).expect_err(command);
        assert_eq!(fault.kind, kind, "{command}: {fault}");
        fault.message
    }
}

/// A number that stands in no other command line, to find processes by.
fn mark() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}{:09}", 1_000_000 + since.as_secs() % 1_000_000, since.subsec_nanos())
}

fn running(mark: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// All processes with this number are gone, as soon as the system has cleared them away.
#[track_caller]
fn gone(mark: &str) {
    let until = Instant::now() + SOON;
    while running(mark) > 0 {
        assert!(Instant::now() < until, "processes run on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_command_gives_its_status_and_what_it_wrote() {
    let rig = Rig::new(|_| {});
    assert_eq!(rig.run("echo one; echo two >&2; echo three"), "one\ntwo\nthree\n");
    assert_eq!(rig.run("true"), "(no output)");
    assert_eq!(rig.run("printf '%s' \"$((6 * 7))\" | tr 4 5"), "52");
    assert_eq!(rig.run("cd /tmp && pwd && cd && pwd"), "/tmp\n/work\n");
    assert_eq!(rig.fault("echo so; exit 3", FaultKind::Tool), "the command ended with exit status 3\nso\n");
    let killed = rig.fault("kill -9 $$", FaultKind::Tool);
    assert_eq!(killed, "the command ended with exit status 137 (signal 9)\n(no output)");
    // Nobody types.
    assert_eq!(rig.run("cat; read line || echo end"), "end\n");
    // Files stay for the next command, and here.
    rig.run("echo kept > file");
    assert_eq!(rig.run("cat file"), "kept\n");
    assert_eq!(std::fs::read_to_string(rig.work.path().join("file")).unwrap(), "kept\n");
    assert!(rig.shell.preview(&json!({ "command": "a\nb" })).starts_with("$ a\n> b\n\nIt has no network"));
}

#[test]
fn there_is_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    TcpStream::connect(address).expect("it can be reached from outside the sandbox");
    let rig = Rig::new(|_| {});
    let connect = format!("echo > /dev/tcp/127.0.0.1/{}", address.port());
    let why = rig.fault(&format!("exec 2>&1; bash -c '{connect}'"), FaultKind::Tool);
    assert!(why.contains("Connection refused"), "{why}");
    assert_eq!(rig.run("grep -c : /proc/net/dev; grep -o lo: /proc/net/dev"), "1\nlo:\n");
    // Nor do sockets without an address in the file system lead out.
    let name = format!("lucid-test-{}", mark());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let connect = format!("import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + '{name}')");
    let why = rig.fault(&format!("python3 -c \"{connect}\""), FaultKind::Tool);
    assert!(why.contains("ConnectionRefused"), "{why}");
}

#[test]
fn nothing_of_the_user_is_seen() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("secret"), "hunter2\n").unwrap();
    let rig = Rig::hiding(&[home.path().into(), "/usr/share/doc".into()], |_| {});
    let user = std::env::home_dir().unwrap();
    for path in
        [home.path(), rig.work.path(), &user, Path::new("/root"), Path::new("/home"), Path::new("/sys")]
    {
        let why = rig.fault(&format!("ls '{}'", path.display()), FaultKind::Tool);
        assert!(why.contains("No such file"), "{why}");
    }
    let seen = rig.run("ls / | xargs");
    let known =
        ["bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr", "work"];
    assert!(seen.split_whitespace().all(|name| known.contains(&name)), "{seen}");
    assert_eq!(rig.run("ls -A /tmp /work /usr/share/doc | xargs"), "/tmp: /usr/share/doc: /work:\n");
    // Cargo sets this for the test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    for look in ["env", "cat /proc/*/environ | tr '\\0' '\\n'"] {
        let seen = rig.run(look);
        assert!(!seen.contains("CARGO_MANIFEST_DIR"), "{look}: {seen}");
    }
    let names = rig.run("env | cut -d= -f1 | sort | xargs");
    assert_eq!(names, "HOME LANG NO_COLOR PATH PWD SHELL SHLVL TERM _\n");
    // Its own processes are all that there are: the sandbox's first one and these.
    let processes: usize = rig.run("ls -d /proc/[0-9]* | wc -l").trim().parse().unwrap();
    assert!(processes <= 5, "{processes}");
}

#[test]
fn nothing_is_changed_outside_the_working_folder() {
    let rig = Rig::new(|_| {});
    for folder in ["/", "/usr", "/usr/bin", "/dev", "/etc", "/bin", "/proc"] {
        rig.fault(&format!("touch '{folder}/lucid-test'"), FaultKind::Tool);
        assert!(!Path::new(folder).join("lucid-test").exists());
    }
    rig.run("touch /tmp/a /dev/shm/a a && test ! -e /usr/lucid-test");
    // Who runs this as root could change the system's settings, were they not read-only. The value
    // written is the one that is there.
    let why =
        rig.fault("read v < /proc/sys/vm/swappiness; echo $v > /proc/sys/vm/swappiness", FaultKind::Tool);
    assert!(why.contains("Read-only") || why.contains("Permission denied"), "{why}");
    assert_eq!(rig.run("find /proc/sys -writable 2> /dev/null | wc -l"), "0\n");
    assert_eq!(
        rig.run("grep -h Cap /proc/self/status | tr -d '0\\t' | xargs"),
        "CapInh: CapPrm: CapEff: CapBnd: CapAmb:\n"
    );
    for grow in ["unshare --user true", "unshare --mount true", "mount -t tmpfs none /work", "umount /tmp"] {
        rig.fault(grow, FaultKind::Tool);
    }
    assert_eq!(rig.run("id -u"), "1000\n");
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_all_that_it_started() {
    let rig = Rig::new(|limits| limits.timeout = Duration::from_secs(2));
    let mark = mark();
    let started = Instant::now();
    let command = format!(
        "echo begun; sleep {mark} & (setsid sleep {mark} &); (trap '' TERM HUP INT; nohup sleep {mark} > a 2>&1) & \
         (setsid sh -c 'setsid sleep {mark} & setsid sleep {mark}' > /dev/null 2>&1 &); sleep {mark}"
    );
    let (why, seen) = std::thread::scope(|scope| {
        let run = scope.spawn(|| rig.fault(&command, FaultKind::Limit));
        std::thread::sleep(Duration::from_secs(1));
        let seen = running(&mark);
        (run.join().unwrap(), seen)
    });
    assert!(why.contains("ran longer than 2 seconds") && why.ends_with("begun\n"), "{why}");
    assert!(started.elapsed() < SOON && seen >= 6, "{seen} processes after a second");
    gone(&mark);
}

#[test]
fn what_is_left_in_the_background_ends_with_the_command() {
    let rig = Rig::new(|_| {});
    let (mark, started) = (mark(), Instant::now());
    assert_eq!(rig.run(&format!("sleep {mark} & (setsid sleep {mark} &); echo done")), "done\n");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    gone(&mark);
}

#[test]
fn a_command_is_cancelled_at_once_also_at_its_very_beginning() {
    let rig = Rig::new(|_| {});
    for after_ms in [0, 1, 2, 3, 5, 8, 13, 21, 34, 300] {
        let (cancel, mark) = (CancelFlag::new(), mark());
        let arguments = json!({ "command": format!("setsid sleep {mark} & sleep {mark}") });
        let fault = std::thread::scope(|scope| {
            let run = scope.spawn(|| rig.shell.run(&arguments, rig.work.path(), &cancel));
            std::thread::sleep(Duration::from_millis(after_ms));
            let cancelled = Instant::now();
            cancel.cancel();
            let fault = run.join().unwrap().unwrap_err();
            assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
            fault
        });
        assert!(fault.kind == FaultKind::Limit && fault.message.contains("cancelled"), "{fault}");
        gone(&mark);
    }
}

#[test]
fn a_flood_is_cut_and_then_stopped() {
    let rig = Rig::new(|limits| (limits.output_bytes, limits.written_bytes) = (4 << 10, 8 << 20));
    let cut = rig.run("seq 1 100000");
    assert!(cut.starts_with("1\n2\n") && cut.ends_with("\n99999\n100000\n"), "{cut}");
    assert!(cut.contains("[cut: ") && cut.len() < 5 << 10, "{} bytes", cut.len());
    let started = Instant::now();
    let why = rig.fault("yes", FaultKind::Limit);
    assert!(why.contains("it wrote more than 8 MiB") && why.len() < 5 << 10, "{} bytes", why.len());
    assert!(started.elapsed() < SOON);
    let odd = rig.run("head -c 3000 /dev/urandom; printf '\\0\\033[2J'");
    assert!(odd.len() < 16 << 10, "what is no text is still bounded");
}

#[test]
fn a_fork_bomb_is_stopped() {
    let rig = Rig::new(|limits| (limits.processes, limits.timeout) = (64, Duration::from_secs(5)));
    let (mark, started) = (mark(), Instant::now());
    // Where the user is not root, the system gives it no more processes, and its time ends it.
    let why = rig.fault(&format!("f() {{ f | f & }}; : {mark}; f; sleep {mark}"), FaultKind::Limit);
    assert!(why.contains("64 processes") || why.contains("ran longer"), "{why}");
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    gone(&mark);
}

#[test]
fn memory_and_files_are_bounded() {
    let rig = Rig::new(|limits| (limits.memory_bytes, limits.file_bytes) = (128 << 20, 1 << 20));
    // One process that grows fast meets a limit of its own before it is noticed.
    let grow = "head -c 400000000 /dev/zero | tail > /dev/null; test ${PIPESTATUS[1]} = 0";
    rig.try_run(grow).expect_err(grow);
    let fill = "x=$(head -c 50000000 /dev/zero | tr '\\0' a); sleep 60";
    let why = rig.fault(&format!("for n in 1 2 3 4; do ({fill}) & done; wait"), FaultKind::Limit);
    assert!(why.contains("more than 128 MiB"), "{why}");
    rig.fault("head -c 3000000 /dev/zero > large", FaultKind::Tool);
    assert!(std::fs::metadata(rig.work.path().join("large")).unwrap().len() <= 1 << 20);
    rig.fault("for n in 1 2 3; do head -c 700000 /dev/zero > /tmp/$n || exit 1; done", FaultKind::Tool);
}

#[test]
fn what_cannot_be_shown_whole_is_not_run() {
    let rig = Rig::new(|_| {});
    for (command, why) in [
        ("touch a\0b".to_owned(), "control character"),
        ("touch a\u{1b}[2K".to_owned(), "control character"),
        (format!("touch a; # {}", "x".repeat(MAX_COMMAND_BYTES)), "too long"),
        (format!("touch a{}", "\n".repeat(500)), "too long"),
        ("  \n ".to_owned(), "empty"),
    ] {
        let fault = rig.fault(&command, FaultKind::Tool);
        assert!(fault.contains("was not run") && fault.contains(why), "{fault}");
    }
    assert_eq!(rig.run("ls -A"), "(no output)");
    // Quotes and what looks like an option are the command's own.
    assert_eq!(rig.run("echo \"a'b\" '$HOME' \\\\ \"é\""), "a'b $HOME \\ é\n");
    assert!(rig.fault("--version", FaultKind::Tool).contains("not found"));
}
