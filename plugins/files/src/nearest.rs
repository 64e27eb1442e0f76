//! Where a text that was not found nearly is, so that the model sees its mistake.

use std::collections::HashMap;

use crate::text::cut;

/// The most lines that are compared.
const MAX_LINES: usize = 50_000;
/// How much of a line is compared, and shown, in bytes.
const MAX_BYTES: usize = 160;
/// How alike lines must be to be worth showing, from 0 to 1.
const MIN_LIKENESS: f64 = 0.3;

/// A sentence about the line that is most like the first line of `old`.
pub fn nearest(text: &str, old: &str) -> String {
    let mut wanted = old.lines().skip_while(|line| line.trim().is_empty());
    let Some(first) = wanted.next() else {
        return "it is only white space; give the text around it too".into();
    };
    let pairs = Pairs::of(first);
    let lines: Vec<&str> = text.lines().take(MAX_LINES).collect();
    let mut best = (0.0, 0, "");
    for (index, line) in lines.iter().enumerate() {
        let likeness = if line.trim() == first.trim() { 1.0 } else { pairs.likeness(line).min(0.99) };
        if likeness > best.0 {
            best = (likeness, index, line);
        }
    }
    let (likeness, index, line) = best;
    if likeness < MIN_LIKENESS {
        return "no line is like it; read the file first".into();
    }
    if likeness < 1.0 {
        return format!("the nearest is line {}: {}", index + 1, shown(line));
    }
    // The first line is there but for spaces; what follows it must differ.
    for (next, expected) in wanted.enumerate() {
        let number = index + 2 + next;
        match lines.get(index + 1 + next) {
            Some(found) if found.trim_end() == expected.trim_end() => {}
            Some(found) => {
                return format!("it begins on line {}, but line {number} is: {}", index + 1, shown(found));
            }
            None => {
                return format!("it begins on line {}, but the file ends before line {number}", index + 1);
            }
        }
    }
    format!("line {} is like it but for white space: {}", index + 1, shown(line))
}

fn shown(line: &str) -> String {
    format!("`{}`", cut(line, MAX_BYTES))
}

/// Pairs of neighbouring characters, counted.
struct Pairs {
    counts: HashMap<(char, char), usize>,
    total: usize,
}

impl Pairs {
    fn of(line: &str) -> Self {
        let mut counts = HashMap::new();
        let mut total = 0;
        for pair in pairs(line) {
            *counts.entry(pair).or_default() += 1;
            total += 1;
        }
        Self { counts, total }
    }

    /// Source: the Sørensen–Dice coefficient: twice what both have, over what each has.
    fn likeness(&self, line: &str) -> f64 {
        let (mut left, mut both, mut total) = (self.counts.clone(), 0, 0);
        for pair in pairs(line) {
            total += 1;
            if let Some(count) = left.get_mut(&pair).filter(|count| **count > 0) {
                *count -= 1;
                both += 1;
            }
        }
        if total + self.total == 0 { 0.0 } else { 2.0 * both as f64 / (total + self.total) as f64 }
    }
}

fn pairs(line: &str) -> impl Iterator<Item = (char, char)> {
    let line = line.trim();
    let line = &line[..line.floor_char_boundary(MAX_BYTES)];
    line.chars().zip(line.chars().skip(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_line_is_named_with_what_differs() {
        let text = "fn main() {\n    let total = 1;\n    print(total);\n}\n";
        for (old, expected) in [
            ("let totl = 1;", "the nearest is line 2: `    let total = 1;`"),
            ("\tlet total = 1;", "line 2 is like it but for white space: `    let total = 1;`"),
            (
                "    let total = 1;\n    show(total);",
                "it begins on line 2, but line 3 is: `    print(total);`",
            ),
            ("}\n\nfn x", "it begins on line 4, but the file ends before line 5"),
            ("zzzz", "no line is like it; read the file first"),
            (" \n", "it is only white space; give the text around it too"),
        ] {
            assert_eq!(nearest(text, old), expected, "{old}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), old in any::<String>()) {
            nearest(&text, &old);
        }
    }
}
