//! `lucid doctor`: is all well on this machine, and if not, what to do.

use std::sync::Arc;
use std::time::Duration;

use lucid_kernel::chat::{ChatFormat, FormatSource};
use lucid_kernel::port::{ChatTemplate, Disk, Engine as _};
use lucid_remote::{O200k, Remote};
use serde::Serialize;

use super::{mount, out};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::Tools as _;
use crate::models::{self, ModelRef};
use crate::plugins::{Commands, SessionTools};
use crate::settings::Settings;

/// What one check found.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    do_this: Option<String>,
}

impl Finding {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into(), do_this: None }
    }

    fn bad(what: &'static str, found: impl Into<String>, do_this: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into(), do_this: Some(do_this.into()) }
    }
}

/// Checks and prints.
///
/// # Errors
/// None: what is wrong is printed, and the exit code says that something is.
pub fn run(home: &Home, json: bool) -> Result<u8, Failure> {
    let machine = models::Machine::probe();
    let mut findings = vec![
        cpu(),
        memory(&machine),
        space(home),
        settings(home),
        model(home),
        index(home),
        journal(home),
        tools(home),
    ];
    findings.extend(shell(home));
    findings.extend(engines(home));
    let all_well = findings.iter().all(|finding| finding.ok);
    if json {
        out::json(&findings);
    } else {
        for finding in &findings {
            out::line(&format!(
                "{:<4} {:<9} {}",
                if finding.ok { "ok" } else { "!!" },
                finding.what,
                finding.found
            ));
            if let Some(todo) = &finding.do_this {
                out::line(&format!("     -> {todo}"));
            }
        }
    }
    Ok(if all_well { exit::OK } else { exit::CONFIG })
}

