//! The functions that look at texts: search, replace, compare, hash, encode, decode and count.

use proptest::prelude::*;
use text::bindings::{Algorithm, Encoding};
use text::codec::{decode, encode};
use text::compare::diff;
use text::count::count;
use text::hashes::hash;
use text::search::find;
use text::substitute::replace;

const ENCODINGS: [Encoding; 5] =
    [Encoding::Base64, Encoding::Base64url, Encoding::Hex, Encoding::Url, Encoding::Html];

fn refused(result: Result<String, String>, part: &str) {
    let error = result.expect_err(part);
    assert!(error.contains(part), "{error}");
}

#[test]
fn finds_lines_with_their_numbers() {
    let log = "start\nERROR one\nok\nerror two ERROR\n";
    assert_eq!(find(log, "ERROR", false).unwrap(), "2 matches, by line:\n2: ERROR one\n4: error two ERROR");
    assert_eq!(find(log, "ERROR", true).unwrap(), "3 matches, by line:\n2: ERROR one\n4: error two ERROR");
    assert_eq!(find(log, "^ok$", false).unwrap(), "1 match, by line:\n3: ok");
    assert_eq!(find("a\r\nok\r\n", "^ok$", false).unwrap(), "1 match, by line:\n2: ok");
    assert_eq!(find(log, "nothing", false).unwrap(), "no match");
    assert_eq!(find("", "x*", false).unwrap(), "1 match, by line:\n1: ");
    assert_eq!(find("Größe: 5\n", r"\w+ß\w", false).unwrap(), "1 match, by line:\n1: Größe: 5");
    let (first, rest) = ("a".repeat(1_000), "b".repeat(1_000));
    let shown = find(&format!("{first}MARK{rest}"), "MARK", false).unwrap();
    assert!(shown.contains("MARK") && shown.len() < 400, "{shown}");
}

#[test]
fn finds_groups() {
    assert_eq!(
        find("a=1\nb=22\n", r"(\w)=(?<value>\d+)", false).unwrap(),
        "2 matches, by line:\n1: 1=\"a\" value=\"1\"\n2: 1=\"b\" value=\"22\""
    );
    // A group that took no part is left out.
    assert_eq!(find("b", "(a)|(b)", false).unwrap(), "1 match, by line:\n1: 2=\"b\"");
}

#[test]
fn long_lists_of_matches_are_cut_and_say_so() {
    let found = find(&"x\n".repeat(5_000), "x", false).unwrap();
    assert!(found.starts_with("5000 matches, the first 1000 by line:\n1: x\n"), "{}", &found[..60]);
    assert!(found.ends_with("\n1000: x"));
    let wide = find(&format!("{}\n", "x".repeat(290)).repeat(500), "(x+)", false).unwrap();
    assert!(wide.len() < 64 << 10 && wide.starts_with("500 matches, the first "), "{}", wide.len());
}

#[test]
fn wrong_patterns_are_explained() {
    refused(find("a", "(a", false), "unclosed group");
    refused(find("a", "", false), "empty");
    refused(find("a", "(?=a)", false), "look-around");
    refused(find("a", r"(a)\1", false), "backreferences");
    refused(find("a", r"(\w{500}){500}", false), "too large");
    refused(find("a", &"(".repeat(100), false), "error");
    refused(find("a", &format!("{}a{}", "(".repeat(100), ")".repeat(100)), false), "nest");
    refused(find("a", &"a".repeat(3_000), false), "most is 2000");
    refused(find(&"a".repeat((8 << 20) + 1), "b", false), "most is 8388608");
}

