//! Finding by a few letters: commands, earlier inputs, and what `@` can name.

use std::ops::Range;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// The most candidates that match and are kept.
const MAX_FOUND: usize = 200;

/// What is being found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A command of the palette.
    Palette,
    /// An earlier input.
    History,
    /// What `@` names, put over this range of the line.
    Mention(Range<usize>),
}

/// What choosing a candidate does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The line becomes this; and whether it is carried out at once.
    Line(String, bool),
    /// A command of the keys.
    Key(super::keymap::Command),
    /// This is put into the line.
    Insert(String),
    /// What was said in this session comes with the next input.
    Session(String),
}

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What is looked for in, and shown.
    pub text: String,
    /// A word more, shown dim.
    pub about: String,
    /// What it does.
    pub choice: Choice,
}

/// A list that grows shorter with each letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finder {
    /// What is being found.
    pub kind: Kind,
    /// The letters.
    pub query: String,
    candidates: Vec<Candidate>,
    found: Vec<usize>,
    /// Which of those found is chosen.
    pub chosen: usize,
}

impl Finder {
    /// A list of all candidates, the likeliest first.
    pub fn new(kind: Kind, query: &str, candidates: Vec<Candidate>) -> Self {
        let mut finder = Self { kind, query: query.to_owned(), candidates, found: Vec::new(), chosen: 0 };
        finder.search();
        finder
    }

    /// Looks for other letters.
    pub fn look_for(&mut self, query: &str) {
        if self.query != query {
            query.clone_into(&mut self.query);
            self.search();
        }
    }

    /// Takes other candidates.
    pub fn replace(&mut self, candidates: Vec<Candidate>) {
        self.candidates = candidates;
        self.search();
    }

    fn search(&mut self) {
        self.chosen = 0;
        if self.query.is_empty() {
            self.found = (0..self.candidates.len().min(MAX_FOUND)).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
        let pattern = Pattern::parse(&self.query, CaseMatching::Smart, Normalization::Smart);
        let mut scratch = Vec::new();
        let mut scored: Vec<(u32, usize)> = Vec::new();
        for (at, candidate) in self.candidates.iter().enumerate() {
            if let Some(score) = pattern.score(Utf32Str::new(&candidate.text, &mut scratch), &mut matcher) {
                scored.push((score, at));
            }
        }
        scored.sort_by_key(|(score, at)| (std::cmp::Reverse(*score), *at));
        self.found = scored.into_iter().take(MAX_FOUND).map(|(_, at)| at).collect();
    }

    /// What was found, the best first.
    pub fn found(&self) -> impl ExactSizeIterator<Item = &Candidate> {
        self.found.iter().map(|at| &self.candidates[*at])
    }

    /// Chooses the next, or the one before; round at the ends.
    pub const fn go(&mut self, down: bool) {
        let count = self.found.len();
        if count > 0 {
            self.chosen = (self.chosen + if down { 1 } else { count - 1 }) % count;
        }
    }

    /// What is chosen.
    pub fn choice(&self) -> Option<&Candidate> {
        self.found.get(self.chosen).map(|at| &self.candidates[*at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(query: &str) -> Finder {
        let candidate = |text: &str| Candidate {
            text: text.into(),
            about: String::new(),
            choice: Choice::Insert(text.into()),
        };
        let texts = ["docs/src/plugins.md", "tools/src/plugin.rs", "README.md", "한국어/문서.md"];
        Finder::new(Kind::Mention(0..0), query, texts.map(candidate).into())
    }

    #[test]
    fn a_few_letters_find_a_path_and_the_best_comes_first() {
        for (query, best, count) in [
            ("", "docs/src/plugins.md", 4),
            ("plug rs", "tools/src/plugin.rs", 2),
            ("rdme", "README.md", 1),
            ("문서", "한국어/문서.md", 1),
            ("zzz", "", 0),
        ] {
            let finder = finder(query);
            assert_eq!(finder.choice().map_or("", |found| &found.text), best, "{query}");
            assert_eq!(finder.found().len(), count, "{query}");
        }
        let mut finder = finder("");
        finder.go(false);
        assert_eq!(finder.chosen, 3);
        finder.go(true);
        assert_eq!(finder.chosen, 0);
    }
}
