//! What every engine promises, held against the embedded one with a real model and against
//! the scripted one.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{of_tokens, request, run, smollm2, under, user};
use lucid_engine::{Pace, Scripted};
use lucid_kernel::abi::{Decoded, Sampling, StopReason};
use lucid_kernel::port::{CancelFlag, Delta, Engine, EngineError};

const PERSON: &str = r#"start: %json {
  "type": "object",
  "properties": { "name": { "type": "string", "maxLength": 12 }, "age": { "type": "integer", "minimum": 0, "maximum": 150 } },
  "required": ["name", "age"], "additionalProperties": false,
  "x-guidance": { "whitespace_flexible": false }
}"#;

/// Free text that does not begin like a call, or a call.
const TEXT_OR_CALL: &str = r#"start: text | call
text: /[^{<`](.|\n)*/
call: args | "```json\n" args "\n```"
args: %json { "type": "object", "properties": { "city": { "type": "string", "maxLength": 20 } }, "required": ["city"], "additionalProperties": false, "x-guidance": { "whitespace_flexible": false } }"#;

/// The tests that look at the clock run one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static CLOCK: Mutex<()> = Mutex::new(());
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scripted() -> Scripted {
    let words = "The quick brown 🦀 jumps over the lazy 世界. ".repeat(40);
    Scripted::with(move |prompt, request| {
        Ok(match &request.grammar {
            Some(grammar) if grammar.lark.contains("city") && prompt.contains("hello") => "Hello!".into(),
            Some(grammar) if grammar.lark.contains("city") => r#"{"city":"Paris"}"#.into(),
            Some(_) => r#"{"name":"Ada","age":36}"#.into(),
            None => words.clone(),
        })
    })
    .pace(Pace { prefill_per_token: Duration::from_millis(2), decode_per_token: Duration::from_millis(3) })
}

/// Runs a check over every engine.
fn check(subject: impl Fn(&dyn Engine)) {
    subject(&scripted());
    subject(smollm2());
}

#[test]
fn text_comes_back_from_tokens_as_it_was() {
    check(|engine| {
        for text in [
            "",
            "plain",
            " leading and trailing \n\n",
            "tab\tüñî 世界 🦀👩‍👩‍👧 \u{0}\u{7f}",
            "a<b>{\"x\": 1.5e-3}",
            "    fn main() {}\r\n",
        ] {
            for special in [false, true] {
                let tokens = engine.tokenize(text, special).unwrap();
                assert_eq!(engine.detokenize(&tokens).unwrap(), text);
            }
        }
        assert!(matches!(engine.detokenize(&[u32::MAX]), Err(EngineError::Failed(_))));
    });
}

#[test]
fn plain_text_cannot_become_a_special_token() {
    check(|engine| {
        for special in ["<|im_start|>", "<|im_end|>", "<|endoftext|>"] {
            let token = engine.tokenize(special, true).unwrap();
            assert_eq!(token.len(), 1, "{special}");
            for text in [special.to_owned(), format!("a{special}b"), format!("{special}{special} system\nx")]
            {
                let plain = engine.tokenize(&text, false).unwrap();
                assert!(!plain.contains(&token[0]), "{text} became {plain:?}");
                assert_eq!(engine.detokenize(&plain).unwrap(), text);
            }
        }
    });
}

#[test]
fn greedy_decoding_repeats_and_streams_its_own_text() {
    check(|engine| {
        let request = request(engine, &user("Name three fruits."), 24);
        let (first, deltas) = run(engine, &request);
        let (second, _) = run(engine, &request);
        assert_eq!(first.tokens, second.tokens);
        assert_eq!(first.usage.decoded as usize, first.tokens.len());
        assert_eq!(engine.detokenize(&first.tokens).unwrap(), *first.text);
        assert!(matches!(deltas[0], Delta::Prefill { .. }), "{:?}", deltas[0]);
        let shown: String = deltas[1..]
            .iter()
            .map(|delta| match delta {
                Delta::Text(text) => text.as_str(),
                Delta::Prefill { .. } => panic!("a second Prefill"),
            })
            .collect();
        assert_eq!(shown, *first.text);
        assert!(first.usage.first_token_ms <= first.usage.total_ms);
    });
}

#[test]
fn the_token_limit_holds() {
    check(|engine| {
        for limit in [0, 1, 5] {
            let (done, _) = run(engine, &request(engine, &user("Tell me a long story."), limit));
            assert_eq!((done.tokens.len(), done.stop), (limit as usize, StopReason::Limit));
        }
    });
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_and_an_empty_one_too() {
    check(|engine| {
        let window = engine.info().n_ctx;
        let error = engine
            .decode(&request(engine, &user("Hi"), window), &CancelFlag::new(), &mut |_| ())
            .unwrap_err();
        assert!(
            matches!(error, EngineError::WindowFull { prompt, window: n } if n == window && prompt > n),
            "{error}"
        );
        assert!(engine.decode(&of_tokens(Vec::new(), 4), &CancelFlag::new(), &mut |_| ()).is_err());
        run(engine, &request(engine, &user("Hi"), 2));
    });
}

/// Cancels `delay` after the prompt was sent, or after the first text was shown, and gives how
/// long `decode` then took to return.
fn cancel(engine: &dyn Engine, text: &str, in_answer: bool, delay: Duration) -> (Duration, Decoded) {
    let request = request(engine, text, 400);
    let cancel = CancelFlag::new();
    let (begun, begins) = mpsc::channel();
    let flag = cancel.clone();
    thread::scope(|scope| {
        let setter = scope.spawn(move || {
            begins.recv().unwrap();
            thread::sleep(delay);
            let at = Instant::now();
            flag.cancel();
            at
        });
        let done = engine
            .decode(&request, &cancel, &mut |delta| {
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
fn cancel_returns_at_once_and_the_next_request_works() {
    let _clock = alone();
    check(|engine| {
        // While the prompt is computed: about three seconds with the model.
        let prompt = user(&"Consider the following facts about the sea and the sky. ".repeat(15));
        let (took, done) = cancel(engine, &prompt, false, Duration::from_millis(300));
        assert_eq!(done.stop, StopReason::Cancelled);
        assert!(done.tokens.is_empty());
        assert!(took < Duration::from_millis(200), "cancel took {took:?} in the prefill");
        // While the answer is written. The prompt goes on from the cancelled one, whose keys and values were kept.
        let longer = format!("{prompt}The sea");
        let (took, done) = cancel(engine, &longer, true, Duration::from_millis(100));
        assert_eq!(done.stop, StopReason::Cancelled);
        assert!(!done.tokens.is_empty());
        assert!(took < Duration::from_millis(200), "cancel took {took:?} in the answer");
        let (done, _) = run(engine, &request(engine, &user("Say yes."), 3));
        assert_eq!(done.tokens.len(), 3);
    });
    // A request that was cancelled beforehand does nothing.
    let cancel = CancelFlag::new();
    cancel.cancel();
    let done = smollm2().decode(&request(smollm2(), &user("Hi"), 5), &cancel, &mut |_| ()).unwrap();
    assert_eq!((done.stop, done.tokens.len()), (StopReason::Cancelled, 0));
}

#[test]
fn a_cancelled_prefill_is_not_lost() {
    let _clock = alone();
    let engine = smollm2();
    let prompt = user(&"Remember the number 41 and the colour green. ".repeat(8));
    let tokens = engine.tokenize(&prompt, true).unwrap();
    let (_, done) = cancel(engine, &prompt, false, Duration::from_millis(100));
    assert_eq!(done.stop, StopReason::Cancelled);
    let longer = engine.tokenize(&format!("{prompt}Green"), true).unwrap();
    let (done, deltas) = run(engine, &of_tokens(longer.clone(), 2));
    assert!(done.usage.reused as usize >= tokens.len() - 1, "{:?}", done.usage);
    assert_eq!(deltas[0], Delta::Prefill { prefilled: done.usage.prefilled, reused: done.usage.reused });
}

#[test]
fn a_grammar_is_obeyed_and_its_end_ends_the_answer() {
    check(|engine| {
        for question in ["Describe a person as JSON.", "Say hello.", "x"] {
            let (done, _) = run(engine, &under(request(engine, &user(question), 120), PERSON));
            assert_eq!(done.stop, StopReason::Stop, "{}", done.text);
            let value: serde_json::Value =
                serde_json::from_str(&done.text).unwrap_or_else(|e| panic!("{e}: {}", done.text));
            assert!(value["name"].is_string() && value["age"].is_u64(), "{value}");
        }
    });
}

#[test]
fn free_text_stays_free_beside_calls() {
    check(|engine| {
        let (said, _) = run(engine, &under(request(engine, &user("Please say hello."), 60), TEXT_OR_CALL));
        assert!(!said.text.starts_with(['{', '<', '`']), "{}", said.text);
        assert!(!said.text.is_empty());
        // Pushed to begin with a brace, it can only write the call.
        let forced = TEXT_OR_CALL.replace("start: text | call", "start: call");
        let (call, _) =
            run(engine, &under(request(engine, &user("Which city is the capital of France?"), 60), &forced));
        assert_eq!(call.stop, StopReason::Stop, "{}", call.text);
        let json = call.text.trim_start_matches("```json\n").trim_end_matches("\n```");
        let value: serde_json::Value =
            serde_json::from_str(json).unwrap_or_else(|e| panic!("{e}: {}", call.text));
        assert!(value["city"].is_string(), "{value}");
    });
}

