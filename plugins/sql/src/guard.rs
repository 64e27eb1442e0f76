//! What a statement may do beyond reading and writing rows. SQLite asks while it compiles one.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Settings that tell something, and those that change only this call.
const READ_PRAGMAS: &[&str] = &[
    "application_id",
    "auto_vacuum",
    "collation_list",
    "compile_options",
    "data_version",
    "database_list",
    "encoding",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "journal_mode",
    "module_list",
    "page_count",
    "page_size",
    "pragma_list",
    "quick_check",
    "schema_version",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];
/// Those of them that take a value which is no new setting, but says what to look at.
const LOOKING_PRAGMAS: &[&str] = &[
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "quick_check",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// Settings that may be changed in a database that may be changed.
const WRITE_PRAGMAS: &[&str] = &[
    "application_id",
    "auto_vacuum",
    "defer_foreign_keys",
    "encoding",
    "foreign_keys",
    "incremental_vacuum",
    "optimize",
    "page_size",
    "recursive_triggers",
    "user_version",
];
/// Kinds of virtual tables that keep their rows in the database itself.
const MODULES: &[&str] = &["fts3", "fts4", "fts5", "rtree", "rtree_i32", "fts5vocab"];

/// Why a statement was refused, for whoever reads the error.
pub type Refusal = Arc<Mutex<Option<String>>>;

/// Has SQLite ask before it compiles a statement.
pub fn watch(connection: &mut Connection, write: bool) -> rusqlite::Result<Refusal> {
    let refusal = Refusal::default();
    let told = Arc::clone(&refusal);
    connection.authorizer(Some(move |context: AuthContext<'_>| match judge(&context.action, write) {
        Ok(()) => Authorization::Allow,
        Err(reason) => {
            told.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
            Authorization::Deny
        }
    }))?;
    Ok(refusal)
}

fn judge(action: &AuthAction<'_>, write: bool) -> Result<(), String> {
    match action {
        // How VACUUM begins: with a file that has no name.
        AuthAction::Attach { filename: "" } if write => Ok(()),
        AuthAction::Attach { filename } => Err(format!(
            "ATTACH and VACUUM INTO are not possible: only the file of the call can be opened, not {filename}"
        )),
        AuthAction::Unknown { .. } => Err(
            "this kind of statement is not possible; ATTACH is one: only the file of the call can be opened"
                .into(),
        ),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let name = pragma_name.to_ascii_lowercase();
            let known = |list: &[&str]| list.contains(&name.as_str());
            let may = known(LOOKING_PRAGMAS)
                || (pragma_value.is_none() && known(READ_PRAGMAS))
                || (write && known(WRITE_PRAGMAS));
            if may { Ok(()) } else { Err(refused_pragma(&name, pragma_value.is_some())) }
        }
        AuthAction::CreateVtable { module_name, .. } => {
            let name = module_name.to_ascii_lowercase();
            if write && MODULES.contains(&name.as_str()) {
                return Ok(());
            }
            Err(format!("virtual tables of the kind {module_name} are not possible"))
        }
        AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Err("extensions cannot be loaded".into())
        }
        _ => Ok(()),
    }
}

fn refused_pragma(name: &str, sets: bool) -> String {
    let what = if sets { "setting" } else { "using" };
    format!("{what} PRAGMA {name} is not possible here")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_by_all_and_changed_by_few() {
        let pragma = |name, value, write| {
            judge(&AuthAction::Pragma { pragma_name: name, pragma_value: value }, write).is_ok()
        };
        assert!(pragma("table_info", Some("t"), false) && pragma("USER_VERSION", None, false));
        assert!(!pragma("user_version", Some("3"), false) && pragma("user_version", Some("3"), true));
        for name in ["writable_schema", "temp_store_directory", "mmap_size", "locking_mode", "key"] {
            assert!(!pragma(name, Some("1"), true) && !pragma(name, None, true), "{name}");
        }
        assert!(!pragma("journal_mode", Some("wal"), true));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(judge(&AuthAction::Attach { filename: "/etc/passwd" }, true).is_err());
        assert!(judge(&AuthAction::Attach { filename: "" }, false).is_err());
        assert!(judge(&AuthAction::Unknown { code: 24, arg1: None, arg2: None }, true).is_err());
        let csv = AuthAction::CreateVtable { table_name: "t", module_name: "csv" };
        assert!(judge(&csv, true).is_err());
    }
}
