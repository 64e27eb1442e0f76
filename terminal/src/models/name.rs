//! What a user may type where a model is wanted: a name of the catalogue, a path, or an id of
//! the Hugging Face hub.

use std::fmt;
use std::path::{Path, PathBuf};

use super::catalogue::{self, CATALOGUE, Entry, Role};
use super::error::StoreError;

/// The most near names that an error lists.
const MAX_NEAR: usize = 3;

/// The longest name that is compared with others, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// A model that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelRef {
    /// One that Lucid knows by name.
    Catalogue(&'static Entry),
    /// A GGUF file on this machine, absolute.
    File(PathBuf),
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repo: String,
        /// The file in it; when none is named, the best GGUF file is chosen at download.
        file: Option<String>,
    },
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalogue(entry) => f.write_str(entry.name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Hub { repo, file: None } => f.write_str(repo),
            Self::Hub { repo, file: Some(file) } => write!(f, "{repo}:{file}"),
        }
    }
}

impl ModelRef {
    /// Makes sure that it is not a model that only makes vectors.
    ///
    /// # Errors
    /// [`StoreError::NoAnswers`].
    pub fn check_answers(&self) -> Result<(), StoreError> {
        match self {
            Self::Catalogue(entry) if entry.role != Role::Answers => {
                Err(StoreError::NoAnswers { name: self.to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Reads what the user typed. `store_dir` is where a bare file name is looked for when
    /// there is none of that name in the current folder.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] for a path with nothing there, [`StoreError::Unknown`] otherwise.
    pub(super) fn parse(text: &str, store_dir: &Path) -> Result<Self, StoreError> {
        let text = text.trim();
        if let Some(entry) = catalogue::entry(text) {
            return Ok(Self::Catalogue(entry));
        }
        let path = expand_home(text);
        if !text.is_empty() && path.is_file() {
            return Ok(Self::File(absolute(&path)));
        }
        let in_store = store_dir.join(text);
        if is_bare_name(text) && in_store.is_file() {
            return Ok(CATALOGUE
                .iter()
                .find(|entry| entry.file == text)
                .map_or(Self::File(absolute(&in_store)), Self::Catalogue));
        }
        if looks_like_path(text) {
            return Err(StoreError::NoFile { path: absolute(&path) });
        }
        parse_hub(text).ok_or_else(|| StoreError::Unknown { given: text.into(), near: near(text) })
    }
}

/// The names of the catalogue that are nearest to a text, the best first.
pub(super) fn near(text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    if text.is_empty() || text.len() > MAX_NAME_BYTES {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &str)> = CATALOGUE
        .iter()
        .filter_map(|entry| {
            let distance = if entry.name.contains(&text) { 0 } else { edits(&text, entry.name) };
            // A third of the letters may differ: enough for slips, too few for chance.
            (distance <= entry.name.len() / 3).then_some((distance, entry.name))
        })
        .collect();
    scored.sort_by_key(|(distance, _)| *distance);
    scored.into_iter().take(MAX_NEAR).map(|(_, name)| name.to_string()).collect()
}

/// `owner/name` or `owner/name:file.gguf`; an id that the catalogue has under a name is that entry.
fn parse_hub(text: &str) -> Option<ModelRef> {
    let (repo, file) = match text.split_once(':') {
        Some((repo, file)) => (repo, Some(file)),
        None => (text, None),
    };
    let (owner, name) = repo.split_once('/')?;
    let is_name = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let is_file = |file: &str| file.split('/').all(is_name);
    if text.len() > MAX_NAME_BYTES || !is_name(owner) || !is_name(name) || !file.is_none_or(is_file) {
        return None;
    }
    let known = CATALOGUE.iter().find(|entry| entry.hub.repo == repo && file == Some(entry.hub.file));
    Some(match known {
        Some(entry) => ModelRef::Catalogue(entry),
        None => ModelRef::Hub { repo: repo.into(), file: file.map(Into::into) },
    })
}

fn looks_like_path(text: &str) -> bool {
    let has_root = text.starts_with(['/', '.', '~', '\\']) || Path::new(text).is_absolute();
    has_root
        || (text.ends_with(".gguf") && !text.contains(':'))
        || text.matches('/').count() > 1 && !text.contains(':')
}

fn is_bare_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\\'])
}

fn expand_home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

/// The Levenshtein distance of two texts, in bytes.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let got = match ModelRef::parse(text, Path::new("/nowhere")) {
            Ok(ModelRef::Catalogue(entry)) => format!("catalogue {}", entry.name),
            Ok(ModelRef::File(path)) => format!("file {}", path.display()),
            Ok(hub @ ModelRef::Hub { .. }) => format!("hub {hub}"),
            Err(StoreError::Unknown { near, .. }) => format!("unknown {}", near.join(" ")),
            Err(StoreError::NoFile { .. }) => "no file".into(),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(got.trim(), expect, "{text:?}");
    }

    #[test]
    fn reads_names_paths_and_hub_ids() {
        check("smollm2-135m", "catalogue smollm2-135m");
        check(" Qwen2.5-Coder-1.5B ", "catalogue qwen2.5-coder-1.5b");
        check("owner/some-repo", "hub owner/some-repo");
        check("owner/repo:dir/file-q4.gguf", "hub owner/repo:dir/file-q4.gguf");
        check(
            "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF:qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            "catalogue qwen2.5-coder-0.5b",
        );
        for path in
            ["./x.gguf", "/x/y", "~/z.gguf", "a/b/c.gguf", "gone.gguf", "some/x.gguf", "a/b/c", "..", "/"]
        {
            check(path, "no file");
        }
    }

    #[test]
    fn unknown_names_come_with_near_ones() {
        check("smolm2-135m", "unknown smollm2-135m");
        check("qwen2.5-coder-2b", "unknown qwen2.5-coder-3b qwen2.5-coder-7b qwen2.5-coder-32b");
        check("mistral", "unknown mistral-7b");
        check("gpt", "unknown");
        check("", "unknown");
        check("o/../x:y", "unknown");
        check("owner/repo:../../etc/passwd", "unknown");
        check("owner/repo:", "unknown");
        check(&"x".repeat(100_000), "unknown");
    }
}
