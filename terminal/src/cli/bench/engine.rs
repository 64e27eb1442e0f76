//! The engine alone, and a session with it.

use std::time::Instant;

use lucid_engine::LoadOptions;
use lucid_kernel::abi::{Event, Outcome, Sampling, Segment, TurnEnd, TurnOptions, Usage};
use lucid_kernel::port::{DecodeRequest, Engine};
use serde_json::{Value, json};

use super::page_text;
use crate::cli::{model, session};
use crate::exit::Failure;
use crate::home::Home;
use crate::settings::Settings;

/// Prefill, decode, and what the engine reuses of a prompt that grows.
///
/// # Errors
/// When the model cannot be loaded or a decode fails.
pub fn run(home: &Home, wanted: Option<&str>) -> Result<Value, Failure> {
    let settings = Settings::load(home)?;
    let name = wanted.unwrap_or(&settings.model);
    let mut progress = session::LoadProgress::new();
    let cancel = session::on_ctrl_c();
    let began = Instant::now();
    let options = LoadOptions { measure: false, ..LoadOptions::default() };
    let engine = model::load_engine(home, name, &options, &mut |w, p| progress.show(&w, p), &cancel)?;
    progress.done();
    let load_ms = began.elapsed().as_millis() as u64;
    let failed = |error: lucid_kernel::port::EngineError| Failure::task(error.to_string());
    let text = page_text(1).repeat(8);
    let tokens = engine.tokenize(&text, false).map_err(failed)?;
    let mut runs = Vec::new();
    for (label, from, to) in [("cold, 128", 0, 128), ("grown by 128", 0, 256), ("grown by 256", 0, 512)] {
        let layout = vec![Segment { page: None, tokens: tokens[from..to.min(tokens.len())].into() }];
        let request = DecodeRequest { layout, grammar: None, sampling: Sampling::default(), max_tokens: 32 };
        let decoded = engine.decode(&request, &cancel, &mut |_| {}).map_err(failed)?;
        let usage = decoded.usage;
        let decode_ms = usage.total_ms.saturating_sub(usage.first_token_ms).max(1);
        runs.push(json!({
            "run": label,
            "prefilled": usage.prefilled,
            "reused": usage.reused,
            "decoded": usage.decoded,
            "first_token_ms": usage.first_token_ms,
            "prefill_tokens_per_s": f64::from(usage.prefilled) * 1000.0 / usage.first_token_ms.max(1) as f64,
            "decode_tokens_per_s": f64::from(usage.decoded.saturating_sub(1)) * 1000.0 / decode_ms as f64,
        }));
    }
    let info = engine.info();
    Ok(
        json!({ "bench": "engine", "engine": info.engine, "model": info.model, "load_ms": load_ms, "runs": runs }),
    )
}

/// Asks questions in one session, and says of every decode what of its prompt was new, and
/// what of it was computed: with a prefix cache that works, both are the same.
///
/// # Errors
/// When the model cannot be loaded or a turn fails.
pub fn turns(home: &Home, wanted: Option<&str>, questions: &[String]) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted =
        session::Wanted { model: wanted.map(str::to_owned), tools: true, ..session::Wanted::default() };
    let machine = session::open(home, &wanted)?;
    let asked = session::wait_ready(&machine, &cancel).and_then(|name| {
        for question in questions {
            let report = session::turn(&machine, question, TurnOptions::default(), &cancel)?;
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
    Ok(json!({ "bench": "session", "questions": questions.len(), "turns": as_turns(&decodes) }))
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
