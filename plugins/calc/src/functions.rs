//! Functions and constants.

use std::cmp::Ordering;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;

use crate::decimal::{Decimal, Places};

/// The names, for error messages.
pub const NAMES: &str = "pi, e, sqrt, cbrt, root, abs, min, max, sum, avg, round, floor, ceil, trunc, mod, \
                         ln, log, log10, log2, exp, pow, sin, cos, tan, asin, acos, atan, rad, deg";

/// The largest root, as in `root(x, n)`.
const MAX_ROOT: i64 = 1_000;
/// The most decimal places that `round` takes.
const MAX_PLACES: i64 = 1_000;
/// The largest power of ten of an angle, and of an argument of `exp`.
const MAX_ANGLE_MAGNITUDE: i64 = 40;
/// What is beyond it, for an angle that was rounded, is the rounding's own trace.
const NOISE_MAGNITUDE: i64 = 45;
const MAX_EXP: i64 = 23_000;

type Result<T> = std::result::Result<T, String>;

/// A constant, if this names one.
pub fn constant(name: &str) -> Option<Result<Decimal>> {
    let context = Decimal::context();
    let value: FBig<HalfEven, 10> = match name {
        "pi" | "π" => context.pi::<10>(None).value(),
        "tau" | "τ" => {
            let pi = Decimal::computed(Ok(context.pi::<10>(None)), false);
            return Some(pi.and_then(|pi| pi.times(&Decimal::whole(2))));
        }
        "e" => context.e::<10>().value(),
        _ => return None,
    };
    Some(Decimal::computed(Ok(dashu_float::round::Rounded::Exact(value)), false))
}

/// Whether there is a function of this name.
pub fn is_known(name: &str) -> bool {
    NAMES.split(", ").any(|known| known == name)
        || matches!(name, "average" | "mean" | "squareroot" | "int" | "nthroot" | "ceiling")
}

/// Calls a function.
///
/// # Errors
/// When the number of values is wrong, or the function has no result there.
pub fn call(name: &str, values: &[Decimal]) -> Result<Decimal> {
    match (name, values) {
        ("min", [first, rest @ ..]) => Ok(extreme(first, rest, Ordering::Less)),
        ("max", [first, rest @ ..]) => Ok(extreme(first, rest, Ordering::Greater)),
        ("sum", [_, ..]) => sum(values),
        ("avg" | "average" | "mean", [_, ..]) => sum(values)?.over(&Decimal::whole(values.len() as i64)),
        ("sqrt" | "squareroot", [x]) => root(x, 2),
        ("cbrt", [x]) => root(x, 3),
        ("root" | "nthroot", [x, n]) => match n.to_whole() {
            Some(n @ 1..=MAX_ROOT) => root(x, n),
            _ => Err(format!("root(x, n) takes a whole n from 1 to {MAX_ROOT}")),
        },
        ("abs", [x]) => Ok(x.clone().absolute()),
        ("round", [x]) => x.rounded(0, Places::HalfAway),
        ("round", [x, places]) => match places.to_whole() {
            Some(places) if places.abs() <= MAX_PLACES => x.rounded(places, Places::HalfAway),
            _ => Err(format!("round(x, places) takes whole places from -{MAX_PLACES} to {MAX_PLACES}")),
        },
        ("floor", [x]) => x.rounded(0, Places::Down),
        ("ceil" | "ceiling", [x]) => x.rounded(0, Places::Up),
        ("trunc" | "int", [x]) => x.rounded(0, Places::Zero),
        ("mod", [x, y]) => modulo(x, y),
        ("pow", [x, y]) => power(x, y),
        ("exp", [x]) => exp(x),
        ("ln", [x]) => log(x, Base::E),
        ("log" | "log10", [x]) => log(x, Base::Ten),
        ("log2", [x]) => log_to(x, &Decimal::whole(2)),
        ("log", [x, base]) => log_to(x, base),
        ("sin" | "cos" | "tan", [x]) => angle(name, x),
        ("asin" | "acos" | "atan", [x]) => arc(name, x),
        ("rad", [x]) => radians(x),
        ("deg", [x]) => x.times(&Decimal::whole(180))?.over(&pi()?),
        (name, values) => Err(format!("{} found {}", arity(name), values.len())),
    }
}

fn arity(name: &str) -> String {
    let takes = match name {
        "root" | "nthroot" | "mod" | "pow" => "2 values",
        "round" | "log" => "1 or 2 values",
        "min" | "max" | "sum" | "avg" | "average" | "mean" => "at least 1 value",
        _ => "1 value",
    };
    format!("{name} takes {takes} (inside a function write numbers without thousands separators),")
}

/// `x ^ y`.
///
/// # Errors
/// When it is no real number, or too large.
pub fn power(x: &Decimal, y: &Decimal) -> Result<Decimal> {
    if x.is_zero() {
        return match y.compare(&Decimal::whole(0)) {
            Ordering::Greater => Ok(x.clone()),
            Ordering::Equal => Err("0^0 has no value".into()),
            Ordering::Less => Err("division by zero".into()),
        };
    }
    if let Some(whole) = y.to_whole() {
        return x.to_whole_power(whole).map(|power| if y.is_exact() { power } else { power.into_rounded() });
    }
    if x.is_negative() {
        return Err("a negative number has only whole powers; write root(x, n) for a root".into());
    }
    x.check_power(y)?;
    // Powers such as 4^0.5 are roots, and those can be exact.
    for n in [2, 3, 4, 5, 10] {
        if let Some(times) = y.times(&Decimal::whole(n))?.to_whole() {
            return root(x, n)?.to_whole_power(times);
        }
    }
    let exact = x.is_exact() && y.is_exact();
    Decimal::computed(Decimal::context().powf(x.repr(), y.repr(), None), exact)
}

