//! Carries a script out: each step is filled in, put to the model, and its answer bound.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};

use super::error::{Problem, ScriptError};
use super::head::one_line;
use super::template::{Bindings, render};
use super::{Script, Step};

/// Whoever answers a step: the machine, or a test.
pub trait Ask {
    /// Puts a text to the model and waits for the answer. With a schema, decoding is held to it.
    ///
    /// # Errors
    /// When there is no answer: the engine failed, the turn was refused or cancelled.
    fn ask(&mut self, text: &str, schema: Option<&Value>) -> Result<StepAnswer, AskError>;
}

/// What the model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepAnswer {
    /// The answer; with a schema, the JSON text.
    pub text: String,
}

/// Why there is no answer, in words for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskError {
    /// What was tried, on what, and what to do.
    pub message: String,
}

/// What is shown while a script runs.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A step begins.
    Began {
        /// The step.
        step: &'a Step,
        /// How many there are.
        of: usize,
        /// Its text, names filled in.
        text: &'a str,
    },
    /// A step ended.
    Ended(&'a StepReport),
}

/// All that a script did. `lucid run --json` prints it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The script's name.
    pub script: String,
    /// Whether every step was carried out.
    pub ok: bool,
    /// The steps that were begun, in order; after one that failed no other is.
    pub steps: Vec<StepReport>,
    /// The bound results.
    pub results: Map<String, Value>,
}

/// What one step did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepReport {
    /// Its number, counted from 1.
    pub number: usize,
    /// What was put to the model.
    pub text: String,
    /// The name of its result.
    pub name: Option<String>,
    /// Its result: a text, or with a schema the value. None when the step failed.
    pub value: Option<Value>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Script {
    /// The values that the script begins with: what was given, and the defaults.
    ///
    /// # Errors
    /// A parameter that is missing, or that the script does not have.
    pub fn bindings(&self, given: &BTreeMap<String, String>) -> Result<Bindings, ScriptError> {
        let names = || self.params.iter().map(|p| p.name.clone()).collect();
        if let Some(name) = given.keys().find(|name| !self.params.iter().any(|p| p.name == **name)) {
            return Err(self.at(1, Problem::UnknownParam { name: name.clone(), known: names() }));
        }
        let mut bindings = Bindings::new();
        for param in &self.params {
            let value = given.get(&param.name).map(|text| Value::from(text.as_str()));
            let value = value.or_else(|| param.default.clone());
            let missing = || self.at(1, Problem::MissingParam(param.name.clone()));
            bindings.bind(&param.name, value.ok_or_else(missing)?);
        }
        Ok(bindings)
    }

    /// The folders to mount, parameters filled in. A relative one is meant from the folder in
    /// which `lucid` was started.
    ///
    /// # Errors
    /// Those of [`render`].
    pub fn folders(&self, bindings: &Bindings) -> Result<Vec<String>, ScriptError> {
        let fill = |mount: &super::Mount| {
            render(&mount.folder, bindings).map_err(|problem| self.at(mount.line, problem))
        };
        self.mounts.iter().map(fill).collect()
    }

    fn at(&self, line: usize, problem: Problem) -> ScriptError {
        ScriptError { path: self.path.clone(), line, problem }
    }
}

/// Carries out the steps in order, and stops at the first that fails. `bindings` come from
/// [`Script::bindings`]; `on_progress` is told when a step begins and ends.
pub fn run(
    script: &Script,
    mut bindings: Bindings,
    ask: &mut dyn Ask,
    on_progress: &mut dyn FnMut(Progress<'_>),
) -> Report {
    let mut report = Report {
        script: script.name.clone(),
        ok: true,
        steps: Vec::with_capacity(script.steps.len()),
        results: Map::new(),
    };
    for step in &script.steps {
        let began = Instant::now();
        let (text, result) = match render(&step.text, &bindings) {
            Err(problem) => (step.text.clone(), Err(script.at(step.line, problem).to_string())),
            Ok(text) => {
                on_progress(Progress::Began { step, of: script.steps.len(), text: &text });
                let result = ask_one(step, &text, ask);
                (text, result)
            }
        };
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let (Some(name), Ok(value)) = (&step.bind, &result) {
            bindings.bind(name, value.clone());
            report.results.insert(name.clone(), value.clone());
        }
        report.ok = result.is_ok();
        let (value, error) = match result {
            Ok(value) => (Some(value), None),
            Err(error) => (None, Some(error)),
        };
        let (number, name) = (step.number, step.bind.clone());
        let done = StepReport { number, text, name, value, ms, error };
        on_progress(Progress::Ended(&done));
        report.steps.push(done);
        if !report.ok {
            break;
        }
    }
    report
}

fn ask_one(step: &Step, text: &str, ask: &mut dyn Ask) -> Result<Value, String> {
    let answer = ask.ask(text, step.schema.as_ref()).map_err(|error| error.message)?;
    match &step.schema {
        None => Ok(Value::from(answer.text)),
        Some(schema) => typed(&answer.text, schema),
    }
}

/// Reads an answer and holds it to its schema.
fn typed(answer: &str, schema: &Value) -> Result<Value, String> {
    let shown = || one_line(answer);
    let value: Value = serde_json::from_str(answer.trim())
        .map_err(|error| format!("the answer is no JSON ({error}): {}", shown()))?;
    let misfit = match jsonschema::validate(schema, &value) {
        Ok(()) => None,
        Err(error) => Some(one_line(&error.to_string())),
    };
    match misfit {
        None => Ok(value),
        Some(reason) => Err(format!("the answer does not fit its schema ({reason}): {}", shown())),
    }
}
