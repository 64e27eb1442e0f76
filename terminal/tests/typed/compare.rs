//! Whether what came back is what was sent.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

use crate::types::{Echo, Type};

/// Base64 says the same with any bits in what its last character has too many of.
const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Compares the arguments of a call with its result.
///
/// # Errors
/// The first place where they differ.
pub fn compare(echo: &Echo, sent: &Value, got: &Value) -> Result<(), String> {
    let members = sent.as_object().ok_or("the arguments are no object")?;
    let sent = |name: &str| members.get(name).cloned().unwrap_or(Value::Null);
    match (echo.params.as_slice(), echo.result()) {
        ([], _) => same(&Type::Result(None, None), "", &Value::Null, got),
        ([(name, ty)], result) if *ty == result => same(ty, name, &sent(name), got),
        (params, result) => {
            let all: Vec<Value> = params.iter().map(|(name, _)| sent(name)).collect();
            same(&result, "", &json!(all), got)
        }
    }
}

fn same(ty: &Type, path: &str, sent: &Value, got: &Value) -> Result<(), String> {
    let is_same = match ty {
        Type::Bool | Type::Char | Type::String | Type::Enum(_) | Type::Result(None, None) => sent == got,
        // `-0` and `2.0` are integers to JSON.
        Type::Integer(_) => whole(sent).is_some() && whole(sent) == whole(got),
        Type::F32 => narrow(sent).is_some() && narrow(sent) == narrow(got),
        Type::F64 => sent.as_f64().is_some() && sent.as_f64() == got.as_f64(),
        Type::List(inner) if **inner == Type::Integer("u8") => {
            let bytes = |value: &Value| LENIENT.decode(value.as_str()?).ok();
            bytes(sent).is_some() && bytes(sent) == bytes(got)
        }
        Type::List(inner) => return all(sent, got, path, |_| Some(inner)),
        Type::Tuple(types) => return all(sent, got, path, |n| types.get(n)),
        // A flag that is named twice is set once, and they come back in their own order.
        Type::Flags(_) => {
            let set = |value: &Value| {
                let names = value.as_array()?.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect::<Option<BTreeSet<String>>>()
            };
            set(sent).is_some() && set(sent) == set(got)
        }
        Type::Option(inner) => {
            if sent.is_null() || got.is_null() {
                sent == got
            } else if matches!(**inner, Type::Option(_)) {
                return same(inner, path, &sent["some"], &got["some"]);
            } else {
                return same(inner, path, sent, got);
            }
        }
        Type::Record(fields) => {
            let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
            let (sent, got) = (members(sent), members(got));
            let known =
                |map: &Map<String, Value>| map.keys().all(|key| fields.iter().any(|(name, _)| name == key));
            if !known(&sent) || !known(&got) {
                return Err(format!("{path}: a field that the type has not"));
            }
            for (name, ty) in fields {
                let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
                same(ty, &format!("{path}.{name}"), &of(&sent), &of(&got))?;
            }
            true
        }
        Type::Variant(cases) => {
            let payload = |name: &String| cases.iter().find(|(known, _)| known == name)?.1.as_ref();
            return case(sent, got, path, payload);
        }
        Type::Result(ok, error) => {
            return case(sent, got, path, |name| if name == "ok" { ok.as_deref() } else { error.as_deref() });
        }
    };
    if is_same { Ok(()) } else { Err(format!("{path}: {sent} came back as {got}")) }
}

fn all<'a>(
    sent: &Value,
    got: &Value,
    path: &str,
    ty: impl Fn(usize) -> Option<&'a Type>,
) -> Result<(), String> {
    let differ = || format!("{path}: {sent} came back as {got}");
    let (sent, got) = (sent.as_array().ok_or_else(differ)?, got.as_array().ok_or_else(differ)?);
    if sent.len() != got.len() {
        return Err(differ());
    }
    for (n, (sent, got)) in sent.iter().zip(got).enumerate() {
        same(ty(n).ok_or_else(differ)?, &format!("{path}[{n}]"), sent, got)?;
    }
    Ok(())
}

/// Compares what a case carries; one that carries nothing has to be the same as a whole.
fn case<'a>(
    sent: &Value,
    got: &Value,
    path: &str,
    payload: impl Fn(&String) -> Option<&'a Type>,
) -> Result<(), String> {
    let only = |value: &Value| {
        let map = value.as_object().filter(|map| map.len() == 1)?;
        map.iter().next().map(|(name, value)| (name.clone(), value.clone()))
    };
    if let (Some((name, sent)), Some((other, got))) = (only(sent), only(got))
        && name == other
        && let Some(ty) = payload(&name)
    {
        return same(ty, &format!("{path}({name})"), &sent, &got);
    }
    if sent == got { Ok(()) } else { Err(format!("{path}: {sent} came back as {got}")) }
}

fn whole(value: &Value) -> Option<i128> {
    let exact = value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from));
    exact.or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i128))
}

fn narrow(value: &Value) -> Option<f32> {
    value.as_f64().map(|number| number as f32)
}
