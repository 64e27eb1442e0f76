//! The part of a found page that a question is about, where the whole of it does not fit.

use lucid_kernel::port::Hit;
use lucid_kernel::relevance::{Words, words};

/// The run of whole lines of a page that has most of the query's words and at most so many
/// characters; none when not even one line fits. Between runs with the same words the longer
/// wins, since what surrounds a match explains it.
pub fn excerpt(hit: &Hit, query: &Words, chars_at_most: usize) -> Option<Hit> {
    let lines: Vec<Line<'_>> = hit.text.split_inclusive('\n').map(|line| Line::new(line, query)).collect();
    let mut best: Option<(Rating, std::ops::Range<usize>)> = None;
    // It neither begins nor ends in empty lines.
    for first in (0..lines.len()).filter(|first| !lines[*first].text.trim().is_empty()) {
        let mut rating = Rating::default();
        let mut all = Words::default();
        let mut chars = 0;
        for (last, line) in lines.iter().enumerate().skip(first) {
            chars += line.chars;
            if chars > chars_at_most {
                break;
            }
            rating.chars += line.text.trim().len();
            all = all.with(&line.words);
            rating.kinds = all.len();
            rating.matches += line.words.len();
            if best.as_ref().is_none_or(|(before, _)| rating.beats(before)) {
                best = Some((rating, first..last + 1));
            }
        }
    }
    best.map(|(_, range)| cut(hit, &lines, range))
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
}

#[derive(Debug, Clone, Copy, Default)]
struct Rating {
    /// Different words of the query.
    kinds: usize,
    /// How often they stand there, a line counted once.
    matches: usize,
    /// Characters but for white space at the ends of lines.
    chars: usize,
}

impl Rating {
    fn beats(&self, other: &Self) -> bool {
        (self.kinds, self.matches, self.chars) > (other.kinds, other.matches, other.chars)
    }
}

fn cut(hit: &Hit, lines: &[Line<'_>], range: std::ops::Range<usize>) -> Hit {
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
        let range = FileRange { path: "/a.md".into(), lines: (10, 9 + lines), bytes: (100, 100 + text.len() as u64) };
        Hit { range, heading: String::new(), text: text.into(), score: 1.0 }
    }

    const TEXT: &str = "# Limits\n\nA call may use:\n\n| memory | 64 MiB |\n| time | 10 s |\n\nThe end of it.\n";

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
    fn what_fits_is_whole_and_what_cannot_fit_is_none() {
        assert_eq!(excerpt(&hit(TEXT), &words("memory"), 1_000), Some(hit(TEXT)));
        assert_eq!(excerpt(&hit("\n\n"), &words("memory"), 1_000), None);
        assert_eq!(excerpt(&hit(TEXT), &words("memory"), 0), None);
        assert_eq!(excerpt(&hit("one long line without an end"), &words("line"), 10), None);
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