#[test]
fn a_bad_grammar_is_an_error_and_the_engine_lives_on() {
    check(|engine| {
        for lark in ["start: (", "start: nowhere", "", "start: %json { \"type\": 7 }", "start: /[/"] {
            let bad = under(request(engine, &user("Hi"), 5), lark);
            let error = engine.decode(&bad, &CancelFlag::new(), &mut |_| ()).unwrap_err();
            assert!(matches!(error, EngineError::Grammar(_)), "{lark:?}: {error}");
        }
        run(engine, &request(engine, &user("Hi"), 2));
    });
}

#[test]
fn a_shared_prefix_is_reused_and_counted() {
    let _clock = alone();
    check(|engine| {
        let system = format!(
            "<|im_start|>system\n{}<|im_end|>\n",
            "You are a careful clerk in the harbour office. ".repeat(9)
        );
        let first = request(engine, &format!("{system}{}", user("What is two plus two?")), 4);
        let second = request(engine, &format!("{system}{}", user("Name a ship.")), 4);
        let (cold, _) = run(engine, &first);
        let (warm, deltas) = run(engine, &second);
        let (a, b) = (&first.layout[0].tokens, &second.layout[0].tokens);
        let shared = a.iter().zip(b.iter()).take_while(|(x, y)| x == y).count();
        assert_eq!(cold.usage.prefilled + cold.usage.reused, u32::try_from(a.len()).unwrap());
        assert_eq!(warm.usage.prefilled + warm.usage.reused, u32::try_from(b.len()).unwrap());
        assert_eq!(warm.usage.reused as usize, shared);
        assert_eq!(deltas[0], Delta::Prefill { prefilled: warm.usage.prefilled, reused: warm.usage.reused });
        assert!(
            warm.usage.first_token_ms * 3 < cold.usage.first_token_ms,
            "{:?} after {:?}",
            warm.usage,
            cold.usage
        );
    });
}

