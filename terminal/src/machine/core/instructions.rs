//! Which tools there are, and what the model is told of them.

use lucid_kernel::abi::{Encoded, Event, PageId, SourcePage, TokenCount, ToolSpec};
use lucid_kernel::memory::PageKind;
use lucid_kernel::port::{Engine, EngineError};
use lucid_kernel::{Config, prompt, syscall};

use super::super::Tools;
use super::super::api::Notice;
use super::super::pages::{self, encode};
use super::{Machine, Msg};
use crate::exit::Failure;

/// The instructions name all tools where that takes at most this part of what may be resident, and
/// no more than so many tokens: each is computed before the first answer.
const LISTED_PART: TokenCount = 8;
const LISTED_TOKENS_MAX: TokenCount = 256;

impl Machine {
    /// The instructions, and all that may be called.
    pub(super) fn instructions(
        &self,
        engine: &dyn Engine,
        tools: &dyn Tools,
        config: &Config,
    ) -> Result<(Encoded, Vec<ToolSpec>), Failure> {
        let failed = |error: EngineError| {
            Failure::config(format!("the instructions cannot be turned into tokens: {error}"))
        };
        let mut specs = if self.setup.tools { tools.specs() } else { Vec::new() };
        let most = (config.budget_tokens() / LISTED_PART).min(LISTED_TOKENS_MAX);
        let is_listed = pages::describe(engine, &mut specs, most).map_err(failed)?;
        let system = prompt::system(is_listed.then_some(&specs[..]), config.has_disk);
        if self.setup.tools {
            specs.extend(syscall::disk_calls());
            if !is_listed {
                let calling = encode(engine, prompt::CALLING).map_err(failed)?;
                let calls = syscall::tool_calls().into_iter();
                specs.extend(calls.map(|call| ToolSpec { described: Some(calling.clone()), ..call }));
            }
            if self.setup.core.is_some() {
                specs.extend(syscall::memory_calls());
            }
        }
        Ok((encode(engine, &system).map_err(failed)?, specs))
    }

    /// What is to be known in every turn, each with an address from this one on.
    pub(super) fn core_pages(&self, engine: &dyn Engine, first: u64) -> Result<Vec<SourcePage>, Failure> {
        let Some(memory) = &self.setup.core else { return Ok(Vec::new()) };
        let unusable = |reason: String| Failure::config(format!("{}: {reason}", memory.path().display()));
        let facts = memory.facts().map_err(|error| unusable(error.to_string()))?;
        let page = |(fact, id): (&String, u64)| pages::core_page(engine, PageId(id), fact);
        let made: Result<Vec<_>, _> = facts.iter().zip(first..).map(page).collect();
        made.map_err(|error| unusable(error.to_string()))
    }

    /// What the tools are called.
    pub(super) fn tool_names(&self) -> Vec<String> {
        let live = self.live.as_ref().filter(|_| self.setup.tools);
        live.map(|live| live.tools.specs().into_iter().map(|spec| spec.name).collect()).unwrap_or_default()
    }

    /// Hears from now on of tools that come, change and go.
    pub(super) fn watch_tools(&self) {
        let Some(live) = self.live.as_ref().filter(|_| self.setup.interactive && self.setup.tools) else {
            return;
        };
        let to = self.to_self.clone();
        live.tools.watch(Box::new(move |changes| drop(to.send(Msg::ToolsChanged(changes)))));
    }

    /// Tools came, changed or went.
    pub(super) fn on_tools_changed(&mut self, changes: Vec<String>) {
        if let Some(live) = &mut self.live {
            live.are_tools_due = true;
        }
        let tools = self.tool_names();
        changes.into_iter().for_each(|change| self.tell(Notice::Tools { change, tools: tools.clone() }));
        self.show_tools();
    }

    /// Tells the processes of other tools than they know, between turns.
    pub(super) fn show_tools(&mut self) {
        let Some(live) = self.live.as_ref().filter(|live| live.are_tools_due) else { return };
        let processes = live.kernel.processes();
        let (Some(config), Some(process)) = (live.kernel.config(), processes.get(&live.pid)) else { return };
        if !processes.values().all(|process| process.is_idle()) {
            return;
        }
        let told = self.instructions(live.engine.as_ref(), live.tools.as_ref(), config);
        let boot = process.table().iter().find(|page| page.kind == PageKind::Boot);
        let before = boot.and_then(|page| process.table().content(page.id)).map(|content| &content.shown);
        let event = match &told {
            Ok((system, tools)) if before == Some(system) && process.tools() == tools => None,
            Ok((system, tools)) => Some(Event::Tools { system: system.clone(), tools: tools.clone() }),
            Err(failure) => {
                self.tell_failed(&failure.message);
                None
            }
        };
        if let Some(live) = &mut self.live {
            live.are_tools_due = false;
        }
        if let Some(event) = event {
            self.apply(event);
        }
    }
}
