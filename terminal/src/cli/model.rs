//! `lucid model`, and the loading of the model and the tools that a session needs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lucid_engine::SentenceBert;
use lucid_kernel::port::{CancelFlag, Disk, Embedder, Engine, EngineError};
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};
use lucid_remote::{O200k, Remote};
use serde_json::json;

use super::{ModelArgs, ModelCmd, out, session};
use crate::engines::{self, EngineChoice, Load, NamedEngine, Pool, Terms};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::machine::{LoadWriter, Loaded, Loader};
use crate::models::{
    self, AUTO, Bar, EMBEDDER, EmbedderFiles, ModelRef, Progress, PullError, Sources, State, Store,
    StoreError,
};
use crate::plugins::SessionTools;
use crate::settings::Settings;

/// What the settings say where pages are not to be found by their meaning.
const OFF: &str = "off";

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
            out::note(&format!("from now on: {}", choose(home, &store, name)?));
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

/// Uses a model from now on, and gives its name.
///
/// # Errors
/// When there is none of that name, or the settings cannot be kept.
pub fn choose(home: &Home, store: &Store, name: &str) -> Result<String, Failure> {
    let chosen = store.use_model(name).map_err(from_store)?;
    let mut settings = Settings::load(home)?;
    settings.model.clone_from(&chosen);
    settings.save(home)?;
    Ok(chosen)
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
pub fn loader(
    home: &Home,
    settings: &Settings,
    model: ModelArgs,
    pool: Arc<Pool>,
    disk: Option<Arc<dyn Disk>>,
) -> Loader {
    let (home, settings) = (home.clone(), settings.clone());
    Box::new(move |on_progress, cancel| {
        // Where tools were never compiled on this machine, that takes as long as loading the model.
        let mut said = Vec::new();
        let (tools, engine) = std::thread::scope(|threads| {
            let tools = threads.spawn(|| {
                let mut say = |what: String, part: Option<f32>| said.push((what, part));
                let tools = SessionTools::open(&home, disk, &mut say)?;
                Ok::<_, Failure>(if settings.tools.shell { tools.with_shell(&mut say) } else { tools })
            });
            let engine = load_engine(&home, &settings, &model, &pool, on_progress, cancel);
            (tools.join(), engine)
        });
        said.iter().for_each(|(what, part)| on_progress(what.clone(), *part));
        let left_out = said.into_iter().map(|(what, _)| what).collect();
        let tools = tools.map_err(|_| Failure::task("the tools could not be loaded"))??;
        let (tools, engine) = (Arc::new(tools), engine?);
        tools.set_engine(&engine);
        let writer = settings.digests.is_some().then(|| writer(&home, &settings, &pool));
        Ok(Loaded { engine, tools, writer, left_out })
    })
}

/// The engine of the settings that shortens what was said. Nobody waits for it, so its model is not
/// fetched.
fn writer(home: &Home, settings: &Settings, pool: &Arc<Pool>) -> LoadWriter {
    let (home, settings, pool) = (home.clone(), settings.clone(), Arc::clone(pool));
    Box::new(move || {
        let name = settings.digests.clone().unwrap_or_default();
        let named = settings.find_engine(&name).map_err(Failure::usage)?;
        let store = store(&home)?;
        let (model, _) = resolve(&store, named.model.as_ref().unwrap_or(&settings.model))?;
        store.path(&model).map_err(from_store)?;
        let wanted = ModelArgs { engine: Some(name), ..ModelArgs::default() };
        load_engine(&home, &settings, &wanted, &pool, &mut |_, _| {}, &CancelFlag::new())
    })
}

/// The engines of this process.
pub fn pool(settings: &Settings) -> Arc<Pool> {
    Pool::new(settings.loaded_max_mib.map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20)))
}

