//! Files of the folders that the user granted, for the model: list, read, find, search, write,
//! edit, move and remove.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod change;
pub mod diff;
pub mod disk;
pub mod edit;
pub mod glob;
pub mod names;
#[cfg(not(target_family = "wasm"))]
pub mod native;
pub mod nearest;
pub mod path;
pub mod read;
pub mod search;
pub mod shift;
pub mod stream;
pub mod text;
pub mod walk;
#[cfg(target_family = "wasm")]
pub mod wasi;
pub mod write;

// Only for WebAssembly: on a machine the exports `read`, `write` and `remove` would take the place
// of the C library's functions of these names.
#[cfg(target_family = "wasm")]
lucid_plugin::plugin! {
    fn list(path: String, deep: Option<bool>) -> Result<String, String> {
        walk::list(&granted(), &path, deep.unwrap_or(false))
    }

    fn read(path: String, first_line: Option<u32>, last_line: Option<u32>) -> Result<String, String> {
        read::read(&granted(), &path, first_line, last_line)
    }

    fn find(path: String, pattern: String) -> Result<String, String> {
        walk::find(&granted(), &path, &pattern)
    }

    fn search(path: String, pattern: String, is_regex: Option<bool>) -> Result<String, String> {
        search::search(&granted(), &path, &pattern, is_regex.unwrap_or(false))
    }

    fn write(path: String, content: String, mode: Mode) -> Result<String, String> {
        write::write(&granted(), &path, &content, mode.into())
    }

    fn edit(path: String, old: String, new: String, all: Option<bool>) -> Result<String, String> {
        edit::edit(&granted(), &path, &old, &new, all.unwrap_or(false))
    }

    fn move_(from: String, to: String) -> Result<String, String> {
        shift::move_to(&granted(), &from, &to)
    }

    fn remove(path: String) -> Result<String, String> {
        shift::remove(&granted(), &path)
    }

    fn write_preview(path: String, content: String, mode: Mode) -> Result<String, String> {
        write::write_preview(&granted(), &path, &content, mode.into())
    }

    fn edit_preview(path: String, old: String, new: String, all: Option<bool>) -> Result<String, String> {
        edit::edit_preview(&granted(), &path, &old, &new, all.unwrap_or(false))
    }

    fn move_preview(from: String, to: String) -> Result<String, String> {
        shift::move_preview(&granted(), &from, &to)
    }

    fn remove_preview(path: String) -> Result<String, String> {
        shift::remove_preview(&granted(), &path)
    }
}

/// The folders that the host opened.
#[cfg(target_family = "wasm")]
fn granted() -> wasi::Wasi {
    wasi::Wasi::new()
}

#[cfg(target_family = "wasm")]
impl From<bindings::Mode> for write::Mode {
    fn from(mode: bindings::Mode) -> Self {
        match mode {
            bindings::Mode::Create => Self::Create,
            bindings::Mode::Replace => Self::Replace,
            bindings::Mode::Append => Self::Append,
        }
    }
}
