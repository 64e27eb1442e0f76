//! Keys: as they are written, as terminals report them, and as the settings bind them.

use std::collections::{BTreeMap, BTreeSet};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyEventState, KeyModifiers};
use proptest::prelude::*;
use serde::Deserialize;

use super::super::keymap::{Command, Key, KeyError, Keymap, Keys, typed};

const NONE: KeyModifiers = KeyModifiers::NONE;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;
const ALT: KeyModifiers = KeyModifiers::ALT;
const SHIFT: KeyModifiers = KeyModifiers::SHIFT;

#[derive(Deserialize)]
struct Settings {
    keys: BTreeMap<String, Keys>,
}

fn settings(text: &str) -> BTreeMap<String, Keys> {
    toml::from_str::<Settings>(&format!("[keys]\n{text}")).unwrap().keys
}

fn char(c: char, held: KeyModifiers) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(c), held)
}

#[test]
fn keys_have_one_form() {
    for (text, form, people) in [
        ("ctrl-r", "ctrl-r", "Ctrl-R"),
        ("Ctrl+R", "ctrl-r", "Ctrl-R"),
        ("control-shift-r", "ctrl-r", "Ctrl-R"),
        ("alt-enter", "alt-enter", "Alt-Enter"),
        ("Option-Return", "alt-enter", "Alt-Enter"),
        ("F2", "f2", "F2"),
        ("f24", "f24", "F24"),
        ("alt-ctrl-x", "ctrl-alt-x", "Ctrl-Alt-X"),
        ("Alt-N", "alt-n", "Alt-N"),
        ("shift-alt-n", "alt-shift-n", "Alt-Shift-N"),
        ("alt-.", "alt-.", "Alt-."),
        ("ctrl--", "ctrl--", "Ctrl--"),
        ("ctrl++", "ctrl-+", "Ctrl-+"),
        ("alt-f", "alt-f", "Alt-F"),
        ("ctrl-space", "ctrl-space", "Ctrl-Space"),
        (" PgUp ", "pageup", "PgUp"),
        ("alt-Ä", "alt-ä", "Alt-Ä"),
        ("shift-tab", "shift-tab", "Shift-Tab"),
        ("alt-del", "alt-delete", "Alt-Delete"),
        ("alt-shift-_", "alt-_", "Alt-_"),
        ("space", "space", "Space"),
    ] {
        let key: Key = text.parse().unwrap();
        assert_eq!((key.to_string().as_str(), key.people().as_str()), (form, people), "{text}");
        assert_eq!(form.parse(), Ok(key));
        assert_eq!(people.parse(), Ok(key));
    }
}

#[test]
fn what_is_no_key_is_said_so() {
    for text in
        ["", "ctrl-", "ctrl-ctrl-x", "f0", "f25", "f1x", "hyper-x", "ctrl-ab", "-x", "ctrl- ", "ctrl-\u{1b}"]
    {
        let error = text.parse::<Key>().unwrap_err().to_string();
        assert!(error.contains(&format!("{text:?}")) && error.contains("ctrl-r"), "{error}");
    }
    for (text, same) in [("ctrl-i", "tab"), ("Ctrl-M", "enter"), ("ctrl-alt-[", "esc")] {
        let error = text.parse::<Key>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("write {same}")), "{error}");
    }
}

#[test]
fn every_default_can_be_read_and_belongs_to_one_command() {
    let mut seen: BTreeMap<&str, Command> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for (at, (command, name, about, keys)) in Command::ALL.iter().enumerate() {
        assert_eq!(*command as usize, at);
        assert_eq!((command.name(), about.is_empty(), Command::named(name)), (*name, false, Some(*command)));
        assert!(names.insert(name) && !keys.is_empty() && about.len() < 50);
        for key in *keys {
            assert_eq!(&key.parse::<Key>().unwrap().to_string(), key);
            if let Some(other) = seen.insert(key, *command) {
                assert_eq!((*key, other, *command), ("ctrl-d", Command::Leave, Command::DeleteRight));
            }
        }
        assert_eq!(Keymap::default().keys_of(*command), *keys);
    }
}

