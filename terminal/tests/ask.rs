//! `lucid ask` and `lucid run` with real models, as a user runs them.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Home, Ran, SMALL, SMALLEST, model};
use lucid_contract::alone;
use serde_json::{Value, json};

fn ask(home: &Home, which: (&str, &str), more: &[&str], question: &str) -> Value {
    let model = model(which);
    home.run(&[&["ask", "--json", "--model", &model], more, &[question]].concat()).json()
}

/// Each citation names a file that is there, and lines of it that hold this text.
fn cites(answer: &Value, text: &str) {
    let found = answer["citations"].as_array().unwrap().iter().any(|citation| {
        let file = std::fs::read_to_string(citation["path"].as_str().unwrap()).unwrap();
        let (first, last) = (citation["lines"][0].as_u64().unwrap(), citation["lines"][1].as_u64().unwrap());
        let lines: Vec<&str> = file.lines().collect();
        assert!(1 <= first && first <= last && last as usize <= lines.len(), "{citation}");
        lines[first as usize - 1..last as usize].join("\n").contains(text)
    });
    assert!(found, "{text:?} is in no line that is cited: {answer:#}");
}

#[test]
fn an_answer_comes_from_the_right_file_and_says_from_which_lines() {
    let _alone = alone();
    let home = Home::new();
    home.write("notes/rent.md", "# Flat\n\nThe landlord is Mr Okafor.\n\nThe rent is 731 euros a month.\n");
    home.write("notes/car.md", "# Car\n\nThe car is a blue Fiat.\n\nThe insurance is 402 euros a year.\n");
    for n in 0..40 {
        home.write(&format!("notes/log{n}.txt"), format!("Day {n}: the weather was fine.\n"));
    }
    let answer = ask(&home, SMALL, &["--mount", "notes"], "How much is the rent of the flat?");
    assert!(answer["answer"].as_str().unwrap().contains("731"), "{answer:#}");
    cites(&answer, "731");
    for (key, members) in [
        ("tokens", &["prefilled", "reused", "decoded", "window", "budget"][..]),
        ("ms", &["load", "first_token", "total"]),
    ] {
        for member in members {
            assert!(answer[key][member].is_u64(), "{key}.{member}: {answer:#}");
        }
    }
    let engine = if cfg!(feature = "llama-cpp") { "llama.cpp" } else { "mistralrs" };
    assert_eq!(answer["engine"], json!(engine));
    assert!(answer["session"].is_string() && answer["model"].is_string(), "{answer:#}");
    assert_eq!(answer["tool_calls"], json!([]));
    // The next one needs no folder named: it is mounted. A small window works too.
    let answer =
        ask(&home, SMALL, &["--window", "1024", "--show-memory"], "How much is the insurance of the car?");
    assert!(answer["answer"].as_str().unwrap().contains("402"), "{answer:#}");
    cites(&answer, "402");
    assert_eq!(answer["tokens"]["window"], json!(1024));
    let resident: u64 =
        answer["memory"].as_array().unwrap().iter().map(|page| page["tokens"].as_u64().unwrap()).sum();
    assert!(resident <= answer["tokens"]["budget"].as_u64().unwrap(), "{answer:#}");
}

#[test]
fn the_calculator_is_called_where_it_is_needed_and_nowhere_else() {
    let _alone = alone();
    let home = Home::new();
    for (question, expected) in [
        ("What is 17.5% of 2310.40? Use the calculator.", "404.32"),
        ("Use the calculator: what is 12.5 times 88?", "1100"),
        ("What is 987654321 * 123456789?", "121932631112635269"),
    ] {
        let answer = ask(&home, SMALL, &[], question);
        assert_eq!(answer["tool_calls"][0]["tool"], json!("calc"), "{answer:#}");
        assert_eq!(answer["tool_calls"][0]["result"], json!(expected), "{answer:#}");
        let digits: String =
            answer["answer"].as_str().unwrap().chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
        assert!(digits.contains(expected), "{answer:#}");
    }
    for question in ["Say hello in French.", "Who wrote Hamlet?"] {
        let answer = ask(&home, SMALL, &[], question);
        assert_eq!(answer["tool_calls"], json!([]), "{answer:#}");
        assert!(!answer["answer"].as_str().unwrap().is_empty(), "{answer:#}");
    }
}

