//! `lucid plugin`.

use std::path::Path;

use lucid_tools::ToolError;
use lucid_tools::kit::{self, KitError};
use lucid_tools::package::Pins;
use lucid_tools::rights::Rights;
use serde_json::json;

use super::{PluginCmd, dev, out, package, rights, tryout};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::plugins::{GrantFile, host};

/// Runs `lucid plugin …`.
///
/// # Errors
/// When the plugin cannot be written, built or installed.
pub fn run(home: &Home, command: &PluginCmd) -> Result<u8, Failure> {
    match command {
        PluginCmd::New { name, lang } => {
            let dir = kit::new(name, *lang, Path::new(".")).map_err(failure)?;
            out::note(&format!("wrote {}: edit {} and wit/world.wit, then", dir.display(), lang.source()));
            out::note(&format!("  lucid plugin build {0} && lucid plugin install {0}/{0}.wasm", name));
        }
        PluginCmd::Build { dir } => {
            let mut step = |what: &str| out::note(what);
            let built = kit::build(dir, &home.toolchain_dir(), &mut step).map_err(failure)?;
            out::line(&built.path.display().to_string());
            out::note(&format!("{}: {}, built by {}", built.name, out::bytes(built.bytes), built.compiler));
        }
        PluginCmd::Install(args) => return package::install(home, args),
        PluginCmd::Update { names, check, json } => return package::update(home, names, *check, *json),
        PluginCmd::Publish(args) => return package::publish(home, args),
        PluginCmd::Sign { file, key } => return package::sign(home, file, key.as_deref()),
        PluginCmd::Keygen(args) => return package::keygen(home, args),
        PluginCmd::Inspect { name, json } => return rights::inspect(home, name, *json),
        PluginCmd::Grant { name, rights, yes } => return rights::grant(home, name, rights, *yes),
        PluginCmd::Revoke { name, rights } => return rights::revoke(home, name, rights),
        PluginCmd::Call(args) => return tryout::call(home, args),
        PluginCmd::Dev { dir } => return dev::run(home, dir),
        PluginCmd::Test { dir } => return tryout::test(home, dir),
        PluginCmd::Rm { name } => {
            kit::remove(name, &home.plugins_dir()).map_err(failure)?;
            // Another one of this name must not have what this one was granted.
            let granted = GrantFile::new(home).of(name)?;
            GrantFile::new(home).change(name, |rights| *rights = Rights::default())?;
            let and = if granted.is_empty() { "" } else { ", and what it was granted" };
            out::note(&format!("removed {name}{and}"));
        }
        PluginCmd::List { json } => list(home, *json)?,
    }
    Ok(exit::OK)
}

fn list(home: &Home, json: bool) -> Result<(), Failure> {
    let found = kit::list(&host(home), &home.plugins_dir()).map_err(failure)?;
    let pins = Pins::read(&home.plugins_dir()).map_err(|error| failure(error.into()))?;
    let grants = GrantFile::new(home).all()?;
    if json {
        let objects: Vec<_> = found.iter().map(|(path, plugin)| match plugin {
            Ok(plugin) => json!({
                "name": plugin.name, "version": plugin.version, "path": plugin.path, "bytes": plugin.size_bytes,
                "description": plugin.description, "tools": plugin.tools, "sha256": plugin.sha256,
                "asks": plugin.asks, "granted": grants.get(&plugin.name).map(|granted| (**granted).clone()),
                "from": pins.get(&plugin.name).map(|pin| &pin.from),
                "key": pins.get(&plugin.name).and_then(|pin| pin.key.as_ref()),
            }),
            Err(error) => json!({ "path": path, "error": error.to_string() }),
        }).collect();
        out::json(&objects);
        return Ok(());
    }
    for (path, plugin) in found {
        let place = path.display();
        match plugin {
            Ok(plugin) => {
                out::line(&out::clean(&format!(
                    "{}  {}  {place}",
                    plugin.name,
                    out::bytes(plugin.size_bytes)
                )));
                let granted = grants.get(&plugin.name).cloned().unwrap_or_default();
                for right in granted.iter() {
                    out::line(&out::clean(&format!("    may {} ({right})", right.words())));
                }
                for right in plugin.asks.beyond(&granted).iter() {
                    out::line(&out::clean(&format!("    asks to {} ({right})", right.words())));
                }
                for tool in &plugin.tools {
                    out::line(&out::clean(&format!("    {}: {}", tool.name, tool.description)));
                }
                for (function, reason) in &plugin.refused {
                    out::note(&out::clean(&format!("    {function} is left out: it {reason}")));
                }
            }
            Err(error) => out::note(&format!("{place} cannot be used: {error}")),
        }
    }
    Ok(())
}

fn failure(error: KitError) -> Failure {
    let code = match &error {
        KitError::Exists { .. }
        | KitError::NotInstalled { .. }
        | KitError::NotAPlugin { .. }
        | KitError::Reserved { .. } => exit::USAGE,
        KitError::Tool(ToolError::Name { .. }) => exit::USAGE,
        KitError::NoToolchain { .. } => exit::CONFIG,
        KitError::Cancelled => exit::CANCELLED,
        _ => exit::FAILED,
    };
    Failure::new(code, error.to_string())
}
