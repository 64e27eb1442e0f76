//! Where everything of the user's lives: XDG folders, or one folder when `LUCID_HOME` is set.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use etcetera::BaseStrategy;

/// The folders of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
    cache: PathBuf,
}

impl Home {
    /// From `LUCID_HOME` when it is set, else from the XDG folders.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn find() -> Result<Self> {
        if let Some(root) = std::env::var_os("LUCID_HOME").filter(|root| !root.is_empty()) {
            let root = std::path::absolute(PathBuf::from(root)).context("LUCID_HOME is no usable path")?;
            return Ok(Self::under(&root));
        }
        let base = etcetera::choose_base_strategy()
            .context("there is no home folder; set LUCID_HOME to a folder of your choice")?;
        let data = base.data_dir().join("lucid");
        Ok(Self {
            config: base.config_dir().join("lucid"),
            state: base.state_dir().map_or_else(|| data.join("state"), |dir| dir.join("lucid")),
            cache: base.cache_dir().join("lucid"),
            data,
        })
    }

    /// Everything under one folder.
    pub fn under(root: &Path) -> Self {
        Self {
            config: root.join("config"),
            data: root.join("data"),
            state: root.join("state"),
            cache: root.join("cache"),
        }
    }

    /// All of them.
    pub fn folders(&self) -> [&Path; 4] {
        [&self.config, &self.data, &self.state, &self.cache]
    }

    /// The settings.
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("settings.toml")
    }

    /// A file that the settings name: from `~`, or from the folder of the settings.
    pub fn file_of_settings(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/").zip(etcetera::home_dir().ok()) {
            Some((rest, home)) => home.join(rest),
            None => self.config.join(path),
        }
    }

    /// The index of the mounted folders.
    pub fn index_dir(&self) -> PathBuf {
        self.data.join("index")
    }

    /// Installed plugins.
    pub fn plugins_dir(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// What is to be known in every session: the user may edit it.
    pub fn memory_file(&self) -> PathBuf {
        self.data.join("memory.md")
    }

    /// What left the windows of sessions, to be searched.
    pub fn swap_dir(&self) -> PathBuf {
        self.cache.join("swap")
    }

    /// Every event of every session.
    pub fn journal_file(&self) -> PathBuf {
        self.state.join("journal.sqlite")
    }

    /// What tools changed in the user's folders, by session, so that it can be taken back.
    pub fn undo_dir(&self) -> PathBuf {
        self.state.join("undo")
    }

    /// A file for each session under way, held while it is.
    pub fn open_sessions_dir(&self) -> PathBuf {
        self.state.join("open")
    }

    /// What was typed before.
    pub fn history_file(&self) -> PathBuf {
        self.state.join("history")
    }

    /// What plugins were granted.
    pub fn grants_file(&self) -> PathBuf {
        self.config.join("grants.toml")
    }

    /// Secrets that plugins may have put into requests.
    pub fn secrets_dir(&self) -> PathBuf {
        self.config.join("secrets")
    }

    /// What plugins keep of their own.
    pub fn plugin_data_dir(&self) -> PathBuf {
        self.data.join("plugin-data")
    }

    /// The secret key that signs the user's own plugins.
    pub fn signing_key_file(&self) -> PathBuf {
        self.config.join("plugins.key")
    }

    /// Pictures and files that plugins returned.
    pub fn files_dir(&self) -> PathBuf {
        self.data.join("files")
    }

    /// Downloaded models.
    pub fn models_dir(&self) -> PathBuf {
        self.cache.join("models")
    }

    /// Computed beginnings of prompts.
    pub fn snapshots_dir(&self) -> PathBuf {
        self.cache.join("prompts")
    }

    /// The folders in which the commands of a session work, one for each session under way.
    pub fn shell_dir(&self) -> PathBuf {
        self.cache.join("shell")
    }

    /// Compiled plugins.
    pub fn wasm_cache_dir(&self) -> PathBuf {
        self.cache.join("wasm")
    }

    /// Toolchains that `lucid plugin build` fetched.
    pub fn toolchain_dir(&self) -> PathBuf {
        self.cache.join("toolchain")
    }

    /// Makes the folder that a file stands in.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make_parent(file: &Path) -> Result<()> {
        let parent = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot make the folder {}", parent.display()))
    }
}
/// Replaces a file as a whole, so that a killed program loses nothing of it. Nobody but its owner can
/// read it.
///
/// # Errors
/// When it or its folder cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    Home::make_parent(path).map_err(std::io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Leaves of what lies in a folder only so many entries, those that were written last.
pub fn prune(dir: &Path, kept: usize) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut all: Vec<(std::time::SystemTime, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    all.sort();
    let surplus = all.len().saturating_sub(kept);
    for (_, folder) in all.into_iter().take(surplus) {
        // One that is in use elsewhere goes on with the files that it has open.
        let _ = std::fs::remove_dir_all(folder);
    }
}
