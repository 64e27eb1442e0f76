//! The tools on folders of this machine: what they return, what they change, and their bounds.

use std::fs;
use std::path::Path;

use files::edit::{edit, edit_preview};
use files::native::Native;
use files::read::read;
use files::search::{MAX_MATCHES, search};
use files::shift::{move_preview, move_to, remove, remove_preview};
use files::walk::{MAX_FOUND, MAX_LISTED, find, list};
use files::write::{Mode, write, write_preview};
use tempfile::TempDir;

fn granted(entries: &[(&str, &str)]) -> (TempDir, Native, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let root = dir.path().canonicalize().expect("its path");
    for (name, content) in entries {
        put(&root, name, content.as_bytes());
    }
    let disk = Native::new(std::slice::from_ref(&root)).expect("the folder is there");
    let name = root.to_str().expect("Unicode").to_owned();
    (dir, disk, name)
}

fn put(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(path, content).expect("a file");
}

fn refuses(result: Result<String, String>, part: &str) {
    let error = result.expect_err(part);
    assert!(error.contains(part), "{part}: {error}");
}

#[test]
fn list_shows_names_kinds_and_sizes() {
    let entries =
        [("b/c.txt", "123"), ("a.md", "x"), (".env", "KEY=1"), (".git/config", ""), ("id_rsa", "k")];
    let (_dir, disk, root) = granted(&entries);
    let left_alone = "[3 hidden or secret entries left alone]";
    assert_eq!(list(&disk, ".", false), Ok(format!("{root}:\na.md 1 B\nb/\n{left_alone}")));
    assert_eq!(list(&disk, &root, true), Ok(format!("{root}:\na.md 1 B\nb/\nb/c.txt 3 B\n{left_alone}")));
    assert_eq!(list(&disk, "b", false), Ok(format!("{root}/b:\nc.txt 3 B")));
    assert_eq!(list(&disk, "a.md", false), Ok(format!("{root}/a.md is a file of 1 B; use read")));
    refuses(list(&disk, "nowhere", false), "there is no such file or folder");
}

#[test]
fn several_granted_folders_need_absolute_paths() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    put(one.path(), "a.txt", b"one");
    let disk = Native::new(&[one.path().into(), two.path().into()]).unwrap();
    let root = one.path().canonicalize().unwrap();
    assert!(list(&disk, ".", false).unwrap().contains(root.to_str().unwrap()));
    assert_eq!(read(&disk, root.join("a.txt").to_str().unwrap(), None, None).as_deref(), Ok("one"));
    refuses(read(&disk, "a.txt", None, None), root.to_str().unwrap());
    refuses(read(&Native::default(), "a.txt", None, None), "no folder is granted");
}

#[test]
fn long_lists_say_that_they_are_cut() {
    let (dir, disk, root) = granted(&[]);
    for n in 0..MAX_LISTED + 1 {
        put(dir.path(), &format!("f{n:04}.txt"), b"needle");
    }
    let shown = list(&disk, &root, false).unwrap();
    assert_eq!(shown.lines().count(), MAX_LISTED + 2);
    assert!(shown.ends_with("or use find]"), "{shown}");
    let found = find(&disk, &root, "*.txt").unwrap();
    assert_eq!(found.lines().count(), MAX_FOUND + 1);
    let matched = search(&disk, &root, "needle", false).unwrap();
    assert_eq!(matched.lines().count(), MAX_MATCHES + 1);
    assert!(matched.contains("[cut: at most 100 lines"), "{matched}");
}

