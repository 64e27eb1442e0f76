//! Registries of the Open Container Initiative.
//!
//! A plugin is an image with one layer, as the Wasm OCI artefact layout of the CNCF says
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>), so that other tools read
//! what is published here, and the other way round. A signature is an annotation of its manifest.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lucid_kernel::port::CancelFlag;
use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OciImageManifest, OciManifest, WASM_LAYER_MEDIA_TYPE};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;
use tokio::io::AsyncWrite;

use super::download::MAX_SIGNATURE_BYTES;
use super::{CONNECT_TIMEOUT, Origin, Package, PackageError, READ_TIMEOUT, block_on, origin};
use crate::limits::MAX_COMPONENT_BYTES;
use crate::plugin::Plugin;
use crate::text::{digest, one_line};

/// The media types of the layer and of the configuration.
const LAYER: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The annotation with a signature's text, in Base64: line ends in it are not written as JSON wants.
const SIGNATURE: &str = "io.lucid.minisign";
/// The most that is kept of what a server says, and given of what a plugin says, in characters.
const MAX_REASON_CHARS: usize = 300;

/// How the user is known to a registry.
#[derive(Clone)]
pub enum Login {
    /// By a name and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// By a token.
    Token(String),
}

/// Finds the login for a registry, named by host and port; none where the user has none there.
pub type Logins<'a> = &'a dyn Fn(&str) -> Result<Option<Login>, String>;

/// What was published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Where.
    pub origin: Origin,
    /// The digest of the manifest, by which it can be had for ever.
    pub digest: String,
}

/// Gets a component from a registry.
pub(super) async fn pull(
    reference: &Reference,
    logins: Logins<'_>,
    on_step: &mut dyn FnMut(&str),
) -> Result<Package, PackageError> {
    let shown = || Origin::Registry(reference.clone()).to_string();
    let other = |reason: String| PackageError::NotAComponent { reference: shown(), reason };
    on_step(&format!("fetching {}", shown()));
    let (client, auth) = (client(reference), auth(reference, logins)?);
    let (manifest, _) =
        client.pull_manifest(reference, &auth).await.map_err(|error| failed(reference, &error))?;
    let OciManifest::Image(manifest) = manifest else {
        return Err(other("it is a list of images for different machines".into()));
    };
    let layer = match &manifest.layers[..] {
        [layer] if [LAYER, WASM_LAYER_MEDIA_TYPE].contains(&layer.media_type.as_str()) => layer,
        layers => {
            let types: Vec<String> = layers.iter().map(|it| one_line(&it.media_type, 80)).collect();
            return Err(other(format!("its layers are {}, not one {LAYER}", types.join(", "))));
        }
    };
    let mut component = Bounded::default();
    client.pull_blob(reference, layer, &mut component).await.map_err(|error| failed(reference, &error))?;
    let annotations = manifest.annotations.unwrap_or_default();
    let signature = annotations.get(SIGNATURE).filter(|text| text.len() as u64 <= MAX_SIGNATURE_BYTES);
    let signature = signature.and_then(|text| BASE64_STANDARD.decode(text).ok());
    Ok(Package {
        origin: Origin::Registry(reference.clone()),
        component: component.0,
        words: Vec::new(),
        signature: signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    })
}

/// Publishes a component under a name in a registry.
///
/// # Errors
/// When the registry does not take it.
pub fn publish(
    plugin: &Plugin,
    component: Vec<u8>,
    signature: Option<&str>,
    to: &Origin,
    logins: Logins<'_>,
    cancel: &CancelFlag,
) -> Result<Published, PackageError> {
    let Origin::Registry(reference) = to else {
        let reason = "plugins are published in registries: oci://HOST/NAME:TAG".to_owned();
        return Err(PackageError::Origin { text: to.to_string(), reason });
    };
    if reference.digest().is_some() {
        let reason = "a digest is what publishing gives; write a tag, :1.0".to_owned();
        return Err(PackageError::Origin { text: to.to_string(), reason });
    }
    let config = config(plugin, &component);
    let layers = [ImageLayer::new(component, LAYER.to_owned(), None)];
    let manifest = OciImageManifest::build(&layers, &config, Some(annotations(plugin, signature)));
    let digest = block_on(cancel, async {
        let (client, auth) = (client(reference), auth(reference, logins)?);
        let told = |error: OciDistributionError| failed(reference, &error);
        client.push(reference, &layers, config, &auth, Some(manifest)).await.map_err(told)?;
        client.fetch_manifest_digest(reference, &auth).await.map_err(told)
    })?;
    Ok(Published { origin: to.clone(), digest })
}

