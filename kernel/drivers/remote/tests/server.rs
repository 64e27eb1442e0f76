//! Everything against llama.cpp's own server with small models.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{answer, connect, question, request, run, shaped, spec};
use lucid_contract::server::{MODEL, Server, free_port};
use lucid_contract::{self as contract, QWEN_05B, SMOLLM2, alone};
use lucid_kernel::abi::{Decoded, Role, Sampling, Shape, StopReason, Token, ToolSpec};
use lucid_kernel::port::{CancelFlag, DecodeRequest, Delta, Engine, EngineError};
use lucid_kernel::routing::Choice;
use lucid_kernel::syscall::{self, Syscall};
use lucid_remote::{Endpoint, Key, Remote, RemoteSpec, TextTokens, Timeouts, UnknownToken};
use serde_json::json;

/// Two slots of this many tokens.
const WINDOW: u32 = 4096;

static QWEN: LazyLock<Server> = LazyLock::new(|| {
    // Small batches: the server looks only between two of them whether somebody still waits.
    let more = ["--ctx-size", "8192", "--parallel", "2", "--no-kv-unified", "--batch-size", "64"];
    Server::start(QWEN_05B, free_port(), &more)
});

static ENGINE: LazyLock<Remote> = LazyLock::new(|| connect(spec(&QWEN)).unwrap());

fn engine() -> &'static Remote {
    &ENGINE
}

fn small(port: u16, more: &[&str]) -> Server {
    Server::start(SMOLLM2, port, &[&["--ctx-size", "2048", "--parallel", "1"], more].concat())
}

fn calculator() -> ToolSpec {
    ToolSpec {
        wants: Vec::new(),
        described: None,
        name: "calculate".into(),
        description: "Computes an arithmetic expression exactly.".into(),
        keywords: vec!["calculator".into()],
        parameters: json!({
            "type": "object",
            "properties": { "expression": { "type": "string", "description": "Such as 2*(3+4)." } },
            "required": ["expression"],
            "additionalProperties": false,
        }),
    }
}

#[test]
fn the_contract_of_engines_holds_where_it_can() {
    let _alone = alone();
    contract::text_comes_back_from_tokens_as_it_was(engine());
    contract::plain_text_cannot_become_a_special_token(engine());
    contract::a_prompt_that_does_not_fit_is_refused_and_an_empty_one_too(engine());
    contract::greedy_decoding_repeats_and_streams_its_own_text(engine());
    // Not built with llguidance, this server takes no Lark; the engine says so and lives on.
    contract::a_bad_grammar_is_an_error_and_the_engine_lives_on(engine());
}

#[test]
fn the_server_says_what_it_is() {
    let _alone = alone();
    let info = engine().info();
    assert_eq!((info.engine.as_str(), info.model.as_str()), ("llama.cpp server", MODEL));
    assert_eq!((info.n_ctx, info.host), (WINDOW, None));
}

#[test]
fn an_answer_streams_and_is_counted() {
    let _alone = alone();
    let system = "You are a careful clerk in the harbour office. ".repeat(20);
    let ask = |text| request(engine(), &[(Role::System, &system), (Role::User, text)], 12);
    let cold = answer(engine(), &ask("What is two plus two?"));
    let warm = answer(engine(), &ask("Name a ship."));
    assert!(cold.usage.prefilled > 150, "{:?}", cold.usage);
    assert!(warm.usage.reused > 150 && warm.usage.prefilled < 60, "{:?}", warm.usage);
    assert!(engine().info().prefill_tokens_per_s.unwrap() > 1.0);
    let mut deltas = Vec::new();
    let many = question(engine(), "Count from 1 to 9.", 40);
    engine().decode(&many, &CancelFlag::new(), &mut |delta| deltas.push(delta)).unwrap();
    assert!(matches!(deltas[0], Delta::Prefill { .. }));
    assert!(deltas.len() > 5, "{deltas:?}");
    assert!(deltas[1..].iter().all(|delta| matches!(delta, Delta::Text(text) if !text.is_empty())));
}

