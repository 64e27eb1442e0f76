//! Routing: whether a tool may, must or must not be called for an input.
//!
//! A small model calls tools where none is needed, so what it may call is decided before
//! it decodes, by rules that a person can check: a tool that the user names must be
//! called; one that shares words with the input may be; any other is not offered.

use std::collections::BTreeSet;

use crate::abi::ToolSpec;
use crate::relevance::{Words, features, has_arithmetic, raw_words};
use crate::syscall;

/// What the model may do in its next decode.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Answer only.
    Answer,
    /// Answer, or call one of these.
    May(Vec<String>),
    /// Call one of these.
    Must(Vec<String>),
}

/// How many words may stand between "use" and the tool's name.
const REACH: usize = 3;

/// The most tools that are offered for one input.
const OFFERED_MAX: usize = 6;

/// What a word of a tool's description counts, beside one of its name or keywords.
const DESCRIPTION_WEIGHT: f32 = 0.4;

/// Decides for one input.
pub fn choose(input: &str, tools: &[&ToolSpec]) -> Choice {
    let calculation = is_calculation(input);
    let lower = input.to_lowercase();
    let words: Vec<&str> = raw_words(&lower).collect();
    let is_question = input.contains('?');
    let must = |tool: &ToolSpec| {
        is_asked_for(&words, tool)
            || (is_question && is_named(&words, tool))
            || (calculation && has_arithmetic(&tool.description))
    };
    let asked: Vec<&ToolSpec> = tools.iter().copied().filter(|tool| must(tool)).collect();
    if !asked.is_empty() {
        return Choice::Must(names(&asked));
    }
    let input_features = features(input);
    let mut near: Vec<&ToolSpec> =
        tools.iter().copied().filter(|tool| is_near(input, &input_features, tool)).collect();
    if near.len() > OFFERED_MAX {
        let best = best(input, tools, OFFERED_MAX);
        near.retain(|tool| best.iter().any(|other| other.name == tool.name));
    }
    if near.is_empty() { Choice::Answer } else { Choice::May(names(&near)) }
}

/// The tools that fit a text best, the best first: those that share words with it, of which each
/// counts the more the fewer tools have it.
pub fn best<'a>(text: &str, tools: &[&'a ToolSpec], at_most: usize) -> Vec<&'a ToolSpec> {
    let wanted = features(text);
    let words: Vec<(Words, Words)> =
        tools.iter().map(|tool| (features(&about(tool)), features(&tool.description))).collect();
    let weights: Vec<(Words, f32)> = wanted
        .singles()
        .map(|word| {
            let have = |(own, described): &&(Words, Words)| own.shared(&word) + described.shared(&word) > 0;
            let count = words.iter().filter(have).count();
            (word, 1.0 / count.max(1) as f32)
        })
        .collect();
    let score = |(own, described): &(Words, Words)| -> f32 {
        let worth = |(word, weight): &(Words, f32)| match (own.shared(word), described.shared(word)) {
            (0, 0) => 0.0,
            (0, _) => weight * DESCRIPTION_WEIGHT,
            _ => *weight,
        };
        weights.iter().map(worth).sum()
    };
    let mut scored: Vec<(f32, &ToolSpec)> = words.iter().map(score).zip(tools.iter().copied()).collect();
    scored.retain(|(score, _)| *score > 0.0);
    // Stable: of equals the first.
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(at_most).map(|(_, tool)| tool).collect()
}

fn names(tools: &[&ToolSpec]) -> Vec<String> {
    tools.iter().map(|tool| tool.name.clone()).collect()
}

/// "use the calculator", "call calc", "with the weather tool"; but not "don't use calc".
fn is_asked_for(words: &[&str], tool: &ToolSpec) -> bool {
    let called: BTreeSet<String> = called(tool);
    words.iter().enumerate().any(|(at, word)| {
        if !matches!(*word, "use" | "using" | "call" | "run" | "with" | "via" | "invoke" | "ask") {
            return false;
        }
        let negated = words[..at]
            .iter()
            .rev()
            .take(2)
            .any(|before| matches!(*before, "not" | "don't" | "dont" | "never" | "without" | "no"));
        let rest = &words[at + 1..];
        !negated && (0..rest.len().min(REACH)).any(|skip| names_tool(&rest[skip..], &called))
    })
}

/// "What does a parcel of 2 kg cost?", where a tool is called `parcel`. A small model that is free to
/// answer makes the answer up. System calls go by words that mean other things in a question.
fn is_named(words: &[&str], tool: &ToolSpec) -> bool {
    !syscall::is_one(&tool.name) && words.contains(&tool.name.as_str())
}

/// What a tool is called by: its name, its name in words, and the first of its keywords.
fn called(tool: &ToolSpec) -> BTreeSet<String> {
    let mut out: BTreeSet<String> =
        tool.keywords.first().map(|word| word.to_lowercase()).into_iter().collect();
    let name = tool.name.to_lowercase();
    out.insert(name.replace(['_', '-'], " "));
    out.insert(name);
    out
}

fn names_tool(rest: &[&str], called: &BTreeSet<String>) -> bool {
    called.iter().any(|name| {
        let parts: Vec<&str> = name.split_whitespace().collect();
        !parts.is_empty() && rest.len() >= parts.len() && rest[..parts.len()] == parts[..]
    })
}

/// Whether the input asks for nothing but the value of an expression: "What is 17.5% of
/// 2310.40?", "3 * (4 + 5)". A small model answers those from memory, and wrongly.
fn is_calculation(input: &str) -> bool {
    let lower = input.trim().to_lowercase();
    let opens = ["what is", "what's", "how much is", "calculate", "compute", "evaluate", "work out"]
        .iter()
        .find_map(|opening| lower.strip_prefix(opening));
    let rest = opens.unwrap_or(&lower).trim_matches(|c: char| c.is_whitespace() || "?=.:".contains(c));
    let words = rest.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic));
    let known = |word: &str| {
        matches!(
            word,
            "of" | "the"
                | "plus"
                | "minus"
                | "times"
                | "divided"
                | "by"
                | "percent"
                | "root"
                | "x"
                | "square"
                | "squared"
                | "sqrt"
                | "result"
                | "value"
                | "to"
                | "power"
        )
    };
    let mut words = words.peekable();
    let in_words =
        words.clone().any(|word| matches!(word, "plus" | "minus" | "times" | "divided" | "percent"));
    let sums = has_arithmetic(rest) || (in_words && rest.contains(|c: char| c.is_ascii_digit()));
    sums && (words.peek().is_none() || words.all(known))
}

/// What a tool is called and known by.
fn about(tool: &ToolSpec) -> String {
    let mut about = tool.name.replace(['_', '-'], " ");
    for keyword in &tool.keywords {
        about.push(' ');
        about.push_str(keyword);
    }
    about
}

fn is_near(input: &str, input_features: &Words, tool: &ToolSpec) -> bool {
    let mut about = about(tool);
    if tool.keywords.is_empty() {
        about.push(' ');
        about.push_str(&tool.description);
    }
    if has_arithmetic(&tool.description) {
        about.push_str(" 1+1");
    }
    features(&about).shared(input_features) > 0 || input.contains(&tool.name)
}
