//! What llama.cpp keeps of earlier prompts, and what is not decoded one by one, must not change
//! answers, and memory must stay bounded over many requests.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use lucid_contract::{PERSON, QWEN_05B, SMOLLM2, alone, model_path, of_tokens, request, run, under, user};
use lucid_kernel::abi::{Decoded, Token};
use lucid_kernel::port::{CancelFlag, Engine, EngineError};
use lucid_llama::LlamaCpp;
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};

fn load(file: &str, window: u32) -> LlamaCpp {
    let spec = ModelSpec { name: file.into(), source: ModelSource::Gguf(model_path(file)) };
    let options = LoadOptions { window: Some(window), measure: false, ..LoadOptions::default() };
    LlamaCpp::load(&spec, &options, &mut |_| ()).unwrap_or_else(|e| panic!("{e}"))
}

/// Answers may part where the likeliest token leads the next by less than this, as the difference
/// of their logits: steps of other sizes sum the same numbers in another order. On AVX2 that moves
/// the logits of Qwen2.5 0.5B by up to 0.5, and those of SmolLM2, which is coarser, by up to 1.2.
fn tie(engine: &LlamaCpp) -> f32 {
    if engine.info().model == SMOLLM2 { 1.2 } else { 0.5 }
}

/// Two greedy answers to one prompt are the same, or part at a tie. Gives where they part.
fn same_but_for_ties(engine: &LlamaCpp, prompt: &[Token], one: &Decoded, other: &Decoded) -> Option<usize> {
    let at = one.tokens.iter().zip(other.tokens.iter()).position(|(a, b)| a != b)?;
    let lead = engine.lead(&[prompt, &one.tokens[..at]].concat()).unwrap();
    println!("the answers part at token {at}, where the likeliest leads by {lead}");
    assert!(lead < tie(engine), "they part at token {at}, lead {lead}: {} / {}", one.text, other.text);
    Some(at)
}

fn turn(engine: &dyn Engine, history: &mut Vec<Token>, question: &str) {
    history.extend(engine.tokenize(&user(question), true).unwrap());
}

#[test]
fn reuse_does_not_change_answers() {
    let _alone = alone();
    let warm = load(SMOLLM2, 2048);
    let mut history = warm.tokenize("<|im_start|>system\nYou help.<|im_end|>\n", true).unwrap();
    for (number, question) in
        ["What is the capital of Italy?", "And of Spain?", "Which is larger?"].into_iter().enumerate()
    {
        turn(&warm, &mut history, question);
        // The second answer is cut at its limit, the others end by themselves or at 24.
        let limit = if number == 1 { 6 } else { 24 };
        let (reusing, _) = run(&warm, &of_tokens(history.clone(), limit));
        let fresh = load(SMOLLM2, 2048);
        let (anew, _) = run(&fresh, &of_tokens(history.clone(), limit));
        same_but_for_ties(&fresh, &history, &anew, &reusing);
        assert_eq!(anew.usage.reused, 0);
        assert!(number == 0 || reusing.usage.reused as usize + 40 > history.len(), "{:?}", reusing.usage);
        history.extend(reusing.tokens.iter().copied());
        history.extend(warm.tokenize("<|im_end|>\n", true).unwrap());
    }
}

#[test]
fn branches_share_their_prefix() {
    let _alone = alone();
    let engine = load(SMOLLM2, 4096);
    let mut prefix =
        engine.tokenize(&"The harbour has nine berths and one crane. ".repeat(120), false).unwrap();
    prefix.truncate(1000);
    let branch = |question: &str| {
        let mut tokens = prefix.clone();
        turn(&engine, &mut tokens, question);
        tokens
    };
    let branches: Vec<_> = ["How many berths?", "What cranes?", "Who is there?", "Why?"].map(branch).into();
    let mut answers = Vec::new();
    for (number, tokens) in branches.iter().enumerate() {
        let (done, _) = run(&engine, &of_tokens(tokens.clone(), 100));
        let expected = if number == 0 { 0 } else { 1000 };
        assert!(done.usage.reused >= expected, "branch {number}: {:?}", done.usage);
        answers.push(done);
    }
    let status = engine.cache_status().unwrap();
    assert!(status.tokens < 1000 + 4 * 130, "{status:?}");
    // Each branch is still as it was.
    let mut again_answers = Vec::new();
    for tokens in &branches {
        let (again, _) = run(&engine, &of_tokens(tokens.clone(), 100));
        assert!(again.usage.prefilled < 30, "{:?}", again.usage);
        again_answers.push(again);
    }
    for ((tokens, one), other) in branches.iter().zip(&answers).zip(&again_answers) {
        same_but_for_ties(&engine, tokens, one, other);
    }
}

