//! Components that are no such, that want too much, or that somebody changed.

use std::fs;

use lucid_kernel::abi::Call;
use lucid_kernel::port::CancelFlag;
use lucid_tools::{Limits, Scope, ToolHost};
use serde_json::json;

use crate::HOSTILE;

fn refused(bytes: &[u8], wanted: &str) {
    let host = ToolHost::new(None, Limits::default());
    let error = host.load_bytes("odd", bytes).expect_err("it was loaded").to_string();
    assert!(error.contains(wanted), "{error}");
    assert!(host.tools().is_empty());
}

fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).expect("a component")
}

#[test]
fn what_is_no_component_is_refused_in_words() {
    refused(b"", "not a WebAssembly component");
    refused(b"#!/bin/sh\nrm -rf /\n", "not a WebAssembly component");
    refused(&text("(module (func (export \"f\")))"), "not a WebAssembly component");
    refused(&HOSTILE[..HOSTILE.len() / 2], "not a WebAssembly component");
    refused(&text("(component)"), "exports no function");
    let mut changed = HOSTILE.to_vec();
    for at in (100..changed.len()).step_by(997) {
        changed[at] ^= 0x55;
    }
    let host = ToolHost::new(None, Limits::default());
    assert!(host.load_bytes("odd", &changed).is_err(), "a component of noise was loaded");
}

#[test]
fn an_import_that_is_not_offered_is_named() {
    let imports = |name: &str| {
        text(&format!(
            "(component (import \"{name}\" (instance (export \"f\" (func)))) \
             (core module $m (func (export \"g\"))) (core instance $i (instantiate $m)) \
             (func (export \"g\") (canon lift (core func $i \"g\"))))"
        ))
    };
    for name in ["evil:host/shell@1.0.0", "lucid:tool/shell@1.0.0", "lucid:tool/log@2.0.0"] {
        refused(&imports(name), name);
    }
}

#[test]
fn two_tools_of_one_name_are_refused() {
    let host = ToolHost::new(None, Limits::default());
    host.load_bytes("hostile", HOSTILE).unwrap();
    let error = host.load_bytes("hostile", HOSTILE).expect_err("it was loaded twice").to_string();
    assert!(error.contains("already taken by hostile"), "{error}");
}

#[test]
fn compiled_code_that_somebody_changed_is_not_run() {
    let cache = tempfile::tempdir().unwrap();
    let call = Call { tool: "hostile_measure".into(), arguments: json!({ "text": "abc" }) };
    let measure = || {
        let host = ToolHost::new(Some(cache.path()), Limits::default());
        host.load_bytes("hostile", HOSTILE).unwrap();
        host.call(&call, &Scope::default(), &CancelFlag::new()).unwrap().value
    };
    assert_eq!(measure(), json!(3));
    // Whatever lies in the cache is thrown away or was never the code that is asked for.
    let mut damaged = 0;
    for damage in [0_usize, 1, 2] {
        for path in files(cache.path()) {
            let mut bytes = fs::read(&path).unwrap();
            match damage {
                0 => bytes.truncate(bytes.len() / 2),
                1 => bytes.clear(),
                _ => bytes.iter_mut().step_by(3).for_each(|byte| *byte ^= 0xff),
            }
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
        assert_eq!(measure(), json!(3));
    }
    assert!(damaged >= 3, "nothing was cached");
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}
