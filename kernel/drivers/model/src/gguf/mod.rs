//! What a GGUF file says of its model, read without loading it: window, layers, memory a
//! token costs, chat template, stop tokens. A damaged file is an error, never a panic.

mod read;

use std::path::Path;

use lucid_kernel::abi::{Token, TokenCount};
use lucid_kernel::port::EngineError;

use self::read::{Header, Value};

/// Texts of tokens that end an answer in the chat formats in use.
pub const STOP_TEXTS: [&str; 9] = [
    "<|im_end|>",
    "<|endoftext|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "<end_of_turn>",
    "</s>",
    "<eos>",
];

/// The token type that the format gives ordinary text.
const NORMAL_TOKEN: u64 = 1;

/// A special token of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecialToken {
    /// Its id.
    pub id: Token,
    /// Its text, such as `<|im_end|>`.
    pub text: String,
}

/// What a GGUF file says of its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufInfo {
    /// The architecture, such as `qwen2`.
    pub architecture: String,
    /// The model's own name, if the file has one.
    pub name: Option<String>,
    /// The window in tokens; none when the file does not state it.
    pub n_ctx: Option<TokenCount>,
    /// Transformer layers.
    pub n_layers: u32,
    /// Key-value heads of all layers together.
    pub n_kv_heads: u64,
    /// Numbers in one key head.
    pub head_dim: u32,
    /// Bytes of the file.
    pub bytes: u64,
    /// The Jinja chat template, if the file has one.
    pub chat_template: Option<String>,
    /// How text is cut before it becomes tokens, by the name that llama.cpp gave it (`qwen2`).
    pub pre_tokenizer: Option<String>,
    /// The begin-of-text token, if any.
    pub bos: Option<SpecialToken>,
    /// The end-of-text token, if any.
    pub eos: Option<SpecialToken>,
    /// All tokens that end an answer: the end-of-text token first, then those of the usual
    /// chat formats that the vocabulary has.
    pub stop: Vec<SpecialToken>,
    /// Numbers that one token takes in the key-value cache.
    pub kv_numbers_per_token: u64,
    /// Keys that every file should have and this one lacks.
    pub missing: Vec<String>,
}

/// Reads what the file says of its model.
///
/// # Errors
/// [`EngineError::Load`] when the file is missing, cut off, damaged, or no GGUF file.
pub fn inspect(path: &Path) -> Result<GgufInfo, EngineError> {
    describe(path).map_err(|reason| EngineError::Load { model: path.display().to_string(), reason })
}

fn describe(path: &Path) -> Result<GgufInfo, String> {
    let mut header = Header::read(path)?;
    if let Some(parts) = header.metadata.get("split.count").and_then(Value::count).filter(|n| *n > 1) {
        return Err(format!("it is one of {parts} parts of a split model; join them with gguf-split first"));
    }
    let architecture = text(&header, "general.architecture").ok_or("it does not name its architecture")?;
    let key = |name: &str| format!("{architecture}.{name}");
    let layers = count(&header, &key("block_count"))?.unwrap_or(0);
    let heads = count(&header, &key("attention.head_count"))?.unwrap_or(0);
    let width = count(&header, &key("embedding_length"))?.unwrap_or(0);
    let kv_heads = match header.metadata.get(&key("attention.head_count_kv")).cloned() {
        Some(Value::Array(array)) => header.sum(array)?,
        Some(value) => value.count().ok_or("its number of heads is no number")?.saturating_mul(layers),
        None => heads.saturating_mul(layers),
    };
    let even = width.checked_div(heads).unwrap_or(0);
    let key_dim = count(&header, &key("attention.key_length"))?.unwrap_or(even);
    let value_dim = count(&header, &key("attention.value_length"))?.unwrap_or(even);
    let n_ctx = count(&header, &key("context_length"))?.filter(|n| *n > 0);
    let missing = missing_keys(&header, &architecture);
    let specials = Specials::read(&mut header)?;
    Ok(GgufInfo {
        name: text(&header, "general.name"),
        n_ctx: n_ctx.map(|n| TokenCount::try_from(n).unwrap_or(TokenCount::MAX)),
        n_layers: narrow(layers)?,
        n_kv_heads: kv_heads,
        head_dim: narrow(key_dim)?,
        bytes: header.file_bytes(),
        chat_template: text(&header, "tokenizer.chat_template"),
        pre_tokenizer: text(&header, "tokenizer.ggml.pre"),
        bos: specials.bos,
        eos: specials.eos,
        stop: specials.stop,
        kv_numbers_per_token: kv_heads.saturating_mul(key_dim.saturating_add(value_dim)),
        missing,
        architecture,
    })
}

