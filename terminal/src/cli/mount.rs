//! `lucid mount`, `umount`, `mounts` and `search`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lucid_disk::TantivyDisk;
use lucid_kernel::port::{CancelFlag, Disk, DiskError, Hit, MountOptions, MountProgress, MountReport, Skip};
use serde_json::json;

use super::{MountArgs, SearchArgs, out, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::tui::count;

/// The longest snippet of a found page, in characters.
const SNIPPET_CHARS: usize = 160;

/// Mounts folders.
///
/// # Errors
/// When one cannot be mounted; those before it are.
pub fn mount(home: &Home, args: &MountArgs) -> Result<u8, Failure> {
    let cancel = session::on_ctrl_c();
    for dir in &args.dirs {
        let root = checked(dir, args.yes)?;
        let options = MountOptions { hidden: args.hidden, rebuild: args.rebuild };
        let disk = session::open_searched_disk(home)?;
        let report = index(&disk, &root, &options, &cancel).map_err(failure)?;
        if args.json {
            out::json(&report);
        } else {
            out::line(&summary(&report));
        }
        if !report.cancelled {
            let left = embed(&disk, &report.root, &cancel).map_err(failure)?;
            if left > 0 {
                return Err(Failure::new(
                    exit::CANCELLED,
                    format!(
                        "cancelled; the folder is mounted, but {} found by words alone, mount it again to go on",
                        if left == 1 { "1 page is".into() } else { format!("{} are", count(left, "page")) }
                    ),
                ));
            }
        }
        if report.cancelled {
            return Err(Failure::new(
                exit::CANCELLED,
                "cancelled; what was indexed is kept, mount again to go on",
            ));
        }
    }
    Ok(exit::OK)
}

/// Mounts a folder that a question or a script needs, and gives its root. While another lucid
/// writes its index: what is there is used, or, when that is not whole yet, waited for.
///
/// # Errors
/// When it is no folder, is too much at once, or cannot be indexed.
pub fn need(home: &Home, dir: &Path, yes: bool, cancel: &CancelFlag) -> Result<String, Failure> {
    let root = checked(dir, yes)?;
    let disk = session::open_disk(home)?;
    let began = Instant::now();
    loop {
        match index(&disk, &root, &MountOptions::default(), cancel) {
            Ok(report) => return Ok(report.root),
            Err(DiskError::Busy { holder }) => {
                let shown = root.display().to_string();
                let mounts = disk.mounts().map_err(failure)?;
                if mounts.iter().any(|mount| mount.root == shown && mount.complete) {
                    return Ok(shown);
                }
                if cancel.is_cancelled() {
                    return Err(Failure::cancelled());
                }
                if began.elapsed() > BUSY_TIMEOUT {
                    return Err(failure(DiskError::Busy { holder }));
                }
                std::thread::sleep(session::TICK);
            }
            Err(error) => return Err(failure(error)),
        }
    }
}

/// How long a folder that another lucid is indexing is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

/// A folder that may be mounted, as a full path.
fn checked(dir: &Path, yes: bool) -> Result<PathBuf, Failure> {
    let root = dir
        .canonicalize()
        .map_err(|error| Failure::config(format!("cannot mount {}: {error}", dir.display())))?;
    if !root.is_dir() {
        return Err(Failure::config(format!("cannot mount {}: it is not a folder", dir.display())));
    }
    if !yes && is_too_much(&root) {
        return Err(Failure::usage(format!(
            "{} holds far more than a question needs, keys and secrets among it; mount a folder in it, or say --yes",
            root.display()
        )));
    }
    Ok(root)
}

/// Brings a folder's index up to date, with a progress bar.
fn index(
    disk: &TantivyDisk,
    root: &Path,
    options: &MountOptions,
    cancel: &CancelFlag,
) -> Result<MountReport, DiskError> {
    let mut bar = Bar::new();
    let result = disk.mount(&root.display().to_string(), options, cancel, &mut |progress| bar.show(progress));
    bar.done();
    result
}

/// Prepares a folder's pages to be found by their meaning, with a progress bar, and gives how many
/// are left when it was cancelled.
fn embed(disk: &TantivyDisk, root: &str, cancel: &CancelFlag) -> Result<u64, DiskError> {
    let mut bar: Option<indicatif::ProgressBar> = None;
    let all = disk.embed(root, 0, cancel)?;
    let mut left = all;
    while left > 0 && !cancel.is_cancelled() {
        if std::io::stderr().is_terminal() {
            let bar = bar.get_or_insert_with(|| {
                let bar = indicatif::ProgressBar::new(all);
                let style = indicatif::ProgressStyle::with_template(
                    "{spinner} {pos}/{len} pages {bar:24} reading for what they mean, {eta} left",
                );
                bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
                bar
            });
            bar.set_position(all.saturating_sub(left));
        }
        left = disk.embed(root, EMBED_AT_ONCE, cancel)?;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(left)
}

/// So many pages are prepared between two looks at the progress bar.
const EMBED_AT_ONCE: usize = 64;

/// `/`, or the home folder or one above it.
pub fn is_too_much(root: &Path) -> bool {
    let home = etcetera::home_dir().ok().and_then(|home| home.canonicalize().ok());
    root.parent().is_none() || home.is_some_and(|home| home.starts_with(root))
}

/// Takes folders out of the index.
///
/// # Errors
/// When one is not mounted.
pub fn unmount(home: &Home, dirs: &[PathBuf]) -> Result<u8, Failure> {
    let disk = session::open_disk(home)?;
    for dir in dirs {
        // A folder that is gone can still be unmounted.
        let root = dir.canonicalize().or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.clone());
        disk.unmount(&root.display().to_string()).map_err(failure)?;
        out::note(&format!("{} is no longer mounted", root.display()));
    }
    Ok(exit::OK)
}

/// Lists what is mounted.
///
/// # Errors
/// When the index cannot be read.
pub fn list(home: &Home, json: bool) -> Result<u8, Failure> {
    let mounts = session::open_disk(home)?.mounts().map_err(failure)?;
    if json {
        out::json(&mounts);
        return Ok(exit::OK);
    }
    if mounts.is_empty() {
        out::note("nothing is mounted; `lucid mount DIR` mounts a folder");
    }
    for mount in mounts {
        let state = if mount.complete { "" } else { "  (not complete: mount it again)" };
        let (files, pages) = (count(mount.files, "file"), count(mount.pages, "page"));
        out::line(&format!("{}  {files}, {pages}{state}", mount.root));
    }
    Ok(exit::OK)
}

/// Searches.
///
/// # Errors
/// When the index cannot be read.
pub fn search(home: &Home, args: &SearchArgs) -> Result<u8, Failure> {
    let disk = session::open_searched_disk(home)?;
    let query = args.query.join(" ");
    let hits = disk.search(&query, &[], usize::from(args.k)).map_err(failure)?;
    if args.json {
        let objects: Vec<_> = hits.iter().map(|hit| json!({
            "path": hit.range.path, "lines": hit.range.lines, "bytes": hit.range.bytes,
            "heading": hit.heading, "score": hit.score, "snippet": snippet(hit, &query), "text": hit.text,
        })).collect();
        out::json(&objects);
        return Ok(exit::OK);
    }
    if hits.is_empty() {
        let mounted = disk.mounts().map_err(failure)?;
        let hint = if mounted.is_empty() {
            "nothing is mounted; `lucid mount DIR` mounts a folder"
        } else {
            "nothing was found"
        };
        out::note(hint);
    }
    let folder = session::folder();
    for hit in &hits {
        let path = crate::machine::shown_path(&hit.range.path, &folder);
        let (first, last) = hit.range.lines;
        let heading = if hit.heading.is_empty() { String::new() } else { format!("  {}", hit.heading) };
        out::line(&out::clean(&format!("{path}:{first}-{last}  {:.2}{heading}", hit.score)));
        out::line(&out::clean(&format!("    {}", snippet(hit, &query))));
    }
    Ok(exit::OK)
}

/// The line of the page that has most of the query, shortened.
fn snippet(hit: &Hit, query: &str) -> String {
    let wanted = lucid_kernel::relevance::words(query);
    let lines = hit.text.lines().map(str::trim).filter(|line| !line.is_empty());
    let best = lines.rev().max_by_key(|line| lucid_kernel::relevance::words(line).shared(&wanted));
    best.unwrap_or_default().chars().take(SNIPPET_CHARS).collect()
}

/// What a mount did, in one or two lines.
pub fn summary(report: &MountReport) -> String {
    let mut text = format!(
        "{}: {}, {} ({} read, {}",
        report.root,
        count(report.files, "file"),
        count(report.pages, "page"),
        count(report.read, "file"),
        out::bytes(report.bytes)
    );
    if report.removed > 0 {
        text.push_str(&format!(", {} removed", report.removed));
    }
    text.push(')');
    let skipped: Vec<String> = report
        .skipped
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(why, count)| format!("{count} {}", reason(*why)))
        .collect();
    if !skipped.is_empty() {
        text.push_str(&format!("\n  skipped: {}", skipped.join(", ")));
    }
    for (why, path) in &report.examples {
        text.push_str(&format!("\n  {}: {path}", reason(*why)));
    }
    out::clean(&text)
}

