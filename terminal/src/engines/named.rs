//! Engines that the user named in the settings: models on this machine and on servers.

use std::time::Duration;

use lucid_remote::{Endpoint, Key, RemoteSpec, Timeouts};
use serde::{Deserialize, Serialize};

use super::EngineChoice;
use crate::home::Home;

/// `[engines.NAME]` in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamedEngine {
    /// The model: a name or a path, or with `url` its id on the servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What runs it on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineChoice>,
    /// A smaller model of the same family that drafts for it, where that is faster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
    /// A server that has it, or several.
    #[serde(skip_serializing_if = "Urls::is_empty")]
    pub url: Urls,
    /// The environment variable that holds the servers' key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// The file that holds the servers' key; nobody else may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// The most tokens of the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u32>,
    /// It is let go of after so many minutes without work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unload_minutes: Option<u64>,
    /// How long a server may take to take a connection, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_s: Option<u64>,
    /// How long a server may take to begin its answer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_s: Option<u64>,
    /// How long a server may fall silent in its answer, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_s: Option<u64>,
    /// How often a request is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

/// One URL or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Urls {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Default for Urls {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Urls {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(url) => std::slice::from_ref(url),
            Self::Several(urls) => urls,
        }
    }
}

/// What is wrong with an engine of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key that is wrong.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub reason: String,
}

impl NamedEngine {
    /// Whether it runs on servers.
    pub fn is_remote(&self) -> bool {
        !self.url.is_empty()
    }

    /// Finds what can be known to be wrong without asking anybody.
    ///
    /// # Errors
    /// The first mistake.
    pub fn check(&self) -> Result<(), Mistake> {
        let wrong = |key, reason: &str| Err(Mistake { key, reason: reason.into() });
        if self.is_remote() {
            if self.engine.is_some() {
                return wrong("engine", "a server runs its own; leave `engine` or `url` out");
            }
            if self.draft.is_some() {
                return wrong("draft", "a server drafts for itself; leave `draft` or `url` out");
            }
            if self.model.as_ref().is_none_or(|model| model.trim().is_empty()) {
                return wrong("url", "say with `model` which of the servers' models is meant");
            }
            for url in self.url.all() {
                lucid_remote::check_url(url).map_err(|reason| Mistake { key: "url", reason })?;
            }
            if self.key_env.is_some() && self.key_file.is_some() {
                return wrong("key_file", "there are two keys; leave `key_env` or `key_file` out");
            }
            return Ok(());
        }
        for (key, is_there) in [
            ("key_env", self.key_env.is_some()),
            ("key_file", self.key_file.is_some()),
            ("connect_s", self.connect_s.is_some()),
            ("first_byte_s", self.first_byte_s.is_some()),
            ("idle_s", self.idle_s.is_some()),
            ("retries", self.retries.is_some()),
        ] {
            if is_there {
                return wrong(key, "it is for servers; say with `url` which one, or leave it out");
            }
        }
        Ok(())
    }

    /// The servers, with the key that they want.
    ///
    /// # Errors
    /// When the key is missing or others can read it.
    pub fn remote(&self, name: &str, home: &Home) -> Result<RemoteSpec, Mistake> {
        let wrong = |key| move |error: lucid_remote::KeyError| Mistake { key, reason: error.to_string() };
        let key = match (&self.key_env, &self.key_file) {
            (Some(variable), _) => Some(Key::from_env(variable).map_err(wrong("key_env"))?),
            (None, Some(path)) => {
                Some(Key::from_file(&home.file_of_settings(path)).map_err(wrong("key_file"))?)
            }
            (None, None) => None,
        };
        let model = self.model.clone().unwrap_or_default();
        let usual = RemoteSpec::new(model.as_str(), "");
        let seconds = |wanted: Option<u64>, usual: Duration| wanted.map_or(usual, Duration::from_secs);
        let endpoint = |url: &String| Endpoint { url: url.clone(), key: key.clone() };
        Ok(RemoteSpec {
            name: session_name(name, &model),
            model,
            endpoints: self.url.all().iter().map(endpoint).collect(),
            window: self.window_tokens,
            timeouts: Timeouts {
                connect: seconds(self.connect_s, usual.timeouts.connect),
                first_byte: seconds(self.first_byte_s, usual.timeouts.first_byte),
                idle: seconds(self.idle_s, usual.timeouts.idle),
            },
            retries: self.retries.unwrap_or(usual.retries),
        })
    }
}

/// How a model of a named engine on servers is called: in the status line, and in a session that
/// goes on later.
fn session_name(engine: &str, model: &str) -> String {
    format!("{engine}:{model}")
}

/// The engine of a session that was held with a model of this name on servers.
pub fn engine_of_session(model: &str) -> Option<&str> {
    model.split_once(':').map(|(engine, _)| engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NamedEngine {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn mistakes_are_found_and_named() {
        for (text, key) in [
            ("url = \"http://a\"", "url"),
            ("url = \"ftp://a\"\nmodel = \"m\"", "url"),
            ("url = [\"http://a\", \"no\"]\nmodel = \"m\"", "url"),
            ("url = \"http://a\"\nmodel = \"m\"\nengine = \"llama.cpp\"", "engine"),
            ("url = \"http://a\"\nmodel = \"m\"\nkey_env = \"A\"\nkey_file = \"b\"", "key_file"),
            ("model = \"m\"\nkey_env = \"A\"", "key_env"),
            ("idle_s = 3", "idle_s"),
        ] {
            assert_eq!(read(text).check().unwrap_err().key, key, "{text}");
        }
        for text in ["", "model = \"m\"\nengine = \"mistralrs\"", "url = [\"http://a\"]\nmodel = \"m\""] {
            assert_eq!(read(text).check(), Ok(()), "{text}");
        }
        assert!(toml::from_str::<NamedEngine>("key = \"secret\"").is_err());
    }

    #[test]
    fn a_missing_key_is_named_and_a_session_finds_its_engine() {
        let engine = read("url = \"http://a\"\nmodel = \"m:7b\"\nkey_env = \"LUCID_NO_SUCH_KEY\"");
        let home = Home::under(std::path::Path::new("/nowhere"));
        let mistake = engine.remote("far", &home).unwrap_err();
        assert_eq!(mistake.key, "key_env");
        assert!(mistake.reason.contains("LUCID_NO_SUCH_KEY"), "{}", mistake.reason);
        let spec = read("url = \"http://a\"\nmodel = \"m:7b\"\nidle_s = 3").remote("far", &home).unwrap();
        assert_eq!(engine_of_session(&spec.name), Some("far"));
        assert_eq!(spec.timeouts.idle, Duration::from_secs(3));
    }
}
