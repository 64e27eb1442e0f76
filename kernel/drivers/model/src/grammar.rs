//! Lark grammars to matchers, by llguidance. It says nothing on standard error.

use llguidance::api::{GrammarInit, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};
use lucid_kernel::abi::Grammar;
use lucid_kernel::port::EngineError;

/// The longest grammar, in bytes.
const MAX_GRAMMAR_BYTES: usize = 4 << 20;
/// llguidance's log level for nothing at all.
const SILENT: u32 = 0;

/// Makes a matcher that stands at the grammar's beginning.
///
/// # Errors
/// [`EngineError::Grammar`] when it is too long or no grammar.
pub fn compile(factory: &ParserFactory, grammar: &Grammar) -> Result<Matcher, EngineError> {
    let bytes = grammar.lark.len();
    if bytes > MAX_GRAMMAR_BYTES {
        return Err(EngineError::Grammar(format!(
            "it has {bytes} bytes, at most {MAX_GRAMMAR_BYTES} are taken"
        )));
    }
    let source = GrammarInit::Serialized(TopLevelGrammar::from_lark(grammar.lark.clone()));
    let parser = factory
        .create_parser_from_init(source, SILENT, SILENT)
        .map_err(|e| EngineError::Grammar(format!("{e:#}")))?;
    let matcher = Matcher::new(Ok(parser));
    match matcher.get_error() {
        Some(reason) => Err(EngineError::Grammar(reason)),
        None => Ok(matcher),
    }
}

#[cfg(test)]
mod tests {
    use llguidance::toktrie::ApproximateTokEnv;

    use super::*;

    /// Whether a text can be written whole under a grammar, with one token a byte.
    fn takes(grammar: &Grammar, text: &str) -> bool {
        let factory = ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).unwrap();
        let mut matcher = compile(&factory, grammar).unwrap();
        let all = text.bytes().all(|byte| {
            let token = u32::from(byte);
            matcher.validate_tokens(&[token]).is_ok_and(|valid| valid == 1)
                && matcher.consume_token(token).is_ok()
        });
        all && matcher.is_accepting().unwrap()
    }

    #[test]
    fn free_text_is_anything_but_a_call() {
        let text = lucid_kernel::grammar::text();
        for free in [
            "Hello.",
            "[p7] says so: {\"name\": \"x\"}",
            "```python\nprint({\"name\": 1})\n```",
            "```json\n{\"age\": 3, \"name\": \"Ada\"}\n```",
            "한국어\n\n- a\n- b < c",
        ] {
            assert!(takes(&text, free), "{free}");
        }
        for call in [
            "{\"name\": \"calc\"}",
            "",
            " {",
            "<tool_call>",
            "```json\n{\"name\": \"calc\"",
            "```\n {\n\"name\":",
            "```tool_call\n{\"name\"",
        ] {
            assert!(!takes(&text, call), "{call}");
        }
    }
}
