//! The commands that begin with a slash: parsing and completion. [`super::manual`] describes them.

use std::str::FromStr;

use lucid_kernel::abi::{PageId, Pid};

use super::export::Format;
use super::manual::{self, COMMANDS};

/// A command of the user to the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slash {
    /// Show keys and commands, or one command.
    Help(Option<&'static str>),
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
    /// Search the mounted folders.
    Search(String),
    /// Begin a conversation that knows what this one does.
    Fork,
    /// Begin a conversation that knows nothing yet.
    New,
    /// Show or hide the conversations.
    Processes,
    /// List what is under way.
    Jobs,
    /// Go on with another conversation.
    Foreground(Pid),
    /// Ask in the background; without a text, let the turn go on there.
    Background(Option<String>),
    /// Ask several times, and go on with the answer that most come to.
    Think(String),
    /// End a conversation.
    Kill(Pid),
    /// List the tools.
    Tools,
    /// Grant a right to a plugin.
    Grant(String, String),
    /// List the models, or go on with another one.
    Model(Option<String>),
    /// List the sessions, or go on with one of before.
    Sessions(Option<String>),
    /// List the turns, or go back to before one.
    Rewind(Option<usize>),
    /// Write the conversation into a file.
    Export(Format, Option<String>),
    /// Put the last answer, or its last code, onto the clipboard.
    Copy(bool),
    /// Mount a folder.
    Mount(String),
    /// Take a folder out.
    Unmount(String),
    /// List the mounted folders.
    Mounts,
    /// Leave.
    Quit,
}

/// Reads a line: none when it is no command, else the command or what is wrong with it.
pub fn parse(line: &str) -> Option<Result<Slash, String>> {
    let line = line.trim();
    if !line.starts_with('/') || line.starts_with("//") {
        return None;
    }
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let argument = argument.trim();
    let Some(manual) = manual::find(name) else {
        return Some(Err(unknown(name)));
    };
    if argument.is_empty() && manual.needs_argument() {
        return Some(Err(format!("{name} needs more: write {name} {}", manual.argument)));
    }
    Some(with_argument(name, argument))
}

fn with_argument(name: &str, argument: &str) -> Result<Slash, String> {
    let page = || PageId::from_str(argument).map_err(|error| error.to_string());
    let pid = || Pid::from_str(argument).map_err(|error| error.to_string());
    let text = || argument.to_owned();
    let some = || (!argument.is_empty()).then(|| argument.to_owned());
    Ok(match name {
        "/help" => Slash::Help(match some() {
            None => None,
            Some(of) => {
                let of = if of.starts_with('/') { of } else { format!("/{of}") };
                Some(manual::find(&of).ok_or_else(|| unknown(&of))?.name)
            }
        }),
        "/mem" => Slash::Memory,
        "/page" => Slash::Page(page()?),
        "/pin" => Slash::Pin(page()?),
        "/unpin" => Slash::Unpin(page()?),
        "/evict" => Slash::Evict(page()?),
        "/forget" => Slash::Forget(page()?),
        "/remember" => Slash::Remember(text()),
        "/search" => Slash::Search(text()),
        "/fork" => Slash::Fork,
        "/new" => Slash::New,
        "/ps" => Slash::Processes,
        "/jobs" => Slash::Jobs,
        "/fg" => Slash::Foreground(pid()?),
        "/bg" => Slash::Background(some()),
        "/think" => Slash::Think(text()),
        "/kill" => Slash::Kill(pid()?),
        "/tools" => Slash::Tools,
        "/grant" => {
            let (plugin, right) =
                argument.split_once(char::is_whitespace).ok_or("write /grant PLUGIN RIGHT")?;
            Slash::Grant(plugin.to_owned(), right.trim().to_owned())
        }
        "/model" => Slash::Model(some()),
        "/sessions" => Slash::Sessions(some()),
        "/rewind" => Slash::Rewind(match some() {
            None => None,
            Some(number) => {
                let number = number.parse().ok().filter(|number| *number > 0);
                Some(number.ok_or("write /rewind and the number of a turn; /rewind alone lists them")?)
            }
        }),
        "/export" => {
            let (format, path) = argument.split_once(char::is_whitespace).unwrap_or((argument, ""));
            let path = Some(path.trim().to_owned()).filter(|path| !path.is_empty());
            Slash::Export(format.parse()?, path)
        }
        "/copy" => match argument {
            "" => Slash::Copy(false),
            "code" => Slash::Copy(true),
            _ => return Err("write /copy, or /copy code".into()),
        },
        "/mount" => Slash::Mount(text()),
        "/umount" => Slash::Unmount(text()),
        "/mounts" => Slash::Mounts,
        "/quit" => Slash::Quit,
        name => return Err(unknown(name)),
    })
}

fn unknown(name: &str) -> String {
    format!("there is no command {name}; /help lists them (// for a plain slash)")
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
        COMMANDS.iter().map(|command| command.name).filter(|name| name.starts_with(line)).collect();
    let first = names.first()?;
    let mut common = first.len();
    while !names.iter().all(|name| name.starts_with(&first[..common])) {
        common -= 1;
    }
    let wants_argument = manual::find(first).is_some_and(|manual| !manual.argument.is_empty());
    let gap = if names.len() == 1 && wants_argument { " " } else { "" };
    Some((format!("{}{gap}", &first[..common]), names))
}
