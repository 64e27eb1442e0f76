//! Encoding and decoding.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, DecodeKind, HEXLOWER, HEXLOWER_PERMISSIVE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::bindings::Encoding;
use crate::limits::{MAX_DATA_BYTES, check_size, place};

/// RFC 3986, section 2.3: all but these are encoded, so that the result fits in any part of a URL.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The most bytes of a decoded value that an error shows.
const MAX_SHOWN_BYTES: usize = 64;

/// Encodes a text.
///
/// # Errors
/// When it is too long.
pub fn encode(text: &str, encoding: Encoding) -> Result<String, String> {
    check_size("the text", text, MAX_DATA_BYTES)?;
    Ok(match encoding {
        Encoding::Base64 => BASE64.encode(text.as_bytes()),
        Encoding::Base64url => BASE64URL_NOPAD.encode(text.as_bytes()),
        Encoding::Hex => HEXLOWER.encode(text.as_bytes()),
        Encoding::Url => utf8_percent_encode(text, URL).to_string(),
        Encoding::Html => html_escape::encode_quoted_attribute(text).into_owned(),
    })
}

/// Decodes a text. White space in base64 and hex is left out, padding may be missing.
///
/// # Errors
/// When it is too long, is not encoded that way, or what was encoded is no text.
pub fn decode(text: &str, encoding: Encoding) -> Result<String, String> {
    check_size("the text", text, MAX_DATA_BYTES)?;
    match encoding {
        Encoding::Base64 => readable(packed(text, "base64", &BASE64_NOPAD)?),
        Encoding::Base64url => readable(packed(text, "base64url", &BASE64URL_NOPAD)?),
        Encoding::Hex => readable(packed(text, "hex", &HEXLOWER_PERMISSIVE)?),
        Encoding::Url => url(text),
        Encoding::Html => Ok(html_escape::decode_html_entities(text).into_owned()),
    }
}

/// Decodes digits of a few bits each.
fn packed(text: &str, name: &str, alphabet: &data_encoding::Encoding) -> Result<Vec<u8>, String> {
    let body = if name == "hex" { hex_digits(text) } else { base64_digits(text) };
    // Ahead of the decoder, which looks at the length first.
    if let Some((at, found)) = body.iter().find(|(_, it)| !is_digit(name, *it)) {
        return Err(format!("at {}: {found:?} is no {name} digit{}", place(text, *at), hint(name, *found)));
    }
    let digits: String = body.iter().map(|(_, it)| *it).collect();
    alphabet.decode(digits.as_bytes()).map_err(|error| {
        let at = body.get(error.position).map_or(text.len(), |(at, _)| *at);
        match error.kind {
            DecodeKind::Length if name == "hex" => {
                "hex has two digits for every byte, and here one is missing".to_owned()
            }
            DecodeKind::Length => format!("the {name} is cut off: it has one digit too many or too few"),
            _ => format!(
                "at {}: the last {name} digit says too much; it is cut off or changed",
                place(text, at)
            ),
        }
    })
}

fn is_digit(name: &str, it: char) -> bool {
    match (name, it) {
        ("hex", _) => it.is_ascii_hexdigit(),
        ("base64", '+' | '/') | ("base64url", '-' | '_') => true,
        _ => it.is_ascii_alphanumeric(),
    }
}

/// The digits of hex and where they are, without the marks between them as in `de:ad` or `0xde`.
fn hex_digits(text: &str) -> Vec<(usize, char)> {
    let start = text.len() - text.trim_start().len();
    let prefix = text[start..].get(..2).is_some_and(|it| it.eq_ignore_ascii_case("0x"));
    let from = if prefix { start + 2 } else { start };
    let is_mark = |it: char| it.is_whitespace() || it == ':' || it == '-';
    text.char_indices().filter(|(at, it)| *at >= from && !is_mark(*it)).collect()
}

/// The digits of base64 and where they are, without padding.
fn base64_digits(text: &str) -> Vec<(usize, char)> {
    let body = text.trim_end().trim_end_matches('=');
    body.char_indices().filter(|(_, it)| !it.is_whitespace()).collect()
}

fn hint(name: &str, found: char) -> &'static str {
    match (name, found) {
        ("base64", '-' | '_') => "; this looks like base64url",
        ("base64url", '+' | '/') => "; this looks like base64",
        ("base64" | "base64url", '%') => "; decode it as url first",
        _ => "",
    }
}

fn url(text: &str) -> Result<String, String> {
    let digits = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    for (at, _) in text.match_indices('%') {
        if !digits(at + 1) || !digits(at + 2) {
            return Err(format!(
                "at {}: after % two hexadecimal digits must follow; a % itself is written %25",
                place(text, at)
            ));
        }
    }
    readable(percent_decode_str(text).collect())
}

fn readable(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let shown = HEXLOWER.encode(&bytes[..bytes.len().min(MAX_SHOWN_BYTES)]);
        let more = if bytes.len() > MAX_SHOWN_BYTES { "…" } else { "" };
        format!(
            "the {} decoded bytes are no UTF-8 text (from byte {} on); in hex they are {shown}{more}",
            bytes.len(),
            error.utf8_error().valid_up_to() + 1
        )
    })
}
