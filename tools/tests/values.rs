//! Values between JSON and components: what goes in comes out, what does not fit is named, and
//! the schema says the same as the reader.
#![allow(clippy::unwrap_used)]

mod common;

use common::{call, echo, host};
use lucid_kernel::abi::FaultKind;
use lucid_kernel::syscall::validate;
use lucid_tools::{Limits, ToolHost};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, Value, json};

const TYPES: &str = r#"
    (type $color' (enum "red" "green" "deep-blue"))
    (export $color "color" (type $color'))
    (type $rights' (flags "read" "write" "run"))
    (export $rights "rights" (type $rights'))
    (type $shape' (variant (case "point") (case "circle" f64) (case "label" string) (case "maybe" (option u8))))
    (export $shape "shape" (type $shape'))
    (type $inner' (record (field "name" string) (field "note" (option string))))
    (export $inner "inner" (type $inner'))
"#;

const RECORD: &str = r#"
    (field "flag" bool)
    (field "s8" s8) (field "u8" u8) (field "s16" s16) (field "u16" u16)
    (field "s32" s32) (field "u32" u32) (field "s64" s64) (field "u64" u64)
    (field "f32" f32) (field "f64" f64)
    (field "char" char) (field "text" string)
    (field "bytes" (list u8)) (field "words" (list string)) (field "pair" (tuple s16 string))
    (field "inners" (list $inner))
    (field "color" $color) (field "rights" $rights) (field "shape" $shape)
    (field "option" (option u32)) (field "nested" (option (option s8)))
    (field "outcome" (result u16 (error string))) (field "empty" (result))
"#;

fn whole() -> ToolHost {
    host("all", &echo(TYPES, RECORD), Limits::default())
}

fn base64() -> impl Strategy<Value = Value> {
    use base64::Engine as _;
    prop::collection::vec(any::<u8>(), 0..20)
        .prop_map(|bytes| json!(base64::engine::general_purpose::STANDARD.encode(bytes)))
}

fn shape() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!("point")),
        (-1e9..1e9).prop_map(|radius: f64| json!({ "circle": radius })),
        any::<String>().prop_map(|text| json!({ "label": text })),
        any::<Option<u8>>().prop_map(|byte| json!({ "maybe": byte })),
    ]
}

fn inner() -> impl Strategy<Value = Value> {
    (any::<String>(), any::<Option<String>>()).prop_map(|(name, note)| {
        let mut map = Map::from_iter([("name".into(), json!(name))]);
        if let Some(note) = note {
            map.insert("note".into(), json!(note));
        }
        Value::Object(map)
    })
}

fn nested() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(json!({ "some": null }))),
        any::<i8>().prop_map(|n| Some(json!({ "some": n })))
    ]
}

fn outcome() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<u16>().prop_map(|n| json!({ "ok": n })),
        any::<String>().prop_map(|text| json!({ "error": text }))
    ]
}

/// A value of the record with every type in it. Absent options are left out, as the host does.
fn value() -> impl Strategy<Value = Value> {
    let numbers = (
        any::<bool>(),
        any::<(i8, u8, i16, u16)>(),
        any::<(i32, u32)>(),
        any::<u64>(),
        -(i64::MAX - 1_023)..=i64::MAX,
        any::<i16>(),
    );
    let floats = (-1e30_f32..1e30, -1e300..1e300);
    let texts = (any::<char>(), any::<String>(), base64(), prop::collection::vec(any::<String>(), 0..4));
    let chosen = (
        prop::collection::vec(inner(), 0..3),
        prop::sample::select(vec!["red", "green", "deep-blue"]),
        prop::sample::subsequence(vec!["read", "write", "run"], 0..=3),
        shape(),
    );
    let options = (any::<Option<u32>>(), nested(), outcome(), any::<bool>());
    (numbers, floats, texts, chosen, options).prop_map(|(numbers, floats, texts, chosen, options)| {
        let (flag, (s8, u8, s16, u16), (s32, u32), u64, s64, first) = numbers;
        let (char, text, bytes, words) = texts;
        let (inners, color, rights, shape) = chosen;
        let (option, nested, outcome, fine) = options;
        let mut value = json!({
            "flag": flag, "s8": s8, "u8": u8, "s16": s16, "u16": u16, "s32": s32, "u32": u32,
            "s64": s64, "u64": u64, "f64": floats.1, "char": char, "text": text, "bytes": bytes,
            "words": words, "pair": [first, "second"], "inners": inners, "color": color,
            "rights": rights, "shape": shape, "outcome": outcome,
            "empty": { if fine { "ok" } else { "error" }: null },
        });
        // The shortest decimal of an f32 is what comes back.
        value["f32"] = floats.0.to_string().parse::<f64>().map_or(Value::Null, |number| json!(number));
        if let Some(option) = option {
            value["option"] = json!(option);
        }
        if let Some(nested) = nested {
            value["nested"] = nested;
        }
        value
    })
}

#[test]
fn every_type_comes_back_as_it_went_in_and_fits_the_schema() {
    let host = whole();
    let schema = host.tools()[0].parameters.clone();
    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&value(), |value| {
        let arguments = json!({ "value": value });
        validate(&arguments, &schema).map_err(TestCaseError::fail)?;
        let output =
            call(&host, "all_echo", arguments).map_err(|fault| TestCaseError::fail(fault.message))?;
        prop_assert_eq!(output.value, value);
        Ok(())
    });
    outcome.unwrap();
}

fn sample() -> Value {
    json!({
        "flag": true, "s8": -1, "u8": 1, "s16": -2, "u16": 2, "s32": -3, "u32": 3,
        "s64": i64::MIN, "u64": u64::MAX, "f32": 0.1, "f64": 0.1, "char": "한", "text": "t",
        "bytes": "AAEC", "words": ["a"], "pair": [1, "b"], "inners": [{ "name": "n" }],
        "color": "red", "rights": ["run"], "shape": "point", "option": null, "nested": null,
        "outcome": { "ok": 7 }, "empty": { "ok": null },
    })
}

#[test]
fn all_bits_of_the_largest_integers_are_kept() {
    let mut value = sample();
    // An integer all the same.
    value["u8"] = json!(2.0);
    value["bytes"] = json!("AAF=");
    value["rights"] = json!(["run", "read", "run"]);
    let output = call(&whole(), "all_echo", json!({ "value": value })).unwrap();
    assert_eq!((&output.value["u8"], &output.value["bytes"]), (&json!(2), &json!("AAE=")));
    assert_eq!(output.value["rights"], json!(["read", "run"]));
    assert_eq!(output.value["s64"], json!(i64::MIN));
    assert_eq!(output.value["u64"], json!(u64::MAX));
    assert_eq!(output.value["f32"], json!(0.1));
    assert_eq!(output.value.get("option"), None);
}

#[test]
fn what_does_not_fit_is_named_with_its_place_and_never_reaches_the_guest() {
    let host = whole();
    let wrong = |field: &str, value: Value| {
        let mut all = sample();
        all[field] = value;
        json!({ "value": all })
    };
    let mut without = sample();
    without.as_object_mut().unwrap().remove("text");
    for (arguments, place) in [
        (wrong("flag", json!("yes")), "value.flag"),
        (wrong("s8", json!(128)), "value.s8"),
        (wrong("u8", json!(-1)), "value.u8"),
        (wrong("u16", json!(1.5)), "value.u16"),
        (wrong("s64", json!(u64::MAX)), "value.s64"),
        (wrong("f32", json!(1e300)), "value.f32"),
        (wrong("char", json!("ab")), "value.char"),
        (wrong("char", json!("")), "value.char"),
        (wrong("bytes", json!("***")), "value.bytes"),
        (wrong("words", json!(["a", 1])), "value.words[1]"),
        (wrong("pair", json!([1])), "value.pair"),
        (wrong("inners", json!([{ "name": "n", "nick": "m" }])), "value.inners[0].nick"),
        (wrong("inners", json!([{}])), "value.inners[0].name"),
        (wrong("color", json!("blue")), "value.color"),
        (wrong("rights", json!(["fly"])), "value.rights[0]"),
        (wrong("shape", json!("circle")), "value.shape(circle)"),
        (wrong("shape", json!({ "point": 1 })), "value.shape(point)"),
        (wrong("shape", json!({ "circle": 1, "label": "x" })), "value.shape"),
        (wrong("nested", json!(3)), "value.nested"),
        (wrong("outcome", json!({ "fine": 1 })), "value.outcome"),
        (wrong("empty", json!({ "ok": 1 })), "value.empty(ok)"),
        (json!({ "value": without }), "value.text"),
        (json!({ "value": sample(), "more": 1 }), "more"),
        (json!([]), "the arguments"),
    ] {
        let fault = call(&host, "all_echo", arguments.clone()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Tool, "{arguments}");
        assert!(fault.message.starts_with("all_echo was not called: "), "{fault}");
        assert!(fault.message.contains(&format!("{place}: ")), "{place}: {fault}");
    }
}

/// Any JSON at all, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("(value|name|some|ok|circle|[a-z]{1,3})", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

#[test]
fn arbitrary_arguments_are_refused_or_fit_the_schema() {
    let host = whole();
    let schema = host.tools()[0].parameters.clone();
    let fields: Vec<String> = sample().as_object().unwrap().keys().cloned().collect();
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let strategy = (prop::sample::select(fields), any_json());
    let outcome = runner.run(&strategy, |(field, junk)| {
        let mut all = sample();
        all["s64"] = json!(0);
        all[&field] = junk;
        let arguments = json!({ "value": all });
        let fits = validate(&arguments, &schema).is_ok();
        let taken = call(&host, "all_echo", arguments).is_ok();
        // What fits is taken, but for 32-bit numbers: the schema does not say how large they may be.
        // The kernel bounds them in its grammar.
        prop_assert!(!fits || taken || field == "f32");
        Ok(())
    });
    outcome.unwrap();
}
