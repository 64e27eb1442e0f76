//! What guests import beside WASI: the interfaces of `plugins/wit/tool.wit`, each checked against what
//! the call was granted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{HasSelf, Linker};

use crate::kept::Kept;
use crate::net::{self, Failure, MAX_BODY_BYTES, SecretHeader};
use crate::rights::Right;
use crate::sandbox::Sandbox;
use crate::services::{Level, Services};
use crate::text::one_line;

/// The most of a call's notes that are passed on, in bytes.
const MAX_LOG_BYTES: usize = 64 << 10;
/// The longest note, in characters.
const MAX_NOTE_CHARS: usize = 2_000;
/// The longest word on how far a call is, in characters.
const MAX_PROGRESS_CHARS: usize = 200;
/// Such words are passed on at most this often.
const PROGRESS_PAUSE: Duration = Duration::from_millis(50);
/// The most pieces of files that one search brings.
const MAX_HITS: u32 = 50;
/// The longest query and the longest prompt, in bytes.
const MAX_QUERY_BYTES: usize = 4 << 10;
const MAX_PROMPT_BYTES: usize = 256 << 10;
/// The most lines of one read.
const MAX_LINES: u32 = 10_000;

/// Generated from `plugins/wit`: the types of the interfaces and the glue to guests.
#[allow(unsafe_code, missing_docs, unused_qualifications, clippy::all)]
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../plugins/wit",
        world: "lucid:tool/everything",
        imports: { default: async },
    });
}

use bindings::lucid::tool::{diagnostics, disk, http, kernel, kv, log, progress, secrets, types};

/// What a call has used of what it may use.
#[derive(Default)]
pub(crate) struct Used {
    logged: usize,
    asked_tokens: u64,
    told: Option<Instant>,
}

/// Links all of it.
pub(crate) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    bindings::Everything::add_to_linker::<_, HasSelf<_>>(linker, |sandbox| sandbox)
}

/// Does what may block on a thread of its own, so that the call can be stopped meanwhile.
async fn apart<T: Send + 'static>(
    services: &Arc<dyn Services>,
    work: impl FnOnce(&dyn Services) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let services = Arc::clone(services);
    let done = tokio::task::spawn_blocking(move || work(services.as_ref())).await;
    done.unwrap_or_else(|_| Err("it was stopped by a mistake in the program".into()))
}

impl Sandbox {
    fn may(&self, right: &Right, what: &str) -> Result<(), String> {
        if self.scope.rights.allow(right) {
            return Ok(());
        }
        Err(format!("{what} is not granted ({right})"))
    }

    fn kept(&self) -> Result<Kept, String> {
        let quota = self.scope.rights.most(|right| match right {
            Right::Keep(mib) => Some(*mib),
            _ => None,
        });
        let quota = quota.ok_or("keeping something is not granted (keep:1)")?;
        let folder = self.scope.services.kept().ok_or("nothing can be kept here")?;
        Ok(Kept::new(&folder, &self.plugin, quota))
    }

    fn with_kept<T: Send + 'static, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T, String>> + Send + use<T, W>
    where
        W: FnOnce(Kept) -> Result<T, String> + Send + 'static,
    {
        let (kept, services) = (self.kept(), Arc::clone(&self.scope.services));
        async move {
            let kept = kept?;
            apart(&services, move |_| work(kept)).await
        }
    }
}

impl diagnostics::Host for Sandbox {
    async fn report(&mut self, message: String) {
        self.words.add_line(&message);
    }
}

impl types::Host for Sandbox {}

impl log::Host for Sandbox {
    async fn log(&mut self, level: log::Level, message: String) {
        let room = MAX_LOG_BYTES.saturating_sub(self.used.logged);
        if room == 0 {
            return;
        }
        let message: String = message.chars().take(MAX_NOTE_CHARS.min(room)).collect();
        self.used.logged += message.len().max(1);
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.scope.services.log(&self.plugin, level, &message);
    }
}

impl progress::Host for Sandbox {
    async fn report(&mut self, message: String, done: Option<f64>) {
        if self.used.told.is_some_and(|told| told.elapsed() < PROGRESS_PAUSE) {
            return;
        }
        self.used.told = Some(Instant::now());
        let done = done.filter(|done| done.is_finite()).map(|done| done.clamp(0.0, 1.0));
        self.scope.services.progress(&self.tool, &one_line(&message, MAX_PROGRESS_CHARS), done);
    }
}

