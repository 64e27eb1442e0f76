//! A seeded simulation: a made-up machine answers effects well, badly, late or not at all,
//! and users ask, cancel and crash at random. After every event the invariants hold, and
//! the journal folds to the same state and the same effects.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use lucid_kernel::abi::*;
use lucid_kernel::memory::evict::Eviction;
use lucid_kernel::policy::{Rule, Verdict};
use lucid_kernel::{Kernel, journal};
use serde_json::json;

/// xorshift64*, so that a seed gives the same run on every machine.
/// Source: Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 33) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn words(&mut self, most: u64) -> String {
        let all = [
            "port",
            "server",
            "giraffe",
            "use",
            "calc",
            "17.5%",
            "of",
            "2310",
            "p3",
            "search",
            "read",
            "remember",
            "forget",
            "한국어",
            "Ü",
        ];
        let count = 1 + self.below(most);
        (0..count).map(|_| all[self.below(all.len() as u64) as usize]).collect::<Vec<_>>().join(" ")
    }
}

struct Simulation {
    random: Random,
    kernel: Kernel,
    pids: Vec<Pid>,
    tools: Vec<ToolSpec>,
    open: Vec<Effect>,
    events: Vec<Event>,
    effects: Vec<Vec<Effect>>,
    ended: u32,
    swap: Vec<(Pid, Swapped)>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut config = config(500 + random.below(4000) as TokenCount);
        config.reserve_tokens = 100;
        config.eviction = Eviction::ALL[random.below(3) as usize];
        config.policy.rules = vec![Rule { tool: "ask*".into(), verdict: Verdict::Ask }];
        let mut asking = calc();
        asking.name = "ask_first".into();
        let want = Want { plugin: "x".into(), right: "net:a.b".into(), words: "send requests to a.b".into() };
        asking.wants = vec![want];
        let mut tools = vec![calc(), asking];
        tools.extend(lucid_kernel::syscall::disk_calls());
        tools.extend(lucid_kernel::syscall::memory_calls());
        let mut simulation = Self {
            random,
            kernel: Kernel::default(),
            pids: Vec::new(),
            tools: tools.clone(),
            open: Vec::new(),
            events: Vec::new(),
            effects: Vec::new(),
            ended: 0,
            swap: Vec::new(),
        };
        simulation.step(Event::Boot { config: Box::new(config) });
        for _ in 0..2 {
            simulation.step(spawn(tools.clone()));
        }
        simulation
    }

    fn step(&mut self, event: Event) {
        self.events.push(event.clone());
        let effects = self.kernel.step(event);
        self.kernel.check_invariants().unwrap();
        for effect in &effects {
            match effect {
                Effect::Spawned { pid, of } => {
                    self.pids.push(*pid);
                    let shared: Vec<(Pid, Swapped)> =
                        self.swap.iter().filter(|(owner, _)| Some(*owner) == *of).cloned().collect();
                    self.swap.extend(shared.into_iter().map(|(_, page)| (*pid, page)));
                }
                Effect::Ended { .. } => self.ended += 1,
                Effect::Decode { layout, max_tokens, .. } => {
                    let config = self.kernel.config().unwrap();
                    let prompt = lucid_kernel::memory::layout::count(layout);
                    assert!(prompt <= config.budget_tokens());
                    assert!(prompt + max_tokens <= config.engine.n_ctx);
                    self.open.push(effect.clone());
                }
                Effect::Swap { pid, pages } => {
                    self.swap.extend(pages.iter().map(|page| (*pid, page.clone())))
                }
                Effect::Refused { .. }
                | Effect::Cancel { .. }
                | Effect::Remembered { .. }
                | Effect::Forgotten { .. } => {}
                _ => self.open.push(effect.clone()),
            }
        }
        self.effects.push(effects);
        self.check_open();
    }

    /// Every effect that waits is one that the kernel waits for, and the other way round.
    fn check_open(&self) {
        let mut ours: Vec<EffectId> = self.open.iter().filter_map(id_of).collect();
        let mut theirs: Vec<EffectId> = self.kernel.open_effects().into_iter().map(|(_, id)| id).collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
    }

    fn run(&mut self, events: usize) {
        while self.events.len() < events {
            match self.random.below(100) {
                0..=54 if !self.open.is_empty() => self.answer(),
                0..=79 => self.ask(),
                80 | 85 => {
                    let pid = self.pid();
                    self.step(Event::Cancel { pid });
                }
                86 if self.pids.len() < 6 => {
                    let pid = self.pid();
                    self.step(Event::Fork { pid });
                }
                93 if self.pids.len() > 3 => {
                    let pid = self.pid();
                    self.step(Event::Exit { pid });
                    // A refusal leaves it where it was.
                    self.pids.retain(|pid| self.kernel.processes().contains_key(pid));
                }
                81..=84 => self.meddle(),
                87..=88 => {
                    self.open.clear();
                    self.step(Event::Restarted);
                }
                89..=92 => {
                    let id = EffectId(self.random.below(500));
                    if !self.open.iter().any(|effect| id_of(effect) == Some(id)) {
                        self.step(decoded(id, "too late"));
                    }
                }
                _ => self.wrong_answer(),
            }
        }
    }

    fn pid(&mut self) -> Pid {
        self.pids[self.random.below(self.pids.len() as u64) as usize]
    }

    fn ask(&mut self) {
        let pid = self.pid();
        let text = if self.random.chance(5) { "x".repeat(3000) } else { self.random.words(30) };
        let options = TurnOptions {
            tools: self.random.chance(80),
            prefetch: self.random.chance(70),
            schema: self.random.chance(10).then(|| json!({ "type": "integer" })),
            ..TurnOptions::default()
        };
        let attached = if self.random.chance(10) {
            vec![file_page(self.kernel.next_page(), "standard input", (1, 1), "piped port")]
        } else {
            Vec::new()
        };
        self.step(Event::Input { pid, content: encoded(&text), attached, options });
    }

    /// A page that swap was to keep, as a search finds it.
    fn found_in_swap(&mut self, pid: Pid) -> Option<SourcePage> {
        let kept: Vec<&Swapped> =
            self.swap.iter().filter(|(of, _)| *of == pid).map(|(_, page)| page).collect();
        let found = kept.get(self.random.below(kept.len().max(1) as u64) as usize)?;
        let recall =
            Recall { page: found.page, event: found.event, provenance: found.provenance.clone(), from: 0 };
        Some(recalled(&self.events, &recall).expect("what is swapped stands in the journal"))
    }

    /// The user meddles with the memory.
    fn meddle(&mut self) {
        let pid = self.pid();
        let page = PageId(1 + self.random.below(60));
        let event = match self.random.below(7) {
            0 => Event::Pin { pid, page, pinned: true },
            1 => Event::Pin { pid, page, pinned: false },
            2 => Event::Evict { pid, page },
            3 => Event::Forget { pid, page },
            4 => {
                let text = self.random.words(12);
                Event::Digested { pid, page: note(self.kernel.next_page(), &text) }
            }
            5 => {
                // Other instructions, longer and shorter, now and then too long; a tool comes and goes.
                let words = 1 + self.random.below(200);
                let system = encoded(&self.random.words(words));
                let mut tools: Vec<ToolSpec> = self.tools.clone();
                tools.retain(|tool| tool.name != "ask_first" || words.is_multiple_of(2));
                Event::Tools { system, tools }
            }
            _ => {
                let text = self.random.words(8);
                Event::Remember { pid, page: note(self.kernel.next_page(), &text) }
            }
        };
        self.step(event);
    }

    /// An event of the wrong kind for what waits changes nothing.
    fn wrong_answer(&mut self) {
        let Some(id) = self.open.iter().find_map(|effect| match effect {
            Effect::Decode { id, .. } => Some(*id),
            _ => None,
        }) else {
            return;
        };
        let before = self.kernel.clone();
        self.step(Event::Answered { id, allow: true, extent: Extent::Once });
        assert_eq!(self.kernel.processes(), before.processes());
    }

    fn answer(&mut self) {
        let at = self.random.below(self.open.len() as u64) as usize;
        let effect = self.open.swap_remove(at);
        let fault = Fault::new(FaultKind::Engine, "made up");
        let fails = self.random.chance(8);
        let cancelled = self.random.chance(5);
        let event = match effect {
            Effect::PageIn { id, request: PageRequest::Recall(recall), .. } => {
                let pages = self.random.recalled(&self.events, &recall);
                Event::PagedIn { id, outcome: self.outcome(fails, cancelled, fault, |_| pages) }
            }
            Effect::PageIn { id, first, pid, .. } => {
                let mut pages = self.random.pages(first);
                pages.extend(self.found_in_swap(pid));
                Event::PagedIn { id, outcome: self.outcome(fails, cancelled, fault, |_| pages) }
            }
            Effect::Decode { id, .. } => {
                Event::Decoded { id, outcome: self.outcome(fails, cancelled, fault, Random::output) }
            }
            Effect::Call { id, call, .. } => {
                if self.random.chance(90) {
                    self.open.push(Effect::Call { id, pid: Pid(0), call, granted: Vec::new() });
                    self.step(Event::Started { id });
                    self.open.retain(|effect| id_of(effect) != Some(id));
                }
                Event::Returned { id, outcome: self.outcome(fails, cancelled, fault, Random::returned) }
            }
            Effect::Ask { id, .. } => {
                Event::Answered { id, allow: self.random.chance(50), extent: Extent::Session }
            }
            Effect::Encode { id, text, .. } => {
                Event::Encoded { id, outcome: self.outcome(fails, false, fault, |_| encoded(&text)) }
            }
            other => panic!("nobody waits for {other:?}"),
        };
        self.step(event);
    }

    fn outcome<T>(
        &mut self,
        fails: bool,
        cancelled: bool,
        fault: Fault,
        done: impl FnOnce(&mut Random) -> T,
    ) -> Outcome<T> {
        match (fails, cancelled) {
            (true, _) => Outcome::Failed(fault),
            (_, true) => Outcome::Cancelled,
            _ => Outcome::Done(done(&mut self.random)),
        }
    }
}

