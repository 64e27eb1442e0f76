//! [`SentenceBert`]: sentence vectors by a BERT model in this process, run by candle.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use lucid_kernel::port::{Embedder, EngineError};
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

/// The most tokens of a text that count: what the model was trained with.
/// Source: `sentence_bert_config.json` of all-MiniLM-L6-v2.
const MAX_TOKENS: usize = 256;

/// So many tokens, padding included, are computed at once: what fits the caches of a core. With 2,048
/// it was half as fast (2 cores, measured).
const BATCH_TOKENS: usize = 256;

/// The name of the layers in the weights, up to their number.
const LAYER: &str = "encoder.layer.";

/// A BERT model whose mean over all tokens is a text's vector, such as all-MiniLM-L6-v2.
/// Source: Reimers and Gurevych, "Sentence-BERT", 2019, section 3.
pub struct SentenceBert {
    name: String,
    model: BertModel,
    tokenizer: Tokenizer,
    dimensions: usize,
}

impl std::fmt::Debug for SentenceBert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SentenceBert").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SentenceBert {
    /// Loads the model from its weights (safetensors, F32) and its tokenizer (`tokenizer.json`).
    ///
    /// # Errors
    /// [`EngineError::Load`] when a file is missing or damaged, or it is a model of another kind.
    pub fn load(name: &str, weights: &Path, tokenizer: &Path) -> Result<Self, EngineError> {
        let failed = |path: &Path, reason: String| EngineError::Load {
            model: name.to_owned(),
            reason: format!("{}: {reason}", path.display()),
        };
        let bytes = std::fs::read(weights).map_err(|error| failed(weights, error.to_string()))?;
        let in_weights = |error: candle_core::Error| failed(weights, first_line(&error));
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu).map_err(in_weights)?;
        drop(bytes);
        let rows = |tensor: &str| tensors.get(tensor).and_then(|tensor| tensor.dims().first().copied());
        let size = |tensor: &str| {
            rows(tensor).ok_or_else(|| {
                failed(weights, format!("it has no {tensor}; it is not a sentence model of the BERT kind"))
            })
        };
        let hidden_size = size("encoder.layer.0.attention.self.query.weight")?;
        let layers = (0..).take_while(|n| rows(&format!("{LAYER}{n}.output.dense.weight")).is_some());
        let config = Config {
            vocab_size: size("embeddings.word_embeddings.weight")?,
            hidden_size,
            num_hidden_layers: layers.count(),
            num_attention_heads: heads(hidden_size),
            intermediate_size: size("encoder.layer.0.intermediate.dense.weight")?,
            max_position_embeddings: size("embeddings.position_embeddings.weight")?,
            type_vocab_size: size("embeddings.token_type_embeddings.weight")?,
            ..Config::default()
        };
        let mut words =
            Tokenizer::from_file(tokenizer).map_err(|error| failed(tokenizer, error.to_string()))?;
        if words.get_vocab_size(true) > config.vocab_size {
            return Err(failed(tokenizer, "it has more tokens than the model".into()));
        }
        let longest = MAX_TOKENS.min(config.max_position_embeddings);
        let truncation = TruncationParams { max_length: longest, ..TruncationParams::default() };
        words.with_truncation(Some(truncation)).map_err(|error| failed(tokenizer, error.to_string()))?;
        // Texts are padded here, to the longest of their batch.
        words.with_padding(None);
        let builder = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let model = BertModel::load(builder, &config).map_err(in_weights)?;
        Ok(Self { name: name.to_owned(), model, tokenizer: words, dimensions: hidden_size })
    }

    /// The vectors of texts of which the first is the longest, given by their tokens.
    fn forward(&self, texts: &[&[u32]]) -> candle_core::Result<Vec<Vec<f32>>> {
        let longest = texts.iter().map(|tokens| tokens.len()).max().unwrap_or_default();
        let padded = |value: &dyn Fn(u32) -> u32| -> candle_core::Result<Tensor> {
            let flat: Vec<u32> = texts
                .iter()
                .flat_map(|tokens| {
                    let padding = std::iter::repeat_n(0, longest - tokens.len());
                    tokens.iter().map(|token| value(*token)).chain(padding)
                })
                .collect();
            Tensor::from_vec(flat, (texts.len(), longest), &Device::Cpu)
        };
        let (ids, mask) = (padded(&|token| token)?, padded(&|_| 1)?);
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let mask = mask.to_dtype(DType::F32)?.unsqueeze(D::Minus1)?;
        let sum = states.broadcast_mul(&mask)?.sum(1)?;
        let length = sum.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        // The mean has the direction of the sum.
        sum.broadcast_div(&length)?.to_vec2()
    }
}

impl Embedder for SentenceBert {
    fn model(&self) -> String {
        self.name.clone()
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        let failed = |reason: String| EngineError::Failed(format!("{}: {reason}", self.name));
        let encoded = self.tokenizer.encode_batch_fast(texts.to_vec(), true);
        let encoded = encoded.map_err(|error| failed(error.to_string()))?;
        // Texts of one length need no padding, which would be computed like the rest.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(encoded[*at].len()));
        let mut batches: Vec<&[usize]> = Vec::new();
        let mut rest = order.as_slice();
        while let Some(longest) = rest.first() {
            let fits = (BATCH_TOKENS / encoded[*longest].len().max(1)).clamp(1, rest.len());
            let (batch, later) = rest.split_at(fits);
            batches.push(batch);
            rest = later;
        }
        // Side by side, because candle uses one thread for all but products of matrices.
        let forward = |batch: &&[usize]| {
            let tokens: Vec<&[u32]> = batch.iter().map(|at| encoded[*at].get_ids()).collect();
            self.forward(&tokens)
        };
        let made: candle_core::Result<Vec<_>> = batches.par_iter().map(forward).collect();
        let made = made.map_err(|error| failed(first_line(&error)))?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for (at, vector) in order.iter().zip(made.into_iter().flatten()) {
            vectors[*at] = vector;
        }
        Ok(vectors)
    }
}

/// The attention heads of a BERT model of this width: 16 for the large one, 12 for all others.
/// Source: Devlin and others, "BERT", 2019, section 3; Wang and others, "MiniLM", 2020, section 4.
const fn heads(hidden_size: usize) -> usize {
    const LARGE: usize = 1_024;
    if hidden_size == LARGE { 16 } else { 12 }
}

/// An error without the trace that may follow it.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
