//! The scheduler: which process decodes next. The engine serves one at a time, in the
//! order in which they asked.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::abi::{EffectId, Pid};

/// Who decodes and who waits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scheduler {
    waiting: VecDeque<Pid>,
    running: Option<EffectId>,
}

impl Scheduler {
    /// A process wants to decode.
    pub fn enqueue(&mut self, pid: Pid) {
        if !self.waiting.contains(&pid) {
            self.waiting.push_back(pid);
        }
    }

    /// A process no longer wants to.
    pub fn forget(&mut self, pid: Pid) {
        self.waiting.retain(|other| *other != pid);
    }

    /// Who decodes now, if the engine is free and somebody waits. The caller says with
    /// [`Scheduler::run`] which effect it became.
    pub fn pick(&mut self) -> Option<Pid> {
        if self.running.is_some() { None } else { self.waiting.pop_front() }
    }

    /// The engine works on this effect.
    pub const fn run(&mut self, id: EffectId) {
        self.running = Some(id);
    }

    /// The engine is done with this effect.
    pub fn done(&mut self, id: EffectId) {
        if self.running == Some(id) {
            self.running = None;
        }
    }

    /// Nothing runs and nobody waits: the machine came up again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
