//! Pages as Markdown: what is kept, what is dropped, and that no page is too much.

use std::time::{Duration, Instant};

use fetch::markdown::written;
use proptest::prelude::*;

fn markdown(html: &str) -> String {
    written(html, "https://example.org/a/page", true).0
}

fn check(cases: &[(&str, &str)]) {
    for (html, expected) in cases {
        assert_eq!(markdown(html), *expected, "{html}");
    }
}

#[test]
fn text_and_its_marks() {
    check(&[
        ("plain  text\n here", "plain text here"),
        ("<p>One<p>Two", "One\n\nTwo"),
        ("<div>One</div>Two<div>Three</div>", "One\n\nTwo\n\nThree"),
        ("a<b> bold </b>c", "a **bold** c"),
        ("<b><strong>x</strong></b><b> </b>", "**x**"),
        ("<i>a <b>b</b></i>", "*a **b***"),
        ("<s>old</s> x<sup>2</sup> 1<sup>st</sup>", "~~old~~ x^2 1st"),
        ("one<br>two<br/> three", "one\ntwo\nthree"),
        ("<code>a `b` c</code> <kbd>Ctrl</kbd>", "``a `b` c`` `Ctrl`"),
        ("&lt;tag&gt; &eacute; &#x263a; &nbsp;x", "<tag> é ☺ x"),
        ("<h2>Head <em>it</em></h2>text<h3></h3>", "## Head *it*\n\ntext"),
        ("<q>said</q>", "\u{201c}said\u{201d}"),
        ("<hr>", "---"),
        ("<p># no heading</p><p>1. no list</p><p>- none</p>", "\\# no heading\n\n1\\. no list\n\n\\- none"),
    ]);
}

#[test]
fn links_and_pictures_are_absolute() {
    check(&[
        ("<a href=b>x</a>", "[x](https://example.org/a/b)"),
        ("<a href='//x.org/(y)'>a]b</a>", "[a\\]b](https://x.org/%28y%29)"),
        ("<a href='#top'>up</a> <a href='javascript:x()'>run</a> <a name=q>anchor</a>", "up run anchor"),
        ("<a href=https://x.org/>https://x.org/</a>", "<https://x.org/>"),
        ("<a href=b></a>", ""),
        ("<a href=b><div>Card</div><div>more</div></a>", "[Card more](https://example.org/a/b)"),
        ("<img src=/i.png alt='A  cat'>", "![A cat](https://example.org/i.png)"),
        ("<img src='data:image/png;base64,x' alt=Cat><img src=x.png>", "Cat"),
        ("<a href=b><img src=i.png alt=Logo></a>", "[Logo](https://example.org/a/b)"),
        ("<base href='/other/'><a href=b>x</a>", "[x](https://example.org/other/b)"),
        ("<a href=b>one<a href=c>two", "[one](https://example.org/a/b)[two](https://example.org/a/c)"),
    ]);
}

#[test]
fn lists_quotes_and_code() {
    check(&[
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<p>Some:</p><ul><li>a</li></ul><p>after</p>", "Some:\n- a\n\nafter"),
        ("<ol start=3><li>a<li>b</ol>", "3. a\n4. b"),
        ("<ul><li>a<ul><li>b<li>c</ul><li>d</ul>", "- a\n  - b\n  - c\n- d"),
        ("<ul><li>a</li><ul><li>b</li></ul></ul>", "- a\n  - b"),
        ("<ul><li><p>a</p><p>b</p></li></ul>", "- a\n\n  b"),
        ("<dl><dt>Term<dd>Meaning<dd>Other</dl>", "**Term**\n: Meaning\n: Other"),
        ("<blockquote><p>a</p><p>b</p></blockquote>", "> a\n>\n> b"),
        (
            "<pre><code class='x language-rust'>fn a() {\n    b\n}\n</code></pre>",
            "```rust\nfn a() {\n    b\n}\n```",
        ),
        ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
    ]);
}

#[test]
fn tables_of_data_are_tables_and_others_are_not() {
    check(&[
        (
            "<table><caption>C</caption><tr><th>A<th>B<tr><td>1<td>x|y<tr><td colspan=2>z</table>",
            "C\n\n| A | B |\n| --- | --- |\n| 1 | x\\|y |\n| z |  |",
        ),
        ("<table><tr><td><p>one</p></td></tr><tr><td>two</td></tr></table>", "one\n\ntwo"),
        ("<table><tr><td><ul><li>nav</ul><td><h1>Text</h1></table>", "- nav\n\n# Text"),
        ("<table><tr><td>a<br>b<td><b>c</b></table>", "| a b | **c** |\n| --- | --- |"),
    ]);
}

