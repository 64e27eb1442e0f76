//! The machine with a scripted engine: what is journaled, what is told, and what survives.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lucid_disk::RamDisk;
use lucid_engine::{Exchange, Pace, Scripted};
use lucid_journal::RamJournal;
use lucid_kernel::abi::{Event, Extent, Pid, StopReason, TurnEnd, TurnOptions, TurnReport};
use lucid_kernel::journal;
use lucid_kernel::policy::Verdict;
use lucid_kernel::port::{Engine, JournalError, SessionInfo};
use serde_json::json;

use super::*;

mod conversations;
mod memory;

const PATIENCE: Duration = Duration::from_secs(20);
const SESSION: &str = "s";
const CALL: &str = "{\"name\":\"calc\",\"arguments\":{\"expression\":\"1+1\"}}";

type Run = Box<dyn Fn(&CancelFlag) -> Result<String, Fault> + Send + Sync>;

/// One tool, `calc`, that does as it is told and counts its calls.
struct Calc {
    run: Run,
    calls: AtomicU32,
}

impl Calc {
    fn new(run: impl Fn(&CancelFlag) -> Result<String, Fault> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { run: Box::new(run), calls: AtomicU32::new(0) })
    }

    fn two() -> Arc<Self> {
        Self::new(|_| Ok("2".into()))
    }
}

impl Tools for Calc {
    fn specs(&self) -> Vec<ToolSpec> {
        vec![ToolSpec {
            wants: Vec::new(),
            described: None,
            name: "calc".into(),
            description: "Computes 1+1.".into(),
            keywords: vec!["calculator".into()],
            parameters: json!({
                "type": "object", "properties": { "expression": { "type": "string" } },
                "required": ["expression"], "additionalProperties": false,
            }),
        }]
    }

    fn preview(&self, _: &Call, _: &[Want], _: &CancelFlag) -> Option<String> {
        None
    }

    fn grant(&self, _: &[Want]) -> Result<(), Failure> {
        Ok(())
    }

    fn call(&self, _: &Call, _: &[String], _: OnProgress, cancel: &CancelFlag) -> Result<ToolOutput, Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.run)(cancel).map(|text| ToolOutput { value: json!(text), text, micros: 1 })
    }
}

struct Rig {
    machine: Machine,
    journal: Arc<RamJournal>,
    heard: Vec<Notice>,
}

impl Rig {
    fn start(engine: Scripted, tools: Arc<Calc>, change: impl FnOnce(&mut Setup)) -> Self {
        let journal = Arc::new(RamJournal::new());
        let engine: Arc<dyn Engine> = Arc::new(engine);
        let mut setup = Setup {
            session: Session::New(SESSION.into()),
            folder: "/work".into(),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            disk: None,
            roots: Vec::new(),
            has_files: false,
            tools: true,
            rules: Vec::new(),
            core: None,
            swap: None,
            embedder: None,
            eviction: None,
            interactive: true,
            now_ms: 0,
            loader: Box::new(move |_, _| Ok(Loaded { engine, tools, writer: None, left_out: Vec::new() })),
            undo: None,
            mark: None,
        };
        change(&mut setup);
        Self { machine: Machine::start(setup), journal, heard: Vec::new() }
    }

    fn say(&self, text: &str) {
        self.say_with(text, &[]);
    }

    fn say_with(&self, text: &str, attached: &[(&str, &str)]) {
        let attached = attached.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let options = TurnOptions::default();
        self.machine
            .commands
            .send(Command::Input { pid: None, text: text.into(), attached, files: Vec::new(), options })
            .unwrap();
    }

