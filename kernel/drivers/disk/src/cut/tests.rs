use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const KINDS: [&str; 10] =
    ["a.md", "a.rs", "a.py", "a.ts", "a.go", "a.c", "a.sh", "a.toml", "a.json", "a.txt"];

/// The pages follow each other without a gap, within the limit, with the right lines.
fn check(text: &str, name: &str) -> Cut {
    let cut = cut(text, Kind::of(name));
    let mut at = 0;
    for page in &cut.pages {
        assert_eq!(page.bytes.start, at, "{name}: a gap or an overlap");
        assert!(page.bytes.end > at, "{name}: an empty page");
        assert!(page.bytes.len() <= PAGE_BYTES_MAX, "{name}: {} bytes", page.bytes.len());
        let first = 1 + text[..at].matches('\n').count();
        let content = text[page.bytes.clone()].trim_end_matches('\n');
        let ends = text[page.bytes.clone()].matches('\n').count();
        let last = first + ends - usize::from(text[page.bytes.clone()].ends_with('\n'));
        assert_eq!(page.lines, (first as u32, last as u32), "{name}: lines of {content:?}");
        at = page.bytes.end;
    }
    assert_eq!(at, text.len(), "{name}: the end is missing");
    cut
}

fn headings(text: &str, name: &str) -> Vec<String> {
    let cut = check(text, name);
    cut.pages.iter().map(|page| cut.heading(page).to_owned()).collect()
}

fn filler(bytes: usize) -> String {
    "Some words that fill a line of a page.\n".repeat(bytes / 39 + 1)
}

#[test]
fn markdown_pages_carry_their_headings() {
    let fill = filler(300);
    let text = format!("# Guide\n\n{fill}\n## Install\n\n{fill}\n### Linux\n\n{fill}\n## Use\n\n{fill}");
    assert_eq!(
        headings(&text, "a.md"),
        ["Guide", "Guide > Install", "Guide > Install > Linux", "Guide > Use"]
    );
}

#[test]
fn a_heading_stays_with_what_it_names() {
    let fill = filler(400);
    let text = format!("# Guide\n\n## Install\n\n{fill}\n## Use\n\n{fill}");
    assert_eq!(headings(&text, "a.md"), ["Guide > Install", "Guide > Use"]);
}

#[test]
fn underlined_headings_and_fences() {
    let fill = filler(300);
    let text = format!("Guide\n=====\n\n{fill}\nInstall\n-------\n\n```sh\n# no heading\n```\n{fill}");
    assert_eq!(headings(&text, "a.md"), ["Guide", "Guide > Install"]);
}

#[test]
fn small_sections_share_a_page_and_their_common_heading() {
    let text = "# Guide\n\n## One\n\nText.\n\n## Two\n\nText.\n";
    assert_eq!(headings(text, "a.md"), ["Guide"]);
}

#[test]
fn code_pages_carry_their_item() {
    let body = "        let value = compute(value);\n".repeat(15);
    let text = format!(
        "/// Counts.\nimpl Counter {{\n    pub fn count(&self) {{\n{body}    }}\n\n    fn reset() {{\n{body}    }}\n}}\n"
    );
    let found = headings(&text, "a.rs");
    assert!(found.contains(&"impl Counter > pub fn count".to_owned()), "{found:?}");
    assert!(found.contains(&"impl Counter > fn reset".to_owned()), "{found:?}");
}

#[test]
fn python_and_c_and_sections() {
    let body = "        value = compute(value)\n".repeat(30);
    let text = format!("class Counter(Base):\n    def count(self, by=1):\n{body}\n");
    assert_eq!(headings(&text, "a.py")[0], "class Counter > def count");
    let body = "    value = compute(value);\n".repeat(60);
    let text = format!("#include <a.h>\n\nstatic int count(int by)\n{{\n{body}}}\n");
    assert_eq!(headings(&text, "a.c")[1], "static int count");
    let body = "key = \"value\"\n".repeat(30);
    let text = format!("[package]\n{body}\n[dependencies]\n{body}{body}");
    assert_eq!(headings(&text, "a.toml").last().map(String::as_str), Some("dependencies"));
}

#[test]
fn items_start_pages() {
    let body = "    let value = compute(value);\n".repeat(9);
    let text = format!("/// What it does.\n#[inline]\nfn one() {{\n{body}}}\n\n").repeat(8);
    let cut = check(&text, "a.rs");
    let starts = cut.pages.iter().filter(|page| text[page.bytes.clone()].starts_with("/// What")).count();
    assert_eq!(starts, cut.pages.len());
}

#[test]
fn sentences_are_kept_whole() {
    let line = "The quick brown fox jumps over the lazy dog, twice. ".repeat(200);
    let cut = check(&line, "a.txt");
    assert!(cut.pages.iter().all(|page| line[page.bytes.clone()].trim_end().ends_with("twice.")));
}

#[test]
fn hard_inputs_take_little_time() {
    let inputs = [
        "a".repeat(3_000_000),
        "var a=1;".repeat(375_000),
        "a b. ".repeat(600_000),
        "\n".repeat(3_000_000),
        " \n\t\n".repeat(700_000),
        "# x\n".repeat(700_000),
        "한국어 문장입니다. ".repeat(120_000),
        "e\u{301}\u{302}".repeat(500_000),
        (0..2_000).map(|depth| format!("{}fn f() {{\n", " ".repeat(depth % 1_500))).collect(),
        "> ".repeat(1_500_000),
        "// c\n".repeat(600_000),
        "((((((".repeat(500_000),
    ];
    for input in &inputs {
        for name in KINDS {
            let start = Instant::now();
            let cut = cut(input, Kind::of(name));
            let (took, begin) = (start.elapsed(), &input[..input.floor_char_boundary(12)]);
            assert!(took < Duration::from_secs(5), "{name} {begin:?}: {took:?}");
            assert!(cut.pages.iter().all(|page| page.bytes.len() <= PAGE_BYTES_MAX));
        }
    }
}

proptest! {
    #[test]
    fn pages_cover_any_text(text in "(\\PC|[ \n\r\t#`{}a-z]){0,600}", name in proptest::sample::select(&KINDS[..])) {
        check(&text, name);
    }

    #[test]
    fn pages_cover_long_lines(words in proptest::collection::vec("[a-zé한.!{};]{1,90}[ \n]{0,2}", 0..200), name in proptest::sample::select(&KINDS[..])) {
        check(&words.concat(), name);
    }

    #[test]
    fn pages_cover_marked_text(lines in proptest::collection::vec(
        proptest::sample::select(vec!["# A", "## B", "```", "---", "===", "- item", "| a | b |", "fn f() {", "}", "    indented", "", "text of a paragraph", "impl X {", "// note", "\tdef f():", "[section]"]), 0..150),
        name in proptest::sample::select(&KINDS[..])) {
        check(&lines.join("\n"), name);
    }
}
