//! (state, keys, state) for what goes beyond one line: panes, finders, background, approvals, rewind.

use lucid_kernel::abi::{EffectId, TurnEnd};

use super::super::host::{Answer, Opening, Wish};
use super::super::offers::Offer;
use super::super::state::{ASK_MS, Overlay, Pane};
use super::super::transcript::{Item, Scroll};
use super::*;
use crate::machine::api::PastTurn;

fn wishes(stage: &Stage) -> Vec<Wish> {
    let wishes = stage.actions.iter().filter_map(|action| match action {
        Action::Wish(wish) => Some(wish.clone()),
        _ => None,
    });
    wishes.collect()
}

fn opened(stage: &Stage) -> Vec<Opening> {
    let opened = stage.actions.iter().filter_map(|action| match action {
        Action::Open(opening) => Some(opening.clone()),
        _ => None,
    });
    opened.collect()
}

fn answer(stage: &mut Stage, answer: Answer) {
    stage.msg(Msg::Answer(Box::new(answer)));
}

#[test]
fn a_pane_takes_the_keys_and_gives_them_back() {
    let mut stage = Stage::ready().size(120, 40);
    stage.hear(told(memory())).keys("F2");
    assert!(stage.state.panes.memory && stage.state.panes.focus.is_none());
    stage.keys("F6 Down p e u");
    assert_eq!(stage.state.panes.focus, Some(Pane::Memory));
    assert_eq!(stage.sent(), ["pin p7 true", "evict p7", "pin p7 false"]);
    stage.keys("Enter");
    assert_eq!(stage.state.overlay, Some(Overlay::Page(PageId(7), None)));
    assert_eq!(stage.state.panes.focus, None, "what is read next is the page");
    stage.keys("Esc F6 Esc a b");
    assert_eq!((stage.state.editor.text(), stage.state.panes.focus), ("ab", None));
    let before = stage.state.panes.columns;
    stage.keys("Alt-. Alt-. Alt-,");
    assert!(stage.state.panes.columns > before);
}

#[test]
fn what_came_and_left_is_seen_for_a_while() {
    let mut stage = Stage::ready().size(120, 30);
    stage.hear(told(memory())).say("/mem").at(1_000);
    let mut rows = memory();
    rows[1].resident = false;
    rows[4].resident = true;
    stage.hear(told(rows));
    let screen = stage.screen();
    assert!(screen.contains("- p7") && screen.contains("+ p5"), "{screen}");
    assert!(stage.state.is_moving());
    stage.at(6_000);
    assert!(!stage.screen().contains("- p7") && !stage.state.is_moving());
}

#[test]
fn the_palette_finds_commands_and_keys() {
    let mut stage = Stage::ready();
    stage.keys("Ctrl-p m o u n t s Enter");
    assert!(stage.screen().contains("nothing is mounted"));
    stage.keys("Ctrl-p p i n Enter");
    assert_eq!(stage.state.editor.text(), "/pin ", "what needs more is put into the line");
    stage.keys("Ctrl-c Ctrl-p f o l d Enter");
    assert!(stage.state.finder.is_none() && stage.state.editor.is_empty());
    stage.keys("Ctrl-p Esc x");
    assert_eq!(stage.state.editor.text(), "x");
}

#[test]
fn history_is_searched_and_the_line_at_hand_is_kept() {
    let mut stage = Stage::ready();
    stage.say("the port of the server").hear(taken()).hear(ended("7411"));
    stage.say("something else").hear(taken()).hear(ended("ok"));
    stage.keys("half Ctrl-r");
    assert_eq!(stage.state.finder.as_ref().map(|finder| finder.query.as_str()), Some("half"));
    stage.keys("Ctrl-u p r t Enter");
    assert_eq!(stage.state.editor.text(), "the port of the server");
    assert!(stage.state.history.entries().any(|entry| entry == "half"));
}

#[test]
fn a_mention_is_completed_and_comes_with_the_input() {
    let mut stage = Stage::ready();
    stage.keys("see Space @ma");
    assert_eq!(wishes(&stage), [Wish::Names { roots: Vec::new() }, Wish::Sessions]);
    let files = vec!["src/main.rs".to_owned(), "other.md".to_owned()];
    answer(&mut stage, Answer::Names { files });
    stage.keys("Tab now Enter");
    let Some(Action::Send(command)) = stage.actions.last() else { panic!("{:?}", stage.actions) };
    let Command::Input { text, files, .. } = command.as_ref() else { panic!("{command:?}") };
    assert_eq!((text.as_str(), &files[..]), ("see @src/main.rs now", &["src/main.rs".to_owned()][..]));
    // A word that is put away is left alone; what names nothing is sent as it is.
    let mut stage = Stage::ready();
    stage.keys("mail Space @ada Esc x Enter");
    assert_eq!(stage.sent(), ["input mail @adax"]);
}

