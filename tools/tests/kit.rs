//! What `lucid plugin` does short of compiling: write, describe, install, list, remove.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::runs;
use lucid_tools::docs::{Docs, SECTION};
use lucid_tools::kit::{self, KitError, Language};
use lucid_tools::{Limits, ToolError, ToolHost, bundled, checked_name};
use proptest::prelude::*;
use serde_json::json;

/// A component with a custom section of this content.
fn with_docs(text: &str, docs: &[u8]) -> Vec<u8> {
    use wasm_encoder::{CustomSection, Encode as _};
    let mut bytes = wat::parse_str(text).unwrap();
    bytes.push(0);
    CustomSection { name: SECTION.into(), data: docs.into() }.encode(&mut bytes);
    bytes
}

#[test]
fn the_words_in_a_component_describe_its_tools() {
    let docs = json!({
        "form": 1, "plugin": "dice", "version": "1.2.3",
        "functions": { "throw": { "description": "Throws\n  dice.", "keywords": ["roll", " dice "] } },
    });
    let bytes = with_docs(&runs("throw", "nop"), docs.to_string().as_bytes());
    let host = ToolHost::new(None, Limits::default());
    let plugin = host.load_bytes("file-name", &bytes).unwrap();
    assert_eq!((plugin.name.as_str(), plugin.version.as_deref()), ("dice", Some("1.2.3")));
    let tool = &plugin.tools[0];
    assert_eq!((tool.name.as_str(), tool.description.as_str()), ("dice_throw", "Throws dice."));
    assert!(tool.keywords.iter().any(|word| word == "roll"), "{:?}", tool.keywords);
}

#[test]
fn a_file_beside_a_component_has_the_last_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.wasm");
    let docs = json!({ "functions": { "act": { "description": "Old words." } } });
    std::fs::write(&path, with_docs(&runs("act", "nop"), docs.to_string().as_bytes())).unwrap();
    let words = "[functions.act]\ndescription = \"New words.\"\nkeywords = [\"perform\"]\n";
    std::fs::write(path.with_extension("toml"), words).unwrap();
    let host = ToolHost::new(None, Limits::default());
    let plugin = host.load(&path).unwrap();
    assert_eq!(plugin.tools[0].description, "New words.");

    std::fs::write(path.with_extension("toml"), "description = [1]").unwrap();
    let error = host.inspect(&path).unwrap_err();
    assert!(matches!(error, ToolError::Docs { .. }) && error.to_string().contains("mine.toml"), "{error}");
}

#[test]
fn one_bad_file_does_not_keep_out_the_others() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.wasm"), "no wasm").unwrap();
    std::fs::write(dir.path().join("good.wasm"), wat::parse_str(runs("act", "nop")).unwrap()).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "no plugin").unwrap();
    let host = ToolHost::new(None, Limits::default());
    let report = host.load_folder(dir.path()).unwrap();
    assert_eq!(report.plugins.len(), 1);
    assert_eq!(report.failed.len(), 1);
    assert!(report.failed[0].0.ends_with("bad.wasm"));
    assert!(host.load_folder(&dir.path().join("nothing")).unwrap().plugins.is_empty());
}

#[test]
fn a_new_plugin_is_whole_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let common = ["plugin.toml", "README.md", ".gitignore", "wit/world.wit", "wit/deps/lucid-tool/tool.wit"];
    for (language, files) in [
        (Language::Rust, vec!["Cargo.toml", "Cargo.lock", "src/lib.rs", "src/lucid.rs"]),
        (Language::Js, vec!["package.json", "src/plugin.js", "src/lucid.js", "test/plugin.test.js"]),
        (Language::Python, vec!["src/plugin.py", "src/lucid.py", "test/test_plugin.py"]),
        (Language::C, vec!["src/plugin.c", "src/lucid.h", "bindings/plugin.h", "test/test.c"]),
    ] {
        let parent = dir.path().join(language.key());
        let made = kit::new("rain-radar", language, &parent).unwrap();
        for file in common.into_iter().chain(files) {
            let text = std::fs::read_to_string(made.join(file)).unwrap();
            let gap = ["@NAME@", "@FN@", "@LANG@"].into_iter().find(|gap| text.contains(gap));
            assert_eq!(gap, None, "{file} of {language} has a gap that was not filled");
        }
        assert!(made.join(language.source()).is_file(), "{language}");
        assert!(matches!(kit::new("rain-radar", language, &parent), Err(KitError::Exists { .. })));
        for name in ["", "Rain", "-rain", "rain-", "a--b", "../up", "a b", "1st", "plugin", "list"] {
            assert!(kit::new(name, language, &parent).is_err(), "{name:?}");
        }
        assert_eq!(std::fs::read_dir(&parent).unwrap().count(), 1);
    }
    let error = kit::new("lambda", Language::Python, dir.path()).unwrap_err();
    assert!(error.to_string().contains("lambda") && error.to_string().contains("Python"), "{error}");
}

