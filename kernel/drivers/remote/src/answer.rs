//! A streamed answer, put together from its chunks.

use std::collections::BTreeMap;

use lucid_kernel::abi::{StopReason, TokenCount};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fault;

/// The most of one answer, calls included, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;
/// The most calls that one answer may begin.
pub(crate) const MAX_CALLS: usize = 64;

/// What is wrong with a chunk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadChunk {
    #[error("{0}")]
    Reported(String),
    #[error("a part of its answer is no JSON of a chat completion ({reason}): {shown}")]
    Malformed { reason: String, shown: String },
    #[error("its answer has more than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("its answer begins more than {MAX_CALLS} calls")]
    TooManyCalls,
}

#[derive(Debug, Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Counts>,
    #[serde(default)]
    error: Option<Value>,
    #[serde(default)]
    object: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Part>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    content: Option<Value>,
    #[serde(default)]
    reasoning_content: Option<Value>,
    #[serde(default)]
    reasoning: Option<Value>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Debug, Deserialize)]
struct CallPart {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default)]
    function: Option<FunctionPart>,
}

#[derive(Debug, Deserialize)]
struct FunctionPart {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<Value>,
}

/// A server's own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Counts {
    #[serde(default)]
    pub(crate) prompt_tokens: TokenCount,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<TokenCount>,
}

impl Counts {
    /// Prompt tokens that the server still had.
    pub(crate) fn cached(&self) -> TokenCount {
        let cached = self.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        cached.min(self.prompt_tokens)
    }
}

/// What a chunk brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Brought {
    /// Whether the model has begun to write, if only thoughts or a call.
    pub(crate) begun: bool,
    /// Text to show.
    pub(crate) text: String,
}

/// An answer as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// White space that is not shown before something else follows: before a call it is none.
    held: String,
    said: bool,
    bytes: usize,
    calls: BTreeMap<u32, (String, String)>,
    finish: Option<String>,
    counts: Option<Counts>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    /// Text that was not shown yet: a call.
    pub(crate) rest: String,
    pub(crate) stop: StopReason,
    pub(crate) counts: Option<Counts>,
}

impl Answer {
    /// Takes the data of one event.
    pub(crate) fn take(&mut self, data: &str) -> Result<Brought, BadChunk> {
        let chunk: Chunk = serde_json::from_str(data)
            .map_err(|error| BadChunk::Malformed { reason: error.to_string(), shown: fault::cut(data) })?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(BadChunk::Reported(reported(&error)));
        }
        if chunk.object.as_deref() == Some("error") {
            return Err(BadChunk::Reported(fault::said(data)));
        }
        self.counts = chunk.usage.or(self.counts);
        let mut brought = Brought::default();
        // Only one answer is asked for.
        let Some(choice) = chunk.choices.into_iter().flatten().next() else { return Ok(brought) };
        if let Some(part) = choice.delta {
            self.take_part(part, &mut brought)?;
        }
        self.finish = choice.finish_reason.or(self.finish.take());
        Ok(brought)
    }

    fn take_part(&mut self, part: Part, brought: &mut Brought) -> Result<(), BadChunk> {
        let thought = part.reasoning_content.or(part.reasoning).map(text_of).unwrap_or_default();
        brought.begun |= !thought.is_empty();
        let text = part.content.map(text_of).unwrap_or_default() + &part.refusal.unwrap_or_default();
        self.count(thought.len() + text.len())?;
        if !text.is_empty() {
            brought.begun = true;
            self.held.push_str(&text);
            if self.said || !self.held.trim().is_empty() {
                self.said = true;
                brought.text = std::mem::take(&mut self.held);
            }
        }
        for (position, call) in (0..).zip(part.tool_calls.into_iter().flatten()) {
            brought.begun = true;
            let Some(function) = call.function else { continue };
            let (name, arguments) = self.calls.entry(call.index.unwrap_or(position)).or_default();
            let more = function.name.unwrap_or_default();
            // Some servers repeat the name in every part.
            if *name != more {
                name.push_str(&more);
            }
            let part = match function.arguments {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text,
                Some(value) => value.to_string(),
            };
            arguments.push_str(&part);
            self.count(more.len() + part.len())?;
        }
        if self.calls.len() > MAX_CALLS { Err(BadChunk::TooManyCalls) } else { Ok(()) }
    }

    fn count(&mut self, bytes: usize) -> Result<(), BadChunk> {
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER_BYTES { Err(BadChunk::TooLong) } else { Ok(()) }
    }

    /// Whether the server said that it is done.
    pub(crate) const fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The answer, now that no more comes.
    pub(crate) fn finish(self) -> Finished {
        let has_calls = !self.calls.is_empty();
        let cut = matches!(self.finish.as_deref(), Some("length" | "max_tokens"));
        let calls = self.calls.into_values().map(|(name, arguments)| call(&name, &arguments));
        // Words before a call stay; each call has its own line.
        let lines = self.said.then(String::new).into_iter().chain(calls).collect::<Vec<_>>();
        let rest = if has_calls { lines.join("\n") } else { self.held };
        Finished { rest, stop: if cut { StopReason::Limit } else { StopReason::Stop }, counts: self.counts }
    }

    /// The reason for an end that is no answer.
    pub(crate) fn withheld(&self) -> Option<&'static str> {
        match self.finish.as_deref() {
            Some("content_filter") => Some("its content filter withheld the answer"),
            Some("error") => Some("it gave up in the middle of the answer"),
            _ => None,
        }
    }
}

