//! Where an endpoint is: the URL as people give it, with or without `/v1`.

use std::net::IpAddr;

use reqwest::Url;

/// Why a URL cannot be used. The texts say what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadUrl {
    /// It does not parse, or is not HTTP.
    #[error("{url:?} is no URL of an endpoint; write it like http://localhost:8080 or https://host/v1")]
    NotHttp {
        /// What was given.
        url: String,
    },
    /// It holds a user or a password.
    #[error("the URL of {host} holds a user name or password; give the key as `key` instead")]
    Credentials {
        /// The host.
        host: String,
    },
    /// It ends in a query or fragment.
    #[error("{url:?} must end with its path; leave out what follows `?` or `#`")]
    Query {
        /// What was given.
        url: String,
    },
}

/// Checks a URL without asking anybody.
///
/// # Errors
/// What is wrong, and how URLs are written.
pub fn check_url(text: &str) -> Result<(), String> {
    Address::parse(text).map(drop).map_err(|error| error.to_string())
}

/// A checked URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Ends in the version: `…/v1`.
    api: String,
    /// Without the version: where servers have their own paths.
    root: String,
    host: String,
    loopback: bool,
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, BadUrl> {
        let not_http = || BadUrl::NotHttp { url: text.to_owned() };
        let mut url = Url::parse(text.trim()).map_err(|_| not_http())?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(not_http)?.to_owned();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(not_http());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadUrl::Credentials { host });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BadUrl::Query { url: text.to_owned() });
        }
        let path = url.path().trim_end_matches('/').trim_end_matches("/chat/completions").to_owned();
        url.set_path("");
        let origin = url.as_str().trim_end_matches('/').to_owned();
        let api = if path.split('/').any(is_version) {
            format!("{origin}{path}")
        } else {
            format!("{origin}{path}/v1")
        };
        let root = api.strip_suffix("/v1").unwrap_or(&api).to_owned();
        let loopback = is_loopback(&host);
        let host = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        Ok(Self { api, root, host, loopback })
    }

    /// A path of the common interface, such as `/models`.
    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    /// A path of the server's own.
    pub(crate) fn own(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    /// The host, with the port when it is not the scheme's own.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether what is sent there stays on this machine.
    pub(crate) const fn is_loopback(&self) -> bool {
        self.loopback
    }
}

/// `v1`, `v1beta`, `v3`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{Address, BadUrl};

    #[test]
    fn urls_are_taken_as_people_give_them() {
        for (given, models, props) in [
            ("http://localhost:8080", "http://localhost:8080/v1/models", "http://localhost:8080/props"),
            ("http://localhost:8080/", "http://localhost:8080/v1/models", "http://localhost:8080/props"),
            ("http://localhost:8080/v1", "http://localhost:8080/v1/models", "http://localhost:8080/props"),
            ("http://h/v1/", "http://h/v1/models", "http://h/props"),
            ("https://h/v1/chat/completions", "https://h/v1/models", "https://h/props"),
            ("https://h/api", "https://h/api/v1/models", "https://h/api/props"),
            ("https://h/v1beta/openai", "https://h/v1beta/openai/models", "https://h/v1beta/openai/props"),
        ] {
            let address = Address::parse(given).unwrap();
            assert_eq!((address.api("/models").as_str(), address.own("/props").as_str()), (models, props));
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for bad in ["", "localhost:8080", "ftp://h/v1", "http://", "/v1", "unix:/run/x"] {
            assert!(matches!(Address::parse(bad), Err(BadUrl::NotHttp { .. })), "{bad}");
        }
        let error = Address::parse("https://me:secret@h/v1").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(matches!(Address::parse("https://h/v1?x=1"), Err(BadUrl::Query { .. })));
    }

    #[test]
    fn what_stays_on_this_machine_is_known() {
        let stays = |url| Address::parse(url).unwrap().is_loopback();
        assert!(stays("http://localhost:1/v1") && stays("http://127.0.0.2") && stays("http://[::1]:5"));
        assert!(!stays("http://localhost.example.org") && !stays("http://10.0.0.1") && !stays("https://h"));
        assert_eq!(Address::parse("https://h.example:8443/v1").unwrap().host(), "h.example:8443");
        assert_eq!(Address::parse("https://h.example/v1").unwrap().host(), "h.example");
    }
}
