//! No path reaches outside of the granted folders, whatever it is made of.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use files::disk::Disk;
use files::edit::edit;
use files::native::Native;
use files::path::{Last, locate, parse};
use files::read::read;
use files::search::search;
use files::shift::{move_to, remove};
use files::walk::{find, list};
use files::write::{Mode, write};
use proptest::prelude::*;
use tempfile::TempDir;

/// What must never be seen or changed.
const OUTSIDE: &str = "OUTSIDE";

/// A granted folder `in` with links of all kinds, and a folder `out` beside it.
fn scene() -> (TempDir, Native) {
    let dir = tempfile::tempdir().expect("a folder");
    let (inner, outer) = (dir.path().join("in"), dir.path().join("out"));
    fs::create_dir_all(inner.join("sub/deep")).expect("folders");
    fs::create_dir_all(&outer).expect("a folder");
    fs::write(outer.join("secret.txt"), OUTSIDE).expect("a file");
    fs::write(inner.join("a.txt"), "inside").expect("a file");
    fs::write(inner.join(".env"), OUTSIDE).expect("a file");
    for (target, name) in [
        ("../out", "out"),
        ("../out/secret.txt", "secret.txt"),
        ("..", "up"),
        (".", "self"),
        ("loop", "loop"),
        ("sub/../../out", "round"),
        (".env", "plain.txt"),
        ("a.txt", "good.txt"),
        ("sub", "good"),
    ] {
        symlink(target, inner.join(name)).expect("a link");
    }
    symlink(&outer, inner.join("absolute")).expect("a link");
    symlink("../../../out", inner.join("sub/deep/out")).expect("a link");
    let disk = Native::new(&[inner]).expect("the folder is there");
    (dir, disk)
}

/// All that is outside, as text.
fn snapshot(dir: &Path) -> String {
    let mut names: Vec<_> =
        fs::read_dir(dir).expect("a folder").flatten().map(|entry| entry.path()).collect();
    names.extend(fs::read_dir(dir.join("out")).expect("a folder").flatten().map(|entry| entry.path()));
    names.sort();
    let content = fs::read_to_string(dir.join("out/secret.txt")).expect("it is still there");
    format!("{names:?} {content}")
}

