//! The servers that are known by name, for what they do beyond the common interface.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// vLLM.
    Vllm,
    /// mistral.rs.
    MistralRs,
    /// Ollama.
    Ollama,
    /// `OpenAI` itself.
    OpenAi,
    /// Any other.
    Other,
}

impl Dialect {
    /// The name as [`lucid_kernel::abi::EngineInfo`] shows it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LlamaCpp => "llama.cpp server",
            Self::Vllm => "vLLM",
            Self::MistralRs => "mistral.rs server",
            Self::Ollama => "Ollama",
            Self::OpenAi => "OpenAI",
            Self::Other => "remote",
        }
    }

    /// What the answer to `GET /v1/models` tells.
    pub(crate) fn of(host: &str, headers: &HeaderMap, model: Option<&Value>) -> Option<Self> {
        let server = headers.get("server").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let owner = model.and_then(|entry| entry.get("owned_by")).and_then(Value::as_str).unwrap_or_default();
        if host == "api.openai.com" {
            return Some(Self::OpenAi);
        }
        if server.eq_ignore_ascii_case("llama.cpp") {
            return Some(Self::LlamaCpp);
        }
        match owner {
            "llamacpp" => Some(Self::LlamaCpp),
            "vllm" => Some(Self::Vllm),
            "local" => Some(Self::MistralRs),
            "library" => Some(Self::Ollama),
            _ => None,
        }
    }
}
