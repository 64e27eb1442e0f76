//! A line for each page of what was said and left the window: made by a model where one is named
//! for it, else of the page's own words.

use std::collections::VecDeque;
use std::sync::Arc;

use lucid_kernel::abi::{
    Encoded, Label, PageId, Provenance, Sampling, Segment, SourcePage, Swapped, TokenCount, Trust,
};
use lucid_kernel::chat::ChatFormat;
use lucid_kernel::port::{CancelFlag, DecodeRequest, Engine, EngineError};
use lucid_kernel::prompt;

use super::pages::encode;

/// So many lines are kept, the newest, and so many make a new page.
const LINES_MAX: usize = 12;
/// The length of a line, in characters.
const LINE_CHARS: usize = 72;
/// So much of a page is read for its line, in characters.
const READ_CHARS: usize = 2_000;
/// Tokens of a line that a model writes.
const LINE_TOKENS: TokenCount = 32;

/// What has been put into lines, and what waits for it.
#[derive(Default, Clone)]
pub struct Digest {
    lines: VecDeque<(PageId, String)>,
    /// How many lines were not shown yet.
    fresh: usize,
}

impl Digest {
    /// Adds a line.
    pub fn add(&mut self, page: PageId, line: String) {
        self.lines.retain(|(other, _)| *other != page);
        self.lines.push_back((page, line));
        self.fresh += 1;
        while self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    /// Whether so many lines are new that the page is worth computing anew. Says so once.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.fresh >= LINES_MAX;
        if is_due {
            self.fresh = 0;
        }
        is_due
    }

    /// The newest lines that fit into so many tokens, as a page; none when not even one does.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn page(
        &self,
        engine: &dyn Engine,
        id: PageId,
        tokens_at_most: TokenCount,
    ) -> Result<Option<SourcePage>, EngineError> {
        for from in 0..self.lines.len() {
            let lines = self.lines.iter().skip(from).map(|(page, line)| format!("{page} {line}\n"));
            let text: String = lines.collect();
            let content = encode(engine, &prompt::digest_page(id, &text))?;
            if content.count() <= tokens_at_most {
                return Ok(Some(SourcePage {
                    id,
                    content,
                    provenance: Provenance::System,
                    label: Label::public(Trust::Model),
                    text: text.into(),
                    score: 0.0,
                }));
            }
        }
        Ok(None)
    }
}

/// A line of a page; none when it says nothing.
pub fn line(page: &Swapped, text: &str, writer: Option<&dyn Engine>, cancel: &CancelFlag) -> Option<String> {
    let who = match &page.provenance {
        Provenance::User => "user",
        Provenance::Model => "you",
        // What tools and files say can be had again; instructions never leave.
        _ => return None,
    };
    let start: String = text.chars().take(READ_CHARS).collect();
    let written = writer.and_then(|engine| written(engine, &start, cancel).ok()).map(|text| shortened(&text));
    let line = written.filter(|line| !line.is_empty()).unwrap_or_else(|| shortened(&start));
    (!line.is_empty()).then(|| format!("{who}: {line}"))
}

/// The first sentence, or as much of it as a line holds.
fn shortened(text: &str) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split_whitespace() {
        chars += word.chars().count() + usize::from(!line.is_empty());
        if chars > LINE_CHARS {
            line.push_str(if line.is_empty() { "" } else { " …" });
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // An abbreviation is not the end.
        if word.ends_with(['.', '!', '?', '。', '！', '？']) && chars > LINE_CHARS / 3 {
            break;
        }
    }
    line
}

/// What a model makes of it.
fn written(engine: &dyn Engine, text: &str, cancel: &CancelFlag) -> Result<String, EngineError> {
    let system = "You shorten what was said. You answer with one short line and nothing else.";
    let asked = format!("Say in one line of at most twelve words what this says:\n{text}");
    let text = complete(engine, system, &asked, LINE_TOKENS, cancel)?;
    Ok(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned())
}