#[test]
fn characters_over_several_tokens_come_whole() {
    let _alone = alone();
    let done = answer(
        engine(),
        &question(engine(), "Repeat exactly this line and nothing else: 🦀 Grüße 漢字 🎉", 40),
    );
    assert!(done.text.contains("🦀") && done.text.contains("Grüße"), "{}", done.text);
    assert!(!done.text.contains('\u{fffd}'), "{}", done.text);
}

#[test]
fn a_call_is_written_and_its_result_read() {
    let _alone = alone();
    let asked = "What is 1234 * 5678? Use the tool.";
    let shape = |or_text| Shape::Calls { tools: vec![calculator()], or_text, several: false };
    let done = answer(engine(), &shaped(question(engine(), asked, 100), shape(false)));
    assert_eq!(done.stop, StopReason::Stop);
    let choice = Choice::Must(vec!["calculate".into()]);
    let parsed = syscall::parse(&done.text, &choice, &[calculator()], false);
    let Ok(Syscall::Calls(calls)) = parsed else { panic!("{parsed:?} of {}", done.text) };
    let expression = calls[0].arguments["expression"].as_str().unwrap();
    assert!(calls.len() == 1 && expression.contains("1234"), "{calls:?}");
    let messages = [(Role::User, asked), (Role::Assistant, &*done.text), (Role::Tool, "7006652")];
    let after = answer(engine(), &shaped(request(engine(), &messages, 60), shape(true)));
    assert!(after.text.replace([',', ' '], "").contains("7006652"), "{}", after.text);
    // A result that lost its call is read too.
    let orphan = [(Role::Tool, "The ship is called Aurora."), (Role::User, "What is the ship called?")];
    let done = answer(engine(), &request(engine(), &orphan, 30));
    assert!(done.text.contains("Aurora"), "{}", done.text);
}

#[test]
fn a_schema_is_obeyed() {
    let _alone = alone();
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "maxLength": 12 },
            "age": { "type": "integer", "minimum": 0, "maximum": 150 },
        },
        "required": ["name", "age"],
        "additionalProperties": false,
    });
    for text in ["Describe a person.", "Say hello."] {
        let shape = Shape::Value { schema: schema.clone() };
        let done = answer(engine(), &shaped(question(engine(), text, 100), shape));
        assert_eq!(done.stop, StopReason::Stop);
        syscall::parse_value(&done.text, &schema).unwrap_or_else(|error| panic!("{error}: {}", done.text));
    }
}

#[test]
fn a_schema_that_the_server_refuses_is_told() {
    let _alone = alone();
    let shape = Shape::Value { schema: json!({ "$ref": "#/nowhere" }) };
    let (done, _) = run(engine(), &shaped(question(engine(), "Hi", 10), shape));
    let Err(EngineError::Grammar(reason)) = done else { panic!("{done:?}") };
    assert!(reason.contains("response_format"), "{reason}");
}

#[test]
fn the_limit_and_the_end_are_told_apart() {
    let _alone = alone();
    let cut = answer(engine(), &question(engine(), "Tell me a long story.", 8));
    assert_eq!(cut.stop, StopReason::Limit);
    // The server counts by its own vocabulary.
    assert!((4..=12).contains(&cut.tokens.len()), "{}", cut.text);
    let none = answer(engine(), &question(engine(), "Hi", 0));
    assert_eq!((none.tokens.len(), none.stop), (0, StopReason::Limit));
    let whole = answer(engine(), &question(engine(), "Say only the word yes.", 60));
    assert_eq!(whole.stop, StopReason::Stop, "{}", whole.text);
}

#[test]
fn a_temperature_and_a_seed_are_passed_on() {
    let _alone = alone();
    let mut request = question(engine(), "Write one sentence about the moon.", 16);
    // Also fills the server's cache: with and without it the sums differ in their last digits.
    let greedy = answer(engine(), &request).text;
    let mut draw = |seed| {
        request.sampling = Sampling { temperature: 1.0, top_p: 0.95, seed };
        answer(engine(), &request).text
    };
    let drawn = [draw(1), draw(1), draw(2), draw(3)];
    assert_eq!(drawn[0], drawn[1]);
    assert!(drawn[1..].iter().any(|text| *text != drawn[0]), "{drawn:?}");
    assert!(drawn.iter().any(|text| *text != greedy), "{drawn:?}");
}

