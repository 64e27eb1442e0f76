//! Turns, event by event: what is asked of the machine, and how each answer is taken.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use lucid_kernel::abi::*;
use lucid_kernel::error::KernelError;
use lucid_kernel::journal;
use lucid_kernel::memory::{Page, PageKind, layout};
use lucid_kernel::policy::{Rule, SHELL, Verdict};
use lucid_kernel::routing::Choice;
use serde_json::json;

/// Whether a decode may write words alone.
fn is_free(decode: &Effect) -> bool {
    matches!(decode, Effect::Decode { grammar: Some(found), .. } if *found == lucid_kernel::grammar::text())
}

#[test]
fn without_tools_nothing_is_held_to_a_grammar() {
    let mut rig = Rig::new(4096, Vec::new());
    let decode = rig.ask_unpaged("say hello in French");
    assert!(matches!(&decode, Effect::Decode { grammar: None, .. }), "{decode:?}");
}

#[test]
fn a_plain_turn_is_two_steps_and_a_page_in() {
    let mut rig = Rig::new(4096, vec![calc()]);
    let decode = rig.ask_unpaged("say hello in French");
    assert_eq!(
        text_of(&decode),
        "<|im_start|>system\nYou help.<|im_end|>\n<|im_start|>user\nsay hello in French<|im_end|>\n<|im_start|>assistant\n"
    );
    assert!(is_free(&decode) && matches!(&decode, Effect::Decode { show: true, max_tokens: 1024, .. }));
    let report = report(rig.say(&decode, "Bonjour."));
    assert_eq!((report.end, report.answer.as_str()), (TurnEnd::Answered, "Bonjour."));
    assert_eq!(report.usage.prefilled, 10);
}

#[test]
fn the_second_turn_appends_to_the_first() {
    let mut rig = Rig::new(4096, vec![]);
    let first = rig.ask_unpaged("one");
    rig.say(&first, "two");
    let second = rig.ask_unpaged("three");
    let grown = format!("{}two<|im_end|>\n", text_of(&first));
    assert!(text_of(&second).starts_with(&grown));
}

#[test]
fn a_named_tool_must_be_called_and_its_result_is_read() {
    let mut rig = Rig::new(4096, vec![calc()]);
    let decode = rig.ask_unpaged("What is 17.5% of 2310.40? Use the calculator.");
    let Effect::Decode { grammar: Some(grammar), show: false, .. } = &decode else { panic!("{decode:?}") };
    assert!(grammar.lark.starts_with("start: call\n"), "{}", grammar.lark);
    let effect = call(&mut rig, &decode, "17.5% * 2310.40");
    let Effect::Call { id, call, .. } = effect else { panic!("{effect:?}") };
    assert_eq!(call.arguments, json!({ "expression": "17.5% * 2310.40" }));
    rig.step(Event::Started { id });
    let next = one(rig.step(returned(id, "404.32")));
    assert!(text_of(&next).contains("<tool_response>\n404.32\n</tool_response>"));
    let report = report(rig.say(&next, "It is 404.32."));
    assert_eq!(report.calls[0].result, Ok(json!("404.32")));
    assert_eq!(report.calls[0].micros, 300);
}

#[test]
fn what_is_near_a_tool_may_call_it_and_plain_questions_may_not() {
    let mut rig = Rig::new(4096, vec![calc()]);
    for near in ["If a shirt costs 20 and drops by 15%, what do I pay?", "Is a calculator cheap?"] {
        let decode = rig.ask_unpaged(near);
        let may = matches!(&decode, Effect::Decode { grammar: Some(g), .. } if g.lark.starts_with("start: text | call"));
        assert!(may, "{near}: {decode:?}");
        rig.say(&decode, "About 17.");
    }
    for plain in ["Who wrote Faust?", "Don't use the calculator: what is a prime?", "Born on 2026-11-23?"] {
        let decode = rig.ask_unpaged(plain);
        let free = is_free(&decode);
        let may = matches!(&decode, Effect::Decode { grammar: Some(g), .. } if g.lark.starts_with("start: text | call"));
        assert!(free || (plain.contains("calculator") && may), "{plain}: {decode:?}");
        rig.say(&decode, "Fine.");
    }
}

#[test]
fn a_calculation_must_be_calculated() {
    let mut rig = Rig::new(4096, vec![calc()]);
    for sum in ["What is 17.5% of 2310.40?", "3 * (4 + 5)", "how much is 12 times 13?", "2^10 ="] {
        let decode = rig.ask_unpaged(sum);
        assert!(matches!(&decode, Effect::Decode { show: false, .. }), "{sum}: {decode:?}");
        rig.say(&decode, "?");
        rig.step(Event::Cancel { pid: rig.pid });
        let open = rig.kernel.open_effects();
        for (_, id) in open {
            rig.step(decoded(id, ""));
        }
    }
    for plain in ["What is 24/7 support?", "What is C++11?", "what is a 3-2-1 backup?"] {
        let decode = rig.ask_unpaged(plain);
        assert!(matches!(&decode, Effect::Decode { show: true, .. }), "{plain}: {decode:?}");
        rig.say(&decode, "It is a thing.");
    }
}

