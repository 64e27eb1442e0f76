//! What people do in the shell, from end to end: the real program in a real terminal with a real model.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::tmux::Tmux;
use common::{SMALL, SMALLEST, model};
use lucid_contract::alone;

/// Starts with the smallest model, and without the offer to mount.
fn started(name: &str) -> Tmux {
    let tmux = Tmux::new(name);
    tmux.lucid(&format!("--model {}", model(SMALLEST)));
    tmux.wait_for("y / n");
    tmux.key("n");
    tmux.wait_for("ready · ");
    tmux
}

fn leave(tmux: &Tmux) {
    tmux.key("C-c");
    tmux.key("C-d");
    tmux.wait_for_end(0);
}

fn pid(tmux: &Tmux) -> String {
    std::fs::read_to_string(tmux.path("pid")).unwrap().trim().to_owned()
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

#[test]
fn the_first_start_leads_through_three_steps() {
    let _alone = alone();
    let tmux = Tmux::new("first");
    // The models that the tests have are the user's too.
    let cache = tmux.path("home/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let models = std::path::PathBuf::from(model(SMALLEST));
    std::os::unix::fs::symlink(models.parent().unwrap(), cache.join("models")).unwrap();
    tmux.lucid("");
    let screen = tmux.wait_for("Step 1 of 3");
    let number = screen
        .lines()
        .find(|line| line.contains("smollm2-135m"))
        .and_then(|line| line.trim_start_matches(['>', ' ']).chars().next())
        .unwrap();
    tmux.text(&number.to_string());
    tmux.wait_for("Step 2 of 3");
    tmux.key("y");
    tmux.wait_for("Step 3 of 3");
    tmux.line("Say hello.");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    let settings = std::fs::read_to_string(tmux.path("home/config/settings.toml")).unwrap();
    assert!(settings.contains("smollm2-135m"), "{settings}");
    tmux.line("/mounts");
    tmux.wait_for("/work: 1 file");
    leave(&tmux);
    // The second start asks nothing any more.
    tmux.lucid("");
    let screen = tmux.wait_for("ready · ");
    assert!(!screen.contains("Step 1") && !screen.contains("y / n"), "{screen}");
    leave(&tmux);
}

#[test]
fn calls_are_asked_for_approved_and_denied() {
    let _alone = alone();
    let tmux = Tmux::new("ask");
    let config = tmux.path("home/config");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("settings.toml"), "[[rules]]\ntool = \"calc\"\nverdict = \"ask\"\n").unwrap();
    tmux.lucid(&format!("--model {}", model(SMALL)));
    tmux.wait_for("y / n");
    tmux.key("n");
    tmux.wait_for("ready · ");
    tmux.line("What is 17.5% of 2310.40? Use the calculator.");
    let screen = tmux.wait_for("may calc run?");
    assert!(screen.contains("17.5") && screen.contains("refuse"), "{screen}");
    // A key that comes at once is no answer.
    thread::sleep(Duration::from_millis(900));
    tmux.key("y");
    tmux.wait_for("you allowed calc");
    tmux.wait("an answer", |screen| screen.contains("404.32") && screen.contains("ready · "));
    tmux.line("Use the calculator: what is 12.5 times 88?");
    tmux.wait_for("may calc run?");
    thread::sleep(Duration::from_millis(900));
    tmux.key("n");
    tmux.wait_for("you refused calc");
    tmux.wait("the end of the turn", |screen| screen.contains("ready · "));
    // The first card is opened and shows what ran.
    tmux.key("C-o");
    tmux.wait_for("▾ calc");
    leave(&tmux);
}

#[test]
fn work_goes_on_in_the_background_and_conversations_do_not_mix() {
    let _alone = alone();
    let tmux = started("jobs");
    tmux.line("Tell a very long story about the sea.");
    tmux.wait_for("thinking ");
    tmux.key("C-t");
    tmux.wait_for("this is t2 now");
    tmux.line("Say hello.");
    tmux.line("/ps");
    let screen = tmux.wait_for("┌ conversations ");
    assert!(screen.contains(" t1 ") && screen.contains(">t2 "), "{screen}");
    tmux.line("/ps");
    tmux.wait_for("t1 is done: Tell a very long story");
    tmux.wait("the other answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    tmux.line("/fg t1");
    let screen = tmux.wait_for("this is t1 again");
    assert!(!screen.contains("Say hello."), "{screen}");
    tmux.line("/bg Say hello.");
    tmux.wait_for("t3 works on it in the background");
    tmux.wait_for("t3 is done: Say hello.");
    tmux.line("/kill t3");
    tmux.wait_for("t3 has ended");
    leave(&tmux);
}

#[test]
fn a_large_paste_comes_as_a_page_while_the_window_changes() {
    let _alone = alone();
    let tmux = started("paste");
    let text = "The wind is cold. The harbour lies in the north.\n".repeat(21_400);
    assert!(text.len() > 1_000_000);
    let file = tmux.path("paste");
    std::fs::write(&file, &text).unwrap();
    tmux.tmux(&["load-buffer", "-b", "large", &file.display().to_string()]);
    tmux.tmux(&["paste-buffer", "-p", "-b", "large", "-t", "s"]);
    tmux.wait_for("with: pasted text 1");
    tmux.line("Where does the harbour lie?");
    tmux.wait_for("with pasted text 1");
    tmux.wait_for("thinking ");
    for (width, height) in [("40", "10"), ("130", "40"), ("60", "12"), ("90", "24")] {
        tmux.tmux(&["resize-window", "-t", "s", "-x", width, "-y", height]);
        thread::sleep(Duration::from_millis(250));
    }
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    leave(&tmux);
}

#[test]
fn output_of_a_command_and_a_named_file_come_with_the_question() {
    let _alone = alone();
    let tmux = started("command");
    tmux.line("!cat port.md");
    tmux.wait_for("Run cat port.md in");
    tmux.key("y");
    tmux.wait_for("with: output of cat port.md");
    tmux.text("see @por");
    tmux.wait_for("name with @");
    tmux.wait_for("port.md ");
    tmux.key("Tab");
    tmux.wait_for("> see @port.md");
    tmux.key("Enter");
    tmux.wait_for("with output of cat port.md, port.md");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    tmux.key("C-p");
    tmux.text("export");
    tmux.wait_for("/export md|json|html");
    tmux.key("Enter");
    tmux.text("md talk.md");
    tmux.key("Enter");
    tmux.wait_for("written: ");
    let talk = std::fs::read_to_string(tmux.path("work/talk.md")).unwrap();
    assert!(talk.contains("## see @port.md"), "{talk}");
    // Earlier inputs are found by a few letters.
    tmux.key("C-r");
    tmux.text("see");
    tmux.wait_for("earlier inputs");
    tmux.key("Enter");
    tmux.wait_for("> see @port.md");
    leave(&tmux);
}

#[test]
fn what_was_killed_goes_on() {
    let _alone = alone();
    let tmux = started("killed");
    tmux.line("My zebra is called Anton.");
    tmux.wait("an answer", |screen| screen.contains("decoded ") && screen.contains("ready · "));
    tmux.line("Tell a very long story about the sea.");
    tmux.wait_for("thinking ");
    signal("-KILL", &pid(&tmux));
    tmux.wait_for("code=137");
    // The terminal is as the killed program left it: where Enter is no end of a line.
    tmux.text("tput rmcup; stty sane; clear");
    tmux.key("C-j");
    tmux.wait("a clean terminal", |screen| screen.trim() == "$");
    tmux.line("stty -a > ../before; clear");
    tmux.lucid(&format!("--model {}", model(SMALLEST)));
    tmux.wait_for("was cut off after");
    tmux.key("y");
    let screen = tmux.wait("what was said", |screen| screen.contains("ready · ") && screen.contains("zebra"));
    assert!(screen.contains("> My zebra is called Anton."), "{screen}");
    tmux.line("/rewind");
    tmux.wait_for("2: Tell a very long story");
    tmux.line("/rewind 2");
    let screen = tmux.wait("the first turn alone", |screen| {
        screen.contains("ready · ") && screen.contains("zebra") && !screen.contains("long story")
    });
    assert!(screen.contains("> My zebra"), "{screen}");
    leave(&tmux);
    // It ended as it should: nothing is offered.
    tmux.lucid(&format!("--model {}", model(SMALLEST)));
    let screen = tmux.wait_for("ready · ");
    assert!(!screen.contains("was cut off"), "{screen}");
    leave(&tmux);
}

#[test]
fn ten_thousand_lines_are_scrolled_through() {
    let _alone = alone();
    let tmux = started("long");
    tmux.line("!seq 1 10000");
    tmux.wait_for("Run seq 1 10000 in");
    tmux.key("y");
    tmux.wait_for("▸ $ seq 1 10000");
    tmux.key("C-o");
    tmux.wait_for("\n  10000\n");
    tmux.key("PageUp");
    tmux.wait_for("more below");
    tmux.key("Home");
    tmux.wait_for("▾ $ seq 1 10000");
    let screen = tmux.screen();
    assert!(screen.starts_with("Lucid "), "{screen}");
    tmux.key("End");
    tmux.wait_for("\n  10000\n");
    leave(&tmux);
}

#[test]
fn the_terminal_is_clean_after_a_panic_and_after_sigterm() {
    let _alone = alone();
    let tmux = Tmux::new("panic");
    tmux.lucid(&format!("--model {} --fail-for-a-test", model(SMALLEST)));
    tmux.wait_for("panicked");
    tmux.wait_for_end(101);
    let tmux = started("term");
    tmux.line("Tell a very long story about the sea.");
    tmux.wait_for("thinking ");
    signal("-TERM", &pid(&tmux));
    tmux.wait_for_end(143);
}

/// What a screen reader gets: lines, once and in order, and answers by lines.
#[test]
fn without_a_screen_there_are_lines() {
    let _alone = alone();
    let home = common::Home::new();
    home.write("port.md", "# Port\n\nThe server listens on port 7411.\n");
    let mut lucid = home.command(&["--plain", "--model", &model(SMALLEST)]);
    lucid.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lucid.spawn().unwrap();
    let input = "y\n/mounts\nSay hello.\n/mem\n/help /pin\n/nonsense\n";
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for wanted in ["is ready after", "keep a page in memory", "there is no command /nonsense"] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}
