//! Which parts of a piece of code are keywords, text, comments and so on.
//!
//! What they look like is not decided here but in [`theme`](super::theme).

use std::time::{Duration, Instant};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

/// Code that is longer is left plain: it would hold up the screen.
const MAX_BYTES: usize = 64 * 1024;
const MAX_LINES: usize = 2_000;
/// Some expressions of the syntaxes take their time on long lines.
const MAX_LINE_BYTES: usize = 2_000;
/// A line of nothing but blanks can take a third of a second; this is for all lines together.
const MAX_TIME: Duration = Duration::from_secs(2);

/// What a part of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Anything else.
    Plain,
    /// A word of the language.
    Keyword,
    /// A string or a character.
    Text,
    /// What is for the reader only.
    Comment,
    /// A number, or a constant of the language such as `true`.
    Number,
    /// A function or a type.
    Name,
}

/// The parts of each line, one after the other; together they are the line.
pub type Highlighted = Vec<Vec<(Kind, String)>>;

/// Names of languages that the syntaxes themselves do not know.
const ALIASES: [(&str, &str); 28] = [
    ("bash", "sh"),
    ("c++", "cpp"),
    ("c#", "cs"),
    ("console", "sh"),
    ("csharp", "cs"),
    ("cxx", "cpp"),
    ("golang", "go"),
    ("javascript", "js"),
    ("jsonc", "json"),
    ("json5", "json"),
    ("jsonl", "json"),
    ("jsx", "js"),
    ("ksh", "sh"),
    ("mjs", "js"),
    ("node", "js"),
    ("objc", "m"),
    ("patch", "diff"),
    ("python3", "py"),
    ("rustlang", "rs"),
    ("shell", "sh"),
    ("shell-session", "sh"),
    ("ts", "js"),
    ("tsx", "js"),
    ("typescript", "js"),
    ("yml", "yaml"),
    ("zsh", "sh"),
    ("h++", "cpp"),
    ("make", "makefile"),
];

/// What the beginning of a scope says. The first that fits counts, so the longer ones come first;
/// none of them means that the scope around it decides.
const RULES: [(&str, Rule); 25] = [
    ("comment", Rule::Is(Kind::Comment)),
    ("constant.character.escape", Rule::Is(Kind::Text)),
    ("constant.other.placeholder", Rule::Is(Kind::Text)),
    ("constant.other.symbol", Rule::Is(Kind::Text)),
    ("constant", Rule::Is(Kind::Number)),
    ("string.unquoted", Rule::Is(Kind::Plain)),
    ("string", Rule::Is(Kind::Text)),
    ("entity.name", Rule::Is(Kind::Name)),
    ("entity.other.inherited-class", Rule::Is(Kind::Name)),
    ("support.function", Rule::Is(Kind::Name)),
    ("support.macro", Rule::Is(Kind::Name)),
    ("support.type", Rule::Is(Kind::Name)),
    ("support.class", Rule::Is(Kind::Name)),
    ("support.constant", Rule::Is(Kind::Number)),
    ("variable.function", Rule::Is(Kind::Name)),
    ("variable.language", Rule::Is(Kind::Keyword)),
    ("variable", Rule::Is(Kind::Plain)),
    ("storage.type.function.arrow", Rule::Is(Kind::Plain)),
    ("storage", Rule::IfWord),
    ("keyword", Rule::IfWord),
    ("markup.inserted", Rule::Is(Kind::Text)),
    ("markup.deleted", Rule::Is(Kind::Keyword)),
    // Code within text is code again.
    ("meta.interpolation", Rule::Is(Kind::Plain)),
    ("meta.template.expression", Rule::Is(Kind::Plain)),
    ("source", Rule::Is(Kind::Plain)),
];

#[derive(Debug, Clone, Copy)]
enum Rule {
    Is(Kind),
    /// A keyword if it is written in letters; signs such as `+` stay plain.
    IfWord,
}

/// Knows the syntaxes. Loading them takes a while, so one is made on a thread of its own.
#[derive(Debug)]
pub struct Highlighter {
    syntaxes: SyntaxSet,
    rules: Vec<(Scope, Rule)>,
}

impl Default for Highlighter {
    fn default() -> Self {
        Self::new()
    }
}

impl Highlighter {
    /// Loads the syntaxes that are built in.
    pub fn new() -> Self {
        let rules = RULES.iter().filter_map(|(scope, rule)| Some((Scope::new(scope).ok()?, *rule)));
        Self { syntaxes: SyntaxSet::load_defaults_newlines(), rules: rules.collect() }
    }

    /// The parts of a piece of code; none when the language is unknown, or the code too long or
    /// too slow to read.
    pub fn highlight(&self, language: &str, code: &str) -> Option<Highlighted> {
        if code.len() > MAX_BYTES || code.lines().count() > MAX_LINES {
            return None;
        }
        if code.split('\n').any(|line| line.len() > MAX_LINE_BYTES) {
            return None;
        }
        let mut state = ParseState::new(self.syntax(language)?);
        let mut stack = ScopeStack::new();
        // An end of line at the very end begins no further line.
        let code = code.strip_suffix('\n').unwrap_or(code);
        let start = Instant::now();
        let mut lines = Vec::new();
        for line in code.split('\n') {
            lines.push(self.line(line, &mut state, &mut stack)?);
            if start.elapsed() > MAX_TIME {
                return None;
            }
        }
        Some(lines)
    }

    fn syntax(&self, language: &str) -> Option<&SyntaxReference> {
        let name = language.trim().to_ascii_lowercase();
        // Such as `rust,ignore` and `{.python}`.
        let name = name.trim_start_matches(['{', '.']);
        let name = name.split([',', ' ', '}', ':']).next().filter(|name| !name.is_empty())?;
        let known = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, known)| known);
        let found = self.syntaxes.find_syntax_by_token(known)?;
        (found.name != "Plain Text").then_some(found)
    }

    fn line(
        &self,
        line: &str,
        state: &mut ParseState,
        stack: &mut ScopeStack,
    ) -> Option<Vec<(Kind, String)>> {
        let changes = state.parse_line(&format!("{line}\n"), &self.syntaxes).ok()?;
        let mut parts = Vec::new();
        let mut from = 0;
        for (at, change) in changes {
            let at = at.min(line.len());
            self.push(&mut parts, line.get(from..at)?, stack);
            stack.apply(&change).ok()?;
            from = at;
        }
        self.push(&mut parts, line.get(from..)?, stack);
        Some(parts)
    }

    fn push(&self, parts: &mut Vec<(Kind, String)>, text: &str, stack: &ScopeStack) {
        if text.is_empty() {
            return;
        }
        let kind = self.kind(text, stack);
        match parts.last_mut() {
            Some((last, joined)) if *last == kind => joined.push_str(text),
            _ => parts.push((kind, text.to_owned())),
        }
    }

    fn kind(&self, text: &str, stack: &ScopeStack) -> Kind {
        let rule = stack
            .as_slice()
            .iter()
            .rev()
            .find_map(|scope| self.rules.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope)));
        match rule {
            Some((_, Rule::Is(kind))) => *kind,
            Some((_, Rule::IfWord)) if text.chars().any(char::is_alphabetic) => Kind::Keyword,
            _ => Kind::Plain,
        }
    }
}
