//! What every disk promises, checked on both.

mod common;

use std::fs;
use std::path::Path;

use common::{mount, names, path, search, skipped, try_mount, write};
use lucid_disk::{Limits, RamDisk, TantivyDisk};
use lucid_kernel::port::{CancelFlag, Disk, DiskError, MountOptions, Skip};
use tempfile::TempDir;

/// Runs a check on both disks, each with a fresh folder to mount.
fn on_both(check: impl Fn(&dyn Disk, &Path)) {
    on_both_with(Limits::default(), check);
}

fn on_both_with(limits: Limits, check: impl Fn(&dyn Disk, &Path)) {
    let root = TempDir::new().expect("folder");
    check(&RamDisk::new(limits.clone()), &root.path().canonicalize().expect("path"));
    let (root, index) = (TempDir::new().expect("folder"), TempDir::new().expect("folder"));
    let disk = TantivyDisk::open(index.path(), limits).expect("opened");
    check(&disk, &root.path().canonicalize().expect("path"));
}

#[test]
fn a_page_is_found_and_is_what_the_file_holds() {
    on_both(|disk, root| {
        let filler = "Nothing of interest stands in this line of text.\n".repeat(40);
        let text = format!("# Guide\n\n{filler}\n## Install\n\nRun the zebra installer first.\n\n{filler}");
        write(root, "docs/guide.md", &text);
        let report = mount(disk, root);
        assert_eq!((report.files, report.read, report.bytes), (1, 1, text.len() as u64));
        assert!(report.pages > 4 && !report.cancelled && report.root == path(root), "{report:?}");
        let hits = search(disk, "How do I install with the zebras?");
        let hit = &hits[0];
        assert_eq!(hit.heading, "Guide > Install");
        assert_eq!(&*hit.range.path, path(&root.join("docs/guide.md")));
        assert!(hit.text.contains("zebra installer"));
        check_hit(hit);
        assert!(hits.iter().all(|hit| hit.score > 0.0));
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
    });
}

/// Lines and bytes of a UTF-8 file hold exactly the hit's text.
fn check_hit(hit: &lucid_kernel::port::Hit) {
    let bytes = fs::read(&*hit.range.path).expect("the file");
    let (start, end) = hit.range.bytes;
    assert_eq!(&bytes[start as usize..end as usize], hit.text.as_bytes());
    let file = String::from_utf8(bytes).expect("UTF-8");
    let (first, last) = hit.range.lines;
    let lines: Vec<&str> = file.split_inclusive('\n').collect();
    let lines = lines[first as usize - 1..last as usize].concat();
    assert!(lines.contains(&hit.text), "lines {first}-{last}");
}

#[test]
fn every_page_of_real_text_is_where_it_says() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    on_both(|disk, _| {
        mount(disk, &source);
        for query in ["fn", "page", "tantivy index writer", "use std", "error"] {
            let hits = disk.search(query, &[], 500).expect("hits");
            assert!(!hits.is_empty(), "{query}");
            hits.iter().for_each(check_hit);
        }
    });
}

#[test]
fn an_unchanged_tree_is_not_read_again() {
    on_both(|disk, root| {
        for number in 0..20 {
            write(root, &format!("{number}.txt"), format!("file number {number}"));
        }
        write(root, "picture.bin", [0_u8; 64]);
        assert_eq!(mount(disk, root).read, 20);
        let again = mount(disk, root);
        assert_eq!((again.read, again.bytes, again.files, again.removed), (0, 0, 20, 0));
        assert_eq!(skipped(&again, Skip::Binary), 1);
    });
}

#[test]
fn changes_are_followed() {
    on_both(|disk, root| {
        write(root, "a.txt", "an old walrus");
        write(root, "b.txt", "a steady lighthouse");
        write(root, "c.txt", "a short life");
        mount(disk, root);
        write(root, "a.txt", "a new penguin!");
        fs::remove_file(root.join("c.txt")).expect("removed");
        write(root, "d.txt", "an added kangaroo");
        let report = mount(disk, root);
        assert_eq!((report.read, report.removed, report.files, report.pages), (2, 1, 3, 3));
        for (query, found) in [
            ("walrus", None),
            ("penguin", Some("a.txt")),
            ("lighthouse", Some("b.txt")),
            ("life", None),
            ("kangaroo", Some("d.txt")),
        ] {
            assert_eq!(names(disk, query).first().map(String::as_str), found, "{query}");
        }
    });
}

