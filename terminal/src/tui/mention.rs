//! What an input names with `@`: files, whose text comes with it, and pages, which are to be in memory.

use std::str::FromStr;

use lucid_kernel::abi::PageId;

/// The most of either that one input names.
const MAX_NAMED: usize = 16;

/// The files and the pages that a text names. `@` names a file when that was listed, or is written as a
/// path from the root, the home folder or the folder one is in; anything else with `@` is text.
pub fn named(text: &str, files: &[String]) -> (Vec<String>, Vec<PageId>) {
    let (mut found, mut pages) = (Vec::new(), Vec::new());
    for word in text.split_whitespace() {
        let Some(name) = word.strip_prefix('@') else { continue };
        let is_path = |name: &str| ["/", "~/", "./", "../"].iter().any(|start| name.starts_with(start));
        let is_listed = |name: &&str| files.iter().any(|file| file == name);
        // What ends a sentence is no part of a name.
        let bare = name.trim_end_matches(['.', ',', ';', ':', '?', '!', ')']);
        let file = [name, bare].into_iter().find(is_listed).or(Some(bare).filter(|bare| is_path(bare)));
        if let Some(file) = file.filter(|_| found.len() < MAX_NAMED) {
            if !found.iter().any(|other| other == file) {
                found.push(file.to_owned());
            }
        } else if let Ok(page) = PageId::from_str(bare)
            && pages.len() < MAX_NAMED
            && !pages.contains(&page)
        {
            pages.push(page);
        }
    }
    (found, pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_pages_are_named_and_other_words_are_not() {
        let files = ["src/main.rs".to_owned(), "a.b".to_owned()];
        for (text, names, pages) in [
            ("what does @src/main.rs do?", vec!["src/main.rs"], vec![]),
            ("@a.b, @a.b and @/etc/hosts.", vec!["a.b", "/etc/hosts"], vec![]),
            ("see @p42 and @p7?", vec![], vec![42, 7]),
            ("mail ada@example.org or @ada", vec![], vec![]),
        ] {
            let pages: Vec<PageId> = pages.into_iter().map(PageId).collect();
            assert_eq!(named(text, &files), (names.into_iter().map(String::from).collect(), pages), "{text}");
        }
    }
}
