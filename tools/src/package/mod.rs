//! Getting plugins: where they come from, who signed them, and what is kept of that.

mod download;
mod error;
mod install;
mod origin;
mod pins;
mod registry;
mod signature;

pub use error::PackageError;
pub use install::{Candidate, Change, Wanted, check, install};
pub use origin::Origin;
pub use pins::{Pin, Pins};
pub use registry::{Login, Logins, Published, publish};
pub use signature::{PublicKey, SecretKey, Signature, sign};

use std::path::Path;
use std::time::Duration;

use lucid_kernel::port::CancelFlag;

/// How long a server may take to accept a connection, and between two parts of an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether the user cancelled.
const CANCEL_PAUSE: Duration = Duration::from_millis(50);

/// A component with what came with it.
#[derive(Debug, Clone)]
pub struct Package {
    /// Where it came from.
    pub origin: Origin,
    /// The component.
    pub component: Vec<u8>,
    /// The words beside it, TOML; only files have some.
    pub words: Vec<u8>,
    /// The text of its signature, when it has one.
    pub signature: Option<String>,
}

impl Package {
    /// The name that stands for a component which does not say its own.
    pub fn name(&self) -> String {
        let path = match &self.origin {
            Origin::File(path) => path.as_path(),
            Origin::Https(url) => Path::new(url.path()),
            Origin::Registry(reference) => Path::new(reference.repository()),
        };
        crate::plugin::name_of_file(path)
    }
}

/// Gets a component from where it is.
///
/// # Errors
/// When there is none, it is too large, the server does not give it, or it was cancelled.
pub fn get(
    origin: &Origin,
    logins: Logins<'_>,
    on_step: &mut dyn FnMut(&str),
    cancel: &CancelFlag,
) -> Result<Package, PackageError> {
    match origin {
        Origin::File(path) => download::read(path),
        Origin::Https(url) => block_on(cancel, download::get(url, on_step)),
        Origin::Registry(reference) => block_on(cancel, registry::pull(reference, logins, on_step)),
    }
}

/// Runs requests to their end on this thread, or until they are cancelled.
fn block_on<T>(
    cancel: &CancelFlag,
    work: impl Future<Output = Result<T, PackageError>>,
) -> Result<T, PackageError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| PackageError::Network { reason: error.to_string() })?;
    let done = runtime.block_on(async {
        tokio::select! {
            biased;
            () = cancelled(cancel) => Err(PackageError::Cancelled),
            done = work => done,
        }
    });
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    done
}

async fn cancelled(cancel: &CancelFlag) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(CANCEL_PAUSE).await;
    }
}
