//! What a server says of itself before it is used: which models it has, how large their window
//! is, and what kind of server it is.

use std::time::Duration;

use lucid_kernel::abi::TokenCount;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::dialect::Dialect;
use crate::fault::{Fault, Next};
use crate::server::{Server, reason_of, text_of};
use crate::spec::Timeouts;

/// The longest answer that is read, in bytes: some hosts list hundreds of models.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
/// How long a server may take to speak of itself.
const MAX_WAIT: Duration = Duration::from_secs(20);
/// How many models an error lists.
const MAX_LISTED: usize = 20;
/// Where servers state the window in their list of models.
const WINDOW_FIELDS: [&str; 5] =
    ["max_model_len", "context_length", "context_window", "max_context_length", "max_context_window"];

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) dialect: Dialect,
    pub(crate) window: Option<TokenCount>,
}

/// Why a server cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Unfit {
    /// It may be back later.
    #[error("{0}")]
    Away(Fault),
    /// The settings are wrong.
    #[error("{0}")]
    Wrong(String),
}

impl From<Fault> for Unfit {
    fn from(fault: Fault) -> Self {
        if fault.next() == Next::Stop { Self::Wrong(fault.to_string()) } else { Self::Away(fault) }
    }
}

/// Asks a server what it is.
pub(crate) async fn probe(server: &Server, model: &str, timeouts: &Timeouts) -> Result<Found, Unfit> {
    let wait = timeouts.first_byte.min(MAX_WAIT);
    let (headers, list) = match get(server, &server.address.api("/models"), wait).await {
        Ok((headers, list)) => (headers, Some(list)),
        // Not every endpoint lists its models.
        Err(Fault::Refused { status: 404 | 405 | 501, .. }) => (HeaderMap::new(), None),
        Err(fault) => return Err(fault.into()),
    };
    let entry = list.as_ref().map(|list| find(list, model)).transpose().map_err(|models| {
        Unfit::Wrong(format!("{} has no model {model:?}; it has {models}", server.host()))
    })?;
    let entry = entry.flatten();
    let dialect = match Dialect::of(server.address.host(), &headers, entry) {
        Some(dialect) => dialect,
        None => ask_around(server, wait).await,
    };
    let stated = entry.and_then(window_of);
    let window = match dialect {
        Dialect::LlamaCpp => window_of_props(server, wait).await?.or(stated),
        Dialect::Ollama => window_of_running(server, model, wait).await,
        _ => stated,
    };
    Ok(Found { dialect, window })
}

async fn get(server: &Server, url: &str, wait: Duration) -> Result<(HeaderMap, Value), Fault> {
    let response = server.send(server.request(Method::GET, url), wait).await?;
    let headers = response.headers().clone();
    let malformed = |reason: String| Fault::Malformed { host: server.host(), reason };
    let body = tokio::time::timeout(wait, text_of(response, MAX_BODY_BYTES)).await;
    let body = body
        .map_err(|_| malformed("it does not finish the list of its models".into()))?
        .map_err(|error| malformed(reason_of(error)))?;
    let value = serde_json::from_str(&body)
        .map_err(|error| malformed(format!("what it says of its models is no JSON ({error})")))?;
    Ok((headers, value))
}

/// The model's entry; the names of all models when it is not there. None when there is no list.
fn find<'a>(list: &'a Value, model: &str) -> Result<Option<&'a Value>, String> {
    let Some(entries) = list.get("data").or(Some(list)).and_then(Value::as_array) else { return Ok(None) };
    let is_named = |entry: &&Value| {
        let aliases = entry.get("aliases").and_then(Value::as_array).into_iter().flatten();
        let id = id_of(entry);
        // Ollama writes the usual tag out; Gemini's list has a folder before the name.
        id == model
            || id.strip_suffix(":latest") == Some(model)
            || id.strip_prefix("models/") == Some(model)
            || aliases.filter_map(Value::as_str).any(|alias| alias == model)
    };
    if let Some(entry) = entries.iter().find(is_named) {
        return Ok(Some(entry));
    }
    let mut names: Vec<&str> = entries.iter().map(id_of).collect();
    let more = names.len().saturating_sub(MAX_LISTED);
    names.truncate(MAX_LISTED);
    Err(match (names.is_empty(), more) {
        (true, _) => "none".into(),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    })
}

