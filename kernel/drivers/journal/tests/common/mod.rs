//! Events that several tests need.

use lucid_kernel::abi::{
    Encoded, Event, FileRange, Label, PageId, Pid, Provenance, SourcePage, Trust, TurnOptions,
};

/// A process that begins with these instructions.
pub fn spawn(text: &str) -> Event {
    Event::Spawn { system: Encoded::new(text, [1, 2, 3]), tools: Vec::new(), core: Vec::new() }
}

/// An input with one page of a file.
#[allow(dead_code, reason = "not every test file needs it")]
pub fn input(text: &str, score: f32) -> Event {
    let range = FileRange { path: "/a/b.md".into(), lines: (1, 2), bytes: (0, 9) };
    let page = SourcePage {
        id: PageId(1),
        content: Encoded::new("[p1 /a/b.md:1-2]\ntext", [7, 8]),
        provenance: Provenance::File(range),
        label: Label::public(Trust::File),
        text: "text".into(),
        score,
    };
    Event::Input {
        pid: Pid(1),
        content: Encoded::new(text, [4, 5]),
        attached: vec![page],
        options: TurnOptions::default(),
    }
}
