//! The tools of a session: bundled and installed plugins, with what each was granted.

mod commands;
mod files;
pub mod grants;
mod secrets;
mod serving;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use lucid_kernel::abi::{Call, Fault, FaultKind, ToolSpec, Want};
use lucid_kernel::policy::SHELL;
use lucid_kernel::port::{CancelFlag, Disk, Engine};
use lucid_tools::rights::{MOUNTED, Right, Rights};
use lucid_tools::shell::Shell;
use lucid_tools::{Limits, Plugin, Scope, ToolHost, attach};

pub use commands::Commands;
pub use grants::GrantFile;
pub use secrets::Secrets;
pub use serving::{OnProgress, Serving};

use crate::exit::Failure;
use crate::home::Home;
use crate::machine::{ToolOutput, Tools};

/// The host of the user's plugins, with none loaded.
pub fn host(home: &Home) -> ToolHost {
    let user = std::env::home_dir();
    ToolHost::new(Some(&home.wasm_cache_dir()), Limits::default()).with_home(user.as_deref())
}

/// The bundled and the installed plugins of a session, and the shell where it is turned on.
pub struct SessionTools {
    host: Arc<ToolHost>,
    commands: Option<Commands>,
    grants: GrantFile,
    home: Home,
    /// Set once it is loaded.
    engine: OnceLock<Arc<dyn Engine>>,
    disk: Option<Arc<dyn Disk>>,
    /// Set once the folder of plugins is watched.
    watcher: OnceLock<notify::RecommendedWatcher>,
}

impl SessionTools {
    /// Loads them.
    ///
    /// # Errors
    /// When a bundled one cannot be loaded. An installed one that cannot is named and left out.
    pub fn open(
        home: &Home,
        disk: Option<Arc<dyn Disk>>,
        on_progress: &mut dyn FnMut(String, Option<f32>),
    ) -> Result<Self, Failure> {
        let host = host(home);
        host.load_bundled()
            .map_err(|error| Failure::config(format!("a bundled tool cannot be loaded: {error}")))?;
        if home.plugins_dir().is_dir() {
            let report = host
                .load_installed(&home.plugins_dir())
                .map_err(|error| Failure::config(error.to_string()))?;
            for (path, error) in report.failed {
                on_progress(format!("{} is left out: {error}", path.display()), None);
            }
        }
        Ok(Self {
            host: Arc::new(host),
            commands: None,
            grants: GrantFile::new(home),
            home: home.clone(),
            engine: OnceLock::new(),
            disk,
            watcher: OnceLock::new(),
        })
    }

    /// Offers the shell too, or says why it is left out.
    pub fn with_shell(self, on_progress: &mut dyn FnMut(String, Option<f32>)) -> Self {
        let commands = match self.host.plugin_of(SHELL) {
            Some(plugin) => Err(format!("the plugin {plugin} has a tool of that name")),
            None => Commands::open(&self.home).map_err(|failure| failure.message),
        };
        let commands = commands.inspect_err(|why| {
            on_progress(format!("the tool {SHELL} is left out: {why}"), None);
        });
        Self { commands: commands.ok(), ..self }
    }

    /// What runs a call's command, if it is one.
    fn commands(&self, call: &Call) -> Option<&Commands> {
        self.commands.as_ref().filter(|_| call.tool == SHELL)
    }

    /// The model that plugins may ask, from now on.
    pub fn set_engine(&self, engine: &Arc<dyn Engine>) {
        // Once is all that is needed.
        let _ = self.engine.set(Arc::clone(engine));
    }

    /// What a call may do: what was granted for ever, and these rights.
    fn scope(&self, call: &Call, granted: &[String], on_progress: OnProgress) -> Result<Scope, Fault> {
        let plugin = self.host.plugin_of(&call.tool).unwrap_or_default();
        let denied =
            |reason: String| Fault::new(FaultKind::Denied, format!("{} did not run: {reason}", call.tool));
        let mut rights = (*self.grants.of(&plugin).map_err(|failure| denied(failure.message))?).clone();
        for right in granted {
            rights.insert(right.parse::<Right>().map_err(|error| denied(error.to_string()))?);
        }
        let serving = Serving {
            home: self.home.clone(),
            engine: self.engine.get().cloned(),
            disk: self.disk.clone(),
            on_progress,
            on_log: Arc::new(|_, _, _| {}),
        };
        Ok(Scope { rights: Arc::new(rights), services: Arc::new(serving) })
    }
}

