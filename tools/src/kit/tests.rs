//! Builds a plugin in each language and calls it, with the tools that this machine has or that
//! `build` fetches. They are skipped where there are none, but for CI, which installs them.

use std::path::PathBuf;

use lucid_kernel::abi::{Call, FaultKind};
use lucid_kernel::port::CancelFlag;
use serde_json::{Value, json};

use super::{KitError, Language, build, new};
use crate::host::ToolHost;
use crate::limits::Limits;
use crate::services::Scope;

/// Where a tool must be there.
fn is_ci() -> bool {
    std::env::var_os("CI").is_some()
}

const WORLD: &str = "package local:parcel@0.2.0;

world parcel {
    include lucid:tool/guest@1.0.0;

    record size { width: u32, long-side: option<u32> }

    /// Says what it costs to send a parcel.
    ///
    /// - to: Where it goes
    ///
    /// Keywords: postage
    export send-it: func(to: string, size: size) -> result<string, string>;
    export check: func(text: string) -> string;
    export roll: func() -> f64;
    export delete: func() -> result<_, string>;
    export pass: func() -> list<u8>;
}
";

/// Builds a plugin with this source, whose world is [`WORLD`], and calls all its functions.
fn works(language: Language, source: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    let made = new("parcel", language, dir.path()).expect("a project");
    std::fs::write(made.join("wit/world.wit"), WORLD).expect("a file");
    std::fs::write(made.join(language.source()), source).expect("a file");
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let cache = cache.unwrap_or_else(std::env::temp_dir).join("lucid/toolchain");
    let built = match build(&made, &cache, &mut |step| eprintln!("{step}")) {
        Err(KitError::NoToolchain { tried, .. }) if !is_ci() => return eprintln!("skipped: {tried}"),
        built => built.expect("a component"),
    };
    eprintln!("{language}: {} bytes by {}", built.bytes, built.compiler);
    assert_eq!(built.path, made.canonicalize().expect("a folder").join("parcel.wasm"));

    let host = ToolHost::new(None, Limits::default());
    let plugin = host.load(&built.path).expect("a plugin");
    let names: Vec<&str> = plugin.tools.iter().map(|tool| tool.name.as_str()).collect();
    let expected = ["parcel_send_it", "parcel_check", "parcel_roll", "parcel_delete", "parcel_pass"];
    assert_eq!(names, expected, "what it exports beside its world is no tool");
    let tool = &plugin.tools[0];
    assert_eq!(tool.description, "Says what it costs to send a parcel.");
    assert!(tool.keywords.contains(&"postage".to_owned()), "{:?}", tool.keywords);
    assert_eq!(tool.parameters["properties"]["to"]["description"], "Where it goes");

    let run = |tool: &str, arguments: Value| {
        host.call(&Call { tool: tool.into(), arguments }, &Scope::default(), &CancelFlag::new())
    };
    let sent = run("parcel_send_it", json!({ "to": "Zürich", "size": { "width": 2, "long-side": 40 } }));
    assert_eq!(sent.expect("a result").text, "80 cents to Zürich");
    let sent = run("parcel_send_it", json!({ "to": "Rome", "size": { "width": 2 } }));
    assert_eq!(sent.expect("a result").text, "2 cents to Rome");
    let fault = run("parcel_send_it", json!({ "to": "", "size": { "width": 2 } })).expect_err("a fault");
    assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Tool, "it goes nowhere"));
    assert_eq!(run("parcel_check", json!({ "text": "fine" })).expect("a result").text, "fine");
    let fault = run("parcel_check", json!({ "text": "" })).expect_err("a fault");
    assert!(fault.message.contains("there is no text"), "{fault:?}");
    let rolled = [(); 2].map(|()| run("parcel_roll", json!({})).expect("a result").text);
    assert_ne!(rolled[0], rolled[1], "each call draws numbers of its own");
    assert_eq!(run("parcel_delete", json!({})).expect("a result").value, json!(null));
    assert_eq!(run("parcel_pass", json!({})).expect("a result").value, json!("AAEC"));
}

#[test]
fn a_plugin_in_javascript_is_built_and_called() {
    let source = r#"
        const words = (cents, to) => `${cents} cents to ${to}`;
        export function sendIt(to, size) {
            if (to === "") throw new Error("it goes nowhere");
            return words(size.width * (size.longSide ?? 1), to);
        }
        export function check(text) {
            if (text === "") throw new Error("there is no text");
            return text;
        }
        export const roll = () => Math.random();
        const remove = () => {};
        export { remove as delete };
        export const pass = () => new Uint8Array([0, 1, 2]);
    "#;
    works(Language::Js, source);
}

#[test]
fn a_plugin_in_python_is_built_and_called() {
    works(
        Language::Python,
        r#"
import datetime
import random

def send_it(to, size):
    if to == "":
        raise ValueError("it goes nowhere")
    assert datetime.datetime.strptime("2026", "%Y").year == 2026
    return f"{size.width * (size.long_side or 1)} cents to {to}"

def check(text):
    if text == "":
        raise ValueError("there is no text")
    return text

def roll():
    return random.random()

def delete():
    pass

def pass_():
    return bytes([0, 1, 2])
"#,
    );
}

#[test]
fn a_plugin_in_c_is_built_and_called() {
    works(
        Language::C,
        r#"
#include <time.h>
#include <unistd.h>
#include "lucid.h"

bool exports_plugin_send_it(plugin_string_t *to, plugin_size_t *size, plugin_string_t *ret, plugin_string_t *err) {
    if (to->len == 0) {
        return lucid_error(err, "it goes nowhere");
    }
    unsigned long_side = size->long_side.is_some ? size->long_side.val : 1;
    return lucid_ok(ret, "%u cents to %s", (unsigned)size->width * long_side, lucid_text(to));
}

void exports_plugin_check(plugin_string_t *text, plugin_string_t *ret) {
    if (text->len == 0) {
        fputs("there is no text", stderr);
        abort();
    }
    lucid_ok(ret, "%s", lucid_text(text));
}

double exports_plugin_roll(void) {
    uint32_t random;
    if (getentropy(&random, sizeof random) != 0) {
        abort();
    }
    return random;
}

bool exports_plugin_delete(plugin_string_t *err) {
    (void)err;
    return true;
}

void exports_plugin_pass(plugin_list_u8_t *ret) {
    ret->len = 3;
    ret->ptr = lucid_memory(3);
    memcpy(ret->ptr, "\0\1\2", 3);
}
"#,
    );
}

#[test]
fn mistakes_are_told_in_the_words_of_the_language() {
    let dir = tempfile::tempdir().unwrap();
    let made = new("bad", Language::C, dir.path()).unwrap();
    std::fs::write(made.join("src/plugin.c"), "#include \"lucid.h\"\nint x = nothing;\n").unwrap();
    match build(&made, &dir.path().join("cache"), &mut |_| {}) {
        Err(KitError::NoToolchain { language, tried }) if !is_ci() => {
            eprintln!("skipped: {language} {tried}")
        }
        other => {
            let error = other.unwrap_err().to_string();
            assert!(error.contains("plugin.c:2") && error.contains("nothing"), "{error}");
        }
    }
}