#[test]
fn a_page_that_is_named_is_brought_in_first() {
    let mut stage = Stage::ready();
    stage.hear(told(memory())).say("what says @p5, and @p7?");
    assert_eq!(stage.sent(), ["pin p5 true", "input what says @p5, and @p7?"], "p7 is there");
}

#[test]
fn a_command_runs_after_a_yes_and_its_output_comes_with_the_next_input() {
    let mut stage = Stage::ready();
    stage.say("!ls").keys("n");
    assert_eq!(wishes(&stage), []);
    stage.say("!ls -l").keys("y");
    assert_eq!(wishes(&stage), [Wish::Run { command: "ls -l".into() }]);
    answer(&mut stage, Answer::Ran { command: "ls -l".into(), output: "a\nb\n".into() });
    stage.say("what is there?");
    let Some(Action::Send(command)) = stage.actions.last() else { panic!("{:?}", stage.actions) };
    let Command::Input { attached, .. } = command.as_ref() else { panic!("{command:?}") };
    assert_eq!(attached[..], [("output of ls -l".to_owned(), "a\nb\n".to_owned())]);
}

#[test]
fn several_conversations_do_not_mix() {
    let mut stage = Stage::ready();
    stage.say("one").hear(taken()).hear(text("first "));
    stage.keys("Ctrl-t");
    assert_eq!(stage.sent(), ["input one", "begin"]);
    stage.hear(Notice::Foreground { pid: Pid(2), begun: Some(Beginning::Fresh) });
    stage.say("two").hear(Notice::Taken { pid: Pid(2), before: 9 });
    let delta = |pid: u64, text: &str| Notice::Delta { pid: Pid(pid), delta: Delta::Text(text.into()) };
    for (pid, piece) in [(2, "second "), (1, "and on "), (2, "too "), (1, "it goes")] {
        stage.hear(delta(pid, piece));
    }
    assert!(stage.screen().contains("second too") && !stage.screen().contains("first"));
    let end = |pid: u64, answer: &str| Notice::Ended {
        pid: Pid(pid),
        report: Box::new(report(answer, TurnEnd::Answered)),
    };
    stage.hear(end(1, "first and on it goes"));
    let screen = stage.screen();
    assert!(screen.contains("t1 is done: one (/fg t1 shows it)"), "{screen}");
    assert!(stage.actions.iter().any(|action| matches!(action, Action::Ring)));
    stage.hear(end(2, "second too"));
    stage.say("/fg t1").hear(Notice::Foreground { pid: Pid(1), begun: None });
    assert!(stage.screen().contains("first and on it goes") && !stage.screen().contains("second"));
    // What is typed goes to the one that is looked at.
    stage.say("three");
    let Some(Action::Send(command)) = stage.actions.last() else { panic!("{:?}", stage.actions) };
    assert!(matches!(command.as_ref(), Command::Input { pid: Some(Pid(1)), .. }));
    stage.keys("Alt-n");
    assert_eq!(stage.sent().last().unwrap(), "foreground t2");
    stage.hear(Notice::Killed { pid: Pid(2) });
    assert!(stage.state.others.is_empty());
}

fn ask(pid: u64, id: u64) -> Notice {
    Notice::Ask {
        pid: Pid(pid),
        id: EffectId(id),
        call: calc("1"),
        reason: "why".into(),
        wants: Vec::new(),
        preview: None,
    }
}

#[test]
fn questions_wait_in_a_queue_and_end_with_a_no() {
    let mut stage = Stage::ready();
    stage.say("q").hear(taken()).at(1_000).hear(ask(1, 4)).hear(ask(2, 5)).at(5_000);
    assert!(stage.screen().contains("(1 of 2)"));
    stage.keys("y");
    assert_eq!(stage.sent().last().unwrap(), "answer e4 true");
    assert!(stage.screen().contains("t2: may calc run?"));
    stage.at(1_000 + ASK_MS - 30_000);
    assert!(stage.screen().contains("no in 30.0 s"), "{}", stage.screen());
    stage.at(1_000 + ASK_MS);
    assert_eq!(stage.sent().last().unwrap(), "answer e5 false");
    assert!(stage.screen().contains("nobody answered in time"));
    // A cancel answers what its own turn asks, and nothing else.
    stage.hear(ask(1, 6)).hear(ask(2, 7)).key("Ctrl-c");
    assert_eq!(stage.sent()[stage.sent().len() - 2..], ["answer e6 false", "cancel"]);
    assert_eq!(stage.state.questions.len(), 1);
}