#[test]
fn read_gives_text_and_says_how_to_go_on() {
    let long: String = (1..=20_000).map(|n| format!("line {n}\n")).collect();
    let (dir, disk, root) = granted(&[("a.txt", "one\r\ntwo\nthree"), ("long.txt", &long), ("empty", "")]);
    assert_eq!(read(&disk, "a.txt", None, None).as_deref(), Ok("one\ntwo\nthree"));
    assert_eq!(read(&disk, "a.txt", Some(2), None).as_deref(), Ok("two\nthree\n[lines 2 to 3, the last]"));
    let part = read(&disk, "a.txt", Some(0), Some(1)).unwrap();
    assert_eq!(part, "one\n[lines 1 to 1 of 3, 14 B; go on with first-line 2]");
    assert_eq!(read(&disk, "empty", None, None).as_deref(), Ok("[the file is empty]"));
    refuses(read(&disk, "a.txt", Some(4), None), "only 3 lines");
    refuses(read(&disk, "a.txt", Some(3), Some(2)), "before first-line");
    refuses(read(&disk, &root, None, None), "use list");
    let shown = read(&disk, "long.txt", None, None).unwrap();
    let last = shown.lines().count() - 1;
    assert!(shown.len() < 61_000);
    assert!(shown.contains(&format!("[lines 1 to {last} of 20000,")), "{last}");
    assert!(shown.ends_with(&format!("go on with first-line {}]", last + 1)));
    put(dir.path(), "wide.txt", "ü".repeat(100_000).as_bytes());
    assert!(read(&disk, "wide.txt", None, None).unwrap().contains("[line 1 is longer than"));
    put(dir.path(), "a.png", b"\x89PNG\r\n\x1a\n\0\0");
    refuses(read(&disk, "a.png", None, None), "a PNG picture of 10 B");
    put(dir.path(), "old.txt", b"gr\xfcn");
    assert_eq!(read(&disk, "old.txt", None, None).unwrap().lines().next(), Some("gr\u{fffd}n"));
}

#[test]
fn find_and_search_walk_over_what_is_shown() {
    let entries =
        [("src/main.rs", "fn main() {}\n// TODO: Ünder\n"), ("src/x/test_a.py", "todo"), (".env", "todo")];
    let (dir, disk, root) = granted(&entries);
    put(dir.path(), "data.bin", b"todo\0");
    assert_eq!(
        find(&disk, ".", "*.rs"),
        Ok(format!("{root}/src/main.rs\n[1 hidden or secret entry left alone]"))
    );
    assert_eq!(find(&disk, "src", "**/test_*"), Ok(format!("{root}/src/x/test_a.py")));
    assert!(find(&disk, "src", "nothing").unwrap().starts_with("no file below"));
    let found = search(&disk, ".", "todo", false).unwrap();
    assert_eq!(
        found,
        format!(
            "{root}/src/main.rs:2: // TODO: Ünder\n{root}/src/x/test_a.py:1: todo\n\
             [1 file passed over: no text, or not readable]\n[1 hidden or secret entry left alone]"
        )
    );
    assert_eq!(search(&disk, "src", "TODO", false), Ok(format!("{root}/src/main.rs:2: // TODO: Ünder")));
    assert_eq!(
        search(&disk, "src/main.rs", r"fn \w+\(", true),
        Ok(format!("{root}/src/main.rs:1: fn main() {{}}"))
    );
    assert_eq!(search(&disk, "src", "main()", false), Ok(format!("{root}/src/main.rs:1: fn main() {{}}")));
    assert!(search(&disk, "src", "absent", false).unwrap().contains("(2 files searched)"));
    refuses(search(&disk, "src", "(", true), "is no regular expression");
    refuses(search(&disk, "src", &"(".repeat(900), true), "is no regular expression");
    refuses(search(&disk, "src", "a\nb", false), "line break");
}

