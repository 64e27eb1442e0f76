//! The commands that begin with a slash: their list, parsing and completion.

use std::str::FromStr;

use lucid_kernel::abi::{PageId, Pid};

/// A command of the user to the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slash {
    /// Show keys and commands.
    Help,
    /// Show or hide what is in memory.
    Memory,
    /// Show one page.
    Page(PageId),
    /// Let a page stay in memory.
    Pin(PageId),
    /// Let it no longer stay.
    Unpin(PageId),
    /// Let it leave.
    Evict(PageId),
    /// Let something be known in every turn and session.
    Remember(String),
    /// Let it not be known any more.
    Forget(PageId),
    /// Begin a conversation that knows what this one does.
    Fork,
    /// List the conversations.
    Conversations,
    /// Go on with another one.
    Foreground(Pid),
    /// List the tools.
    Tools,
    /// Mount a folder.
    Mount(String),
    /// Take a folder out.
    Unmount(String),
    /// List the mounted folders.
    Mounts,
    /// Leave.
    Quit,
}

/// Name, argument and purpose of each command.
pub const COMMANDS: [(&str, &str, &str); 16] = [
    ("/help", "", "keys and commands"),
    ("/mem", "", "show or hide what is in the model's memory"),
    ("/page", "p42", "show one page of memory"),
    ("/pin", "p42", "keep a page in memory"),
    ("/unpin", "p42", "no longer keep it there"),
    ("/evict", "p42", "take a page out of memory; it can be found and read again"),
    ("/remember", "TEXT", "keep a fact for this and all later sessions"),
    ("/forget", "p42", "drop such a fact"),
    ("/fork", "", "go on in a new conversation that knows all of this one, which stays as it is"),
    ("/ps", "", "list the conversations of this session"),
    ("/fg", "t1", "go on with another one"),
    ("/tools", "", "list what the model can call, and what each may still ask for"),
    ("/mount", "DIR", "let answers come from the files of a folder"),
    ("/umount", "DIR", "take a folder out"),
    ("/mounts", "", "list the mounted folders"),
    ("/quit", "", "leave"),
];

/// Reads a line: none when it is no command, else the command or what is wrong with it.
pub fn parse(line: &str) -> Option<Result<Slash, String>> {
    let line = line.trim();
    if !line.starts_with('/') || line.starts_with("//") {
        return None;
    }
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    Some(match (name, argument) {
        ("/help", _) => Ok(Slash::Help),
        ("/mem", _) => Ok(Slash::Memory),
        ("/fork", _) => Ok(Slash::Fork),
        ("/ps", _) => Ok(Slash::Conversations),
        ("/tools", _) => Ok(Slash::Tools),
        ("/mounts", _) => Ok(Slash::Mounts),
        ("/quit", _) => Ok(Slash::Quit),
        (
            "/page" | "/pin" | "/unpin" | "/evict" | "/remember" | "/forget" | "/fg" | "/mount" | "/umount",
            "",
        ) => Err(missing(name)),
        ("/fg", name) => Pid::from_str(name).map(Slash::Foreground).map_err(|error| error.to_string()),
        ("/page" | "/pin" | "/unpin" | "/evict" | "/forget", address) => {
            let of = match name {
                "/page" => Slash::Page,
                "/pin" => Slash::Pin,
                "/unpin" => Slash::Unpin,
                "/evict" => Slash::Evict,
                _ => Slash::Forget,
            };
            PageId::from_str(address).map(of).map_err(|error| error.to_string())
        }
        ("/remember", text) => Ok(Slash::Remember(text.to_owned())),
        ("/mount", folder) => Ok(Slash::Mount(folder.to_owned())),
        ("/umount", folder) => Ok(Slash::Unmount(folder.to_owned())),
        _ => Err(format!("there is no command {name}; /help lists them (// for a plain slash)")),
    })
}

fn missing(name: &str) -> String {
    let argument = COMMANDS.iter().find(|command| command.0 == name).map_or("", |command| command.1);
    format!("{name} needs more: write {name} {argument}")
}

/// The text that a line says: `//` at its start stands for one slash.
pub fn literal(line: &str) -> &str {
    if line.starts_with("//") { &line[1..] } else { line }
}

/// What Tab makes of a line: the longest text that all matching commands begin with, and the
/// commands that match. None when the line is no start of a command.
pub fn complete(line: &str) -> Option<(String, Vec<&'static str>)> {
    if !line.starts_with('/') || line.contains(char::is_whitespace) {
        return None;
    }
    let names: Vec<&'static str> =
        COMMANDS.iter().map(|command| command.0).filter(|name| name.starts_with(line)).collect();
    let first = names.first()?;
    let mut common = first.len();
    while !names.iter().all(|name| name.starts_with(&first[..common])) {
        common -= 1;
    }
    let wants_argument = COMMANDS.iter().any(|command| command.0 == *first && !command.1.is_empty());
    let gap = if names.len() == 1 && wants_argument { " " } else { "" };
    Some((format!("{}{gap}", &first[..common]), names))
}
