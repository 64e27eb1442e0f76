//! `lucid plugin call` and `test`: a plugin is tried without a model.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use lucid_kernel::abi::Call;
use lucid_kernel::port::{CancelFlag, Disk};
use lucid_tools::rights::Rights;
use lucid_tools::{Level, Scope, ToolHost};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rights::{find, parse};
use super::{CallArgs, out, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::plugins::{GrantFile, Serving, host};

/// The largest file of cases that is read, in bytes.
const MAX_CASES_BYTES: u64 = 4 << 20;
/// What stands in a failure of what came instead, in characters.
const SHOWN_CHARS: usize = 400;

/// Calls a tool as the model would.
///
/// # Errors
/// When there is no such tool, or it fails.
pub fn call(home: &Home, args: &CallArgs) -> Result<u8, Failure> {
    let plugin = find(home, &args.plugin)?;
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
    let loaded = host(home);
    let call = Call { tool: tool.name.clone(), arguments };
    load(&loaded, &plugin)?;
    let began = Instant::now();
    let output = loaded.call(&call, &scope(home, disk, rights), &cancel);
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

fn load(host: &ToolHost, plugin: &lucid_tools::Plugin) -> Result<(), Failure> {
    let loaded = match &plugin.path {
        Some(path) => host.load(path).map(drop),
        None => {
            let bundled = lucid_tools::bundled::COMPONENTS.iter().find(|it| it.name == plugin.name);
            bundled.map_or(Ok(()), |it| host.load_bytes(it.name, it.bytes).map(drop))
        }
    };
    loaded.map_err(|error| Failure::config(error.to_string()))
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

/// The cases of a plugin's author: `tests.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    #[serde(default)]
    case: Vec<Case>,
}

/// One of them: a call, and what it must give.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// The tool; the plugin's only one when not said.
    tool: Option<String>,
    /// Its arguments.
    #[serde(default)]
    arguments: toml::Table,
    /// The rights that it has.
    #[serde(default)]
    grants: Vec<String>,
    /// What it must give.
    gives: Option<toml::Value>,
    /// What its result must hold.
    holds: Option<String>,
    /// What its error must hold.
    fails: Option<String>,
}

/// Runs the cases of a plugin's author against what was built, and shows what the model will read.
///
/// # Errors
/// When the plugin is not built, its cases cannot be read, or one of them fails.
pub fn test(home: &Home, dir: &Path) -> Result<u8, Failure> {
    let component = built(dir)?;
    let host = host(home);
    let plugin = host.load(&component).map_err(|error| Failure::config(error.to_string()))?;
    for tool in &plugin.tools {
        out::line(&out::clean(&format!("{}: {}", tool.name, tool.description)));
        out::line(&out::clean(&format!("  {}", tool.parameters)));
    }
    let file = dir.join("tests.toml");
    let cases = cases(&file)?;
    let mut failed = 0;
    for (number, case) in (1..).zip(&cases.case) {
        let tool = match &case.tool {
            Some(tool) => tool.clone(),
            None => plugin.tools.first().map(|tool| tool.name.clone()).unwrap_or_default(),
        };
        let arguments = serde_json::to_value(&case.arguments).unwrap_or_default();
        let rights = parse(&case.grants, &plugin)?;
        let call = Call { tool: tool.clone(), arguments };
        let given = host.call(&call, &scope(home, None, rights), &CancelFlag::new());
        match judged(case, given.map(|output| (output.value, output.text)).map_err(|fault| fault.message)) {
            Ok(()) => out::line(&out::clean(&format!("ok    {number} {tool} {}", call.arguments))),
            Err(why) => {
                failed += 1;
                out::line(&out::clean(&format!("FAILS {number} {tool} {}: {why}", call.arguments)));
            }
        }
    }
    let all = cases.case.len();
    if failed > 0 {
        return Err(Failure::task(format!("{failed} of {all} cases of {} failed", file.display())));
    }
    out::note(&format!("{all} cases hold"));
    Ok(exit::OK)
}

fn judged(case: &Case, given: Result<(Value, String), String>) -> Result<(), String> {
    let short = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
    match (&case.fails, given) {
        (Some(wanted), Err(message)) if message.contains(wanted.as_str()) => Ok(()),
        (Some(wanted), Err(message)) => {
            Err(format!("its error is {:?}, without {wanted:?}", short(&message)))
        }
        (Some(_), Ok((_, text))) => Err(format!("it gives {:?} where it should fail", short(&text))),
        (None, Err(message)) => Err(short(&message)),
        (None, Ok((value, text))) => {
            if let Some(wanted) = &case.gives {
                let wanted = serde_json::to_value(wanted).unwrap_or_default();
                if wanted != value && wanted.as_str() != Some(text.as_str()) {
                    return Err(format!("it gives {:?}, not {wanted}", short(&text)));
                }
            }
            match &case.holds {
                Some(wanted) if !text.contains(wanted.as_str()) => {
                    Err(format!("it gives {:?}, without {wanted:?}", short(&text)))
                }
                _ => Ok(()),
            }
        }
    }
}

fn cases(file: &Path) -> Result<Cases, Failure> {
    let unreadable = |reason: String| Failure::usage(format!("{}: {reason}", file.display()));
    let size = match std::fs::metadata(file) {
        Ok(metadata) => metadata.len(),
        Err(error) => {
            let advice = "write cases there: [[case]] with arguments and gives, holds or fails";
            return Err(unreadable(format!("{error}; {advice}")));
        }
    };
    if size > MAX_CASES_BYTES {
        return Err(unreadable(format!("it has more than {MAX_CASES_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(error.to_string()))?;
    let cases: Cases = toml::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
    if let Some(at) = cases
        .case
        .iter()
        .position(|case| case.gives.is_none() && case.holds.is_none() && case.fails.is_none())
    {
        return Err(unreadable(format!("case {} says neither gives nor holds nor fails", at + 1)));
    }
    Ok(cases)
}

/// The component that was built in a folder.
fn built(dir: &Path) -> Result<PathBuf, Failure> {
    let entries =
        std::fs::read_dir(dir).map_err(|error| Failure::usage(format!("{}: {error}", dir.display())))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
        .collect();
    found.sort();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(Failure::usage(format!(
            "{} holds no component; run `lucid plugin build` first",
            dir.display()
        ))),
        _ => Err(Failure::usage(format!("{} holds several components; leave one", dir.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(text: &str) -> Case {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_case_that_does_not_hold_says_what_came_instead() {
        let gave = |text: &str| Ok((Value::String(text.into()), text.to_owned()));
        assert_eq!(judged(&case("gives = \"2\""), gave("2")), Ok(()));
        assert!(judged(&case("gives = \"2\""), gave("3")).unwrap_err().contains("\"3\""));
        assert_eq!(judged(&case("holds = \"b\""), gave("abc")), Ok(()));
        assert!(judged(&case("holds = \"x\""), gave("abc")).is_err());
        assert_eq!(judged(&case("fails = \"empty\""), Err("the name is empty".into())), Ok(()));
        assert!(judged(&case("fails = \"empty\""), gave("Hello")).is_err());
        assert!(judged(&case("gives = 1"), Err("no".into())).is_err());
        assert_eq!(judged(&case("gives = { a = 1 }"), Ok((json!({ "a": 1 }), String::new()))), Ok(()));
    }
}
