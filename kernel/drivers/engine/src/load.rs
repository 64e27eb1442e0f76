//! Loading a model with mistralrs: silently, with what the processor at hand does best, and
//! with every failure told as a reason.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use lucid_kernel::abi::{Token, TokenCount};
use lucid_kernel::port::{ChatTemplate, EngineError};
use lucid_model::gguf::{self, GgufInfo, STOP_TEXTS};
use lucid_model::llguidance::ParserFactory;
use lucid_model::load::{LoadOptions, LoadProgress, ModelSource, ModelSpec};
use mistralrs::Device;
use mistralrs::core::{
    AdapterPaths, AutoDeviceMapParams, AutoLoaderBuilder, DeviceMapSetting, EmbeddingSpecificConfig,
    GGUFLoaderBuilder, GGUFSpecificConfig, Loader, LocalModelPaths, ModelCategory, ModelDType, ModelPaths,
    MultimodalSpecificConfig, NormalSpecificConfig, TokenSource,
};

use crate::runner::SharedPipeline;
use crate::vocabulary::Vocabulary;

/// The architectures that mistralrs 0.8.1 loads from GGUF files.
const LOADABLE: [&str; 8] = ["llama", "mistral3", "phi2", "phi3", "starcoder2", "qwen2", "qwen3", "qwen3moe"];

/// mistralrs' key-value cache grows in steps of this many tokens and refuses a step that
/// would pass the model's window.
const CACHE_STEP_TOKENS: TokenCount = 512;

/// A loaded model and what the engine must know of it.
pub(crate) struct Loaded {
    pub(crate) pipeline: SharedPipeline,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) grammars: Option<Arc<ParserFactory>>,
    pub(crate) template: ChatTemplate,
    pub(crate) architecture: String,
    pub(crate) n_ctx: TokenCount,
    /// Memory of one token in the key-value cache, in bytes.
    pub(crate) kv_bytes_per_token: u64,
    pub(crate) on_cpu: bool,
    /// Tokens with which the model ends its answer.
    pub(crate) stop: Arc<[Token]>,
    /// The token that ends a sequence for mistralrs.
    pub(crate) end: Token,
}

/// Loads a model.
pub(crate) fn load(
    spec: &ModelSpec,
    options: &LoadOptions,
    on_progress: &mut dyn FnMut(LoadProgress),
) -> Result<Loaded, EngineError> {
    let failed = |reason: String| EngineError::Load { model: spec.name.clone(), reason };
    use_threads(options.threads());
    let device =
        mistralrs::best_device(false).map_err(|e| failed(format!("no processor can be used: {e}")))?;
    on_progress(LoadProgress::Inspecting);
    let info = match &spec.source {
        ModelSource::Gguf(path) => Some(inspect(path).map_err(failed)?),
        ModelSource::Hub { .. } => None,
    };
    on_progress(LoadProgress::Weights { bytes: info.as_ref().map(|info| info.bytes) });
    let pipeline = read_weights(spec.source.clone(), device.clone()).map_err(failed)?;
    describe(&pipeline, info, options.window, device.is_cpu()).map_err(failed)
}

fn inspect(path: &Path) -> Result<GgufInfo, String> {
    let info = gguf::inspect(path).map_err(|e| match e {
        EngineError::Load { reason, .. } => format!("{}: {reason}", path.display()),
        other => other.to_string(),
    })?;
    match unloadable(&info) {
        Some(reason) => Err(format!("{}: {reason}", path.display())),
        None => Ok(info),
    }
}

/// Why mistralrs could not load the file, in words; none when it can.
fn unloadable(info: &GgufInfo) -> Option<String> {
    if !LOADABLE.contains(&info.architecture.as_str()) {
        return Some(format!(
            "its architecture is {}; this engine loads {}",
            info.architecture,
            LOADABLE.join(", ")
        ));
    }
    if info.missing.is_empty() {
        return None;
    }
    Some(format!(
        "the file does not state {}; use a file that does, such as one made by a newer converter",
        info.missing.join(", ")
    ))
}

