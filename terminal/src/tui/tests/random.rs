//! Random keys and notices: the screen never panics, and nothing that was typed is lost.

use std::collections::BTreeSet;

use lucid_kernel::abi::{EffectId, Fault, FaultKind, PageId, TurnEnd};
use lucid_kernel::port::{MountProgress, MountReport, Skip};
use proptest::prelude::*;

use super::super::host::Answer;
use super::super::transcript::Item;
use super::*;

/// One thing that happens in a random session.
#[derive(Debug, Clone)]
enum Step {
    /// Types a character that occurs only once.
    Type,
    Key(String),
    Text(String),
    Hear(u8),
    Resize(u16, u16),
    Wheel(i8),
    Wait(u16),
}

/// Keys that delete nothing on purpose.
const SAFE_KEYS: [&str; 21] = [
    "Enter",
    "Enter",
    "Enter",
    "Esc",
    "Ctrl-c",
    "Ctrl-l",
    "Ctrl-j",
    "Ctrl-x",
    "Tab",
    "Up",
    "Down",
    "Left",
    "Right",
    "Home",
    "End",
    "PgUp",
    "PgDn",
    "Ctrl-a",
    "Ctrl-e",
    "Alt-Enter",
    "Ctrl-Left",
];
const CUTTING_KEYS: [&str; 9] =
    ["Ctrl-d", "Backspace", "Delete", "Ctrl-w", "Ctrl-u", "Ctrl-k", "Ctrl-y", "Alt-d", "Ctrl-h"];
const LINES: [&str; 11] =
    ["/mem", "/help", "/page p7", "/mount x", "/mounts", "/foo", "//x", "y", "n", "\u{301}", "日本"];

fn step(safe: bool) -> impl Strategy<Value = Step> {
    let keys: Vec<&str> =
        if safe { SAFE_KEYS.to_vec() } else { [&SAFE_KEYS[..], &CUTTING_KEYS[..]].concat() };
    let text = if safe { Just(String::new()).boxed() } else { any::<String>().boxed() };
    let text = prop_oneof![text, prop::sample::select(&LINES[..]).prop_map(String::from)];
    prop_oneof![
        4 => Just(Step::Type),
        8 => prop::sample::select(keys).prop_map(|key| Step::Key(key.into())),
        2 => text.prop_map(Step::Text),
        8 => (0..NOTICES).prop_map(Step::Hear),
        1 => (0..130_u16, 0..50_u16).prop_map(|(width, height)| Step::Resize(width, height)),
        1 => any::<i8>().prop_map(Step::Wheel),
        1 => (0..2_000_u16).prop_map(Step::Wait),
    ]
}

const NOTICES: u8 = 25;

fn notice(which: u8) -> Notice {
    let end = |end| Notice::Ended {
        pid: Pid(1),
        report: Box::new(report("Some *answer* \x1b with `code`.\n- a", end)),
    };
    match which {
        0 => Notice::Loading { what: "loading".into(), part: Some(0.3) },
        1 | 2 => ready(),
        3 | 4 => taken(),
        5 => Notice::Refused { pid: Some(Pid(1)), message: "too long".into(), code: 1 },
        6 => Notice::Paged { pid: Pid(1), pages: vec![("/a.md".into(), (1, 9))] },
        7 => prefill(5, 6),
        8 => text("some **text** 日本 `"),
        9 => text(&"many words and a line\n".repeat(30)),
        10 => retract(),
        11 => Notice::Calling { pid: Pid(1), id: EffectId(1), call: calc("1"), granted: Vec::new() },
        12 => Notice::Returned {
            pid: Pid(1),
            id: EffectId(1),
            result: Ok(returned(serde_json::json!({ "a": [1] }), 9)),
        },
        13 => Notice::Returned {
            pid: Pid(1),
            id: EffectId(1),
            result: Err(Fault::new(FaultKind::Limit, "stopped")),
        },
        14 => Notice::Ask {
            pid: Pid(1),
            id: EffectId(2),
            call: calc("2"),
            reason: "because ".repeat(90),
            wants: Vec::new(),
            preview: None,
        },
        15 | 16 => end(TurnEnd::Answered),
        17 => end(TurnEnd::Cancelled),
        18 => end(TurnEnd::Failed(Fault::new(FaultKind::Engine, "broken"))),
        19 => Notice::Stopping { pid: Pid(1), stopping: true },
        20 => told(memory()),
        21 => Notice::Page(
            PageId(7),
            Some(Box::new((memory()[1].clone(), source_page("page", Provenance::User)))),
        ),
        22 => Notice::Mounts(vec![mount("/home/ada/project"), mount("/x")]),
        23 => Notice::MountProgress(MountProgress {
            files_done: 1,
            files_found: 0,
            bytes: 0,
            path: String::new(),
        }),
        _ => Notice::Mounted(Box::new(MountReport {
            skipped: vec![(Skip::Secret, 2)],
            ..MountReport::default()
        })),
    }
}

/// Runs the steps, drawing after each; gives back what was typed and what became of it.
fn play(steps: &[Step]) -> (Stage, BTreeSet<char>) {
    let mut stage = Stage::with(&Setup { offer_mount: true, ..setup() });
    let mut typed = BTreeSet::new();
    let mut now = 0;
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Type => {
                let unique = char::from_u32(0x4e00 + u32::try_from(at).unwrap()).unwrap();
                stage.msg(Msg::Paste(unique.into()));
                typed.insert(unique);
            }
            Step::Key(key) => {
                stage.key(key);
            }
            Step::Text(text) => {
                stage.msg(Msg::Paste(text.clone()));
            }
            Step::Hear(which) => {
                stage.hear(notice(*which));
            }
            Step::Resize(width, height) => {
                stage.msg(Msg::Resize(*width, *height));
            }
            Step::Wheel(lines) => {
                stage.msg(wheel(isize::from(*lines)));
            }
            Step::Wait(ms) => {
                now += u64::from(*ms);
                stage.at(now);
            }
        }
        let (width, height) = stage.state.size;
        draw(&stage.state, width, height);
    }
    (stage, typed)
}

