//! Files: what was granted is a folder, and nothing leads out of it.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::Rig;

struct Place {
    _folder: tempfile::TempDir,
    granted: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("its path");
        let (granted, outside) = (root.join("granted"), root.join("outside"));
        let write = |path: &PathBuf, text: &str| fs::write(path, text).expect("a file");
        fs::create_dir_all(granted.join("sub")).expect("a folder");
        fs::create_dir(&outside).expect("a folder");
        write(&granted.join("a.txt"), "mine a");
        write(&granted.join("sub/b.txt"), "mine b");
        write(&outside.join("secret.txt"), "SECRET");
        for (to, name) in [
            (outside.join("secret.txt"), "link"),
            (PathBuf::from("../outside/secret.txt"), "relative"),
            (outside.clone(), "folder"),
            (PathBuf::from("/etc/passwd"), "passwd"),
            (PathBuf::from("/proc/self/environ"), "environ"),
            (PathBuf::from("a.txt"), "inner"),
        ] {
            std::os::unix::fs::symlink(to, granted.join(name)).expect("a link");
        }
        Self { _folder: folder, granted, outside }
    }

    fn rig(&self, kind: &str) -> Rig {
        Rig::new(&[&format!("{kind}:{}", self.granted.display())])
    }

    fn secret(&self) -> String {
        fs::read_to_string(self.outside.join("secret.txt")).expect("the secret is there")
    }
}

fn read(path: &str) -> Value {
    json!({ "folder": 0, "path": path, "follow": true })
}

#[test]
fn without_a_grant_there_is_no_folder() {
    let rig = Rig::new(&[]);
    rig.gives("folders", json!({}), json!([]));
    rig.fails("read", read("a.txt"), "there are 0 folders");
}

#[test]
fn what_lies_in_the_folder_is_read() {
    let place = Place::new();
    let rig = place.rig("read");
    rig.gives("folders", json!({}), json!([place.granted]));
    for (path, text) in [
        ("a.txt", "mine a"),
        ("./a.txt", "mine a"),
        ("sub/../a.txt", "mine a"),
        ("sub/b.txt", "mine b"),
        ("inner", "mine a"),
    ] {
        rig.gives("read", read(path), json!(text));
    }
    rig.fails("read", json!({ "folder": 1, "path": "a.txt", "follow": true }), "there are 1 folders");
}

#[test]
fn no_path_leads_out() {
    let place = Place::new();
    for kind in ["read", "write"] {
        let rig = place.rig(kind);
        let outside = place.outside.join("secret.txt").display().to_string();
        let long = "../".repeat(2_000) + "etc/passwd";
        for path in [
            "../outside/secret.txt",
            "sub/../../outside/secret.txt",
            "sub/./.././../outside/secret.txt",
            &outside,
            "/etc/passwd",
            "//etc/passwd",
            "/proc/self/environ",
            "..",
            "../granted/../outside/secret.txt",
            "link",
            "relative",
            "folder/secret.txt",
            "folder/../secret.txt",
            "passwd",
            "environ",
            "..\\outside\\secret.txt",
            "a.txt/../../outside/secret.txt",
            "a.txt\u{0}/../../outside/secret.txt",
            "",
            "A.TXT",
            &long,
        ] {
            for follow in [true, false] {
                let tried = json!({ "folder": 0, "path": path, "follow": follow });
                let given = rig.call("read", tried);
                assert!(given.is_err(), "{path} gave {given:?}");
            }
        }
        for path in ["..", "folder", "/", "sub/../..", "../outside"] {
            let given = rig.call("names", json!({ "folder": 0, "path": path }));
            assert!(given.is_err(), "{path} gave {given:?}");
        }
    }
}

#[test]
fn a_folder_to_be_read_is_not_changed() {
    let place = Place::new();
    let rig = place.rig("read");
    for path in ["a.txt", "new.txt", "sub/new.txt", "inner"] {
        rig.fails("write", json!({ "folder": 0, "path": path, "content": "x" }), "");
    }
    rig.fails("remove", json!({ "folder": 0, "path": "a.txt" }), "");
    rig.fails("rename", json!({ "folder": 0, "from": "a.txt", "to": "z.txt" }), "");
    for symbolic in [true, false] {
        rig.fails("link", json!({ "folder": 0, "from": "a.txt", "to": "z", "symbolic": symbolic }), "");
    }
    assert_eq!(fs::read_to_string(place.granted.join("a.txt")).unwrap(), "mine a");
    assert!(!place.granted.join("new.txt").exists() && !place.granted.join("z").exists());
}

