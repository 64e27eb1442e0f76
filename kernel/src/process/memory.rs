//! What the user and the model do to the memory itself: pin, evict, remember, forget.

use std::sync::Arc;

use super::{NewPage, Phase, Process, Step, Then, Why, core_page};
use crate::abi::{Call, Effect, PageId, Role, SourcePage, TokenCount};
use crate::error::KernelError;
use crate::kernel::Config;
use crate::memory::page::Place;
use crate::memory::window::{Slot, used};
use crate::memory::{Content, Page, PageKind};
use crate::policy::Verdict;
use crate::syscall;

/// What stays in every turn may take this part of the budget, in percent.
const PINNED_PERCENT: u32 = 60;

impl Process {
    /// The user wants a page to stay, or no longer to.
    pub(crate) fn pin(&mut self, id: PageId, pinned: bool, step: &mut Step<'_>) -> Result<(), KernelError> {
        let page = self.between_turns(id)?;
        if !pinned {
            if page.kind == PageKind::Boot {
                return Err(bad(id, "holds the instructions and always stays"));
            }
            if !page.pinned {
                return Err(bad(id, "is not pinned"));
            }
            if let Some(page) = self.table.get_mut(id) {
                page.pinned = false;
            }
            return Ok(());
        }
        if self.window.holds(id) {
            return self.set_pinned(id, step.config);
        }
        let room = self.room(Role::User, step.config);
        self.recall(id, 0, room, Why::Pin, step);
        Ok(())
    }

    /// A page that is to be pinned came back.
    pub(super) fn pin_recalled(&mut self, id: PageId, content: Result<Content, String>, step: &mut Step<'_>) {
        let place = self.next_input();
        let pinned = match content {
            Err(reason) => Err(bad(id, &format!("cannot be pinned: {reason}"))),
            Ok(content) => {
                if self.readmit(id, content, Role::User, place, step) {
                    self.set_pinned(id, step.config)
                } else {
                    Err(bad(id, "cannot be pinned: there is no room for it"))
                }
            }
        };
        if let Err(error) = pinned {
            step.out.push(Effect::Refused { error });
        }
    }

    fn set_pinned(&mut self, id: PageId, config: &Config) -> Result<(), KernelError> {
        let Some(slot) = self.window.slots().iter().find(|slot| slot.page == id).copied() else {
            return Err(bad(id, "is not in the window"));
        };
        self.has_room_for(slot, "the pinned pages with it", config)?;
        if let Some(page) = self.table.get_mut(id) {
            page.pinned = true;
        }
        Ok(())
    }

    /// Whether what stays in every turn may have this page too.
    pub(super) fn has_room_for(&self, more: Slot, what: &str, config: &Config) -> Result<(), KernelError> {
        let stays = |slot: &&Slot| {
            slot.page != more.page
                && self.table.get(slot.page).is_some_and(|page| page.pinned || page.kind == PageKind::Boot)
        };
        let slots = self.window.slots().iter().filter(stays).copied().chain([more]);
        let tokens = used(slots, &config.chat);
        let room = room_of_pinned(config);
        if tokens <= room {
            return Ok(());
        }
        let (window, remedy) = (config.engine.n_ctx, self.remedy());
        Err(KernelError::TooLarge { what: what.into(), tokens, room, window, remedy })
    }

    /// The user wants a page to leave the window.
    pub(crate) fn evict(&mut self, id: PageId, step: &mut Step<'_>) -> Result<(), KernelError> {
        let page = self.between_turns(id)?;
        if page.kind == PageKind::Boot {
            return Err(bad(id, "holds the instructions and always stays"));
        }
        if page.pinned {
            return Err(bad(id, "is pinned; unpin it first"));
        }
        if !self.window.holds(id) {
            return Err(bad(id, "is not in the window"));
        }
        self.window.remove(|slot| slot.page == id);
        self.evicted(&[id], step);
        Ok(())
    }

    /// The user wants something to be known in every turn.
    pub(crate) fn remember(&mut self, source: SourcePage, step: &mut Step<'_>) -> Result<(), KernelError> {
        if !self.is_idle() {
            return Err(KernelError::ProcessBusy(self.pid));
        }
        if source.text.trim().is_empty() {
            return Err(KernelError::Empty);
        }
        is_next(&source, step)?;
        let (page, content) = core_page(source, Role::User, self.next_input(), step.event);
        self.has_room_for(Slot::of(&page), "what is to be remembered", step.config)?;
        let (id, text) = (step.ids.page(), Arc::clone(&content.text));
        let tokens = page.tokens;
        if !self.admit(page, content, step) {
            let room = self.room(Role::User, step.config);
            let (window, remedy) = (step.config.engine.n_ctx, self.remedy());
            return Err(KernelError::TooLarge { what: "it".into(), tokens, room, window, remedy });
        }
        step.out.push(Effect::Remembered { pid: self.pid, page: id, text });
        Ok(())
    }

