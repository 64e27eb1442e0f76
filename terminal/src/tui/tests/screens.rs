//! What the screen looks like, kept as pictures in text.

use lucid_kernel::abi::{EffectId, Fault, FaultKind, PageId, ToolSpec, TurnEnd, Want};
use lucid_kernel::port::MountProgress;

use super::*;

/// Compares with the kept picture. Names and places do not depend on the crate's name.
macro_rules! screen {
    ($name:literal, $stage:expr) => {
        insta::with_settings!({
            snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true
        }, {
            insta::assert_snapshot!($name, $stage.screen());
        });
    };
}

fn answered() -> Stage {
    let mut stage = Stage::ready();
    stage.hear(Notice::Mounts(vec![mount("/home/ada/project")])).say("What is a page?").hear(taken());
    stage.hear(Notice::Paged {
        pid: Pid(1),
        pages: vec![("/home/ada/project/docs/src/x.md".into(), (10, 24))],
    });
    stage.hear(prefill(118, 812)).hear(text("A **page** is an immutable "));
    let answer = "A **page** is an immutable span of tokens with:\n\n- an address such as `p42`,\n- a kind,\n- \
                  the place it came from, which is shown under every answer that rests on it.\n\n```rust\nlet page = \
                  table.get(id)?;\n```";
    let mut report = report(answer, TurnEnd::Answered);
    report.citations = vec![
        citation("/home/ada/project/docs/src/x.md", (10, 24), 7),
        citation("/usr/share/doc/lucid/page.md", (3, 3), 11),
    ];
    stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report) });
    stage.hear(told(memory()));
    stage
}

#[test]
fn empty_start_while_loading() {
    let mut stage = Stage::new().size(80, 20);
    stage.hear(Notice::Loading { what: "loading qwen2.5-coder-1.5b".into(), part: Some(0.42) });
    stage.say("Which file sets the port?");
    screen!("loading", stage);
}

#[test]
fn answer_with_citations() {
    screen!("answer", answered().size(80, 24));
}

#[test]
fn wide_screen_has_one_status_row() {
    screen!("answer_wide", answered().size(140, 24));
}

#[test]
fn tool_call() {
    let mut stage = Stage::ready().size(80, 20);
    stage.say("What is 17.5% of 2310.40? Use the calculator.").hear(taken()).hear(prefill(40, 400));
    stage.hear(text("{\"name\"")).hear(retract());
    stage
        .hear(Notice::Calling {
            pid: Pid(1),
            id: EffectId(3),
            call: calc("17.5% * 2310.40"),
            granted: Vec::new(),
        })
        .at(1_400);
    screen!("tool_running", stage);
    stage.hear(Notice::Returned {
        pid: Pid(1),
        id: EffectId(3),
        result: Ok(returned(serde_json::json!("404.32"), 312)),
    });
    stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(4), call: calc("1 / 0"), granted: Vec::new() });
    let fault = Fault::new(FaultKind::Tool, "calc: division by zero in 1 / 0");
    stage.hear(Notice::Returned { pid: Pid(1), id: EffectId(4), result: Err(fault) });
    stage.hear(ended("17.5% of 2310.40 is 404.32."));
    screen!("tool_done", stage);
}

#[test]
fn memory_overlay() {
    let mut stage = answered().size(100, 20);
    stage.say("/mem");
    screen!("memory", stage);
    let mut narrow = stage.size(50, 14);
    screen!("memory_narrow", narrow);
    narrow.say("/mem");
    assert!(narrow.state.overlay.is_none());
}

#[test]
fn tools_are_listed_with_what_they_ask_for_and_changes_are_told() {
    let mut stage = Stage::ready();
    let tool = |name: &str, description: &str, wants: Vec<Want>| ToolSpec {
        name: name.into(),
        description: description.into(),
        keywords: Vec::new(),
        parameters: serde_json::json!({ "type": "object" }),
        wants,
        described: None,
    };
    let want = Want {
        plugin: "weather".into(),
        right: "net:api.example.com".into(),
        words: "send requests to api.example.com".into(),
    };
    stage.say("/tools").hear(Notice::ToolList(vec![
        tool("calc", "Evaluates an arithmetic expression.", Vec::new()),
        tool("weather_today", "Says what the weather is like today.", vec![want]),
    ]));
    stage.hear(Notice::Tools {
        change: "weather was updated: weather_today, weather_week".into(),
        tools: Vec::new(),
    });
    screen!("tools", stage);
    assert_eq!(stage.sent(), ["tools"]);
}

