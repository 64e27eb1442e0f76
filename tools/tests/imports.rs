//! Components that import what is not there: all of it is named in one sentence, and who built one for
//! another version of Lucid is told what to do.
#![allow(clippy::unwrap_used)]

mod common;

use common::{call, host};
use lucid_tools::{Limits, ToolError, ToolHost};
use serde_json::json;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Why a component cannot be loaded.
fn refused(bytes: &[u8]) -> String {
    let error = ToolHost::new(None, Limits::default()).load_bytes("odd", bytes).unwrap_err();
    assert!(matches!(error, ToolError::Import { .. }), "{error}");
    error.to_string()
}

/// A component made from a core module and a text in WIT whose world is `old`.
fn built(wit: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("old.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("old")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let encoder = ComponentEncoder::default().module(&module).unwrap().validate(true);
    { encoder }.encode().unwrap()
}

/// One that logs, by this version of the interface.
fn logs(version: &str) -> Vec<u8> {
    let wit = format!(
        "package test:old;
         package lucid:tool@{version} {{
             interface log {{
                 enum level {{ debug, info, warn, error }}
                 log: func(level: level, message: string);
             }}
         }}
         world old {{ import lucid:tool/log@{version}; export act: func() -> u32; }}"
    );
    let module = format!(
        r#"(module
            (import "lucid:tool/log@{version}" "log" (func $log (param i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "hello")
            (func (export "act") (result i32)
                (call $log (i32.const 1) (i32.const 0) (i32.const 5)) (i32.const 7)))"#
    );
    built(&wit, &module)
}

#[test]
fn all_that_is_not_there_is_named() {
    let text = r#"(component
        (import "shell" (func (param "command" string)))
        (import "acme:db/query@1.0.0" (instance (export "run" (func (param "sql" string)))))
        (import "wasi:clocks/wall-clock@0.2.0" (instance
            (type (record (field "seconds" u64) (field "nanoseconds" u32)))
            (export "datetime" (type (eq 0)))
            (export "now" (func (result 1)))))
        (import "wasi:cli/environment@0.3.0" (instance (export "get-arguments" (func (result (list string))))))
        (import "wasi:nn/graph" (instance (export "load" (func))))
        (import "acme:types/all" (instance (type u8) (export "id" (type (eq 0)))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "act") (canon lift (core func $i "f"))))"#;
    assert_eq!(
        refused(&wat::parse_str(text).unwrap()),
        "odd imports what Lucid does not offer: the function shell, acme:db/query@1.0.0, \
         wasi:cli/environment@0.3.0 and wasi:nn/graph"
    );
}

#[test]
fn many_are_counted() {
    let imports: String = (0..30).map(|n| format!("(import \"f{n}\" (func))")).collect();
    let text = format!(
        r#"(component {imports} (core module $m (func (export "f"))) (core instance $i (instantiate $m))
            (func (export "act") (canon lift (core func $i "f"))))"#
    );
    let reason = refused(&wat::parse_str(&text).unwrap());
    assert!(
        reason.contains("the function f0, ") && reason.ends_with("the function f19 and 10 more"),
        "{reason}"
    );
}

#[test]
fn another_version_of_the_contract_is_told_with_what_helps() {
    let rebuild =
        "; this Lucid offers lucid:tool@1.0.0, so rebuild it with `lucid plugin build` in its folder";
    for version in ["2.0.0", "0.9.1", "0.1.0"] {
        assert_eq!(
            refused(&logs(version)),
            format!("odd imports what Lucid does not offer: lucid:tool/log@{version}{rebuild}")
        );
    }
    let text = |imports: &str| {
        format!(
            r#"(component {imports} (core module $m (func (export "f"))) (core instance $i (instantiate $m))
                (func (export "act") (canon lift (core func $i "f"))))"#
        )
    };
    let reason = |imports: &str| refused(&wat::parse_str(text(imports)).unwrap());
    let function = r#"(import "lucid:tool/secrets@1.0.0" (instance
        (export "has" (func (param "name" string) (result bool))) (export "list" (func (result (list string))))))"#;
    assert_eq!(
        reason(function),
        format!(
            "odd imports what Lucid does not offer: the function list of lucid:tool/secrets@1.0.0{rebuild}"
        )
    );
    let interface = r#"(import "lucid:tool/camera@1.0.0" (instance (export "look" (func))))
        (import "shell" (func))"#;
    assert_eq!(
        reason(interface),
        format!(
            "odd imports what Lucid does not offer: lucid:tool/camera@1.0.0 and the function shell{rebuild}"
        )
    );
    // The same names with other types.
    let types = r#"(import "lucid:tool/secrets@1.0.0" (instance (export "has" (func (param "name" u32)))))"#;
    let reason = reason(types);
    assert!(reason.contains("lucid:tool/secrets@1.0.0") && reason.contains("`has`"), "{reason}");
    assert!(reason.ends_with(rebuild), "{reason}");
}

#[test]
fn a_later_version_that_wants_no_more_is_served() {
    for version in ["1.0.0", "1.4.2"] {
        let host = ToolHost::new(None, Limits::default());
        host.load_bytes("fine", &logs(version)).unwrap();
        assert_eq!(call(&host, "fine_act", json!({})).unwrap().value, json!(7));
    }
    // Interfaces that hold types alone need nobody to offer them.
    let text = r#"(component
        (import "acme:types/all" (instance (type u8) (export "id" (type (eq 0)))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "act") (canon lift (core func $i "f"))))"#;
    assert_eq!(call(&host("types", text, Limits::default()), "types_act", json!({})).unwrap().text, "done");
}
