//! SQLite over the files of granted folders: databases and CSV files are asked, and databases changed
//! where that was granted.
//!
//! A database that is only asked is opened without the right to write, and nothing but the file of
//! the call can be opened, whatever a statement says.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod database;
mod errors;
mod files;
mod guard;
#[cfg(target_family = "wasm")]
mod host;
mod limits;
pub mod schema;
mod sheet;
pub mod statements;
mod table;
mod vfs;

lucid_plugin::plugin! {
    fn query(file: String, sql: String) -> Result<String, String> {
        statements::query(&file, &sql)
    }

    fn schema(file: String) -> Result<String, String> {
        schema::schema(&file)
    }

    fn execute(file: String, sql: String) -> Result<String, String> {
        statements::execute(&file, &sql)
    }
}
