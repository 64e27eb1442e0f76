//! The commands of the book, replayed: what is typed there is typed here, in one session with a real
//! model, and what stands there must come.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Home, SMALLEST, model};
use lucid_contract::alone;

/// One line that is typed, and what must come of it, in this order; `…` stands for anything.
struct Exchange {
    line: usize,
    input: String,
    expected: Vec<String>,
}

fn book() -> Vec<Exchange> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/commands.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut is_inside = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.starts_with("```") {
            is_inside = line == "```console";
        } else if let Some(input) = line.strip_prefix("> ").filter(|_| is_inside) {
            exchanges.push(Exchange { line: number, input: input.into(), expected: Vec::new() });
        } else if is_inside && line != "…" {
            exchanges.last_mut().unwrap().expected.push(line.to_owned());
        }
    }
    exchanges
}

/// Whether a line is as it stands in the book.
fn fits(line: &str, expected: &str) -> bool {
    let mut rest = line.trim_end();
    let pieces: Vec<&str> = expected.split('…').collect();
    for (at, piece) in pieces.iter().enumerate() {
        let found = if at == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
        let Some(found) = found else { return false };
        rest = &rest[found + piece.len()..];
    }
    rest.is_empty() || expected.ends_with('…')
}

#[test]
fn each_command_does_what_the_book_shows() {
    let _alone = alone();
    let home = Home::new();
    home.write("port.md", "# Port\n\nThe server listens on port 7411.\n");
    let exchanges = book();
    assert!(exchanges.len() > 27, "{}", exchanges.len());
    let mut lucid = home.command(&["--plain", "--model", &model(SMALLEST)]);
    lucid.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lucid.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for exchange in &exchanges {
        // What is no command is told in words that mark the end of what came before.
        writeln!(input, "{}\n/end-of-{}", exchange.input, exchange.line).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = text.as_str();
    let mut wrong = Vec::new();
    for exchange in &exchanges {
        let mark = format!("there is no command /end-of-{};", exchange.line);
        // Who leaves says nothing more.
        let (part, behind) = rest.split_once(&mark).unwrap_or((rest, ""));
        rest = behind;
        let mut lines = part.lines();
        for expected in &exchange.expected {
            if !lines.any(|line| fits(line, expected)) {
                wrong.push(format!(
                    "line {}: {}\n  {expected}\nis not in\n{part}",
                    exchange.line, exchange.input
                ));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
