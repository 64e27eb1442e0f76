//! Whether answers stay as good when a page is evicted from the middle and what stands behind it
//! moves up, instead of being computed again without the page: 100 questions about the pages
//! that stay, for each architecture in which it is done.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use lucid_contract::{QWEN_05B, SMOLLM2, alone, model_path, of_tokens, run};
use lucid_kernel::abi::Token;
use lucid_kernel::port::Engine;
use lucid_llama::LlamaCpp;
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};

const PLACES: [&str; 10] =
    ["Oslo", "Lima", "Cairo", "Delhi", "Paris", "Quito", "Tunis", "Hanoi", "Accra", "Turin"];
const THINGS: [&str; 10] =
    ["lamp", "rope", "anchor", "barrel", "ladder", "kettle", "mirror", "violin", "blanket", "hammer"];
/// Pages of each layout; the second one is evicted.
const PAGES: usize = 4;
const QUESTIONS: usize = 100;
/// The most that quality may lose, in questions of 100.
const LOSS_MAX: i64 = 2;

/// A thing and where it is.
struct Fact {
    thing: String,
    place: &'static str,
}

fn fact(number: usize) -> Fact {
    let colour = ["red", "green", "blue", "white"][number / THINGS.len() % 4];
    // Both strides are prime to 10, so that things and places pair up anew in every page.
    Fact {
        thing: format!("{colour} {}", THINGS[number % THINGS.len()]),
        place: PLACES[(number * 7 + number / 10 * 3) % PLACES.len()],
    }
}

fn page(engine: &dyn Engine, facts: &[Fact]) -> Vec<Token> {
    let lines: String = facts.iter().map(|f| format!("The {} is in {}.\n", f.thing, f.place)).collect();
    engine.tokenize(&lines, false).unwrap()
}

/// How many of 100 questions are answered rightly, and the tokens that were computed for the
/// first question after each eviction.
fn right(engine: &LlamaCpp, facts_a_page: usize, rigid: bool) -> (i64, u32) {
    engine.set_rigid(rigid);
    let (mut right, mut prefilled, mut questions) = (0, 0, 0);
    for layout in 0.. {
        let facts: Vec<Fact> =
            (0..PAGES * facts_a_page).map(|n| fact((layout * 17 + n) % (4 * THINGS.len()))).collect();
        let boot = format!(
            "<|im_start|>system\nYou know where things are. Say the place alone. List {layout}.<|im_end|>\n\
             <|im_start|>user\n"
        );
        let boot = engine.tokenize(&boot, true).unwrap();
        let pages: Vec<Vec<Token>> = facts.chunks(facts_a_page).map(|facts| page(engine, facts)).collect();
        let ask = |thing: &str| {
            let text = format!("Where is the {thing}?<|im_end|>\n<|im_start|>assistant\nThe {thing} is in");
            engine.tokenize(&text, true).unwrap()
        };
        let whole = [boot.as_slice(), &pages.concat(), &ask(&facts[0].thing)].concat();
        run(engine, &of_tokens(whole, 1));
        let stays = [boot.as_slice(), &pages[0], &pages[2..].concat()].concat();
        let asked = facts[..facts_a_page].iter().chain(&facts[2 * facts_a_page..]);
        for (number, fact) in asked.enumerate() {
            if questions == QUESTIONS {
                return (right, prefilled);
            }
            questions += 1;
            let (done, _) = run(engine, &of_tokens([stays.as_slice(), &ask(&fact.thing)].concat(), 4));
            right += i64::from(done.text.trim_start().starts_with(fact.place));
            prefilled += if number == 0 { done.usage.prefilled } else { 0 };
        }
    }
    unreachable!("layouts do not end")
}

/// A weaker model is asked about fewer facts, so that it can answer some.
fn compare(file: &str, facts_a_page: usize) {
    let _alone = alone();
    let spec = ModelSpec { name: file.into(), source: ModelSource::Gguf(model_path(file)) };
    let options = LoadOptions { window: Some(2048), measure: false, ..LoadOptions::default() };
    let engine = LlamaCpp::load(&spec, &options, &mut |_| ()).unwrap();
    let (anew, all) = right(&engine, facts_a_page, true);
    let (moved, few) = right(&engine, facts_a_page, false);
    println!("{file}: {anew} right of 100 computed anew ({all} tokens), {moved} moved up ({few} tokens)");
    assert!(few * 3 < all, "{few} tokens of {all}");
    assert!(moved + LOSS_MAX >= anew, "{moved} right, {anew} when computed anew");
    // Of those who cannot answer nothing is learned.
    assert!(anew > 20, "{anew}");
}

#[test]
fn answers_stay_as_good_in_qwen2() {
    compare(QWEN_05B, 7);
}

#[test]
fn answers_stay_as_good_in_llama() {
    compare(SMOLLM2, 3);
}