#[test]
fn rewind_goes_back_to_before_a_turn() {
    let mut stage = Stage::ready();
    for (at, question) in [(3, "one"), (9, "two")] {
        stage.say(question).hear(Notice::Taken { pid: Pid(1), before: at }).hear(ended("ok"));
    }
    stage.say("/rewind");
    assert!(stage.screen().contains("2: two"));
    stage.say("/rewind 5");
    assert!(stage.state.hint.clone().unwrap().contains("no turn 5"));
    stage.say("/rewind 2");
    assert_eq!(wishes(&stage), [Wish::Rewind { session: "s1".into(), before: 9 }]);
    answer(&mut stage, Answer::Rewound { session: "s2".into(), files: vec!["a.md is as it was".into()] });
    assert_eq!(opened(&stage), [Opening { model: None, session: Some("s2".into()) }]);
    stage.hear(ready());
    let past =
        PastTurn { asked: "one".into(), before: 3, report: Some(Box::new(report("ok", TurnEnd::Answered))) };
    stage.hear(Notice::Past { pid: Pid(1), turns: vec![past] });
    let screen = stage.screen();
    assert!(screen.contains("> one") && !screen.contains("> two"), "{screen}");
    assert_eq!(stage.state.talk.turns.len(), 1);
}

#[test]
fn thinking_goes_on_with_what_most_agree_on() {
    let mut stage = Stage::ready();
    stage.say("/think What is 17 times 23?");
    let seeds: Vec<(f32, u64)> = stage
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Send(command) => match command.as_ref() {
                Command::Background { options, .. } => {
                    Some((options.sampling.temperature, options.sampling.seed))
                }
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(seeds, [(0.0, 0), (0.7, 1), (0.7, 2)]);
    for pid in 2..=4 {
        stage.hear(Notice::Background { pid: Pid(pid), text: "What is 17 times 23?".into() });
    }
    stage.say("/think again");
    assert!(stage.state.hint.clone().unwrap().contains("already"));
    for (pid, answer) in [(3, "It is 391."), (2, "It is 381."), (4, "17 * 23 = 391")] {
        let report = Box::new(report(answer, TurnEnd::Answered));
        stage.hear(Notice::Ended { pid: Pid(pid), report });
    }
    let screen = stage.screen();
    assert!(screen.contains("t2: It is 381. (1 of 3)"), "{screen}");
    assert!(screen.contains("t3: It is 391. (2 of 3)") && screen.contains("going on with t3: most agree"));
    assert_eq!(stage.sent().last().unwrap(), "foreground t3");
    assert!(stage.state.thinking.is_none());
    // One that cannot begin does not keep others from it.
    stage.say("/think more").hear(Notice::Failed { message: "too many".into() });
    assert!(stage.state.thinking.is_none());
}

#[test]
fn another_model_begins_a_session_and_keeps_the_screen() {
    let mut stage = Stage::ready();
    stage.say("one").hear(taken()).hear(ended("first")).say("/model smollm2-135m");
    assert_eq!(opened(&stage), [Opening { model: Some("smollm2-135m".into()), session: None }]);
    assert!(stage.screen().contains("first") && stage.state.engine.is_none());
    // What is typed meanwhile waits for it.
    stage.say("two");
    assert_eq!(stage.sent(), ["input one"]);
    stage.hear(ready());
    assert_eq!(stage.sent(), ["input one", "input two"]);
}

#[test]
fn cards_and_places_are_opened_by_keys_and_by_the_mouse() {
    let mut stage = Stage::ready();
    stage.say("q").hear(taken());
    stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(1), call: calc("1"), granted: Vec::new() });
    let value = serde_json::json!("one\ntwo");
    stage.hear(Notice::Returned { pid: Pid(1), id: EffectId(1), result: Ok(returned(value, 5)) });
    let mut report = report("It is one.", TurnEnd::Answered);
    report.citations = vec![citation("/x.md", (1, 2), 7)];
    stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report) });
    assert!(!stage.screen().contains("└ one"));
    stage.keys("Alt-Up Alt-Up Enter");
    assert!(stage.screen().contains("└ one"), "{}", stage.screen());
    stage.keys("Alt-Down Enter");
    assert_eq!(stage.sent().last().unwrap(), "page p7");
    stage.keys("Esc Esc");
    let screen = stage.screen();
    let row = screen.lines().position(|line| line.starts_with("▾ calc")).unwrap();
    let click = |stage: &mut Stage, row: usize| {
        let kind = MouseEventKind::Down(crossterm::event::MouseButton::Left);
        let row = u16::try_from(row).unwrap();
        stage.msg(Msg::Mouse(MouseEvent { kind, column: 3, row, modifiers: KeyModifiers::NONE }));
    };
    click(&mut stage, row);
    assert!(!stage.screen().contains("└ one"));
    let row = stage.screen().lines().position(|line| line.contains("/x.md:1-2")).unwrap();
    click(&mut stage, row);
    assert_eq!(stage.state.overlay, Some(Overlay::Page(PageId(7), None)));
}

