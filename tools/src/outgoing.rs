//! The requests of a call. A plugin made for Lucid sends them by `lucid:tool/http`, one made for other
//! hosts by `wasi:http`; both go through [`crate::net`], are counted together and need the same rights.

use std::sync::Arc;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::net::{self, Failure, MAX_BODY_BYTES, MAX_SENT_BYTES, Patience};
use crate::rights::Rights;
use crate::sandbox::Words;

/// The most requests of one call.
const MAX_REQUESTS: u32 = 64;

/// What a call may request, and what it has requested.
pub(crate) struct Outgoing {
    rights: Arc<Rights>,
    requests: u32,
    /// Why requests by `wasi:http` failed: the interface has codes for that and no words.
    pub failures: Words,
}

impl Outgoing {
    pub(crate) fn new(rights: Arc<Rights>) -> Self {
        Self { rights, requests: 0, failures: Words::default() }
    }

    /// Counts a request.
    pub(crate) fn count(&mut self) -> Result<(), Failure> {
        self.requests += 1;
        if self.requests > MAX_REQUESTS {
            return Err(Failure::Denied(format!("a call sends at most {MAX_REQUESTS} requests")));
        }
        Ok(())
    }
}

/// What is still to be done for a request once its answer has begun; here nothing.
type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = http::Response<WasiBody>;

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Rest,
    ) -> Box<dyn Future<Output = Result<(Answer, Rest), Error>> + Send> {
        let counted = self.count();
        let (rights, failures) = (Arc::clone(&self.rights), self.failures.clone());
        Box::new(async move {
            let sent = match counted {
                Ok(()) => send(request, options.unwrap_or_default(), &rights, &failures).await,
                Err(failure) => Err(failure),
            };
            let answer = sent.map_err(|failure| {
                failures.add_line(failure.words());
                code(failure)
            })?;
            let rest: Rest = Box::new(async { Ok(()) });
            Ok((answer, rest))
        })
    }
}

/// Redirects are the guest's own to follow; each is a request of its own and checked as one.
async fn send(
    request: http::Request<WasiBody>,
    options: RequestOptions,
    rights: &Rights,
    failures: &Words,
) -> Result<Answer, Failure> {
    let (parts, body) = request.into_parts();
    let url = parts.uri.to_string();
    // A guest may wait for the answer to a body that it never ends.
    net::may_request(&url, rights)?;
    let body = Limited::new(body, MAX_SENT_BYTES).collect().await.map_err(|error| match error
        .is::<LengthLimitError>()
    {
        true => net::too_much_sent(),
        false => Failure::Invalid("the body was not written to its end".into()),
    })?;
    let patience = Patience { connect: options.connect_timeout, between: options.between_bytes_timeout };
    let body = body.to_bytes().into();
    let sent = net::send_once(parts.method.as_str(), &url, parts.headers, body, rights, patience);
    let answer = match options.first_byte_timeout {
        Some(time) => tokio::time::timeout(time, sent)
            .await
            .unwrap_or_else(|_| Err(Failure::Unreachable("the answer did not begin in time".into()))),
        None => sent.await,
    }?;
    let failures = failures.clone();
    let limit = usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX);
    Ok(http::Response::from(answer).map(|body| {
        let limited = Limited::new(body, limit).map_err(move |error| match error.is::<LengthLimitError>() {
            true => {
                failures.add_line(&format!("an answer has more than {} MiB", MAX_BODY_BYTES >> 20));
                Error::HttpResponseBodySize(Some(MAX_BODY_BYTES))
            }
            false => Error::HttpResponseIncomplete,
        });
        limited.boxed_unsync()
    }))
}

fn code(failure: Failure) -> Error {
    match failure {
        Failure::Denied(_) => Error::HttpRequestDenied,
        Failure::Invalid(why) => Error::InternalError(Some(why)),
        Failure::Unreachable(_) => Error::DestinationUnavailable,
        Failure::Insecure(_) => Error::TlsCertificateError,
    }
}
