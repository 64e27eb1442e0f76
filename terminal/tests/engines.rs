//! The embedded engines side by side, with the same model files: the same tokens for the same
//! text, and answers that differ only where two tokens are all but equally likely.
#![cfg(feature = "llama-cpp")]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use lucid_contract::{QWEN_05B, SMOLLM2, alone, model_path, request, run, user};
use lucid_engine::Mistralrs;
use lucid_kernel::port::Engine;
use lucid_llama::LlamaCpp;
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};

fn both(file: &str) -> (Mistralrs, LlamaCpp) {
    let spec = ModelSpec { name: file.into(), source: ModelSource::Gguf(model_path(file)) };
    let options = LoadOptions { window: Some(2048), measure: false, ..LoadOptions::default() };
    (
        Mistralrs::load(&spec, &options, &mut |_| ()).unwrap(),
        LlamaCpp::load(&spec, &options, &mut |_| ()).unwrap(),
    )
}

/// Greedy answers of the two engines may part where the likeliest token leads the next by less
/// than this, as the difference of their logits: they quantise what they compute with in other
/// ways.
const TIE: f32 = 1.0;

#[test]
fn a_text_has_the_same_tokens_and_an_answer_parts_only_at_ties() {
    let _alone = alone();
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src");
    let mut texts: Vec<String> = std::fs::read_dir(book)
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    texts.push("tab\tüñî 世界 🦀👩‍👩‍👧 \u{0}\u{7f}  \r\n\r\n   ''' 1234567 <tool_call>{\"a\": 1e-3}".into());
    texts.push("<|im_start|>user\nHi<|im_end|>".into());
    for file in [SMOLLM2, QWEN_05B] {
        let (mistralrs, llama) = both(file);
        for text in &texts {
            for special in [true, false] {
                let (one, other) = (mistralrs.tokenize(text, special), llama.tokenize(text, special));
                let (one, other) = (one.unwrap(), other.unwrap());
                let differs = one.iter().zip(&other).position(|(a, b)| a != b);
                assert_eq!(one, other, "{file}, special {special}, from token {differs:?}");
            }
        }
        assert_eq!(mistralrs.chat_template(), llama.chat_template());
        // llama.cpp knows a few more of a vocabulary's tokens that end an answer.
        assert!(mistralrs.stop_tokens().iter().all(|token| llama.stop_tokens().contains(token)));
        assert_eq!(mistralrs.info().architecture, llama.info().architecture);
        let questions = [
            "What is the capital of France?",
            "Name three fruits.",
            "What is 2 + 2?",
            "Say hello in Spanish.",
        ];
        for question in questions {
            let asked = request(&llama, &user(question), 24);
            let (one, _) = run(&mistralrs, &asked);
            let (other, _) = run(&llama, &asked);
            let Some(at) = one.tokens.iter().zip(other.tokens.iter()).position(|(a, b)| a != b) else {
                continue;
            };
            let lead = llama.lead(&[&asked.layout[0].tokens, &other.tokens[..at]].concat()).unwrap();
            println!(
                "{file}: {question} the answers part at token {at}, where the likeliest leads by {lead}"
            );
            assert!(lead < TIE, "{file}: {lead} at token {at}: {:?} / {:?}", one.text, other.text);
        }
    }
}
