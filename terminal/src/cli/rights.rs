//! `lucid plugin grant`, `revoke` and `inspect`, and `lucid secret`: what plugins may do.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use lucid_tools::rights::{Right, Rights};
use lucid_tools::{Plugin, ToolError, ToolHost, bundled};
use serde_json::json;

use super::{SecretCmd, out};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::plugins::{GrantFile, Secrets, host};

/// Loads the plugin of this name, bundled or installed, or in this file.
pub fn load(host: &ToolHost, home: &Home, name: &str) -> Result<Arc<Plugin>, Failure> {
    let failed = |error: ToolError| Failure::config(error.to_string());
    let path = Path::new(name);
    if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
        return host.load(path).map_err(failed);
    }
    if let Some(bundled) = bundled::find(name) {
        return host.load_bundled_one(bundled).map_err(failed);
    }
    let name = lucid_tools::checked_name(name).map_err(|error| Failure::usage(error.to_string()))?;
    let file = home.plugins_dir().join(format!("{name}.wasm"));
    if !file.is_file() {
        let advice = "`lucid plugin list` shows what there is";
        return Err(Failure::usage(format!("there is no plugin {name}; {advice}")));
    }
    host.load_installed_one(&file).map_err(failed)
}

/// Rights as they are written; `all` stands for all that the plugin asks for. A folder may begin with
/// `~` or be relative.
pub fn parse(texts: &[String], plugin: &Plugin) -> Result<Rights, Failure> {
    let mut rights = Rights::default();
    for text in texts {
        if text == "all" {
            rights.extend(&plugin.asks);
            continue;
        }
        let right: Right = absolute(text)
            .parse()
            .map_err(|error: lucid_tools::rights::BadRight| Failure::usage(error.to_string()))?;
        rights.insert(right);
    }
    Ok(rights)
}

/// The same with the folder in full.
fn absolute(text: &str) -> String {
    let Some((kind, folder)) = text.split_once(':').filter(|(kind, _)| matches!(*kind, "read" | "write"))
    else {
        return text.to_owned();
    };
    if folder == lucid_tools::rights::MOUNTED || folder.is_empty() {
        return text.to_owned();
    }
    let home = std::env::home_dir().map(|home| home.display().to_string());
    let path = match (folder.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => folder.to_owned(),
    };
    // A folder that is there is meant as it really is, whatever links lead to it.
    let path =
        std::fs::canonicalize(&path).or_else(|_| std::path::absolute(&path)).unwrap_or_else(|_| path.into());
    format!("{kind}:{}", path.display())
}

/// Grants rights for ever.
///
/// # Errors
/// When there is no such plugin, a right cannot be one, or they cannot be kept.
pub fn grant(home: &Home, name: &str, texts: &[String], yes: bool) -> Result<u8, Failure> {
    granted(home, name, texts, yes)?.iter().for_each(|line| out::note(&out::clean(line)));
    Ok(exit::OK)
}

/// The same, which says what it did: a line for each right, and for each that is still asked for.
///
/// # Errors
/// As [`grant`].
pub fn granted(home: &Home, name: &str, texts: &[String], yes: bool) -> Result<Vec<String>, Failure> {
    let plugin = load(&host(home), home, name)?;
    let rights = parse(texts, &plugin)?;
    let whole_home = std::env::home_dir().map(|home| Right::Read(home.display().to_string()));
    if let Some(whole) = whole_home.filter(|whole| !yes && rights.iter().any(|right| right.covers(whole))) {
        let message = format!("{whole} would give {name} all that is yours; say --yes if you mean that");
        return Err(Failure::usage(message));
    }
    let granted = GrantFile::new(home).change(&plugin.name, |granted| granted.extend(&rights))?;
    let may = rights.iter().map(|right| format!("{} may {}", plugin.name, right.words()));
    let beyond = plugin.asks.beyond(&granted);
    let asks = beyond.iter().map(|right| format!("it also asks to {} ({right})", right.words()));
    Ok(may.chain(asks).collect())
}