impl Random {
    /// Answers to a recall: the page, something else, or nothing.
    fn recalled(&mut self, events: &[Event], recall: &Recall) -> Vec<SourcePage> {
        match self.below(10) {
            0 => Vec::new(),
            1 => self.pages(recall.page),
            _ => recalled(events, recall).into_iter().collect(),
        }
    }

    fn pages(&mut self, first: PageId) -> Vec<SourcePage> {
        let count = self.below(10);
        (0..count)
            .map(|at| {
                let line = 1 + self.below(20) as u32;
                let id = if self.chance(5) { PageId(self.below(9999)) } else { PageId(first.0 + at) };
                let text = self.words(60);
                file_page(id, "/d/f.md", (line, line), &text)
            })
            .collect()
    }

    fn output(&mut self) -> Decoded {
        let text = match self.below(10) {
            0 | 1 => {
                // Up to six at once, of which no turn may make so many.
                let count = if self.chance(40) { 1 + self.below(6) } else { 1 };
                let one = |random: &mut Self| {
                    let tool = if random.chance(50) { "calc" } else { "ask_first" };
                    json!({ "name": tool, "arguments": { "expression": random.words(2) } }).to_string()
                };
                (0..count).map(|_| one(self)).collect::<Vec<_>>().join("\n")
            }
            2 => json!({ "name": "search", "arguments": { "query": self.words(3) } }).to_string(),
            3 => {
                let arguments = json!({ "page": format!("p{}", self.below(40)), "from": self.below(9) });
                json!({ "name": "read", "arguments": arguments }).to_string()
            }
            7 => json!({ "name": "remember", "arguments": { "text": self.words(5) } }).to_string(),
            8 => json!({ "name": "forget", "arguments": { "page": format!("p{}", self.below(40)) } })
                .to_string(),
            4 => "{\"name\": \"calc\", \"argu".to_owned(),
            5 => String::new(),
            6 => "7".to_owned(),
            _ => self.words(80),
        };
        let content = encoded(&text);
        let stop = [StopReason::Stop, StopReason::Stop, StopReason::Limit, StopReason::Cancelled]
            [self.below(4) as usize];
        let usage = Usage {
            prefilled: self.below(900) as u32,
            reused: 3,
            decoded: 4,
            first_token_ms: self.below(9000),
            total_ms: 9000,
        };
        Decoded { tokens: content.tokens, text: content.text, stop, usage }
    }

