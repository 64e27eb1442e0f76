//! What the engine's tests share: the models and a few requests.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::OnceLock;

use lucid_engine::{LoadOptions, Mistralrs, ModelSource, ModelSpec};
use lucid_kernel::abi::{Decoded, Grammar, Sampling, Segment, Token};
use lucid_kernel::port::{CancelFlag, DecodeRequest, Delta, Engine};

pub const SMOLLM2: &str = "smollm2-135m-instruct-q4_1.gguf";
pub const QWEN_05B: &str = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";

/// The path of a model file. Without it the tests fail and say how to get it.
pub fn model_path(file: &str) -> PathBuf {
    let folder = std::env::var_os("LUCID_TEST_MODELS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("lucid/models")
    });
    let path = folder.join(file);
    assert!(
        path.is_file(),
        "{} is missing; fetch it with: lucid model pull smollm2-135m qwen2.5-coder-0.5b",
        path.display()
    );
    path
}

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

pub fn user(text: &str) -> String {
    format!("<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")
}

pub fn request(engine: &dyn Engine, text: &str, max_tokens: u32) -> DecodeRequest {
    DecodeRequest {
        layout: vec![Segment { page: None, tokens: engine.tokenize(text, true).unwrap().into() }],
        grammar: None,
        sampling: Sampling::default(),
        max_tokens,
    }
}

pub fn of_tokens(tokens: Vec<Token>, max_tokens: u32) -> DecodeRequest {
    DecodeRequest {
        layout: vec![Segment { page: None, tokens: tokens.into() }],
        grammar: None,
        sampling: Sampling::default(),
        max_tokens,
    }
}

pub fn under(mut request: DecodeRequest, lark: &str) -> DecodeRequest {
    request.grammar = Some(Grammar { lark: lark.into() });
    request
}

/// Decodes and gives all deltas too.
pub fn run(engine: &dyn Engine, request: &DecodeRequest) -> (Decoded, Vec<Delta>) {
    let mut deltas = Vec::new();
    let done = engine
        .decode(request, &CancelFlag::new(), &mut |delta| deltas.push(delta))
        .unwrap_or_else(|e| panic!("{e}"));
    (done, deltas)
}
