//! Nested key-value retrieval (C. Packer et al., "MemGPT: Towards LLMs as Operating Systems", 2023,
//! section 3.2.2 and figure 7, <https://arxiv.org/abs/2310.08560>): 140 pairs of UUIDs, about 8,000
//! tokens, in which a value may be the key of another pair, and the question is for the last one.

use std::ops::Range;
use std::sync::Arc;

use lucid_disk::{Limits, RamDisk};
use lucid_kernel::abi::TurnOptions;
use lucid_kernel::port::Disk;
use serde_json::{Value, json};

use super::{Bench, load};
use crate::cli::{ModelArgs, session};
use crate::exit::Failure;
use crate::home::Home;

/// Pairs of one ordering.
const PAIRS: usize = 140;
/// The deepest chain.
const LEVELS: usize = 5;
/// So many wrong answers are shown, to see how they are wrong.
const WRONG_SHOWN: usize = 20;
/// The most tokens of an answer.
const ANSWER_TOKENS: u32 = 400;

/// One ordering: its pairs, and of each level the key asked for and the pairs that lead to the end.
struct Ordering {
    text: String,
    chains: Vec<Vec<(String, String)>>,
}

impl Ordering {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut uuid = || {
            let hex: String =
                (0..32).map(|_| char::from_digit(random.u32(0..16), 16).unwrap_or('0')).collect();
            [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
        };
        let mut chains = Vec::new();
        let mut pairs: Vec<(String, String)> = Vec::new();
        for level in 0..LEVELS {
            let names: Vec<String> = (0..level + 2).map(|_| uuid()).collect();
            let chain: Vec<_> = names.windows(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
            pairs.extend(chain.iter().cloned());
            chains.push(chain);
        }
        while pairs.len() < PAIRS {
            pairs.push((uuid(), uuid()));
        }
        random.shuffle(&mut pairs);
        let lines: Vec<String> = pairs.iter().map(line).collect();
        Self { text: format!("{{\n{}\n}}\n", lines.join(",\n")), chains }
    }
}

fn line((key, value): &(String, String)) -> String {
    format!("  \"{key}\": \"{value}\"")
}

/// Asks for the last value of chains of 0 to 4 nested keys, or of one depth alone, in so many orderings.
/// Cancelled, it says what it has measured until then.
///
/// # Errors
/// When the model cannot be loaded or a turn fails.
pub fn run(
    home: &Home,
    wanted: &ModelArgs,
    orderings: Range<usize>,
    only: Option<usize>,
) -> Result<Value, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = ModelArgs { window: wanted.window.or(Some(2048)), ..wanted.clone() };
    let engine = load(home, &wanted, &cancel)?;
    let info = engine.info();
    let mut progress = session::LoadProgress::new();
    let failed = |error: lucid_kernel::port::EngineError| Failure::task(error.to_string());
    let uuid = json!({ "type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" });
    let mut levels: Vec<(u32, u32, u32, u32)> = vec![(0, 0, 0, 0); LEVELS];
    let mut wrong = Vec::new();
    let mut tokens = 0;
    let (first, count) = (orderings.start, orderings.len());
    'all: for ordering in orderings {
        let pairs = Ordering::new(ordering as u64);
        tokens = engine.tokenize(&pairs.text, false).map_err(failed)?.len();
        let disk = RamDisk::new(Limits::default());
        disk.add_text("pairs.json", &pairs.text);
        let disk: Arc<dyn Disk> = Arc::new(disk);
        let wanted = |level: usize| only.is_none_or(|only| only == level);
        for (level, chain) in pairs.chains.iter().enumerate().filter(|(level, _)| wanted(*level)) {
            progress.show(
                &format!("ordering {ordering}, {level} nested; {}", so_far(&levels)),
                Some((ordering - first) as f32 / count as f32),
            );
            let bench = Bench::start(&engine, Some(Arc::clone(&disk)), None, &cancel)?;
            let question = format!(
                "What is the value of the key {}? If that value is itself a key, take its value instead, \
                 and so on, until the value is no key. Give the values on the way, then the last one.",
                chain[0].0
            );
            // The answer names what it went through, which any chain of references can be asked for.
            let schema = json!({
                "type": "object",
                "properties": {
                    "values": { "type": "array", "items": uuid, "minItems": 1, "maxItems": LEVELS },
                    "last": uuid,
                },
                "required": ["values", "last"],
                "additionalProperties": false,
            });
            let options = TurnOptions {
                schema: Some(schema),
                max_tokens: Some(ANSWER_TOKENS),
                ..TurnOptions::default()
            };
            let report = match bench.turn(&question, options, &cancel) {
                // What was cut off says nothing of the model.
                _ if cancel.is_cancelled() => break 'all,
                report => report?,
            };
            let last_prompt = bench.last_prompt()?;
            bench.machine.stop();
            let resident = chain.iter().filter(|pair| last_prompt.contains(line(pair).trim())).count();
            let answer: Value = serde_json::from_str(&report.answer).unwrap_or_default();
            let right = chain.last().is_some_and(|pair| answer["last"] == pair.1);
            if !right && wrong.len() < WRONG_SHOWN {
                let asked: Vec<&String> = chain.iter().map(|(_, value)| value).collect();
                wrong.push(json!({
                    "ordering": ordering, "nested": level, "values": asked, "answered": answer,
                }));
            }
            let counts = &mut levels[level];
            counts.0 += 1;
            counts.1 += u32::from(right);
            counts.2 += resident as u32;
            counts.3 += chain.len() as u32;
        }
    }
    progress.done();
    let by_level: Vec<Value> = levels
        .iter()
        .enumerate()
        .map(|(level, (asked, right, resident, hops))| {
            json!({
                "nested": level, "asked": asked, "right": right,
                "right_percent": percent(*right, *asked),
                "hops": hops, "resident": resident, "resident_percent": percent(*resident, *hops),
            })
        })
        .collect();
    Ok(json!({
        "bench": "nested key-value",
        "model": info.model,
        "engine": info.engine,
        "window": info.n_ctx,
        "pairs": PAIRS,
        "tokens": tokens,
        "first": first,
        "orderings": count,
        "cancelled": cancel.is_cancelled(),
        "wrong": wrong,
        "levels": by_level,
    }))
}

fn so_far(levels: &[(u32, u32, u32, u32)]) -> String {
    let right: Vec<String> = levels.iter().map(|(asked, right, ..)| format!("{right}/{asked}")).collect();
    format!("right {}", right.join(" "))
}

fn percent(part: u32, all: u32) -> f64 {
    f64::from(part) * 100.0 / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::follow::follow;

    #[test]
    fn every_pair_of_every_chain_is_found() {
        for seed in 0..30 {
            let ordering = Ordering::new(seed);
            let disk = RamDisk::new(Limits::default());
            disk.add_text("pairs.json", &ordering.text);
            for chain in &ordering.chains {
                let question = format!("What is the value of the key {}?", chain[0].0);
                let lines = follow(&question, |query, most| disk.search(query, &[], most)).unwrap();
                for pair in chain {
                    let found = lines.iter().any(|found| found.text.contains(line(pair).trim()));
                    assert!(found, "ordering {seed}: {} of {chain:?}; {lines:#?}", line(pair));
                }
            }
        }
    }
}
