//! Requests of plugins. There is this one way out for all of them, whatever language they are written
//! in: the host must be granted, and so must the address that its name stands for when it is not a
//! public one. Each redirect is checked like the first request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url, redirect};

use crate::rights::{Right, Rights};

/// The most redirects of one request.
const MAX_REDIRECTS: usize = 5;
/// The most that is sent, in bytes.
pub(crate) const MAX_SENT_BYTES: usize = 16 << 20;
/// The most of an answer that is read, in bytes.
pub(crate) const MAX_BODY_BYTES: u64 = 16 << 20;
/// The most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that the host sets, or that would let a request be taken for another one.
const OWN_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-authorization",
];

/// Headers that do not follow a redirect to another host.
const PRIVATE_HEADERS: [&str; 3] = ["authorization", "cookie", "www-authenticate"];

/// A header that the host completes with a secret.
pub(crate) struct SecretHeader {
    pub name: String,
    pub prefix: String,
    pub secret: String,
}

/// What a plugin asks for.
pub(crate) struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub secrets: Vec<SecretHeader>,
    pub body: Vec<u8>,
    pub max_bytes: u64,
}

/// How long is waited. All of it ends with the call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Patience {
    /// For a connection; at most [`CONNECT_TIMEOUT`].
    pub connect: Option<Duration>,
    /// Between two parts of an answer.
    pub between: Option<Duration>,
}

/// What came back.
pub(crate) struct Response {
    pub status: u16,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub is_cut: bool,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    Denied(String),
    Invalid(String),
    Unreachable(String),
    Insecure(String),
}

impl Failure {
    /// The reason.
    pub(crate) fn words(&self) -> &str {
        let (Self::Denied(why) | Self::Invalid(why) | Self::Unreachable(why) | Self::Insecure(why)) = self;
        why
    }
}

/// Sends a request, as far as these rights go, and follows redirects. It can be dropped at any time.
pub(crate) async fn send(
    request: Request,
    rights: &Rights,
    secret: &(dyn Fn(&str) -> Option<String> + Sync),
) -> Result<Response, Failure> {
    let mut method = method(&request.method)?;
    let mut url = url(&request.url)?;
    let mut headers = headers(&request.headers)?;
    let mut body = request.body;
    if body.len() > MAX_SENT_BYTES {
        return Err(too_much_sent());
    }
    let first = origin(&url);
    for _ in 0..=MAX_REDIRECTS {
        let (place, client) = way_out(&url, rights, Patience::default()).await?;
        let mut sent = headers.clone();
        let is_first = origin(&url) == first;
        if !is_first {
            PRIVATE_HEADERS.iter().for_each(|name| drop(sent.remove(*name)));
        }
        for header in &request.secrets {
            match place.secret(header, rights, secret) {
                Ok((name, value)) => drop(sent.insert(name, value)),
                // It stays behind where a redirect leads to a host that may not have it.
                Err(_) if !is_first => {}
                Err(failure) => return Err(failure),
            }
        }
        let asked = client.request(method.clone(), url.clone()).headers(sent).body(body.clone());
        let answer = asked.send().await.map_err(|error| failed(&url, &error))?;
        let Some(next) = next(&answer, &url)? else {
            return read(answer, request.max_bytes.min(MAX_BODY_BYTES)).await;
        };
        if matches!(
            answer.status(),
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER
        ) && method != Method::HEAD
        {
            method = Method::GET;
            body.clear();
            headers.remove("content-type");
        }
        url = next;
    }
    Err(Failure::Unreachable(format!("{first} redirected more than {MAX_REDIRECTS} times")))
}

