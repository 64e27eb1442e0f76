//! Decimal numbers: exact as long as they can be, else rounded and marked as such.
//!
//! Sums, differences, products and integer powers are exact up to [`MAX_EXACT_DIGITS`]
//! significant digits. What is not exact is carried with [`WORKING_DIGITS`] and shown with
//! [`SHOWN_DIGITS`], rounded half to even, as IEEE 754 decimal128 does.

use std::cmp::Ordering;

use dashu_float::round::Rounded;
use dashu_float::round::mode::HalfEven;
use dashu_float::{Context, FBig, Repr};
use dashu_int::IBig;

/// The most significant digits of an exact number. Beyond it numbers are rounded.
pub const MAX_EXACT_DIGITS: usize = 400;
/// Significant digits of a number that is not exact, while it is computed with.
pub const WORKING_DIGITS: usize = 60;
/// Significant digits of a rounded result.
pub const SHOWN_DIGITS: usize = 34;
/// The largest and, negated, the least power of ten of a leading digit.
pub const MAX_MAGNITUDE: i64 = 10_000;
/// The most digits between the front of one number and the end of the other in a remainder.
const MAX_MOD_DIGITS: i64 = 2_000;
/// How many zeros are written out before a number is written with an exponent.
const MAX_ZEROS: i64 = 30;

/// A decimal number, `digits * 10^exponent`.
#[derive(Debug, Clone)]
pub struct Decimal {
    repr: Repr<10>,
    exact: bool,
}

type Result<T> = std::result::Result<T, String>;

impl Decimal {
    /// A whole number.
    pub fn whole(number: i64) -> Self {
        Self { repr: Repr::new(IBig::from(number), 0), exact: true }
    }

    /// `digits * 10^exponent`, exactly.
    pub fn new(digits: IBig, exponent: isize) -> Result<Self> {
        Self { repr: Repr::new(digits, exponent), exact: true }.bounded()
    }

    /// What a function of the library gave. `exact` says whether its arguments were.
    pub fn computed(
        result: std::result::Result<Rounded<FBig<HalfEven, 10>>, dashu_float::FpError>,
        exact: bool,
    ) -> Result<Self> {
        let rounded = result.map_err(|_| "the result is not a real number".to_owned())?;
        let was_exact = matches!(rounded, Rounded::Exact(_));
        let repr = rounded.value().into_repr();
        if repr.is_infinite() {
            return Err("the result is infinite".into());
        }
        Self { repr, exact: exact && was_exact }.bounded()
    }

    /// The context in which inexact functions are computed.
    pub fn context() -> Context<HalfEven> {
        Context::new(WORKING_DIGITS)
    }

    /// The library's form of it.
    pub fn repr(&self) -> &Repr<10> {
        &self.repr
    }