    /// Hears until a notice is wanted, and gives back what came of it.
    fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Notice) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let notice = self.machine.notices.recv_deadline(until);
            let notice = notice.unwrap_or_else(|_| panic!("waited for {what}; heard {:#?}", self.heard));
            let found = wanted(&notice);
            self.heard.push(notice);
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn ended(&mut self) -> TurnReport {
        self.until("the end of a turn", |notice| match notice {
            Notice::Ended { report, .. } => Some((**report).clone()),
            _ => None,
        })
    }

    fn ready(&mut self) {
        self.until("ready", |notice| matches!(notice, Notice::Ready { .. }).then_some(()));
    }

    fn events(&self) -> Vec<Event> {
        self.journal.load(SESSION).unwrap()
    }
}

/// The session of before, with this conversation or that spoken to last.
fn goes_on(conversation: Option<Pid>) -> Session {
    Session::Continue { name: SESSION.into(), conversation, fork: false }
}

fn plain(replies: &[&str]) -> Scripted {
    Scripted::new(replies.iter().map(|reply| Exchange::any(*reply)))
}

#[test]
fn a_turn_with_a_tool_is_told_journaled_and_replayed() {
    let tools = Calc::two();
    let engine = Scripted::new([Exchange::any(CALL), Exchange::containing("2", "It is 2.")]);
    let mut rig = Rig::start(engine, Arc::clone(&tools), |_| {});
    // Said before the model is loaded: it waits.
    rig.say("Use the calculator: what is 1+1?");
    let report = rig.ended();
    assert_eq!((report.end, report.answer.as_str()), (TurnEnd::Answered, "It is 2."));
    assert_eq!(report.calls[0].result, Ok(json!("2")));
    assert_eq!(tools.calls.load(Ordering::SeqCst), 1);
    let told = |wanted: fn(&Notice) -> bool| rig.heard.iter().filter(|notice| wanted(notice)).count();
    assert_eq!(told(|notice| matches!(notice, Notice::Taken { .. })), 1);
    assert_eq!(told(|notice| matches!(notice, Notice::Calling { .. })), 1);
    assert_eq!(told(|notice| matches!(notice, Notice::Returned { .. })), 1);
    let text: String = rig.heard.iter().map(shown).collect();
    assert_eq!(text, "It is 2.", "what is no answer is not shown");

    let events = rig.events();
    let kernel = journal::replay(&events);
    assert!(kernel.processes().values().all(lucid_kernel::process::Process::is_idle));
    assert_eq!(kernel, journal::replay(&events));
    rig.machine.stop();
}

fn shown(notice: &Notice) -> &str {
    match notice {
        Notice::Delta { delta: lucid_kernel::port::Delta::Text(text), .. } => text,
        _ => "",
    }
}

#[test]
fn the_second_turn_prefills_only_what_is_new() {
    let mut rig = Rig::start(plain(&["One.", "Two."]), Calc::two(), |_| {});
    rig.say("Say one.");
    let first = rig.ended();
    assert!(first.usage.reused == 0 && first.usage.prefilled > 100, "{:?}", first.usage);
    rig.say("Say two.");
    let second = rig.ended();
    assert!(second.usage.reused >= first.usage.prefilled, "{:?}", second.usage);
    assert!(second.usage.prefilled < 40, "{:?}", second.usage);
    rig.machine.stop();
}

#[test]
fn a_cancel_frees_the_screen_at_once() {
    let slow = Pace { decode_per_token: Duration::from_millis(100), ..Pace::default() };
    let mut rig = Rig::start(plain(&["A very long story indeed.", "Short."]).pace(slow), Calc::two(), |_| {});
    rig.say("Tell a story.");
    rig.until("text", |notice| (!shown(notice).is_empty()).then_some(()));
    let began = Instant::now();
    rig.machine.commands.send(Command::Cancel { pid: None }).unwrap();
    let report = rig.ended();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(report.end, TurnEnd::Cancelled);
    let stop = rig.events().into_iter().find_map(|event| match event {
        Event::Decoded { outcome: lucid_kernel::abi::Outcome::Done(decoded), .. } => Some(decoded.stop),
        _ => None,
    });
    assert_eq!(stop, Some(StopReason::Cancelled));
    rig.say("Again.");
    assert_eq!(rig.ended().answer, "Short.");
    rig.machine.stop();
}