/// Takes rights back: those named, or all.
///
/// # Errors
/// When a right was not granted, or the change cannot be kept.
pub fn revoke(home: &Home, name: &str, texts: &[String]) -> Result<u8, Failure> {
    let file = GrantFile::new(home);
    let before = file.of(name)?;
    let meant: Vec<Right> = if texts.is_empty() || texts.iter().any(|text| text == "all") {
        before.iter().cloned().collect()
    } else {
        let parsed = texts.iter().map(|text| absolute(text).parse::<Right>());
        parsed.collect::<Result<_, _>>().map_err(|error| Failure::usage(error.to_string()))?
    };
    if let Some(right) = meant.iter().find(|right| !before.iter().any(|granted| granted == *right)) {
        let granted: Vec<String> = before.iter().map(Right::to_string).collect();
        let granted = if granted.is_empty() { "nothing".into() } else { granted.join(", ") };
        return Err(Failure::usage(format!("{name} was not granted {right}; it was granted {granted}")));
    }
    file.change(name, |granted| {
        meant.iter().for_each(|right| {
            granted.remove(right);
        })
    })?;
    for right in &meant {
        out::note(&out::clean(&format!("{name} may no longer {}", right.words())));
    }
    Ok(exit::OK)
}

/// Shows what a plugin is, what the model reads of it, and what it may do.
///
/// # Errors
/// When there is no such plugin.
pub fn inspect(home: &Home, name: &str, json: bool) -> Result<u8, Failure> {
    let plugin = load(&host(home), home, name)?;
    let granted = GrantFile::new(home).of(&plugin.name)?;
    if json {
        out::json(&json!({
            "name": plugin.name,
            "version": plugin.version,
            "description": plugin.description,
            "path": plugin.path,
            "bytes": plugin.size_bytes,
            "sha256": plugin.sha256,
            "tools": plugin.tools,
            "refused": plugin.refused,
            "asks": plugin.asks,
            "granted": *granted,
        }));
        return Ok(exit::OK);
    }
    let version = plugin.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    let place =
        plugin.path.as_ref().map_or_else(|| "part of lucid".into(), |path| path.display().to_string());
    out::line(&out::clean(&format!("{}{version}: {}", plugin.name, plugin.description)));
    out::line(&format!("{place}, {}, sha256 {}", out::bytes(plugin.size_bytes), plugin.sha256));
    for right in plugin.asks.iter() {
        let state = if granted.allow(right) { "granted" } else { "asked for" };
        out::line(&out::clean(&format!("  {state:<10} {right}: {}", right.words())));
    }
    for right in granted.iter().filter(|right| !plugin.asks.iter().any(|asked| asked == *right)) {
        out::line(&out::clean(&format!("  granted    {right}: {} (it does not ask for it)", right.words())));
    }
    note_in_vain(&plugin);
    if plugin.asks.is_empty() && granted.is_empty() {
        out::line("  it asks for no right: it can touch nothing but its arguments");
    }
    for tool in &plugin.tools {
        out::line("");
        out::line(&out::clean(&format!("{}: {}", tool.name, tool.description)));
        out::line(&out::clean(&tool.parameters.to_string()));
    }
    for (function, reason) in &plugin.refused {
        out::note(&out::clean(&format!("{function} is left out: it {reason}")));
    }
    Ok(exit::OK)
}

/// Says what a plugin asks for and cannot use.
pub fn note_in_vain(plugin: &Plugin) {
    for right in plugin.asks_in_vain() {
        out::note(&out::clean(&format!("it asks for {right}, but imports nothing that could use it")));
    }
}

/// Runs `lucid secret …`.
///
/// # Errors
/// When a secret cannot be kept or removed.
pub fn secret(home: &Home, command: &SecretCmd) -> Result<u8, Failure> {
    let secrets = Secrets::new(home);
    match command {
        SecretCmd::Set { name } => {
            let mut text = String::new();
            std::io::stdin()
                .lock()
                .take(64 << 10)
                .read_to_string(&mut text)
                .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
            secrets.set(name, &text)?;
            out::note(&format!("{name} is kept; grant it with `lucid plugin grant NAME secret:{name}@HOST`"));
        }
        SecretCmd::Rm { name } => {
            if !secrets.remove(name)? {
                return Err(Failure::usage(format!(
                    "there is no secret {name}; `lucid secret list` shows all"
                )));
            }
        }
        SecretCmd::List => {
            for (name, is_private) in secrets.names()? {
                out::line(&name);
                if !is_private {
                    let path = secrets.folder().join(&name);
                    out::note(&format!(
                        "others can read it, so it is not used; run chmod 600 {}",
                        path.display()
                    ));
                }
            }
        }
    }
    Ok(exit::OK)
}