/// Candle takes its threads from rayon's global pool, which can be set up once only: a pool
/// that is there already stays as it is.
fn use_threads(threads: usize) {
    let name = |n| format!("lucid-compute-{n}");
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(name).build_global();
}

/// Reads the weights on a thread of its own: mistralrs panics on some files, and fetching
/// from the hub must not happen inside an async runtime.
fn read_weights(source: ModelSource, device: Device) -> Result<SharedPipeline, String> {
    let read = move || match source {
        ModelSource::Gguf(path) => read_gguf(&path, &device),
        ModelSource::Hub { repository, revision } => read_hub(repository, revision, &device),
    };
    let reader = thread::Builder::new()
        .name("lucid-engine-load".into())
        .spawn(read)
        .map_err(|e| format!("a thread could not start: {e}"))?;
    reader.join().unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Err(format!("mistralrs gave up: {message}"))
    })
}

/// F32 on a CPU, where it decodes 30 % faster than F16; what the device likes best elsewhere.
fn placement(device: &Device) -> (ModelDType, DeviceMapSetting) {
    if device.is_cpu() {
        (ModelDType::F32, DeviceMapSetting::dummy())
    } else {
        (ModelDType::Auto, DeviceMapSetting::Auto(AutoDeviceMapParams::default_text()))
    }
}

fn read_gguf(path: &Path, device: &Device) -> Result<SharedPipeline, String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let loader = GGUFLoaderBuilder::new(
        None,
        None,
        name.clone(),
        vec![name],
        GGUFSpecificConfig::default(),
        false,
        None,
    )
    .build();
    // Named paths, so that nothing is looked up on the hub: tokenizer and template are in the file.
    let paths: Box<dyn ModelPaths> = Box::new(LocalModelPaths {
        tokenizer_filename: PathBuf::new(),
        config_filename: PathBuf::new(),
        template_filename: None,
        filenames: vec![path.to_path_buf()],
        adapter_paths: AdapterPaths::None,
        gen_conf: None,
        preprocessor_config: None,
        processor_config: None,
        chat_template_json_filename: None,
    });
    let (dtype, mapper) = placement(device);
    loader
        .load_model_from_path(&paths, &dtype, device, true, mapper, None, None)
        .map_err(|e| format!("{e:#}"))
}

fn read_hub(repository: String, revision: Option<String>, device: &Device) -> Result<SharedPipeline, String> {
    let loader: Box<dyn Loader> = AutoLoaderBuilder::new(
        NormalSpecificConfig::default(),
        MultimodalSpecificConfig::default(),
        EmbeddingSpecificConfig::default(),
        None,
        None,
        repository,
        false,
        None,
    )
    .build();
    let (dtype, mapper) = placement(device);
    loader
        .load_model_from_hf(revision, TokenSource::CacheToken, &dtype, device, true, mapper, None, None)
        .map_err(|e| format!("{e:#}"))
}