#[test]
fn what_is_piped_in_is_a_page() {
    let _alone = alone();
    let home = Home::new();
    let small = model(SMALL);
    let mut command = home.command(&["ask", "--json", "--model", &small, "Which port does the server use?"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"[server]\nname = \"heron\"\nport = 7411\n").unwrap();
    drop(stdin);
    let answer = Ran::of(child.wait_with_output().unwrap()).json();
    assert!(answer["answer"].as_str().unwrap().contains("7411"), "{answer:#}");
    assert_eq!(answer["citations"][0]["path"], json!("standard input"), "{answer:#}");
}

#[test]
fn a_session_s_memory_is_shown_and_changed_from_the_command_line() {
    let _alone = alone();
    let home = Home::new();
    home.run(&["remember", "The cat of the house is called Mia."]).good();
    let answer = ask(&home, SMALL, &["--no-tools"], "What is the name of the cat?");
    assert!(answer["answer"].as_str().unwrap().contains("Mia"), "{answer:#}");
    let map = home.run(&["mem", "--json"]).json();
    let rows = map["map"].as_array().unwrap();
    let row = |kind: &str| rows.iter().find(|row| row["kind"] == kind).unwrap_or_else(|| panic!("{map:#}"));
    assert_eq!((row("boot")["page"].as_str(), row("pinned")["state"].as_str()), (Some("p1"), Some("pin")));
    // What the kernel expects to be computed is what the engine says it computed.
    assert_eq!(
        map["expected_prefilled"].as_u64().unwrap() + map["expected_reused"].as_u64().unwrap(),
        map["prefilled"].as_u64().unwrap() + map["reused"].as_u64().unwrap()
    );
    let question = row("turn")["page"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&["page", &question]).good(), "What is the name of the cat?\n");
    home.run(&["evict", "p1"]).bad(2, &["always stays"]);
    home.run(&["evict", "p2"]).bad(2, &["is pinned; unpin it first"]);
    home.run(&["evict", &question]).good();
    home.run(&["pin", &question]).bad(2, &["not in memory", "--continue"]);
    assert_eq!(home.run(&["page", &question]).good(), "What is the name of the cat?\n", "nothing is lost");
    home.run(&["unpin", "p2"]).good();
    // The session goes on with what was changed, and what left is found again.
    let more = ["--no-tools", "--continue"];
    let answer = ask(&home, SMALL, &more, "Which question about a cat did I ask?");
    assert!(!answer["answer"].as_str().unwrap().is_empty());
    let map = home.run(&["mem", "--json", "--all"]).json();
    assert!(map["turns"] == json!(2) && map["faults"].as_u64().unwrap() >= 1, "{map:#}");
}

#[test]
fn a_question_longer_than_the_window_is_refused_and_says_what_is_too_big() {
    let _alone = alone();
    let home = Home::new();
    let smallest = model(SMALLEST);
    let question = "why ".repeat(4_000);
    home.run(&["ask", "--model", &smallest, "--window", "1024", &question])
        .bad(1, &["the question has", "1024 tokens"]);
    home.run(&["ask", "--model", &smallest, "--window", "100", "hi"]).bad(3, &["100 tokens"]);
}

#[test]
fn a_plugin_of_ones_own_is_called() {
    let _alone = alone();
    let home = Home::new();
    let module = r#"(component
        (core module $m (func (export "f") (param i32) (result i32)
            (i32.add (i32.mul (local.get 0) (i32.const 7)) (i32.const 3))))
        (core instance $i (instantiate $m))
        (func (export "frobnicate") (param "count" u32) (result u32) (canon lift (core func $i "f"))))"#;
    home.write("frobnicate.wasm", wat::parse_str(module).unwrap());
    let words = "[functions.frobnicate]\ndescription = \"Frobnicates so many things.\"\nkeywords = [\"frobnicate\"]\n";
    home.write("frobnicate.toml", words);
    home.run(&["plugin", "install", "frobnicate.wasm"]).good();
    assert!(home.run(&["plugin", "list"]).good().contains("frobnicate: Frobnicates so many things."));
    let answer = ask(&home, SMALL, &[], "Use the frobnicate tool with a count of 6.");
    assert_eq!(answer["tool_calls"][0]["tool"], json!("frobnicate"), "{answer:#}");
    assert_eq!(answer["tool_calls"][0]["arguments"], json!({ "count": 6 }), "{answer:#}");
    assert_eq!(answer["tool_calls"][0]["result"], json!(45), "{answer:#}");
    assert!(answer["answer"].as_str().unwrap().contains("45"), "{answer:#}");
}

const SCRIPT: &str = "---\nname: digest\nparams:\n  topic: rent\nmounts: [notes]\n---\n\
1. What do the notes say about {{topic}}? -> found\n\
2. Rate how clear this is: {{found}} -> rating\n   as: {type: object, properties: {score: {type: integer, minimum: 1, maximum: 5}, why: {type: string, maxLength: 60}}, required: [score, why], additionalProperties: false}\n\
3. List two words for a score of {{rating.score}}. -> words\n   as: {type: array, items: {type: string, maxLength: 20}, minItems: 2, maxItems: 2}\n";

