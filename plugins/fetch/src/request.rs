//! What is asked for, checked before it is sent.

use crate::links::Base;
use crate::text::line;

/// The longest address, in bytes.
const MAX_URL_BYTES: usize = 8_000;
/// The most that is sent, in bytes.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The most headers, and the longest value of one, in bytes.
const MAX_HEADERS: usize = 40;
const MAX_VALUE_BYTES: usize = 4_096;
/// Headers that say how a request is sent, which is not for the model to say.
const RESERVED: [&str; 8] =
    ["connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"];

/// What [`crate::bindings`] sends for a `get`: pages first.
pub const ACCEPT: &str = "text/html, application/json;q=0.9, text/*;q=0.8, */*;q=0.5";

/// An address as it can be sent: with a scheme, without a fragment and spaces.
///
/// # Errors
/// When it is none of the web.
pub fn address(url: &str) -> Result<String, String> {
    let url = url.trim().trim_start_matches('<').trim_end_matches('>');
    let wrong = |why: &str| {
        format!("{:?} is no address: {why}; write one such as https://example.org/page", line(url, 200))
    };
    if url.len() > MAX_URL_BYTES {
        return Err(wrong("it is too long"));
    }
    if url.chars().any(char::is_control) {
        return Err(wrong("it holds control characters"));
    }
    let has_scheme = url.split(['/', '?', '#']).next().is_some_and(|begin| begin.ends_with(':'));
    let url = if has_scheme { url.to_owned() } else { format!("https://{url}") };
    let Some(base) = Base::parse(&url) else {
        return Err(wrong(if has_scheme { "only http and https are spoken" } else { "it names no host" }));
    };
    // Whatever has no scheme would look like a host otherwise.
    if !has_scheme && !base.host().contains('.') && !base.host().starts_with("localhost") {
        return Err(wrong("it names no host"));
    }
    if base.host().contains(char::is_whitespace) {
        return Err(wrong("its host has spaces"));
    }
    let whole = url.split('#').next().unwrap_or_default();
    Ok(whole.replace(' ', "%20"))
}

/// The host of an address, for messages.
pub fn host(url: &str) -> String {
    Base::parse(url).map_or_else(|| line(url, 200), |base| line(base.host(), 200))
}

/// The headers of a `post`, with the type of its body.
///
/// # Errors
/// When the body is too large or a header cannot be sent.
pub fn headers(
    body: &str,
    content_type: Option<&str>,
    more: &[(String, String)],
) -> Result<Vec<(String, String)>, String> {
    if body.len() > MAX_BODY_BYTES {
        return Err(format!("the body has {} bytes; at most {MAX_BODY_BYTES} are sent", body.len()));
    }
    if more.len() > MAX_HEADERS {
        return Err(format!("there are {} headers; at most {MAX_HEADERS} are sent", more.len()));
    }
    let is_json = body.trim_start().starts_with(['{', '[']);
    let guessed = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let named = more.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let mut all: Vec<(String, String)> = vec![("accept".into(), ACCEPT.into())];
    if content_type.is_some() || !named {
        all.push(("content-type".into(), content_type.unwrap_or(guessed).into()));
    }
    let replaced = |name: &str| content_type.is_some() && name.eq_ignore_ascii_case("content-type");
    all.extend(more.iter().filter(|(name, _)| !replaced(name)).cloned());
    for (name, value) in &all {
        let shown = line(name, 100);
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(format!("{shown:?} is no name of a header"));
        }
        if RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
            return Err(format!("the header {shown} cannot be chosen; leave it out"));
        }
        if value.len() > MAX_VALUE_BYTES || value.chars().any(char::is_control) {
            return Err(format!("the value of the header {shown} is too long or holds line breaks"));
        }
    }
    if all.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept")).count() > 1 {
        all.remove(0);
    }
    Ok(all)
}