/// The model of the settings that finds pages by their meaning; none when it is switched off, or
/// was left to us and is not there.
///
/// # Errors
/// When the settings name a model that is unknown, not there or damaged, or of another kind.
pub fn embedder(
    home: &Home,
    settings: &Settings,
    pool: &Arc<Pool>,
) -> Result<Option<Arc<dyn Embedder>>, Failure> {
    let store = store(home)?;
    let wanted = settings.embedder.trim();
    let is_ours = wanted.eq_ignore_ascii_case(AUTO);
    if wanted.eq_ignore_ascii_case(OFF) {
        return Ok(None);
    }
    let found = store.resolve(if is_ours { EMBEDDER } else { wanted }).and_then(|model| {
        let files = store.embedder(&model)?;
        Ok((model.to_string(), files))
    });
    let (name, files) = match found {
        Ok(found) => found,
        Err(StoreError::Missing { .. }) if is_ours => return Ok(None),
        Err(error) => return Err(placed(&Settings::place(home, "", "embedder"), from_store(error))),
    };
    let bytes = std::fs::metadata(&files.weights).map_or(0, |file| file.len());
    let EmbedderFiles { weights, tokenizer, dimensions } = files;
    let terms = terms(&name, name.clone(), bytes, settings.unload_minutes);
    let load: Load<dyn Embedder> =
        Box::new(move || Ok(Arc::new(SentenceBert::load(&name, &weights, &tokenizer)?)));
    Ok(Some(pool.open_embedder(terms, dimensions, load)))
}

/// Loads the engine that is wanted, or that of the settings, fetching its model first when it is
/// not there.
///
/// # Errors
/// When the engine or the model is unknown, cannot be fetched, loaded or reached.
pub fn load_engine(
    home: &Home,
    settings: &Settings,
    wanted: &ModelArgs,
    pool: &Arc<Pool>,
    on_progress: &mut dyn FnMut(String, Option<f32>),
    cancel: &CancelFlag,
) -> Result<Arc<dyn Engine>, Failure> {
    let name = wanted.engine.as_ref().unwrap_or(&settings.engine);
    let named = settings.find_engine(name).map_err(Failure::usage)?;
    if named.is_remote() {
        return connect(home, name, &named, wanted, pool, on_progress);
    }
    let choice = named.engine.unwrap_or_default();
    let local = local(home, settings, name, &named, wanted, on_progress, cancel)?;
    let Local { spec, options, bytes, place } = local;
    on_progress(format!("loading {}", spec.name), None);
    let terms = terms(name, spec.name.clone(), bytes, named.unload_minutes.or(settings.unload_minutes));
    let model = spec.name.clone();
    let opened = pool.open(terms, Box::new(move || engines::load(choice, &spec, &options)));
    opened.map_err(|error| placed(&place, not_loaded(&model, &error)))
}

/// A model on this machine, ready to be loaded.
pub struct Local {
    /// Which.
    pub spec: ModelSpec,
    /// How.
    pub options: LoadOptions,
    /// The size of its file, in bytes; 0 when it has none.
    bytes: u64,
    /// Where the settings name it, for whoever has to mend it.
    place: Option<String>,
}