#[test]
fn no_command_is_run_where_nobody_can_be_asked() {
    let _alone = alone();
    let home = Home::new();
    std::fs::create_dir_all(home.home("config")).unwrap();
    let settings = "[tools]\nshell = true\n\n[[rules]]\ntool = \"shell\"\nverdict = \"allow\"\n";
    std::fs::write(home.home("config/settings.toml"), settings).unwrap();
    let ran = home.run(&["ask", "--json", "--model", &model(SMALL), "Use the shell: touch made"]);
    assert_eq!(ran.code, Some(4), "{ran:#?}");
    assert!(ran.stderr.contains("shell did not run: the user did not allow it"), "{ran:#?}");
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(answer["tool_calls"][0]["tool"], json!("shell"), "{answer:#}");
    assert!(!home.work("made").exists());
}

#[test]
fn a_script_s_typed_results_fit_their_schemas_with_the_smallest_model() {
    let _alone = alone();
    let home = Home::new();
    home.write("notes/rent.md", "The rent is 731 euros a month.\n");
    home.write("digest.md", SCRIPT);
    let smallest = model(SMALLEST);
    for topic in ["rent", "money", "the month"] {
        let param = format!("topic={topic}");
        let report =
            home.run(&["run", "--json", "--model", &smallest, "--param", &param, "digest.md"]).json();
        assert_eq!(report["ok"], json!(true), "{report:#}");
        assert_eq!(report["steps"].as_array().unwrap().len(), 3);
        let results = &report["results"];
        assert!(results["found"].is_string(), "{report:#}");
        assert!((1..=5).contains(&results["rating"]["score"].as_i64().unwrap()), "{report:#}");
        assert!(results["rating"]["why"].is_string(), "{report:#}");
        assert_eq!(results["words"].as_array().unwrap().len(), 2, "{report:#}");
    }
}

#[test]
fn two_at_once_on_one_home_both_work() {
    let _alone = alone();
    let home = Home::new();
    home.write("notes/a.md", "The server listens on port 7411.\n");
    home.run(&["mount", "notes"]).good();
    let smallest = model(SMALLEST);
    let start = || {
        let mut command =
            home.command(&["ask", "--json", "--model", &smallest, "--mount", "notes", "Say yes."]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children = [start(), start()];
    let sessions: Vec<Value> =
        children.map(|child| Ran::of(child.wait_with_output().unwrap()).json()["session"].clone()).into();
    assert_ne!(sessions[0], sessions[1]);
}

#[test]
fn a_killed_session_goes_on_with_all_that_was_taken() {
    let _alone = alone();
    let home = Home::new();
    let smallest = model(SMALLEST);
    let story = "Tell a very long story about a heron called Quill.";
    let mut child = home
        .command(&["ask", "--model", &smallest, "--no-tools", story])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Killed as soon as its question is in the journal.
    let began = Instant::now();
    let journal = home.home("state/journal.sqlite");
    let taken = || {
        let files = [journal.clone(), home.home("state/journal.sqlite-wal")];
        files.iter().any(|file| {
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes.windows(14).any(|window| window == b"a heron called")
        })
    };
    while !taken() {
        assert!(began.elapsed() < Duration::from_secs(60), "the question never reached the journal");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let answer = home.run(&["ask", "--json", "--continue", "--show-memory", "--no-tools", "Go on."]).json();
    let memory = answer["memory"].to_string();
    assert!(memory.contains("a heron called Quill"), "{answer:#}");
    assert!(memory.contains("Go on."), "{answer:#}");
}

#[test]
fn output_for_programs_holds_no_escape_sequences_and_the_result_alone_is_on_stdout() {
    let _alone = alone();
    let home = Home::new();
    let smallest = model(SMALLEST);
    let ran = home.run(&["ask", "--model", &smallest, "--no-tools", "Say hello."]);
    assert_eq!(ran.code, Some(0), "{ran:#?}");
    assert!(!ran.stdout.trim().is_empty() && !ran.stdout.contains('\u{1b}'), "{ran:#?}");
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:#?}");
}

#[test]
fn a_seed_repeats_its_draw() {
    let _alone = alone();
    let home = Home::new();
    let draw = |seed: &str| {
        ask(&home, SMALLEST, &["--no-tools", "--seed", seed], "Name an animal.")["answer"].clone()
    };
    assert_eq!(draw("7"), draw("7"));
}
