//! A model's tokenizer: text to tokens with and without special tokens, and back.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::model::{LlamaModel, VocabType};
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token_type::LlamaTokenAttr;
use lucid_kernel::abi::Token;
use lucid_kernel::port::EngineError;
use lucid_model::llguidance::ParserFactory;
use lucid_model::llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use lucid_model::plain;

use crate::load::backend;
use crate::words::{SPLITTERS, Tokenizer, Words};

/// The tokenizer of a loaded model.
pub(crate) struct Vocabulary {
    model: Arc<LlamaModel>,
    /// Ids and texts of all special tokens, in the order of their ids.
    special: Vec<(Token, String)>,
    size: Token,
    words: Option<Words>,
    /// Made while the weights are read, or when the first grammar comes: it looks at every token
    /// of the vocabulary.
    grammars: OnceLock<Result<ParserFactory, String>>,
}

/// What makes matchers of grammars, made before the model is there.
pub(crate) struct Early {
    env: Arc<Env>,
    factory: ParserFactory,
}

impl Early {
    /// Reads a model's vocabulary alone, and makes of it what matchers are made with. None when
    /// that fails, which loading the model will tell better.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let params = LlamaModelParams::default().with_vocab_only(true);
        let model = LlamaModel::load_from_file(backend().ok()?, path, &params).ok()?;
        let size = Token::try_from(model.n_vocab()).ok()?;
        let env = Arc::new(Env::new(&model, size));
        let shared: TokEnv = env.clone();
        Some(Self { factory: ParserFactory::new_simple(&shared).ok()?, env })
    }
}

impl Vocabulary {
    /// The tokenizer of a model, with what was made of its vocabulary already.
    pub(crate) fn new(model: Arc<LlamaModel>, early: Option<Early>) -> Self {
        let size = Token::try_from(model.n_vocab()).unwrap_or(0);
        let special = (0..size).filter_map(|token| mark(&model, token).map(|text| (token, text))).collect();
        let grammars = OnceLock::new();
        if let Some(Early { env, factory }) = early {
            // Set once, here.
            let _ = (env.model.set(Arc::clone(&model)), grammars.set(Ok(factory)));
        }
        let words = words_of(&model, size);
        Self { model, special, size, words, grammars }
    }

    /// Whether there is such a token.
    pub(crate) const fn contains(&self, token: Token) -> bool {
        token < self.size
    }

    /// How many tokens there are.
    pub(crate) const fn size(&self) -> usize {
        self.size as usize
    }

    /// Tokens with which the model ends an answer.
    pub(crate) fn ends(&self) -> impl Iterator<Item = Token> + '_ {
        (0..self.size).filter(|token| self.model.vocab().is_eog(native(*token)))
    }

    /// The bytes that a token stands for; a special token is written out.
    pub(crate) fn bytes_of(&self, token: Token) -> Vec<u8> {
        if self.contains(token) { piece(&self.model, token) } else { Vec::new() }
    }

    pub(crate) fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        if special {
            return Ok(encode(&self.model, text.as_bytes(), true));
        }
        let model: &LlamaModel = &self.model;
        plain::tokenize(text, &self.special, &|text| {
            Ok(self.words.as_ref().map_or_else(|| model.encode(text), |words| words.encode(text, model)))
        })
    }

    pub(crate) fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        if let Some(unknown) = tokens.iter().find(|token| !self.contains(**token)) {
            return Err(EngineError::Failed(format!(
                "token {unknown} is not in the vocabulary of {} tokens",
                self.size
            )));
        }
        let tokens: Vec<LlamaToken> = tokens.iter().map(|token| native(*token)).collect();
        let bytes = self.model.vocab().detokenize(&tokens, false, true);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What makes matchers of grammars over this vocabulary.
    pub(crate) fn grammars(&self) -> Result<&ParserFactory, EngineError> {
        let made = self.grammars.get_or_init(|| {
            let env = Env::new(&self.model, self.size);
            let _ = env.model.set(Arc::clone(&self.model));
            let env: TokEnv = Arc::new(env);
            ParserFactory::new_simple(&env).map_err(|error| format!("{error:#}"))
        });
        made.as_ref().map_err(|reason| EngineError::Grammar(reason.clone()))
    }
}

/// llama.cpp's name of a token.
pub(crate) const fn native(token: Token) -> LlamaToken {
    LlamaToken(token.cast_signed())
}

/// The text of a token that stands for a mark, which no text may become: those that frame
/// messages, and those that were added for marks of other kinds (`<tool_call>`). Runs of white
/// space are added too in some vocabularies; they are text.
fn mark(model: &LlamaModel, token: Token) -> Option<String> {
    let vocab = model.vocab();
    let is_control = vocab.is_control(native(token));
    if !is_control && !vocab.attr(native(token)).contains(LlamaTokenAttr::UserDefined) {
        return None;
    }
    let text = String::from_utf8_lossy(&piece(model, token)).into_owned();
    (is_control || !text.trim().is_empty()).then_some(text)
}

/// What keeps the tokens of words, where the model's tokenizer allows it.
pub(crate) fn words_of(model: &LlamaModel, size: Token) -> Option<Words> {
    let vocab = model.vocab();
    let is_added = |token: &Token| vocab.attr(native(*token)).contains(LlamaTokenAttr::UserDefined);
    let text = |token: Token| String::from_utf8_lossy(&piece(model, token)).into_owned();
    let added = (0..size).filter(is_added).map(text);
    let splitter = model.meta_val_str("tokenizer.ggml.pre").unwrap_or_default();
    let splits_words = vocab.vocab_type() == VocabType::BPE && SPLITTERS.contains(&splitter.as_str());
    Words::of(splits_words, added, model)
}

impl Tokenizer for LlamaModel {
    fn encode(&self, text: &str) -> Vec<Token> {
        encode(self, text.as_bytes(), false)
    }

    fn bytes(&self, token: Token) -> usize {
        piece(self, token).len()
    }
}

fn encode(model: &LlamaModel, text: &[u8], special: bool) -> Vec<Token> {
    let tokens = model.vocab().tokenize(text, false, special);
    tokens.into_iter().map(|token| token.0.cast_unsigned()).collect()
}

fn piece(model: &LlamaModel, token: Token) -> Vec<u8> {
    model.vocab().token_to_piece(native(token), true, None)
}

/// The vocabulary as llguidance wants it.
struct Env {
    /// Set once it is loaded; matchers are made after that.
    model: OnceLock<Arc<LlamaModel>>,
    trie: TokTrie,
}

impl Env {
    fn new(model: &LlamaModel, size: Token) -> Self {
        let vocab = model.vocab();
        let ends: Vec<TokenId> = (0..size).filter(|token| vocab.is_eog(native(*token))).collect();
        let words: Vec<Vec<u8>> = (0..size)
            .map(|token| {
                let text = piece(model, token);
                // Grammars name special tokens by this mark; text never matches them.
                let is_special = vocab.is_control(native(token));
                if is_special { [&[TokTrie::SPECIAL_TOKEN_MARKER], text.as_slice()].concat() } else { text }
            })
            .collect();
        let end = vocab.eos().0.cast_unsigned();
        let trie = TokTrie::from(&TokRxInfo::new(size, end), &words).with_eos_tokens(&ends);
        Self { model: OnceLock::new(), trie }
    }
}

impl TokenizerEnv for Env {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        match self.model.get() {
            Some(model) => {
                let encode = |text: &str| encode(model, text.as_bytes(), false);
                self.trie.tokenize_with_greedy_fallback(bytes, encode)
            }
            None => self.trie.greedy_tokenize(bytes),
        }
    }
}
