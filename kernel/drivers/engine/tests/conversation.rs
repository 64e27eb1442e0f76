//! Long use of the embedded engine: reused sequences must not change answers, and memory
//! must stay bounded over many turns.
#![allow(clippy::unwrap_used)]

mod common;

use common::load;
use lucid_contract::{SMOLLM2, of_tokens, run};
use lucid_kernel::port::Engine;
use lucid_model::load::LoadOptions;

/// Resident memory of this process, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// All in one test, so that nothing else uses memory meanwhile.
#[test]
fn turns_reuse_what_was_said_and_memory_is_bounded() {
    dropping_an_engine_ends_its_threads();
    reuse_does_not_change_answers();
    two_hundred_turns_stay_within_the_limit();
}

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn dropping_an_engine_ends_its_threads() {
    // The first one also starts the compute threads, which stay.
    drop(load(SMOLLM2, &LoadOptions::default()));
    let before = threads();
    let engine = load(SMOLLM2, &LoadOptions::default());
    run(&engine, &of_tokens(engine.tokenize("Hello", false).unwrap(), 2));
    assert!(before == 0 || threads() > before);
    drop(engine);
    std::thread::sleep(std::time::Duration::from_millis(200));
    // mistralrs' own log timer, which sleeps and cannot be ended, is the one that may stay.
    assert!(threads() <= before + 1, "{} threads, {before} before", threads());
}

fn reuse_does_not_change_answers() {
    let warm = load(SMOLLM2, &LoadOptions { measure: false, ..LoadOptions::default() });
    // No room for a second sequence: each turn begins with an empty cache.
    let cold = load(SMOLLM2, &LoadOptions { measure: false, cache_bytes: Some(0), ..LoadOptions::default() });
    let mut history =
        warm.tokenize("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n", true).unwrap();
    for (turn, question) in
        ["What is the capital of Italy?", "And of Spain?", "Which is larger?"].iter().enumerate()
    {
        let text = format!("<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n");
        history.extend(warm.tokenize(&text, true).unwrap());
        // The second answer is cut at its limit, the others end by themselves or at 24.
        let limit = if turn == 1 { 6 } else { 24 };
        let (reusing, _) = run(&warm, &of_tokens(history.clone(), limit));
        let (anew, _) = run(&cold, &of_tokens(history.clone(), limit));
        assert_eq!(reusing.tokens, anew.tokens, "turn {turn}: {} / {}", reusing.text, anew.text);
        assert_eq!(anew.usage.reused, 0);
        if turn > 0 {
            let new = warm.tokenize(&format!("<|im_end|>\n{text}"), true).unwrap();
            assert_eq!(reusing.usage.prefilled as usize, new.len(), "{:?}", reusing.usage);
        }
        history.extend(reusing.tokens.iter().copied());
        history.extend(warm.tokenize("<|im_end|>\n", true).unwrap());
    }
}

fn two_hundred_turns_stay_within_the_limit() {
    let limit = 80 << 20;
    let options = LoadOptions { cache_bytes: Some(limit), measure: false, ..LoadOptions::default() };
    let engine = load(SMOLLM2, &options);
    let mut early = 0;
    for turn in 0..200 {
        let text = format!("<|im_start|>user\nSay {turn}.<|im_end|>\n<|im_start|>assistant\n");
        let tokens = engine.tokenize(&text, true).unwrap();
        let (done, _) = run(&engine, &of_tokens(tokens.clone(), 2));
        assert_eq!((done.usage.prefilled + done.usage.reused) as usize, tokens.len());
        let status = engine.cache_status();
        assert!(status.bytes <= limit, "turn {turn}: {status:?}");
        if turn == 20 {
            early = resident_mib();
        }
    }
    let (late, status) = (resident_mib(), engine.cache_status());
    assert!(status.rebuilds > 10, "{status:?}");
    assert!(late < early + 100, "resident memory grew from {early} to {late} MiB; {status:?}");
}