/// Why a file was skipped, in words.
pub const fn reason(skip: Skip) -> &'static str {
    match skip {
        Skip::Binary => "not text",
        Skip::TooLarge => "too large",
        Skip::Hidden => "hidden",
        Skip::Ignored => "ignored by .gitignore",
        Skip::Secret => "likely secret",
        Skip::Unreadable => "not readable",
        Skip::Changed => "changed while it was read",
    }
}

/// The exit code that fits what went wrong with the index.
pub fn failure(error: DiskError) -> Failure {
    let code = match &error {
        DiskError::Full { .. } | DiskError::Failed { .. } | DiskError::Busy { .. } => exit::FAILED,
        DiskError::NotMounted { .. } => exit::USAGE,
        DiskError::Mount { .. } | DiskError::Damaged { .. } => exit::CONFIG,
    };
    Failure::new(code, error.to_string())
}

/// Progress of a mount on stderr: a moving line on a terminal, nothing elsewhere.
struct Bar {
    bar: Option<indicatif::ProgressBar>,
    began: Instant,
}

impl Bar {
    fn new() -> Self {
        Self { bar: None, began: Instant::now() }
    }

    fn show(&mut self, progress: &MountProgress) {
        // What takes no time needs no bar.
        if !std::io::stderr().is_terminal() || self.began.elapsed() < Duration::from_millis(300) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = indicatif::ProgressBar::new(0);
            let style =
                indicatif::ProgressStyle::with_template("{spinner} {pos}/{len} files {bar:24} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
            bar
        });
        bar.set_length(progress.files_found);
        bar.set_position(progress.files_done);
        bar.set_message(out::clean(&format!("{}  {}", out::bytes(progress.bytes), progress.path)));
    }

    fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
