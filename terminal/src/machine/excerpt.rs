//! The part of a found page that a question is about, where the whole of it does not fit.

use std::ops::Range;

use lucid_kernel::port::Hit;
use lucid_kernel::relevance::{Words, words};

/// The run of whole lines of a page that says most of what is asked for, in at most so many
/// characters; none when not even one line fits. A word counts the more the fewer lines have it,
/// and not at all when it stands in the page's path or heading, which are shown anyway. The run
/// begins where a match stands, at the first of several that are as good, and goes on as far as
/// there is room; what room is left then goes to the lines before.
pub fn excerpt(hit: &Hit, query: &Words, chars_at_most: usize) -> Option<Hit> {
    let shown = words(&format!("{} {}", hit.range.path, hit.heading));
    let query = Some(query.without(&shown)).filter(|rest| !rest.is_empty()).unwrap_or_else(|| query.clone());
    let lines: Vec<Line<'_>> = hit.text.split_inclusive('\n').map(|line| Line::new(line, &query)).collect();
    let weights: Vec<(Words, f32)> = query
        .singles()
        .map(|word| {
            let having = lines.iter().filter(|line| line.words.shared(&word) > 0).count();
            (word, 1.0 / having.max(1) as f32)
        })
        .collect();
    let weigh = |found: &Words| -> f32 {
        weights.iter().filter(|(word, _)| found.shared(word) > 0).map(|(_, weight)| weight).sum()
    };
    let begins = |line: &Line<'_>| !line.words.is_empty();
    let any = lines.iter().any(begins);
    let starts = (0..lines.len()).filter(|at| if any { begins(&lines[*at]) } else { !lines[*at].is_blank() });
    let mut best: Option<(f32, Range<usize>)> = None;
    for first in starts {
        let (mut found, mut chars, mut end) = (Words::default(), 0, first);
        for line in &lines[first..] {
            chars += line.chars;
            if chars > chars_at_most {
                break;
            }
            found = found.with(&line.words);
            end += 1;
        }
        let weight = weigh(&found);
        if end > first && best.as_ref().is_none_or(|(before, _)| weight > *before) {
            best = Some((weight, first..end));
        }
    }
    best.map(|(_, range)| cut(hit, &lines, grown(&lines, range, chars_at_most)))
}

/// One line of a page, counted from 0, with its place.
pub fn line_of(hit: &Hit, line: usize) -> Hit {
    let nothing = Words::default();
    let lines: Vec<Line<'_>> = hit.text.split_inclusive('\n').map(|line| Line::new(line, &nothing)).collect();
    let line = line.min(lines.len().saturating_sub(1));
    cut(hit, &lines, line..(line + 1).min(lines.len()))
}

/// The range with what fits of the lines before it, and without empty lines at its ends.
fn grown(lines: &[Line<'_>], mut range: Range<usize>, chars_at_most: usize) -> Range<usize> {
    let mut chars: usize = lines[range.clone()].iter().map(|line| line.chars).sum();
    while range.start > 0 && chars + lines[range.start - 1].chars <= chars_at_most {
        range.start -= 1;
        chars += lines[range.start].chars;
    }
    while range.len() > 1 && lines[range.start].is_blank() {
        range.start += 1;
    }
    while range.len() > 1 && lines[range.end - 1].is_blank() {
        range.end -= 1;
    }
    range
}

struct Line<'a> {
    text: &'a str,
    chars: usize,
    /// Those of the query.
    words: Words,
}

impl<'a> Line<'a> {
    fn new(text: &'a str, query: &Words) -> Self {
        let all = words(text);
        Self { text, chars: text.chars().count(), words: query.without(&query.without(&all)) }
    }

    fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

fn cut(hit: &Hit, lines: &[Line<'_>], range: Range<usize>) -> Hit {
    let mut part = hit.clone();
    let bytes = |lines: &[Line<'_>]| lines.iter().map(|line| line.text.len()).sum::<usize>();
    let (before, inside) = (bytes(&lines[..range.start]), bytes(&lines[range.clone()]));
    part.text = hit.text[before..before + inside].to_owned();
    let number = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
    let first = hit.range.lines.0;
    part.range.lines =
        (first.saturating_add(number(range.start)), first.saturating_add(number(range.end - 1)));
    // Where the file is in another encoding, bytes cannot be told from the text.
    if hit.range.bytes.1 - hit.range.bytes.0 == hit.text.len() as u64 {
        let start = hit.range.bytes.0 + before as u64;
        part.range.bytes = (start, start + inside as u64);
    }
    part
}

#[cfg(test)]
mod tests {
    use lucid_kernel::abi::FileRange;

    use super::*;

    fn hit(text: &str) -> Hit {
        let lines = u32::try_from(text.lines().count()).unwrap();
        let range =
            FileRange { path: "/a.md".into(), lines: (10, 9 + lines), bytes: (100, 100 + text.len() as u64) };
        Hit { range, heading: String::new(), text: text.into(), score: 1.0 }
    }

    const TEXT: &str =
        "# Limits\n\nA call may use:\n\n| memory | 64 MiB |\n| time | 10 s |\n\nThe end of it.\n";

    #[test]
    fn the_lines_that_match_are_kept_with_their_place() {
        let part = excerpt(&hit(TEXT), &words("how much memory"), 21).unwrap();
        assert_eq!((part.text.as_str(), part.range.lines), ("| memory | 64 MiB |\n", (14, 14)));
        let start = 100 + TEXT.find("| memory").unwrap() as u64;
        assert_eq!(part.range.bytes, (start, start + 20));
        let more = excerpt(&hit(TEXT), &words("how much memory and time"), 40).unwrap();
        assert_eq!(more.range.lines, (14, 15));
    }

    #[test]
    fn a_rare_word_counts_more_and_what_the_heading_says_not_at_all() {
        let text = "A plugin computes.\nA plugin sleeps.\n\n| memory | 64 MiB |\n| time | 10 s |\n";
        let query = words("how much memory may a plugin use");
        assert_eq!(excerpt(&hit(text), &query, 22).unwrap().range.lines, (13, 13));
        let headed = Hit { heading: "Memory".into(), ..hit(text) };
        assert_eq!(excerpt(&headed, &query, 22).unwrap().range.lines, (10, 10));
    }

    #[test]
    fn the_first_match_opens_it_and_room_that_is_left_goes_to_what_stands_before() {
        let text = "cmake_path\n\nAdded in 3.20.\n\ncmake_path(GET)\ncmake_path(SET)\n";
        assert_eq!(excerpt(&hit(text), &words("cmake_path"), 28).unwrap().range.lines, (10, 12));
        let last = excerpt(&hit("one\ntwo\n\nthree\nmatch\n"), &words("match"), 15).unwrap();
        assert_eq!(last.range.lines, (13, 14));
    }

    #[test]
    fn what_fits_is_whole_and_what_cannot_fit_is_none() {
        let whole = TEXT.trim_end();
        assert_eq!(excerpt(&hit(whole), &words("memory"), 1_000), Some(hit(whole)));
        assert_eq!(excerpt(&hit("\n\n"), &words("memory"), 1_000), None);
        assert_eq!(excerpt(&hit(TEXT), &words("memory"), 0), None);
        assert_eq!(excerpt(&hit("one long line without an end"), &words("line"), 10), None);
        assert_eq!(
            excerpt(&hit("no word of it\nmore\n"), &words("memory"), 14).unwrap().range.lines,
            (10, 10)
        );
    }

    proptest::proptest! {
        #[test]
        fn a_part_is_what_stands_at_its_place(text in "([a-c \n]|ü){0,80}", limit in 0_usize..40) {
            let whole = hit(&text);
            if let Some(part) = excerpt(&whole, &words("a b"), limit) {
                proptest::prop_assert!(part.text.chars().count() <= limit);
                let start = (part.range.bytes.0 - 100) as usize;
                proptest::prop_assert!(text[start..].starts_with(&part.text));
                let skipped = text[..start].matches('\n').count();
                proptest::prop_assert_eq!(part.range.lines.0 as usize, 10 + skipped);
            }
        }
    }
}
