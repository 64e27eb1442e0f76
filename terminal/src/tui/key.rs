//! Keys as people write them in the settings, and as terminals report them.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use thiserror::Error;

/// The highest function key.
const MAX_F: u8 = 24;

/// Keys with a name: in the settings, to people, and another that is understood.
const NAMED: [(KeyCode, &str, &str, &str); 15] = [
    (KeyCode::Enter, "enter", "Enter", "return"),
    (KeyCode::Esc, "esc", "Esc", "escape"),
    (KeyCode::Tab, "tab", "Tab", "tab"),
    (KeyCode::Backspace, "backspace", "Backspace", "bs"),
    (KeyCode::Delete, "delete", "Delete", "del"),
    (KeyCode::Insert, "insert", "Insert", "ins"),
    (KeyCode::Home, "home", "Home", "home"),
    (KeyCode::End, "end", "End", "end"),
    (KeyCode::PageUp, "pageup", "PgUp", "pgup"),
    (KeyCode::PageDown, "pagedown", "PgDn", "pgdn"),
    (KeyCode::Up, "up", "Up", "up"),
    (KeyCode::Down, "down", "Down", "down"),
    (KeyCode::Left, "left", "Left", "left"),
    (KeyCode::Right, "right", "Right", "right"),
    (KeyCode::Char(' '), "space", "Space", "space"),
];

/// Keys that held down change another: in the settings, to people, and another name.
const HELD: [(KeyModifiers, &str, &str, &str); 3] = [
    (KeyModifiers::CONTROL, "ctrl", "Ctrl", "control"),
    (KeyModifiers::ALT, "alt", "Alt", "option"),
    (KeyModifiers::SHIFT, "shift", "Shift", "shift"),
];

/// Keys that terminals cannot tell from another.
const TWINS: [(char, &str); 3] = [('i', "tab"), ('m', "enter"), ('[', "esc")];

/// A key with what is held down: `ctrl-r`, `alt-enter`, `f2`. Letters are written in either
/// case; an upper-case one is `shift-`, which terminals do not report together with Ctrl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    held: KeyModifiers,
}

/// Why a text names no key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseKeyError {
    /// There is no such key.
    #[error("{given:?} is no key; write it like ctrl-r, alt-enter, f2 or space")]
    Unknown {
        /// The text.
        given: String,
    },
    /// Terminals send the same for another key.
    #[error("terminals send the same for {given:?} as for {same}; write {same}")]
    Twin {
        /// The text.
        given: String,
        /// The other key.
        same: &'static str,
    },
}

impl Key {
    /// The key of an event; none when it was let go, or something was held down that no
    /// binding can name.
    pub fn of(event: &KeyEvent) -> Option<Self> {
        let known = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let is_press = event.kind != KeyEventKind::Release && known.contains(event.modifiers);
        is_press.then(|| Self::new(event.code, event.modifiers))
    }

    /// Whether the key types a character, so that it must not be bound.
    pub fn is_typing(&self) -> bool {
        let held = KeyModifiers::CONTROL | KeyModifiers::ALT;
        matches!(self.code, KeyCode::Char(_)) && !self.held.intersects(held)
    }

    /// The key as people write it: `Ctrl-R`, `Alt-Up`, `F2`.
    pub fn people(&self) -> String {
        let held = HELD.iter().filter(|(held, ..)| self.held.contains(*held));
        let held: String = held.map(|(_, _, people, _)| format!("{people}-")).collect();
        let name = NAMED.iter().find(|(code, ..)| *code == self.code).map(|(_, _, people, _)| *people);
        match name {
            Some(name) => held + name,
            None => held + &bare(self.code).chars().map(upper).collect::<String>(),
        }
    }

    /// The keys that an event may be meant as, the likeliest first: as it is, as the control
    /// character that it was sent as, and without Shift.
    pub(super) fn readings(&self) -> impl Iterator<Item = Self> + use<> {
        // The control characters 28 to 31 are reported as Ctrl with these digits.
        let sign = match self.code {
            KeyCode::Char('4') => '\\',
            KeyCode::Char('5') => ']',
            KeyCode::Char('6') => '^',
            _ => '_',
        };
        let is_digit = self.held == KeyModifiers::CONTROL && matches!(self.code, KeyCode::Char('4'..='7'));
        let control = is_digit.then_some(Self { code: KeyCode::Char(sign), held: self.held });
        // Shift-Tab is a key of its own.
        let is_shifted = self.held.contains(KeyModifiers::SHIFT) && self.code != KeyCode::Tab;
        let plain =
            is_shifted.then_some(Self { code: self.code, held: self.held.difference(KeyModifiers::SHIFT) });
        [Some(*self), control, plain].into_iter().flatten()
    }

