//! Fetches a file from the Hugging Face hub, or takes it from the hub's own cache on this
//! machine.
//!
//! The crate `hf-hub` knows addresses, cache and token. It has neither a connect time-out nor
//! a way to stop, so the transfer itself is ours: on a thread of its own, because a name
//! server that does not answer cannot be interrupted.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo};

use super::error::Stop;
use super::hash;
use super::pull::{Fetched, Job};
use super::transfer::{Agent, Transfer};

/// How long the hub may take until its first answer, if nothing else is set.
const ANSWER_TIMEOUT_S: u64 = 15;

/// How long a stopped transfer may take to end before it is left to end by itself.
const STOP_TIMEOUT_MS: u64 = 300;

/// How often it is asked whether to stop.
const POLL_MS: u64 = 50;

/// Reports that may wait to be shown; further ones are dropped, the next says more.
const MAX_WAITING_REPORTS: usize = 16;

/// The most that is read of a repository's list of files, in bytes.
const MAX_LIST_BYTES: u64 = 8 * 1024 * 1024;

/// The quantisations to choose from when no file is named, the best compromise first.
const QUANTISATIONS: [&str; 7] = ["q4_k_m", "q4_k_s", "q4_1", "q4_0", "q5_k_m", "q6_k", "q8_0"];

/// The most file names that an error lists.
const MAX_NAMES: usize = 8;

/// How the hub is to be used: the values of its own environment variables.
#[derive(Debug, Clone)]
pub(super) struct HubSettings {
    /// `HF_ENDPOINT`: another address than the hub's own.
    pub endpoint: Option<String>,
    /// `HF_TOKEN`, or the token that the hub's own tools keep.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`: only the cache may be used.
    pub offline: bool,
    /// Where the hub's own tools keep what they fetched.
    pub cache: Option<PathBuf>,
    /// Whether `HTTPS_PROXY` and its like hold.
    pub proxy_from_env: bool,
    /// How long the hub may take until its first answer, name look-up and connection included.
    pub answer_timeout: Duration,
}

impl Default for HubSettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            token: None,
            offline: false,
            cache: None,
            proxy_from_env: true,
            answer_timeout: Duration::from_secs(ANSWER_TIMEOUT_S),
        }
    }
}

impl HubSettings {
    /// From the environment, as the hub's own tools read it.
    pub(super) fn from_env() -> Self {
        let var = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let has_home = std::env::var_os("HF_HOME").is_some() || std::env::home_dir().is_some();
        // Without a home folder hf-hub would panic.
        let cache = has_home.then(Cache::from_env);
        let truthy = |value: String| matches!(value.to_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE");
        Self {
            endpoint: var("HF_ENDPOINT"),
            token: var("HF_TOKEN").or_else(|| cache.as_ref().and_then(Cache::token)),
            offline: var("HF_HUB_OFFLINE").is_some_and(truthy),
            cache: cache.map(|cache| cache.path().clone()),
            ..Self::default()
        }
    }

    fn repo(&self, repo: &str) -> Result<ApiRepo, Stop> {
        // Only addresses are asked of it, so the folder is never used.
        let mut builder = ApiBuilder::from_cache(Cache::new(PathBuf::new())).with_progress(false);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').into());
        }
        let api = builder.build().map_err(|error| Stop::reason(error.to_string()))?;
        Ok(api.model(repo.into()))
    }

    fn agent(&self) -> Result<Agent, Stop> {
        if self.offline {
            return Err(Stop::reason("not asked, because HF_HUB_OFFLINE is set"));
        }
        Ok(Agent::new(self.token.clone(), self.proxy_from_env))
    }
}