/// After a call that gave 2, the model calls again with this: it is not run, and the model must
/// answer in words.
fn call_again_in_vain(expression: &str) {
    let mut rig = Rig::new(4096, vec![calc()]);
    let decode = rig.ask_unpaged("Use calc: 1+1");
    let Effect::Call { id, .. } = call(&mut rig, &decode, "1+1") else { panic!() };
    rig.step(Event::Started { id });
    let next = one(rig.step(returned(id, "2")));
    let forced = call(&mut rig, &next, expression);
    assert!(is_free(&forced), "{forced:?}");
    assert_eq!(report(rig.say(&forced, "2.")).calls.len(), 1);
}

#[test]
fn the_same_call_twice_is_not_run_twice() {
    call_again_in_vain("1+1");
}

#[test]
fn a_result_that_is_handed_back_to_its_tool_is_no_call() {
    call_again_in_vain("2");
}

#[test]
fn malformed_calls_are_allegations_only() {
    for bad in [
        r#"{"name": "calc", "arguments": {"expression": 3}}"#,
        r#"{"name": "rm", "arguments": {"expression": "1"}}"#,
        r#"{"name": "calc", "arguments": {"expression": "1"#,
        r#"{"name": "calc", "arguments": []}"#,
    ] {
        let mut rig = Rig::new(4096, vec![calc()]);
        let decode = rig.ask_unpaged("use calc to add 1 and 1");
        let effect = one(rig.say(&decode, bad));
        assert!(is_free(&effect), "{bad}: {effect:?}");
        assert_eq!(report(rig.say(&effect, "2")).calls, vec![]);
    }
}

#[test]
fn policy_denies_and_asks() {
    let rule = |verdict| Rule { tool: "calc".into(), verdict };
    let rig_with = |rules| {
        let mut config = config(4096);
        config.policy.rules = rules;
        let (kernel, pid, events) = booted(config, vec![calc()]);
        Rig { kernel, pid, events }
    };
    let mut rig = rig_with(vec![rule(Verdict::Allow), rule(Verdict::Deny)]);
    let decode = rig.ask_unpaged("use calc: 1+1");
    let Effect::Encode { id, text, .. } = call(&mut rig, &decode, "1+1") else { panic!() };
    assert!(text.contains("not allowed"), "{text}");
    let next = one(rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) }));
    let denied = report(rig.say(&next, "I may not."));
    assert_eq!(denied.calls[0].result.as_ref().unwrap_err().kind, FaultKind::Denied);

    for allow in [true, false] {
        let mut rig = rig_with(vec![rule(Verdict::Ask)]);
        let decode = rig.ask_unpaged("use calc: 1+1");
        let Effect::Ask { id, .. } = call(&mut rig, &decode, "1+1") else { panic!() };
        let next = one(rig.step(Event::Answered { id, allow, extent: Extent::Once }));
        assert_eq!(matches!(next, Effect::Call { .. }), allow, "{next:?}");
        assert_eq!(matches!(next, Effect::Encode { .. }), !allow, "{next:?}");
    }
    let mut rig = rig_with(vec![Rule { tool: "a*b*".into(), verdict: Verdict::Allow }]);
    let decode = rig.ask_unpaged("use calc: 1+1");
    assert!(
        matches!(call(&mut rig, &decode, "1+1"), Effect::Encode { .. }),
        "a rule that cannot be read denies"
    );
}

#[test]
fn each_command_is_asked_for_whatever_rules_and_answers_there_are() {
    let shell = || ToolSpec { name: SHELL.into(), ..calc() };
    let rig_with = |verdicts: &[Verdict]| {
        let mut config = config(4096);
        let rule = |verdict: &Verdict| Rule { tool: "sh*".into(), verdict: *verdict };
        config.policy.rules = verdicts.iter().map(rule).collect();
        let (kernel, pid, events) = booted(config, vec![shell()]);
        Rig { kernel, pid, events }
    };
    let run = |rig: &mut Rig, decode: &Effect, command: &str| {
        let call = json!({ "name": SHELL, "arguments": { "expression": command } });
        one(rig.say(decode, &call.to_string()))
    };
    for rules in [&[][..], &[Verdict::Allow], &[Verdict::Ask]] {
        let mut rig = rig_with(rules);
        let mut decode = rig.ask_unpaged("use the shell");
        for (command, extent) in [("ls", Extent::Once), ("pwd", Extent::Session), ("id", Extent::Always)] {
            let Effect::Ask { id, call, wants, .. } = run(&mut rig, &decode, command) else {
                panic!("{command} was not asked for with {rules:?}")
            };
            assert_eq!(call.arguments["expression"], command);
            assert_eq!(wants, []);
            let next = one(rig.step(Event::Answered { id, allow: true, extent }));
            let Effect::Call { id, granted, .. } = next else { panic!("{next:?}") };
            assert_eq!(granted, Vec::<String>::new());
            rig.step(Event::Started { id });
            decode = one(rig.step(returned(id, "done")));
        }
        rig.say(&decode, "Done.");
        // Nor does it hold for the next turn.
        let decode = rig.ask_unpaged("use the shell");
        let Effect::Ask { id, .. } = run(&mut rig, &decode, "ls") else { panic!("the next turn") };
        // A no is told to the model.
        let next = one(rig.step(Event::Answered { id, allow: false, extent: Extent::Once }));
        let Effect::Encode { id, text, .. } = next else { panic!("{next:?}") };
        assert!(text.contains("shell did not run: the user did not allow it"), "{text}");
        let next = one(rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) }));
        let denied = report(rig.say(&next, "I may not."));
        assert_eq!(denied.calls[0].result.as_ref().unwrap_err().kind, FaultKind::Denied);
    }
    let mut rig = rig_with(&[Verdict::Allow, Verdict::Deny]);
    let decode = rig.ask_unpaged("use the shell");
    assert!(matches!(run(&mut rig, &decode, "ls"), Effect::Encode { .. }), "a rule denies it");
}

