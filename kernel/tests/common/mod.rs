//! What the kernel's tests share: a machine of a few lines that tokenises by bytes.
#![allow(dead_code, clippy::unwrap_used)]

use lucid_kernel::abi::*;
use lucid_kernel::chat::{ChatTokens, chatml};
use lucid_kernel::{Config, Kernel};
use serde_json::json;

/// One token a byte.
pub fn encoded(text: &str) -> Encoded {
    Encoded::new(text, text.bytes().map(u32::from).collect::<Vec<_>>())
}

/// ChatML with byte tokens.
pub fn chat() -> ChatTokens {
    chatml().encode(|text| Ok::<_, ()>(encoded(text))).unwrap()
}

/// Settings for a window of this size.
pub fn config(n_ctx: TokenCount) -> Config {
    let engine = EngineInfo {
        engine: "test".into(),
        model: "bytes".into(),
        n_ctx,
        architecture: "none".into(),
        prefill_tokens_per_s: None,
        host: None,
        closes_gaps: false,
        slots: 1,
    };
    Config { has_disk: true, ..Config::new(engine, chat()) }
}

/// A tool like the bundled calculator.
pub fn calc() -> ToolSpec {
    ToolSpec {
        wants: Vec::new(),
        described: None,
        name: "calc".into(),
        description: "Evaluates an arithmetic expression such as 17.5% * 2310.40.".into(),
        keywords: vec!["calculator".into(), "calculate".into()],
        parameters: json!({
            "type": "object",
            "properties": { "expression": { "type": "string" } },
            "required": ["expression"],
            "additionalProperties": false,
        }),
    }
}

/// A booted kernel with one process.
pub fn booted(config: Config, tools: Vec<ToolSpec>) -> (Kernel, Pid, Vec<Event>) {
    let mut kernel = Kernel::default();
    let events = vec![Event::Boot { config: Box::new(config) }, spawn(tools)];
    let mut pid = None;
    for event in &events {
        for effect in kernel.step(event.clone()) {
            match effect {
                Effect::Spawned { pid: spawned, .. } => pid = Some(spawned),
                other => panic!("unexpected {other:?}"),
            }
        }
    }
    (kernel, pid.unwrap(), events)
}

/// A process with these tools and nothing to remember.
pub fn spawn(tools: Vec<ToolSpec>) -> Event {
    Event::Spawn { system: encoded("You help."), tools, core: Vec::new() }
}

/// A page of a file, worded as the machine words it.
pub fn file_page(id: PageId, path: &str, lines: (u32, u32), text: &str) -> SourcePage {
    let range = FileRange { path: path.into(), lines, bytes: (0, text.len() as u64) };
    let worded = lucid_kernel::prompt::file_page(id, &range, "", path, text);
    SourcePage {
        id,
        content: encoded(&worded),
        provenance: Provenance::File(range),
        label: Label::public(Trust::File),
        text: text.into(),
        score: 1.0,
    }
}

/// A finished decode of this text.
pub fn decoded(id: EffectId, text: &str) -> Event {
    let content = encoded(text);
    Event::Decoded {
        id,
        outcome: Outcome::Done(Decoded {
            tokens: content.tokens,
            text: content.text,
            stop: StopReason::Stop,
            usage: Usage { prefilled: 10, reused: 5, decoded: 3, first_token_ms: 7, total_ms: 9 },
        }),
    }
}

/// What the machine answers to a recall: the page as the journal has it.
pub fn recalled(events: &[Event], recall: &Recall) -> Option<SourcePage> {
    let page = |text: &str, provenance: &Provenance| {
        let rest: String = text.chars().skip(recall.from as usize).collect();
        SourcePage {
            id: recall.page,
            content: encoded(&format!("[{}]\n{rest}\n", recall.page)),
            provenance: provenance.clone(),
            label: Label::public(Trust::User),
            text: rest.into(),
            score: 0.0,
        }
    };
    let text = lucid_kernel::journal::text_of(&events[recall.event as usize], recall.page)?;
    Some(page(&text, &recall.provenance))
}

/// Something to remember, as the machine words it.
pub fn note(id: PageId, text: &str) -> SourcePage {
    SourcePage {
        id,
        content: encoded(&format!("Remember: {text}\n")),
        provenance: Provenance::User,
        label: Label::public(Trust::User),
        text: text.into(),
        score: 0.0,
    }
}

/// An input with these options.
pub fn input(pid: Pid, text: &str, options: TurnOptions) -> Event {
    Event::Input { pid, content: encoded(text), attached: Vec::new(), options }
}
