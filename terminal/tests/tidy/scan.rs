//! Rust text without its comments and literals, and the paths that its `use` lines name.

/// The same text with every comment and literal blanked; line numbers stay.
pub fn code_only(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = skipped(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none does.
fn skipped(chars: &[char], at: usize) -> usize {
    let starts = |text: &str| text.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    let in_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if starts("//") {
        return find(chars, at, "\n");
    }
    if starts("/*") {
        return block_comment(chars, at);
    }
    if starts("\"") {
        return string(chars, at);
    }
    if !in_word && (starts("r\"") || starts("r#\"") || starts("r##\"")) {
        let hashes: String = chars[at + 1..].iter().take_while(|c| **c == '#').collect();
        let close = format!("\"{hashes}");
        let body = at + 2 + hashes.len();
        return (find(chars, body, &close) + close.len()).min(chars.len());
    }
    // A character, not a lifetime.
    if starts("'\\") {
        return (find(chars, at + 3, "'") + 1).min(chars.len());
    }
    if starts("'") && chars.get(at + 2) == Some(&'\'') {
        return at + 3;
    }
    at
}

fn string(chars: &[char], at: usize) -> usize {
    let mut end = at + 1;
    while end < chars.len() && chars[end] != '"' {
        end += if chars[end] == '\\' { 2 } else { 1 };
    }
    (end + 1).min(chars.len())
}

fn block_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut end = at;
    while end < chars.len() {
        match (chars[end], chars.get(end + 1)) {
            ('/', Some('*')) => (depth, end) = (depth + 1, end + 2),
            ('*', Some('/')) => (depth, end) = (depth - 1, end + 2),
            _ => end += 1,
        }
        if depth == 0 {
            break;
        }
    }
    end.min(chars.len())
}

/// Where `what` begins at or after `from`; the end when it does not.
fn find(chars: &[char], from: usize, what: &str) -> usize {
    let what: Vec<char> = what.chars().collect();
    (from..chars.len()).find(|n| chars[*n..].starts_with(&what)).unwrap_or(chars.len())
}

/// Every path that a `use` names, braces opened out, with its line.
/// Takes text that [`code_only`] made.
pub fn used_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = word_at_or_after(code, "use", at) {
        let end = code[start..].find(';').map_or(code.len(), |n| start + n);
        let line = line_of(code, start);
        let tree: String = code[start + 3..end].split_whitespace().collect::<Vec<_>>().join(" ");
        open_out("", tree.trim(), &mut |path| found.push((line, path)));
        at = end.max(start + 3);
    }
    found
}

/// Opens `a::{b, c::{d, e}}` out into `a::b`, `a::c::d`, `a::c::e`.
fn open_out(prefix: &str, tree: &str, take: &mut impl FnMut(String)) {
    let Some(open) = tree.find('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        take(format!("{prefix}{path}"));
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let body = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let mut depth = 0;
    let mut start = 0;
    for (n, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                open_out(&prefix, body[start..n].trim(), take);
                start = n + 1;
            }
            _ => {}
        }
    }
    if !body[start..].trim().is_empty() {
        open_out(&prefix, body[start..].trim(), take);
    }
}

/// The lines on which a word stands, alone or as a part of a path.
pub fn lines_with_word(code: &str, word: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(start) = word_at_or_after(code, word, at) {
        lines.push(line_of(code, start));
        at = start + word.len();
    }
    lines
}

fn word_at_or_after(code: &str, word: &str, from: usize) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code[from..]
        .match_indices(word)
        .map(|(n, _)| from + n)
        .find(|start| !code[..*start].ends_with(is_word) && !code[start + word.len()..].starts_with(is_word))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "a // tokio\nb /* x /* y */ tokio */ c \"tok\\\"io\" 'x' '\\'' 'a: r#\"to\"kio\"# d";
    let code = code_only(text);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "b", "c", "'a:", "d"]);
    assert_eq!(code.matches('\n').count(), 1);
    assert_eq!(code_only("for\"x\" y"), "for    y");
    for cut in ["\"abc", "/* abc", "r#\"abc", "'\\", "'"] {
        code_only(cut);
    }
}

#[test]
fn use_lines_are_opened_out() {
    let code = "fn f() {}\npub use a::b;\nuse std::{\n  fs as x,\n time::{Instant, Duration},\n};\nfuse;";
    let paths = used_paths(code);
    let expected = [(2, "a::b"), (3, "std::fs"), (3, "std::time::Instant"), (3, "std::time::Duration")];
    assert_eq!(paths, expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn words_are_whole() {
    assert_eq!(lines_with_word("rand\noperand rand_x\nx::rand::y", "rand"), [1, 3]);
}
