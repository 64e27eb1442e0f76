//! (state, keys, state): what keys and notices lead to.

use lucid_kernel::abi::{EffectId, PageId, TurnEnd};

use super::super::state::{ASK_QUIET_MS, MAX_QUEUED, Overlay};
use super::super::transcript::{CallEnd, Card, Item, Scroll};
use super::*;

/// Keys on an empty, ready screen, and the line with its cursor (`|`) after them.
#[test]
fn editing() {
    for (keys, line) in [
        ("abc", "abc|"),
        ("abc Left Left X", "aX|bc"),
        ("abc Home X End Y", "XabcY|"),
        ("abc Left Backspace", "a|c"),
        ("abc Home Delete", "|bc"),
        ("one Space two Ctrl-w", "one |"),
        ("one Space two Alt-b Alt-b Alt-d", "| two"),
        ("one Space two Ctrl-Left Ctrl-Left Ctrl-Right X", "oneX| two"),
        ("one Space two Ctrl-a Ctrl-k", "|"),
        ("one Space two Ctrl-a Ctrl-k Ctrl-y Ctrl-y", "one twoone two|"),
        ("one Space two Left Ctrl-u", "|o"),
        ("one Alt-Enter two Ctrl-j three", "one\ntwo\nthree|"),
        ("one Ctrl-j two Up X", "oneX|\ntwo"),
        ("one Ctrl-j two Up Home Down End X", "one\ntwoX|"),
        ("e \u{301} Left X", "X|e\u{301}"),
        ("e \u{301} Backspace", "|"),
        ("日本 Left X", "日X|本"),
        ("abc Ctrl-c", "|"),
        ("abc Ctrl-c Up", "abc|"),
        ("/me Tab", "/mem|"),
        ("/pa Tab", "/page |"),
        ("/m Tab", "/m|"),
        ("/mou Tab", "/mount|"),
        ("/x Tab", "/x|"),
        ("a Tab b", "ab|"),
        ("Ctrl-x a", "a|"),
    ] {
        let mut stage = Stage::ready();
        stage.keys(keys);
        let mut text = stage.state.editor.text().to_owned();
        text.insert(stage.state.editor.cursor(), '|');
        assert_eq!(text, line, "{keys}");
    }
}

/// Keys on a ready screen, and what the machine was sent.
#[test]
fn sending() {
    for (keys, sent) in [
        ("hello Enter", vec!["input hello"]),
        ("Enter Space Enter", vec![]),
        ("//etc Enter", vec!["input /etc"]),
        ("/mount Space docs Enter", vec!["mount docs"]),
        ("/umount Space a Space b Enter", vec!["unmount a b"]),
        ("/page Space p42 Enter", vec!["page p42"]),
        ("/page Space 42 Enter", vec![]),
        ("/mounts Enter /mem Enter /help Enter", vec![]),
        ("/nope Enter", vec![]),
        ("one Enter two Enter", vec!["input one"]),
        ("one Enter Esc Esc", vec!["input one", "cancel"]),
        ("one Enter Ctrl-c Ctrl-c", vec!["input one", "cancel"]),
    ] {
        let mut stage = Stage::ready();
        stage.keys(keys);
        assert_eq!(stage.sent(), sent, "{keys}");
        assert!(!stage.left(), "{keys}");
    }
}

#[test]
fn leaving() {
    for (keys, leaves) in [
        ("Ctrl-d", true),
        ("a Ctrl-d", false),
        ("Ctrl-c", false),
        ("Ctrl-c Ctrl-c", true),
        ("Ctrl-c a Ctrl-c", false),
        ("a Ctrl-c Ctrl-c", false),
        ("a Ctrl-c Ctrl-c Ctrl-c", true),
        ("/quit Enter", true),
        ("q Enter Ctrl-c Ctrl-c", false),
    ] {
        let mut stage = Stage::ready();
        stage.keys(keys);
        assert_eq!(stage.left(), leaves, "{keys}");
    }
}

#[test]
fn a_wrong_command_stays_in_the_line_and_says_why() {
    for (line, hint) in [
        ("/nope x", "there is no command /nope"),
        ("/page", "write /page p42"),
        ("/page 42", "write it like p42"),
        ("/mount", "write /mount DIR"),
    ] {
        let mut stage = Stage::ready();
        stage.say(line);
        assert_eq!(stage.state.editor.text(), line);
        let said = stage.state.hint.clone().unwrap();
        assert!(said.contains(hint), "{said}");
    }
}

