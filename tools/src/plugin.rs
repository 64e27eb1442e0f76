//! A loaded component: what it offers, described from its own types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lucid_kernel::abi::ToolSpec;
use wasmtime::component::types::ComponentFunc;

use crate::code::{Code, Export, Linked};
use crate::docs::{Docs, FunctionDocs};
use crate::error::ToolError;
use crate::limits::{MAX_NAME_CHARS, MAX_TOOLS};
use crate::rights::{Right, Rights, RightsTable};
use crate::runtime::Runtime;
use crate::text::digest;
use crate::value::{self, Unsupported, schema};

/// A component that was compiled and found usable.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// Its version, when it says one.
    pub version: Option<String>,
    /// What it is for, for people. May be empty.
    pub description: String,
    /// Where it was loaded from; none when it is bundled.
    pub path: Option<PathBuf>,
    /// The size of the component, in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the component, in hexadecimal digits.
    pub sha256: String,
    /// That of the words beside it, when there are some.
    pub(crate) words_sha256: Option<String>,
    /// Its tools.
    pub tools: Vec<ToolSpec>,
    /// Functions that it exports and that cannot be tools, with the reason.
    pub refused: Vec<(String, String)>,
    /// What it asks for.
    pub asks: Rights,
    /// The interfaces that it imports, such as `wasi:filesystem/types@0.2.6`.
    pub imports: Vec<String>,
    /// The same as it is written, with `~` in it.
    pub(crate) rights: RightsTable,
    pub(crate) functions: Vec<Arc<Function>>,
    /// By tool: what says what a call of it would do, for the user who is asked.
    pub(crate) previews: BTreeMap<String, Arc<Function>>,
}

/// One function of a plugin.
#[derive(Debug)]
pub(crate) struct Function {
    pub plugin: String,
    pub tool: String,
    /// `name`, or `interface#name`, as the component exports it.
    pub export: String,
    /// The kinds of rights that it needs; all when none.
    pub needs: Option<Vec<String>>,
    pub code: Arc<Code>,
}

impl Plugin {
    /// Compiles and describes a component. `name` is used when it does not say its own.
    pub(crate) fn new(
        runtime: &Runtime,
        name: &str,
        bytes: &[u8],
        beside: Option<Docs>,
        home: Option<&Path>,
    ) -> Result<Self, ToolError> {
        let component = runtime.compile(name, bytes)?;
        let mut docs = Docs::from_component(name, bytes)?;
        docs.overlay(beside.unwrap_or_default());
        let name = checked_name(docs.plugin.as_deref().unwrap_or(name))?;
        let asks = asks(&name, &docs.rights, home)?;
        let linked = Linked::new(runtime, &name, &component, bytes)?;
        let mut plugin = Self {
            version: docs.version.clone(),
            description: docs.description.clone(),
            path: None,
            size_bytes: bytes.len() as u64,
            sha256: digest(bytes),
            words_sha256: None,
            tools: Vec::new(),
            refused: Vec::new(),
            functions: Vec::new(),
            previews: BTreeMap::new(),
            asks,
            imports: linked.imports.clone(),
            rights: docs.rights.clone(),
            name,
        };
        let code = Arc::new(Code::linked(Arc::clone(&linked)));
        for export in &linked.exports {
            plugin.add(export, &docs, &code)?;
        }
        plugin.set_previews_apart(&linked);
        plugin.checked()
    }

    /// What it asks for and cannot use, because it imports nothing that needs it.
    pub fn asks_in_vain(&self) -> impl Iterator<Item = &Right> {
        let is_used = |right: &&Right| {
            let fronts = right.interfaces();
            fronts.is_empty()
                || fronts.iter().any(|front| self.imports.iter().any(|it| it.starts_with(front)))
        };
        self.asks.iter().filter(move |right| !is_used(right))
    }

    /// The rights that a tool of it asks for.
    pub fn asks_for(&self, tool: &str) -> Rights {
        let function = self.functions.iter().find(|function| function.tool == tool);
        self.asks.of_kinds(function.and_then(|function| function.needs.as_deref()))
    }

