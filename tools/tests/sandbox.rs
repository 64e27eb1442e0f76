//! What a guest may not do, tried by guests that try it. Every one ends with an error that the
//! model can read, and the host goes on.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{call, host, runs};
use lucid_kernel::abi::{Call, FaultKind};
use lucid_kernel::port::CancelFlag;
use lucid_tools::{Limits, Scope, ToolError, ToolHost};
use serde_json::json;

const SHORT: Limits = Limits { memory_bytes: 4 << 20, timeout_ms: 200, output_bytes: 4 << 10 };

/// A guest that sleeps in a host call, where no epoch reaches it.
const SLEEPER: &str = r#"(component
    (import "wasi:io/poll@0.2.0" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
        (alias outer 1 $pollable (type $outer))
        (export "pollable" (type $q (eq $outer)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $q))))))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core module $m
        (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
        (import "host" "block" (func $block (param i32)))
        (func (export "f") (call $block (call $subscribe (i64.const 3600000000000)))))
    (core instance $i (instantiate $m (with "host" (instance
        (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
    (func (export "doze") (canon lift (core func $i "f"))))"#;

fn gives(length: u32) -> String {
    format!(
        r#"(component
            (core module $m
                (memory (export "memory") 20)
                (func (export "f") (result i32)
                    (i32.store (i32.const 0) (i32.const 64))
                    (i32.store (i32.const 4) (i32.const {length}))
                    (i32.const 0)))
            (core instance $i (instantiate $m))
            (func (export "speak") (result string) (canon lift (core func $i "f") (memory (core memory $i "memory")))))"#
    )
}

#[test]
fn what_runs_for_ever_is_stopped_in_time() {
    for (name, text) in [("spin", runs("spin", "(loop $l (br $l))")), ("doze", SLEEPER.to_owned())] {
        let host = host("bad", &text, SHORT);
        let began = Instant::now();
        let fault = call(&host, &format!("bad_{name}"), json!({})).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Limit, "{name}: {fault}");
        assert!(fault.message.contains("longer than 200 ms"), "{name}: {fault}");
        // Far more than is needed, so that a busy machine does not make it fail.
        assert!(began.elapsed() < Duration::from_secs(20), "{name}: {:?}", began.elapsed());
    }
}

#[test]
fn a_cancelled_call_ends_at_once() {
    for (name, text) in [("spin", runs("spin", "(loop $l (br $l))")), ("doze", SLEEPER.to_owned())] {
        let host = host("bad", &text, Limits { timeout_ms: 600_000, ..SHORT });
        let cancel = CancelFlag::new();
        let wanted = Call { tool: format!("bad_{name}"), arguments: json!({}) };
        let fault = std::thread::scope(|scope| {
            let call = scope.spawn(|| host.call(&wanted, &Scope::default(), &cancel));
            std::thread::sleep(Duration::from_millis(50));
            cancel.cancel();
            call.join().unwrap().unwrap_err()
        });
        assert!(fault.message.contains("cancelled"), "{name}: {fault}");
    }
}

#[test]
fn traps_are_told_in_words() {
    let grows = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 4)) (i32.const -1)))) unreachable";
    for (body, wanted) in [
        (grows, "more than 4 MiB of memory"),
        ("(call $f)", "called itself too deep"),
        ("unreachable", "a panic"),
        ("(drop (i32.load (i32.const 999999)))", "out of bounds"),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", "divide by zero"),
    ] {
        let host = host("bad", &runs("act", body), SHORT);
        for _ in 0..3 {
            let fault = call(&host, "bad_act", json!({})).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Limit, "{body}: {fault}");
            assert!(fault.message.contains(wanted), "{body}: {fault}");
        }
    }
}

#[test]
fn too_much_output_is_refused_and_enough_is_not() {
    let enough = host("talk", &gives(4 << 10), SHORT);
    assert_eq!(call(&enough, "talk_speak", json!({})).unwrap().text.len(), 4 << 10);
    for length in [(4 << 10) + 1, 1 << 20] {
        let host = host("talk", &gives(length), SHORT);
        let fault = call(&host, "talk_speak", json!({})).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Limit, "{length}: {fault}");
    }
    // A pointer past its memory is the guest's own mistake.
    let host = host("talk", &gives(u32::MAX), SHORT);
    assert_eq!(call(&host, "talk_speak", json!({})).unwrap_err().kind, FaultKind::Limit);
}