#[test]
fn an_answer_goes_on_from_its_beginning() {
    let _alone = alone();
    let prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\nThe capital of France is";
    let done = answer(engine(), &contract::request(engine(), prompt, 10));
    assert!(done.text.contains("Paris"), "{}", done.text);
}

/// Cancels `delay` after the prompt was sent, or after the first text.
fn cancel(request: &DecodeRequest, in_answer: bool, delay: Duration) -> (Duration, Decoded) {
    let cancel = CancelFlag::new();
    let (begun, begins) = mpsc::channel();
    let flag = cancel.clone();
    thread::scope(|scope| {
        let setter = scope.spawn(move || {
            begins.recv().unwrap();
            thread::sleep(delay);
            flag.cancel();
            Instant::now()
        });
        let done = engine()
            .decode(request, &cancel, &mut |delta| {
                if matches!(delta, Delta::Text(_)) == in_answer {
                    let _ = begun.send(());
                }
            })
            .unwrap();
        let returned = Instant::now();
        (returned.saturating_duration_since(setter.join().unwrap()), done)
    })
}

#[test]
fn cancel_returns_at_once_and_the_server_stops() {
    let _alone = alone();
    let story = question(engine(), "Write a very long story about the sea.", 3000);
    let (took, done) = cancel(&story, true, Duration::from_millis(300));
    assert_eq!(done.stop, StopReason::Cancelled);
    assert!(!done.text.is_empty());
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(QWEN.becomes_idle_within(Duration::from_secs(4)), "the server goes on writing");
    // While the prompt is computed, which takes seconds.
    let facts = "Consider the following facts about the sea and the sky, and weigh them. ".repeat(200);
    let (took, done) = cancel(&question(engine(), &facts, 100), false, Duration::from_millis(400));
    assert_eq!((done.stop, done.tokens.len()), (StopReason::Cancelled, 0));
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert!(
        QWEN.becomes_idle_within(Duration::from_secs(20)),
        "the server goes on computing: {}",
        QWEN.log()
    );
    assert!(!answer(engine(), &question(engine(), "Say yes.", 3)).text.is_empty());
}

#[test]
fn several_answers_at_once() {
    let _alone = alone();
    let texts: Vec<_> = thread::scope(|scope| {
        let asked = ["Say one.", "Say two.", "Say three.", "Say four."];
        let all: Vec<_> = asked
            .into_iter()
            .map(|text| scope.spawn(move || answer(engine(), &question(engine(), text, 8))))
            .collect();
        all.into_iter().map(|one| one.join().unwrap().text).collect()
    });
    assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
}

/// Takes a thousand bytes as one token: such counts are far too small.
#[derive(Default)]
struct Coarse(Mutex<HashMap<String, Token>>);

impl TextTokens for Coarse {
    fn encode(&self, text: &str) -> Vec<Token> {
        let mut known = self.0.lock().unwrap();
        let chars: Vec<char> = text.chars().collect();
        let mut id_of = |piece: &[char]| {
            let next = Token::try_from(known.len()).unwrap();
            *known.entry(piece.iter().collect()).or_insert(next)
        };
        chars.chunks(1000).map(&mut id_of).collect()
    }

    fn decode(&self, tokens: &[Token]) -> Result<Vec<u8>, UnknownToken> {
        let known = self.0.lock().unwrap();
        let text_of = |token: &Token| {
            let found = known.iter().find(|(_, id)| *id == token);
            found.map(|(text, _)| text.as_bytes().to_vec()).ok_or(UnknownToken(*token))
        };
        Ok(tokens.iter().map(text_of).collect::<Result<Vec<_>, _>>()?.concat())
    }
}

#[test]
fn a_prompt_beyond_the_window_is_refused_here_or_there() {
    let _alone = alone();
    let long = "word ".repeat(6000);
    let (done, shown) = run(engine(), &question(engine(), &long, 10));
    assert!(matches!(done, Err(EngineError::WindowFull { window: WINDOW, .. })), "{done:?}");
    assert_eq!(shown, "");
    let miscounting = Remote::connect(spec(&QWEN), Arc::new(Coarse::default())).unwrap();
    let (done, _) = run(&miscounting, &question(&miscounting, &long, 10));
    let Err(EngineError::WindowFull { prompt, window }) = done else { panic!("{done:?}") };
    assert!(prompt >= 6000 && window == WINDOW, "{prompt} {window}");
}

