//! One table of good scripts, one of bad ones, the runner against scripted answers, and any
//! text at all.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::error::Problem;
use super::template::{Bindings, render};
use super::*;

fn parse(source: &str) -> Result<Script, String> {
    Script::parse(source, Path::new("dir/my.md")).map_err(|error| error.to_string())
}

/// Number, line, text, name and schema of each step.
type Flat<'a> = (usize, usize, &'a str, Option<&'a str>, Option<Value>);

#[track_caller]
fn check_steps(source: &str, expect: &[Flat<'_>]) {
    let script = parse(source).unwrap();
    let steps: Vec<Flat<'_>> = script
        .steps
        .iter()
        .map(|s| (s.number, s.line, s.text.as_str(), s.bind.as_deref(), s.schema.clone()))
        .collect();
    assert_eq!(steps, expect);
}

#[test]
fn steps_with_names_and_continuations() {
    check_steps("1. Say hello.", &[(1, 1, "Say hello.", None, None)]);
    check_steps(
        "# For readers\n\nSome words.\n\n1. First -> a\n2) Second {{a}}\n   goes on\nand on\n\n   in a paragraph -> b\n\n## Also for readers\n\n3. Third\n   -> c\n",
        &[
            (1, 5, "First", Some("a"), None),
            (2, 6, "Second {{a}}\ngoes on\nand on\n\nin a paragraph", Some("b"), None),
            (3, 14, "Third", Some("c"), None),
        ],
    );
}

#[test]
fn schemas_stand_on_a_line_or_in_a_block() {
    let integer = Some(json!({"type": "integer"}));
    for written in [
        "as: {type: integer}",
        "as: {\"type\": \"integer\"}",
        "as:\n   ```json\n   {\n     \"type\": \"integer\"\n   }\n   ```",
        "as:\n\n   ~~~yaml\n   type: integer\n   ~~~",
    ] {
        let source = format!("1. How many? -> n\n   {written}\n2. Next {{{{n}}}}");
        let script = parse(&source).unwrap();
        assert_eq!(script.steps[0].schema, integer, "{written}");
        assert_eq!(script.steps[0].text, "How many?", "{written}");
        assert_eq!(script.steps[1].text, "Next {{n}}", "{written}");
    }
}

#[test]
fn fenced_blocks_are_left_alone() {
    let code = "1. Explain:\n   ```\n   as: {x}\n   f() -> y\n2. not a step\n   ```\n2. Next";
    check_steps(
        code,
        &[
            (1, 1, "Explain:\n```\nas: {x}\nf() -> y\n2. not a step\n```", None, None),
            (2, 7, "Next", None, None),
        ],
    );
}

#[test]
fn arrows_inside_a_line_are_text() {
    for text in ["Turn a->b", "Use `f -> g`", "x -> y and so on", "<!-- note -->"] {
        check_steps(&format!("1. {text}"), &[(1, 1, text, None, None)]);
    }
}

#[test]
fn the_head_gives_name_parameters_and_mounts() {
    let script = parse(
        "\u{feff}\n---\nname: weekly\nparams:\n  topic:\n  count: 3\n  tone: \"no\"\nmounts: [docs, '{{topic}}']\n---\n1. {{count}} of {{topic}}",
    )
    .unwrap();
    assert_eq!(script.name, "weekly");
    let params: Vec<_> = script.params.iter().map(|p| (p.name.as_str(), p.default.clone())).collect();
    assert_eq!(params, [("topic", None), ("count", Some(json!(3))), ("tone", Some(json!("no")))]);
    let mounts: Vec<_> = script.mounts.iter().map(|m| (m.line, m.folder.as_str())).collect();
    assert_eq!(mounts, [(8, "docs"), (8, "{{topic}}")]);
    for source in ["1. x", "---\n---\n1. x", "---\n# nothing\n---\n1. x", "---\nparams:\n---\n1. x"] {
        assert_eq!(parse(source).unwrap().name, "my", "{source}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let schema = |text: &str| format!("1. x\n   {text}");
    let long = |n: usize| (1..=n).map(|i| format!("{i}. x\n")).collect::<String>();
    let table: Vec<(String, usize, &str)> = vec![
        (String::new(), 1, "there are no steps; write one as `1. What to do`"),
        ("---\nname: x\n---\nwords\n".into(), 4, "there are no steps"),
        ("---\nname: x\n1. y\n".into(), 1, "the head is not closed"),
        ("---\nname: x\nparms: {}\n---\n1. y".into(), 3, "parms"),
        ("---\nname: [\n---\n1. y".into(), 2, "the head cannot be read"),
        ("---\nname: x\nname: y\n---\n1. y".into(), 3, "the head cannot be read"),
        ("---\nparams:\n  two words: 1\n---\n1. y".into(), 3, "\"two words\" cannot be a name"),
        ("---\nparams:\n  a: [1]\n---\n1. y".into(), 3, "the default of a is no text"),
        ("---\nmounts: ['{{b}}']\n---\n1. y".into(), 2, "nothing is called b here; there are none"),
        ("1. x\n3. y".into(), 2, "this is step 3 where 2 comes next"),
        ("2. x".into(), 1, "this is step 2 where 1 comes next"),
        ("1. x\n2.\n".into(), 2, "the step says nothing"),
        ("1. -> a".into(), 1, "the step says nothing"),
        ("1. x -> a-b".into(), 1, "\"a-b\" cannot be a name"),
        ("1. x -> a\n   y -> b".into(), 2, "a second `-> name`"),
        ("1. x -> a\n2. y -> a".into(), 2, "the name a is taken"),
        ("---\nparams: {a: 1}\n---\n1. x -> a".into(), 4, "the name a is taken"),
        ("1. x {{a}} -> a".into(), 1, "nothing is called a here"),
        ("1. x -> a\n2. y\n   and {{b}}".into(), 3, "nothing is called b here; known are a"),
        ("1. x -> a\n2. y {{a.b}}".into(), 2, "the result a is plain text and has no fields"),
        ("1. x {{a b}}".into(), 1, "\"{{a b}}\" is no reference"),
        ("1. x {{a".into(), 1, "\"{{a\" is no reference"),
        ("1. x {{}}".into(), 1, "is no reference"),
        (schema("as: integer"), 2, "\"integer\" is no object; write a JSON schema"),
        (schema("as: {type: nonsense}"), 2, "nonsense"),
        (schema("as: {type: [}"), 2, "the schema after `as:` cannot be used"),
        (schema("as: {$ref: 'http://example.org/x'}"), 2, "cannot be used"),
        (schema("as:"), 2, "no fenced block follows"),
        (schema("as:\n   words"), 2, "no fenced block follows"),
        (schema("as:\n   ```\n   type: [\n   ```"), 4, "cannot be used"),
        (schema("as: {type: integer}\n   as: {type: string}"), 3, "a second `as:`"),
        ("1. x\n   ```\n   y".into(), 2, "the fenced block is not closed"),
        (long(MAX_STEPS + 1), MAX_STEPS + 1, "over 100 steps"),
        ("x".repeat(MAX_SCRIPT_BYTES + 1), 1, "the script is over"),
    ];
    for (source, line, expect) in table {
        let shown: String = source.chars().take(60).collect();
        let error = parse(&source).expect_err(&shown);
        let place = format!("dir/my.md:{line}: ");
        assert!(error.starts_with(&place) && error.contains(expect), "{shown:?} gives {error:?}");
    }
    assert!(parse(&long(MAX_STEPS)).is_ok());
}

#[test]
fn names_are_filled_in() {
    let mut bindings = Bindings::new();
    bindings.bind("a", json!("plain \"text\" {{b}}"));
    bindings.bind("b", json!({"list": [1, {"x-y": true}], "n": 1.5}));
    let table = [
        ("no names", "no names"),
        ("{{a}}!", "plain \"text\" {{b}}!"),
        ("{{ b.n }}{{b.list.0}}", "1.51"),
        ("{{b.list.1.x-y}}", "true"),
        ("{{b.list}}", "[1,{\"x-y\":true}]"),
        ("\\{{a}}", "{{a}}"),
        ("a } }} { b", "a } }} { b"),
    ];
    for (text, expect) in table {
        assert_eq!(render(text, &bindings).unwrap(), expect, "{text}");
    }
    let error = |text: &str| render(text, &bindings).unwrap_err().to_string();
    assert!(error("{{c}}").contains("nothing is called c here; known are a, b"));
    assert!(error("{{{{").contains("is no reference"));
    assert!(error("{{b.m}}").contains("there is no m; the value has list, n"));
    assert!(error("{{b.list.2}}").contains("a list of 2 items"));
    assert!(error("{{a.x}}").contains("the value has no fields"));
    bindings.bind("a", json!("x".repeat(MAX_RENDERED_BYTES)));
    assert!(render("{{a}}", &bindings).is_ok());
    assert_eq!(render("{{a}}.", &bindings), Err(Problem::RenderedTooLong));
}

type Answer = Result<&'static str, &'static str>;

/// Answers from a list, and keeps what it was asked.
struct Scripted {
    answers: Vec<Answer>,
    asked: Vec<(String, Option<Value>)>,
}

impl Ask for Scripted {
    fn ask(&mut self, text: &str, schema: Option<&Value>) -> Result<StepAnswer, AskError> {
        self.asked.push((text.into(), schema.cloned()));
        match self.answers.remove(0) {
            Ok(text) => Ok(StepAnswer { text: text.into() }),
            Err(message) => Err(AskError { message: message.into() }),
        }
    }
}

const THREE: &str = "---\nparams: {topic: rain, count: 2}\nmounts: 'notes/{{topic}}'\n---\n\
    1. {{count}} facts about {{topic}} -> facts\n   as: {type: array, items: {type: string}}\n\
    2. Shorten {{facts.0}} -> short\n3. Done?";

fn carry_out(source: &str, answers: &[Answer]) -> (Report, Vec<(String, Option<Value>)>, usize) {
    let script = parse(source).unwrap();
    let mut ask = Scripted { answers: answers.to_vec(), asked: Vec::new() };
    let mut seen = 0;
    let bindings = script.bindings(&BTreeMap::new()).unwrap();
    let report = run(&script, bindings, &mut ask, &mut |_| seen += 1);
    (report, ask.asked, seen)
}

#[test]
fn a_script_is_carried_out() {
    let (report, asked, seen) = carry_out(THREE, &[Ok(" [\"wet\", \"cold\"]\n"), Ok("w"), Ok("yes")]);
    let schema = json!({"type": "array", "items": {"type": "string"}});
    let expected = [("2 facts about rain", Some(schema)), ("Shorten wet", None), ("Done?", None)];
    assert_eq!(asked, expected.map(|(text, schema)| (text.to_owned(), schema)));
    assert_eq!(seen, 6);
    let mut printed = serde_json::to_value(&report).unwrap();
    for step in printed["steps"].as_array_mut().unwrap() {
        assert!(step["ms"].is_u64());
        step["ms"] = json!(0);
    }
    assert_eq!(
        printed,
        json!({
            "script": "my",
            "ok": true,
            "steps": [
                {"number": 1, "text": "2 facts about rain", "name": "facts", "value": ["wet", "cold"], "ms": 0, "error": null},
                {"number": 2, "text": "Shorten wet", "name": "short", "value": "w", "ms": 0, "error": null},
                {"number": 3, "text": "Done?", "name": null, "value": "yes", "ms": 0, "error": null},
            ],
            "results": {"facts": ["wet", "cold"], "short": "w"},
        })
    );
}

#[test]
fn a_failed_step_ends_the_script() {
    let table: [(&[Answer], usize, &str); 4] = [
        (&[Err("the engine is gone")], 1, "the engine is gone"),
        (&[Ok("[\"a\", 1]")], 1, "the answer does not fit its schema"),
        (&[Ok("certainly: []")], 1, "the answer is no JSON"),
        // Found only when the value is there.
        (&[Ok("[]")], 2, "dir/my.md:7: {{facts.0}} cannot be filled in: there is no 0"),
    ];
    for (answers, steps, expect) in table {
        let (report, ..) = carry_out(THREE, answers);
        assert!(!report.ok);
        assert_eq!(report.steps.len(), steps, "{expect}");
        let last = report.steps.last().unwrap();
        assert!(last.error.as_ref().unwrap().contains(expect), "{last:?}");
        assert_eq!(last.value, None);
        assert_eq!(report.results.len(), steps - 1);
    }
}

#[test]
fn parameters_are_given_or_have_defaults() {
    let script = parse("---\nparams: {a: , b: 2}\nmounts: ['x/{{a}}', y]\n---\n1. {{a}}{{b}}").unwrap();
    let given = |pairs: &[(&str, &str)]| {
        let map = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        script.bindings(&map).map_err(|error| error.to_string())
    };
    let bindings = given(&[("a", "one")]).unwrap();
    assert_eq!(render("{{a}} {{b}}", &bindings).unwrap(), "one 2");
    assert_eq!(script.folders(&bindings).unwrap(), ["x/one", "y"]);
    assert_eq!(render("{{b}}", &given(&[("a", ""), ("b", "3")]).unwrap()).unwrap(), "3");
    assert!(given(&[]).unwrap_err().contains("give it with --param a=VALUE"));
    let unknown = given(&[("a", "1"), ("c", "2")]).unwrap_err();
    assert!(unknown.contains("there is no parameter c; the script takes a, b"), "{unknown}");
}

/// Texts that are likely to mean something to the parser.
fn scriptish() -> impl Strategy<Value = String> {
    let parts = [
        "---\n",
        "\n",
        "1. ",
        "2. ",
        "3) ",
        "   ",
        "\t",
        "-> a",
        "-> b\n",
        "as:",
        "as: {type: integer}\n",
        "```\n",
        "~~~~",
        "{{a}}",
        "{{a.b}}",
        "{{",
        "}}",
        "\\",
        "name: x\n",
        "params: {a: 1}\n",
        "mounts: [x]\n",
        "# head\n",
        "é",
        "\u{feff}",
        "word ",
        "[",
        "{",
        "\r\n",
        ": ",
        "&a *a",
    ];
    prop::collection::vec(
        prop_oneof![4 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned), 1 => any::<String>()],
        0..30,
    )
    .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(source in prop_oneof![scriptish(), any::<String>()]) {
        let lines = source.lines().count().max(1);
        match Script::parse(&source, Path::new("x.md")) {
            Ok(script) => {
                prop_assert!(!script.steps.is_empty());
                prop_assert!(script.steps.iter().all(|s| s.line <= lines && !s.text.trim().is_empty()));
                if let Ok(bindings) = script.bindings(&BTreeMap::new()) {
                    let _ = script.folders(&bindings);
                }
            }
            Err(error) => prop_assert!((1..=lines).contains(&error.line), "{}", error),
        }
    }

    #[test]
    fn no_text_makes_filling_in_panic(text in prop_oneof![scriptish(), any::<String>()]) {
        let mut bindings = Bindings::new();
        bindings.bind("a", json!({"b": [1]}));
        let _ = render(&text, &bindings);
    }
}
