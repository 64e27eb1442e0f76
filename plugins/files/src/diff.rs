//! Unified diffs, bounded in time and size.

use similar::{Algorithm, ChangeTag, TextDiff};

use crate::text::{Output, count, lines};

/// Lines around a change that are shown with it.
const CONTEXT_LINES: usize = 3;
/// The most lines that are compared, old and new together. Time grows with their square.
const MAX_LINES: usize = 6_000;

/// What turns one text into another. No old text: the file is new.
pub fn unified(path: &str, old: Option<&str>, new: &str) -> String {
    let mut output = Output::default();
    output.line(&format!("--- {}", if old.is_some() { path } else { "/dev/null" }));
    output.line(&format!("+++ {path}"));
    let old = old.unwrap_or_default();
    let (skipped, old, new) = trimmed(old, new);
    let (gone, come) = (lines(old), lines(new));
    if gone + come > MAX_LINES {
        output.note(&format!(
            "too much to compare: {} from line {} on become {}",
            count(gone, "line", "lines"),
            skipped + 1,
            count(come, "line", "lines")
        ));
        return output.finish();
    }
    let [old, new] = [old, new].map(|text| text.split_inclusive('\n').collect::<Vec<_>>());
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).diff_slices(&old, &new);
    let mut is_full = false;
    for group in diff.grouped_ops(CONTEXT_LINES) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let before = first.old_range().start..last.old_range().end;
        let after = first.new_range().start..last.new_range().end;
        is_full |= !output.line(&format!("@@ -{} +{} @@", range(skipped, &before), range(skipped, &after)));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            let text = change.value().trim_end_matches(['\r', '\n']);
            is_full |= !output.line(&format!("{sign}{text}"));
            if !change.value().ends_with('\n') {
                output.line("\\ No newline at end of file");
            }
        }
    }
    if is_full {
        output.note(&format!(
            "cut: {} become {} in all",
            count(gone, "line", "lines"),
            count(come, "line", "lines")
        ));
    }
    output.finish()
}

/// `12,3`, as in the header of a part of a diff.
fn range(skipped: usize, range: &std::ops::Range<usize>) -> String {
    // Source: POSIX diff -u: an empty range is named by the line before it.
    let begin = skipped + range.start + usize::from(!range.is_empty());
    if range.len() == 1 { begin.to_string() } else { format!("{begin},{}", range.len()) }
}

/// Both texts without the lines that they have in common at their ends, but for the context; and
/// how many lines were left out at the front. A small change in a large file stays cheap.
fn trimmed<'a>(old: &'a str, new: &'a str) -> (usize, &'a str, &'a str) {
    let same = old.bytes().zip(new.bytes()).take_while(|(one, two)| one == two).count();
    let front = before(&old.as_bytes()[..same], CONTEXT_LINES + 1);
    let skipped = old.as_bytes()[..front].iter().filter(|byte| **byte == b'\n').count();
    // `front` is after a line break, so it is at a character.
    let (old, new) = (&old[front..], &new[front..]);
    let most = old.len().min(new.len()).min(old.len() + front - same).min(new.len() + front - same);
    let same =
        old.bytes().rev().zip(new.bytes().rev()).take(most).take_while(|(one, two)| one == two).count();
    let tail = &old.as_bytes()[old.len() - same..];
    // The line of the first byte in common may differ before it; the context follows.
    let ends = tail.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(CONTEXT_LINES);
    let back = ends.map_or(0, |(index, _)| tail.len() - index - 1);
    (skipped, &old[..old.len() - back], &new[..new.len() - back])
}

/// Where the last so many lines of a text begin; the last need not be whole.
fn before(text: &[u8], count: usize) -> usize {
    let mut breaks = text.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
    breaks.nth(count - 1).map_or(0, |(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_in_a_large_file_is_shown_with_its_lines() {
        let line = |n: usize| format!("line {n}\n");
        let old: String = (1..=100_000).map(line).collect();
        let new = old.replace("line 50000\n", "changed\nand more\n");
        assert_eq!(
            unified("/a", Some(&old), &new),
            "--- /a\n+++ /a\n@@ -49997,7 +49997,8 @@\n line 49997\n line 49998\n line 49999\n-line 50000\n\
             +changed\n+and more\n line 50001\n line 50002\n line 50003"
        );
    }

    #[test]
    fn ends_without_a_line_break_are_marked() {
        assert_eq!(
            unified("/a", Some("one\ntwo"), "one\ntwo\n"),
            "--- /a\n+++ /a\n@@ -1,2 +1,2 @@\n one\n-two\n\\ No newline at end of file\n+two"
        );
        assert_eq!(unified("/a", None, "one\n"), "--- /dev/null\n+++ /a\n@@ -0,0 +1 @@\n+one");
    }

    #[test]
    fn what_is_too_different_is_only_counted() {
        let text = |word: &str| (0..4_000).map(|n| format!("{word} {n}\n")).collect::<String>();
        let diff = unified("/a", Some(&text("a")), &text("b"));
        assert!(diff.contains("4000 lines from line 1 on become 4000 lines"), "{diff}");
    }

    proptest! {
        /// What is left of a text and what is added make the new text again.
        #[test]
        fn a_diff_holds_the_new_text(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let diff = unified("/a", Some(&old), &new);
            let sum = |sign: char| diff.lines().skip(2).filter(|line| line.starts_with(sign)).count();
            let (skipped, mine, theirs) = trimmed(&old, &new);
            prop_assert!(skipped <= lines(&old));
            if old == new {
                prop_assert_eq!(sum('+') + sum('-'), 0);
            } else {
                prop_assert_eq!(sum('+') + lines(mine), sum('-') + lines(theirs));
            }
        }

        #[test]
        fn no_text_panics(old in any::<String>(), new in any::<String>()) {
            unified("/a", Some(&old), &new);
        }
    }
}
