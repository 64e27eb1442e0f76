//! The calls of a turn: checked one after the other, run side by side, and told to the model in the
//! order in which it asked for them.

use serde::{Deserialize, Serialize};

use super::turn::UNASKED;
use super::{Phase, Process, Step, Then, Turn};
use crate::abi::{Call, Effect, EffectId, Extent, Fault, FaultKind, Outcome, Returned, TurnEnd, Want};
use crate::error::KernelError;
use crate::policy::{SHELL, UNGRANTED, Verdict};
use crate::prompt;

/// A call that the model asked for and was not told the end of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Due {
    call: Call,
    state: State,
}

/// How far a call is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    /// It is not known whether it may run.
    Unchecked,
    /// It may run, with these rights that the user granted.
    Allowed(Vec<String>),
    /// It runs, or is about to.
    Running { id: EffectId, started: bool },
    /// It came back, with this event.
    Back { outcome: Outcome<Returned>, event: u64 },
    /// It did not run, or nobody knows what it did: this is why.
    Void(Fault),
}

impl Due {
    /// The effect that it is, while it runs.
    pub(super) const fn running(&self) -> Option<EffectId> {
        match self.state {
            State::Running { id, .. } => Some(id),
            _ => None,
        }
    }
}

impl Process {
    /// The model asks for these calls, of which no two are the same and none was made before.
    pub(super) fn make_calls(&mut self, calls: Vec<Call>, step: &mut Step<'_>) {
        let Some(turn) = &mut self.turn else { return };
        let most = step.config.max_calls_per_turn as usize;
        let left = most.saturating_sub(turn.made.len());
        let is_due = |(at, call): (usize, Call)| {
            let too_many = || {
                let message = format!("{} did not run: one turn may make {most} calls", call.tool);
                State::Void(Fault::new(FaultKind::Limit, message))
            };
            let state = if at < left { State::Unchecked } else { too_many() };
            Due { call, state }
        };
        turn.due = calls.into_iter().enumerate().map(is_due).collect();
        self.check_next(step);
    }

    /// Lets each call run, or refuses it, as policy says and the rights that it lacks; where the user
    /// has to be asked, the rest wait for that. When none is left they run.
    fn check_next(&mut self, step: &mut Step<'_>) {
        let first = |process: &Self| {
            process.due().find(|due| due.state == State::Unchecked).map(|due| due.call.clone())
        };
        while let Some(call) = first(self) {
            let wants = self.missing(&call, step);
            match step.config.policy.check(&call) {
                Verdict::Deny => self.void(&call, "it is not allowed"),
                _ if !wants.is_empty() => {
                    let reason = format!("{} would {}", call.tool, worded(&wants));
                    return self.ask_for(call, reason, wants, step);
                }
                Verdict::Allow => self.allow(&call, false, step),
                Verdict::Ask => {
                    let reason = match call.tool.as_str() {
                        SHELL => "each command is asked for; yes holds for this one alone".to_owned(),
                        tool => format!("a rule asks before {tool} runs"),
                    };
                    return self.ask(call, reason, step);
                }
            }
        }
        self.run_all(step);
    }

    /// The user said whether a call may run, and how long a yes holds.
    pub(super) fn answered_call(&mut self, call: &Call, extent: Option<Extent>, step: &mut Step<'_>) {
        match extent {
            Some(extent) => {
                if extent != Extent::Once {
                    step.granted.extend(self.wants(call).iter().map(key));
                }
                self.allow(call, extent == Extent::Once, step);
            }
            None => {
                let wants = self.missing(call, step);
                match wants.is_empty() {
                    true => self.void(call, UNASKED),
                    false => self.void(call, &format!("{UNGRANTED} {}", worded(&wants))),
                }
            }
        }
        self.check_next(step);
    }

    /// A call may run, with all that it asks for when the user granted that to it alone.
    fn allow(&mut self, call: &Call, with_all: bool, step: &Step<'_>) {
        let has = |want: &&Want| with_all || step.granted.contains(&key(want));
        let granted = self.wants(call).iter().filter(has).map(|want| want.right.clone()).collect();
        self.decide(call, State::Allowed(granted));
    }

