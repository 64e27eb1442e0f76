//! Pages found by their meaning, with an embedder that knows a few words' topics.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lucid_disk::{Limits, TantivyDisk, TantivySwap};
use lucid_kernel::abi::PageId;
use lucid_kernel::port::{CancelFlag, Disk, DiskError, Embedder, EngineError, MountOptions, Swap};

/// One number for each topic, and one for all else.
const TOPICS: [&[&str]; 3] = [&["car", "automobile"], &["physician", "doctor"], &["rent", "lease"]];

struct Topics {
    name: &'static str,
    embedded: AtomicUsize,
}

impl Topics {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self { name, embedded: AtomicUsize::new(0) })
    }

    fn embedded(&self) -> usize {
        self.embedded.swap(0, Ordering::Relaxed)
    }
}

impl Embedder for Topics {
    fn model(&self) -> String {
        self.name.into()
    }

    fn dimensions(&self) -> usize {
        TOPICS.len() + 1
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.embedded.fetch_add(texts.len(), Ordering::Relaxed);
        let vector = |text: &&str| {
            let said = |topic: &&[&str]| topic.iter().any(|word| text.contains(word));
            let mut vector: Vec<f32> = TOPICS.iter().map(|topic| f32::from(u8::from(said(topic)))).collect();
            vector.push(0.1);
            let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
            vector.iter().map(|number| number / length).collect()
        };
        if texts.iter().any(|text| text.contains("unreadable")) {
            return Err(EngineError::Failed("it cannot".into()));
        }
        Ok(texts.iter().map(vector).collect())
    }
}

struct Home {
    _folder: tempfile::TempDir,
    files: std::path::PathBuf,
    index: std::path::PathBuf,
}

fn home(files: &[(&str, &str)]) -> Home {
    let folder = tempfile::tempdir().expect("a folder");
    let (tree, index) = (folder.path().join("files"), folder.path().join("index"));
    fs::create_dir_all(&tree).expect("a folder");
    for (name, text) in files {
        fs::write(tree.join(name), text).expect("written");
    }
    Home { _folder: folder, files: tree, index }
}

impl Home {
    fn root(&self) -> String {
        self.files.display().to_string()
    }

    fn disk(&self, embedder: &Arc<Topics>) -> TantivyDisk {
        let disk = TantivyDisk::open(&self.index, Limits::default()).expect("opened");
        disk.with_embedder(Arc::clone(embedder) as Arc<dyn Embedder>)
    }

    fn mount(&self, disk: &TantivyDisk, rebuild: bool) {
        let options = MountOptions { rebuild, ..MountOptions::default() };
        disk.mount(&self.root(), &options, &CancelFlag::new(), &mut |_| {}).expect("mounted");
    }

    fn embed(&self, disk: &TantivyDisk) -> u64 {
        disk.embed(&self.root(), usize::MAX, &CancelFlag::new()).expect("embedded")
    }

    /// The folder of the one index.
    fn only_index(&self) -> std::path::PathBuf {
        fs::read_dir(&self.index).expect("an index").next().expect("an index").expect("an index").path()
    }
}

fn names(disk: &TantivyDisk, query: &str) -> Vec<String> {
    let hits = disk.search(query, &[], 10).expect("hits");
    let name = |path: &str| Path::new(path).file_name().expect("a name").to_string_lossy().into_owned();
    hits.iter().map(|hit| name(&hit.range.path)).collect()
}

const FILES: [(&str, &str); 3] = [
    ("a.txt", "My automobile is blue.\n"),
    ("b.txt", "The physician comes at ten.\n"),
    ("c.txt", "The lease ends in May.\n"),
];

