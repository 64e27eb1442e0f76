//! Web pages and web services, as text that a model can read.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod charset;
pub mod dom;
pub mod inline;
pub mod json;
pub mod links;
pub mod markdown;
pub mod request;
pub mod table;
pub mod text;
pub mod tree;

use answer::Answer;
use bindings::lucid::tool::http::{Failure, Header, Request, send};

/// How much of an answer is read, in bytes. A page becomes a tree, in the little memory of a
/// guest.
const MAX_READ_BYTES: u64 = 2 << 20;

lucid_plugin::plugin! {
    fn get(url: String, format: Option<Format>) -> Result<String, String> {
        let url = request::address(&url)?;
        let headers = vec![("accept".to_owned(), request::ACCEPT.to_owned())];
        let format = format.map_or(answer::Format::Auto, Into::into);
        answered("GET", &url, headers, Vec::new())?.shown(&url, format)
    }

    fn post(
        url: String,
        body: String,
        content_type: Option<String>,
        headers: Option<Vec<(String, String)>>,
    ) -> Result<String, String> {
        let url = request::address(&url)?;
        let headers = request::headers(&body, content_type.as_deref(), &headers.unwrap_or_default())?;
        answered("POST", &url, headers, body.into_bytes())?.shown(&url, answer::Format::Auto)
    }
}

fn answered(
    method: &str,
    url: &str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Result<Answer, String> {
    let response = send(&Request {
        method: method.into(),
        url: url.into(),
        headers: headers.into_iter().map(|(name, value)| Header { name, value }).collect(),
        secrets: Vec::new(),
        body,
        max_bytes: Some(MAX_READ_BYTES),
    })
    .map_err(|failure| words(&failure, url))?;
    let header = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.clone()).unwrap_or_default()
    };
    Ok(Answer {
        status: response.status,
        content_type: header("content-type"),
        length: header("content-length").trim().parse().ok(),
        url: response.url,
        body: response.body,
        is_cut: response.is_cut,
    })
}

/// Why nothing came back, and what helps.
pub fn words(failure: &Failure, url: &str) -> String {
    let host = request::host(url);
    match failure {
        Failure::Denied(why) => format!("{host} was not asked: {why}"),
        Failure::Invalid(why) => format!("the request to {host} makes no sense: {why}"),
        Failure::Unreachable(why) => {
            format!("{host} cannot be reached: {why}; check the address or try later")
        }
        Failure::Insecure(why) => format!("{host} is not trusted, so nothing was sent: {why}"),
        Failure::TimedOut => format!("{host} did not answer in time; try later, or ask for less"),
    }
}

impl From<Format> for answer::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Auto => Self::Auto,
            Format::Markdown => Self::Markdown,
            Format::Text => Self::Text,
            Format::Raw => Self::Raw,
        }
    }
}
