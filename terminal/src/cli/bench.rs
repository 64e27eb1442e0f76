//! `lucid bench`: speed, as JSON, side by side with the bare library where there is one.

use std::time::Instant;

use lucid_engine::LoadOptions;
use lucid_kernel::abi::{
    Decoded, Effect, EffectId, Encoded, EngineInfo, Event, FileRange, Label, Outcome, PageId, Pid,
    Provenance, Sampling, Segment, SourcePage, StopReason, TokenCount, Trust, TurnOptions, Usage,
};
use lucid_kernel::chat::chatml;
use lucid_kernel::port::{DecodeRequest, Engine};
use lucid_kernel::{Config, Kernel};
use serde_json::{Value, json};

use super::{BenchCmd, out, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::settings::Settings;

/// Runs `lucid bench …`.
///
/// # Errors
/// When what is measured cannot be set up.
pub fn run(home: &Home, command: &BenchCmd) -> Result<u8, Failure> {
    let value = match command {
        BenchCmd::Disk { corpus, files } => {
            let dir = tempfile::tempdir()
                .map_err(|error| Failure::task(format!("no folder to work in: {error}")))?;
            lucid_disk::bench::run(*files, dir.path(), corpus).map_err(super::mount::failure)?
        }
        BenchCmd::Kernel { pages } => kernel(*pages),
        BenchCmd::Tools => lucid_tools::bench::run().map_err(|error| Failure::task(error.to_string()))?,
        BenchCmd::Engine { model } => engine(home, model.as_deref())?,
    };
    out::json(&value);
    Ok(exit::OK)
}

/// How many turns are measured.
const TURNS: usize = 300;

/// `step` with so many pages in the table: every step of ordinary turns with pages, calls
/// left out because they do less.
fn kernel(pages: usize) -> Value {
    let mut rig = Rig::new(pages);
    let mut micros: Vec<(&'static str, f64)> = Vec::new();
    for turn in 0..TURNS {
        rig.turn(turn, &mut micros);
    }
    let mut by_event = serde_json::Map::new();
    for name in ["input", "paged_in", "decoded"] {
        by_event
            .insert(name.into(), percentiles(micros.iter().filter(|(n, _)| *n == name).map(|(_, us)| *us)));
    }
    let table = rig.kernel.processes().values().next().map_or(0, |process| process.table().len());
    let resident = rig.kernel.processes().values().next().map_or(0, |process| process.window().slots().len());
    json!({
        "bench": "kernel step",
        "pages_in_table": table,
        "pages_resident": resident,
        "steps": micros.len(),
        "step_us": percentiles(micros.iter().map(|(_, us)| *us)),
        "by_event_us": by_event,
    })
}

fn percentiles(values: impl Iterator<Item = f64>) -> Value {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get(((values.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(0.0);
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) })
}

/// A kernel whose window holds as many pages as are asked for.
struct Rig {
    kernel: Kernel,
    pid: Pid,
}

fn encoded(text: &str) -> Encoded {
    // About four characters a token, as for English.
    Encoded::new(text, (0..text.len().div_ceil(4) as u32).collect::<Vec<_>>())
}

const WORDS: &[&str] = &[
    "window", "page", "engine", "token", "index", "folder", "server", "listens", "port", "journal", "replay",
    "grammar", "schema", "plugin", "sandbox", "cancel", "budget", "evicted", "resident", "process",
];

fn page_text(seed: usize) -> String {
    let word = |at: usize| format!("{}{}", WORDS[(seed * 7 + at * 3) % WORDS.len()], (seed + at) % 50);
    (0..120).map(word).collect::<Vec<_>>().join(" ")
}

impl Rig {
    fn new(pages: usize) -> Self {
        let n_ctx = TokenCount::try_from(pages * 260 + 8192).unwrap_or(TokenCount::MAX);
        let info = EngineInfo {
            engine: "none".into(),
            model: "none".into(),
            n_ctx,
            architecture: "none".into(),
            prefill_tokens_per_s: Some(300.0),
        };
        let chat = chatml().encode(|text| Ok::<_, std::convert::Infallible>(encoded(text)));
        let Ok(chat) = chat;
        let config = Config { has_disk: true, ..Config::new(info, chat) };
        let mut kernel = Kernel::default();
        kernel.step(Event::Boot { config: Box::new(config) });
        let effects = kernel.step(Event::Spawn { system: encoded("You help."), tools: Vec::new() });
        let pid =
            effects.iter().find_map(|e| if let Effect::Spawned { pid } = e { Some(*pid) } else { None });
        let mut rig = Self { kernel, pid: pid.unwrap_or_default() };
        let mut turn = 0;
        while rig.kernel.processes().values().next().is_some_and(|process| process.table().len() < pages) {
            turn += 1;
            rig.turn(turn + TURNS, &mut Vec::new());
        }
        rig
    }

    fn turn(&mut self, turn: usize, micros: &mut Vec<(&'static str, f64)>) {
        let question =
            format!("Which {} does the {} number {turn} use?", WORDS[turn % 20], WORDS[turn / 20 % 20]);
        let event = Event::Input {
            pid: self.pid,
            content: encoded(&question),
            attached: Vec::new(),
            options: TurnOptions::default(),
        };
        let mut effects = self.timed("input", event, micros);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::PageIn { id, first, .. } => {
                    let pages = (0..8).map(|at| self.page(turn, first, at, &question)).collect();
                    effects =
                        self.timed("paged_in", Event::PagedIn { id, outcome: Outcome::Done(pages) }, micros);
                }
                Effect::Decode { id, .. } => effects = self.timed("decoded", answer(id, turn), micros),
                _ => {}
            }
        }
    }

    fn page(&self, turn: usize, first: PageId, at: usize, question: &str) -> SourcePage {
        let line = (turn * 8 + at) as u32 + 1;
        let range =
            FileRange { path: format!("/bench/{}.md", turn % 97), lines: (line, line + 9), bytes: (0, 900) };
        let text = format!("{question} {}", page_text(turn * 8 + at));
        SourcePage {
            id: PageId(first.0 + at as u64),
            content: encoded(&text),
            provenance: Provenance::File(range),
            label: Label::public(Trust::File),
            text: text.into(),
            score: 1.0,
        }
    }

    fn timed(
        &mut self,
        name: &'static str,
        event: Event,
        micros: &mut Vec<(&'static str, f64)>,
    ) -> Vec<Effect> {
        let began = Instant::now();
        let effects = self.kernel.step(event);
        micros.push((name, began.elapsed().as_secs_f64() * 1e6));
        effects
    }
}

fn answer(id: EffectId, turn: usize) -> Event {
    let content = encoded(&format!("The answer is {}.", page_text(turn * 8)));
    Event::Decoded {
        id,
        outcome: Outcome::Done(Decoded {
            tokens: content.tokens,
            text: content.text,
            stop: StopReason::Stop,
            usage: Usage { prefilled: 300, reused: 1000, decoded: 90, first_token_ms: 1000, total_ms: 4000 },
        }),
    }
}

/// Prefill, decode, and what the engine reuses of a prompt that grows.
fn engine(home: &Home, model: Option<&str>) -> Result<Value, Failure> {
    let settings = Settings::load(home)?;
    let name = model.unwrap_or(&settings.model);
    let mut progress = session::LoadProgress::new();
    let cancel = session::on_ctrl_c();
    let began = Instant::now();
    let options = LoadOptions { measure: false, ..LoadOptions::default() };
    let engine = super::model::load_engine(home, name, &options, &mut |w, p| progress.show(&w, p), &cancel)?;
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
