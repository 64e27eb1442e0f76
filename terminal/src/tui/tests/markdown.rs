//! Markdown.

use std::rc::Rc;

use proptest::prelude::*;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;

use super::super::highlight::{Highlighted, Kind};
use super::super::markdown::{self, settled};
use super::super::theme::Theme;

const THEME: Theme = Theme { color: true };

fn no_code(_: &str, _: &str) -> Option<Rc<Highlighted>> {
    None
}

fn lines(source: &str, width: usize) -> Vec<Line<'static>> {
    markdown::render(source, width, THEME, &no_code)
}

fn shown(source: &str, width: usize) -> Vec<String> {
    lines(source, width).iter().map(ToString::to_string).collect()
}

#[test]
fn markdown_blocks() {
    for (source, lines) in [
        ("# Head", vec!["Head"]),
        ("#tag", vec!["#tag"]),
        ("- one two three", vec!["• one two", "  three"]),
        ("12. one two three", vec!["12. one", "    two", "    three"]),
        ("> said", vec!["│ said"]),
        ("```sh\nls  -l\n```\nend", vec!["  ls  -l", "end"]),
        ("```\nopen", vec!["  open"]),
        ("a **b** `c`", vec!["a b c"]),
        ("2 ** 3 ** 4", vec!["2 ** 3 **", "4"]),
        ("a ` b", vec!["a ` b"]),
        ("**", vec!["**"]),
        ("", vec![""]),
    ] {
        assert_eq!(shown(source, 10), lines, "{source}");
    }
    let line = &lines("**b** c", 10)[0];
    assert_eq!((line.spans[0].style, line.spans[1].style), (THEME.strong(), THEME.plain()));
}

#[test]
fn markdown_tables_are_aligned_and_wrapped() {
    let table = "| Name | Price |\n|:--|--:|\n| Tea | 3.50 |\n| 커피 `x|y` | **12** |\nafter";
    assert_eq!(
        shown(table, 40),
        ["Name     │ Price", "─────────┼──────", "Tea      │  3.50", "커피 x|y │    12", "after"]
    );
    // One that is too wide is wrapped in its widest column.
    let wide = "|a|b|\n|-|-|\n|x|one two three four|\n|y|";
    assert_eq!(shown(wide, 16), ["a │ b", "──┼─────────────", "x │ one two", "  │ three four", "y │ "]);
    // What is no table yet, has no room, or is code, stays text.
    assert_eq!(shown("| a | b |", 20), ["| a | b |"]);
    assert_eq!(shown("| a | b |\n| c | d |", 20), ["| a | b |", "| c | d |"]);
    assert_eq!(shown("|a|b|\n|-|-|", 9), ["|a|b|", "|-|-|"]);
    assert_eq!(shown("```\n|a|b|\n|-|-|\n```", 20), ["  |a|b|", "  |-|-|"]);
}

