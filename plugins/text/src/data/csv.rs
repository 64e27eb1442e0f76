//! CSV with a header, as an array of objects.

use ::csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Writer};
use serde_json::{Map, Value};

/// The most fields, because a field as a value takes many times its room.
const MAX_FIELDS: usize = 250_000;
/// What may stand between fields; the first that most often stands in the header is taken.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Reads CSV. A column in which every field is a number or empty holds numbers, so that they can be
/// compared; the same goes for true and false.
pub fn read(text: &str) -> Result<Value, String> {
    let mut reader = reader(text);
    let header = columns(reader.headers().map_err(fault)?)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(fault)?;
        if (rows.len() + 1) * header.len() > MAX_FIELDS {
            return Err(format!("the CSV has more than {MAX_FIELDS} fields; give a part of it"));
        }
        rows.push(record);
    }
    let kinds: Vec<Kind> = (0..header.len()).map(|column| Kind::of(&rows, column)).collect();
    let object = |row: &StringRecord| {
        let fields = header.iter().zip(&kinds).zip(row);
        let members = fields.map(|((name, kind), field)| (name.clone(), kind.value(field)));
        Value::Object(members.collect::<Map<_, _>>())
    };
    Ok(Value::Array(rows.iter().map(object).collect()))
}

/// Whether a text has two lines or more and all have the same fields, at least two.
pub fn is_likely(text: &str) -> bool {
    let mut reader = reader(text);
    let wide = reader.headers().is_ok_and(|header| header.len() > 1);
    let mut rows = 0;
    wide && reader.records().all(|record| {
        rows += 1;
        record.is_ok()
    }) && rows > 0
}

fn reader(text: &str) -> Reader<&[u8]> {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: &char| header.matches(*delimiter).count();
    // `max_by_key` takes the last of equals, so the preferred comes last.
    let delimiter = DELIMITERS.iter().rev().max_by_key(|it| count(it)).copied().unwrap_or(',');
    ReaderBuilder::new().delimiter(u8::try_from(delimiter).unwrap_or(b',')).from_reader(text.as_bytes())
}

fn columns(header: &StringRecord) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for (index, name) in header.iter().enumerate() {
        let name = match name.trim() {
            "" => format!("column {}", index + 1),
            name => name.to_owned(),
        };
        names.push(name);
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two columns of the CSV are called {:?}; rename one", pair[0])),
        None => Ok(names),
    }
}

fn fault(error: ::csv::Error) -> String {
    let line = |pos: &Option<::csv::Position>| pos.as_ref().map_or(0, ::csv::Position::line);
    match error.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => format!(
            "this is no valid CSV: line {} has {len} fields, the header has {expected_len}; a field with \
             the delimiter in it is put in double quotes",
            line(pos)
        ),
        _ => format!("this is no valid CSV: {error}"),
    }
}

/// What the fields of a column are.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Bool,
}

impl Kind {
    fn of(rows: &[StringRecord], column: usize) -> Self {
        let fields = || rows.iter().filter_map(|row| row.get(column)).filter(|it| !it.is_empty());
        if fields().next().is_none() {
            Self::Text
        } else if fields().all(|it| number(it).is_some()) {
            Self::Number
        } else if fields().all(|it| matches!(it, "true" | "false")) {
            Self::Bool
        } else {
            Self::Text
        }
    }

    fn value(self, field: &str) -> Value {
        match self {
            Self::Text => field.into(),
            _ if field.is_empty() => Value::Null,
            Self::Number => number(field).unwrap_or_else(|| field.into()),
            Self::Bool => Value::Bool(field == "true"),
        }
    }
}

/// A field as a number, unless digits would be lost: 007 is a name, and so is a very long number.
fn number(field: &str) -> Option<Value> {
    let digits = field.strip_prefix('-').unwrap_or(field);
    let is_padded = digits.starts_with('0') && digits.len() > 1 && !digits.starts_with("0.");
    let is_plain = digits.chars().all(|it| it.is_ascii_digit() || it == '.');
    if is_padded || !is_plain {
        return None;
    }
    match field.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        // A double holds any 15 digits.
        Err(_) if digits.contains('.') && digits.len() <= 16 => serde_json::from_str(field).ok(),
        Err(_) => None,
    }
}

/// Writes CSV. The columns are the keys of all objects in the order in which they first come.
pub fn write(value: &Value) -> Result<String, String> {
    let rows = rows(value)?;
    let mut columns: Map<String, Value> = Map::new();
    for key in rows.iter().flat_map(|row| row.keys()) {
        columns.entry(key).or_insert(Value::Null);
    }
    if columns.is_empty() {
        return Err("there is nothing to write as CSV: no object has a key".into());
    }
    if rows.len() * columns.len() > MAX_FIELDS {
        return Err(format!("the CSV would have more than {MAX_FIELDS} fields; give a part of the data"));
    }
    let fault = |error: ::csv::Error| format!("it cannot be written as CSV: {error}");
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(columns.keys()).map_err(fault)?;
    for row in rows {
        writer.write_record(columns.keys().map(|key| field(row.get(key)))).map_err(fault)?;
    }
    let bytes = writer.into_inner().map_err(|error| format!("it cannot be written as CSV: {error}"))?;
    String::from_utf8(bytes).map_err(|error| format!("it cannot be written as CSV: {error}"))
}

/// The rows: an array of objects, one object, or an object whose one member is such an array, which
/// is how TOML has tables.
fn rows(value: &Value) -> Result<Vec<&Map<String, Value>>, String> {
    let object = |(index, item): (usize, &'_ Value)| match item {
        Value::Object(_) => Ok(()),
        _ => {
            Err(format!("CSV takes an array of objects, and $[{index}] is none; pick the rows with a query"))
        }
    };
    let items = match value {
        Value::Array(items) => items.as_slice(),
        Value::Object(map) => match map.values().next() {
            Some(Value::Array(items)) if map.len() == 1 && items.iter().all(Value::is_object) => items,
            _ => std::slice::from_ref(value),
        },
        _ => return Err("CSV takes an array of objects, and this is a single value".into()),
    };
    items.iter().enumerate().try_for_each(object)?;
    Ok(items.iter().filter_map(Value::as_object).collect())
}

/// A value as a field; what is nested is written as JSON.
fn field(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
