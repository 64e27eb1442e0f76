//! Rows as text: a table as in Markdown, bounded, with values that can be told apart.

use rusqlite::types::ValueRef;
use rusqlite::{Rows, Statement};

use crate::limits::{MAX_CELL_CHARS, MAX_OUTPUT_BYTES, MAX_ROWS};

/// Room for the last line, which says how much there is.
const TAIL_BYTES: usize = 200;

/// The rows that a statement gives.
pub fn table(statement: &mut Statement<'_>) -> rusqlite::Result<String> {
    let columns: Vec<String> = statement.column_names().map(text).collect();
    if columns.is_empty() {
        // Such as a PRAGMA that only sets something.
        let mut rows = statement.query([])?;
        while rows.next()?.is_some() {}
        return Ok("Done; it gives no rows.".into());
    }
    let mut out = columns.join(" | ");
    out.push('\n');
    out.push_str(&vec!["---"; columns.len()].join(" | "));
    out.push('\n');
    if out.len() > MAX_OUTPUT_BYTES - TAIL_BYTES {
        return Ok(format!("There are {} columns, too many to show; name those that matter.", columns.len()));
    }
    let mut rows = statement.query([])?;
    let (shown, why) = fill(&mut out, &mut rows, columns.len())?;
    out.push_str(&match (why, shown) {
        (Some(why), _) => format!(
            "({shown} rows shown, there are more: {why}; use LIMIT and OFFSET, WHERE, or count and group)"
        ),
        (None, 0) => "(no rows)".into(),
        (None, 1) => "(1 row)".into(),
        (None, _) => format!("({shown} rows)"),
    });
    Ok(out)
}

/// Adds rows as long as there is room; says how many, and why no more.
fn fill(
    out: &mut String,
    rows: &mut Rows<'_>,
    columns: usize,
) -> rusqlite::Result<(usize, Option<&'static str>)> {
    let mut shown = 0;
    while let Some(row) = rows.next()? {
        if shown == MAX_ROWS {
            return Ok((shown, Some("at most 200 rows are shown")));
        }
        let before = out.len();
        for column in 0..columns {
            if column > 0 {
                out.push_str(" | ");
            }
            out.push_str(&cell(row.get_ref(column)?));
            if out.len() > MAX_OUTPUT_BYTES - TAIL_BYTES {
                out.truncate(before);
                return Ok((shown, Some("at most 48 KB are shown")));
            }
        }
        out.push('\n');
        shown += 1;
    }
    Ok((shown, None))
}

/// A value.
pub fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        // Rust writes the shortest number that reads back the same, and `.0` after a whole one.
        ValueRef::Real(number) if number.is_finite() => format!("{number:?}"),
        ValueRef::Real(number) if number.is_nan() => "NULL".into(),
        ValueRef::Real(number) => if number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        ValueRef::Text(bytes) => text(&String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => format!("<blob {} bytes>", bytes.len()),
    }
}

/// A text on one line, without what would end the cell.
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_CELL_CHARS * 4));
    let mut rest = text.chars();
    for character in rest.by_ref().take(MAX_CELL_CHARS) {
        match character {
            '|' => out.push_str("\\|"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Those that would not be seen.
            other if other.is_control() => out.extend(other.escape_default()),
            other => out.push(other),
        }
    }
    let left = rest.count();
    if left > 0 {
        out.push_str(&format!("… ({left} characters more)"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        assert_eq!(cell(ValueRef::Null), "NULL");
        assert_eq!(cell(ValueRef::Integer(i64::MIN)), "-9223372036854775808");
        assert_eq!(cell(ValueRef::Real(1.0)), "1.0");
        assert_eq!(cell(ValueRef::Real(0.1)), "0.1");
        assert_eq!(cell(ValueRef::Real(f64::NEG_INFINITY)), "-Infinity");
        assert_eq!(cell(ValueRef::Blob(&[1, 2, 3])), "<blob 3 bytes>");
        assert_eq!(cell(ValueRef::Text(b"a|b\nc\xff\0")), "a\\|b\\nc\u{fffd}\\u{0}");
        let long = "ä".repeat(MAX_CELL_CHARS + 7);
        assert!(text(&long).ends_with("… (7 characters more)"));
    }
}