#[test]
fn blocks_in_detail() {
    for (source, lines) in [
        // Every blank line of the source is one.
        ("a\n\n\nb", vec!["a", "", "", "b"]),
        ("\n\na", vec!["", "", "a"]),
        ("- a\n\n- b\n\n\nc", vec!["• a", "", "• b", "", "", "c"]),
        ("a\nb\\\nc  \nd", vec!["a", "b", "c", "d"]),
        ("Head\n===\nHead\n---\ntext", vec!["Head", "Head", "text"]),
        ("## a ##\n***\nb", vec!["a", &"─".repeat(30), "b"]),
        // Lists within lists, and what stands in them.
        ("- a\n  - b\n    1. c\n       d\n- e", vec!["• a", "  • b", "    1. c", "       d", "• e"]),
        ("3) a\n4) b", vec!["3) a", "4) b"]),
        ("- a\n\n  b\n\n      c", vec!["• a", "", "  b", "", "    c"]),
        ("- ```\n  x\n\n  y\n  ```\n  z", vec!["•   x", "    ", "    y", "  z"]),
        ("-\n-\n  a\n- - b", vec!["• ", "• a", "• • b"]),
        ("- [x] a\n- [ ] b\n\n1. [x] c", vec!["☑ a", "☐ b", "", "1. ☑ c"]),
        ("> a\nb\n>\n> c\n\n> d", vec!["│ a", "│ b", "│", "│ c", "", "│ d"]),
        ("> > a\n>\n> - b\n>   c", vec!["│ │ a", "│", "│ • b", "│   c"]),
        ("1. > a\n   >\n   > b", vec!["1. │ a", "   │", "   │ b"]),
        (">", vec!["│"]),
        ("- # a\n- | a | b |\n  |--|--|\n  | c | d |", vec!["• a", "• a │ b", "  ──┼──", "  c │ d"]),
        ("> |a|b|\n> |-|-|\n> |1|2|", vec!["│ a │ b", "│ ──┼──", "│ 1 │ 2"]),
        ("    code\n\n    more", vec!["  code", "  ", "  more"]),
        // Cells beyond the last column, a bar in a cell, a table without bars around it.
        ("|a|\n|-|\n|b|c|d|", vec!["a", "─────", "b|c|d"]),
        ("a | b\n--|--\n1 \\| 2 | 3\n", vec!["a     │ b", "──────┼──", "1 | 2 │ 3"]),
        ("|a|\n|-|\nb\n|c|\n|-|\n|d|", vec!["a", "─", "b", "c", "─", "d"]),
    ] {
        assert_eq!(shown(source, 30), lines, "{source}");
    }
}

#[test]
fn within_a_line() {
    for (source, line) in [
        ("*a* _b_ ~~c~~ ***d*** snake_case_name 2*3*4", "a b c d snake_case_name 234"),
        ("see [1] and [2][3] p42 [^4] (p42)", "see [1] and [2][3] p42 [^4] (p42)"),
        ("[a](http://b) <http://c> [http://d](http://d)", "a (http://b) http://c http://d"),
        ("[a](b \"c\") ![d *e*](f)", "a (b \"c\") [image: d e] (f)"),
        ("<b>x</b> <br/> &amp; \\* &copy;", "<b>x</b> <br/> & * ©"),
        ("<!-- note -->", "<!-- note -->"),
        ("$a_1*b*c_2$ and $$x*y*z$$ or $5", "$a_1*b*c_2$ and $$x*y*z$$ or $5"),
        ("\\(\\hat{y}_i = \\sum_{j} w_j \\{*a*\\}\\) b", "\\(\\hat{y}_i = \\sum_{j} w_j \\{*a*\\}\\) b"),
        ("`\\(a\\)` \\[ x_1 \\] \\(open \\_", "\\(a\\) \\[ x_1 \\] \\(open _"),
        ("a \\\\(b\\\\) c", "a \\(b\\) c"),
        ("`` a`b `` ``", "a`b ``"),
        ("&#27;[31m \u{202e}x", "␛[31m \u{fffd}x"),
    ] {
        assert_eq!(shown(source, 80), [line], "{source}");
    }
    let styles =
        |source: &str| -> Vec<Style> { lines(source, 80)[0].spans.iter().map(|it| it.style).collect() };
    let plain = Style::new();
    assert_eq!(styles("a *b*"), [plain, THEME.emphasis()]);
    assert_eq!(styles("~~a~~ b"), [THEME.struck(), plain]);
    assert_eq!(styles("***a***"), [THEME.emphasis().patch(THEME.strong())]);
    assert_eq!(styles("[a](b)"), [plain.add_modifier(Modifier::UNDERLINED), THEME.dim()]);
    assert_eq!(
        styles("# a `b`"),
        [
            THEME.strong().add_modifier(Modifier::UNDERLINED),
            THEME.strong().add_modifier(Modifier::UNDERLINED).patch(THEME.code())
        ]
    );
    assert_eq!(styles("### a"), [THEME.strong()]);
}

