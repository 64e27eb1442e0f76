//! Loading a model with llama.cpp: silently, and with every failure told as a reason.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use lucid_kernel::abi::{Token, TokenCount};
use lucid_kernel::port::{ChatTemplate, EngineError};
use lucid_model::gguf::{self, GgufInfo};
use lucid_model::load::{LoadOptions, LoadProgress, ModelSource, ModelSpec, free_memory};

use crate::small::same_tokens;
use crate::vocabulary::{Early, Vocabulary};

/// Bytes of one number in the key-value cache (F16).
const CACHE_NUMBER_BYTES: u64 = 2;
/// A window is never made smaller than this for want of memory, in tokens.
const WINDOW_MIN: TokenCount = 2048;

/// A loaded model and what the engine must know of it.
pub(crate) struct Loaded {
    pub(crate) model: Arc<LlamaModel>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) template: ChatTemplate,
    pub(crate) architecture: String,
    /// Its file.
    pub(crate) path: PathBuf,
    pub(crate) n_ctx: TokenCount,
    /// Memory of one token in the key-value cache, in bytes.
    pub(crate) kv_bytes_per_token: u64,
    /// Tokens with which the model ends its answer.
    pub(crate) stop: Arc<[Token]>,
}

/// llama.cpp itself, which is started once for the whole process and never stopped.
pub(crate) fn backend() -> Result<&'static LlamaBackend, String> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let started = BACKEND.get_or_init(|| {
        let mut backend = LlamaBackend::init().map_err(|error| error.to_string())?;
        backend.void_logs();
        Ok(backend)
    });
    started.as_ref().map_err(|reason| format!("llama.cpp does not start: {reason}"))
}

/// Held while a model is read or a context is made: llama.cpp writes to the model meanwhile.
pub(crate) static LOADING: Mutex<()> = Mutex::new(());

/// Loads a model.
pub(crate) fn load(
    spec: &ModelSpec,
    options: &LoadOptions,
    on_progress: &mut dyn FnMut(LoadProgress),
) -> Result<Loaded, EngineError> {
    let failed = |reason: String| EngineError::Load { model: spec.name.clone(), reason };
    let ModelSource::Gguf(path) = &spec.source else {
        return Err(failed("llama.cpp loads GGUF files only; use the engine mistralrs for it".into()));
    };
    on_progress(LoadProgress::Inspecting);
    let info = inspect(path).map_err(failed)?;
    on_progress(LoadProgress::Weights { bytes: Some(info.bytes) });
    // The table of tokens that grammars need takes half as long as the weights; what reads those
    // waits for the disk and computes on one core.
    let (early, model) = thread::scope(|scope| {
        let early = scope.spawn(|| Early::read(path));
        let model = read_weights(path);
        (early.join().ok().flatten(), model)
    });
    let model = Arc::new(model.map_err(failed)?);
    describe(model, early, path, info, options).map_err(failed)
}

fn inspect(path: &Path) -> Result<GgufInfo, String> {
    let info = gguf::inspect(path).map_err(|error| match error {
        EngineError::Load { reason, .. } => format!("{}: {reason}", path.display()),
        other => other.to_string(),
    })?;
    if !info.missing.is_empty() {
        return Err(format!("{}: the file does not state {}", path.display(), info.missing.join(", ")));
    }
    let free = free_memory();
    if free > 0 && info.bytes > free {
        let mib = |bytes: u64| bytes >> 20;
        return Err(format!(
            "it needs {} MiB of memory and {} MiB are free; use a smaller model, or end other programs",
            mib(info.bytes),
            mib(free)
        ));
    }
    Ok(info)
}

/// Loads the model that drafts for another one.
pub(crate) fn load_small(spec: &ModelSpec, large: &LlamaModel) -> Result<Arc<LlamaModel>, String> {
    let ModelSource::Gguf(path) = &spec.source else {
        return Err(format!("{} cannot draft: it is no GGUF file", spec.name));
    };
    inspect(path)?;
    let small = read_weights(path)?;
    if !same_tokens(large, &small) {
        return Err(format!(
            "{} cannot draft: it has other tokens; name a model of the same family",
            spec.name
        ));
    }
    Ok(Arc::new(small))
}

/// Reads the weights into memory. Mapping the file would start faster, but a file that is cut
/// while it is mapped kills the process.
fn read_weights(path: &Path) -> Result<LlamaModel, String> {
    let backend = backend()?;
    let _alone = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    let params = LlamaModelParams::default().with_use_mmap(false);
    LlamaModel::load_from_file(backend, path, &params).map_err(|error| {
        format!(
            "{}: llama.cpp cannot load it: {error}; `--engine mistralrs` may know its kind",
            path.display()
        )
    })
}

/// Takes from the loaded model what the engine must know.
fn describe(
    model: Arc<LlamaModel>,
    early: Option<Early>,
    path: &Path,
    info: GgufInfo,
    options: &LoadOptions,
) -> Result<Loaded, String> {
    let vocabulary = Vocabulary::new(Arc::clone(&model), early);
    let own = info.n_ctx.ok_or("it does not state its window")?;
    let kv_bytes_per_token = (info.kv_numbers_per_token * CACHE_NUMBER_BYTES).max(1);
    // The cells of the whole window are there from the start.
    let room = options.cache_bytes() / kv_bytes_per_token;
    let room = TokenCount::try_from(room).unwrap_or(TokenCount::MAX).max(WINDOW_MIN);
    let text = |token: Option<gguf::SpecialToken>| token.map(|token| token.text).unwrap_or_default();
    let mut stop: Vec<Token> = info.stop.iter().map(|token| token.id).chain(vocabulary.ends()).collect();
    stop.sort_unstable();
    stop.dedup();
    Ok(Loaded {
        model,
        vocabulary,
        template: ChatTemplate { source: info.chat_template, bos: text(info.bos), eos: text(info.eos) },
        architecture: info.architecture,
        path: path.to_path_buf(),
        n_ctx: own.min(room).min(options.window.unwrap_or(TokenCount::MAX)),
        kv_bytes_per_token,
        stop: stop.into(),
    })
}
