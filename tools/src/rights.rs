//! What a plugin may do beyond computing with its arguments: it asks for rights in `plugin.toml`,
//! the user grants some of them, and a call has what was granted and nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Stands for all folders that the user mounted.
pub const MOUNTED: &str = "mounted";
/// The most rights of one plugin.
const MAX_RIGHTS: usize = 64;
/// The most that may be asked for: memory and output in MiB, time in seconds, tokens.
const MAX_MEMORY_MIB: u64 = 4_096;
const MAX_OUTPUT_MIB: u64 = 64;
const MAX_SECONDS: u64 = 600;
const MAX_TOKENS: u64 = 100_000;
const MAX_KEPT_MIB: u64 = 1_024;

/// One thing that a plugin may do. Written `kind:what`, such as `net:api.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Right {
    /// Read the files of a folder: an absolute path, or [`MOUNTED`].
    Read(String),
    /// Read and change them.
    Write(String),
    /// Send requests to a host: `example.com`, `*.example.com`, `127.0.0.1:8080`.
    Net(String),
    /// Read a variable of the environment.
    Env(String),
    /// Have a secret put into requests to a host.
    Secret {
        /// Its name.
        name: String,
        /// Where it may be sent, as for [`Right::Net`].
        host: String,
    },
    /// Search and read the mounted folders.
    Disk,
    /// Ask the model, so many tokens a call.
    Ask(u64),
    /// Keep so many MiB of its own.
    Keep(u64),
    /// Use so many MiB of memory.
    Memory(u64),
    /// Run for so many seconds.
    Time(u64),
    /// Return so many MiB.
    Output(u64),
}

/// A text that is no right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no right that a plugin can have: {reason}")]
pub struct BadRight {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(folder) => write!(f, "read:{folder}"),
            Self::Write(folder) => write!(f, "write:{folder}"),
            Self::Net(host) => write!(f, "net:{host}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Secret { name, host } => write!(f, "secret:{name}@{host}"),
            Self::Disk => f.write_str("disk"),
            Self::Ask(tokens) => write!(f, "ask:{tokens}"),
            Self::Keep(mib) => write!(f, "keep:{mib}"),
            Self::Memory(mib) => write!(f, "memory:{mib}"),
            Self::Time(seconds) => write!(f, "time:{seconds}"),
            Self::Output(mib) => write!(f, "output:{mib}"),
        }
    }
}

impl From<Right> for String {
    fn from(right: Right) -> Self {
        right.to_string()
    }
}

impl TryFrom<String> for Right {
    type Error = BadRight;

    fn try_from(text: String) -> Result<Self, BadRight> {
        text.parse()
    }
}

impl FromStr for Right {
    type Err = BadRight;

    fn from_str(text: &str) -> Result<Self, BadRight> {
        let bad = |reason: &str| BadRight { text: text.to_owned(), reason: reason.to_owned() };
        if text == "disk" {
            return Ok(Self::Disk);
        }
        let (kind, what) = text.split_once(':').ok_or_else(|| bad("write it like net:example.com"))?;
        let number = |most: u64, unit: &str| match what.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => Err(bad(&format!("give {unit} from 1 to {most}"))),
        };
        match kind {
            "read" => folder(what).map(Self::Read).map_err(bad),
            "write" => folder(what).map(Self::Write).map_err(bad),
            "net" => host(what).map(Self::Net).map_err(bad),
            "env" => name(what).map(Self::Env).map_err(bad),
            "secret" => {
                let (secret, to) = what
                    .split_once('@')
                    .ok_or_else(|| bad("say where it may go: secret:NAME@example.com"))?;
                Ok(Self::Secret { name: name(secret).map_err(bad)?, host: host(to).map_err(bad)? })
            }
            "ask" => number(MAX_TOKENS, "tokens").map(Self::Ask),
            "keep" => number(MAX_KEPT_MIB, "MiB").map(Self::Keep),
            "memory" => number(MAX_MEMORY_MIB, "MiB").map(Self::Memory),
            "time" => number(MAX_SECONDS, "seconds").map(Self::Time),
            "output" => number(MAX_OUTPUT_MIB, "MiB").map(Self::Output),
            _ => Err(bad("there is read, write, net, env, secret, disk, ask, keep, memory, time and output")),
        }
    }
}