#[test]
fn a_folder_to_be_written_is_all_that_is_written() {
    let place = Place::new();
    let rig = place.rig("write");
    rig.gives("write", json!({ "folder": 0, "path": "new.txt", "content": "x" }), Value::Null);
    for path in ["../new.txt", "link", "relative", "folder/new.txt", "/tmp/new.txt", "sub/../../new.txt"] {
        rig.fails("write", json!({ "folder": 0, "path": path, "content": "x" }), "");
    }
    for (from, to) in [("a.txt", "../a.txt"), ("../outside/secret.txt", "s"), ("folder/secret.txt", "s")] {
        rig.fails("rename", json!({ "folder": 0, "from": from, "to": to }), "");
        rig.fails("link", json!({ "folder": 0, "from": from, "to": to, "symbolic": false }), "");
    }
    rig.fails("remove", json!({ "folder": 0, "path": "folder/secret.txt" }), "");
    rig.fails("remove", json!({ "folder": 0, "path": "../outside/secret.txt" }), "");
    // A link that it makes itself leads nowhere either.
    for (at, to) in ["/etc/passwd", "../outside/secret.txt", "../outside"].into_iter().enumerate() {
        let name = format!("made{at}");
        let _ = rig.call("link", json!({ "folder": 0, "from": to, "to": name, "symbolic": true }));
        assert!(rig.call("read", read(&name)).is_err(), "{to}");
        assert!(rig.call("read", read(&format!("{name}/secret.txt"))).is_err(), "{to}");
    }
    assert_eq!(place.secret(), "SECRET");
    assert_eq!(fs::read_dir(&place.outside).unwrap().count(), 1);
}

/// Swaps a name between two things while the guest reads.
fn swapped(place: &Place, name: &str, path: &str, mine: &(dyn Fn(&PathBuf) + Sync), other: &PathBuf) {
    let rig = place.rig("read");
    let done = AtomicBool::new(false);
    let (good, bad, at) = (place.granted.join("good"), place.granted.join("bad"), place.granted.join(name));
    std::thread::scope(|threads| {
        let swapping = threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                mine(&good);
                fs::rename(&good, &at).ok();
                fs::remove_file(&bad).ok();
                std::os::unix::fs::symlink(other, &bad).ok();
                fs::remove_file(&at).or_else(|_| fs::remove_dir_all(&at)).ok();
                fs::rename(&bad, &at).ok();
                fs::remove_file(&at).ok();
            }
        });
        let tried = json!({ "folder": 0, "path": path, "allowed": "mine", "times": 20_000 });
        let seen = rig.call("watch", tried);
        done.store(true, Ordering::Relaxed);
        swapping.join().expect("the swapping thread ends");
        // That it read its own at times shows that the other was there at other times.
        let seen = seen.expect("it read what lies outside");
        assert!((1..20_000).contains(&seen.as_u64().unwrap_or(0)), "it was not swapped: {seen}");
    });
}

#[test]
fn a_link_that_takes_a_files_place_during_the_call_is_not_followed_out() {
    let place = Place::new();
    let secret = place.outside.join("secret.txt");
    let mine = |path: &PathBuf| drop(fs::write(path, "mine"));
    swapped(&place, "swap.txt", "swap.txt", &mine, &secret);
}

#[test]
fn a_link_that_takes_a_folders_place_during_the_call_is_not_followed_out() {
    let place = Place::new();
    let mine = |path: &PathBuf| {
        fs::create_dir(path).ok();
        drop(fs::write(path.join("secret.txt"), "mine"));
    };
    swapped(&place, "swap", "swap/secret.txt", &mine, &place.outside);
}

#[test]
fn the_whole_disk_and_the_systems_own_folders_cannot_be_granted() {
    for right in
        ["read:/", "write:/", "read:/proc", "read:/proc/self", "read:/dev", "write:/sys", "read:/a/../.."]
    {
        assert!(right.parse::<lucid_tools::rights::Right>().is_err(), "{right}");
    }
}