#[test]
fn private_pages_leave_the_machine_only_when_it_is_allowed() {
    let private = |id| {
        let mut page = file_page(id, "/d/rent.md", (1, 1), "The rent is due on the fifth.");
        page.label.secrecy = Secrecy::Private;
        page
    };
    // Asks a question to which a private page is found; gives what the kernel then wants.
    let ask = |host: Option<&str>, rules: Vec<Rule>| {
        let mut config = config(4096);
        config.engine.host = host.map(str::to_owned);
        config.policy.rules = rules;
        let (kernel, pid, events) = booted(config, vec![]);
        let mut rig = Rig { kernel, pid, events };
        let effects = rig.ask("When is the rent due?");
        let [Effect::PageIn { id, first, .. }] = &effects[..] else { panic!("{effects:?}") };
        let (id, page) = (*id, private(*first));
        let next = one(rig.step(Event::PagedIn { id, outcome: Outcome::Done(vec![page]) }));
        (rig, next)
    };
    let rule = |verdict| vec![Rule { tool: "send_pages".into(), verdict }];
    assert!(matches!(ask(None, vec![]).1, Effect::Decode { .. }));
    assert!(matches!(ask(Some("example.org"), rule(Verdict::Allow)).1, Effect::Decode { .. }));
    let denied = |effects| match report(effects).end {
        TurnEnd::Failed(fault) => fault.kind == FaultKind::Denied,
        _ => false,
    };
    assert!(denied(vec![ask(Some("example.org"), rule(Verdict::Deny)).1]));

    let (mut rig, next) = ask(Some("example.org"), vec![]);
    let Effect::Ask { id, call, .. } = next else { panic!("{next:?}") };
    assert_eq!(call.arguments["to"], "example.org");
    assert_eq!(call.arguments["pages"].as_array().unwrap().len(), 1);
    assert!(denied(rig.step(Event::Answered { id, allow: false, extent: Extent::Once })));

    // A yes holds for the process.
    let (mut rig, next) = ask(Some("example.org"), vec![]);
    let Effect::Ask { id, .. } = next else { panic!("{next:?}") };
    let decode = one(rig.step(Event::Answered { id, allow: true, extent: Extent::Once }));
    report(rig.say(&decode, "On the fifth."));
    assert!(matches!(rig.ask_unpaged("And the deposit?"), Effect::Decode { .. }));
    assert_eq!(journal::replay(&rig.events), rig.kernel);
}

#[test]
fn as_many_processes_decode_as_the_engine_has_slots() {
    let mut config = config(4096);
    config.engine.slots = 2;
    config.has_disk = false;
    let (mut kernel, first, _) = booted(config, vec![]);
    let mut pids = vec![first];
    for _ in 0..3 {
        let spawned = kernel.step(spawn(vec![]));
        let [Effect::Spawned { pid, of: None }] = &spawned[..] else { panic!("{spawned:?}") };
        pids.push(*pid);
    }
    let asked: Vec<Vec<Effect>> =
        pids.iter().map(|pid| kernel.step(input(*pid, "Hi", TurnOptions::default()))).collect();
    let decodes: Vec<EffectId> = asked
        .iter()
        .flatten()
        .filter_map(|effect| if let Effect::Decode { id, .. } = effect { Some(*id) } else { None })
        .collect();
    assert_eq!(decodes.len(), 2, "{asked:?}");
    // Whoever is done makes place for the one that waits longest.
    let next = kernel.step(decoded(decodes[1], "Hello."));
    assert!(next.iter().any(|e| matches!(e, Effect::Decode { pid, .. } if *pid == pids[2])), "{next:?}");
    let next = kernel.step(decoded(decodes[0], "Hello."));
    assert!(next.iter().any(|e| matches!(e, Effect::Decode { pid, .. } if *pid == pids[3])), "{next:?}");
}

#[test]
fn pages_stand_before_the_question_and_are_cited() {
    let mut rig = Rig::new(4096, vec![]);
    let effects = rig.ask("Which port does the server listen on?");
    let [Effect::PageIn { id, first, .. }] = &effects[..] else { panic!("{effects:?}") };
    let (id, first) = (*id, *first);
    let pages = vec![
        file_page(
            first,
            "/d/net.md",
            (10, 12),
            "# Network\nThe server listens on port 7311.\nIt speaks HTTP.",
        ),
        file_page(PageId(first.0 + 1), "/d/zoo.md", (1, 1), "Giraffes eat leaves."),
    ];
    let decode = one(rig.step(Event::PagedIn { id, outcome: Outcome::Done(pages) }));
    let text = text_of(&decode);
    assert!(text.contains("/d/net.md:10-12\n# Network"), "{text}");
    assert!(!text.contains("Giraffes"), "a page that has nothing of the question stays out");
    assert!(text.find("port 7311").unwrap() < text.find("Which port").unwrap());
    let report = report(rig.say(&decode, "It listens on port 7311."));
    assert_eq!(report.citations, vec![Citation { path: "/d/net.md".into(), lines: (11, 11), page: first }]);
    // Asked again, the same page is not paged in twice.
    let effects = rig.ask("On which port does the server listen again?");
    let [Effect::PageIn { id, first, .. }] = &effects[..] else { panic!("{effects:?}") };
    let again = file_page(
        *first,
        "/d/net.md",
        (10, 12),
        "# Network\nThe server listens on port 7311.\nIt speaks HTTP.",
    );
    let id = *id;
    let decode = one(rig.step(Event::PagedIn { id, outcome: Outcome::Done(vec![again]) }));
    assert_eq!(text_of(&decode).matches("port 7311.\nIt speaks").count(), 1);
}