/// The keys that no engine should have to guess and that the file lacks.
fn missing_keys(header: &Header, architecture: &str) -> Vec<String> {
    let own = [
        "context_length",
        "block_count",
        "embedding_length",
        "attention.head_count",
        "attention.head_count_kv",
    ];
    let common = ["tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.eos_token_id"];
    own.iter()
        .map(|name| format!("{architecture}.{name}"))
        .chain(common.iter().map(|name| (*name).to_owned()))
        .filter(|key| !header.metadata.contains_key(key))
        .collect()
}

/// The special tokens that matter for chat.
struct Specials {
    bos: Option<SpecialToken>,
    eos: Option<SpecialToken>,
    stop: Vec<SpecialToken>,
}

impl Specials {
    fn read(header: &mut Header) -> Result<Self, String> {
        let id = |name: &str| count(header, &format!("tokenizer.ggml.{name}_token_id"));
        let (bos_id, eos_id) = (id("bos")?, id("eos")?);
        let ends = [eos_id, id("eot")?, id("eom")?];
        let (mut bos, mut eos, mut stop) = (None, None, Vec::new());
        let Some(Value::Array(tokens)) = header.metadata.get("tokenizer.ggml.tokens").cloned() else {
            return Ok(Self { bos, eos, stop });
        };
        for named in [bos_id, eos_id].into_iter().flatten() {
            if named >= tokens.len {
                return Err(format!(
                    "it names token {named} of a vocabulary of {}: it is damaged",
                    tokens.len
                ));
            }
        }
        header.for_each_text(tokens, |index, text| {
            let Ok(id) = Token::try_from(index) else { return };
            let token = SpecialToken { id, text };
            if bos_id == Some(index) {
                bos = Some(token.clone());
            }
            if eos_id == Some(index) {
                eos = Some(token.clone());
            }
            if ends.contains(&Some(index)) || STOP_TEXTS.contains(&token.text.as_str()) {
                stop.push(token);
            }
        })?;
        if let Some(Value::Array(types)) = header.metadata.get("tokenizer.ggml.token_type").cloned() {
            let mut special = Vec::new();
            for token in stop {
                // A vocabulary may hold `</s>` as ordinary text.
                let id = u64::from(token.id);
                if ends.contains(&Some(id)) || header.number_at(types, id)? != Some(NORMAL_TOKEN) {
                    special.push(token);
                }
            }
            stop = special;
        }
        stop.sort_by_key(|token| Some(u64::from(token.id)) != eos_id);
        Ok(Self { bos, eos, stop })
    }
}

fn text(header: &Header, key: &str) -> Option<String> {
    header.metadata.get(key).and_then(Value::text).map(str::to_owned)
}

fn count(header: &Header, key: &str) -> Result<Option<u64>, String> {
    match header.metadata.get(key) {
        None => Ok(None),
        Some(value) => {
            value.count().map(Some).ok_or_else(|| format!("its {key} is no number: it is damaged"))
        }
    }
}

fn narrow(n: u64) -> Result<u32, String> {
    u32::try_from(n).map_err(|_| format!("it claims a size of {n}: it is damaged"))
}