#[test]
fn what_is_typed_while_loading_goes_when_ready() {
    let mut stage = Stage::new();
    stage.say("one").say("two");
    assert_eq!(stage.sent(), [""; 0]);
    assert_eq!(queued(&stage), ["one", "two"]);
    assert!(stage.screen().contains("waits: one"));
    stage.hear(ready());
    assert_eq!(stage.sent(), ["input one"]);
    stage.hear(taken()).hear(ended("1"));
    assert_eq!(stage.sent(), ["input one", "input two"]);
    stage.hear(taken()).hear(ended("2"));
    assert!(stage.state.talk.turn.is_none() && stage.state.talk.queue.is_empty());
}

#[test]
fn a_full_queue_keeps_the_line() {
    let mut stage = Stage::new();
    for at in 0..MAX_QUEUED {
        stage.say(&format!("q{at}"));
    }
    stage.say("one more");
    assert_eq!(stage.state.talk.queue.len(), MAX_QUEUED);
    assert_eq!(stage.state.editor.text(), "one more");
    stage.hear(ready()).key("Enter");
    assert_eq!(stage.state.editor.text(), "");
}

#[test]
fn a_refused_input_comes_back() {
    let mut stage = Stage::ready();
    stage.say("//long question").msg(Msg::Paste("half".into()));
    stage.hear(Notice::Refused {
        pid: Some(Pid(1)),
        message: "the question has 9,000 tokens".into(),
        code: 1,
    });
    assert_eq!(stage.state.editor.text(), "//long question\nhalf");
    assert!(!stage.state.talk.transcript.items().iter().any(|item| matches!(item, Item::User(..))));
    assert_eq!(
        stage.state.talk.transcript.items().back(),
        Some(&Item::Error("the question has 9,000 tokens".into()))
    );
}

#[test]
fn dead_gives_everything_back() {
    let mut stage = Stage::ready();
    stage.say("one").say("two").say("three").msg(Msg::Paste("half".into()));
    stage.hear(Notice::Dead { message: "gone".into(), code: 3 });
    assert_eq!(stage.state.editor.text(), "one\ntwo\nthree\nhalf");
    stage.key("Enter");
    assert_eq!(stage.state.editor.text(), "one\ntwo\nthree\nhalf");
    assert_eq!(stage.state.dead, Some(3));
    stage.key("Ctrl-c").key("Ctrl-d");
    assert!(stage.left());
}

#[test]
fn cancel_frees_the_screen_at_once() {
    let mut stage = Stage::ready();
    stage.say("one").hear(taken()).hear(text("par")).say("two");
    stage.key("Esc");
    assert_eq!(stage.state.editor.text(), "two");
    stage.hear(text("tial")).hear(retract());
    let items: Vec<_> = stage.state.talk.transcript.items().iter().skip(2).cloned().collect();
    assert_eq!(
        items,
        [Item::User("one".into(), Vec::new()), Item::Answer("par".into()), Item::Note("cancelled".into())]
    );
    assert!(stage.screen().contains("stopping"));
    // The next input waits for the end of the turn, not for the engine's boundary.
    stage.key("Enter");
    assert_eq!(stage.sent(), ["input one", "cancel"]);
    stage.hear(Notice::Stopping { pid: Pid(1), stopping: true });
    stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report("par", TurnEnd::Cancelled)) });
    assert_eq!(stage.sent(), ["input one", "cancel", "input two"]);
    assert_eq!(stage.state.talk.transcript.items().back(), Some(&Item::User("two".into(), Vec::new())));
}

#[test]
fn retracted_text_is_gone_and_the_answer_is_exact() {
    let mut stage = Stage::ready();
    stage.say("q").hear(taken()).hear(text("{\"tool\"")).hear(retract());
    stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(1), call: calc("1"), granted: Vec::new() });
    stage.hear(Notice::Returned {
        pid: Pid(1),
        id: EffectId(1),
        result: Ok(returned(serde_json::json!(1), 1_500)),
    });
    stage.hear(text("On")).hear(text("e")).hear(ended("One."));
    let items: Vec<_> = stage.state.talk.transcript.items().iter().skip(2).cloned().collect();
    let end = Some(CallEnd::Done("1".into(), 1_500));
    assert_eq!(
        items,
        [
            Item::User("q".into(), Vec::new()),
            Item::Call(Box::new(Card {
                id: EffectId(1),
                call: calc("1"),
                granted: Vec::new(),
                end,
                open: false
            })),
            Item::Answer("One.".into())
        ]
    );
}

