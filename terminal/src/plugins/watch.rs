//! Plugins that are installed, updated or removed while a session runs.

use std::path::Path;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lucid_tools::{InstalledChange, Plugin, ToolHost};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// How long the folder must be still: a plugin's files are written one after another.
const SETTLE: Duration = Duration::from_millis(20);

/// Takes each change of the folder into the host, and says what it was. It ends when the watcher that it
/// gives is dropped.
///
/// # Errors
/// When the system does not watch the folder.
pub fn watch(
    folder: &Path,
    host: Weak<ToolHost>,
    on_change: Box<dyn Fn(Vec<String>) + Send>,
) -> Result<RecommendedWatcher, notify::Error> {
    std::fs::create_dir_all(folder).map_err(notify::Error::io)?;
    let (changed, changes) = channel();
    let mut watcher = notify::recommended_watcher(changed)?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    let folder = folder.to_path_buf();
    std::thread::spawn(move || follow(&folder, &host, &changes, on_change.as_ref()));
    Ok(watcher)
}

fn follow(
    folder: &Path,
    host: &Weak<ToolHost>,
    changes: &Receiver<notify::Result<notify::Event>>,
    on_change: &dyn Fn(Vec<String>),
) {
    while changes.recv().is_ok() {
        while changes.recv_timeout(SETTLE).is_ok() {}
        let Some(host) = host.upgrade() else { return };
        let told: Vec<String> = match host.take_installed(folder) {
            Ok(found) => found.iter().map(worded).collect(),
            Err(error) => vec![error.to_string()],
        };
        if !told.is_empty() {
            on_change(told);
        }
    }
}

fn worded(change: &InstalledChange) -> String {
    let tools = |plugin: &Plugin| {
        let names: Vec<&str> = plugin.tools.iter().map(|tool| tool.name.as_str()).collect();
        names.join(", ")
    };
    match change {
        InstalledChange::Added(plugin) => format!("{} was installed: {}", plugin.name, tools(plugin)),
        InstalledChange::Replaced(plugin) => format!("{} was updated: {}", plugin.name, tools(plugin)),
        InstalledChange::Removed(name) => format!("{name} was removed"),
        InstalledChange::Failed(path, error) => format!("{} is left out: {error}", path.display()),
    }
}
