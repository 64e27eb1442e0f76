//! The request as a server takes it.

use lucid_kernel::abi::{Grammar, Role, Sampling, Shape, TokenCount, ToolSpec};
use serde_json::{Value, json};

use crate::dialect::Dialect;
use crate::fault::Fault;
use crate::messages::{Message, to_json};

/// What is asked, in nobody's dialect yet.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) grammar: Option<Grammar>,
    pub(crate) sampling: Sampling,
    pub(crate) max_tokens: TokenCount,
}

impl Ask {
    /// The body of `POST /v1/chat/completions`.
    pub(crate) fn body(&self, dialect: Dialect) -> Result<Value, Fault> {
        let limit = if dialect == Dialect::OpenAi { "max_completion_tokens" } else { "max_tokens" };
        let mut body = json!({
            "model": self.model,
            "messages": to_json(&self.messages),
            "stream": true,
            "stream_options": { "include_usage": true },
            "temperature": self.sampling.temperature,
            limit: self.max_tokens,
        });
        if self.sampling.temperature > 0.0 {
            body["seed"] = json!(seed(self.sampling.seed));
            if self.sampling.top_p < 1.0 {
                body["top_p"] = json!(self.sampling.top_p);
            }
        }
        let goes_on = self.messages.last().is_some_and(|last| last.open && last.role == Role::Assistant);
        if goes_on && dialect == Dialect::Vllm {
            body["continue_final_message"] = json!(true);
            body["add_generation_prompt"] = json!(false);
        }
        if let Some(grammar) = &self.grammar {
            hold(&mut body, grammar, dialect)?;
        }
        Ok(body)
    }

    /// What the answer is held to, in words; none when to nothing.
    pub(crate) fn held_to(&self) -> Option<&'static str> {
        match &self.grammar.as_ref()?.shape {
            Shape::Text => None,
            Shape::Calls { tools, .. } => (!tools.is_empty()).then_some("tools (`tools`)"),
            Shape::Value { .. } => Some("a JSON schema (`response_format`)"),
            Shape::Lark => Some("a Lark grammar"),
        }
    }
}

/// Servers keep seeds in 31 bits or more.
const fn seed(seed: u64) -> u64 {
    (seed ^ (seed >> 32)) & 0x7fff_ffff
}

fn hold(body: &mut Value, grammar: &Grammar, dialect: Dialect) -> Result<(), Fault> {
    match &grammar.shape {
        Shape::Text => {}
        Shape::Calls { tools, .. } if tools.is_empty() => {}
        Shape::Calls { tools, or_text, several } => {
            body["tools"] = tools.iter().map(tool).collect();
            body["tool_choice"] = json!(if *or_text { "auto" } else { "required" });
            body["parallel_tool_calls"] = json!(several);
            if !or_text && dialect == Dialect::LlamaCpp {
                // Its "required" lets any text come before the mark that a model puts before a
                // call, and small models leave the mark out and write on to the limit. A schema
                // holds them; "none" means that the call is to come as text.
                body["tool_choice"] = json!("none");
                body["response_format"] =
                    json_schema(&json!({ "anyOf": tools.iter().map(call).collect::<Vec<_>>() }));
            }
        }
        Shape::Value { schema } => {
            body["response_format"] = json_schema(schema);
        }
        Shape::Lark => match dialect {
            // Taken when it was built with LLAMA_LLGUIDANCE; else it refuses, and that is told.
            Dialect::LlamaCpp => body["grammar"] = json!(format!("%llguidance {{}}\n{}", grammar.lark)),
            Dialect::Vllm => body["structured_outputs"] = json!({ "grammar": grammar.lark }),
            Dialect::MistralRs => body["grammar"] = json!({ "type": "lark", "value": grammar.lark }),
            Dialect::Ollama | Dialect::OpenAi | Dialect::Other => {
                return Err(Fault::Grammar(format!(
                    "a server of the kind {:?} knows no Lark grammars; use a JSON schema, or a server that \
                     does: mistral.rs, vLLM, or llama.cpp built with LLAMA_LLGUIDANCE",
                    dialect.name()
                )));
            }
        },
    }
    Ok(())
}

