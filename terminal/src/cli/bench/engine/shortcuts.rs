//! What llama.cpp wins when it does not decode every token alone: calls, of which the grammar
//! forces most, answers that quote a page, and prose, in which there is nothing to win.

use lucid_kernel::abi::{Decoded, Grammar, Sampling, Segment, ToolSpec};
use lucid_kernel::grammar;
use lucid_kernel::port::{CancelFlag, DecodeRequest, Engine as _, EngineError};
use lucid_llama::LlamaCpp;
use serde_json::{Value, json};

use crate::cli::{ModelArgs, model, session};
use crate::engines::NamedEngine;
use crate::exit::Failure;
use crate::home::Home;
use crate::settings::Settings;

/// How often each answer is decoded in each way, in turns; the quickest counts.
const ROUNDS: usize = 3;
/// The most tokens of an answer.
const ANSWER_TOKENS: u32 = 160;

const PAGE: &str = "| Ship | Berth | Crew | Cargo | Arrives |\n|---|---|---|---|---|\n\
    | Aurora Borealis | 4 | nine sailors and a cook | oranges, tea and forty crates of nails | Tuesday |\n\
    | Mary of Whitby | 7 | eleven | coal for the gasworks | Wednesday, with the tide |\n\
    | Little Egret | 2 | two brothers | herring | every morning but Sunday |\n\
    | Constance | 5 | sixteen | machine parts, a piano, mail | Friday |\n";

/// Calls, quotes and prose, decoded token by token and not.
pub fn measure(
    home: &Home,
    settings: &Settings,
    wanted: &ModelArgs,
    cancel: &CancelFlag,
) -> Result<Value, Failure> {
    let mut progress = session::LoadProgress::new();
    let mut show = |what: String, part| progress.show(&what, part);
    let named = NamedEngine::default();
    let local = model::local(home, settings, "llama.cpp", &named, wanted, &mut show, cancel)?;
    let failed = |error: EngineError| Failure::task(error.to_string());
    let engine = LlamaCpp::load(&local.spec, &local.options, &mut |_| {}).map_err(failed)?;
    let mut measured = Vec::new();
    for (what, question, grammar) in tasks() {
        progress.show(&format!("{what}, decoded token by token and not"), None);
        let prompt = format!(
            "<|im_start|>system\nYou help with a harbour.<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n\
             <|im_start|>assistant\n"
        );
        let request = DecodeRequest {
            layout: vec![Segment {
                page: None,
                tokens: engine.tokenize(&prompt, true).map_err(failed)?.into(),
            }],
            grammar,
            sampling: Sampling::default(),
            max_tokens: ANSWER_TOKENS,
        };
        let run = |plain| {
            engine.set_plain(plain);
            engine.decode(&request, cancel, &mut |_| {}).map_err(failed)
        };
        // The prompt is computed before anything is measured.
        run(true)?;
        let (mut plain, mut short) = (run(true)?, run(false)?);
        for _ in 1..ROUNDS {
            plain = quicker(plain, run(true)?);
            short = quicker(short, run(false)?);
        }
        measured.push(json!({
            "what": what,
            "tokens": short.tokens.len(),
            "plain_tokens_per_s": speed(&plain),
            "tokens_per_s": speed(&short),
            "times_plain": speed(&short) / speed(&plain),
            "same_answer": plain.text == short.text,
            "same_tokens": same(&plain, &short),
        }));
    }
    progress.done();
    Ok(json!({ "draft_model_gain": engine.draft_gain(), "answers": measured }))
}

fn tasks() -> Vec<(&'static str, String, Option<Grammar>)> {
    let text = |description: &str| json!({ "type": "string", "description": description, "maxLength": 40 });
    let tool = ToolSpec {
        wants: Vec::new(),
        described: None,
        name: "book_berth".into(),
        description: "Books a berth in the harbour for a ship.".into(),
        keywords: Vec::new(),
        parameters: json!({
            "type": "object",
            "properties": {
                "ship_name": text("The ship."),
                "berth_number": { "type": "integer", "minimum": 1, "maximum": 9 },
                "arrival_day": { "enum": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"] },
                "needs_crane": { "type": "boolean" },
                "cargo_description": text("What it carries."),
            },
            "required": ["ship_name", "berth_number", "arrival_day", "needs_crane", "cargo_description"],
            "additionalProperties": false,
        }),
    };
    let call = "Book berth 5 for the Constance, which brings a piano on Friday and needs the crane.";
    let quote = format!("{PAGE}\nRepeat the table above word for word.");
    let prose = "Tell me in a few sentences why people like to watch ships.";
    vec![
        ("a call", call.into(), Some(grammar::calls(&[&tool], false, 1))),
        ("a quote", quote, None),
        ("prose", prose.into(), None),
    ]
}

/// How many tokens two answers share at their beginning.
fn same(one: &Decoded, other: &Decoded) -> usize {
    one.tokens.iter().zip(other.tokens.iter()).take_while(|(a, b)| a == b).count()
}

fn speed(decoded: &Decoded) -> f64 {
    decoded.tokens.len() as f64 * 1000.0 / decoded.usage.total_ms.max(1) as f64
}

fn quicker(one: Decoded, other: Decoded) -> Decoded {
    if other.usage.total_ms < one.usage.total_ms { other } else { one }
}
