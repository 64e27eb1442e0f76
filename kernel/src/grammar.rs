//! Grammars: JSON schemas of tools and answers as the Lark source that decoding obeys.

use serde_json::{Map, Value, json};

use crate::abi::{Grammar, Shape, ToolSpec};

/// Bounds that are put on schemas that name none, so that decoding under them ends.
pub mod bounds {
    /// Characters of a string.
    pub const MAX_STRING_CHARS: u64 = 400;
    /// Items of an array.
    pub const MAX_ITEMS: u64 = 16;
    /// The magnitude of a number.
    pub const MAX_NUMBER: i64 = 1_000_000_000_000;
    /// How deep a schema is followed.
    pub const MAX_DEPTH: usize = 32;
}

/// Free text that cannot be taken for a call: it starts with none of the signs that a
/// call starts with.
const TEXT_RULE: &str = "text: /[^{<`\\[\\s](?s:.)*/\n";

/// A grammar of calls to these tools, at most `most` of them, or of free text too when `or_text`.
/// Each call has a line of its own; a system call stands alone, since what follows it may depend on it.
pub fn calls(tools: &[&ToolSpec], or_text: bool, most: u32) -> Grammar {
    let rule = |name: &str, of: &[&ToolSpec]| {
        let alternatives: Vec<Value> = of.iter().map(|tool| call_schema(tool)).collect();
        match <[Value; 1]>::try_from(alternatives) {
            Ok([only]) => format!("{name}: {}\n", json_rule(only)),
            Err(alternatives) if alternatives.is_empty() => String::new(),
            Err(alternatives) => format!("{name}: {}\n", json_rule(json!({ "anyOf": alternatives }))),
        }
    };
    let (alone, together): (Vec<&ToolSpec>, Vec<&ToolSpec>) =
        tools.iter().partition(|tool| crate::syscall::is_one(&tool.name));
    let several = most > 1 && !together.is_empty();
    let rules = match several {
        false => rule("call", tools),
        true => {
            let or_alone = if alone.is_empty() { "" } else { " | alone" };
            let more = most - 1;
            format!(
                "call: tool (\"\\n\" tool){{0,{more}}}{or_alone}\n{}{}",
                rule("tool", &together),
                rule("alone", &alone)
            )
        }
    };
    let start = if or_text { "start: text | call\n" } else { "start: call\n" };
    let text = if or_text { TEXT_RULE } else { "" };
    let tools = tools.iter().map(|tool| (*tool).clone()).collect();
    Grammar { lark: format!("{start}{text}{rules}"), shape: Shape::Calls { tools, or_text, several } }
}

/// A grammar of free text that is no call: a small model that knows of tools writes calls where
/// it was not asked to. It may open with a fence, but not to put a call into it.
/// Source of `&` and `~`: llguidance, docs/syntax.md.
pub fn text() -> Grammar {
    let lark = "start: TEXT\nTEXT: /[^{<\\s](?s:.)*/ & ~/```[a-z_]*\\s*\\{\\s*\"name\"(?s:.)*/\n";
    Grammar { lark: lark.into(), shape: Shape::Text }
}

/// A grammar of values of this schema.
pub fn value(schema: &Value) -> Grammar {
    let lark = format!("start: {}\n", json_rule(schema.clone()));
    Grammar { lark, shape: Shape::Value { schema: schema.clone() } }
}

fn json_rule(schema: Value) -> String {
    let mut schema = bounded(schema, 0);
    if let Value::Object(map) = &mut schema {
        // Source: llguidance, docs/json_schema.md. One way to write white space.
        map.insert("x-guidance".into(), json!({ "whitespace_flexible": false }));
    }
    format!("%json {schema}")
}

/// The schema of `{"name": …, "arguments": …}` for one tool.
pub fn call_schema(tool: &ToolSpec) -> Value {
    json!({
        "type": "object",
        "properties": { "name": { "const": tool.name }, "arguments": tool.parameters },
        "required": ["name", "arguments"],
        "additionalProperties": false,
    })
}

/// Puts bounds where a schema has none. What fits the result fits the schema.
pub fn bounded(schema: Value, depth: usize) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    if depth >= bounds::MAX_DEPTH {
        return Value::Object(map);
    }
    if !map.contains_key("enum") && !map.contains_key("const") {
        bound_scalar(&mut map);
    }
    for key in ["properties", "$defs", "definitions"] {
        if let Some(Value::Object(inner)) = map.get_mut(key) {
            for value in inner.values_mut() {
                *value = bounded(value.take(), depth + 1);
            }
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(value) = map.get_mut(key) {
            *value = bounded(value.take(), depth + 1);
        }
    }
    for key in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        if let Some(Value::Array(items)) = map.get_mut(key) {
            for value in items {
                *value = bounded(value.take(), depth + 1);
            }
        }
    }
    Value::Object(map)
}

fn bound_scalar(map: &mut Map<String, Value>) {
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind.as_str() {
        "string" if !["maxLength", "pattern", "format"].iter().any(|key| map.contains_key(*key)) => {
            let least = map.get("minLength").and_then(Value::as_u64).unwrap_or(0);
            map.insert("maxLength".into(), json!(bounds::MAX_STRING_CHARS.max(least)));
        }
        "array" if !map.contains_key("maxItems") && !map.contains_key("prefixItems") => {
            let least = map.get("minItems").and_then(Value::as_u64).unwrap_or(0);
            map.insert("maxItems".into(), json!(bounds::MAX_ITEMS.max(least)));
        }
        "integer" | "number" => bound_number(map),
        _ => {}
    }
}

fn bound_number(map: &mut Map<String, Value>) {
    if map.contains_key("multipleOf") {
        return;
    }
    let least = map.get("minimum").or_else(|| map.get("exclusiveMinimum")).and_then(Value::as_f64);
    let most = map.get("maximum").or_else(|| map.get("exclusiveMaximum")).and_then(Value::as_f64);
    let far = bounds::MAX_NUMBER as f64;
    if least.is_none() && most.is_none_or(|most| most > -far) {
        map.insert("minimum".into(), json!(-bounds::MAX_NUMBER));
    }
    if most.is_none() && least.is_none_or(|least| least < far) {
        map.insert("maximum".into(), json!(bounds::MAX_NUMBER));
    }
}