#[test]
fn what_frames_the_content_is_dropped() {
    let page = "<!doctype html><html><head><title>The page – Site</title><style>p{}</style>\
        <script>if (a < b) { '</p>' }</script></head><body>\
        <header><a href=/>Home</a></header><nav><ul><li>Menu</ul></nav>\
        <div hidden>no</div><p style='display: none'>no</p><svg><title>Icon</title><text>no</text></svg>\
        <article><header><h1>The page</h1></header><p>Content.</p><footer>By A</footer></article>\
        <noscript>no</noscript><template><p>no</p></template><button>no</button>\
        <footer>Imprint</footer></body></html>";
    assert_eq!(markdown(page), "# The page\n\nContent.\n\nBy A");
    let text = "word ".repeat(60);
    let main = format!("<title>T</title><div>Aside</div><main><p>{text}</main><div>More</div>");
    assert_eq!(markdown(&main), format!("# T\n\n{}", text.trim()));
    assert_eq!(markdown("<nav><a href=b>Only</a></nav>"), "[Only](https://example.org/a/b)");
}

#[test]
fn wrong_nesting_does_no_harm() {
    check(&[
        ("<b><div>a</b>b</div>c", "ab\n\nc"),
        ("</p></div></table>x", "x"),
        ("<p>a<div>b</p>c</div>d", "a\n\nbc\n\nd"),
        ("<table><tr><td>a</b></div><td>b</table>c", "| a | b |\n| --- | --- |\n\nc"),
        ("<h1>a<h2>b", "# a\n\n## b"),
        ("<p>a<!-- b --><![CDATA[c]]><?d?>e", "ae"),
        ("<title>x", "# x"),
        ("<", "<"),
    ]);
}

#[test]
fn no_page_is_too_much() {
    let n = 300_000;
    for html in [
        "<div>".repeat(n),
        "<b>".repeat(n),
        "<ul><li>".repeat(n),
        "<blockquote>x".repeat(n),
        "<table><tr><td>".repeat(n / 2),
        "<a href=x>".repeat(n),
        "<p>x".repeat(n),
        "<br>".repeat(n),
        "</p>".repeat(n),
        "<tr><td colspan=20>x".repeat(n),
        format!("<table>{}", "<tr><td>x<td>y".repeat(n / 8)),
        "&amp;".repeat(n),
        "<".repeat(2 * n),
        format!("<a {}>", "x=y ".repeat(n)),
        format!("<pre>{}", "`".repeat(n)),
        format!("{}{}", "<i>".repeat(n), "</i>".repeat(n)),
        format!("<ol>{}", "<li>x<blockquote>".repeat(n / 8)),
    ] {
        let began = Instant::now();
        let (text, _) = written(&html, "https://example.org", true);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(20), "{}: {took:?}", &html[..20]);
        assert!(text.len() < 20 << 20, "{}: {}", &html[..20], text.len());
    }
}

/// Pieces of pages, put together in any way.
fn soup() -> impl Strategy<Value = String> {
    let names = vec![
        "a",
        "b",
        "i",
        "p",
        "div",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "td",
        "th",
        "caption",
        "pre",
        "code",
        "h1",
        "h6",
        "br",
        "img",
        "svg",
        "title",
        "script",
        "blockquote",
        "dl",
        "dt",
        "dd",
        "main",
        "nav",
        "header",
        "sup",
        "body",
        "base",
        "hr",
        "q",
    ];
    let attributes =
        vec!["", " href=x", " href='?a=(b)'", " alt=y src=z", " colspan=999999", " start=9999999", " hidden"];
    let piece = (prop::sample::select(names), prop::sample::select(attributes), 0..3, ".{0,4}").prop_map(
        |(name, attributes, kind, text)| match kind {
            0 => format!("<{name}{attributes}>{text}"),
            1 => format!("</{name}>{text}"),
            _ => format!("<{name}{attributes}/>{text}"),
        },
    );
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_page_panics(html in any::<String>(), url in any::<String>()) {
        written(&html, &url, true);
    }

    #[test]
    fn no_mix_of_elements_panics(html in soup(), has_marks in any::<bool>()) {
        let (text, _) = written(&html, "https://example.org/a/b?c", has_marks);
        prop_assert!(!text.contains("\n\n\n\n"), "{text:?}");
    }
}
