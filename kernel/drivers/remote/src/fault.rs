//! What can go wrong with a server, in words that say what to do, and what follows from it.

use std::time::Duration;

use lucid_kernel::abi::TokenCount;
use lucid_kernel::port::EngineError;
use serde_json::Value;

/// So much of a server's own words stands in an error, in bytes.
const MAX_SHOWN_BYTES: usize = 500;

/// Something that a server did or did not.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Fault {
    #[error("{host} cannot be reached: {reason}; check that the server runs and the URL is right")]
    Unreachable { host: String, reason: String },
    #[error("{host} sent nothing for {} s {when}; a slower server needs a longer `timeouts.{setting}`", waited.as_secs_f32())]
    Silent { host: String, when: &'static str, waited: Duration, setting: &'static str },
    #[error("{host} answered {status}: {said}{}", advice(*status))]
    Refused { host: String, status: u16, said: String, retry_after: Option<Duration> },
    #[error("{host} sends elsewhere, to {to}; name that URL itself if you trust it")]
    Redirected { host: String, to: String },
    #[error("{host} says that the prompt has {prompt} tokens; its window has only {window}")]
    WindowFull { host: String, prompt: TokenCount, window: TokenCount },
    #[error("{host} broke off its answer ({reason}); the turn can be tried again")]
    Cut { host: String, reason: String },
    #[error("{host} reported an error in the middle of its answer: {said}; the turn can be tried again")]
    Reported { host: String, said: String },
    #[error("{host} does not answer as an OpenAI-compatible endpoint does: {reason}")]
    Malformed { host: String, reason: String },
    #[error("{0}")]
    Grammar(String),
}

/// What to do after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same server may do better soon.
    Retry,
    /// Another server may do better; this one not soon.
    Elsewhere,
    /// Nothing helps.
    Stop,
}

impl Fault {
    pub(crate) const fn next(&self) -> Next {
        match self {
            Self::Unreachable { .. } | Self::Refused { status: 429 | 500 | 502 | 503 | 504, .. } => {
                Next::Retry
            }
            Self::Silent { .. } => Next::Elsewhere,
            _ => Next::Stop,
        }
    }

    /// Whether the server is to be avoided for a while.
    pub(crate) const fn is_the_servers(&self) -> bool {
        !matches!(self.next(), Next::Stop) || matches!(self, Self::Cut { .. })
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The fault as an error of the engine; `held_to` names what the answer was held to.
    pub(crate) fn into_error(self, held_to: Option<&str>, tries: u32) -> EngineError {
        match (&self, held_to) {
            (Self::WindowFull { prompt, window, .. }, _) => {
                EngineError::WindowFull { prompt: *prompt, window: *window }
            }
            (Self::Grammar(reason), _) => EngineError::Grammar(reason.clone()),
            (Self::Refused { status: 400 | 422 | 501, .. }, Some(what)) => {
                EngineError::Grammar(format!("the request held the answer to {what}, and {self}"))
            }
            _ if tries > 1 => EngineError::Failed(format!("after {tries} tries: {self}")),
            _ => EngineError::Failed(self.to_string()),
        }
    }
}

const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "; it wants another key: check `key` of the endpoint",
        404 => "; check the URL and the name of the model",
        408 | 504 => "; it took too long",
        413 => "; the prompt is too long for it: set a smaller `window`",
        429 => "; it is asked too often: wait, or name more endpoints",
        500..=599 => "; the server itself failed: its log says more",
        _ => "",
    }
}

/// What a server said of an error: the message of an error object, or the text, cut.
pub(crate) fn said(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let message = parsed.as_ref().and_then(message_of);
    cut(message.unwrap_or(body))
}

/// The message of an error object, in the forms that servers use.
pub(crate) fn message_of(value: &Value) -> Option<&str> {
    let value = value.get("error").unwrap_or(value);
    [value.get("message"), value.get("detail"), Some(value)].into_iter().flatten().find_map(Value::as_str)
}

/// A text without control characters, no longer than an error may show.
pub(crate) fn cut(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "(nothing)".into();
    }
    let end = text.floor_char_boundary(MAX_SHOWN_BYTES);
    let mut shown: String = text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end < text.len() {
        shown.push('…');
    }
    shown
}

/// A refused prompt that is too long, in the words of the servers that say so in numbers.
pub(crate) fn window_full(body: &str) -> Option<(TokenCount, TokenCount)> {
    let value: Value = serde_json::from_str(body).ok()?;
    let error = value.get("error").unwrap_or(&value);
    let field = |name: &str| error.get(name)?.as_u64().and_then(|n| TokenCount::try_from(n).ok());
    // llama.cpp
    if let (Some(prompt), Some(window)) = (field("n_prompt_tokens"), field("n_ctx")) {
        return Some((prompt, window));
    }
    // vLLM and OpenAI: "maximum context length is W tokens. However, you requested P tokens"
    let (_, after) = message_of(&value)?.split_once("maximum context length is ")?;
    let mut numbers = after
        .split(|c: char| !c.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .filter_map(|digits| digits.parse().ok());
    let window = numbers.next()?;
    let prompt = numbers.next().unwrap_or(window);
    Some((prompt, window))
}

#[cfg(test)]
mod tests {
    use super::{MAX_SHOWN_BYTES, cut, said, window_full};

    #[test]
    fn servers_words_are_found_and_cut() {
        assert_eq!(said(r#"{"error":{"message":"no","code":1}}"#), "no");
        assert_eq!(said(r#"{"error":"no"}"#), "no");
        assert_eq!(said(r#"{"object":"error","message":"no"}"#), "no");
        assert_eq!(said(r#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(said("<html>\nbad\u{1b}[2J"), "<html> bad [2J");
        assert_eq!(said(" "), "(nothing)");
        let long = cut(&"ü".repeat(MAX_SHOWN_BYTES));
        assert!(long.len() <= MAX_SHOWN_BYTES + 3 && long.ends_with('…'), "{}", long.len());
    }

    #[test]
    fn a_full_window_is_read_from_what_servers_say() {
        let llama = r#"{"error":{"code":400,"message":"request (5 tokens) exceeds","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}"#;
        assert_eq!(window_full(llama), Some((5000, 4096)));
        let vllm = r#"{"object":"error","message":"This model's maximum context length is 2048 tokens. However, you requested 3000 tokens (2900 in the messages, 100 in the completion)."}"#;
        assert_eq!(window_full(vllm), Some((3000, 2048)));
        assert_eq!(window_full(r#"{"error":{"message":"bad schema"}}"#), None);
        assert_eq!(window_full("not json"), None);
    }
}
