//! One request over HTTP, from the choice of the endpoint to the end of its answer.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lucid_kernel::port::EngineError;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response};

use crate::answer::{Answer, BadChunk, Finished};
use crate::body::Ask;
use crate::fault::{self, Fault, Next};
use crate::pool::Pool;
use crate::server::{Server, reason_of, text_of};
use crate::spec::Timeouts;
use crate::sse::{Event, Parser};

/// The first pause before all endpoints are tried again is at most this; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause of our own.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// The longest pause that a server may ask for.
const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(60);
/// How long is waited for a server's counts after the end of its answer.
const COUNTS_WAIT: Duration = Duration::from_secs(2);
/// So much is read of an answer that does not stream, in bytes.
const MAX_UNSTREAMED_BYTES: usize = 64 * 1024;

/// What the one who waits is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// The model has begun to write.
    Begun,
    /// More text.
    Text(String),
    /// It is over.
    Done(Result<Finished, EngineError>),
}

/// All that a request needs.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) servers: Vec<Server>,
    pub(crate) pool: Pool,
    pub(crate) timeouts: Timeouts,
    pub(crate) retries: u32,
}

impl Line {
    /// Asks until an endpoint answers or nothing helps.
    pub(crate) async fn ask(&self, ask: &Ask, to: &Sender<Told>) -> Result<Finished, EngineError> {
        let mut tries = 0;
        let mut given_up = vec![false; self.servers.len()];
        let mut last = None;
        for round in 0..=self.retries {
            let mut tried = given_up.clone();
            let mut asked_pause = Duration::ZERO;
            while let Some(lease) = self.pool.pick(&tried, Instant::now()) {
                let Some(server) = self.servers.get(lease.index()) else { break };
                tried[lease.index()] = true;
                tries += 1;
                let mut exchange =
                    Exchange { line: self, server, to, answer: Answer::default(), begun: false };
                let fault = match exchange.run(ask).await {
                    Ok(()) => {
                        lease.worked();
                        return Ok(exchange.answer.finish());
                    }
                    Err(fault) => fault,
                };
                if fault.is_the_servers() {
                    lease.failed(fault.retry_after(), Instant::now());
                } else {
                    lease.worked();
                }
                if exchange.begun || fault.next() == Next::Stop {
                    return Err(fault.into_error(ask.held_to(), tries));
                }
                given_up[lease.index()] = fault.next() == Next::Elsewhere;
                asked_pause = asked_pause.max(fault.retry_after().unwrap_or_default());
                last = Some(fault);
            }
            if given_up.iter().all(|gone| *gone) || round == self.retries {
                break;
            }
            tokio::time::sleep(pause(round).max(asked_pause.min(LONGEST_ASKED_PAUSE))).await;
        }
        Err(last.map_or_else(
            || EngineError::Failed("no endpoint is named".into()),
            |fault| fault.into_error(ask.held_to(), tries),
        ))
    }
}

/// A random part of a time that doubles, so that many who wait do not come back at once.
pub(crate) fn pause(round: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << round.min(10)).min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
}

struct Exchange<'a> {
    line: &'a Line,
    server: &'a Server,
    to: &'a Sender<Told>,
    answer: Answer,
    begun: bool,
}

impl Exchange<'_> {
    async fn run(&mut self, ask: &Ask) -> Result<(), Fault> {
        let body = ask.body(self.server.dialect())?;
        let request = self
            .server
            .request(Method::POST, &self.server.address.api("/chat/completions"))
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream")
            .body(body.to_string());
        let response = self.server.send(request, self.line.timeouts.first_byte).await?;
        self.check_streams(response).await?.read(self).await
    }

    /// Some endpoints answer an error, or all at once, with a good status.
    async fn check_streams(&self, response: Response) -> Result<Stream, Fault> {
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("application/json") && !kind.starts_with("text/html") {
            return Ok(Stream(response));
        }
        let kind = fault::cut(kind);
        let wait = self.line.timeouts.idle;
        let body = tokio::time::timeout(wait, text_of(response, MAX_UNSTREAMED_BYTES)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        Err(Fault::Malformed {
            host: self.server.host(),
            reason: format!(
                "it streams no events, but sends {kind}: {}",
                self.server.hide(&fault::said(&body))
            ),
        })
    }

    /// Takes one event; true when it is the last.
    fn take(&mut self, event: &Event) -> Result<bool, Fault> {
        let host = self.server.host();
        let data = event.data.trim();
        if data == "[DONE]" {
            return Ok(true);
        }
        if data.is_empty() {
            return Ok(false);
        }
        if event.error {
            return Err(Fault::Reported { host, said: self.server.hide(&fault::said(data)) });
        }
        let brought = self.answer.take(data).map_err(|error| match error {
            BadChunk::Reported(said) => match fault::window_full(data) {
                Some((prompt, window)) => Fault::WindowFull { host, prompt, window },
                None => Fault::Reported { host, said: self.server.hide(&said) },
            },
            other => Fault::Malformed { host, reason: self.server.hide(&other.to_string()) },
        })?;
        if brought.begun && !std::mem::replace(&mut self.begun, true) {
            // Nobody listens any more when this fails; the task is then about to be stopped.
            let _ = self.to.send(Told::Begun);
        }
        if !brought.text.is_empty() {
            let _ = self.to.send(Told::Text(brought.text));
        }
        Ok(false)
    }

    fn silent(&self, waited: Duration) -> Fault {
        let (when, setting) = if self.begun {
            ("in the middle of its answer; the turn can be tried again", "idle")
        } else {
            ("before its answer", "first_byte")
        };
        Fault::Silent { host: self.server.host(), when, waited, setting }
    }

    /// The connection ended. Before anything was said that is as if there had been none.
    fn ended(&self, reason: String) -> Fault {
        let host = self.server.host();
        if self.begun { Fault::Cut { host, reason } } else { Fault::Unreachable { host, reason } }
    }
}

/// An answer that is coming.
struct Stream(Response);

impl Stream {
    async fn read(mut self, exchange: &mut Exchange<'_>) -> Result<(), Fault> {
        let mut parser = Parser::default();
        let timeouts = exchange.line.timeouts;
        loop {
            let finished = exchange.answer.is_finished();
            let wait = match (finished, exchange.begun) {
                (true, _) => timeouts.idle.min(COUNTS_WAIT),
                (false, true) => timeouts.idle,
                (false, false) => timeouts.first_byte,
            };
            let bytes = match tokio::time::timeout(wait, self.0.chunk()).await {
                Ok(Ok(Some(bytes))) => bytes,
                // Only the counts are missing.
                Err(_) | Ok(Err(_)) if finished => break,
                Ok(Ok(None)) => {
                    let last = parser.finish();
                    let done = last.is_some_and(|event| exchange.take(&event).unwrap_or(false));
                    if done || exchange.answer.is_finished() {
                        break;
                    }
                    return Err(exchange.ended("the connection closed before its end".into()));
                }
                Err(_) => return Err(exchange.silent(wait)),
                Ok(Err(error)) => return Err(exchange.ended(reason_of(error))),
            };
            let events = parser.push(&bytes).map_err(|error| Fault::Malformed {
                host: exchange.server.host(),
                reason: error.to_string(),
            })?;
            let mut done = false;
            for event in &events {
                done |= exchange.take(event)?;
            }
            if done {
                break;
            }
        }
        match exchange.answer.withheld() {
            Some(said) => Err(Fault::Reported { host: exchange.server.host(), said: said.into() }),
            None => Ok(()),
        }
    }
}