#[test]
fn calls_of_one_turn_run_side_by_side() {
    let inside = AtomicU32::new(0);
    // Each waits for the other one to run too.
    let tools = Calc::new(move |cancel| {
        inside.fetch_add(1, Ordering::SeqCst);
        while inside.load(Ordering::SeqCst) < 2 && !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok("2".into())
    });
    let calls = format!("{CALL}\n{}", CALL.replace("1+1", "4-2"));
    let engine = Scripted::new([Exchange::any(calls), Exchange::containing("2", "Both are 2.")]);
    let mut rig = Rig::start(engine, Arc::clone(&tools), |_| {});
    rig.say("Use calc: 1+1 and 4-2");
    let report = rig.ended();
    assert_eq!(report.answer, "Both are 2.");
    let made: Vec<&str> =
        report.calls.iter().map(|call| call.arguments["expression"].as_str().unwrap()).collect();
    assert_eq!(made, ["1+1", "4-2"]);
    let events = rig.events();
    assert_eq!(journal::replay(&events), journal::replay(&events));
    rig.machine.stop();
}

#[test]
fn a_tool_that_hangs_is_cancelled() {
    let tools = Calc::new(|cancel| {
        while !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(Fault::new(lucid_kernel::abi::FaultKind::Limit, "cancelled"))
    });
    let mut rig = Rig::start(plain(&[CALL, "Never mind."]), tools, |_| {});
    rig.say("Use calc: 1+1");
    rig.until("the call", |notice| matches!(notice, Notice::Calling { .. }).then_some(()));
    rig.machine.commands.send(Command::Cancel { pid: None }).unwrap();
    assert_eq!(rig.ended().end, TurnEnd::Cancelled);
    rig.machine.stop();
}

#[test]
fn a_rule_that_asks_is_answered_by_the_user_or_refused() {
    let asks = |setup: &mut Setup| {
        setup.rules = vec![Rule { tool: "ca*".into(), verdict: Verdict::Ask }];
    };
    for (allow, calls, last) in [(true, 1, "2"), (false, 0, "did not run")] {
        let tools = Calc::two();
        let engine = Scripted::new([Exchange::any(CALL), Exchange::containing(last, "Done.")]);
        let mut rig = Rig::start(engine, Arc::clone(&tools), asks);
        rig.say("Use calc: 1+1");
        let id = rig.until("the question", |notice| match notice {
            Notice::Ask { id, .. } => Some(*id),
            _ => None,
        });
        rig.machine.commands.send(Command::Answer { id, allow, extent: Extent::Once }).unwrap();
        assert_eq!(rig.ended().answer, "Done.");
        assert_eq!(tools.calls.load(Ordering::SeqCst), calls);
        rig.machine.stop();
    }
    // Nobody is there to be asked: the answer is no.
    let tools = Calc::two();
    let engine = Scripted::new([Exchange::any(CALL), Exchange::containing("did not run", "Done.")]);
    let mut rig = Rig::start(engine, Arc::clone(&tools), |setup| {
        asks(setup);
        setup.interactive = false;
    });
    rig.say("Use calc: 1+1");
    assert_eq!(rig.ended().answer, "Done.");
    assert_eq!(tools.calls.load(Ordering::SeqCst), 0);
    rig.machine.stop();
}

