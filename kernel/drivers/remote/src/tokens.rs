//! Tokens for counting: a server's own tokenizer is seldom at hand, so texts are counted by a
//! tokenizer that is near it.

use std::sync::LazyLock;

use lucid_kernel::abi::Token;
use tiktoken_rs::CoreBPE;

/// A token that a tokenizer does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("token {0} is not in the vocabulary")]
pub struct UnknownToken(pub Token);

/// Text to tokens and back, none of them special.
///
/// Promises: ids are below `0xff00_0000`; the decoded bytes of an encoded text are that text.
pub trait TextTokens: Send + Sync {
    /// Text to tokens; all text is text.
    fn encode(&self, text: &str) -> Vec<Token>;

    /// Tokens to the bytes of their text. A single token may hold a part of a character.
    ///
    /// # Errors
    /// [`UnknownToken`].
    fn decode(&self, tokens: &[Token]) -> Result<Vec<u8>, UnknownToken>;
}

/// The vocabulary `o200k`: near in size to those of most models that servers run. Its data is
/// part of the program; nothing is fetched.
#[derive(Debug, Clone, Copy, Default)]
pub struct O200k;

/// Made once, in some tenths of a second.
static O200K: LazyLock<Option<CoreBPE>> = LazyLock::new(|| tiktoken_rs::o200k_base().ok());

/// The tokenizer is given at most so much at once, in bytes: its work grows with the square of
/// an unbroken run, and its pattern gives up on very long ones.
const MAX_PIECE_BYTES: usize = 4096;

/// Ids from here on are single bytes, for the case that the vocabulary cannot be had.
const FIRST_BYTE: Token = 0x00ff_0000;

impl TextTokens for O200k {
    fn encode(&self, text: &str) -> Vec<Token> {
        let Some(bpe) = O200K.as_ref() else {
            return text.bytes().map(|byte| FIRST_BYTE + Token::from(byte)).collect();
        };
        let mut tokens = Vec::with_capacity(text.len() / 3);
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(cut(rest));
            tokens.extend(bpe.encode_ordinary(piece));
            rest = more;
        }
        tokens
    }

    fn decode(&self, tokens: &[Token]) -> Result<Vec<u8>, UnknownToken> {
        let Some(bpe) = O200K.as_ref() else {
            return tokens
                .iter()
                .map(|token| {
                    token
                        .checked_sub(FIRST_BYTE)
                        .and_then(|byte| u8::try_from(byte).ok())
                        .ok_or(UnknownToken(*token))
                })
                .collect();
        };
        bpe.decode_bytes(tokens).map_err(|error| UnknownToken(error.token))
    }
}

/// Where to cut a long text: before the last word that begins in its first bytes, where the
/// tokens are the same as without the cut.
fn cut(text: &str) -> usize {
    if text.len() <= MAX_PIECE_BYTES {
        return text.len();
    }
    let end = text.floor_char_boundary(MAX_PIECE_BYTES);
    let bytes = text.as_bytes();
    let word = (1..end).rev().find(|at| {
        bytes[*at] == b' ' && bytes[at - 1].is_ascii_graphic() && bytes[at + 1].is_ascii_alphanumeric()
    });
    word.unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{MAX_PIECE_BYTES, O200k, TextTokens, UnknownToken};
    use proptest::prelude::*;

    fn back(text: &str) -> usize {
        let tokens = O200k.encode(text);
        assert!(tokens.iter().all(|token| *token < 0xff00_0000));
        assert_eq!(O200k.decode(&tokens).unwrap(), text.as_bytes());
        tokens.len()
    }

    #[test]
    fn long_texts_of_any_kind_are_done_soon() {
        let begun = Instant::now();
        for unit in ["a", " ", "\n", "\r\n \t", "é", "漢", "🦀", "0", "=", "word ", "Word\n\n  "] {
            back(&unit.repeat(30_000 / unit.len()));
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_cut_changes_no_tokens_of_prose() {
        let text = "The quick brown fox jumps over the lazy dog, and then it sleeps. ".repeat(200);
        assert!(text.len() > 2 * MAX_PIECE_BYTES);
        let sentence = O200k.encode(&text[..65]).len();
        // The last blank of the whole text is a token of its own.
        assert_eq!(back(&text), (sentence - 1) * 200 + 1);
    }

    #[test]
    fn unknown_tokens_are_errors() {
        assert_eq!(O200k.decode(&[u32::MAX]), Err(UnknownToken(u32::MAX)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn any_text_comes_back(text in any::<String>(), unit in "\\PC{1,3}", times in 0_usize..600) {
            back(&text);
            back(&unit.repeat(times));
        }
    }
}