fn id_of(entry: &Value) -> &str {
    entry.get("id").and_then(Value::as_str).unwrap_or_default()
}

fn count(value: &Value) -> Option<TokenCount> {
    value.as_u64().and_then(|n| TokenCount::try_from(n).ok()).filter(|n| *n > 0)
}

fn window_of(entry: &Value) -> Option<TokenCount> {
    let own = WINDOW_FIELDS.iter().find_map(|field| entry.get(field).and_then(count));
    own.or_else(|| entry.pointer("/meta/n_ctx").and_then(count))
}

/// What kind of server it is, by the paths that only some have.
async fn ask_around(server: &Server, wait: Duration) -> Dialect {
    let has = |path: &'static str, field: &'static str| async move {
        let answer = get(server, &server.address.own(path), wait).await;
        answer.is_ok_and(|(_, value)| value.get(field).is_some())
    };
    let (props, ollama, vllm) = tokio::join!(
        has("/props", "default_generation_settings"),
        has("/api/version", "version"),
        has("/version", "version")
    );
    match (props, ollama, vllm) {
        (true, ..) => Dialect::LlamaCpp,
        (_, true, _) => Dialect::Ollama,
        (.., true) => Dialect::Vllm,
        _ => Dialect::Other,
    }
}

/// llama.cpp lists its models to anybody; this is also where a wrong key shows.
async fn window_of_props(server: &Server, wait: Duration) -> Result<Option<TokenCount>, Fault> {
    match get(server, &server.address.own("/props"), wait).await {
        Ok((_, props)) => Ok(props.pointer("/default_generation_settings/n_ctx").and_then(count)),
        Err(fault @ Fault::Refused { status: 401 | 403, .. }) => Err(fault),
        Err(_) => Ok(None),
    }
}

/// Ollama gives a model its window when it loads it.
async fn window_of_running(server: &Server, model: &str, wait: Duration) -> Option<TokenCount> {
    let (_, running) = get(server, &server.address.own("/api/ps"), wait).await.ok()?;
    let models = running.get("models")?.as_array()?;
    let name = |entry: &Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
    let entry = models.iter().find(|entry| {
        name(entry).is_some_and(|name| name == model || name.strip_suffix(":latest") == Some(model))
    })?;
    entry.get("context_length").and_then(count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{find, window_of};

    #[test]
    fn a_model_is_found_by_its_names() {
        let list = json!({ "data": [
            { "id": "a" }, { "id": "llama3:latest", "aliases": ["l3"] }, { "id": "models/gem" },
        ] });
        for model in ["a", "llama3", "llama3:latest", "l3", "gem"] {
            assert!(find(&list, model).unwrap().is_some(), "{model}");
        }
        assert_eq!(find(&list, "b").unwrap_err(), "a, llama3:latest, models/gem");
        assert_eq!(find(&json!({}), "b"), Ok(None));
        let many = json!({ "data": (0..25).map(|n| json!({ "id": n.to_string() })).collect::<Vec<_>>() });
        assert!(find(&many, "b").unwrap_err().ends_with("19 and 5 more"));
    }

    #[test]
    fn windows_are_read_where_servers_state_them() {
        assert_eq!(window_of(&json!({ "max_model_len": 4096 })), Some(4096));
        assert_eq!(window_of(&json!({ "context_length": 8192 })), Some(8192));
        assert_eq!(window_of(&json!({ "meta": { "n_ctx": 512, "n_ctx_train": 2048 } })), Some(512));
        assert_eq!(window_of(&json!({ "meta": { "n_ctx": 0 } })), None);
        assert_eq!(window_of(&json!({ "id": "x" })), None);
    }
}
