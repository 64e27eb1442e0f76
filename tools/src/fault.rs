//! A call that failed, in words that the model can act on.

use lucid_kernel::abi::{Fault, FaultKind};
use serde_json::Value;
use wasmtime::Trap;
use wasmtime::component::{Type, Val};

use crate::error::ToolError;
use crate::limits::{Limits, MAX_GUEST_STACK_BYTES};
use crate::runtime::Stop;
use crate::value::{Misfit, to_json};

/// The most of a guest's own words that stand in a message, in characters.
const MAX_WORDS_CHARS: usize = 500;

pub(crate) fn arguments(tool: &str, misfit: &Misfit) -> Fault {
    Fault::new(FaultKind::Tool, format!("{tool} was not called: {misfit}"))
}

pub(crate) fn host(tool: &str, error: &ToolError) -> Fault {
    Fault::new(FaultKind::Limit, format!("{tool} was not called: {error}"))
}

/// The component has no such function any more.
pub(crate) fn gone(tool: &str) -> Fault {
    Fault::new(FaultKind::Limit, format!("{tool} was not called: its plugin does not export it"))
}

pub(crate) fn output(tool: &str, limits: &Limits) -> Fault {
    let limit = size(limits.output_bytes);
    Fault::new(FaultKind::Limit, format!("{tool} returned more than {limit}; ask it for less"))
}

/// The value of a result, or the error that the tool reports through it.
pub(crate) fn outcome(tool: &str, ty: Option<&Type>, value: Option<&Val>) -> Result<Value, Fault> {
    let unwritable = |error| Fault::new(FaultKind::Tool, format!("{tool} failed: {error}"));
    let (Some(ty), Some(value)) = (ty, value) else { return Ok(Value::Null) };
    match (ty, value) {
        (Type::Result(result), Val::Result(Ok(value))) => {
            payload(result.ok(), value.as_deref()).map_err(unwritable)
        }
        (Type::Result(result), Val::Result(Err(error))) => {
            let error = payload(result.err(), error.as_deref()).map_err(unwritable)?;
            let message = match error {
                Value::Null => format!("{tool} failed and gave no reason"),
                Value::String(text) => front(&text),
                other => front(&other.to_string()),
            };
            Err(Fault::new(FaultKind::Tool, message))
        }
        (ty, value) => to_json(ty, value, "the result").map_err(unwritable),
    }
}

fn payload(ty: Option<Type>, value: Option<&Val>) -> Result<Value, crate::value::NoJson> {
    crate::value::payload(ty, value, "the result")
}

/// With why its requests failed, where they did.
pub(crate) fn with_requests(fault: Fault, failures: &str) -> Fault {
    if failures.is_empty() {
        return fault;
    }
    let failures = front(&failures.replace('\n', "; "));
    Fault { message: format!("{} (its requests failed: {failures})", fault.message), ..fault }
}

/// A call that was stopped.
pub(crate) fn stopped(tool: &str, stop: Stop, limits: &Limits) -> Fault {
    let message = match stop {
        Stop::TimedOut => {
            format!("{tool} was stopped: it ran longer than {} ms; give it less to do", limits.timeout_ms)
        }
        Stop::Cancelled => format!("{tool} was cancelled"),
        Stop::NoThread(error) => {
            format!("{tool} was not called: the machine gives no thread for it: {error}")
        }
        Stop::Trapped { error, words, out_of_memory } => {
            let mut message = format!("{tool} was stopped: {}", trapped(&error, out_of_memory, limits));
            if !words.is_empty() {
                message.push_str(". It said: ");
                message.push_str(&front(&words));
            }
            message
        }
    };
    Fault::new(FaultKind::Limit, message)
}

fn trapped(error: &wasmtime::Error, out_of_memory: bool, limits: &Limits) -> String {
    if out_of_memory {
        return format!("it needed more than {} of memory", size(limits.memory_bytes));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => {
            format!("it called itself too deep (its stack is {})", size(MAX_GUEST_STACK_BYTES))
        }
        Some(Trap::UnreachableCodeReached) => "it broke off with a panic".into(),
        Some(trap) => format!("it made an error: {trap}"),
        None => format!("it failed: {}", error.root_cause()),
    }
}

fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1 << 20) {
        format!("{} MiB", bytes >> 20)
    } else if bytes.is_multiple_of(1 << 10) {
        format!("{} KiB", bytes >> 10)
    } else {
        format!("{bytes} bytes")
    }
}

fn front(text: &str) -> String {
    match text.char_indices().nth(MAX_WORDS_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