#[test]
fn the_same_size_within_the_same_moment_is_still_a_change() {
    on_both(|disk, root| {
        for round in 0..5 {
            let word = ["alpha", "bravo", "gamma", "delta", "omega"][round];
            write(root, "a.txt", word);
            mount(disk, root);
            assert_eq!(names(disk, word), ["a.txt"], "{word}");
        }
    });
}

#[test]
fn a_text_that_becomes_binary_leaves_the_index() {
    on_both(|disk, root| {
        write(root, "a.txt", "a walrus");
        mount(disk, root);
        write(root, "a.txt", b"a walrus\0\0\0\0");
        let report = mount(disk, root);
        assert_eq!((report.files, report.removed, skipped(&report, Skip::Binary)), (0, 1, 1));
        assert!(search(disk, "walrus").is_empty());
    });
}

#[test]
fn what_may_not_be_read_is_counted() {
    let limits = Limits { file_bytes_max: 10_000, ..Limits::default() };
    on_both_with(limits, |disk, root| {
        write(root, "good.txt", "walrus");
        write(root, ".hidden", "walrus");
        write(root, ".config/settings", "walrus");
        write(root, ".env", "PASSWORD=walrus");
        write(root, ".env.local", "PASSWORD=walrus");
        write(root, "id_rsa", "walrus");
        write(root, "server.pem", "walrus");
        write(root, ".ssh/known", "walrus");
        write(root, ".git/HEAD", "walrus");
        write(root, "large.txt", "walrus ".repeat(2_000));
        write(root, "picture.png", b"\x89PNG\r\n\x1a\n\0\0\0walrus");
        write(root, "empty.txt", "");
        let report = mount(disk, root);
        let counts = [(Skip::Hidden, 2), (Skip::Secret, 5), (Skip::TooLarge, 1), (Skip::Binary, 1)];
        for (skip, count) in counts {
            assert_eq!(skipped(&report, skip), count, "{skip:?} in {report:?}");
        }
        assert_eq!(report.files, 2);
        assert_eq!(report.examples, [(Skip::TooLarge, path(&root.join("large.txt")).to_owned())]);
        assert_eq!(names(disk, "walrus"), ["good.txt"]);
        let all = MountOptions { hidden: true, rebuild: false };
        let report = try_mount(disk, root, &all).expect("mounted");
        assert_eq!(report.files, 9);
        assert!(!names(disk, "walrus").contains(&"HEAD".to_owned()));
        assert!(disk.mounts().expect("mounts")[0].options.hidden);
        assert_eq!(mount(disk, root).files, 2);
        assert_eq!(names(disk, "walrus"), ["good.txt"]);
    });
}

#[test]
fn ignore_files_hold_from_the_root_inwards() {
    on_both(|disk, root| {
        let files = [
            "a.log",
            "b.txt",
            "target/c.txt",
            "sub/d.log",
            "sub/e.txt",
            "sub/deep/f.txt",
            "sub/deep/keep.log",
            "sub/deep/skip.me",
            "other/deep/f.txt",
        ];
        for file in files {
            write(root, file, "walrus");
        }
        write(root, ".gitignore", "*.log\n/target/\n");
        write(root, "sub/.gitignore", "deep/f.txt\n");
        write(root, "sub/deep/.gitignore", "!keep.log\n");
        write(root, "sub/deep/.ignore", "*.me\n");
        let report = mount(disk, root);
        let mut found = names(disk, "walrus");
        found.sort();
        assert_eq!(found, ["b.txt", "e.txt", "f.txt", "keep.log"]);
        assert_eq!(skipped(&report, Skip::Ignored), 5);
    });
}