#[test]
fn what_is_chosen_is_scrolled_to() {
    let mut stage = Stage::ready().size(60, 16);
    for at in 0..20 {
        stage.say(&format!("q{at}")).hear(taken());
        stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(at), call: calc("1"), granted: Vec::new() });
        stage.hear(ended("ok"));
    }
    for _ in 0..20 {
        stage.key("Alt-Up");
    }
    assert!(matches!(stage.state.talk.transcript.scroll, Scroll::At { .. }));
    assert!(stage.screen().contains("> q0") || stage.screen().contains("▸ calc"), "{}", stage.screen());
}

#[test]
fn copy_and_export_take_what_was_said() {
    let mut stage = Stage::ready();
    stage.say("/copy");
    assert!(stage.state.hint.clone().unwrap().contains("nothing to copy"));
    stage.say("q").hear(taken()).hear(ended("Like so:\n\n```sh\nls -l\n```\n\nDone <b>."));
    stage.say("/copy").say("/copy code");
    let copied: Vec<&String> = stage
        .actions
        .iter()
        .filter_map(|action| if let Action::Copy(text) = action { Some(text) } else { None })
        .collect();
    assert!(copied[0].starts_with("Like so") && copied[1] == "ls -l\n", "{copied:?}");
    stage.say("/export md").say("/export json out.json").say("/export html a.html").say("/export pdf");
    assert!(stage.state.hint.clone().unwrap().contains("write /export md, json or html"));
    let written: Vec<(String, String)> = wishes(&stage)
        .into_iter()
        .filter_map(|wish| if let Wish::Write { path, text } = wish { Some((path, text)) } else { None })
        .collect();
    assert_eq!(
        written.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        ["s1.md", "out.json", "a.html"]
    );
    assert!(written[0].1.contains("## q") && written[0].1.contains("ls -l"));
    let json: serde_json::Value = serde_json::from_str(&written[1].1).unwrap();
    assert_eq!(json["items"][1]["kind"], "user");
    assert!(written[2].1.contains("&lt;b&gt;") && !written[2].1.contains("<b>"));
}

#[test]
fn a_session_that_was_cut_off_is_offered() {
    let resume = || Stage::with(&Setup { offers: vec![Offer::Resume("s9".into(), "q".into())], ..setup() });
    let mut stage = resume();
    stage.keys("y");
    assert_eq!(opened(&stage), [Opening { model: None, session: Some("s9".into()) }]);
    let mut stage = resume();
    stage.keys("n");
    assert_eq!(opened(&stage), [Opening::default()]);
    // Whoever asks something has begun anew; the question waits for the machine.
    let mut stage = resume();
    stage.say("hello");
    assert_eq!((opened(&stage), stage.sent().len()), (vec![Opening::default()], 0));
    stage.hear(ready());
    assert_eq!(stage.sent(), ["input hello"]);
}

#[test]
fn vi_keys_edit_the_line_and_the_shell_keeps_its_own() {
    let mut stage = Stage::with(&Setup { vi: true, ..setup() });
    stage.hear(ready()).keys("one Space two Esc b d w");
    assert_eq!(stage.state.editor.text(), "one ");
    assert!(stage.screen().contains("NORMAL"));
    stage.keys("A three Enter");
    assert_eq!(stage.sent(), ["input one three"]);
    stage.hear(taken()).hear(ended("ok")).keys("x Esc k");
    assert_eq!(stage.state.editor.text(), "one three", "k at the first line goes to the history");
}

#[test]
fn keys_of_the_settings_are_taken() {
    let own: std::collections::BTreeMap<String, super::super::keymap::Keys> =
        toml::from_str("palette = \"ctrl-k\"").unwrap();
    let keymap = Keymap::with(&own).unwrap();
    let mut stage = Stage::with(&Setup { keymap, ..setup() });
    stage.hear(ready()).keys("Ctrl-k");
    assert!(stage.state.finder.is_some());
}

#[test]
fn a_long_transcript_is_drawn_without_being_laid_out_as_a_whole() {
    let mut stage = Stage::ready().size(200, 60);
    for at in 0..2_500 {
        stage.state.talk.transcript.push(Item::User(format!("q{at}"), Vec::new()));
        stage.state.talk.transcript.push(Item::Answer(format!("**a{at}**\n\n- one\n- two")));
    }
    let screen = stage.screen();
    assert!(screen.contains("a2499"));
    assert!(stage.state.talk.transcript.memo.borrow().kept() < 100, "only what is seen is laid out");
}
