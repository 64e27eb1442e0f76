//! A page: an immutable span of tokens with an address.

use serde::{Deserialize, Serialize};

use crate::abi::{Encoded, FileRange, Label, PageId, Provenance, Role, TokenCount};
use crate::relevance::Words;

/// What a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageKind {
    /// The instructions and the tool list.
    Boot,
    /// A part of a file, or a text that came with the input.
    File,
    /// What the user or the model said.
    Turn,
    /// A call that the model wrote.
    Call,
    /// What the call gave back.
    Result,
}

impl PageKind {
    /// Its name, as the user reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::File => "file",
            Self::Turn => "turn",
            Self::Call => "call",
            Self::Result => "result",
        }
    }
}

/// Where a page stands in the conversation. Turns count from 1; 0 is the boot page's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The turn it belongs to.
    pub turn: u32,
    /// The message within the turn, from 0. Pages of one message share its framing.
    pub message: u32,
}

/// An immutable span of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Its address.
    pub id: PageId,
    /// What it is for.
    pub kind: PageKind,
    /// Who speaks in its message.
    pub role: Role,
    /// Where it stands.
    pub place: Place,
    /// Its exact text and tokens.
    pub content: Encoded,
    /// Its text without the heading line that the window shows.
    pub text: std::sync::Arc<str>,
    /// Where it came from.
    pub provenance: Provenance,
    /// Trust and secrecy.
    pub label: Label,
    /// The turn in which it was last needed.
    pub last_used_turn: u32,
    /// The words of its text, when it is a part of a file: what citations are found by.
    #[serde(skip)]
    pub words: Words,
}

impl Page {
    /// Its size.
    pub fn tokens(&self) -> TokenCount {
        self.content.count()
    }

    /// The file range it shows, if it is a part of a file.
    pub fn file(&self) -> Option<&FileRange> {
        match &self.provenance {
            Provenance::File(range) => Some(range),
            _ => None,
        }
    }
}
