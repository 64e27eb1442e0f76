//! `bench_disk FILES DIR CORPUS`: prints what [`lucid_disk::bench::run`] measures.
#![allow(clippy::print_stdout)]

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let usage = "usage: bench_disk FILES DIR CORPUS";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [files, dir, corpus] = arguments.as_slice() else { return Err(usage.into()) };
    let measured = lucid_disk::bench::run(files.parse()?, Path::new(dir), Path::new(corpus))?;
    println!("{measured:#}");
    Ok(())
}