impl Right {
    /// The fronts of the interfaces one of which a component imports to use it; none when it needs no
    /// import.
    pub(crate) const fn interfaces(&self) -> &'static [&'static str] {
        match self {
            Self::Read(_) | Self::Write(_) => &["wasi:filesystem/"],
            Self::Net(_) => &["lucid:tool/http@", "wasi:http/"],
            Self::Secret { .. } => &["lucid:tool/http@"],
            Self::Env(_) => &["wasi:cli/environment@"],
            Self::Disk => &["lucid:tool/disk@"],
            Self::Ask(_) => &["lucid:tool/kernel@"],
            Self::Keep(_) => &["lucid:tool/kv@"],
            Self::Memory(_) | Self::Time(_) | Self::Output(_) => &[],
        }
    }

    /// Its kind: what stands before the colon.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Read(_) => "read",
            Self::Write(_) => "write",
            Self::Net(_) => "net",
            Self::Env(_) => "env",
            Self::Secret { .. } => "secret",
            Self::Disk => "disk",
            Self::Ask(_) => "ask",
            Self::Keep(_) => "keep",
            Self::Memory(_) => "memory",
            Self::Time(_) => "time",
            Self::Output(_) => "output",
        }
    }

    /// What it lets a plugin do, to go on from "it may".
    pub fn words(&self) -> String {
        let folder = |folder: &str| match folder {
            MOUNTED => "all mounted folders".to_owned(),
            folder => folder.to_owned(),
        };
        match self {
            Self::Read(path) => format!("read files in {}", folder(path)),
            Self::Write(path) => format!("read, change and remove files in {}", folder(path)),
            Self::Net(host) => format!("send requests to {host}"),
            Self::Env(name) => format!("read the environment variable {name}"),
            Self::Secret { name, host } => format!("have the secret {name} put into requests to {host}"),
            Self::Disk => "search and read the mounted folders".into(),
            Self::Ask(tokens) => format!("ask the model, up to {tokens} tokens a call"),
            Self::Keep(mib) => format!("keep up to {mib} MiB of its own"),
            Self::Memory(mib) => format!("use up to {mib} MiB of memory"),
            Self::Time(seconds) => format!("run for up to {seconds} seconds"),
            Self::Output(mib) => format!("return up to {mib} MiB"),
        }
    }

    /// Whether whoever has this right has the other one too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Read(mine), Self::Read(theirs))
            | (Self::Write(mine), Self::Read(theirs) | Self::Write(theirs)) => holds(mine, theirs),
            (Self::Net(mine), Self::Net(theirs)) => is_host(mine, theirs),
            (Self::Secret { name, host }, Self::Secret { name: other, host: theirs }) => {
                name == other && is_host(host, theirs)
            }
            (Self::Ask(mine), Self::Ask(theirs))
            | (Self::Keep(mine), Self::Keep(theirs))
            | (Self::Memory(mine), Self::Memory(theirs))
            | (Self::Time(mine), Self::Time(theirs))
            | (Self::Output(mine), Self::Output(theirs)) => mine >= theirs,
            _ => self == other,
        }
    }
}

/// A set of rights; empty by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(BTreeSet<Right>);

impl Rights {
    /// Adds one.
    pub fn insert(&mut self, right: Right) {
        self.0.insert(right);
    }

    /// Takes one out; says whether it was there.
    pub fn remove(&mut self, right: &Right) -> bool {
        self.0.remove(right)
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Right> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them covers this right.
    pub fn allow(&self, right: &Right) -> bool {
        self.0.iter().any(|mine| mine.covers(right))
    }

    /// Those that another set does not cover.
    #[must_use]
    pub fn beyond(&self, granted: &Self) -> Self {
        Self(self.0.iter().filter(|right| !granted.allow(right)).cloned().collect())
    }

    /// Those of these that another set covers: nothing is granted that was not asked for.
    #[must_use]
    pub fn within(&self, granted: &Self) -> Self {
        Self(self.0.iter().filter(|right| granted.allow(right)).cloned().collect())
    }

    /// Those of these kinds, and those that are limits; all when no kind is named.
    #[must_use]
    pub fn of_kinds(&self, kinds: Option<&[String]>) -> Self {
        let Some(kinds) = kinds else { return self.clone() };
        let is_meant = |right: &&Right| {
            matches!(right, Right::Memory(_) | Right::Time(_) | Right::Output(_))
                || kinds.iter().any(|kind| kind == right.kind())
        };
        Self(self.0.iter().filter(is_meant).cloned().collect())
    }

    /// The largest number of a limit.
    pub(crate) fn most(&self, of: impl Fn(&Right) -> Option<u64>) -> Option<u64> {
        self.0.iter().filter_map(of).max()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().collect())
    }
}

