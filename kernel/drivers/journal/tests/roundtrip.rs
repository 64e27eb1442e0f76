//! Any event comes back from the journal exactly as it was.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

use lucid_journal::RamJournal;
use lucid_kernel::Config;
use lucid_kernel::abi::{
    Decoded, EffectId, Encoded, EngineInfo, Event, Extent, Fault, FaultKind, FileRange, Label, Outcome,
    PageId, Pid, Provenance, Returned, Sampling, Secrecy, SourcePage, StopReason, ToolSpec, Trust,
    TurnOptions, Usage, Want,
};
use lucid_kernel::chat::ChatTokens;
use lucid_kernel::policy::{Policy, Rule, Verdict};
use lucid_kernel::port::Journal;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~\n]{0,40}", Just("\0\u{7f}\u{2028}\"\\/🦀".to_owned())]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has finite numbers only", |f| f.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((text(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("JSON has finite numbers only", |f| f.is_finite())
}

fn encoded() -> impl Strategy<Value = Encoded> {
    (text(), vec(any::<u32>(), 0..20)).prop_map(|(text, tokens)| Encoded::new(text, tokens))
}

fn label() -> impl Strategy<Value = Label> {
    let trust = [Trust::System, Trust::User, Trust::Model, Trust::Tool, Trust::File];
    let secrecy = [Secrecy::Public, Secrecy::Private];
    (prop::sample::select(trust.to_vec()), prop::sample::select(secrecy.to_vec()))
        .prop_map(|(trust, secrecy)| Label { trust, secrecy })
}

fn provenance() -> impl Strategy<Value = Provenance> {
    prop_oneof![
        Just(Provenance::System),
        Just(Provenance::User),
        Just(Provenance::Model),
        text().prop_map(|tool| Provenance::Tool { tool }),
        (text(), any::<(u32, u32)>(), any::<(u64, u64)>())
            .prop_map(|(path, lines, bytes)| Provenance::File(FileRange { path: path.into(), lines, bytes })),
    ]
}

