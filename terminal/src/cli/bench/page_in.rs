//! From a question to the window: query, rank, load and place, beside plain tantivy's search of the
//! same pages for the same words.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lucid_disk::bench::Built;
use lucid_journal::RamJournal;
use lucid_kernel::abi::{Decoded, Effect, Encoded, Event, Outcome, StopReason, TurnOptions, Usage};
use lucid_kernel::chat::ChatFormat;
use lucid_kernel::port::{Disk, Engine, Journal};
use lucid_kernel::{Config, Kernel, prompt};
use serde_json::{Value, json};

use super::memory::load;
use super::percentiles;
use crate::cli::{ModelArgs, mount, session};
use crate::exit::Failure;
use crate::home::Home;
use crate::machine::pages::{Places, Room, encode};
use crate::machine::swap::SwapSpace;

/// Asks about `files` files from below `corpus`, with the tokens of a real model.
///
/// # Errors
/// When the model cannot be loaded or the files cannot be indexed.
pub fn run(home: &Home, wanted: &ModelArgs, corpus: &Path, files: usize) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = ModelArgs { window: wanted.window.or(Some(2048)), ..wanted.clone() };
    let engine = load(home, &wanted, &cancel)?;
    let dir = tempfile::tempdir().map_err(|error| Failure::task(format!("no folder to work in: {error}")))?;
    let built = Built::new(files, dir.path(), corpus).map_err(mount::failure)?;
    let disk = Arc::clone(&built.disk) as Arc<dyn Disk>;
    let places = Places { disks: vec![(disk, Vec::new())], folder: String::new(), changed: Arc::default() };
    let journal: Arc<dyn Journal> = Arc::new(RamJournal::new());
    let swap = SwapSpace::begin(None, "bench", &journal, None).map_err(mount::failure)?;
    let (mut all, mut find, mut place, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut placed, mut tokens) = (0_u64, 0_u64);
    // The first round warms both up.
    for round in 0..2 {
        let (mut kernel, pid) = booted(engine.as_ref())?;
        for words in built.queries() {
            if cancel.is_cancelled() {
                return Err(Failure::cancelled());
            }
            let content = encoded(engine.as_ref(), &words.join(" "))?;
            let input = Event::Input { pid, content, attached: Vec::new(), options: TurnOptions::default() };
            let began = Instant::now();
            let effects = kernel.step(input);
            let asked = began.elapsed();
            let Some((id, request, first, room)) = effects.into_iter().find_map(|effect| match effect {
                Effect::PageIn { id, request, first, budget, room, .. } => {
                    Some((id, request, first, Room { budget, named: room }))
                }
                _ => None,
            }) else {
                continue;
            };
            let began = Instant::now();
            let outcome = places.page_in(engine.as_ref(), &swap, &request, first, room);
            let found = began.elapsed();
            if let (Outcome::Done(pages), 1) = (&outcome, round) {
                placed += pages.len() as u64;
                tokens += pages.iter().map(|page| u64::from(page.content.count())).sum::<u64>();
            }
            let began = Instant::now();
            let effects = kernel.step(Event::PagedIn { id, outcome });
            let put = began.elapsed();
            for effect in effects {
                if let Effect::Decode { id, .. } = effect {
                    kernel.step(Event::Decoded { id, outcome: Outcome::Done(nothing()) });
                }
            }
            let theirs = built.time_raw(words).map_err(mount::failure)?;
            if round == 1 {
                let micros = |time: std::time::Duration| time.as_secs_f64() * 1e6;
                all.push(micros(asked + found + put));
                find.push(micros(found));
                place.push(micros(asked + put));
                raw.push(micros(theirs));
            }
        }
    }
    let asked = all.len();
    let a_question = |sum: u64| sum as f64 / asked.max(1) as f64;
    Ok(json!({
        "bench": "page-in",
        "tokens_of": engine.info().model,
        "window": engine.info().n_ctx,
        "pages_on_disk": built.pages(),
        "questions": asked,
        "pages_a_question": a_question(placed),
        "tokens_a_question": a_question(tokens),
        "page_in_us": percentiles(all.into_iter()),
        "of_which_find_rank_load_us": percentiles(find.into_iter()),
        "of_which_place_us": percentiles(place.into_iter()),
        "raw_search_us": percentiles(raw.into_iter()),
    }))
}

fn encoded(engine: &dyn Engine, text: &str) -> Result<Encoded, Failure> {
    encode(engine, text).map_err(|error| Failure::task(error.to_string()))
}

fn booted(engine: &dyn Engine) -> Result<(Kernel, lucid_kernel::abi::Pid), Failure> {
    let chat = ChatFormat::probe(&engine.chat_template())
        .framing
        .encode(|text| engine.tokenize(text, true).map(|tokens| Encoded::new(text, tokens)))
        .map_err(|error| Failure::task(error.to_string()))?;
    let config = Config { has_disk: true, ..Config::new(engine.info(), chat) };
    let mut kernel = Kernel::default();
    kernel.step(Event::Boot { config: Box::new(config) });
    let system = encoded(engine, &prompt::system(Some(&[]), true))?;
    let effects = kernel.step(Event::Spawn { system, tools: Vec::new(), core: Vec::new() });
    let pid = effects.iter().find_map(|effect| match effect {
        Effect::Spawned { pid, .. } => Some(*pid),
        _ => None,
    });
    let pid = pid.ok_or_else(|| Failure::task("the kernel did not begin a conversation"))?;
    Ok((kernel, pid))
}

/// The model says next to nothing.
fn nothing() -> Decoded {
    let usage = Usage { prefilled: 0, reused: 0, decoded: 1, first_token_ms: 1, total_ms: 1 };
    Decoded { tokens: Arc::from([0]), text: "".into(), stop: StopReason::Stop, usage }
}