/// Sends one request, as far as these rights go, and gives the answer whatever it is: a redirect too.
/// Headers that the host sets are left out.
pub(crate) async fn send_once(
    method: &str,
    url: &str,
    mut headers: HeaderMap,
    body: Vec<u8>,
    rights: &Rights,
    patience: Patience,
) -> Result<reqwest::Response, Failure> {
    let (method, url) = (self::method(method)?, self::url(url)?);
    OWN_HEADERS.iter().for_each(|name| drop(headers.remove(*name)));
    if headers.len() > MAX_HEADERS {
        return Err(too_many_headers());
    }
    let (_, client) = way_out(&url, rights, patience).await?;
    let asked = client.request(method, url.clone()).headers(headers).body(body);
    asked.send().await.map_err(|error| failed(&url, &error))
}

/// The one way out: a client for the host of this URL, if requests to it are granted.
async fn way_out(url: &Url, rights: &Rights, patience: Patience) -> Result<(Place, Client), Failure> {
    let place = Place::of(url)?;
    place.is_granted(rights)?;
    let client = place.client(rights, patience).await?;
    Ok((place, client))
}

/// Whether requests to the host of this URL are granted. What it stands for is looked at when they are
/// sent.
pub(crate) fn may_request(text: &str, rights: &Rights) -> Result<(), Failure> {
    Place::of(&url(text)?)?.is_granted(rights)
}

fn url(text: &str) -> Result<Url, Failure> {
    Url::parse(text)
        .map_err(|error| Failure::Invalid(format!("{} is no URL: {error}", crate::text::one_line(text, 200))))
}

fn method(text: &str) -> Result<Method, Failure> {
    match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "OPTIONS" => Ok(Method::OPTIONS),
        other => Err(Failure::Invalid(format!("there is no method {}", crate::text::one_line(other, 20)))),
    }
}

