//! One endpoint over HTTP.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};

use crate::address::Address;
use crate::dialect::Dialect;
use crate::fault::{self, Fault};
use crate::key::Key;
use crate::spec::Timeouts;

/// How often a server may send on within itself.
const MAX_REDIRECTS: usize = 3;
/// So much of an error's body is read, in bytes.
const MAX_ERROR_BODY_BYTES: usize = 64 * 1024;
/// How long is waited for the rest of an error's body.
const ERROR_BODY_WAIT: Duration = Duration::from_secs(5);
/// A connection that nobody uses is closed after this long.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// An endpoint and what is known of it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: Address,
    authorization: Option<HeaderValue>,
    key: Option<Key>,
    client: Client,
    pub(crate) dialect: OnceLock<Dialect>,
}

impl Server {
    pub(crate) fn new(address: Address, key: Option<Key>, timeouts: &Timeouts) -> Result<Self, String> {
        let builder = Client::builder()
            .user_agent(concat!("lucid/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeouts.connect)
            .pool_idle_timeout(POOL_IDLE)
            .redirect(redirect::Policy::custom(within_itself));
        // What goes to this machine must not go out to a proxy.
        let builder = if address.is_loopback() { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(reason_of)?;
        Ok(Self {
            authorization: key.as_ref().and_then(Key::header),
            address,
            key,
            client,
            dialect: OnceLock::new(),
        })
    }

    pub(crate) fn host(&self) -> String {
        self.address.host().to_owned()
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect.get().copied().unwrap_or(Dialect::Other)
    }

    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        let request = self.client.request(method, url);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// Sends, and gives what came when it is no refusal.
    pub(crate) async fn send(&self, request: RequestBuilder, wait: Duration) -> Result<Response, Fault> {
        let sent = tokio::time::timeout(wait, request.send()).await.map_err(|_| Fault::Silent {
            host: self.host(),
            when: "after the request",
            waited: wait,
            setting: "first_byte",
        })?;
        let response =
            sent.map_err(|error| Fault::Unreachable { host: self.host(), reason: reason_of(error) })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    async fn refusal(&self, response: Response) -> Fault {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        if response.status().is_redirection() {
            let to = header(LOCATION).unwrap_or("nowhere");
            return Fault::Redirected { host: self.host(), to: self.hide(&fault::cut(to)) };
        }
        let retry_after =
            header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let body = tokio::time::timeout(ERROR_BODY_WAIT, text_of(response, MAX_ERROR_BODY_BYTES)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        match fault::window_full(&body).filter(|_| matches!(status, 400 | 413 | 422)) {
            Some((prompt, window)) => Fault::WindowFull { host: self.host(), prompt, window },
            None => Fault::Refused {
                host: self.host(),
                status,
                said: self.hide(&fault::said(&body)),
                retry_after,
            },
        }
    }

    /// A server's words without the key.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.hide(text))
    }
}

/// A request may be sent on, with its key and its prompt, only to where it went already.
fn within_itself(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let origin =
        |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    let same = attempt.previous().first().is_some_and(|first| origin(first) == origin(attempt.url()));
    if keeps_method && same && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

/// The innermost cause: the outer ones only say that a request failed. Without the URL, in which
/// some people put secrets.
pub(crate) fn reason_of(error: reqwest::Error) -> String {
    let error = error.without_url();
    let timed_out = error.is_timeout();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if timed_out { "it does not take the connection in time".into() } else { cause.to_string() }
}

/// A body as text, as far as the limit.
pub(crate) async fn text_of(mut response: Response, limit: usize) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() >= limit {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