#[test]
fn a_repository_s_rules_hold_below_it() {
    on_both(|disk, root| {
        write(root, ".git/HEAD", "ref: refs/heads/main");
        write(root, ".git/info/exclude", "private.txt\n");
        write(root, ".gitignore", "/app/build/\n*.tmp\n");
        for file in ["app/build/a.txt", "app/b.txt", "app/c.tmp", "app/private.txt"] {
            write(root, file, "walrus");
        }
        mount(disk, &root.join("app"));
        assert_eq!(names(disk, "walrus"), ["b.txt"]);
    });
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    on_both(|disk, root| {
        let outside = TempDir::new().expect("folder");
        write(outside.path(), "outside.txt", "walrus");
        write(root, "inside.txt", "walrus");
        symlink(outside.path(), root.join("folder")).expect("link");
        symlink(outside.path().join("outside.txt"), root.join("file.txt")).expect("link");
        symlink(root, root.join("loop")).expect("link");
        let report = mount(disk, root);
        assert_eq!(report.files, 1);
        assert_eq!(names(disk, "walrus"), ["inside.txt"]);
    });
}

#[test]
fn encodings_and_their_places() {
    on_both(|disk, root| {
        let text = "première ligne\nun éléphant 😀 passe\n";
        let utf16 = |big: bool| {
            let mut bytes = if big { vec![0xFE, 0xFF] } else { vec![0xFF, 0xFE] };
            text.encode_utf16()
                .for_each(|unit| bytes.extend(if big { unit.to_be_bytes() } else { unit.to_le_bytes() }));
            bytes
        };
        write(root, "utf8.txt", text);
        write(root, "mark.txt", [b"\xEF\xBB\xBF", text.as_bytes()].concat());
        write(root, "le.txt", utf16(false));
        write(root, "be.txt", utf16(true));
        write(root, "latin.txt", b"premi\xE8re ligne\nun \xE9l\xE9phant passe\n");
        write(
            root,
            "faulty.txt",
            "une fenêtre, un éléphant \u{0}"
                .trim_end_matches('\0')
                .bytes()
                .chain(*b"\xFF!\n")
                .collect::<Vec<_>>(),
        );
        assert_eq!(mount(disk, root).files, 6);
        let hits = search(disk, "elephant");
        assert_eq!(hits.len(), 6);
        for hit in hits {
            let length = fs::metadata(&*hit.range.path).expect("file").len();
            let mark = if hit.range.path.ends_with("mark.txt") {
                3
            } else {
                2 * u64::from(hit.range.path.ends_with("e.txt"))
            };
            assert_eq!(hit.range.bytes, (mark, length), "{}", hit.range.path);
            let lines = if hit.range.path.ends_with("faulty.txt") { (1, 1) } else { (1, 2) };
            assert_eq!(hit.range.lines, lines, "{}", hit.range.path);
            assert!(hit.text.contains("éléphant"), "{}", hit.text);
        }
    });
}

#[test]
fn any_text_is_a_query() {
    on_both(|disk, root| {
        write(root, "a.txt", "to be or not to be; fn maxTokens() {} 한국어 문서를 찾는다 中文文档");
        mount(disk, root);
        for query in [
            "",
            " ",
            "(",
            "\"",
            "a AND",
            "body:x",
            "+-*?~^",
            "\0",
            "\u{FEFF}",
            "[a TO",
            "😀",
            &"x ".repeat(50_000),
        ] {
            disk.search(query, &[], 5).expect("a result");
        }
        for query in ["to be or not", "max_tokens", "tokens", "maxTokens", "문서", "한국어를", "文档", "中"]
        {
            assert_eq!(names(disk, query), ["a.txt"], "{query}");
        }
        assert!(disk.search("tokens", &[], 0).expect("none").is_empty());
    });
}