    fn add(&mut self, export: &Export, docs: &Docs, code: &Arc<Code>) -> Result<(), ToolError> {
        if self.functions.len() >= MAX_TOOLS {
            let plugin = self.name.clone();
            return Err(ToolError::TooMany { plugin, what: "functions", limit: MAX_TOOLS });
        }
        let words = docs.function(&export.path, &export.name);
        let parameters = match described(&export.ty, &words) {
            Ok(parameters) => parameters,
            Err(unsupported) => {
                self.refused.push((export.path.clone(), unsupported.to_string()));
                return Ok(());
            }
        };
        let tool = tool_name(&self.name, &export.name);
        if self.tools.iter().any(|it| it.name == tool) {
            let plugin = self.name.clone();
            return Err(ToolError::Clash { tool, holder: plugin.clone(), plugin });
        }
        self.tools.push(ToolSpec {
            wants: Vec::new(),
            described: None,
            name: tool.clone(),
            description: words.description,
            keywords: words.keywords,
            parameters,
        });
        self.functions.push(Arc::new(Function {
            plugin: self.name.clone(),
            tool,
            export: export.path.clone(),
            needs: words.needs,
            code: Arc::clone(code),
        }));
        Ok(())
    }

    /// Sets those functions apart that say what another one would do: they are named like it, with
    /// `-preview` behind, and take the same. The model is not told of them.
    fn set_previews_apart(&mut self, linked: &Linked) {
        let params = |function: &Function| linked.export(&function.export).map(|export| &export.params);
        for function in self.functions.clone() {
            let preview = format!("{}_preview", function.tool);
            let says = |other: &Arc<Function>| other.tool == preview && params(other) == params(&function);
            let found = self.functions.iter().position(says);
            if let Some(at) = found {
                self.tools.retain(|tool| tool.name != preview);
                self.previews.insert(function.tool.clone(), self.functions.remove(at));
            }
        }
    }

    fn checked(self) -> Result<Self, ToolError> {
        if !self.tools.is_empty() {
            return Ok(self);
        }
        Err(match self.refused.into_iter().next() {
            Some((function, reason)) => ToolError::Function { plugin: self.name, function, reason },
            None => ToolError::NoFunction { plugin: self.name },
        })
    }
}

/// The name that a file gives to the component in it.
pub(crate) fn name_of_file(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_default().to_ascii_lowercase().replace('_', "-")
}

/// Checks a plugin's name: it becomes the front of its tools' names, and a file's name.
///
/// # Errors
/// [`ToolError::Name`].
pub fn checked_name(name: &str) -> Result<String, ToolError> {
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.len() <= MAX_NAME_CHARS
        && !name.ends_with('-')
        && !name.contains("--")
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-');
    if fits {
        return Ok(name.to_owned());
    }
    Err(ToolError::Name { name: name.into(), limit: MAX_NAME_CHARS })
}

/// `<plugin>_<function>`, or the plugin's name alone when the function has the same.
fn tool_name(plugin: &str, function: &str) -> String {
    let full = if plugin == function { plugin.to_owned() } else { format!("{plugin}_{function}") };
    full.to_ascii_lowercase().replace('-', "_")
}

/// What a plugin asks for, with the user's home folder where it says `~`.
pub(crate) fn asks(plugin: &str, rights: &RightsTable, home: Option<&Path>) -> Result<Rights, ToolError> {
    rights.rights(home).map_err(|error| ToolError::Docs {
        plugin: plugin.into(),
        place: "its rights".into(),
        reason: error.to_string(),
    })
}

/// The schema of a function's parameters, when it can be a tool.
fn described(ty: &ComponentFunc, docs: &FunctionDocs) -> Result<serde_json::Value, Unsupported> {
    if ty.async_() {
        let what = "an asynchronous call".to_owned();
        return Err(Unsupported { path: "the function itself".into(), what });
    }
    let parameters = value::parameters(ty.params(), docs)?;
    if let Some(result) = &ty.results().next() {
        schema::check_result(result)?;
    }
    Ok(parameters)
}
