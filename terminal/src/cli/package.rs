//! `lucid plugin install`, `update`, `publish`, `sign` and `keygen`: plugins on their way from one person
//! to another.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};
use lucid_kernel::port::CancelFlag;
use lucid_tools::kit::{self, Recipe};
use lucid_tools::package::{
    self, Candidate, Change, Login, Origin, PackageError, Pins, PublicKey, SecretKey, Wanted,
};
use lucid_tools::rights::Rights;
use lucid_tools::{Plugin, ToolError, ToolHost};
use serde_json::json;

use super::{InstallArgs, KeygenArgs, PublishArgs, out, rights, session};
use crate::exit::{self, Failure};
use crate::home::Home;
use crate::plugins::{GrantFile, host};

/// Installs a plugin, and grants it what the user says.
///
/// # Errors
/// When it cannot be had, is not what it must be, or cannot be kept.
pub fn install(home: &Home, args: &InstallArgs) -> Result<u8, Failure> {
    let cancel = session::on_ctrl_c();
    let wanted = Wanted {
        sha256: args.sha256.as_deref().map(digest).transpose()?,
        key: args.key.as_deref().map(PublicKey::parse).transpose().map_err(failure)?,
    };
    let origin = match made(home, &args.source)? {
        Some(file) => Origin::File(file),
        None => Origin::parse(&args.source).map_err(failure)?,
    };
    let (host, pins) = (loaded(home)?, pins(home)?);
    let candidate = get(&host, &origin, &wanted, &pins, &cancel)?;
    let granted = rights::parse(&args.grants, &candidate.plugin)?;
    let path = keep(home, &candidate)?;
    grant(home, &candidate.plugin, granted)?;
    out::line(&path.display().to_string());
    Ok(exit::OK)
}

/// Makes a plugin that the program knows how to make, if that is what is meant.
fn made(home: &Home, source: &str) -> Result<Option<PathBuf>, Failure> {
    let Some(recipe) = Recipe::find(source).filter(|_| !Path::new(source).exists()) else { return Ok(None) };
    let toolchain = home.toolchain_dir();
    let project = toolchain.join("made").join(recipe.name);
    recipe.write(&project).map_err(unusable)?;
    let mut step = |what: &str| out::note(&out::clean(what));
    let built = kit::build(&project, &toolchain, &mut step);
    Ok(Some(built.map_err(|error| Failure::task(error.to_string()))?.path))
}

/// Installs what was built from the user's own source. Grants stay as they are.
///
/// # Errors
/// When it is no usable plugin, or cannot be kept.
pub fn install_built(home: &Home, origin: &Origin, cancel: &CancelFlag) -> Result<PathBuf, Failure> {
    let (host, pins) = (loaded(home)?, pins(home)?);
    let package = package::get(origin, &login, &mut |_| {}, cancel).map_err(failure)?;
    let candidate = package::check(&host, package, &Wanted::default(), &pins).map_err(failure)?;
    package::install(&candidate, &home.plugins_dir()).map_err(failure)
}

/// Gets what is newer of the plugins named, or of all that came from a server.
///
/// # Errors
/// When one of them cannot be had or is not what it must be; the others are updated all the same.
pub fn update(home: &Home, names: &[String], check: bool, json: bool) -> Result<u8, Failure> {
    let cancel = session::on_ctrl_c();
    let pins = pins(home)?;
    if let Some(unknown) = names.iter().find(|name| pins.get(name).is_none()) {
        let advice = "`lucid plugin list` shows what is";
        return Err(Failure::usage(format!("no plugin named {unknown} is installed; {advice}")));
    }
    let host = loaded(home)?;
    let (mut told, mut failed) = (Vec::new(), None);
    for (name, pin) in pins.iter() {
        let origin = Origin::parse(&pin.from).map_err(failure)?;
        let is_far = !matches!(origin, Origin::File(_));
        if !origin.can_change() || !(names.iter().any(|it| it == name) || (names.is_empty() && is_far)) {
            continue;
        }
        match newer(home, &host, name, &origin, &pins, check, &cancel) {
            Ok(state) => told.push(json!({ "name": name, "from": pin.from, "state": state })),
            Err(failure) if failure.code == exit::CANCELLED => return Err(failure),
            Err(failure) => {
                out::note(&out::clean(&format!("{name}: {failure}")));
                told.push(
                    json!({ "name": name, "from": pin.from, "state": "failed", "error": failure.message }),
                );
                failed = Some(failure);
            }
        }
    }
    if json {
        out::json(&told);
    } else if told.is_empty() {
        out::note("no plugin came from a server");
    }
    match failed {
        Some(failure) => Err(Failure::new(failure.code, "not every plugin was updated")),
        None => Ok(exit::OK),
    }
}

