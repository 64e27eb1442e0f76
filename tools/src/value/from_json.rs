//! JSON to component values: the arguments of a call on their way in.
//!
//! Arguments are an allegation until they are read here: every mismatch is named by its path.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use wasmtime::component::{Type, Val};

use super::{Misfit, field, is_byte, is_option};
use crate::limits::MAX_DEPTH;

/// As RFC 4648 section 4 has it, but with any bits in what the last character has too many of:
/// the schema cannot rule them out, so a model may write them.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Reads the arguments of a function, in the order of its parameters.
pub(crate) fn arguments(params: &[(String, Type)], arguments: &Value) -> Result<Vec<Val>, Misfit> {
    let Value::Object(map) = arguments else {
        return Err(misfit("the arguments", "an object", arguments));
    };
    known(map, params.iter().map(|(name, _)| name.as_str()), "")?;
    params.iter().map(|(name, ty)| member(map, name, ty, "", 0)).collect()
}

/// Reads one value of this type. `path` names it in errors.
pub(crate) fn from_json(ty: &Type, value: &Value, path: &str, depth: usize) -> Result<Val, Misfit> {
    if depth > MAX_DEPTH {
        return Err(wrong(path, format!("nested more than {MAX_DEPTH} deep")));
    }
    let deeper = depth + 1;
    Ok(match ty {
        Type::Bool => Val::Bool(value.as_bool().ok_or_else(|| misfit(path, "true or false", value))?),
        Type::S8 => Val::S8(integer(value, path, i128::from(i8::MIN), i128::from(i8::MAX))?),
        Type::U8 => Val::U8(integer(value, path, 0, i128::from(u8::MAX))?),
        Type::S16 => Val::S16(integer(value, path, i128::from(i16::MIN), i128::from(i16::MAX))?),
        Type::U16 => Val::U16(integer(value, path, 0, i128::from(u16::MAX))?),
        Type::S32 => Val::S32(integer(value, path, i128::from(i32::MIN), i128::from(i32::MAX))?),
        Type::U32 => Val::U32(integer(value, path, 0, i128::from(u32::MAX))?),
        Type::S64 => Val::S64(integer(value, path, i128::from(i64::MIN), i128::from(i64::MAX))?),
        Type::U64 => Val::U64(integer(value, path, 0, i128::from(u64::MAX))?),
        Type::Float32 => Val::Float32(float32(value, path)?),
        Type::Float64 => Val::Float64(value.as_f64().ok_or_else(|| misfit(path, "a number", value))?),
        Type::Char => Val::Char(scalar(value, path)?),
        Type::String => Val::String(string(value, path)?.to_owned()),
        Type::List(list) if is_byte(&list.ty()) => bytes(value, path)?,
        Type::List(list) => Val::List(items(&list.ty(), array(value, path)?, path, deeper)?),
        Type::FixedLengthList(list) => {
            let values = array(value, path)?;
            length(values, list.len() as usize, path)?;
            Val::FixedLengthList(items(&list.ty(), values, path, deeper)?)
        }
        Type::Tuple(tuple) => {
            let values = array(value, path)?;
            length(values, tuple.types().len(), path)?;
            Val::Tuple(
                tuple
                    .types()
                    .zip(values)
                    .enumerate()
                    .map(|(index, (ty, value))| from_json(&ty, value, &format!("{path}[{index}]"), deeper))
                    .collect::<Result<_, _>>()?,
            )
        }
        Type::Record(record) => {
            let map = object(value, path)?;
            known(map, record.fields().map(|it| it.name), path)?;
            Val::Record(
                record
                    .fields()
                    .map(|it| Ok((it.name.to_owned(), member(map, it.name, &it.ty, path, deeper)?)))
                    .collect::<Result<_, _>>()?,
            )
        }
        Type::Option(option) => Val::Option(optional(&option.ty(), value, path, deeper)?),
        Type::Enum(cases) => {
            let name = string(value, path)?;
            one_of(cases.names(), name, path)?;
            Val::Enum(name.to_owned())
        }
        Type::Flags(flags) => Val::Flags(flag_names(flags.names(), array(value, path)?, path)?),
        Type::Variant(variant) => {
            let cases: Vec<_> = variant.cases().map(|it| (it.name, it.ty)).collect();
            let (name, payload) = chosen(&cases, value, path, deeper)?;
            Val::Variant(name.to_owned(), payload)
        }
        Type::Result(result) => {
            let cases = [("ok", result.ok()), ("error", result.err())];
            let (name, payload) = chosen_result(&cases, value, path, deeper)?;
            Val::Result(if name == "ok" { Ok(payload) } else { Err(payload) })
        }
        Type::Map(_)
        | Type::Own(_)
        | Type::Borrow(_)
        | Type::Future(_)
        | Type::Stream(_)
        | Type::ErrorContext => return Err(wrong(path, "a type without a JSON form".into())),
    })
}