#[test]
fn names_and_headings_weigh_more() {
    on_both(|disk, root| {
        let filler = "Other words fill this page with nothing at all of any interest here.\n".repeat(9);
        write(root, "notes.md", format!("# Notes\n\n{filler}Once the parser was named.\n"));
        write(root, "parser.md", format!("# Words\n\n{filler}Once something was named.\n"));
        write(root, "topics.md", format!("# Lexer\n\n{filler}Once something was named.\n"));
        write(root, "misc.md", format!("# Misc\n\n{filler}Once the lexer was named.\n"));
        mount(disk, root);
        assert_eq!(names(disk, "parser")[..2], ["parser.md", "notes.md"]);
        assert_eq!(names(disk, "lexer")[..2], ["topics.md", "misc.md"]);
    });
}

#[test]
fn roots_limit_a_search() {
    on_both(|disk, root| {
        write(root, "one/a.txt", "walrus one");
        write(root, "two/b.txt", "walrus two");
        mount(disk, &root.join("one"));
        mount(disk, &root.join("two"));
        assert_eq!(disk.mounts().expect("mounts").len(), 2);
        assert_eq!(search(disk, "walrus").len(), 2);
        let one = disk.search("walrus", &[path(&root.join("one")).to_owned()], 10).expect("hits");
        assert_eq!(one.len(), 1);
        assert!(one[0].range.path.ends_with("a.txt"));
        let error = disk.search("walrus", &["/not/there".to_owned()], 10);
        assert!(matches!(error, Err(DiskError::NotMounted { .. })), "{error:?}");
    });
}

#[test]
fn a_file_below_two_roots_is_found_once() {
    on_both(|disk, root| {
        write(root, "inner/a.txt", "walrus");
        write(root, "b.txt", "walrus");
        mount(disk, root);
        mount(disk, &root.join("inner"));
        assert_eq!(search(disk, "walrus").len(), 2);
        disk.unmount(path(root)).expect("unmounted");
        assert_eq!(names(disk, "walrus"), ["a.txt"]);
    });
}

#[test]
fn unmounting_takes_all_away() {
    on_both(|disk, root| {
        write(root, "a.txt", "walrus");
        mount(disk, root);
        disk.unmount(path(root)).expect("unmounted");
        assert!(search(disk, "walrus").is_empty());
        assert!(disk.mounts().expect("mounts").is_empty());
        assert!(matches!(disk.unmount(path(root)), Err(DiskError::NotMounted { .. })));
        assert_eq!(mount(disk, root).read, 1);
    });
}

#[test]
fn what_is_no_folder_cannot_be_mounted() {
    on_both(|disk, root| {
        write(root, "a.txt", "walrus");
        for wrong in ["missing", "a.txt"] {
            let error = try_mount(disk, &root.join(wrong), &MountOptions::default());
            assert!(matches!(error, Err(DiskError::Mount { .. })), "{error:?}");
        }
        assert!(disk.mounts().expect("mounts").is_empty());
    });
}

#[test]
fn a_folder_that_vanished_can_be_unmounted() {
    on_both(|disk, root| {
        let folder = root.join("folder");
        write(&folder, "a.txt", "walrus");
        mount(disk, &folder);
        fs::remove_dir_all(&folder).expect("removed");
        assert!(try_mount(disk, &folder, &MountOptions::default()).is_err());
        disk.unmount(path(&folder)).expect("unmounted");
    });
}

#[test]
fn rebuilding_reads_everything_again() {
    on_both(|disk, root| {
        write(root, "a.txt", "walrus");
        mount(disk, root);
        let report = try_mount(disk, root, &MountOptions { hidden: false, rebuild: true }).expect("mounted");
        assert_eq!((report.read, report.files), (1, 1));
        assert_eq!(names(disk, "walrus"), ["a.txt"]);
    });
}

