//! `lucid` without a command: the shell.

use super::session::{Wanted, open};
use super::{PictureArgs, ShellArgs, mount};
use crate::exit::Failure;
use crate::home::Home;
use crate::machine::api::Notice;
use crate::settings::Settings;
use crate::tui;

/// Opens the shell until the user leaves.
///
/// # Errors
/// When there is no terminal, or the settings, journal or index cannot be used.
pub fn run(home: &Home, args: &ShellArgs) -> Result<u8, Failure> {
    let mut settings = Settings::load(home)?;
    let folder = super::session::folder();
    let setup = tui::Setup {
        offer_mount: offers_mount(home, &settings, &folder)?,
        folder: folder.clone(),
        home: tui::home_folder(),
        history_path: home.history_file(),
        color: super::out::color(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    Home::make_parent(&setup.history_path).map_err(|error| Failure::config(format!("{error:#}")))?;
    let machine = open(home, &wanted(args))?;
    let outcome = tui::run(machine.commands.clone(), machine.notices.clone(), setup);
    machine.stop();
    let outcome = outcome.map_err(|error| Failure::usage(format!("{error:#}")))?;
    if outcome.declined_mount && !settings.declined_mounts.contains(&folder) {
        settings.declined_mounts.push(folder);
        settings.save(home)?;
    }
    Ok(outcome.code)
}

fn wanted(args: &ShellArgs) -> Wanted {
    Wanted {
        model: args.model.clone(),
        tools: !args.no_tools,
        goes_on: args.goes_on.clone(),
        // Folders can be mounted at any time.
        files: Some(true),
        interactive: true,
        ..Wanted::default()
    }
}

/// Whether to offer to mount the current folder: not when it is mounted, was declined, or
/// is too much at once.
fn offers_mount(home: &Home, settings: &Settings, folder: &str) -> Result<bool, Failure> {
    if settings.declined_mounts.iter().any(|declined| declined == folder) {
        return Ok(false);
    }
    let path = std::path::Path::new(folder);
    let mounts =
        lucid_kernel::port::Disk::mounts(&super::session::open_disk(home)?).map_err(mount::failure)?;
    let mounted = mounts.iter().any(|mount| path.starts_with(&mount.root));
    Ok(!mounted && !mount::is_too_much(path))
}

/// Asks questions and prints the shell's screen after the last as SVG: the pictures of the
/// papers are made by this, with the real view and the real model.
///
/// # Errors
/// As [`run`].
pub fn picture(home: &Home, args: &PictureArgs) -> Result<u8, Failure> {
    let shell = ShellArgs { model: args.model.clone(), ..ShellArgs::default() };
    let machine = open(home, &wanted(&shell))?;
    let setup = tui::Setup {
        folder: super::session::folder(),
        home: tui::home_folder(),
        history_path: home.history_file(),
        offer_mount: false,
        color: true,
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let mut picture = tui::Picture::new(&setup, args.columns, args.rows);
    let began = std::time::Instant::now();
    let mut left = args.questions.iter();
    let mut next = |picture: &mut tui::Picture| {
        let Some(question) = left.next() else { return false };
        for command in picture.type_line(question) {
            drop(machine.commands.send(command));
        }
        true
    };
    let mut ready = false;
    while let Ok(notice) = machine.notices.recv() {
        if let Notice::Dead { message, code } = &notice {
            return Err(Failure::new(*code, message.clone()));
        }
        let free = matches!(notice, Notice::Ended { .. } | Notice::Refused { .. } | Notice::Ready { .. });
        ready |= matches!(notice, Notice::Ready { .. });
        picture.tick(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        for command in picture.notice(notice) {
            drop(machine.commands.send(command));
        }
        if free && ready && !next(&mut picture) {
            break;
        }
    }
    // What was sent before the last turn ended is still to be heard: the memory, say.
    while let Ok(notice) = machine.notices.recv_timeout(super::session::TICK) {
        picture.notice(notice);
    }
    super::out::line(&picture.svg("lucid")?);
    machine.stop();
    Ok(crate::exit::OK)
}