#[test]
fn replaces_with_groups() {
    let swap = |replacement: &str| replace("key=value", r"(\w+)=(?<val>\w+)", replacement, false);
    assert_eq!(swap("$2=$1").unwrap(), "value=key");
    assert_eq!(swap(r"\2=\1").unwrap(), "value=key");
    assert_eq!(swap("${val}x$1a").unwrap(), "valuexkeya");
    assert_eq!(swap("$val").unwrap(), "value");
    assert_eq!(swap("$0!").unwrap(), "key=value!");
    assert_eq!(swap("$$1 and $ 5").unwrap(), "$1 and $ 5");
    assert_eq!(swap(r"C:\dir $").unwrap(), r"C:\dir $");
    assert_eq!(replace("a\nb\n", "^", "> ", false).unwrap(), "> a\n> b\n> ");
    assert_eq!(replace("Aa", "a", "", true).unwrap(), "");
    assert_eq!(replace("ä", "", "-", false).map_err(|it| it.contains("empty")), Err(true));
    refused(swap("$3"), "the pattern has 2 groups, named val");
    refused(swap("${val"), "no }");
    refused(swap("$nope"), "\"nope\"");
    refused(swap("$99999999999999999999999"), "group");
    refused(replace("abc", "x", "y", false), "nothing in the text matches");
    refused(replace(&"a".repeat(9_000), "a", &"b".repeat(1_000), false), "more than 8388608");
}

#[test]
fn compares_by_lines() {
    assert_eq!(
        diff("a\nb\nc\n", "a\nB\nc\n").unwrap(),
        "--- old\n+++ new\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
    );
    assert_eq!(diff("same", "same").unwrap(), "the texts are the same");
    assert_eq!(
        diff("a", "a\n").unwrap(),
        "--- old\n+++ new\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"
    );
    assert!(diff("", "x\n").unwrap().ends_with("+x\n"));
    refused(diff(&"a\n".repeat(150_000), &"b\n".repeat(150_000)), "300000 lines");
    refused(diff(&"a\n".repeat(50_000), &"b\n".repeat(50_000)), "50000 lines added, 50000 removed");
}

/// Sources: FIPS 180-4 and RFC 1321 test vectors; the check value of CRC-32/ISO-HDLC.
#[test]
fn hashes_are_those_of_the_standards() {
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash("abc", Algorithm::Sha256).unwrap(), sha256);
    assert_eq!(hash("abc", Algorithm::Sha1).unwrap(), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hash("abc", Algorithm::Md5).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(hash("123456789", Algorithm::Crc32).unwrap(), "cbf43926");
    assert_eq!(hash("", Algorithm::Crc32).unwrap(), "00000000");
}

#[test]
fn encodes_and_decodes() {
    let text = "Grüße & <b>50%</b>?";
    for (encoding, encoded) in [
        (Encoding::Base64, "R3LDvMOfZSAmIDxiPjUwJTwvYj4/"),
        (Encoding::Base64url, "R3LDvMOfZSAmIDxiPjUwJTwvYj4_"),
        (Encoding::Hex, "4772c3bcc39f652026203c623e3530253c2f623e3f"),
        (Encoding::Url, "Gr%C3%BC%C3%9Fe%20%26%20%3Cb%3E50%25%3C%2Fb%3E%3F"),
    ] {
        assert_eq!(encode(text, encoding).unwrap(), encoded);
        assert_eq!(decode(encoded, encoding).unwrap(), text);
    }
    let html = encode("<a href=\"x\">'&'", Encoding::Html).unwrap();
    assert!(!html.contains(['<', '>', '"', '\'']), "{html}");
    assert_eq!(
        decode("&lt;&#228;&#xe4;&auml;&nbsp;&euro; a & b;", Encoding::Html).unwrap(),
        "<äää\u{a0}€ a & b;"
    );
    assert_eq!(decode(" aGVs\nbG8= ", Encoding::Base64).unwrap(), "hello");
    assert_eq!(decode("aGVsbG8", Encoding::Base64).unwrap(), "hello");
    assert_eq!(decode("0x68:65 6C-6c 6f", Encoding::Hex).unwrap(), "hello");
    assert_eq!(decode("a+b%20c", Encoding::Url).unwrap(), "a+b c");
}

