//! One file over HTTP into the store: resumed, checked for space, hashed while it comes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::{ErrorKind, Response};

use super::error::{Stop, StoreError};
use super::hash;
use super::progress::bytes_text;
use super::pull::Fetched;
use super::space::{self, FreeSpace};

/// How long a connection may take.
const CONNECT_TIMEOUT_S: u64 = 5;

/// How long the other side may say nothing in the middle of a transfer.
const READ_TIMEOUT_S: u64 = 30;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 8;

/// How often a transfer that broke is taken up again without a byte in between.
const MAX_TRIES: usize = 3;

/// Characters of the SHA-256 that name the growing file.
const NAME_CHARS: usize = 16;

/// Says who asks.
const USER_AGENT: &str = concat!("lucid/", env!("CARGO_PKG_VERSION"));

/// Asks the hub.
pub(super) struct Agent {
    agent: ureq::Agent,
    token: Option<String>,
}

impl Agent {
    pub(super) fn new(token: Option<String>, proxy_from_env: bool) -> Self {
        let agent = ureq::AgentBuilder::new()
            // Followed by hand: the headers on the way count, and the token must not travel on.
            .redirects(0)
            .timeout_connect(Duration::from_secs(CONNECT_TIMEOUT_S))
            .timeout_read(Duration::from_secs(READ_TIMEOUT_S))
            .try_proxy_from_env(proxy_from_env)
            .user_agent(USER_AGENT)
            .build();
        Self { agent, token }
    }

    /// A short text.
    pub(super) fn text(&self, address: &str, max_bytes: u64) -> Result<String, Stop> {
        let (response, _) = self.get(address, None)?;
        let mut text = String::new();
        let read = response.into_reader().take(max_bytes).read_to_string(&mut text);
        read.map_err(|error| Stop::reason(format!("the answer broke off: {error}")))?;
        Ok(text)
    }

    fn get(&self, address: &str, range: Option<&str>) -> Result<(Response, Linked), Stop> {
        let mut linked = Linked::default();
        let mut at = address.to_string();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&at).set("Accept-Encoding", "identity");
            if let Some(range) = range {
                request = request.set("Range", range);
            }
            if let Some(token) = self.token.as_ref().filter(|_| origin(&at) == origin(address)) {
                request = request.set("Authorization", &format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| refused(&error))?;
            linked.learn(&response);
            if !(300..400).contains(&response.status()) {
                return Ok((response, linked));
            }
            let location = response.header("Location");
            let next = location.and_then(|location| join(&at, location));
            at = next.ok_or_else(|| Stop::reason("the hub redirects to an address that cannot be used"))?;
        }
        Err(Stop::reason(format!("the hub redirects more than {MAX_REDIRECTS} times")))
    }
}

/// What the hub says of a large file on the way to it.
#[derive(Debug, Default)]
struct Linked {
    sha256: Option<String>,
}

impl Linked {
    fn learn(&mut self, response: &Response) {
        // Source: huggingface_hub, `constants.py`: the linked ETag of a large file is its SHA-256.
        let etag = response.header("X-Linked-Etag").or_else(|| response.header("ETag"));
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_lowercase());
        if self.sha256.is_none() {
            self.sha256 = etag.filter(|etag| hash::is_sha256(etag));
        }
    }
}

/// A file to fetch.
pub(super) struct Transfer {
    pub agent: Agent,
    pub address: String,
    /// Where the growing file stands.
    pub folder: PathBuf,
    /// Its size, if known.
    pub bytes: Option<u64>,
    /// Its SHA-256, if known; otherwise the one that the hub states.
    pub sha256: Option<String>,
    pub free_space: FreeSpace,
}

