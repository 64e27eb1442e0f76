//! The folder of model files: what is in it, where a model's file is, fetching and removing.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::auto::AUTO;
use super::catalogue::{CATALOGUE, Entry, Role};
use super::error::{PullError, Stop, StoreError, Tried};
use super::folders::{Check, Folders};
use super::hub;
use super::lock::PullLock;
use super::marker::Marker;
use super::name::ModelRef;
use super::pip;
use super::progress::{Progress, bytes_text};
use super::pull::{self, Sources, Target};

/// The first bytes of a GGUF file.
/// Source: ggml, `docs/gguf.md`.
const GGUF_MAGIC: [u8; 4] = *b"GGUF";

/// The most files of the store that are looked at.
const MAX_FILES: usize = 10_000;

/// The models of this machine.
#[derive(Debug, Clone)]
pub struct Store {
    folders: Folders,
    sources: Sources,
}

/// A model, as `lucid model list` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What the user types.
    pub name: String,
    /// The entry of the catalogue; none for a file that came another way.
    pub entry: Option<&'static Entry>,
    /// Where its file is, or will be.
    pub path: PathBuf,
    /// Its size, if known.
    pub bytes: Option<u64>,
    /// Whether it is there.
    pub state: State,
}

/// Whether a model is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It can be used.
    Here,
    /// Its file has the wrong size.
    Damaged,
    /// So many bytes are there; a further `pull` goes on.
    Partial {
        /// Bytes that are finished.
        bytes: u64,
    },
    /// Nothing of it is there.
    Absent,
}

/// What `pull` will do. Written out, it is a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The model.
    pub name: String,
    /// Its size, if it is known before it is fetched.
    pub bytes: Option<u64>,
    /// What an earlier try left.
    pub kept_bytes: u64,
    /// Where it will be.
    pub path: PathBuf,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.bytes.map_or("size unknown".into(), bytes_text);
        write!(f, "fetching the model {} ({size}) to {}", self.name, self.path.display())?;
        match self.kept_bytes {
            0 => Ok(()),
            kept => write!(f, ", {} are there already", bytes_text(kept)),
        }
    }
}

/// A model that makes vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderFiles {
    /// Its weights.
    pub weights: PathBuf,
    /// Its tokenizer.
    pub tokenizer: PathBuf,
    /// How many numbers each vector has.
    pub dimensions: usize,
}

/// What `rm` removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The model.
    pub name: String,
    /// Bytes that are free again.
    pub bytes: u64,
}

