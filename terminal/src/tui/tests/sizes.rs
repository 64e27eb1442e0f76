//! Every pane and modal at the sizes that people have: 80×24, 120×40 and 200×60.

use lucid_kernel::abi::{EffectId, TurnEnd, Want};
use lucid_kernel::port::Hit;

use super::super::host::{Answer, ModelRow, SessionRow};
use super::super::offers::Offer;
use super::*;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Compares the screens at all sizes with the kept pictures.
fn look(name: &str, stage: &mut Stage) {
    for (width, height) in SIZES {
        stage.msg(Msg::Resize(width, height));
        insta::with_settings!({
            snapshot_path => "../snapshots/sizes", prepend_module_to_snapshot => false, omit_expression => true
        }, {
            insta::assert_snapshot!(format!("{name}-{width}x{height}"), stage.screen());
        });
    }
}

/// A conversation in which each kind of item stands.
fn held() -> Stage {
    let mut stage = Stage::ready();
    stage.hear(Notice::Mounts(vec![mount("/home/ada/project")]));
    stage.say("Which port does the server listen on, and what is twice that?").hear(taken());
    stage.hear(Notice::Paged { pid: Pid(1), pages: vec![("/home/ada/project/port.md".into(), (1, 3))] });
    let call = calc("7411 * 2");
    let granted = vec!["net:api.example.com".into()];
    stage.hear(Notice::Calling { pid: Pid(1), id: EffectId(3), call, granted });
    let value = serde_json::json!("14822");
    stage.hear(Notice::Returned { pid: Pid(1), id: EffectId(3), result: Ok(returned(value, 312)) });
    let answer = "# Ports\n\nThe server listens on port **7411**, and twice that is *14822*.\n\n1. It is set in \
                  `port.md`,\n2. and read at the start:\n\n```rust\nfn port() -> u16 {\n    7411 // the default\n}\n```\n\n\
                  | port | twice |\n|---:|---:|\n| 7411 | 14822 |\n\n> Changes need a restart.\n";
    let mut report = report(answer, TurnEnd::Answered);
    report.citations = vec![citation("/home/ada/project/port.md", (1, 3), 7)];
    stage.hear(Notice::Ended { pid: Pid(1), report: Box::new(report) });
    let mut rows = memory();
    rows[2].pinned = true;
    stage.hear(told(rows));
    stage
}

/// Beside it one that thinks and one that is done.
fn several() -> Stage {
    let mut stage = held();
    stage.at(1_000).say("/bg Count the files.");
    stage.hear(Notice::Background { pid: Pid(2), text: "Count the files.".into() });
    stage.say("/bg Write a poem about the sea.");
    stage.hear(Notice::Background { pid: Pid(3), text: "Write a poem about the sea.".into() });
    stage.hear(Notice::Taken { pid: Pid(2), before: 20 });
    stage.hear(Notice::Ended { pid: Pid(2), report: Box::new(report("Twelve.", TurnEnd::Answered)) });
    stage.at(9_000);
    stage
}

#[test]
fn transcript() {
    look("transcript", &mut held());
    let mut stage = held();
    stage.key("Ctrl-o");
    look("cards_open", &mut stage);
}

#[test]
fn memory_pane() {
    let mut stage = held();
    stage.say("/mem");
    look("memory_pane", &mut stage);
    // A page came and one left just now.
    let mut rows = memory();
    rows[4].resident = true;
    rows[1].resident = false;
    stage.hear(told(rows)).keys("F6 Up");
    look("memory_pane_moved", &mut stage);
}

#[test]
fn process_pane() {
    let mut stage = several();
    stage.say("/ps");
    look("process_pane", &mut stage);
    stage.say("/mem").keys("F6 F6 Down");
    look("both_panes", &mut stage);
}

#[test]
fn help_and_manual() {
    let mut stage = held();
    stage.say("/help");
    look("help", &mut stage);
    stage.say("/help /pin");
    look("manual", &mut stage);
}

#[test]
fn page_and_text() {
    let mut stage = held();
    stage.say("/page p7");
    let page = source_page("# Port\n\nThe server listens on port 7411.\n", memory()[1].provenance.clone());
    stage.hear(Notice::Page(PageId(7), Some(Box::new((memory()[1].clone(), page)))));
    look("page", &mut stage);
    let text = "     1  # Port\n     2  \n>    3  The server listens on port 7411.".into();
    stage.msg(Msg::Answer(Box::new(Answer::Text { title: "port.md:3-3".into(), text })));
    look("text", &mut stage);
}

