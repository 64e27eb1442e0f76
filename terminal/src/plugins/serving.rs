//! What the program serves to a plugin's call: the disk, the model, secrets, the environment.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lucid_kernel::port::{CancelFlag, Disk, Engine, Hit};
use lucid_tools::{Level, Services};

use super::Secrets;
use crate::home::Home;
use crate::machine::complete;

/// Hears how far a call is.
pub type OnProgress = Arc<dyn Fn(&str, Option<f64>) + Send + Sync>;
/// Hears a plugin's notes.
pub type OnLog = Arc<dyn Fn(&str, Level, &str) + Send + Sync>;

/// The most of a file that is read for a plugin, in bytes.
const MAX_READ_BYTES: usize = 1 << 20;
/// What the model is told when a plugin asks it.
const ASKED: &str = "You answer briefly and exactly, with nothing but what was asked for.";

/// Serves one call.
pub struct Serving {
    /// Where the user's things are.
    pub home: Home,
    /// The model, where there is one.
    pub engine: Option<Arc<dyn Engine>>,
    /// The index, where there is one.
    pub disk: Option<Arc<dyn Disk>>,
    /// Hears how far the call is.
    pub on_progress: OnProgress,
    /// Hears the plugin's notes.
    pub on_log: OnLog,
}

impl Services for Serving {
    fn mounted(&self) -> Vec<PathBuf> {
        let mounts = self.disk.as_ref().and_then(|disk| disk.mounts().ok()).unwrap_or_default();
        mounts.into_iter().map(|mount| PathBuf::from(mount.root)).collect()
    }

    fn search(&self, query: &str, at_most: usize) -> Result<Vec<Hit>, String> {
        let disk = self.disk.as_ref().ok_or("no folder is mounted")?;
        disk.search(query, &[], at_most).map_err(|error| error.to_string())
    }

    fn read(&self, path: &str, lines: (u32, u32)) -> Result<String, String> {
        let real = Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}"))?;
        let below = self.mounted().into_iter().find_map(|root| {
            let root = root.canonicalize().ok()?;
            real.strip_prefix(root).ok().map(Path::to_path_buf)
        });
        let below = below.ok_or_else(|| format!("{path} lies in no mounted folder"))?;
        // What mounting leaves out is not read this way either.
        let is_hidden =
            |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.') || lucid_disk::is_secret(name);
        if below.iter().any(is_hidden) {
            return Err(format!("{path} is hidden or likely a secret; such files are not read"));
        }
        let file = std::fs::File::open(&real).map_err(|error| format!("{path}: {error}"))?;
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Err(format!("{path} is no file"));
        }
        read_lines(file, lines).map_err(|error| format!("{path}: {error}"))
    }

    fn ask(&self, prompt: &str, max_tokens: u32, cancel: &CancelFlag) -> Result<String, String> {
        let engine = self.engine.as_ref().ok_or("there is no model here")?;
        complete(engine.as_ref(), ASKED, prompt, max_tokens, cancel).map_err(|error| error.to_string())
    }

    fn secret(&self, name: &str) -> Option<String> {
        Secrets::new(&self.home).get(name)
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn kept(&self) -> Option<PathBuf> {
        Some(self.home.plugin_data_dir())
    }

    fn progress(&self, _: &str, message: &str, done: Option<f64>) {
        (self.on_progress)(message, done);
    }

    fn log(&self, plugin: &str, level: Level, message: &str) {
        (self.on_log)(plugin, level, message);
    }
}

/// Some lines of a text, not more of them than fit.
fn read_lines(file: std::fs::File, (first, last): (u32, u32)) -> std::io::Result<String> {
    let mut text = String::new();
    let (mut reader, mut line, mut number) = (std::io::BufReader::new(file), Vec::new(), 0_u32);
    while number < last {
        line.clear();
        let mut limited = std::io::Read::take(&mut reader, MAX_READ_BYTES as u64);
        if limited.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        number += 1;
        if number >= first {
            text.push_str(&String::from_utf8_lossy(&line));
        }
        if text.len() > MAX_READ_BYTES {
            let what = format!("the lines have more than {MAX_READ_BYTES} bytes; ask for fewer");
            return Err(std::io::Error::other(what));
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lucid_disk::RamDisk;
    use lucid_kernel::port::MountOptions;

    #[test]
    fn what_is_mounted_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out.md"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("a.md"), "one\ntwo\nthree\n").unwrap();
        std::fs::write(inside.join(".env"), "KEY=1\n").unwrap();
        std::fs::write(&outside, "secret\n").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&outside, inside.join("link.md")).unwrap();
        let disk = RamDisk::default();
        let root = inside.display().to_string();
        disk.mount(&root, &MountOptions::default(), &CancelFlag::new(), &mut |_| {}).unwrap();
        let serving = Serving {
            home: Home::under(folder.path()),
            engine: None,
            disk: Some(Arc::new(disk)),
            on_progress: Arc::new(|_, _| {}),
            on_log: Arc::new(|_, _, _| {}),
        };
        let read = |name: &str| serving.read(&inside.join(name).display().to_string(), (2, 9));
        assert_eq!(read("a.md").unwrap(), "two\nthree\n");
        for (name, why) in [
            (".env", "hidden"),
            ("../out.md", "no mounted folder"),
            ("link.md", "no mounted folder"),
            ("", "no file"),
            ("none.md", "No such file"),
        ] {
            let error = read(name).unwrap_err();
            assert!(error.contains(why), "{name}: {error}");
        }
        assert_eq!(serving.search("three", 5).unwrap().len(), 1);
    }
}
