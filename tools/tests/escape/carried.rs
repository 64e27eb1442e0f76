//! Files that a component carries: its calls read them, and nothing comes of trying more.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lucid_tools::{Limits, NoServices, Scope, ToolError, ToolHost};
use serde_json::{Value, json};
use wasm_encoder::{CustomSection, Encode as _};

use crate::{HOSTILE, Rig};

fn carrying(files: &[(&str, &str)]) -> Vec<u8> {
    let mut component = HOSTILE.to_vec();
    for (place, text) in files {
        component.push(0);
        let name = Cow::Owned(format!("lucid-file:{place}"));
        CustomSection { name, data: text.as_bytes().into() }.encode(&mut component);
    }
    component
}

fn load(component: &[u8], cache: Option<&Path>) -> Result<Rig, ToolError> {
    let host = ToolHost::new(cache, Limits::default());
    host.load_bytes("hostile", component)?;
    Ok(Rig { host, scope: Scope { rights: Arc::default(), services: Arc::new(NoServices) } })
}

fn at(folder: u32, path: &str) -> Value {
    json!({ "folder": folder, "path": path, "follow": true })
}

/// The files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()).collect()
}

#[test]
fn a_call_reads_them_and_cannot_change_them() {
    let cache = tempfile::tempdir().unwrap();
    let component = carrying(&[("/lib:a.txt", "mine a"), ("/lib/a.txt/data:sub/b.txt", "mine b")]);
    let rig = load(&component, Some(cache.path())).unwrap();
    rig.gives("folders", json!({}), json!(["/lib", "/lib/a.txt/data"]));
    rig.gives("read", at(0, "a.txt"), json!("mine a"));
    rig.gives("read", at(1, "sub/b.txt"), json!("mine b"));
    for path in ["../1/sub/b.txt", "../../../described", "/etc/passwd", "sub/../../a.txt"] {
        assert!(rig.call("read", at(0, path)).is_err(), "{path}");
    }
    for path in ["a.txt", "new.txt"] {
        rig.fails("write", json!({ "folder": 0, "path": path, "content": "x" }), "permitted");
    }
    assert!(rig.call("remove", json!({ "folder": 0, "path": "a.txt" })).is_err());
    for symbolic in [true, false] {
        let link = json!({ "folder": 0, "from": "a.txt", "to": "l", "symbolic": symbolic });
        assert!(rig.call("link", link).is_err());
    }
    assert_eq!(files(&cache.path().join("files")).len(), 2);
}

#[test]
fn what_somebody_changed_of_them_is_as_it_was_at_the_next_start() {
    let cache = tempfile::tempdir().unwrap();
    let component = carrying(&[("/lib:a.txt", "mine")]);
    load(&component, Some(cache.path())).unwrap();
    let file = files(&cache.path().join("files")).remove(0);
    std::fs::write(&file, "theirs").unwrap();
    load(&component, Some(cache.path())).unwrap().gives("read", at(0, "a.txt"), json!("mine"));
    // A link to elsewhere is replaced, not written through.
    let outside = cache.path().join("outside");
    std::fs::write(&outside, "keep").unwrap();
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(&outside, &file).unwrap();
    load(&component, Some(cache.path())).unwrap().gives("read", at(0, "a.txt"), json!("mine"));
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "keep");
}

#[test]
fn a_component_whose_files_would_lie_elsewhere_is_not_loaded() {
    let cache = tempfile::tempdir().unwrap();
    for place in ["/lib:../x", "/lib:/x", "lib:x", "/:x", "/lib", "/lib/..:x", "/lib:a:b", "/lib:a/../../x"] {
        let error = load(&carrying(&[(place, "x")]), Some(cache.path())).err();
        assert!(error.is_some_and(|it| it.to_string().contains("no place of a file")), "{place}");
    }
    let error = load(&carrying(&[("/lib:x", "x")]), None).err().unwrap();
    assert!(error.to_string().contains("there is no folder"), "{error}");
    assert!(files(cache.path()).iter().all(|file| !file.ends_with("x")));
}
