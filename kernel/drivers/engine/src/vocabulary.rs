//! A model's tokenizer: text to tokens with and without special tokens, and back.

use lucid_kernel::abi::Token;
use lucid_kernel::port::EngineError;
use lucid_model::llguidance::toktrie::TokEnv;
use lucid_model::plain;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{PreTokenizerWrapper, Tokenizer};

/// Ways to cut text, by their names in GGUF files, that take each digit alone and the rest as
/// GPT-2 does. mistralrs cuts all texts as Qwen and Llama 3 do.
/// Source: llama.cpp, src/llama-vocab.cpp.
const SINGLE_DIGITS: [&str; 7] =
    ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"];

/// The tokenizer of a loaded model.
pub(crate) struct Vocabulary {
    /// Turns the texts of special tokens into those tokens.
    with_special: Tokenizer,
    /// Takes all text as text.
    plain: Tokenizer,
    /// Bytes of each token.
    env: TokEnv,
    /// Ids and texts of all special tokens, in the order of their ids.
    special: Vec<(Token, String)>,
    size: Token,
}

impl Vocabulary {
    /// `pre_tokenizer` is how the model's file says that text is cut.
    pub(crate) fn new(
        tokenizer: &Tokenizer,
        pre_tokenizer: Option<&str>,
        env: TokEnv,
    ) -> Result<Self, String> {
        let mut tokenizer = tokenizer.clone();
        match pre_tokenizer {
            Some("gpt-2") => {
                tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, false, true)));
            }
            Some(name) if SINGLE_DIGITS.contains(&name) => {
                tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![
                    PreTokenizerWrapper::Digits(Digits::new(true)),
                    PreTokenizerWrapper::ByteLevel(ByteLevel::new(false, false, true)),
                ])));
            }
            _ => {}
        }
        let mut plain = tokenizer.clone();
        plain.set_encode_special_tokens(true);
        let mut special: Vec<(Token, String)> = tokenizer
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, token)| (id, token.content))
            .collect();
        special.sort_unstable();
        let size = Token::try_from(tokenizer.get_vocab_size(true)).unwrap_or(Token::MAX);
        Ok(Self { with_special: tokenizer, plain, env, special, size })
    }

    /// Ids and texts of all special tokens.
    pub(crate) fn special(&self) -> &[(Token, String)] {
        &self.special
    }

    /// Whether there is such a token.
    pub(crate) fn contains(&self, token: Token) -> bool {
        token < self.size
    }

    /// The bytes that a token stands for; a special token is written out.
    pub(crate) fn bytes_of(&self, token: Token) -> Vec<u8> {
        self.env.tok_trie().decode(&[token])
    }

    pub(crate) fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        if special {
            return encode(&self.with_special, text);
        }
        plain::tokenize(text, &self.special, &|text| encode(&self.plain, text))
    }

    pub(crate) fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        if let Some(unknown) = tokens.iter().find(|token| !self.contains(**token)) {
            return Err(EngineError::Failed(format!(
                "token {unknown} is not in the vocabulary of {} tokens",
                self.size
            )));
        }
        self.with_special.decode(tokens, false).map_err(|e| {
            EngineError::Failed(format!("{} tokens could not be turned into text: {e}", tokens.len()))
        })
    }
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<Token>, EngineError> {
    let encoding = tokenizer.encode_fast(text, false).map_err(|e| {
        EngineError::Failed(format!("a text of {} bytes could not be turned into tokens: {e}", text.len()))
    })?;
    Ok(encoding.get_ids().to_vec())
}
