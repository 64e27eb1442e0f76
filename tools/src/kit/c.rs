//! Building a plugin in C: glue by wit-bindgen, a compiler that this machine has, a component.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use wit_bindgen_core::Files;

use super::build::{MAX_MODULE_BYTES, compiling, componentise};
use super::command::{self, output};
use super::project::Project;
use super::world::World;
use super::{KitError, Language, python};
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};

/// What names in the glue begin with, whatever the world is called.
const PREFIX: &str = "plugin";
const ZIG: &str = "0.17.0";
/// The most files of a plugin.
const MAX_SOURCES: usize = 1_000;

/// The component of a plugin, without its words, and what made it.
pub(super) fn component(
    project: &Project,
    world: &mut World,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<(Vec<u8>, String), KitError> {
    project.source()?;
    let build = project.build_dir()?;
    let types = build.join("types.o");
    write_atomically(&types, &bindings(&project.dir, world)?)?;
    let compiler = Compiler::find(&build, cache_dir, on_step)?;
    on_step(&compiling(project, &compiler.version));

    let glue = build.join("glue.o");
    let bindings = project.dir.join("bindings");
    let mut cc = compiler.command(&project.dir);
    // Its warnings are about code that nobody wrote.
    cc.args(["-w", "-c"]).arg(bindings.join(format!("{PREFIX}.c"))).arg("-o").arg(&glue);
    command::compile(&mut cc, str::to_owned)?;

    let module = build.join("module.wasm");
    let mut cc = compiler.command(&project.dir);
    cc.args(["-Wall", "-Wextra", "-mexec-model=reactor", "-Wl,--strip-all", "-I"]).arg(&bindings);
    cc.args(sources(&project.dir.join("src"))?).args([&glue, &types]).args(["-lm", "-o"]).arg(&module);
    let warnings = command::compile(&mut cc, str::to_owned)?;
    if !warnings.is_empty() {
        on_step(&warnings);
    }
    let component = componentise(&read_bounded(&module, MAX_MODULE_BYTES)?)?;
    Ok((component, compiler.version))
}

/// Writes `bindings/plugin.h` and `bindings/plugin.c`, and gives the object file with the types.
pub(super) fn bindings(dir: &Path, world: &mut World) -> Result<Vec<u8>, KitError> {
    let mut files = Files::default();
    let options = wit_bindgen_c::Opts { rename_world: Some(PREFIX.into()), ..Default::default() };
    options
        .build()
        .generate(&mut world.resolve, world.id, &mut files)
        .map_err(|error| KitError::Wit { dir: world.dir.clone(), reason: format!("{error:#}") })?;
    let folder = dir.join("bindings");
    std::fs::create_dir_all(&folder).map_err(|error| ToolError::io("make the folder", &folder, error))?;
    let mut types = Vec::new();
    for (name, bytes) in files.iter() {
        if name.ends_with(".o") {
            types = bytes.to_vec();
        } else {
            write_atomically(&folder.join(name), bytes)?;
        }
    }
    Ok(types)
}

/// The files `src/*.c`, by name.
fn sources(folder: &Path) -> Result<Vec<PathBuf>, KitError> {
    let fault = |error| ToolError::io("list", folder, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)?.take(MAX_SOURCES) {
        let path = entry.map_err(fault)?.path();
        if path.extension().is_some_and(|extension| extension == "c") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A compiler that makes WebAssembly of C, and has a library of C for it.
struct Compiler {
    /// What it is, for people: `clang 19.1.7`.
    version: String,
    program: OsString,
    arguments: Vec<String>,
}

impl Compiler {
    /// The first that compiles and links a small program: the WASI SDK when it is named, Debian's
    /// clang, any clang, and Zig's, which is fetched when there is nothing else.
    fn find(build: &Path, cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Self, KitError> {
        let clang = |program: OsString, target: &str| (program, vec![format!("--target={target}")]);
        let mut candidates = Vec::new();
        if let Some(sdk) = std::env::var_os("WASI_SDK_PATH") {
            let program = Path::new(&sdk).join("bin/clang").into_os_string();
            candidates.push(clang(program.clone(), "wasm32-wasip1"));
            candidates.push(clang(program, "wasm32-wasi"));
        }
        for program in ["clang-19", "clang"] {
            candidates.push(clang(program.into(), "wasm32-wasi"));
            candidates.push(clang(program.into(), "wasm32-wasip1"));
        }
        candidates.push(zig("python3".into()));
        let mut tried = Vec::new();
        for (program, arguments) in candidates {
            match Self::tested(program.clone(), arguments.clone(), build) {
                Ok(found) => return Ok(found),
                Err(reason) => {
                    let arguments = arguments.join(" ");
                    tried.push(format!("{} {arguments}: {reason}", program.display()));
                }
            }
        }
        let fetched = python::environment(
            &cache_dir.join(format!("ziglang-{ZIG}")),
            &format!("ziglang=={ZIG}"),
            &mut || on_step(&format!("fetching the compiler ziglang {ZIG} from PyPI (about 100 MB, once)")),
        );
        let found = fetched.and_then(|python| {
            let (program, arguments) = zig(python.get_program().to_owned());
            Self::tested(program, arguments, build)
        });
        found.map_err(|reason| {
            tried.push(format!("ziglang from PyPI: {reason}"));
            KitError::NoToolchain { language: Language::C, tried: tried.join("\n") }
        })
    }

    fn tested(program: OsString, arguments: Vec<String>, build: &Path) -> Result<Self, String> {
        let source = build.join("probe.c");
        std::fs::write(&source, "#include <stdlib.h>\nint main(void) { return atoi(\"0\"); }\n")
            .map_err(|error| format!("the probe cannot be written: {error}"))?;
        let mut found = Self { version: String::new(), program, arguments };
        let mut version = Command::new(&found.program);
        version.args(found.arguments.iter().filter(|it| !it.starts_with("--target"))).arg("--version");
        found.version = short(&output(&mut version)?);
        let mut cc = found.command(build);
        output(cc.arg(&source).arg("-o").arg(build.join("probe.wasm")))?;
        Ok(found)
    }

    /// It, with what is the same for all that is compiled. No path of the machine ends up in a
    /// component.
    fn command(&self, dir: &Path) -> Command {
        let mut cc = Command::new(&self.program);
        cc.args(&self.arguments).args(["-std=gnu17", "-O2"]);
        let mut remap = OsString::from("-ffile-prefix-map=");
        remap.push(dir);
        remap.push("=/plugin");
        cc.arg(remap).current_dir(dir);
        cc
    }
}

fn zig(python: OsString) -> (OsString, Vec<String>) {
    let arguments = ["-m", "ziglang", "cc", "--target=wasm32-wasi"];
    (python, arguments.map(str::to_owned).to_vec())
}

/// `Debian clang version 19.1.7 (3~deb12u1)` without what changes from machine to machine.
fn short(version: &str) -> String {
    let mut words = version.split_whitespace().skip_while(|word| *word != "version").skip(1);
    format!("clang {}", words.next().unwrap_or("of an unknown version"))
}
