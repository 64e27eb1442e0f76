//! What a process does with tools: telling the model of them, granting them rights, letting them run.

use super::{NewPage, Phase, Process, Step, Then, boot_page, room_of_front, too_many_tools};
use crate::abi::{
    Call, Effect, Encoded, Extent, Label, PageId, Provenance, Role, TokenCount, ToolSpec, Trust, Want,
};
use crate::error::KernelError;
use crate::memory::page::Place;
use crate::memory::window::{Slot, used};
use crate::memory::{Content, PageKind};
use crate::policy::Verdict;
use crate::prompt;
use crate::routing::{self, Choice};
use crate::syscall;

/// The tools that fit a question may have one part in so many of its room.
const TOOLS_PART: TokenCount = 3;

/// So many tools are named when the model looks for some.
const FOUND_TOOLS_MAX: usize = 6;

impl Process {
    /// Lets the model read what the tools do that it may call, where the instructions do not say it,
    /// in a part of so many tokens. Gives how many that took.
    pub(super) fn tell_tools(&mut self, room: TokenCount, step: &mut Step<'_>) -> TokenCount {
        let names = match self.turn.as_ref().map(|turn| &turn.choice) {
            Some(Choice::May(names) | Choice::Must(names)) => names.clone(),
            _ => return 0,
        };
        let (mut taken, room) = (0, room / TOOLS_PART);
        // How one is called comes first, under the name of what looks for tools.
        let is_told = |tool: &ToolSpec| tool.described.is_some() && names.contains(&tool.name);
        let names = match self.tools.iter().any(is_told) {
            true => [vec![syscall::FIND_TOOLS.to_owned()], names].concat(),
            false => return 0,
        };
        for name in names {
            let known = self.tools.iter().find(|tool| tool.name == name);
            let Some(described) = known.and_then(|tool| tool.described.clone()) else { continue };
            let provenance = Provenance::Tool { tool: name };
            let resident = self.window.slots().iter().filter_map(|slot| self.table.get(slot.page));
            let shown = resident
                .filter(|page| page.kind == PageKind::Tool && page.provenance == provenance)
                .map(|page| page.id)
                .next();
            if let Some(id) = shown {
                self.table.touch(id, self.turns);
                self.note_input(id);
                continue;
            }
            if taken + described.count() > room {
                continue;
            }
            taken += described.count();
            let id = step.ids.page();
            self.note_input(id);
            let place = Place { turn: self.turns, message: 0 };
            let label = Label::public(Trust::System);
            let page = NewPage { id, kind: PageKind::Tool, role: Role::User, place, provenance, label };
            let (page, content) = page.page(Content::plain(described), step.event);
            self.admit(page, content, step);
        }
        taken
    }

    /// Takes other tools, told by other instructions. What was told of the old ones leaves the window.
    ///
    /// # Errors
    /// When there is no room for the instructions; half of it is done then.
    pub(crate) fn replace_tools(
        &mut self,
        id: PageId,
        system: &Encoded,
        tools: &[ToolSpec],
        step: &mut Step<'_>,
    ) -> Result<(), KernelError> {
        let (page, content) = boot_page(id, system.clone(), step.event);
        let tokens = used([Slot::of(&page)].into_iter(), &step.config.chat);
        let of_tool = |id: &PageId| self.table.get(*id).is_some_and(|page| page.kind == PageKind::Tool);
        let told: Vec<PageId> = self.window.slots().iter().map(|slot| slot.page).filter(of_tool).collect();
        let before = self.window.slots().first().map(|slot| slot.page);
        self.window.replace_front(&page);
        self.window.remove(|slot| told.contains(&slot.page));
        self.table.insert(page, content);
        before.into_iter().for_each(|before| self.table.remove(before));
        self.evicted(&told, step);
        if tokens > room_of_front(step.config) || !self.make_room(&[], step) {
            return Err(too_many_tools(tokens, step.config));
        }
        self.tools = tools.to_vec();
        Ok(())
    }

    /// Lets a call run, asks about it, or refuses it: as policy says, and the rights that it lacks.
    pub(super) fn check(&mut self, call: Call, step: &mut Step<'_>) {
        let wants = self.missing(&call, step);
        match step.config.policy.check(&call) {
            Verdict::Deny => self.refuse(&call, "it is not allowed", step),
            _ if !wants.is_empty() => {
                let reason = format!("{} would {}", call.tool, worded(&wants));
                self.ask_for(call, reason, wants, step);
            }
            Verdict::Allow => self.call(call, false, step),
            Verdict::Ask => {
                let reason = format!("a rule asks before {} runs", call.tool);
                self.ask(call, reason, step);
            }
        }
    }

    fn wants(&self, call: &Call) -> &[Want] {
        self.tools.iter().find(|tool| tool.name == call.tool).map_or(&[], |tool| &tool.wants)
    }

    /// The rights that a call's tool asks for and that were not granted.
    pub(super) fn missing(&self, call: &Call, step: &Step<'_>) -> Vec<Want> {
        let is_missing = |want: &&Want| !step.granted.contains(&key(want));
        self.wants(call).iter().filter(is_missing).cloned().collect()
    }

    /// The user granted a call what it asked for.
    pub(super) fn grant(&self, call: &Call, extent: Extent, step: &mut Step<'_>) {
        if extent != Extent::Once {
            step.granted.extend(self.wants(call).iter().map(key));
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

    /// Lets a call run, with all that it asks for when the user granted that to it alone.
    pub(super) fn call(&mut self, call: Call, with_all: bool, step: &mut Step<'_>) {
        self.note_made(&call);
        let id = step.ids.effect();
        let has = |want: &&Want| with_all || step.granted.contains(&key(want));
        let granted = self.wants(&call).iter().filter(has).map(|want| want.right.clone()).collect();
        step.out.push(Effect::Call { id, pid: self.pid, call: call.clone(), granted });
        self.phase = Phase::Calling { id, call, started: false };
    }

    /// Names the tools that fit, which may be called from now on.
    pub(super) fn find_tools(&mut self, query: &str, step: &mut Step<'_>) {
        let calls: Vec<&ToolSpec> =
            self.tools.iter().filter(|tool| tool.name != syscall::FIND_TOOLS).collect();
        let found = routing::best(query, &calls, FOUND_TOOLS_MAX);
        let text = match &found[..] {
            [] => "No tool fits.".to_owned(),
            found => found.iter().map(|tool| prompt::described(tool)).collect(),
        };
        if let Some(turn) = &mut self.turn {
            turn.choice = match found.is_empty() {
                true => Choice::Answer,
                false => Choice::May(found.iter().map(|tool| tool.name.clone()).collect()),
            };
        }
        self.encode(syscall::FIND_TOOLS, text, Then::Decode, step);
    }
}

/// What rights let a tool do, for a person.
pub(super) fn worded(wants: &[Want]) -> String {
    wants.iter().map(|want| want.words.as_str()).collect::<Vec<_>>().join("; ")
}

/// A right is granted to a plugin, whichever of its tools asked for it.
fn key(want: &Want) -> (String, String) {
    (want.plugin.clone(), want.right.clone())
}
