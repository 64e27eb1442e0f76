//! The words that come with a component: what its functions and their parameters mean.
//!
//! Types and names are in every component, doc comments are not: componentising drops them.
//! `lucid plugin build` therefore writes them into a custom section named `lucid-docs`, as
//! the JSON of [`Docs`]. A component from elsewhere can be given words by a file beside it:
//! `NAME.toml` beside `NAME.wasm`, with the same keys. The file wins where both speak.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

use crate::error::ToolError;
use crate::rights::RightsTable;
use crate::text::one_line;

/// The name of the custom section.
pub const SECTION: &str = "lucid-docs";
/// The form of the section that this version writes and reads.
pub const FORM: u32 = 1;
/// The most that is read of a section or of a file, in bytes.
pub(crate) const MAX_DOCS_BYTES: u64 = 256 << 10;
/// The most of one text that reaches the model, in characters.
const MAX_TEXT_CHARS: usize = 1_000;
/// The most keywords of one function, and the most characters of each.
const MAX_KEYWORDS: usize = 40;
const MAX_KEYWORD_CHARS: usize = 40;

/// The words for one component.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Docs {
    /// The form; [`FORM`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<u32>,
    /// The plugin's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// The plugin's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What the plugin is for, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it asks for.
    #[serde(skip_serializing_if = "RightsTable::is_empty")]
    pub rights: RightsTable,
    /// By function, as the component exports it: `name`, or `package:name/interface#name`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, FunctionDocs>,
}

/// The words for one function.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FunctionDocs {
    /// What it does, for the model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Other words that people use for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// The kinds of the plugin's rights that it needs, such as `read` and `net`; all when not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// By place: `from`, `points[].x`, `shape(circle).radius`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
}

impl Docs {
    /// The words inside a component; empty when it has none.
    ///
    /// # Errors
    /// When the section is there and cannot be read.
    pub fn from_component(plugin: &str, component: &[u8]) -> Result<Self, ToolError> {
        let fault = |reason: String| ToolError::Docs {
            plugin: plugin.into(),
            place: format!("custom section {SECTION}"),
            reason,
        };
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(|error| fault(error.to_string()))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => {
                    let data = section.data();
                    if data.len() as u64 > MAX_DOCS_BYTES {
                        return Err(fault(format!("more than {MAX_DOCS_BYTES} bytes")));
                    }
                    let docs: Self =
                        serde_json::from_slice(data).map_err(|error| fault(error.to_string()))?;
                    return docs.checked().map_err(fault);
                }
                _ => {}
            }
        }
        Ok(Self::default())
    }

    /// The words in the text of a TOML file; none when it is empty.
    ///
    /// # Errors
    /// When it is no such text.
    pub fn from_toml(plugin: &str, path: &Path, bytes: &[u8]) -> Result<Self, ToolError> {
        let fault = |reason: String| ToolError::Docs {
            plugin: plugin.into(),
            place: path.display().to_string(),
            reason,
        };
        let text = std::str::from_utf8(bytes).map_err(|_| fault("it is not UTF-8".into()))?;
        let docs: Self = toml::from_str(text).map_err(|error| fault(error.to_string()))?;
        docs.checked().map_err(fault)
    }

    /// The file that gives words to the component at this path.
    pub fn file_beside(component: &Path) -> PathBuf {
        component.with_extension("toml")
    }

    /// Takes the words of `over` wherever it has some.
    pub fn overlay(&mut self, over: Self) {
        self.plugin = over.plugin.or(self.plugin.take());
        self.version = over.version.or(self.version.take());
        if !over.description.is_empty() {
            self.description = over.description;
        }
        if !over.rights.is_empty() {
            self.rights = over.rights;
        }
        for (name, function) in over.functions {
            let mine = self.functions.entry(name).or_default();
            if !function.description.is_empty() {
                mine.description = function.description;
            }
            if !function.keywords.is_empty() {
                mine.keywords = function.keywords;
            }
            mine.needs = function.needs.or(mine.needs.take());
            mine.fields.extend(function.fields);
        }
    }

    /// The words for a function that is exported under `export`, whose own name is `name`.
    pub(crate) fn function(&self, export: &str, name: &str) -> FunctionDocs {
        let found = self.functions.get(export).or_else(|| self.functions.get(name));
        found.cloned().unwrap_or_default().bounded()
    }

    fn checked(self) -> Result<Self, String> {
        match self.form {
            None | Some(FORM) => Ok(self),
            Some(other) => Err(format!("it has form {other}, this version reads form {FORM}; update Lucid")),
        }
    }
}

impl FunctionDocs {
    fn bounded(mut self) -> Self {
        self.description = one_line(&self.description, MAX_TEXT_CHARS);
        self.keywords.truncate(MAX_KEYWORDS);
        for keyword in &mut self.keywords {
            *keyword = one_line(keyword, MAX_KEYWORD_CHARS);
        }
        self.keywords.retain(|keyword| !keyword.is_empty());
        for text in self.fields.values_mut() {
            *text = one_line(text, MAX_TEXT_CHARS);
        }
        self
    }
}