#[test]
fn what_terminals_report() {
    let keymap = Keymap::default();
    for (event, command) in [
        (char('r', CONTROL), Some(Command::SearchHistory)),
        (char('R', CONTROL | SHIFT), Some(Command::SearchHistory)),
        (char('7', CONTROL), Some(Command::Undo)),
        (char('_', CONTROL | SHIFT), Some(Command::Undo)),
        (char('_', ALT), Some(Command::Redo)),
        (char('_', ALT | SHIFT), Some(Command::Redo)),
        (char('.', ALT), Some(Command::Wider)),
        (char('n', ALT), Some(Command::Next)),
        (char('N', ALT | SHIFT), Some(Command::Next)),
        (char('d', CONTROL), Some(Command::Leave)),
        (KeyEvent::new(KeyCode::Enter, SHIFT), Some(Command::Newline)),
        (KeyEvent::new(KeyCode::Enter, NONE), Some(Command::Send)),
        (KeyEvent::new(KeyCode::Backspace, SHIFT), Some(Command::DeleteLeft)),
        (KeyEvent::new(KeyCode::Left, CONTROL | SHIFT), Some(Command::WordLeft)),
        (KeyEvent::new(KeyCode::Home, CONTROL), Some(Command::Top)),
        (KeyEvent::new(KeyCode::F(2), NONE), Some(Command::Memory)),
        (KeyEvent::new(KeyCode::Tab, NONE), Some(Command::Complete)),
        (KeyEvent::new(KeyCode::BackTab, SHIFT), None),
        (KeyEvent::new(KeyCode::Up, KeyModifiers::SUPER), None),
        (char('r', NONE), None),
        (char('r', CONTROL | ALT), None),
        (char('N', SHIFT), None),
    ] {
        assert_eq!(keymap.command(&event, true), command, "{event:?}");
        let repeat = KeyEvent { kind: KeyEventKind::Repeat, state: KeyEventState::CAPS_LOCK, ..event };
        assert_eq!(keymap.command(&repeat, true), command, "{event:?}");
        let release = KeyEvent { kind: KeyEventKind::Release, ..event };
        assert_eq!((keymap.command(&release, true), typed(&release)), (None, None), "{event:?}");
    }
    assert_eq!(keymap.command(&char('d', CONTROL), false), Some(Command::DeleteRight));
    assert_eq!(keymap.command(&char('d', CONTROL), true), Some(Command::Leave));
}

#[test]
fn what_keys_type() {
    for (event, c) in [
        (char('a', NONE), Some('a')),
        (char('A', SHIFT), Some('A')),
        (char('@', CONTROL | ALT), Some('@')),
        (char('a', CONTROL), None),
        (char('a', ALT), None),
        (char('a', KeyModifiers::SUPER), None),
        (KeyEvent::new(KeyCode::Enter, NONE), None),
    ] {
        assert_eq!(typed(&event), c, "{event:?}");
    }
}

#[test]
fn settings_bind_keys() {
    let with = |text: &str| Keymap::with(&settings(text)).unwrap();
    assert_eq!(with(""), Keymap::default());
    // A key that is bound is taken away from whatever had it.
    let keymap = with("palette = 'Ctrl-K'\nolder = ['up', 'ctrl-p']\nfold = []\nhelp = 'shift-tab'");
    for (command, keys, hint) in [
        (Command::Palette, vec!["ctrl-k"], Some("Ctrl-K")),
        (Command::CutToEnd, vec![], None),
        (Command::Older, vec!["up", "ctrl-p"], Some("Up")),
        (Command::Fold, vec![], None),
        (Command::Help, vec!["shift-tab"], Some("Shift-Tab")),
        (Command::Memory, vec!["f2"], Some("F2")),
    ] {
        assert_eq!(keymap.keys_of(command), keys);
        assert_eq!(keymap.hint(command).as_deref(), hint);
    }
    assert_eq!(keymap.command(&char('k', CONTROL), true), Some(Command::Palette));
    assert_eq!(keymap.command(&char('o', CONTROL), true), None);
    assert_eq!(keymap.command(&KeyEvent::new(KeyCode::BackTab, SHIFT), true), Some(Command::Help));
    // Only both together are bound, not AltGr's half.
    let keymap = with("palette = 'ctrl-alt-q'");
    assert_eq!(keymap.command(&char('q', CONTROL | ALT), true), Some(Command::Palette));
    assert_eq!(
        (keymap.command(&char('q', CONTROL), true), keymap.command(&char('q', ALT), true)),
        (None, None)
    );
    // What terminals send for a control character, and letters of which case is told.
    let keymap = with("palette = 'ctrl-\\'\nfold = 'alt-shift-n'");
    assert_eq!(keymap.command(&char('4', CONTROL), true), Some(Command::Palette));
    assert_eq!(keymap.command(&char('N', ALT), true), Some(Command::Fold));
    assert_eq!(keymap.command(&char('n', ALT), true), Some(Command::Next));
    // Ctrl-D may do both.
    for text in ["leave = 'ctrl-d'\ndelete-right = ['delete', 'ctrl-d']", "leave = 'ctrl-d'"] {
        assert_eq!(with(text), Keymap::default());
    }
    let keymap = with("leave = 'ctrl-q'");
    assert_eq!(keymap.command(&char('d', CONTROL), true), Some(Command::DeleteRight));
    assert_eq!(keymap.command(&char('q', CONTROL), false), None);
    let keymap = with("interrupt = 'ctrl-g'\npalette = 'ctrl-c'");
    assert_eq!(keymap.command(&char('c', CONTROL), true), Some(Command::Palette));
}

