//! Highlighting of code.

use proptest::prelude::*;

use super::super::highlight::{Highlighted, Highlighter, Kind};

fn shared() -> &'static Highlighter {
    static SHARED: std::sync::LazyLock<Highlighter> = std::sync::LazyLock::new(Highlighter::new);
    &SHARED
}

fn joined(lines: &Highlighted) -> String {
    let line = |line: &Vec<(Kind, String)>| line.iter().map(|(_, text)| text.as_str()).collect::<String>();
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The parts that are not plain.
fn parts(language: &str, code: &str) -> Vec<(Kind, String)> {
    let lines = shared().highlight(language, code).unwrap();
    assert_eq!(joined(&lines), code);
    lines.concat().into_iter().filter(|(kind, _)| *kind != Kind::Plain).collect()
}

const LANGUAGES: [&str; 40] = [
    "rs",
    "rust",
    "py",
    "python",
    "js",
    "javascript",
    "ts",
    "typescript",
    "tsx",
    "jsx",
    "sh",
    "bash",
    "shell",
    "console",
    "zsh",
    "c",
    "c++",
    "cpp",
    "h",
    "c#",
    "java",
    "go",
    "json",
    "yaml",
    "yml",
    "html",
    "css",
    "sql",
    "ruby",
    "php",
    "lua",
    "perl",
    "haskell",
    "scala",
    "xml",
    "md",
    "diff",
    "r",
    "makefile",
    "tex",
];

#[test]
fn kinds() {
    use Kind::{Comment, Keyword, Name, Number, Text};
    for (language, code, kinds) in [
        (
            "rust",
            "fn main() { let x: u8 = 1 + 2; } // end",
            vec![
                (Keyword, "fn"),
                (Name, "main"),
                (Keyword, "let"),
                (Keyword, "u8"),
                (Number, "1"),
                (Number, "2"),
                (Comment, "// end"),
            ],
        ),
        (
            "py",
            "if True:\n    f('a\\n')",
            vec![(Keyword, "if"), (Number, "True"), (Name, "f"), (Text, "'a\\n'")],
        ),
        ("ts", "return \"a\" === 1", vec![(Keyword, "return"), (Text, "\"a\""), (Number, "1")]),
        ("json", "{\"a\": [true, 1.5]}", vec![(Text, "\"a\""), (Number, "true"), (Number, "1.5")]),
        ("c++", "class A {};", vec![(Keyword, "class"), (Name, "A")]),
        ("sh", "echo 'a' # b", vec![(Name, "echo"), (Text, "'a'"), (Comment, "# b")]),
    ] {
        let kinds: Vec<(Kind, String)> = kinds.into_iter().map(|(kind, text)| (kind, text.into())).collect();
        assert_eq!(parts(language, code), kinds, "{language}");
    }
}

#[test]
fn what_is_left_plain() {
    for language in ["", "  ", "nonsense", "text", "txt", "plain text", "🦀"] {
        assert_eq!(shared().highlight(language, "fn x"), None, "{language}");
    }
    assert!(shared().highlight("Rust,ignore", "fn x").is_some());
    assert_eq!(shared().highlight("rust", &"a\n".repeat(2_001)), None);
    assert_eq!(shared().highlight("rust", &"a".repeat(2_001)), None);
    assert_eq!(shared().highlight("rust", &format!("{}\n", "a".repeat(1_999)).repeat(40)), None);
    assert_eq!(shared().highlight("rust", ""), Some(vec![vec![]]));
    assert_eq!(shared().highlight("rust", "\n\n").map(|lines| lines.len()), Some(2));
}

#[test]
fn every_expression_compiles() {
    use syntect::parsing::syntax_definition::Pattern;
    let mut wrong = std::collections::BTreeMap::<String, usize>::new();
    for syntax in syntect::parsing::SyntaxSet::load_defaults_newlines().into_builder().syntaxes() {
        for pattern in syntax.contexts.values().flat_map(|context| &context.patterns) {
            if let Pattern::Match(pattern) = pattern
                && !pattern.has_captures
                && syntect::parsing::Regex::try_compile(pattern.regex.regex_str()).is_some()
            {
                *wrong.entry(syntax.name.clone()).or_default() += 1;
            }
        }
    }
    assert_eq!(wrong, [].into());
}

#[test]
fn every_language_is_known() {
    for language in LANGUAGES {
        assert!(shared().highlight(language, "x").is_some(), "{language}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn nothing_is_lost(code in "([ -~\n\t'\"/*#<>{}$`\\\\é日\0]|fn |<!--|<<EOF\n|\"\"\"|\r){0,80}") {
        for language in LANGUAGES {
            if let Some(lines) = shared().highlight(language, &code) {
                prop_assert_eq!(joined(&lines), code.strip_suffix('\n').unwrap_or(&code));
                for line in &lines {
                    prop_assert!(line.windows(2).all(|two| two[0].0 != two[1].0));
                    prop_assert!(line.iter().all(|(_, text)| !text.is_empty()));
                }
            }
        }
    }
}
