//! What `lucid plugin` does with plugins of one's own: write a new one, build it, list what there is.

mod build;
mod c;
pub mod cases;
mod command;
mod docs;
mod folder;
mod inputs;
mod javascript;
mod language;
mod module;
pub mod prebuilt;
mod project;
mod python;
mod recipes;
mod rust;
mod scaffold;
#[cfg(test)]
mod tests;
mod toolchain;
mod trim;
mod world;

pub use build::{Built, build};
pub use folder::{Found, list, remove};
pub use inputs::{Inputs, inputs};
pub use language::Language;
pub use recipes::{RECIPES, Recipe};
pub use scaffold::new;
pub use toolchain::Toolchain;

pub(crate) use folder::components_in;

use std::path::PathBuf;

use crate::error::ToolError;

/// Why a plugin cannot be written, built or installed.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// The component or a file of it.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// There is something already.
    #[error("{} is there already; choose another name, or remove it first", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Nothing of that name is installed.
    #[error("no plugin named {name} is installed; `lucid plugin list` shows what is")]
    NotInstalled {
        /// The name.
        name: String,
    },
    /// The folder holds no plugin.
    #[error("{} holds no plugin that can be built: {reason}", dir.display())]
    NotAPlugin {
        /// The folder.
        dir: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The language, or Lucid itself, uses the word.
    #[error(
        "{name} can be no plugin in {language}, because the word has another meaning there; choose another name"
    )]
    Reserved {
        /// The name.
        name: String,
        /// The language.
        language: Language,
    },
    /// Nothing that makes a component of the language was found.
    #[error("nothing here compiles {language} to WebAssembly; {}\ntried:\n{tried}", language.remedy())]
    NoToolchain {
        /// The language.
        language: Language,
        /// What was tried, a line each.
        tried: String,
    },
    /// The compiler refused the plugin's source.
    #[error("the plugin was not built:\n{output}")]
    Compile {
        /// What the compiler said, its last lines.
        output: String,
    },
    /// The compiled module is no component.
    #[error("the compiled module cannot be made a component: {reason}")]
    Componentise {
        /// Why.
        reason: String,
    },
    /// The cases of the plugin's author cannot be read.
    #[error("{}: {reason}", path.display())]
    Cases {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The WIT files cannot be read.
    #[error("the WIT files in {} cannot be read: {reason}", dir.display())]
    Wit {
        /// The folder.
        dir: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A bundled component differs from what its source gives.
    #[error(
        "plugins/prebuilt/{name}.wasm does not come from its source: {reason}\nrun `cargo run --release -p lucid-tools --example prebuilt -- update`"
    )]
    Stale {
        /// The plugin.
        name: String,
        /// What differs.
        reason: String,
    },
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
}
