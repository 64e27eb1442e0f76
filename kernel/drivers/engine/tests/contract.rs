//! What every engine promises, held against the embedded one with a real model and against
//! the scripted one.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::smollm2;
use lucid_contract::{PERSON, request, run, under};
use lucid_engine::{Pace, Scripted};
use lucid_kernel::port::{CancelFlag, Engine};

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

mod embedded {
    lucid_contract::engine_contract!(super::smollm2());
}

mod scripted {
    // What is written by a script knows no seeds and loses a prefill that is cut off.
    lucid_contract::engine_contract!(&super::scripted(); text_comes_back_from_tokens_as_it_was,
        plain_text_cannot_become_a_special_token,
        greedy_decoding_repeats_and_streams_its_own_text,
        the_token_limit_holds,
        a_prompt_that_does_not_fit_is_refused_and_an_empty_one_too,
        cancel_returns_at_once_and_the_next_request_works,
        a_grammar_is_obeyed_and_its_end_ends_the_answer,
        free_text_stays_free_beside_calls,
        a_bad_grammar_is_an_error_and_the_engine_lives_on,
        a_shared_prefix_is_reused_and_counted);
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