fn page() -> impl Strategy<Value = SourcePage> {
    (any::<u64>(), encoded(), provenance(), label(), text(), finite()).prop_map(
        |(id, content, provenance, label, text, score)| SourcePage {
            id: PageId(id),
            content,
            provenance,
            label,
            text: text.into(),
            score,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    let kinds = [
        FaultKind::Engine,
        FaultKind::Disk,
        FaultKind::Tool,
        FaultKind::Limit,
        FaultKind::Denied,
        FaultKind::NotFound,
        FaultKind::OutcomeUnknown,
    ];
    (prop::sample::select(kinds.to_vec()), text()).prop_map(|(kind, message)| Fault { kind, message })
}

fn outcome<T: std::fmt::Debug + Clone + 'static>(
    done: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Outcome<T>> {
    prop_oneof![
        4 => done.prop_map(Outcome::Done),
        1 => fault().prop_map(Outcome::Failed),
        1 => Just(Outcome::Cancelled),
    ]
}

fn tool() -> impl Strategy<Value = ToolSpec> {
    (text(), text(), vec(text(), 0..3), json()).prop_map(|(name, description, keywords, parameters)| {
        let wants = vec![Want { plugin: name.clone(), right: description.clone(), words: name.clone() }];
        let described = Some(Encoded::new(name.clone(), vec![1, 2]));
        ToolSpec { name, description, keywords, parameters, wants, described }
    })
}

fn options() -> impl Strategy<Value = TurnOptions> {
    let sampling = (finite(), finite(), any::<u64>()).prop_map(|(temperature, top_p, seed)| Sampling {
        temperature,
        top_p,
        seed,
    });
    // `null` in place of a schema means that there is none.
    let schema = prop::option::of(json().prop_filter("a schema is not null", |v| !v.is_null()));
    (sampling, any::<Option<u32>>(), any::<bool>(), any::<bool>(), schema).prop_map(
        |(sampling, max_tokens, tools, prefetch, schema)| TurnOptions {
            sampling,
            max_tokens,
            tools,
            prefetch,
            schema,
        },
    )
}

fn decoded() -> impl Strategy<Value = Decoded> {
    let stop = [StopReason::Stop, StopReason::Limit, StopReason::Cancelled];
    let usage = any::<(u32, u32, u32, u64, u64)>().prop_map(|u| Usage {
        prefilled: u.0,
        reused: u.1,
        decoded: u.2,
        first_token_ms: u.3,
        total_ms: u.4,
    });
    (encoded(), prop::sample::select(stop.to_vec()), usage).prop_map(|(what, stop, usage)| Decoded {
        tokens: what.tokens,
        text: what.text,
        stop,
        usage,
    })
}

fn returned() -> impl Strategy<Value = Returned> {
    (json(), encoded(), any::<Option<u64>>(), any::<u64>())
        .prop_map(|(value, content, chars, micros)| Returned { value, content, chars, micros })
}

fn config() -> impl Strategy<Value = Config> {
    let speed = prop::option::of(finite());
    let host = prop::option::of(text());
    let engine = (text(), text(), text(), any::<u32>(), speed, host, any::<u32>()).prop_map(
        |(engine, model, architecture, n_ctx, prefill_tokens_per_s, host, slots)| EngineInfo {
            engine,
            model,
            n_ctx,
            architecture,
            prefill_tokens_per_s,
            host,
            closes_gaps: false,
            slots,
        },
    );
    let verdict = || prop::sample::select(vec![Verdict::Allow, Verdict::Ask, Verdict::Deny]);
    let rule = (text(), verdict()).prop_map(|(tool, verdict)| Rule { tool, verdict });
    let policy = (verdict(), vec(rule, 0..3)).prop_map(|(default, rules)| Policy { default, rules });
    (engine, encoded(), policy, finite(), any::<bool>()).prop_map(
        |(engine, generate, policy, prefetch_seconds, has_disk)| {
            let chat = ChatTokens { generate, ..ChatTokens::default() };
            Config { policy, prefetch_seconds, has_disk, ..Config::new(engine, chat) }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let pid = || any::<u64>().prop_map(Pid);
    let id = || any::<u64>().prop_map(EffectId);
    let address = || any::<u64>().prop_map(PageId);
    prop_oneof![
        config().prop_map(|config| Event::Boot { config: Box::new(config) }),
        (encoded(), vec(tool(), 0..3), vec(page(), 0..3)).prop_map(|(system, tools, core)| Event::Spawn {
            system,
            tools,
            core
        }),
        (pid(), address(), any::<bool>()).prop_map(|(pid, page, pinned)| Event::Pin { pid, page, pinned }),
        (pid(), address()).prop_map(|(pid, page)| Event::Evict { pid, page }),
        (pid(), address()).prop_map(|(pid, page)| Event::Forget { pid, page }),
        (pid(), page()).prop_map(|(pid, page)| Event::Remember { pid, page }),
        (pid(), page()).prop_map(|(pid, page)| Event::Digested { pid, page }),
        (pid(), encoded(), vec(page(), 0..3), options())
            .prop_map(|(pid, content, attached, options)| Event::Input { pid, content, attached, options }),
        (id(), outcome(vec(page(), 0..3))).prop_map(|(id, outcome)| Event::PagedIn { id, outcome }),
        (id(), outcome(decoded())).prop_map(|(id, outcome)| Event::Decoded { id, outcome }),
        id().prop_map(|id| Event::Started { id }),
        (id(), outcome(returned())).prop_map(|(id, outcome)| Event::Returned { id, outcome }),
        (id(), any::<bool>(), prop::sample::select(vec![Extent::Once, Extent::Session, Extent::Always]))
            .prop_map(|(id, allow, extent)| Event::Answered { id, allow, extent }),
        pid().prop_map(|pid| Event::Fork { pid }),
        pid().prop_map(|pid| Event::Exit { pid }),
        (encoded(), vec(tool(), 0..3)).prop_map(|(system, tools)| Event::Tools { system, tools }),
        (id(), outcome(encoded())).prop_map(|(id, outcome)| Event::Encoded { id, outcome }),
        pid().prop_map(|pid| Event::Cancel { pid }),
        Just(Event::Restarted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_event_comes_back_as_it_was(events in vec(event(), 1..4)) {
        let journal = RamJournal::new();
        journal.begin("a", "/", 0).unwrap();
        for (seq, event) in events.iter().enumerate() {
            journal.append("a", seq as u64, event).unwrap();
        }
        let back = journal.load("a").unwrap();
        prop_assert_eq!(&back, &events);
        // Equality takes -0 for 0; the written form does not.
        let written = |events: &Vec<Event>| serde_json::to_string(events).unwrap();
        prop_assert_eq!(written(&back), written(&events));
    }
}
