//! Data: reading, guessing, converting and querying.

use proptest::prelude::*;
use serde_json::{Value, json};
use text::bindings::Format;
use text::data::{convert, read, write};
use text::paths::query;

const FORMATS: [Format; 4] = [Format::Json, Format::Yaml, Format::Toml, Format::Csv];

const STORE: &str = r#"{"store": {"book": [
    {"title": "Sayings", "price": 8.95}, {"title": "Sword", "price": 12.99}, {"title": "Moby Dick", "price": 8.99}
], "bicycle": {"color": "red", "price": 19.95}}}"#;

fn refused(result: Result<String, String>, part: &str) {
    let error = result.expect_err(part);
    assert!(error.contains(part), "{error}");
}

#[test]
fn queries_pick_values() {
    for (path, expected) in [
        ("$.store.book[0].title", r#"["Sayings"]"#),
        ("$.store.book[?@.price < 10].title", r#"["Sayings","Moby Dick"]"#),
        ("$..price", "[8.95,12.99,8.99,19.95]"),
        ("$.store.book[-1:].price", "[8.99]"),
        ("$.store.book[*]['title', 'price']", r#"["Sayings",8.95,"Sword",12.99,"Moby Dick",8.99]"#),
        ("$.store.book[?length(@.title) == 5].price", "[12.99]"),
        // As jq has it, and without a root.
        (".store.book[].title", r#"["Sayings","Sword","Moby Dick"]"#),
        ("store.bicycle", r#"[{"color":"red","price":19.95}]"#),
        ("$['store']['bicycle']['color']", r#"["red"]"#),
    ] {
        let mut found = query(STORE, path, None).expect(path);
        if path.starts_with("$..") {
            // The order of siblings in objects is free.
            let mut values: Vec<f64> = serde_json::from_str(&found).unwrap();
            values.sort_by(f64::total_cmp);
            assert_eq!(values, [8.95, 8.99, 12.99, 19.95]);
            continue;
        }
        found.truncate(200);
        assert_eq!(found, expected, "{path}");
    }
    assert_eq!(query("a: [1, 2]", "$.a[1]", None).unwrap(), "[2]");
    assert_eq!(query("name,age\nAda,36\nBob,17\n", "$[?@.age >= 18].name", None).unwrap(), r#"["Ada"]"#);
    assert_eq!(query("[package]\nname = \"x\"", "package.name", None).unwrap(), r#"["x"]"#);
    assert_eq!(query("[1]", ".", None).unwrap(), "[[1]]");
}

#[test]
fn what_does_not_match_says_what_there_is() {
    assert_eq!(
        query(r#"{"a": 1, "b": 2}"#, "$.c", None).unwrap(),
        "[]\n(nothing matches; $ is an object with the keys a, b)"
    );
    assert!(query("[{\"a\": 1}]", "$.c", None).unwrap().contains("array of 1, the first an object"));
    refused(query(STORE, "", None), "path is empty");
    refused(query(STORE, "$.store[", None), "at character");
    refused(query(STORE, "$.store[?@.a == ]", None), "wrong at character");
    refused(query(STORE, &"[".repeat(100), None), "nests");
    refused(query(STORE, &".a".repeat(600), None), "most is 1000");
    refused(query("{\"a\": }", "$.a", Some(Format::Json)), "line 1 column 7");
}

#[test]
fn queries_are_bounded() {
    let many = format!("[{}]", vec!["1"; 5_000].join(","));
    let found = query(&many, "$[*]", None).unwrap();
    assert!(found.ends_with("\n(the first 1000 of 5000 matches)"), "{}", &found[found.len() - 60..]);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    refused(query(&deep, "$..*..*..*..*", None), "too long");
    refused(query(&many, &format!("$[*]{}", "[0,0,0,0]".repeat(20)), None), "too long");
    refused(query(&many, "$[?@ == $[0]]", None), "too long");
    let long = format!("[{}]", vec![format!("{:?}", "x".repeat(1_000)); 100].join(","));
    assert!(query(&long, "$[*]", None).unwrap().len() < 64 << 10);
    refused(query(&format!("[{}1]", "1,".repeat(600_000)), "$", None), "most is 1048576");
}

#[test]
fn formats_are_guessed() {
    for (text, expected) in [
        ("{\"a\": [1, true, null]}", json!({"a": [1, true, null]})),
        ("a: 1\nb:\n  - x\n  - y\n", json!({"a": 1, "b": ["x", "y"]})),
        ("- 1\n- 2\n", json!([1, 2])),
        ("a = 1\n[b]\nc = 2024-05-01\n", json!({"a": 1, "b": {"c": "2024-05-01"}})),
        ("a,b\n1,x\n2,y\n", json!([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])),
        ("a;b\n1;x,y\n", json!([{"a": 1, "b": "x,y"}])),
        ("\u{feff}a\tb\n1\t2\n", json!([{"a": 1, "b": 2}])),
        ("\"text\"", json!("text")),
    ] {
        assert_eq!(read(text, None), Ok(expected), "{text}");
    }
    for (text, part) in [
        ("", "empty"),
        ("just some words", "say which it is"),
        ("{\"a\": 1,, }", "JSON"),
        ("a: [1", "read as YAML"),
    ] {
        let error = read(text, None).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn yaml_is_that_of_version_1_2() {
    let yaml = "no: off\nzip: 007\nnum: 1_000\nnull: ~\n1: one\nwhen: 2024-05-01\nbase: &b {x: 1}\nuse: *b\n\
                text: |\n  two\n  lines\n";
    let expected = json!({
        "no": "off", "zip": "007", "num": "1_000", "null": null, "1": "one", "when": "2024-05-01",
        "base": {"x": 1}, "use": {"x": 1}, "text": "two\nlines\n",
    });
    assert_eq!(read(yaml, Some(Format::Yaml)), Ok(expected));
    assert_eq!(read("a: 1\n---\nb: 2\n", Some(Format::Yaml)), Ok(json!([{"a": 1}, {"b": 2}])));
}

#[test]
fn converts_between_all_formats() {
    let people = r#"[{"name":"Ada","age":36},{"name":"Bob, Jr.","age":17}]"#;
    let csv = "name,age\nAda,36\n\"Bob, Jr.\",17\n";
    let toml = "[[items]]\nname = \"Ada\"\nage = 36\n\n[[items]]\nname = \"Bob, Jr.\"\nage = 17\n";
    let yaml = "- name: Ada\n  age: 36\n- name: Bob, Jr.\n  age: 17\n";
    assert_eq!(convert(people, Format::Csv, None).unwrap(), csv);
    assert_eq!(convert(people, Format::Toml, None).unwrap(), toml);
    assert_eq!(convert(people, Format::Yaml, None).unwrap(), yaml);
    assert_eq!(convert(toml, Format::Csv, None).unwrap(), csv);
    assert_eq!(convert(csv, Format::Yaml, None).unwrap(), yaml);
    assert_eq!(
        convert(yaml, Format::Json, None).unwrap(),
        "[\n  {\n    \"name\": \"Ada\",\n    \"age\": 36\n  },\n  {\n    \"name\": \"Bob, Jr.\",\n    \"age\": 17\n  }\n]"
    );
    let nested = convert(r#"[{"a":1},{"b":[1,2],"a":null}]"#, Format::Csv, None).unwrap();
    assert_eq!(nested, "a,b\n1,\n,\"[1,2]\"\n");
    assert_eq!(convert("{\"a\":true}", Format::Csv, None).unwrap(), "a\ntrue\n");
}

#[test]
fn columns_of_csv_have_types() {
    let csv = "id,zip,price,ok,note,big\n1,01234,9.50,true,,12345678901234567890\n2,99,10,false,,1\n";
    let expected = json!([
        {"id": 1, "zip": "01234", "price": 9.5, "ok": true, "note": "", "big": "12345678901234567890"},
        {"id": 2, "zip": "99", "price": 10, "ok": false, "note": "", "big": "1"},
    ]);
    assert_eq!(read(csv, Some(Format::Csv)), Ok(expected));
    assert_eq!(
        read("a,b\n1,\n,x\n", Some(Format::Csv)),
        Ok(json!([{"a": 1, "b": ""}, {"a": null, "b": "x"}]))
    );
}

#[test]
fn nothing_is_changed_silently() {
    let json = |text: &str, to| convert(text, to, Some(Format::Json));
    refused(json(r#"{"a": 12345678901234567890123}"#, Format::Yaml), "at line 1, column 7: the number");
    refused(json(r#"{"a": 1, "a": 2}"#, Format::Yaml), "\"a\" stands twice at line 1 column");
    refused(json(r#"{"a b": [null]}"#, Format::Toml), r#"$["a b"][0] is null"#);
    refused(json("[18446744073709551615]", Format::Toml), "2^63");
    refused(json("[1]", Format::Csv), "$[0] is none");
    refused(json("1", Format::Csv), "single value");
    refused(json("[]", Format::Csv), "nothing to write");
    refused(json("1e999", Format::Yaml), "JSON");
    refused(convert("a: .inf", Format::Json, Some(Format::Yaml)), "non-finite float `.inf`");
    refused(convert("a: 1\na: 2", Format::Json, Some(Format::Yaml)), "line 2");
    refused(convert("a: 99999999999999999999999", Format::Json, Some(Format::Yaml)), "64 bits");
    refused(
        convert("a:\n  b: -99999999999999999999999", Format::Json, Some(Format::Yaml)),
        "at line 2, column 7: the",
    );
    assert!(read("a: 1e30\nb: \"99999999999999999999999\"\nc: 12345678901234567890123.5", None).is_ok());
    refused(convert("a = nan", Format::Json, Some(Format::Toml)), "no number that JSON has");
    refused(convert("a = 1\nb = [1", Format::Json, Some(Format::Toml)), "at line 2, column");
    refused(
        convert("a,b\n1,2\n3\n", Format::Json, Some(Format::Csv)),
        "line 3 has 1 fields, the header has 2",
    );
    refused(
        convert("a,a\n1,2\n", Format::Json, Some(Format::Csv)),
        "two columns of the CSV are called \"a\"",
    );
    assert_eq!(
        json("[18446744073709551615,-1,1.0,0.1]", Format::Yaml).unwrap(),
        "- 18446744073709551615\n- -1\n- 1.0\n- 0.1\n"
    );
}

#[test]
fn nothing_spins_or_swells() {
    let bomb = "a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    assert!(read(bomb, Some(Format::Yaml)).is_err());
    for text in [
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        "a: ".repeat(10_000),
        "- ".repeat(10_000),
        "a.".repeat(10_000),
        format!("a = {}", "[".repeat(10_000)),
        format!("a = {}", "{a=".repeat(10_000)),
        ",".repeat(100_000),
        format!("{}\n{}", ",".repeat(1_000), ",".repeat(1_000)),
        "\"".repeat(10_001),
        "? ".repeat(5_000),
        "!".repeat(5_000),
        "&a ".repeat(5_000),
    ] {
        let began = std::time::Instant::now();
        let _ = read(&text, None);
        for format in FORMATS {
            let _ = read(&text, Some(format));
        }
        assert!(began.elapsed().as_secs() < 20, "{} took {:?}", &text[..20], began.elapsed());
    }
}

#[test]
fn deep_data_is_written_or_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(120), close.repeat(120));
        for format in FORMATS {
            let _ = convert(&deep, format, None);
        }
        assert!(read(&deep, Some(Format::Json)).is_ok());
        assert!(read(&deep, Some(Format::Yaml)).is_err());
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..6)
                .prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// Texts that look like something else, with line ends and signs of YAML.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,6}",
        "\\PC{0,12}",
        "[-?:,\\[\\]{}#&*!|>'\"%@`~<= \\n\\t0-9a]{0,8}",
        "(true|no|null|~|1e3|0x1f|0o17|1_0|007|[.]nan|-[.]inf|2024-01-01|<<|=|---|[.]{3}|\\+1|- |\\r\\n|\u{85}|\u{2028}|\u{feff})",
    ]
}

/// A value without what TOML lacks.
fn for_toml(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Number(it) if it.is_u64() && !it.is_i64() => json!(1),
        Value::Array(items) => items.iter().map(for_toml).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, it)| (key.clone(), for_toml(it))).collect())
        }
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn json_to_yaml_and_back(value in values()) {
        let yaml = write(&value, Format::Yaml).expect("written");
        prop_assert_eq!(read(&yaml, Some(Format::Yaml)), Ok(value), "{}", yaml);
    }

    #[test]
    fn json_to_toml_and_back(value in values()) {
        let value = json!({ "it": for_toml(&value) });
        let toml = write(&value, Format::Toml).expect("written");
        prop_assert_eq!(read(&toml, Some(Format::Toml)), Ok(value), "{}", toml);
    }

    #[test]
    fn json_is_written_and_read(value in values()) {
        let text = write(&value, Format::Json).expect("written");
        prop_assert_eq!(read(&text, Some(Format::Json)), Ok(value));
    }

    /// Fields that look like no number stay the same through CSV.
    #[test]
    fn texts_to_csv_and_back(rows in prop::collection::vec(("x\\PC{0,8}", "x[a-z,;\"'\\n ]{0,8}"), 1..6)) {
        let value: Value = rows.iter().map(|(a, b)| json!({"one": a, "two, three": b})).collect();
        let csv = write(&value, Format::Csv).expect("written");
        prop_assert_eq!(read(&csv, Some(Format::Csv)), Ok(value), "{}", csv);
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}|[-\\[\\]{}:,\"'#&*!|>?%@= \\n\\t0-9a-c.]{0,80}", to in 0..4_usize) {
        let _ = convert(&text, FORMATS[to], None);
        for format in FORMATS {
            let _ = convert(&text, FORMATS[to], Some(format));
        }
    }

    #[test]
    fn any_path_is_answered(path in "\\PC{0,30}|[$@.\\[\\]?*:'\"(),<>=!&|a-c0-9 -]{0,30}") {
        let _ = query(r#"{"a": [{"b": 1}, {"b": "x", "c": null}], "0": true}"#, &path, None);
    }
}