#[test]
fn a_process_that_died_in_a_call_does_not_run_it_again() {
    let (began, begins) = crossbeam_channel::bounded(1);
    let tools = Calc::new(move |cancel| {
        let _ = began.send(());
        while !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok("2".into())
    });
    let rig = Rig::start(plain(&[CALL]), tools, |_| {});
    rig.say("Use calc: 1+1");
    begins.recv_timeout(PATIENCE).unwrap();
    // What a killed process leaves behind is what the journal holds now.
    let left = RamJournal::new();
    left.begin(SESSION, "/work", 0).unwrap();
    for (seq, event) in rig.events().iter().enumerate() {
        left.append(SESSION, seq as u64, event).unwrap();
    }
    rig.machine.stop();

    let tools = Calc::two();
    let left: Arc<dyn Journal> = Arc::new(left);
    let engine = Scripted::new([Exchange::containing("not known what it did", "I do not know.")]);
    let mut rig = Rig::start(engine, Arc::clone(&tools), |setup| {
        setup.journal = Arc::clone(&left);
        setup.session = goes_on(None);
    });
    let told = rig.until("a word on the turn before", |notice| match notice {
        Notice::Failed { message } => Some(message.clone()),
        _ => None,
    });
    assert!(told.contains("not known what it did"), "{told}");
    rig.say("What happened?");
    assert_eq!(rig.ended().answer, "I do not know.");
    assert_eq!(tools.calls.load(Ordering::SeqCst), 0);
    rig.machine.stop();
}

#[test]
fn a_session_is_continued_only_with_its_own_model() {
    let mut rig = Rig::start(plain(&["One."]), Calc::two(), |_| {});
    rig.say("Say one.");
    rig.ended();
    let journal = Arc::clone(&rig.journal);
    rig.machine.stop();
    let mut rig = Rig::start(plain(&[]).window(2048), Calc::two(), |setup| {
        setup.journal = journal;
        setup.session = goes_on(None);
    });
    let (message, code) = rig.until("the refusal", |notice| match notice {
        Notice::Dead { message, code } => Some((message.clone(), *code)),
        _ => None,
    });
    assert!(message.contains("--window 4096"), "{message}");
    assert_eq!(code, crate::exit::USAGE);
    rig.machine.stop();
}

#[test]
fn texts_that_come_with_a_question_are_pages_or_are_searched_when_too_large() {
    let filler = |n: usize| format!("Line {n} of the log says that nothing of interest took place.\n\n");
    let mut large: String = (0..3000).map(filler).collect();
    large.push_str("The password of the printer is swordfish.\n");
    let engine = || Scripted::new([Exchange::containing("swordfish", "It is swordfish.")]);
    for (text, roots) in [
        ("The password of the printer is swordfish.\n", Vec::new()),
        (large.as_str(), Vec::new()),
        // Folders that are searched alone must not hide what came with the question.
        (large.as_str(), vec!["/mounted".to_owned()]),
    ] {
        let mut rig = Rig::start(engine(), Calc::two(), |setup| {
            setup.has_files = true;
            setup.roots = roots;
        });
        rig.say_with("What is the password of the printer?", &[("standard input", text)]);
        let report = rig.ended();
        assert_eq!(report.answer, "It is swordfish.");
        assert_eq!(report.citations[0].path, "standard input");
        let last = u32::try_from(text.lines().count()).unwrap();
        assert_eq!(report.citations[0].lines, (last, last));
        rig.machine.stop();
    }
}

#[test]
fn mounted_pages_are_found_shown_and_cited() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rent.md"), "# Rent\n\nThe rent is 730 euros.\n").unwrap();
    let engine = Scripted::new([Exchange::containing("730", "The rent is 730 euros.")]);
    let mut rig = Rig::start(engine, Calc::two(), |setup| {
        setup.disk = Some(Arc::new(RamDisk::default()));
        setup.has_files = true;
        setup.folder = dir.path().display().to_string();
    });
    rig.machine.commands.send(Command::Mount { path: dir.path().display().to_string() }).unwrap();
    rig.until("the mount", |notice| matches!(notice, Notice::Mounted(_)).then_some(()));
    rig.say("How much is the rent?");
    let report = rig.ended();
    let page = report.citations[0].page;
    assert_eq!(report.citations[0].lines, (3, 3));
    rig.machine.commands.send(Command::ShowPage { page }).unwrap();
    let text = rig.until("the page", |notice| match notice {
        Notice::Page(_, found) => found.as_ref().map(|found| found.1.content.text.to_string()),
        _ => None,
    });
    assert!(text.contains("rent.md:1-3") && text.contains("730 euros"), "{text}");
    rig.machine.stop();
}