#[test]
fn nothing_is_remembered_from_call_to_call() {
    let counter = r#"(component
        (core module $m
            (global $n (mut i32) (i32.const 0))
            (func (export "f") (result i32)
                (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))
        (core instance $i (instantiate $m))
        (func (export "count") (result u32) (canon lift (core func $i "f"))))"#;
    let host = host("mind", counter, SHORT);
    for _ in 0..3 {
        assert_eq!(call(&host, "mind_count", json!({})).unwrap().value, json!(1));
    }
}

#[test]
fn files_and_network_are_not_there_to_be_imported_into_use() {
    // An import that Lucid does not know is refused when the component is loaded.
    let text = r#"(component
        (import "shell" (func $run (param "command" string)))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "act") (canon lift (core func $i "f"))))"#;
    let host = ToolHost::new(None, SHORT);
    let error = host.load_bytes("bad", &wat::parse_str(text).unwrap()).unwrap_err();
    assert!(matches!(error, ToolError::Import { .. }), "{error}");
    assert!(host.tools().is_empty());

    // WASI is there, but its list of folders is empty.
    let text = r#"(component
        (import "wasi:filesystem/types@0.2.0" (instance $types (export "descriptor" (type (sub resource)))))
        (alias export $types "descriptor" (type $descriptor))
        (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
            (alias outer 1 $descriptor (type $outer))
            (export "descriptor" (type $d (eq $outer)))
            (export "get-directories" (func (result (list (tuple (own $d) string)))))))
        (core module $mem (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
        (core instance $mem (instantiate $mem))
        (core func $list (canon lower (func $preopens "get-directories")
            (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
        (core module $m
            (import "host" "list" (func $list (param i32)))
            (import "mem" "memory" (memory 1))
            (func (export "f") (result i32)
                (i32.store (i32.const 4) (i32.const 77))
                (call $list (i32.const 0))
                (i32.load (i32.const 4))))
        (core instance $i (instantiate $m
            (with "host" (instance (export "list" (func $list)))) (with "mem" (instance $mem))))
        (func (export "folders") (result u32) (canon lift (core func $i "f"))))"#;
    let host = common::host("look", text, SHORT);
    assert_eq!(call(&host, "look_folders", json!({})).unwrap().value, json!(0));
}

#[test]
fn what_is_no_component_or_no_tool_is_refused_by_name() {
    let host = ToolHost::new(None, SHORT);
    let core = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let stream = wat::parse_str(
        r#"(component
            (import "r" (type $r (sub resource)))
            (core module $m (func (export "f") (param i32)))
            (core instance $i (instantiate $m))
            (func (export "take") (param "thing" (own $r)) (canon lift (core func $i "f"))))"#,
    );
    for (bytes, wanted) in [
        (b"".to_vec(), "not a WebAssembly component"),
        (b"no wasm at all".to_vec(), "not a WebAssembly component"),
        (core, "not a WebAssembly component"),
        (empty, "exports no function"),
    ] {
        let error = host.load_bytes("thing", &bytes).unwrap_err().to_string();
        assert!(error.contains("thing") && error.contains(wanted), "{error}");
    }
    if let Ok(bytes) = stream {
        let error = host.load_bytes("thing", &bytes).unwrap_err().to_string();
        assert!(error.contains("thing"), "{error}");
    }
    assert!(host.plugins().is_empty());
    let fault = call(&host, "nothing", json!({})).unwrap_err();
    assert_eq!(fault.kind, FaultKind::NotFound);
}

#[test]
fn many_calls_run_side_by_side() {
    let host = ToolHost::new(None, Limits::default());
    host.load_bundled().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let host = &host;
            scope.spawn(move || {
                for n in 0..50 {
                    let expression = format!("{thread} * 1000 + {n}");
                    let output = call(host, "calc", json!({ "expression": expression })).unwrap();
                    assert_eq!(output.value, json!((thread * 1000 + n).to_string()));
                }
            });
        }
    });
}

#[test]
fn a_name_that_is_taken_is_refused_and_can_be_given_back() {
    let host = host("bad", &runs("act", "nop"), SHORT);
    let again = wat::parse_str(runs("act", "nop")).unwrap();
    let error = host.load_bytes("bad", &again).unwrap_err();
    assert!(matches!(error, ToolError::Clash { .. }), "{error}");
    assert!(host.unload("bad") && !host.unload("bad"));
    assert_eq!(call(&host, "bad_act", json!({})).unwrap_err().kind, FaultKind::NotFound);
    host.load_bytes("bad", &again).unwrap();
    assert_eq!(call(&host, "bad_act", json!({})).unwrap().text, "done");
}