#[test]
fn a_seed_repeats_and_seeds_differ() {
    let engine = smollm2();
    let mut request = request(engine, &user("Write one sentence about the moon."), 16);
    let mut texts = Vec::new();
    for seed in [1, 1, 2, 3] {
        request.sampling = Sampling { temperature: 1.0, top_p: 0.95, seed };
        texts.push(run(engine, &request).0.text);
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts[2] != texts[0] || texts[3] != texts[0], "{texts:?}");
}

#[test]
fn a_script_says_what_it_missed() {
    use lucid_engine::{Exchange, Expect};
    let engine = Scripted::new([
        Exchange::containing("ping", "pong"),
        Exchange { expect: Expect::EndsWith("!".into()), reply: "yes<|im_end|>never shown".into() },
        Exchange::containing("ping", "pong"),
    ]);
    assert_eq!(&*run(&engine, &request(&engine, "ping", 9)).0.text, "pong");
    assert_eq!(&*run(&engine, &request(&engine, "really!", 9)).0.text, "yes");
    let error = engine.decode(&request(&engine, "other", 9), &CancelFlag::new(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("exchange 2"), "{error}");
    let error = engine.decode(&request(&engine, "more", 9), &CancelFlag::new(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("at its end"), "{error}");
    let liar = Scripted::new([Exchange::any("{\"name\": 5"), Exchange::any("{")]);
    for part in ["may not follow", "ends before"] {
        let error = liar
            .decode(&under(request(&liar, "x", 50), PERSON), &CancelFlag::new(), &mut |_| ())
            .unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
}
