//! Which engine runs a model: what is compiled in, and what suits the machine.

pub mod named;
pub mod pool;

use std::sync::Arc;

use lucid_engine::Mistralrs;
use lucid_kernel::port::{Engine, EngineError};
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};
use serde::{Deserialize, Serialize};

pub use self::named::NamedEngine;
pub use self::pool::{Load, Pool, Terms};

/// The engine that suits the machine and the model.
pub const AUTO: &str = "auto";

/// An engine that is built in, as the user names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EngineChoice {
    /// The fastest that can run the model on this machine.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// llama.cpp: GGUF files, fast on a CPU.
    #[serde(rename = "llama.cpp")]
    LlamaCpp,
    /// mistral.rs: GGUF files and models of the Hugging Face hub.
    #[serde(rename = "mistralrs")]
    Mistralrs,
}

/// Whether this program was built with an accelerator for mistral.rs.
const ACCELERATED: bool = cfg!(any(feature = "cuda", feature = "metal"));

impl EngineChoice {
    /// The names of all.
    pub fn names() -> [&'static str; 3] {
        [Self::Auto, Self::LlamaCpp, Self::Mistralrs].map(Self::name)
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Auto, Self::LlamaCpp, Self::Mistralrs].into_iter().find(|choice| choice.name() == name)
    }

    /// What is compiled in, the preferred one first.
    pub fn compiled() -> Vec<Self> {
        let llama = cfg!(feature = "llama-cpp").then_some(Self::LlamaCpp);
        let mut engines: Vec<Self> = llama.into_iter().chain([Self::Mistralrs]).collect();
        if ACCELERATED {
            engines.reverse();
        }
        engines
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => AUTO,
            Self::LlamaCpp => "llama.cpp",
            Self::Mistralrs => "mistralrs",
        }
    }

    /// The engine that runs a model from this source.
    pub fn for_source(self, source: &ModelSource) -> Self {
        match (self, source) {
            (Self::Auto, ModelSource::Hub { .. }) => Self::Mistralrs,
            (Self::Auto, ModelSource::Gguf(_)) => {
                Self::compiled().into_iter().next().unwrap_or(Self::Mistralrs)
            }
            (chosen, _) => chosen,
        }
    }
}

/// Loads a model with the engine that is chosen for it.
///
/// # Errors
/// [`EngineError::Load`] when the model cannot be loaded, or the engine is not compiled in.
pub fn load(
    choice: EngineChoice,
    spec: &ModelSpec,
    options: &LoadOptions,
) -> Result<Arc<dyn Engine>, EngineError> {
    match choice.for_source(&spec.source) {
        #[cfg(feature = "llama-cpp")]
        EngineChoice::LlamaCpp => Ok(Arc::new(lucid_llama::LlamaCpp::load(spec, options, &mut |_| {})?)),
        #[cfg(not(feature = "llama-cpp"))]
        EngineChoice::LlamaCpp => Err(EngineError::Load {
            model: spec.name.clone(),
            reason: "this lucid was built without llama.cpp; use `--engine mistralrs`, or build it with \
                     `--features llama-cpp`"
                .into(),
        }),
        EngineChoice::Mistralrs | EngineChoice::Auto => {
            Ok(Arc::new(Mistralrs::load(spec, options, &mut |_| {})?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_can_run_the_model() {
        let hub = ModelSource::Hub { repository: "a/b".into(), revision: None };
        let file = ModelSource::Gguf("x.gguf".into());
        assert_eq!(EngineChoice::Auto.for_source(&hub), EngineChoice::Mistralrs);
        assert!(EngineChoice::compiled().contains(&EngineChoice::Auto.for_source(&file)));
        assert_eq!(EngineChoice::LlamaCpp.for_source(&hub), EngineChoice::LlamaCpp);
        for choice in EngineChoice::compiled() {
            assert_eq!(EngineChoice::named(choice.name()), Some(choice));
        }
        assert_eq!(EngineChoice::named("warp"), None);
    }
}
