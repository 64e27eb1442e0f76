//! `lucid ask`: one question, headless.

use std::io::{IsTerminal, Read};
use std::time::Instant;

use lucid_kernel::abi::{Citation, EngineInfo, Pid, Provenance, Sampling, TurnEnd, TurnOptions, TurnReport};
use lucid_kernel::port::Delta;
use serde_json::{Value, json};

use super::session::{Wanted, open};
use super::{AskArgs, mount, out};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::api::{Command, Notice, PageRow};
use crate::machine::{Machine, shown_path};

/// The most that is read from standard input, in bytes.
const MAX_STDIN_BYTES: u64 = 64 * 1024 * 1024;

/// Asks and prints.
///
/// # Errors
/// When the question makes no sense, or the model or the index cannot be used.
pub fn run(home: &Home, args: &AskArgs) -> Result<u8, Failure> {
    let started = Instant::now();
    let question = args.question.join(" ");
    if question.trim().is_empty() {
        return Err(Failure::usage("there is no question; write it behind the command: lucid ask \"…\""));
    }
    let attached = piped()?;
    let cancel = super::session::on_ctrl_c();
    let mut roots = Vec::new();
    for dir in &args.mounts {
        roots.push(mount::need(home, dir, args.yes, &cancel)?);
    }
    let has_stdin = !attached.is_empty();
    let wanted = Wanted {
        model: args.model.clone(),
        tools: !args.no_tools,
        goes_on: args.goes_on.clone(),
        roots,
        files: None,
        has_texts: has_stdin,
        interactive: false,
        session: None,
    };
    let machine = open(home, &wanted)?;
    let mut asked = Asked::new(args, started);
    let options = TurnOptions {
        sampling: match args.seed {
            Some(seed) => Sampling { temperature: 0.7, top_p: 0.95, seed },
            None => Sampling::default(),
        },
        tools: !args.no_tools,
        ..TurnOptions::default()
    };
    drop(machine.commands.send(Command::Input {
        pid: None,
        text: question,
        attached,
        files: Vec::new(),
        options,
    }));
    let result = asked.listen(&machine, &cancel);
    machine.stop();
    let report = result?;
    asked.print(&report);
    end_code(&report)
}

/// What the end of a turn means for the exit code.
fn end_code(report: &TurnReport) -> Result<u8, Failure> {
    if let Some(message) = super::session::denied(report) {
        return Err(Failure::new(exit::DENIED, message));
    }
    match &report.end {
        TurnEnd::Answered => Ok(exit::OK),
        TurnEnd::Cut => {
            out::note("(the answer was cut at its token limit)");
            Ok(exit::OK)
        }
        TurnEnd::Cancelled => Err(Failure::cancelled()),
        TurnEnd::Failed(fault) => Err(Failure::task(fault.message.clone())),
    }
}

/// What is piped in, as a named text.
fn piped() -> Result<Vec<(String, String)>, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() || !is_pipe_or_file() {
        return Ok(Vec::new());
    }
    let mut bytes = Vec::new();
    stdin
        .lock()
        .take(MAX_STDIN_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_STDIN_BYTES {
        let most = out::bytes(MAX_STDIN_BYTES);
        return Err(Failure::usage(format!(
            "standard input has more than {most}; put it into a folder and mount that"
        )));
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(if text.trim().is_empty() { Vec::new() } else { vec![("standard input".into(), text)] })
}

/// A socket or device that was only inherited is not read: it might never end.
#[cfg(target_os = "linux")]
fn is_pipe_or_file() -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata("/dev/stdin").is_ok_and(|metadata| metadata.file_type().is_fifo() || metadata.is_file())
}

#[cfg(not(target_os = "linux"))]
fn is_pipe_or_file() -> bool {
    true
}

struct Asked<'a> {
    args: &'a AskArgs,
    started: Instant,
    live: bool,
    streamed: String,
    engine: Option<EngineInfo>,
    session: String,
    conversation: Pid,
    load_ms: u64,
    first_token_ms: Option<u64>,
    memory: Vec<PageRow>,
    folder: String,
}

impl<'a> Asked<'a> {
    fn new(args: &'a AskArgs, started: Instant) -> Self {
        Self {
            args,
            started,
            live: std::io::stdout().is_terminal() && !args.json,
            streamed: String::new(),
            engine: None,
            session: String::new(),
            conversation: Pid::default(),
            load_ms: 0,
            first_token_ms: None,
            memory: Vec::new(),
            folder: super::session::folder(),
        }
    }

