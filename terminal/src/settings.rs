//! The user's settings: read once at start into one checked value.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engines::{AUTO, EngineChoice, NamedEngine};
use crate::exit::Failure;
use crate::home::Home;
use crate::tui::keymap::Keys;
use lucid_kernel::policy::Rule;

/// The largest settings file that is read, in bytes.
const MAX_SETTINGS_BYTES: u64 = 1024 * 1024;

/// What the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A model's name or path, or `auto`.
    pub model: String,
    /// What runs the model: `auto`, `llama.cpp`, `mistralrs`, or one of `engines`.
    pub engine: String,
    /// The most tokens of the window, if less than the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u32>,
    /// The most memory that the engine keeps of earlier prompts, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_mib: Option<u64>,
    /// Threads that the model computes with; one for each core when not said. One fewer is quicker
    /// where other programs work too: the threads wait for each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// A smaller model of the same family that drafts for the model, where that is faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// The model by which pages are found by their meaning, beside their words: a name, `auto` for
    /// the usual one where it has been fetched, or `off`.
    pub embedder: String,
    /// The engine, one of `engines` on this machine, that shortens what was said and left the window;
    /// without one, it is shortened by its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digests: Option<String>,
    /// The most memory that all loaded models take together, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_max_mib: Option<u64>,
    /// The model is let go of after so many minutes without work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unload_minutes: Option<u64>,
    /// Folders that the user does not want to be asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub declined_mounts: Vec<String>,
    /// How the screen is used.
    #[serde(skip_serializing_if = "ScreenSettings::is_default")]
    pub screen: ScreenSettings,
    /// Keys of the user's own: `palette = "ctrl-k"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, Keys>,
    /// Tools that are off unless they are named here.
    #[serde(skip_serializing_if = "ToolSettings::is_default")]
    pub tools: ToolSettings,
    /// Which tools may run: `[[rules]] tool = "calc"`, `verdict = "ask"`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Engines by names of the user's own: `[engines.big]`, `url = "https://…"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub engines: BTreeMap<String, NamedEngine>,
}

/// The table `[screen]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScreenSettings {
    /// With which keys the line is edited.
    pub editing: Editing,
    /// Whether the mouse scrolls and opens; without it, the terminal has it to itself.
    pub mouse: bool,
}

/// With which keys the line is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Editing {
    /// Those of Emacs, as shells have them.
    #[default]
    Emacs,
    /// Those of vi.
    Vi,
}

impl Default for ScreenSettings {
    fn default() -> Self {
        Self { editing: Editing::default(), mouse: true }
    }
}

