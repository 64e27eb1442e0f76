//! Which key carries out which command, as the settings have it.

use std::collections::BTreeMap;

use crossterm::event::KeyEvent;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use super::key::{Key, ParseKeyError, typed};

/// The longest name that is compared with the commands' to suggest one.
const MAX_NAME_BYTES: usize = 64;

/// Writes the commands down once: as a type, and as the table for help and settings.
macro_rules! commands {
    ($($command:ident $name:literal $about:literal [$($key:literal)*])*) => {
        /// What a key can be bound to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Command {
            $(#[doc = concat!("`", $name, "`: ", $about, ".")] $command,)*
        }

        impl Command {
            /// All commands: the name in the settings, what it does, and its keys at first.
            pub const ALL: [(Self, &'static str, &'static str, &'static [&'static str]);
                [$($name),*].len()] = [$((Self::$command, $name, $about, &[$($key),*])),*];
        }
    };
}

// Of two commands with one key, the upper one is asked first: see `clash`.
commands! {
    Send "send" "send the line" ["enter"]
    Newline "newline" "new line" ["alt-enter" "shift-enter" "ctrl-j"]
    Cancel "cancel" "cancel the turn, or close what is open" ["esc"]
    Interrupt "interrupt" "cancel, clear the line, or twice: leave" ["ctrl-c"]
    Leave "leave" "leave, on an empty line" ["ctrl-d"]
    Redraw "redraw" "draw all anew" ["ctrl-l"]
    Suspend "suspend" "hand the terminal back for a while" ["ctrl-z"]
    Palette "palette" "find a command by its name" ["ctrl-p"]
    SearchHistory "search-history" "search earlier inputs" ["ctrl-r"]
    Complete "complete" "complete what is typed" ["tab"]
    Older "older" "row above, or an earlier input" ["up"]
    Newer "newer" "row below, or a later input" ["down" "ctrl-n"]
    ScrollUp "scroll-up" "scroll up a page" ["pageup"]
    ScrollDown "scroll-down" "scroll down a page" ["pagedown"]
    Top "top" "scroll to the start of all" ["ctrl-home"]
    Bottom "bottom" "scroll to the end of all" ["ctrl-end"]
    Help "help" "keys and commands" ["f1"]
    Memory "memory" "show or hide the memory pane" ["f2"]
    Processes "processes" "show or hide the processes" ["f3"]
    Focus "focus" "go to the next pane" ["f6" "alt-w"]
    Wider "wider" "make the pane wider" ["alt-."]
    Narrower "narrower" "make the pane narrower" ["alt-,"]
    Fold "fold" "fold or unfold all tool cards" ["ctrl-o"]
    SelectUp "select-up" "select the card above" ["alt-up"]
    SelectDown "select-down" "select the card below" ["alt-down"]
    Background "background" "let the turn go on in the background" ["ctrl-t"]
    Next "next" "next conversation" ["alt-n"]
    Previous "previous" "previous conversation" ["alt-p"]
    Left "left" "one character back" ["left" "ctrl-b"]
    Right "right" "one character on" ["right" "ctrl-f"]
    WordLeft "word-left" "to the start of the word" ["ctrl-left" "alt-left" "alt-b"]
    WordRight "word-right" "to the end of the word" ["ctrl-right" "alt-right" "alt-f"]
    LineStart "line-start" "start of the line; on an empty line: of all" ["home" "ctrl-a"]
    LineEnd "line-end" "end of the line; on an empty line: of all" ["end" "ctrl-e"]
    DeleteLeft "delete-left" "delete the character before" ["backspace" "ctrl-h"]
    DeleteRight "delete-right" "delete the character behind" ["delete" "ctrl-d"]
    DeleteWordLeft "delete-word-left" "cut the word before" ["ctrl-w" "alt-backspace" "ctrl-backspace"]
    DeleteWordRight "delete-word-right" "cut the word behind" ["alt-d" "alt-delete" "ctrl-delete"]
    CutToStart "cut-to-start" "cut to the start of the line" ["ctrl-u"]
    CutToEnd "cut-to-end" "cut to the end of the line" ["ctrl-k"]
    PasteCut "paste-cut" "put back what was cut" ["ctrl-y"]
    Undo "undo" "undo the last change" ["ctrl-_" "ctrl-7"]
    Redo "redo" "do again what was undone" ["alt-_" "alt-r"]
}

impl Command {
    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Whether it changes the line or moves in it, and no more.
    pub fn is_editing(self) -> bool {
        self >= Self::Left
    }

    /// The command of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, is, ..)| *is == name).map(|(command, ..)| *command)
    }
}

/// The keys of one command in the settings: `"ctrl-k"`, `["up", "ctrl-p"]`, or `[]` for none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a key like \"ctrl-k\", or a list of keys")]
pub enum Keys {
    /// One key.
    One(String),
    /// Any number of keys.
    Many(Vec<String>),
}

impl Keys {
    fn list(&self) -> &[String] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }
}