    fn void(&mut self, call: &Call, reason: &str) {
        let message = format!("{} did not run: {reason}", call.tool);
        self.decide(call, State::Void(Fault::new(FaultKind::Denied, message)));
    }

    fn decide(&mut self, call: &Call, state: State) {
        if let Some(due) = self.due_mut().find(|due| due.state == State::Unchecked && due.call == *call) {
            due.state = state;
        }
    }

    fn run_all(&mut self, step: &mut Step<'_>) {
        let Some(turn) = &mut self.turn else { return };
        let mut due = std::mem::take(&mut turn.due);
        for Due { call, state } in &mut due {
            match state {
                State::Allowed(granted) => {
                    let (id, granted) = (step.ids.effect(), std::mem::take(granted));
                    self.note_made(call);
                    step.out.push(Effect::Call { id, pid: self.pid, call: call.clone(), granted });
                    *state = State::Running { id, started: false };
                }
                State::Void(fault) if fault.kind == FaultKind::Denied => self.note_refused(call),
                _ => {}
            }
        }
        if let Some(turn) = &mut self.turn {
            turn.due = due;
        }
        self.phase = Phase::Calling;
        self.tell_when_all_are_back(step);
    }

    /// A call is about to run.
    pub(crate) fn started(&mut self, id: EffectId) -> Result<(), KernelError> {
        let mut states = self.due_mut().map(|due| &mut due.state);
        match states.find(|state| matches!(state, State::Running { id: running, .. } if *running == id)) {
            Some(State::Running { started, .. }) if !*started => {
                *started = true;
                Ok(())
            }
            _ => Err(KernelError::WrongAnswer(id)),
        }
    }

    /// A call came back.
    pub(super) fn returned(&mut self, id: EffectId, outcome: Outcome<Returned>, step: &mut Step<'_>) {
        let event = step.event;
        if let Some(due) = self.due_mut().find(|due| due.running() == Some(id)) {
            due.state = State::Back { outcome, event };
        }
        self.tell_when_all_are_back(step);
    }

    /// The program ended while calls ran: the model is told of those that came back, and that nobody
    /// knows what the others did; then the turn ends. False, with nothing changed, when none ran.
    pub(super) fn cut_off_calls(&mut self, end: &TurnEnd, step: &mut Step<'_>) -> bool {
        let did_run =
            |due: &Due| matches!(due.state, State::Running { started: true, .. } | State::Back { .. });
        if self.phase != Phase::Calling || !self.due().any(did_run) {
            return false;
        }
        let mut unknown = None;
        for due in self.due_mut() {
            let State::Running { started, .. } = due.state else { continue };
            let message = match started {
                true => prompt::unknown_outcome(&due.call.tool),
                false => format!("{} did not run: the program ended before.", due.call.tool),
            };
            let fault = Fault::new(FaultKind::OutcomeUnknown, message);
            if started {
                unknown.get_or_insert_with(|| TurnEnd::Failed(fault.clone()));
            }
            due.state = State::Void(fault);
        }
        if let Some(turn) = &mut self.turn {
            turn.end = Some(unknown.unwrap_or_else(|| end.clone()));
        }
        self.tell_when_all_are_back(step);
        true
    }

    fn tell_when_all_are_back(&mut self, step: &mut Step<'_>) {
        if self.due().any(|due| due.running().is_some()) {
            return;
        }
        let due: Vec<Due> = self.due().cloned().collect();
        for Due { call, state } in due {
            match state {
                State::Back { outcome: Outcome::Done(returned), .. } => {
                    self.report(&call, Ok(returned.value), returned.micros);
                }
                State::Back { outcome: Outcome::Failed(fault), .. } | State::Void(fault) => {
                    self.report(&call, Err(fault), 0);
                }
                State::Back { outcome: Outcome::Cancelled, .. } => {
                    self.report(&call, Err(Fault::new(FaultKind::Limit, "cancelled")), 0);
                }
                State::Unchecked | State::Allowed(_) | State::Running { .. } => {}
            }
        }
        self.tell_next(step);
    }

