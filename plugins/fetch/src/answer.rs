//! What came back, as text for the model.

use crate::charset::{decoded, is_utf8};
use crate::json;
use crate::markdown;
use crate::text::{MAX_OUTPUT_BYTES, head, line, size};

/// How much of an error's body is shown, in bytes and lines.
const MAX_ERROR_BYTES: usize = 1_000;
const MAX_ERROR_LINES: usize = 12;
/// The longest type or status that is shown, in bytes.
const MAX_NAME_BYTES: usize = 100;
/// How much is looked at to tell what something without a type is, in bytes.
const HEAD_BYTES: usize = 1_024;

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As its type asks for.
    Auto,
    /// Pages as Markdown.
    Markdown,
    /// Pages as text without marks.
    Text,
    /// As it was sent.
    Raw,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status, such as 200.
    pub status: u16,
    /// Where it came from in the end.
    pub url: String,
    /// Its type, as the header says it.
    pub content_type: String,
    /// How large it is, as the header says it.
    pub length: Option<u64>,
    /// What was read of it.
    pub body: Vec<u8>,
    /// Whether it goes on.
    pub is_cut: bool,
}

/// What kind of thing a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
    Text,
    Other,
}

impl Answer {
    /// The answer to a request to `url`, as text.
    ///
    /// # Errors
    /// When the status says that it is none; with the first lines of what was sent instead.
    pub fn shown(&self, url: &str, format: Format) -> Result<String, String> {
        if !(200..300).contains(&self.status) {
            return Err(self.error());
        }
        let (text, was_cut) = self.text(format);
        let mut out = head(&text, MAX_OUTPUT_BYTES).trim_end().to_owned();
        let mut note = |note: String| {
            out.push_str(if out.is_empty() { "" } else { "\n\n" });
            out.push_str(&format!("[{note}]"));
        };
        let is_cut = was_cut || text.len() > MAX_OUTPUT_BYTES;
        if text.trim().is_empty() {
            let page = self.kind() == Kind::Html && !self.body.is_empty();
            let status = status(self.status);
            note(match page {
                true => format!("the page has no text ({status}); it may need JavaScript"),
                false => format!("the answer is empty ({status})"),
            });
        }
        if is_cut || self.is_cut {
            let all = self.length.filter(|length| *length > self.body.len() as u64);
            let of = all.map(|length| format!(" of {}", size(length))).unwrap_or_default();
            note(format!(
                "cut: the rest of the answer is not shown; {} was read{of}",
                size(self.body.len() as u64)
            ));
        }
        let same = |url: &str| url.split('#').next().unwrap_or_default().trim_end_matches('/').to_owned();
        if !self.url.is_empty() && same(&self.url) != same(url) {
            note(format!("from {}", line(&self.url, 2_000)));
        }
        Ok(out)
    }

    fn error(&self) -> String {
        let (text, _) = self.text(Format::Text);
        let lines: Vec<_> =
            text.lines().filter(|line| !line.trim().is_empty()).take(MAX_ERROR_LINES).collect();
        let body = lines.join("\n");
        let from = line(&self.url, 500);
        match head(&body, MAX_ERROR_BYTES) {
            "" => format!("{from} answered {}", status(self.status)),
            body => format!("{from} answered {}:\n{body}", status(self.status)),
        }
    }

    /// The body as text, and whether some of it was left out.
    fn text(&self, format: Format) -> (String, bool) {
        let kind = self.kind();
        if kind == Kind::Other {
            let name = line(self.media_type(), MAX_NAME_BYTES);
            let name = if name.is_empty() { "unknown type" } else { &name };
            let read = self.body.len() as u64;
            let bytes = self.length.unwrap_or(read).max(read);
            let more = if self.is_cut && self.length.is_none() { "more than " } else { "" };
            return (format!("[no text: {name}, {more}{}]", size(bytes)), false);
        }
        let label = parameter(&self.content_type, "charset");
        let text = decoded(&self.body, label.as_deref(), kind == Kind::Html);
        match (kind, format) {
            (_, Format::Raw) => (text, false),
            (Kind::Html, _) => markdown::written(&text, &self.url, format != Format::Text),
            (Kind::Json, _) => (json::pretty(&text, self.is_cut).unwrap_or(text), false),
            _ => (text, false),
        }
    }

    fn media_type(&self) -> &str {
        self.content_type.split(';').next().unwrap_or_default().trim()
    }

    fn kind(&self) -> Kind {
        let name = self.media_type().to_ascii_lowercase();
        let begin = &self.body[..self.body.len().min(HEAD_BYTES)];
        // UTF-16 holds NULs and says so at its beginning, or in the header.
        let is_utf16 = begin.starts_with(b"\xff\xfe")
            || begin.starts_with(b"\xfe\xff")
            || parameter(&self.content_type, "charset").is_some_and(|label| label.starts_with("utf-16"));
        if begin.contains(&0) && !is_utf16 {
            return Kind::Other;
        }
        match name.as_str() {
            "text/html" | "application/xhtml+xml" => Kind::Html,
            "application/json" | "text/json" => Kind::Json,
            _ if name.ends_with("+json") => Kind::Json,
            _ if name.starts_with("text/") || name.ends_with("+xml") => Kind::Text,
            "application/xml"
            | "application/javascript"
            | "application/ecmascript"
            | "application/x-javascript"
            | "application/yaml"
            | "application/x-yaml"
            | "application/toml"
            | "application/sql"
            | "application/x-ndjson"
            | "application/jsonl"
            | "application/x-sh"
            | "application/x-www-form-urlencoded" => Kind::Text,
            "" | "application/octet-stream" | "binary/octet-stream" => self.guessed(begin),
            _ => Kind::Other,
        }
    }

    fn guessed(&self, begin: &[u8]) -> Kind {
        if !is_utf8(begin) {
            return Kind::Other;
        }
        let begin = String::from_utf8_lossy(begin).to_ascii_lowercase();
        match begin.trim_start_matches('\u{feff}').trim_start() {
            begin if begin.starts_with("<!doctype html") || begin.starts_with("<html") => Kind::Html,
            begin if begin.starts_with(['{', '[']) => Kind::Json,
            _ => Kind::Text,
        }
    }
}

/// A parameter of a type, such as `charset`, in lower case.
fn parameter(content_type: &str, name: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches(['"', '\'']).to_ascii_lowercase())
    })
}

/// The status in words, where they say more than the number.
fn status(number: u16) -> String {
    let words = match number {
        204 => "nothing to send",
        301 | 302 | 303 | 307 | 308 => "moved, to where the user granted nothing or too often",
        304 => "not modified",
        400 => "bad request",
        401 => "unauthorized: it asks for a login",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        406 => "not acceptable",
        410 => "gone for good",
        415 => "unsupported media type",
        422 => "unprocessable content",
        429 => "too many requests: wait before the next",
        500 => "internal server error",
        502 => "bad gateway",
        503 => "service unavailable: try later",
        504 => "gateway timeout: try later",
        _ => return format!("HTTP {number}"),
    };
    format!("HTTP {number} ({words})")
}
