//! What was said in a session before, as its events tell.

use std::collections::BTreeMap;

use lucid_kernel::abi::{Effect, Event, Pid};

use super::api::PastTurn;

/// The turns of each conversation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past(pub BTreeMap<Pid, Vec<PastTurn>>);

impl Past {
    /// Takes the event of this number, and what the kernel made of it.
    pub fn hear(&mut self, number: u64, event: &Event, effects: &[Effect]) {
        if effects.iter().any(|effect| matches!(effect, Effect::Refused { .. })) {
            return;
        }
        match event {
            Event::Input { pid, content, .. } => {
                let asked = content.text.to_string();
                let turn = PastTurn { asked, before: number, report: None };
                self.0.entry(*pid).or_default().push(turn);
            }
            Event::Exit { pid } => drop(self.0.remove(pid)),
            _ => {}
        }
        for effect in effects {
            match effect {
                Effect::Spawned { pid, of: Some(of) } => {
                    let known = self.0.get(of).cloned().unwrap_or_default();
                    self.0.insert(*pid, known);
                }
                Effect::Ended { pid, report } => {
                    let turn = self.0.get_mut(pid).and_then(|turns| turns.last_mut());
                    if let Some(turn) = turn {
                        turn.report = Some(report.clone());
                    }
                }
                _ => {}
            }
        }
    }
}
