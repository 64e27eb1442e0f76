//! The engine: waits in the caller's thread for what a thread of its own hears from servers.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Decoded, EngineInfo, StopReason, Token, TokenCount, Usage};
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Engine, EngineError};
use lucid_model::request::{self, millis};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

use crate::address::Address;
use crate::answer::{Counts, Finished};
use crate::body::Ask;
use crate::dialect::Dialect;
use crate::exchange::{Line, Told, pause};
use crate::messages;
use crate::pool::Pool;
use crate::probe::{Found, Unfit, probe};
use crate::server::Server;
use crate::spec::RemoteSpec;
use crate::tokens::TextTokens;
use crate::vocabulary::Vocabulary;

/// How often a waiting `decode` looks at the cancel flag.
const CANCEL_POLL: Duration = Duration::from_millis(10);
/// Requests that are sent at once; servers queue what they cannot do.
const SLOTS: u32 = 8;
/// The most endpoints of one model.
const MAX_ENDPOINTS: usize = 64;
/// A shorter prompt says nothing of the speed.
const MIN_MEASURED_TOKENS: TokenCount = 32;

/// A model on servers that speak `OpenAI`'s interface.
pub struct Remote {
    runtime: Option<Runtime>,
    line: Arc<Line>,
    vocabulary: Vocabulary,
    name: String,
    model: String,
    window: TokenCount,
    dialect: Dialect,
    prefill_tokens_per_s: Mutex<Option<f32>>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("name", &self.name).field("line", &self.line).finish_non_exhaustive()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Waiting is not allowed everywhere that an engine may be dropped.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Remote {
    /// Asks the servers what they are, and is ready when one of them has the model.
    ///
    /// # Errors
    /// [`EngineError::Load`], which says what to do: a URL that is none, a key that is refused,
    /// a model that is not there, a window that nobody states, no server that answers.
    pub fn connect(spec: RemoteSpec, tokenizer: Arc<dyn TextTokens>) -> Result<Self, EngineError> {
        let name = spec.name.clone();
        Self::open(spec, tokenizer).map_err(|reason| EngineError::Load { model: name, reason })
    }

    fn open(spec: RemoteSpec, tokenizer: Arc<dyn TextTokens>) -> Result<Self, String> {
        if spec.endpoints.is_empty() || spec.endpoints.len() > MAX_ENDPOINTS {
            return Err(format!(
                "name between 1 and {MAX_ENDPOINTS} endpoints, not {}",
                spec.endpoints.len()
            ));
        }
        let mut servers = Vec::with_capacity(spec.endpoints.len());
        for endpoint in spec.endpoints {
            let address = Address::parse(&endpoint.url).map_err(|error| error.to_string())?;
            servers.push(Server::new(address, endpoint.key, &spec.timeouts)?);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("lucid-remote")
            .enable_all()
            .build()
            .map_err(|error| format!("no thread for the network: {error}"))?;
        let line = Arc::new(Line {
            pool: Pool::new(servers.len()),
            servers,
            timeouts: spec.timeouts,
            retries: spec.retries,
        });
        let mut remote = Self {
            runtime: Some(runtime),
            line,
            vocabulary: Vocabulary::new(tokenizer),
            name: spec.name,
            model: spec.model,
            window: 0,
            dialect: Dialect::Other,
            prefill_tokens_per_s: Mutex::new(None),
        };
        let found = remote.probe_all()?;
        remote.dialect = found.dialect;
        remote.window = match (spec.window, found.window) {
            (Some(given), Some(stated)) => given.min(stated),
            (Some(window), None) | (None, Some(window)) => window,
            (None, None) => return Err(no_window(&remote.line.servers[0].host(), found.dialect)),
        };
        Ok(remote)
    }

    /// The first server's kind and the smallest window.
    fn probe_all(&self) -> Result<Found, String> {
        let (to, from) = mpsc::channel();
        let (line, model) = (Arc::clone(&self.line), self.model.clone());
        self.spawn(async move {
            let _ = to.send(probe_each(line, &model).await);
        })?;
        let results = from.recv().map_err(|_| "the thread for the network ended".to_owned())?;
        let mut found: Option<Found> = None;
        let mut away = Vec::new();
        for (index, result) in results {
            match result {
                Ok(one) => {
                    let _ = self.line.servers[index].dialect.set(one.dialect);
                    found = Some(match found {
                        None => one,
                        Some(all) => Found { window: smaller(all.window, one.window), ..all },
                    });
                }
                // The others may do; this one may come back.
                Err(Unfit::Away(fault)) => {
                    self.line.pool.failed(index, fault.retry_after(), Instant::now());
                    away.push(fault.to_string());
                }
                Err(Unfit::Wrong(reason)) => return Err(reason),
            }
        }
        let found = found.ok_or_else(|| away.join("; "))?;
        // Those that are away are taken to be of the same kind.
        for server in &self.line.servers {
            server.dialect.get_or_init(|| found.dialect);
        }
        Ok(found)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<JoinHandle<()>, String> {
        let runtime = self.runtime.as_ref().ok_or_else(|| "the thread for the network ended".to_owned())?;
        Ok(runtime.spawn(task))
    }

    /// Notes how fast a prompt was computed.
    fn measure(&self, usage: &Usage) {
        if usage.prefilled < MIN_MEASURED_TOKENS || usage.first_token_ms == 0 {
            return;
        }
        // Both are far below what an f32 holds exactly.
        #[allow(clippy::cast_precision_loss)]
        let rate = usage.prefilled as f32 * 1000.0 / usage.first_token_ms as f32;
        *self.prefill_tokens_per_s.lock().unwrap_or_else(PoisonError::into_inner) = Some(rate);
    }

    /// Waits for the answer, and passes it on as it comes.
    fn listen(
        &self,
        from: &mpsc::Receiver<Told>,
        cancel: &CancelFlag,
        heard: &mut Heard,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Option<Finished>, EngineError> {
        loop {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            match from.recv_timeout(CANCEL_POLL) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EngineError::Failed("the thread for the network ended".into()));
                }
                Ok(Told::Begun) => heard.first = Some(heard.started.elapsed()),
                Ok(Told::Text(text)) => heard.show(text, on_delta),
                Ok(Told::Done(done)) => {
                    let done = done?;
                    heard.show(done.rest.clone(), on_delta);
                    return Ok(Some(done));
                }
            }
        }
    }
}

/// Asks all servers at once, again while all of them are starting or too busy.
async fn probe_each(line: Arc<Line>, model: &str) -> Vec<(usize, Result<Found, Unfit>)> {
    let mut round = 0;
    loop {
        let mut tasks = JoinSet::new();
        for index in 0..line.servers.len() {
            let (line, model) = (Arc::clone(&line), model.to_owned());
            tasks.spawn(async move { (index, probe(&line.servers[index], &model, &line.timeouts).await) });
        }
        let mut results = tasks.join_all().await;
        let all_away = results.iter().all(|(_, result)| matches!(result, Err(Unfit::Away(_))));
        if !all_away || round >= line.retries {
            results.sort_by_key(|(index, _)| *index);
            return results;
        }
        tokio::time::sleep(pause(round)).await;
        round += 1;
    }
}

/// Where prompts go; none when all of them stay on this machine.
fn host_of<'a>(addresses: impl Iterator<Item = &'a Address>) -> Option<String> {
    let mut away: Vec<&str> = addresses.filter(|address| !address.is_loopback()).map(Address::host).collect();
    away.sort_unstable();
    away.dedup();
    (!away.is_empty()).then(|| away.join(", "))
}

