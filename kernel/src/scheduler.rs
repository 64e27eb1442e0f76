//! The scheduler: which process decodes next. The engine serves as many at once as it has
//! slots, in the order in which they asked.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::abi::{EffectId, Pid};

/// Who decodes and who waits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scheduler {
    waiting: VecDeque<Pid>,
    running: Vec<EffectId>,
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

    /// Who decodes now, if one of the engine's slots is free and somebody waits. The caller says
    /// with [`Scheduler::run`] which effect it became.
    pub fn pick(&mut self, slots: u32) -> Option<Pid> {
        let is_free = self.running.len() < slots.max(1) as usize;
        if is_free { self.waiting.pop_front() } else { None }
    }

    /// The engine works on this effect.
    pub fn run(&mut self, id: EffectId) {
        self.running.push(id);
    }

    /// The engine is done with this effect.
    pub fn done(&mut self, id: EffectId) {
        self.running.retain(|running| *running != id);
    }

    /// Nothing runs and nobody waits: the machine came up again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
