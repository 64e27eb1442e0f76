//! What a tool call costs beside the work of the tool: `lucid bench tools`.

use std::time::Instant;

use lucid_kernel::abi::Call;
use lucid_kernel::port::CancelFlag;
use serde_json::{Value, json};
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Config, Engine, Store};

use crate::error::ToolError;
use crate::host::ToolHost;
use crate::limits::Limits;
use crate::services::Scope;

/// How many calls are measured.
const CALLS: usize = 2_000;

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
    }))
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