/// What the layout says of a component. Without a time, so that the same component is the same image.
fn config(plugin: &Plugin, component: &[u8]) -> Config {
    let exports: Vec<&str> = plugin.functions.iter().map(|function| function.export.as_str()).collect();
    let config = json!({
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [format!("sha256:{}", digest(component))],
        "component": { "exports": exports, "imports": plugin.imports, "target": null },
    });
    Config::new(config.to_string().into_bytes(), CONFIG.to_owned(), None)
}

fn annotations(plugin: &Plugin, signature: Option<&str>) -> BTreeMap<String, String> {
    let mut annotations =
        BTreeMap::from([("org.opencontainers.image.title".to_owned(), plugin.name.clone())]);
    let mut add = |key: &str, value: Option<&str>| {
        let value = value.filter(|value| !value.is_empty());
        value.map(|value| annotations.insert(key.to_owned(), one_line(value, MAX_REASON_CHARS)));
    };
    add("org.opencontainers.image.version", plugin.version.as_deref());
    add("org.opencontainers.image.description", Some(&plugin.description));
    if let Some(text) = signature {
        annotations.insert(SIGNATURE.to_owned(), BASE64_STANDARD.encode(text));
    }
    annotations
}

/// A client that speaks https with all registries but those of this machine.
fn client(reference: &Reference) -> Client {
    let registry = reference.resolve_registry();
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    let plain = if origin::is_own(host) { vec![registry.to_owned()] } else { Vec::new() };
    Client::new(ClientConfig {
        protocol: ClientProtocol::HttpsExcept(plain),
        connect_timeout: Some(CONNECT_TIMEOUT),
        read_timeout: Some(READ_TIMEOUT),
        user_agent: concat!("lucid/", env!("CARGO_PKG_VERSION")),
        ..ClientConfig::default()
    })
}

/// Who the user is to a registry.
fn auth(reference: &Reference, logins: Logins<'_>) -> Result<RegistryAuth, PackageError> {
    let registry = reference.resolve_registry();
    match logins(registry) {
        Ok(None) => Ok(RegistryAuth::Anonymous),
        Ok(Some(Login::Password { user, password })) => Ok(RegistryAuth::Basic(user, password)),
        Ok(Some(Login::Token(token))) => Ok(RegistryAuth::Bearer(token)),
        Err(reason) => Err(PackageError::Server {
            server: registry.to_owned(),
            reason: format!("your login cannot be read: {}", one_line(&reason, MAX_REASON_CHARS)),
        }),
    }
}

/// Why a registry did not do what it was asked.
fn failed(reference: &Reference, error: &OciDistributionError) -> PackageError {
    let reason = match error {
        OciDistributionError::RequestError(error) => crate::net::reason(error),
        OciDistributionError::ImageManifestNotFoundError(_) => {
            format!("it has no {}", reference.whole())
        }
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_)
        | OciDistributionError::ServerError { code: 401 | 403, .. } => {
            "it does not let you do that; log in with `docker login` or a tool like it".to_owned()
        }
        OciDistributionError::RegistryError { envelope, .. } => {
            let said = envelope.errors.first().map(|error| format!("{:?}: {}", error.code, error.message));
            said.unwrap_or_else(|| "it refused without a reason".to_owned())
        }
        OciDistributionError::IoError(error) => error.to_string(),
        other => other.to_string(),
    };
    PackageError::Server {
        server: reference.resolve_registry().to_owned(),
        reason: one_line(&reason, MAX_REASON_CHARS),
    }
}

/// Takes no more than a component may have, whatever a manifest says of its size.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0.len() as u64 + bytes.len() as u64 > MAX_COMPONENT_BYTES {
            let limit = MAX_COMPONENT_BYTES >> 20;
            return Poll::Ready(Err(io::Error::other(format!("it sends more than {limit} MiB"))));
        }
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
