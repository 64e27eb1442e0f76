//! What the program serves: the disk, the model, what is kept; each as far as it was granted.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use lucid_kernel::port::{CancelFlag, Hit};
use lucid_tools::{Limits, Services};
use serde_json::{Value, json};

use crate::Rig;

struct Serves {
    folder: PathBuf,
    asked: AtomicU32,
}

impl Services for Serves {
    fn search(&self, _: &str, _: usize) -> Result<Vec<Hit>, String> {
        Ok(Vec::new())
    }

    fn read(&self, _: &str, _: (u32, u32)) -> Result<String, String> {
        Ok("a line".into())
    }

    fn ask(&self, _: &str, _: u32, _: &CancelFlag) -> Result<String, String> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok("yes".into())
    }

    fn kept(&self) -> Option<PathBuf> {
        Some(self.folder.clone())
    }
}

#[test]
fn each_service_is_granted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let serves = || Arc::new(Serves { folder: folder.path().join("kept"), asked: AtomicU32::new(0) });
    let rig = Rig::with(&[], serves(), Limits::default());
    let lines = json!({ "path": "/a", "first": 1, "last": 2 });
    for (tool, arguments, right) in [
        ("search", json!({ "query": "x" }), "(disk)"),
        ("lines", lines.clone(), "(disk)"),
        ("ask", json!({ "times": 1, "tokens": 1 }), "(ask:"),
        ("keep", json!({ "key": "k", "bytes": 1 }), "(keep:"),
        ("kept", json!({ "key": "k" }), "(keep:"),
    ] {
        rig.fails(tool, arguments, right);
    }
    assert!(!folder.path().join("kept").exists());
    let rig = Rig::with(&["disk"], serves(), Limits::default());
    rig.gives("search", json!({ "query": "x" }), json!(0));
    rig.gives("lines", lines, json!("a line"));
    for (first, last) in [(0, 1), (5, 2), (1, 4_000_000_000_u64)] {
        rig.fails("lines", json!({ "path": "/a", "first": first, "last": last }), "give lines");
    }
    rig.fails("search", json!({ "query": "x".repeat(10_000) }), "at most");
    rig.fails("ask", json!({ "times": 1, "tokens": 1 }), "not granted");
}

#[test]
fn the_model_is_asked_as_much_as_was_granted() {
    let folder = tempfile::tempdir().unwrap();
    let serves = Arc::new(Serves { folder: folder.path().into(), asked: AtomicU32::new(0) });
    let rig = Rig::with(&["ask:100"], Arc::clone(&serves) as Arc<dyn Services>, Limits::default());
    rig.gives("ask", json!({ "times": 2, "tokens": 50 }), json!(2));
    rig.fails("ask", json!({ "times": 5, "tokens": 30 }), "more than the 10");
    rig.fails("ask", json!({ "times": 1, "tokens": 4_000_000_000_u64 }), "more than");
    rig.fails("ask", json!({ "times": 1_000, "tokens": 0 }), "more than");
    assert_eq!(serves.asked.load(Ordering::SeqCst), 2 + 3 + 100);
}

#[test]
fn what_is_kept_stays_in_its_folder_and_its_quota() {
    let folder = tempfile::tempdir().unwrap();
    let serves = Arc::new(Serves { folder: folder.path().join("kept"), asked: AtomicU32::new(0) });
    let rig = Rig::with(&["keep:1"], serves, Limits::default());
    for key in ["../../outside", "/etc/passwd", "a", "..", "\u{0}"] {
        rig.gives("keep", json!({ "key": key, "bytes": 10 }), Value::Null);
        rig.gives("kept", json!({ "key": key }), json!(10));
    }
    rig.fails("keep", json!({ "key": "", "bytes": 1 }), "a key has");
    rig.fails("keep", json!({ "key": "big", "bytes": 2_000_000 }), "a value has at most");
    rig.gives("keep", json!({ "key": "half", "bytes": 600_000 }), Value::Null);
    rig.fails("keep", json!({ "key": "more", "bytes": 600_000 }), "no room");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_picture_is_taken_out_of_the_result() {
    let rig = Rig::new(&[]);
    let call = lucid_kernel::abi::Call { tool: "hostile_picture".into(), arguments: json!({}) };
    let output = rig.host.call(&call, &rig.scope, &CancelFlag::new()).unwrap();
    assert_eq!(output.attachments.len(), 1);
    assert_eq!(
        (output.attachments[0].media_type.as_str(), output.attachments[0].data.len()),
        ("image/png", 4)
    );
    assert!(output.text.contains("image/png, 4 bytes: a dot"), "{}", output.text);
}
