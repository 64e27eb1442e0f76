//! What the machine has: memory, with a container's limit counted, cores, an accelerator.

use std::fs;
use std::path::Path;
use std::thread;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Folders between a control group and the root of its tree that are looked at.
const MAX_CGROUP_DEPTH: usize = 32;

/// Accelerators that are looked at.
const MAX_DEVICES: usize = 16;

/// What a model may run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Memory in all, or a container's limit when that is less, in bytes.
    pub total_memory_bytes: u64,
    /// Memory that can be had without swapping, in bytes.
    pub available_memory_bytes: u64,
    /// Cores that this process may use.
    pub cores: usize,
    /// An accelerator that this build can use.
    pub accelerator: Option<Accelerator>,
}

/// A device that computes faster than the cores do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accelerator {
    /// Its name.
    pub name: String,
    /// Its own memory in bytes, when it has its own and it is known.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    /// Looks at this machine.
    pub fn probe() -> Self {
        let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        // Where nothing can be learnt, little memory is assumed: the smaller model runs anywhere.
        let (total, available) = System::new_with_specifics(kind)
            .map_or((0, 0), |system| (system.total_memory(), system.available_memory()));
        let group = Limit::of_this_process(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"));
        let (total, available) = group.bound(total, available);
        Self {
            total_memory_bytes: total,
            available_memory_bytes: available,
            cores: thread::available_parallelism().map_or(1, usize::from),
            accelerator: accelerator(),
        }
    }
}

/// How much memory a control group leaves; none where nothing limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Limit {
    total_bytes: Option<u64>,
    available_bytes: Option<u64>,
}

impl Limit {
    /// The tightest limit of the process's group and all above it. Version 2 of the control
    /// groups, or version 1 when the first is not there.
    /// Source: Linux, `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`.
    fn of_this_process(groups_file: &Path, root: &Path) -> Self {
        let groups = fs::read_to_string(groups_file).unwrap_or_default();
        let mut limit = Self::default();
        for line in groups.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            let path = Path::new(path.trim_start_matches('/'));
            let (top, files) = match controllers {
                "" => (root.to_path_buf(), V2),
                names if names.split(',').any(|name| name == "memory") => (root.join("memory"), V1),
                _ => continue,
            };
            // In a container the path may be the host's: then only the root is there.
            for group in path.ancestors().take(MAX_CGROUP_DEPTH) {
                limit = limit.tighter(Self::of_group(&top.join(group), files));
            }
        }
        limit
    }

    fn of_group(group: &Path, files: GroupFiles) -> Self {
        let Some(total) = number(&group.join(files.limit)) else { return Self::default() };
        let used = number(&group.join(files.used)).unwrap_or(0);
        // Pages of files that were read are counted as used but given up at once when needed.
        let cached = field(&group.join("memory.stat"), files.inactive_file).unwrap_or(0);
        let available = total.saturating_sub(used.saturating_sub(cached));
        Self { total_bytes: Some(total), available_bytes: Some(available) }
    }

    fn tighter(self, other: Self) -> Self {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Self {
            total_bytes: least(self.total_bytes, other.total_bytes),
            available_bytes: least(self.available_bytes, other.available_bytes),
        }
    }

    fn bound(self, total: u64, available: u64) -> (u64, u64) {
        let total = self.total_bytes.map_or(total, |limit| limit.min(total));
        let available = self.available_bytes.map_or(available, |limit| limit.min(available));
        (total, available.min(total))
    }
}

#[derive(Debug, Clone, Copy)]
struct GroupFiles {
    limit: &'static str,
    used: &'static str,
    inactive_file: &'static str,
}

const V2: GroupFiles =
    GroupFiles { limit: "memory.max", used: "memory.current", inactive_file: "inactive_file" };
const V1: GroupFiles = GroupFiles {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    inactive_file: "total_inactive_file",
};

/// A file that holds one number; none for `max`.
fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A field of a file of lines `name number`.
fn field(path: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// The accelerator that this build can use, if there is one.
fn accelerator() -> Option<Accelerator> {
    if cfg!(all(feature = "metal", target_os = "macos")) {
        return Some(Accelerator { name: "Metal".into(), memory_bytes: None });
    }
    if cfg!(feature = "cuda") {
        return nvidia(Path::new("/proc/driver/nvidia/gpus"));
    }
    None
}

/// The first device that the NVIDIA driver tells of on Linux.
fn nvidia(devices: &Path) -> Option<Accelerator> {
    fs::read_dir(devices).ok()?.take(MAX_DEVICES).flatten().find_map(|device| {
        let text = fs::read_to_string(device.path().join("information")).ok()?;
        let name = text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim();
        Some(Accelerator { name: name.into(), memory_bytes: None })
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn limit(root: &Path) -> (u64, u64) {
        Limit::of_this_process(&root.join("self"), &root.join("cg")).bound(24_000, 22_000)
    }

    #[test]
    fn a_container_s_limit_counts() {
        let root = tree(&[
            ("self", "0::/a/b\n"),
            ("cg/a/b/memory.max", "max\n"),
            ("cg/a/b/memory.current", "100\n"),
            ("cg/a/memory.max", "5000\n"),
            ("cg/a/memory.current", "3000\n"),
            ("cg/a/memory.stat", "anon 10\ninactive_file_x 7\ninactive_file 1000\n"),
        ]);
        assert_eq!(limit(root.path()), (5000, 3000));
    }

    #[test]
    fn a_container_that_sees_only_its_own_root() {
        let root = tree(&[
            ("self", "0::/host/path\n"),
            ("cg/memory.max", "4000\n"),
            ("cg/memory.current", "5000\n"),
        ]);
        assert_eq!(limit(root.path()), (4000, 0));
    }

    #[test]
    fn version_1_counts_too() {
        let root = tree(&[
            ("self", "3:cpu:/x\n2:hugetlb,memory:/x\n"),
            ("cg/memory/x/memory.limit_in_bytes", "6000"),
            ("cg/memory/x/memory.usage_in_bytes", "1500"),
            ("cg/memory/x/memory.stat", "total_inactive_file 500"),
        ]);
        assert_eq!(limit(root.path()), (6000, 5000));
    }

    #[test]
    fn no_limit_leaves_the_machine_s_own() {
        assert_eq!(limit(tree(&[("self", "0::/\n"), ("cg/memory.max", "max")]).path()), (24_000, 22_000));
        assert_eq!(limit(tree(&[]).path()), (24_000, 22_000));
        assert_eq!(limit(tree(&[("self", "nonsense\n0\n:::\n")]).path()), (24_000, 22_000));
    }

    #[test]
    fn this_machine_is_seen() {
        let machine = Machine::probe();
        assert!(machine.cores >= 1);
        assert!(machine.available_memory_bytes > 0);
        assert!(machine.available_memory_bytes <= machine.total_memory_bytes);
    }

    #[test]
    fn an_nvidia_device_is_named() {
        let root = tree(&[("gpus/0000:01/information", "Model: \t\t Some GPU 80GB\nIRQ: 12\n")]);
        let device = nvidia(&root.path().join("gpus")).unwrap();
        assert_eq!(device.name, "Some GPU 80GB");
        assert_eq!(nvidia(&root.path().join("none")), None);
    }
}
