//! What servers may do wrong, done by a server that can do all of it.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::fake::{Fake, begin, closed_within, end, event, hang, respond, respond_with, say, text, write};
use common::{answer, connect, question, request, run, shaped};
use lucid_kernel::abi::{Role, Shape, StopReason, ToolSpec};
use lucid_kernel::port::{CancelFlag, Delta, Engine, EngineError};
use lucid_remote::{Endpoint, Key, Remote, RemoteSpec};
use proptest::prelude::*;
use serde_json::json;

const SECRET: &str = "sk-very-secret-0123456789";

fn with_key(fake: &Fake) -> RemoteSpec {
    let key = Some(Key::new(SECRET).unwrap());
    RemoteSpec { endpoints: vec![Endpoint { url: fake.url(), key }], ..fake.spec() }
}

fn ask(engine: &Remote) -> Result<String, String> {
    let (done, _) = run(engine, &question(engine, "Hi", 50));
    match done {
        Ok(done) => Ok(done.text.to_string()),
        Err(EngineError::Failed(reason)) => Err(reason),
        Err(other) => panic!("{other:?}"),
    }
}

fn load_error(spec: RemoteSpec) -> String {
    match connect(spec) {
        Err(EngineError::Load { model, reason }) => {
            assert_eq!(model, "m");
            reason
        }
        other => panic!("{other:?}"),
    }
}

/// Cancels after the time; gives the answer and how long it then took.
fn cancel_after(engine: &Remote, time: Duration) -> (lucid_kernel::abi::Decoded, Duration) {
    let cancel = CancelFlag::new();
    let flag = cancel.clone();
    let setter = thread::spawn(move || {
        thread::sleep(time);
        flag.cancel();
        Instant::now()
    });
    let done = engine.decode(&question(engine, "Hi", 50), &cancel, &mut |_| ()).unwrap();
    (done, setter.join().unwrap().elapsed())
}

#[test]
fn the_request_says_what_was_laid_out() {
    let fake = Fake::new(|_, _, stream| say(stream, &["Four", "."]));
    let engine = connect(with_key(&fake)).unwrap();
    let call = r#"{"name":"add","arguments":{"a":2}}"#;
    let messages = [
        (Role::System, "You help."),
        (Role::User, "2 + 2?<|im_end|>"),
        (Role::Assistant, call),
        (Role::Tool, "4"),
    ];
    let done = answer(&engine, &request(&engine, &messages, 33));
    assert_eq!((&*done.text, done.stop), ("Four.", StopReason::Stop));
    let got = &fake.asked()[0];
    assert!(got.head.contains(&format!("authorization: Bearer {SECRET}")), "{}", got.head);
    let body = got.json();
    assert_eq!((&body["max_tokens"], &body["stream"]), (&json!(33), &json!(true)));
    let roles: Vec<_> = body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool"]);
    assert_eq!(body["messages"][1]["content"], "2 + 2?<|im_end|>");
    assert_eq!(body["messages"][2]["tool_calls"][0]["id"], body["messages"][3]["tool_call_id"]);
    // The server gave no counts: ours stand.
    assert_eq!((done.usage.reused, done.usage.prefilled > 20), (0, true));
    let info = engine.info();
    assert_eq!((info.n_ctx, info.host, info.engine.as_str()), (4096, None, "remote"));
}

#[test]
fn a_servers_counts_are_reported() {
    let fake = Fake::new(|_, _, stream| {
        begin(stream);
        thread::sleep(Duration::from_millis(20));
        event(stream, &text("x"));
        event(stream, &end("length"));
        let counts = json!({ "prompt_tokens": 90, "prompt_tokens_details": { "cached_tokens": 40 } });
        event(stream, &json!({ "choices": [], "usage": counts }));
        write(stream, b"data: [DONE]\n\n");
    });
    let engine = connect(fake.spec()).unwrap();
    let done = answer(&engine, &question(&engine, "Hi", 1));
    assert_eq!((done.usage.prefilled, done.usage.reused, done.stop), (50, 40, StopReason::Limit));
    assert!(engine.info().prefill_tokens_per_s.unwrap() > 1.0);
}

