//! The host: it loads plugins, lists their tools and calls them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use lucid_kernel::abi::{Call, Fault, FaultKind, ToolSpec};
use lucid_kernel::port::CancelFlag;
use serde_json::Value;

use crate::attach::{self, Attachment};
use crate::bundled::{self, Bundled};
use crate::code::Source;
use crate::described::Described;
use crate::docs::{Docs, MAX_DOCS_BYTES};
use crate::error::ToolError;
use crate::fault;
use crate::files::read_bounded;
use crate::limits::{Limits, MAX_COMPONENT_BYTES};
use crate::package::Pins;
use crate::plugin::{Function, Plugin, name_of_file};
use crate::runtime::{Runtime, Target};
use crate::sandbox::Sandbox;
use crate::services::Scope;
use crate::text::digest;
use crate::value;

/// Loads components and calls their functions, each call in a sandbox of its own.
///
/// It may be shared between threads; calls run side by side, each on its caller's thread.
/// The WebAssembly engine is made when the first plugin is loaded.
pub struct ToolHost {
    cache_dir: Option<PathBuf>,
    home: Option<PathBuf>,
    limits: Limits,
    runtime: Mutex<Option<Arc<Runtime>>>,
    loaded: RwLock<Loaded>,
}

#[derive(Default)]
struct Loaded {
    plugins: Vec<Arc<Plugin>>,
    functions: BTreeMap<String, Arc<Function>>,
}

/// What a call gave back.
#[derive(Debug, Clone, PartialEq)]
pub struct CallOutput {
    /// The result as JSON; null when the function returns nothing.
    pub value: Value,
    /// The result as the model reads it.
    pub text: String,
    /// The pictures and files that stood in it.
    pub attachments: Vec<Attachment>,
    /// How long the call took, in microseconds, conversions included.
    pub micros: u64,
}

/// What [`ToolHost::load_folder`] found.
#[derive(Debug, Default)]
pub struct FolderReport {
    /// What was loaded.
    pub plugins: Vec<Arc<Plugin>>,
    /// What was not, and why.
    pub failed: Vec<(PathBuf, ToolError)>,
}

/// What changed in the folder of installed plugins.
#[derive(Debug)]
pub enum InstalledChange {
    /// There is one more.
    Added(Arc<Plugin>),
    /// One is another one now.
    Replaced(Arc<Plugin>),
    /// The one of this name is gone.
    Removed(String),
    /// One cannot be used; what there was before is kept.
    Failed(PathBuf, ToolError),
}

impl ToolHost {
    /// A host without plugins. Compiled code is kept under `cache_dir`, an absolute folder.
    pub fn new(cache_dir: Option<&Path>, limits: Limits) -> Self {
        Self {
            cache_dir: cache_dir.map(Path::to_path_buf),
            home: None,
            limits,
            runtime: Mutex::new(None),
            loaded: RwLock::default(),
        }
    }

    /// The folder that `~` stands for where plugins ask for folders.
    #[must_use]
    pub fn with_home(self, home: Option<&Path>) -> Self {
        Self { home: home.map(Path::to_path_buf), ..self }
    }

    /// The limits of every call.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Loads a component from a file and offers its tools.
    ///
    /// # Errors
    /// When the file cannot be read, is no usable component, or has a tool whose name is taken.
    pub fn load(&self, path: &Path) -> Result<Arc<Plugin>, ToolError> {
        self.offer(self.inspect(path)?)
    }

