//! A loaded component: what it offers, described from its own types.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lucid_kernel::abi::ToolSpec;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Type};

use crate::docs::{Docs, FunctionDocs};
use crate::error::ToolError;
use crate::limits::{MAX_NAME_CHARS, MAX_TOOLS};
use crate::rights::Rights;
use crate::runtime::{Runtime, Target};
use crate::sandbox::Sandbox;
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
    /// Its tools.
    pub tools: Vec<ToolSpec>,
    /// Functions that it exports and that cannot be tools, with the reason.
    pub refused: Vec<(String, String)>,
    /// What it asks for.
    pub asks: Rights,
    pub(crate) functions: Vec<Arc<Function>>,
    /// By tool: what says what a call of it would do, for the user who is asked.
    pub(crate) previews: BTreeMap<String, Arc<Function>>,
}

/// One function of a plugin, ready to run.
pub(crate) struct Function {
    pub plugin: String,
    pub tool: String,
    pub params: Vec<(String, Type)>,
    pub result: Option<Type>,
    /// The kinds of rights that it needs; all when none.
    pub needs: Option<Vec<String>>,
    pub target: Target,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("tool", &self.tool).finish_non_exhaustive()
    }
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
        let asks = docs.rights.rights(home).map_err(|error| ToolError::Docs {
            plugin: name.clone(),
            place: "its rights".into(),
            reason: error.to_string(),
        })?;
        let linked = runtime.link(&name, &component)?;
        let mut plugin = Self {
            version: docs.version.clone(),
            description: docs.description.clone(),
            path: None,
            size_bytes: bytes.len() as u64,
            tools: Vec::new(),
            refused: Vec::new(),
            functions: Vec::new(),
            previews: BTreeMap::new(),
            asks,
            name,
        };
        for export in exported_functions(runtime, &component) {
            plugin.add(export, &docs, &linked)?;
        }
        plugin.checked()
    }

    /// The rights that a tool of it asks for.
    pub fn asks_for(&self, tool: &str) -> Rights {
        let function = self.functions.iter().find(|function| function.tool == tool);
        self.asks.of_kinds(function.and_then(|function| function.needs.as_deref()))
    }

    fn add(&mut self, export: Export, docs: &Docs, linked: &InstancePre<Sandbox>) -> Result<(), ToolError> {
        if self.functions.len() >= MAX_TOOLS {
            let plugin = self.name.clone();
            return Err(ToolError::TooMany { plugin, what: "functions", limit: MAX_TOOLS });
        }
        let words = docs.function(&export.path, &export.name);
        let (params, result, parameters) = match signature(&export.ty, &words) {
            Ok(signature) => signature,
            Err(unsupported) => {
                self.refused.push((export.path, unsupported.to_string()));
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
            params,
            target: Target {
                component: linked.clone(),
                export: export.index,
                results: usize::from(result.is_some()),
            },
            result,
            needs: words.needs,
        }));
        Ok(())
    }

    /// Sets those functions apart that say what another one would do: they are named like it, with
    /// `-preview` behind, and take the same. The model is not told of them.
    fn set_previews_apart(&mut self) {
        for function in self.functions.clone() {
            let preview = format!("{}_preview", function.tool);
            let says = |other: &Arc<Function>| other.tool == preview && other.params == function.params;
            let found = self.functions.iter().position(says);
            if let Some(at) = found {
                self.tools.retain(|tool| tool.name != preview);
                self.previews.insert(function.tool.clone(), self.functions.remove(at));
            }
        }
    }

    fn checked(mut self) -> Result<Self, ToolError> {
        self.set_previews_apart();
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

struct Export {
    /// `name`, or `interface#name`.
    path: String,
    name: String,
    ty: ComponentFunc,
    index: ComponentExportIndex,
}

/// The functions of the world and of the interfaces that it exports, in the component's order.
fn exported_functions(runtime: &Runtime, component: &Component) -> Vec<Export> {
    let engine = &runtime.engine;
    let mut found = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(ty) => {
                if let Some(index) = component.get_export_index(None, name) {
                    found.push(Export { path: name.into(), name: name.into(), ty, index });
                }
            }
            ComponentItem::ComponentInstance(interface) => {
                let parent = component.get_export_index(None, name);
                for (inner, item) in interface.exports(engine) {
                    let index = component.get_export_index(parent.as_ref(), inner);
                    if let (ComponentItem::ComponentFunc(ty), Some(index)) = (item.ty, index) {
                        let path = format!("{name}#{inner}");
                        found.push(Export { path, name: inner.into(), ty, index });
                    }
                }
            }
            _ => {}
        }
    }
    found
}

type Signature = (Vec<(String, Type)>, Option<Type>, serde_json::Value);

fn signature(ty: &ComponentFunc, docs: &FunctionDocs) -> Result<Signature, Unsupported> {
    if ty.async_() {
        let what = "an asynchronous call".to_owned();
        return Err(Unsupported { path: "the function itself".into(), what });
    }
    let parameters = value::parameters(ty.params(), docs)?;
    let result = ty.results().next();
    if let Some(result) = &result {
        schema::check_result(result)?;
    }
    let params = ty.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
    Ok((params, result, parameters))
}