#[test]
fn a_model_that_is_not_there_and_a_server_that_is_not() {
    let _alone = alone();
    let error = connect(RemoteSpec { model: "gpt-9".into(), ..spec(&QWEN) }).unwrap_err().to_string();
    assert!(error.contains("gpt-9") && error.contains(MODEL), "{error}");
    let nobody = RemoteSpec { retries: 0, ..RemoteSpec::new(MODEL, format!("localhost:{}", free_port())) };
    assert!(connect(nobody.clone()).unwrap_err().to_string().contains("http://"));
    let endpoint = Endpoint { url: format!("http://127.0.0.1:{}", free_port()), key: None };
    let error = connect(RemoteSpec { endpoints: vec![endpoint], ..nobody }).unwrap_err();
    assert!(matches!(error, EngineError::Load { .. }));
    assert!(error.to_string().contains("cannot be reached"), "{error}");
}

#[test]
fn a_dead_endpoint_is_passed_over() {
    let _alone = alone();
    let dead = Endpoint { url: format!("http://127.0.0.1:{}", free_port()), key: None };
    let live = Endpoint { url: QWEN.url() + "/v1/", key: None };
    let spec = RemoteSpec { endpoints: vec![dead, live], retries: 1, ..spec(&QWEN) };
    let engine = connect(spec).unwrap();
    assert_eq!(engine.info().engine, "llama.cpp server");
    for _ in 0..3 {
        assert!(!answer(&engine, &question(&engine, "Say yes.", 3)).text.is_empty());
    }
}

#[test]
fn a_wrong_key_is_refused_and_not_shown() {
    let _alone = alone();
    let server = small(free_port(), &["--api-key", "sk-the-right-one"]);
    let with = |key: Option<&str>| RemoteSpec {
        endpoints: vec![Endpoint { url: server.url(), key: key.map(|key| Key::new(key).unwrap()) }],
        ..spec(&server)
    };
    for key in [Some("sk-a-wrong-one"), None] {
        let error = connect(with(key)).unwrap_err();
        assert!(matches!(error, EngineError::Load { .. }), "{error}");
        let error = format!("{error} {error:?}");
        assert!(error.contains("401") && error.contains("`key`") && !error.contains("sk-"), "{error}");
    }
    let engine = connect(with(Some("sk-the-right-one"))).unwrap();
    assert!(!answer(&engine, &question(&engine, "Say yes.", 3)).text.is_empty());
}

#[test]
fn a_killed_server_is_an_error_and_one_that_is_back_works() {
    let _alone = alone();
    let port = free_port();
    let server = small(port, &[]);
    let timeouts = Timeouts { connect: Duration::from_secs(2), ..Timeouts::default() };
    let engine = connect(RemoteSpec { timeouts, retries: 1, ..spec(&server) }).unwrap();
    let story = question(&engine, "Write a very long story about the sea.", 1500);
    let mut shown = String::new();
    let mut killed = None;
    let error = engine
        .decode(&story, &CancelFlag::new(), &mut |delta| {
            if let Delta::Text(text) = delta {
                shown.push_str(&text);
                if killed.is_none() {
                    server.kill();
                    killed = Some(Instant::now());
                }
            }
        })
        .unwrap_err();
    assert!(killed.unwrap().elapsed() < Duration::from_secs(2), "{:?}", killed.unwrap().elapsed());
    let Fail(reason) = Fail::of(error);
    assert!(reason.contains("broke off") && reason.contains("tried again"), "{reason}");
    assert!(!shown.is_empty());
    let Fail(reason) = Fail::of(run(&engine, &question(&engine, "Hi", 3)).0.unwrap_err());
    assert!(reason.contains("cannot be reached") && reason.contains("2 tries"), "{reason}");
    drop(server);
    let _back = small(port, &[]);
    assert!(!answer(&engine, &question(&engine, "Say yes.", 3)).text.is_empty());
}

struct Fail(String);

impl Fail {
    fn of(error: EngineError) -> Self {
        match error {
            EngineError::Failed(reason) => Self(reason),
            other => panic!("{other:?}"),
        }
    }
}
