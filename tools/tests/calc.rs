//! The bundled calculator, as the component that users run.
#![allow(clippy::unwrap_used)]

mod common;

use common::call;
use lucid_kernel::abi::FaultKind;
use lucid_tools::{Limits, ToolHost};
use serde_json::json;

/// `expression<TAB>value`, made by an independent program: see `plugins/calc/tests/vectors.py`.
const VECTORS: &str = include_str!("../../plugins/calc/tests/vectors.tsv");

#[test]
fn the_prebuilt_component_agrees_with_the_vectors() {
    let host = ToolHost::new(None, Limits::default());
    host.load_bundled().unwrap();
    let mut checked = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (expression, value) = line.split_once('\t').unwrap();
        let output = call(&host, "calc", json!({ "expression": expression }));
        assert_eq!(output.unwrap().value, json!(value), "{expression}");
        checked += 1;
    }
    assert!(checked > 500, "{checked}");
}

#[test]
fn what_the_model_sees_comes_from_the_component() {
    let host = ToolHost::new(None, Limits::default());
    host.load_bundled().unwrap();
    let calc = host.tools().into_iter().find(|tool| tool.name == "calc").unwrap();
    assert!(calc.description.contains("arithmetic"), "{}", calc.description);
    assert_eq!(calc.keywords[0], "calculator");
    assert_eq!(calc.parameters["required"], json!(["expression"]));
    assert_eq!(calc.parameters["properties"]["expression"]["type"], json!("string"));
}

#[test]
fn a_mistake_is_an_error_that_the_model_can_read() {
    let host = ToolHost::new(None, Limits::default());
    host.load_bundled().unwrap();
    for (expression, wanted) in [("1 / 0", "zero"), ("2 +", ""), ("", "")] {
        let fault = call(&host, "calc", json!({ "expression": expression })).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Tool, "{expression}");
        assert!(fault.message.contains(wanted) && !fault.message.is_empty(), "{expression}: {fault}");
    }
}
