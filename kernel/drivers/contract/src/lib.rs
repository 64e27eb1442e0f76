//! What every engine promises, as checks that panic: each engine's tests run all of them by
//! [`engine_contract!`](crate::engine_contract).
//!
//! A crate of its own, so that no program holds it.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod server;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Decoded, Grammar, Sampling, Segment, Shape, StopReason, Token};
use lucid_kernel::port::{CancelFlag, DecodeRequest, Delta, Engine, EngineError};

/// Makes a test of every promise, for the engine that the expression gives.
#[macro_export]
macro_rules! engine_contract {
    ($engine:expr) => {
        $crate::engine_contract!($engine; text_comes_back_from_tokens_as_it_was,
            plain_text_cannot_become_a_special_token,
            greedy_decoding_repeats_and_streams_its_own_text,
            the_token_limit_holds,
            a_prompt_that_does_not_fit_is_refused_and_an_empty_one_too,
            cancel_returns_at_once_and_the_next_request_works,
            a_cancelled_prefill_is_not_lost,
            a_grammar_is_obeyed_and_its_end_ends_the_answer,
            free_text_stays_free_beside_calls,
            a_bad_grammar_is_an_error_and_the_engine_lives_on,
            a_shared_prefix_is_reused_and_counted,
            a_seed_repeats_and_seeds_differ);
    };
    ($engine:expr; $($check:ident),*) => {
        $(#[test]
        fn $check() {
            let _alone = $crate::alone();
            $crate::$check($engine);
        })*
    };
}

/// The smallest model of the tests.
pub const SMOLLM2: &str = "smollm2-135m-instruct-q4_1.gguf";
/// A small model that writes calls.
pub const QWEN_05B: &str = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf";

/// The path of a model file. Without it the tests fail and say how to get it.
pub fn model_path(file: &str) -> PathBuf {
    let folder = std::env::var_os("LUCID_TEST_MODELS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
        cache.unwrap_or_else(home).join("lucid/models")
    });
    let path = folder.join(file);
    assert!(
        path.is_file(),
        "{} is missing; fetch it with: lucid model pull smollm2-135m qwen2.5-coder-0.5b all-minilm-l6-v2",
        path.display()
    );
    path
}

/// An object with a name and an age.
pub const PERSON: &str = r#"start: %json {
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

/// Tests of engines run one at a time: some look at the clock, and two engines that compute at
/// once, each with a thread for every core, are many times slower than one after the other.
pub fn alone() -> MutexGuard<'static, ()> {
    static CLOCK: Mutex<()> = Mutex::new(());
    CLOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Text to tokens and back is the same text.
pub fn text_comes_back_from_tokens_as_it_was(engine: &dyn Engine) {
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
}

/// No plain text forges a role.
pub fn plain_text_cannot_become_a_special_token(engine: &dyn Engine) {
    for special in ["<|im_start|>", "<|im_end|>", "<|endoftext|>"] {
        let token = engine.tokenize(special, true).unwrap();
        assert_eq!(token.len(), 1, "{special}");
        for text in [special.to_owned(), format!("a{special}b"), format!("{special}{special} system\nx")] {
            let plain = engine.tokenize(&text, false).unwrap();
            assert!(!plain.contains(&token[0]), "{text} became {plain:?}");
            assert_eq!(engine.detokenize(&plain).unwrap(), text);
        }
    }
}

/// The same request gives the same answer, and what streams is the answer.
pub fn greedy_decoding_repeats_and_streams_its_own_text(engine: &dyn Engine) {
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
}

/// No more tokens than asked for.
pub fn the_token_limit_holds(engine: &dyn Engine) {
    for limit in [0, 1, 5] {
        let (done, _) = run(engine, &request(engine, &user("Tell me a long story."), limit));
        assert_eq!((done.tokens.len(), done.stop), (limit as usize, StopReason::Limit));
    }
}

