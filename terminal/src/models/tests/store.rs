//! Listing, choosing, checking and removing.

use std::fs;
use std::path::Path;

use super::fixture::{Fixture, HONEST};
use crate::models::error::StoreError;
use crate::models::lock::PullLock;
use crate::models::name::ModelRef;
use crate::models::store::{State, Store};

fn store() -> (Fixture, Store) {
    let fixture = Fixture::new(1, 5_000);
    let store = fixture.store();
    (fixture, store)
}

/// Makes a file of the right size for SmolLM2 that takes no space.
fn sparse(path: &Path) {
    fs::File::create(path).unwrap().set_len(98_362_432).unwrap();
}

#[test]
fn the_list_tells_what_is_there() {
    let (fixture, store) = store();
    let state = |name: &str| {
        store.list().unwrap().into_iter().find(|listed| listed.name == name).map(|listed| listed.state)
    };
    assert_eq!(state("smollm2-135m"), Some(State::Absent));
    let partial = fixture.path("store/.partial/smollm2-135m-instruct-q4_1.gguf");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("wheels.part"), "12345").unwrap();
    assert_eq!(state("smollm2-135m"), Some(State::Partial { bytes: 5 }));
    sparse(&fixture.path("store/smollm2-135m-instruct-q4_1.gguf"));
    assert_eq!(state("smollm2-135m"), Some(State::Here));
    fs::write(fixture.path("store/smollm2-135m-instruct-q4_1.gguf"), "GGUF").unwrap();
    assert_eq!(state("smollm2-135m"), Some(State::Damaged));
    fs::write(fixture.path("store/my-own.gguf"), "GGUF").unwrap();
    assert_eq!(state("my-own.gguf"), Some(State::Here));
    fs::write(fixture.path("store/notes.txt"), "").unwrap();
    assert_eq!(state("notes.txt"), None);
}

#[test]
fn a_damaged_file_is_found_by_size_and_by_hash() {
    let (fixture, store) = store();
    let model = store.resolve("smollm2-135m").unwrap();
    assert!(matches!(store.path(&model), Err(StoreError::Missing { .. })));
    let path = fixture.path("store/smollm2-135m-instruct-q4_1.gguf");
    fs::write(&path, "GGUF").unwrap();
    let error = store.path(&model).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("98362432 bytes was expected, 4 bytes found"), "{error}");
    sparse(&path);
    let text = store.path(&model).unwrap_err().to_string();
    assert!(text.contains("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"), "{text}");
    assert!(text.contains("lucid model pull smollm2-135m"), "{text}");
    let plan = store.plan(&model).unwrap().unwrap().to_string();
    assert!(plan.starts_with("fetching the model smollm2-135m (98.4 MB) to /"), "{plan}");
}

#[test]
fn a_file_that_changed_is_hashed_again_and_fetched_anew() {
    let fixture = Fixture::new(2, 50_000);
    fixture.pip(HONEST).pull().unwrap();
    let path = fixture.path("store/tiny.gguf");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (result, seen) = fixture.pull_seen();
    result.unwrap();
    fixture.assert_installed();
    assert!(seen.iter().any(|p| p.what.starts_with("tiny is damaged (the SHA-256")), "{seen:?}");
    assert_eq!(fixture.calls().len(), 4);
}

#[test]
fn a_verified_file_is_not_hashed_again() {
    let fixture = Fixture::new(1, 50_000);
    fs::create_dir_all(fixture.path("store")).unwrap();
    fs::write(fixture.path("store/tiny.gguf"), fixture.whole()).unwrap();
    // No pip, no hub: what is there is enough.
    let (result, seen) = fixture.pull_seen();
    result.unwrap();
    assert!(seen.iter().all(|p| p.what == "checking tiny") && !seen.is_empty(), "{seen:?}");
    let (result, seen) = fixture.pull_seen();
    assert!(result.is_ok() && seen.is_empty(), "{seen:?}");
    fs::write(fixture.path("store/.verified/tiny.gguf.json"), "{ nonsense").unwrap();
    let (result, seen) = fixture.pull_seen();
    assert!(result.is_ok() && !seen.is_empty());
}