    /// Whether nothing was rounded on the way here.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        *self.repr.significand() == IBig::ZERO
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        *self.repr.significand() < IBig::ZERO
    }

    /// The same number, taken as not exact.
    pub fn into_rounded(mut self) -> Self {
        self.exact = false;
        self
    }

    /// The same number, known to be exact.
    pub fn as_exact(&self) -> Self {
        Self { repr: self.repr.clone(), exact: true }
    }

    /// The power of ten of its leading digit.
    pub fn magnitude(&self) -> i64 {
        self.repr.exponent() as i64 + self.repr.digits() as i64 - 1
    }

    /// Its value, when it is a whole number that fits.
    pub fn to_whole(&self) -> Option<i64> {
        let exponent = usize::try_from(self.repr.exponent()).ok()?;
        if exponent > 18 {
            return self.is_zero().then_some(0);
        }
        i64::try_from(self.repr.significand() * IBig::from(10).pow(exponent)).ok()
    }

    /// Its opposite.
    pub fn negated(self) -> Self {
        let (digits, exponent) = self.repr.into_parts();
        Self { repr: Repr::new(-digits, exponent), exact: self.exact }
    }

    /// `self + other`.
    pub fn plus(&self, other: &Self) -> Result<Self> {
        if other.is_zero() || self.is_zero() {
            let mut sum = if self.is_zero() { other.clone() } else { self.clone() };
            sum.exact = self.exact && other.exact;
            return Ok(sum);
        }
        let exponent = self.repr.exponent().min(other.repr.exponent());
        let digits = self.scaled(exponent) + other.scaled(exponent);
        Self { repr: Repr::new(digits, exponent), exact: self.exact && other.exact }.bounded()
    }

    /// `self - other`.
    pub fn minus(&self, other: &Self) -> Result<Self> {
        self.plus(&other.clone().negated())
    }

    /// `self * other`.
    pub fn times(&self, other: &Self) -> Result<Self> {
        let digits = self.repr.significand() * other.repr.significand();
        let exponent = self.repr.exponent() + other.repr.exponent();
        Self { repr: Repr::new(digits, exponent), exact: self.exact && other.exact }.bounded()
    }

    /// `self / other`.
    pub fn over(&self, other: &Self) -> Result<Self> {
        if other.is_zero() {
            return Err("division by zero".into());
        }
        let (dividend, divisor) = (self.repr.significand(), other.repr.significand());
        // Enough digits for the quotient to have two more than are kept.
        let more = (WORKING_DIGITS + 2 + other.repr.digits()).saturating_sub(self.repr.digits());
        let scaled = dividend * IBig::from(10).pow(more);
        let (mut quotient, rest) = (&scaled / divisor, &scaled % divisor);
        let exponent = self.repr.exponent() - other.repr.exponent() - more as isize;
        let whole = rest == IBig::ZERO;
        if !whole {
            // One more digit that is not zero stands for all that follow, so that rounding
            // later can tell a tie from what only looks like one.
            let up = self.is_negative() == other.is_negative();
            quotient = quotient * IBig::from(10) + IBig::from(if up { 1 } else { -1 });
        }
        let exponent = if whole { exponent } else { exponent - 1 };
        let exact = whole && self.exact && other.exact;
        Self { repr: Repr::new(quotient, exponent), exact }.bounded()
    }

    /// The remainder of `self / other`, with the sign of `other`.
    pub fn modulo(&self, other: &Self) -> Result<Self> {
        if other.is_zero() {
            return Err("division by zero".into());
        }
        let exponent = self.repr.exponent().min(other.repr.exponent());
        if !self.is_zero() && self.magnitude() - exponent as i64 > MAX_MOD_DIGITS {
            return Err("the numbers of mod are too far apart".into());
        }
        let divisor = other.scaled(exponent);
        let mut rest = self.scaled(exponent) % &divisor;
        if rest != IBig::ZERO && (rest < IBig::ZERO) != (divisor < IBig::ZERO) {
            rest += divisor;
        }
        Self { repr: Repr::new(rest, exponent), exact: self.exact && other.exact }.bounded()
    }

    /// `self` to a whole power, which is exact as long as it has not too many digits.
    pub fn to_whole_power(&self, power: i64) -> Result<Self> {
        if power < 0 {
            return Self::whole(1).over(&self.to_whole_power(power.saturating_neg())?);
        }
        let few = self.size_of_digits() * power as f64 <= MAX_EXACT_DIGITS as f64;
        let shift = (self.repr.exponent() as i64).checked_mul(power);
        let unit = self.repr.significand() == &IBig::ONE || self.repr.significand() == &-IBig::ONE;
        match (usize::try_from(power), shift) {
            (Ok(count), Some(shift)) if (few || unit) && shift.abs() <= 2 * MAX_MAGNITUDE => {
                let negative = self.is_negative() && count % 2 == 1;
                let digits = match unit {
                    true if negative => -IBig::ONE,
                    true => IBig::ONE,
                    false => self.repr.significand().pow(count),
                };
                Self { repr: Repr::new(digits, shift as isize), exact: self.exact }.bounded()
            }
            _ => {
                self.check_power(&Self::whole(power))?;
                let raised = Self::context().powi(&self.repr, IBig::from(power));
                Self::computed(raised, self.exact)
            }
        }
    }

    /// Refuses powers whose size would be beyond [`MAX_MAGNITUDE`], before computing them.
    pub fn check_power(&self, power: &Self) -> Result<()> {
        let context: Context<HalfEven> = Context::new(20);
        let size = self.clone().absolute();
        let log = Self::computed(context.log10(&size.repr, None), false)?;
        let result = log.times(power)?;
        let limit = Self::whole(MAX_MAGNITUDE);
        match result.clone().absolute().compare(&limit) {
            Ordering::Less => Ok(()),
            _ if result.is_negative() => Err(too_small()),
            _ => Err(too_large()),
        }
    }

    /// Its size without the sign.
    pub fn absolute(self) -> Self {
        if self.is_negative() { self.negated() } else { self }
    }

    /// Which of both is larger.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.is_negative() { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.is_negative() { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        match (self.is_negative(), other.is_negative()) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (negative, _) => {
                // Far apart numbers are told apart without writing their zeros out.
                let sizes = self.magnitude().cmp(&other.magnitude());
                let sizes = sizes.then_with(|| {
                    let exponent = self.repr.exponent().min(other.repr.exponent());
                    let (mine, theirs) = (self.scaled(exponent), other.scaled(exponent));
                    if negative { theirs.cmp(&mine) } else { mine.cmp(&theirs) }
                });
                if negative { sizes.reverse() } else { sizes }
            }
        }
    }

    /// Rounded to this many decimal places by `how`.
    pub fn rounded(&self, places: i64, how: Places) -> Result<Self> {
        let exponent = -(places as isize);
        if self.repr.exponent() >= exponent {
            return Ok(self.clone());
        }
        if self.magnitude() < -places - 1 && how == Places::HalfAway {
            return Ok(Self { repr: Repr::zero(), exact: self.exact });
        }
        let drop = self.repr.exponent().abs_diff(exponent);
        if drop > (MAX_MAGNITUDE as usize) * 2 {
            return Err("too many decimal places".into());
        }
        let unit = IBig::from(10).pow(drop);
        let (mut kept, rest) = (self.repr.significand() / &unit, self.repr.significand() % &unit);
        let away = if rest < IBig::ZERO { -IBig::ONE } else { IBig::ONE };
        let twice = if rest < IBig::ZERO { &rest * IBig::from(-2) } else { &rest * IBig::from(2) };
        let steps = match how {
            Places::Down => rest < IBig::ZERO,
            Places::Up => rest > IBig::ZERO,
            Places::Zero => false,
            Places::HalfAway => twice >= unit,
        };
        if steps {
            kept += away;
        }
        Self { repr: Repr::new(kept, exponent), exact: self.exact }.bounded()
    }

    /// The text of it.
    pub fn shown(&self) -> String {
        if self.exact {
            return written(&self.repr, None);
        }
        let all: FBig<HalfEven, 10> = FBig::from_repr(self.repr.clone(), Context::new(0));
        let shown = all.with_precision(SHOWN_DIGITS).value().into_repr();
        format!("{} (rounded to {SHOWN_DIGITS} significant digits)", written(&shown, Some(SHOWN_DIGITS)))
    }

    /// The decimal logarithm of the digits taken as a whole number, about.
    fn size_of_digits(&self) -> f64 {
        let digits = self.repr.significand().to_string();
        let digits = digits.trim_start_matches('-');
        let front: f64 = digits[..digits.len().min(15)].parse().unwrap_or(1.0);
        front.log10() + digits.len().saturating_sub(15) as f64
    }

    fn scaled(&self, exponent: isize) -> IBig {
        let more = self.repr.exponent().abs_diff(exponent);
        self.repr.significand() * IBig::from(10).pow(more)
    }

    /// Rounds what has too many digits, refuses what is too large or too small.
    fn bounded(mut self) -> Result<Self> {
        if self.is_zero() {
            self.repr = Repr::zero();
            return Ok(self);
        }
        let kept = if self.exact { MAX_EXACT_DIGITS } else { WORKING_DIGITS };
        if self.repr.digits() > kept {
            self.exact = false;
            self.repr = sticky(&self.repr);
        }
        match self.magnitude() {
            size if size > MAX_MAGNITUDE => Err(too_large()),
            size if size < -MAX_MAGNITUDE => Err(too_small()),
            _ => Ok(self),
        }
    }
}