/// What is wrong with the table `[keys]` of the settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// There is no such command.
    #[error("[keys] {given:?}: there is no such command; {}", suggestion(*near))]
    UnknownCommand {
        /// The name.
        given: String,
        /// The command whose name is nearest.
        near: Option<&'static str>,
    },
    /// A key cannot be read.
    #[error("[keys] {command}: {source}")]
    Unreadable {
        /// The command it is for.
        command: &'static str,
        /// Why.
        source: ParseKeyError,
    },
    /// A key types a character, which could not be typed any more.
    #[error(
        "[keys] {command}: with `{key}` bound it could not be typed any more; put ctrl- or alt- before it"
    )]
    Typing {
        /// The command it is for.
        command: &'static str,
        /// The key.
        key: String,
    },
    /// A key is named twice.
    #[error("[keys] {second}: `{key}` is given to {first} already; name it once")]
    Twice {
        /// The key.
        key: String,
        /// The command that it is given to.
        first: &'static str,
        /// The command that names it again.
        second: &'static str,
    },
    /// Nothing would be left that interrupts.
    #[error("[keys] interrupt: it would have no key; name one, such as interrupt = \"ctrl-c\"")]
    NoInterrupt,
}

fn suggestion(near: Option<&str>) -> String {
    near.map_or("/help lists them".to_owned(), |near| format!("did you mean {near}?"))
}

/// The keys of all commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    /// In the commands' order.
    bindings: Vec<(Key, Command)>,
}

impl Default for Keymap {
    fn default() -> Self {
        let all = Command::ALL.iter();
        // That every default can be read is tested.
        let bindings = all.flat_map(|(command, _, _, keys)| {
            keys.iter().filter_map(|key| key.parse().ok()).map(|key| (key, *command))
        });
        Self { bindings: bindings.collect() }
    }
}

impl Keymap {
    /// The keys as the settings have them: keys for a command replace those it has at first,
    /// and are taken away from any other that has them at first.
    ///
    /// # Errors
    /// When a command or a key is unknown, a key would no longer type or is named twice, or
    /// nothing would be left that interrupts.
    pub fn with(settings: &BTreeMap<String, Keys>) -> Result<Self, KeyError> {
        let mut own: Vec<(Key, Command)> = Vec::new();
        let mut named = Vec::new();
        for (name, keys) in settings {
            let unknown = || KeyError::UnknownCommand { given: name.clone(), near: near(name) };
            let command = Command::named(name).ok_or_else(unknown)?;
            named.push(command);
            for text in keys.list() {
                let key = read(command, text)?;
                if let Some((_, first)) = own.iter().find(|bound| clash(**bound, (key, command))) {
                    let (first, second) = (first.name(), command.name());
                    return Err(KeyError::Twice { key: key.to_string(), first, second });
                }
                own.push((key, command));
            }
        }
        let mut bindings = Self::default().bindings;
        bindings.retain(|bound| !named.contains(&bound.1) && !own.iter().any(|other| clash(*other, *bound)));
        bindings.extend(own);
        bindings.sort_by_key(|(_, command)| *command);
        if !bindings.iter().any(|(_, command)| *command == Command::Interrupt) {
            return Err(KeyError::NoInterrupt);
        }
        Ok(Self { bindings })
    }

    /// What the key does on a line that is empty or not: only an empty one is left.
    pub fn command(&self, key: &KeyEvent, is_empty: bool) -> Option<Command> {
        Key::of(key)?.readings().find_map(|key| {
            let mut bound = self.bindings.iter().filter(|(is, _)| *is == key);
            bound.find(|(_, command)| is_empty || *command != Command::Leave).map(|(_, command)| *command)
        })
    }

    /// The keys of a command, as the settings write them.
    #[cfg(test)]
    pub fn keys_of(&self, command: Command) -> Vec<String> {
        self.of(command).map(Key::to_string).collect()
    }

    /// The keys of a command, as people write them: `Ctrl-R`, `Alt-Up`, `F2`.
    pub fn hints(&self, command: Command) -> String {
        self.of(command).map(Key::people).collect::<Vec<_>>().join(", ")
    }

    /// The first of them.
    pub fn hint(&self, command: Command) -> Option<String> {
        self.of(command).next().map(Key::people)
    }

    fn of(&self, command: Command) -> impl Iterator<Item = &Key> {
        self.bindings.iter().filter(move |(_, is)| *is == command).map(|(key, _)| key)
    }
}

fn read(command: Command, text: &str) -> Result<Key, KeyError> {
    let command = command.name();
    let key: Key = text.parse().map_err(|source| KeyError::Unreadable { command, source })?;
    if key.is_typing() {
        return Err(KeyError::Typing { command, key: key.to_string() });
    }
    Ok(key)
}

/// Whether two bindings cannot both be. One key may leave an empty line and delete in another.
fn clash((key, command): (Key, Command), (other_key, other): (Key, Command)) -> bool {
    let pair = (command.min(other), command.max(other));
    key == other_key && pair != (Command::Leave, Command::DeleteRight)
}

/// The command whose name is nearest: a third of it may differ, enough for slips.
fn near(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('_', "-");
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    let names = Command::ALL.iter().map(|(_, is, ..)| (edits(&name, is), *is));
    names.filter(|(edits, is)| *edits <= is.len() / 3).min_by_key(|(edits, _)| *edits).map(|(_, is)| is)
}

/// How many characters must be put in, left out or changed to make one text the other.
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (at, a) in from.chars().enumerate() {
        let mut corner = at;
        row[0] = at + 1;
        for (column, b) in to.chars().enumerate() {
            let changed = corner + usize::from(a != b);
            corner = row[column + 1];
            row[column + 1] = changed.min(corner + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}