/// A call as the kernel reads it. Arguments that are no JSON stay as they came, so that the
/// kernel can tell the model.
fn call(name: &str, arguments: &str) -> String {
    let given = if arguments.trim().is_empty() { "{}" } else { arguments };
    match serde_json::from_str::<Value>(given) {
        Ok(arguments) => json!({ "name": name, "arguments": arguments }).to_string(),
        Err(_) => format!(r#"{{"name":{},"arguments":{arguments}"#, json!(name)) + "}",
    }
}

/// A content: a text, or a list of parts with texts.
fn text_of(content: Value) -> String {
    match content {
        Value::String(text) => text,
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect()
        }
        _ => String::new(),
    }
}

fn reported(error: &Value) -> String {
    fault::cut(fault::message_of(error).unwrap_or(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use lucid_kernel::abi::StopReason;
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Answer, BadChunk, MAX_ANSWER_BYTES};

    fn delta(delta: serde_json::Value) -> String {
        json!({ "choices": [{ "index": 0, "delta": delta }] }).to_string()
    }

    fn call(index: u32, name: Option<&str>, arguments: &str) -> String {
        delta(
            json!({ "tool_calls": [{ "index": index, "function": { "name": name, "arguments": arguments } }] }),
        )
    }

    fn all(chunks: &[String]) -> (String, super::Finished) {
        let mut answer = Answer::default();
        let shown: String = chunks.iter().map(|chunk| answer.take(chunk).unwrap().text).collect();
        let done = answer.finish();
        (shown + &done.rest, done)
    }

    fn end(reason: &str) -> String {
        json!({ "choices": [{ "delta": {}, "finish_reason": reason }] }).to_string()
    }

    #[test]
    fn text_and_counts_come_through() {
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 9, "completion_tokens": 2,
            "prompt_tokens_details": { "cached_tokens": 5 } } });
        let (text, done) = all(&[
            delta(json!({ "role": "assistant", "content": null })),
            delta(json!({ "content": "" })),
            delta(json!({ "reasoning_content": "hm" })),
            delta(json!({ "content": "Grüße" })),
            delta(json!({ "content": [{ "type": "text", "text": " 🦀" }] })),
            end("stop"),
            usage.to_string(),
        ]);
        assert_eq!((text.as_str(), done.stop), ("Grüße 🦀", StopReason::Stop));
        let counts = done.counts.unwrap();
        assert_eq!((counts.prompt_tokens, counts.cached()), (9, 5));
        assert_eq!(all(&[delta(json!({ "content": "a" })), end("length")]).1.stop, StopReason::Limit);
        assert_eq!(all(&[delta(json!({ "content": " \n" })), end("stop")]).0, " \n");
    }

    #[test]
    fn a_call_is_put_together_from_its_parts() {
        let parts = [
            delta(json!({ "content": "\n\n" })),
            call(0, Some("add"), ""),
            call(0, None, "{\"a\": 1,"),
            call(1, Some("other"), "{}"),
            call(0, None, " \"b\": [2]}"),
            end("tool_calls"),
        ];
        let (text, done) = all(&parts);
        assert_eq!(
            (text.as_str(), done.stop),
            (
                "{\"name\":\"add\",\"arguments\":{\"a\":1,\"b\":[2]}}\n{\"name\":\"other\",\"arguments\":{}}",
                StopReason::Stop
            ),
            "each call on a line"
        );
        let said =
            all(&[delta(json!({ "content": "I add." })), call(0, Some("add"), "{}"), end("tool_calls")]).0;
        assert_eq!(said, "I add.\n{\"name\":\"add\",\"arguments\":{}}");
        assert_eq!(all(&[call(0, Some("now"), "")]).0, r#"{"name":"now","arguments":{}}"#);
        assert_eq!(all(&[call(0, Some("add"), "{\"a\": 1")]).0, r#"{"name":"add","arguments":{"a": 1}"#);
    }

    #[test]
    fn errors_in_the_stream_are_told() {
        let mut answer = Answer::default();
        for (chunk, shown) in [
            (r#"{"error":{"message":"out of memory","code":500}}"#, "out of memory"),
            (r#"{"error":"gone"}"#, "gone"),
            (r#"{"object":"error","message":"lost"}"#, "lost"),
        ] {
            assert_eq!(answer.take(chunk), Err(BadChunk::Reported(shown.into())));
        }
        assert!(matches!(answer.take("{\"choices\": 7}"), Err(BadChunk::Malformed { .. })));
        assert!(matches!(answer.take("hello"), Err(BadChunk::Malformed { .. })));
        let long = delta(json!({ "content": "x".repeat(MAX_ANSWER_BYTES / 2 + 1) }));
        assert!(answer.take(&long).is_ok());
        assert_eq!(answer.take(&long), Err(BadChunk::TooLong));
    }

    proptest! {
        #[test]
        fn no_chunk_makes_it_panic(chunks in prop::collection::vec(
            prop_oneof![any::<String>(), Just(end("stop")), Just(call(3, Some("f"), "{")), Just(delta(json!({"content": 1})))], 0..8)) {
            let mut answer = Answer::default();
            for chunk in &chunks {
                let _ = answer.take(chunk);
            }
            answer.finish();
        }
    }
}
