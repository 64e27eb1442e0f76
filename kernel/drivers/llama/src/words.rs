//! Tokens of words that were seen before. llama.cpp merges the letters of each word anew, and of
//! the time from a question to its pages most was spent there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lucid_kernel::abi::Token;

/// So many pieces are kept; then it begins anew.
const PIECES_MAX: usize = 1 << 16;
/// Longer pieces are seldom seen twice, in bytes.
const PIECE_BYTES_MAX: usize = 40;
/// A shorter text is not worth cutting, in bytes.
const TEXT_BYTES_MIN: usize = 64;

/// Stands between pieces that must not touch.
const LETTER: &str = " a";

/// Text of all that can stand around a cut.
const SAMPLE: &str = "It's what we'd call a \"test\", isn't it?  Two spaces;\tand a tab.\n\n    let x = f(a, b);\n\
    \tif (y != z) { return -1; } // 1234567 words, 3.14 pi\r\nURL http://a.example/b?c=d&e. End \u{2014} of it \
    \u{e9}t\u{e9} na\u{ef}ve \u{4f60}\u{597d} world \u{c548}\u{b155} a \u{1f600} b   c\n   d \n e\u{a0}f  \n\n\n  g. h\n\
    self.data[i].push_back(x->y_z);a::b<c>(\"d\");#include <e.h>\n@foo $bar x=1;y+=2;done!?\nfn g(&self)->u8{0}\n";

/// Pieces of text and their tokens.
#[derive(Default)]
pub(crate) struct Words {
    kept: Mutex<HashMap<Box<str>, Vec<Token>>>,
    /// Texts that are one token and would be cut: what holds one is left whole.
    whole: Vec<String>,
}

impl Words {
    /// None where a text's tokens are not those of its pieces: where words are not split before
    /// they are merged. `added` are the texts that become one token wherever they stand.
    pub(crate) fn of(
        splits_words: bool,
        added: impl Iterator<Item = String>,
        tokenizer: &impl Tokenizer,
    ) -> Option<Self> {
        let whole = added.filter(|text| pieces(text).nth(1).is_some()).collect();
        let words = Self { whole, ..Self::default() };
        // Twice: with what is new, and with what was kept.
        let same = || words.encode(SAMPLE, tokenizer) == tokenizer.encode(SAMPLE);
        (splits_words && same() && same()).then_some(words)
    }

    /// The tokens of a text.
    pub(crate) fn encode(&self, text: &str, tokenizer: &impl Tokenizer) -> Vec<Token> {
        if text.len() < TEXT_BYTES_MIN || self.holds_whole(text) {
            return tokenizer.encode(text);
        }
        self.encode_pieces(text, tokenizer).unwrap_or_else(|| tokenizer.encode(text))
    }

    fn holds_whole(&self, text: &str) -> bool {
        let begins = |c: char| self.whole.iter().any(|whole| whole.starts_with(c));
        let mut places = text.match_indices(begins);
        places.any(|(at, _)| self.whole.iter().any(|whole| text[at..].starts_with(whole.as_str())))
    }

    /// None when the tokens of what is new do not end where its pieces do.
    fn encode_pieces(&self, text: &str, tokenizer: &impl Tokenizer) -> Option<Vec<Token>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Some tokenizers take long to begin: all that is new goes to them at once.
        let mut new: HashMap<&str, Vec<Token>> = HashMap::new();
        let mut joined = String::new();
        let mut in_order = Vec::new();
        for piece in pieces(text) {
            if !kept.contains_key(piece) && !new.contains_key(piece) {
                // A sign begins a word only behind a letter.
                let is_sign = piece.starts_with(|c: char| c.is_ascii_punctuation());
                if is_sign && !joined.is_empty() && !joined.ends_with(|c: char| c.is_ascii_alphabetic()) {
                    joined.push_str(LETTER);
                    in_order.push(LETTER);
                }
                new.insert(piece, Vec::new());
                joined.push_str(piece);
                in_order.push(piece);
            }
        }
        let mut tokens = tokenizer.encode(&joined).into_iter();
        for piece in in_order {
            let mut of_piece = Vec::new();
            let mut bytes = 0;
            while bytes < piece.len() {
                let token = tokens.next()?;
                bytes += tokenizer.bytes(token);
                of_piece.push(token);
            }
            if bytes > piece.len() {
                return None;
            }
            new.insert(piece, of_piece);
        }
        if tokens.next().is_some() {
            return None;
        }
        let mut tokens = Vec::with_capacity(text.len() / 3);
        for piece in pieces(text) {
            tokens.extend_from_slice(kept.get(piece).or_else(|| new.get(piece))?);
        }
        for (piece, tokens) in new.into_iter().filter(|(piece, _)| piece.len() <= PIECE_BYTES_MAX) {
            if kept.len() == PIECES_MAX {
                kept.clear();
            }
            kept.insert(piece.into(), tokens);
        }
        Some(tokens)
    }
}

/// What turns text into tokens.
pub(crate) trait Tokenizer {
    /// The tokens of a text.
    fn encode(&self, text: &str) -> Vec<Token>;

    /// How many bytes of text a token stands for.
    fn bytes(&self, token: Token) -> usize;
}

