//! Building a guest: compile, make it a component, write its words into it.

use std::path::{Path, PathBuf};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as WASI, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as WASI_ADAPTER,
};
use wasm_encoder::{CustomSection, Encode as _};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

use super::project::Project;
use super::toolchain::Toolchain;
use super::world::World;
use super::{KitError, Language, c, docs, javascript, module, python, rust, trim};
use crate::docs::SECTION;
use crate::files::write_atomically;

/// The largest module that is read, in bytes.
pub(super) const MAX_MODULE_BYTES: u64 = 256 << 20;

/// A plugin that was built.
#[derive(Debug, Clone)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The compiler.
    pub compiler: String,
}

/// Builds the plugin in `dir` into `dir/NAME.wasm`. `cache_dir` holds toolchains and what is
/// compiled; `on_step` hears what goes on.
///
/// # Errors
/// When the folder holds no plugin, there is no compiler, or the source has mistakes.
pub fn build(dir: &Path, cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Built, KitError> {
    let made = component(dir, cache_dir, on_step)?;
    let path = made.project.dir.join(format!("{}.wasm", made.project.name));
    write_atomically(&path, &made.component)?;
    let bytes = made.component.len() as u64;
    Ok(Built { name: made.project.name, path, bytes, compiler: made.compiler })
}

/// A plugin that was built into memory.
pub(super) struct Made {
    pub project: Project,
    pub component: Vec<u8>,
    pub compiler: String,
    /// How the compiler was called, where that is ours to say.
    pub flags: Vec<String>,
}

/// Builds the plugin in `dir` into memory.
pub(super) fn component(
    dir: &Path,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<Made, KitError> {
    let project = Project::read(dir)?;
    let mut world = World::read(&project.dir.join("wit"))?;
    let mut flags = Vec::new();
    let (component, compiler) = match (&project.module, project.language) {
        (Some(module), _) => module::component(&project, module, &world, cache_dir, on_step)?,
        (None, Language::Rust) => {
            let toolchain = Toolchain::find(cache_dir, on_step)?;
            on_step(&compiling(&project, &toolchain.version));
            let arguments = toolchain.arguments();
            flags = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
            (rust::component(&project, &toolchain, cache_dir)?, toolchain.version)
        }
        (None, other) => {
            let (made, compiler) = match other {
                Language::Js => javascript::component(&project, &world, cache_dir, on_step)?,
                Language::Python => python::component(&project, &world, cache_dir, on_step)?,
                Language::C | Language::Rust => c::component(&project, &mut world, cache_dir, on_step)?,
            };
            (trim::keep_exports(&made, &world.exports())?, compiler)
        }
    };
    let component = with_words(component, &project, &world)?;
    Ok(Made { project, component, compiler, flags })
}

/// What is said before a compiler runs.
pub(super) fn compiling(project: &Project, compiler: &str) -> String {
    format!("compiling {} with {compiler}", project.name)
}

/// Makes a module a component, WASI and all.
pub(super) fn componentise(module: &[u8]) -> Result<Vec<u8>, KitError> {
    let fault = |error| KitError::Componentise { reason: format!("{error:#}") };
    let mut encoder = ComponentEncoder::default().module(module).map_err(fault)?.validate(true);
    if imports_wasi(module).map_err(|error| KitError::Componentise { reason: error.to_string() })? {
        encoder = encoder.adapter(WASI, WASI_ADAPTER).map_err(fault)?;
    }
    encoder.encode().map_err(fault)
}

fn imports_wasi(module: &[u8]) -> Result<bool, wasmparser::BinaryReaderError> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                if import?.module == WASI {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

/// Componentising drops the comments of the WIT files: they are written into the component.
fn with_words(mut component: Vec<u8>, project: &Project, world: &World) -> Result<Vec<u8>, KitError> {
    let mut words = docs::read(world, &project.name, project.version.clone());
    words.rights = project.rights.clone();
    if let Some(description) = &project.description {
        words.description.clone_from(description);
    }
    let text =
        serde_json::to_vec(&words).map_err(|error| KitError::Componentise { reason: error.to_string() })?;
    // Source: WebAssembly core specification, 5.5.3: a custom section has the id 0.
    component.push(0);
    CustomSection { name: SECTION.into(), data: text.into() }.encode(&mut component);
    Ok(component)
}