/// A member of an object; only an option may be absent.
fn member(map: &Map<String, Value>, name: &str, ty: &Type, path: &str, depth: usize) -> Result<Val, Misfit> {
    let place = field(path, name);
    match map.get(name) {
        Some(value) => from_json(ty, value, &place, depth),
        None if is_option(ty) => Ok(Val::Option(None)),
        None => Err(wrong(&place, "is missing".into())),
    }
}

fn optional(inner: &Type, value: &Value, path: &str, depth: usize) -> Result<Option<Box<Val>>, Misfit> {
    if value.is_null() {
        return Ok(None);
    }
    let value = match (is_option(inner), value) {
        (false, value) => value,
        (true, Value::Object(map)) if map.len() == 1 && map.contains_key("some") => &map["some"],
        (true, value) => return Err(misfit(path, "null or {\"some\": …}", value)),
    };
    Ok(Some(Box::new(from_json(inner, value, path, depth)?)))
}

type Chosen<'a> = (&'a str, Option<Box<Val>>);

/// The case of a variant: a string without, an object of one member with a payload.
fn chosen<'a>(
    cases: &'a [(&'a str, Option<Type>)],
    value: &Value,
    path: &str,
    depth: usize,
) -> Result<Chosen<'a>, Misfit> {
    let (name, payload) = match value {
        Value::String(name) => (name, None),
        Value::Object(map) if map.len() == 1 => {
            let (name, payload) = map.iter().next().ok_or_else(|| misfit(path, "one case", value))?;
            (name, Some(payload))
        }
        other => return Err(misfit(path, "a case: a string, or an object of one member", other)),
    };
    let Some((name, ty)) = cases.iter().find(|(known, _)| known == name) else {
        return Err(not_one_of(cases.iter().map(|(name, _)| *name), name, path));
    };
    let place = super::case(path, name);
    match (ty, payload) {
        (None, None) => Ok((name, None)),
        (Some(ty), Some(payload)) => Ok((name, Some(Box::new(from_json(ty, payload, &place, depth)?)))),
        (None, Some(_)) => Err(wrong(&place, format!("carries no value: write {name:?}"))),
        (Some(_), None) => Err(wrong(&place, format!("carries a value: write {{{name:?}: …}}"))),
    }
}

/// `{"ok": …}` or `{"error": …}`, with null where there is no payload.
fn chosen_result<'a>(
    cases: &'a [(&'a str, Option<Type>); 2],
    value: &Value,
    path: &str,
    depth: usize,
) -> Result<Chosen<'a>, Misfit> {
    let expected = "{\"ok\": …} or {\"error\": …}";
    let map = object(value, path).map_err(|_| misfit(path, expected, value))?;
    let found = cases.iter().find_map(|(name, ty)| Some((*name, ty, map.get(*name)?)));
    let Some((name, ty, payload)) = found.filter(|_| map.len() == 1) else {
        return Err(misfit(path, expected, value));
    };
    let place = super::case(path, name);
    match ty {
        Some(ty) => Ok((name, Some(Box::new(from_json(ty, payload, &place, depth)?)))),
        None if payload.is_null() => Ok((name, None)),
        None => Err(misfit(&place, "null", payload)),
    }
}

fn items(ty: &Type, values: &[Value], path: &str, depth: usize) -> Result<Vec<Val>, Misfit> {
    values
        .iter()
        .enumerate()
        .map(|(index, value)| from_json(ty, value, &format!("{path}[{index}]"), depth))
        .collect()
}