/// Finds the model of an engine on this machine, fetching it first when it is not there.
///
/// # Errors
/// When the model is unknown or cannot be fetched.
pub fn local(
    home: &Home,
    settings: &Settings,
    name: &str,
    named: &NamedEngine,
    wanted: &ModelArgs,
    on_progress: &mut dyn FnMut(String, Option<f32>),
    cancel: &CancelFlag,
) -> Result<Local, Failure> {
    let mut options = LoadOptions {
        window: wanted.window.or(named.window_tokens).or(settings.window_tokens),
        cache_bytes: settings.cache_mib.map(|mib| mib * 1024 * 1024),
        threads: settings.threads,
        snapshots: Some(home.snapshots_dir()),
        ..LoadOptions::default()
    };
    let store = store(home)?;
    let place_of = |is_own: bool, key| {
        let table = if is_own { format!("engines.{name}") } else { String::new() };
        Settings::place(home, &table, key)
    };
    let place = if wanted.model.is_some() { None } else { place_of(named.model.is_some(), "model") };
    let model = wanted.model.as_ref().or(named.model.as_ref()).unwrap_or(&settings.model);
    let (model, why) = resolve(&store, model).map_err(|failure| placed(&place, failure))?;
    model.check_answers().map_err(|error| placed(&place, from_store(error)))?;
    if let Some(why) = why {
        on_progress(why, None);
    }
    let source = match &model {
        // What has no GGUF file is fetched and loaded by mistralrs itself.
        ModelRef::Hub { repo, file: None } if !repo.to_lowercase().contains("gguf") => {
            ModelSource::Hub { repository: repo.clone(), revision: None }
        }
        _ => ModelSource::Gguf(
            fetch(&store, &model, on_progress, cancel).map_err(|failure| placed(&place, failure))?,
        ),
    };
    if let Some(draft) = named.draft.as_ref().or(settings.draft.as_ref()) {
        let place = place_of(named.draft.is_some(), "draft");
        let found = resolve(&store, draft).and_then(|(draft, _)| {
            let path = fetch(&store, &draft, on_progress, cancel)?;
            Ok(ModelSpec { name: draft.to_string(), source: ModelSource::Gguf(path) })
        });
        options.draft = Some(found.map_err(|failure| placed(&place, failure))?);
    }
    if cancel.is_cancelled() {
        return Err(Failure::cancelled());
    }
    let bytes = match &source {
        ModelSource::Gguf(path) => std::fs::metadata(path).map_or(0, |file| file.len()),
        ModelSource::Hub { .. } => 0,
    };
    Ok(Local { spec: ModelSpec { name: model.to_string(), source }, options, bytes, place })
}

/// A failure with the place in the settings that it comes from.
fn placed(place: &Option<String>, failure: Failure) -> Failure {
    match place {
        Some(place) => {
            Failure::new(failure.code, format!("{}\n(the model is named in {place})", failure.message))
        }
        None => failure,
    }
}

/// The engine of a name of the user's own is called so, others by their model.
fn terms(engine: &str, model: String, bytes: u64, unload_minutes: Option<u64>) -> Terms {
    let name = if EngineChoice::named(engine).is_some() { model } else { engine.to_owned() };
    let unload_after = unload_minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    Terms { name, bytes, unload_after }
}

fn not_loaded(model: &str, error: &EngineError) -> Failure {
    match error {
        EngineError::Load { .. } => Failure::config(error.to_string()),
        _ => Failure::config(format!("cannot load {model}: {error}")),
    }
}

/// Connects to the servers of a named engine.
fn connect(
    home: &Home,
    name: &str,
    named: &NamedEngine,
    wanted: &ModelArgs,
    pool: &Arc<Pool>,
    on_progress: &mut dyn FnMut(String, Option<f32>),
) -> Result<Arc<dyn Engine>, Failure> {
    let table = format!("engines.{name}");
    let place = |key: &str| Settings::place(home, &table, key).unwrap_or_default();
    let mut spec = named
        .remote(name, home)
        .map_err(|mistake| Failure::config(format!("{}: {}", place(mistake.key), mistake.reason)))?;
    if wanted.model.is_some() {
        return Err(Failure::usage(format!(
            "the engine {name} runs the model {} on its servers; leave --model out, or name another engine",
            spec.model
        )));
    }
    spec.window = wanted.window.or(spec.window);
    on_progress(format!("connecting to {}", named.url.all().join(", ")), None);
    let terms = terms(name, spec.model.clone(), 0, None);
    let load = move || -> Result<Arc<dyn Engine>, EngineError> {
        Ok(Arc::new(Remote::connect(spec.clone(), Arc::new(O200k))?))
    };
    pool.open(terms, Box::new(load))
        .map_err(|error| Failure::config(format!("{error}\n(the engine is set up in {})", place(""))))
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