    /// What left the window was put into a line each. That is shown where it is small and there is
    /// room for it; nobody asked for it, so nobody is told where not.
    pub(crate) fn digested(&mut self, source: SourcePage, step: &mut Step<'_>) -> Result<(), KernelError> {
        if !self.is_idle() {
            return Err(KernelError::ProcessBusy(self.pid));
        }
        is_next(&source, step)?;
        if source.content.count() > step.config.digest_tokens() || source.text.trim().is_empty() {
            return Ok(());
        }
        let is_digest = |page: &&Page| page.kind == PageKind::Digest && !page.pinned;
        let resident = self.window.slots().iter().filter_map(|slot| self.table.get(slot.page));
        let gone: Vec<PageId> = resident.filter(is_digest).map(|page| page.id).collect();
        self.window.remove(|slot| gone.contains(&slot.page));
        self.evicted(&gone, step);
        let content = Content::of(&source);
        let SourcePage { id, provenance, label, .. } = source;
        let (role, place) = (Role::User, self.next_input());
        let page = NewPage { id, kind: PageKind::Digest, role, place, provenance, label };
        let (page, content) = page.page(content, step.event);
        step.ids.page();
        self.admit(page, content, step);
        Ok(())
    }

    /// The user wants something not to be known in every turn any more.
    pub(crate) fn forget(&mut self, id: PageId, step: &mut Step<'_>) -> Result<(), KernelError> {
        if self.between_turns(id)?.kind != PageKind::Pinned {
            return Err(bad(id, "is not a page that was remembered; evict it instead"));
        }
        self.drop_core(id, step);
        Ok(())
    }

    /// Takes a page of the core memory out of it, and out of the window.
    fn drop_core(&mut self, id: PageId, step: &mut Step<'_>) {
        if let Some(page) = self.table.get_mut(id) {
            page.pinned = false;
        }
        if let Some(content) = self.table.content(id) {
            let text = Arc::clone(&content.text);
            step.out.push(Effect::Forgotten { pid: self.pid, page: id, text });
        }
        self.window.remove(|slot| slot.page == id);
        self.evicted(&[id], step);
    }

    /// The model wants to change the core memory. What a page or a tool made it write would be
    /// there for ever, so the user is asked where they did not say it themselves.
    pub(super) fn check_remember(&mut self, call: Call, step: &mut Step<'_>) {
        let told = self.turn.as_ref().is_some_and(|turn| syscall::tells(&turn.question, &call.tool));
        let default = if told { Verdict::Allow } else { Verdict::Ask };
        match step.config.policy.check_or(&call, default) {
            Verdict::Allow => self.change_core(call, step),
            Verdict::Ask => {
                let reason = "it would be part of this and all later conversations";
                self.ask(call, reason.into(), step);
            }
            Verdict::Deny => self.refuse(&call, "it is not allowed", step),
        }
    }

    /// Does what the model wants of the core memory.
    pub(super) fn change_core(&mut self, call: Call, step: &mut Step<'_>) {
        self.note_made(&call);
        let text_of = |key: &str| call.arguments[key].as_str().unwrap_or_default().to_owned();
        if call.tool == syscall::REMEMBER {
            let text = text_of("text");
            self.report(&call, Ok("remembered".into()), 0);
            let worded = format!("Remembered: {text}");
            return self.encode(&call.tool, worded, Then::Remember(text.into()), step);
        }
        let address = text_of("page");
        let id = address.parse().ok();
        let id = id.filter(|id| self.table.get(*id).is_some_and(|page| page.kind == PageKind::Pinned));
        let text = match id {
            Some(id) => {
                self.drop_core(id, step);
                format!("{id} is forgotten.")
            }
            None => format!("{address} is nothing that was remembered."),
        };
        self.report(&call, Ok(text.clone().into()), 0);
        self.encode(&call.tool, text, Then::Decode, step);
    }

    /// The page of this address, while no turn is under way.
    fn between_turns(&self, id: PageId) -> Result<&Page, KernelError> {
        if self.phase != Phase::Idle {
            return Err(KernelError::ProcessBusy(self.pid));
        }
        self.table.get(id).ok_or_else(|| bad(id, "does not exist"))
    }

    /// Where the next input will stand.
    const fn next_input(&self) -> Place {
        Place { turn: self.turns + 1, message: 0 }
    }
}

/// A page comes with the next address.
fn is_next(source: &SourcePage, step: &Step<'_>) -> Result<(), KernelError> {
    let next = step.ids.next_page();
    if source.id == next {
        return Ok(());
    }
    Err(bad(source.id, &format!("is not the next address, which is {next}")))
}

fn room_of_pinned(config: &Config) -> TokenCount {
    let room = u64::from(config.budget_tokens()) * u64::from(PINNED_PERCENT) / 100;
    TokenCount::try_from(room).unwrap_or(TokenCount::MAX)
}

fn bad(page: PageId, reason: &str) -> KernelError {
    KernelError::BadPage { page, reason: reason.into() }
}
