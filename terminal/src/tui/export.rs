//! A conversation as a file: Markdown, JSON or HTML.

use std::fmt::Write as _;
use std::str::FromStr;

use lucid_kernel::abi::Citation;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Value, json};

use super::items::argument_lines;
use super::text::clean;
use super::transcript::{CallEnd, Card, Item, Transcript};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people and other programs.
    Markdown,
    /// For programs.
    Json,
    /// For a browser, in one file.
    Html,
}

impl Format {
    /// How the file's name ends.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Html => "html",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "md" | "markdown" => Ok(Self::Markdown),
            "json" => Ok(Self::Json),
            "html" => Ok(Self::Html),
            _ => Err(format!("{text} is no form to export in; write /export md, json or html")),
        }
    }
}

/// The whole conversation.
pub fn export(transcript: &Transcript, title: &str, format: Format) -> String {
    match format {
        Format::Markdown => markdown(transcript, title),
        Format::Json => {
            let items: Vec<Value> = transcript.items().iter().filter_map(object).collect();
            let whole = json!({ "session": title, "items": items });
            serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
        }
        Format::Html => html(transcript, title),
    }
}

fn markdown(transcript: &Transcript, title: &str) -> String {
    let mut out = format!("# {title}\n");
    for item in transcript.items() {
        let text = match item {
            Item::Welcome => continue,
            Item::User(text, with) => {
                let with =
                    if with.is_empty() { String::new() } else { format!(" (with {})", with.join(", ")) };
                format!("## {}{with}", clean(text).replace('\n', "\n> "))
            }
            Item::Answer(text) => clean(text).into_owned(),
            Item::Call(card) => {
                let arguments = fence(&argument_lines(&card.call));
                format!("Called `{}`:\n\n{arguments}\n\n{}", card.call.tool, ended(card))
            }
            Item::Picture(path) => format!("![picture]({})", clean(path)),
            Item::Citations(citations) => {
                let places: Vec<String> = citations.iter().map(|of| format!("- {}", place(of))).collect();
                format!("From:\n\n{}", places.join("\n"))
            }
            Item::Found(found) => {
                let places = found.iter().map(|found| format!("- {}:{}", found.path, found.lines.0));
                format!("Found:\n\n{}", places.collect::<Vec<_>>().join("\n"))
            }
            Item::Paged(_) => continue,
            Item::Note(text) => format!("*{}*", clean(text)),
            Item::Error(text) => format!("**Error:** {}", clean(text)),
        };
        // Writing into a String cannot fail.
        let _ = write!(out, "\n{text}\n");
    }
    out
}

fn ended(card: &Card) -> String {
    match &card.end {
        Some(CallEnd::Done(value, micros)) => {
            format!("It gave, after {}:\n\n{}", super::text::duration(*micros), fence(value))
        }
        Some(CallEnd::Failed(message)) => format!("It failed: {}", clean(message)),
        Some(CallEnd::Unfinished) | None => "It did not finish.".into(),
    }
}

/// Text in a fence that it cannot close.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest.max(2) + 1);
    format!("{ticks}\n{}\n{ticks}", clean(text))
}

fn place(citation: &Citation) -> String {
    format!("{}:{}-{} ({})", clean(&citation.path), citation.lines.0, citation.lines.1, citation.page)
}