#[test]
fn found_pages() {
    let mut stage = held();
    stage.say("/search port");
    let hit = |path: &str, lines, text: &str| Hit {
        range: FileRange { path: path.into(), lines, bytes: (0, 9) },
        heading: "Port > Default".into(),
        text: text.into(),
        score: 1.0,
    };
    let hits = vec![
        hit("/home/ada/project/port.md", (1, 3), "# Port The server listens on port 7411."),
        hit("/srv/other.md", (40, 44), "another port"),
    ];
    stage.hear(Notice::Found { query: "port".into(), hits }).key("Alt-Up");
    look("found", &mut stage);
}

#[test]
fn finders() {
    let mut stage = held();
    stage.keys("Ctrl-p p i n");
    look("palette", &mut stage);
    let mut stage = held();
    stage.say("What is the capital of France?").hear(taken()).hear(ended("Paris.")).keys("Ctrl-r p o r t");
    look("history_search", &mut stage);
    let mut stage = held();
    stage.keys("see Space @po");
    let files = ["port.md", "src/main.rs", "src/export.rs"].map(String::from).to_vec();
    stage.msg(Msg::Answer(Box::new(Answer::Names { files })));
    look("mention", &mut stage);
}

#[test]
fn question_with_rights_and_a_diff() {
    let mut stage = several();
    let call = Call {
        tool: "files_write".into(),
        arguments: serde_json::json!({ "path": "/home/ada/project/port.md", "text": "# Port\n\n7412\n" }),
    };
    let want = Want {
        plugin: "files".into(),
        right: "write:/home/ada/project".into(),
        words: "read and change the files in /home/ada/project".into(),
    };
    let preview = "It would change /home/ada/project/port.md:\n-The server listens on port 7411.\n+The server listens on port 7412.";
    stage.hear(Notice::Ask {
        pid: Pid(3),
        id: EffectId(9),
        call,
        reason: "files_write was not granted what it needs".into(),
        wants: vec![want],
        preview: Some(preview.into()),
    });
    stage.hear(Notice::Ask {
        pid: Pid(1),
        id: EffectId(10),
        call: calc("1"),
        reason: "you are asked for each call of calc".into(),
        wants: Vec::new(),
        preview: None,
    });
    stage.at(20_000);
    look("question", &mut stage);
    // One that sends something names what could leave with it.
    let mut stage = held();
    let want = Want {
        plugin: "fetch".into(),
        right: "net:api.example.com".into(),
        words: "send requests to api.example.com".into(),
    };
    stage.hear(Notice::Ask {
        pid: Pid(1),
        id: EffectId(9),
        call: Call {
            tool: "fetch_get".into(),
            arguments: serde_json::json!({ "url": "https://api.example.com/?port=7411" }),
        },
        reason: "fetch_get would send requests to api.example.com".into(),
        wants: vec![want],
        preview: None,
    });
    stage.at(40_000);
    look("question_sends", &mut stage);
}

#[test]
fn first_steps() {
    let model = |name: &str, size: &str, is_here, is_chosen, about: &str| ModelRow {
        name: name.into(),
        size: size.into(),
        is_here,
        is_chosen,
        about: about.into(),
    };
    let models = vec![
        model("smollm2-135m", "145 MB", false, false, "tiny; for tests"),
        model("qwen2.5-coder-1.5b", "1.6 GB", false, true, "answers, code and tools"),
        model("qwen2.5-coder-0.5b", "531 MB", true, false, "quick"),
    ];
    let first = Setup { offers: vec![Offer::Model(models)], offer_mount: true, ..setup() };
    let mut stage = Stage::with(&first);
    look("first_model", &mut stage);
    stage.key("Enter");
    let opened = stage.actions.iter().any(|action| {
        matches!(action, Action::Open(opening) if opening.model.as_deref() == Some("qwen2.5-coder-1.5b"))
    });
    assert!(opened, "{:?}", stage.actions);
    stage.hear(Notice::Mounts(Vec::new()));
    look("first_mount", &mut stage);
    stage.keys("y").hear(ready());
    look("first_question", &mut stage);
    let resume = Offer::Resume("s17".into(), "What is a page?".into());
    let mut stage = Stage::with(&Setup { offers: vec![resume], ..setup() });
    look("resume", &mut stage);
}

#[test]
fn command_and_what_comes_with_it() {
    let mut stage = held();
    stage.say("!git status");
    look("command", &mut stage);
    stage.keys("y");
    let output = "On branch main\nnothing to commit\n".to_owned();
    stage.msg(Msg::Answer(Box::new(Answer::Ran { command: "git status".into(), output })));
    look("command_ran", &mut stage);
}

#[test]
fn lists() {
    let mut stage = several();
    stage.say("/jobs").say("/rewind").say("/sessions");
    let row = SessionRow {
        name: "s17".into(),
        began: "3 h ago".into(),
        folder: "/home/ada".into(),
        turns: 4,
        asked: "What is a page?".into(),
    };
    stage.msg(Msg::Answer(Box::new(Answer::Sessions(vec![row]))));
    look("lists", &mut stage);
}
