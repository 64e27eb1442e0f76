//! A calculator: exact decimal arithmetic for expressions as people write them.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod decimal;
mod functions;
mod lexer;
mod parser;

lucid_plugin::plugin! {
    fn calc(expression: String) -> Result<String, String> {
        evaluate(&expression)
    }
}

/// Computes an expression. The result is a decimal number; where it had to be rounded, it
/// says so.
///
/// # Errors
/// A text that says what is wrong, and where in the expression.
pub fn evaluate(expression: &str) -> Result<String, String> {
    let value = parser::evaluate(expression)?;
    Ok(value.shown())
}