/// candle chooses its quantised kernels when it is compiled.
fn cpu() -> Finding {
    #[cfg(target_arch = "x86_64")]
    {
        let has = std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("f16c");
        let built = cfg!(all(target_feature = "avx2", target_feature = "f16c"));
        match (has, built) {
            (true, false) => Finding::bad(
                "cpu",
                "this program was built without AVX2 and F16C, which this machine has: the model runs 5 to 10 times slower",
                "build it inside its repository, where .cargo/config.toml sets the flags, and leave RUSTFLAGS unset",
            ),
            (true, true) => Finding::good("cpu", "AVX2 and F16C, and built for them"),
            (false, _) => Finding::good("cpu", "no AVX2: small models only will be quick"),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    Finding::good("cpu", std::env::consts::ARCH)
}

fn memory(machine: &models::Machine) -> Finding {
    let choice = models::choose(machine);
    let need = models::entry(choice.name).map_or(0, |entry| entry.memory_bytes);
    let found = format!(
        "{} free of {}",
        out::bytes(machine.available_memory_bytes),
        out::bytes(machine.total_memory_bytes)
    );
    if machine.available_memory_bytes >= need {
        Finding::good("memory", found)
    } else {
        Finding::bad(
            "memory",
            found,
            format!("{} wants {}: close other programs", choice.name, out::bytes(need)),
        )
    }
}

/// The least free space with which all goes well, in bytes.
const LEAST_SPACE_BYTES: u64 = 2_000_000_000;

fn space(home: &Home) -> Finding {
    let dir = home.models_dir();
    let there = dir.ancestors().find(|dir| dir.exists());
    match there.map(fs4::available_space) {
        Some(Ok(free)) if free >= LEAST_SPACE_BYTES => {
            Finding::good("disk", format!("{} free at {}", out::bytes(free), dir.display()))
        }
        Some(Ok(free)) => Finding::bad(
            "disk",
            format!("only {} free at {}", out::bytes(free), dir.display()),
            "make room, or set LUCID_HOME to a folder on a larger disk",
        ),
        Some(Err(error)) => Finding::bad("disk", error.to_string(), "check that the folder can be read"),
        None => Finding::bad("disk", format!("no folder above {}", dir.display()), "set LUCID_HOME"),
    }
}

fn settings(home: &Home) -> Finding {
    match Settings::load(home) {
        Ok(settings) => {
            Finding::good("settings", format!("model {}, {}", settings.model, home.settings_file().display()))
        }
        Err(failure) => Finding::bad("settings", failure.message, "mend or remove the file"),
    }
}

/// How long a server may take to answer a check.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether the servers of the settings' own engines can be reached.
fn engines(home: &Home) -> Vec<Finding> {
    let Ok(settings) = Settings::load(home) else { return Vec::new() };
    let far = settings.engines.iter().filter(|(_, engine)| engine.is_remote());
    far.map(|(name, engine)| {
        let place = |key| Settings::place(home, &format!("engines.{name}"), key).unwrap_or_default();
        let mut spec = match engine.remote(name, home) {
            Ok(spec) => spec,
            Err(mistake) => {
                return Finding::bad("engine", format!("{name}: {}", mistake.reason), place(mistake.key));
            }
        };
        spec.timeouts.connect = spec.timeouts.connect.min(CHECK_TIMEOUT);
        spec.timeouts.first_byte = spec.timeouts.first_byte.min(CHECK_TIMEOUT);
        spec.retries = 0;
        match Remote::connect(spec, Arc::new(O200k)) {
            Ok(engine) => {
                let info = engine.info();
                let host = info
                    .host
                    .map_or_else(|| "this machine".into(), |host| format!("{host} (off this machine)"));
                Finding::good("engine", format!("{name}: {}, {} tokens, at {host}", info.engine, info.n_ctx))
            }
            Err(error) => Finding::bad("engine", format!("{name}: {error}"), place("url")),
        }
    })
    .collect()
}

fn model(home: &Home) -> Finding {
    let checked = (|| {
        let settings = Settings::load(home)?;
        let store = super::model::store(home)?;
        let (model, why) = super::model::resolve(&store, &settings.model)?;
        if store.plan(&model).map_err(|error| Failure::config(error.to_string()))?.is_some() {
            return Ok((format!("{model} is not fetched yet"), Some(format!("lucid model pull {model}"))));
        }
        if matches!(model, ModelRef::Hub { file: None, .. }) {
            return Ok((format!("{model}"), None));
        }
        let path = store.path(&model).map_err(|error| Failure::config(error.to_string()))?;
        let info = lucid_model::gguf::inspect(&path).map_err(|error| Failure::config(error.to_string()))?;
        let window = info.n_ctx.map_or_else(|| "unknown".into(), |tokens| tokens.to_string());
        let text = |token: Option<&lucid_model::gguf::SpecialToken>| {
            token.map_or_else(String::new, |t| t.text.clone())
        };
        let template = ChatTemplate {
            source: info.chat_template.clone(),
            bos: text(info.bos.as_ref()),
            eos: text(info.eos.as_ref()),
        };
        let format = match ChatFormat::probe(&template).source {
            FormatSource::Template => "its own chat format".to_owned(),
            FormatSource::Builtin { name, reason } => format!("the chat format {name}, because {reason}"),
        };
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        Ok::<_, Failure>((format!("{model}, window {window} tokens, {format}{why}"), None))
    })();
    match checked {
        Ok((found, None)) => Finding::good("model", found),
        Ok((found, Some(todo))) => Finding::bad("model", found, todo),
        Err(failure) => Finding::bad("model", failure.message, "lucid model list shows what can be had"),
    }
}

fn index(home: &Home) -> Finding {
    let mounts = super::session::open_disk(home).and_then(|disk| disk.mounts().map_err(mount::failure));
    match mounts {
        Ok(mounts) if mounts.is_empty() => Finding::good("index", "nothing is mounted"),
        Ok(mounts) => {
            let pages: u64 = mounts.iter().map(|mount| mount.pages).sum();
            let open = mounts.iter().find(|mount| !mount.complete);
            let found = format!("{} folders, {pages} pages", mounts.len());
            match open {
                Some(open) => {
                    Finding::bad("index", found, format!("lucid mount {} (it was cut off)", open.root))
                }
                None => Finding::good("index", found),
            }
        }
        Err(failure) => Finding::bad("index", failure.message, "lucid mount --rebuild DIR makes it anew"),
    }
}

fn journal(home: &Home) -> Finding {
    let sessions = super::session::open_journal(home)
        .and_then(|journal| journal.sessions().map_err(|error| Failure::config(error.to_string())));
    match sessions {
        Ok(sessions) => Finding::good("sessions", format!("{} recorded", sessions.len())),
        Err(failure) => {
            Finding::bad("sessions", failure.message, format!("move {} away", home.journal_file().display()))
        }
    }
}

fn tools(home: &Home) -> Finding {
    let mut left_out = Vec::new();
    match SessionTools::open(home, None, &mut |what, _| left_out.push(what)) {
        Ok(tools) if left_out.is_empty() => {
            let names: Vec<String> = tools.specs().into_iter().map(|spec| spec.name).collect();
            Finding::good(
                "tools",
                format!("{}; compiled code in {}", names.join(", "), home.wasm_cache_dir().display()),
            )
        }
        Ok(_) => Finding::bad("tools", left_out.join("; "), "lucid plugin rm NAME removes a plugin"),
        Err(failure) => {
            Finding::bad("tools", failure.message, format!("remove {}", home.wasm_cache_dir().display()))
        }
    }
}

/// Whether commands can be shut off here, where the settings turn them on.
fn shell(home: &Home) -> Option<Finding> {
    let is_on = Settings::load(home).is_ok_and(|settings| settings.tools.shell);
    is_on.then(|| match Commands::open(home) {
        Ok(commands) => Finding::good("shell", format!("commands are shut off by {}", commands.sandbox())),
        Err(failure) => Finding::bad(
            "shell",
            failure.message,
            "until then the model is offered no shell; `shell = false` in the settings is quiet about it",
        ),
    })
}
