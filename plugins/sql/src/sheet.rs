//! CSV files as tables in memory.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use rusqlite::{Connection, params_from_iter};

use crate::files;
use crate::limits::{MAX_SHEET_BYTES, MAX_SHEET_COLUMNS};

/// How many rows are looked at to find what separates the values.
const SAMPLE_ROWS: usize = 20;

/// A file with values in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Separated by commas, semicolons or tabs.
    Csv,
    /// Separated by tabs.
    Tsv,
}

/// What all values of a column are, as SQLite calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There is none.
    Empty,
    Integer,
    Real,
    Text,
}

impl Form {
    /// By the name of the file.
    pub fn of(path: &str) -> Option<Self> {
        let extension = Path::new(path).extension().and_then(OsStr::to_str)?;
        match extension.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            _ => None,
        }
    }
}

impl Kind {
    fn of(value: &str) -> Self {
        let value = value.trim();
        let digits = value.strip_prefix('-').unwrap_or(value);
        let numeric = digits.starts_with(|first: char| first.is_ascii_digit())
            && digits.chars().all(|one| one.is_ascii_digit() || matches!(one, '.' | 'e' | 'E' | '-' | '+'));
        // A number that begins with 0 is more often a code, such as that of a town.
        let code = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
        if value.is_empty() {
            Self::Empty
        } else if !numeric || code {
            Self::Text
        } else if value.parse::<i64>().is_ok() {
            Self::Integer
        } else if value.contains(['.', 'e', 'E']) && value.parse::<f64>().is_ok_and(f64::is_finite) {
            Self::Real
        } else {
            Self::Text
        }
    }

    fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Empty, kind) | (kind, Self::Empty) => kind,
            (Self::Text, _) | (_, Self::Text) => Self::Text,
            (Self::Real, _) | (_, Self::Real) => Self::Real,
            (Self::Integer, Self::Integer) => Self::Integer,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Empty | Self::Text => "TEXT",
        }
    }
}

/// Reads a file into a table named like it.
pub fn load(connection: &mut Connection, path: &str, form: Form) -> Result<(), String> {
    let bytes = files::read_all(path, MAX_SHEET_BYTES).map_err(|fault| fault.to_string())?;
    let text = decoded(&bytes);
    let rows = text.as_bytes();
    let separator = separator(rows, form);
    let broken = |error: csv::Error| format!("{path} is no readable CSV: {error}");

    let mut kinds: Vec<Kind> = Vec::new();
    let mut records = reader(rows, separator).into_byte_records();
    let Some(header) = records.next().transpose().map_err(broken)? else {
        return Err(format!("{path} is empty"));
    };
    kinds.resize(header.len(), Kind::Empty);
    for record in records {
        let record = record.map_err(broken)?;
        if record.len() > kinds.len() {
            kinds.resize(record.len(), Kind::Empty);
        }
        for (kind, value) in kinds.iter_mut().zip(record.iter()) {
            *kind = kind.with(Kind::of(&String::from_utf8_lossy(value)));
        }
    }
    if kinds.len() > MAX_SHEET_COLUMNS {
        return Err(format!("{path} has {} columns; at most {MAX_SHEET_COLUMNS} can be read", kinds.len()));
    }
    let filled = fill(connection, &table_name(path), &names(&header, kinds.len()), &kinds, rows, separator);
    filled.map_err(|error| format!("{path} cannot be read into memory: {error}"))
}

fn fill(
    connection: &mut Connection,
    table: &str,
    names: &[String],
    kinds: &[Kind],
    rows: &[u8],
    separator: u8,
) -> rusqlite::Result<()> {
    let columns: Vec<String> =
        names.iter().zip(kinds).map(|(name, kind)| format!("{} {}", quoted(name), kind.sql())).collect();
    let change = connection.transaction()?;
    change.execute(&format!("CREATE TABLE {} ({})", quoted(table), columns.join(", ")), [])?;
    let places = vec!["?"; kinds.len()].join(", ");
    {
        let mut insert = change.prepare(&format!("INSERT INTO {} VALUES ({places})", quoted(table)))?;
        let mut records = reader(rows, separator);
        let mut record = ByteRecord::new();
        let mut is_header = true;
        // It was read once without an error.
        while records.read_byte_record(&mut record).unwrap_or(false) {
            if std::mem::take(&mut is_header) {
                continue;
            }
            let values = kinds.iter().enumerate().map(|(column, kind)| {
                let value = String::from_utf8_lossy(record.get(column).unwrap_or_default());
                match kind {
                    _ if value.trim().is_empty() => None,
                    // The column's type makes it a number.
                    Kind::Integer | Kind::Real => Some(value.trim().to_owned()),
                    Kind::Empty | Kind::Text => Some(value.into_owned()),
                }
            });
            insert.execute(params_from_iter(values))?;
        }
    }
    change.commit()
}

