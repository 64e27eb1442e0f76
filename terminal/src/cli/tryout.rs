//! `lucid plugin call` and `test`: a plugin is tried without a model.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lucid_kernel::abi::Call;
use lucid_kernel::port::Disk;
use lucid_tools::kit::cases::Cases;
use lucid_tools::package::Origin;
use lucid_tools::rights::Rights;
use lucid_tools::{Level, Plugin, Scope, ToolHost};
use serde_json::{Value, json};

use super::rights::{load, parse};
use super::{CallArgs, out, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::plugins::{GrantFile, Serving, host};

/// Calls a tool as the model would.
///
/// # Errors
/// When there is no such tool, or it fails.
pub fn call(home: &Home, args: &CallArgs) -> Result<u8, Failure> {
    let host = host(home);
    let plugin = load(&host, home, &args.plugin)?;
    // A plugin with one tool needs no second name.
    let (tool, arguments) = match (&args.tool, &args.arguments) {
        (Some(text), None) if text.trim_start().starts_with('{') => (None, Some(text)),
        (tool, arguments) => (tool.as_deref(), arguments.as_ref()),
    };
    let arguments: Value = match arguments {
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::usage(format!("the arguments are no JSON: {error}")))?,
        None => json!({}),
    };
    let wanted = tool.unwrap_or(&plugin.name).replace('-', "_");
    let names = [format!("{}_{wanted}", plugin.name.replace('-', "_")), wanted.clone()];
    let tool = plugin.tools.iter().find(|tool| names.contains(&tool.name)).ok_or_else(|| {
        let known: Vec<&str> = plugin.tools.iter().map(|tool| tool.name.as_str()).collect();
        Failure::usage(format!("{} has no tool {wanted}; it has {}", plugin.name, known.join(", ")))
    })?;
    let mut rights = (*GrantFile::new(home).of(&plugin.name)?).clone();
    rights.extend(&parse(&args.grants, &plugin)?);
    let cancel = session::on_ctrl_c();
    let disk: Option<Arc<dyn Disk>> = Some(Arc::new(session::open_disk(home)?));
    let call = Call { tool: tool.name.clone(), arguments };
    let began = Instant::now();
    let output = host.call(&call, &scope(home, disk, rights), &cancel);
    let ms = began.elapsed().as_secs_f64() * 1e3;
    match output {
        Ok(output) if args.json => {
            out::json(&json!({ "value": output.value, "text": output.text, "ms": ms }));
            Ok(exit::OK)
        }
        Ok(output) => {
            out::line(&out::clean(&output.text));
            Ok(exit::OK)
        }
        Err(_) if cancel.is_cancelled() => Err(Failure::cancelled()),
        Err(fault) => {
            if args.json {
                out::json(&json!({ "error": fault.message, "ms": ms }));
            }
            Err(Failure::task(out::clean(&fault.message)))
        }
    }
}

fn scope(home: &Home, disk: Option<Arc<dyn Disk>>, rights: Rights) -> Scope {
    let serving = Serving {
        home: home.clone(),
        engine: None,
        disk,
        on_progress: Arc::new(|message, done| {
            let part = done.map_or_else(String::new, |done| format!(" {:.0} %", done * 100.0));
            out::note(&out::clean(&format!("{message}{part}")));
        }),
        on_log: Arc::new(|plugin, level: Level, message| {
            out::note(&out::clean(&format!("{plugin} {}: {message}", level.name())));
        }),
    };
    Scope { rights: Arc::new(rights), services: Arc::new(serving) }
}

/// Runs the cases of a plugin's author against what was built, and shows what the model will read.
///
/// # Errors
/// When the plugin is not built, its cases cannot be read, or one of them fails.
pub fn test(home: &Home, dir: &Path) -> Result<u8, Failure> {
    let (host, plugin) = built(home, dir)?;
    for tool in &plugin.tools {
        out::line(&out::clean(&format!("{}: {}", tool.name, tool.description)));
        out::line(&out::clean(&format!("  {}", tool.parameters)));
    }
    run_cases(home, dir, &host, &plugin)
}

/// Runs the cases alone.
///
/// # Errors
/// As [`test()`].
pub fn try_cases(home: &Home, dir: &Path) -> Result<u8, Failure> {
    let (host, plugin) = built(home, dir)?;
    run_cases(home, dir, &host, &plugin)
}

/// The component that was built in a folder.
fn built(home: &Home, dir: &Path) -> Result<(ToolHost, Arc<Plugin>), Failure> {
    let origin = Origin::parse(&dir.to_string_lossy()).map_err(|error| Failure::usage(error.to_string()))?;
    let Origin::File(component) = origin else {
        return Err(Failure::usage(format!("{origin} is no folder with a plugin")));
    };
    let host = host(home);
    let plugin = host.load(&component).map_err(|error| Failure::config(error.to_string()))?;
    Ok((host, plugin))
}

fn run_cases(home: &Home, dir: &Path, host: &ToolHost, plugin: &Plugin) -> Result<u8, Failure> {
    let cases = Cases::read(dir).map_err(|error| {
        let advice = "write cases there: [[case]] with arguments, and gives, holds or fails";
        Failure::usage(format!("{error}; {advice}"))
    })?;
    let (mut all, mut failed) = (0, 0);
    for case in cases.iter() {
        all += 1;
        let rights = parse(&case.grants, plugin)?;
        let ran = case.run(host, plugin, &scope(home, None, rights));
        let called = format!("{all} {} {}", ran.call.tool, ran.call.arguments);
        match ran.failure {
            None => out::line(&out::clean(&format!("ok    {called}"))),
            Some(why) => {
                failed += 1;
                out::line(&out::clean(&format!("FAILS {called}: {why}")));
            }
        }
    }
    if failed > 0 {
        return Err(Failure::task(format!("{failed} of {all} cases failed")));
    }
    out::note(&format!("{all} cases hold"));
    Ok(exit::OK)
}