#[test]
fn a_small_window_keeps_working_and_loses_nothing() {
    let mut rig = Rig::new(600, vec![]);
    for round in 0..40 {
        let decode = rig.ask_unpaged(&format!("question number {round} with some words in it"));
        rig.say(&decode, &format!("answer number {round} with some more words"));
    }
    let process = &rig.kernel.processes()[&rig.pid];
    let turns = process.table().iter().filter(|page| page.kind == PageKind::Turn).count();
    assert_eq!(turns, 80);
    assert!(process.window().slots().len() < 20);
    let text_of = |page: &Page| journal::text_of(&rig.events[page.born as usize], page.id).unwrap();
    let text: String = process.table().iter().map(|page| text_of(page).to_string()).collect();
    assert!(text.contains("question number 0 ") && text.contains("answer number 39"));
}

#[test]
fn eviction_is_batched_so_that_the_front_is_disturbed_seldom() {
    let mut rig = Rig::new(8000, vec![]);
    let mut disturbed = 0;
    let mut before = String::new();
    for round in 0..100 {
        let decode = rig.ask_unpaged(&format!("question number {round} with some words in it"));
        let text = text_of(&decode);
        let body = before.strip_suffix("<|im_start|>assistant\n").unwrap_or(&before).to_owned();
        disturbed += u32::from(!text.starts_with(&body));
        before = text;
        rig.say(&decode, &format!("answer number {round} with some more words"));
    }
    assert!((1..6).contains(&disturbed), "{disturbed} of 100 turns lost the engine's prefix");
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_sent() {
    let mut rig = Rig::new(600, vec![]);
    let before = rig.kernel.clone();
    let effects = rig.ask(&"long ".repeat(200));
    let [Effect::Refused { error }] = &effects[..] else { panic!("{effects:?}") };
    let message = error.to_string();
    assert!(message.contains("the question has 1000 tokens") && message.contains("600"), "{message}");
    assert_eq!(rig.kernel.processes(), before.processes());
    assert!(matches!(&rig.ask("  \n")[..], [Effect::Refused { .. }]));
}

#[test]
fn a_huge_result_is_cut_to_fit() {
    let mut rig = Rig::new(1024, vec![calc()]);
    let decode = rig.ask_unpaged("use calc: 1+1");
    let Effect::Call { id, .. } = call(&mut rig, &decode, "1+1") else { panic!() };
    rig.step(Event::Started { id });
    let mut effect = one(rig.step(returned(id, &"9".repeat(100_000))));
    while let Effect::Encode { id, text, .. } = effect {
        effect = one(rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) }));
    }
    assert!(text_of(&effect).contains("has 100000 characters, these are the first"));
}

#[test]
fn cancel_ends_the_turn_wherever_it_is() {
    let mut rig = Rig::new(4096, vec![calc()]);
    // While pages are looked for.
    let id = page_in(&rig.ask("first"));
    assert_eq!(rig.step(Event::Cancel { pid: rig.pid }), vec![Effect::Cancel { id }]);
    let ended = report(rig.step(Event::PagedIn { id, outcome: Outcome::Cancelled }));
    assert_eq!(ended.end, TurnEnd::Cancelled);
    // While it decodes: what came is kept.
    let decode = rig.ask_unpaged("second");
    let Effect::Decode { id, .. } = decode else { panic!() };
    assert_eq!(rig.step(Event::Cancel { pid: rig.pid }), vec![Effect::Cancel { id }]);
    let ended = report(rig.step(decoded(id, "half an ans")));
    assert_eq!((ended.end, ended.answer.as_str()), (TurnEnd::Cancelled, "half an ans"));
    // While a tool runs.
    let decode = rig.ask_unpaged("use calc: 2+2");
    let Effect::Call { id, .. } = call(&mut rig, &decode, "2+2") else { panic!() };
    rig.step(Event::Started { id });
    assert_eq!(rig.step(Event::Cancel { pid: rig.pid }), vec![Effect::Cancel { id }]);
    assert_eq!(report(rig.step(Event::Returned { id, outcome: Outcome::Cancelled })).end, TurnEnd::Cancelled);
    // When nothing is under way there is nothing to do.
    assert_eq!(rig.step(Event::Cancel { pid: rig.pid }), vec![]);
    let decode = rig.ask_unpaged("and on");
    assert!(text_of(&decode).contains("first"), "a cancelled input is not lost");
}