impl Store {
    /// Opens the store in this folder, which is made when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(models_dir: impl AsRef<Path>, sources: Sources) -> Result<Self, StoreError> {
        let dir = models_dir.as_ref();
        let root = std::path::absolute(dir).map_err(StoreError::io("find", dir))?;
        fs::create_dir_all(&root).map_err(StoreError::io("make the folder", &root))?;
        Ok(Self { folders: Folders::new(root), sources })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.folders.root()
    }

    /// Reads what the user typed: a name of the catalogue, a path, `owner/repo` or
    /// `owner/repo:file.gguf`. `auto` is not a model: see [`super::choose`].
    ///
    /// # Errors
    /// [`StoreError::NoFile`] for a path with nothing there, [`StoreError::Unknown`] otherwise.
    pub fn resolve(&self, text: &str) -> Result<ModelRef, StoreError> {
        ModelRef::parse(text, self.dir())
    }

    /// What to keep in the settings when the user chooses this model for good: `auto`, a name,
    /// an absolute path or a hub id. The model need not be there yet.
    ///
    /// # Errors
    /// Those of [`Store::resolve`]; [`StoreError::NotGguf`] for a file of another kind.
    pub fn use_model(&self, text: &str) -> Result<String, StoreError> {
        if text.trim().eq_ignore_ascii_case(AUTO) {
            return Ok(AUTO.into());
        }
        let model = self.resolve(text)?;
        model.check_answers()?;
        if let ModelRef::File(path) = &model {
            check_gguf(path)?;
        }
        Ok(model.to_string())
    }

    /// All of the catalogue, then other files of the store. Looks at sizes only, so it is quick.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Listed>, StoreError> {
        let mut listed: Vec<Listed> = CATALOGUE.iter().map(|entry| self.listed(entry)).collect();
        let mut others: Vec<Listed> = self
            .files()?
            .filter(|(file, _)| !CATALOGUE.iter().any(|entry| entry.file == file))
            .map(|(file, bytes)| Listed {
                name: Marker::load(&self.folders.markers(), &file).map_or(file.clone(), |marker| marker.name),
                entry: None,
                path: self.folders.model(&file),
                bytes: Some(bytes),
                state: State::Here,
            })
            .collect();
        others.sort_by(|a, b| a.name.cmp(&b.name));
        listed.extend(others);
        Ok(listed)
    }

    /// Where the model's file is, ready to be loaded. A file that was not verified before, or
    /// changed since, is hashed, which takes a second or so a gigabyte.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], [`StoreError::NotGguf`], and those of reading.
    pub fn path(&self, model: &ModelRef) -> Result<PathBuf, StoreError> {
        let missing = || StoreError::Missing { name: model.to_string() };
        match model {
            ModelRef::File(path) => check_gguf(path).map(|()| path.clone()),
            ModelRef::Catalogue(entry) => {
                for beside in entry.beside {
                    self.target_path(Target { name: entry.name.into(), ..Target::from(beside) })?;
                }
                self.target_path(Target::from(*entry))
            }
            ModelRef::Hub { repo, file } => {
                self.target_path(self.hub_target(repo, file.as_deref())?.ok_or_else(missing)?)
            }
        }
    }

    fn target_path(&self, target: Target) -> Result<PathBuf, StoreError> {
        let missing = || StoreError::Missing { name: target.name.clone() };
        let path = self.folders.model(&target.file);
        match self.folders.check(&target, &mut |_| {}, &|| false) {
            Ok(Check::Here) => Ok(path),
            Ok(Check::Damaged { expected, found }) => {
                Err(StoreError::Damaged { name: target.name, path, expected, found })
            }
            Ok(Check::Absent) | Err(Stop::Cancelled | Stop::Full(_) | Stop::Reason { .. }) => Err(missing()),
            Err(Stop::Store(error)) => Err(error),
        }
    }

    /// What [`Store::pull`] would fetch; none when the model is there.
    ///
    /// # Errors
    /// Those of [`Store::path`] but missing and damaged, which `pull` mends.
    pub fn plan(&self, model: &ModelRef) -> Result<Option<Plan>, StoreError> {
        match self.path(model) {
            Ok(_) => return Ok(None),
            Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let (bytes, file) = match model {
            ModelRef::Catalogue(entry) => (entry.bytes, entry.file.to_string()),
            ModelRef::Hub { repo, file: Some(file) } => (None, Target::of_hub(repo, file).file),
            ModelRef::Hub { .. } | ModelRef::File(_) => (None, String::new()),
        };
        Ok(Some(Plan {
            name: model.to_string(),
            bytes,
            kept_bytes: if file.is_empty() { 0 } else { pull::kept_bytes(&self.folders.partial(&file)) },
            path: self.folders.model(&file),
        }))
    }

    /// Fetches the model if it is not there and gives its file's path, ready to be loaded. When
    /// another lucid is fetching it, waits for that one. After an error or a cancel, what was
    /// finished is kept and a further `pull` goes on from there.
    ///
    /// # Errors
    /// See [`PullError`].
    pub fn pull(
        &self,
        model: &ModelRef,
        on_progress: &mut dyn FnMut(&Progress),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<PathBuf, PullError> {
        let target = match model {
            ModelRef::File(_) => return Ok(self.path(model)?),
            ModelRef::Catalogue(entry) => {
                for beside in entry.beside {
                    self.pull_target(&Target::from(beside), on_progress, cancelled)?;
                }
                Target::from(*entry)
            }
            ModelRef::Hub { repo, file } => match self.hub_target(repo, file.as_deref())? {
                Some(target) => target,
                None => Target::of_hub(repo, &self.choose_file(repo, cancelled)?),
            },
        };
        self.pull_target(&target, on_progress, cancelled)
    }

    pub(super) fn pull_target(
        &self,
        target: &Target,
        on_progress: &mut dyn FnMut(&Progress),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<PathBuf, PullError> {
        pull::pull(&self.folders, &self.sources, target, on_progress, cancelled)
    }

    /// Removes a model's file from the store, and what an unfinished download left.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when nothing is there, [`StoreError::NotOurs`] for a file outside
    /// the store, [`StoreError::Busy`] while it is being fetched, and those of removing.
    pub fn rm(&self, text: &str) -> Result<Removed, StoreError> {
        let model = self.resolve(text)?;
        let (name, missing) = (model.to_string(), || StoreError::Missing { name: model.to_string() });
        let file = match &model {
            ModelRef::Catalogue(entry) => {
                for beside in entry.beside {
                    self.remove(&name, beside.file)?;
                }
                entry.file.to_string()
            }
            ModelRef::Hub { repo, file } => self.hub_target(repo, file.as_deref())?.ok_or_else(missing)?.file,
            ModelRef::File(path) => match (path.parent(), path.file_name().and_then(OsStr::to_str)) {
                (Some(parent), Some(file)) if parent == self.dir() => file.to_string(),
                _ => return Err(StoreError::NotOurs { path: path.clone() }),
            },
        };
        let bytes = self.remove(&name, &file)?.ok_or_else(missing)?;
        Ok(Removed { name, bytes })
    }

    /// Removes a file of the store, and gives how many bytes it had; none when it is not there.
    fn remove(&self, name: &str, file: &str) -> Result<Option<u64>, StoreError> {
        let _lock = PullLock::take(&self.folders.locks(), file)?
            .map_err(|holder| StoreError::Busy { name: name.to_owned(), holder })?;
        let (path, partial) = (self.folders.model(file), self.folders.partial(file));
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len()) + pip::folder_bytes(&partial);
        if !path.exists() && !partial.exists() {
            return Ok(None);
        }
        Marker::remove(&self.folders.markers(), file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &path)(error));
            }
            _ => pip::empty(&partial)?,
        }
        Ok(Some(bytes))
    }

    /// The files of a model that makes vectors.
    ///
    /// # Errors
    /// Those of [`Store::path`], and [`StoreError::NoVectors`] when it is a model of another kind.
    pub fn embedder(&self, model: &ModelRef) -> Result<EmbedderFiles, StoreError> {
        match model {
            ModelRef::Catalogue(Entry {
                role: Role::Vectors { dimensions },
                beside: [tokenizer, ..],
                ..
            }) => Ok(EmbedderFiles {
                weights: self.path(model)?,
                tokenizer: self.folders.model(tokenizer.file),
                dimensions: *dimensions,
            }),
            _ => Err(StoreError::NoVectors { name: model.to_string() }),
        }
    }

    fn listed(&self, entry: &'static Entry) -> Listed {
        let path = self.folders.model(entry.file);
        let state = match fs::metadata(&path) {
            Ok(metadata) if entry.bytes.is_none_or(|bytes| bytes == metadata.len()) => State::Here,
            Ok(_) => State::Damaged,
            Err(_) => match pull::kept_bytes(&self.folders.partial(entry.file)) {
                0 => State::Absent,
                bytes => State::Partial { bytes },
            },
        };
        let bytes = entry.bytes.or_else(|| fs::metadata(&path).ok().map(|metadata| metadata.len()));
        Listed { name: entry.name.into(), entry: Some(entry), path, bytes, state }
    }

    /// Names and sizes of the model files in the folder.
    fn files(&self) -> Result<impl Iterator<Item = (String, u64)>, StoreError> {
        let items = fs::read_dir(self.dir()).map_err(StoreError::io("read the folder", self.dir()))?;
        Ok(items.take(MAX_FILES).flatten().filter_map(|item| {
            let name = item.file_name().into_string().ok()?;
            let metadata = item.metadata().ok()?;
            (name.ends_with(".gguf") && metadata.is_file()).then_some((name, metadata.len()))
        }))
    }

    /// The file of a repository: the one that is named, or the one that was fetched before.
    fn hub_target(&self, repo: &str, file: Option<&str>) -> Result<Option<Target>, StoreError> {
        if let Some(file) = file {
            return Ok(Some(Target::of_hub(repo, file)));
        }
        let known = CATALOGUE.iter().filter(|entry| entry.hub.repo == repo);
        if let Some(entry) = known.into_iter().find(|entry| self.folders.model(entry.file).is_file()) {
            return Ok(Some(Target::from(entry)));
        }
        let markers = self.files()?.filter_map(|(file, _)| Marker::load(&self.folders.markers(), &file));
        let mut fetched = markers.filter_map(|marker| {
            let (of, file) = marker.name.split_once(':')?;
            (of == repo).then(|| Target::of_hub(repo, file))
        });
        Ok(fetched.next())
    }

    fn choose_file(&self, repo: &str, cancelled: &dyn Fn() -> bool) -> Result<String, PullError> {
        hub::choose_file(repo, &self.sources.hub, cancelled).map_err(|stop| match stop {
            Stop::Cancelled => PullError::Cancelled { name: repo.into() },
            Stop::Store(error) => error.into(),
            Stop::Full(space) => PullError::Full { name: repo.into(), space, kept_bytes: 0 },
            Stop::Reason { reason, hint } => PullError::Unreachable {
                name: repo.into(),
                bytes: None,
                tried: vec![Tried { source: format!("the Hugging Face hub ({repo})"), reason, hint }],
            },
        })
    }
}

/// Whether a file begins like a GGUF file. What follows is for the engine to judge.
fn check_gguf(path: &Path) -> Result<(), StoreError> {
    let mut magic = [0; GGUF_MAGIC.len()];
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::NoFile { path: path.into() });
        }
        Err(error) => return Err(StoreError::io("open", path)(error)),
    };
    let not = |reason: &str| StoreError::NotGguf { path: path.into(), reason: reason.into() };
    match file.read_exact(&mut magic) {
        Ok(()) if magic == GGUF_MAGIC => Ok(()),
        Ok(()) => Err(not("it begins otherwise")),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(not("it is too short")),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}