    fn returned(&mut self) -> Returned {
        let size = [5, 50, 8_000][self.below(3) as usize];
        let chars = self.chance(20).then_some(90_000);
        Returned { value: json!(1), content: encoded(&"9".repeat(size)), chars, micros: 5 }
    }
}

fn id_of(effect: &Effect) -> Option<EffectId> {
    match effect {
        Effect::PageIn { id, .. } | Effect::Decode { id, .. } | Effect::Call { id, .. } => Some(*id),
        Effect::Ask { id, .. } | Effect::Encode { id, .. } => Some(*id),
        _ => None,
    }
}

#[test]
fn random_events_break_nothing_and_replay_to_the_same_state() {
    // 100,000 events where the compiler optimises, 10,000 where it checks for overflow.
    for seed in 1..=if cfg!(debug_assertions) { 5 } else { 50 } {
        let mut simulation = Simulation::new(seed);
        simulation.run(2_000);
        assert!(simulation.ended > 100, "seed {seed}: only {} turns ended", simulation.ended);
        let (replayed, effects) = journal::trace(&simulation.events);
        assert_eq!(replayed, simulation.kernel, "seed {seed}");
        assert_eq!(effects, simulation.effects, "seed {seed}");
        simulation.kernel.check_addresses().unwrap();
        // The journal is text: what was written must read back to the same state.
        let lines: Vec<String> =
            simulation.events.iter().map(|e| serde_json::to_string(e).unwrap()).collect();
        let read: Vec<Event> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(journal::replay(&read), simulation.kernel, "seed {seed}, through JSON");
    }
}
