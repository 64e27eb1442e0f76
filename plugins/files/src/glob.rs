//! Globs, as regular expressions: those match in linear time, whatever is asked for.

use regex::{Regex, RegexBuilder};

use crate::path::quoted;

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 500;
/// How large the compiled pattern may be, in bytes.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// A pattern of file names.
#[derive(Debug)]
pub struct Glob {
    regex: Regex,
    whole_path: bool,
}

impl Glob {
    /// Understands `*`, `?`, `[a-z]`, `[!a-z]`, `{one,two}` and, between slashes, `**`. With a
    /// slash it is about the path, else about the name. Without upper case it ignores case.
    ///
    /// # Errors
    /// When it is empty, too long, or a bracket is left open.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let text = pattern.trim().trim_start_matches("./").trim_start_matches('/');
        if text.is_empty() || text.len() > MAX_PATTERN_BYTES {
            return Err(format!(
                "the pattern must have 1 to {MAX_PATTERN_BYTES} bytes; write for example *.rs or **/test_*"
            ));
        }
        let wrong = |why: &str| format!("the pattern {} is not right: {why}", quoted(pattern));
        let regex = RegexBuilder::new(&translated(text).map_err(wrong)?)
            .case_insensitive(!text.chars().any(char::is_uppercase))
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map_err(|_| wrong("the ranges in [ ] must go upwards, and it must not be too large"))?;
        Ok(Self { regex, whole_path: text.contains('/') })
    }

    /// Whether a path matches, relative to where the search began.
    pub fn matches(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.regex.is_match(if self.whole_path { path } else { name })
    }
}

fn translated(glob: &str) -> Result<String, &'static str> {
    let chars: Vec<char> = glob.chars().collect();
    let mut regex = String::from("(?s)^");
    let mut at = 0;
    let mut in_braces = false;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        match c {
            '*' if rest.starts_with(&['*', '*', '/']) && (at == 0 || chars[at - 1] == '/') => {
                regex.push_str("(?:.*/)?");
                at += 2;
            }
            '*' if rest.starts_with(&['*', '*']) => {
                regex.push_str(".*");
                at += 1;
            }
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' => {
                let length = rest.iter().skip(2).position(|c| *c == ']').ok_or("a [ has no ]")?;
                class(&rest[1..length + 2], &mut regex);
                at += length + 2;
            }
            '{' if in_braces => return Err("braces cannot be in braces"),
            '{' => {
                in_braces = true;
                regex.push_str("(?:");
            }
            '}' if in_braces => {
                in_braces = false;
                regex.push(')');
            }
            ',' if in_braces => regex.push('|'),
            '\\' => {
                at += 1;
                let next = chars.get(at).copied().ok_or("it ends with a \\")?;
                literal(next, &mut regex);
            }
            _ => literal(c, &mut regex),
        }
        at += 1;
    }
    if in_braces {
        return Err("a { has no }");
    }
    regex.push('$');
    Ok(regex)
}

/// What stands in brackets, where only `!` at the front and `-` within mean something.
fn class(inner: &[char], regex: &mut String) {
    let negated = inner.first().is_some_and(|c| matches!(c, '!' | '^')) && inner.len() > 1;
    regex.push_str(if negated { "[^/" } else { "[" });
    let members = if negated { &inner[1..] } else { inner };
    for (n, c) in members.iter().enumerate() {
        let is_range = *c == '-' && n > 0 && n + 1 < members.len();
        if is_range {
            regex.push('-');
        } else {
            literal(*c, regex);
        }
    }
    regex.push(']');
}

fn literal(c: char, regex: &mut String) {
    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, path, expected) in [
            ("*.rs", "src/main.rs", true),
            ("*.rs", "src/main.rsx", false),
            ("*.RS", "src/main.rs", false),
            ("readme*", "README.md", true),
            ("README*", "readme.md", false),
            ("**/test_*", "test_a", true),
            ("**/test_*", "a/b/test_a.py", true),
            ("**/test_*", "a/best_a.py", false),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/b/a.rs", false),
            ("./src/**", "src/b/a.rs", true),
            ("src/**/a.rs", "src/a.rs", true),
            ("?.txt", "a.txt", true),
            ("?.txt", "ab.txt", false),
            ("[a-c].txt", "b.txt", true),
            ("[!a-c].txt", "b.txt", false),
            ("[]].txt", "].txt", true),
            ("[a-].txt", "-.txt", true),
            ("*.{rs,toml}", "Cargo.toml", true),
            ("*.{rs,toml}", "Cargo.lock", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a.b", "axb", false),
            ("grün*", "GRÜN.txt", true),
        ] {
            let glob = Glob::new(pattern).expect(pattern);
            assert_eq!(glob.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_glob_is_refused_with_the_reason() {
        for (pattern, part) in [
            ("", "1 to 500"),
            ("[a", "no ]"),
            ("{a", "no }"),
            ("{{a}}", "in braces"),
            ("[z-a]", "upwards"),
            ("a\\", "ends"),
        ] {
            let error = Glob::new(pattern).expect_err(pattern);
            assert!(error.contains(part), "{pattern}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"[*?\[\]{},!^a-z/\\ü&~-]{0,20}", path in ".{0,20}") {
            if let Ok(glob) = Glob::new(&pattern) {
                glob.matches(&path);
            }
        }
    }
}
