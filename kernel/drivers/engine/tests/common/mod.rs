//! What the engine's tests share: the models.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::OnceLock;

use lucid_contract::{QWEN_05B, SMOLLM2, model_path};
use lucid_engine::Mistralrs;
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};

pub fn load(file: &str, options: &LoadOptions) -> Mistralrs {
    let spec = ModelSpec { name: file.into(), source: ModelSource::Gguf(model_path(file)) };
    Mistralrs::load(&spec, options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"))
}

/// One SmolLM2 for all tests of a program.
pub fn smollm2() -> &'static Mistralrs {
    static ENGINE: OnceLock<Mistralrs> = OnceLock::new();
    ENGINE.get_or_init(|| load(SMOLLM2, &LoadOptions::default()))
}

/// One Qwen 0.5B for all tests of a program.
pub fn qwen() -> &'static Mistralrs {
    static ENGINE: OnceLock<Mistralrs> = OnceLock::new();
    ENGINE.get_or_init(|| load(QWEN_05B, &LoadOptions::default()))
}
