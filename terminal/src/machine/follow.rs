//! Following references: what a question names exactly (a key, an identifier, a function) is looked
//! up, and what stands beside it there is looked up in turn, so that a chain of references is in
//! memory before the model has to follow it. A pointer-chasing prefetcher, in words of hardware.

use std::collections::HashSet;

use lucid_kernel::port::{DiskError, Hit};

use super::excerpt::line_of;

/// So many references are followed one after another.
const HOPS_MAX: usize = 8;
/// So many are looked up in all.
const LOOKUPS_MAX: usize = 24;
/// So many pages are looked at for each.
const HITS_PER_LOOKUP: usize = 4;
/// A line that refers to more than this is a list, not a reference.
const REFERENCES_PER_LINE: usize = 4;
/// So many lines of one page are taken for one name.
const LINES_PER_PAGE: usize = 3;
/// A longer line is not taken, in characters.
const LINE_CHARS_MAX: usize = 400;
/// The shortest identifier, in characters.
const IDENTIFIER_CHARS_MIN: usize = 6;

/// The lines that a chain of references runs through, from those that the question names on.
pub fn follow(
    question: &str,
    mut search: impl FnMut(&str, usize) -> Result<Vec<Hit>, DiskError>,
) -> Result<Vec<Hit>, DiskError> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut open: Vec<String> = identifiers(question).map(str::to_owned).collect();
    let mut lines: Vec<Hit> = Vec::new();
    let mut lookups = 0;
    for _ in 0..HOPS_MAX {
        let mut next = Vec::new();
        for name in std::mem::take(&mut open) {
            if lookups == LOOKUPS_MAX || !seen.insert(name.clone()) {
                continue;
            }
            lookups += 1;
            for hit in search(&name, HITS_PER_LOOKUP)? {
                for line in lines_with(&hit, &name) {
                    let named: Vec<&str> = identifiers(&line.text).collect();
                    if named.len() <= REFERENCES_PER_LINE {
                        let new = named.into_iter().filter(|other| !seen.contains(*other));
                        next.extend(new.map(str::to_owned));
                    }
                    if !lines.iter().any(|taken| taken.range == line.range) {
                        lines.push(line);
                    }
                }
            }
        }
        if next.is_empty() {
            break;
        }
        open = next;
    }
    Ok(lines)
}

/// The lines of a page that hold a name.
fn lines_with<'a>(hit: &'a Hit, name: &'a str) -> impl Iterator<Item = Hit> + 'a {
    let holds = move |line: &str| identifiers(line).any(|other| other == name);
    let short = |line: &str| line.chars().count() <= LINE_CHARS_MAX;
    let lines = hit.text.lines().enumerate();
    let found = lines.filter(move |(_, line)| holds(line) && short(line)).take(LINES_PER_PAGE);
    found.map(|(at, _)| line_of(hit, at))
}

/// The words of a text that name one thing exactly: letters with digits, or parts joined by `_`,
/// `::` or a change of case.
pub fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    let joins = |c: char| matches!(c, '_' | '-' | ':' | '.' | '/');
    text.split(move |c: char| !(c.is_alphanumeric() || joins(c)))
        .map(move |word| word.trim_matches(joins))
        .filter(|word| is_identifier(word))
}

fn is_identifier(word: &str) -> bool {
    let chars = word.chars().count();
    let has = |wanted: fn(char) -> bool| word.chars().any(wanted);
    let mixed = has(|c| c.is_ascii_digit()) && has(char::is_alphabetic);
    let hump =
        word.as_bytes().windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    let is_one = !word.contains(['/', '.']);
    chars >= IDENTIFIER_CHARS_MIN && is_one && (mixed || hump || word.contains('_') || word.contains("::"))
}

#[cfg(test)]
mod tests {
    use lucid_disk::{Limits, RamDisk};
    use lucid_kernel::port::Disk;

    use super::*;

    #[test]
    fn identifiers_name_one_thing() {
        let found = |text| identifiers(text).collect::<Vec<_>>();
        assert_eq!(
            found(
                "Does max_tokens of std::io, readFile or 8f14e45f-ceea-467f count in 2026, v1.2 or e.g. \"A\"?"
            ),
            ["max_tokens", "std::io", "readFile", "8f14e45f-ceea-467f"]
        );
        assert_eq!(found("When is the rent due, on 5 May?"), Vec::<&str>::new());
    }

    #[test]
    fn a_chain_is_followed_to_its_end_and_loops_end() {
        let disk = RamDisk::new(Limits::default());
        let filler = |n: usize| format!("\"key{n:05}x\": \"value{n:05}y\"\n");
        let mut text: String = (0..200).map(filler).collect();
        text.push_str("\"aaaa1111\": \"bbbb2222\"\n");
        text.push_str(&(200..400).map(filler).collect::<String>());
        text.push_str("\"cccc3333\": \"the end\"\n\"bbbb2222\": \"cccc3333\"\n\"loop0001\": \"loop0001\"\n");
        disk.add_text("pairs.json", &text);
        let chain = |question: &str| -> Vec<String> {
            let lines = follow(question, |query, most| disk.search(query, &[], most)).unwrap();
            lines.into_iter().map(|line| line.text.trim().to_owned()).collect()
        };
        let found = chain("What is the last value of aaaa1111?");
        assert_eq!(
            found,
            ["\"aaaa1111\": \"bbbb2222\"", "\"bbbb2222\": \"cccc3333\"", "\"cccc3333\": \"the end\""]
        );
        assert_eq!(chain("And of loop0001?"), ["\"loop0001\": \"loop0001\""]);
        assert_eq!(chain("And of nothing?"), Vec::<String>::new());
    }
}