#[test]
fn wrong_settings_are_said_so() {
    for (text, says) in [
        ("pallete = 'ctrl-k'", "[keys] \"pallete\": there is no such command; did you mean palette?"),
        (
            "Search_History = []",
            "[keys] \"Search_History\": there is no such command; did you mean search-history?",
        ),
        ("xyzzy = 'ctrl-k'", "[keys] \"xyzzy\": there is no such command; /help lists them"),
        (
            "palette = 'hyper-k'",
            "[keys] palette: \"hyper-k\" is no key; write it like ctrl-r, alt-enter, f2 or space",
        ),
        (
            "palette = 'ctrl-i'",
            "[keys] palette: terminals send the same for \"ctrl-i\" as for tab; write tab",
        ),
        (
            "palette = ['f5', 'K']",
            "[keys] palette: with `k` bound it could not be typed any more; put ctrl- or alt- before it",
        ),
        (
            "palette = 'shift-space'",
            "[keys] palette: with `space` bound it could not be typed any more; put ctrl- or alt- before it",
        ),
        (
            "fold = 'ctrl-k'\npalette = 'Ctrl+K'",
            "[keys] palette: `ctrl-k` is given to fold already; name it once",
        ),
        ("fold = ['f5', 'F5']", "[keys] fold: `f5` is given to fold already; name it once"),
        (
            "interrupt = []",
            "[keys] interrupt: it would have no key; name one, such as interrupt = \"ctrl-c\"",
        ),
        (
            "palette = 'ctrl-c'",
            "[keys] interrupt: it would have no key; name one, such as interrupt = \"ctrl-c\"",
        ),
    ] {
        let error = Keymap::with(&settings(text)).unwrap_err();
        assert_eq!(error.to_string(), says);
    }
    let wrong = toml::from_str::<Settings>("[keys]\nfold = 3").err().unwrap();
    assert!(wrong.to_string().contains("a key like \"ctrl-k\", or a list of keys"), "{wrong}");
    let long = BTreeMap::from([("z".repeat(1 << 20), Keys::Many(Vec::new()))]);
    assert!(matches!(Keymap::with(&long), Err(KeyError::UnknownCommand { near: None, .. })));
}

/// The keys that edited before there were settings for them.
#[test]
fn keys_of_old_still_edit() {
    let keymap = Keymap::default();
    for (keys, command) in [
        ("alt-enter ctrl-j", Command::Newline),
        ("up", Command::Older),
        ("down ctrl-n", Command::Newer),
        ("left ctrl-b", Command::Left),
        ("right ctrl-f", Command::Right),
        ("ctrl-left alt-left alt-b", Command::WordLeft),
        ("ctrl-right alt-right alt-f", Command::WordRight),
        ("home ctrl-a", Command::LineStart),
        ("end ctrl-e", Command::LineEnd),
        ("backspace ctrl-h", Command::DeleteLeft),
        ("delete ctrl-d", Command::DeleteRight),
        ("ctrl-w ctrl-backspace alt-backspace", Command::DeleteWordLeft),
        ("alt-d ctrl-delete alt-delete", Command::DeleteWordRight),
        ("ctrl-u", Command::CutToStart),
        ("ctrl-k", Command::CutToEnd),
        ("ctrl-y", Command::PasteCut),
    ] {
        for key in keys.split(' ') {
            assert!(keymap.keys_of(command).iter().any(|is| is == key), "{key}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_a_key_or_none(text in ".{0,12}|(ctrl-|alt-|shift-){0,3}(.|f[0-9]{1,3}|tab|up)") {
        if let Ok(key) = text.parse::<Key>() {
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            prop_assert_eq!(key.people().parse(), Ok(key), "{}", key.people());
        }
    }

    #[test]
    fn any_settings_are_taken_or_refused(
        bound in prop::collection::btree_map(
            prop::sample::select(&Command::ALL[..]).prop_map(|(_, name, ..)| name.to_owned()),
            prop::collection::vec("(ctrl-|alt-)[a-f]|f[1-9]|tab|enter", 0..3).prop_map(Keys::Many),
            0..6,
        ),
    ) {
        if let Ok(keymap) = Keymap::with(&bound) {
            for (name, keys) in &bound {
                let Keys::Many(keys) = keys else { unreachable!() };
                prop_assert_eq!(&keymap.keys_of(Command::named(name).unwrap()), keys);
            }
            prop_assert!(keymap.hint(Command::Interrupt).is_some());
        }
    }
}
