//! `lucid run`: the steps of a Markdown file, carried out in one session.

use std::collections::BTreeMap;
use std::path::Path;

use lucid_kernel::abi::{TurnEnd, TurnOptions};
use lucid_kernel::port::CancelFlag;
use serde_json::Value;

use super::session::{LoadProgress, TICK, Wanted, on_ctrl_c, open};
use super::{RunArgs, mount, out};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::Machine;
use crate::machine::api::{Command, Notice};
use crate::script::{self, Ask, AskError, Progress, Report, Script, StepAnswer};

/// Reads, checks and carries out a script.
///
/// # Errors
/// When the script has a mistake, a folder cannot be mounted, or the model cannot be used.
pub fn run(home: &Home, args: &RunArgs) -> Result<u8, Failure> {
    let source = read(&args.script)?;
    let wrong = |error: script::ScriptError| Failure::usage(error.to_string());
    let script = Script::parse(&source, &args.script).map_err(wrong)?;
    let bindings = script.bindings(&params(&args.params)?).map_err(wrong)?;
    let cancel = on_ctrl_c();
    let mut roots = Vec::new();
    for folder in script.folders(&bindings).map_err(wrong)? {
        roots.push(
            mount::mount_one(home, Path::new(&folder), &mount::options(false, false), false, &cancel)?.root,
        );
    }
    let wanted = Wanted {
        model: args.model.clone(),
        window: args.window,
        tools: true,
        files: Some(!roots.is_empty()),
        roots,
        ..Wanted::default()
    };
    let machine = open(home, &wanted)?;
    let ready = wait_ready(&machine, &cancel);
    let result = ready.map(|()| {
        let mut runner = Runner { machine: &machine, cancel: &cancel, cancelled: false };
        let report = script::run(&script, bindings, &mut runner, &mut |progress| {
            if !args.json {
                show(&progress);
            }
        });
        (report, runner.cancelled)
    });
    machine.stop();
    let (report, cancelled) = result?;
    finish(args, &report, cancelled)
}

fn finish(args: &RunArgs, report: &Report, cancelled: bool) -> Result<u8, Failure> {
    if args.json {
        out::json(report);
    }
    if cancelled {
        return Err(Failure::cancelled());
    }
    match report.steps.last().and_then(|step| step.error.as_ref().map(|error| (step.number, error))) {
        Some((number, error)) => Err(Failure::task(format!("step {number}: {error}"))),
        None => Ok(exit::OK),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let fault =
        |reason: String| Failure::usage(format!("cannot read the script {}: {reason}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
    if size > script::MAX_SCRIPT_BYTES as u64 {
        return Err(fault(format!("it has more than {}", out::bytes(script::MAX_SCRIPT_BYTES as u64))));
    }
    std::fs::read_to_string(path).map_err(|error| fault(error.to_string()))
}

fn params(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let split = |text: &String| {
        text.split_once('=')
            .map(|(name, value)| (name.trim().to_owned(), value.to_owned()))
            .ok_or_else(|| Failure::usage(format!("{text:?} is no parameter; write --param name=value")))
    };
    given.iter().map(split).collect()
}

fn show(progress: &Progress<'_>) {
    match progress {
        Progress::Began { step, of, text } => {
            let first: String = text.lines().next().unwrap_or_default().chars().take(100).collect();
            out::note(&out::clean(&format!("{}/{of} {first}", step.number)));
        }
        Progress::Ended(step) => {
            if let Some(value) = &step.value {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let text = out::clean(&text);
                match &step.name {
                    Some(name) => out::line(&format!("{name}: {text}")),
                    None => out::line(&text),
                }
            }
        }
    }
}

fn wait_ready(machine: &Machine, cancel: &CancelFlag) -> Result<(), Failure> {
    let mut progress = LoadProgress::new();
    loop {
        if cancel.is_cancelled() {
            return Err(Failure::cancelled());
        }
        match machine.notices.recv_timeout(TICK) {
            Ok(Notice::Loading { what, part }) => progress.show(&what, part),
            Ok(Notice::Ready { .. }) => {
                progress.done();
                return Ok(());
            }
            Ok(Notice::Dead { message, code }) => {
                progress.done();
                return Err(Failure::new(code, message));
            }
            Ok(_) | Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                return Err(Failure::task("the machine ended before it was ready"));
            }
        }
    }
}

/// Puts steps to the machine, one turn each.
struct Runner<'a> {
    machine: &'a Machine,
    cancel: &'a CancelFlag,
    cancelled: bool,
}

impl Ask for Runner<'_> {
    fn ask(&mut self, text: &str, schema: Option<&Value>) -> Result<StepAnswer, AskError> {
        let failed = |message: String| AskError { message };
        let options = TurnOptions { schema: schema.cloned(), ..TurnOptions::default() };
        let input = Command::Input { text: text.to_owned(), attached: Vec::new(), options };
        self.machine.commands.send(input).map_err(|_| failed("the machine ended".into()))?;
        loop {
            if self.cancel.is_cancelled() && !self.cancelled {
                self.cancelled = true;
                drop(self.machine.commands.send(Command::Cancel));
            }
            match self.machine.notices.recv_timeout(TICK) {
                Ok(Notice::Ended { report, .. }) => {
                    return match report.end {
                        TurnEnd::Answered | TurnEnd::Cut => Ok(StepAnswer { text: report.answer }),
                        TurnEnd::Cancelled => Err(failed("cancelled".into())),
                        TurnEnd::Failed(fault) => Err(failed(fault.message)),
                    };
                }
                Ok(Notice::Refused { message, .. } | Notice::Dead { message, .. }) => {
                    return Err(failed(message));
                }
                Ok(_) | Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return Err(failed("the machine ended before it answered".into()));
                }
            }
        }
    }
}