#[test]
fn write_makes_replaces_and_adds() {
    let (dir, disk, root) = granted(&[]);
    let now = || fs::read_to_string(dir.path().join("x/y/a.txt")).unwrap();
    let preview = write_preview(&disk, "x/y/a.txt", "one\n", Mode::Create).unwrap();
    assert_eq!(preview, format!("--- /dev/null\n+++ {root}/x/y/a.txt\n@@ -0,0 +1 @@\n+one"));
    assert!(!dir.path().join("x").exists());
    let made = write(&disk, "x/y/a.txt", "one\n", Mode::Create).unwrap();
    assert_eq!(made, format!("made {root}/x/y/a.txt: 1 line, 4 B"));
    refuses(write(&disk, "x/y/a.txt", "two", Mode::Create), "is there already");
    write(&disk, "x/y/a.txt", "two", Mode::Replace).unwrap();
    assert_eq!(now(), "two");
    let preview = write_preview(&disk, "x/y/a.txt", "three\n", Mode::Append).unwrap();
    assert!(
        preview.ends_with("@@ -1 +1,2 @@\n-two\n\\ No newline at end of file\n+two\n+three"),
        "{preview}"
    );
    write(&disk, "x/y/a.txt", "three\n", Mode::Append).unwrap();
    assert_eq!(now(), "two\nthree\n");
    assert_eq!(fs::read_dir(dir.path().join("x/y")).unwrap().count(), 1, "no temporary file is left");
    refuses(write(&disk, "x", "a", Mode::Replace), "is a folder");
    refuses(write(&disk, "x/y/a.txt/b", "a", Mode::Create), "is a file, not a folder");
    refuses(write(&disk, ".env", "a", Mode::Create), "keys or passwords");
    refuses(write(&disk, "b.txt", &"x".repeat(5 << 20), Mode::Create), "at most 4.0 MiB");
    put(dir.path(), "a.bin", b"\0");
    let preview = write_preview(&disk, "a.bin", "text", Mode::Replace).unwrap();
    assert_eq!(preview, format!("would replace {root}/a.bin (binary data of 1 B) by 1 line"));
}

#[test]
fn edit_replaces_exactly_and_shows_the_difference() {
    let (dir, disk, root) = granted(&[("a.txt", "one\ntwo\nthree\ntwo\n"), ("dos.txt", "one\r\ntwo\r\n")]);
    let now = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    refuses(edit(&disk, "a.txt", "two", "2", false), "2 times, on the lines 2, 4");
    refuses(edit(&disk, "a.txt", "thre\n", "3", false), "the nearest is line 3: `three`");
    refuses(edit(&disk, "a.txt", "", "3", false), "old is empty");
    refuses(edit(&disk, "a.txt", "two", "two", true), "nothing would change");
    refuses(edit(&disk, "b.txt", "two", "2", true), "there is no");
    let expected =
        format!("--- {root}/a.txt\n+++ {root}/a.txt\n@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n-two\n+2");
    assert_eq!(edit_preview(&disk, "a.txt", "two", "2", true).as_ref(), Ok(&expected));
    assert_eq!(now("a.txt"), "one\ntwo\nthree\ntwo\n");
    assert_eq!(edit(&disk, "a.txt", "two", "2", true).as_ref(), Ok(&expected));
    assert_eq!(now("a.txt"), "one\n2\nthree\n2\n");
    edit(&disk, "dos.txt", "one\ntwo\n", "1\n2\n", false).unwrap();
    assert_eq!(now("dos.txt"), "1\r\n2\r\n");
}

#[test]
fn move_and_remove_never_lose_what_was_not_named() {
    let (dir, disk, root) = granted(&[("a.txt", "a"), ("b.txt", "b"), ("d/.keep", ""), ("e/c.txt", "")]);
    refuses(move_to(&disk, "a.txt", "b.txt"), "is not overwritten");
    refuses(move_to(&disk, "d", "d/in/it"), "into itself");
    refuses(move_to(&disk, ".", "x"), "cannot be moved");
    let preview = move_preview(&disk, "a.txt", "new/c.txt").unwrap();
    assert_eq!(preview, format!("would move {root}/a.txt (a file of 1 B) to {root}/new/c.txt"));
    assert!(!dir.path().join("new").exists());
    assert_eq!(move_to(&disk, "a.txt", "new/c.txt"), Ok(format!("moved {root}/a.txt to {root}/new/c.txt")));
    assert_eq!(move_to(&disk, "b.txt", "new"), Ok(format!("moved {root}/b.txt to {root}/new/b.txt")));
    refuses(remove(&disk, "new"), "holds 2 entries; only empty folders");
    refuses(remove(&disk, "d"), "1 entry, 1 of them hidden");
    refuses(remove(&disk, &root), "cannot be removed");
    let preview = remove_preview(&disk, "e/c.txt").unwrap();
    assert_eq!(preview, format!("would remove {root}/e/c.txt (a file of 0 B) for good"));
    assert!(dir.path().join("e/c.txt").exists());
    remove(&disk, "e/c.txt").unwrap();
    remove(&disk, "e").unwrap();
    assert!(!dir.path().join("e").exists());
}