fn newer(
    home: &Home,
    host: &ToolHost,
    name: &str,
    origin: &Origin,
    pins: &Pins,
    check: bool,
    cancel: &CancelFlag,
) -> Result<&'static str, Failure> {
    let candidate = get(host, origin, &Wanted::default(), pins, cancel)?;
    if candidate.plugin.name != name {
        let now = candidate.plugin.name;
        return Err(Failure::task(format!("its name is {now} now; install that, and remove {name}")));
    }
    if candidate.change == Change::Nothing {
        out::note(&format!("{name} is the newest"));
        return Ok("newest");
    }
    if check {
        out::note(&out::clean(&format!("{name} has a newer version{}", version(&candidate.plugin))));
        return Ok("newer");
    }
    keep(home, &candidate)?;
    grant(home, &candidate.plugin, Rights::default())?;
    Ok("updated")
}

/// Publishes a component in a registry.
///
/// # Errors
/// When it is no usable plugin, or the registry does not take it.
pub fn publish(home: &Home, args: &PublishArgs) -> Result<u8, Failure> {
    let cancel = session::on_ctrl_c();
    let origin = Origin::parse(&args.to).map_err(failure)?;
    let from = Origin::parse(&args.file.to_string_lossy()).map_err(failure)?;
    if let Some(key) = &args.sign {
        sign_with(&from, key)?;
    }
    let package = package::get(&from, &login, &mut |_| {}, &cancel).map_err(failure)?;
    let plugin = host(home).inspect_bytes(&package.name(), &package.component).map_err(unusable)?;
    if let Some(text) = &package.signature {
        package::Signature::check(text, &package.component, None).map_err(|reason| {
            Failure::usage(format!("the signature beside {from} is not good: {reason}; sign it again"))
        })?;
    }
    out::note(&format!("publishing {}{} as {origin}", plugin.name, version(&plugin)));
    let signature = package.signature.as_deref();
    let published =
        package::publish(&plugin, package.component, signature, &origin, &login, &cancel).map_err(failure)?;
    if args.json {
        out::json(&json!({
            "name": plugin.name, "version": plugin.version, "to": published.origin.to_string(),
            "digest": published.digest, "sha256": plugin.sha256, "signed": signature.is_some(),
        }));
        return Ok(exit::OK);
    }
    out::line(&published.digest);
    if signature.is_none() {
        out::note("it is not signed: `--sign KEY` lets people see that the next version is yours too");
    }
    Ok(exit::OK)
}

/// Signs a component's file.
///
/// # Errors
/// When the key or the file cannot be read.
pub fn sign(home: &Home, file: &Path, key: Option<&Path>) -> Result<u8, Failure> {
    let key = key.map_or_else(|| home.signing_key_file(), Path::to_path_buf);
    let from = Origin::parse(&file.to_string_lossy()).map_err(failure)?;
    let beside = sign_with(&from, &key)?;
    out::line(&beside.display().to_string());
    Ok(exit::OK)
}

fn sign_with(origin: &Origin, key: &Path) -> Result<PathBuf, Failure> {
    let Origin::File(file) = origin else {
        return Err(Failure::usage(format!("{origin} is no file; a file is signed before it is published")));
    };
    if !key.is_file() {
        let advice = "`lucid plugin keygen` makes one";
        return Err(Failure::usage(format!("there is no key {}; {advice}", key.display())));
    }
    let key = SecretKey::read(key, || password("password of the key: ")).map_err(failure)?;
    let public = key.public().map_err(failure)?;
    let beside = package::sign(file, &key).map_err(failure)?;
    out::note(&format!("signed by the key {public}"));
    Ok(beside)
}

/// Makes a pair of keys.
///
/// # Errors
/// When there is one already, or it cannot be kept.
pub fn keygen(home: &Home, args: &KeygenArgs) -> Result<u8, Failure> {
    let path = args.file.clone().unwrap_or_else(|| home.signing_key_file());
    if path.exists() {
        return Err(Failure::usage(format!("{} is there already", path.display())));
    }
    let password = if args.no_password { None } else { Some(new_password()?) };
    Home::make_parent(&path)?;
    let (key, beside) = SecretKey::generate(&path, password).map_err(failure)?;
    out::line(&key.to_string());
    out::note(&format!("the secret key is in {}: keep a copy, and show it to nobody", path.display()));
    out::note(&format!("the public key is in {}: tell it to the people who install", beside.display()));
    Ok(exit::OK)
}

fn new_password() -> Result<String, Failure> {
    let first = password("password of the new key: ").map_err(failure)?;
    if first.is_empty() {
        return Err(Failure::usage("the password is empty; give one, or --no-password"));
    }
    if password("the same again: ").map_err(failure)? != first {
        return Err(Failure::usage("the two passwords differ; try again"));
    }
    Ok(first)
}

fn password(prompt: &str) -> Result<String, PackageError> {
    let wrong = |reason: String| PackageError::Key { place: "and its password".into(), reason };
    if !std::io::stdin().is_terminal() {
        return Err(wrong("there is no terminal to ask for it".into()));
    }
    rpassword::prompt_password(prompt).map_err(|error| wrong(error.to_string()))
}