#[test]
fn conversations_are_forked_listed_and_returned_to() {
    let mut stage = answered().size(100, 24);
    stage.say("/fork");
    stage.hear(Notice::Foreground { pid: Pid(2), begun: Some(Beginning::ForkOf(Pid(1))) });
    stage.say("And in the branch?").hear(Notice::Taken { pid: Pid(2), before: 9 });
    stage.hear(Notice::Ended { pid: Pid(2), report: Box::new(report("Here too.", TurnEnd::Answered)) });
    stage.say("/ps");
    screen!("conversations", stage);
    stage.say("/ps");
    stage.say("/fg t1").hear(Notice::Foreground { pid: Pid(1), begun: None });
    let screen = stage.screen();
    assert!(screen.contains("this is t1 again") && !screen.contains("And in the branch?"), "{screen}");
    stage.say("/fg t2").hear(Notice::Foreground { pid: Pid(2), begun: None });
    assert!(stage.screen().contains("Here too."));
    let mut rows = memory();
    rows[1].shared_with = vec![Pid(1)];
    stage.hear(told(rows)).say("/mem");
    screen!("memory_shared", stage);
    assert_eq!(stage.sent()[1..], ["fork", "input And in the branch?", "foreground t1", "foreground t2"]);
    stage.say("/fg one");
    assert!(stage.state.hint.clone().unwrap().contains("write it like t42"));
}

#[test]
fn page_overlay() {
    let mut stage = answered().size(80, 16);
    stage.say("/page p7");
    let page = source_page(
        "# The window\n\nA page is an immutable span\tof tokens.\x1b[31m",
        memory()[1].provenance.clone(),
    );
    stage.hear(Notice::Page(PageId(7), Some(Box::new((memory()[1].clone(), page)))));
    screen!("page", stage);
}

#[test]
fn help_overlay() {
    let mut stage = Stage::ready().size(80, 34);
    stage.say("/help");
    screen!("help", stage);
}

#[test]
fn mount_offer() {
    let mut stage = Stage::with(&Setup { offer_mount: true, ..setup() }).size(80, 16);
    stage.hear(Notice::Mounts(Vec::new()));
    screen!("mount_offer", stage);
    stage.keys("y");
    assert_eq!(stage.sent(), ["mount /home/ada/project"]);
    stage.hear(Notice::MountProgress(MountProgress {
        files_done: 1_200,
        files_found: 3_400,
        bytes: 5,
        path: "a".into(),
    }));
    stage.hear(ready());
    screen!("mounting", stage);
}

#[test]
fn errors() {
    let mut stage = Stage::ready().size(80, 20);
    stage.say("hello").hear(taken());
    let fault = Fault::new(
        FaultKind::Engine,
        "the engine failed while it decoded: out of memory; use a smaller model",
    );
    stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report("", TurnEnd::Failed(fault))) });
    stage.hear(Notice::Failed { message: "cannot mount /x: no such folder; check the path".into() });
    stage.say("/foo bar");
    screen!("errors", stage);
    stage.hear(Notice::Dead {
        message: "cannot load the model m.gguf: the file is cut short; pull it again".into(),
        code: 3,
    });
    screen!("dead", stage);
}

#[test]
fn question() {
    let mut stage = Stage::ready().size(80, 20);
    stage.say("delete it").hear(taken());
    let call = Call {
        tool: "files_remove".into(),
        arguments: serde_json::json!({ "path": "/home/ada/project/a\n.txt", "force": true }),
    };
    let reason = "files_remove may change files, and this session has no grant for that.".into();
    stage
        .hear(Notice::Ask { pid: Pid(1), id: EffectId(9), call, reason, wants: Vec::new(), preview: None })
        .at(5_000);
    screen!("question", stage);
}

#[test]
fn a_command_is_shown_whole_and_yes_holds_once() {
    let mut stage = Stage::ready().size(80, 22);
    stage.say("how many lines do the logs have?").hear(taken());
    let command =
        "for log in *.log; do\n    wc -l \"$log\"\ndone | awk '{ lines += $1 } END { print lines }'";
    let call = Call { tool: "shell".into(), arguments: serde_json::json!({ "command": command }) };
    let reason = "each command is asked for; yes holds for this one alone".into();
    let shown = command.replace('\n', "\n> ");
    let preview =
        format!("$ {shown}\n\nIt has no network, sees none of your files, and ends after 60 seconds.");
    stage.hear(Notice::Ask {
        pid: Pid(1),
        id: EffectId(9),
        call,
        reason,
        wants: Vec::new(),
        preview: Some(preview),
    });
    stage.at(5_000);
    screen!("question_command", stage);
    // These keys answer where a yes can hold for longer.
    stage.keys("s a").at(10_000);
    assert_eq!((stage.sent().len(), stage.state.questions.len()), (1, 1));
    stage.keys("y");
    assert_eq!(stage.sent().last().unwrap(), "answer e9 true");
}