/// Fetches the target's file, going on where an earlier try ended.
pub(super) fn fetch(job: &mut Job<'_>, settings: &HubSettings) -> Result<Fetched, Stop> {
    let (repo, file) = &job.target.hub;
    let transfer = Transfer {
        agent: settings.agent()?,
        address: settings.repo(repo)?.url(file),
        folder: job.dir.to_path_buf(),
        bytes: job.target.bytes,
        sha256: job.target.sha256.clone(),
        free_space: job.free_space,
    };
    let what = format!("fetching {}", job.target.name);
    let cancelled = job.cancelled;
    let mut report = |bytes, total| job.report_of(&what, None, bytes, total);
    let fetched = on_thread(move |stop, tell| transfer.run(stop, tell), settings, &mut report, cancelled)?;
    // The last report may have found no room among those that waited.
    if let Ok(metadata) = fs::metadata(&fetched.path) {
        report(metadata.len(), Some(metadata.len()));
    }
    Ok(fetched)
}

/// The GGUF file of a repository that is the best compromise of size and quality.
pub(super) fn choose_file(
    repo: &str,
    settings: &HubSettings,
    cancelled: &dyn Fn() -> bool,
) -> Result<String, Stop> {
    let agent = settings.agent()?;
    let address = settings.repo(repo)?.info_request().url().to_string();
    let text =
        on_thread(move |_, _| agent.text(&address, MAX_LIST_BYTES), settings, &mut |_, _| {}, cancelled)?;
    let info: RepoInfo = serde_json::from_str(&text)
        .map_err(|error| Stop::reason(format!("the hub's list of files cannot be read: {error}")))?;
    best(&info.siblings.into_iter().map(|file| file.rfilename).collect::<Vec<_>>())
}

/// Takes the file from the hub's own cache, if it is there whole.
pub(super) fn from_cache(job: &mut Job<'_>, settings: &HubSettings) -> Result<Fetched, Stop> {
    let (repo, file) = &job.target.hub;
    let cache = settings.cache.as_ref().map(|path| Cache::new(path.clone()).repo(Repo::model(repo.clone())));
    let found = cache.and_then(|cache| cache.get(file)).and_then(|path| fs::canonicalize(path).ok());
    let Some(source) = found else { return Err(Stop::reason("it is not there")) };
    // The cache names a large file by its SHA-256.
    let named = source.file_name().and_then(|name| name.to_str()).filter(|name| hash::is_sha256(name));
    let Some(expected) = job.target.sha256.clone().or_else(|| named.map(Into::into)) else {
        return Err(Stop::reason("the copy there has no SHA-256 to check it against"));
    };
    let read_error = |error: std::io::Error| Stop::reason(format!("the copy there cannot be read: {error}"));
    let bytes = fs::metadata(&source).map_err(read_error)?.len();
    let what = format!("checking the copy of {} that the hub's cache has", job.target.name);
    let cancelled = job.cancelled;
    let mut report = |done| job.report_of(&what, None, done, Some(bytes));
    let found = hash::of_file(&source, &mut report, cancelled).map_err(read_error)?.ok_or(Stop::Cancelled)?;
    if found != expected {
        return Err(Stop::reason(format!("the copy there has the SHA-256 {found}, {expected} was expected")));
    }
    let path = job.dir.join("cache.part");
    take_over(&source, &path, bytes, job)?;
    Ok(Fetched { path, sha256: found })
}

/// Links the file, so that it takes no space twice; copies it where that cannot be.
fn take_over(source: &Path, path: &Path, bytes: u64, job: &Job<'_>) -> Result<(), Stop> {
    let _ = fs::remove_file(path);
    if fs::hard_link(source, path).is_ok() {
        return Ok(());
    }
    super::space::check(job.dir, bytes, job.free_space)?;
    fs::copy(source, path).map(|_| ()).map_err(|error| {
        let _ = fs::remove_file(path);
        Stop::write("write", path)(error)
    })
}