/// The pre-tokenizers, by llama.cpp's names, that split words as [`pieces`] needs it: letters apart
/// from signs, and a space with the letters that follow it. Source: `llama-vocab.cpp`.
pub(crate) const SPLITTERS: [&str; 14] = [
    "gpt-2",
    "smollm",
    "starcoder",
    "refact",
    "command-r",
    "codeshell",
    "exaone",
    "olmo",
    "llama-bpe",
    "dbrx",
    "smaug-bpe",
    "qwen2",
    "stablelm2",
    "deepseek-r1-qwen",
];

/// A text cut before each space that a Latin letter follows, and between a Latin letter and a sign
/// (but for the apostrophe, which some take with the word): there each of them begins a word,
/// whatever stands before.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let starts = |at: &usize| match bytes[*at] {
            b' ' => bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic),
            b'\'' => false,
            sign => sign.is_ascii_punctuation() && bytes[at - 1].is_ascii_alphabetic(),
        };
        let end = (1..bytes.len()).find(starts).unwrap_or(bytes.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use llama_cpp_2::model::LlamaModel;
    use llama_cpp_2::model::params::LlamaModelParams;
    use lucid_contract::{QWEN_05B, SMOLLM2, model_path};

    use super::*;
    use crate::load::backend;
    use crate::vocabulary::words_of;

    #[test]
    fn a_text_is_cut_before_words_alone() {
        let cut: Vec<&str> = pieces("  let x = f(a, b);\n a 1 \u{e9} b").collect();
        assert_eq!(cut, [" ", " let", " x =", " f", "(a", ",", " b", ");\n", " a 1 \u{e9}", " b"]);
        assert_eq!(cut.concat(), "  let x = f(a, b);\n a 1 \u{e9} b");
        assert_eq!(pieces("").count(), 0);
    }

    /// A token for each so many bytes.
    struct Every(usize);

    impl Tokenizer for Every {
        fn encode(&self, text: &str) -> Vec<Token> {
            text.as_bytes()
                .chunks(self.0)
                .map(|bytes| bytes.iter().map(|byte| Token::from(*byte)).sum())
                .collect()
        }

        fn bytes(&self, _: Token) -> usize {
            self.0
        }
    }

    #[test]
    fn what_does_not_split_words_or_has_tokens_over_a_cut_is_left_alone() {
        assert!(Words::of(true, std::iter::empty(), &Every(1)).is_some());
        assert!(Words::of(false, std::iter::empty(), &Every(1)).is_none());
        let words = Words::of(true, ["<call_it>".to_owned()].into_iter(), &Every(1)).unwrap();
        assert!(words.holds_whole("say <call_it> now") && !words.holds_whole("say <call> it"));
        // A tokenizer that merges over the cut gives what it gives to the whole text.
        let words = Words::default();
        assert_eq!(words.encode(SAMPLE, &Every(3)), Every(3).encode(SAMPLE));
        assert_eq!(words.encode(SAMPLE, &Every(1)), Every(1).encode(SAMPLE));
    }

    fn vocabularies() -> Vec<(LlamaModel, Words)> {
        let params = LlamaModelParams::default().with_vocab_only(true);
        let open = |file| {
            let model = LlamaModel::load_from_file(backend().unwrap(), model_path(file), &params).unwrap();
            let size = Token::try_from(model.n_vocab()).unwrap();
            let words = words_of(&model, size).expect("words are kept for this model");
            (model, words)
        };
        [SMOLLM2, QWEN_05B].into_iter().map(open).collect()
    }

    #[test]
    fn real_text_has_the_tokens_that_it_has_without_what_was_kept() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
        let files = walkdir::WalkDir::new(root).into_iter().filter_entry(|entry| {
            !entry.file_name().to_string_lossy().starts_with('.') && entry.file_name() != "target"
        });
        let texts: Vec<String> = files
            .flatten()
            .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .filter(|text| text.len() < 100_000)
            .collect();
        assert!(texts.len() > 200, "{}", texts.len());
        for (model, words) in vocabularies() {
            for text in &texts {
                assert_eq!(
                    words.encode(text, &model),
                    model.encode(text),
                    "{}",
                    &text[..text.len().min(200)]
                );
            }
        }
    }

    #[test]
    fn any_text_has_the_tokens_that_it_has_without_what_was_kept() {
        use proptest::prelude::*;

        let parts = prop::sample::select(vec![
            "a",
            "The",
            "word",
            "é",
            "你好",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\t",
            "\r\n",
            "'",
            "'s",
            "'LL",
            "_",
            "-",
            ".",
            ",",
            "(",
            ")",
            "<",
            ">",
            "<tool_call>",
            "<|im_end|>",
            "\"",
            "1",
            "42",
            "\u{a0}",
            "\u{3000}",
            "😀",
            "e\u{301}",
            "/",
            "#",
            "!",
            "{",
            "}",
            "\u{2019}s",
            "x1",
            "1x",
            "\u{0}",
        ]);
        let text = prop::collection::vec(parts, 30..80).prop_map(|parts| parts.concat());
        let vocabularies = vocabularies();
        proptest!(ProptestConfig::with_cases(2_000), |(text in text)| {
            for (model, words) in &vocabularies {
                prop_assert_eq!(words.encode(&text, model), model.encode(&text));
            }
        });
    }
}
