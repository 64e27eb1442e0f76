//! Descriptions of plugins that were loaded before, so that a start compiles nothing.
//!
//! A file each, named after the SHA-256 of all that the description was made of. What cannot be read,
//! or is not what was written, is made anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lucid_kernel::abi::ToolSpec;
use serde::{Deserialize, Serialize};

use crate::code::{Code, Source};
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};
use crate::plugin::{Function, Plugin, asks};
use crate::rights::RightsTable;
use crate::text::digest;

/// The form that this version reads and writes.
const FORM: u32 = 1;
/// The largest description, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// So many are kept; then all are thrown away and made again as they are needed.
const MAX_KEPT: usize = 4_000;
/// The digits of a SHA-256, and the end of their line.
const SUM_BYTES: usize = 65;

/// The folder of descriptions.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    folder: PathBuf,
}

/// What is written of a plugin.
#[derive(Serialize, Deserialize)]
struct Record {
    name: String,
    version: Option<String>,
    description: String,
    size_bytes: u64,
    rights: RightsTable,
    imports: Vec<String>,
    tools: Vec<ToolSpec>,
    refused: Vec<(String, String)>,
    functions: Vec<Entry>,
    previews: BTreeMap<String, Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    tool: String,
    export: String,
    needs: Option<Vec<String>>,
}

impl Described {
    /// Beside compiled code, whose folder wasmtime clears of what it does not know.
    pub(crate) fn new(cache_dir: &Path) -> Self {
        Self { folder: cache_dir.join("described") }
    }

    /// The description of a component whose SHA-256 and whose words beside it are these.
    pub(crate) fn get(
        &self,
        sha256: &str,
        words: &[u8],
        source: Source,
        home: Option<&Path>,
    ) -> Option<Plugin> {
        let bytes = read_bounded(&self.file(sha256, words), MAX_BYTES).ok()?;
        let (sum, json) = bytes.split_at_checked(SUM_BYTES)?;
        if sum != summed(json).as_bytes() {
            return None;
        }
        let record: Record = serde_json::from_slice(json).ok()?;
        record.plugin(sha256, source, home).ok()
    }

    /// Keeps a description. Where that fails it is made again the next time.
    pub(crate) fn put(&self, plugin: &Plugin, words: &[u8]) {
        let Ok(json) = serde_json::to_vec(&Record::of(plugin)) else { return };
        let kept = std::fs::read_dir(&self.folder).map_or(0, Iterator::count);
        if kept >= MAX_KEPT {
            drop(std::fs::remove_dir_all(&self.folder));
        }
        let text = [summed(&json).into_bytes(), json].concat();
        let made = std::fs::create_dir_all(&self.folder);
        if made.is_ok() {
            drop(write_atomically(&self.file(&plugin.sha256, words), &text));
        }
    }

    fn file(&self, sha256: &str, words: &[u8]) -> PathBuf {
        let version = env!("CARGO_PKG_VERSION");
        let made_of = format!("{FORM} {version} {sha256} {}", digest(words));
        self.folder.join(format!("{}.json", digest(made_of)))
    }
}

fn summed(json: &[u8]) -> String {
    format!("{}\n", digest(json))
}

impl Record {
    fn of(plugin: &Plugin) -> Self {
        let entry = |function: &Arc<Function>| Entry {
            tool: function.tool.clone(),
            export: function.export.clone(),
            needs: function.needs.clone(),
        };
        Self {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            description: plugin.description.clone(),
            size_bytes: plugin.size_bytes,
            rights: plugin.rights.clone(),
            imports: plugin.imports.clone(),
            tools: plugin.tools.clone(),
            refused: plugin.refused.clone(),
            functions: plugin.functions.iter().map(entry).collect(),
            previews: plugin.previews.iter().map(|(tool, preview)| (tool.clone(), entry(preview))).collect(),
        }
    }

    fn plugin(self, sha256: &str, source: Source, home: Option<&Path>) -> Result<Plugin, ToolError> {
        let code = Arc::new(Code::from(source, sha256.to_owned()));
        let function = |entry: Entry| {
            Arc::new(Function {
                plugin: self.name.clone(),
                tool: entry.tool,
                export: entry.export,
                needs: entry.needs,
                code: Arc::clone(&code),
            })
        };
        Ok(Plugin {
            asks: asks(&self.name, &self.rights, home)?,
            functions: self.functions.into_iter().map(function).collect(),
            previews: self.previews.into_iter().map(|(tool, entry)| (tool, function(entry))).collect(),
            name: self.name.clone(),
            version: self.version,
            description: self.description,
            path: None,
            size_bytes: self.size_bytes,
            sha256: sha256.to_owned(),
            words_sha256: None,
            tools: self.tools,
            refused: self.refused,
            rights: self.rights,
            imports: self.imports,
        })
    }
}
