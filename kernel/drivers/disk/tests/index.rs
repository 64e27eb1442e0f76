//! What the index on disk promises beyond the contract: it survives kills, full disks, damage
//! and other processes.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{mount, names, path, search, try_mount, write};
use lucid_disk::{Limits, TantivyDisk};
use lucid_kernel::port::{CancelFlag, Disk, DiskError, MountOptions};
use tempfile::TempDir;

const CHILD_ROOT: &str = "LUCID_DISK_TEST_ROOT";
const CHILD_INDEX: &str = "LUCID_DISK_TEST_INDEX";

/// Commits as often as it can.
fn eager() -> Limits {
    Limits { commit_interval_ms: 1, commit_bytes: 1 << 20, ..Limits::default() }
}

fn open(index: &Path) -> TantivyDisk {
    TantivyDisk::open(index, Limits::default()).expect("opened")
}

/// A tree of `files` files, about 14 KB each, that all hold the word walrus and one of their own.
fn tree(files: usize) -> TempDir {
    let root = TempDir::new().expect("folder");
    let text = "A walrus sits on this line of the file, and on all the others too.\n".repeat(200);
    for number in 0..files {
        write(root.path(), &format!("{}/{number}.txt", number % 10), format!("{text}unique{number}\n"));
    }
    root
}

/// The folder of the only index.
fn only_index(index: &Path) -> PathBuf {
    let mut folders = fs::read_dir(index).expect("listed").flatten().map(|entry| entry.path());
    let folder = folders.next().expect("an index");
    assert!(folders.next().is_none());
    folder
}

/// Not a test by itself: what the child processes of the others run.
#[test]
fn child_that_mounts() {
    let (Ok(root), Ok(index)) = (std::env::var(CHILD_ROOT), std::env::var(CHILD_INDEX)) else { return };
    let disk = TantivyDisk::open(Path::new(&index), eager()).expect("opened");
    disk.mount(&root, &MountOptions::default(), &CancelFlag::new(), &mut |_| {}).expect("mounted");
}

fn child(root: &Path, index: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child_that_mounts", "--nocapture"])
        .env(CHILD_ROOT, root)
        .env(CHILD_INDEX, index)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

#[test]
fn a_kill_at_any_point_keeps_whole_files_and_the_next_mount_goes_on() {
    const FILES: u64 = 1_500;
    let root = tree(FILES as usize);
    let (mut kept, mut unfinished) = (0, 0);
    let index = TempDir::new().expect("folder");
    for round in 0..8 {
        let mut child = child(root.path(), index.path());
        std::thread::sleep(Duration::from_millis(40 + 90 * round));
        let ended = child.try_wait().expect("state").is_some();
        child.kill().expect("killed");
        child.wait().expect("waited");
        let disk = open(index.path());
        let mounts = disk.mounts().expect("sound after the kill");
        let files = mounts.first().map_or(0, |mount| mount.files);
        assert!(files >= kept, "{files} files, {kept} before");
        kept = files;
        unfinished += u64::from(!ended && mounts.first().is_none_or(|mount| !mount.complete));
        for (folder, sound) in disk.check().expect("checked") {
            sound.unwrap_or_else(|error| panic!("{folder}: {error}"));
        }
    }
    assert!(unfinished > 0, "no kill came in time");
    let disk = open(index.path());
    let report = mount(&disk, root.path());
    assert_eq!((report.files, report.read), (FILES, FILES - kept));
    assert_eq!(report.pages % FILES, 0, "whole files only");
    for number in [0, 1, 700, FILES - 1] {
        assert_eq!(search(&disk, &format!("unique{number}")).len(), 1, "unique{number}");
    }
    let pages = disk.search("walrus", &[], 1_000).expect("hits");
    assert_eq!(pages.len(), 1_000);
    assert_eq!(mount(&disk, root.path()).read, 0);
}

#[test]
fn a_second_writer_is_told_who_writes_and_readers_go_on() {
    let root = tree(3_000);
    let index = TempDir::new().expect("folder");
    let disk = open(index.path());
    write(root.path(), "first/a.txt", "zebra");
    mount(&disk, &root.path().join("first"));
    let mut child = child(root.path(), index.path());
    let pid = child.id().to_string();
    let is_writing = || {
        let folders = fs::read_dir(index.path()).expect("listed").flatten();
        let mut holders =
            folders.filter_map(|folder| fs::read_to_string(folder.path().join("writer.pid")).ok());
        holders.any(|holder| holder == pid)
    };
    let start = Instant::now();
    while !is_writing() {
        assert!(start.elapsed() < Duration::from_secs(30), "the child never wrote");
        std::thread::sleep(Duration::from_millis(1));
    }
    let error = try_mount(&disk, root.path(), &MountOptions::default());
    assert!(
        matches!(&error, Err(DiskError::Busy { holder }) if *holder == format!("process {pid}")),
        "{error:?}"
    );
    assert!(matches!(disk.unmount(path(root.path())), Err(DiskError::Busy { .. })));
    assert_eq!(names(&disk, "zebra")[0], "a.txt");
    assert!(child.wait().expect("waited").success());
    // The other process's commits are seen without opening anything again.
    let roots = [path(&root.path().canonicalize().expect("path")).to_owned()];
    assert_eq!(disk.search("unique2999", &roots, 10).expect("hits").len(), 1);
}

#[test]
fn a_full_disk_keeps_what_was_done_and_stays_usable() {
    let root = TempDir::new().expect("folder");
    let mut state = 1_u64;
    for number in 0..1_000 {
        // Words that do not compress.
        let words = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("w{:x} ", state >> 24)
        });
        write(
            root.path(),
            &format!("{number}.txt"),
            format!("walrus {}", words.take(1_000).collect::<String>()),
        );
    }
    let mount_point = TempDir::new().expect("folder");
    let Some(small) = SmallDisk::mount(mount_point.path(), "12m") else {
        return in_a_namespace("a_full_disk_keeps_what_was_done_and_stays_usable");
    };
    let limits = Limits { writer_memory_bytes: 15_000_000, ..eager() };
    let index = mount_point.path().join("index");
    let disk = TantivyDisk::open(&index, limits.clone()).expect("opened");
    let error = try_mount(&disk, root.path(), &MountOptions::default());
    assert!(matches!(error, Err(DiskError::Full { .. })), "{error:?}");
    let kept = disk.mounts().expect("still readable")[0].clone();
    assert!(!kept.complete && kept.files < 1_000);
    assert!(kept.files > 0, "nothing was kept");
    assert!(!search(&disk, "walrus").is_empty());
    let error = try_mount(&disk, root.path(), &MountOptions::default());
    assert!(matches!(error, Err(DiskError::Full { .. })), "{error:?}");
    small.resize("200m");
    let kept = disk.mounts().expect("still readable")[0].files;
    let report = mount(&disk, root.path());
    assert_eq!((report.files, report.read), (1_000, 1_000 - kept));
    assert!(disk.check().expect("checked").iter().all(|(_, sound)| sound.is_ok()));
}