impl http::Host for Sandbox {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::Failure> {
        let http::Request { method, url, headers, secrets, body, max_bytes } = request;
        let secrets = secrets.into_iter().map(|header| {
            let http::SecretHeader { name, prefix, secret } = header;
            SecretHeader { name, prefix, secret }
        });
        let request = net::Request {
            method,
            url,
            headers: headers.into_iter().map(|header| (header.name, header.value.into_bytes())).collect(),
            secrets: secrets.collect(),
            body,
            max_bytes: max_bytes.unwrap_or(MAX_BODY_BYTES),
        };
        let response = self.send(request).await.map_err(|failure| match failure {
            Failure::Denied(why) => http::Failure::Denied(why),
            Failure::Invalid(why) => http::Failure::Invalid(why),
            Failure::Unreachable(why) => http::Failure::Unreachable(why),
            Failure::Insecure(why) => http::Failure::Insecure(why),
        })?;
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            http::Header { name: name.as_str().into(), value }
        };
        Ok(http::Response {
            status: response.status,
            url: response.url,
            headers: response.headers.iter().map(header).collect(),
            body: response.body,
            is_cut: response.is_cut,
        })
    }
}

impl Sandbox {
    async fn send(&mut self, request: net::Request) -> Result<net::Response, Failure> {
        self.outgoing.count()?;
        let services = Arc::clone(&self.scope.services);
        net::send(request, &self.scope.rights, &move |name| services.secret(name)).await
    }
}

impl disk::Host for Sandbox {
    async fn search(&mut self, query: String, at_most: u32) -> Result<Vec<disk::Hit>, String> {
        self.may(&Right::Disk, "searching the mounted folders")?;
        if query.len() > MAX_QUERY_BYTES {
            return Err(format!("a query has at most {MAX_QUERY_BYTES} bytes"));
        }
        let at_most = at_most.min(MAX_HITS) as usize;
        let hits = apart(&self.scope.services, move |services| services.search(&query, at_most)).await?;
        let hit = |hit: lucid_kernel::port::Hit| disk::Hit {
            path: hit.range.path.to_string(),
            first_line: hit.range.lines.0,
            last_line: hit.range.lines.1,
            heading: hit.heading,
            text: hit.text,
            score: hit.score,
        };
        Ok(hits.into_iter().take(at_most).map(hit).collect())
    }

    async fn read(&mut self, path: String, first_line: u32, last_line: u32) -> Result<String, String> {
        self.may(&Right::Disk, "reading the mounted folders")?;
        if first_line == 0 || last_line < first_line || last_line - first_line >= MAX_LINES {
            return Err(format!("give lines from 1 on, at most {MAX_LINES} of them"));
        }
        apart(&self.scope.services, move |services| services.read(&path, (first_line, last_line))).await
    }
}

impl kernel::Host for Sandbox {
    async fn ask(&mut self, prompt: String, max_tokens: u32) -> Result<String, String> {
        let granted = self.scope.rights.most(|right| match right {
            Right::Ask(tokens) => Some(*tokens),
            _ => None,
        });
        let granted = granted.ok_or("asking the model is not granted (ask:500)")?;
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(format!("a prompt has at most {MAX_PROMPT_BYTES} bytes"));
        }
        let wanted = u64::from(max_tokens).max(1);
        if self.used.asked_tokens + wanted > granted {
            let left = granted - self.used.asked_tokens.min(granted);
            return Err(format!("{wanted} tokens are more than the {left} that this call may still have"));
        }
        self.used.asked_tokens += wanted;
        let ended = self.ended.clone();
        apart(&self.scope.services, move |services| services.ask(&prompt, max_tokens.max(1), &ended)).await
    }
}

impl secrets::Host for Sandbox {
    async fn has(&mut self, name: String) -> bool {
        let is_granted = self
            .scope
            .rights
            .iter()
            .any(|right| matches!(right, Right::Secret { name: granted, .. } if *granted == name));
        if !is_granted {
            return false;
        }
        apart(&self.scope.services, move |services| Ok(services.secret(&name).is_some())).await == Ok(true)
    }
}

impl kv::Host for Sandbox {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, String> {
        self.with_kept(move |kept| kept.get(&key)).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), String> {
        self.with_kept(move |kept| kept.set(&key, &value)).await
    }

    async fn delete(&mut self, key: String) -> Result<bool, String> {
        self.with_kept(move |kept| kept.delete(&key)).await
    }

    async fn keys(&mut self, prefix: String) -> Result<Vec<String>, String> {
        self.with_kept(move |kept| kept.keys(&prefix)).await
    }
}
