//! Component types to JSON schema.
//!
//! Only keywords that llguidance implements are used, so that every schema here can become a
//! grammar. Source: <https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md>.

use serde_json::{Map, Value, json};
use wasmtime::component::Type;

use super::{case, field, is_byte, is_option};
use crate::docs::FunctionDocs;
use crate::limits::{MAX_DEPTH, MAX_SCHEMA_NODES};

/// The least `s64` that a schema names. The true least, -2^63, has no positive counterpart,
/// and the grammar compiler negates bounds after a trip through a double.
const LEAST_S64: i64 = -(i64::MAX - 1_023);

/// RFC 4648 section 4, with padding.
const BASE64_PATTERN: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

/// A type that has no JSON form, or a schema that would be too large.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("has {what} at {path}, which cannot be written in JSON")]
pub(crate) struct Unsupported {
    /// Where, such as `points[].x` or `the result`.
    pub path: String,
    /// What it is, such as `a stream`.
    pub what: String,
}

/// The schema of a function's arguments: an object with one property a parameter.
pub(crate) fn parameters<'a>(
    params: impl Iterator<Item = (&'a str, Type)>,
    docs: &FunctionDocs,
) -> Result<Value, Unsupported> {
    let mut walk = Walk { docs, nodes: 0 };
    walk.object(params, "", 0)
}

/// Checks that a function's result has a JSON form.
pub(crate) fn check_result(ty: &Type) -> Result<(), Unsupported> {
    let docs = FunctionDocs::default();
    let mut walk = Walk { docs: &docs, nodes: 0 };
    match ty {
        Type::Result(result) => {
            for ty in [result.ok(), result.err()].into_iter().flatten() {
                walk.schema(&ty, "the result", 0)?;
            }
            Ok(())
        }
        ty => walk.schema(ty, "the result", 0).map(drop),
    }
}

struct Walk<'a> {
    docs: &'a FunctionDocs,
    nodes: usize,
}