#[test]
fn a_call_that_never_returned_says_so() {
    let mut stage = Stage::ready();
    stage
        .say("q")
        .hear(taken())
        .hear(Notice::Calling { pid: Pid(1), id: EffectId(1), call: calc("1"), granted: Vec::new() })
        .key("Esc");
    assert!(stage.screen().contains("calc(expression: \"1\") -> not finished"));
}

#[test]
fn a_question_waits_for_quiet_before_it_takes_a_key() {
    let ask = || Notice::Ask {
        pid: Pid(1),
        id: EffectId(4),
        call: calc("1"),
        reason: "why".into(),
        wants: Vec::new(),
        preview: None,
    };
    let mut stage = Stage::ready();
    stage.say("q").hear(taken()).at(10_000).hear(ask()).keys("y");
    assert_eq!((stage.sent().len(), stage.state.editor.text()), (1, "y"));
    stage.at(10_000 + ASK_QUIET_MS - 1).keys("y");
    assert_eq!((stage.sent().len(), stage.state.editor.text()), (1, "yy"));
    stage.at(20_000).keys("Down Enter");
    assert_eq!(stage.sent().len(), 1);
    stage.at(30_000).keys("y");
    assert_eq!(stage.sent().last().unwrap(), "answer e4 true");
    assert!(stage.state.questions.is_empty());
    for (keys, answer) in [("n", "answer e4 false"), ("Esc", "answer e4 false")] {
        let later = stage.state.now_ms + 1_000;
        stage.hear(ask()).at(later).keys(keys);
        assert_eq!(stage.sent().last().unwrap(), answer, "{keys}");
    }
    // Ctrl-C refuses and cancels.
    stage.hear(ask()).key("Ctrl-c");
    assert_eq!(stage.sent()[stage.sent().len() - 2..], ["answer e4 false", "cancel"]);
}

#[test]
fn the_offer_takes_one_key() {
    let offering = || {
        let mut stage = Stage::with(&Setup { offer_mount: true, ..setup() });
        assert!(stage.state.offers.is_empty(), "nothing is known yet");
        stage.hear(Notice::Mounts(Vec::new()));
        stage
    };
    let mut stage = offering();
    stage.keys("n");
    assert!(stage.state.declined && stage.state.offers.is_empty() && stage.sent().is_empty());
    let mut stage = offering();
    stage.keys("a y");
    assert!(!stage.state.offers.is_empty() && !stage.state.declined, "typed text is no answer");
    assert!(stage.sent().is_empty());
    assert_eq!(stage.state.editor.text(), "ay");
    let mut stage = offering();
    stage.key("Esc");
    assert!(stage.state.offers.is_empty() && !stage.state.declined, "Esc puts it off only");
    let mut stage = offering();
    stage.hear(Notice::Mounts(vec![mount("/home/ada/project")]));
    assert!(stage.state.offers.is_empty(), "it is mounted meanwhile");
}

#[test]
fn overlays_open_scroll_and_close() {
    let mut stage = Stage::ready().size(60, 14);
    stage.hear(told(memory())).say("/mem");
    assert!(stage.state.panes.memory && stage.screen().contains("memory"));
    stage.key("Esc");
    assert!(!stage.state.panes.memory, "a pane over the transcript goes like what else lies there");
    stage.say("/help").keys("End");
    let last = stage.state.overlay_line;
    assert!(last > 5 && stage.screen().contains("Shift"));
    stage.keys("Down Down PgDn");
    assert_eq!(stage.state.overlay_line, last);
    stage.keys("Home");
    assert_eq!(stage.state.overlay_line, 0);
    stage.say("/page p99");
    assert_eq!(stage.state.overlay, Some(Overlay::Page(PageId(99), None)));
    stage.hear(Notice::Page(PageId(98), None));
    assert!(stage.state.overlay.is_some(), "another page's answer");
    stage.hear(Notice::Page(PageId(99), None));
    assert_eq!(stage.state.overlay, None);
    assert!(stage.screen().contains("there is no page p99"));
}

