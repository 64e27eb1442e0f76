//! `lucid`: the command line and the shell.

mod cli;
mod engines;
mod exit;
mod home;
mod machine;
mod models;
mod plugins;
mod script;
mod settings;
mod tui;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::memory::Move;
use cli::{Cli, Cmd};
use exit::Failure;
use home::Home;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            cli::out::error(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    if let Some(Cmd::Completions { shell }) = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "lucid", &mut std::io::stdout());
        return Ok(exit::OK);
    }
    #[cfg(target_os = "linux")]
    if let Some(Cmd::Confined { work, command }) = &cli.command {
        return Err(Failure::config(lucid_tools::shell::enter(work, command).to_string()));
    }
    let home = Home::find().map_err(|error| Failure::config(format!("{error:#}")))?;
    match cli.command {
        None => cli::shell::run(&home, &cli.shell),
        Some(Cmd::Ask(args)) => cli::ask::run(&home, &args),
        Some(Cmd::Run(args)) => cli::run::run(&home, &args),
        Some(Cmd::Mount(args)) => cli::mount::mount(&home, &args),
        Some(Cmd::Umount { dirs }) => cli::mount::unmount(&home, &dirs),
        Some(Cmd::Mounts { json }) => cli::mount::list(&home, json),
        Some(Cmd::Search(args)) => cli::mount::search(&home, &args),
        Some(Cmd::Mem(args)) => cli::memory::map(&home, &args),
        Some(Cmd::Page(args)) => cli::memory::page(&home, &args),
        Some(Cmd::Pin(args)) => cli::memory::change(&home, &args, Move::Pin),
        Some(Cmd::Unpin(args)) => cli::memory::change(&home, &args, Move::Unpin),
        Some(Cmd::Evict(args)) => cli::memory::change(&home, &args, Move::Evict),
        Some(Cmd::Remember(args)) => cli::memory::remember(&home, &args),
        Some(Cmd::Forget(args)) => cli::memory::forget(&home, &args),
        Some(Cmd::Model { command }) => cli::model::run(&home, &command),
        Some(Cmd::Secret { command }) => cli::rights::secret(&home, &command),
        Some(Cmd::Plugin { command }) => cli::plugin::run(&home, &command),
        Some(Cmd::Doctor { json }) => cli::doctor::run(&home, json),
        Some(Cmd::Bench { command }) => cli::bench::run(&home, &command),
        Some(Cmd::Picture(args)) => cli::shell::picture(&home, &args),
        Some(Cmd::Completions { .. }) => Ok(exit::OK),
        #[cfg(target_os = "linux")]
        Some(Cmd::Confined { .. }) => Ok(exit::OK),
    }
}
