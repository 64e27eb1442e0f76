//! `lucid bench`: speed, as JSON, side by side with the bare library where there is one.

mod engine;
mod kernel;
mod memory;
mod page_in;

use serde_json::{Value, json};

use super::{BenchCmd, model, out};
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
        BenchCmd::Retrieval { collection } => {
            let dir = tempfile::tempdir()
                .map_err(|error| Failure::task(format!("no folder to work in: {error}")))?;
            let settings = Settings::load(home)?;
            let embedder = model::embedder(home, &settings, &model::pool(&settings))?;
            lucid_disk::bench::retrieval::run(collection, dir.path(), embedder)
                .map_err(super::mount::failure)?
        }
        BenchCmd::Kernel { pages, window } => kernel::run(*pages, *window),
        BenchCmd::Tools => lucid_tools::bench::run().map_err(|error| Failure::task(error.to_string()))?,
        BenchCmd::Screen { blocks } => super::shell::measure(home, *blocks)?,
        BenchCmd::Session { model, questions } => engine::turns(home, model, questions)?,
        BenchCmd::NestedKv { model, orderings, first, level } => {
            memory::nested(home, model, *first..*first + *orderings, level.map(usize::from))?
        }
        BenchCmd::Dialogue { model } => memory::dialogue(home, model)?,
        BenchCmd::Cost { model, corpus } => memory::cost(home, model, corpus)?,
        BenchCmd::PageIn { model, corpus, files } => page_in::run(home, model, corpus, *files)?,
        BenchCmd::Engine { model } => engine::run(home, model)?,
    };
    out::json(&value);
    // A long one that was cut off has said what it measured.
    Ok(if value["cancelled"] == true { exit::CANCELLED } else { exit::OK })
}

fn percentiles(values: impl Iterator<Item = f64>) -> Value {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get(((values.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(0.0);
    json!({ "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0) })
}

const WORDS: &[&str] = &[
    "window", "page", "engine", "token", "index", "folder", "server", "listens", "port", "journal", "replay",
    "grammar", "schema", "plugin", "sandbox", "cancel", "budget", "evicted", "resident", "process",
];

fn page_text(seed: usize) -> String {
    let word = |at: usize| format!("{}{}", WORDS[(seed * 7 + at * 3) % WORDS.len()], (seed + at) % 50);
    (0..120).map(word).collect::<Vec<_>>().join(" ")
}