impl Tools for SessionTools {
    fn specs(&self) -> Vec<ToolSpec> {
        // Where grants cannot be read, nothing is granted, and calls say so.
        let grants = self.grants.all().unwrap_or_default();
        let plugins = self.host.plugins();
        let specs = plugins.iter().flat_map(|plugin| {
            let granted = grants.get(&plugin.name).cloned().unwrap_or_default();
            plugin.tools.iter().map(move |spec| {
                let wants = wants(plugin, &spec.name, &granted);
                ToolSpec { wants, ..spec.clone() }
            })
        });
        specs.chain(self.commands.is_some().then(Shell::spec)).collect()
    }

    fn call(
        &self,
        call: &Call,
        granted: &[String],
        on_progress: OnProgress,
        cancel: &CancelFlag,
    ) -> Result<ToolOutput, Fault> {
        if let Some(commands) = self.commands(call) {
            return commands.call(call, cancel);
        }
        let scope = self.scope(call, granted, on_progress)?;
        let mut output = self.host.call(call, &scope, cancel)?;
        if !output.attachments.is_empty() {
            let kept = files::keep(&self.home.files_dir(), &mut output.value, &output.attachments);
            kept.map_err(|reason| Fault::new(FaultKind::Tool, format!("{}: {reason}", call.tool)))?;
            output.text = attach::written(&output.value);
        }
        Ok(ToolOutput { value: output.value, text: output.text, micros: output.micros })
    }

    fn writes_to(&self, call: &Call, granted: &[String]) -> Vec<PathBuf> {
        if self.commands(call).is_some() {
            return Vec::new();
        }
        let Ok(scope) = self.scope(call, granted, Arc::new(|_, _| {})) else { return Vec::new() };
        let mut folders = Vec::new();
        for right in scope.rights.iter() {
            match right {
                Right::Write(folder) if folder == MOUNTED => {
                    let mounts = self.disk.as_ref().and_then(|disk| disk.mounts().ok()).unwrap_or_default();
                    folders.extend(mounts.into_iter().map(|mount| PathBuf::from(mount.root)));
                }
                Right::Write(folder) => folders.push(PathBuf::from(folder)),
                _ => {}
            }
        }
        folders
    }

    fn preview(&self, call: &Call, wants: &[Want], cancel: &CancelFlag) -> Option<String> {
        if let Some(commands) = self.commands(call) {
            return Some(commands.preview(call));
        }
        // What it would read is shown to the user, who is asked for that right, and to nobody else.
        let wants: Vec<String> = wants.iter().map(|want| want.right.clone()).collect();
        let scope = self.scope(call, &wants, Arc::new(|_, _| {})).ok()?;
        match self.host.preview(call, &scope, cancel)? {
            Ok(text) => Some(text),
            Err(fault) => Some(format!("it would fail: {}", fault.message)),
        }
    }

    fn watch(&self, on_change: Box<dyn Fn(Vec<String>) + Send>) {
        // Where the system does not watch folders, a new session sees what is new.
        if let Ok(watcher) = watch::watch(&self.home.plugins_dir(), Arc::downgrade(&self.host), on_change) {
            let _ = self.watcher.set(watcher);
        }
    }

    fn grant(&self, wants: &[Want]) -> Result<(), Failure> {
        for want in wants {
            let right = want.right.parse::<Right>().map_err(|error| Failure::task(error.to_string()))?;
            self.grants.change(&want.plugin, |rights| rights.insert(right))?;
        }
        Ok(())
    }
}

/// The rights that a tool asks for beyond those that were granted.
fn wants(plugin: &Plugin, tool: &str, granted: &Rights) -> Vec<Want> {
    let missing = plugin.asks_for(tool).beyond(granted);
    let want =
        |right: &Right| Want { plugin: plugin.name.clone(), right: right.to_string(), words: right.words() };
    missing.iter().map(want).collect()
}