#[test]
fn known_tricks_are_refused() {
    let (dir, disk) = scene();
    let inside = dir.path().canonicalize().unwrap().join("in");
    let inside = inside.to_str().unwrap();
    for path in [
        "../out/secret.txt",
        "sub/../../out/secret.txt",
        "sub/../..",
        "/etc/passwd",
        "/",
        "//etc/passwd",
        "out/secret.txt",
        "secret.txt",
        "absolute/secret.txt",
        "up/out/secret.txt",
        "round/secret.txt",
        "self/self/up/out/secret.txt",
        "sub/deep/out/secret.txt",
        "loop",
        "loop/x",
        "plain.txt",
        ".env",
        "self/.env",
        "~/x",
        "a\0b",
        &format!("{inside}/../out/secret.txt"),
        &format!("{inside}-not/x"),
        &format!("{inside}/../in-not/x"),
        &"a/".repeat(3_000),
        &"a/".repeat(200),
    ] {
        let error = read(&disk, path, None, None).expect_err(path);
        assert!(!error.contains(OUTSIDE), "{path}: {error}");
        assert!(write(&disk, path, "x", Mode::Replace).is_err(), "{path}");
        assert!(edit(&disk, path, OUTSIDE, "x", true).is_err(), "{path}");
    }
    assert_eq!(read(&disk, "good.txt", None, None).as_deref(), Ok("inside"));
    assert_eq!(read(&disk, "self/good/../a.txt", None, None).as_deref(), Ok("inside"));
    assert_eq!(read(&disk, &format!("{inside}//./sub/../a.txt"), None, None).as_deref(), Ok("inside"));
    write(&disk, "good.txt", "new", Mode::Replace).unwrap();
    assert!(fs::symlink_metadata(Path::new(inside).join("good.txt")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(Path::new(inside).join("a.txt")).unwrap(), "new");
    remove(&disk, "out").unwrap();
    assert!(dir.path().join("out/secret.txt").exists(), "only the link is removed");
}

#[test]
fn the_longest_granted_folder_holds_a_path() {
    let roots = ["/a".to_owned(), "/a/b".to_owned(), "/c/".to_owned()];
    for (path, root, inside) in [
        ("/a/x", 0, "x"),
        ("/a/b/x", 1, "x"),
        ("/a/bc", 0, "bc"),
        ("/a/b", 1, ""),
        ("/a/b/../x", 0, "x"),
        ("/c", 2, ""),
        ("/c/./y//z/", 2, "y/z"),
    ] {
        let place = parse(path, &roots).expect(path);
        assert_eq!((place.root(), place.inside()), (root, inside), "{path}");
    }
    assert_eq!(parse("/c/y", &roots).unwrap().to_string(), "/c/y");
    let drive = [r"C:\Users\me".to_owned()];
    for path in [r"c:\users\ME\a\b.txt", "C:/Users/me/a/b.txt", r"a\b.txt", r"x\..\a/b.txt"] {
        assert_eq!(parse(path, &drive).expect(path).inside(), "a/b.txt", "{path}");
    }
    for path in [r"C:\Users", r"..\x", r"D:\Users\me\a", r"\\server\x", "/Users/me"] {
        parse(path, &drive).expect_err(path);
    }
}

fn tricky() -> impl Strategy<Value = String> {
    let parts = vec![
        "..",
        ".",
        "",
        "in",
        "out",
        "sub",
        "deep",
        "up",
        "self",
        "round",
        "absolute",
        "loop",
        "secret.txt",
        "a.txt",
        ".env",
        "plain.txt",
        "good",
        "good.txt",
        "new",
        "~",
        "\\",
        "..\\..",
        "%2e%2e",
        "\u{202e}",
    ];
    let path = prop::collection::vec(prop::sample::select(parts), 0..7).prop_map(|parts| parts.join("/"));
    prop_oneof![
        6 => path.clone(),
        3 => path.prop_map(|path| format!("ROOT/{path}")),
        1 => any::<String>(),
        1 => any::<String>().prop_map(|path| format!("ROOT/{path}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_path_reads_or_changes_what_is_outside(one in tricky(), two in tricky()) {
        let (dir, disk) = scene();
        let before = snapshot(dir.path());
        let root = disk.roots().concat();
        let (one, two) = (one.replace("ROOT", &root), two.replace("ROOT", &root));
        let texts = [
            list(&disk, &one, true),
            read(&disk, &one, None, Some(5)),
            find(&disk, &one, &two),
            search(&disk, &one, "outside", false),
            edit(&disk, &one, "OUT", "in", true),
            move_to(&disk, &one, &two),
            write(&disk, &one, "x", Mode::Append),
            write(&disk, &two, "x", Mode::Replace),
            remove(&disk, &one),
        ];
        for text in &texts[..4] {
            prop_assert!(!text.as_deref().unwrap_or_default().contains(OUTSIDE), "{one:?}: {text:?}");
        }
        prop_assert_eq!(snapshot(dir.path()), before, "{:?} {:?} {:?}", one, two, texts);
        let hidden = dir.path().join("in/.env");
        prop_assert_eq!(fs::read_to_string(hidden).expect("it is still there"), OUTSIDE);
    }

    #[test]
    fn a_place_has_no_dots_and_no_links(path in tricky()) {
        let (_dir, disk) = scene();
        let path = path.replace("ROOT", &disk.roots().concat());
        for last in [Last::Follow, Last::Keep] {
            if let Ok(place) = locate(&disk, &path, last) {
                prop_assert!(place.parts().all(|part| part != ".." && part != "."));
                let above = place.parent().unwrap_or_else(|| place.clone());
                if let Ok(real) = fs::canonicalize(above.to_string()) {
                    prop_assert!(real.starts_with(disk.roots().concat()), "{path:?} {real:?}");
                }
            }
        }
    }

    #[test]
    fn no_pattern_or_text_panics(pattern in any::<String>(), text in any::<Vec<u8>>(), line in any::<u32>()) {
        let (dir, disk) = scene();
        fs::write(dir.path().join("in/x.txt"), &text).expect("a file");
        for is_regex in [true, false] {
            // What they return is not of interest here.
            drop(search(&disk, ".", &pattern, is_regex));
        }
        drop(find(&disk, ".", &pattern));
        drop(read(&disk, "x.txt", Some(line), None));
        drop(edit(&disk, "x.txt", &pattern, "y", true));
    }
}
