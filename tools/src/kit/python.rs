//! Building a plugin in Python: CPython with the script in it, by componentize-py from PyPI.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::build::{MAX_MODULE_BYTES, compiling};
use super::command::{self, made_once, output};
use super::project::Project;
use super::world::{Failure, World};
use super::{KitError, Language};
use crate::files::{read_bounded, write_atomically};

const TOOL: &str = "componentize-py";
const VERSION: &str = "0.25.1";
/// The module that the component runs.
const MODULE: &str = "lucid_component";

/// The component of a plugin, without its words, and what made it.
pub(super) fn component(
    project: &Project,
    world: &World,
    cache_dir: &Path,
    on_step: &mut dyn FnMut(&str),
) -> Result<(Vec<u8>, String), KitError> {
    project.source()?;
    let build = project.build_dir()?;
    let glue_dir = build.join("python");
    std::fs::create_dir_all(&glue_dir)
        .map_err(|error| crate::error::ToolError::io("make the folder", &glue_dir, error))?;
    write_atomically(&glue_dir.join(format!("{MODULE}.py")), glue(world)?.as_bytes())?;
    let mut componentize = find(cache_dir, on_step)
        .map_err(|tried| KitError::NoToolchain { language: Language::Python, tried: tried.join("\n") })?;
    let compiler = format!("{TOOL} {VERSION}");
    on_step(&compiling(project, &compiler));
    let out = build.join("component.wasm");
    componentize.arg("--quiet").arg("--wit-path").arg(&world.dir).arg("--world").arg(world.name());
    componentize.args(["componentize", "--python-path"]).arg(&glue_dir);
    componentize.arg("--python-path").arg(project.dir.join("src")).arg("--output").arg(&out).arg(MODULE);
    // Else it shows where it failed itself.
    componentize.env("RUST_BACKTRACE", "0").env_remove("RUST_LIB_BACKTRACE").current_dir(&project.dir);
    command::compile(&mut componentize, clean)?;
    Ok((read_bounded(&out, MAX_MODULE_BYTES)?, compiler))
}

/// The module that the component runs: the author's functions, each through the shim.
fn glue(world: &World) -> Result<String, KitError> {
    let mut text = "# Written by `lucid plugin build` from wit/world.wit.\n\
                    import lucid\nimport plugin\nimport wit_world\n\
                    from componentize_py_types import Err\n"
        .to_owned();
    let report = if world.diagnostics().is_some() {
        text.push_str("from wit_world.imports import diagnostics\n");
        "diagnostics.report"
    } else {
        "None"
    };
    text.push_str("\n\nclass WitWorld(wit_world.WitWorld):\n");
    for function in world.functions()? {
        let mut name = Language::Python.identifier(&function.name);
        if Language::Python.is_word(&name) {
            name.push('_');
        }
        let failure = match function.failure {
            Failure::Never => "never",
            Failure::Text => "text",
            Failure::Value => "value",
        };
        let _ = writeln!(text, "    {name} = lucid.tool(plugin, \"{name}\", \"{failure}\", Err, {report})");
    }
    Ok(text)
}

/// The tool in an environment of our own, fetched when it is not there; else one that is
/// installed.
fn find(cache_dir: &Path, on_step: &mut dyn FnMut(&str)) -> Result<Command, Vec<String>> {
    let place = cache_dir.join(format!("{TOOL}-{VERSION}"));
    let fetched = environment(&place, &format!("{TOOL}=={VERSION}"), &mut || {
        on_step(&format!("fetching {TOOL} {VERSION} from PyPI (about 40 MB, once)"));
    });
    match fetched {
        Ok(mut python) => {
            python.args(["-c", "import sys; from componentize_py import script; sys.exit(script())"]);
            // Else all that is installed on the machine could be imported. The author's own
            // environment is meant.
            if std::env::var_os("VIRTUAL_ENV").is_none() {
                python.env("VIRTUAL_ENV", &place);
            }
            Ok(python)
        }
        Err(reason) => match command::on_path(TOOL) {
            Some(file) => Ok(Command::new(file)),
            None => Err(vec![format!("PyPI: {reason}"), format!("{TOOL}: it is in no folder of PATH")]),
        },
    }
}

/// The Python of an environment of our own in which one package is installed.
pub(super) fn environment(
    place: &Path,
    package: &str,
    on_fetch: &mut dyn FnMut(),
) -> Result<Command, String> {
    let python = |dir: &Path| dir.join("bin/python");
    made_once(place, |work| {
        // Without the package that makes environments, Debian's Python says so at length.
        output(Command::new("python3").args(["-c", "import venv, ensurepip"]))?;
        on_fetch();
        output(Command::new("python3").args(["-m", "venv"]).arg(work))?;
        let mut pip = Command::new(python(work));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--only-binary",
            ":all:",
        ]);
        output(pip.arg(package).current_dir(work)).map(drop)
    })?;
    Ok(Command::new(python(place)))
}

/// What the author's script did wrong, without what the tool says about itself.
fn clean(said: &str) -> String {
    let said = said.split("AssertionError: ").last().unwrap_or(said);
    said.split("\nCaused by:").next().unwrap_or(said).to_owned()
}
