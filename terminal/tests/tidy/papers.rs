//! The book's table of contents, and the links of the book and of the papers at the top.

use std::collections::BTreeSet;

use crate::Complaint;

const SUMMARY: &str = "docs/src/SUMMARY.md";

/// Pages that the table of contents forgets, and entries without a page.
pub fn check_summary(summary: &str, files: &[String]) -> Vec<Complaint> {
    let listed: BTreeSet<String> =
        links(summary).into_iter().map(|(_, target)| format!("docs/src/{target}")).collect();
    let pages: BTreeSet<String> =
        files.iter().filter(|f| f.ends_with(".md") && *f != SUMMARY).cloned().collect();
    let forgotten = pages.difference(&listed).map(|p| format!("{p} is not in {SUMMARY}"));
    let empty = listed.difference(&pages).map(|p| format!("{SUMMARY} names {p}, which is not there"));
    forgotten.chain(empty).collect()
}

/// Links to a file or heading that is not there. Links to the web are not followed.
pub fn check_links(papers: &[(String, String)], files: &[String]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (name, text) in papers {
        for (line, link) in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { name.clone() } else { join(name, path) };
            let is_folder = files.iter().any(|f| f.starts_with(&format!("{target}/")));
            if !files.contains(&target) && !is_folder {
                complaints.push(format!("{name}:{line}: {link} leads nowhere ({target})"));
                continue;
            }
            let paper = papers.iter().find(|(other, _)| *other == target);
            let known = |text: &str| headings(text).contains(&heading.to_owned());
            if !heading.is_empty() && paper.is_some_and(|(_, text)| !known(text)) {
                complaints.push(format!("{name}:{line}: {target} has no heading #{heading}"));
            }
        }
    }
    complaints
}

/// The targets of a Markdown text's links and images, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (n, line) in prose(text) {
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            let end = rest.find([')', ' ']).unwrap_or(rest.len());
            found.push((n, rest[..end].trim_matches(['<', '>']).to_owned()));
        }
        for attribute in ["src=\"", "href=\""] {
            for (at, _) in line.match_indices(attribute) {
                let rest = &line[at + attribute.len()..];
                found.push((n, rest[..rest.find('"').unwrap_or(rest.len())].to_owned()));
            }
        }
    }
    found
}

/// The lines outside fenced blocks, code spans blanked, numbered from 1.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut fence = None;
    let mut lines = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (None, None) => lines.push((n + 1, without_code(line))),
            _ => {}
        }
    }
    lines
}

fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    // Every second part stands between two backticks; a last, open one does not.
    let is_code = |n: usize| n % 2 == 1 && n + 1 < parts.len();
    parts.iter().enumerate().map(|(n, part)| if is_code(n) { "" } else { part }).collect()
}

/// The names by which a page's headings can be linked to.
fn headings(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        if !fenced && line.starts_with('#') {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            found.push(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

/// The path of a link as seen from a file.
fn join(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn a_forgotten_page_is_found() {
    let files = ["docs/src/SUMMARY.md", "docs/src/a.md", "docs/src/b/c.md", "docs/src/p.svg"];
    let files = files.map(str::to_owned);
    assert_eq!(check_summary("- [A](a.md)\n  - [C](b/c.md)\n", &files), Vec::<Complaint>::new());
    assert_eq!(check_summary("- [A](a.md)\n", &files).len(), 1);
    assert_eq!(check_summary("- [A](a.md)\n- [C](b/c.md)\n- [D](d.md)\n", &files).len(), 1);
}

#[test]
fn a_dead_link_is_found() {
    let files = ["README.md", "docs/src/a.md", "docs/src/b/c.md", "docs/src/p.svg"].map(str::to_owned);
    let check = |name: &str, text: &str| {
        let other = ("docs/src/a.md".to_owned(), "# A heading, here\n".to_owned());
        check_links(&[(name.to_owned(), text.to_owned()), other], &files).len()
    };
    let good = "[a](docs/src/a.md) ![p](docs/src/p.svg \"title\") [w](https://example.org/x)\n\
                <img src=\"docs/src/p.svg\"> [h](docs/src/a.md#a-heading-here) [d](docs/)\n\
                `[no](link.md)`\n```\n[no](link.md)\n```\n# Top\n[t](#top)\n";
    assert_eq!(check("README.md", good), 0);
    assert_eq!(check("docs/src/b/c.md", "[a](../a.md) [r](../../../README.md)"), 0);
    for bad in ["[a](a.md)", "<img src=\"p.svg\">", "[h](docs/src/a.md#other)", "[t](#none)"] {
        assert_eq!(check("README.md", bad), 1, "{bad}");
    }
}
