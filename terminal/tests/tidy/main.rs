//! The house checks itself: which package may know which, what the kernel must never touch,
//! what lies at the top, how a source file looks, and that the papers' links lead somewhere.
//!
//! Each check is a function from text to complaints, tested on made-up texts that must fail;
//! the tests in this file run them over the repository.

#![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

mod arrows;
mod papers;
mod purity;
mod scan;
mod style;

use std::path::{Path, PathBuf};
use std::process::Command;

/// One thing that is wrong, and where.
type Complaint = String;

/// The folder of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file that git tracks or would track, relative to the root, with `/`.
fn files() -> Vec<String> {
    let output = Command::new("git")
        // A checkout may belong to another user than the one who tests it.
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"])
        .args(["-z", "--deduplicate"])
        .current_dir(root())
        .output()
        .expect("the checks ask git which files there are: install git");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`git ls-files` failed: {error}");
    let names = String::from_utf8(output.stdout).unwrap();
    // What was removed but not yet committed is still listed.
    names
        .split_terminator('\0')
        .filter(|name| root().join(name).symlink_metadata().is_ok())
        .map(str::to_owned)
        .collect()
}

/// The files whose name ends like this, with their text.
fn texts(endings: &[&str]) -> Vec<(String, String)> {
    files()
        .into_iter()
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .map(|name| {
            let text = std::fs::read_to_string(root().join(&name))
                .unwrap_or_else(|e| panic!("cannot read {name}: {e}"));
            (name, text)
        })
        .collect()
}

#[track_caller]
fn none(complaints: Vec<Complaint>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn packages_depend_along_the_arrows() {
    let packages = arrows::packages(&root().join("Cargo.toml"));
    assert!(packages.len() >= 6, "only {} packages found", packages.len());
    none(arrows::check(&packages));
}

#[test]
fn guests_depend_on_nothing_of_the_host() {
    let manifest = root().join("plugins/Cargo.toml");
    none(arrows::check_guests(&arrows::packages(&manifest), &root().join("plugins")));
}

#[test]
fn sources_name_only_what_the_arrows_allow() {
    let sources = texts(&[".rs"]);
    none(sources.iter().flat_map(|(name, text)| arrows::check_source(name, text)).collect());
}

#[test]
fn the_kernel_is_pure() {
    let sources = texts(&[".rs"]);
    let kernel: Vec<_> = sources.iter().filter(|(name, _)| name.starts_with("kernel/src/")).collect();
    assert!(kernel.len() > 5, "only {} kernel files found", kernel.len());
    none(kernel.into_iter().flat_map(|(name, text)| purity::check(name, text)).collect());
}

#[test]
fn the_top_level_holds_what_it_should() {
    none(style::check_top(&files()));
}

#[test]
fn source_files_look_alike() {
    none(texts(&[".rs"]).iter().flat_map(|(name, text)| style::check_source(name, text)).collect());
}

#[test]
fn no_tabs_and_no_trailing_white_space() {
    let texts = texts(&[".rs", ".toml", ".md", ".wit", ".yml", "/.ci/run"]);
    none(texts.iter().flat_map(|(name, text)| style::check_space(name, text)).collect());
}

#[test]
fn every_page_of_the_book_is_in_its_table_of_contents() {
    let pages: Vec<String> = files().into_iter().filter(|n| n.starts_with("docs/src/")).collect();
    let summary = std::fs::read_to_string(root().join("docs/src/SUMMARY.md")).unwrap();
    none(papers::check_summary(&summary, &pages));
}

#[test]
fn every_link_of_the_papers_leads_somewhere() {
    let papers: Vec<_> = texts(&[".md"])
        .into_iter()
        .filter(|(name, _)| name.starts_with("docs/src/") || !name.contains('/'))
        .collect();
    none(papers::check_links(&papers, &files()));
}
