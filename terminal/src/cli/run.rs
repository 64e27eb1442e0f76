//! `lucid run`: the steps of a Markdown file, carried out in one session.

use std::collections::BTreeMap;
use std::path::Path;

use lucid_kernel::abi::{TurnEnd, TurnOptions};
use lucid_kernel::port::CancelFlag;
use serde_json::Value;

use super::session::{Wanted, denied, on_ctrl_c, open, turn, wait_ready};
use super::{RunArgs, mount, out};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::Machine;
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
        roots.push(mount::need(home, Path::new(&folder), false, &cancel)?);
    }
    let wanted = Wanted {
        model: args.model.clone(),
        tools: true,
        files: Some(!roots.is_empty()),
        roots,
        ..Wanted::default()
    };
    let machine = open(home, &wanted)?;
    let ready = wait_ready(&machine, &cancel);
    let result = ready.map(|_session| {
        let mut runner = Runner { machine: &machine, cancel: &cancel, denied: false };
        let report = script::run(&script, bindings, &mut runner, &mut |progress| {
            if !args.json {
                show(&progress);
            }
        });
        let code = if runner.denied { exit::DENIED } else { exit::FAILED };
        (report, code)
    });
    machine.stop();
    let (report, code) = result?;
    finish(args, &report, code, cancel.is_cancelled())
}

fn finish(args: &RunArgs, report: &Report, code: u8, cancelled: bool) -> Result<u8, Failure> {
    if args.json {
        out::json(report);
    }
    if cancelled {
        return Err(Failure::cancelled());
    }
    match report.steps.last().and_then(|step| step.error.as_ref().map(|error| (step.number, error))) {
        Some((number, error)) => Err(Failure::new(code, format!("step {number}: {error}"))),
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

/// Puts steps to the machine, one turn each.
struct Runner<'a> {
    machine: &'a Machine,
    cancel: &'a CancelFlag,
    /// Whether a step ended because a call was not allowed.
    denied: bool,
}

impl Ask for Runner<'_> {
    fn ask(&mut self, text: &str, schema: Option<&Value>) -> Result<StepAnswer, AskError> {
        let options = TurnOptions { schema: schema.cloned(), ..TurnOptions::default() };
        let report = turn(self.machine, text, options, self.cancel)
            .map_err(|failure| AskError { message: failure.message })?;
        if let Some(message) = denied(&report) {
            self.denied = true;
            return Err(AskError { message });
        }
        match report.end {
            TurnEnd::Answered | TurnEnd::Cut => Ok(StepAnswer { text: report.answer }),
            TurnEnd::Cancelled => Err(AskError { message: "cancelled".into() }),
            TurnEnd::Failed(fault) => Err(AskError { message: fault.message }),
        }
    }
}