#[test]
fn cancelling_keeps_whole_files_and_goes_on_later() {
    on_both(|disk, root| {
        let text = "A walrus sits on this line of the file, and on all the others too.\n".repeat(200);
        for number in 0..300 {
            write(root, &format!("{number}.txt"), format!("{text}the end of {number}"));
        }
        let cancel = CancelFlag::new();
        let report = disk
            .mount(path(root), &MountOptions::default(), &cancel, &mut |progress| {
                if progress.files_done >= 20 {
                    cancel.cancel();
                }
            })
            .expect("cancelled");
        assert!(report.cancelled && report.files >= 20 && report.files < 300, "{report:?}");
        assert!(!disk.mounts().expect("mounts")[0].complete);
        let pages_per_file = report.pages / report.files;
        assert_eq!(report.pages, pages_per_file * report.files, "whole files only");
        let rest = mount(disk, root);
        assert_eq!((rest.files, rest.read), (300, 300 - report.files));
        assert!(disk.mounts().expect("mounts")[0].complete);
        assert!(!search(disk, "end of 299").is_empty());
    });
}

#[test]
fn progress_reaches_the_end() {
    on_both(|disk, root| {
        for number in 0..30 {
            write(root, &format!("{number}.txt"), "walrus");
        }
        let mut last = None;
        disk.mount(path(root), &MountOptions::default(), &CancelFlag::new(), &mut |progress| {
            last = Some(progress.clone());
        })
        .expect("mounted");
        let last = last.expect("told");
        assert_eq!((last.files_done, last.files_found, last.bytes), (30, 30, 180));
    });
}

#[test]
fn too_many_files_are_refused_and_said_so() {
    on_both_with(Limits { files_max: 5, ..Limits::default() }, |disk, root| {
        for number in 0..8 {
            write(root, &format!("{number}.txt"), "walrus");
        }
        let error = try_mount(disk, root, &MountOptions::default());
        assert!(
            matches!(&error, Err(DiskError::Mount { reason, .. }) if reason.contains("more than 5")),
            "{error:?}"
        );
    });
}

#[test]
fn files_that_change_under_the_reader_are_never_half_indexed() {
    on_both(|disk, root| {
        let versions: Vec<String> =
            (0..50).map(|version| format!("version{version:03} ").repeat(4_000)).collect();
        write(root, "busy.txt", &versions[0]);
        write(root, "calm.txt", "walrus");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for version in &versions {
                    fs::write(root.join("busy.txt"), version).expect("written");
                    fs::write(root.join("brief.txt"), version).expect("written");
                    fs::remove_file(root.join("brief.txt")).expect("removed");
                }
            });
            while !writer.is_finished() {
                mount(disk, root);
            }
        });
        let report = mount(disk, root);
        assert_eq!(skipped(&report, Skip::Changed), 0);
        assert_eq!(report.files, 2);
        let pages = disk.search("version049", &[], 1_000).expect("hits");
        assert_eq!(pages.iter().map(|page| page.text.len()).sum::<usize>(), versions[49].len());
        assert!(search(disk, "version000").is_empty());
    });
}

#[test]
fn searching_goes_on_while_a_folder_is_mounted() {
    on_both(|disk, root| {
        write(root, "a.txt", "walrus");
        mount(disk, root);
        let text = "Some words on a line that a walrus might read.\n".repeat(100);
        for number in 0..400 {
            write(root, &format!("more/{number}.txt"), &text);
        }
        std::thread::scope(|scope| {
            let mounting = scope.spawn(|| mount(disk, root));
            let mut searches = 0;
            while !mounting.is_finished() {
                assert!(!search(disk, "walrus").is_empty());
                searches += 1;
            }
            assert!(searches > 3, "{searches}");
        });
        assert_eq!(disk.mounts().expect("mounts")[0].files, 401);
    });
}

#[test]
fn texts_in_memory_are_searchable() {
    let disk = RamDisk::new(Limits::default());
    disk.add_text("standard input", "first line\nthe walrus line\n");
    disk.add_text("other", "nothing");
    let hits = search(&disk, "walrus");
    assert_eq!((hits.len(), &*hits[0].range.path, hits[0].range.lines), (1, "standard input", (1, 2)));
    assert_eq!(disk.search("walrus", &["standard input".into()], 5).expect("hits").len(), 1);
    assert!(disk.search("walrus", &["other".into()], 5).expect("hits").is_empty());
    disk.add_text("standard input", "replaced");
    assert!(search(&disk, "walrus").is_empty());
    assert!(disk.mounts().expect("mounts").is_empty());
}