#[test]
fn after_a_crash_a_started_call_is_unknown_and_never_run_again() {
    let mut rig = Rig::new(4096, vec![calc()]);
    let decode = rig.ask_unpaged("use calc: 1+1");
    let Effect::Call { id, .. } = call(&mut rig, &decode, "1+1") else { panic!() };
    rig.step(Event::Started { id });
    let mut kernel = journal::replay(&rig.events);
    assert_eq!(kernel, rig.kernel);
    assert_eq!(kernel.open_effects(), vec![(rig.pid, id)]);
    let effects = kernel.step(Event::Restarted);
    let [Effect::Encode { id: encode, text, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert!(text.contains("not known"), "{text}");
    let effects = kernel.step(Event::Encoded { id: *encode, outcome: Outcome::Done(encoded(text)) });
    let ended = report(effects);
    assert_eq!(ended.calls[0].result.as_ref().unwrap_err().kind, FaultKind::OutcomeUnknown);
    assert!(
        matches!(&kernel.step(returned(id, "2"))[..], [Effect::Refused { .. }]),
        "its answer comes too late"
    );
    assert!(matches!(
        &kernel.step(input(rig.pid, "again", TurnOptions::default()))[..],
        [Effect::PageIn { .. }]
    ));
}

#[test]
fn an_answer_is_held_to_its_schema() {
    let schema = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    let options = TurnOptions { schema: Some(schema), prefetch: false, ..TurnOptions::default() };
    let mut rig = Rig::new(4096, vec![]);
    let decode = one(rig.step(input(rig.pid, "how many?", options.clone())));
    let Effect::Decode { grammar: Some(grammar), .. } = &decode else { panic!() };
    assert!(grammar.lark.contains("\"maximum\""), "numbers are bounded: {}", grammar.lark);
    assert_eq!(report(rig.say(&decode, r#"{"n": 3}"#)).end, TurnEnd::Answered);
    let decode = one(rig.step(input(rig.pid, "how many?", options)));
    let bad = report(rig.say(&decode, r#"{"n": "three"}"#));
    assert!(matches!(bad.end, TurnEnd::Failed(fault) if fault.message.contains("schema")));
    let bad = TurnOptions { schema: Some(json!({ "type": "nonsense" })), ..TurnOptions::default() };
    assert!(matches!(&rig.step(input(rig.pid, "x", bad))[..], [Effect::Refused { .. }]));
}

#[test]
fn a_named_page_is_read_back_word_for_word() {
    let mut tools = vec![calc()];
    tools.extend(lucid_kernel::syscall::disk_calls());
    let mut rig = Rig::new(900, tools);
    let decode = rig.ask_unpaged("the word zanzibar-7 is the word");
    rig.say(&decode, "Noted.");
    for round in 0..12 {
        let decode = rig.ask_unpaged(&format!("filler question {round} {}", "x".repeat(60)));
        rig.say(&decode, "ok");
    }
    let process = &rig.kernel.processes()[&rig.pid];
    let says = |page: &&Page| {
        journal::text_of(&rig.events[page.born as usize], page.id).unwrap().contains("zanzibar")
    };
    let page = process.table().iter().find(says).unwrap();
    assert!(!process.window().holds(page.id) && process.table().content(page.id).is_none());
    let address = page.id.to_string();
    let decode = rig.ask_unpaged(&format!("read page {address}"));
    let written = json!({ "name": "read", "arguments": { "page": address } }).to_string();
    let effect = one(rig.say(&decode, &written));
    let Effect::PageIn { id, request: PageRequest::Recall(recall), .. } = effect else {
        panic!("{effect:?}")
    };
    let page = recalled(&rig.events, &recall).unwrap();
    let next = one(rig.step(Event::PagedIn { id, outcome: Outcome::Done(vec![page]) }));
    assert!(
        text_of(&next).contains("the word zanzibar-7 is the word\n\n</tool_response>"),
        "{}",
        text_of(&next)
    );
}

#[test]
fn the_model_searches_by_itself() {
    let mut rig = Rig::new(4096, lucid_kernel::syscall::disk_calls());
    let decode = rig.ask_unpaged("search for giraffes");
    let written = json!({ "name": "search", "arguments": { "query": "giraffe food" } }).to_string();
    let effect = one(rig.say(&decode, &written));
    let Effect::PageIn { id, first, request: PageRequest::Search { query, .. }, .. } = effect else {
        panic!()
    };
    assert_eq!(query, "giraffe food");
    let page = file_page(first, "/d/zoo.md", (3, 3), "Giraffes eat acacia leaves.");
    let decode = one(rig.step(Event::PagedIn { id, outcome: Outcome::Done(vec![page]) }));
    assert!(text_of(&decode).contains("acacia"));
    let ended = report(rig.say(&decode, "They eat acacia leaves."));
    assert_eq!(ended.citations[0].path, "/d/zoo.md");
}

#[test]
fn two_processes_share_the_engine_in_turn() {
    let (mut kernel, first, _) = booted(config(4096), vec![]);
    let effects = kernel.step(spawn(vec![]));
    let [Effect::Spawned { pid: second, of: None }] = effects[..] else { panic!("{effects:?}") };
    let plain = TurnOptions { prefetch: false, ..TurnOptions::default() };
    let decode = one(kernel.step(input(first, "a", plain.clone())));
    assert_eq!(kernel.step(input(second, "b", plain)), vec![]);
    let Effect::Decode { id, .. } = decode else { panic!() };
    let effects = kernel.step(decoded(id, "done"));
    assert!(
        matches!(&effects[..], [Effect::Ended { .. }, Effect::Decode { pid, .. }] if *pid == second),
        "{effects:?}"
    );
}

#[test]
fn counts_are_exact() {
    let mut rig = Rig::new(4096, vec![]);
    let decode = rig.ask_unpaged("some words");
    let Effect::Decode { layout, .. } = &decode else { panic!() };
    let process = &rig.kernel.processes()[&rig.pid];
    assert_eq!(layout::count(layout), process.window().used(&chat()));
}

#[test]
fn events_that_answer_nothing_are_refused() {
    let mut rig = Rig::new(4096, vec![]);
    for event in [
        Event::Boot { config: Box::new(config(4096)) },
        Event::Started { id: EffectId(99) },
        decoded(EffectId(99), "x"),
        input(Pid(99), "x", TurnOptions::default()),
    ] {
        let before = rig.kernel.clone();
        assert!(matches!(&rig.step(event)[..], [Effect::Refused { .. }]));
        assert_eq!(rig.kernel.processes(), before.processes());
    }
}

/// Tells the model to remember this; gives what the kernel then wants of the machine.
fn remember(rig: &mut Rig, fact: &str) -> Effect {
    let decode = rig.ask_unpaged(&format!("Remember {fact}"));
    let written = json!({ "name": "remember", "arguments": { "text": fact } }).to_string();
    let Effect::Encode { id, text, .. } = one(rig.say(&decode, &written)) else { panic!() };
    let effects = rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) });
    effects.into_iter().find(|effect| !matches!(effect, Effect::Swap { .. })).unwrap()
}

#[test]
fn what_stays_can_never_fill_the_window() {
    let mut rig = Rig::new(1200, lucid_kernel::syscall::memory_calls());
    let mut kept = 0;
    for number in 0..20 {
        match remember(&mut rig, &format!("fact number {number}: {}", "x".repeat(60))) {
            Effect::Remembered { .. } => kept += 1,
            Effect::Encode { id, text, .. } => {
                assert!(text.contains("no room to remember more"), "{text}");
                let decode = one(rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) }));
                report(rig.say(&decode, "I cannot."));
                break;
            }
            other => panic!("{other:?}"),
        }
        let open = rig.kernel.open_effects();
        report(rig.step(decoded(open[0].1, "I will.")));
    }
    assert!((3..12).contains(&kept), "{kept} facts were kept");
    // There is still room for a question, and a pin that would take it is refused.
    let decode = rig.ask_unpaged("What do you know?");
    report(rig.say(&decode, "Many facts."));
    let note = note(rig.kernel.next_page(), &"y".repeat(300));
    let refused = rig.step(Event::Remember { pid: rig.pid, page: note });
    let [Effect::Refused { error }] = &refused[..] else { panic!("{refused:?}") };
    assert!(error.to_string().contains("unpin pages (p"), "{error}");
}

#[test]
fn the_kernel_says_what_an_engine_need_not_compute_again() {
    use lucid_kernel::memory::reuse::Sent;
    let segment = |page: u64, text: &str| Segment { page: Some(PageId(page)), tokens: encoded(text).tokens };
    let boot = segment(1, &"b".repeat(100));
    let (one, two) = (segment(2, &"x".repeat(100)), segment(3, &"y".repeat(100)));
    let mut sent = Sent::default();
    assert_eq!(sent.reused(std::slice::from_ref(&boot), false), 0);
    sent.send(&[boot.clone(), one.clone(), two.clone()]);
    sent.hear(&encoded("answer").tokens);
    let said = segment(4, "answer");
    let new = segment(5, "new question");
    let grown = [boot.clone(), one, two.clone(), said.clone(), new.clone()];
    assert_eq!(sent.reused(&grown, false), 306, "what was sent and said");
    assert_eq!(sent.reused(&grown[..3], false), 299, "the last token is always computed");
    let evicted = [boot, two, said, new];
    assert_eq!(sent.reused(&evicted, false), 100, "with prefixes alone, all behind the gap is lost");
    assert_eq!(sent.reused(&evicted, true), 206, "a gap that is closed costs nothing");
}

#[test]
fn a_fork_knows_all_that_was_said_and_goes_its_own_way() {
    let mut rig = Rig::new(4096, vec![]);
    let fact = rig.kernel.next_page();
    let decode = rig.ask_unpaged("My zebra is called Anton.");
    assert!(matches!(&rig.step(Event::Fork { pid: rig.pid })[..], [Effect::Refused { .. }]), "in a turn");
    report(rig.say(&decode, "Noted."));
    let said = rig.kernel.next_page();
    let forked = rig.step(Event::Fork { pid: rig.pid });
    let [Effect::Spawned { pid: branch, of: Some(of) }] = forked[..] else { panic!("{forked:?}") };
    assert_eq!(of, rig.pid);
    let both = rig.kernel.processes();
    assert_eq!(both[&of].window(), both[&branch].window());
    for page in both[&of].table().iter() {
        assert_eq!(rig.kernel.sharers(page.id).collect::<Vec<_>>(), [of, branch]);
        let texts = [of, branch].map(|pid| both[&pid].table().content(page.id).unwrap().text.as_ptr());
        assert_eq!(texts[0], texts[1], "{} was copied", page.id);
    }
    // What either says from now on is its own, and no address names two pages.
    let plain = TurnOptions { prefetch: false, ..TurnOptions::default() };
    let mut seen = Vec::new();
    for (pid, question) in [(branch, "What is it called?"), (of, "Is it striped?")] {
        let decode = one(rig.step(input(pid, question, plain.clone())));
        let text = text_of(&decode);
        assert!(text.contains("My zebra is called Anton."), "{text}");
        seen.push(text);
        report(rig.say(&decode, "Yes."));
    }
    assert!(!seen[1].contains("What is it called?"), "{}", seen[1]);
    let alone: Vec<Pid> = rig.kernel.sharers(said).collect();
    assert_eq!(alone, [branch]);
    rig.kernel.check_addresses().unwrap();
    // A page that leaves one of them stays in the other.
    rig.step(Event::Evict { pid: branch, page: fact });
    let holds = |pid: Pid| rig.kernel.processes()[&pid].window().holds(fact);
    assert_eq!((holds(of), holds(branch)), (true, false));
}

#[test]
fn a_process_that_ends_leaves_the_others_as_they_are() {
    let mut rig = Rig::new(4096, vec![]);
    let only = rig.step(Event::Exit { pid: rig.pid });
    assert!(
        matches!(&only[..], [Effect::Refused { error: KernelError::LastProcess(_) }]),
        "the last one stays: {only:?}"
    );
    let decode = rig.ask_unpaged("My zebra is called Anton.");
    report(rig.say(&decode, "Noted."));
    let forked = rig.step(Event::Fork { pid: rig.pid });
    let [Effect::Spawned { pid: branch, .. }] = forked[..] else { panic!("{forked:?}") };
    let decode = rig.ask_unpaged("And yours?");
    let busy = rig.step(Event::Exit { pid: rig.pid });
    assert!(matches!(&busy[..], [Effect::Refused { error: KernelError::ProcessBusy(_) }]), "{busy:?}");
    report(rig.say(&decode, "I have none."));
    assert_eq!(rig.step(Event::Exit { pid: rig.pid }), []);
    assert_eq!(rig.kernel.processes().keys().collect::<Vec<_>>(), [&branch]);
    assert_eq!(rig.kernel.spoken_to(), Some(branch));
    let plain = TurnOptions { prefetch: false, ..TurnOptions::default() };
    let decode = one(rig.step(input(branch, "What is it called?", plain)));
    assert!(text_of(&decode).contains("Anton"));
}

#[test]
fn other_tools_are_told_by_other_instructions_and_nothing_else_changes() {
    let mut rig = Rig::new(4096, vec![calc()]);
    let decode = rig.ask_unpaged("My zebra is called Anton.");
    let tools = |tools: Vec<ToolSpec>, system: &str| Event::Tools { system: encoded(system), tools };
    let refused = rig.step(tools(vec![], "You have no tools."));
    assert!(matches!(&refused[..], [Effect::Refused { .. }]), "in a turn: {refused:?}");
    report(rig.say(&decode, "Noted."));
    let forked = rig.step(Event::Fork { pid: rig.pid });
    let [Effect::Spawned { pid: branch, .. }] = forked[..] else { panic!("{forked:?}") };
    let next = rig.kernel.next_page();
    assert_eq!(rig.step(tools(vec![], "You have no tools.")), []);
    let plain = TurnOptions { prefetch: false, ..TurnOptions::default() };
    for pid in [rig.pid, branch] {
        let process = &rig.kernel.processes()[&pid];
        assert_eq!(process.window().slots()[0].page, next);
        assert!(process.tools().is_empty());
    }
    let decode = one(rig.step(input(rig.pid, "How is it called? use calc: 1+1", plain)));
    let text = text_of(&decode);
    assert!(text.contains("You have no tools.") && text.contains("Anton"), "{text}");
    assert!(!text.contains("You are Lucid"), "the old instructions are gone: {text}");
    let Effect::Decode { grammar, .. } = &decode else { panic!("{decode:?}") };
    assert!(!format!("{grammar:?}").contains("calc"), "there is no calc any more: {grammar:?}");
    report(rig.say(&decode, "Anton."));
    rig.kernel.check_addresses().unwrap();
    // Instructions that leave no room are refused, and all stays as it was.
    let before = rig.kernel.clone();
    let refused = rig.step(tools(vec![calc()], &"word ".repeat(4000)));
    assert!(matches!(&refused[..], [Effect::Refused { .. }]), "{refused:?}");
    assert_eq!(rig.kernel.processes(), before.processes());
    assert_eq!(rig.kernel.next_page(), before.next_page());
}

#[test]
fn a_tool_has_what_was_granted_and_no_more() {
    let want =
        |right: &str| Want { plugin: "sums".into(), right: right.into(), words: format!("have {right}") };
    let mut tool = calc();
    tool.wants = vec![want("net:a.b"), want("disk")];
    let mut rig = Rig::new(4096, vec![tool]);
    let granted = |effect: &Effect| match effect {
        Effect::Call { granted, .. } => granted.clone(),
        other => panic!("{other:?}"),
    };
    // The user is asked, in words, and a yes for once is one for this call.
    for (extent, asked_again) in [(Extent::Once, true), (Extent::Session, false)] {
        let decode = rig.ask_unpaged("use calc: 1+1");
        let Effect::Ask { id, reason, wants, .. } = call(&mut rig, &decode, "1+1") else { panic!() };
        assert_eq!(reason, "calc would have net:a.b; have disk");
        assert_eq!(wants.len(), 2);
        let effect = one(rig.step(Event::Answered { id, allow: true, extent }));
        assert_eq!(granted(&effect), ["net:a.b", "disk"]);
        rig.step(Event::Cancel { pid: rig.pid });
        let Effect::Call { id, .. } = effect else { panic!() };
        report(rig.step(Event::Returned { id, outcome: Outcome::Cancelled }));
        let decode = rig.ask_unpaged("use calc: 2+2");
        let next = call(&mut rig, &decode, "2+2");
        assert_eq!(matches!(next, Effect::Ask { .. }), asked_again, "{next:?}");
        if !asked_again {
            assert_eq!(granted(&next), ["net:a.b", "disk"]);
        }
        rig.step(Event::Cancel { pid: rig.pid });
        let end = match next {
            Effect::Ask { id, .. } => Event::Answered { id, allow: false, extent },
            Effect::Call { id, .. } => Event::Returned { id, outcome: Outcome::Cancelled },
            other => panic!("{other:?}"),
        };
        report(rig.step(end));
    }
    assert_eq!(journal::replay(&rig.events), rig.kernel);
}

#[test]
fn of_many_tools_those_that_fit_come_with_the_question() {
    let tool = |name: &str, description: &str, keywords: &[&str]| {
        let mut tool = calc();
        tool.name = name.into();
        tool.description = description.into();
        tool.keywords = keywords.iter().map(|word| (*word).to_owned()).collect();
        tool.described = Some(encoded(&lucid_kernel::prompt::described(&tool)));
        tool
    };
    let mut tools: Vec<ToolSpec> =
        (0..100).map(|n| tool(&format!("gadget_{n}"), "Turns a gadget.", &["gadget"])).collect();
    tools.push(tool("weather_now", "Tells the weather of a city.", &["weather", "forecast"]));
    tools.extend(lucid_kernel::syscall::tool_calls());
    let mut rig = Rig::new(4096, tools);
    let decode = rig.ask_unpaged("What will the weather in Basel be?");
    let text = text_of(&decode);
    assert!(text.contains("- weather_now(") && !text.contains("gadget"), "{text}");
    let Effect::Decode { grammar, .. } = &decode else { panic!() };
    assert!(grammar.as_ref().unwrap().lark.contains("weather_now"));
    report(rig.say(&decode, "It rains."));
    // It is there already when it is needed again.
    let decode = rig.ask_unpaged("And the weather in Bern?");
    assert_eq!(text_of(&decode).matches("- weather_now(").count(), 1);
    report(rig.say(&decode, "It rains too."));
    // Of a hundred that fit equally, few are offered.
    let decode = rig.ask_unpaged("Turn the gadget.");
    assert_eq!(text_of(&decode).matches("- gadget_").count(), 6);
    report(rig.say(&decode, "Done."));
    // The rest is found by asking.
    let decode = rig.ask_unpaged("Which tools do you have for rain?");
    let written = json!({ "name": "find_tools", "arguments": { "query": "city weather" } }).to_string();
    let Effect::Encode { id, text, .. } = one(rig.say(&decode, &written)) else { panic!() };
    assert!(text.starts_with("- weather_now("), "{text}");
    let next = one(rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) }));
    let Effect::Decode { grammar, .. } = &next else { panic!("{next:?}") };
    assert!(grammar.as_ref().unwrap().lark.contains("weather_now"));
    report(rig.say(&next, "weather_now tells the weather."));
    assert_eq!(journal::replay(&rig.events), rig.kernel);
}

