//! Errors in words that help to write a better statement.

use std::sync::PoisonError;

use rusqlite::{Connection, Error, ErrorCode};

use crate::guard::Refusal;
use crate::limits::MAX_TIME;
use crate::vfs;

/// How much of the statement is shown where it is wrong, in characters.
const SHOWN_CHARS: usize = 40;
/// The most names that are listed.
const MAX_NAMES: usize = 40;

/// What went wrong, and where.
pub fn explain(error: &Error, path: &str, refusal: &Refusal) -> String {
    let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(reason) = refused {
        return reason;
    }
    let code = error.sqlite_error_code();
    if let Some(fault) = vfs::last_fault() {
        let is_file = matches!(
            code,
            Some(
                ErrorCode::CannotOpen
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::PermissionDenied
            )
        );
        if is_file {
            return fault.to_string();
        }
    }
    match code {
        Some(ErrorCode::NotADatabase) => format!("{path} is no SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => format!("{path} is damaged: {}", words(error)),
        Some(ErrorCode::OperationInterrupted) => format!(
            "it took longer than {} seconds and was stopped; ask for less, or make an index",
            MAX_TIME.as_secs()
        ),
        Some(ErrorCode::OutOfMemory) => "it needs more memory than this tool may use; ask for less".into(),
        Some(ErrorCode::TooBig) => "a value, a row or a statement is too large".into(),
        _ => words(error),
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::SqlInputError { msg, sql, offset, .. } => match usize::try_from(*offset) {
            Ok(offset) if offset < sql.len() => format!("{msg} ({})", place(sql, offset)),
            _ => msg.clone(),
        },
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

/// Where in a text: its line, its column, and what stands there.
fn place(sql: &str, offset: usize) -> String {
    let before = &sql.as_bytes()[..offset];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    let rest = String::from_utf8_lossy(&sql.as_bytes()[offset..]).into_owned();
    let shown: String = rest.lines().next().unwrap_or_default().chars().take(SHOWN_CHARS).collect();
    format!("line {line}, column {column}, at `{shown}`")
}

/// What there is instead of a table or a column that is not there, to add to an error.
pub fn hint(connection: &Connection, message: &str) -> String {
    let sql = if message.contains("no such table") {
        "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' \
         ESCAPE '\\' ORDER BY name"
    } else if message.contains("no such column") || message.contains("has no column") {
        "SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
         WHERE t.type IN ('table', 'view') ORDER BY t.name, c.cid"
    } else {
        return String::new();
    };
    let names = connection.prepare(sql).and_then(|mut statement| {
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.take(MAX_NAMES + 1).collect::<Result<Vec<_>, _>>()
    });
    match names {
        Ok(names) if names.is_empty() => "; the database has no tables".into(),
        Ok(names) if names.len() > MAX_NAMES => format!("; there are {}, …", names[..MAX_NAMES].join(", ")),
        Ok(names) => format!("; there are {}", names.join(", ")),
        // The error that is told already matters more.
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_lines_and_characters() {
        assert_eq!(place("SELECT 'ä',\n ö FROM t", 14), "line 2, column 2, at `ö FROM t`");
        assert_eq!(place("x", 0), "line 1, column 1, at `x`");
        // In the middle of a character.
        assert!(place("ä", 1).starts_with("line 1"));
    }
}