#[test]
fn a_disk_that_fails_is_told_and_the_model_still_answers() {
    struct Broken;
    impl Disk for Broken {
        fn mount(
            &self,
            path: &str,
            _: &lucid_kernel::port::MountOptions,
            _: &CancelFlag,
            _: &mut dyn FnMut(&lucid_kernel::port::MountProgress),
        ) -> Result<lucid_kernel::port::MountReport, lucid_kernel::port::DiskError> {
            Err(lucid_kernel::port::DiskError::Full { path: path.into() })
        }
        fn unmount(&self, path: &str) -> Result<(), lucid_kernel::port::DiskError> {
            Err(lucid_kernel::port::DiskError::NotMounted { path: path.into() })
        }
        fn mounts(&self) -> Result<Vec<lucid_kernel::port::Mount>, lucid_kernel::port::DiskError> {
            Ok(Vec::new())
        }
        fn search(
            &self,
            _: &str,
            _: &[String],
            _: usize,
        ) -> Result<Vec<lucid_kernel::port::Hit>, lucid_kernel::port::DiskError> {
            panic!("the search breaks");
        }
    }
    let mut rig = Rig::start(plain(&["Hello."]), Calc::two(), |setup| {
        setup.disk = Some(Arc::new(Broken));
        setup.has_files = true;
    });
    rig.say("Good morning!");
    assert_eq!(rig.ended().answer, "Hello.");
    let told = rig.heard.iter().any(|notice| matches!(notice, Notice::Failed { .. }));
    assert!(told, "{:#?}", rig.heard);
    rig.machine.stop();
}

#[test]
fn an_engine_that_breaks_ends_the_turn_and_serves_the_next() {
    let broken = Mutex::new(true);
    let engine = Scripted::with(move |_, _| {
        let first = std::mem::replace(&mut *broken.lock().unwrap(), false);
        assert!(!first, "the engine breaks");
        Ok("Here again.".into())
    });
    let mut rig = Rig::start(engine, Calc::two(), |_| {});
    rig.say("Hello.");
    let TurnEnd::Failed(fault) = rig.ended().end else { panic!("{:#?}", rig.heard) };
    assert!(fault.message.contains("report it"), "{fault}");
    rig.say("Hello?");
    assert_eq!(rig.ended().answer, "Here again.");
    rig.machine.stop();
}

#[test]
fn a_question_larger_than_the_window_is_refused_before_anything_is_sent() {
    let mut rig = Rig::start(plain(&["Short."]), Calc::two(), |_| {});
    rig.say(&"word ".repeat(5_000));
    let (message, code) = rig.until("the refusal", |notice| match notice {
        Notice::Refused { message, code, .. } => Some((message.clone(), *code)),
        _ => None,
    });
    assert!(message.contains("the question has") && message.contains("4096"), "{message}");
    assert_eq!(code, crate::exit::FAILED);
    rig.say("Short?");
    assert_eq!(rig.ended().answer, "Short.");
    rig.machine.stop();
}