#[test]
fn local_files_are_used_where_they_are() {
    let (fixture, store) = store();
    let path = fixture.path("my.gguf");
    fs::write(&path, "GGUF and more").unwrap();
    let model = store.resolve(path.to_str().unwrap()).unwrap();
    assert_eq!(store.pull(&model, &mut |_| {}, &|| false).unwrap(), path);
    assert_eq!(store.plan(&model).unwrap(), None);
    assert!(matches!(store.rm(path.to_str().unwrap()), Err(StoreError::NotOurs { .. })));
    assert!(path.exists());
    fs::write(&path, "PK, not a model").unwrap();
    assert!(store.path(&model).unwrap_err().to_string().contains("is no GGUF model file"));
    fs::write(&path, "GG").unwrap();
    assert!(store.path(&model).unwrap_err().to_string().contains("too short"));
    fs::remove_file(&path).unwrap();
    assert!(matches!(store.path(&model), Err(StoreError::NoFile { .. })));
}

#[test]
fn a_file_of_the_store_goes_by_its_bare_name() {
    let (fixture, store) = store();
    fs::write(fixture.path("store/my-own.gguf"), "GGUF").unwrap();
    assert_eq!(store.resolve("my-own.gguf").unwrap(), ModelRef::File(fixture.path("store/my-own.gguf")));
    assert_eq!(store.rm("my-own.gguf").unwrap().bytes, 4);
    assert!(!fixture.path("store/my-own.gguf").exists());
}

#[test]
fn only_models_that_make_sense_are_used() {
    let (fixture, store) = store();
    assert_eq!(store.use_model(" AUTO ").unwrap(), "auto");
    assert_eq!(store.use_model("SmolLM2-135M").unwrap(), "smollm2-135m");
    assert_eq!(store.use_model("owner/repo:m.gguf").unwrap(), "owner/repo:m.gguf");
    let path = fixture.path("x.gguf");
    fs::write(&path, "no model").unwrap();
    assert_eq!(store.use_model(path.to_str().unwrap()).unwrap_err().exit_code(), 3);
    let error = store.use_model("smollm").unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    assert!(text.starts_with("there is no model \"smollm\"; near it: smollm2-135m"), "{text}");
}

#[test]
fn removing_takes_the_left_overs_too() {
    let (fixture, store) = store();
    assert!(matches!(store.rm("smollm2-135m"), Err(StoreError::Missing { .. })));
    let file = "smollm2-135m-instruct-q4_1.gguf";
    let partial = fixture.path("store/.partial").join(file);
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("wheels.part"), "12345").unwrap();
    fs::write(fixture.path("store").join(file), "GGUF").unwrap();
    {
        let _held = PullLock::take(&fixture.path("store/.locks"), file).unwrap().unwrap();
        let error = store.rm("smollm2-135m").unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
    assert_eq!(store.rm("smollm2-135m").unwrap().bytes, 9);
    assert!(!partial.exists() && !fixture.path("store").join(file).exists());
}

#[test]
fn a_store_that_cannot_be_made_says_where() {
    let (fixture, _) = store();
    fs::write(fixture.path("file"), "").unwrap();
    let error = Store::open(fixture.path("file/store"), fixture.sources()).unwrap_err();
    assert!(error.to_string().starts_with("cannot make the folder"), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn what_stands_beside_a_model_comes_and_goes_with_it() {
    let (fixture, store) = store();
    let model = store.resolve("all-minilm-l6-v2").unwrap();
    let (weights, tokenizer) = (
        fixture.path("store/all-minilm-l6-v2.safetensors"),
        fixture.path("store/all-minilm-l6-v2.tokenizer.json"),
    );
    fs::File::create(&weights).unwrap().set_len(90_868_376).unwrap();
    assert!(matches!(store.embedder(&model), Err(StoreError::Missing { .. })));
    fs::write(&tokenizer, "{}").unwrap();
    assert!(matches!(store.embedder(&model), Err(StoreError::Damaged { .. })));
    let answers = store.resolve("smollm2-135m").unwrap();
    assert!(matches!(store.embedder(&answers), Err(StoreError::NoVectors { .. })));
    assert!(store.rm("all-minilm-l6-v2").is_ok());
    assert!(!weights.exists() && !tokenizer.exists());
}