fn smaller(a: Option<TokenCount>, b: Option<TokenCount>) -> Option<TokenCount> {
    a.into_iter().chain(b).min()
}

fn no_window(host: &str, dialect: Dialect) -> String {
    let hint = match dialect {
        Dialect::Ollama => " (for Ollama what OLLAMA_CONTEXT_LENGTH says: it cuts longer prompts unasked)",
        _ => "",
    };
    format!("{host} does not say how large the model's window is; set `window` to its number of tokens{hint}")
}

/// What was heard of an answer.
struct Heard {
    started: Instant,
    text: String,
    first: Option<Duration>,
}

impl Heard {
    fn show(&mut self, text: String, on_delta: &mut dyn FnMut(Delta)) {
        if !text.is_empty() {
            self.first.get_or_insert_with(|| self.started.elapsed());
            self.text.push_str(&text);
            on_delta(Delta::Text(text));
        }
    }
}

/// Stops the task, and with it the connection, however `decode` ends.
struct Stop(JoinHandle<()>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Engine for Remote {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            engine: self.dialect.name().into(),
            model: self.name.clone(),
            n_ctx: self.window,
            architecture: String::new(),
            prefill_tokens_per_s: *self.prefill_tokens_per_s.lock().unwrap_or_else(PoisonError::into_inner),
            host: host_of(self.line.servers.iter().map(|server| &server.address)),
            closes_gaps: false,
            slots: SLOTS,
        }
    }

    fn chat_template(&self) -> ChatTemplate {
        Vocabulary::chat_template()
    }

    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        Ok(self.vocabulary.tokenize(text, special))
    }

    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        self.vocabulary.detokenize(tokens)
    }

    fn decode(
        &self,
        request: &DecodeRequest,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError> {
        let mut heard = Heard { started: Instant::now(), text: String::new(), first: None };
        let prompt = request::prompt(request, self.window, |_| true)?;
        let ask = Ask {
            model: self.model.clone(),
            messages: messages::split(&prompt, &self.vocabulary)?,
            grammar: request.grammar.clone(),
            sampling: request.sampling,
            max_tokens: request.max_tokens,
        };
        let counted = request::count(prompt.len());
        on_delta(Delta::Prefill { prefilled: counted, reused: 0 });
        let finished = if request.max_tokens == 0 {
            // Nothing to ask for; servers differ in what they make of it.
            Some(Finished { rest: String::new(), stop: StopReason::Limit, counts: None })
        } else if cancel.is_cancelled() {
            None
        } else {
            let (to, from) = mpsc::channel();
            let line = Arc::clone(&self.line);
            let task = self.spawn(async move {
                let done = line.ask(&ask, &to).await;
                let _ = to.send(Told::Done(done));
            });
            let _stop = Stop(task.map_err(EngineError::Failed)?);
            self.listen(&from, cancel, &mut heard, on_delta)?
        };
        let total = heard.started.elapsed();
        let counts: Option<Counts> = finished.as_ref().and_then(|done| done.counts);
        let cached = counts.map_or(0, |counts| counts.cached());
        let tokens = self.vocabulary.tokenize(&heard.text, false);
        let usage = Usage {
            prefilled: counts.map_or(counted, |counts| counts.prompt_tokens.saturating_sub(cached)),
            reused: cached,
            decoded: request::count(tokens.len()),
            first_token_ms: millis(heard.first.unwrap_or(total)),
            total_ms: millis(total),
        };
        if counts.is_some() {
            self.measure(&usage);
        }
        Ok(Decoded {
            tokens: tokens.into(),
            text: heard.text.into(),
            stop: finished.map_or(StopReason::Cancelled, |done| done.stop),
            usage,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;
    use crate::address::Address;

    #[test]
    fn only_hosts_that_are_elsewhere_are_named() {
        let of = |urls: &[&str]| {
            let addresses: Vec<_> = urls.iter().map(|url| Address::parse(url).unwrap()).collect();
            host_of(addresses.iter())
        };
        assert_eq!(of(&["http://localhost:1", "http://[::1]:2/v1"]), None);
        assert_eq!(
            of(&["http://localhost:1", "https://b/v1", "https://a", "https://b"]),
            Some("a, b".into())
        );
    }
}
