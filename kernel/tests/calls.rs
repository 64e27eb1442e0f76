//! Several calls of one turn: asked for at once, run side by side, told in order.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use lucid_kernel::abi::*;
use lucid_kernel::grammar;
use lucid_kernel::policy::{Rule, Verdict};
use serde_json::json;

fn other(name: &str) -> ToolSpec {
    ToolSpec { name: name.into(), ..calc() }
}

fn written(calls: &[(&str, &str)]) -> String {
    let line = |(tool, expression): &(&str, &str)| json!({ "name": tool, "arguments": { "expression": expression } });
    calls.iter().map(|call| line(call).to_string()).collect::<Vec<_>>().join("\n")
}

/// Two tools, a rule for the second, and a model that asked for these calls.
fn asked(verdict: Verdict, calls: &[(&str, &str)]) -> (Rig, Vec<Effect>) {
    let mut config = config(4096);
    config.policy.rules = vec![Rule { tool: "area".into(), verdict }];
    let (kernel, pid, events) = booted(config, vec![calc(), other("area")]);
    let mut rig = Rig { kernel, pid, events };
    let decode = rig.ask_unpaged("use calc and area");
    let effects = rig.say(&decode, &written(calls));
    (rig, effects)
}

fn ids(effects: &[Effect]) -> Vec<EffectId> {
    let id = |effect: &Effect| match effect {
        Effect::Call { id, .. } => *id,
        other => panic!("no call: {other:?}"),
    };
    effects.iter().map(id).collect()
}

/// The results as the model reads them, in order.
fn results(decode: &Effect) -> Vec<String> {
    let text = text_of(decode);
    let parts = text.split("<tool_response>\n").skip(1);
    parts.map(|part| part.split("\n</tool_response>").next().unwrap().to_owned()).collect()
}

/// Answers what is to be turned into tokens until the model goes on or the turn ends.
fn encode_all(rig: &mut Rig, mut effect: Effect) -> Effect {
    while let Effect::Encode { id, text, .. } = effect {
        effect = one(rig.step(Event::Encoded { id, outcome: Outcome::Done(encoded(&text)) }));
    }
    effect
}

#[test]
fn they_run_side_by_side_and_are_told_in_the_order_they_were_asked_in() {
    let (mut rig, effects) = asked(Verdict::Allow, &[("calc", "1+1"), ("area", "2"), ("calc", "3")]);
    let ids = ids(&effects);
    assert_eq!(ids.len(), 3);
    for id in &ids {
        rig.step(Event::Started { id: *id });
        assert!(matches!(&rig.step(Event::Started { id: *id })[..], [Effect::Refused { .. }]), "twice");
    }
    assert_eq!(rig.step(returned(ids[2], "three")), vec![]);
    assert_eq!(rig.step(returned(ids[0], "one")), vec![]);
    assert!(matches!(&rig.step(returned(ids[0], "again"))[..], [Effect::Refused { .. }]), "it came back");
    let open: Vec<EffectId> = rig.kernel.open_effects().into_iter().map(|(_, id)| id).collect();
    assert_eq!(open, [ids[1]]);
    let fault = Fault::new(FaultKind::Tool, "no such area");
    let effect = one(rig.step(Event::Returned { id: ids[1], outcome: Outcome::Failed(fault) }));
    let decode = encode_all(&mut rig, effect);
    assert_eq!(results(&decode), ["one", "area failed: no such area", "three"]);
    let ended = report(rig.say(&decode, "One and three."));
    let order: Vec<&str> = ended.calls.iter().map(|call| call.tool.as_str()).collect();
    assert_eq!(order, ["calc", "area", "calc"]);
    // What each brought is found in the journal by the event that brought it.
    let table = rig.kernel.processes()[&rig.pid].table();
    for page in table.iter().filter(|page| matches!(&page.provenance, Provenance::Tool { .. })) {
        let text = lucid_kernel::journal::text_of(&rig.events[page.born as usize], page.id).unwrap();
        assert_eq!(table.content(page.id).unwrap().text, text);
    }
}

#[test]
fn a_call_twice_in_one_go_runs_once_and_one_too_many_is_told() {
    let calls = [("calc", "1"), ("calc", "1"), ("calc", "2"), ("calc", "3"), ("calc", "4"), ("calc", "5")];
    let (mut rig, effects) = asked(Verdict::Allow, &calls);
    let ids = ids(&effects);
    assert_eq!(ids.len(), 4, "a turn may make four");
    let mut last = Vec::new();
    for (id, text) in ids.iter().zip(["one", "two", "three", "four"]) {
        rig.step(Event::Started { id: *id });
        last = rig.step(returned(*id, text));
    }
    let decode = encode_all(&mut rig, one(last));
    let results = results(&decode);
    assert_eq!(results[..4], ["one", "two", "three", "four"]);
    assert_eq!(results[4], "calc did not run: one turn may make 4 calls");
    assert!(matches!(&decode, Effect::Decode { grammar: Some(found), .. } if *found == grammar::text()));
}