impl Transfer {
    /// Fetches the file. `tell` gets the bytes done and the total.
    pub(super) fn run(
        &self,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Fetched, Stop> {
        let (sha256, bytes) = self.look()?;
        let mut growing = Growing::open(&self.folder, &sha256, bytes)?;
        tell(growing.done, Some(bytes));
        space::check(&self.folder, bytes - growing.done, self.free_space)?;
        growing.rehash(stop)?;
        let mut tries = 0;
        while growing.done < bytes {
            let before = growing.done;
            let result = self.go_on(&mut growing, bytes, stop, tell);
            tries = if growing.done > before { 0 } else { tries + 1 };
            match result {
                Ok(()) => {}
                Err(Stop::Reason { .. }) if tries < MAX_TRIES => {}
                Err(Stop::Reason { reason, hint }) => {
                    let (done, all) = (bytes_text(growing.done), bytes_text(bytes));
                    return Err(Stop::Reason { reason: format!("{reason} (after {done} of {all})"), hint });
                }
                Err(other) => return Err(other),
            }
        }
        growing.finish(&sha256)
    }

    /// The SHA-256 and size of the file, asked with a request for its first byte.
    fn look(&self) -> Result<(String, u64), Stop> {
        let (response, linked) = self.agent.get(&self.address, Some("bytes=0-0"))?;
        let size =
            total(&response).ok_or_else(|| Stop::reason("the hub does not say how large the file is"))?;
        if let Some(expected) = self.bytes.filter(|expected| *expected != size) {
            return Err(Stop::reason(format!("its file has {size} bytes, {expected} were expected")));
        }
        match (&self.sha256, linked.sha256) {
            (Some(expected), Some(found)) if *expected != found => {
                Err(Stop::reason(format!("its file has the SHA-256 {found}, {expected} was expected")))
            }
            (Some(expected), _) => Ok((expected.clone(), size)),
            (None, Some(found)) => Ok((found, size)),
            (None, None) => {
                Err(Stop::reason("it states no SHA-256 for the file, so it could not be checked"))
            }
        }
    }

    /// Fetches from where the growing file ends, until its end or a failure.
    fn go_on(
        &self,
        growing: &mut Growing,
        bytes: u64,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<(), Stop> {
        let (response, _) = self.agent.get(&self.address, Some(&format!("bytes={}-", growing.done)))?;
        if first(&response) != growing.done {
            growing.start_over()?;
        }
        if first(&response) != growing.done {
            return Err(Stop::reason("it sends another range than the one asked for"));
        }
        let mut reader = response.into_reader().take(bytes - growing.done);
        let mut chunk = vec![0; hash::CHUNK_BYTES / 8];
        while growing.done < bytes {
            if stop.load(Ordering::Acquire) {
                return Err(Stop::Cancelled);
            }
            match reader.read(&mut chunk) {
                Ok(0) => return Err(Stop::reason("the connection ended early")),
                Ok(read) => growing.append(&chunk[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Stop::reason(format!("the connection broke: {error}"))),
            }
            tell(growing.done, Some(bytes));
        }
        Ok(())
    }
}

/// The file while it grows. Its name has a piece of its SHA-256, so that a file that changed
/// on the hub is never continued with another's bytes.
struct Growing {
    file: File,
    path: PathBuf,
    done: u64,
    hasher: Sha256,
}

impl Growing {
    fn open(folder: &std::path::Path, sha256: &str, bytes: u64) -> Result<Self, Stop> {
        let path = folder.join(format!("hub-{}.part", &sha256[..NAME_CHARS]));
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(Stop::write("open", &path))?;
        let done = file.metadata().map_err(StoreError::io("look at", &path))?.len();
        let mut growing = Self { file, path, done, hasher: Sha256::new() };
        if done > bytes {
            growing.start_over()?;
        }
        Ok(growing)
    }

    fn rehash(&mut self, stop: &AtomicBool) -> Result<(), Stop> {
        self.file.seek(SeekFrom::Start(0)).map_err(StoreError::io("read", &self.path))?;
        let stopped = || stop.load(Ordering::Acquire);
        let read = hash::feed(&mut self.file, self.done, &mut [&mut self.hasher], &mut |_| {}, &stopped);
        read.map_err(StoreError::io("read", &self.path))?.ok_or(Stop::Cancelled)?;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.file.write_all(bytes).map_err(Stop::write("write", &self.path))?;
        self.hasher.update(bytes);
        self.done += bytes.len() as u64;
        Ok(())
    }

    fn start_over(&mut self) -> Result<(), Stop> {
        self.file.set_len(0).map_err(StoreError::io("shorten", &self.path))?;
        self.file.seek(SeekFrom::Start(0)).map_err(StoreError::io("shorten", &self.path))?;
        self.done = 0;
        self.hasher = Sha256::new();
        Ok(())
    }

    fn finish(self, expected: &str) -> Result<Fetched, Stop> {
        let Self { file, path, hasher, .. } = self;
        drop(file);
        let found = hash::hex(hasher);
        if found == expected {
            return Ok(Fetched { path, sha256: found });
        }
        fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        Err(Stop::reason(format!(
            "what came has the SHA-256 {found}, {expected} was expected; it was thrown away"
        )))
    }
}

/// The whole size, from `Content-Range: bytes 0-0/SIZE`, or from the length of a whole answer.
fn total(response: &Response) -> Option<u64> {
    match response.header("Content-Range") {
        Some(range) => range.rsplit('/').next()?.trim().parse().ok(),
        None => response.header("Content-Length")?.trim().parse().ok(),
    }
}

/// The first byte that an answer holds.
fn first(response: &Response) -> u64 {
    let range = response.header("Content-Range").and_then(|range| range.trim().strip_prefix("bytes "));
    range.and_then(|range| range.split('-').next()?.trim().parse().ok()).unwrap_or(0)
}

/// Scheme and host of an address.
fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find(['/', '?', '#']).map_or(address.len(), |at| host + at);
    &address[..end]
}

/// Where a redirect leads; none when that is nowhere, or out of an encrypted connection.
fn join(from: &str, location: &str) -> Option<String> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(format!("{}{location}", origin(from)));
    }
    let safe =
        location.starts_with("https://") || (location.starts_with("http://") && from.starts_with("http://"));
    safe.then(|| location.to_string())
}

fn refused(error: &ureq::Error) -> Stop {
    let reason = match error {
        ureq::Error::Status(401 | 403, _) => "it wants a permission (set HF_TOKEN)".to_string(),
        ureq::Error::Status(404, _) => "it has no such file".to_string(),
        ureq::Error::Status(429, _) => "it is asked too often; try again later".to_string(),
        ureq::Error::Status(code, _) => format!("it answers with HTTP status {code}"),
        ureq::Error::Transport(transport) => {
            let cause = std::error::Error::source(transport).map(ToString::to_string);
            let message = cause.or_else(|| transport.message().map(Into::into)).unwrap_or_default();
            match transport.kind() {
                ErrorKind::Dns => format!("its name cannot be looked up: {message}"),
                ErrorKind::ConnectionFailed => format!("no connection: {message}"),
                kind => format!("{kind}: {message}"),
            }
        }
    };
    Stop::reason(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_stay_safe() {
        for (from, to, expect) in [
            ("https://a.b/c/d?x", "/e", Some("https://a.b/e")),
            ("https://a.b/c", "https://f/g", Some("https://f/g")),
            ("http://a:80", "/x", Some("http://a:80/x")),
            ("https://a.b/c", "http://f/g", None),
            ("https://a.b/c", "//f/g", None),
            ("https://a.b/c", "file:///etc/passwd", None),
            ("https://a.b/c", "", None),
        ] {
            assert_eq!(join(from, to).as_deref(), expect, "{from} {to}");
        }
        assert_eq!(origin("https://a.b?x/y"), "https://a.b");
    }
}
