//! Time, memory, stack, output: a call ends with an error, and the host lives on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lucid_kernel::port::CancelFlag;
use lucid_tools::{Level, Limits, NoServices, Services};
use serde_json::{Value, json};

use crate::Rig;

fn quick() -> Rig {
    Rig::with(&[], Arc::new(NoServices), Limits { timeout_ms: 500, ..Limits::default() })
}

/// After whatever it tried, the next call is answered.
fn lives(rig: &Rig) {
    rig.gives("measure", json!({ "text": "abc" }), json!(3));
}

#[test]
fn a_call_that_does_not_end_is_ended() {
    let rig = quick();
    for (tool, arguments) in [("spin", json!({})), ("sleep", json!({ "seconds": 3600 }))] {
        let began = Instant::now();
        rig.fails(tool, arguments, "ran longer than 500 ms");
        assert!(began.elapsed() < Duration::from_secs(3), "{tool}: {:?}", began.elapsed());
    }
    lives(&rig);
}

#[test]
fn a_call_is_cancelled_at_once() {
    let rig = Rig::with(&[], Arc::new(NoServices), Limits { timeout_ms: 60_000, ..Limits::default() });
    for (tool, arguments) in [("spin", json!({})), ("sleep", json!({ "seconds": 3600 }))] {
        let cancel = CancelFlag::new();
        std::thread::scope(|threads| {
            let call = threads.spawn(|| rig.call_until(tool, arguments, &cancel));
            std::thread::sleep(Duration::from_millis(200));
            let began = Instant::now();
            cancel.cancel();
            let fault = call.join().expect("the call ends").unwrap_err();
            assert!(fault.message.contains("cancelled"), "{fault}");
            assert!(began.elapsed() < Duration::from_secs(2), "{tool}: {:?}", began.elapsed());
        });
    }
    lives(&rig);
}

#[test]
fn memory_and_stack_have_an_end() {
    let rig = Rig::new(&[]);
    rig.gives("eat", json!({ "mib": 8 }), json!(8));
    rig.fails("eat", json!({ "mib": 4_000 }), "more than 64 mib of memory");
    rig.gives("recurse", json!({ "depth": 100 }), json!(100));
    rig.fails("recurse", json!({ "depth": 1_000_000_000_000_u64 }), "called itself too deep");
    lives(&rig);
    // More is granted, and then it is there.
    let rig = Rig::new(&["memory:256"]);
    rig.gives("eat", json!({ "mib": 150 }), json!(150));
    rig.fails("eat", json!({ "mib": 400 }), "more than 256 mib of memory");
}

#[test]
fn results_and_arguments_have_an_end() {
    let rig = Rig::new(&[]);
    rig.fails("flood", json!({ "bytes": 100_000 }), "returned more than 64 kib");
    for (tool, arguments) in [
        ("flood", json!({ "bytes": 50_000_000 })),
        ("flood-lists", json!({ "lists": 1_000_000 })),
        ("measure", json!({ "text": "z".repeat(200 << 20) })),
    ] {
        let given = rig.call(tool, arguments);
        assert!(given.is_err(), "{tool} gave {:?}", given.map(|value| value.to_string().len()));
    }
    lives(&rig);
    let rig = Rig::new(&["output:1"]);
    assert_eq!(rig.call("flood", json!({ "bytes": 100_000 })).unwrap().as_str().unwrap().len(), 100_000);
}

/// Hears what a plugin says beside its results.
#[derive(Default)]
struct Heard(std::sync::Mutex<(usize, usize, Vec<String>)>);

impl Services for Heard {
    fn log(&self, _: &str, _: Level, message: &str) {
        self.0.lock().expect("the lock").0 += message.len();
    }

    fn progress(&self, _: &str, message: &str, done: Option<f64>) {
        let mut heard = self.0.lock().expect("the lock");
        heard.1 += 1;
        assert_eq!(done, None, "what is no number is no progress");
        heard.2.push(message.to_owned());
    }
}

#[test]
fn what_is_said_beside_the_result_is_bounded() {
    let heard = Arc::new(Heard::default());
    let rig = Rig::with(&[], Arc::clone(&heard) as Arc<dyn Services>, Limits::default());
    let began = Instant::now();
    rig.gives("chatter", json!({ "times": 5_000 }), json!(5_000));
    let (logged, told, words) = std::mem::take(&mut *heard.0.lock().unwrap());
    assert!(logged <= (64 << 10) + 8_000, "{logged} bytes of notes");
    let most = began.elapsed().as_millis() as usize / 50 + 1;
    assert!((1..=most).contains(&told), "{told} words on how far it is");
    assert!(words.iter().all(|words| words.len() < 900 && !words.contains(['\n', '\u{7}'])), "{words:?}");
}

#[test]
fn a_panic_is_told_in_its_own_words_and_an_exit_is_an_end() {
    let rig = Rig::new(&[]);
    rig.fails("panic", json!({ "words": "the moon is full" }), "the moon is full");
    rig.fails("panic", json!({ "words": "x".repeat(1 << 20) }), "panic");
    for well in [true, false] {
        let given = rig.call("leave", json!({ "well": well }));
        assert!(given.is_err(), "an exit gave {given:?}");
    }
    lives(&rig);
}

#[test]
fn many_calls_that_misbehave_at_once_harm_nobody() {
    let rig = quick();
    std::thread::scope(|threads| {
        for number in 0..12 {
            let rig = &rig;
            threads.spawn(move || {
                let given = match number % 4 {
                    0 => rig.call("spin", json!({})),
                    1 => rig.call("eat", json!({ "mib": 4_000 })),
                    2 => rig.call("recurse", json!({ "depth": 1_000_000_000_000_u64 })),
                    _ => rig.call("flood", json!({ "bytes": 50_000_000 })),
                };
                assert!(given.is_err());
            });
        }
    });
    lives(&rig);
}

#[test]
fn the_environment_holds_what_was_granted() {
    struct Env;
    impl Services for Env {
        fn env(&self, name: &str) -> Option<String> {
            (name != "GONE").then(|| format!("value of {name}"))
        }
    }
    let with = |granted: &[&str]| Rig::with(granted, Arc::new(Env), Limits::default());
    with(&[]).gives("environment", json!({}), json!([]));
    let granted = with(&["env:LANG", "env:GONE"]);
    granted.gives("environment", json!({}), json!(["LANG=value of LANG"]));
    let Value::Number(seconds) = with(&[]).call("clock", json!({})).unwrap() else { panic!("no number") };
    assert!(seconds.as_u64().unwrap() > 1_700_000_000);
}
