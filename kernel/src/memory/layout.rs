//! The layout: the window as the exact tokens that the engine decodes after.

use std::sync::Arc;

use crate::abi::{Encoded, Segment, TokenCount};
use crate::chat::ChatTokens;
use crate::memory::{ContextWindow, PageTable};

/// The resident pages in their messages, and the opening of the model's answer.
pub fn segments(window: &ContextWindow, table: &PageTable, chat: &ChatTokens) -> Vec<Segment> {
    let mut out = Vec::with_capacity(window.slots().len() * 3 + 1);
    let mut open = None;
    for slot in window.slots() {
        let at = (slot.place, slot.role);
        if open != Some(at) {
            if let Some((_, role)) = open {
                frame(&mut out, &chat.span(role).suffix);
            }
            frame(&mut out, &chat.span(slot.role).prefix);
            open = Some(at);
        }
        if let Some(content) = table.content(slot.page) {
            out.push(Segment { page: Some(slot.page), tokens: Arc::clone(&content.shown.tokens) });
        }
    }
    if let Some((_, role)) = open {
        frame(&mut out, &chat.span(role).suffix);
    }
    frame(&mut out, &chat.generate);
    out
}

/// Tokens of a layout.
pub fn count(segments: &[Segment]) -> TokenCount {
    let total: usize = segments.iter().map(|segment| segment.tokens.len()).sum();
    TokenCount::try_from(total).unwrap_or(TokenCount::MAX)
}

fn frame(out: &mut Vec<Segment>, framing: &Encoded) {
    if framing.count() > 0 {
        out.push(Segment { page: None, tokens: Arc::clone(&framing.tokens) });
    }
}
