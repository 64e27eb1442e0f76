//! What is in a database.

use std::fmt::Write as _;

use rusqlite::Connection;

use crate::database::Database;
use crate::files::millis;
use crate::limits::{MAX_COUNTING, MAX_OUTPUT_BYTES};
use crate::sheet::quoted;
use crate::table::text;

/// Room for the last line.
const TAIL_BYTES: usize = 100;
/// The most tables that are described.
const MAX_TABLES: usize = 500;

/// All tables and views, with their columns and row counts.
pub fn schema(file: &str) -> Result<String, String> {
    let database = Database::read(file)?;
    let connection = &database.connection;
    let tables = database.told(tables(connection))?;
    if tables.is_empty() {
        return Ok(format!("{} has no tables.", database.path));
    }
    let end = millis().saturating_add(MAX_COUNTING.as_millis() as u64);
    let mut out = String::new();
    for (at, (kind, name)) in tables.iter().enumerate() {
        let rows = (kind != "view" && millis() < end).then(|| {
            connection.query_row(&format!("SELECT count(*) FROM {}", quoted(name)), [], |row| row.get(0))
        });
        let part = describe(connection, kind, name, rows.and_then(Result::ok));
        let part = database.told(part)?;
        if at == MAX_TABLES || out.len() + part.len() > MAX_OUTPUT_BYTES - TAIL_BYTES {
            write!(out, "(there are {} more)", tables.len() - at).map_err(|error| error.to_string())?;
            break;
        }
        out.push_str(&part);
    }
    Ok(out.trim_end().to_owned())
}

/// The kinds and names of tables and views, without those that SQLite made for itself.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection.prepare(
        "SELECT type, name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' \
         AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type = 'view', name",
    )?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn describe(connection: &Connection, kind: &str, name: &str, rows: Option<i64>) -> rusqlite::Result<String> {
    let mut out = format!("{kind} {}", text(name));
    match rows {
        Some(1) => out.push_str(" (1 row)"),
        Some(rows) => out.push_str(&format!(" ({rows} rows)")),
        None => {}
    }
    out.push('\n');
    let mut foreign =
        connection.prepare("SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list(?1)")?;
    let foreign = foreign.query_map([name], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?))
    })?;
    let foreign = foreign.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut columns =
        connection.prepare("SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)")?;
    let mut columns = columns.query([name])?;
    while let Some(column) = columns.next()? {
        let field: String = column.get(0)?;
        let kind: String = column.get(1)?;
        out.push_str(&format!("  {} {}", text(&field), text(&kind)).trim_end().replace("\n", " "));
        if column.get::<_, i64>(4)? > 0 {
            out.push_str(" PRIMARY KEY");
        }
        if column.get::<_, bool>(2)? {
            out.push_str(" NOT NULL");
        }
        if let Some(default) = column.get::<_, Option<String>>(3)? {
            out.push_str(&format!(" DEFAULT {}", text(&default)));
        }
        for (_, other, to) in foreign.iter().filter(|(from, ..)| *from == field) {
            let to = to.as_ref().map(|to| format!("({})", text(to))).unwrap_or_default();
            out.push_str(&format!(" REFERENCES {}{to}", text(other)));
        }
        out.push('\n');
    }
    indexes(connection, name, &mut out)?;
    Ok(out)
}

fn indexes(connection: &Connection, name: &str, out: &mut String) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(
        "SELECT i.name, i.\"unique\", group_concat(coalesce(c.name, '(expression)'), ', ' ORDER BY c.seqno) \
         FROM pragma_index_list(?1) AS i, pragma_index_info(i.name) AS c WHERE i.origin = 'c' \
         GROUP BY i.name ORDER BY i.name",
    )?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let (index, unique, columns): (String, bool, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let unique = if unique { "unique " } else { "" };
        out.push_str(&format!("  {unique}index {} ({})\n", text(&index), text(&columns)));
    }
    Ok(())
}
