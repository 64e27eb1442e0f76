//! Several conversations at once: whose each notice is, what goes on behind, and how they end.

use super::*;
use crate::machine::api::{Beginning, PastTurn};

fn slow(replies: Vec<Exchange>) -> Scripted {
    let pace = Pace { decode_per_token: Duration::from_millis(15), ..Pace::default() };
    Scripted::new(replies).pace(pace)
}

fn foreground(notice: &Notice) -> Option<(Pid, Option<Beginning>)> {
    match notice {
        Notice::Foreground { pid, begun } => Some((*pid, *begun)),
        _ => None,
    }
}

fn ended(notice: &Notice) -> Option<(Pid, String)> {
    match notice {
        Notice::Ended { pid, report } => Some((*pid, report.answer.clone())),
        _ => None,
    }
}

#[test]
fn what_goes_on_behind_is_told_of_its_own_conversation() {
    let replies = vec![
        Exchange::containing("in front", "one two three four five six"),
        Exchange::containing("behind", "seven eight nine ten"),
        Exchange::any("later"),
    ];
    let mut rig = Rig::start(slow(replies), Calc::two(), |_| {});
    rig.ready();
    rig.say("Count in front.");
    rig.until("the first words", |notice| matches!(notice, Notice::Delta { .. }).then_some(()));
    // An answer is under way, and so the other one begins knowing nothing.
    let (text, options) = ("Count behind.".to_owned(), TurnOptions::default());
    rig.machine.commands.send(Command::Background { text, options }).unwrap();
    rig.until("the other one", |notice| {
        matches!(notice, Notice::Background { pid: Pid(2), text } if text == "Count behind.").then_some(())
    });
    let mut ends = vec![rig.until("an end", ended), rig.until("the other end", ended)];
    ends.sort();
    let expected = [(Pid(1), "one two three four five six"), (Pid(2), "seven eight nine ten")];
    assert_eq!(ends, expected.map(|(pid, answer)| (pid, answer.to_owned())));
    for (pid, answer) in expected {
        let shown: String = rig
            .heard
            .iter()
            .filter_map(|notice| match notice {
                Notice::Delta { pid: of, delta: lucid_kernel::port::Delta::Text(text) } if *of == pid => {
                    Some(text.as_str())
                }
                _ => None,
            })
            .collect();
        assert_eq!(shown, answer, "nothing is mixed");
    }
    // The first one is still spoken to.
    rig.say("And now?");
    assert_eq!(rig.until("an end", ended), (Pid(1), "later".to_owned()));
}

#[test]
fn one_that_ends_leaves_the_others_and_the_last_one_stays() {
    let replies = vec![
        Exchange::containing("long", "one two three four five six seven eight nine ten eleven twelve"),
        Exchange::any("ok"),
    ];
    let mut rig = Rig::start(slow(replies), Calc::two(), |_| {});
    rig.ready();
    let failed = |wanted: &'static str| {
        move |notice: &Notice| {
            matches!(notice, Notice::Failed { message } if message.contains(wanted)).then_some(())
        }
    };
    rig.machine.commands.send(Command::Kill { pid: Pid(1) }).unwrap();
    rig.until("a refusal", failed("the only conversation"));
    rig.machine.commands.send(Command::Kill { pid: Pid(7) }).unwrap();
    rig.until("a refusal", failed("no conversation t7"));
    rig.machine.commands.send(Command::Begin).unwrap();
    assert_eq!(rig.until("a new one", foreground), (Pid(2), Some(Beginning::Fresh)));
    rig.say("a long answer");
    rig.until("the first words", |notice| matches!(notice, Notice::Delta { .. }).then_some(()));
    // Its turn is cancelled, it ends, and the other one is spoken to.
    rig.machine.commands.send(Command::Kill { pid: Pid(2) }).unwrap();
    assert_eq!(rig.until("the other one", foreground), (Pid(1), None));
    rig.until("its end", |notice| matches!(notice, Notice::Killed { pid: Pid(2) }).then_some(()));
    rig.say("hello");
    assert_eq!(rig.until("an end", ended), (Pid(1), "ok".to_owned()));
    // The journal says the same.
    let kernel = journal::replay(&rig.events());
    assert_eq!(kernel.processes().keys().copied().collect::<Vec<_>>(), [Pid(1)]);
}

#[test]
fn a_session_that_goes_on_tells_what_was_said() {
    let replies = ["first", "second", "in the fork", "more"].map(Exchange::any);
    let mut rig = Rig::start(Scripted::new(replies), Calc::two(), |_| {});
    rig.ready();
    for question in ["one", "two"] {
        rig.say(question);
        rig.ended();
    }
    rig.machine.commands.send(Command::Fork).unwrap();
    rig.until("the fork", foreground);
    rig.say("three");
    rig.ended();
    let journal = Arc::clone(&rig.journal);
    rig.machine.stop();
    let mut rig = Rig::start(plain(&["more"]), Calc::two(), |setup| {
        setup.journal = Arc::clone(&journal) as Arc<dyn Journal>;
        setup.session = goes_on(None);
    });
    let past = |notice: &Notice| match notice {
        Notice::Past { pid, turns } => Some((*pid, turns.clone())),
        _ => None,
    };
    let short = |turns: &[PastTurn]| -> Vec<(String, String)> {
        let answer =
            |turn: &PastTurn| turn.report.as_ref().map_or(String::new(), |report| report.answer.clone());
        turns.iter().map(|turn| (turn.asked.clone(), answer(turn))).collect()
    };
    let pair = |asked: &str, answer: &str| (asked.to_owned(), answer.to_owned());
    let both = vec![pair("one", "first"), pair("two", "second")];
    let (pid, turns) = rig.until("what was said", past);
    assert_eq!((pid, short(&turns)), (Pid(1), both.clone()));
    // Its events up to a turn are the session as it was before.
    let before = usize::try_from(turns[1].before).unwrap();
    let then = journal::replay(&journal.load(SESSION).unwrap()[..before]);
    assert_eq!(then.processes()[&Pid(1)].turns(), 1);
    let (pid, turns) = rig.until("what was said in the fork", past);
    assert_eq!((pid, short(&turns)), (Pid(2), [both, vec![pair("three", "in the fork")]].concat()));
}

#[test]
fn files_that_are_named_come_with_the_input() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("port.md"), "The port is 7411.").unwrap();
    let engine = Scripted::new([Exchange::containing("7411", "It is 7411.")]);
    let mut rig = Rig::start(engine, Calc::two(), |setup| setup.folder = dir.path().display().to_string());
    rig.ready();
    let input = |file: &str| Command::Input {
        pid: None,
        text: "Which port?".into(),
        attached: Vec::new(),
        files: vec![file.into()],
        options: TurnOptions::default(),
    };
    rig.machine.commands.send(input("none.md")).unwrap();
    let message = rig.until("a refusal", |notice| match notice {
        Notice::Refused { pid: Some(Pid(1)), message, .. } => Some(message.clone()),
        _ => None,
    });
    assert!(message.contains("none.md"), "{message}");
    rig.machine.commands.send(input("port.md")).unwrap();
    assert_eq!(rig.ended().answer, "It is 7411.");
}