#[test]
fn branches_are_decoded_together_over_one_prefix() {
    let _alone = alone();
    let engine = load(SMOLLM2, 4096);
    let mut prefix =
        engine.tokenize(&"The harbour has nine berths and one crane. ".repeat(120), false).unwrap();
    prefix.truncate(1000);
    let prompts = ["How many berths?", "What cranes?", "Who is there?", "Why?"].map(|question| {
        let mut tokens = prefix.clone();
        turn(&engine, &mut tokens, question);
        tokens
    });
    let together: Vec<Decoded> = std::thread::scope(|scope| {
        let threads: Vec<_> = prompts
            .iter()
            .map(|tokens| scope.spawn(|| run(&engine, &of_tokens(tokens.clone(), 40)).0))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // The prefix is computed once, by whoever came first.
    let prefilled: u32 = together.iter().map(|done| done.usage.prefilled).sum();
    assert!((1000..1000 + 4 * 30).contains(&prefilled), "{prefilled} tokens");
    for (tokens, done) in prompts.iter().zip(&together) {
        let (alone, _) = run(&engine, &of_tokens(tokens.clone(), 40));
        same_but_for_ties(&engine, tokens, &alone, done);
    }
}

#[test]
fn what_stands_behind_an_evicted_page_is_not_computed_again() {
    let _alone = alone();
    let engine = load(SMOLLM2, 2048);
    let page = |word: &str| {
        let text: String =
            (0..12).map(|n| format!("The {word} number {n} is kept in shed {}. ", n * 7)).collect();
        engine.tokenize(&text, false).unwrap()
    };
    let (boot, gone, stays) = (page("boat"), page("crane"), page("rope"));
    let ask = engine.tokenize(&user("Where is the rope number 3?"), true).unwrap();
    let whole = [boot.as_slice(), &gone, &stays, &ask].concat();
    let evicted = [boot.as_slice(), &stays, &ask, &ask].concat();
    run(&engine, &of_tokens(whole.clone(), 4));
    let (done, _) = run(&engine, &of_tokens(evicted.clone(), 4));
    assert!(done.usage.prefilled as usize <= ask.len() + 8, "{:?}", done.usage);
    // Without it, all that follows the page is computed.
    engine.set_rigid(true);
    run(&engine, &of_tokens(whole, 4));
    let again = [boot.as_slice(), &stays, &ask, &ask[1..]].concat();
    let (done, _) = run(&engine, &of_tokens([&gone[..1], &again].concat(), 4));
    assert!(done.usage.prefilled as usize > stays.len(), "{:?}", done.usage);
}

#[test]
fn a_process_goes_on_after_a_restart_where_it_was() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("lucid-kept-{}", std::process::id()));
    let spec = ModelSpec { name: SMOLLM2.into(), source: ModelSource::Gguf(model_path(SMOLLM2)) };
    let options = LoadOptions {
        window: Some(2048),
        measure: false,
        snapshots: Some(folder.clone()),
        ..LoadOptions::default()
    };
    let start = || LlamaCpp::load(&spec, &options, &mut |_| ()).unwrap();
    let first = start();
    let prompt = first.tokenize(&user(&"The crane has nine ropes. ".repeat(20)), true).unwrap();
    let (said, _) = run(&first, &of_tokens(prompt.clone(), 12));
    first.keep();
    drop(first);
    let second = start();
    let mut longer = [prompt.as_slice(), &said.tokens].concat();
    turn(&second, &mut longer, "How many ropes?");
    let (done, _) = run(&second, &of_tokens(longer.clone(), 12));
    assert!(done.usage.reused as usize >= prompt.len() + said.tokens.len() - 1, "{:?}", done.usage);
    drop(second);
    // A damaged one is put away, and the answer is computed.
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        if entry.path().extension().is_some_and(|ending| ending == "state") {
            let mut bytes = std::fs::read(entry.path()).unwrap();
            bytes[100] ^= 1;
            std::fs::write(entry.path(), bytes).unwrap();
        }
    }
    let third = start();
    let (again, _) = run(&third, &of_tokens(longer.clone(), 12));
    assert_eq!(again.usage.reused, 0);
    same_but_for_ties(&third, &longer, &again, &done);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn shortcuts_do_not_change_answers() {
    let _alone = alone();
    let engine = load(QWEN_05B, 4096);
    let page = "| port | 7411 |\n| host | harbour.example.org |\n| crew | nine sailors and one cook |\n\
                | cargo | oranges, tea and forty crates of nails |\n";
    let quote = user(&format!("{page}\nRepeat the table above word for word."));
    let requests = [
        request(&engine, &quote, 90),
        request(&engine, &user("Write four sentences about the sea."), 60),
        under(request(&engine, &user("Describe Ada, who is 36, as JSON."), 60), PERSON),
    ];
    for request in requests {
        engine.set_plain(true);
        let (plain, _) = run(&engine, &request);
        engine.set_plain(false);
        let (short, _) = run(&engine, &request);
        if same_but_for_ties(&engine, &request.layout[0].tokens, &plain, &short).is_none() {
            assert_eq!((&short.text, short.stop), (&plain.text, plain.stop));
        }
    }
}