/// In which direction decimal places are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// Towards minus infinity.
    Down,
    /// Towards plus infinity.
    Up,
    /// Towards zero.
    Zero,
    /// To the nearest, half away from zero, as taught at school.
    HalfAway,
}

/// Cuts to [`WORKING_DIGITS`] so that a later rounding to fewer digits is the same as if it
/// had seen all of them: a last digit that is 0 or 5 moves away from zero when something
/// that is not zero is cut off. Source: the rounding ROUND_05UP of the General Decimal
/// Arithmetic specification.
fn sticky(repr: &Repr<10>) -> Repr<10> {
    let drop = repr.digits().saturating_sub(WORKING_DIGITS);
    if drop == 0 {
        return repr.clone();
    }
    let unit = IBig::from(10).pow(drop);
    let (mut kept, rest) = (repr.significand() / &unit, repr.significand() % &unit);
    if rest != IBig::ZERO && &kept % IBig::from(5) == IBig::ZERO {
        kept += if rest < IBig::ZERO { -IBig::ONE } else { IBig::ONE };
    }
    Repr::new(kept, repr.exponent() + drop as isize)
}

/// Plain notation, or with an exponent where that would be mostly zeros, or zeros that look
/// like digits of a number that has only `significant` ones.
fn written(repr: &Repr<10>, significant: Option<usize>) -> String {
    let digits = repr.significand().to_string();
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits.as_str()),
    };
    let count = digits.len() as i64;
    let exponent = repr.exponent() as i64;
    let before = count + exponent;
    let beyond = significant.is_some_and(|most| exponent > 0 && before > most as i64);
    if exponent > MAX_ZEROS || beyond || before < -MAX_ZEROS {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{point}{rest}e{}", before - 1);
    }
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent as usize));
    }
    if before <= 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(before.unsigned_abs() as usize));
    }
    let (whole, fraction) = digits.split_at(before as usize);
    format!("{sign}{whole}.{fraction}")
}

fn too_large() -> String {
    format!("the result is larger than 10^{MAX_MAGNITUDE}, the largest that is computed")
}

fn too_small() -> String {
    format!("the result is closer to zero than 10^-{MAX_MAGNITUDE}, the least that is computed")
}