#[test]
fn definitions_stay_as_written() {
    let source = "[a] [b][a]\n\n[a]: http://c \"d\"\n[a]: e\n\n> [f]: g\n\n- [h]: i\n  j [h]\n- [k]: l";
    assert_eq!(
        shown(source, 60),
        [
            "[a] [b][a]",
            "",
            "[a]: http://c \"d\"",
            "[a]: e",
            "",
            "> [f]: g",
            "",
            "• [h]: i",
            "  j [h]",
            "• [k]: l"
        ]
    );
}

#[test]
fn code_is_drawn_as_it_was_looked_up() {
    let code = |language: &str, code: &str| {
        assert_eq!((language, code), ("rust", "fn a\nb"));
        Some(Rc::new(vec![
            vec![(Kind::Keyword, "fn".into()), (Kind::Plain, " a".into())],
            vec![(Kind::Text, "b".into())],
        ]))
    };
    let lines = markdown::render("1. ```rust no_run\n   fn a\n   b\n   ```", 20, THEME, &code);
    assert_eq!(lines.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.   fn a", "     b"]);
    assert_eq!(lines[0].spans.last().unwrap().style, THEME.syntax(Kind::Plain));
    assert_eq!(lines[1].spans.last().unwrap().style, THEME.syntax(Kind::Text));
}

#[test]
fn what_is_settled() {
    assert_eq!(settled(""), 0);
    assert_eq!(settled("a\n\n"), 0);
    assert_eq!(settled("a\n\nb\n"), 2);
    assert_eq!(settled("a\n\n\nb\n\n"), 2);
    assert_eq!(settled("- a\n\n- b\n\n  c\n"), 0);
    // The last line may still become a part of the list.
    assert_eq!(settled("1. a\n\n2"), 0);
    assert_eq!(settled("1. a\n\n2\n"), 5);
    assert_eq!(settled("a\n\n|b|\n|-|\n|c|\n"), 2);
    assert_eq!(settled("```\na\n\nb\n"), 0);
    // Only a blank line parts blocks for good.
    assert_eq!(settled("a\n\n```\na\n\n```\nb\n"), 2);
    assert_eq!(settled("```\na\n\n```\n\nb\n"), 11);
    // A definition may stand within the block before it.
    assert_eq!(settled("a\n\n[b]: c\n\nd\n"), 0);
    assert_eq!(settled("# a\tb\r\n\u{1b}\u{2028}\r\n# d\n"), "# a\tb\r\n\u{1b}\u{2028}".len());
}

fn markdown_texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("\n"), 3 => Just("\n\n"), 4 => Just("a"), 2 => Just(" "), 1 => Just("    "), 1 => Just("\t"),
        2 => Just("- "), 1 => Just("* "), 1 => Just("1. "), 1 => Just("2"), 2 => Just("> "), 1 => Just(">"),
        1 => Just("```"), 1 => Just("~~~"), 1 => Just("# "), 1 => Just("---"), 1 => Just("==="),
        2 => Just("|"), 1 => Just("|-|-|\n"), 1 => Just("|a|b|\n"), 1 => Just("|-|\n"),
        1 => Just("[a]: b"), 1 => Just("[a]"), 1 => Just("[a]:"), 1 => Just("'"), 1 => Just("\""), 1 => Just("("), 1 => Just(")"),
        1 => Just("*"), 1 => Just("**"), 1 => Just("_"), 1 => Just("`"), 1 => Just("~~"), 1 => Just("$"), 1 => Just("$$"),
        1 => Just("\\("), 1 => Just("\\)"), 1 => Just("\\"), 1 => Just("<div>"), 1 => Just("<!--"), 1 => Just("-->"),
        1 => Just("<pre>"), 1 => Just("</pre>"), 1 => Just("<b>"), 1 => Just("[x] "), 1 => Just("![a](b)"),
        1 => Just("\r"), 1 => Just("\u{2028}"), 1 => Just("\u{a0}"), 1 => Just("é"), 1 => Just("日"), 1 => Just("\0"),
        1 => Just("&amp;"), 1 => Just("<?"), 1 => Just("+"),
    ];
    let start = prop_oneof![
        3 => Just(""), 2 => Just("- "), 1 => Just("  "), 1 => Just("    "), 1 => Just("> "), 1 => Just("1. "),
        1 => Just("   "), 1 => Just("|"), 1 => Just("```"), 1 => Just("[a]: b '"), 1 => Just("- > ")
    ];
    let line = (start, prop::collection::vec(piece.clone(), 0..4))
        .prop_map(|(start, rest)| start.to_owned() + &rest.concat() + "\n");
    prop_oneof![
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat()),
        prop::collection::vec(line, 0..14).prop_map(|lines| lines.concat()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn settled_text_stays_as_it_is(full in markdown_texts(), width in 0..40_usize) {
        let all = lines(&full, width);
        for (at, _) in full.char_indices() {
            let settled = settled(&full[..at]);
            prop_assert!(full.is_char_boundary(settled) && settled <= at);
            if settled > 0 {
                let mut parts = lines(&full[..settled], width);
                parts.extend(lines(&full[settled..], width));
                prop_assert_eq!(&parts, &all, "cut at {} for {:?}", settled, &full[..at]);
            }
        }
    }

    #[test]
    fn words_survive(full in markdown_texts()) {
        let numbered: String = {
            let mut at = 0;
            full.split_inclusive('a').map(|part| { at += 1; format!("{}x{at}y", part) }).collect()
        };
        let text = shown(&numbered, 400).concat();
        for at in 1..=numbered.matches('x').count() {
            let is_there = text.contains(&format!("x{at}y"));
            prop_assert!(is_there || numbered.contains("```") || numbered.contains("~~~") || !numbered.contains(&format!("x{at}y")), "x{}y of {:?} is not in {:?}", at, numbered, text);
        }
    }
}

