//! A guest that tries to do what it may not (`plugins/hostile`), against the host that users run. Each
//! case says what was granted, what is tried, and what must come of it: the right answer, or an error in
//! words that say why.
#![allow(clippy::unwrap_used)]

mod carried;
mod components;
mod network;
mod paths;
mod resources;
#[path = "../common/server.rs"]
mod server;
mod services;

use std::sync::Arc;

use lucid_kernel::abi::{Call, Fault};
use lucid_kernel::port::CancelFlag;
use lucid_tools::{Limits, NoServices, Scope, Services, ToolHost};
use serde_json::Value;

/// The guest, built from `plugins/hostile`.
const HOSTILE: &[u8] = include_bytes!("../../../plugins/prebuilt/hostile.wasm");

struct Rig {
    host: ToolHost,
    scope: Scope,
}

impl Rig {
    fn new(granted: &[&str]) -> Self {
        Self::with(granted, Arc::new(NoServices), Limits { timeout_ms: 5_000, ..Limits::default() })
    }

    fn with(granted: &[&str], services: Arc<dyn Services>, limits: Limits) -> Self {
        let host = ToolHost::new(None, limits);
        host.load_bytes("hostile", HOSTILE).expect("the hostile guest loads");
        let rights = granted.iter().map(|right| right.parse().expect("a right")).collect();
        Self { host, scope: Scope { rights: Arc::new(rights), services } }
    }

    fn call(&self, tool: &str, arguments: Value) -> Result<Value, Fault> {
        self.call_until(tool, arguments, &CancelFlag::new())
    }

    fn call_until(&self, tool: &str, arguments: Value, cancel: &CancelFlag) -> Result<Value, Fault> {
        let call = Call { tool: format!("hostile_{}", tool.replace('-', "_")), arguments };
        self.host.call(&call, &self.scope, cancel).map(|output| output.value)
    }

    /// It gives exactly this.
    fn gives(&self, tool: &str, arguments: Value, wanted: Value) {
        let given = self.call(tool, arguments.clone());
        assert_eq!(given.as_ref().ok(), Some(&wanted), "{tool} {arguments}: {given:?}");
    }

    /// It fails, in words that hold this.
    fn fails(&self, tool: &str, arguments: Value, wanted: &str) {
        let given = self.call(tool, arguments.clone());
        let fault = given.as_ref().expect_err(&format!("{tool} {arguments} got through"));
        let message = fault.message.to_lowercase();
        assert!(message.contains(wanted), "{tool} {arguments}: {message}");
    }
}
