//! The model cannot emit an ill-typed call: for types that nobody chose, every sentence that the grammar
//! of a tool lets through is a call that its component takes, and the values come back as they went in.
//!
//! Nothing in between is a stand-in: WIT becomes a component, the component becomes a tool of the host,
//! the tool becomes the kernel's grammar, the grammar becomes the matcher of the engines, and what was
//! drawn from the matcher is read by the kernel and run by the host.
#![allow(clippy::unwrap_used)]

mod compare;
mod component;
mod layout;
mod sentence;
mod types;

use lucid_kernel::abi::{Call, ToolSpec};
use lucid_kernel::port::CancelFlag;
use lucid_kernel::syscall::validate;
use lucid_model::llguidance::ParserFactory;
use lucid_model::llguidance::toktrie::ApproximateTokEnv;
use lucid_tools::{Limits, Scope, ToolHost};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;

use sentence::{Temper, sentence};
use types::{Echo, echo};

/// How many functions are made, and how many calls of each of them.
const FUNCTIONS: u32 = 128;
const CALLS: u64 = 12;
/// The plugin that the function is in.
const PLUGIN: &str = "typed";
/// What the model calls it.
const TOOL: &str = "typed_echo";

#[test]
fn what_the_grammar_lets_through_is_taken_and_comes_back() {
    let factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).unwrap();
    // Who looks for rare ones asks for more of them.
    let cases =
        std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(FUNCTIONS);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(echo(), any::<u64>().no_shrink()), |(echo, seed)| {
        let host = ToolHost::new(None, Limits::default());
        let fail = |what: &str, why: String| TestCaseError::fail(format!("{what}: {why}\n{}", echo.wit()));
        host.load_bytes(PLUGIN, &component::bytes(&echo))
            .map_err(|e| fail("it does not load", e.to_string()))?;
        let tool = host.tools().remove(0);
        for (n, temper) in (0..CALLS).zip(Temper::ALL.into_iter().cycle()) {
            let grammar = lucid_kernel::grammar::calls(&[&tool], false, 1);
            let mut matcher = lucid_model::grammar::compile(&factory, &grammar)
                .map_err(|error| fail("its schema is no grammar", error.to_string()))?;
            let text = sentence(&mut matcher, temper, seed.wrapping_add(n))
                .map_err(|error| fail("the grammar is stuck", error))?;
            round(&host, &tool, &echo, &text).map_err(|why| fail(&text, why))?;
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// Reads a sentence as the kernel does, calls the tool and compares.
fn round(host: &ToolHost, tool: &ToolSpec, echo: &Echo, text: &str) -> Result<(), String> {
    let written: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    if written["name"] != TOOL {
        return Err(format!("it does not call {TOOL}"));
    }
    let arguments = written["arguments"].clone();
    validate(&arguments, &tool.parameters).map_err(|why| format!("it does not fit the schema: {why}"))?;
    let call = Call { tool: TOOL.into(), arguments };
    let output = host
        .call(&call, &Scope::default(), &CancelFlag::new())
        .map_err(|fault| format!("the component does not take it: {}", fault.message))?;
    compare::compare(echo, &call.arguments, &output.value)
}
