//! Tries prompts on a model by hand: reads JSON lines from standard input, writes one JSON
//! line for each.
//!
//! ```text
//! echo '{"layout_text": "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n", "max_tokens": 64}' |
//!     cargo run --release -p lucid-engine --example chat -- model.gguf
//! ```
//!
//! In `layout_text` the texts of special tokens are those tokens. `lark`, `max_tokens`,
//! `temperature`, `top_p` and `seed` may be left out.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::{BufRead, stdin};
use std::time::Instant;

use lucid_engine::Mistralrs;
use lucid_kernel::abi::{Grammar, Sampling, Segment, Shape};
use lucid_kernel::port::{CancelFlag, DecodeRequest, Engine};
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    layout_text: String,
    #[serde(default)]
    lark: Option<String>,
    #[serde(default = "default_max_tokens")]
    max_tokens: u32,
    #[serde(default)]
    temperature: f32,
    #[serde(default = "default_top_p")]
    top_p: f32,
    #[serde(default)]
    seed: u64,
}

fn default_max_tokens() -> u32 {
    256
}

fn default_top_p() -> f32 {
    1.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of a GGUF file")?;
    let spec = ModelSpec { name: path.clone(), source: ModelSource::Gguf(path.into()) };
    let begun = Instant::now();
    let engine = Mistralrs::load(&spec, &LoadOptions::default(), &mut |step| eprintln!("{step:?}"))?;
    eprintln!("loaded in {:.1} s: {:?}", begun.elapsed().as_secs_f32(), engine.info());
    for line in stdin().lock().lines() {
        let line: Line = serde_json::from_str(&line?)?;
        let request = DecodeRequest {
            layout: vec![Segment { page: None, tokens: engine.tokenize(&line.layout_text, true)?.into() }],
            grammar: line.lark.map(|lark| Grammar { lark, shape: Shape::Lark }),
            sampling: Sampling { temperature: line.temperature, top_p: line.top_p, seed: line.seed },
            max_tokens: line.max_tokens,
        };
        let answer = match engine.decode(&request, &CancelFlag::new(), &mut |_| ()) {
            Ok(done) => serde_json::json!({
                "text": done.text, "stop": done.stop, "usage": done.usage,
            }),
            Err(e) => serde_json::json!({ "error": e.to_string() }),
        };
        println!("{answer}");
    }
    eprintln!("{:?}", engine.cache_status());
    Ok(())
}