/// What a model answers to one question, apart from any conversation.
///
/// # Errors
/// Those of the engine, and when it was cancelled.
pub fn complete(
    engine: &dyn Engine,
    system: &str,
    asked: &str,
    max_tokens: TokenCount,
    cancel: &CancelFlag,
) -> Result<String, EngineError> {
    let chat = ChatFormat::probe(&engine.chat_template())
        .framing
        .encode(|text| engine.tokenize(text, true).map(|tokens| Encoded::new(text, tokens)))?;
    let (system, asked) = (encode(engine, system)?, encode(engine, asked)?);
    let parts = [
        &chat.system.prefix,
        &system,
        &chat.system.suffix,
        &chat.user.prefix,
        &asked,
        &chat.user.suffix,
        &chat.generate,
    ];
    let layout = parts.iter().map(|part| Segment { page: None, tokens: Arc::clone(&part.tokens) }).collect();
    let sampling = Sampling::default();
    let request = DecodeRequest { layout, grammar: None, sampling, max_tokens };
    let decoded = engine.decode(&request, cancel, &mut |_| {})?;
    if cancel.is_cancelled() {
        return Err(EngineError::Failed("cancelled".into()));
    }
    Ok(decoded.text.to_string())
}

#[cfg(test)]
mod tests {
    use lucid_engine::{Exchange, Scripted};

    use super::*;

    fn page(provenance: Provenance) -> Swapped {
        Swapped { page: PageId(4), provenance, turn: 1, event: 3 }
    }

    fn own(text: &str) -> Option<String> {
        line(&page(Provenance::User), text, None, &CancelFlag::new())
    }

    #[test]
    fn a_line_is_the_first_sentence_or_what_of_it_fits() {
        let long = "Dr. Molar moved to Elm Street 4 last week. She can be called in the morning.";
        assert_eq!(own(long).unwrap(), "user: Dr. Molar moved to Elm Street 4 last week.");
        let endless = "word ".repeat(100);
        let line = own(&endless).unwrap();
        assert!(line.ends_with("word …") && line.chars().count() < LINE_CHARS + 10, "{line}");
        assert_eq!(own(" \n "), None);
        assert_eq!(line_of_tool(), None);
        // One word that is too long alone says nothing in a line.
        assert_eq!(own(&"x".repeat(500)), None);
    }

    fn line_of_tool() -> Option<String> {
        line(&page(Provenance::Tool { tool: "calc".into() }), "4", None, &CancelFlag::new())
    }

    #[test]
    fn a_model_writes_lines_and_where_it_cannot_the_page_speaks() {
        let text = "The dentist moved to Elm Street 4, which is near the park.";
        let engine = Scripted::new([Exchange::containing("Elm Street", "\nDentist: Elm Street 4.\nMore.")]);
        let model = page(Provenance::Model);
        let made = || line(&model, text, Some(&engine), &CancelFlag::new());
        assert_eq!(made().unwrap(), "you: Dentist: Elm Street 4.");
        // The script is over: the engine fails.
        assert_eq!(made().unwrap(), format!("you: {text}"));
    }

    #[test]
    fn a_page_has_the_newest_lines_that_fit() {
        let engine = Scripted::new([]);
        let mut digest = Digest::default();
        assert_eq!(digest.page(&engine, PageId(9), 500).unwrap(), None);
        digest.add(PageId(1), "user: fact".into());
        assert!(!digest.is_due());
        (1..40).for_each(|n| digest.add(PageId(n), format!("user: fact {n}")));
        assert!(digest.is_due() && !digest.is_due());
        let page = digest.page(&engine, PageId(50), 10_000).unwrap().unwrap();
        assert_eq!(page.text.lines().count(), LINES_MAX);
        let page = digest.page(&engine, PageId(50), 70).unwrap().unwrap();
        assert!(page.content.count() <= 70 && page.text.ends_with("p39 user: fact 39\n"), "{}", page.text);
        assert_eq!(digest.page(&engine, PageId(50), 5).unwrap(), None);
    }
}