/// The remainder with the sign of `y`, so that `-1 mod 3` is 2.
///
/// # Errors
/// When `y` is zero, or the numbers are too far apart.
pub fn modulo(x: &Decimal, y: &Decimal) -> Result<Decimal> {
    x.modulo(y)
}

/// An angle in degrees as radians.
///
/// # Errors
/// When it is too large.
pub fn radians(degrees: &Decimal) -> Result<Decimal> {
    degrees.times(&pi()?)?.over(&Decimal::whole(180))
}

fn pi() -> Result<Decimal> {
    Decimal::computed(Ok(Decimal::context().pi::<10>(None)), false)
}

fn extreme(first: &Decimal, rest: &[Decimal], wanted: Ordering) -> Decimal {
    let best = rest.iter().fold(first, |best, it| if it.compare(best) == wanted { it } else { best });
    best.clone()
}

fn sum(values: &[Decimal]) -> Result<Decimal> {
    values.iter().try_fold(Decimal::whole(0), |sum, value| sum.plus(value))
}

fn root(x: &Decimal, n: i64) -> Result<Decimal> {
    if x.is_negative() && n % 2 == 0 {
        return Err("a negative number has no real even root".into());
    }
    if x.is_zero() || n == 1 {
        return Ok(x.clone());
    }
    let n = usize::try_from(n).map_err(|_| "the root is too large".to_owned())?;
    let context = Decimal::context();
    let found = if n == 2 { context.sqrt(x.repr()) } else { context.nth_root(n, x.repr()) };
    let found = Decimal::computed(found, false)?;
    // It is exact when its power gives the number back.
    let back = found.as_exact().to_whole_power(n as i64)?;
    let exact = x.is_exact() && back.is_exact() && back.compare(x) == Ordering::Equal;
    Ok(if exact { found.as_exact() } else { found })
}

fn exp(x: &Decimal) -> Result<Decimal> {
    if x.is_zero() {
        return Ok(Decimal::whole(1));
    }
    if x.clone().absolute().compare(&Decimal::whole(MAX_EXP)) == Ordering::Greater {
        return Err(format!("exp takes values from -{MAX_EXP} to {MAX_EXP}"));
    }
    Decimal::computed(Decimal::context().exp(x.repr(), None), false)
}

enum Base {
    E,
    Ten,
}

fn log_to(x: &Decimal, base: &Decimal) -> Result<Decimal> {
    let divisor = log(base, Base::E)?;
    if divisor.is_zero() {
        return Err("there is no logarithm to base 1".into());
    }
    let found = log(x, Base::E)?.over(&divisor)?;
    // It is exact when the power gives the number back.
    let whole = found.rounded(0, Places::HalfAway)?.as_exact();
    let back = whole.to_whole().and_then(|power| base.to_whole_power(power).ok());
    let exact =
        x.is_exact() && back.is_some_and(|back| back.is_exact() && back.compare(x) == Ordering::Equal);
    Ok(if exact { whole } else { found })
}

fn log(x: &Decimal, base: Base) -> Result<Decimal> {
    if x.is_zero() || x.is_negative() {
        return Err("a logarithm takes a number above zero".into());
    }
    let context = Decimal::context();
    let found = match base {
        Base::E => context.ln(x.repr(), None),
        Base::Ten => context.log10(x.repr(), None),
    };
    Decimal::computed(found, x.is_exact())
}

fn angle(name: &str, x: &Decimal) -> Result<Decimal> {
    if !x.is_zero() && x.magnitude() > MAX_ANGLE_MAGNITUDE {
        return Err(format!("{name} takes angles up to 10^{MAX_ANGLE_MAGNITUDE}"));
    }
    let context = Decimal::context();
    let found = match name {
        "sin" => context.sin(x.repr(), None),
        "cos" => context.cos(x.repr(), None),
        _ => context.tan(x.repr(), None),
    };
    settle(Decimal::computed(found, x.is_exact())?, x)
}

/// At multiples of a rounded pi, 1e-60 stands for zero and 1e60 for a pole.
fn settle(found: Decimal, x: &Decimal) -> Result<Decimal> {
    if x.is_exact() || found.is_zero() {
        return Ok(found);
    }
    match found.magnitude() - x.magnitude().max(0) {
        size if size < -NOISE_MAGNITUDE => Ok(Decimal::whole(0).into_rounded()),
        size if size > NOISE_MAGNITUDE => Err("the tangent has no value there".into()),
        _ => Ok(found),
    }
}

fn arc(name: &str, x: &Decimal) -> Result<Decimal> {
    let one = Decimal::whole(1);
    if name != "atan" && x.clone().absolute().compare(&one) == Ordering::Greater {
        return Err(format!("{name} takes values from -1 to 1"));
    }
    let context = Decimal::context();
    let found = match name {
        "asin" => context.asin(x.repr(), None),
        "acos" => context.acos(x.repr(), None),
        _ => context.atan(x.repr(), None),
    };
    Decimal::computed(found, x.is_exact())
}