fn best(files: &[String]) -> Result<String, Stop> {
    // A file that is one of several pieces cannot be loaded alone.
    let whole = |file: &&String| file.to_lowercase().ends_with(".gguf") && !file.contains("-of-0");
    let whole: Vec<&String> = files.iter().filter(whole).collect();
    let of = |quantisation: &&str| whole.iter().find(|file| file.to_lowercase().contains(*quantisation));
    match (QUANTISATIONS.iter().find_map(of), whole.as_slice()) {
        (Some(file), _) => Ok((*file).clone()),
        (None, [only]) => Ok((*only).clone()),
        (None, []) => Err(Stop::reason("the repository has no GGUF file in one piece")),
        (None, several) => {
            let names: Vec<&str> = several.iter().take(MAX_NAMES).map(|name| name.as_str()).collect();
            Err(Stop::reason(format!("name one of its files as OWNER/REPO:FILE: {}", names.join(", "))))
        }
    }
}

enum Report<T> {
    Bytes(u64, Option<u64>),
    Ended(Result<T, Stop>),
}

/// Runs a transfer on a thread of its own, and leaves it behind when it does not stop in time.
fn on_thread<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool, &mut dyn FnMut(u64, Option<u64>)) -> Result<T, Stop> + Send + 'static,
    settings: &HubSettings,
    report: &mut dyn FnMut(u64, Option<u64>),
    cancelled: &dyn Fn() -> bool,
) -> Result<T, Stop> {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, receiver) = mpsc::sync_channel(MAX_WAITING_REPORTS);
    let seen = Arc::clone(&stop);
    let run = move || {
        let mut tell = |bytes, total| drop(sender.try_send(Report::Bytes(bytes, total)));
        let result = work(&seen, &mut tell);
        end(&sender, result);
    };
    let name = thread::Builder::new().name("hub".into());
    name.spawn(run).map_err(|error| Stop::reason(format!("no thread could be started: {error}")))?;
    let begun = Instant::now();
    let mut answered = false;
    loop {
        let late = !answered && begun.elapsed() > settings.answer_timeout;
        if cancelled() || late {
            stop.store(true, Ordering::Release);
            // It may be in the middle of a write: that much time it is given.
            let ended = Instant::now() + Duration::from_millis(STOP_TIMEOUT_MS);
            while let Ok(Report::Bytes(..)) =
                receiver.recv_timeout(ended.saturating_duration_since(Instant::now()))
            {}
            let reason =
                || Stop::reason(format!("no answer within {} seconds", settings.answer_timeout.as_secs()));
            return Err(if late { reason() } else { Stop::Cancelled });
        }
        match receiver.recv_timeout(Duration::from_millis(POLL_MS)) {
            Ok(Report::Bytes(bytes, total)) => {
                answered = true;
                report(bytes, total);
            }
            Ok(Report::Ended(result)) => return result,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Stop::reason("the transfer ended unexpectedly"));
            }
        }
    }
}

fn end<T>(sender: &SyncSender<Report<T>>, result: Result<T, Stop>) {
    // Nobody listens any more after a cancel: then the result is of no use either.
    let _ = sender.send(Report::Ended(result));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expect: &str) {
        let files: Vec<String> = files.iter().map(|file| (*file).to_string()).collect();
        let got = match best(&files) {
            Ok(file) => file,
            Err(Stop::Reason { reason, .. }) => reason,
            Err(other) => panic!("{other:?}"),
        };
        assert!(got.starts_with(expect), "{got}");
    }

    #[test]
    fn the_best_file_is_chosen() {
        check(&["README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-fp16.gguf"], "m-Q4_K_M.gguf");
        check(&["m-q4_k_m-00001-of-00002.gguf", "m-q8_0.gguf"], "m-q8_0.gguf");
        check(&["only.gguf"], "only.gguf");
        check(
            &["a-iq1.gguf", "b-iq2.gguf"],
            "name one of its files as OWNER/REPO:FILE: a-iq1.gguf, b-iq2.gguf",
        );
        check(&["model.safetensors"], "the repository has no GGUF file");
        check(&[], "the repository has no GGUF file");
    }
}
