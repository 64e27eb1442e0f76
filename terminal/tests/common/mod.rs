//! What the tests of the binary share: a home of its own, and the models that the test command
//! has fetched.
#![allow(dead_code, clippy::unwrap_used)]

#[cfg(unix)]
pub mod tmux;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// For the form of things: it is quick, and its answers are worth nothing.
pub const SMALLEST: (&str, &str) = ("smollm2-135m", lucid_contract::SMOLLM2);
/// For what answers say.
pub const SMALL: (&str, &str) = ("qwen2.5-coder-0.5b", lucid_contract::QWEN_05B);

/// The file of a model that the test command has fetched.
pub fn model((_, file): (&str, &str)) -> String {
    lucid_contract::model_path(file).display().to_string()
}

/// A fresh home, and a folder to work in. No network can be reached from it.
pub struct Home {
    root: tempfile::TempDir,
}

impl Home {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("work")).unwrap();
        Self { root }
    }

    /// A path in the folder to work in.
    pub fn work(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// A path in the home.
    pub fn home(&self, name: &str) -> PathBuf {
        self.root.path().join("home").join(name)
    }

    /// Writes a file into the folder to work in.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.work(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// `lucid` in the folder to work in.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lucid"));
        command.args(arguments).current_dir(self.work("")).stdin(Stdio::null());
        command.env("LUCID_HOME", self.home(""));
        // The discard port: nobody listens there.
        command
            .env("HF_ENDPOINT", "http://127.0.0.1:9")
            .env("PIP_NO_INDEX", "1")
            .env_remove("PIP_FIND_LINKS");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// It ended well: its output.
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// It ended well and printed one JSON value.
    pub fn json(self) -> Value {
        let text = self.good();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// It ended with this code, said why on stderr in these words, and printed no result.
    pub fn bad(self, code: i32, words: &[&str]) -> String {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:#?}");
        }
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains('\u{1b}'), "{self:#?}");
        self.stderr
    }
}
