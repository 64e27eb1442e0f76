//! `lucid model`, and the loading of the model and the tools that a session needs.

use std::path::PathBuf;
use std::sync::Arc;

use lucid_engine::{LoadOptions, Mistralrs, ModelSource, ModelSpec};
use lucid_kernel::abi::{Call, Fault, ToolSpec};
use lucid_kernel::port::{CancelFlag, EngineError};
use lucid_tools::ToolHost;
use serde_json::json;

use super::{ModelCmd, out, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::{Loaded, Loader, ToolOutput, Tools};
use crate::models::{self, AUTO, Bar, ModelRef, Progress, PullError, Sources, State, Store, StoreError};
use crate::settings::Settings;

/// Runs `lucid model …`.
///
/// # Errors
/// When a model is unknown, cannot be fetched, or the store cannot be used.
pub fn run(home: &Home, command: &ModelCmd) -> Result<u8, Failure> {
    let store = store(home)?;
    match command {
        ModelCmd::List { json } => list(home, &store, *json),
        ModelCmd::Pull { names } => pull(&store, names),
        ModelCmd::Use { name } => {
            let chosen = store.use_model(name).map_err(from_store)?;
            let mut settings = Settings::load(home)?;
            settings.model.clone_from(&chosen);
            settings.save(home)?;
            out::note(&format!("from now on: {chosen}"));
            Ok(exit::OK)
        }
        ModelCmd::Rm { names } => {
            for name in names {
                let removed = store.rm(name).map_err(from_store)?;
                out::note(&format!("removed {} ({})", removed.name, out::bytes(removed.bytes)));
            }
            Ok(exit::OK)
        }
        ModelCmd::Path { name } => {
            let model = resolve(&store, name)?.0;
            let path = store.path(&model).map_err(from_store)?;
            out::line(&path.display().to_string());
            Ok(exit::OK)
        }
    }
}

fn list(home: &Home, store: &Store, json: bool) -> Result<u8, Failure> {
    let listed = store.list().map_err(from_store)?;
    let settings = Settings::load(home)?;
    let auto = models::choose(&models::Machine::probe());
    let used = if settings.model == AUTO { auto.name } else { settings.model.as_str() };
    if json {
        let objects: Vec<_> = listed.iter().map(|model| json!({
            "name": model.name, "path": model.path, "bytes": model.bytes,
            "state": state_name(model.state), "used": model.name == used,
            "licence": model.entry.map(|entry| entry.licence), "about": model.entry.map(|entry| entry.about),
        })).collect();
        out::json(&objects);
        return Ok(exit::OK);
    }
    for model in &listed {
        let mark = if model.name == used { "*" } else { " " };
        let size = model.bytes.map_or_else(|| "?".into(), out::bytes);
        let about = model.entry.map_or("", |entry| entry.about);
        out::line(&format!("{mark} {:<24} {size:>10}  {:<8}  {about}", model.name, state_name(model.state)));
    }
    if settings.model == AUTO {
        out::note(&format!("* chosen for this machine: {}", auto.why));
    }
    Ok(exit::OK)
}

const fn state_name(state: State) -> &'static str {
    match state {
        State::Here => "here",
        State::Damaged => "damaged",
        State::Partial { .. } => "partial",
        State::Absent => "",
    }
}

fn pull(store: &Store, names: &[String]) -> Result<u8, Failure> {
    let cancel = session::on_ctrl_c();
    for name in names {
        let (model, why) = resolve(store, name)?;
        if let Some(why) = why {
            out::note(&why);
        }
        match store.plan(&model).map_err(from_store)? {
            Some(plan) => out::note(&plan.to_string()),
            None => {
                out::note(&format!("{model} is there"));
                continue;
            }
        }
        let mut bar = Bar::new();
        let pulled = store.pull(&model, &mut |progress| bar.show(progress), &|| cancel.is_cancelled());
        bar.finish();
        let path = pulled.map_err(from_pull)?;
        out::note(&format!("{model}: {}", path.display()));
    }
    Ok(exit::OK)
}

/// The store of this home.
///
/// # Errors
/// When its folder cannot be made.
pub fn store(home: &Home) -> Result<Store, Failure> {
    Store::open(home.models_dir(), Sources::from_env()).map_err(from_store)
}

