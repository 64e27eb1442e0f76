//! The user's settings: read once at start into one checked value.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::exit::Failure;
use crate::home::Home;
use lucid_kernel::policy::Rule;

/// The largest settings file that is read, in bytes.
const MAX_SETTINGS_BYTES: u64 = 1024 * 1024;

/// What the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A model's name or path, or `auto`.
    pub model: String,
    /// The most tokens of the window, if less than the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u32>,
    /// The most memory that the engine keeps of earlier prompts, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_mib: Option<u64>,
    /// Folders that the user does not want to be asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub declined_mounts: Vec<String>,
    /// Which tools may run: `[[rules]] tool = "calc"`, `verdict = "ask"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "auto".into(),
            window_tokens: None,
            cache_mib: None,
            declined_mounts: Vec::new(),
            rules: Vec::new(),
        }
    }
}

impl Settings {
    /// Reads the settings; defaults when there are none yet.
    ///
    /// # Errors
    /// When the file cannot be read or has a mistake: which, and where.
    pub fn load(home: &Home) -> Result<Self, Failure> {
        let path = home.settings_file();
        let size = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(&path, &error.to_string())),
        };
        if size > MAX_SETTINGS_BYTES {
            return Err(unreadable(&path, &format!("it has more than {MAX_SETTINGS_BYTES} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error.to_string()))?;
        toml::from_str(&text).map_err(|error| unreadable(&path, &error.to_string()))
    }

    /// Writes the settings, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, home: &Home) -> Result<(), Failure> {
        let path = home.settings_file();
        let write = || -> anyhow::Result<()> {
            Home::make_parent(&path)?;
            let text = toml::to_string_pretty(self)?;
            let parent = path.parent().unwrap_or(Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(parent)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error| {
            Failure::config(format!("cannot write the settings {}: {error}", path.display()))
        })
    }
}

fn unreadable(path: &Path, reason: &str) -> Failure {
    Failure::config(format!(
        "cannot read the settings {}: {}\nmend the file, or remove it to start with the defaults",
        path.display(),
        reason.trim_end()
    ))
}