#[test]
fn any_cut_of_the_stream_gives_the_same_answer() {
    let fake = Fake::new(|_, _, stream| {
        begin(stream);
        let whole = format!(
            ": ping\r\n\r\ndata: {}\r\n\r\n: ping\ndata: {}\n\ndata: {}\r\rdata: [DONE]\n\n",
            text("Grüße, "),
            text("世界 👩‍👩‍👧"),
            end("stop")
        );
        for byte in whole.bytes() {
            write(stream, &[byte]);
            thread::sleep(Duration::from_micros(200));
        }
    });
    let engine = connect(fake.spec()).unwrap();
    assert_eq!(ask(&engine).unwrap(), "Grüße, 世界 👩‍👩‍👧");
}

#[test]
fn a_call_comes_back_as_the_kernel_reads_it() {
    let fake = Fake::new(|number, _, stream| {
        begin(stream);
        let part = |name: Option<&str>, arguments: &str| {
            json!({ "choices": [{ "delta": { "tool_calls": [
                { "index": 0, "id": "x", "function": { "name": name, "arguments": arguments } }] } }] })
        };
        event(stream, &part(Some("add"), ""));
        event(stream, &part(None, "{\"a\": "));
        event(stream, &part(None, if number == 0 { "1 }" } else { "oops" }));
        event(stream, &end("tool_calls"));
        write(stream, b"data: [DONE]\n\n");
    });
    let engine = connect(fake.spec()).unwrap();
    let spec = ToolSpec {
        wants: Vec::new(),
        described: None,
        name: "add".into(),
        description: "Adds.".into(),
        keywords: Vec::new(),
        parameters: json!({ "type": "object" }),
    };
    let shape = Shape::Calls { tools: vec![spec], or_text: true, several: false };
    let request = shaped(question(&engine, "1?", 50), shape);
    assert_eq!(&*answer(&engine, &request).text, r#"{"name":"add","arguments":{"a":1}}"#);
    assert_eq!(&*answer(&engine, &request).text, r#"{"name":"add","arguments":{"a": oops}"#);
    assert_eq!(fake.asked()[0].json()["tool_choice"], "auto");
}

#[test]
fn too_many_requests_are_tried_again_when_the_server_says() {
    let fake = Fake::new(|number, _, stream| match number {
        0 => respond_with(stream, "429 Too Many Requests", "Retry-After: 1\r\n", "{}"),
        _ => say(stream, &["ok"]),
    });
    let engine = connect(fake.spec()).unwrap();
    let begun = Instant::now();
    assert_eq!(ask(&engine).unwrap(), "ok");
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn a_server_that_fails_once_is_tried_again() {
    let fake = Fake::new(|number, _, stream| match number {
        0 => respond(stream, "500 Internal Server Error", "text/plain", "oops"),
        // Closed before anything, and before any text.
        1 => {}
        2 => {
            begin(stream);
            event(stream, &json!({ "choices": [{ "delta": { "role": "assistant" } }] }));
        }
        _ => say(stream, &["ok"]),
    });
    let engine = connect(RemoteSpec { retries: 3, ..fake.spec() }).unwrap();
    assert_eq!(ask(&engine).unwrap(), "ok");
    assert_eq!(fake.asked().len(), 4);
}

#[test]
fn a_server_that_always_fails_is_an_error_without_the_key() {
    let fake = Fake::new(|_, got, stream| {
        let body = format!("{}\n{}", got.head, "x".repeat(100_000));
        respond(stream, "500 Internal Server Error", "text/plain", &body);
    });
    let engine = connect(with_key(&fake)).unwrap();
    let error = ask(&engine).unwrap_err();
    assert!(error.contains("500") && error.contains("after 3 tries"), "{error}");
    assert!(error.contains("[key]") && !error.contains(SECRET), "{error}");
    assert!(error.len() < 1000, "{}", error.len());
    assert!(!format!("{engine:?}").contains(SECRET));
    assert_eq!(fake.asked().len(), 3);
}

#[test]
fn a_server_that_never_answers_is_an_error_in_time() {
    let (gone, is_gone) = mpsc::channel();
    let fake = Fake::new(move |_, _, stream| hang(stream, &gone));
    let mut spec = fake.spec();
    spec.timeouts.first_byte = Duration::from_millis(300);
    let engine = connect(spec).unwrap();
    let begun = Instant::now();
    let error = ask(&engine).unwrap_err();
    assert!(error.contains("sent nothing for 0.3 s") && error.contains("first_byte"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(is_gone.recv_timeout(Duration::from_secs(2)).unwrap(), "the connection stays open");
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn a_server_that_stops_in_its_answer_is_an_error_in_time() {
    let (gone, is_gone) = mpsc::channel();
    let fake = Fake::new(move |_, _, stream| {
        begin(stream);
        event(stream, &text("Once"));
        hang(stream, &gone);
    });
    let mut spec = fake.spec();
    spec.timeouts.idle = Duration::from_millis(300);
    let engine = connect(spec).unwrap();
    let (done, shown) = run(&engine, &question(&engine, "Hi", 50));
    let error = done.unwrap_err().to_string();
    assert!(error.contains("idle") && error.contains("tried again"), "{error}");
    assert_eq!(shown, "Once");
    assert!(is_gone.recv_timeout(Duration::from_secs(2)).unwrap(), "the connection stays open");
}

#[test]
fn an_answer_that_breaks_off_is_an_error_and_the_next_works() {
    let fake = Fake::new(|number, _, stream| {
        if number == 1 {
            return say(stream, &["ok"]);
        }
        begin(stream);
        event(stream, &text("Once upon"));
        write(stream, b"data: {\"choices\": [{\"del");
    });
    let engine = connect(fake.spec()).unwrap();
    let error = ask(&engine).unwrap_err();
    assert!(error.contains("broke off") && error.contains("tried again"), "{error}");
    assert_eq!(ask(&engine).unwrap(), "ok");
}

#[test]
fn an_answer_without_the_last_mark_is_whole() {
    let fake = Fake::new(|_, _, stream| {
        begin(stream);
        event(stream, &text("Done."));
        write(stream, format!("data: {}", end("stop")).as_bytes());
    });
    assert_eq!(ask(&connect(fake.spec()).unwrap()).unwrap(), "Done.");
}

#[test]
fn what_is_no_stream_of_answers_is_told() {
    for (sent, expected) in [
        ("data: {oops}\n\n", "no JSON of a chat completion"),
        ("data: [1]\n\n", "no JSON of a chat completion"),
        (
            "data: {\"error\":{\"message\":\"out of memory\"}}\n\n",
            "reported an error in the middle of its answer: out of memory",
        ),
        ("event: error\ndata: lost it\n\n", "lost it"),
        ("error: {\"message\":\"slot gone\"}\n\n", "slot gone"),
    ] {
        let fake = Fake::new(move |_, _, stream| {
            begin(stream);
            event(stream, &text("Once"));
            write(stream, sent.as_bytes());
            closed_within(stream, Duration::from_secs(5));
        });
        let error = ask(&connect(fake.spec()).unwrap()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let fake = Fake::new(|_, _, stream| {
        respond(stream, "200 OK", "application/json", r#"{"error":{"message":"no streams here"}}"#);
    });
    let error = ask(&connect(fake.spec()).unwrap()).unwrap_err();
    assert!(error.contains("no streams here"), "{error}");
}

#[test]
fn lines_and_answers_have_a_limit() {
    let fake = Fake::new(|_, _, stream| {
        begin(stream);
        write(stream, b"data: ");
        for _ in 0..40 {
            write(stream, &[b'x'; 64 * 1024]);
        }
        closed_within(stream, Duration::from_secs(5));
    });
    let error = ask(&connect(fake.spec()).unwrap()).unwrap_err();
    assert!(error.contains("1048576 bytes as one event"), "{error}");
    let fake = Fake::new(|_, _, stream| {
        begin(stream);
        let much = text(&"word ".repeat(100_000));
        for _ in 0..20 {
            event(stream, &much);
        }
        closed_within(stream, Duration::from_secs(5));
    });
    let error = ask(&connect(fake.spec()).unwrap()).unwrap_err();
    assert!(error.contains("8388608 bytes"), "{error}");
}

#[test]
fn a_request_is_not_sent_on_to_another_host() {
    let other = Fake::new(|_, _, stream| say(stream, &["thief"]));
    let to = other.url();
    let fake = Fake::new(move |_, _, stream| {
        let headers = format!("Location: {to}/v1/chat/completions\r\n");
        respond_with(stream, "307 Temporary Redirect", &headers, "");
    });
    let error = ask(&connect(with_key(&fake)).unwrap()).unwrap_err();
    assert!(error.contains(&other.url()) && error.contains("trust"), "{error}");
    assert!(other.got.lock().unwrap().is_empty());
}

#[test]
fn a_request_is_sent_on_within_its_host() {
    let fake = Fake::new(|_, got, stream| {
        if got.line.starts_with("POST /moved") {
            return say(stream, &["ok"]);
        }
        respond_with(stream, "308 Permanent Redirect", "Location: /moved\r\n", "");
    });
    assert_eq!(ask(&connect(with_key(&fake)).unwrap()).unwrap(), "ok");
    let moved = &fake.asked()[1];
    assert!(moved.head.contains(SECRET) && moved.body.contains("Hi"));
}

#[test]
fn cancel_closes_the_connection_at_once() {
    let (gone, is_gone) = mpsc::channel();
    let fake = Fake::new(move |number, _, stream| {
        if number == 1 {
            begin(stream);
            event(stream, &text("Once"));
        }
        hang(stream, &gone);
    });
    let engine = connect(fake.spec()).unwrap();
    for said in ["", "Once"] {
        let (done, took) = cancel_after(&engine, Duration::from_millis(300));
        assert_eq!((&*done.text, done.stop), (said, StopReason::Cancelled));
        assert!(took < Duration::from_millis(200), "{took:?}");
        assert!(is_gone.recv_timeout(Duration::from_millis(500)).unwrap(), "the connection stays open");
    }
    let cancelled = CancelFlag::new();
    cancelled.cancel();
    let done = engine.decode(&question(&engine, "Hi", 5), &cancelled, &mut |_| ()).unwrap();
    assert_eq!((done.stop, done.tokens.len(), fake.asked().len()), (StopReason::Cancelled, 0, 2));
}

#[test]
fn cancel_ends_the_wait_for_another_try() {
    let fake = Fake::new(|_, _, stream| {
        respond_with(stream, "429 Too Many Requests", "Retry-After: 100000\r\n", "{}");
    });
    let engine = connect(fake.spec()).unwrap();
    let (done, took) = cancel_after(&engine, Duration::from_millis(300));
    assert_eq!(done.stop, StopReason::Cancelled);
    assert!(took < Duration::from_millis(200), "{took:?}");
}

#[test]
fn another_endpoint_answers_for_one_that_fails() {
    let good = Fake::new(|_, _, stream| say(stream, &["good"]));
    let bad = Fake::new(|_, _, stream| respond(stream, "503 Service Unavailable", "text/plain", "busy"));
    let endpoint = |fake: &Fake| Endpoint { url: fake.url(), key: None };
    let spec = RemoteSpec { endpoints: vec![endpoint(&bad), endpoint(&good)], ..bad.spec() };
    let engine = connect(spec).unwrap();
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(ask(&engine).unwrap(), "good");
    }
    // It was asked once and then left alone.
    assert_eq!((bad.asked().len(), good.asked().len()), (1, 4));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn several_endpoints_share_the_load() {
    let slow = || {
        Fake::new(|_, _, stream| {
            thread::sleep(Duration::from_millis(200));
            say(stream, &["ok"]);
        })
    };
    let (a, b) = (slow(), slow());
    let endpoint = |fake: &Fake| Endpoint { url: fake.url(), key: None };
    let engine = connect(RemoteSpec { endpoints: vec![endpoint(&a), endpoint(&b)], ..a.spec() }).unwrap();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(ask(&engine).unwrap(), "ok"));
        }
    });
    assert_eq!((a.asked().len(), b.asked().len()), (3, 3));
}

#[test]
fn a_refusal_of_what_the_answer_is_held_to_says_so() {
    let fake = Fake::new(|_, _, stream| {
        let body = r#"{"error":{"message":"tools are not supported","code":400}}"#;
        respond(stream, "400 Bad Request", "application/json", body);
    });
    let engine = connect(fake.spec()).unwrap();
    let shape = Shape::Value { schema: json!({ "type": "string" }) };
    let (done, _) = run(&engine, &shaped(question(&engine, "Hi", 9), shape));
    let Err(EngineError::Grammar(reason)) = done else { panic!("{done:?}") };
    assert!(reason.contains("response_format") && reason.contains("tools are not supported"), "{reason}");
    // The same refusal of a plain request has another reason.
    assert!(ask(&engine).unwrap_err().contains("400"));
    let lark = run(&engine, &shaped(question(&engine, "Hi", 9), Shape::Lark)).0;
    assert!(matches!(lark, Err(EngineError::Grammar(_))), "{lark:?}");
}

#[test]
fn a_prompt_that_the_server_finds_too_long_fills_the_window() {
    let fake = Fake::new(|_, _, stream| {
        let body = r#"{"object":"error","message":"This model's maximum context length is 2048 tokens. However, you requested 3000 tokens"}"#;
        respond(stream, "400 Bad Request", "application/json", body);
    });
    let engine = connect(fake.spec()).unwrap();
    let (done, _) = run(&engine, &question(&engine, "Hi", 9));
    assert!(matches!(done, Err(EngineError::WindowFull { prompt: 3000, window: 2048 })), "{done:?}");
}

#[test]
fn what_is_wrong_with_the_settings_is_said_at_the_start() {
    let fake = Fake::with_models(json!({ "data": [{ "id": "m" }, { "id": "n" }] }), |_, _, _| ());
    let error = load_error(fake.spec());
    assert!(error.contains("set `window`"), "{error}");
    let given = connect(RemoteSpec { window: Some(1000), ..fake.spec() }).unwrap();
    assert_eq!(given.info().n_ctx, 1000);
    let wrong = RemoteSpec { model: "x".into(), ..fake.spec() };
    let error = load_error(wrong);
    assert!(error.contains("no model \"x\"") && error.contains("m, n"), "{error}");
    for url in ["localhost:8080", "", "ftp://x"] {
        let error = load_error(RemoteSpec { name: "m".into(), ..RemoteSpec::new("m", url) });
        assert!(error.contains("http://localhost:8080"), "{error}");
    }
    assert!(load_error(RemoteSpec { endpoints: Vec::new(), ..fake.spec() }).contains("endpoints"));
    let locked = Fake::serving(|_, got, stream| {
        respond(stream, "401 Unauthorized", "text/plain", &format!("bad key: {}", got.head));
    });
    let error = load_error(with_key(&locked));
    assert!(error.contains("401") && error.contains("`key`") && !error.contains(SECRET), "{error}");
    assert_eq!(locked.got.lock().unwrap().len(), 1, "a refused key is not tried again");
    let smaller = Fake::new(|_, _, _| ());
    assert_eq!(connect(RemoteSpec { window: Some(99), ..smaller.spec() }).unwrap().info().n_ctx, 99);
    assert_eq!(connect(RemoteSpec { window: Some(9999), ..smaller.spec() }).unwrap().info().n_ctx, 4096);
}

#[test]
fn a_server_that_is_starting_is_waited_for() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let fake = Fake::serving(move |_, _, stream| {
        if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
            return respond(stream, "503 Service Unavailable", "text/plain", "Loading model");
        }
        respond(
            stream,
            "200 OK",
            "application/json",
            r#"{"data":[{"id":"m","owned_by":"vllm","max_model_len":7}]}"#,
        );
    });
    let info = connect(fake.spec()).unwrap().info();
    assert_eq!((info.engine.as_str(), info.n_ctx), ("vLLM", 7));
}

#[test]
fn text_is_shown_as_it_comes() {
    let (go, goes) = mpsc::channel::<()>();
    let goes = Mutex::new(goes);
    let fake = Fake::new(move |_, _, stream| {
        begin(stream);
        event(stream, &text("first"));
        goes.lock().unwrap().recv().unwrap();
        event(stream, &text(" second"));
        event(stream, &end("stop"));
    });
    let engine = connect(fake.spec()).unwrap();
    let mut shown = Vec::new();
    let done = engine.decode(&question(&engine, "Hi", 9), &CancelFlag::new(), &mut |delta| {
        if delta == Delta::Text("first".into()) {
            go.send(()).unwrap();
        }
        shown.push(delta);
    });
    assert_eq!(&*done.unwrap().text, "first second");
    assert!(matches!(shown[0], Delta::Prefill { reused: 0, .. }));
    assert_eq!(shown[1..], [Delta::Text("first".into()), Delta::Text(" second".into())]);
}

/// Pieces that arbitrary streams are made of, so that some of them get far.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let line = |value: serde_json::Value| format!("data: {value}\n\n").into_bytes();
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n".to_vec()),
        Just(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: -1\r\n\r\n".to_vec()),
        Just(line(text("wörd"))),
        Just(line(end("stop"))),
        Just(b"data: [DONE]\r\n\r\n".to_vec()),
        Just(b"data: ".to_vec()),
    ]
}

#[test]
fn no_answer_of_a_server_hangs_or_panics() {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let sends = Arc::clone(&sent);
    let fake = Fake::new(move |_, _, stream| {
        let bytes: Vec<u8> = sends.lock().unwrap_or_else(PoisonError::into_inner).clone();
        write(stream, &bytes);
    });
    let engine = connect(RemoteSpec { retries: 0, ..fake.spec() }).unwrap();
    let framed = prop::collection::vec(piece(), 0..6);
    proptest!(ProptestConfig::with_cases(200), |(pieces in framed, good_head: bool)| {
        let mut bytes = pieces.concat();
        if good_head {
            bytes.splice(0..0, *b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
        }
        *sent.lock().unwrap() = bytes;
        let begun = Instant::now();
        let (done, shown) = run(&engine, &question(&engine, "Hi", 50));
        prop_assert!(begun.elapsed() < Duration::from_secs(3));
        if let Ok(done) = done {
            prop_assert_eq!(&*done.text, shown);
        }
    });
}

#[test]
fn a_server_without_tls_is_no_https_endpoint() {
    let fake = Fake::new(|_, _, stream| say(stream, &["ok"]));
    let url = fake.url().replace("http:", "https:");
    let endpoint = Endpoint { url, key: Some(Key::new(SECRET).unwrap()) };
    let error = load_error(RemoteSpec { endpoints: vec![endpoint], retries: 0, ..fake.spec() });
    assert!(error.contains("cannot be reached"), "{error}");
    assert!(fake.got.lock().unwrap().iter().all(|got| !got.head.contains(SECRET)));
}

#[test]
fn it_can_be_used_and_dropped_where_waiting_is_not_allowed() {
    let fake = Fake::new(|_, _, stream| say(stream, &["ok"]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let engine = connect(fake.spec()).unwrap();
        assert_eq!(ask(&engine).unwrap(), "ok");
        drop(engine);
    });
}
