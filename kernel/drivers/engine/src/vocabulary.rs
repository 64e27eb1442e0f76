//! A model's tokenizer: text to tokens with and without special tokens, and back.

use std::sync::Arc;

use lucid_kernel::abi::Token;
use lucid_kernel::port::EngineError;
use mistralrs::core::llguidance::toktrie::TokEnv;
use tokenizers::Tokenizer;

/// The tokenizer of a loaded model.
pub(crate) struct Vocabulary {
    /// Turns the texts of special tokens into those tokens.
    with_special: Arc<Tokenizer>,
    /// Takes all text as text.
    plain: Tokenizer,
    /// Bytes of each token.
    env: TokEnv,
    /// Ids and texts of all special tokens, in the order of their ids.
    special: Vec<(Token, String)>,
    size: Token,
}

impl Vocabulary {
    pub(crate) fn new(tokenizer: Arc<Tokenizer>, env: TokEnv) -> Self {
        let mut plain = Tokenizer::clone(&tokenizer);
        plain.set_encode_special_tokens(true);
        let mut special: Vec<(Token, String)> = tokenizer
            .get_added_tokens_decoder()
            .into_iter()
            .filter(|(_, token)| token.special)
            .map(|(id, token)| (id, token.content))
            .collect();
        special.sort_unstable();
        let size = Token::try_from(tokenizer.get_vocab_size(true)).unwrap_or(Token::MAX);
        Self { with_special: tokenizer, plain, env, special, size }
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
        let tokens = encode(&self.plain, text)?;
        if !tokens.iter().any(|token| self.is_special(*token)) {
            return Ok(tokens);
        }
        self.tokenize_in_pieces(text)
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

    fn is_special(&self, token: Token) -> bool {
        self.special.binary_search_by_key(&token, |(id, _)| *id).is_ok()
    }

    /// Some vocabularies hold special tokens as ordinary pieces too, so that plain text could
    /// become one: such text is cut inside each special token's text first.
    fn tokenize_in_pieces(&self, text: &str) -> Result<Vec<Token>, EngineError> {
        let mut cuts: Vec<usize> = Vec::new();
        for (_, content) in self.special.iter().filter(|(_, content)| content.chars().count() > 1) {
            let first = content.chars().next().map_or(1, char::len_utf8);
            cuts.extend(text.match_indices(content.as_str()).map(|(at, _)| at + first));
        }
        cuts.push(text.len());
        cuts.sort_unstable();
        cuts.dedup();
        let mut tokens = Vec::new();
        let mut from = 0;
        for cut in cuts {
            tokens.extend(encode(&self.plain, &text[from..cut])?);
            from = cut;
        }
        if let Some(forged) = tokens.iter().find(|token| self.is_special(**token)) {
            return Err(EngineError::Failed(format!(
                "the text cannot be taken as plain text: it always becomes the special token {forged}"
            )));
        }
        Ok(tokens)
    }
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<Token>, EngineError> {
    let encoding = tokenizer.encode_fast(text, false).map_err(|e| {
        EngineError::Failed(format!("a text of {} bytes could not be turned into tokens: {e}", text.len()))
    })?;
    Ok(encoding.get_ids().to_vec())
}
