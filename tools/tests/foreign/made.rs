//! Makes the components: sources from package registries, or a guest of this test's own where none of
//! them has one, each built with the tools of its language.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::ComponentEncoder;
use wit_parser::Resolve;

/// Sources and tool of a language in one version: its examples come with its source.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.1";
const COMPONENTIZE_PY_SHA256: &str = "e4087e916b06171303f803c8ffdd5f177e2422e87d9bed6ffe55cc41b2248aa8";
/// The tests of the generator of bindings for C, in the version that the host's own C plugins use.
const WIT_BINDGEN: &str = "wit-bindgen-cli@0.60.0";

/// The guest that sends requests.
const GUEST: &str = include_str!("guest.py");
const GUEST_WIT: &str = include_str!("guest.wit");

/// Where all of it lies, and stays for the next run.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign")
}

/// What was made, or nothing where a tool is missing that has to be there in CI alone.
fn or_skipped<T>(made: Result<T, String>) -> Option<T> {
    match made {
        Ok(made) => Some(made),
        Err(why) => {
            assert!(std::env::var_os("CI").is_none(), "{why}");
            eprintln!("skipped: {why}");
            None
        }
    }
}

/// The example `sandbox` of componentize-py, built as its README says.
pub fn sandbox() -> Option<Vec<u8>> {
    or_skipped(python().and_then(|python| {
        let example = python.source.join("examples/sandbox");
        once("sandbox.wasm", |file| {
            let arguments = ["-d", "sandbox.wit", "componentize", "--stub-wasi", "guest", "-o"];
            run(python.componentize(&example).args(arguments).arg(file))
        })
    }))
}

/// A component of our own that knows nothing of Lucid: it sends requests by `wasi:http`.
pub fn requests() -> Option<Vec<u8>> {
    or_skipped(python().and_then(|python| {
        once("requests.wasm", |file| {
            let folder = file.with_extension("source");
            let deps = folder.join("wit/deps");
            fs::create_dir_all(&deps).map_err(|error| error.to_string())?;
            // WASI 0.2 as componentize-py brings it.
            for package in ["cli", "clocks", "filesystem", "http", "io", "random", "sockets"] {
                let name = format!("{package}-0.2.0");
                copy(&python.source.join("wit/deps").join(&name), &deps.join(&name))?;
            }
            write(&folder.join("wit/guest.wit"), GUEST_WIT)?;
            write(&folder.join("guest.py"), GUEST)?;
            let arguments = ["-d", "wit", "-w", "guest", "componentize", "guest", "-o"];
            run(python.componentize(&folder).args(arguments).arg(file))
        })
    }))
}

/// The test `records` of wit-bindgen, built as its own tests do.
pub fn records() -> Option<Vec<u8>> {
    or_skipped(crate_source().and_then(|source| {
        once("records.wasm", |file| {
            let test = source.join("tests/runtime/records");
            let folder = file.with_extension("source");
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            let mut resolve = Resolve::default();
            let text = fs::read_to_string(test.join("test.wit")).map_err(|error| error.to_string())?;
            let fault = |error| format!("{error:#}");
            let package = resolve.push_str("test.wit", &text).map_err(fault)?;
            let world = resolve.select_world(&[package], Some("test")).map_err(fault)?;
            let mut files = wit_bindgen_core::Files::default();
            let generator = wit_bindgen_c::Opts::default().build();
            { generator }.generate(&mut resolve, world, &mut files).map_err(|error| format!("{error:#}"))?;
            for (name, bytes) in files.iter() {
                fs::write(folder.join(name), bytes).map_err(|error| error.to_string())?;
            }
            let module = folder.join("module.wasm");
            let mut cc = Command::new("clang-19");
            cc.args(["--target=wasm32-wasi", "-O2", "-w", "-mexec-model=reactor", "-I"]).arg(&folder);
            cc.arg(test.join("test.c")).arg(folder.join("test.c")).arg(folder.join("test_component_type.o"));
            run(cc.arg("-o").arg(&module))?;
            let module = fs::read(&module).map_err(|error| error.to_string())?;
            let adapter = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER;
            let name = wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
            let encoder = ComponentEncoder::default().module(&module).map_err(fault)?.validate(true);
            let bytes = encoder.adapter(name, adapter).map_err(fault)?.encode().map_err(fault)?;
            fs::write(file, bytes).map_err(|error| error.to_string())
        })
    }))
}

