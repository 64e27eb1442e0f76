//! What every engine checks of a request, and how it states its figures.

use std::sync::Arc;
use std::time::Duration;

use lucid_kernel::abi::{Token, TokenCount};
use lucid_kernel::port::{DecodeRequest, EngineError};

/// The prompt of a request as one piece, after it is checked: not empty, of known tokens, and
/// fitting the window with the answer.
///
/// # Errors
/// [`EngineError::WindowFull`], and [`EngineError::Failed`] with the reason.
pub fn prompt(
    request: &DecodeRequest,
    window: TokenCount,
    is_known: impl Fn(Token) -> bool,
) -> Result<Arc<[Token]>, EngineError> {
    let prompt: Vec<Token> =
        request.layout.iter().flat_map(|segment| segment.tokens.iter().copied()).collect();
    if prompt.is_empty() {
        return Err(EngineError::Failed("the prompt is empty; give at least one token".into()));
    }
    if let Some(unknown) = prompt.iter().find(|token| !is_known(**token)) {
        return Err(EngineError::Failed(format!(
            "token {unknown} of the prompt is not in the model's vocabulary"
        )));
    }
    let all = count(prompt.len()).saturating_add(request.max_tokens);
    if all > window {
        return Err(EngineError::WindowFull { prompt: all, window });
    }
    Ok(prompt.into())
}

/// A time as usage figures state it, in milliseconds.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number of tokens.
pub fn count(n: usize) -> TokenCount {
    TokenCount::try_from(n).unwrap_or(TokenCount::MAX)
}