/// The table `[rights]` of a `plugin.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RightsTable {
    read: Vec<String>,
    write: Vec<String>,
    net: Vec<String>,
    env: Vec<String>,
    secrets: Vec<String>,
    disk: bool,
    ask_tokens: Option<u64>,
    keep_mib: Option<u64>,
    memory_mib: Option<u64>,
    time_seconds: Option<u64>,
    output_mib: Option<u64>,
}

impl RightsTable {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What it asks for. `~` stands for `home` at the front of a folder.
    ///
    /// # Errors
    /// The entry that asks for nothing that can be had.
    pub fn rights(&self, home: Option<&Path>) -> Result<Rights, BadRight> {
        let folder = |kind: &str, path: &String| {
            let path = match (home, path.strip_prefix('~')) {
                (Some(home), Some(rest)) if rest.is_empty() || rest.starts_with('/') => {
                    format!("{}{rest}", home.display())
                }
                _ => path.clone(),
            };
            format!("{kind}:{path}")
        };
        let named = |kind: &'static str, names: &[String]| {
            names.iter().map(move |name| format!("{kind}:{name}")).collect::<Vec<_>>()
        };
        let number = |kind: &str, number: Option<u64>| number.map(|number| format!("{kind}:{number}"));
        let texts = self
            .read
            .iter()
            .map(|path| folder("read", path))
            .chain(self.write.iter().map(|path| folder("write", path)))
            .chain(named("net", &self.net))
            .chain(named("env", &self.env))
            .chain(named("secret", &self.secrets))
            .chain(self.disk.then(|| "disk".to_owned()))
            .chain(number("ask", self.ask_tokens))
            .chain(number("keep", self.keep_mib))
            .chain(number("memory", self.memory_mib))
            .chain(number("time", self.time_seconds))
            .chain(number("output", self.output_mib));
        let rights: Rights = texts.map(|text| text.parse::<Right>()).collect::<Result<_, _>>()?;
        if rights.0.len() > MAX_RIGHTS {
            let reason = format!("a plugin can have at most {MAX_RIGHTS}");
            return Err(BadRight { text: format!("{} rights", rights.0.len()), reason });
        }
        Ok(rights)
    }
}

/// A folder as it is kept: absolute, without `.` and `..`.
fn folder(text: &str) -> Result<String, &'static str> {
    if text == MOUNTED {
        return Ok(MOUNTED.into());
    }
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err("give the folder from / or ~ on, or `mounted` for all mounted ones");
    }
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => return Err("the folder may not hold `..`"),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    let system = ["/proc", "/sys", "/dev"];
    if plain == Path::new("/") || system.iter().any(|of| plain.starts_with(of)) {
        return Err("neither the whole disk nor /proc, /sys and /dev can be granted");
    }
    plain.into_os_string().into_string().map_err(|_| "the folder's name is not UTF-8")
}

/// A host as it is kept: lower case, a port behind it where one is meant.
fn host(text: &str) -> Result<String, &'static str> {
    let text = text.to_ascii_lowercase();
    let (name, port) = split_port(&text);
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("the port is no number from 0 to 65535");
    }
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let is_address = bare.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let is_name = bare.split('.').all(|label| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    });
    if !is_address && !is_name {
        return Err("give a host such as example.com, *.example.com or 127.0.0.1:8080");
    }
    if name.starts_with("*.") && (is_address || !bare.contains('.')) {
        return Err("`*.` needs a domain with a dot behind it");
    }
    Ok(text)
}

/// A host and its port, of which the address of IPv6 in brackets holds more colons.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn name(text: &str) -> Result<String, &'static str> {
    let fits = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if fits { Ok(text.to_owned()) } else { Err("give a name of letters, digits and underscores") }
}

