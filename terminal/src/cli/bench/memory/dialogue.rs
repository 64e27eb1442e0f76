//! Facts of long ago: a dialogue of 200 turns, half of which state a fact, asked for at its end in
//! other words. Counted is whether the page that states it is in the window when it is asked for.

use std::sync::Arc;

use lucid_kernel::abi::TurnOptions;
use lucid_kernel::memory::evict::Eviction;
use lucid_kernel::port::Engine;
use serde_json::{Value, json};

use super::quiet::Quiet;
use super::{Bench, load};
use crate::cli::{ModelArgs, session};
use crate::exit::Failure;
use crate::home::Home;

/// Facts, each told in a turn of its own and followed by a turn about nothing.
const FACTS: usize = 100;

const NAMES: [&str; 25] = [
    "Clara", "Tomas", "Ingrid", "Yusuf", "Mei", "Oskar", "Priya", "Lars", "Amara", "Felix", "Nadia",
    "Hiroshi", "Greta", "Pablo", "Svenja", "Kofi", "Leila", "Anton", "Ruth", "Diego", "Hanna", "Ravi",
    "Elsa", "Bruno", "Zoe",
];

/// How a fact is told, and how it is asked for: `{}` is who, `[]` is what.
const KINDS: [(&str, &str, [&str; 5]); 4] = [
    (
        "By the way, my neighbour {} moved to [] last spring.",
        "In which town does {} live nowadays?",
        ["Lisbon", "Tromso", "Graz", "Leeds", "Turin"],
    ),
    (
        "You should know that {} cannot eat [] at all.",
        "What food must be avoided when {} comes for dinner?",
        ["peanuts", "shellfish", "celery", "lupins", "sesame"],
    ),
    (
        "I agreed with {} to hand over the [] on Thursday.",
        "Which item have I promised to {}?",
        ["blueprints", "ladder", "telescope", "contract", "violin"],
    ),
    (
        "The spare keys of {} hang behind the [] in the hallway.",
        "Where did I put the second set of keys belonging to {}?",
        ["mirror", "calendar", "barometer", "umbrella stand", "fuse box"],
    ),
];

const FILLERS: [&str; 8] = [
    "Explain in one sentence why the sky looks blue at noon and red in the evening.",
    "Give me a word that rhymes with orange, or say that there is none.",
    "How many legs do twelve spiders have together? Think before you answer.",
    "Write a short line about autumn leaves that fall on a quiet street.",
    "What is the difference between a list and a tuple, roughly?",
    "Name three rivers and the seas that they flow into, in any order.",
    "Translate good morning into French, German and Spanish, please.",
    "Why do cats purr, according to what is known today?",
];

struct Fact {
    told: String,
    asked: String,
}

fn facts(seed: u64) -> Vec<Fact> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut all: Vec<Fact> = NAMES
        .iter()
        .flat_map(|name| {
            KINDS.iter().map(|(told, asked, things)| {
                let thing = things[name.len() * 7 % things.len()];
                Fact { told: told.replace("{}", name).replace("[]", thing), asked: asked.replace("{}", name) }
            })
        })
        .collect();
    random.shuffle(&mut all);
    all.truncate(FACTS);
    all
}

/// Tells the facts, then asks for each, with every eviction policy.
///
/// # Errors
/// When the model cannot be loaded or a turn fails.
pub fn run(home: &Home, wanted: &ModelArgs) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = ModelArgs { window: wanted.window.or(Some(2048)), ..wanted.clone() };
    let real = load(home, &wanted, &cancel)?;
    let mut runs = Vec::new();
    for eviction in Eviction::ALL {
        let engine: Arc<dyn Engine> = Arc::new(Quiet::new(Arc::clone(&real), real.info().closes_gaps));
        let bench = Bench::start(&engine, None, Some(eviction), &cancel)?;
        let facts = facts(1);
        let mut prefilled = 0;
        for (number, fact) in facts.iter().enumerate() {
            for text in [fact.told.as_str(), FILLERS[number % FILLERS.len()]] {
                let report = bench.turn(text, TurnOptions::default(), &cancel)?;
                prefilled += report.usage.prefilled;
            }
        }
        let mut missed = Vec::new();
        for fact in &facts {
            let report = bench.turn(&fact.asked, TurnOptions::default(), &cancel)?;
            prefilled += report.usage.prefilled;
            if !bench.last_prompt()?.contains(&fact.told) {
                missed.push(fact.asked.clone());
            }
        }
        bench.machine.stop();
        runs.push(json!({
            "eviction": eviction.policy().name(),
            "asked": facts.len(),
            "resident": facts.len() - missed.len(),
            "missed": missed.iter().take(10).collect::<Vec<_>>(),
            "prefilled_per_turn": f64::from(prefilled) / (3 * FACTS) as f64,
        }));
    }
    let info = real.info();
    Ok(json!({
        "bench": "long dialogue",
        "tokens_of": info.model,
        "window": info.n_ctx,
        "turns": 2 * FACTS,
        "retrieval": "words",
        "runs": runs,
    }))
}
