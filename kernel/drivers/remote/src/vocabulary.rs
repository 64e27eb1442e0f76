//! The tokens of a remote engine: those of text, and its own for who speaks.
//!
//! A server takes messages, not tokens. So that the kernel can lay out a window all the same,
//! this engine writes messages in ChatML of its own; what the kernel laid out is cut back into
//! messages at these tokens, which no text can become.

use std::sync::Arc;

use lucid_kernel::abi::Token;
use lucid_kernel::port::{ChatTemplate, EngineError};

use crate::tokens::TextTokens;

/// Opens a message.
pub(crate) const OPEN: Token = FIRST_SPECIAL;
/// Closes a message.
pub(crate) const CLOSE: Token = FIRST_SPECIAL + 1;

/// Ids of special tokens begin here.
const FIRST_SPECIAL: Token = 0xff00_0000;
/// The texts of the special tokens, in the order of their ids.
const SPECIAL: [&str; 3] = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"];

/// Every role has a framing of its own.
const TEMPLATE: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}\
<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Text and special tokens.
#[derive(Clone)]
pub(crate) struct Vocabulary {
    text: Arc<dyn TextTokens>,
}

impl Vocabulary {
    pub(crate) fn new(text: Arc<dyn TextTokens>) -> Self {
        Self { text }
    }

    pub(crate) fn chat_template() -> ChatTemplate {
        ChatTemplate { source: Some(TEMPLATE.into()), bos: String::new(), eos: SPECIAL[1].into() }
    }

    pub(crate) fn tokenize(&self, text: &str, special: bool) -> Vec<Token> {
        if !special {
            return self.text.encode(text);
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some((at, id, mark)) = first_special(rest) {
            tokens.extend(self.text.encode(&rest[..at]));
            tokens.push(id);
            rest = &rest[at + mark.len()..];
        }
        tokens.extend(self.text.encode(rest));
        tokens
    }

    pub(crate) fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        let mut bytes = Vec::with_capacity(tokens.len() * 4);
        for run in tokens.split_inclusive(|token| *token >= FIRST_SPECIAL) {
            let (plain, mark) = match run.split_last() {
                Some((last, plain)) if *last >= FIRST_SPECIAL => (plain, Some(*last)),
                _ => (run, None),
            };
            bytes.extend(self.text.decode(plain).map_err(|error| unknown(error.0))?);
            if let Some(id) = mark {
                bytes.extend(text_of(id).ok_or_else(|| unknown(id))?.as_bytes());
            }
        }
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }
}

fn unknown(token: Token) -> EngineError {
    EngineError::Failed(format!("token {token} is not in the vocabulary"))
}

fn text_of(id: Token) -> Option<&'static str> {
    SPECIAL.get(id.checked_sub(FIRST_SPECIAL)? as usize).copied()
}

fn first_special(text: &str) -> Option<(usize, Token, &'static str)> {
    (FIRST_SPECIAL..).zip(SPECIAL).filter_map(|(id, mark)| Some((text.find(mark)?, id, mark))).min()
}