fn headers(wanted: &[(String, Vec<u8>)]) -> Result<HeaderMap, Failure> {
    if wanted.len() > MAX_HEADERS {
        return Err(too_many_headers());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in wanted {
        let (name, value) = header(name, value)?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Why a body is not sent that has more than [`MAX_SENT_BYTES`].
pub(crate) fn too_much_sent() -> Failure {
    Failure::Invalid(format!("the body has more than {} MiB", MAX_SENT_BYTES >> 20))
}

fn too_many_headers() -> Failure {
    Failure::Invalid(format!("a request has at most {MAX_HEADERS} headers"))
}

fn header(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), Failure> {
    let odd = |what: &str| Failure::Invalid(format!("the header {} {what}", crate::text::one_line(name, 80)));
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| odd("has an odd name"))?;
    if OWN_HEADERS.contains(&parsed.as_str()) {
        return Err(odd("is set by the host"));
    }
    Ok((parsed, HeaderValue::from_bytes(value).map_err(|_| odd("has an odd value"))?))
}

/// Where a request goes.
struct Place {
    host: Host,
    port: u16,
    is_plain: bool,
}

/// A host as a URL names it.
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Place {
    fn of(url: &Url) -> Result<Self, Failure> {
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            other => return Err(Failure::Invalid(format!("{other} is neither http nor https"))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Failure::Invalid("a URL with a user or a password in it is not requested".into()));
        }
        let text = url.host_str().unwrap_or_default();
        // A URL writes each form of an address (octal, hexadecimal, one number) as the same one.
        let host = match text.trim_matches(['[', ']']).parse() {
            Ok(address) => Host::Address(address),
            Err(_) if text.is_empty() => return Err(Failure::Invalid("the URL names no host".into())),
            Err(_) => Host::Name(text.trim_end_matches('.').to_ascii_lowercase()),
        };
        let port = url.port_or_known_default().unwrap_or(if is_plain { 80 } else { 443 });
        Ok(Self { host, port, is_plain })
    }

    fn name(&self) -> String {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
        }
    }

    fn with_port(&self) -> String {
        format!("{}:{}", self.name(), self.port)
    }

    /// As a person would grant it.
    fn shown(&self) -> String {
        let is_usual = self.port == if self.is_plain { 80 } else { 443 };
        if is_usual { self.name() } else { self.with_port() }
    }

    fn is_granted(&self, rights: &Rights) -> Result<(), Failure> {
        if rights.allow(&Right::Net(self.with_port())) {
            return Ok(());
        }
        let host = self.shown();
        Err(Failure::Denied(format!("requests to {host} are not granted (net:{host})")))
    }

    /// A client that can reach this host alone, by the addresses that were just checked: a name that
    /// stands for others a moment later changes nothing.
    async fn client(&self, rights: &Rights, patience: Patience) -> Result<Client, Failure> {
        let mut client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .connect_timeout(patience.connect.unwrap_or(CONNECT_TIMEOUT).min(CONNECT_TIMEOUT))
            .user_agent(concat!("lucid/", env!("CARGO_PKG_VERSION")));
        if let Some(between) = patience.between {
            client = client.read_timeout(between);
        }
        if let Host::Name(name) = &self.host {
            let found = tokio::net::lookup_host((name.as_str(), self.port));
            let found = found.await.map_err(|error| {
                Failure::Unreachable(format!(
                    "{name} was not found: {}",
                    crate::text::one_line(&error.to_string(), 200)
                ))
            })?;
            let found: Vec<SocketAddr> = found.collect();
            let may = |address: &&SocketAddr| {
                is_public(address.ip()) || rights.allow(&Right::Net(address.to_string()))
            };
            let open: Vec<SocketAddr> = found.iter().filter(may).copied().collect();
            if open.is_empty() {
                let address = found.first().map_or_else(String::new, ToString::to_string);
                let why = "which is not on the public network; such addresses are granted one by one";
                return Err(Failure::Denied(format!("{name} stands for {address}, {why} (net:{address})")));
            }
            client = client.resolve_to_addrs(name, &open);
        }
        client.build().map_err(|error| Failure::Unreachable(format!("no request can be made: {error}")))
    }

    fn secret(
        &self,
        wanted: &SecretHeader,
        rights: &Rights,
        secret: &(dyn Fn(&str) -> Option<String> + Sync),
    ) -> Result<(HeaderName, HeaderValue), Failure> {
        let right = Right::Secret { name: wanted.secret.clone(), host: self.with_port() };
        if !rights.allow(&right) {
            let (name, host) = (crate::text::one_line(&wanted.secret, 80), self.shown());
            return Err(Failure::Denied(format!(
                "the secret {name} may not go to {host} (secret:{name}@{host})"
            )));
        }
        if self.is_plain && !matches!(self.host, Host::Address(address) if address.is_loopback()) {
            return Err(Failure::Denied("a secret is only sent by https".into()));
        }
        let value = secret(&wanted.secret).ok_or_else(|| {
            Failure::Denied(format!("there is no secret {}", crate::text::one_line(&wanted.secret, 80)))
        })?;
        let (name, mut value) = header(&wanted.name, format!("{}{value}", wanted.prefix).as_bytes())?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

/// Scheme, host and port.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Where an answer redirects to.
fn next(answer: &reqwest::Response, from: &Url) -> Result<Option<Url>, Failure> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(place) = answer.headers().get("location") else { return Ok(None) };
    let odd = || Failure::Unreachable(format!("{} redirects to what is no URL", origin(from)));
    let place = place.to_str().map_err(|_| odd())?;
    let url = from.join(place).map_err(|_| odd())?;
    if from.scheme() == "https" && url.scheme() == "http" {
        return Err(Failure::Insecure(format!("{} redirects from https to http", origin(from))));
    }
    Ok(Some(url))
}

async fn read(mut answer: reqwest::Response, at_most: u64) -> Result<Response, Failure> {
    let (status, url) = (answer.status().as_u16(), answer.url().to_string());
    let headers = answer.headers().clone();
    let at_most = usize::try_from(at_most).unwrap_or(usize::MAX);
    let (mut body, mut is_cut) = (Vec::new(), false);
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) => {
                let room = at_most - body.len();
                body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                if chunk.len() > room {
                    is_cut = true;
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => return Err(failed(answer.url(), &error)),
        }
    }
    Ok(Response { status, url, headers, body, is_cut })
}

