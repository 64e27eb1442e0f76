//! A component's code: linked, and compiled at the first call where its description was known before.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Type};

use crate::carried::Folder;
use crate::error::ToolError;
use crate::files::read_bounded;
use crate::limits::MAX_COMPONENT_BYTES;
use crate::runtime::Runtime;
use crate::sandbox::Sandbox;
use crate::text::digest;

/// What the functions of a plugin run.
pub(crate) struct Code(Mutex<State>);

enum State {
    /// There already.
    Linked(Arc<Linked>),
    /// To be compiled from bytes that have this SHA-256 then.
    Waiting(Source, String),
}

/// Where a component's bytes are.
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
    /// The folders with the files that it carries.
    pub carried: Arc<[Folder]>,
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
        f.debug_struct("Code").finish_non_exhaustive()
    }
}

impl Code {
    /// That is there already.
    pub(crate) fn linked(linked: Arc<Linked>) -> Self {
        Self(Mutex::new(State::Linked(linked)))
    }

    /// That is compiled from these bytes when it is first called. They must have this SHA-256 then.
    pub(crate) fn from(source: Source, sha256: String) -> Self {
        Self(Mutex::new(State::Waiting(source, sha256)))
    }

    /// The code, compiled now if it has to be: once, whoever else asks for it meanwhile.
    pub(crate) fn get(&self, runtime: &Runtime, plugin: &str) -> Result<Arc<Linked>, ToolError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let compiled = |bytes: &[u8]| Linked::new(runtime, plugin, &runtime.compile(plugin, bytes)?, bytes);
        let linked = match &*state {
            State::Linked(linked) => return Ok(Arc::clone(linked)),
            State::Waiting(Source::Program(bytes), _) => compiled(bytes)?,
            State::Waiting(Source::File(path), expected) => {
                let bytes = read_bounded(path, MAX_COMPONENT_BYTES)?;
                let found = digest(&bytes);
                if found != *expected {
                    return Err(ToolError::Changed { path: path.clone(), found, expected: expected.clone() });
                }
                compiled(&bytes)?
            }
        };
        *state = State::Linked(Arc::clone(&linked));
        Ok(linked)
    }
}

impl Linked {
    /// Links the component that these bytes are, and puts the files that it carries where its calls see
    /// them.
    pub(crate) fn new(
        runtime: &Runtime,
        plugin: &str,
        component: &Component,
        bytes: &[u8],
    ) -> Result<Arc<Self>, ToolError> {
        let carried = runtime.carried(plugin, bytes)?.into();
        let instance = runtime.link(plugin, component)?;
        let ty = component.component_type();
        let imports = ty.imports(&runtime.engine).map(|(name, _)| name.to_owned()).collect();
        Ok(Arc::new(Self { instance, imports, exports: exports(runtime, component), carried }))
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
