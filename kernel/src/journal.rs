//! The journal: the events of a session in order. State is nothing but their fold.

use std::sync::Arc;

use serde_json::Value;

use crate::Kernel;
use crate::abi::{Effect, Event, Outcome, PageId, SourcePage};

/// What a page says that this event brought: the whole of it, also of a result of which only the
/// beginning was shown. None when the event brought no text.
pub fn text_of(event: &Event, page: PageId) -> Option<Arc<str>> {
    let among = |pages: &[SourcePage]| {
        pages.iter().find(|source| source.id == page).map(|source| Arc::clone(&source.text))
    };
    match event {
        Event::Spawn { system, core, .. } => among(core).or_else(|| Some(Arc::clone(&system.text))),
        Event::Tools { system, .. } => Some(Arc::clone(&system.text)),
        Event::Input { content, attached, .. } => among(attached).or_else(|| Some(Arc::clone(&content.text))),
        Event::Remember { page: source, .. } | Event::Digested { page: source, .. } => {
            Some(Arc::clone(&source.text))
        }
        Event::PagedIn { outcome: Outcome::Done(pages), .. } => among(pages),
        Event::Decoded { outcome: Outcome::Done(decoded), .. } => Some(Arc::clone(&decoded.text)),
        Event::Returned { outcome: Outcome::Done(returned), .. } => Some(match returned.chars {
            Some(_) => shown(&returned.value).into(),
            None => Arc::clone(&returned.content.text),
        }),
        Event::Encoded { outcome: Outcome::Done(encoded), .. } => Some(Arc::clone(&encoded.text)),
        _ => None,
    }
}

/// A result as the model reads it: a text as it stands, all else as JSON.
pub fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

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
