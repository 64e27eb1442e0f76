//! The processes that a command started, as `/proc` lists them.

use std::collections::BTreeSet;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) pid: u32,
    parent: u32,
    group: u32,
    pub(super) threads: usize,
    /// Its resident memory, in pages.
    pub(super) pages: u64,
}

/// A process, all that descend from it and all of its group; fewer where `/proc` cannot be read. A process
/// whose parent has ended descends, in a namespace of process ids, from that one's first process.
pub(super) fn members(root: u32) -> Vec<Member> {
    let listed = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = listed.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<Member> = pids.filter_map(member).collect();
    let mut found = BTreeSet::from([root]);
    loop {
        let before = found.len();
        for member in &all {
            if member.group == root || found.contains(&member.parent) {
                found.insert(member.pid);
            }
        }
        if found.len() == before {
            return all.into_iter().filter(|member| found.contains(&member.pid)).collect();
        }
    }
}

/// How many threads the whole system has; none where that cannot be read.
pub(super) fn system_threads() -> usize {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let threads =
        load.split_ascii_whitespace().nth(3).and_then(|field| field.split_once('/')?.1.parse().ok());
    threads.unwrap_or(0)
}

fn member(pid: u32) -> Option<Member> {
    read(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Source: `proc_pid_stat(5)`. The name is in parentheses and may hold anything.
fn read(pid: u32, stat: &str) -> Option<Member> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let id = |number| u32::try_from(field(number)?).ok();
    let threads = usize::try_from(field(20)?).ok()?;
    Some(Member { pid, parent: id(4)?, group: id(5)?, threads, pages: field(24)? })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]

    use super::*;

    #[test]
    fn a_process_and_its_children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = members(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        let pids: Vec<u32> = found.iter().map(|member| member.pid).collect();
        assert!(pids.contains(&std::process::id()) && pids.contains(&child.id()), "{found:?}");
        assert!(found.iter().all(|member| member.threads > 0));
        assert!(system_threads() > 1);
        let stat = "7 (a) 1 2) S 3 4 5 0 -1 64 1 2 3 4 5 6 7 8 20 0 9 0 11 12345 678 0";
        assert_eq!(read(7, stat), Some(Member { pid: 7, parent: 3, group: 4, threads: 9, pages: 678 }));
        assert_eq!(read(7, "7 (a) S"), None);
    }
}