/// How the user is known to a registry, as `docker login` and its like keep it.
fn login(registry: &str) -> Result<Option<Login>, String> {
    let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| std::env::home_dir().map(|home| home.join(".docker")));
    if !folder.is_some_and(|folder| folder.join("config.json").is_file()) {
        return Ok(None);
    }
    match docker_credential::get_credential(registry) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Login::Password { user, password }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Login::Token(token))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// The host with all that is there, so that names which are taken are seen.
fn loaded(home: &Home) -> Result<ToolHost, Failure> {
    let host = host(home);
    host.load_bundled().map_err(unusable)?;
    host.load_installed(&home.plugins_dir()).map_err(unusable)?;
    Ok(host)
}

fn pins(home: &Home) -> Result<Pins, Failure> {
    Pins::read(&home.plugins_dir()).map_err(unusable)
}

fn get(
    host: &ToolHost,
    origin: &Origin,
    wanted: &Wanted,
    pins: &Pins,
    cancel: &CancelFlag,
) -> Result<Candidate, Failure> {
    let mut step = |what: &str| out::note(&out::clean(what));
    let package = package::get(origin, &login, &mut step, cancel).map_err(failure)?;
    let size = package.component.len();
    if size > LARGE_BYTES {
        step(&format!("preparing {} MB of code, once: this takes a minute or more", size / 1_000_000));
    }
    package::check(host, package, wanted, pins).map_err(failure)
}

/// A component of this size takes long to compile.
const LARGE_BYTES: usize = 30_000_000;

/// Puts it among the installed ones, and says what it is.
fn keep(home: &Home, candidate: &Candidate) -> Result<PathBuf, Failure> {
    let plugin = &candidate.plugin;
    if candidate.change == Change::Other {
        // What another author's plugin was granted is not this one's.
        let before = GrantFile::new(home).of(&plugin.name)?;
        GrantFile::new(home).change(&plugin.name, |rights| *rights = Rights::default())?;
        if !before.is_empty() {
            let name = &plugin.name;
            out::note(&format!("{name} comes from elsewhere than before: it is granted nothing any more"));
        }
    }
    let path = package::install(candidate, &home.plugins_dir()).map_err(failure)?;
    rights::note_in_vain(plugin);
    let tools: Vec<&str> = plugin.tools.iter().map(|tool| tool.name.as_str()).collect();
    let name = &plugin.name;
    out::note(&out::clean(&format!("installed {name}{} with {}", version(plugin), tools.join(", "))));
    match &candidate.key {
        Some(key) if candidate.change == Change::New => {
            out::note(&format!("signed by the key {key}: from now on only that one may sign {name}"));
        }
        Some(key) => out::note(&format!("signed by the key {key}")),
        None => out::note(&format!("not signed; sha256 {}", plugin.sha256)),
    }
    Ok(path)
}

/// Grants what the user said, or says now; the rest is asked for when a tool needs it.
fn grant(home: &Home, plugin: &Plugin, said: Rights) -> Result<(), Failure> {
    let file = GrantFile::new(home);
    let mut granted = (*file.of(&plugin.name)?).clone();
    granted.extend(&said);
    let asked = plugin.asks.beyond(&granted);
    for right in asked.iter() {
        out::note(&out::clean(&format!("it asks to {} ({right})", right.words())));
    }
    if !asked.is_empty() {
        if said.is_empty() && agrees("grant it that for ever?")? {
            granted.extend(&asked);
        } else {
            out::note("you are asked when a tool needs it; `lucid plugin grant` grants it before");
        }
    }
    if granted != *file.of(&plugin.name)? {
        file.change(&plugin.name, |rights| *rights = granted)?;
    }
    Ok(())
}

/// Whether a person at a terminal says yes.
fn agrees(question: &str) -> Result<bool, Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(false);
    }
    let failed = |error: std::io::Error| Failure::task(format!("the terminal cannot be used: {error}"));
    let mut stderr = std::io::stderr();
    write!(stderr, "{question} [y/N] ").and_then(|()| stderr.flush()).map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// A SHA-256 as people write it.
fn digest(text: &str) -> Result<String, Failure> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if digits.len() == 64 && digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(digits);
    }
    Err(Failure::usage(format!("{text} is no SHA-256: it has 64 hexadecimal digits")))
}

fn version(plugin: &Plugin) -> String {
    plugin.version.as_ref().map_or_else(String::new, |version| format!(" {version}"))
}

fn unusable(error: ToolError) -> Failure {
    failure(error.into())
}

fn failure(error: PackageError) -> Failure {
    let code = match &error {
        PackageError::Origin { .. } | PackageError::Key { .. } => exit::USAGE,
        PackageError::Tool(ToolError::Name { .. }) => exit::USAGE,
        PackageError::Unsigned { .. }
        | PackageError::OtherKey { .. }
        | PackageError::Signature { .. }
        | PackageError::Digest { .. } => exit::DENIED,
        PackageError::Cancelled => exit::CANCELLED,
        _ => exit::FAILED,
    };
    Failure::new(code, error.to_string())
}