/// The model that a name means, and why when it was chosen by the machine.
///
/// # Errors
/// When there is none of that name.
pub fn resolve(store: &Store, name: &str) -> Result<(ModelRef, Option<String>), Failure> {
    if name.trim().eq_ignore_ascii_case(AUTO) {
        let choice = models::choose(&models::Machine::probe());
        return Ok((store.resolve(choice.name).map_err(from_store)?, Some(choice.why)));
    }
    Ok((store.resolve(name).map_err(from_store)?, None))
}

/// Loads the model of the settings or the command line, fetching it first when it is not
/// there, and the tools.
pub fn loader(home: &Home, settings: &Settings, model: Option<String>, window: Option<u32>) -> Loader {
    let home = home.clone();
    let name = model.unwrap_or_else(|| settings.model.clone());
    let options = LoadOptions {
        window: window.or(settings.window_tokens),
        cache_bytes: settings.cache_mib.map(|mib| mib * 1024 * 1024),
        ..LoadOptions::default()
    };
    Box::new(move |on_progress, cancel| {
        let tools = open_tools(&home, on_progress)?;
        let engine = Arc::new(load_engine(&home, &name, &options, on_progress, cancel)?);
        Ok(Loaded { engine, tools })
    })
}

/// Loads a model, fetching it first when it is not there.
///
/// # Errors
/// When it is unknown, cannot be fetched or cannot be loaded.
pub fn load_engine(
    home: &Home,
    name: &str,
    options: &LoadOptions,
    on_progress: &mut dyn FnMut(String, Option<f32>),
    cancel: &CancelFlag,
) -> Result<Mistralrs, Failure> {
    let store = store(home)?;
    let (model, why) = resolve(&store, name)?;
    if let Some(why) = why {
        on_progress(why, None);
    }
    let source = match &model {
        // What has no GGUF file is fetched and loaded by mistralrs itself.
        ModelRef::Hub { repo, file: None } if !repo.to_lowercase().contains("gguf") => {
            ModelSource::Hub { repository: repo.clone(), revision: None }
        }
        _ => ModelSource::Gguf(fetch(&store, &model, on_progress, cancel)?),
    };
    if cancel.is_cancelled() {
        return Err(Failure::cancelled());
    }
    on_progress(format!("loading {model}"), None);
    let spec = ModelSpec { name: model.to_string(), source };
    Mistralrs::load(&spec, options, &mut |_| {}).map_err(|error| match &error {
        EngineError::Load { .. } => Failure::config(error.to_string()),
        _ => Failure::config(format!("cannot load {model}: {error}")),
    })
}

fn fetch(
    store: &Store,
    model: &ModelRef,
    on_progress: &mut dyn FnMut(String, Option<f32>),
    cancel: &CancelFlag,
) -> Result<PathBuf, Failure> {
    match store.plan(model).map_err(from_store)? {
        None => return store.path(model).map_err(from_store),
        Some(plan) => on_progress(plan.to_string(), None),
    }
    let mut show = |progress: &Progress| {
        let part = progress.percent().map(|percent| percent as f32 / 100.0);
        on_progress(progress.what.clone(), part);
    };
    store.pull(model, &mut show, &|| cancel.is_cancelled()).map_err(from_pull)
}

fn from_store(error: StoreError) -> Failure {
    Failure::new(error.exit_code(), error.to_string())
}

fn from_pull(error: PullError) -> Failure {
    Failure::new(error.exit_code(), error.to_string())
}

/// The bundled and the installed tools.
///
/// # Errors
/// When a bundled one cannot be loaded. An installed one that cannot is named and left out.
pub fn open_tools(
    home: &Home,
    on_progress: &mut dyn FnMut(String, Option<f32>),
) -> Result<Arc<dyn Tools>, Failure> {
    let host = ToolHost::new(Some(&home.wasm_cache_dir()), lucid_tools::Limits::default());
    host.load_bundled()
        .map_err(|error| Failure::config(format!("a bundled tool cannot be loaded: {error}")))?;
    if home.plugins_dir().is_dir() {
        let report =
            host.load_folder(&home.plugins_dir()).map_err(|error| Failure::config(error.to_string()))?;
        for (path, error) in report.failed {
            on_progress(format!("{} is left out: {error}", path.display()), None);
        }
    }
    Ok(Arc::new(HostTools { host }))
}

struct HostTools {
    host: ToolHost,
}

impl Tools for HostTools {
    fn specs(&self) -> Vec<ToolSpec> {
        self.host.tools()
    }

    fn call(&self, call: &Call, cancel: &CancelFlag) -> Result<ToolOutput, Fault> {
        let output = self.host.call(call, cancel)?;
        Ok(ToolOutput { value: output.value, text: output.text, micros: output.micros })
    }
}