const REQUESTS: usize = 1000;

#[test]
fn a_smaller_model_drafts_only_where_that_pays_and_changes_no_answer() {
    let _alone = alone();
    let spec = |file: &str| ModelSpec { name: file.into(), source: ModelSource::Gguf(model_path(file)) };
    // The model itself has the same tokens, is always right, and so slow that it cannot pay.
    let options = LoadOptions {
        window: Some(1024),
        measure: false,
        draft: Some(spec(QWEN_05B)),
        ..LoadOptions::default()
    };
    let engine = LlamaCpp::load(&spec(QWEN_05B), &options, &mut |_| ()).unwrap();
    let gain = engine.draft_gain().unwrap();
    assert!(gain > 0.1 && gain < 1.0, "{gain}");
    let asked = request(&engine, &user("Write two sentences about the sea."), 40);
    let (with, _) = run(&engine, &asked);
    engine.set_plain(true);
    let (plain, _) = run(&engine, &asked);
    same_but_for_ties(&engine, &asked.layout[0].tokens, &plain, &with);
    // Other tokens cannot be drafted with.
    let options = LoadOptions { draft: Some(spec(SMOLLM2)), ..options };
    let error = LlamaCpp::load(&spec(QWEN_05B), &options, &mut |_| ()).map(drop).unwrap_err();
    assert!(error.to_string().contains("other tokens"), "{error}");
}

#[test]
fn a_thousand_requests_do_not_grow_memory() {
    let _alone = alone();
    let engine = load(SMOLLM2, 2048);
    let mut early = 0;
    for number in 0..REQUESTS {
        let (done, _) = run(&engine, &request(&engine, &user(&format!("Say {number}.")), 1));
        assert_eq!(done.tokens.len(), 1);
        if number == 200 {
            early = resident_mib();
        }
    }
    let late = resident_mib();
    assert!(late < early + 30, "resident memory grew from {early} to {late} MiB");
    let status = engine.cache_status().unwrap();
    assert!(status.bytes <= status.limit_bytes, "{status:?}");
}

#[test]
fn a_file_that_vanishes_or_is_cut_while_it_is_used_does_no_harm() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("lucid-llama-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let copy = folder.join("copy.gguf");
    std::fs::copy(model_path(SMOLLM2), &copy).unwrap();
    let spec = ModelSpec { name: "copy".into(), source: ModelSource::Gguf(copy.clone()) };
    let options = LoadOptions { window: Some(512), measure: false, ..LoadOptions::default() };
    let engine = LlamaCpp::load(&spec, &options, &mut |_| ()).unwrap();
    std::fs::File::options().write(true).open(&copy).unwrap().set_len(4096).unwrap();
    run(&engine, &request(&engine, &user("Hi"), 3));
    std::fs::remove_file(&copy).unwrap();
    run(&engine, &request(&engine, &user("Hello"), 3));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn bad_files_are_refused_with_a_reason() {
    let _alone = alone();
    let refused = |path: PathBuf| {
        let spec = ModelSpec { name: "the-model".into(), source: ModelSource::Gguf(path) };
        match LlamaCpp::load(&spec, &LoadOptions::default(), &mut |_| ()) {
            Err(EngineError::Load { model, reason }) if model == "the-model" => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was loaded"),
        }
    };
    assert!(refused("/nowhere/none.gguf".into()).contains("No such file"));
    assert!(refused(std::env::temp_dir()).contains("folder"));
    let hub =
        ModelSpec { name: "x".into(), source: ModelSource::Hub { repository: "a/b".into(), revision: None } };
    let error = LlamaCpp::load(&hub, &LoadOptions::default(), &mut |_| ()).map(drop).unwrap_err();
    assert!(error.to_string().contains("mistralrs"), "{error}");
}

#[test]
fn a_cancelled_request_costs_the_next_one_little() {
    let _alone = alone();
    let engine = load(SMOLLM2, 4096);
    let cancel = CancelFlag::new();
    cancel.cancel();
    let long = request(&engine, &user(&"One two three four five. ".repeat(300)), 50);
    engine.decode(&long, &cancel, &mut |_| ()).unwrap();
    let began = std::time::Instant::now();
    engine.settle();
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
