//! Comparing.

use std::collections::HashMap;

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::udiff::UnifiedHunkHeader;
use similar::{DiffOp, DiffTag, group_diff_ops};

use crate::limits::{MAX_LIST_BYTES, MAX_TEXT_BYTES, check_size};

/// The most lines of both texts together.
const MAX_LINES: usize = 200_000;
/// The lines around a change.
const CONTEXT: usize = 3;

/// The unified diff of two texts, or a sentence when they are the same.
///
/// # Errors
/// When the texts or their differences are too long.
pub fn diff(old: &str, new: &str) -> Result<String, String> {
    check_size("the old text", old, MAX_TEXT_BYTES)?;
    check_size("the new text", new, MAX_TEXT_BYTES)?;
    if old == new {
        return Ok("the texts are the same".into());
    }
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
    let lines = old.len() + new.len();
    if lines > MAX_LINES {
        return Err(format!("the texts have {lines} lines, the most is {MAX_LINES}; compare parts of them"));
    }
    let ops = changes(&old, &new);
    let (added, removed) = totals(&ops);
    let mut out = String::from("--- old\n+++ new\n");
    for hunk in group_diff_ops(ops, CONTEXT) {
        out.push_str(&format!("{}\n", UnifiedHunkHeader::new(&hunk)));
        for op in hunk {
            if op.tag() == DiffTag::Equal {
                put(&mut out, ' ', &old[op.old_range()]);
            } else {
                put(&mut out, '-', &old[op.old_range()]);
                put(&mut out, '+', &new[op.new_range()]);
            }
            if out.len() > MAX_LIST_BYTES {
                return Err(format!(
                    "the texts differ too much to show ({added} lines added, {removed} removed); compare \
                     parts of them"
                ));
            }
        }
    }
    Ok(out)
}

/// What Myers' algorithm finds. It is called by itself, because the functions that choose among
/// algorithms bring all of them into the component; and without a deadline, because a guest has no
/// clock.
fn changes(old: &[&str], new: &[&str]) -> Vec<DiffOp> {
    let mut known = HashMap::new();
    let mut numbered = |lines: &[&str]| -> Vec<u32> {
        let number = |line: &&str| {
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            *known.entry((*line).to_owned()).or_insert(next)
        };
        lines.iter().map(number).collect()
    };
    let (old, new) = (numbered(old), numbered(new));
    let mut hook = Compact::new(Replace::new(Capture::new()), &old[..], &new[..]);
    match myers::diff(&mut hook, &old[..], 0..old.len(), &new[..], 0..new.len()) {
        Ok(()) => hook.into_inner().into_inner().into_ops(),
        Err(never) => match never {},
    }
}

fn totals(ops: &[DiffOp]) -> (usize, usize) {
    let changed = ops.iter().filter(|op| op.tag() != DiffTag::Equal);
    changed.fold((0, 0), |sum, op| (sum.0 + op.new_range().len(), sum.1 + op.old_range().len()))
}

fn put(out: &mut String, sign: char, lines: &[&str]) {
    for line in lines {
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
        // What is longer is refused by the caller.
        if out.len() > MAX_LIST_BYTES {
            return;
        }
    }
}
