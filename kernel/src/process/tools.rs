//! What a process knows of tools: telling the model of them, and taking others.

use super::{NewPage, Process, Step, Then, boot_page, room_of_front, too_many_tools};
use crate::abi::{Encoded, Label, PageId, Provenance, Role, TokenCount, ToolSpec, Trust};
use crate::error::KernelError;
use crate::memory::page::Place;
use crate::memory::window::{Slot, used};
use crate::memory::{Content, PageKind};
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
