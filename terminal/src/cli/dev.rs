//! `lucid plugin dev`: a plugin is built, tried and installed again whenever its source changes.

use std::path::Path;
use std::time::{Duration, Instant};

use lucid_kernel::port::CancelFlag;
use lucid_tools::kit::{self, Inputs};
use lucid_tools::package::Origin;
use notify::{RecursiveMode, Watcher as _};

use super::{out, package, session, tryout};
use crate::exit::{self, Failure};
use crate::home::Home;

/// How long the folder must be still before it is built: editors write a file in several steps.
const SETTLE: Duration = Duration::from_millis(60);
/// How often it is looked whether the user cancelled.
const TICK: Duration = Duration::from_millis(100);

/// Builds, tries and installs the plugin in a folder until Ctrl-C. Shells that are open take each version
/// at once.
///
/// # Errors
/// When the folder holds no plugin or cannot be watched. Mistakes in the source are shown, and waited for
/// to be mended.
pub fn run(home: &Home, dir: &Path) -> Result<u8, Failure> {
    let cancel = session::on_ctrl_c();
    let inputs = || kit::inputs(dir).map_err(|error| Failure::usage(error.to_string()));
    inputs()?;
    let (changed, changes) = std::sync::mpsc::channel();
    let unwatchable =
        |error: notify::Error| Failure::config(format!("{} cannot be watched: {error}", dir.display()));
    let mut watcher = notify::recommended_watcher(changed).map_err(unwatchable)?;
    watcher.watch(dir, RecursiveMode::Recursive).map_err(unwatchable)?;
    while !cancel.is_cancelled() {
        let built = inputs()?;
        if let Err(failure) = build(home, dir, &cancel) {
            if failure.code == exit::CANCELLED || cancel.is_cancelled() {
                break;
            }
            out::error(&out::clean(&failure.message));
        }
        out::note(&format!("waiting for changes in {}; Ctrl-C ends", dir.display()));
        wait(&inputs, &built, &changes, &cancel)?;
    }
    Err(Failure::cancelled())
}

/// Until the sources are others than those that were built, and still.
fn wait(
    inputs: &dyn Fn() -> Result<Inputs, Failure>,
    built: &Inputs,
    changes: &std::sync::mpsc::Receiver<notify::Result<notify::Event>>,
    cancel: &CancelFlag,
) -> Result<(), Failure> {
    // What changed while it was built has its event in the channel already.
    loop {
        if cancel.is_cancelled() {
            return Ok(());
        }
        if changes.recv_timeout(TICK).is_err() {
            continue;
        }
        while changes.recv_timeout(SETTLE).is_ok() {}
        if inputs()? != *built {
            return Ok(());
        }
    }
}

fn build(home: &Home, dir: &Path, cancel: &CancelFlag) -> Result<(), Failure> {
    let began = Instant::now();
    let mut step = |what: &str| out::note(what);
    let built = kit::build(dir, &home.toolchain_dir(), &mut step)
        .map_err(|error| Failure::new(exit::FAILED, error.to_string()))?;
    let build_ms = began.elapsed().as_millis();
    let began = Instant::now();
    let path = package::install_built(home, &Origin::File(built.path), cancel)?;
    let install_ms = began.elapsed().as_millis();
    out::line(&path.display().to_string());
    out::note(&format!("built in {build_ms} ms, installed in {install_ms} ms"));
    if dir.join(kit::cases::FILE).is_file() {
        tryout::try_cases(home, dir)?;
    }
    Ok(())
}
