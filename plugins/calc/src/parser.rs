//! Reading an expression and computing it on the way, by recursive descent.
//!
//! From loose to tight: `+ -`; `* / of mod`; sign; `^` (from the right); `%`, `°`, `²`, `³`.
//! A percent that is added or taken away is a part of what stands before it: `200 + 10%` is
//! 220. Between two percents it is not: `10% + 5%` is 15 %.

use crate::decimal::Decimal;
use crate::functions;
use crate::lexer::{Kind, Token, tokens};

/// How deep parentheses, signs and powers may nest.
const MAX_DEPTH: usize = 64;

/// A value, and whether it was written as a percentage.
struct Operand {
    value: Decimal,
    percent: bool,
}

impl From<Decimal> for Operand {
    fn from(value: Decimal) -> Self {
        Self { value, percent: false }
    }
}

type Result<T> = std::result::Result<T, String>;

/// Computes an expression.
///
/// # Errors
/// A text that says what is wrong, and where.
pub fn evaluate(expression: &str) -> Result<Decimal> {
    let tokens = tokens(expression)?;
    let mut parser = Parser { tokens: &tokens, next: 0, depth: 0 };
    if matches!(parser.peek().kind, Kind::End) {
        return Err("the expression is empty; write for example 17.5% of 2310.40".into());
    }
    let sum = parser.sum()?;
    match &parser.peek().kind {
        Kind::End => Ok(sum.value),
        _ => Err(parser.unexpected("an operator such as + - * /")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn sign(&self) -> Option<char> {
        if let Kind::Sign(sign) = self.peek().kind { Some(sign) } else { None }
    }

    fn word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, Kind::Name(name) if name == word)
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.sign() == Some(sign);
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.take(sign) { Ok(()) } else { Err(self.unexpected(&format!("{sign:?}"))) }
    }

    fn unexpected(&self, expected: &str) -> String {
        let token = self.peek();
        match token.kind {
            Kind::End => format!("the expression ends where {expected} should follow"),
            _ => format!("at character {}: expected {expected}, found {:?}", token.at, token.text),
        }
    }

    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(format!("at character {}: nested more than {MAX_DEPTH} deep", self.peek().at));
        }
        self.depth += 1;
        let done = part(self);
        self.depth -= 1;
        done
    }

    fn sum(&mut self) -> Result<Operand> {
        let mut left = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.sign() {
            let at = self.peek().at;
            self.next += 1;
            let right = self.product()?;
            let percent = left.percent && right.percent;
            let step = if right.percent && !left.percent {
                located(at, left.value.times(&right.value))?
            } else {
                right.value
            };
            let value = if sign == '+' { left.value.plus(&step) } else { left.value.minus(&step) };
            left = Operand { value: located(at, value)?, percent };
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Operand> {
        let mut left = self.signed()?;
        loop {
            let at = self.peek().at;
            let (of, modulo) = (self.word("of"), self.word("mod"));
            let sign = match self.sign() {
                Some(sign @ ('*' | '/')) => sign,
                _ if of => '*',
                _ if modulo => '%',
                _ => return Ok(left),
            };
            self.next += 1;
            let right = self.signed()?.value;
            let value = match sign {
                '*' => left.value.times(&right),
                '/' => left.value.over(&right),
                _ => functions::modulo(&left.value, &right),
            };
            left = located(at, value)?.into();
        }
    }

    fn signed(&mut self) -> Result<Operand> {
        if self.take('-') {
            let Operand { value, percent } = self.deeper(Self::signed)?;
            return Ok(Operand { value: value.negated(), percent });
        }
        if self.take('+') {
            return self.deeper(Self::signed);
        }
        self.power()
    }

    fn power(&mut self) -> Result<Operand> {
        let base = self.postfix()?;
        let at = self.peek().at;
        if !self.take('^') {
            return Ok(base);
        }
        let power = self.deeper(Self::signed)?;
        Ok(located(at, functions::power(&base.value, &power.value))?.into())
    }

    fn postfix(&mut self) -> Result<Operand> {
        let mut operand: Operand = self.atom()?.into();
        while let Some(sign @ ('%' | '°' | '²' | '³')) = self.sign() {
            let at = self.peek().at;
            self.next += 1;
            let value = match sign {
                '%' => operand.value.over(&Decimal::whole(100)),
                '°' => functions::radians(&operand.value),
                '²' => operand.value.to_whole_power(2),
                _ => operand.value.to_whole_power(3),
            };
            operand = Operand { value: located(at, value)?, percent: sign == '%' };
            let follows = matches!(self.peek().kind, Kind::Number(_)) || self.sign() == Some('(');
            if sign == '%' && follows {
                return Err(format!(
                    "at character {at}: after % an operator must follow: `17% of 5` or `17% * 5` for a \
                     percentage, `17 mod 5` for the remainder"
                ));
            }
        }
        Ok(operand)
    }

    fn atom(&mut self) -> Result<Decimal> {
        let token = self.peek().clone();
        match token.kind {
            Kind::Number(number) => {
                self.next += 1;
                if matches!(self.peek().kind, Kind::Number(_)) {
                    return Err(self.unexpected("an operator between two numbers"));
                }
                Ok(number)
            }
            Kind::Sign('(') => {
                self.next += 1;
                let inner = self.deeper(Self::sum)?;
                self.expect(')')?;
                Ok(inner.value)
            }
            Kind::Sign('√') => {
                self.next += 1;
                let value = self.deeper(Self::postfix)?.value;
                located(token.at, functions::call("sqrt", &[value]))
            }
            Kind::Name(name) => {
                self.next += 1;
                self.named(&name, token.at)
            }
            _ => Err(self.unexpected("a number, a function or (")),
        }
    }

    fn named(&mut self, name: &str, at: usize) -> Result<Decimal> {
        if let Some(value) = functions::constant(name) {
            return located(at, value);
        }
        if !functions::is_known(name) {
            return Err(format!("at character {at}: {name:?} is not known; there are {}", functions::NAMES));
        }
        if !self.take('(') {
            return Err(self.unexpected(&format!("( after {name}")));
        }
        let mut values = Vec::new();
        let mut separators = Vec::new();
        while self.sign() != Some(')') {
            values.push(self.deeper(Self::sum)?.value);
            if self.sign() != Some(',') {
                break;
            }
            separators.push(self.next);
            self.next += 1;
        }
        self.expect(')')?;
        self.check_separators(&separators)?;
        located(at, functions::call(name, &values))
    }

    /// Refuses `max(1,200, 3,400)`, which could mean two numbers or four.
    fn check_separators(&self, separators: &[usize]) -> Result<()> {
        let spaced = |index: &&usize| self.tokens[**index + 1].spaced;
        let tight = separators.iter().find(|index| !spaced(index));
        match (tight, separators.iter().any(|index| spaced(&index))) {
            (Some(index), true) if self.is_group(*index) => Err(format!(
                "at character {}: between the values of a function write numbers without thousands separators",
                self.tokens[*index].at
            )),
            _ => Ok(()),
        }
    }

    fn is_group(&self, comma: usize) -> bool {
        let digits = |index: usize| {
            let text = &self.tokens[index].text;
            text.split('.').next().filter(|it| it.chars().all(|it| it.is_ascii_digit())).map_or(0, str::len)
        };
        comma > 0 && (1..=3).contains(&digits(comma - 1)) && digits(comma + 1) == 3
    }
}

fn located<T>(at: usize, result: Result<T>) -> Result<T> {
    result.map_err(|error| {
        if error.starts_with("at character") { error } else { format!("at character {at}: {error}") }
    })
}
