//! The model that makes vectors, with its real files.

use lucid_contract::model_path;
use lucid_engine::SentenceBert;
use lucid_kernel::port::{Embedder, EngineError};

const NAME: &str = "all-minilm-l6-v2";
const WEIGHTS: &str = "all-minilm-l6-v2.safetensors";
const TOKENIZER: &str = "all-minilm-l6-v2.tokenizer.json";

fn minilm() -> SentenceBert {
    SentenceBert::load(NAME, &model_path(WEIGHTS), &model_path(TOKENIZER)).expect("the model")
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

#[test]
fn cosines_are_those_that_its_makers_give() {
    let model = minilm();
    assert_eq!((model.model().as_str(), model.dimensions()), (NAME, 384));
    let texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let vectors = model.embed(&texts).unwrap();
    // Source: the model's page and the README of sentence-transformers.
    for (one, other, expected) in [(0, 0, 1.0), (0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)] {
        let found = cosine(&vectors[one], &vectors[other]);
        assert!((found - expected).abs() < 2e-3, "{one} {other}: {found}, {expected} expected");
    }
}

#[test]
fn a_text_has_the_same_vector_in_any_company_and_any_text_has_one() {
    let model = minilm();
    let long = "The walrus sleeps on the ice. ".repeat(200);
    let longer = format!("{long} A zebra is striped.");
    let texts = ["zebra", "", &long, "Wie spät ist es?", "한국어", "\u{0}\u{1F980}", &longer, "fn main() {}"];
    let together = model.embed(&texts).unwrap();
    assert_eq!(together.len(), texts.len());
    for (text, vector) in texts.iter().zip(&together) {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-4, "{text}");
        let alone = model.embed(&[text]).unwrap().remove(0);
        assert!(cosine(vector, &alone) > 0.9999, "{text}");
    }
    // What is beyond the longest text that it takes does not count.
    assert!(cosine(&together[2], &together[6]) > 0.9999);
    assert!(model.embed(&[]).unwrap().is_empty());
}

#[test]
fn a_missing_or_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.safetensors");
    std::fs::write(&damaged, &std::fs::read(model_path(WEIGHTS)).unwrap()[..1_000_000]).unwrap();
    let other = folder.path().join("other.json");
    std::fs::write(&other, "{}").unwrap();
    for (weights, tokenizer, named) in [
        (folder.path().join("none"), model_path(TOKENIZER), "none"),
        (damaged, model_path(TOKENIZER), "damaged.safetensors"),
        (model_path(WEIGHTS), other, "other.json"),
    ] {
        match SentenceBert::load(NAME, &weights, &tokenizer) {
            Err(EngineError::Load { model, reason }) => {
                assert!(model == NAME && reason.contains(named), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}