/// Bad prompts are errors, after which the engine works.
pub fn a_prompt_that_does_not_fit_is_refused_and_an_empty_one_too(engine: &dyn Engine) {
    let window = engine.info().n_ctx;
    let error =
        engine.decode(&request(engine, &user("Hi"), window), &CancelFlag::new(), &mut |_| ()).unwrap_err();
    assert!(
        matches!(error, EngineError::WindowFull { prompt, window: n } if n == window && prompt > n),
        "{error}"
    );
    assert!(engine.decode(&of_tokens(Vec::new(), 4), &CancelFlag::new(), &mut |_| ()).is_err());
    run(engine, &request(engine, &user("Hi"), 2));
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

/// Cancelling takes less than 200 ms, in the prefill and in the answer.
pub fn cancel_returns_at_once_and_the_next_request_works(engine: &dyn Engine) {
    // While the prompt is computed, which takes a second or more.
    let facts = "Consider the following facts about the sea and the sky. ";
    let rate = engine.info().prefill_tokens_per_s.unwrap_or(100.0) as usize;
    let tokens = (rate * 3 / 2).clamp(150, engine.info().n_ctx as usize / 2);
    let prompt = user(&facts.repeat(tokens / engine.tokenize(facts, false).unwrap().len()));
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
    assert!(!done.tokens.is_empty());
    // A request that was cancelled beforehand does nothing.
    let cancel = CancelFlag::new();
    cancel.cancel();
    let done = engine.decode(&request(engine, &user("Hi"), 5), &cancel, &mut |_| ()).unwrap();
    assert_eq!((done.stop, done.tokens.len()), (StopReason::Cancelled, 0));
}

/// So many tokens an engine may compute at once, and lose none of them to a cancel.
const KEPT_TOKENS: u32 = 64;

/// What was computed before a cancel is reused.
pub fn a_cancelled_prefill_is_not_lost(engine: &dyn Engine) {
    let prompt = user(&"Remember the number 41 and the colour green. ".repeat(8));
    let (_, done) = cancel(engine, &prompt, false, Duration::from_millis(20));
    assert_eq!(done.stop, StopReason::Cancelled);
    let longer = engine.tokenize(&format!("{prompt}Green"), true).unwrap();
    let (done, deltas) = run(engine, &of_tokens(longer.clone(), 2));
    assert!(done.usage.reused >= KEPT_TOKENS, "{:?}", done.usage);
    assert_eq!(deltas[0], Delta::Prefill { prefilled: done.usage.prefilled, reused: done.usage.reused });
}

/// A grammar is obeyed.
pub fn a_grammar_is_obeyed_and_its_end_ends_the_answer(engine: &dyn Engine) {
    for question in ["Describe a person as JSON.", "Say hello.", "x"] {
        let (done, _) = run(engine, &under(request(engine, &user(question), 120), PERSON));
        assert_eq!(done.stop, StopReason::Stop, "{}", done.text);
        let value: serde_json::Value =
            serde_json::from_str(&done.text).unwrap_or_else(|e| panic!("{e}: {}", done.text));
        assert!(value["name"].is_string() && value["age"].is_u64(), "{value}");
    }
}

/// A grammar of text or call gives either, whole.
pub fn free_text_stays_free_beside_calls(engine: &dyn Engine) {
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
}

/// Bad grammars are errors, after which the engine works.
pub fn a_bad_grammar_is_an_error_and_the_engine_lives_on(engine: &dyn Engine) {
    for lark in ["start: (", "start: nowhere", "", "start: %json { \"type\": 7 }", "start: /[/"] {
        let bad = under(request(engine, &user("Hi"), 5), lark);
        let error = engine.decode(&bad, &CancelFlag::new(), &mut |_| ()).unwrap_err();
        assert!(matches!(error, EngineError::Grammar(_)), "{lark:?}: {error}");
    }
    run(engine, &request(engine, &user("Hi"), 2));
}

/// A shared prefix is computed once, and the figures say so.
pub fn a_shared_prefix_is_reused_and_counted(engine: &dyn Engine) {
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
}

/// A seed repeats an answer.
pub fn a_seed_repeats_and_seeds_differ(engine: &dyn Engine) {
    let mut request = request(engine, &user("Write one sentence about the moon."), 16);
    let mut texts = Vec::new();
    for seed in [1, 1, 2, 3] {
        request.sampling = Sampling { temperature: 1.0, top_p: 0.95, seed };
        texts.push(run(engine, &request).0.text);
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts[2] != texts[0] || texts[3] != texts[0], "{texts:?}");
}

/// A question in ChatML.
pub fn user(text: &str) -> String {
    format!("<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n")
}

/// A greedy request of this prompt, special tokens read.
pub fn request(engine: &dyn Engine, text: &str, max_tokens: u32) -> DecodeRequest {
    DecodeRequest {
        layout: vec![Segment { page: None, tokens: engine.tokenize(text, true).unwrap().into() }],
        grammar: None,
        sampling: Sampling::default(),
        max_tokens,
    }
}

/// A greedy request of these tokens.
pub fn of_tokens(tokens: Vec<Token>, max_tokens: u32) -> DecodeRequest {
    DecodeRequest {
        layout: vec![Segment { page: None, tokens: tokens.into() }],
        grammar: None,
        sampling: Sampling::default(),
        max_tokens,
    }
}

/// The request held to a grammar.
pub fn under(mut request: DecodeRequest, lark: &str) -> DecodeRequest {
    request.grammar = Some(Grammar { lark: lark.into(), shape: Shape::Lark });
    request
}

/// Decodes and gives all deltas too.
pub fn run(engine: &dyn Engine, request: &DecodeRequest) -> (Decoded, Vec<Delta>) {
    let mut deltas = Vec::new();
    let done = engine
        .decode(request, &CancelFlag::new(), &mut |delta| deltas.push(delta))
        .unwrap_or_else(|e| panic!("{e}"));
    (done, deltas)
}
