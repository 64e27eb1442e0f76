//! What the engine has computed for a process, and how much of a new prompt it need not compute
//! again. The kernel says it before the engine does, and both must agree.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::abi::{Segment, Token, TokenCount};

/// Closing gaps must save so many tokens against keeping the common beginning alone.
pub const GAIN_TOKENS: usize = 64;

/// The last prompt of a process, and what the engine wrote after it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Sent {
    layout: Vec<Segment>,
    said: Option<Arc<[Token]>>,
}

impl Sent {
    /// Notes a prompt.
    pub fn send(&mut self, layout: &[Segment]) {
        self.layout = layout.to_vec();
        self.said = None;
    }

    /// Notes what the engine wrote.
    pub fn hear(&mut self, tokens: &Arc<[Token]>) {
        self.said = Some(Arc::clone(tokens));
    }

    /// How many tokens of a new prompt the engine has computed already. With `closes_gaps`, it
    /// can take pages out of the middle of what it computed.
    pub fn reused(&self, layout: &[Segment], closes_gaps: bool) -> TokenCount {
        let prompt: usize = layout.iter().map(|segment| segment.tokens.len()).sum();
        // The last token is always computed, because what follows it is wanted.
        let most = prompt.saturating_sub(1);
        let prefix = self.prefix(layout);
        let closed = if closes_gaps { self.kept(layout) } else { 0 };
        let reused = if closed >= prefix + GAIN_TOKENS { closed } else { prefix };
        TokenCount::try_from(reused.min(most)).unwrap_or(TokenCount::MAX)
    }

    /// Tokens that both begin with.
    fn prefix(&self, layout: &[Segment]) -> usize {
        let sent = self.layout.iter().flat_map(|segment| segment.tokens.iter());
        let held = sent.chain(self.said.iter().flat_map(|said| said.iter()));
        let wanted = layout.iter().flat_map(|segment| segment.tokens.iter());
        held.zip(wanted).take_while(|(a, b)| a == b).count()
    }

    /// Tokens of the new prompt's beginning that are left of the old one when whole runs are taken
    /// out of it.
    fn kept(&self, layout: &[Segment]) -> usize {
        let mut held = self.layout.iter().map(|segment| &segment.tokens).chain(&self.said);
        let mut kept = 0;
        for segment in layout {
            if held.by_ref().any(|tokens| *tokens == segment.tokens) {
                kept += segment.tokens.len();
            } else {
                break;
            }
        }
        kept
    }
}