/// Everywhere a typed character may be: the line, what waits, what the machine took, the history.
fn whereabouts(stage: &Stage) -> String {
    let state = &stage.state;
    let mut all = vec![state.editor.text().to_owned(), state.history.draft().to_owned()];
    all.extend(state.talk.queue.iter().map(|said| said.line.clone()));
    all.extend(state.talk.turn.iter().map(|turn| turn.said.line.clone()));
    all.extend(state.talk.transcript.items().iter().filter_map(|item| match item {
        Item::User(text, _) => Some(text.clone()),
        _ => None,
    }));
    all.extend(state.history.entries().map(String::from));
    all.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(steps in prop::collection::vec(step(false), 0..80)) {
        play(&steps);
    }

    #[test]
    fn nothing_typed_is_lost(steps in prop::collection::vec(step(true), 0..80)) {
        let (stage, typed) = play(&steps);
        let places = whereabouts(&stage);
        for unique in typed {
            prop_assert!(places.contains(unique), "{unique} is gone from {places:?}");
        }
    }

    /// Every input is sent at most once, unless it came back and was sent again by hand.
    #[test]
    fn waiting_inputs_go_once_and_in_order(ends in prop::collection::vec(0..3_u8, 1..12)) {
        let mut stage = Stage::new();
        let inputs: Vec<String> = (0..ends.len().min(8)).map(|at| format!("q{at}")).collect();
        inputs.iter().for_each(|input| {
            stage.say(input);
        });
        stage.hear(ready());
        for end in ends {
            stage.hear(taken()).hear(match end { 0 => notice(15), 1 => notice(17), _ => notice(18) });
        }
        let expected: Vec<String> = inputs.iter().map(|input| format!("input {input}")).collect();
        prop_assert_eq!(stage.sent(), expected);
    }

    /// Whatever bytes a model, a tool or a file holds: no control sequence is drawn, nothing turns the
    /// direction of writing, and every row is as wide as the screen.
    #[test]
    fn random_bytes_are_drawn_harmless(
        pieces in prop::collection::vec(bytes(), 1..8), width in 1..120_u16, height in 1..40_u16, which in 0..6_u8,
    ) {
        let mut stage = Stage::ready().size(width, height);
        let all = pieces.concat();
        stage.say("q").hear(taken());
        let call = Call { tool: all.clone(), arguments: serde_json::json!({ all.clone(): all.clone() }) };
        stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(1), call: call.clone(), granted: vec![all.clone()] });
        let value = serde_json::json!(all);
        stage.hear(Notice::Returned { pid: Pid(1), id: EffectId(1), result: Ok(returned(value, 5)) });
        stage.hear(Notice::Paged { pid: Pid(1), pages: vec![(all.clone(), (1, 2))] });
        // It comes in pieces, and is drawn after each.
        for piece in &pieces {
            stage.hear(text(piece));
            harmless(&stage)?;
        }
        let mut report = report(&all, TurnEnd::Answered);
        report.citations = vec![citation(&all, (1, 2), 3)];
        stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report) });
        stage.hear(told(vec![row(1, "file", 5, true, file(&all, (1, 2)), &all)]));
        match which {
            0 => stage.key("Ctrl-o"),
            1 => stage.key("F2"),
            2 => stage.keys("@").msg(Msg::Answer(Box::new(Answer::Names { files: pieces.clone() }))),
            3 => stage.msg(Msg::Answer(Box::new(Answer::Text { title: all.clone(), text: all.clone() }))),
            4 => stage.msg(Msg::Answer(Box::new(Answer::Ran { command: all.clone(), output: all.clone() }))),
            _ => stage.hear(Notice::Ask {
                pid: Pid(1), id: EffectId(2), call, reason: all.clone(), wants: Vec::new(), preview: Some(all.clone()),
            }),
        };
        harmless(&stage)?;
    }
}

/// Text of random bytes, as it comes out of files and models.
fn bytes() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        any::<String>(),
        prop::sample::select(vec![
            "\x1b[2J",
            "\x1b]52;c;AAAA\x07",
            "\u{9b}31m",
            "\u{202e}abc",
            "\u{2067}",
            "שלום עולם",
            "مرحبا بالعالم",
            "👩‍👩‍👧‍👦",
            "e\u{301}\u{301}\u{301}",
            "한국어",
            "ｆｕｌｌ",
            "\u{200d}\u{200d}",
            "\u{fe0f}",
            "🇩🇪🇩",
            "```rust\nfn ",
            "| a | b |\n|---|---|\n",
            "> > > - 1. ",
            "**_`",
            "\r\n\r",
            "\t\0",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn harmless(stage: &Stage) -> Result<(), TestCaseError> {
    let (width, height) = stage.state.size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(&stage.state, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    for y in 0..height {
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            let bad = symbol.chars().find(|c| {
                c.is_control()
                    || ('\u{202a}'..='\u{202e}').contains(c)
                    || ('\u{2066}'..='\u{2069}').contains(c)
            });
            prop_assert_eq!(bad, None, "{:?} at {},{}", symbol, x, y);
            x += u16::try_from(super::super::text::width_of(symbol).max(1)).unwrap();
        }
        prop_assert_eq!(x, width, "a wide character is cut at the end of row {}", y);
    }
    Ok(())
}