impl ScreenSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The table `[tools]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolSettings {
    /// Whether the model may run commands: each is asked for, and runs without network and outside the
    /// home folder.
    pub shell: bool,
}

impl ToolSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "auto".into(),
            engine: AUTO.into(),
            window_tokens: None,
            cache_mib: None,
            threads: None,
            draft: None,
            embedder: AUTO.into(),
            digests: None,
            loaded_max_mib: None,
            unload_minutes: None,
            declined_mounts: Vec::new(),
            screen: ScreenSettings::default(),
            keys: BTreeMap::new(),
            tools: ToolSettings::default(),
            rules: Vec::new(),
            engines: BTreeMap::new(),
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
        let settings: Self = toml::from_str(&text).map_err(|error| unreadable(&path, &error.to_string()))?;
        settings.check().map_err(|(table, key, reason)| {
            unreadable(&path, &format!("line {}: {reason}", line_of(&text, &table, key)))
        })?;
        Ok(settings)
    }

    /// Finds what is wrong beyond the form: the table, the key and the reason.
    fn check(&self) -> Result<(), (String, &'static str, String)> {
        for (name, engine) in &self.engines {
            let table = format!("engines.{name}");
            let fits = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
            if EngineChoice::named(name).is_some() || name.is_empty() || !name.chars().all(fits) {
                let reason = format!(
                    "an engine cannot be named {name:?}: take letters, digits, - and _, and none of {}",
                    EngineChoice::names().join(", ")
                );
                return Err((table, "", reason));
            }
            engine.check().map_err(|mistake| (table, mistake.key, mistake.reason))?;
        }
        if let Some(name) = &self.digests {
            let wrong = |reason| (String::new(), "digests", reason);
            let engine = self.find_engine(name).map_err(wrong)?;
            if engine.is_remote() {
                return Err(wrong(format!(
                    "{name} is on a server; name an engine on this machine, so that what was said stays here"
                )));
            }
        }
        self.find_engine(&self.engine).map(drop).map_err(|reason| (String::new(), "engine", reason))
    }

    /// The engine of this name: one of the settings' own, or one that is built in.
    ///
    /// # Errors
    /// Words for a person, when there is none.
    pub fn find_engine(&self, name: &str) -> Result<NamedEngine, String> {
        if let Some(named) = self.engines.get(name) {
            return Ok(named.clone());
        }
        let builtin = |engine| NamedEngine { engine: Some(engine), ..NamedEngine::default() };
        EngineChoice::named(name).map(builtin).ok_or_else(|| {
            let own = self.engines.keys().map(String::as_str);
            let known: Vec<&str> = EngineChoice::names().into_iter().chain(own).collect();
            format!("there is no engine {name:?}; there are {}", known.join(", "))
        })
    }

    /// Where a setting stands, for error messages; none when it is not in the file.
    pub fn place(home: &Home, table: &str, key: &str) -> Option<String> {
        let path = home.settings_file();
        let text = std::fs::read_to_string(&path).ok()?;
        let line = line_of(&text, table, key);
        (line > 0).then(|| format!("{}, line {line}", path.display()))
    }

    /// Writes the settings, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, home: &Home) -> Result<(), Failure> {
        let path = home.settings_file();
        let write = || -> anyhow::Result<()> {
            Ok(crate::home::write(&path, toml::to_string_pretty(self)?.as_bytes())?)
        };
        write().map_err(|error| {
            Failure::config(format!("cannot write the settings {}: {error}", path.display()))
        })
    }
}

/// The line of a key in a table of TOML, or of the table where the key is not found; 0 when
/// neither is. Only for error messages: keys in other forms than `key = …` are not found.
fn line_of(text: &str, table: &str, key: &str) -> usize {
    let (mut current, mut found) = (String::new(), 0);
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            current = header.trim().replace('"', "");
            if current == table {
                found = number;
            }
        } else if current == table && line.split('=').next().is_some_and(|name| name.trim() == key) {
            return number;
        }
    }
    found
}

fn unreadable(path: &Path, reason: &str) -> Failure {
    Failure::config(format!(
        "cannot read the settings {}: {}\nmend the file, or remove it to start with the defaults",
        path.display(),
        reason.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::under(folder.path());
        Home::make_parent(&home.settings_file()).unwrap();
        let big = "[engines.big]\nurl = \"https://a.example\"\nmodel = \"m\"\n";
        for (text, line, word) in [
            ("model = \"auto\"\nengine = \"warp\"\n".to_owned(), 2, "llama.cpp"),
            ("engine = \"bigg\"\n".to_owned() + big, 1, "big"),
            (big.replace("https://a.example", "a.example:1:2"), 2, "url"),
            (big.to_owned() + "key_env = \"A\"\nkey_file = \"b\"\n", 5, "two keys"),
            ("model = \"auto\"\ndigests = \"quik\"\n".to_owned(), 2, "quik"),
            ("digests = \"big\"\n".to_owned() + big, 1, "is on a server"),
            ("\n[engines.auto]\nmodel = \"m\"\n".to_owned(), 2, "cannot be named"),
            (big.replace("model = \"m\"", "modell = 3"), 3, "modell"),
            ("[tools]\nshel = true\n".to_owned(), 2, "shel"),
            ("[tools]\nshell = \"yes\"\n".to_owned(), 2, "boolean"),
        ] {
            std::fs::write(home.settings_file(), &text).unwrap();
            let message = Settings::load(&home).unwrap_err().message;
            assert!(message.contains(&format!("line {line}")), "{text}\n{message}");
            assert!(message.to_lowercase().contains(word), "{text}\n{message}");
        }
        assert!(!Settings::default().tools.shell, "commands are off until they are turned on");
        let text = "engine = \"big\"\n".to_owned() + big + "[tools]\nshell = true\n";
        std::fs::write(home.settings_file(), text).unwrap();
        let settings = Settings::load(&home).unwrap();
        assert!(settings.find_engine("big").unwrap().is_remote() && settings.tools.shell);
        assert_eq!(Settings::place(&home, "engines.big", "model").unwrap().rsplit(' ').next(), Some("4"));
        // What is written is what is read.
        settings.save(&home).unwrap();
        assert_eq!(Settings::load(&home).unwrap(), settings);
    }
}