/// Why a request failed, in one line and without what stands behind the host in its URL.
fn failed(url: &Url, error: &reqwest::Error) -> Failure {
    let (reason, is_tls) = told(error);
    let message = format!("{}: {reason}", origin(url));
    if is_tls { Failure::Insecure(message) } else { Failure::Unreachable(message) }
}

/// Why a request failed, in one line.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    told(error).0
}

/// The innermost reason, and whether it is one of TLS.
fn told(error: &reqwest::Error) -> (String, bool) {
    let mut reasons = Vec::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = source {
        reasons.push(error.to_string());
        source = error.source();
    }
    if let Some(words) = reasons.iter().find_map(|reason| untrusted(reason)) {
        return (words.to_owned(), true);
    }
    let last = reasons.last().map_or_else(|| "the connection broke".to_owned(), Clone::clone);
    let is_tls = reasons.iter().any(|reason| {
        let reason = reason.to_ascii_lowercase();
        reason.contains("certificate") || reason.contains("tls") || reason.contains("handshake")
    });
    (crate::text::one_line(&last, 300), is_tls)
}

/// What people meet of the reasons of rustls, in plain words.
fn untrusted(reason: &str) -> Option<&'static str> {
    const WORDS: [(&str, &str); 7] = [
        ("certificate expired", "its certificate has expired"),
        ("certificate not valid yet", "its certificate is not valid yet"),
        ("certificate not valid for name", "its certificate is for another name"),
        ("UnknownIssuer", "its certificate comes from no authority that this machine trusts"),
        // What a server has that signed its certificate itself.
        ("CaUsedAsEndEntity", "its certificate comes from no authority that this machine trusts"),
        ("Revoked", "its certificate was revoked"),
        ("InvalidContentType", "it does not speak TLS"),
    ];
    WORDS.iter().find(|(sign, _)| reason.contains(sign)).map(|(_, words)| *words)
}

/// Whether an address belongs to the public internet. Sources: the special-purpose address registries
/// of IANA for IPv4 and IPv6; an address of IPv4 inside one of IPv6 counts as itself.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match inner_v4(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a == 10
        || a == 127
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    // Global unicast is 2000::/3; of it, documentation and protocol assignments are not public.
    (0x2000..0x4000).contains(&a)
        && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
        && !(a == 0x3fff && b < 0x1000)
}

/// The address of IPv4 that one of IPv6 stands for: mapped, compatible, translated (64:ff9b::/96) or
/// tunnelled (2002::/16).
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let join = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match parts {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => Some(join(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_told_from_public_ones() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for address in
            ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(public(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "127.255.0.9",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "203.0.113.7",
            "198.51.100.1",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::1",
            "::127.0.0.1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn a_place_is_what_a_url_means() {
        let shown = |url: &str| Place::of(&Url::parse(url).unwrap()).map(|place| place.shown());
        assert_eq!(shown("https://API.Example.com/x"), Ok("api.example.com".into()));
        assert_eq!(shown("https://example.com.:8443"), Ok("example.com:8443".into()));
        for disguised in ["http://0x7f.1/", "http://2130706433/", "http://0177.0.0.1/", "http://127.1/"] {
            assert_eq!(shown(disguised), Ok("127.0.0.1".into()), "{disguised}");
        }
        assert_eq!(shown("http://[::1]:80/"), Ok("[::1]".into()));
        assert!(shown("ftp://example.com").is_err() && shown("https://me:pw@example.com").is_err());
    }

    #[test]
    fn headers_of_the_host_are_not_for_plugins() {
        assert!(header("Accept", b"text/html").is_ok());
        for name in ["Host", "Content-Length", "transfer-encoding", "a b", ""] {
            assert!(header(name, b"x").is_err(), "{name:?}");
        }
        assert!(header("x", b"a\r\nb: c").is_err());
    }
}