fn json_schema(schema: &Value) -> Value {
    json!({ "type": "json_schema", "json_schema": { "name": "answer", "schema": schema, "strict": true } })
}

/// The schema of a call as the kernel reads it.
fn call(spec: &ToolSpec) -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "const": spec.name }, "arguments": spec.parameters },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

fn tool(spec: &ToolSpec) -> Value {
    json!({ "type": "function", "function": {
        "name": spec.name, "description": spec.description, "parameters": spec.parameters,
    } })
}

#[cfg(test)]
mod tests {
    use lucid_kernel::abi::{Grammar, Role, Sampling, Shape, ToolSpec};
    use serde_json::json;

    use super::Ask;
    use crate::dialect::Dialect;
    use crate::messages::Message;

    fn ask(shape: Option<Shape>) -> Ask {
        Ask {
            model: "m".into(),
            messages: vec![Message { role: Role::User, text: "Hi".into(), open: false }],
            grammar: shape.map(|shape| Grammar { lark: "start: \"x\"".into(), shape }),
            sampling: Sampling::default(),
            max_tokens: 7,
        }
    }

    #[test]
    fn a_plain_request_has_no_more_than_it_needs() {
        let expected = json!({
            "model": "m", "messages": [{ "role": "user", "content": "Hi" }], "stream": true,
            "stream_options": { "include_usage": true }, "temperature": 0.0, "max_tokens": 7,
        });
        assert_eq!(ask(None).body(Dialect::Other).unwrap(), expected);
        assert_eq!(ask(Some(Shape::Text)).body(Dialect::Other).unwrap(), expected);
        let mut drawn = ask(None);
        drawn.sampling = Sampling { temperature: 0.5, top_p: 0.5, seed: u64::MAX - 1 };
        let body = drawn.body(Dialect::OpenAi).unwrap();
        assert_eq!(
            (&body["seed"], &body["top_p"], &body["max_completion_tokens"]),
            (&json!(1), &json!(0.5), &json!(7))
        );
    }

    #[test]
    fn shapes_become_tools_and_schemas() {
        let spec = ToolSpec {
            wants: Vec::new(),
            described: None,
            name: "add".into(),
            description: "Adds.".into(),
            keywords: vec!["plus".into()],
            parameters: json!({ "type": "object" }),
        };
        for (or_text, choice) in [(true, "auto"), (false, "required")] {
            let shape = Shape::Calls { tools: vec![spec.clone()], or_text, several: or_text };
            let body = ask(Some(shape)).body(Dialect::Other).unwrap();
            assert_eq!(body["tool_choice"], choice);
            assert_eq!(body["parallel_tool_calls"], or_text);
            assert_eq!(
                body["tools"],
                json!([{ "type": "function", "function": {
                    "name": "add", "description": "Adds.", "parameters": { "type": "object" } } }])
            );
        }
        let body =
            ask(Some(Shape::Value { schema: json!({ "type": "string" }) })).body(Dialect::Other).unwrap();
        assert_eq!(body["response_format"]["json_schema"]["schema"], json!({ "type": "string" }));
        assert_eq!(body["response_format"]["json_schema"]["strict"], true);
    }

    #[test]
    fn lark_goes_to_servers_that_know_it() {
        let of = |dialect| ask(Some(Shape::Lark)).body(dialect);
        assert_eq!(
            of(Dialect::MistralRs).unwrap()["grammar"],
            json!({ "type": "lark", "value": "start: \"x\"" })
        );
        assert_eq!(of(Dialect::Vllm).unwrap()["structured_outputs"]["grammar"], "start: \"x\"");
        assert_eq!(of(Dialect::LlamaCpp).unwrap()["grammar"], "%llguidance {}\nstart: \"x\"");
        for dialect in [Dialect::Ollama, Dialect::OpenAi, Dialect::Other] {
            assert!(of(dialect).unwrap_err().to_string().contains("llama.cpp built with LLAMA_LLGUIDANCE"));
        }
    }
}
