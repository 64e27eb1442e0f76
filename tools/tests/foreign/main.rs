//! Components that know nothing of Lucid, made by other tools than ours, from sources that are not ours but
//! for one: they load as they are, their tools have the right schemas, and what they request by `wasi:http`
//! goes the same way as all requests. Where the tools that build them are missing the tests are skipped, but
//! not in CI.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod made;
mod requests;
#[path = "../common/server.rs"]
mod server;

use std::sync::Arc;

use lucid_kernel::abi::{Call, Fault};
use lucid_kernel::port::CancelFlag;
use lucid_tools::{Limits, Scope, ToolHost};
use serde_json::{Value, json};

/// An interpreter needs more memory than a tool that was made for Lucid.
const MEMORY: &str = "memory:256";

struct Rig {
    host: ToolHost,
    scope: Scope,
}

impl Rig {
    fn new(name: &str, component: &[u8], granted: &[&str], limits: Limits) -> Self {
        let host = ToolHost::new(Some(&made::cache().join("compiled")), limits);
        host.load_bytes(name, component).unwrap();
        let rights = granted.iter().chain([&MEMORY]).map(|right| right.parse().unwrap()).collect();
        Self { host, scope: Scope { rights: Arc::new(rights), ..Scope::default() } }
    }

    fn call_until(&self, tool: &str, arguments: Value, cancel: &CancelFlag) -> Result<Value, Fault> {
        let call = Call { tool: tool.into(), arguments };
        self.host.call(&call, &self.scope, cancel).map(|output| output.value)
    }

    fn call(&self, tool: &str, arguments: Value) -> Result<Value, Fault> {
        self.call_until(tool, arguments, &CancelFlag::new())
    }

    /// The tools and the schemas of their arguments.
    fn schemas(&self) -> Vec<(String, Value)> {
        self.host.tools().into_iter().map(|tool| (tool.name, tool.parameters)).collect()
    }
}

/// The schema of an object that needs all of its properties.
fn object(properties: Value) -> Value {
    let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}

/// A tuple of these schemas.
fn tuple(items: &[Value]) -> Value {
    json!({
        "type": "array", "minItems": items.len(), "maxItems": items.len(), "prefixItems": items, "items": false,
    })
}

#[test]
fn the_sandbox_of_componentize_py_is_a_plugin() {
    let Some(component) = made::sandbox() else { return };
    let rig = Rig::new("sandbox", &component, &[], Limits::default());
    assert_eq!(
        rig.schemas(),
        [
            ("sandbox_eval".into(), object(json!({ "expression": { "type": "string" } }))),
            ("sandbox_exec".into(), object(json!({ "statements": { "type": "string" } }))),
        ]
    );
    let eval = |expression: &str| rig.call("sandbox_eval", json!({ "expression": expression }));
    assert_eq!(eval("sum(range(5)) / 4").unwrap(), json!("2.5"));
    assert_eq!(eval("nothing").unwrap_err().message, "NameError: name 'nothing' is not defined");
    assert_eq!(rig.call("sandbox_exec", json!({ "statements": "a = 1" })).unwrap(), json!(null));
    assert!(eval("a").is_err(), "something was remembered from call to call");
    assert!(eval("open('/etc/passwd').read()").is_err());
}

#[test]
fn the_records_of_wit_bindgen_are_a_plugin() {
    let Some(component) = made::records() else { return };
    let rig = Rig::new("records", &component, &[], Limits::default());
    let flags = |names: &[String]| {
        json!({
            "type": "array", "maxItems": names.len(), "items": { "type": "string", "enum": names },
        })
    };
    let numbered = |count: usize| -> Vec<String> { (0..count).map(|n| format!("b{n}")).collect() };
    let named = |names: &[&str]| flags(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let u8 = json!({ "type": "integer", "minimum": 0, "maximum": u8::MAX });
    let u32 = json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    let only = |schema: Value| object(json!({ "a": schema }));
    assert_eq!(
        rig.schemas(),
        [
            ("records_multiple_results".into(), object(json!({}))),
            ("records_swap_tuple".into(), only(tuple(&[u8.clone(), u32]))),
            ("records_roundtrip_flags1".into(), only(named(&["a", "b"]))),
            ("records_roundtrip_flags2".into(), only(named(&["c", "d", "e"]))),
            (
                "records_roundtrip_flags3".into(),
                object(json!({
                    "a": flags(&numbered(8)), "b": flags(&numbered(16)), "c": flags(&numbered(32)),
                })),
            ),
            (
                "records_roundtrip_record1".into(),
                only(object(json!({ "a": u8.clone(), "b": named(&["a", "b"]) }))),
            ),
            ("records_tuple1".into(), only(tuple(&[u8]))),
        ]
    );
    for (tool, arguments, wanted) in [
        ("multiple_results", json!({}), json!([4, 5])),
        ("swap_tuple", json!({ "a": [1, 70_000] }), json!([70_000, 1])),
        ("roundtrip_flags1", json!({ "a": ["b"] }), json!(["b"])),
        (
            "roundtrip_flags3",
            json!({ "a": ["b0", "b7"], "b": ["b15"], "c": ["b31", "b16"] }),
            json!([["b0", "b7"], ["b15"], ["b16", "b31"]]),
        ),
        (
            "roundtrip_record1",
            json!({ "a": { "a": 8, "b": ["a", "b"] } }),
            json!({ "a": 8, "b": ["a", "b"] }),
        ),
        ("tuple1", json!({ "a": [1] }), json!([1])),
    ] {
        assert_eq!(rig.call(&format!("records_{tool}"), arguments).unwrap(), wanted, "{tool}");
    }
}
