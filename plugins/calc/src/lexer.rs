//! The signs of an expression.

use dashu_int::IBig;

use crate::decimal::Decimal;

/// The most characters of an expression.
pub const MAX_CHARS: usize = 1_000;
/// The most digits of an exponent, as in `1e100`.
const MAX_EXPONENT_DIGITS: usize = 5;

/// One sign and where it stands.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// The number of its first character, counted from 1.
    pub at: usize,
    /// Whether white space stands before it.
    pub spaced: bool,
    /// How it was written.
    pub text: String,
}

/// The kinds of signs.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A number.
    Number(Decimal),
    /// A name in lower case: a function, a constant, `of` or `mod`.
    Name(String),
    /// `+`, `-`, `*`, `/`, `^`, `%`, `(`, `)`, `,`, `√`, `°`, each in its plain form.
    Sign(char),
    /// The end of the expression.
    End,
}

/// Cuts an expression into signs; the last one is [`Kind::End`].
///
/// # Errors
/// A text that says what cannot be read, and where.
pub fn tokens(expression: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = expression.chars().collect();
    if chars.len() > MAX_CHARS {
        return Err(format!("the expression has {} characters, the most is {MAX_CHARS}", chars.len()));
    }
    let mut reader = Reader { chars: &chars, next: 0, calls: Vec::new() };
    let mut tokens = Vec::new();
    let mut named = false;
    loop {
        let before = reader.next;
        reader.skip_space();
        let spaced = reader.next > before;
        let at = reader.next;
        let kind = reader.token(named)?;
        named = matches!(kind, Kind::Name(_));
        let text = chars[at..reader.next].iter().collect();
        let end = matches!(kind, Kind::End);
        tokens.push(Token { kind, at: at + 1, spaced, text });
        if end {
            return Ok(tokens);
        }
    }
}

struct Reader<'a> {
    chars: &'a [char],
    next: usize,
    /// For every open parenthesis, whether a function's values stand in it: there a comma
    /// separates values and not groups of digits.
    calls: Vec<bool>,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.next + ahead).copied()
    }

    fn skip_space(&mut self) {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.next += 1;
        }
    }

    fn token(&mut self, after_name: bool) -> Result<Kind, String> {
        let Some(first) = self.peek(0) else { return Ok(Kind::End) };
        if first.is_ascii_digit() || (first == '.' && self.digit(1)) {
            return self.number();
        }
        if first.is_alphabetic() {
            return Ok(self.name());
        }
        self.next += 1;
        let sign = match first {
            '+' | '/' | '^' | '%' | ',' | '√' | '°' => first,
            ';' => ',',
            '-' | '\u{2212}' | '\u{2013}' | '\u{2010}' | '\u{2011}' | '\u{fe63}' | '\u{ff0d}' => '-',
            '*' if self.peek(0) == Some('*') => {
                self.next += 1;
                '^'
            }
            '*' | '×' | '·' | '⋅' | '∙' | '∗' | '✕' => '*',
            '÷' | '∕' | '⁄' | ':' => '/',
            '\u{ff0b}' => '+',
            '²' | '³' => first,
            '(' | '[' => {
                self.calls.push(after_name);
                '('
            }
            ')' | ']' => {
                self.calls.pop();
                ')'
            }
            '=' if self.rest_is_blank() => return Ok(Kind::End),
            other => return Err(stray(other, self.next)),
        };
        Ok(Kind::Sign(sign))
    }

    /// `17.5 * 2 =` ends at the sign, as on a calculator.
    fn rest_is_blank(&mut self) -> bool {
        let blank = self.chars[self.next..].iter().all(|it| it.is_whitespace() || *it == '?');
        if blank {
            self.next = self.chars.len();
        }
        blank
    }

    fn name(&mut self) -> Kind {
        let mut name = String::new();
        while let Some(letter) = self.peek(0).filter(|it| it.is_alphanumeric() || *it == '_') {
            name.extend(letter.to_lowercase());
            self.next += 1;
        }
        match name.as_str() {
            "x" => Kind::Sign('*'),
            _ => Kind::Name(name),
        }
    }

    fn digit(&self, ahead: usize) -> bool {
        self.peek(ahead).is_some_and(|it| it.is_ascii_digit())
    }

    fn digits(&mut self, out: &mut String) {
        while let Some(digit) = self.peek(0).filter(char::is_ascii_digit) {
            out.push(digit);
            self.next += 1;
        }
    }

    fn number(&mut self) -> Result<Kind, String> {
        let from = self.next;
        let mut digits = String::new();
        self.digits(&mut digits);
        let first_group = self.next - from;
        while let Some(mark) = self.group_mark() {
            let groups = (1..=3).all(|ahead| self.digit(ahead)) && !self.digit(4);
            if !groups || !(1..=3).contains(&first_group) {
                return Err(bad_group(mark, self.next + 1));
            }
            self.next += 1;
            self.digits(&mut digits);
        }
        let whole = digits.len();
        if self.peek(0) == Some('.') {
            self.next += 1;
            self.digits(&mut digits);
        }
        let mut exponent = whole as isize - digits.len() as isize;
        if self.peek(0) == Some('.') {
            return Err(format!("at character {}: a number has only one decimal point", self.next + 1));
        }
        if let Some(mark) = self.group_mark() {
            return Err(bad_group(mark, self.next + 1));
        }
        exponent += self.exponent()?;
        let value: IBig = digits.parse().map_err(|_| format!("at character {}: not a number", from + 1))?;
        let number =
            Decimal::new(value, exponent).map_err(|error| format!("at character {}: {error}", from + 1))?;
        Ok(Kind::Number(number))
    }

    /// A mark between groups of three digits, if one stands here.
    fn group_mark(&self) -> Option<char> {
        let mark = self.peek(0)?;
        let here = match mark {
            ',' => self.calls.last() != Some(&true) && self.digit(1),
            '_' | '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2009}' => self.digit(1),
            _ => false,
        };
        here.then_some(mark)
    }

    /// The power of ten of `1e6`; 0 where there is none.
    fn exponent(&mut self) -> Result<isize, String> {
        if !matches!(self.peek(0), Some('e' | 'E')) {
            return Ok(0);
        }
        let signed = matches!(self.peek(1), Some('+' | '-'));
        if !self.digit(1 + usize::from(signed)) {
            return Ok(0);
        }
        let negative = self.peek(1) == Some('-');
        let from = self.next;
        self.next += 1 + usize::from(signed);
        let mut digits = String::new();
        self.digits(&mut digits);
        if digits.len() > MAX_EXPONENT_DIGITS {
            return Err(format!("at character {}: the exponent is too large", from + 1));
        }
        let power: isize = digits.parse().unwrap_or(0);
        Ok(if negative { -power } else { power })
    }
}

fn stray(found: char, at: usize) -> String {
    let hint = if found == '$' || found == '€' || found == '£' {
        "; leave units out"
    } else if found == '=' {
        "; write one expression, without ="
    } else {
        ""
    };
    format!("at character {at}: {found:?} has no place in an expression{hint}")
}

fn bad_group(mark: char, at: usize) -> String {
    format!(
        "at character {at}: {mark:?} stands only between groups of three digits, as in 1,234,567.89; \
         the decimal point is written ."
    )
}
