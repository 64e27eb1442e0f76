//! A real terminal to run `lucid` in.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that anything here may take: loading a small model on a busy machine, mostly.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often the screen is looked at.
pub const POLL: Duration = Duration::from_millis(30);

/// A terminal with a shell in it, in a fresh home and folder.
pub struct Tmux {
    socket: String,
    root: tempfile::TempDir,
}

impl Tmux {
    pub fn new(name: &str) -> Self {
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

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub fn try_tmux(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command.args(["-u", "-L", &self.socket]).args(arguments).env_remove("TMUX");
        command.output().expect("this test drives the shell through tmux: apt-get install tmux")
    }

    pub fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.try_tmux(arguments);
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn key(&self, key: &str) {
        self.tmux(&["send-keys", "-t", "s", key]);
    }

    pub fn text(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "s", "-l", text]);
    }

    pub fn line(&self, text: &str) {
        self.text(text);
        self.key("Enter");
    }

    /// Starts lucid; its process id goes to a file, its exit code is written behind it.
    pub fn lucid(&self, arguments: &str) {
        let home = self.path("home");
        let lucid = env!("CARGO_BIN_EXE_lucid");
        self.line(&format!(
            "clear; sh -c 'echo $$ > ../pid; LUCID_HOME={} NO_COLOR=1 exec {lucid} {arguments}'; echo code=$?; stty -a > ../after",
            home.display()
        ));
    }

    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "s"])
    }

    /// Waits until the screen is as wanted, and gives it back.
    pub fn wait(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_at_most(PATIENCE, what, wanted)
    }

    pub fn wait_at_most(&self, limit: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> String {
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

    pub fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Waits for the end of lucid and checks that the terminal is as it was before.
    pub fn wait_for_end(&self, code: u8) {
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