    fn listen(
        &mut self,
        machine: &Machine,
        cancel: &lucid_kernel::port::CancelFlag,
    ) -> Result<TurnReport, Failure> {
        let mut progress = super::session::LoadProgress::new();
        let mut cancelled = false;
        loop {
            if cancel.is_cancelled() && !cancelled {
                cancelled = true;
                if self.engine.is_none() {
                    return Err(Failure::cancelled());
                }
                drop(machine.commands.send(Command::Cancel { pid: None }));
            }
            let notice = match machine.notices.recv_timeout(super::session::TICK) {
                Ok(notice) => notice,
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => continue,
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return Err(Failure::task("the machine ended before it answered"));
                }
            };
            match notice {
                Notice::Loading { what, part } => progress.show(&what, part),
                Notice::Ready { engine, session, pid, load_ms, .. } => {
                    progress.done();
                    (self.engine, self.session, self.load_ms) = (Some(engine), session, load_ms);
                    self.conversation = pid;
                }
                Notice::Dead { message, code } | Notice::Refused { message, code, .. } => {
                    progress.done();
                    return Err(Failure::new(code, message));
                }
                Notice::Delta { delta: Delta::Text(text), .. } => {
                    self.first_token_ms.get_or_insert(millis(self.started));
                    if self.live {
                        let text = out::clean(&text);
                        out::piece(&text);
                        self.streamed.push_str(&text);
                    }
                }
                Notice::Retract { .. } if !self.streamed.is_empty() => {
                    out::piece("\n");
                    self.streamed.clear();
                }
                Notice::Failed { message } => out::note(&format!("lucid: {message}")),
                Notice::Memory { rows, .. } => self.memory = rows,
                Notice::Ended { report, .. } => return Ok(*report),
                _ => {}
            }
        }
    }

    fn print(&self, report: &TurnReport) {
        if self.args.json {
            out::json(&self.as_json(report));
            return;
        }
        let answer = out::clean(&report.answer);
        if self.streamed.is_empty() {
            if !answer.is_empty() {
                out::line(&answer);
            }
        } else {
            out::piece("\n");
        }
        for call in &report.calls {
            let result = match &call.result {
                Ok(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                Err(fault) => fault.message.clone(),
            };
            out::note(&out::clean(&format!("  {} {} -> {result}", call.tool, call.arguments)));
        }
        for citation in &report.citations {
            out::note(&out::clean(&format!("  {}", self.shown(citation))));
        }
        if self.args.show_memory {
            self.print_memory(report);
        }
    }

    fn shown(&self, citation: &Citation) -> String {
        let path = shown_path(&citation.path, &self.folder);
        format!("{path}:{}-{} [{}]", citation.lines.0, citation.lines.1, citation.page)
    }

    fn print_memory(&self, report: &TurnReport) {
        out::line("");
        out::line(&format!("In memory: {} of {} tokens", report.resident, report.budget));
        for row in &self.memory {
            out::line(&out::clean(&memory_line(row, &self.folder)));
        }
    }

    fn as_json(&self, report: &TurnReport) -> Value {
        let citations: Vec<Value> = report
            .citations
            .iter()
            .map(|citation| json!({ "path": citation.path, "lines": citation.lines, "page": citation.page.to_string() }))
            .collect();
        let calls: Vec<Value> = report
            .calls
            .iter()
            .map(|call| {
                let ms = call.micros as f64 / 1000.0;
                match &call.result {
                    Ok(value) => json!({ "tool": call.tool, "arguments": call.arguments, "result": value, "ms": ms }),
                    Err(fault) => {
                        json!({ "tool": call.tool, "arguments": call.arguments, "result": null, "error": fault.message, "ms": ms })
                    }
                }
            })
            .collect();
        let info = self.engine.as_ref();
        let mut object = json!({
            "answer": report.answer,
            "citations": citations,
            "tool_calls": calls,
            "tokens": {
                "prefilled": report.usage.prefilled,
                "reused": report.usage.reused,
                "decoded": report.usage.decoded,
                "window": info.map(|info| info.n_ctx),
                "budget": report.budget,
            },
            "ms": {
                "load": self.load_ms,
                "first_token": self.first_token_ms.unwrap_or(self.load_ms + report.usage.first_token_ms),
                "total": millis(self.started),
            },
            "model": info.map(|info| &info.model),
            "engine": info.map(|info| &info.engine),
            "session": self.session,
            "conversation": self.conversation.to_string(),
        });
        if self.args.show_memory {
            let rows = self.memory.iter().map(|row| {
                json!({
                    "page": row.page.to_string(), "kind": row.kind, "tokens": row.tokens,
                    "resident": row.resident, "source": source(&row.provenance, &row.preview, ""),
                    "shared_with": row.shared_with.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            });
            object["memory"] = rows.collect();
        }
        object
    }
}

/// One page in memory as a line: address, kind, tokens, source.
pub fn memory_line(row: &PageRow, folder: &str) -> String {
    let state = if row.resident { "" } else { " (evicted)" };
    let address = row.page.to_string();
    format!(
        "{address:>6}  {:<7}{:>6}  {}{state}",
        row.kind,
        row.tokens,
        source(&row.provenance, &row.preview, folder)
    )
}

/// Where a page came from, and the beginning of what was said.
pub fn source(provenance: &Provenance, preview: &str, folder: &str) -> String {
    match provenance {
        Provenance::System => format!("lucid: {preview}"),
        Provenance::User => format!("you: {preview}"),
        Provenance::Model => format!("model: {preview}"),
        Provenance::Tool { tool } => format!("{tool}: {preview}"),
        Provenance::File(range) => {
            format!("{}:{}-{}", shown_path(&range.path, folder), range.lines.0, range.lines.1)
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
