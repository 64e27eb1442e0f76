//! What every engine promises, held against llama.cpp with a real model.

use std::sync::OnceLock;

use lucid_contract::{SMOLLM2, model_path};
use lucid_llama::LlamaCpp;
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};

fn smollm2() -> &'static LlamaCpp {
    static ENGINE: OnceLock<LlamaCpp> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let spec = ModelSpec { name: SMOLLM2.into(), source: ModelSource::Gguf(model_path(SMOLLM2)) };
        LlamaCpp::load(&spec, &LoadOptions::default(), &mut |_| ()).unwrap_or_else(|e| panic!("{e}"))
    })
}

lucid_contract::engine_contract!(smollm2());
