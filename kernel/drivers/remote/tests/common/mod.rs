//! What both kinds of tests need.
#![allow(dead_code, clippy::unwrap_used)]

pub mod fake;

use std::sync::Arc;

use lucid_contract::server::{MODEL, Server};
use lucid_kernel::abi::{Decoded, Grammar, Role, Segment, Shape};
use lucid_kernel::chat::ChatFormat;
use lucid_kernel::port::{CancelFlag, DecodeRequest, Delta, Engine, EngineError};
use lucid_remote::{O200k, Remote, RemoteSpec};

/// A real server's model.
pub fn spec(server: &Server) -> RemoteSpec {
    RemoteSpec::new(MODEL, server.url())
}

/// Connects, with the usual tokenizer.
pub fn connect(spec: RemoteSpec) -> Result<Remote, EngineError> {
    Remote::connect(spec, Arc::new(O200k))
}

/// A layout as the kernel makes it.
pub fn layout(engine: &dyn Engine, messages: &[(Role, &str)]) -> Vec<Segment> {
    let framing = ChatFormat::probe(&engine.chat_template()).framing;
    let segment =
        |text: &str, special| Segment { page: None, tokens: engine.tokenize(text, special).unwrap().into() };
    let mut layout = Vec::new();
    for (role, text) in messages {
        let span = framing.span(*role);
        layout.extend([segment(&span.prefix, true), segment(text, false), segment(&span.suffix, true)]);
    }
    layout.push(segment(&framing.generate, true));
    layout
}

/// A greedy request.
pub fn request(engine: &dyn Engine, messages: &[(Role, &str)], max_tokens: u32) -> DecodeRequest {
    DecodeRequest {
        layout: layout(engine, messages),
        grammar: None,
        sampling: lucid_kernel::abi::Sampling::default(),
        max_tokens,
    }
}

/// A greedy request of one question.
pub fn question(engine: &dyn Engine, text: &str, max_tokens: u32) -> DecodeRequest {
    request(engine, &[(Role::User, text)], max_tokens)
}

/// The request held to a shape.
pub fn shaped(mut request: DecodeRequest, shape: Shape) -> DecodeRequest {
    request.grammar = Some(Grammar { lark: "start: /(.|\\n)*/".into(), shape });
    request
}

/// Decodes; gives the text that was shown as well.
pub fn run(engine: &dyn Engine, request: &DecodeRequest) -> (Result<Decoded, EngineError>, String) {
    let mut shown = String::new();
    let mut prefills = 0;
    let done = engine.decode(request, &CancelFlag::new(), &mut |delta| match delta {
        Delta::Prefill { .. } => {
            assert!(shown.is_empty());
            prefills += 1;
        }
        Delta::Text(text) => shown.push_str(&text),
    });
    assert!(prefills <= 1);
    (done, shown)
}

/// Decodes what must work, and checks what every answer promises.
pub fn answer(engine: &dyn Engine, request: &DecodeRequest) -> Decoded {
    let (done, shown) = run(engine, request);
    let done = done.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(shown, *done.text);
    assert_eq!(engine.detokenize(&done.tokens).unwrap(), *done.text);
    assert_eq!(done.usage.decoded as usize, done.tokens.len());
    assert!(done.usage.first_token_ms <= done.usage.total_ms);
    done
}