    /// One form for what terminals report, and people write, in several.
    fn new(code: KeyCode, mut held: KeyModifiers) -> Self {
        let code = match code {
            KeyCode::BackTab => {
                held.insert(KeyModifiers::SHIFT);
                KeyCode::Tab
            }
            KeyCode::Char(c) => {
                let lower = lower(c);
                if held.contains(KeyModifiers::CONTROL) || !c.is_alphabetic() {
                    held.remove(KeyModifiers::SHIFT);
                } else if lower != c {
                    held.insert(KeyModifiers::SHIFT);
                }
                KeyCode::Char(lower)
            }
            code => code,
        };
        Self { code, held }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, name, ..) in HELD.iter().filter(|(held, ..)| self.held.contains(*held)) {
            write!(f, "{name}-")?;
        }
        f.write_str(&bare(self.code))
    }
}

impl FromStr for Key {
    type Err = ParseKeyError;

    fn from_str(given: &str) -> Result<Self, ParseKeyError> {
        let unknown = || ParseKeyError::Unknown { given: given.to_owned() };
        let text = given.trim().to_lowercase();
        let (mut rest, mut held) = (text.as_str(), KeyModifiers::NONE);
        while let Some((which, after)) = strip_held(rest) {
            if held.contains(which) {
                return Err(unknown());
            }
            held.insert(which);
            rest = after;
        }
        let code = code(rest).ok_or_else(unknown)?;
        let twin = TWINS.iter().find(|(c, _)| code == KeyCode::Char(*c));
        if let Some((_, same)) = twin.filter(|_| held.contains(KeyModifiers::CONTROL)) {
            return Err(ParseKeyError::Twin { given: given.to_owned(), same });
        }
        Ok(Self::new(code, held))
    }
}

/// What a key types when it is bound to nothing. Control together with Alt is AltGr on some
/// keyboards.
pub fn typed(event: &KeyEvent) -> Option<char> {
    let key = Key::of(event)?;
    let both = KeyModifiers::CONTROL | KeyModifiers::ALT;
    match event.code {
        KeyCode::Char(c) if key.is_typing() || key.held.contains(both) => Some(c),
        _ => None,
    }
}

/// Takes `ctrl-` or the like, also with a `+`, off the front of a lower-case text.
fn strip_held(text: &str) -> Option<(KeyModifiers, &str)> {
    HELD.iter().find_map(|(held, name, _, other)| {
        let rest = text.strip_prefix(other).or_else(|| text.strip_prefix(name))?;
        Some((*held, rest.strip_prefix(['-', '+'])?))
    })
}

/// The key of a name in lower case.
fn code(name: &str) -> Option<KeyCode> {
    let named = NAMED.iter().find(|(_, is, _, other)| *is == name || *other == name);
    if let Some((code, ..)) = named {
        return Some(*code);
    }
    let mut chars = name.chars();
    match (chars.next()?, chars.next()) {
        (c, None) if !c.is_control() && !c.is_whitespace() => Some(KeyCode::Char(c)),
        ('f', Some('1'..='9')) => {
            let number = name[1..].parse().ok().filter(|number| (1..=MAX_F).contains(number));
            number.map(KeyCode::F)
        }
        _ => None,
    }
}

/// The name of a key without what is held down.
fn bare(code: KeyCode) -> String {
    match code {
        KeyCode::F(number) => format!("f{number}"),
        code => match NAMED.iter().find(|(named, ..)| *named == code) {
            Some((_, name, ..)) => (*name).to_owned(),
            None => code.as_char().map_or_else(|| code.to_string(), String::from),
        },
    }
}

/// The lower-case form of a character that has one of one character.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => c,
    }
}

/// The upper-case form of a character that has one of one character, and is its lower-case form.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if lower(upper) == c => upper,
        _ => c,
    }
}
