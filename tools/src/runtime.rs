//! The WebAssembly engine, made when the first plugin is loaded and shared by all calls.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lucid_kernel::port::CancelFlag;
use wasmtime::component::{Component, InstancePre, Linker, Val};
use wasmtime::{Cache, CacheConfig, Config, Engine, Store};

use crate::carried::{self, Folder};
use crate::code::{Export, Linked};
use crate::error::ToolError;
use crate::limits::{
    LIFT_BYTES_PER_OUTPUT_BYTE, Limits, MAX_CACHE_BYTES, MAX_GUEST_STACK_BYTES, STACK_BYTES, TICK_MS,
};
use crate::missing;
use crate::sandbox::{self, Sandbox};
use crate::text::digest;
use crate::ticker::Ticker;

/// Engine, linker, timers and ticker.
pub(crate) struct Runtime {
    pub engine: Engine,
    linker: Linker<Sandbox>,
    /// Timers of sleeping guests. None only while it is dropped.
    timers: Option<tokio::runtime::Runtime>,
    ticker: Ticker,
    cache_dir: Option<PathBuf>,
}

/// What a call runs: an export of a linked component.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub linked: &'a Linked,
    pub export: &'a Export,
}

/// How a call ended that gave no result.
pub(crate) enum Stop {
    /// It took longer than it may.
    TimedOut,
    /// The flag was set.
    Cancelled,
    /// It trapped, or the host could not run it.
    Trapped {
        /// What the engine says.
        error: wasmtime::Error,
        /// What the guest said.
        words: String,
        /// Whether it was refused memory before.
        out_of_memory: bool,
    },
    /// The host has no thread left for it.
    NoThread(std::io::Error),
}

impl Runtime {
    /// Sets the engine up. Compiled code is kept under `cache_dir`, when there is one.
    pub(crate) fn new(cache_dir: Option<&Path>) -> Result<Self, ToolError> {
        let fault = |error: wasmtime::Error| ToolError::Engine { reason: format!("{error:#}") };
        let mut config = Config::new();
        config.epoch_interruption(true).max_wasm_stack(MAX_GUEST_STACK_BYTES).async_stack_size(STACK_BYTES);
        // What is written in C++ needs it.
        config.wasm_exceptions(true);
        if let Some(dir) = cache_dir {
            let mut cache = CacheConfig::new();
            cache.with_directory(dir.join("code")).with_files_total_size_soft_limit(MAX_CACHE_BYTES);
            config.cache(Some(Cache::new(cache).map_err(fault)?));
        }
        let engine = Engine::new(&config).map_err(fault)?;
        let mut linker = Linker::new(&engine);
        sandbox::link(&mut linker).map_err(fault)?;
        let timers = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("tool-timers")
            .enable_all()
            .build()
            .map_err(|error| ToolError::Engine { reason: format!("no timer thread: {error}") })?;
        let ticker = Ticker::new(engine.weak());
        Ok(Self { engine, linker, timers: Some(timers), ticker, cache_dir: cache_dir.map(Path::to_path_buf) })
    }

    /// Compiles a component, or finds it compiled in the cache.
    pub(crate) fn compile(&self, plugin: &str, bytes: &[u8]) -> Result<Component, ToolError> {
        Component::from_binary(&self.engine, bytes)
            .map_err(|error| ToolError::NotAComponent { plugin: plugin.into(), reason: format!("{error:#}") })
    }

    /// Puts the files that a component carries where its calls see them.
    pub(crate) fn carried(&self, plugin: &str, bytes: &[u8]) -> Result<Vec<Folder>, ToolError> {
        let fault = |reason: String| ToolError::NotAComponent { plugin: plugin.into(), reason };
        let files = carried::read(bytes).map_err(fault)?;
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let Some(cache) = &self.cache_dir else {
            return Err(fault("it carries files, for which there is no folder".into()));
        };
        let place = cache.join("files").join(digest(bytes));
        carried::put(&files, &place)
            .map_err(|error| ToolError::io("put the files of a plugin under", &place, error))
    }

    /// Resolves a component's imports.
    pub(crate) fn link(
        &self,
        plugin: &str,
        component: &Component,
    ) -> Result<InstancePre<Sandbox>, ToolError> {
        self.linker.instantiate_pre(component).map_err(|error| {
            let reason = missing::why(&self.engine, component, &error);
            ToolError::Import { plugin: plugin.into(), reason }
        })
    }

    /// Runs an export in a store of its own and drops the store.
    ///
    /// The epoch stops a guest that spins; the timers stop one that sleeps in a host call.
    pub(crate) fn run(
        &self,
        target: Target<'_>,
        arguments: &[Val],
        limits: &Limits,
        sandbox: Sandbox,
    ) -> Result<Vec<Val>, Stop> {
        let Some(timers) = &self.timers else { return Err(Stop::Cancelled) };
        let _running = self.ticker.run().map_err(Stop::NoThread)?;
        let call = self.call(target, arguments, limits, sandbox);
        if tokio::runtime::Handle::try_current().is_err() {
            return timers.block_on(call);
        }
        // The caller runs inside a runtime of its own, where blocking is forbidden.
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("tool-call".into());
            match thread.spawn_scoped(scope, || timers.block_on(call)) {
                Ok(call) => call.join().unwrap_or(Err(Stop::Cancelled)),
                Err(error) => Err(Stop::NoThread(error)),
            }
        })
    }

    async fn call(
        &self,
        target: Target<'_>,
        arguments: &[Val],
        limits: &Limits,
        sandbox: Sandbox,
    ) -> Result<Vec<Val>, Stop> {
        let (cancel, ended) = (sandbox.cancel.clone(), sandbox.ended.clone());
        let _ends = Ends(ended);
        let mut store = Store::new(&self.engine, sandbox);
        store.limiter(|sandbox| sandbox);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_hostcall_fuel(limits.output_bytes.saturating_mul(LIFT_BYTES_PER_OUTPUT_BYTE));
        let ended = tokio::select! {
            biased;
            () = cancelled(&cancel) => return Err(Stop::Cancelled),
            () = tokio::time::sleep(Duration::from_millis(limits.timeout_ms)) => {
                return Err(Stop::TimedOut);
            }
            ended = execute(&mut store, target, arguments) => ended,
        };
        ended.map_err(|error| {
            let sandbox = store.data();
            let words = sandbox.words();
            Stop::Trapped { error, words, out_of_memory: sandbox.out_of_memory }
        })
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // A plain drop would wait, and may not be done inside another runtime.
        if let Some(timers) = self.timers.take() {
            timers.shutdown_background();
        }
    }
}

/// Says that a call has ended when it is dropped.
struct Ends(CancelFlag);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn execute(
    store: &mut Store<Sandbox>,
    target: Target<'_>,
    arguments: &[Val],
) -> wasmtime::Result<Vec<Val>> {
    let instance = target.linked.instance.instantiate_async(&mut *store).await?;
    let function = instance
        .get_func(&mut *store, target.export.index)
        .ok_or_else(|| wasmtime::Error::msg("the export is no function"))?;
    let mut results = vec![Val::Bool(false); usize::from(target.export.result.is_some())];
    function.call_async(&mut *store, arguments, &mut results).await?;
    Ok(results)
}

/// Ends when the flag is set. Looked at whenever the guest yields, and every tick.
async fn cancelled(cancel: &CancelFlag) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(TICK_MS)).await;
    }
}
