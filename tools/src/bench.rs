//! What a tool call costs beside the work of the tool: `lucid bench tools`.

use std::time::{Duration, Instant};

use lucid_kernel::abi::Call;
use lucid_kernel::port::CancelFlag;
use serde_json::{Value, json};
use wasm_encoder::{CustomSection, Encode as _};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Config, Engine, Store};

use crate::error::ToolError;
use crate::host::ToolHost;
use crate::limits::Limits;
use crate::services::Scope;

/// How many calls are measured.
const CALLS: usize = 2_000;
/// So many in a row show whether memory grows.
const MANY: usize = 20_000;
/// So many plugins are loaded.
const PLUGINS: usize = 100;

struct Bare {
    wasi: wasmtime_wasi::WasiCtx,
    table: ResourceTable,
}

impl wasmtime_wasi::WasiView for Bare {
    fn ctx(&mut self) -> wasmtime_wasi::WasiCtxView<'_> {
        wasmtime_wasi::WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Calls the bundled calculator through the host (arguments from JSON, a fresh sandbox, limits,
/// result to JSON) and, in turn with it, through wasmtime alone in one store that is kept.
///
/// # Errors
/// When the component cannot be loaded or a call fails.
pub fn run() -> Result<Value, ToolError> {
    let fault = |reason: String| ToolError::Engine { reason };
    let bundled = crate::bundled::COMPONENTS.first().ok_or_else(|| fault("nothing is bundled".into()))?;
    let began = Instant::now();
    let host = ToolHost::new(None, Limits::default());
    host.load_bundled()?;
    let load_ms = began.elapsed().as_secs_f64() * 1e3;
    let expression = "17.5% * 2310.40";
    let call = Call { tool: bundled.name.into(), arguments: json!({ "expression": expression }) };
    let cancel = CancelFlag::new();
    let scope = Scope::default();
    let mut bare = Direct::new(bundled.bytes).map_err(|error| fault(format!("{error:#}")))?;
    let (mut ours, mut theirs) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
    for _ in 0..CALLS {
        let began = Instant::now();
        host.call(&call, &scope, &cancel).map_err(|error| fault(error.to_string()))?;
        ours.push(began.elapsed().as_secs_f64() * 1e6);
        let began = Instant::now();
        bare.call(expression).map_err(|error| fault(format!("{error:#}")))?;
        theirs.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let (ours, theirs) = (percentiles(ours), percentiles(theirs));
    let overhead = |key: &str| ours[key].as_f64().unwrap_or(0.0) - theirs[key].as_f64().unwrap_or(0.0);
    Ok(json!({
        "bench": "tool call",
        "calls": CALLS,
        "load_ms": load_ms,
        "overhead_us": { "p50": overhead("p50"), "p99": overhead("p99") },
        "call_us": ours,
        "wasmtime_us": theirs,
        "many": many(&host, &call, &scope)?,
        "start": start(bundled.bytes)?,
    }))
}

/// So many calls, one after another: how many a second, and what memory the process then has more.
fn many(host: &ToolHost, call: &Call, scope: &Scope) -> Result<Value, ToolError> {
    let fault = |reason: String| ToolError::Engine { reason };
    let (cancel, before, began) = (CancelFlag::new(), resident_kib(), Instant::now());
    for _ in 0..MANY {
        host.call(call, scope, &cancel).map_err(|error| fault(error.to_string()))?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let grown = before.zip(resident_kib()).map(|(before, after)| after.saturating_sub(before));
    Ok(json!({ "calls": MANY, "per_s": MANY as f64 / seconds, "grown_kib": grown }))
}

/// Resident memory of this process; none where the system does not say.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Loads a folder of so many different plugins whose compiled code is in the cache.
fn start(component: &[u8]) -> Result<Value, ToolError> {
    let scratch = |error| ToolError::io("write", std::env::temp_dir(), error);
    let folder = std::env::temp_dir().join(format!("lucid-bench-{}", std::process::id()));
    let (plugins, cache) = (folder.join("plugins"), folder.join("cache"));
    std::fs::create_dir_all(&plugins).map_err(scratch)?;
    for number in 0..PLUGINS {
        // Another section makes it another component, and the words beside it give it a name.
        let mut bytes = component.to_vec();
        bytes.push(0);
        let name = format!("{number}");
        CustomSection { name: "number".into(), data: name.as_bytes().into() }.encode(&mut bytes);
        std::fs::write(plugins.join(format!("calc{number}.wasm")), bytes).map_err(scratch)?;
        let words = format!("plugin = \"calc{number}\"\n");
        std::fs::write(plugins.join(format!("calc{number}.toml")), words).map_err(scratch)?;
    }
    let load = || {
        let host = ToolHost::new(Some(&cache), Limits::default());
        let began = Instant::now();
        let report = host.load_folder(&plugins)?;
        let ms = began.elapsed().as_secs_f64() * 1e3;
        // The first call of one of them brings its code.
        let began = Instant::now();
        let call = Call { tool: "calc0_calc".into(), arguments: json!({ "expression": "1 + 1" }) };
        let fault = |fault: lucid_kernel::abi::Fault| ToolError::Engine { reason: fault.message };
        host.call(&call, &Scope::default(), &CancelFlag::new()).map_err(fault)?;
        Ok::<_, ToolError>((report.plugins.len(), ms, began.elapsed().as_secs_f64() * 1e3))
    };
    let done = (|| {
        let (loaded, compiled_ms, _) = load()?;
        // The cache writes behind the caller's back.
        std::thread::sleep(Duration::from_secs(1));
        let cached = (0..5).map(|_| load()).collect::<Result<Vec<_>, _>>()?;
        let least = |of: fn(&(usize, f64, f64)) -> f64| cached.iter().map(of).fold(f64::MAX, f64::min);
        Ok(json!({
            "plugins": loaded, "compiled_ms": compiled_ms, "cached_ms": least(|(_, ms, _)| *ms),
            "first_call_ms": least(|(.., ms)| *ms),
        }))
    })();
    // What is left over is in the system's own folder for that.
    drop(std::fs::remove_dir_all(&folder));
    done
}

fn percentiles(mut micros: Vec<f64>) -> Value {
    micros.sort_by(f64::total_cmp);
    let at = |part: f64| micros.get(((micros.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(0.0);
    json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
}

/// The export, called with nothing of ours around it.
struct Direct {
    store: Store<Bare>,
    function: wasmtime::component::Func,
}

impl Direct {
    fn new(bytes: &[u8]) -> wasmtime::Result<Self> {
        let engine = Engine::new(&Config::new())?;
        let component = Component::new(&engine, bytes)?;
        let mut linker: Linker<Bare> = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
        linker.define_unknown_imports_as_traps(&component)?;
        let wasi = wasmtime_wasi::WasiCtxBuilder::new().build();
        let mut store = Store::new(&engine, Bare { wasi, table: ResourceTable::new() });
        let instance = linker.instantiate(&mut store, &component)?;
        let function =
            instance.get_func(&mut store, "calc").ok_or_else(|| wasmtime::Error::msg("no export calc"))?;
        Ok(Self { store, function })
    }

    fn call(&mut self, expression: &str) -> wasmtime::Result<()> {
        let mut results = [Val::Bool(false)];
        self.function.call(&mut self.store, &[Val::String(expression.into())], &mut results)
    }
}