#[test]
fn a_question_that_names_a_tool_gets_its_answer_from_it() {
    let mut parcel = calc();
    parcel.name = "parcel".into();
    parcel.description = "Says what it costs to send something.".into();
    let mut tools = vec![parcel];
    tools.extend(lucid_kernel::syscall::disk_calls());
    tools.extend(lucid_kernel::syscall::memory_calls());
    let tools: Vec<&ToolSpec> = tools.iter().collect();
    let choose = |input: &str| lucid_kernel::routing::choose(input, &tools);
    let must = |names: &[&str]| Choice::Must(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(choose("What does it cost to send a parcel of 2 kg?"), must(&["parcel"]));
    assert_ne!(choose("I sent a parcel."), must(&["parcel"]));
    assert_ne!(choose("What are parcels?"), must(&["parcel"]));
    // The names of system calls are words that people use for other things.
    for question in ["Do you remember my name?", "What does the search do?", "Why do people forget?"] {
        assert!(!matches!(choose(question), Choice::Must(_)), "{question}: {:?}", choose(question));
    }
}

#[test]
fn what_a_question_names_comes_however_long_it_takes() {
    for (score, taken) in [(0.0, 3), (1.0, 1)] {
        let mut rig = Rig::new(4096, vec![]);
        let effects = rig.ask("port of the server");
        let [Effect::PageIn { id, first, budget, room, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert!(*budget == 512 && *room > 2_000, "{budget} {room}");
        let page = |nth: u64| {
            let id = PageId(first.0 + nth);
            let line = nth as u32 + 1;
            let text = format!("port of the server {}", "x".repeat(300));
            SourcePage { score, ..file_page(id, "/d/f.md", (line, line), &text) }
        };
        let outcome = Outcome::Done((0..3).map(page).collect());
        let decode = one(rig.step(Event::PagedIn { id: *id, outcome }));
        assert_eq!(text_of(&decode).matches("/d/f.md").count(), taken);
    }
}
