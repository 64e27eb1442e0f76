//! A component's code: linked, and compiled at the first call where its description was known before.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Type};

use crate::error::ToolError;
use crate::files::read_bounded;
use crate::limits::MAX_COMPONENT_BYTES;
use crate::runtime::Runtime;
use crate::sandbox::Sandbox;
use crate::text::hex;

/// What the functions of a plugin run.
pub(crate) struct Code {
    linked: OnceLock<Arc<Linked>>,
    /// Where it is compiled from; none where it was compiled at once.
    source: Option<(Source, String)>,
    /// Held while it is compiled, which is done once.
    compiling: Mutex<()>,
}

/// Where a component's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// In the program.
    Program(&'static [u8]),
    /// In a file.
    File(PathBuf),
}

/// A compiled component whose imports are resolved.
pub(crate) struct Linked {
    pub instance: InstancePre<Sandbox>,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// In the component's order.
    pub exports: Vec<Export>,
}

/// A function that a component exports.
pub(crate) struct Export {
    /// `name`, or `interface#name`.
    pub path: String,
    pub name: String,
    pub ty: ComponentFunc,
    pub params: Vec<(String, Type)>,
    pub result: Option<Type>,
    pub index: ComponentExportIndex,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Code {
    /// That is there already.
    pub(crate) fn linked(linked: Arc<Linked>) -> Self {
        Self { linked: OnceLock::from(linked), source: None, compiling: Mutex::default() }
    }

    /// That is compiled from these bytes when it is first called. They must have this SHA-256 then.
    pub(crate) fn from(source: Source, sha256: String) -> Self {
        Self { linked: OnceLock::new(), source: Some((source, sha256)), compiling: Mutex::default() }
    }

    /// The code, compiled now if it has to be.
    pub(crate) fn get(&self, runtime: &Runtime, plugin: &str) -> Result<Arc<Linked>, ToolError> {
        if let Some(linked) = self.linked.get() {
            return Ok(Arc::clone(linked));
        }
        let _alone = self.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some((source, sha256))) = (self.linked.get(), &self.source) {
            let component = match source {
                Source::Program(bytes) => runtime.compile(plugin, bytes)?,
                Source::File(path) => {
                    let bytes = read_bounded(path, MAX_COMPONENT_BYTES)?;
                    let found = hex(&Sha256::digest(&bytes));
                    if found != *sha256 {
                        return Err(ToolError::Changed {
                            path: path.clone(),
                            found,
                            expected: sha256.clone(),
                        });
                    }
                    runtime.compile(plugin, &bytes)?
                }
            };
            let linked = Linked::new(runtime, plugin, &component)?;
            return Ok(Arc::clone(self.linked.get_or_init(|| linked)));
        }
        let missing = || ToolError::Engine { reason: format!("the code of {plugin} is gone") };
        self.linked.get().cloned().ok_or_else(missing)
    }
}

impl Linked {
    pub(crate) fn new(
        runtime: &Runtime,
        plugin: &str,
        component: &Component,
    ) -> Result<Arc<Self>, ToolError> {
        let instance = runtime.link(plugin, component)?;
        let ty = component.component_type();
        let imports = ty.imports(&runtime.engine).map(|(name, _)| name.to_owned()).collect();
        Ok(Arc::new(Self { instance, imports, exports: exports(runtime, component) }))
    }

    /// The function that is exported under this path.
    pub(crate) fn export(&self, path: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.path == path)
    }
}

/// What builders export for themselves: componentize-py's way to start its interpreter, which is over when
/// the component is made.
const LEFT_OVER: [&str; 1] = ["exports#init"];

/// The functions of the world and of the interfaces that it exports.
fn exports(runtime: &Runtime, component: &Component) -> Vec<Export> {
    let engine = &runtime.engine;
    let mut found = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(ty) => {
                if let Some(index) = component.get_export_index(None, name) {
                    found.push(Export::new(name.into(), name, ty, index));
                }
            }
            ComponentItem::ComponentInstance(interface) => {
                let parent = component.get_export_index(None, name);
                for (inner, item) in interface.exports(engine) {
                    let index = component.get_export_index(parent.as_ref(), inner);
                    let path = format!("{name}#{inner}");
                    if LEFT_OVER.contains(&path.as_str()) {
                        continue;
                    }
                    if let (ComponentItem::ComponentFunc(ty), Some(index)) = (item.ty, index) {
                        found.push(Export::new(path, inner, ty, index));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

impl Export {
    fn new(path: String, name: &str, ty: ComponentFunc, index: ComponentExportIndex) -> Self {
        let params = ty.params().map(|(name, ty)| (name.to_owned(), ty)).collect();
        let result = ty.results().next();
        Self { path, name: name.into(), ty, params, result, index }
    }
}
