//! Running other programs: compilers, and what fetches them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::KitError;

/// How much of a compiler's words is shown, in lines.
const MAX_OUTPUT_LINES: usize = 60;

/// What a program says on its standard output.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name} cannot be run: {error}"))?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&out.stderr).trim().to_owned();
    Err(format!("{name} failed: {}", said.lines().last().unwrap_or("it said nothing")))
}

/// Runs a compiler on a plugin's source and gives what it said on its standard error. `clean`
/// takes out of that what is about the compiler itself.
pub(super) fn compile(command: &mut Command, clean: fn(&str) -> String) -> Result<String, KitError> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| KitError::Compile { output: format!("{name} cannot be run: {error}") })?;
    let said = clean(&String::from_utf8_lossy(&out.stderr));
    let lines: Vec<&str> = said.trim().lines().collect();
    let said = lines[lines.len().saturating_sub(MAX_OUTPUT_LINES)..].join("\n");
    if out.status.success() {
        return Ok(said);
    }
    let said = if said.is_empty() { format!("{name} failed and said nothing") } else { said };
    Err(KitError::Compile { output: said })
}

/// A program of this name in one of the folders of `PATH`.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Has `place` made once: `make` fills a folder beside it, which is then renamed, so that what
/// is cut off is not taken for whole.
pub(super) fn made_once(place: &Path, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    if place.is_dir() {
        return Ok(());
    }
    let work = place.with_added_extension(format!("{}.part", std::process::id()));
    std::fs::create_dir_all(&work).map_err(|error| format!("cannot make {}: {error}", work.display()))?;
    let done = make(&work).and_then(|()| match std::fs::rename(&work, place) {
        // Another lucid was faster.
        Err(_) if place.is_dir() => Ok(()),
        other => other.map_err(|error| format!("cannot put {} in its place: {error}", place.display())),
    });
    // What is left over is of no use; the error that matters is the first.
    drop(std::fs::remove_dir_all(&work));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_not_taken_for_whole() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("tool-1.0");
        let broken = made_once(&place, |work| {
            std::fs::write(work.join("half"), "").unwrap();
            Err("the network broke".into())
        });
        assert_eq!(broken, Err("the network broke".into()));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        made_once(&place, |work| std::fs::write(work.join("all"), "").map_err(|it| it.to_string())).unwrap();
        made_once(&place, |_| Err("made twice".into())).unwrap();
        assert!(place.join("all").is_file());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = output(&mut Command::new("lucid-no-such-program")).unwrap_err();
        assert!(error.contains("lucid-no-such-program"), "{error}");
        assert_eq!(on_path("lucid-no-such-program"), None);
    }
}
