//! Facts of long ago: a dialogue of 200 turns, half of which state a fact, asked for at its end in
//! other words, and some without any word of theirs. Counted is whether the page that states it is in the window when it is asked for.

use std::sync::Arc;

use lucid_kernel::abi::TurnOptions;
use lucid_kernel::memory::evict::Eviction;
use lucid_kernel::port::Engine;
use serde_json::{Value, json};

use super::quiet::Quiet;
use super::{Bench, load};
use crate::cli::{ModelArgs, model, session};
use crate::exit::Failure;
use crate::home::Home;
use crate::settings::Settings;

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

/// Facts that are asked for without any word of theirs.
const INDIRECT: [(&str, &str); 20] = [
    ("My physician told me to stay away from milk and butter.", "Is cheese okay in my diet?"),
    ("Our cellar was flooded twice in the past year.", "Which part of the building had water damage?"),
    ("I am terrified of heights and never climb anything tall.", "Should we book the tower tour for me?"),
    ("The dentist will pull my wisdom tooth on the ninth.", "When do I have oral surgery?"),
    ("My sister gave birth to twins in August.", "How many new babies are there in the family?"),
    ("We sold the old piano because nobody played it.", "What musical instrument did we get rid of?"),
    ("The boiler broke down and the flat is freezing.", "Why is there no heating at home?"),
    ("I quit my job at the bank to open a bakery.", "What kind of business am I starting?"),
    ("Our cat has to swallow a pill every evening.", "What medicine does the pet take, and how often?"),
    ("The landlord wants four hundred more a month from May.", "How much does the rent go up?"),
    ("I left my passport in the glove compartment.", "Where is my travel document?"),
    ("Grandfather fought fires for thirty years.", "What was my grandparent's profession?"),
    ("The train to the coast leaves from platform six.", "At which track do we depart for the sea?"),
    ("My bicycle was stolen outside the library.", "What did a thief take from me?"),
    ("We decided to spend our honeymoon in Iceland.", "Where do the newlyweds go on holiday?"),
    ("The password hint is the street I grew up in.", "What reminds me of my login?"),
    ("Uncle lost his driving licence for speeding.", "Who is not allowed to drive a car any more?"),
    ("I promised to water the plants on the balcony.", "Which chore concerning flowers did I agree to do?"),
    ("My laptop's screen cracked when it fell down the stairs.", "What happened to my computer's display?"),
    ("She teaches mathematics at the evening college.", "Which subject does she give lessons in?"),
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

/// Tells the facts, then asks for each, with every eviction policy, by words alone and by meaning
/// too where the model for it was fetched.
///
/// # Errors
/// When the model cannot be loaded or a turn fails.
pub fn run(home: &Home, wanted: &ModelArgs) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = ModelArgs { window: wanted.window.or(Some(2048)), ..wanted.clone() };
    let real = load(home, &wanted, &cancel)?;
    let settings = Settings::load(home)?;
    let embedder = model::embedder(home, &settings, &model::pool(&settings))?;
    let mut runs = Vec::new();
    let ways = std::iter::once(None).chain(embedder.map(Some));
    for (embedder, eviction) in ways.flat_map(|way| Eviction::ALL.map(|eviction| (way.clone(), eviction))) {
        let engine: Arc<dyn Engine> = Arc::new(Quiet::new(Arc::clone(&real), real.info().closes_gaps));
        let swap =
            tempfile::tempdir().map_err(|error| Failure::task(format!("no folder to work in: {error}")))?;
        let by_meaning = embedder.is_some();
        let dir = Some(swap.path().to_path_buf());
        let bench = Bench::with_swap(&engine, None, Some(eviction), dir, embedder, &cancel)?;
        let facts = facts(1);
        let mut prefilled = 0;
        let mut indirect = INDIRECT.iter();
        for (number, fact) in facts.iter().enumerate() {
            let filler = FILLERS[number % FILLERS.len()];
            let is_next = number % (FACTS / INDIRECT.len()) == 0;
            let second = if is_next { indirect.next().map_or(filler, |(told, _)| *told) } else { filler };
            for text in [fact.told.as_str(), second] {
                let report = bench.turn(text, TurnOptions::default(), &cancel)?;
                prefilled += report.usage.prefilled;
            }
        }
        let mut missed = |told: &str, asked: &str| -> Result<bool, Failure> {
            let report = bench.turn(asked, TurnOptions::default(), &cancel)?;
            prefilled += report.usage.prefilled;
            Ok(!bench.last_prompt()?.contains(told))
        };
        let (mut direct, mut indirect) = (Vec::new(), Vec::new());
        for fact in &facts {
            if missed(&fact.told, &fact.asked)? {
                direct.push(fact.asked.as_str());
            }
        }
        for (told, asked) in INDIRECT {
            if missed(told, asked)? {
                indirect.push(asked);
            }
        }
        bench.machine.stop();
        runs.push(json!({
            "eviction": eviction.policy().name(),
            "found_by": if by_meaning { "words and meaning" } else { "words" },
            "asked": FACTS,
            "resident": FACTS - direct.len(),
            "missed": direct.iter().take(10).collect::<Vec<_>>(),
            "asked_without_their_words": INDIRECT.len(),
            "resident_of_these": INDIRECT.len() - indirect.len(),
            "missed_of_these": indirect,
            "prefilled_per_turn": f64::from(prefilled) / (3 * FACTS + INDIRECT.len()) as f64,
        }));
    }
    let info = real.info();
    Ok(json!({
        "bench": "long dialogue",
        "tokens_of": info.model,
        "window": info.n_ctx,
        "turns": 2 * FACTS,
        "runs": runs,
    }))
}