/// Takes from the loaded model what the engine must know.
fn describe(
    pipeline: &SharedPipeline,
    info: Option<GgufInfo>,
    window: Option<TokenCount>,
    on_cpu: bool,
) -> Result<Loaded, String> {
    let model = pipeline.try_lock().map_err(|_| "mistralrs still holds it after loading".to_owned())?;
    if !matches!(model.category(), ModelCategory::Text | ModelCategory::Multimodal { .. }) {
        return Err("it is not a model that writes text".into());
    }
    let metadata = model.get_metadata();
    let tokenizer = model.tokenizer().ok_or("it has no tokenizer")?;
    let bytes = metadata.tok_env().ok_or("its tokenizer is of a kind that cannot be used here")?;
    let pre_tokenizer = info.as_ref().and_then(|info| info.pre_tokenizer.as_deref());
    let vocabulary = Vocabulary::new(&tokenizer, pre_tokenizer, bytes)?;
    let own = match &info {
        Some(info) => info.n_ctx.ok_or("it does not state its window")?,
        None => TokenCount::try_from(metadata.max_seq_len).unwrap_or(TokenCount::MAX),
    };
    let usable = if own < CACHE_STEP_TOKENS { own } else { own - own % CACHE_STEP_TOKENS };
    let number_bytes = metadata.activation_dtype.size_in_bytes() as u64;
    let kv_bytes_per_token = match (&info, &metadata.model_metadata) {
        (Some(info), _) => info.kv_numbers_per_token * number_bytes,
        (None, Some(sizes)) => {
            let heads = (sizes.num_layers() * sizes.num_kv_heads()) as u64;
            heads * (sizes.k_head_dim() + sizes.v_head_dim()) as u64 * number_bytes
        }
        (None, None) => return Err("it does not state the size of its heads".into()),
    };
    let template = match &info {
        Some(info) => ChatTemplate {
            source: info.chat_template.clone(),
            bos: info.bos.as_ref().map(|token| token.text.clone()).unwrap_or_default(),
            eos: info.eos.as_ref().map(|token| token.text.clone()).unwrap_or_default(),
        },
        None => hub_template(model.get_chat_template().as_deref()),
    };
    let stop = stop_tokens(info.as_ref(), &metadata.eos_tok, &vocabulary);
    let end =
        end_token(&stop, &template, &vocabulary).ok_or("it has no special token to end an answer with")?;
    let grammars = metadata.llg_factory.clone();
    drop(model);
    Ok(Loaded {
        pipeline: Arc::clone(pipeline),
        vocabulary,
        grammars,
        template,
        architecture: info.map(|info| info.architecture).unwrap_or_default(),
        n_ctx: window.map_or(usable, |limit| limit.min(usable)),
        kv_bytes_per_token,
        on_cpu,
        stop: stop.into(),
        end,
    })
}

/// The chat template of a model from the hub, as mistralrs read it.
fn hub_template(template: Option<&mistralrs::core::ChatTemplate>) -> ChatTemplate {
    let Some(template) = template else { return ChatTemplate::default() };
    let source = template.chat_template.as_ref().and_then(|value| {
        let named = |entries: &Vec<HashMap<String, String>>| {
            let default =
                entries.iter().find(|entry| entry.get("name").is_some_and(|name| name == "default"));
            default.and_then(|entry| entry.get("template")).cloned()
        };
        value.0.as_ref().either(|source| Some(source.clone()), named)
    });
    ChatTemplate {
        source,
        bos: template.bos_tok().unwrap_or_default(),
        eos: template.eos_tok().unwrap_or_default(),
    }
}

fn stop_tokens(info: Option<&GgufInfo>, eos: &[Token], vocabulary: &Vocabulary) -> Vec<Token> {
    let named =
        info.map(|info| info.stop.iter().map(|token| token.id).collect::<Vec<_>>()).unwrap_or_default();
    let usual = vocabulary
        .special()
        .iter()
        .filter(|(_, text)| STOP_TEXTS.contains(&text.as_str()))
        .map(|(id, _)| *id);
    let mut stop: Vec<Token> = named.into_iter().chain(eos.iter().copied()).chain(usual).collect();
    stop.sort_unstable();
    stop.dedup();
    stop
}

/// The token that ends a sequence for mistralrs. Its keys and values are never computed though
/// mistralrs caches the sequence as if they were, so it must be one that no prompt goes on
/// with: a stop token or else any special token that the chat template does not write.
fn end_token(stop: &[Token], template: &ChatTemplate, vocabulary: &Vocabulary) -> Option<Token> {
    let written = |text: &str| {
        text == template.eos
            || text == template.bos
            || template.source.as_ref().is_some_and(|source| source.contains(text))
    };
    let unwritten = |stops: bool| {
        vocabulary
            .special()
            .iter()
            .find(|(id, text)| stop.contains(id) == stops && !written(text))
            .map(|(id, _)| *id)
    };
    unwritten(true).or_else(|| unwritten(false)).or_else(|| stop.first().copied())
}
