//! Running statements: one that reads, or several that change.

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Statement};

use crate::database::Database;
use crate::files;
use crate::limits::{MAX_OUTPUT_BYTES, MAX_SQL_BYTES, MAX_STATEMENTS};
use crate::table::table;

/// Runs one statement that only reads.
pub fn query(file: &str, sql: &str) -> Result<String, String> {
    checked(sql)?;
    let database = Database::read(file)?;
    let mut statements = Batch::new(&database.connection, sql);
    let Some(mut statement) = database.told(statements.next())? else {
        return Err("there is no statement".into());
    };
    if !statement.readonly() && statement.is_explain() == 0 {
        return Err("this statement changes the database; `query` only reads: use `execute`".into());
    }
    if !matches!(statements.next(), Ok(None)) {
        return Err("give one statement at a time".into());
    }
    database.told(table(&mut statement))
}

/// Runs statements that change the database: all of them, or none.
pub fn execute(file: &str, sql: &str) -> Result<String, String> {
    checked(sql)?;
    let database = Database::write(file)?;
    let path = database.path.clone();
    let done = run(&database, sql);
    let Database { connection, .. } = database;
    // What was not committed is taken back now.
    let closed = connection.close().map_err(|(_, error)| error.to_string());
    if done.is_err() {
        // A file that was made for nothing; that it is left is no new error.
        let is_empty = files::open(&path, files::Mode::Read).and_then(|file| file.size()) == Ok(0);
        if is_empty {
            drop(files::remove(&path));
        }
    }
    closed?;
    done
}

fn run(database: &Database, sql: &str) -> Result<String, String> {
    let connection = &database.connection;
    // These cannot be part of a transaction.
    let alone = matches!(first_word(sql).as_str(), "vacuum" | "pragma");
    if !alone {
        begin(database, "BEGIN IMMEDIATE")?;
    }
    let before = connection.total_changes();
    let mut results = String::new();
    let mut count = 0_usize;
    let mut statements = Batch::new(connection, sql);
    let failed = |number: usize, message: String| {
        let undone = if alone { "" } else { "; nothing was changed" };
        format!("statement {number}: {message}{undone}")
    };
    while let Some(mut statement) =
        database.told(statements.next()).map_err(|message| failed(count + 1, message))?
    {
        count += 1;
        if count > MAX_STATEMENTS {
            return Err(failed(count, format!("at most {MAX_STATEMENTS} statements can be run at once")));
        }
        let result = step(database, &mut statement).map_err(|message| failed(count, message))?;
        if results.len() + result.len() <= MAX_OUTPUT_BYTES && !result.is_empty() {
            results.push_str(&format!("\nStatement {count}:\n{result}"));
        }
    }
    if count == 0 {
        return Err("there is no statement".into());
    }
    if !connection.is_autocommit() {
        begin(database, "COMMIT")?;
    }
    let plural = |number: u64| if number == 1 { "" } else { "s" };
    let changes = connection.total_changes().saturating_sub(before);
    Ok(format!(
        "{count} statement{} done, {changes} row{} changed.{results}",
        plural(count as u64),
        plural(changes)
    ))
}

/// One statement; gives the rows that it returns, if it does.
fn step(database: &Database, statement: &mut Statement<'_>) -> Result<String, String> {
    match first_word(&statement.expanded_sql().unwrap_or_default()).as_str() {
        // They are in one transaction anyway.
        "begin" | "commit" | "end" => return Ok(String::new()),
        "rollback" => {
            return Err("ROLLBACK is not needed: when a statement fails, none of them counts".into());
        }
        _ => {}
    }
    if statement.column_count() > 0 {
        return database.told(table(statement));
    }
    database.told(statement.raw_execute()).map(|_| String::new())
}

fn begin(database: &Database, sql: &str) -> Result<(), String> {
    database.told(database.connection.execute_batch(sql))
}

fn checked(sql: &str) -> Result<(), String> {
    if sql.contains('\0') {
        return Err("the statement holds a zero character".into());
    }
    if sql.len() > MAX_SQL_BYTES {
        return Err(format!("the statement is longer than {MAX_SQL_BYTES} bytes"));
    }
    Ok(())
}

/// The first word after spaces, semicolons and comments, in small letters.
fn first_word(sql: &str) -> String {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|one: char| one.is_whitespace() || one == ';');
        if let Some(comment) = rest.strip_prefix("--") {
            rest = comment.split_once('\n').map_or("", |(_, after)| after);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
        } else {
            break;
        }
    }
    rest.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::first_word;

    #[test]
    fn the_first_word_is_found_behind_comments() {
        assert_eq!(first_word(" ;-- a\n/* b */ VACUUM;"), "vacuum");
        assert_eq!(first_word("-- only a comment"), "");
        assert_eq!(first_word("/* open"), "");
    }
}