/// componentize-py: an environment with the tool, and its unpacked source.
struct Python {
    program: PathBuf,
    source: PathBuf,
}

impl Python {
    fn componentize(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-c", "import sys; from componentize_py import script; sys.exit(script())"]);
        command.env("VIRTUAL_ENV", self.program.join("../..")).current_dir(folder);
        command
    }
}

fn python() -> Result<Python, String> {
    let place = made(COMPONENTIZE_PY, |work| {
        run(Command::new("python3").args(["-m", "venv"]).arg(work))?;
        let pip = || {
            let mut pip = Command::new(work.join("bin/python"));
            pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]).current_dir(work);
            pip
        };
        run(pip().args(["install", "--only-binary", ":all:", COMPONENTIZE_PY]))?;
        write(
            &work.join("requirements.txt"),
            &format!("{COMPONENTIZE_PY} --hash=sha256:{COMPONENTIZE_PY_SHA256}\n"),
        )?;
        let wanted = ["download", "--no-deps", "--no-binary", "componentize-py", "--require-hashes"];
        run(pip().args(wanted).args(["--requirement", "requirements.txt", "--dest", "source"]))?;
        let unpack =
            "import glob, tarfile; tarfile.open(glob.glob('source/*.tar.gz')[0]).extractall('source')";
        run(Command::new("python3").args(["-c", unpack]).current_dir(work))
    })?;
    let source = place.join("source").join(COMPONENTIZE_PY.replace("==", "-").replace("ize-py", "ize_py"));
    Ok(Python { program: place.join("bin/python"), source })
}

/// The source of a crate, as cargo keeps it.
fn crate_source() -> Result<PathBuf, String> {
    let (name, version) = WIT_BINDGEN.split_once('@').ok_or("it has no version")?;
    let folder = format!("{name}-{version}");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let registries = home.ok_or("there is no home")?.join("registry/src");
    let find = || {
        let registries = fs::read_dir(&registries).ok()?;
        registries.flatten().map(|registry| registry.path().join(&folder)).find(|path| path.is_dir())
    };
    if find().is_none() {
        // In a folder without a package, whose versions it would prefer.
        let empty = cache().join("empty");
        fs::create_dir_all(&empty).map_err(|error| error.to_string())?;
        run(Command::new(env!("CARGO")).args(["info", "--quiet", WIT_BINDGEN]).current_dir(empty))?;
    }
    find().ok_or_else(|| format!("cargo keeps no source of {WIT_BINDGEN}"))
}

/// A file that is made once, whole.
fn once(name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<Vec<u8>, String> {
    let folder = made(&format!("{name}-{}", key()), |work| make(&work.join(name)))?;
    fs::read(folder.join(name)).map_err(|error| error.to_string())
}

/// What is made anew when it changes: everything that it is made of.
fn key() -> String {
    use sha2::Digest as _;
    let all = format!("{COMPONENTIZE_PY} {WIT_BINDGEN} {GUEST} {GUEST_WIT}");
    sha2::Sha256::digest(all).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A folder of the cache that is made once; what was cut off is not taken for whole.
fn made(name: &str, make: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let place = cache().join(name);
    if place.is_dir() {
        return Ok(place);
    }
    let work = cache().join(format!("{name}.part"));
    drop(fs::remove_dir_all(&work));
    fs::create_dir_all(&work).map_err(|error| error.to_string())?;
    make(&work)?;
    fs::rename(&work, &place).map_err(|error| error.to_string())?;
    Ok(place)
}

fn run(command: &mut Command) -> Result<(), String> {
    let out = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    ))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| error.to_string())
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|error| error.to_string())?;
    for entry in fs::read_dir(from).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        fs::copy(entry.path(), to.join(entry.file_name())).map_err(|error| error.to_string())?;
    }
    Ok(())
}