    /// Tells the model how the next call ended. When it knows of all, it goes on, unless the turn ends.
    pub(super) fn tell_next(&mut self, step: &mut Step<'_>) {
        while let Some(Due { call, state }) = self.turn.as_mut().and_then(|turn| turn.due.pop_front()) {
            let text = match state {
                State::Back { outcome: Outcome::Done(returned), event } => {
                    return self.result(&call.tool, returned.content, returned.chars, event, step);
                }
                State::Back { outcome: Outcome::Failed(fault), .. } => {
                    prompt::failed_call(&call.tool, &fault.message)
                }
                State::Void(fault) => fault.message,
                State::Back { outcome: Outcome::Cancelled, .. } => {
                    self.turn.iter_mut().for_each(|turn| turn.cancelled = true);
                    continue;
                }
                State::Unchecked | State::Allowed(_) | State::Running { .. } => continue,
            };
            return self.encode(&call.tool, text, Then::Decode, step);
        }
        let end = self.turn.as_mut().and_then(|turn| turn.end.take());
        match end.or(self.is_cancelled().then_some(TurnEnd::Cancelled)) {
            Some(end) => self.end(end, String::new(), step),
            None => self.queue(step),
        }
    }

    /// Asks the user whether a call may run.
    pub(super) fn ask(&mut self, call: Call, reason: String, step: &mut Step<'_>) {
        self.ask_for(call, reason, Vec::new(), step);
    }

    fn ask_for(&mut self, call: Call, reason: String, wants: Vec<Want>, step: &mut Step<'_>) {
        let id = step.ids.effect();
        step.out.push(Effect::Ask { id, pid: self.pid, call: call.clone(), reason, wants });
        self.phase = Phase::Asking { id, call };
    }

    fn wants(&self, call: &Call) -> &[Want] {
        self.tools.iter().find(|tool| tool.name == call.tool).map_or(&[], |tool| &tool.wants)
    }

    /// The rights that a call's tool asks for and that were not granted.
    fn missing(&self, call: &Call, step: &Step<'_>) -> Vec<Want> {
        let is_missing = |want: &&Want| !step.granted.contains(&key(want));
        self.wants(call).iter().filter(is_missing).cloned().collect()
    }

    fn due(&self) -> impl Iterator<Item = &Due> {
        self.turn.iter().flat_map(|turn| &turn.due)
    }

    fn due_mut(&mut self) -> impl Iterator<Item = &mut Due> {
        self.turn.iter_mut().flat_map(|turn| &mut turn.due)
    }
}

impl Turn {
    /// Leaves out the calls that were made before, and those that only hand a tool back what it gave.
    pub(super) fn keep_new(&self, calls: &mut Vec<Call>) {
        let mut new: Vec<Call> = Vec::new();
        for call in calls.drain(..) {
            if !self.made.contains(&call) && !new.contains(&call) && !self.gives_back(&call) {
                new.push(call);
            }
        }
        *calls = new;
    }

    /// Whether a call hands a tool nothing but what it returned before. Small models do that
    /// when they have all they need.
    fn gives_back(&self, call: &Call) -> bool {
        let Some(arguments) = call.arguments.as_object().filter(|arguments| !arguments.is_empty()) else {
            return false;
        };
        let returned = self.calls.iter().filter(|report| report.tool == call.tool);
        let mut values = returned.filter_map(|report| report.result.as_ref().ok());
        values.any(|value| arguments.values().all(|argument| argument == value))
    }
}

/// What rights let a tool do, for a person.
fn worded(wants: &[Want]) -> String {
    wants.iter().map(|want| want.words.as_str()).collect::<Vec<_>>().join("; ")
}

/// A right is granted to a plugin, whichever of its tools asked for it.
fn key(want: &Want) -> (String, String) {
    (want.plugin.clone(), want.right.clone())
}