/// A file system of a given size, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount.
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .stderr(Stdio::null())
            .status();
        mounted.expect("the command mount").success().then(|| Self(at.to_path_buf()))
    }

    fn resize(&self, size: &str) {
        let resized =
            Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).status();
        assert!(resized.expect("the command mount").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs a test again where a user may mount: in a name space of its own.
fn in_a_namespace(test: &str) {
    const INSIDE: &str = "LUCID_DISK_TEST_NAMESPACE";
    assert!(std::env::var(INSIDE).is_err(), "cannot mount a tmpfs, not even in a name space");
    let exe = std::env::current_exe().expect("this test");
    let ran =
        Command::new("unshare").args(["-r", "-m"]).arg(exe).args(["--exact", test]).env(INSIDE, "1").status();
    assert!(ran.expect("the command unshare").success(), "the test failed in its name space");
}

/// Every way to damage every file: never a panic, always told as damage or no harm at all, and
/// rebuilding heals it.
#[test]
fn damage_is_told_and_healed() {
    let root = tree(60);
    let whole = TempDir::new().expect("folder");
    mount(&open(whole.path()), root.path());
    let folder = only_index(whole.path());
    let files: Vec<String> = fs::read_dir(&folder)
        .expect("listed")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.contains("lock") && !name.ends_with(".pid"))
        .collect();
    type Hurt = (&'static str, fn(&Path));
    let hurts: [Hurt; 4] = [
        ("gone", |file| fs::remove_file(file).expect("removed")),
        ("empty", |file| fs::write(file, "").expect("emptied")),
        ("cut", |file| {
            let bytes = fs::read(file).expect("read");
            fs::write(file, &bytes[..bytes.len() / 2]).expect("cut");
        }),
        ("garbled", |file| {
            let mut bytes = fs::read(file).expect("read");
            let middle = bytes.len() / 2;
            bytes.iter_mut().skip(middle / 2).take(middle.max(1)).for_each(|byte| *byte ^= 0x5A);
            fs::write(file, bytes).expect("garbled");
        }),
    ];
    let mut told = 0;
    for name in &files {
        for (how, hurt) in hurts {
            let index = TempDir::new().expect("folder");
            let copy = index.path().join(folder.file_name().expect("a name"));
            fs::create_dir(&copy).expect("made");
            for entry in fs::read_dir(&folder).expect("listed").flatten() {
                fs::copy(entry.path(), copy.join(entry.file_name())).expect("copied");
            }
            hurt(&copy.join(name));
            let disk = open(index.path());
            let what = format!("{name} {how}");
            let results = [
                disk.search("walrus", &[], 5).err(),
                disk.mounts().err(),
                try_mount(&disk, root.path(), &MountOptions::default()).err(),
            ];
            let errors: Vec<DiskError> = results.into_iter().flatten().collect();
            assert!(
                errors.iter().all(|error| matches!(error, DiskError::Damaged { .. })),
                "{what}: {errors:?}"
            );
            told += usize::from(!errors.is_empty());
            if name.starts_with("files.")
                || name == "meta.json"
                || name.ends_with(".store")
                || name.ends_with(".term")
            {
                assert!(!errors.is_empty(), "{what} was not told");
            }
            let report = try_mount(&disk, root.path(), &MountOptions { hidden: false, rebuild: true });
            let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((report.files, report.read), (60, 60), "{what}");
            assert!(!search(&disk, "walrus").is_empty(), "{what}");
        }
    }
    assert!(told > files.len(), "{told} of {} files", files.len());
}

#[test]
fn damaged_indexes_can_be_removed_without_their_folder() {
    let (root, other) = (tree(5), tree(3));
    let index = TempDir::new().expect("folder");
    mount(&open(index.path()), root.path());
    let folder = only_index(index.path());
    mount(&open(index.path()), other.path());
    fs::write(folder.join("meta.json"), "{").expect("garbled");
    fs::remove_file(folder.join("root")).expect("removed");
    let disk = open(index.path());
    assert!(matches!(disk.mounts(), Err(DiskError::Damaged { .. })));
    let roots = [path(other.path()).to_owned()];
    assert!(!disk.search("walrus", &roots, 5).expect("the other one").is_empty());
    assert_eq!(disk.check().expect("checked").iter().filter(|(_, sound)| sound.is_err()).count(), 1);
    assert_eq!(disk.remove_damaged().expect("removed").len(), 1);
    assert_eq!(disk.mounts().expect("mounts").len(), 1);
}

#[test]
fn what_a_dead_writer_left_is_swept_away() {
    let root = tree(5);
    let index = TempDir::new().expect("folder");
    mount(&open(index.path()), root.path());
    let folder = only_index(index.path());
    let stray = folder.join("00000000000000000000000000000000.store");
    fs::write(&stray, "left behind").expect("written");
    let table = folder.join("files.0");
    fs::OpenOptions::new()
        .append(true)
        .open(&table)
        .and_then(|mut file| file.write_all(b"torn"))
        .expect("appended");
    write(root.path(), "new.txt", "kangaroo");
    let disk = open(index.path());
    assert_eq!(mount(&disk, root.path()).read, 1);
    assert!(!stray.exists());
    assert_eq!(names(&open(index.path()), "kangaroo"), ["new.txt"]);
    assert_eq!(mount(&open(index.path()), root.path()).read, 0);
}

#[test]
fn the_table_does_not_grow_for_ever() {
    let root = TempDir::new().expect("folder");
    let index = TempDir::new().expect("folder");
    for number in 0..600 {
        write(root.path(), &format!("{number}.txt"), "walrus");
    }
    let size = || -> u64 {
        let tables = fs::read_dir(only_index(index.path())).expect("listed").flatten();
        let tables = tables.filter(|entry| entry.file_name().to_string_lossy().starts_with("files."));
        tables.map(|entry| entry.metadata().expect("size").len()).sum()
    };
    mount(&open(index.path()), root.path());
    let first = size();
    for round in 0..6 {
        for number in 0..600 {
            write(root.path(), &format!("{number}.txt"), format!("walrus {round}"));
        }
        assert_eq!(mount(&open(index.path()), root.path()).read, 600);
    }
    assert!(size() < first * 4, "{} bytes after {first}", size());
    let report = mount(&open(index.path()), root.path());
    assert_eq!((report.read, report.files, report.pages), (0, 600, 600));
}

#[cfg(unix)]
#[test]
fn a_huge_file_is_never_read() {
    let root = TempDir::new().expect("folder");
    let index = TempDir::new().expect("folder");
    let file = fs::File::create(root.path().join("huge.txt")).expect("made");
    file.set_len(1 << 30).expect("a hole of 1 GB");
    let start = Instant::now();
    let report = mount(&open(index.path()), root.path());
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!((report.read, report.bytes, report.examples.len()), (0, 0, 1));
}
