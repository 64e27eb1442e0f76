//! The engines alone, and a session with one.

#[cfg(feature = "llama-cpp")]
mod shortcuts;

use std::time::Instant;

use lucid_kernel::abi::{Decoded, Event, Outcome, Sampling, Segment, Token, TurnEnd, TurnOptions, Usage};
use lucid_kernel::port::{CancelFlag, DecodeRequest};
use serde_json::{Value, json};

use super::page_text;
use crate::cli::{ModelArgs, model, session};
use crate::engines::EngineChoice;
use crate::exit::Failure;
use crate::home::Home;
use crate::settings::Settings;

/// Prompt sizes, in tokens.
const PROMPT_TOKENS: [usize; 3] = [128, 512, 2048];
/// Tokens that are decoded after each prompt.
const DECODE_TOKENS: u32 = 48;
/// Tokens by which a prompt grows before it is given again.
const GROWN_TOKENS: usize = 32;
/// How many answers are decoded at once.
const SEQUENCES: [usize; 4] = [1, 2, 4, 8];
/// The prompt of each of them, in tokens.
const SEQUENCE_PROMPT_TOKENS: usize = 64;

/// Prefill, decode, first token cold and warm, of every engine that is compiled in and can run
/// the model, one after another in one run.
///
/// # Errors
/// When the model cannot be loaded or a decode fails.
pub fn run(home: &Home, wanted: &ModelArgs) -> Result<Value, Failure> {
    let settings = Settings::load(home)?;
    let cancel = session::on_ctrl_c();
    let compiled = || EngineChoice::compiled().into_iter().map(|engine| engine.name().to_owned()).collect();
    let engines: Vec<String> = wanted.engine.clone().map_or_else(compiled, |engine| vec![engine]);
    let mut measured = Vec::new();
    for engine in engines {
        let wanted = ModelArgs { engine: Some(engine), ..wanted.clone() };
        // Each is measured alone.
        measured.push(measure(home, &settings, &wanted, &cancel)?);
    }
    #[cfg(feature = "llama-cpp")]
    if !cancel.is_cancelled() && wanted.engine.as_ref().is_none_or(|engine| engine == "llama.cpp") {
        let shortcuts = shortcuts::measure(home, &settings, wanted, &cancel)?;
        return Ok(json!({ "bench": "engine", "engines": measured, "shortcuts": shortcuts }));
    }
    Ok(json!({ "bench": "engine", "engines": measured }))
}

fn measure(
    home: &Home,
    settings: &Settings,
    wanted: &ModelArgs,
    cancel: &CancelFlag,
) -> Result<Value, Failure> {
    let mut progress = session::LoadProgress::new();
    let began = Instant::now();
    let pool = model::pool(settings);
    let mut show = |what: String, part| progress.show(&what, part);
    let engine = model::load_engine(home, settings, wanted, &pool, &mut show, cancel)?;
    let load_ms = began.elapsed().as_millis() as u64;
    let info = engine.info();
    let failed = |error: lucid_kernel::port::EngineError| Failure::task(error.to_string());
    let decode_with = |tokens: &[Token], sampling| {
        let layout = vec![Segment { page: None, tokens: tokens.into() }];
        let request = DecodeRequest { layout, grammar: None, sampling, max_tokens: DECODE_TOKENS };
        engine.decode(&request, cancel, &mut |_| {}).map_err(failed)
    };
    let decode = |tokens: &[Token]| decode_with(tokens, Sampling::default());
    // Answers that differ from each other and do not repeat themselves.
    let freely =
        |tokens: &[Token], seed| decode_with(tokens, Sampling { temperature: 1.5, top_p: 1.0, seed });
    let mut runs = Vec::new();
    for (number, size) in PROMPT_TOKENS.into_iter().enumerate() {
        if size + GROWN_TOKENS + DECODE_TOKENS as usize > info.n_ctx as usize || cancel.is_cancelled() {
            continue;
        }
        progress.show(&format!("{}: a prompt of {size} tokens", info.engine), None);
        // Each begins with words of its own, so that nothing is reused.
        let text: String = (0..40).map(|part| page_text(1 + number * 1000 + part) + " ").collect();
        let tokens = engine.tokenize(&text, false).map_err(failed)?;
        // What other prompts left in the cache would be looked past in every step.
        engine.forget();
        let cold = decode(&tokens[..size])?;
        let warm = decode(&tokens[..size + GROWN_TOKENS])?;
        runs.push(json!({ "prompt_tokens": size, "cold": figures(&cold), "grown_by_32": figures(&warm) }));
    }
    let mut together = Vec::new();
    for (number, sequences) in SEQUENCES.into_iter().enumerate() {
        let tokens = sequences * (SEQUENCE_PROMPT_TOKENS + DECODE_TOKENS as usize);
        if tokens > info.n_ctx as usize || cancel.is_cancelled() {
            continue;
        }
        progress.show(&format!("{}: {sequences} answers at once", info.engine), None);
        let prompts = (0..sequences).map(|sequence| {
            let text = page_text(9000 + 100 * number + sequence);
            Ok(engine.tokenize(&text.repeat(3), false).map_err(failed)?[..SEQUENCE_PROMPT_TOKENS].to_vec())
        });
        let prompts: Vec<Vec<Token>> = prompts.collect::<Result<_, Failure>>()?;
        engine.forget();
        // First one after another, which also computes the prompts.
        let mut in_a_row_ms = 0;
        for (prompt, seed) in prompts.iter().zip(0..) {
            let usage = freely(prompt, seed)?.usage;
            in_a_row_ms += usage.total_ms - usage.first_token_ms;
        }
        let began = Instant::now();
        let done: Vec<Decoded> = std::thread::scope(|scope| {
            let freely = &freely;
            let threads: Vec<_> = prompts
                .iter()
                .zip(0..)
                .map(|(prompt, seed)| scope.spawn(move || freely(prompt, seed)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| gone())?)
                .collect::<Result<_, Failure>>()
        })?;
        let decoded: u32 = done.iter().map(|done| done.usage.decoded).sum();
        let together_ms = began.elapsed().as_millis() as u64;
        together.push(json!({
            "sequences": sequences,
            "decoded": decoded,
            "in_a_row_ms": in_a_row_ms,
            "together_ms": together_ms,
            "together_to_in_a_row": together_ms as f64 / in_a_row_ms.max(1) as f64,
            "tokens_per_s": f64::from(decoded) * 1000.0 / together_ms.max(1) as f64,
        }));
    }
    progress.done();
    Ok(json!({
        "engine": info.engine,
        "model": info.model,
        "window": info.n_ctx,
        "load_ms": load_ms,
        "resident_mib": resident_mib(),
        "runs": runs,
        "together": together,
    }))
}

