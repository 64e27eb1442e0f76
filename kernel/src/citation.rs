//! Citations: which file pages an answer rests on, and which of their lines.
//!
//! The model may name pages (`[p4]`); what it names is an allegation and counts only when
//! the page is resident. Pages are also found by the words they share with the answer, so
//! that an answer that names none still shows where it is from.

use crate::abi::{Citation, PageId};
use crate::memory::{Content, Page};
use crate::relevance::{Words, words};

/// The most citations of one answer.
const MAX_CITATIONS: usize = 4;

/// A page that shares less than this part of the answer's words is not cited unless named.
const MIN_COVERAGE: f32 = 0.34;

/// A further page must add at least this part of the answer's words.
const MIN_GAIN: f32 = 0.15;

/// Finds what `answer` rests on among `pages`, the best first. Words of the `question` alone
/// prove nothing: they count for half.
pub fn find(question: &str, answer: &str, pages: &[(&Page, &Content)]) -> Vec<Citation> {
    let wanted = evidence(question, answer);
    let mut found: Vec<(&Page, &Content)> = Vec::new();
    for id in named(answer) {
        let page = pages.iter().find(|(page, _)| page.id == id);
        found.extend(page.filter(|(page, _)| !found.iter().any(|(other, _)| other.id == page.id)));
    }
    found.truncate(MAX_CITATIONS);
    let mut open = wanted.clone();
    for (_, content) in &found {
        open = open.without(&content.words);
    }
    // What a page adds can only become less: what it added before is a bound, and pages whose
    // bound is under the best need not be looked at again.
    let is_found = |found: &[(&Page, &Content)], id| found.iter().any(|(other, _)| other.id == id);
    let others = pages.iter().filter(|(page, _)| !is_found(&found, page.id));
    let mut bounds: Vec<(usize, (&Page, &Content))> =
        others.map(|page| (open.shared(&page.1.words), *page)).filter(|(bound, _)| *bound > 0).collect();
    bounds.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.0.id.cmp(&b.1.0.id)));
    while found.len() < MAX_CITATIONS && !wanted.is_empty() {
        let mut best: Option<(usize, (&Page, &Content))> = None;
        for (bound, page) in bounds.iter().filter(|(_, page)| !is_found(&found, page.0.id)) {
            if best.is_some_and(|(most, _)| *bound < most) {
                break;
            }
            let gain = open.shared(&page.1.words);
            if best.is_none_or(|(most, other)| gain > most || (gain == most && page.0.id < other.0.id)) {
                best = Some((gain, *page));
            }
        }
        let Some((gain, page)) = best else { break };
        if (gain as f32 / wanted.len() as f32) < if found.is_empty() { MIN_COVERAGE } else { MIN_GAIN } {
            break;
        }
        open = open.without(&page.1.words);
        found.push(page);
    }
    found.iter().filter_map(|(page, content)| cite(page, content, &wanted)).collect()
}

/// The addresses that a text names, in order.
pub fn named(text: &str) -> impl Iterator<Item = PageId> + '_ {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok())
}

/// The words that a page must share: those of the answer that are not the question's, or,
/// when there are none, all of them.
fn evidence(question: &str, answer: &str) -> Words {
    let mut addresses = String::new();
    for id in named(answer) {
        addresses.push_str(&format!("{id} "));
    }
    let said = words(answer).without(&words(&addresses));
    let new = said.without(&words(question));
    if new.is_empty() { said } else { new }
}

/// The page's lines that hold the evidence: from the first to the last of the lines that
/// share the most of it.
fn cite(page: &Page, content: &Content, wanted: &Words) -> Option<Citation> {
    let range = page.file()?;
    let shares: Vec<usize> = content.text.lines().map(|line| words(line).shared(wanted)).collect();
    let best = shares.iter().copied().max().unwrap_or(0);
    let (first, last) = if best == 0 {
        (0, range.lines.1 - range.lines.0)
    } else {
        let enough = |share: &usize| *share * 2 >= best && *share > 0;
        let first = shares.iter().position(enough).unwrap_or(0);
        let last = shares.iter().rposition(enough).unwrap_or(first);
        (u32::try_from(first).ok()?, u32::try_from(last).ok()?)
    };
    Some(Citation {
        path: range.path.to_string(),
        lines: (range.lines.0 + first, (range.lines.0 + last).min(range.lines.1)),
        page: page.id,
    })
}
