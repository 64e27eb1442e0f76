//! llama.cpp's own server, for tests of what speaks with servers.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// As in `.ci/llama-server`.
const FOLDER: &str = "llama-server-0.3.36-portable";
/// The model's name on the servers.
pub const MODEL: &str = "tested";
/// How long a server may take to load its model.
const MAX_START: Duration = Duration::from_secs(120);

/// Starts the server, prints its number, kills it as soon as nobody holds the other end of standard
/// input, and says how it ended.
const KEEPER: &str = r#"
exec 3<&0
"$@" > /dev/null < /dev/null 3<&- & server=$!
echo "$server"
{ read -r _ <&3; kill -9 "$server"; } > /dev/null 2>&1 & reader=$!
wait "$server"
echo "it ended with status $?" >&2
kill "$reader" 2> /dev/null
"#;

/// Where the server's program is. Without it the tests fail and say how to get it.
fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("LUCID_LLAMA_SERVER") {
        return path.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../target")),
        PathBuf::from,
    );
    let path = target.join(FOLDER).join("llama-server");
    assert!(path.is_file(), "{} is missing; build it with: .ci/llama-server", path.display());
    path
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running server. It is killed when this is dropped, and when the test's process ends, however
/// it ends: a shell waits for that.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub port: u16,
    shell: Child,
    pid: String,
    log: tempfile::TempPath,
}

impl Server {
    /// Starts one with a model's file and more arguments, and waits until it is ready.
    pub fn start(model: &str, port: u16, more: &[&str]) -> Self {
        let (log, log_path) = tempfile::NamedTempFile::new().unwrap().into_parts();
        let errors: File = log.try_clone().unwrap();
        let mut shell = Command::new("sh")
            .args(["-c", KEEPER])
            .arg("sh")
            .arg(program())
            .arg("--model")
            .arg(crate::model_path(model))
            .args(["--port", &port.to_string(), "--host", "127.0.0.1", "--alias", MODEL])
            // One thread: two that wait for each other are far slower where others work too.
            .args(["--jinja", "--slots", "--threads", "1", "--no-warmup"])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .unwrap();
        let mut pid = String::new();
        BufReader::new(shell.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let mut server = Self { port, shell, pid: pid.trim().to_owned(), log: log_path };
        let begun = Instant::now();
        while !server.get("/health", None).is_some_and(|answer| answer.contains("200 OK")) {
            let ended = server.shell.try_wait().unwrap().is_some();
            assert!(!ended && begun.elapsed() < MAX_START, "the server does not start: {}", server.log());
            thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What it wrote of itself.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it at once, as a crash does.
    pub fn kill(&self) {
        assert!(Command::new("kill").args(["-9", &self.pid]).status().unwrap().success());
    }

    /// The whole answer to a GET, head included.
    pub fn get(&self, path: &str, key: Option<&str>) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let key = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Whether the server works for anybody.
    pub fn is_idle(&self) -> bool {
        let slots = self.get("/slots", None).unwrap();
        assert!(slots.contains("\"is_processing\":"), "{slots}");
        !slots.contains("\"is_processing\":true")
    }

    /// Waits until nothing is under way. It asks seldom: the server looks for a connection that
    /// closed only after a second in which it gave no answer to anybody.
    pub fn becomes_idle_within(&self, time: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < time {
            thread::sleep(Duration::from_millis(1500));
            if self.is_idle() {
                return true;
            }
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