#[test]
fn the_tests_of_a_new_plugin_pass_without_webassembly() {
    let dir = tempfile::tempdir().unwrap();
    for (language, command) in [
        (Language::Js, "node --test"),
        (Language::Python, "python3 -m unittest discover test"),
        (Language::C, "cc -Werror -Wall -Ibindings -o build-test src/*.c test/test.c && ./build-test"),
    ] {
        let made = kit::new("rain-radar", language, &dir.path().join(language.key())).unwrap();
        let program = command.split(' ').next().unwrap();
        if std::process::Command::new(program).arg("--version").output().is_err() && !is_ci() {
            eprintln!("skipped: there is no {program}");
            continue;
        }
        let out = std::process::Command::new("sh").args(["-c", command]).current_dir(&made).output().unwrap();
        assert!(out.status.success(), "{language}: {out:?}");
        let readme = std::fs::read_to_string(made.join("README.md")).unwrap();
        assert!(readme.contains(&command.replace("-Werror -Wall ", "")), "the README of {language}");
    }
}

#[test]
fn a_folder_without_a_plugin_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |dir: &Path, words: &[&str]| {
        let error = kit::build(dir, dir, &mut |_| {}).unwrap_err();
        assert!(matches!(error, KitError::NotAPlugin { .. } | KitError::Wit { .. }), "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{word:?} is not in: {error}");
        }
    };
    refused(dir.path(), &["no plugin.toml", "lucid plugin new"]);

    let made = kit::new("dice", Language::Js, dir.path()).unwrap();
    let manifest = |text: &str| std::fs::write(made.join("plugin.toml"), text).unwrap();
    for (text, words) in [
        ("name = \"dice\"", ["no language", "python"]),
        ("language = \"js\"", ["no name", "plugin.toml"]),
        ("name = \"dice\"\nlanguage = \"ruby\"", ["ruby", "python"]),
        ("name = \"dice\"\nlanguage = \"js\"\nauthor = \"me\"", ["author", "plugin.toml"]),
    ] {
        manifest(text);
        refused(&made, &words);
    }
    // Rights are for whoever installs it; what they may say is not checked here.
    manifest("name = \"dice\"\nlanguage = \"js\"\n[rights]\nnet = [\"example.org\"]");
    std::fs::remove_file(made.join("src/plugin.js")).unwrap();
    refused(&made, &["src/plugin.js"]);
    kit::new("loaded", Language::Python, dir.path()).unwrap();
    let made = dir.path().join("loaded");
    let wit = "package a:b;\ninterface dice { roll: func(); }\nworld w { export dice; }\n";
    std::fs::write(made.join("wit/world.wit"), wit).unwrap();
    refused(&made, &["a:b/dice", "from the world itself"]);
}

/// Where a tool must be there: it is skipped elsewhere.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        drop(Docs::from_component("x", &bytes));
        let host = ToolHost::new(None, Limits::default());
        prop_assert!(host.load_bytes("x", &bytes).is_err());
    }

    #[test]
    fn any_words_in_a_component_are_read_or_refused(text in "\\PC{0,200}") {
        let bytes = with_docs(&runs("act", "nop"), text.as_bytes());
        drop(Docs::from_component("x", &bytes));
    }

    #[test]
    fn a_flipped_byte_never_breaks_the_host(at in 0_usize..100_000, bit in 0_u8..8) {
        let mut bytes = bundled::COMPONENTS[0].bytes.to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        drop(Docs::from_component("calc", &bytes));
    }

    #[test]
    fn a_checked_name_is_a_safe_file_name(name in "\\PC{0,50}") {
        if let Ok(name) = checked_name(&name) {
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            prop_assert!(!name.is_empty() && name.len() <= 40);
        }
    }
}