#[test]
fn none_runs_before_the_user_has_said_which() {
    for allow in [true, false] {
        let (mut rig, effects) = asked(Verdict::Ask, &[("calc", "1"), ("area", "2"), ("area", "3")]);
        let mut effect = one(effects);
        for answer in [allow, true] {
            let Effect::Ask { id, .. } = effect else { panic!("{effect:?}") };
            assert_eq!(rig.kernel.open_effects().len(), 1);
            let mut effects = rig.step(Event::Answered { id, allow: answer, extent: Extent::Once });
            effect = if effects.len() == 1 {
                effects.remove(0)
            } else {
                let ids = ids(&effects);
                assert_eq!(ids.len(), if allow { 3 } else { 2 });
                let mut last = Vec::new();
                for id in ids {
                    rig.step(Event::Started { id });
                    last = rig.step(returned(id, "done"));
                }
                one(last)
            };
        }
        let decode = encode_all(&mut rig, effect);
        let no = if allow { "done" } else { "area did not run: the user did not allow it" };
        assert_eq!(results(&decode), ["done", no, "done"]);
    }
}

#[test]
fn a_cancel_stops_all_of_them_and_what_is_done_is_kept() {
    let (mut rig, effects) = asked(Verdict::Allow, &[("calc", "1"), ("area", "2")]);
    let ids = ids(&effects);
    ids.iter().for_each(|id| drop(rig.step(Event::Started { id: *id })));
    let stops: Vec<Effect> = ids.iter().map(|id| Effect::Cancel { id: *id }).collect();
    assert_eq!(rig.step(Event::Cancel { pid: rig.pid }), stops);
    rig.step(Event::Returned { id: ids[0], outcome: Outcome::Cancelled });
    let ended = report(rig.step(returned(ids[1], "four")));
    assert_eq!(ended.end, TurnEnd::Cancelled);
    assert_eq!(ended.calls[1].result, Ok(json!("four")));
    let decode = rig.ask_unpaged("and?");
    assert_eq!(results(&decode), ["four"]);
}

#[test]
fn after_a_crash_each_is_told_as_it_stood() {
    let (mut rig, effects) = asked(Verdict::Allow, &[("calc", "1"), ("area", "2"), ("calc", "3")]);
    let ids = ids(&effects);
    rig.step(Event::Started { id: ids[0] });
    rig.step(Event::Started { id: ids[1] });
    rig.step(returned(ids[1], "four"));
    let effect = one(rig.step(Event::Restarted));
    let Effect::Ended { report, .. } = encode_all(&mut rig, effect) else { panic!() };
    assert!(matches!(&report.end, TurnEnd::Failed(fault) if fault.kind == FaultKind::OutcomeUnknown));
    let kinds: Vec<Option<FaultKind>> =
        report.calls.iter().map(|call| call.result.as_ref().err().map(|fault| fault.kind)).collect();
    assert_eq!(kinds, [Some(FaultKind::OutcomeUnknown), None, Some(FaultKind::OutcomeUnknown)]);
    let results = results(&rig.ask_unpaged("and?"));
    assert!(results[0].contains("not known") && results[2].contains("did not run"), "{results:?}");
    assert_eq!(results[1], "four");
}

#[test]
fn a_system_call_stands_alone() {
    let mut tools = vec![calc(), other("area")];
    tools.extend(lucid_kernel::syscall::disk_calls());
    let names: Vec<&ToolSpec> = tools.iter().collect();
    let lark = grammar::calls(&names, true, 3).lark;
    assert!(lark.contains("call: tool (\"\\n\" tool){0,2} | alone\n"), "{lark}");
    assert!(!grammar::calls(&names, true, 1).lark.contains("alone"));
    assert!(!grammar::calls(&names[2..], false, 4).lark.contains("alone"));
    // A server that holds the model to nothing may let it write more.
    let mut rig = Rig::new(4096, tools);
    let decode = rig.ask_unpaged("use calc and search: giraffes");
    let search = json!({ "name": "search", "arguments": { "query": "giraffe" } });
    let calls = format!("{}\n{search}", written(&[("calc", "1")]));
    assert_eq!(ids(&rig.say(&decode, &calls)).len(), 1);
}

#[test]
fn results_that_come_together_share_the_room() {
    let (kernel, pid, events) = booted(config(1500), vec![calc(), other("area")]);
    let mut rig = Rig { kernel, pid, events };
    let decode = rig.ask_unpaged("use calc and area");
    let ids = ids(&rig.say(&decode, &written(&[("calc", "1"), ("area", "2")])));
    ids.iter().for_each(|id| drop(rig.step(Event::Started { id: *id })));
    rig.step(returned(ids[0], &"a".repeat(50_000)));
    let effect = one(rig.step(returned(ids[1], &"b".repeat(50_000))));
    let decode = encode_all(&mut rig, effect);
    let lengths: Vec<usize> = results(&decode).iter().map(String::len).collect();
    assert!(lengths.iter().all(|length| (150..500).contains(length)), "{lengths:?}");
}
