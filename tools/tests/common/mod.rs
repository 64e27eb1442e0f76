//! What the tests of the host share: components written as text, and hosts that load them.
#![allow(dead_code, clippy::unwrap_used)]

use lucid_kernel::abi::{Call, Fault};
use lucid_kernel::port::CancelFlag;
use lucid_tools::{CallOutput, Limits, Scope, ToolHost};
use serde_json::Value;

/// A host that has loaded a component given as WebAssembly text.
pub fn host(name: &str, text: &str, limits: Limits) -> ToolHost {
    let host = ToolHost::new(None, limits);
    host.load_bytes(name, &wat::parse_str(text).unwrap()).unwrap();
    host
}

/// Calls a tool.
pub fn call(host: &ToolHost, tool: &str, arguments: Value) -> Result<CallOutput, Fault> {
    host.call(&Call { tool: tool.into(), arguments }, &Scope::default(), &CancelFlag::new())
}

/// A component whose export `NAME` without parameters runs this core function body.
pub fn runs(name: &str, body: &str) -> String {
    format!(
        r#"(component
            (core module $m (memory (export "memory") 1) (func $f (export "f") {body}))
            (core instance $i (instantiate $m))
            (func (export "{name}") (canon lift (core func $i "f"))))"#
    )
}

/// A component whose export `echo` gives its one parameter back. It must have more than 16
/// flat values, so that the canonical ABI hands it over in memory and takes it from there.
/// `types` are the definitions that it needs, each exported.
pub fn echo(types: &str, record: &str) -> String {
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (global $top (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (local $at i32)
                    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 15)) (i32.const -16)))
                    (global.set $top (i32.add (local.get $at) (local.get 3)))
                    (block $fits
                        (br_if $fits (i32.le_u (global.get $top) (i32.mul (memory.size) (i32.const 65536))))
                        (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get 3) (i32.const 65536))))))
                    (local.get $at))
                (func (export "echo") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            {types}
            (type $record' (record {record}))
            (export $record "record-of-all" (type $record'))
            (func (export "echo") (param "value" $record) (result $record)
                (canon lift (core func $i "echo") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
    )
}
