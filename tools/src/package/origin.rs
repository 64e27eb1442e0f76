//! Where a plugin comes from.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use oci_client::Reference;
use reqwest::Url;

use super::PackageError;

/// The front of names in registries.
const REGISTRY: &str = "oci://";

/// Where a plugin comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A component's file; absolute.
    File(PathBuf),
    /// A component on a server.
    Https(Url),
    /// An artefact in a registry of the Open Container Initiative: `oci://HOST/NAME:TAG`.
    Registry(Reference),
}

impl Origin {
    /// Reads what a user gives: a file, the folder of a plugin that was built, a URL, a name in a registry.
    ///
    /// # Errors
    /// [`PackageError::Origin`].
    pub fn parse(text: &str) -> Result<Self, PackageError> {
        let wrong = |reason: String| PackageError::Origin { text: text.to_owned(), reason };
        if let Some(name) = text.strip_prefix(REGISTRY) {
            let reference = Reference::from_str(name).map_err(|error| {
                wrong(format!("{error}; a name in a registry is {REGISTRY}HOST/NAME:TAG"))
            })?;
            let host = name.split('/').next().unwrap_or_default();
            if !host.contains(['.', ':']) && host != "localhost" {
                return Err(wrong(format!("it names no registry; write {REGISTRY}HOST/{name}")));
            }
            return Ok(Self::Registry(reference));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
            if url.scheme() == "http" && !is_own(url.host_str().unwrap_or_default()) {
                return Err(wrong(
                    "plugins are fetched by https; plain http is for this machine alone".into(),
                ));
            }
            if !url.username().is_empty() || url.password().is_some() {
                return Err(wrong(
                    "a URL with a user or a password in it would be kept; leave them out".into(),
                ));
            }
            return Ok(Self::Https(url));
        }
        if text.contains("://") {
            return Err(wrong(format!("write a file, a folder, https://…, or {REGISTRY}HOST/NAME:TAG")));
        }
        let path = std::path::absolute(text).map_err(|error| wrong(error.to_string()))?;
        if !path.is_dir() {
            return Ok(Self::File(path));
        }
        built(&path).map(Self::File).map_err(wrong)
    }

    /// Whether it can be asked again for what is newer.
    pub fn can_change(&self) -> bool {
        match self {
            Self::File(_) | Self::Https(_) => true,
            Self::Registry(reference) => reference.digest().is_none(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Https(url) => write!(f, "{url}"),
            Self::Registry(reference) => write!(f, "{REGISTRY}{}", reference.whole()),
        }
    }
}

/// The component in the folder of a plugin.
fn built(folder: &Path) -> Result<PathBuf, String> {
    let found = crate::kit::components_in(folder).map_err(|error| error.to_string())?;
    match &found[..] {
        [one] => Ok(one.clone()),
        [] => Err(format!("it holds no built plugin; run `lucid plugin build {}`", folder.display())),
        many => Err(format!("it holds {} components; name one of the files", many.len())),
    }
}

/// Whether a host is this machine.
pub(super) fn is_own(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_from_its_text() {
        let shown = |text: &str| Origin::parse(text).map(|origin| origin.to_string());
        assert_eq!(shown("oci://127.0.0.1:5000/a/b:1.0").unwrap(), "oci://127.0.0.1:5000/a/b:1.0");
        assert_eq!(shown("oci://example.com/b").unwrap(), "oci://example.com/b:latest");
        assert_eq!(shown("https://example.com/x.wasm").unwrap(), "https://example.com/x.wasm");
        assert_eq!(shown("http://localhost:80/x.wasm").unwrap(), "http://localhost/x.wasm");
        assert!(matches!(Origin::parse("x.wasm").unwrap(), Origin::File(path) if path.is_absolute()));
        for (text, part) in [
            ("http://example.com/x.wasm", "https"),
            ("https://me:secret@example.com/x.wasm", "password"),
            ("oci://alone", "names no registry"),
            ("oci://EXAMPLE.com/UPPER CASE", "HOST/NAME:TAG"),
            ("ftp://example.com/x.wasm", "write a file"),
        ] {
            let error = Origin::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_folder_stands_for_the_one_component_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let parse = || Origin::parse(folder.path().to_str().unwrap());
        assert!(parse().unwrap_err().to_string().contains("lucid plugin build"));
        std::fs::write(folder.path().join("one.wasm"), "").unwrap();
        assert_eq!(parse().unwrap(), Origin::File(folder.path().join("one.wasm")));
        std::fs::write(folder.path().join("two.wasm"), "").unwrap();
        assert!(parse().unwrap_err().to_string().contains("2 components"));
    }
}
