//! The core memory: what is to be known in every turn of every process, in a plain file that
//! the user may edit. A line is a fact; lines that begin with `#` are the user's own notes.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;
/// So many facts are taken from it.
const FACTS_MAX: usize = 256;

/// The facts that are kept.
#[derive(Debug, Clone)]
pub struct CoreMemory {
    path: PathBuf,
}

impl CoreMemory {
    /// Those in this file, which need not be there.
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where they are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All facts, in the order of the file.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or is far too large.
    pub fn facts(&self) -> io::Result<Vec<String>> {
        Ok(self.read()?.lines().filter_map(fact_of).take(FACTS_MAX).map(str::to_owned).collect())
    }

    /// Adds a fact at the end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, fact: &str) -> io::Result<()> {
        let before = self.read()?;
        let end = if before.is_empty() || before.ends_with('\n') { "" } else { "\n" };
        self.write(&format!("{before}{end}- {}\n", one_line(fact)))
    }

    /// Takes a fact out, all other lines stay as they are. False when it is not there.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn remove(&self, fact: &str) -> io::Result<bool> {
        let before = self.read()?;
        let fact = one_line(fact);
        let mut lines: Vec<&str> = before.split_inclusive('\n').collect();
        let Some(at) = lines.iter().position(|line| fact_of(line) == Some(fact.as_str())) else {
            return Ok(false);
        };
        lines.remove(at);
        self.write(&lines.concat())?;
        Ok(true)
    }

    fn read(&self) -> io::Result<String> {
        match fs::metadata(&self.path) {
            Ok(file) if file.len() > BYTES_MAX => {
                let reason = format!("it has {} bytes, at most {BYTES_MAX} are read", file.len());
                Err(io::Error::new(ErrorKind::FileTooLarge, reason))
            }
            Ok(_) => fs::read_to_string(&self.path),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file as a whole, so that a killed program loses nothing of it.
    fn write(&self, text: &str) -> io::Result<()> {
        crate::home::write(&self.path, text.as_bytes())
    }
}

/// The fact that a line holds, if it does.
fn fact_of(line: &str) -> Option<&str> {
    let line = line.trim();
    let fact = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).unwrap_or(line).trim();
    (!fact.is_empty() && !line.starts_with('#')).then_some(fact)
}

fn one_line(fact: &str) -> String {
    fact.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_lines_and_what_is_no_fact_stays() {
        let folder = tempfile::tempdir().unwrap();
        let memory = CoreMemory::new(folder.path().join("deep/memory.md"));
        assert_eq!(memory.facts().unwrap(), Vec::<String>::new());
        memory.add("The rent is due\n on the fifth.").unwrap();
        fs::write(memory.path(), "# About me\n\n- I live in Basel.\nmy cat is Mia").unwrap();
        memory.add("The rent is due\n on the fifth.").unwrap();
        assert_eq!(
            memory.facts().unwrap(),
            ["I live in Basel.", "my cat is Mia", "The rent is due on the fifth."]
        );
        assert!(memory.remove("my cat is Mia").unwrap());
        assert!(!memory.remove("my cat is Mia").unwrap());
        assert_eq!(
            fs::read_to_string(memory.path()).unwrap(),
            "# About me\n\n- I live in Basel.\n- The rent is due on the fifth.\n"
        );
    }
}
