//! JSON, indented. Numbers and the order of keys stay as they were sent.

use crate::text::MAX_OUTPUT_BYTES;

/// Objects and arrays that hold no others and are at most so long stay on one line.
const MAX_LINE_BYTES: usize = 100;
/// How far it is indented at most, so that nesting cannot fill the result with spaces.
const MAX_INDENT: usize = 40;

/// The same JSON on lines of its own. None when brackets or quotes do not match; where the text
/// `is_cut`, some may be open at its end. Stops soon after the most that a result may have.
pub fn pretty(text: &str, is_cut: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut open = Vec::new();
    let mut at = 0;
    while at < bytes.len() && out.len() <= MAX_OUTPUT_BYTES {
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            begin @ (b'{' | b'[') => {
                let end = if begin == b'{' { b'}' } else { b']' };
                if let Some((line, length)) = on_one_line(&text[at..], end) {
                    out.push_str(&line);
                    at += length;
                    continue;
                }
                open.push(end);
                out.push(char::from(begin));
                new_line(&mut out, open.len());
                at += 1;
            }
            end @ (b'}' | b']') => {
                if open.pop() != Some(end) {
                    return None;
                }
                new_line(&mut out, open.len());
                out.push(char::from(end));
                at += 1;
            }
            b',' => {
                out.push(',');
                new_line(&mut out, open.len());
                at += 1;
            }
            b':' => {
                out.push_str(": ");
                at += 1;
            }
            b'"' => match string(bytes, at) {
                Some(length) => {
                    out.push_str(&text[at..at + length]);
                    at += length;
                }
                None if is_cut => {
                    out.push_str(&text[at..]);
                    at = bytes.len();
                }
                None => return None,
            },
            _ => {
                let length = plain(bytes, at);
                out.push_str(&text[at..at + length]);
                at += length;
            }
        }
    }
    let is_whole = open.is_empty() || is_cut || out.len() > MAX_OUTPUT_BYTES;
    is_whole.then_some(out)
}

/// A short object or array with nothing nested in it, and how long it is in the text.
fn on_one_line(text: &str, end: u8) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let mut out = String::from(&text[..1]);
    let mut at = 1;
    while at < bytes.len() && out.len() <= MAX_LINE_BYTES && at <= 2 * MAX_LINE_BYTES {
        match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' => at += 1,
            found if found == end => {
                out.push(char::from(end));
                return Some((out, at + 1));
            }
            b'{' | b'[' | b'}' | b']' => return None,
            b',' => {
                out.push_str(", ");
                at += 1;
            }
            b':' => {
                out.push_str(": ");
                at += 1;
            }
            found => {
                let length = if found == b'"' { string(bytes, at)? } else { plain(bytes, at) };
                out.push_str(&text[at..at + length]);
                at += length;
            }
        }
    }
    None
}

/// How long the string is that begins here, with its quotes.
fn string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut index = at + 1;
    loop {
        match bytes.get(index)? {
            b'"' => return Some(index + 1 - at),
            // What follows is ASCII, or no JSON; then the next round ends at a later quote.
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
}

/// How long the number or word is that begins here.
fn plain(bytes: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| b" \t\r\n{}[],:\"".contains(byte);
    bytes[at..].iter().position(ends).unwrap_or(bytes.len() - at)
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&" ".repeat((2 * depth).min(MAX_INDENT)));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_indented_and_short_parts_stay_on_a_line() {
        for (text, expected) in [
            ("{}", "{}"),
            (" [ ] ", "[]"),
            ("[1,2.50,1e400]", "[1, 2.50, 1e400]"),
            (
                r#"{"b":1,"a":{"c":[true,null]}}"#,
                "{\n  \"b\": 1,\n  \"a\": {\n    \"c\": [true, null]\n  }\n}",
            ),
            (r#"{"a":"x,\"}"}"#, r#"{"a": "x,\"}"}"#),
            ("12345678901234567890", "12345678901234567890"),
        ] {
            assert_eq!(pretty(text, false).as_deref(), Some(expected), "{text}");
        }
        for text in ["{", "[}", "]", "\"a", "{\"a\":[1}"] {
            assert_eq!(pretty(text, false), None, "{text}");
        }
        assert_eq!(pretty("[{\"a\":1},\"b", true).as_deref(), Some("[\n  {\"a\": 1},\n  \"b"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in r#"[\[\]{}:,"\\0-9a ü]{0,60}"#, is_cut in any::<bool>()) {
            // Only spaces come and go.
            let bare = |text: &str| text.replace([' ', '\n'], "");
            if let Some(out) = pretty(&text, is_cut) {
                prop_assert_eq!(bare(&out), bare(&text));
            }
        }

        #[test]
        fn deep_nesting_stays_small(depth in 0_usize..100_000) {
            let out = pretty(&"[".repeat(depth), true).expect("it is cut");
            prop_assert!(out.len() <= MAX_OUTPUT_BYTES + 200);
        }
    }
}