    /// Loads a component from memory. `name` is used when it does not say its own.
    ///
    /// # Errors
    /// As [`ToolHost::load`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Arc<Plugin>, ToolError> {
        self.offer(Plugin::new(&*self.runtime()?, name, bytes, None, self.home.as_deref())?)
    }

    /// Loads the plugins that are part of the program.
    ///
    /// # Errors
    /// As [`ToolHost::load`].
    pub fn load_bundled(&self) -> Result<Vec<Arc<Plugin>>, ToolError> {
        let found = side_by_side(bundled::COMPONENTS, |it| self.inspect_bundled(it));
        found.into_iter().map(|plugin| self.offer(plugin?)).collect()
    }

    /// Loads one of them.
    ///
    /// # Errors
    /// As [`ToolHost::load`].
    pub fn load_bundled_one(&self, bundled: &'static Bundled) -> Result<Arc<Plugin>, ToolError> {
        self.offer(self.inspect_bundled(bundled)?)
    }

    /// Loads every `*.wasm` of a folder, in the order of their names. A folder that does not
    /// exist holds none; one component that cannot be loaded does not keep out the others.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn load_folder(&self, folder: &Path) -> Result<FolderReport, ToolError> {
        self.load_all(crate::kit::components_in(folder)?, &|path| self.inspect(path))
    }

    /// Loads the installed plugins of a folder, as [`ToolHost::load_folder`]: those alone that are what
    /// was installed.
    ///
    /// # Errors
    /// When the folder cannot be listed, or what is installed cannot be read.
    pub fn load_installed(&self, folder: &Path) -> Result<FolderReport, ToolError> {
        let pins = Pins::read(folder)?;
        self.load_all(crate::kit::components_in(folder)?, &|path| self.inspect_installed(path, &pins))
    }

    /// Loads one of them.
    ///
    /// # Errors
    /// As [`ToolHost::load`], and when it is not what was installed.
    pub fn load_installed_one(&self, path: &Path) -> Result<Arc<Plugin>, ToolError> {
        let pins = Pins::read(path.parent().unwrap_or(Path::new(".")))?;
        self.offer(self.inspect_installed(path, &pins)?)
    }

    /// Takes what changed in the folder of installed plugins since it was loaded or looked at. A file that
    /// is not what is pinned is still being written, and is left as it was.
    ///
    /// # Errors
    /// When the folder cannot be listed, or what is installed cannot be read.
    pub fn take_installed(&self, folder: &Path) -> Result<Vec<InstalledChange>, ToolError> {
        let (pins, paths) = (Pins::read(folder)?, crate::kit::components_in(folder)?);
        let is_here =
            |plugin: &&Arc<Plugin>| plugin.path.as_ref().and_then(|path| path.parent()) == Some(folder);
        let before: Vec<Arc<Plugin>> = self.plugins().iter().filter(is_here).cloned().collect();
        let mut changes = Vec::new();
        for gone in before.iter().filter(|it| !it.path.as_ref().is_some_and(|path| paths.contains(path))) {
            self.unload(&gone.name);
            changes.push(InstalledChange::Removed(gone.name.clone()));
        }
        for path in paths {
            let loaded = before.iter().find(|plugin| plugin.path.as_ref() == Some(&path));
            if loaded.is_some_and(|plugin| pins.is(plugin)) {
                continue;
            }
            match self.inspect_installed(&path, &pins).and_then(|plugin| self.offer(plugin)) {
                Ok(plugin) if loaded.is_some() => changes.push(InstalledChange::Replaced(plugin)),
                Ok(plugin) => changes.push(InstalledChange::Added(plugin)),
                Err(ToolError::Changed { .. } | ToolError::NotInstalled { .. }) => {}
                Err(error) => changes.push(InstalledChange::Failed(path, error)),
            }
        }
        Ok(changes)
    }

    fn load_all(
        &self,
        paths: Vec<PathBuf>,
        inspect: &(dyn Fn(&Path) -> Result<Plugin, ToolError> + Sync),
    ) -> Result<FolderReport, ToolError> {
        let found = side_by_side(&paths, |path| inspect(path));
        let mut report = FolderReport::default();
        // Offered in the order of their names, so that the first of two tools of one name has it.
        for (path, found) in paths.into_iter().zip(found) {
            match found.and_then(|plugin| self.offer(plugin)) {
                Ok(plugin) => report.plugins.push(plugin),
                Err(error) => report.failed.push((path, error)),
            }
        }
        Ok(report)
    }

    /// Describes a component without offering its tools. It is compiled where that was not done before.
    ///
    /// # Errors
    /// As [`ToolHost::load`], but for names that are taken.
    pub fn inspect(&self, path: &Path) -> Result<Plugin, ToolError> {
        self.inspect_file(path, |_, _| Ok(()))
    }

    /// Describes an installed component, as [`ToolHost::inspect`].
    ///
    /// # Errors
    /// As there, and when it is not what was installed.
    pub fn inspect_installed(&self, path: &Path, pins: &Pins) -> Result<Plugin, ToolError> {
        self.inspect_file(path, |sha256, words| pins.check(path, sha256, words))
    }

    fn inspect_file(
        &self,
        path: &Path,
        check: impl Fn(&str, &[u8]) -> Result<(), ToolError>,
    ) -> Result<Plugin, ToolError> {
        let bytes = read_bounded(path, MAX_COMPONENT_BYTES)?;
        let name = name_of_file(path);
        let beside = Docs::file_beside(path);
        let words = if beside.exists() { read_bounded(&beside, MAX_DOCS_BYTES)? } else { Vec::new() };
        let sha256 = digest(&bytes);
        check(&sha256, &words)?;
        let source = Source::File(path.to_path_buf());
        let mut plugin = self.known(&sha256, &words, source, || {
            let docs = Docs::from_toml(&name, &beside, &words)?;
            Plugin::new(&*self.runtime()?, &name, &bytes, Some(docs), self.home.as_deref())
        })?;
        plugin.path = Some(path.to_path_buf());
        plugin.words_sha256 = (!words.is_empty()).then(|| digest(&words));
        Ok(plugin)
    }

    /// Describes a component in memory without offering its tools.
    ///
    /// # Errors
    /// As [`ToolHost::load`], but for names that are taken.
    pub fn inspect_bytes(&self, name: &str, bytes: &[u8]) -> Result<Plugin, ToolError> {
        Plugin::new(&*self.runtime()?, name, bytes, None, self.home.as_deref())
    }

    /// The same with the text of the TOML file that gives it words.
    ///
    /// # Errors
    /// As there, and when the words cannot be read.
    pub fn inspect_bytes_with(&self, name: &str, bytes: &[u8], words: &[u8]) -> Result<Plugin, ToolError> {
        let docs = Docs::from_toml(name, &Docs::file_beside(Path::new(name)), words)?;
        let plugin = Plugin::new(&*self.runtime()?, name, bytes, Some(docs), self.home.as_deref())?;
        // It is loaded from a file soon, perhaps by a shell that is open.
        if let Some(cache) = &self.cache_dir {
            Described::new(cache).put(&plugin, words);
        }
        Ok(plugin)
    }

    /// Describes a plugin that is part of the program, without offering its tools.
    ///
    /// # Errors
    /// As [`ToolHost::load`], but for names that are taken.
    pub fn inspect_bundled(&self, bundled: &'static Bundled) -> Result<Plugin, ToolError> {
        let sha256 = digest(bundled.bytes);
        self.known(&sha256, &[], Source::Program(bundled.bytes), || {
            self.inspect_bytes(bundled.name, bundled.bytes)
        })
    }

    /// The description that was made before, or else a new one, which is kept.
    fn known(
        &self,
        sha256: &str,
        words: &[u8],
        source: Source,
        describe: impl FnOnce() -> Result<Plugin, ToolError>,
    ) -> Result<Plugin, ToolError> {
        let described = self.cache_dir.as_deref().map(Described::new);
        if let Some(plugin) =
            described.as_ref().and_then(|it| it.get(sha256, words, source, self.home.as_deref()))
        {
            return Ok(plugin);
        }
        let plugin = describe()?;
        if let Some(described) = described {
            described.put(&plugin, words);
        }
        Ok(plugin)
    }

    /// Takes a plugin's tools back. False when it was not loaded. Calls under way end normally.
    pub fn unload(&self, plugin: &str) -> bool {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let before = loaded.plugins.len();
        loaded.plugins.retain(|it| it.name != plugin);
        loaded.functions.retain(|_, function| function.plugin != plugin);
        loaded.plugins.len() < before
    }

    /// The plugins that are loaded, in the order in which they were.
    pub fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).plugins.clone()
    }

    /// All tools, in the order of their plugins.
    pub fn tools(&self) -> Vec<ToolSpec> {
        self.plugins().iter().flat_map(|plugin| plugin.tools.iter().cloned()).collect()
    }

    /// Calls a tool with what `scope` grants, and waits for its end: at most [`Limits::timeout_ms`],
    /// and about a hundredth of a second once `cancel` is set.
    ///
    /// # Errors
    /// `NotFound` for a tool that is not loaded; `Tool` for arguments that do not fit and for
    /// errors that the tool itself reports; `Limit` when it was stopped: a trap, its time, its
    /// memory, its output, or `cancel`.
    pub fn call(&self, call: &Call, scope: &Scope, cancel: &CancelFlag) -> Result<CallOutput, Fault> {
        let function = self.function(&call.tool)?;
        self.run(&function, &call.arguments, scope, cancel)
    }

    /// What a call would do, for the user who is asked whether it may run; none where the plugin does
    /// not say. It is run with the rights to read alone.
    pub fn preview(&self, call: &Call, scope: &Scope, cancel: &CancelFlag) -> Option<Result<String, Fault>> {
        let function = {
            let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
            loaded.plugins.iter().find_map(|plugin| plugin.previews.get(&call.tool).cloned())
        }?;
        let scope = scope.of_kinds(Some(&["read".to_owned()]));
        Some(self.run(&function, &call.arguments, &scope, cancel).map(|output| output.text))
    }

    fn run(
        &self,
        function: &Function,
        arguments: &Value,
        scope: &Scope,
        cancel: &CancelFlag,
    ) -> Result<CallOutput, Fault> {
        let started = Instant::now();
        let tool = &function.tool;
        let runtime = self.runtime().map_err(|error| fault::host(tool, &error))?;
        let linked =
            function.code.get(&runtime, &function.plugin).map_err(|error| fault::host(tool, &error))?;
        let export = linked.export(&function.export).ok_or_else(|| fault::gone(tool))?;
        let arguments =
            value::arguments(&export.params, arguments).map_err(|misfit| fault::arguments(tool, &misfit))?;
        // A tool has only the rights of the kinds that it says it needs.
        let scope = scope.of_kinds(function.needs.as_deref());
        let limits = self.limits.raised(&scope.rights);
        let sandbox = Sandbox::new(&limits, &function.plugin, tool, scope, cancel.clone())
            .with_files(Arc::clone(&linked.carried));
        let failures = sandbox.outgoing.failures.clone();
        let mut value = runtime
            .run(Target { linked: &linked, export }, &arguments, &limits, sandbox)
            .map_err(|stop| fault::stopped(tool, stop, &limits))
            .and_then(|results| fault::outcome(tool, export.result.as_ref(), results.first()))
            .map_err(|fault| fault::with_requests(fault, &failures.said()))?;
        let attachments = attach::take(&mut value);
        let text = attach::written(&value);
        if text.len() > limits.output_bytes {
            return Err(fault::output(tool, &limits));
        }
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(CallOutput { value, text, attachments, micros })
    }

    /// The plugin that a tool belongs to.
    pub fn plugin_of(&self, tool: &str) -> Option<String> {
        self.function(tool).ok().map(|function| function.plugin.clone())
    }

    fn function(&self, tool: &str) -> Result<Arc<Function>, Fault> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.functions.get(tool).cloned().ok_or_else(|| {
            let known: Vec<&str> = loaded.functions.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Fault::new(FaultKind::NotFound, format!("there is no tool {tool}; there are: {known}"))
        })
    }

    pub(crate) fn runtime(&self) -> Result<Arc<Runtime>, ToolError> {
        let mut slot = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            return Ok(Arc::clone(runtime));
        }
        let runtime = Arc::new(Runtime::new(self.cache_dir.as_deref())?);
        *slot = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    /// Offers a plugin's tools, in the place of those of the same plugin from the same file.
    fn offer(&self, plugin: Plugin) -> Result<Arc<Plugin>, ToolError> {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Arc<Plugin>| {
            other.name == plugin.name && other.path.is_some() && other.path == plugin.path
        };
        let before = loaded.plugins.iter().position(same);
        for function in &plugin.functions {
            let holder = loaded.functions.get(&function.tool);
            if let Some(holder) = holder.filter(|it| before.is_none() || it.plugin != plugin.name) {
                return Err(ToolError::Clash {
                    tool: function.tool.clone(),
                    plugin: plugin.name,
                    holder: holder.plugin.clone(),
                });
            }
        }
        if before.is_some() {
            loaded.functions.retain(|_, function| function.plugin != plugin.name);
        }
        for function in &plugin.functions {
            loaded.functions.insert(function.tool.clone(), Arc::clone(function));
        }
        let plugin = Arc::new(plugin);
        match before {
            Some(at) => loaded.plugins[at] = Arc::clone(&plugin),
            None => loaded.plugins.push(Arc::clone(&plugin)),
        }
        Ok(plugin)
    }
}

/// Does the same with all of them, on as many threads as there are processors. Each thread takes the next
/// one that is left: some take far longer than others.
fn side_by_side<'a, T: Sync, R: Send>(items: &'a [T], work: impl Fn(&'a T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return done };
            done.push((at, work(item)));
        }
    };
    let mut done: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(items.len())).map(|_| scope.spawn(take)).collect();
        let mine = take();
        let theirs = others.into_iter().flat_map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        theirs.chain(mine).collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, done)| done).collect()
}
