//! The kernel's step, with many pages in the table.

use std::time::Instant;

use lucid_kernel::abi::{
    Decoded, Effect, EffectId, Encoded, EngineInfo, Event, FileRange, Label, Outcome, PageId, Pid,
    Provenance, SourcePage, StopReason, TokenCount, Trust, TurnOptions, Usage,
};
use lucid_kernel::chat::chatml;
use lucid_kernel::{Config, Kernel};
use serde_json::{Value, json};

use super::{WORDS, page_text, percentiles};

/// How many turns are measured.
const TURNS: usize = 300;

/// `step` with so many pages in the table: every step of ordinary turns with pages, calls
/// left out because they do less.
pub fn run(pages: usize, window: TokenCount) -> Value {
    let rig = Rig::new(pages, window);
    let mut micros: Vec<(&'static str, f64)> = Vec::new();
    for turn in 0..TURNS {
        // Each on a copy, so that the table has as many pages in the last turn as in the first.
        rig.clone().turn(turn, &mut micros);
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
        "window": window,
        "pages_resident": resident,
        "steps": micros.len(),
        "step_us": percentiles(micros.iter().map(|(_, us)| *us)),
        "by_event_us": by_event,
    })
}

/// A kernel whose table has as many pages as are asked for.
#[derive(Clone)]
struct Rig {
    kernel: Kernel,
    pid: Pid,
}

fn encoded(text: &str) -> Encoded {
    // About four characters a token, as for English.
    Encoded::new(text, (0..text.len().div_ceil(4) as u32).collect::<Vec<_>>())
}

impl Rig {
    fn new(pages: usize, n_ctx: TokenCount) -> Self {
        let info = EngineInfo {
            engine: "none".into(),
            model: "none".into(),
            n_ctx,
            architecture: "none".into(),
            prefill_tokens_per_s: Some(300.0),
            host: None,
            closes_gaps: false,
            slots: 1,
        };
        let chat = chatml().encode(|text| Ok::<_, std::convert::Infallible>(encoded(text)));
        let Ok(chat) = chat;
        let config = Config { has_disk: true, ..Config::new(info, chat) };
        let mut kernel = Kernel::default();
        kernel.step(Event::Boot { config: Box::new(config) });
        let effects =
            kernel.step(Event::Spawn { system: encoded("You help."), tools: Vec::new(), core: Vec::new() });
        let pid =
            effects.iter().find_map(|e| if let Effect::Spawned { pid, .. } = e { Some(*pid) } else { None });
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
        let range = FileRange {
            path: format!("/bench/{}.md", turn % 97).into(),
            lines: (line, line + 9),
            bytes: (0, 900),
        };
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