fn object(item: &Item) -> Option<Value> {
    Some(match item {
        Item::Welcome | Item::Paged(_) => return None,
        Item::User(text, with) => json!({ "kind": "user", "text": text, "with": with }),
        Item::Answer(text) => json!({ "kind": "answer", "text": text }),
        Item::Call(card) => {
            let (result, error, micros) = match &card.end {
                Some(CallEnd::Done(value, micros)) => (Some(value), None, Some(micros)),
                Some(CallEnd::Failed(message)) => (None, Some(message.as_str()), None),
                Some(CallEnd::Unfinished) | None => (None, Some("not finished"), None),
            };
            json!({
                "kind": "call", "tool": card.call.tool, "arguments": card.call.arguments,
                "granted": card.granted, "result": result, "error": error, "micros": micros,
            })
        }
        Item::Picture(path) => json!({ "kind": "picture", "file": path }),
        Item::Citations(citations) => json!({ "kind": "citations", "pages": citations }),
        Item::Found(found) => {
            let pages: Vec<Value> = found
                .iter()
                .map(|found| json!({ "path": found.path, "lines": found.lines, "text": found.text }))
                .collect();
            json!({ "kind": "found", "pages": pages })
        }
        Item::Note(text) => json!({ "kind": "note", "text": text }),
        Item::Error(text) => json!({ "kind": "error", "text": text }),
    })
}

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}\
    pre{background:#8881;padding:.6em;overflow:auto;white-space:pre-wrap}\
    .user{font-weight:bold;margin-top:2em}.note,.from{color:#777}.error{color:#b00}";

fn html(transcript: &Transcript, title: &str) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!doctype html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
    );
    for item in transcript.items() {
        let (class, text) = match item {
            Item::Welcome | Item::Paged(_) => continue,
            Item::User(text, _) => ("user", escape(text)),
            Item::Answer(text) => {
                // Raw HTML of a model is shown, not carried out.
                out.push_str(&answer_html(text));
                continue;
            }
            Item::Call(card) => {
                let end = match &card.end {
                    Some(CallEnd::Done(value, _)) => value.as_str(),
                    Some(CallEnd::Failed(message)) => message.as_str(),
                    Some(CallEnd::Unfinished) | None => "not finished",
                };
                let (tool, arguments) = (escape(&card.call.tool), escape(&argument_lines(&card.call)));
                let end = escape(end);
                // Writing into a String cannot fail.
                let _ = writeln!(
                    out,
                    "<details><summary>{tool}</summary><pre>{arguments}</pre><pre>{end}</pre></details>"
                );
                continue;
            }
            Item::Picture(path) => ("from", escape(&format!("picture: {path}"))),
            Item::Citations(citations) => {
                let places: Vec<String> = citations.iter().map(|of| escape(&place(of))).collect();
                ("from", places.join("<br>"))
            }
            Item::Found(found) => {
                let places = found.iter().map(|found| escape(&format!("{}:{}", found.path, found.lines.0)));
                ("from", places.collect::<Vec<_>>().join("<br>"))
            }
            Item::Note(text) => ("note", escape(text)),
            Item::Error(text) => ("error", escape(text)),
        };
        let _ = writeln!(out, "<p class=\"{class}\">{}</p>", text.replace('\n', "<br>"));
    }
    out.push_str("</body></html>\n");
    out
}

/// An answer as HTML: what it says of HTML is shown, and links lead to the web alone.
fn answer_html(text: &str) -> String {
    let text = clean(text);
    let is_safe = |url: &str| ["https://", "http://", "mailto:"].iter().any(|scheme| url.starts_with(scheme));
    let events =
        Parser::new_ext(&text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).map(|event| {
            match event {
                Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    let dest_url = if is_safe(&dest_url) { dest_url } else { "#".into() };
                    Event::Start(Tag::Link { link_type, dest_url, title, id })
                }
                // A picture would be fetched by whoever reads the file.
                Event::Start(Tag::Image { .. }) => Event::Text("[image: ".into()),
                Event::End(TagEnd::Image) => Event::Text("]".into()),
                event => event,
            }
        });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

/// The last code in a text of Markdown.
pub fn last_code(text: &str) -> Option<String> {
    let mut found = None;
    let mut code: Option<String> = None;
    for event in Parser::new(text) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => code = Some(String::new()),
            Event::End(TagEnd::CodeBlock) => found = code.take(),
            Event::Text(text) => {
                if let Some(code) = &mut code {
                    code.push_str(&text);
                }
            }
            _ => {}
        }
    }
    found
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}
