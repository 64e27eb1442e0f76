//! A page: an immutable span of text with an address. The table knows every page; its content
//! is in the kernel only while it is resident.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::abi::{Encoded, FileRange, Label, PageId, Provenance, Role, SourcePage, TokenCount};
use crate::relevance::Words;

/// What a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// The instructions and the tool list.
    Boot,
    /// What is to be known in every turn: core memory.
    Pinned,
    /// A part of a file, or a text that came with the input.
    File,
    /// What the user or the model said.
    Turn,
    /// A call that the model wrote.
    Call,
    /// What the call gave back.
    Result,
    /// One line each of what was said earlier and is no longer resident.
    Digest,
    /// What a tool does, for a question that it fits.
    Tool,
}

impl PageKind {
    /// Its name, as the user reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Pinned => "pinned",
            Self::File => "file",
            Self::Turn => "turn",
            Self::Call => "call",
            Self::Result => "result",
            Self::Digest => "digest",
            Self::Tool => "tool",
        }
    }
}

/// Where a page stands in the conversation. Turns count from 1; 0 is that of the instructions
/// and the core memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The turn it belongs to.
    pub turn: u32,
    /// The message within the turn, from 0. Pages of one message share its framing.
    pub message: u32,
}

/// What the table knows of a page, resident or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Its address.
    pub id: PageId,
    /// What it is for.
    pub kind: PageKind,
    /// Who speaks in its message.
    pub role: Role,
    /// Where it stands, or stood when it was last resident.
    pub place: Place,
    /// Its size, as it was last resident.
    pub tokens: TokenCount,
    /// Where it came from.
    pub provenance: Provenance,
    /// Trust and secrecy.
    pub label: Label,
    /// Which event brought it, counted from 0: it stands in the journal there.
    pub born: u64,
    /// The turn in which it was last needed.
    pub last_used_turn: u32,
    /// In how many turns it was needed.
    pub uses: u32,
    /// Whether it was needed since eviction last looked at it.
    pub referenced: bool,
    /// Whether it stays until it is unpinned.
    pub pinned: bool,
    /// Whether swap keeps it.
    pub swapped: bool,
    /// Whether it was evicted before. What of it is resident was brought back since, and stands
    /// where it was needed, not where it was said.
    pub recalled: bool,
}

impl Page {
    /// The file range it shows, if it is a part of a file.
    pub fn file(&self) -> Option<&FileRange> {
        match &self.provenance {
            Provenance::File(range) => Some(range),
            _ => None,
        }
    }

    /// Whether it holds nothing that is not had again: it need not be kept once it left.
    pub fn is_made_anew(&self) -> bool {
        matches!(self.kind, PageKind::Digest | PageKind::Tool)
    }

    /// Whether it can leave without what stands beside it.
    pub(crate) fn goes_alone(&self) -> bool {
        matches!(self.kind, PageKind::File | PageKind::Pinned) || self.is_made_anew() || self.recalled
    }

    /// Notes that it is needed in this turn.
    pub(crate) fn touch(&mut self, turn: u32) {
        if self.last_used_turn < turn {
            self.last_used_turn = turn;
            self.uses = self.uses.saturating_add(1);
        }
        self.referenced = true;
    }
}

/// What a resident page says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its exact text and tokens, as they stand in the window.
    pub shown: Encoded,
    /// Its text without the heading line that the window shows.
    pub text: Arc<str>,
    /// The words of the text: what citations are found by, and what eviction compares with the
    /// question.
    #[serde(skip)]
    pub words: Words,
}

impl Content {
    /// The content of a page that shows nothing but its text.
    pub fn plain(shown: Encoded) -> Self {
        let text = Arc::clone(&shown.text);
        Self { words: crate::relevance::words(&text), shown, text }
    }

    /// The content of a page that came from outside.
    pub fn of(source: &SourcePage) -> Self {
        Self {
            words: crate::relevance::words(&source.text),
            shown: source.content.clone(),
            text: Arc::clone(&source.text),
        }
    }
}