impl Walk<'_> {
    fn schema(&mut self, ty: &Type, path: &str, depth: usize) -> Result<Value, Unsupported> {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_SCHEMA_NODES {
            return Err(unsupported(path, "a type that is too deep or too large"));
        }
        let deeper = depth + 1;
        let schema = match ty {
            Type::Bool => json!({ "type": "boolean" }),
            Type::S8 => integer(i8::MIN, i8::MAX),
            Type::U8 => integer(u8::MIN, u8::MAX),
            Type::S16 => integer(i16::MIN, i16::MAX),
            Type::U16 => integer(u16::MIN, u16::MAX),
            Type::S32 => integer(i32::MIN, i32::MAX),
            Type::U32 => integer(u32::MIN, u32::MAX),
            Type::S64 => integer(LEAST_S64, i64::MAX),
            Type::U64 => integer(u64::MIN, u64::MAX),
            Type::Float32 | Type::Float64 => json!({ "type": "number" }),
            Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
            Type::String => json!({ "type": "string" }),
            Type::List(list) => self.list(&list.ty(), path, deeper)?,
            Type::FixedLengthList(list) => {
                let mut schema = self.array(&list.ty(), path, deeper)?;
                schema.insert("minItems".into(), json!(list.len()));
                schema.insert("maxItems".into(), json!(list.len()));
                Value::Object(schema)
            }
            Type::Tuple(tuple) => self.tuple(tuple.types(), path, deeper)?,
            Type::Record(record) => self.object(record.fields().map(|it| (it.name, it.ty)), path, deeper)?,
            Type::Option(option) => return self.option(&option.ty(), path, deeper),
            Type::Enum(cases) => self.names(cases.names(), path),
            Type::Flags(flags) => self.flags(flags.names(), path),
            Type::Variant(variant) => {
                self.variant(variant.cases().map(|it| (it.name, it.ty)), path, deeper)?
            }
            Type::Result(result) => {
                self.cases(vec![("ok", result.ok()), ("error", result.err())], path, deeper)?
            }
            Type::Map(_) => return Err(unsupported(path, "a map")),
            Type::Own(_) | Type::Borrow(_) => return Err(unsupported(path, "a resource")),
            Type::Future(_) => return Err(unsupported(path, "a future")),
            Type::Stream(_) => return Err(unsupported(path, "a stream")),
            Type::ErrorContext => return Err(unsupported(path, "an error context")),
        };
        Ok(self.described(schema, path))
    }

    fn object<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a str, Type)>,
        path: &str,
        depth: usize,
    ) -> Result<Value, Unsupported> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, ty) in fields {
            properties.insert(name.into(), self.schema(&ty, &field(path, name), depth)?);
            if !is_option(&ty) {
                required.push(name.to_owned());
            }
        }
        Ok(json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }))
    }

    fn list(&mut self, element: &Type, path: &str, depth: usize) -> Result<Value, Unsupported> {
        if is_byte(element) {
            return Ok(json!({
                "type": "string",
                "contentEncoding": "base64",
                "pattern": BASE64_PATTERN,
            }));
        }
        self.array(element, path, depth).map(Value::Object)
    }

    fn array(&mut self, element: &Type, path: &str, depth: usize) -> Result<Map<String, Value>, Unsupported> {
        let items = self.schema(element, &format!("{path}[]"), depth)?;
        Ok(Map::from_iter([("type".into(), json!("array")), ("items".into(), items)]))
    }

    fn tuple(
        &mut self,
        types: impl Iterator<Item = Type>,
        path: &str,
        depth: usize,
    ) -> Result<Value, Unsupported> {
        let items = types
            .enumerate()
            .map(|(index, ty)| self.schema(&ty, &format!("{path}[{index}]"), depth))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(json!({
            "type": "array",
            "minItems": items.len(),
            "maxItems": items.len(),
            "prefixItems": items,
            "items": false,
        }))
    }

    fn option(&mut self, inner: &Type, path: &str, depth: usize) -> Result<Value, Unsupported> {
        let mut some = self.schema(inner, path, depth)?;
        // The text belongs to the field as a whole.
        let text = some.as_object_mut().and_then(|map| map.remove("description"));
        if is_option(inner) {
            some = single("some", some);
        }
        let mut schema = json!({ "anyOf": [some, { "type": "null" }] });
        if let Some(text) = text {
            schema["description"] = text;
        }
        Ok(schema)
    }

    fn names<'a>(&self, names: impl Iterator<Item = &'a str>, path: &str) -> Value {
        let names: Vec<&str> = names.collect();
        let mut schema = json!({ "type": "string", "enum": names });
        let said: Vec<String> = names
            .iter()
            .filter_map(|name| Some(format!("{name}: {}", self.docs.fields.get(&case(path, name))?)))
            .collect();
        if !said.is_empty() {
            schema["description"] = json!(said.join("; "));
        }
        schema
    }

    /// `uniqueItems` would be right, but no grammar can hold to it and llguidance refuses it; a name
    /// that stands twice counts once when the arguments are read.
    fn flags<'a>(&self, names: impl ExactSizeIterator<Item = &'a str>, path: &str) -> Value {
        let most = names.len();
        json!({ "type": "array", "items": self.names(names, path), "maxItems": most })
    }

    fn variant<'a>(
        &mut self,
        cases: impl Iterator<Item = (&'a str, Option<Type>)>,
        path: &str,
        depth: usize,
    ) -> Result<Value, Unsupported> {
        let (with, without): (Vec<_>, Vec<_>) = cases.partition(|(_, payload)| payload.is_some());
        let mut any = Vec::new();
        if !without.is_empty() {
            any.push(self.names(without.iter().map(|(name, _)| *name), path));
        }
        for (name, payload) in with {
            let place = case(path, name);
            let inner = match payload {
                Some(ty) => self.schema(&ty, &place, depth)?,
                None => Value::Null,
            };
            any.push(single(name, inner));
        }
        Ok(json!({ "anyOf": any }))
    }

    fn cases(
        &mut self,
        cases: Vec<(&str, Option<Type>)>,
        path: &str,
        depth: usize,
    ) -> Result<Value, Unsupported> {
        let mut any = Vec::new();
        for (name, payload) in cases {
            let inner = match payload {
                Some(ty) => self.schema(&ty, &case(path, name), depth)?,
                None => json!({ "type": "null" }),
            };
            any.push(single(name, inner));
        }
        Ok(json!({ "anyOf": any }))
    }

    fn described(&self, mut schema: Value, path: &str) -> Value {
        if let (Some(text), Value::Object(map)) = (self.docs.fields.get(path), &mut schema) {
            let cases = map.remove("description").and_then(|it| it.as_str().map(str::to_owned));
            let text = match cases {
                Some(cases) => format!("{text} ({cases})"),
                None => text.clone(),
            };
            map.insert("description".into(), Value::String(text));
        }
        schema
    }
}

fn integer<T: Into<serde_json::Number>>(least: T, most: T) -> Value {
    json!({
        "type": "integer",
        "minimum": Value::Number(least.into()),
        "maximum": Value::Number(most.into()),
    })
}

/// An object with exactly this property.
fn single(name: &str, schema: Value) -> Value {
    json!({
        "type": "object",
        "properties": { name: schema },
        "required": [name],
        "additionalProperties": false,
    })
}

fn unsupported(path: &str, what: &str) -> Unsupported {
    let path = if path.is_empty() { "its parameters" } else { path };
    Unsupported { path: path.into(), what: what.into() }
}