#[test]
fn pages_are_found_by_their_meaning_and_embedded_once() {
    let home = home(&FILES);
    let topics = Topics::new("topics");
    let disk = home.disk(&topics);
    home.mount(&disk, false);
    assert_eq!(names(&disk, "which doctor wrote"), [""; 0]);
    // In parts, and no more than asked for.
    assert_eq!(disk.embed(&home.root(), 0, &CancelFlag::new()).unwrap(), 3);
    assert_eq!(disk.embed(&home.root(), 2, &CancelFlag::new()).unwrap(), 1);
    assert_eq!(topics.embedded(), 2);
    assert_eq!(home.embed(&disk), 0);
    assert_eq!(topics.embedded(), 1);
    assert_eq!(names(&disk, "which doctor wrote")[0], "b.txt");
    // A single name is found by its letters.
    assert_eq!(names(&disk, "doctor"), [""; 0]);
    // Another program, and after more was indexed, merged, rebuilt or taken away.
    let disk = home.disk(&topics);
    assert_eq!(names(&disk, "buy a car today")[0], "a.txt");
    fs::write(home.files.join("d.txt"), "Who pays the rent?\n").unwrap();
    fs::remove_file(home.files.join("a.txt")).unwrap();
    topics.embedded();
    home.mount(&disk, false);
    assert_eq!(home.embed(&disk), 0);
    assert_eq!(topics.embedded(), 1);
    assert!(!names(&disk, "buy a car today").contains(&"a.txt".to_owned()));
    assert_eq!(names(&disk, "that lease again")[0], "c.txt");
    home.mount(&disk, true);
    topics.embedded();
    assert_eq!(home.embed(&disk), 0);
    assert_eq!(topics.embedded(), 0);
    assert_eq!(names(&disk, "which doctor wrote")[0], "b.txt");
}

#[test]
fn vectors_of_another_model_are_made_anew_and_damage_costs_only_them() {
    let home = home(&FILES);
    let (one, other) = (Topics::new("one"), Topics::new("other"));
    let disk = home.disk(&one);
    home.mount(&disk, false);
    home.embed(&disk);
    let disk = home.disk(&other);
    assert_eq!(names(&disk, "which doctor wrote"), [""; 0]);
    home.embed(&disk);
    assert_eq!(other.embedded(), 3);
    assert_eq!(names(&disk, "which doctor wrote")[0], "b.txt");
    let path = home.only_index().join("vectors.bin");
    let whole = fs::read(&path).unwrap();
    // Cut anywhere, it is made whole again.
    for cut in [0, 3, 20, whole.len() - 5] {
        fs::write(&path, &whole[..cut]).unwrap();
        let disk = home.disk(&other);
        names(&disk, "which doctor wrote");
        home.embed(&disk);
        assert_eq!(names(&disk, "which doctor wrote")[0], "b.txt", "cut at {cut}");
        assert_eq!(fs::read(&path).unwrap().len(), whole.len(), "cut at {cut}");
    }
    // Full of anything, it finds nothing by meaning, and what is there by words.
    fs::write(&path, vec![0xFF; whole.len()]).unwrap();
    assert_eq!(names(&home.disk(&other), "the lease of May")[0], "c.txt");
}

#[test]
fn what_fails_is_told_and_words_go_on() {
    let home = home(&[("a.txt", "unreadable text\n"), ("b.txt", "The physician comes.\n")]);
    let topics = Topics::new("topics");
    let disk = home.disk(&topics);
    home.mount(&disk, false);
    let error = disk.embed(&home.root(), usize::MAX, &CancelFlag::new()).unwrap_err();
    assert!(error.to_string().contains("it cannot"), "{error}");
    assert_eq!(names(&disk, "unreadable text"), ["a.txt"]);
    let cancel = CancelFlag::new();
    cancel.cancel();
    // Which of them come to be embedded together is not said.
    assert!((1..=2).contains(&disk.embed(&home.root(), usize::MAX, &cancel).unwrap()));
    assert!(matches!(disk.embed("/nowhere", 1, &CancelFlag::new()), Err(DiskError::NotMounted { .. })));
}

#[test]
fn what_was_said_is_found_by_its_meaning_once_it_was_seen_to() {
    let folder = tempfile::tempdir().unwrap();
    let topics = Topics::new("topics");
    let open = || {
        let swap = TantivySwap::open(folder.path(), Limits::default()).unwrap();
        swap.with_embedder(Arc::clone(&topics) as Arc<dyn Embedder>)
    };
    let swap = open();
    swap.keep(&[(PageId(4), "", "The physician comes at ten."), (PageId(5), "", "My automobile is blue.")])
        .unwrap();
    assert_eq!(swap.find("which doctor wrote", 10).unwrap(), []);
    assert_eq!(swap.embed(1, &CancelFlag::new()).unwrap(), 1);
    assert_eq!(swap.embed(8, &CancelFlag::new()).unwrap(), 0);
    let swap = open();
    let found = swap.find("which doctor wrote", 10).unwrap();
    assert_eq!((found.len(), found[0].page), (1, PageId(4)));
    assert!(found[0].nearness > 0.9, "{found:?}");
    // What is found by its words is told how near it is too.
    let found = swap.find("the automobile of the doctor", 10).unwrap();
    assert!(found.len() == 2 && found.iter().all(|hit| hit.nearness > 0.5), "{found:?}");
}
