//! The journal: the events of a session in order. State is nothing but their fold.

use crate::Kernel;
use crate::abi::{Effect, Event};

/// Folds events into a kernel. The effects of all but the last events were carried out
/// when they were first made; only those that no later event answers are still open, and
/// [`Kernel::open_effects`] names them.
pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Kernel {
    let mut kernel = Kernel::default();
    for event in events {
        kernel.step(event.clone());
    }
    kernel
}

/// Folds events and keeps every effect, for a comparison with what was done.
pub fn trace<'a>(events: impl IntoIterator<Item = &'a Event>) -> (Kernel, Vec<Vec<Effect>>) {
    let mut kernel = Kernel::default();
    let effects = events.into_iter().map(|event| kernel.step(event.clone())).collect();
    (kernel, effects)
}