#[test]
fn enormous_texts() {
    for source in [
        ">".repeat(100_000),
        "> ".repeat(100_000),
        "- ".repeat(100_000),
        "*".repeat(100_000),
        "a*".repeat(100_000),
        "*a ".repeat(100_000),
        "**a_".repeat(100_000),
        "[".repeat(50_000),
        "![".repeat(50_000),
        "![".repeat(20_000) + &"](a)".repeat(20_000),
        "| a ".repeat(20_000),
        "|a|\n|-|\n".to_owned() + &"b\n|a|\n|-|\n".repeat(20_000),
        "|a|\n|-|\n".to_owned() + &"|b`|\n".repeat(50_000),
        "a ".repeat(500_000),
        "a\n".repeat(200_000),
        "a\n\n".repeat(200_000),
        "\\(".repeat(100_000),
        "\\(a\\)".repeat(50_000),
        "`\\(`\\(a\\)".repeat(50_000),
        "$".repeat(100_000),
        "$a".repeat(100_000),
        "`".repeat(100_000),
        "`a``".repeat(30_000),
        "<!--".repeat(50_000),
        "<a ".repeat(50_000),
        "[a]: b\n".repeat(50_000),
        "[a](".repeat(50_000),
        "- a\n".repeat(100_000),
        "```\n".to_owned() + &"a\n".repeat(200_000),
        "> a\n".repeat(100_000),
        (0..600).map(|depth| "> ".repeat(depth) + "a\n").collect(),
        (0..600).map(|depth| " ".repeat(2 * depth) + "- a\n").collect(),
        "\n".repeat(500_000) + "a",
        "&".repeat(100_000),
        "\\".repeat(100_000),
        "_a".repeat(100_000),
        "~~a".repeat(50_000),
        "<".repeat(100_000),
        "|a|\n|-|\n".repeat(20_000),
    ] {
        let start = std::time::Instant::now();
        let lines = lines(&source, 80).len();
        let drawn = start.elapsed();
        settled(&source);
        let name: String = source.chars().take(12).collect();
        println!(
            "{name:?} {} bytes, {lines} lines: {drawn:?}, settled in {:?}",
            source.len(),
            start.elapsed() - drawn
        );
        assert!(start.elapsed().as_secs() < 10, "{name:?}");
    }
}