#[test]
fn what_cannot_be_recorded_is_not_done() {
    struct Full;
    impl Journal for Full {
        fn begin(&self, _: &str, _: &str, _: u64) -> Result<(), JournalError> {
            Ok(())
        }
        fn append(&self, _: &str, seq: u64, _: &Event) -> Result<(), JournalError> {
            if seq < 2 { Ok(()) } else { Err(JournalError::Full { path: "/full".into() }) }
        }
        fn load(&self, session: &str) -> Result<Vec<Event>, JournalError> {
            Err(JournalError::NotFound { session: session.into() })
        }
        fn event(&self, session: &str, _: u64) -> Result<Event, JournalError> {
            Err(JournalError::NotFound { session: session.into() })
        }
        fn sessions(&self) -> Result<Vec<SessionInfo>, JournalError> {
            Ok(Vec::new())
        }
    }
    let mut rig = Rig::start(plain(&["Never said."]), Calc::two(), |setup| setup.journal = Arc::new(Full));
    rig.ready();
    rig.say("Hello.");
    let (message, code) = rig.until("the end", |notice| match notice {
        Notice::Dead { message, code } => Some((message.clone(), *code)),
        _ => None,
    });
    assert!(message.contains("no space left"), "{message}");
    assert_eq!(code, crate::exit::FAILED);
    assert!(!rig.heard.iter().any(|notice| matches!(notice, Notice::Taken { .. })));
    rig.machine.stop();
}

#[test]
fn a_model_that_cannot_be_loaded_gives_back_what_was_said() {
    let mut rig = Rig::start(plain(&[]), Calc::two(), |setup| {
        setup.loader = Box::new(|_, _| Err(Failure::config("no such model")));
    });
    rig.say("Hello.");
    rig.until("the refusal", |notice| matches!(notice, Notice::Refused { .. }).then_some(()));
    assert!(rig.heard.iter().any(|notice| matches!(notice, Notice::Dead { code: crate::exit::CONFIG, .. })));
    rig.machine.stop();
}

#[test]
fn pages_are_prepared_while_nobody_waits_and_not_during_a_turn() {
    use lucid_kernel::port::{DiskError, Hit, Mount, MountOptions, MountProgress, MountReport};

    /// One mounted folder with pages to prepare.
    struct Unprepared(AtomicU32);
    impl Disk for Unprepared {
        fn mount(
            &self,
            path: &str,
            _: &MountOptions,
            _: &CancelFlag,
            _: &mut dyn FnMut(&MountProgress),
        ) -> Result<MountReport, DiskError> {
            self.unmount(path).map(|()| MountReport::default())
        }
        fn unmount(&self, path: &str) -> Result<(), DiskError> {
            Err(DiskError::NotMounted { path: path.into() })
        }
        fn mounts(&self) -> Result<Vec<Mount>, DiskError> {
            let options = MountOptions::default();
            Ok(vec![Mount { root: "/a".into(), options, files: 1, pages: 50, complete: true }])
        }
        fn search(&self, _: &str, _: &[String], _: usize) -> Result<Vec<Hit>, DiskError> {
            Ok(Vec::new())
        }
        fn embed(&self, _: &str, at_most: usize, _: &CancelFlag) -> Result<u64, DiskError> {
            let left = self.0.load(Ordering::SeqCst).saturating_sub(at_most as u32);
            self.0.store(left, Ordering::SeqCst);
            Ok(left.into())
        }
    }
    let disk = Arc::new(Unprepared(AtomicU32::new(50)));
    let slow = Pace { decode_per_token: Duration::from_millis(20), ..Pace::default() };
    let engine = plain(&["One two three four five six."]).pace(slow);
    let mut rig = Rig::start(engine, Calc::two(), |setup| {
        setup.disk = Some(Arc::clone(&disk) as Arc<dyn Disk>);
        setup.has_files = true;
    });
    rig.ready();
    let wait = |left: u32| {
        let until = Instant::now() + PATIENCE;
        while disk.0.load(Ordering::SeqCst) > left {
            assert!(Instant::now() < until, "{} are left", disk.0.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait(0);
    rig.say("Good morning!");
    rig.until("the first words", |notice| matches!(notice, Notice::Delta { .. }).then_some(()));
    disk.0.store(50, Ordering::SeqCst);
    rig.until("more words", |notice| matches!(notice, Notice::Delta { .. }).then_some(()));
    assert_eq!(disk.0.load(Ordering::SeqCst), 50);
    rig.ended();
    wait(0);
    rig.machine.stop();
}
