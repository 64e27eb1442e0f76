//! Lark grammars to matchers, by llguidance. It says nothing on standard error.

use lucid_kernel::abi::Grammar;
use lucid_kernel::port::EngineError;
use mistralrs::core::llguidance::api::{GrammarInit, TopLevelGrammar};
use mistralrs::core::llguidance::{Matcher, ParserFactory};

/// The longest grammar, in bytes.
const MAX_GRAMMAR_BYTES: usize = 4 << 20;
/// llguidance's log level for nothing at all.
const SILENT: u32 = 0;

/// Makes a matcher that stands at the grammar's beginning.
pub(crate) fn compile(factory: &ParserFactory, grammar: &Grammar) -> Result<Matcher, EngineError> {
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