/// JSON has one kind of number: `2.0` is an integer too.
fn integer<T: TryFrom<i128>>(value: &Value, path: &str, least: i128, most: i128) -> Result<T, Misfit> {
    const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= LARGEST_EXACT;
    let exact = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    exact
        .or_else(|| value.as_f64().filter(whole).map(|number| number as i128))
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| misfit(path, &format!("an integer from {least} to {most}"), value))
}

fn float32(value: &Value, path: &str) -> Result<f32, Misfit> {
    let wide = value.as_f64().ok_or_else(|| misfit(path, "a number", value))?;
    let narrow = wide as f32;
    if narrow.is_finite() { Ok(narrow) } else { Err(misfit(path, "a number that fits 32 bits", value)) }
}

fn scalar(value: &Value, path: &str) -> Result<char, Misfit> {
    let mut chars = string(value, path)?.chars();
    match (chars.next(), chars.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(misfit(path, "a string of one character", value)),
    }
}

fn bytes(value: &Value, path: &str) -> Result<Val, Misfit> {
    let text = string(value, path).map_err(|_| misfit(path, "a base64 string", value))?;
    let bytes = LENIENT
        .decode(text)
        .map_err(|error| wrong(path, format!("expected a base64 string, but {error}")))?;
    Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
}

fn flag_names<'a>(
    names: impl Iterator<Item = &'a str>,
    values: &[Value],
    path: &str,
) -> Result<Vec<String>, Misfit> {
    let known: Vec<&str> = names.collect();
    let mut chosen: Vec<String> = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let place = format!("{path}[{index}]");
        let name = string(value, &place)?;
        one_of(known.iter().copied(), name, &place)?;
        // No grammar can rule out that a name stands twice, so it means what it means once.
        if !chosen.iter().any(|it| it == name) {
            chosen.push(name.to_owned());
        }
    }
    Ok(chosen)
}

fn one_of<'a>(names: impl Iterator<Item = &'a str>, name: &str, path: &str) -> Result<(), Misfit> {
    let names: Vec<&str> = names.collect();
    if names.contains(&name) { Ok(()) } else { Err(not_one_of(names.into_iter(), name, path)) }
}

fn not_one_of<'a>(names: impl Iterator<Item = &'a str>, name: &str, path: &str) -> Misfit {
    let names: Vec<&str> = names.collect();
    wrong(path, format!("{:?} is not one of {}", shown(name), names.join(", ")))
}

/// Refuses members that the type does not have.
fn known<'a>(
    map: &Map<String, Value>,
    names: impl Iterator<Item = &'a str>,
    path: &str,
) -> Result<(), Misfit> {
    let names: Vec<&str> = names.collect();
    match map.keys().find(|key| !names.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) if names.is_empty() => {
            Err(wrong(&field(path, &shown(key)), "there is nothing of that name; none is taken".into()))
        }
        Some(key) => Err(wrong(
            &field(path, &shown(key)),
            format!("there is nothing of that name; known: {}", names.join(", ")),
        )),
    }
}

fn string<'a>(value: &'a Value, path: &str) -> Result<&'a str, Misfit> {
    value.as_str().ok_or_else(|| misfit(path, "a string", value))
}

fn array<'a>(value: &'a Value, path: &str) -> Result<&'a [Value], Misfit> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| misfit(path, "an array", value))
}

fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, Misfit> {
    value.as_object().ok_or_else(|| misfit(path, "an object", value))
}

fn length(values: &[Value], expected: usize, path: &str) -> Result<(), Misfit> {
    if values.len() == expected {
        return Ok(());
    }
    Err(wrong(path, format!("expected an array of {expected} items, found {}", values.len())))
}

fn misfit(path: &str, expected: &str, found: &Value) -> Misfit {
    wrong(path, format!("expected {expected}, found {}", shown(&found.to_string())))
}

fn wrong(path: &str, reason: String) -> Misfit {
    Misfit { path: if path.is_empty() { "the value" } else { path }.into(), reason }
}

/// The front of a text that may be long.
fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
