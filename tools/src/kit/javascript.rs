//! Building a plugin in JavaScript: QuickJS with the script in it, by componentize-qjs from npm.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::{MAX_MODULE_BYTES, compiling};
use super::command::{self, made_once, output};
use super::project::Project;
use super::world::{Failure, World};
use super::{KitError, Language};
use crate::error::ToolError;
use crate::files::{read_bounded, write_atomically};

const TOOL: &str = "componentize-qjs";
const VERSION: &str = "0.4.5";
/// What is built: the author's world, and the host's random numbers.
const WORLD: &str = "lucid-built";
/// The largest file of a WIT folder, and how deep it may be.
const MAX_WIT_BYTES: u64 = 4 << 20;
const MAX_WIT_DEPTH: usize = 8;

/// The engine's own random numbers are drawn while building and the same ever after.
const RANDOM: &str = "package wasi:random@0.2.0;\n\ninterface random {\n    \
                      get-random-bytes: func(len: u64) -> list<u8>;\n}\n";

/// The component of a plugin, without its words, and what made it.
pub(super) fn component(
    project: &Project,
    world: &World,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<(Vec<u8>, String), KitError> {
    project.source()?;
    let build = project.build_dir()?;
    let is_random = !world.has_package("wasi", "random");
    write_atomically(&build.join("component.js"), glue(world, is_random)?.as_bytes())?;
    let wit = build.join("wit");
    write_wit(world, &wit, is_random)?;
    let tool = find(cache_dir, on_step)
        .map_err(|tried| KitError::NoToolchain { language: Language::Js, tried: tried.join("\n") })?;
    let compiler = format!("{TOOL} {VERSION}");
    on_step(&compiling(project, &compiler));
    let out = build.join("component.wasm");
    let mut componentize = Command::new(tool);
    componentize.arg("--sync").arg("--wit").arg(&wit).args(["--world", WORLD]);
    componentize.arg("--js").arg(build.join("component.js")).arg("--module-root").arg(&project.dir);
    componentize.arg("--output").arg(&out).current_dir(&project.dir);
    command::compile(&mut componentize, clean)?;
    Ok((read_bounded(&out, MAX_MODULE_BYTES)?, compiler))
}

/// The module that the component runs: the author's functions, each through the shim.
fn glue(world: &World, is_random: bool) -> Result<String, KitError> {
    let mut text = "// Written by `lucid plugin build` from wit/world.wit.\n".to_owned();
    let report = match world.diagnostics() {
        Some(name) => {
            let _ = writeln!(text, "import {{ report }} from \"{name}\";");
            "report"
        }
        None => "undefined",
    };
    if is_random {
        text.push_str("import { getRandomBytes } from \"wasi:random/random@0.2.0\";\n");
    }
    text.push_str("import { drawFrom, tool } from \"../src/lucid.js\";\n");
    text.push_str("import * as plugin from \"../src/plugin.js\";\n\n");
    if is_random {
        text.push_str("drawFrom(getRandomBytes);\n");
    }
    let mut exports = Vec::new();
    for (n, function) in world.functions()?.iter().enumerate() {
        let name = Language::Js.identifier(&function.name);
        let failure = match function.failure {
            Failure::Never => "never",
            Failure::Text => "text",
            Failure::Value => "value",
        };
        let _ = writeln!(text, "const f{n} = tool(plugin, \"{name}\", \"{failure}\", {report});");
        // A word of the language itself can be exported, but not be a constant's name.
        exports.push(format!("f{n} as {name}"));
    }
    let _ = writeln!(text, "export {{ {} }};", exports.join(", "));
    Ok(text)
}

/// The author's WIT files, and a world that includes theirs and imports what the shim needs.
fn write_wit(world: &World, to: &Path, is_random: bool) -> Result<(), KitError> {
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(|error| ToolError::io("clear", to, error))?;
    }
    copy(&world.dir, to, 0)?;
    let mut text = format!("world {WORLD} {{\n    include %{};\n", world.name());
    if is_random {
        let dir = to.join("deps/wasi-random");
        std::fs::create_dir_all(&dir).map_err(|error| ToolError::io("make the folder", &dir, error))?;
        write_atomically(&dir.join("random.wit"), RANDOM.as_bytes())?;
        text.push_str("    import wasi:random/random@0.2.0;\n");
    }
    text.push_str("}\n");
    Ok(write_atomically(&to.join(format!("{WORLD}.wit")), text.as_bytes())?)
}

fn copy(from: &Path, to: &Path, depth: usize) -> Result<(), KitError> {
    std::fs::create_dir_all(to).map_err(|error| ToolError::io("make the folder", to, error))?;
    for entry in std::fs::read_dir(from).map_err(|error| ToolError::io("list", from, error))? {
        let path = entry.map_err(|error| ToolError::io("list", from, error))?.path();
        let place = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() && depth < MAX_WIT_DEPTH {
            copy(&path, &place, depth + 1)?;
        } else if path.is_file() {
            write_atomically(&place, &read_bounded(&path, MAX_WIT_BYTES)?)?;
        }
    }
    Ok(())
}

/// The tool in a folder of our own, fetched when it is not there; else one that is installed.
fn find(cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<PathBuf, Vec<String>> {
    let mut tried = Vec::new();
    if let Err(reason) = output(Command::new("node").arg("--version")) {
        // Whatever is installed of the tool needs it too.
        return Err(vec![format!("Node.js: {reason}")]);
    }
    let place = cache_dir.join(format!("{TOOL}-{VERSION}"));
    let fetched = made_once(&place, |work| {
        on_step(&format!("fetching {TOOL} {VERSION} from npm (about 40 MB, once)"));
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(work);
        output(npm.arg(format!("{TOOL}@{VERSION}")).current_dir(work)).map(drop)
    });
    match fetched {
        Ok(()) => return Ok(place.join("node_modules/.bin").join(TOOL)),
        Err(reason) => tried.push(format!("npm: {reason}")),
    }
    match command::on_path(TOOL) {
        Some(file) => Ok(file),
        None => {
            tried.push(format!("{TOOL}: it is in no folder of PATH"));
            Err(tried)
        }
    }
}

/// What the tool says about the author's script, without what the tool calls its own steps.
fn clean(said: &str) -> String {
    let said = said.trim();
    let said = said.strip_prefix("Error: ").unwrap_or(said).trim_start_matches([':', ' ']);
    let own =
        ["Failed to evaluate user JavaScript module: ", "Failed to finish JavaScript module evaluation: "];
    own.iter().fold(said, |said, own| said.strip_prefix(own).unwrap_or(said)).to_owned()
}
