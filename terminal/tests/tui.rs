//! The shell in a real terminal: `lucid` runs inside tmux, keys go in, the screen comes out.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::tmux::{POLL, Tmux};
use common::{SMALLEST, model};
use lucid_contract::alone;

#[test]
fn a_model_that_cannot_be_loaded_is_told_and_nothing_typed_is_lost() {
    let _alone = alone();
    let tmux = Tmux::new("no-model");
    tmux.lucid("--model missing.gguf");
    tmux.wait_for("y / n");
    tmux.key("n");
    tmux.text("what I ty");
    tmux.wait_for("stopped");
    tmux.text("ped");
    let screen = tmux.wait_for("> what I typed");
    assert!(screen.contains("error:") && screen.contains("missing.gguf"), "{screen}");
    tmux.key("Enter");
    tmux.wait_for("> what I typed");
    tmux.key("C-c");
    tmux.wait("an empty line", |screen| !screen.contains("> what I typed"));
    tmux.key("C-d");
    tmux.wait_for_end(3);
    // The offer was declined: it is not made again.
    tmux.lucid("--model missing.gguf");
    let screen = tmux.wait_for("stopped");
    assert!(!screen.contains("y / n"), "{screen}");
    tmux.line("/quit");
    tmux.wait_for_end(3);
}

#[test]
fn a_session_with_a_real_model() {
    let _alone = alone();
    let tmux = Tmux::new("session");
    tmux.lucid(&format!("--model {} --no-tools", model(SMALLEST)));
    // Typed before the model is there: it waits, then it goes.
    tmux.wait_for("y / n");
    tmux.key("y");
    tmux.line("Say hello.");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    let screen = tmux.screen();
    assert!(screen.contains("> Say hello."), "{screen}");
    tmux.line("/mounts");
    tmux.wait_for("/work: 1 file");
    tmux.line("/mem");
    let screen = tmux.wait_for("┌ memory ");
    assert!(screen.contains("boot") && screen.contains("turn"), "{screen}");
    tmux.key("Escape");
    tmux.wait("the overlay gone", |screen| !screen.contains("┌ memory "));
    // Cancelled while it thinks or writes: the screen is free at once.
    tmux.line("Tell a very long story about the sea.");
    tmux.wait_for("thinking ");
    tmux.key("Escape");
    tmux.wait_at_most(Duration::from_secs(2), "the cancel", |screen| {
        screen.contains("cancelled") && !screen.contains("thinking ")
    });
    for (width, height) in [("40", "10"), ("20", "5"), ("2", "1"), ("90", "24")] {
        tmux.tmux(&["resize-window", "-t", "s", "-x", width, "-y", height]);
        thread::sleep(Duration::from_millis(150));
    }
    tmux.wait("the end of the turn", |screen| screen.contains("ready · "));
    tmux.key("Up");
    tmux.wait_for("> Tell a very long story about the sea.");
    tmux.key("C-c");
    tmux.key("C-d");
    tmux.wait_for_end(0);
}

#[test]
fn plugins_that_come_change_and_go_are_taken_at_once() {
    let _alone = alone();
    let tmux = Tmux::new("plugins");
    tmux.lucid(&format!("--model {}", model(SMALLEST)));
    tmux.wait_for("y / n");
    tmux.key("n");
    tmux.wait_for("ready · ");
    let plugin = |arguments: &[&str]| {
        let mut lucid = Command::new(env!("CARGO_BIN_EXE_lucid"));
        lucid.arg("plugin").args(arguments).env("LUCID_HOME", tmux.path("home"));
        let output = lucid.current_dir(tmux.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let component = |function: &str| {
        let text = format!(
            r#"(component
                (core module $m (func (export "f") (result i32) (i32.const 7)))
                (core instance $i (instantiate $m))
                (func (export "{function}") (result u32) (canon lift (core func $i "f"))))"#
        );
        std::fs::write(tmux.path("seven.wasm"), wat::parse_str(text).unwrap()).unwrap();
    };
    component("seven");
    plugin(&["install", "seven.wasm"]);
    tmux.wait_for("seven was installed: seven");
    component("of-nine");
    plugin(&["install", "seven.wasm"]);
    tmux.wait_for("seven was updated: seven_of_nine");
    plugin(&["rm", "seven"]);
    tmux.wait_for("seven was removed");
    // It answers as before.
    tmux.line("Say hello.");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    tmux.key("C-d");
    tmux.wait_for_end(0);
}

#[test]
fn a_signal_gives_the_terminal_back_and_keeps_the_line() {
    let _alone = alone();
    let tmux = Tmux::new("signal");
    tmux.lucid("--model missing.gguf");
    tmux.wait_for("y / n");
    tmux.text("half a thought");
    tmux.wait_for("> half a thought");
    let pid = std::fs::read_to_string(tmux.path("pid")).unwrap();
    assert!(Command::new("kill").args(["-TERM", pid.trim()]).status().unwrap().success());
    tmux.wait_for_end(143);
    let history = std::fs::read_to_string(tmux.path("home/state/history")).unwrap();
    assert_eq!(history, "half a thought\n");
}

/// Whether a process is there and not only waited for.
#[cfg(target_os = "linux")]
fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
#[cfg(target_os = "linux")]
fn a_terminal_that_vanishes_ends_it() {
    let tmux = Tmux::new("vanish");
    tmux.lucid("--model missing.gguf");
    tmux.wait_for("y / n");
    tmux.text("half a thought");
    tmux.wait_for("> half a thought");
    let pid = std::fs::read_to_string(tmux.path("pid")).unwrap();
    assert!(runs(&pid));
    tmux.tmux(&["kill-server"]);
    let began = Instant::now();
    while runs(&pid) {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on without a terminal");
        thread::sleep(POLL);
    }
    let history = std::fs::read_to_string(tmux.path("home/state/history")).unwrap();
    assert_eq!(history, "half a thought\n");
}
