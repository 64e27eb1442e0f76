//! Models on servers, from the command line: llama.cpp's own server stands for them all.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use common::{Home, Ran};
use lucid_contract::server::{MODEL, Server, free_port};
use lucid_contract::{QWEN_05B, alone};
use serde_json::json;

/// A home whose settings are these.
fn home_with(settings: &str) -> Home {
    let home = Home::new();
    std::fs::create_dir_all(home.home("config")).unwrap();
    std::fs::write(home.home("config/settings.toml"), settings).unwrap();
    home
}

#[test]
fn a_model_on_a_server_answers_and_calls_and_private_pages_wait_for_a_yes() {
    let _alone = alone();
    let server = Server::start(QWEN_05B, free_port(), &["--ctx-size", "4096"]);
    let port = server.port;
    // To the program, the second address is one of another machine.
    let settings = format!(
        "engine = \"near\"\n\
         [engines.near]\nurl = \"http://127.0.0.1:{port}\"\nmodel = \"{MODEL}\"\n\
         [engines.far]\nurl = \"http://0.0.0.0:{port}/v1\"\nmodel = \"{MODEL}\"\n"
    );
    let home = home_with(&settings);
    let answer = home.run(&["ask", "--json", "What is the capital of France?"]).json();
    assert!(answer["answer"].as_str().unwrap().contains("Paris"), "{answer:#}");
    assert_eq!(answer["model"], json!(format!("near:{MODEL}")));
    assert_eq!(answer["tokens"]["window"], json!(4096));
    let sum = home.run(&["ask", "--json", "What is 17.5% of 2310.40? Use the calculator."]).json();
    assert_eq!(sum["tool_calls"][0]["tool"], json!("calc"), "{sum:#}");

    // A session goes on with the engine that it was held with.
    std::fs::write(home.home("config/settings.toml"), settings.replace("\"near\"\n[", "\"auto\"\n["))
        .unwrap();
    let again = home.run(&["ask", "--json", "--continue", "And of Italy?"]).json();
    assert_eq!(again["model"], json!(format!("near:{MODEL}")));

    // Pages of one's own files stay here until it is allowed.
    home.write("notes/rent.md", "# Flat\n\nThe rent is 731 euros a month.\n");
    let question = "How much is the rent of the flat?";
    let ask = ["ask", "--json", "--mount", "notes", question];
    let near = home.run(&[&ask[..], &["--engine", "near"]].concat()).json();
    assert!(near["answer"].as_str().unwrap().contains("731"), "{near:#}");
    let far = [&ask[..], &["--engine", "far"]].concat();
    home.run(&["ask", "--mount", "notes", "--engine", "far", question]).bad(4, &["send_pages", "not sent"]);
    assert!(home.run(&["ask", "--engine", "far", "--no-tools", "Say yes."]).good().len() > 1);
    let rule = format!("{settings}\n[[rules]]\ntool = \"send_pages\"\nverdict = \"allow\"\n");
    std::fs::write(home.home("config/settings.toml"), rule).unwrap();
    assert!(home.run(&far).json()["answer"].as_str().unwrap().contains("731"));
}

#[test]
fn a_server_that_dies_in_mid_answer_loses_nothing() {
    let _alone = alone();
    let port = free_port();
    let start = || Server::start(QWEN_05B, port, &["--ctx-size", "2048"]);
    let server = start();
    let settings = format!(
        "engine = \"near\"\n[engines.near]\nurl = \"http://127.0.0.1:{port}\"\nmodel = \"{MODEL}\"\nretries = 1\n"
    );
    let home = home_with(&settings);
    let asking = home
        .command(&["ask", "--no-tools", "Write a long story about a harbour with many ships."])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while server.is_idle() {
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_secs(2));
    server.kill();
    Ran::of(asking.wait_with_output().unwrap()).bad(1, &["again"]);
    // Without the server it is told where it is set up.
    home.run(&["ask", "Hi"]).bad(3, &["settings.toml, line 2", "127.0.0.1"]);
    drop(server);
    let _server = start();
    let again = home.run(&["ask", "--json", "--continue", "What did I ask you to write about?"]).json();
    assert!(again["answer"].as_str().unwrap().to_lowercase().contains("harbour"), "{again:#}");
}

#[test]
fn what_is_set_up_wrongly_is_told_with_its_line() {
    let far = "[engines.far]\nurl = \"https://example.org\"\nmodel = \"m\"\n";
    for (settings, arguments, code, words) in [
        ("engine = \"warp\"\n".to_owned(), &["ask", "hi"][..], 3, &["line 1", "warp", "llama.cpp"][..]),
        (far.replace("https://example.org", "example"), &["ask", "hi"], 3, &["line 2", "example"]),
        (
            format!("{far}key_env = \"LUCID_NO_KEY\"\n"),
            &["ask", "--engine", "far", "hi"],
            3,
            &["line 4", "LUCID_NO_KEY"],
        ),
        (
            format!("{far}key_file = \"far.key\"\n"),
            &["ask", "--engine", "far", "hi"],
            3,
            &["line 4", "far.key"],
        ),
        (far.to_owned(), &["ask", "--engine", "fra", "hi"], 2, &["fra", "far", "mistralrs"]),
        (far.to_owned(), &["ask", "--engine", "far", "--model", "x", "hi"], 2, &["--model"]),
        ("model = \"none-such\"\n".to_owned(), &["ask", "hi"], 3, &["none-such", "line 1"]),
    ] {
        home_with(&settings).run(arguments).bad(code, words);
    }
    // A key that others can read is not used.
    let home = home_with(&format!("{far}key_file = \"far.key\"\n"));
    std::fs::write(home.home("config/far.key"), "sk-very-secret").unwrap();
    let said = home.run(&["ask", "--engine", "far", "hi"]).bad(3, &["line 4", "chmod 600"]);
    assert!(!said.contains("sk-very-secret"), "{said}");
    // `doctor` finds it too.
    let found = Ran::of(home.command(&["doctor"]).output().unwrap());
    assert_eq!(found.code, Some(3));
    assert!(found.stdout.contains("chmod 600"), "{found:?}");
}