/// Whether a folder is another or holds it.
fn holds(folder: &str, other: &str) -> bool {
    folder == other || (folder != MOUNTED && other != MOUNTED && Path::new(other).starts_with(folder))
}

/// Whether a host of a grant means this one. Without a port, it means all of them.
fn is_host(granted: &str, host: &str) -> bool {
    let ((mine, port), (theirs, wanted)) = (split_port(granted), split_port(host));
    let same = match mine.strip_prefix("*.") {
        Some(domain) => theirs.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None => mine == theirs,
    };
    same && (port.is_none() || port == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(text: &str) -> Right {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "read:/home/ada/notes",
            "write:mounted",
            "net:api.example.com",
            "net:*.example.com:8443",
            "net:[::1]:8080",
            "net:127.0.0.1:8080",
            "env:LANG",
            "secret:GITHUB_TOKEN@api.github.com",
            "disk",
            "ask:500",
            "keep:8",
            "memory:256",
            "time:60",
            "output:4",
        ] {
            assert_eq!(right(text).to_string(), text);
            assert!(right(text).covers(&right(text)), "{text}");
            assert!(!right(text).words().is_empty());
        }
        for text in [
            "",
            "read",
            "read:notes",
            "read:/",
            "read:/proc/self",
            "read:/a/../b",
            "net:",
            "net:http://a.b",
            "net:a.b/c",
            "net:*.com",
            "net:*.127.0.0.1",
            "net:a.b:99999",
            "env:A=B",
            "secret:TOKEN",
            "ask:0",
            "memory:999999",
            "time:x",
            "root:all",
            "disk:1",
        ] {
            assert!(text.parse::<Right>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_right_covers_what_lies_in_it() {
        let covers = |mine: &str, theirs: &str| right(mine).covers(&right(theirs));
        assert!(covers("read:/a", "read:/a/b") && covers("write:/a", "read:/a/b"));
        assert!(!covers("read:/a", "read:/ab") && !covers("read:/a", "write:/a"));
        assert!(!covers("read:/a", "read:mounted") && !covers("read:mounted", "read:/a"));
        assert!(covers("net:*.example.com", "net:api.example.com") && covers("net:a.b", "net:a.b:443"));
        assert!(!covers("net:*.example.com", "net:example.com"));
        assert!(!covers("net:*.example.com", "net:evilexample.com"));
        assert!(!covers("net:a.b:443", "net:a.b:80") && !covers("net:a.b:443", "net:a.b"));
        assert!(covers("net:[::1]", "net:[::1]:80") && !covers("net:[::1]", "net:[::2]:80"));
        assert!(!covers("secret:A@a.b", "secret:A@b.c") && !covers("secret:A@a.b", "secret:B@a.b"));
        assert!(covers("memory:64", "memory:32") && !covers("memory:32", "memory:64"));
        let asked: Rights = ["net:a.b", "read:/a"].into_iter().map(right).collect();
        let granted: Rights = [right("write:/a"), right("net:c.d")].into_iter().collect();
        assert_eq!(asked.beyond(&granted).iter().collect::<Vec<_>>(), [&right("net:a.b")]);
        assert_eq!(asked.within(&granted).iter().collect::<Vec<_>>(), [&right("read:/a")]);
    }

    #[test]
    fn a_table_asks_for_rights() {
        let table: RightsTable = toml::from_str(
            "read = [\"~/notes\"]\nnet = [\"API.example.com\"]\nsecrets = [\"KEY@api.example.com\"]\n\
             disk = true\nmemory_mib = 128\n",
        )
        .unwrap();
        let rights = table.rights(Some(Path::new("/home/ada"))).unwrap();
        let written: Vec<String> = rights.iter().map(Right::to_string).collect();
        assert_eq!(
            written,
            [
                "read:/home/ada/notes",
                "net:api.example.com",
                "secret:KEY@api.example.com",
                "disk",
                "memory:128"
            ]
        );
        assert!(toml::from_str::<RightsTable>("root = true").is_err());
        let odd: RightsTable = toml::from_str("read = [\"notes\"]").unwrap();
        assert_eq!(odd.rights(None).unwrap_err().text, "read:notes");
    }
}
