//! Answers as the model reads them, and what is sent.

use fetch::answer::{Answer, Format};
use fetch::bindings::lucid::tool::http::Failure;
use fetch::request::{address, headers};
use fetch::words;
use proptest::prelude::*;

const URL: &str = "https://example.org/a/page";

fn answer(content_type: &str, body: &[u8]) -> Answer {
    Answer {
        status: 200,
        url: URL.into(),
        content_type: content_type.into(),
        body: body.into(),
        ..Answer::default()
    }
}

fn shown(content_type: &str, body: &[u8]) -> String {
    answer(content_type, body).shown(URL, Format::Auto).expect("the status is good")
}

#[test]
fn each_type_is_shown_in_its_way() {
    for (content_type, body, expected) in [
        ("application/json", r#"{"a":[1,{"b":2}]}"#, "{\n  \"a\": [\n    1,\n    {\"b\": 2}\n  ]\n}"),
        ("application/problem+json; charset=utf-8", "{}", "{}"),
        ("application/json", "{broken", "{broken"),
        ("text/plain", "one\ntwo\n", "one\ntwo"),
        ("text/csv", "a,b", "a,b"),
        ("application/rss+xml", "<rss/>", "<rss/>"),
        ("", "<!DOCTYPE html><p>Hi <b>you</b>", "Hi **you**"),
        ("application/octet-stream", "[1]", "[1]"),
        ("application/pdf", "%PDF", "[no text: application/pdf, 4 B]"),
        ("text/plain", "a\0b", "[no text: text/plain, 3 B]"),
        ("text/html", "<script>x</script>", "[the page has no text (HTTP 200); it may need JavaScript]"),
        ("text/plain", "", "[the answer is empty (HTTP 200)]"),
    ] {
        assert_eq!(shown(content_type, body.as_bytes()), expected, "{content_type} {body}");
    }
    assert_eq!(shown("text/plain; charset=ISO-8859-1", b"gr\xfcn"), "grün");
    assert_eq!(shown("text/html", b"<meta charset=windows-1251><p>\xcf"), "П");
    assert_eq!(shown("text/plain", b"\xff\xfea\0b\0"), "ab");
}

#[test]
fn formats_choose_how_a_page_is_shown() {
    let page =
        answer("text/html", b"<title>T</title><h1>Big</h1><p>A <a href='../b?c'>link</a> &amp; <i>more</i>");
    for (format, expected) in [
        (Format::Markdown, "# T\n\n# Big\n\nA [link](https://example.org/b?c) & *more*"),
        (Format::Text, "T\n\nBig\n\nA link & more"),
        (Format::Raw, "<title>T</title><h1>Big</h1><p>A <a href='../b?c'>link</a> &amp; <i>more</i>"),
    ] {
        assert_eq!(page.shown(URL, format).as_deref(), Ok(expected));
    }
}

#[test]
fn what_was_cut_or_moved_is_said() {
    let long = shown("text/plain", "ü".repeat(50_000).as_bytes());
    assert!(long.len() < 61_000);
    assert!(
        long.ends_with("[cut: the rest of the answer is not shown; 97.6 KiB was read]"),
        "{}",
        &long[59_990..]
    );
    let page = format!("<p>{}", "<p>word ".repeat(60_000));
    let long = shown("text/html", page.as_bytes());
    assert!(long.len() < 61_000 && long.contains("[cut:"), "{}", long.len());
    let cut = Answer { is_cut: true, length: Some(5 << 20), ..answer("text/plain", b"begin") };
    let text = cut.shown(URL, Format::Auto).unwrap();
    assert!(text.ends_with("5 B was read of 5.0 MiB]"), "{text}");
    let moved = answer("text/plain", b"x").shown("http://example.org/", Format::Auto);
    assert_eq!(moved, Ok(format!("x\n\n[from {URL}]")));
}

#[test]
fn an_error_tells_what_was_sent_instead() {
    let missing =
        Answer { status: 404, ..answer("text/html", b"<h1>Not here</h1><p>Try <a href=/>home</a>") };
    assert_eq!(
        missing.shown(URL, Format::Auto),
        Err(format!("{URL} answered HTTP 404 (not found):\nNot here\nTry home"))
    );
    let broken = Answer { status: 599, ..answer("", b"") };
    assert_eq!(broken.shown(URL, Format::Raw), Err(format!("{URL} answered HTTP 599")));
    let long = Answer { status: 500, ..answer("text/plain", &b"line\n".repeat(9_999)) };
    assert!(long.shown(URL, Format::Auto).unwrap_err().len() < 1_300);
}

#[test]
fn failures_say_what_helps() {
    for (failure, part) in [
        (Failure::Denied("grant it with X".into()), "example.org was not asked: grant it with X"),
        (Failure::Invalid("why".into()), "makes no sense: why"),
        (Failure::Unreachable("why".into()), "check the address"),
        (Failure::Insecure("why".into()), "nothing was sent: why"),
        (Failure::TimedOut, "did not answer in time"),
    ] {
        assert!(words(&failure, URL).contains(part), "{part}");
    }
}

#[test]
fn addresses_are_checked_before_they_are_sent() {
    for (url, expected) in [
        (" https://example.org/a b#c ", "https://example.org/a%20b"),
        ("example.org/x?u=http://y", "https://example.org/x?u=http://y"),
        ("example.org", "https://example.org"),
        ("localhost:8080/x", "https://localhost:8080/x"),
        ("<http://example.org>", "http://example.org"),
    ] {
        assert_eq!(address(url).as_deref(), Ok(expected), "{url}");
    }
    for (url, part) in [
        ("", "names no host"),
        ("what is this", "names no host"),
        ("file:///etc/passwd", "only http"),
        ("https://", "only http"),
        ("https://a\r\nb", "control"),
        ("https://a b/", "spaces"),
        (&"x".repeat(9_000), "too long"),
    ] {
        let error = address(url).expect_err(part);
        assert!(error.contains(part), "{url:?}: {error}");
    }
}

#[test]
fn headers_are_checked_and_the_type_is_guessed() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let kind = |body: &str, given: Option<&str>, more: &[(String, String)]| {
        let all = headers(body, given, more).expect("good headers");
        let found: Vec<_> =
            all.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).collect();
        assert_eq!(found.len(), 1);
        found[0].1.clone()
    };
    assert_eq!(kind(" {}", None, &[]), "application/json");
    assert_eq!(kind("x", None, &[]), "text/plain; charset=utf-8");
    assert_eq!(kind("x", Some("a/b"), &[pair("Content-Type", "c/d")]), "a/b");
    assert_eq!(kind("x", None, &[pair("Content-Type", "c/d")]), "c/d");
    assert_eq!(headers("", None, &[pair("Accept", "*/*")]).unwrap().len(), 2);
    for (name, value) in [("a b", "x"), ("", "x"), ("Host", "x"), ("x", "a\r\nb: c"), ("x:", "y")] {
        headers("", None, &[pair(name, value)]).expect_err(name);
    }
    headers("", None, &vec![pair("a", "b"); 50]).expect_err("too many");
    headers(&"x".repeat(2 << 20), None, &[]).expect_err("too large");
}

proptest! {
    #[test]
    fn no_answer_panics(body in any::<Vec<u8>>(), kind in 0_usize..5, status in any::<u16>(), is_cut in any::<bool>()) {
        let content_type =
            ["text/html", "application/json", "text/plain;charset=gb18030", "", "text/html; charset=utf-16"][kind];
        let answer = Answer { status, is_cut, ..answer(content_type, &body) };
        for format in [Format::Auto, Format::Markdown, Format::Text, Format::Raw] {
            let text = answer.shown(URL, format).unwrap_or_else(|error| error);
            prop_assert!(text.len() < 61_000);
        }
    }

    #[test]
    fn no_request_panics(url in any::<String>(), body in any::<String>(), name in any::<String>(), value in any::<String>()) {
        if let Ok(url) = address(&url) {
            prop_assert!(url.starts_with("http") || url.starts_with("HTTP"), "{url}");
            prop_assert!(!url.contains(['\r', '\n', ' ']));
        }
        let sent = headers(&body, Some(&value), &[(name.clone(), value.clone())]);
        prop_assert!(!sent.unwrap_or_default().iter().any(|(_, value)| value.contains(['\r', '\n'])));
    }
}
