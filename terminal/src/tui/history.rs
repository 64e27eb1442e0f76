//! The inputs of before: walked through with Up and Down, kept in a file.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// How many inputs are kept, in memory and in the file after a trim.
pub const MAX_ENTRIES: usize = 1_000;
/// The most of the file that is read; older inputs beyond it are forgotten.
pub const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// A longer input stays in memory only.
pub const MAX_ENTRY_BYTES: usize = 64 * 1024;

/// Inputs, the oldest first, and where one is among them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    entries: VecDeque<String>,
    /// The entry that is shown; none while the line is the user's own.
    at: Option<usize>,
    /// The line as it was before Up was pressed.
    draft: String,
}

impl History {
    /// A history of these inputs, the oldest first.
    pub fn new(entries: impl IntoIterator<Item = String>) -> Self {
        let mut history = Self::default();
        entries.into_iter().for_each(|entry| history.push(entry));
        history
    }

    /// The inputs, the oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.entries.iter().map(String::as_str)
    }

    /// The line that waits behind the shown entry; empty when there is none.
    #[cfg(test)]
    pub fn draft(&self) -> &str {
        &self.draft
    }

    /// Adds an input, unless it repeats the last one.
    pub fn push(&mut self, entry: String) {
        if entry.trim().is_empty() || self.entries.back() == Some(&entry) {
            return;
        }
        self.entries.push_back(entry);
        if self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
            self.at = self.at.map(|at| at.saturating_sub(1));
        }
    }

    /// Ends the walk and hands out the draft that was left, so that it is not lost.
    pub fn leave(&mut self) -> String {
        self.at = None;
        std::mem::take(&mut self.draft)
    }

    /// The entry before; `line` is what the line holds now. None when there is none.
    pub fn older(&mut self, line: &str) -> Option<String> {
        let at = match self.at {
            Some(at) => at.checked_sub(1)?,
            None => self.entries.len().checked_sub(1)?,
        };
        self.keep(line);
        // Keeping an edited line may have dropped the oldest entry.
        self.at = Some(at.min(self.entries.len() - 1));
        self.shown()
    }

    /// The entry after; behind the last one comes the draft.
    pub fn newer(&mut self, line: &str) -> Option<String> {
        let at = self.at? + 1;
        let was_last = at >= self.entries.len();
        self.keep(line);
        if was_last {
            return Some(self.leave());
        }
        self.at = Some(at.min(self.entries.len() - 1));
        self.shown()
    }

    fn shown(&self) -> Option<String> {
        self.at.and_then(|at| self.entries.get(at)).cloned()
    }

    /// Keeps the line that is about to be replaced: as the draft, or, when it is an entry
    /// that was edited, as a new entry.
    fn keep(&mut self, line: &str) {
        match self.at {
            None => line.clone_into(&mut self.draft),
            Some(at) if self.entries.get(at).is_none_or(|entry| entry != line) => self.push(line.to_owned()),
            Some(_) => {}
        }
    }
}

/// The file that outlives the session: one input a line, `\` and line ends escaped.
#[derive(Debug, Clone)]
pub struct HistoryFile {
    path: PathBuf,
}

impl HistoryFile {
    /// The file at this path; it need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Reads the inputs, the oldest first; a file that has grown past twice the limit is trimmed.
    ///
    /// # Errors
    /// When the file is there and cannot be read. A trim that fails is left for next time.
    pub fn load(&self) -> io::Result<Vec<String>> {
        let text = match tail(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let kept = &lines[lines.len().saturating_sub(MAX_ENTRIES)..];
        if lines.len() > 2 * MAX_ENTRIES {
            let _ = self.rewrite(kept);
        }
        Ok(kept.iter().map(|line| unescape(line)).collect())
    }

    /// Appends one input.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&self, entry: &str) -> io::Result<()> {
        if entry.len() > MAX_ENTRY_BYTES {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // One write, so that two sessions do not mix their lines.
        private(OpenOptions::new().append(true).create(true))
            .open(&self.path)?
            .write_all((escape(entry) + "\n").as_bytes())
    }

    fn rewrite(&self, lines: &[&str]) -> io::Result<()> {
        let fresh = self.path.with_extension(format!("{}.new", std::process::id()));
        let mut file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(&fresh)?;
        file.write_all((lines.join("\n") + "\n").as_bytes())?;
        fs::rename(fresh, &self.path)
    }
}

/// What people ask is nobody else's business.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// The last [`MAX_FILE_BYTES`] of a file, from a line's start on.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let skip = file.metadata()?.len().saturating_sub(MAX_FILE_BYTES);
    io::Seek::seek(&mut file, io::SeekFrom::Start(skip))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if skip == 0 {
        text
    } else {
        text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned())
    })
}

fn escape(entry: &str) -> String {
    entry.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}
