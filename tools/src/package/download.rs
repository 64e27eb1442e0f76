//! Components in files and on servers, each with its signature beside it.

use std::path::Path;

use reqwest::{Client, StatusCode, Url, redirect};

use super::{CONNECT_TIMEOUT, Origin, Package, PackageError, READ_TIMEOUT, origin};
use crate::docs::{Docs, MAX_DOCS_BYTES};
use crate::files::read_bounded;
use crate::limits::MAX_COMPONENT_BYTES;

/// What a signature's name has behind that of the file: as the tool `minisign` names it.
pub(super) const SIGNATURE_ENDING: &str = "minisig";
/// The largest signature, in bytes.
pub(super) const MAX_SIGNATURE_BYTES: u64 = 8 << 10;
/// The most redirects of one request.
const MAX_REDIRECTS: usize = 5;

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Package, PackageError> {
    let beside = |path: &Path, limit| match path.is_file() {
        true => read_bounded(path, limit).map(Some),
        false => Ok(None),
    };
    let signature = beside(&path.with_added_extension(SIGNATURE_ENDING), MAX_SIGNATURE_BYTES)?;
    Ok(Package {
        origin: Origin::File(path.to_path_buf()),
        component: read_bounded(path, MAX_COMPONENT_BYTES)?,
        words: beside(&Docs::file_beside(path), MAX_DOCS_BYTES)?.unwrap_or_default(),
        signature: signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Fetches a component by its URL.
pub(super) async fn get(url: &Url, on_step: &mut dyn FnMut(&str)) -> Result<Package, PackageError> {
    let client = Client::builder()
        .redirect(redirect::Policy::custom(stays_safe))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .user_agent(concat!("lucid/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| PackageError::Network { reason: error.to_string() })?;
    on_step(&format!("fetching {url}"));
    let component = body(&client, url, MAX_COMPONENT_BYTES).await?;
    let component = component.ok_or_else(|| failed(url, "there is no such file"))?;
    let mut beside = url.clone();
    beside.set_path(&format!("{}.{SIGNATURE_ENDING}", url.path()));
    let signature = body(&client, &beside, MAX_SIGNATURE_BYTES).await?;
    // A server that answers everything with a page has no signature there.
    let signature = signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Package {
        origin: Origin::Https(url.clone()),
        component,
        words: Vec::new(),
        signature: signature.filter(|text| text.starts_with("untrusted comment:")),
    })
}

/// Follows redirects that do not leave https, and none from another machine to this one.
fn stays_safe(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let is_own = |url: &Url| origin::is_own(url.host_str().unwrap_or_default());
    let starts_here = attempt.previous().first().is_some_and(is_own);
    let may = if is_own(attempt.url()) { starts_here } else { attempt.url().scheme() == "https" };
    if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("it redirects too often")
    } else if may {
        attempt.follow()
    } else {
        attempt.error("it redirects to where plugins are not fetched from")
    }
}

/// What a server has under a URL; none when it has nothing there.
async fn body(client: &Client, url: &Url, limit_bytes: u64) -> Result<Option<Vec<u8>>, PackageError> {
    let told = |error: reqwest::Error| failed(url, &crate::net::reason(&error));
    let mut answer = client.get(url.clone()).send().await.map_err(told)?;
    if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE) {
        return Ok(None);
    }
    if !answer.status().is_success() {
        return Err(failed(url, &format!("it answered {}", answer.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        if bytes.len() as u64 + chunk.len() as u64 > limit_bytes {
            return Err(failed(url, &format!("it sends more than {} MiB", limit_bytes.div_ceil(1 << 20))));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn failed(url: &Url, reason: &str) -> PackageError {
    PackageError::Server { server: url.origin().ascii_serialization(), reason: reason.to_owned() }
}
