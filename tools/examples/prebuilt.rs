//! Checks that the bundled components come from their sources, or builds them anew:
//! `cargo run --release -p lucid-tools --example prebuilt -- check|update`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use lucid_tools::kit::prebuilt::{Checked, check, update};

fn main() -> ExitCode {
    let repo = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let cache = cache.unwrap_or_else(std::env::temp_dir).join("lucid/toolchain");
    let mut on_step = |step: &str| eprintln!("{step}");
    let done = match std::env::args().nth(1).as_deref() {
        Some("check") => check(&repo, &cache, &mut on_step).map(|checked| {
            for (name, checked) in checked {
                match checked {
                    Checked::Same => println!("{name}: the same bytes"),
                    Checked::OtherCompiler { found, locked } => println!(
                        "{name}: built by {locked}; {found} is here, so sources and words were compared, not bytes"
                    ),
                }
            }
        }),
        Some("update") => update(&repo, &cache, &mut on_step),
        _ => {
            eprintln!("say check or update");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
