//! Text to tokens so that no text forges a special token.

use lucid_kernel::abi::Token;
use lucid_kernel::port::EngineError;

/// Turns text into tokens none of which is special, with a tokenizer that takes all text as
/// text. Some vocabularies hold special tokens as ordinary pieces too, so that plain text could
/// still become one: such text is cut inside each special token's text first.
///
/// `special` are the ids and texts of all special tokens, in the order of their ids.
///
/// # Errors
/// The tokenizer's, and [`EngineError::Failed`] for a text that cannot be taken as plain.
pub fn tokenize(
    text: &str,
    special: &[(Token, String)],
    encode: &dyn Fn(&str) -> Result<Vec<Token>, EngineError>,
) -> Result<Vec<Token>, EngineError> {
    let is_special = |token: &Token| special.binary_search_by_key(token, |(id, _)| *id).is_ok();
    let tokens = encode(text)?;
    if !tokens.iter().any(is_special) {
        return Ok(tokens);
    }
    let mut cuts: Vec<usize> = Vec::new();
    for (_, content) in special.iter().filter(|(_, content)| content.chars().count() > 1) {
        let first = content.chars().next().map_or(1, char::len_utf8);
        cuts.extend(text.match_indices(content.as_str()).map(|(at, _)| at + first));
    }
    cuts.push(text.len());
    cuts.sort_unstable();
    cuts.dedup();
    let mut tokens = Vec::new();
    let mut from = 0;
    for cut in cuts {
        tokens.extend(encode(&text[from..cut])?);
        from = cut;
    }
    match tokens.iter().find(|token| is_special(token)) {
        Some(forged) => Err(EngineError::Failed(format!(
            "the text cannot be taken as plain text: it always becomes the special token {forged}"
        ))),
        None => Ok(tokens),
    }
}
