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

/// Drives a kernel by scripted answers.
pub struct Rig {
    pub kernel: Kernel,
    pub pid: Pid,
    pub events: Vec<Event>,
}

impl Rig {
    pub fn new(n_ctx: TokenCount, tools: Vec<ToolSpec>) -> Self {
        let (kernel, pid, events) = booted(config(n_ctx), tools);
        Self { kernel, pid, events }
    }

    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        self.events.push(event.clone());
        let effects = self.kernel.step(event);
        self.kernel.check_invariants().unwrap();
        effects
    }

    pub fn ask(&mut self, text: &str) -> Vec<Effect> {
        self.step(input(self.pid, text, TurnOptions::default()))
    }

    /// Asks, finds nothing, and returns the decode.
    pub fn ask_unpaged(&mut self, text: &str) -> Effect {
        let effects = self.ask(text);
        let id = page_in(&effects);
        one(self.step(Event::PagedIn { id, outcome: Outcome::Done(vec![]) }))
    }

    pub fn say(&mut self, effect: &Effect, text: &str) -> Vec<Effect> {
        let Effect::Decode { id, .. } = effect else { panic!("no decode: {effect:?}") };
        self.step(decoded(*id, text))
    }
}

/// The one thing that is to be done, besides what swap is to keep.
pub fn one(mut effects: Vec<Effect>) -> Effect {
    effects.retain(|effect| !matches!(effect, Effect::Swap { .. }));
    assert_eq!(effects.len(), 1, "{effects:?}");
    effects.into_iter().next().unwrap()
}

/// The page-in that is all there is to do.
pub fn page_in(effects: &[Effect]) -> EffectId {
    match effects {
        [Effect::PageIn { id, .. }] => *id,
        other => panic!("no page-in: {other:?}"),
    }
}

/// How the turn ended.
pub fn report(effects: Vec<Effect>) -> TurnReport {
    match one(effects) {
        Effect::Ended { report, .. } => *report,
        other => panic!("the turn goes on: {other:?}"),
    }
}

/// What the engine is to read.
pub fn text_of(effect: &Effect) -> String {
    let Effect::Decode { layout, .. } = effect else { panic!("no decode: {effect:?}") };
    let bytes = layout.iter().flat_map(|segment| segment.tokens.iter()).map(|token| *token as u8);
    String::from_utf8(bytes.collect()).unwrap()
}

/// The model calls the calculator.
pub fn call(rig: &mut Rig, effect: &Effect, expression: &str) -> Effect {
    let text = json!({ "name": "calc", "arguments": { "expression": expression } }).to_string();
    one(rig.say(effect, &text))
}

/// A tool gave this back.
pub fn returned(id: EffectId, text: &str) -> Event {
    Event::Returned {
        id,
        outcome: Outcome::Done(Returned {
            value: json!(text),
            content: encoded(text),
            chars: None,
            micros: 300,
        }),
    }
}