#[test]
fn what_cannot_be_decoded_is_explained() {
    refused(decode("aGVs\nb*8", Encoding::Base64), "at line 2, column 2: '*' is no base64 digit");
    refused(decode("_w", Encoding::Base64), "looks like base64url");
    refused(decode("aGVsb", Encoding::Base64), "cut off");
    refused(decode("/w==", Encoding::Base64), "no UTF-8 text (from byte 1 on); in hex they are ff");
    refused(decode("aGVsbG9=", Encoding::Base64), "last base64 digit");
    refused(decode("xyz", Encoding::Hex), "line 1, column 1");
    refused(decode("äb", Encoding::Hex), "'ä' is no hex digit");
    refused(decode("abc", Encoding::Hex), "two digits");
    refused(decode("50%", Encoding::Url), "at line 1, column 3: after %");
    refused(decode("%zz", Encoding::Url), "%25");
    refused(decode("%ff", Encoding::Url), "no UTF-8");
    refused(encode(&"a".repeat((1 << 20) + 1), Encoding::Hex), "most is 1048576");
}

#[test]
fn counts() {
    assert_eq!(
        count("one two\nthree ü\n", None).unwrap(),
        "lines: 2, words: 4, characters: 16 (12 without white space), bytes: 17"
    );
    assert_eq!(
        count("", None).unwrap(),
        "lines: 0, words: 0, characters: 0 (0 without white space), bytes: 0"
    );
    assert_eq!(count("strawberry", Some("r")).unwrap(), "3 times \"r\"");
    assert_eq!(
        count("Anna", Some("a")).unwrap(),
        "once \"a\"; 2 times when upper and lower case are the same"
    );
    refused(count("x", Some("")), "empty");
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(text in "\\PC{0,40}|[ -~\\n]{0,60}") {
        for encoding in ENCODINGS {
            let encoded = encode(&text, encoding).expect("encoded");
            prop_assert_eq!(decode(&encoded, encoding), Ok(text.clone()));
        }
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,60}|[-A-Za-z0-9%&;#=:x+/_\\r\\n ü]{0,60}", other in "(?s).{0,40}") {
        for encoding in ENCODINGS {
            let _ = decode(&text, encoding);
        }
        let _ = diff(&text, &other);
        let _ = count(&text, Some(&other));
    }

    #[test]
    fn any_pattern_is_answered(
        text in "[a-c0-9ü\\r\\n ]{0,40}",
        pattern in "[a-c()\\[\\]{}0-9,.*+?|^$\\\\wdbPp<>:=!-]{0,14}",
        replacement in "[a-c$\\\\{}0-9 ü]{0,10}",
        ignore_case: bool,
    ) {
        let _ = find(&text, &pattern, ignore_case);
        let _ = replace(&text, &pattern, &replacement, ignore_case);
    }

    /// A diff says no line that is in neither text, and all that was taken out or put in.
    #[test]
    fn a_diff_has_every_change(old in "([a-d]\\n){0,20}", new in "([a-d]\\n){0,20}") {
        let shown = diff(&old, &new).expect("short");
        let signed = |sign: char| shown.lines().skip(2).filter(|line| line.starts_with(sign)).count();
        let balance = new.lines().count() + signed('-');
        prop_assert_eq!(old.lines().count() + signed('+'), balance);
    }

    /// An escaped pattern is found as often as the plain text is.
    #[test]
    fn a_plain_text_is_replaced_as_the_standard_library_does(text in "[a-c.*]{0,30}", part in "[a-c.*]{1,2}") {
        let pattern: String = part.chars().map(|it| format!("[{it}]")).collect();
        match replace(&text, &pattern, "<$$>", false) {
            Ok(found) => prop_assert_eq!(found, text.replace(&part, "<$>")),
            Err(_) => prop_assert!(!text.contains(&part)),
        }
    }
}
