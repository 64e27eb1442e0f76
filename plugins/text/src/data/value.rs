//! Values that are read strictly: what JSON cannot hold is an error and not silently changed.

use std::fmt;

use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// A value in which every key stands once and every number is kept as it was.
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E: Error>(self, it: i64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_u64<E: Error>(self, it: u64) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_i128<E: Error>(self, it: i128) -> Result<Value, E> {
        match (i64::try_from(it), u64::try_from(it)) {
            (Ok(it), _) => Ok(it.into()),
            (_, Ok(it)) => Ok(it.into()),
            _ => Err(E::custom(too_large(&it.to_string()))),
        }
    }

    fn visit_u128<E: Error>(self, it: u128) -> Result<Value, E> {
        u64::try_from(it).map(Value::from).map_err(|_| E::custom(too_large(&it.to_string())))
    }

    fn visit_f64<E: Error>(self, it: f64) -> Result<Value, E> {
        Number::from_f64(it).map(Value::Number).ok_or_else(|| E::custom(not_finite(it)))
    }

    fn visit_str<E: Error>(self, it: &str) -> Result<Value, E> {
        Ok(it.into())
    }

    fn visit_string<E: Error>(self, it: String) -> Result<Value, E> {
        Ok(it.into())
    }

    /// YAML's `!!binary`.
    fn visit_bytes<E: Error>(self, it: &[u8]) -> Result<Value, E> {
        Ok(BASE64.encode(it).into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, it: D) -> Result<Value, D::Error> {
        it.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, it: D) -> Result<Value, D::Error> {
        it.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            match map.entry(key) {
                Entry::Vacant(entry) => {
                    let Strict(value) = members.next_value()?;
                    entry.insert(value);
                }
                Entry::Occupied(entry) => {
                    return Err(A::Error::custom(format!("the key {:?} stands twice", entry.key())));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

/// Says that an integer has more than 64 bits.
pub fn too_large(digits: &str) -> String {
    let digits = crate::limits::shortened(digits, 40);
    format!("the number {digits} has more than 64 bits and would be rounded; put it in quotes")
}

/// Says that a number is none that JSON has.
pub fn not_finite(it: f64) -> String {
    format!("{it} is no number that JSON has; put it in quotes")
}