fn gone() -> Failure {
    Failure::task("a decode stopped by a mistake in the program; please report it")
}

fn figures(decoded: &Decoded) -> Value {
    let usage = decoded.usage;
    let decode_ms = usage.total_ms.saturating_sub(usage.first_token_ms).max(1) as f64;
    json!({
        "prefilled": usage.prefilled,
        "reused": usage.reused,
        "decoded": usage.decoded,
        "first_token_ms": usage.first_token_ms,
        "prefill_tokens_per_s": f64::from(usage.prefilled) * 1000.0 / usage.first_token_ms.max(1) as f64,
        "decode_tokens_per_s": f64::from(usage.decoded.saturating_sub(1)) * 1000.0 / decode_ms,
    })
}

/// Memory of this process, in MiB, where the system tells it.
fn resident_mib() -> Option<u64> {
    let pid = sysinfo::get_current_pid().ok()?;
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_processes(sysinfo::ProcessesToUpdate::Some(&[pid]), true);
    system.process(pid).map(|process| process.memory() >> 20)
}

/// Asks questions in one session, and says of every decode what of its prompt was new, and
/// what of it was computed: with a prefix cache that works, both are the same.
///
/// # Errors
/// When the model cannot be loaded or a turn fails.
pub fn turns(home: &Home, wanted: &ModelArgs, questions: &[String]) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = session::Wanted { model: wanted.clone(), tools: true, ..session::Wanted::default() };
    let machine = session::open(home, &wanted)?;
    let mut took = Vec::with_capacity(questions.len());
    let asked = session::wait_ready(&machine, &cancel).and_then(|name| {
        for question in questions {
            let began = Instant::now();
            let report = session::turn(&machine, question, TurnOptions::default(), &cancel)?;
            took.push(began.elapsed().as_millis() as u64);
            match report.end {
                TurnEnd::Answered | TurnEnd::Cut => {}
                TurnEnd::Cancelled => return Err(Failure::cancelled()),
                TurnEnd::Failed(fault) => return Err(Failure::task(fault.message)),
            }
        }
        Ok(name)
    });
    machine.stop();
    let name = asked?;
    let unreadable = |error: lucid_kernel::port::JournalError| Failure::config(error.to_string());
    let journal = session::open_journal(home)?;
    let events = journal.load(&name).map_err(unreadable)?;
    let decodes: Vec<Usage> = events
        .iter()
        .filter_map(|event| match event {
            Event::Decoded { outcome: Outcome::Done(decoded), .. } => Some(decoded.usage),
            _ => None,
        })
        .collect();
    let engine_ms: u64 = decodes.iter().map(|usage| usage.total_ms).sum();
    let turn_ms: u64 = took.iter().sum();
    Ok(json!({
        "bench": "session",
        "questions": questions.len(),
        "turn_ms": turn_ms,
        "engine_ms": engine_ms,
        // What is not the engine's: search, tools, journal, kernel.
        "besides_engine_percent": turn_ms.saturating_sub(engine_ms) as f64 * 100.0 / turn_ms.max(1) as f64,
        "turns": as_turns(&decodes),
    }))
}

/// What was new in each decode: its prompt, less the whole sequence of the one before.
fn as_turns(decodes: &[Usage]) -> Vec<Value> {
    let mut before = 0;
    let mut turns = Vec::with_capacity(decodes.len());
    for usage in decodes {
        let prompt = usage.prefilled + usage.reused;
        turns.push(json!({
            "prompt_tokens": prompt,
            "new_tokens": prompt.saturating_sub(before),
            "prefilled": usage.prefilled,
            "reused": usage.reused,
            "decoded": usage.decoded,
            "first_token_ms": usage.first_token_ms,
        }));
        before = prompt + usage.decoded;
    }
    turns
}
