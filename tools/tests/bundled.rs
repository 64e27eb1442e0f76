//! The bundled plugins, as the components that users run, on the cases of their authors.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;

use lucid_tools::kit::cases::Cases;
use lucid_tools::{Limits, Scope, ToolHost};

#[test]
fn every_bundled_plugin_does_what_its_author_says() {
    let host = ToolHost::new(None, Limits::default());
    for plugin in host.load_bundled().unwrap() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(&plugin.name);
        let mut ran = 0;
        for case in Cases::read(&folder).unwrap().iter() {
            let rights = case.grants.iter().map(|right| right.parse().unwrap()).collect();
            let scope = Scope { rights: Arc::new(rights), ..Scope::default() };
            let ran_case = case.run(&host, &plugin, &scope);
            assert_eq!(ran_case.failure, None, "{} {}", ran_case.call.tool, ran_case.call.arguments);
            ran += 1;
        }
        assert!(ran >= 5, "{} has {ran} cases", plugin.name);
    }
}

#[test]
fn every_tool_says_what_it_does_and_how_people_call_it() {
    let host = ToolHost::new(None, Limits::default());
    for plugin in host.load_bundled().unwrap() {
        assert!(plugin.refused.is_empty(), "{:?}", plugin.refused);
        for tool in &plugin.tools {
            assert!(!tool.description.is_empty() && !tool.keywords.is_empty(), "{}", tool.name);
            // A small window has to hold several of them.
            let told = lucid_kernel::prompt::described(tool);
            assert!(told.len() <= 320, "{} takes {} characters", tool.name, told.len());
        }
    }
}