#[test]
fn waiting_inputs_and_a_long_line() {
    let mut stage = Stage::ready().size(60, 20);
    stage.say("first").hear(taken());
    for at in 2..=6 {
        stage.say(&format!("question {at}"));
    }
    stage.msg(Msg::Paste(
        "one line\nanother line that is longer than the screen is wide, so that it wraps".into(),
    ));
    stage.hear(Notice::Stopping { pid: Pid(1), stopping: true }).at(65_300);
    screen!("waiting", stage);
}

#[test]
fn narrow() {
    screen!("narrow", answered().size(40, 10));
}

#[test]
fn tiny() {
    let mut stage = answered().size(20, 5);
    screen!("tiny", stage);
    stage.say("/mem");
    screen!("tiny_memory", stage);
}

#[test]
fn wide_characters() {
    let mut stage = Stage::ready().size(31, 16);
    stage.say("日本語で答えてください。ページとは何ですか?").hear(taken());
    stage.hear(ended("ページは不変のトークンの列です。cafe\u{301} e\u{301}t 👩‍👩‍👧 ok 한국어 텍스트도 됩니다."));
    stage.msg(Msg::Paste("名前を教えて下さいお願いします東京".into())).keys("Left Left");
    screen!("wide_characters", stage);
}

#[test]
fn escape_sequences_never_reach_the_terminal() {
    let evil = "a\x1b[2J\x1b]0;title\x07b\u{9b}31m\u{202e}c\r\nd\u{7f}\u{200b}\0";
    let mut stage = Stage::with(&Setup { folder: evil.into(), offer_mount: true, ..setup() }).size(90, 40);
    stage.hear(Notice::Loading { what: evil.into(), part: Some(f32::NAN) }).hear(ready());
    stage
        .say("hi")
        .hear(taken())
        .hear(text(evil))
        .hear(Notice::Paged { pid: Pid(1), pages: vec![(evil.into(), (1, 2))] });
    let call = Call { tool: evil.into(), arguments: serde_json::json!({ evil: evil }) };
    stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(1), call: call.clone(), granted: Vec::new() });
    stage.hear(Notice::Returned {
        pid: Pid(1),
        id: EffectId(1),
        result: Ok(returned(serde_json::json!(evil), 5)),
    });
    let mut report = report(evil, TurnEnd::Failed(Fault::new(FaultKind::Tool, evil)));
    report.citations = vec![citation(evil, (1, 2), 3)];
    stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report) });
    stage.hear(told(vec![row(1, evil, 5, true, file(evil, (1, 2)), evil)]));
    stage.hear(Notice::Mounts(vec![mount(evil)])).msg(Msg::Paste(evil.into()));
    let mut seen = vec![stage.screen()];
    stage.key("Ctrl-c");
    stage.say("/mem");
    seen.push(stage.screen());
    stage.say("/page p1");
    let page = source_page(evil, file(evil, (1, 2)));
    stage.hear(Notice::Page(
        PageId(1),
        Some(Box::new((row(1, evil, 5, true, file(evil, (1, 2)), evil), page))),
    ));
    seen.push(stage.screen());
    stage.hear(Notice::Ask {
        pid: Pid(1),
        id: EffectId(2),
        call,
        reason: evil.into(),
        wants: Vec::new(),
        preview: None,
    });
    seen.push(stage.screen());
    for screen in seen {
        let bad =
            screen.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}' || *c == '\u{200b}');
        assert_eq!(bad, None, "{screen}");
        assert!(screen.contains("a␛[2J␛]0;title␇b\u{fffd}31m\u{fffd}c"), "{screen}");
    }
}

#[test]
fn without_colour_nothing_is_coloured() {
    let mut stage = Stage::with(&Setup { color: false, ..setup() });
    stage
        .hear(ready())
        .say("hi")
        .hear(taken())
        .hear(ended("`code` and **bold**"))
        .hear(Notice::Failed { message: "x".into() });
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| view::draw(&stage.state, frame)).unwrap();
    let plain = ratatui::style::Color::Reset;
    assert!(terminal.backend().buffer().content().iter().all(|cell| cell.fg == plain && cell.bg == plain));
}

#[test]
fn svg_holds_the_real_screen() {
    let mut picture = super::super::Picture::new(&setup(), 80, 24);
    assert!(picture.type_line("Is 1 < 2 & \"true\"? 日本").is_empty(), "the model is not there yet");
    picture.tick(1_000);
    let commands = picture.notice(ready());
    assert!(matches!(commands.as_slice(), [.., Command::Input { text, .. }] if text.contains("1 < 2")));
    picture.notice(ended("Yes."));
    let svg = picture.svg("lucid <demo>").unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("1 &lt; 2 &amp; &quot;true&quot;?"), "{svg}");
    assert!(
        svg.contains("<title>lucid &lt;demo&gt;</title>")
            && svg.contains("Yes.")
            && svg.contains(">日</text>")
    );
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}