#[test]
fn scrolling() {
    let mut stage = Stage::ready().size(40, 12);
    stage.say("q").hear(taken());
    let long: String = (0..60).map(|at| format!("line {at}\n")).collect();
    stage.hear(text(&long));
    assert!(stage.screen().contains("line 59"));
    stage.key("PgUp");
    let screen = stage.screen();
    assert!(matches!(stage.state.talk.transcript.scroll, Scroll::At { .. }));
    assert!(!screen.contains("line 59") && screen.contains("more below"));
    // What comes later does not move what is looked at.
    stage.hear(text("line 60\nline 61\n"));
    assert_eq!(stage.screen().lines().next(), screen.lines().next());
    stage.key("Home");
    assert!(stage.screen().starts_with("Lucid 0.1.0"));
    stage.msg(wheel(-3));
    assert!(stage.screen().starts_with("Lucid 0.1.0"));
    stage.msg(wheel(3));
    assert!(!stage.screen().starts_with("Lucid 0.1.0"));
    stage.key("End");
    assert_eq!(stage.state.talk.transcript.scroll, Scroll::Follow);
    assert!(stage.screen().contains("line 61"));
    // Up and down again by pages leads back to the end.
    for _ in 0..3 {
        stage.key("PgUp");
    }
    for _ in 0..3 {
        stage.key("PgDn");
    }
    assert_eq!(stage.state.talk.transcript.scroll, Scroll::Follow);
}

#[test]
fn a_short_transcript_does_not_scroll() {
    let mut stage = Stage::ready();
    stage.keys("PgUp Home").msg(wheel(-3));
    assert_eq!(stage.state.talk.transcript.scroll, Scroll::Follow);
}

#[test]
fn history_keeps_drafts_and_edits() {
    let mut stage = Stage::ready();
    stage.say("one").say("two").keys("draft Up");
    assert_eq!(stage.state.editor.text(), "two");
    stage.keys("Up");
    assert_eq!(stage.state.editor.text(), "one");
    stage.keys("X Down Down");
    assert!(stage.state.history.entries().any(|entry| entry == "oneX"), "an edited entry is kept");
    stage.keys("Down Down");
    assert_eq!(stage.state.editor.text(), "draft");
    // Sending an earlier input leaves the draft in the line.
    stage.keys("Up Up Up Enter");
    assert_eq!(stage.state.editor.text(), "draft");
}

#[test]
fn a_large_paste_comes_with_the_input_as_a_page() {
    let mut stage = Stage::ready();
    stage.keys("ab").msg(Msg::Paste("x\n".repeat(500_000)));
    assert_eq!(stage.state.editor.text(), "ab");
    assert!(stage.screen().contains("with: pasted text 1"));
    stage.key("Enter");
    let Some(Action::Send(command)) = stage.actions.last() else { panic!("{:?}", stage.actions) };
    let Command::Input { text, attached, .. } = command.as_ref() else { panic!("{command:?}") };
    assert_eq!((text.as_str(), attached.len(), attached[0].1.len()), ("ab", 1, 1_000_000));
    assert!(stage.state.attached.is_empty() && stage.screen().contains("with pasted text 1"));
    // One that is not wanted goes with Esc; one that is much too large is refused whole.
    stage.hear(taken()).hear(ended("ok")).msg(Msg::Paste("y".repeat(5_000))).key("Esc");
    assert!(stage.state.attached.is_empty());
    stage.msg(Msg::Paste("z".repeat(9_000_000)));
    assert!(stage.state.attached.is_empty());
    assert!(stage.state.hint.clone().unwrap().contains("too large"));
}

fn queued(stage: &Stage) -> Vec<String> {
    stage.state.talk.queue.iter().map(|said| said.line.clone()).collect()
}

#[test]
fn a_machine_that_vanished_is_told() {
    let mut stage = Stage::ready();
    stage.say("q").msg(Msg::Gone);
    assert_eq!((stage.state.editor.text(), stage.state.dead), ("q", Some(1)));
    assert!(stage.screen().contains("the machine has stopped"));
}
