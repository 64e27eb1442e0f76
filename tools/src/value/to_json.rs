//! Component values to JSON: what a function returned.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use wasmtime::component::{Type, Val};

use super::{field, is_byte, is_option};

/// A value that a guest returned and that JSON cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it returned {what} at {path}, which JSON cannot hold")]
pub(crate) struct NoJson {
    /// Where.
    pub path: String,
    /// What it is.
    pub what: String,
}

/// Writes a value of this type. Its depth is bounded by its type, which was checked when the
/// component was loaded; an absent option is left out of a record.
pub(crate) fn to_json(ty: &Type, value: &Val, path: &str) -> Result<Value, NoJson> {
    Ok(match (ty, value) {
        (_, Val::Bool(it)) => Value::Bool(*it),
        (_, Val::S8(it)) => Value::from(*it),
        (_, Val::U8(it)) => Value::from(*it),
        (_, Val::S16(it)) => Value::from(*it),
        (_, Val::U16(it)) => Value::from(*it),
        (_, Val::S32(it)) => Value::from(*it),
        (_, Val::U32(it)) => Value::from(*it),
        (_, Val::S64(it)) => Value::from(*it),
        (_, Val::U64(it)) => Value::from(*it),
        (_, Val::Float32(it)) => float(float32(*it), path)?,
        (_, Val::Float64(it)) => float(*it, path)?,
        (_, Val::Char(it)) => Value::String(it.to_string()),
        (_, Val::String(it)) => Value::String(it.clone()),
        (_, Val::Enum(name)) => Value::String(name.clone()),
        (_, Val::Flags(names)) => Value::from(names.clone()),
        (Type::List(list), Val::List(items)) if is_byte(&list.ty()) => base64(items),
        (Type::List(list), Val::List(items)) => array(&list.ty(), items, path)?,
        (Type::FixedLengthList(list), Val::FixedLengthList(items)) => array(&list.ty(), items, path)?,
        (Type::Tuple(tuple), Val::Tuple(items)) => tuple
            .types()
            .zip(items)
            .enumerate()
            .map(|(index, (ty, item))| to_json(&ty, item, &format!("{path}[{index}]")))
            .collect::<Result<_, _>>()?,
        (Type::Record(record), Val::Record(fields)) => {
            let mut map = Map::new();
            for (it, (name, value)) in record.fields().zip(fields) {
                if !matches!(value, Val::Option(None)) {
                    map.insert(name.clone(), to_json(&it.ty, value, &field(path, name))?);
                }
            }
            Value::Object(map)
        }
        (Type::Option(_), Val::Option(None)) => Value::Null,
        (Type::Option(option), Val::Option(Some(value))) => {
            let inner = option.ty();
            let written = to_json(&inner, value, path)?;
            if is_option(&inner) { single("some", written) } else { written }
        }
        (Type::Variant(_), Val::Variant(name, None)) => Value::String(name.clone()),
        (Type::Variant(variant), Val::Variant(name, Some(value))) => {
            let ty = variant.cases().find(|case| case.name == name).and_then(|case| case.ty);
            let place = super::case(path, name);
            single(name, payload(ty, Some(value), &place)?)
        }
        (Type::Result(result), Val::Result(Ok(value))) => {
            single("ok", payload(result.ok(), value.as_deref(), path)?)
        }
        (Type::Result(result), Val::Result(Err(value))) => {
            single("error", payload(result.err(), value.as_deref(), path)?)
        }
        _ => return Err(NoJson { path: path.into(), what: "a value without a JSON form".into() }),
    })
}

/// What a case carries, null for nothing.
pub(crate) fn payload(ty: Option<Type>, value: Option<&Val>, path: &str) -> Result<Value, NoJson> {
    match (ty, value) {
        (Some(ty), Some(value)) => to_json(&ty, value, path),
        _ => Ok(Value::Null),
    }
}

/// Through the shortest decimal that reads back as the same `f32`, so that 0.1 stays 0.1.
fn float32(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn float(number: f64, path: &str) -> Result<Value, NoJson> {
    Number::from_f64(number)
        .map(Value::Number)
        .ok_or_else(|| NoJson { path: path.into(), what: format!("{number}") })
}

fn base64(items: &[Val]) -> Value {
    let bytes: Vec<u8> =
        items.iter().filter_map(|item| if let Val::U8(byte) = item { Some(*byte) } else { None }).collect();
    Value::String(STANDARD.encode(bytes))
}

fn array(ty: &Type, items: &[Val], path: &str) -> Result<Value, NoJson> {
    items.iter().enumerate().map(|(index, item)| to_json(ty, item, &format!("{path}[{index}]"))).collect()
}

fn single(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}