fn reader(rows: &[u8], separator: u8) -> Reader<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(rows)
}

/// UTF-8 with or without its mark; else Latin-1, which many spreadsheets still write.
fn decoded(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// What gives the most columns in the first rows, of which none has fewer than the first.
fn separator(rows: &[u8], form: Form) -> u8 {
    if form == Form::Tsv {
        return b'\t';
    }
    let columns = |separator: u8| {
        let widths = reader(rows, separator).into_byte_records().take(SAMPLE_ROWS);
        widths.map(|record| record.map_or(0, |record| record.len())).min().unwrap_or(0)
    };
    // Of the same number, the first.
    [b'\t', b';', b','].into_iter().max_by_key(|separator| columns(*separator)).unwrap_or(b',')
}

/// The name of the file without what a name in SQL has not.
fn table_name(path: &str) -> String {
    let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
    let name: String = stem.chars().map(|one| if one.is_alphanumeric() { one } else { '_' }).collect();
    match name.chars().next() {
        Some(first) if !first.is_ascii_digit() && !reserved(&name) => name,
        _ => format!("t_{name}"),
    }
}

/// Names that would not be a table's, or not without quotes.
fn reserved(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "all",
        "and",
        "as",
        "case",
        "check",
        "create",
        "default",
        "delete",
        "distinct",
        "drop",
        "else",
        "exists",
        "from",
        "group",
        "having",
        "in",
        "index",
        "insert",
        "into",
        "is",
        "join",
        "limit",
        "not",
        "null",
        "on",
        "or",
        "order",
        "select",
        "set",
        "table",
        "then",
        "to",
        "transaction",
        "union",
        "unique",
        "update",
        "using",
        "values",
        "when",
        "where",
    ];
    let name = name.to_lowercase();
    name.starts_with("sqlite_") || name.starts_with("pragma_") || WORDS.contains(&name.as_str())
}

/// The names of the columns: those of the header, each once, and one for each that has none.
fn names(header: &ByteRecord, columns: usize) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut names = Vec::with_capacity(columns);
    for column in 0..columns {
        let said = String::from_utf8_lossy(header.get(column).unwrap_or_default());
        let said = said.trim().replace(['\0', '\n', '\r'], " ");
        let name = if said.is_empty() { format!("column_{}", column + 1) } else { said };
        let mut unique = name.clone();
        let mut number = 2;
        // SQLite takes small and large letters for the same.
        while !taken.insert(unique.to_lowercase()) {
            unique = format!("{name}_{number}");
            number += 1;
        }
        names.push(unique);
    }
    names
}

/// A name as SQL takes it whatever it is.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_code_stays_text() {
        for (value, kind) in [
            ("", Kind::Empty),
            (" 12 ", Kind::Integer),
            ("-7", Kind::Integer),
            ("0", Kind::Integer),
            ("0.5", Kind::Real),
            ("1e5", Kind::Real),
            ("007", Kind::Text),
            ("1.2.3", Kind::Text),
            ("2024-01-02", Kind::Text),
            ("+49", Kind::Text),
            ("NaN", Kind::Text),
            ("99999999999999999999", Kind::Text),
        ] {
            assert_eq!(Kind::of(value), kind, "{value}");
        }
        assert_eq!(Kind::Integer.with(Kind::Real).with(Kind::Empty), Kind::Real);
    }

    #[test]
    fn separators_are_found() {
        assert_eq!(separator(b"a;b\n1,5;2\n", Form::Csv), b';');
        assert_eq!(separator(b"a,b\n\"x;y;z\",2\n", Form::Csv), b',');
        assert_eq!(separator(b"alone\n1\n", Form::Csv), b',');
        assert_eq!(separator(b"a\tb\n1\t2\n", Form::Csv), b'\t');
    }

    #[test]
    fn names_are_made_for_sql() {
        assert_eq!(table_name("/x/sales-2024.q1.csv"), "sales_2024_q1");
        assert_eq!(table_name("/x/2024.csv"), "t_2024");
        assert_eq!(table_name("/x/Order.csv"), "t_Order");
        let header = ByteRecord::from(vec!["a", "A", "", "a_2"]);
        assert_eq!(names(&header, 5), ["a", "A_2", "column_3", "a_2_2", "column_5"]);
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
