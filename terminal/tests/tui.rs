//! The shell in a real terminal: `lucid` runs inside tmux, keys go in, the screen comes out.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use common::{SMALLEST, model};
use lucid_contract::alone;

/// The longest that anything here may take: loading a small model on a busy machine, mostly.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(30);

/// A terminal with a shell in it, in a fresh home and folder.
struct Tmux {
    socket: String,
    root: tempfile::TempDir,
}

impl Tmux {
    fn new(name: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let work = root.path().join("work");
        std::fs::create_dir(&work).unwrap();
        std::fs::write(work.join("port.md"), "# Port\n\nThe server listens on port 7411.\n").unwrap();
        let tmux = Self { socket: format!("lucid-{name}-{}", std::process::id()), root };
        let shell = "env PS1='$ ' LC_ALL=C.UTF-8 sh";
        tmux.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "s", "-x", "90", "-y", "24", shell]);
        tmux.line(&format!("cd {}; stty -a > ../before", work.display()));
        tmux
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn try_tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket]).args(arguments).env_remove("TMUX");
        command.output().expect("this test drives the shell through tmux: apt-get install tmux")
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.try_tmux(arguments);
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "s", key]);
    }

    fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "s", "-l", text]);
    }

    fn line(&self, text: &str) {
        self.text(text);
        self.key("Enter");
    }

    /// Starts lucid; its process id goes to a file, its exit code is written behind it.
    fn lucid(&self, arguments: &str) {
        let home = self.path("home");
        let lucid = env!("CARGO_BIN_EXE_lucid");
        self.line(&format!(
            "clear; sh -c 'echo $$ > ../pid; LUCID_HOME={} NO_COLOR=1 exec {lucid} {arguments}'; echo code=$?; stty -a > ../after",
            home.display()
        ));
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "s"])
    }

    /// Waits until the screen is as wanted, and gives it back.
    fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_at_most(PATIENCE, what, wanted)
    }

    fn wait_at_most(&self, limit: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(began.elapsed() < limit, "waited {limit:?} for {what}; the screen is\n{screen}");
            thread::sleep(POLL);
        }
    }

    fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Waits for the end of lucid and checks that the terminal is as it was before.
    fn wait_for_end(&self, code: u8) {
        self.wait_for(&format!("code={code}\n"));
        self.wait("stty", |_| self.path("after").exists());
        self.line("echo settled");
        self.wait_for("\nsettled");
        let read = |name| std::fs::read_to_string(self.path(name)).unwrap();
        assert_eq!(read("before"), read("after"), "the terminal's modes");
        let flags = self.tmux(&[
            "display-message",
            "-p",
            "-t",
            "s",
            "#{alternate_on} #{mouse_any_flag} #{cursor_flag}",
        ]);
        assert_eq!(flags.trim(), "0 0 1", "alternate screen, mouse, cursor");
        std::fs::remove_file(self.path("after")).unwrap();
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.try_tmux(&["kill-server"]);
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_told_and_nothing_typed_is_lost() {
    let _alone = alone();
    let tmux = Tmux::new("no-model");
    tmux.lucid("--model missing.gguf");
    tmux.wait_for("y / n");
    tmux.key("n");
    tmux.text("what I ty");
    tmux.wait_for("stopped");
    tmux.text("ped");
    let screen = tmux.wait_for("> what I typed");
    assert!(screen.contains("error:") && screen.contains("missing.gguf"), "{screen}");
    tmux.key("Enter");
    tmux.wait_for("> what I typed");
    tmux.key("C-c");
    tmux.wait("an empty line", |screen| !screen.contains("> what I typed"));
    tmux.key("C-d");
    tmux.wait_for_end(3);
    // The offer was declined: it is not made again.
    tmux.lucid("--model missing.gguf");
    let screen = tmux.wait_for("stopped");
    assert!(!screen.contains("y / n"), "{screen}");
    tmux.line("/quit");
    tmux.wait_for_end(3);
}

#[test]
fn a_session_with_a_real_model() {
    let _alone = alone();
    let tmux = Tmux::new("session");
    tmux.lucid(&format!("--model {} --no-tools", model(SMALLEST)));
    // Typed before the model is there: it waits, then it goes.
    tmux.wait_for("y / n");
    tmux.key("y");
    tmux.line("Say hello.");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    let screen = tmux.screen();
    assert!(screen.contains("> Say hello."), "{screen}");
    tmux.line("/mounts");
    tmux.wait_for("/work: 1 file");
    tmux.line("/mem");
    let screen = tmux.wait_for("memory: ");
    assert!(screen.contains("boot") && screen.contains("turn"), "{screen}");
    tmux.key("Escape");
    tmux.wait("the overlay gone", |screen| !screen.contains("memory: "));
    // Cancelled while it thinks or writes: the screen is free at once.
    tmux.line("Tell a very long story about the sea.");
    tmux.wait_for("thinking ");
    tmux.key("Escape");
    tmux.wait_at_most(Duration::from_secs(2), "the cancel", |screen| {
        screen.contains("cancelled") && !screen.contains("thinking ")
    });
    for (width, height) in [("40", "10"), ("20", "5"), ("2", "1"), ("90", "24")] {
        tmux.tmux(&["resize-window", "-t", "s", "-x", width, "-y", height]);
        thread::sleep(Duration::from_millis(150));
    }
    tmux.wait("the end of the turn", |screen| screen.contains("ready · "));
    tmux.key("Up");
    tmux.wait_for("> Tell a very long story about the sea.");
    tmux.key("C-c");
    tmux.key("C-d");
    tmux.wait_for_end(0);
}

#[test]
fn plugins_that_come_change_and_go_are_taken_at_once() {
    let _alone = alone();
    let tmux = Tmux::new("plugins");
    tmux.lucid(&format!("--model {}", model(SMALLEST)));
    tmux.wait_for("y / n");
    tmux.key("n");
    tmux.wait_for("ready · ");
    let plugin = |arguments: &[&str]| {
        let mut lucid = Command::new(env!("CARGO_BIN_EXE_lucid"));
        lucid.arg("plugin").args(arguments).env("LUCID_HOME", tmux.path("home"));
        let output = lucid.current_dir(tmux.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let component = |function: &str| {
        let text = format!(
            r#"(component
                (core module $m (func (export "f") (result i32) (i32.const 7)))
                (core instance $i (instantiate $m))
                (func (export "{function}") (result u32) (canon lift (core func $i "f"))))"#
        );
        std::fs::write(tmux.path("seven.wasm"), wat::parse_str(text).unwrap()).unwrap();
    };
    component("seven");
    plugin(&["install", "seven.wasm"]);
    tmux.wait_for("seven was installed: seven");
    component("of-nine");
    plugin(&["install", "seven.wasm"]);
    tmux.wait_for("seven was updated: seven_of_nine");
    plugin(&["rm", "seven"]);
    tmux.wait_for("seven was removed");
    // It answers as before.
    tmux.line("Say hello.");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    tmux.key("C-d");
    tmux.wait_for_end(0);
}

#[test]
fn a_signal_gives_the_terminal_back_and_keeps_the_line() {
    let _alone = alone();
    let tmux = Tmux::new("signal");
    tmux.lucid("--model missing.gguf");
    tmux.wait_for("y / n");
    tmux.text("half a thought");
    tmux.wait_for("> half a thought");
    let pid = std::fs::read_to_string(tmux.path("pid")).unwrap();
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    tmux.wait_for_end(143);
    let history = std::fs::read_to_string(tmux.path("home/state/history")).unwrap();
    assert_eq!(history, "half a thought\n");
}

/// Whether a process is there and not only waited for.
#[cfg(target_os = "linux")]
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_vanishes_ends_it() {
    let tmux = Tmux::new("vanish");
    tmux.lucid("--model missing.gguf");
    tmux.wait_for("y / n");
    tmux.text("half a thought");
    tmux.wait_for("> half a thought");
    let pid = std::fs::read_to_string(tmux.path("pid")).unwrap();
    assert!(runs(&pid));
    tmux.tmux(&["kill-server"]);
    let began = Instant::now();
    while runs(&pid) {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on without a terminal");
        thread::sleep(POLL);
    }
    let history = std::fs::read_to_string(tmux.path("home/state/history")).unwrap();
    assert_eq!(history, "half a thought\n");
}
