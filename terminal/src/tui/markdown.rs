//! Markdown, as models write it, as styled lines.
//!
//! A text is cut into its outermost blocks, and each of them is drawn by itself. So text that
//! comes later never changes how an earlier block looks, and [`settled`] can tell which ones
//! need not be drawn again. The price is that links explained elsewhere stay as written.

use std::borrow::Cow;
use std::rc::Rc;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use ratatui::text::Line;

use super::blocks::Page;
use super::highlight::Highlighted;
use super::inline::{OPTIONS, mask};
use super::text::clean;
use super::theme::Theme;

/// What stands between lines.
const BLANKS: [char; 2] = [' ', '\n'];

/// Looks up the parts of code by its language and text; none means that it is drawn plain.
pub type Code<'a> = &'a dyn Fn(&str, &str) -> Option<Rc<Highlighted>>;

/// Renders a text, wrapped at `width` columns. An open fence counts as code to the end, so
/// that an answer can be drawn while it comes.
pub fn render(text: &str, width: usize, theme: Theme, code: Code<'_>) -> Vec<Line<'static>> {
    let text = clean(text);
    if text.trim_matches(BLANKS).is_empty() {
        return vec![Line::default()];
    }
    let text = &text[..line_end(&text, text.len())];
    let mut lines = Vec::new();
    let mut from = 0;
    for Boundary { at: end, .. } in boundaries(text) {
        let Some(block) = text.get(from..end) else { continue };
        Page::new(block, &mask(block), width, theme, code, &mut lines).draw();
        from = end;
    }
    lines
}

/// How much of the beginning of a text is settled: whatever text is added, it looks as it does
/// now. When that is more than nothing and `text` has become `full`, then `render(full)` is
/// `render(&full[..settled])` and `render(&full[settled..])` one after the other.
pub fn settled(text: &str) -> usize {
    // A line that is still being written may become anything.
    let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
    let cleaned = clean(whole);
    let apart = boundaries(&cleaned).into_iter().rfind(|boundary| boundary.is_apart);
    let settled = apart.map_or(0, |boundary| boundary.at);
    if matches!(cleaned, Cow::Borrowed(_)) {
        return settled;
    }
    // Cleaning changes how long lines are, but not how many there are.
    let lines = cleaned[..settled].matches('\n').count();
    let mut line_ends = whole.match_indices(['\n', '\u{2028}', '\u{2029}']).map(|(at, end)| at + end.len());
    lines.checked_sub(1).and_then(|before| line_ends.nth(before)).unwrap_or(0)
}

/// Where one outermost block ends and the next begins. Blank lines and definitions of links
/// between two of them belong to the second.
struct Boundary {
    at: usize,
    /// Whether there are blank lines and nothing else between the two. Without one the parser may
    /// yet come to see them as one, and a definition may stand within the first.
    is_apart: bool,
}

/// The ends of all outermost blocks, in order; the last is the end of the text.
fn boundaries(text: &str) -> Vec<Boundary> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut end: Option<usize> = None;
    for (event, range) in Parser::new_ext(text, OPTIONS).into_offset_iter() {
        if let (0, Some(end)) = (depth, end) {
            let at = line_end(text, range.start.min(end));
            let mut between = text.get(at..range.start).unwrap_or("").chars();
            let is_apart = between.clone().any(|c| c == '\n') && between.all(|c| BLANKS.contains(&c));
            found.push(Boundary { at, is_apart });
        }
        // A list is said to reach to what comes next, so only what stands in it counts.
        let reached = match event {
            Event::Start(Tag::List(_) | Tag::Item | Tag::BlockQuote(_)) => {
                range.start + text[range.start..].find(|c| c != ' ').unwrap_or(0) + 1
            }
            Event::End(TagEnd::List(_) | TagEnd::Item | TagEnd::BlockQuote(_)) => 0,
            _ => range.end,
        };
        end = end.max(Some(reached));
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            _ => {}
        }
    }
    // Definitions after the last block are drawn by themselves, as if another one followed.
    found.extend(end.map(|end| Boundary { at: line_end(text, end), is_apart: false }));
    found.push(Boundary { at: text.len(), is_apart: false });
    found
}

/// The end of the last line that is not blank before `at`.
fn line_end(text: &str, at: usize) -> usize {
    let kept = text[..text.floor_char_boundary(at)].trim_end_matches(BLANKS).len();
    text[kept..].find('\n').map_or(text.len(), |end| kept + end + 1)
}
