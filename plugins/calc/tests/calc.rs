//! The calculator against Python's decimal module, against laws of arithmetic, and as people
//! and models write to it.

use calc::evaluate;
use proptest::prelude::*;

const ROUNDED: &str = " (rounded to 34 significant digits)";

#[test]
fn agrees_with_the_vectors() {
    let vectors = include_str!("vectors.tsv");
    assert!(vectors.lines().count() > 600);
    for line in vectors.lines() {
        let (expression, expected) = line.split_once('\t').expect("expression, tab, result");
        assert_eq!(evaluate(expression).as_deref(), Ok(expected), "{expression}");
    }
}

fn check(cases: &[(&str, &str)]) {
    for (expression, expected) in cases {
        assert_eq!(evaluate(expression).as_deref(), Ok(*expected), "{expression}");
    }
}

fn check_errors(cases: &[(&str, &str)]) {
    for (expression, part) in cases {
        let error = evaluate(expression).expect_err(expression);
        assert!(error.contains(part), "{expression}: {error}");
    }
}

#[test]
fn reads_what_people_write() {
    check(&[
        ("17.5% * 2310.40", "404.32"),
        ("17.5% of 2310.40", "404.32"),
        ("2310.40 × 17.5 %", "404.32"),
        ("1,234,567.89 * 2", "2469135.78"),
        ("1_000 + 1'000", "2000"),
        ("10 ÷ 4", "2.5"),
        ("5 − 7", "-2"),
        ("5 x 3", "15"),
        ("2**10", "1024"),
        ("3² + 2³", "17"),
        ("√(16) + √9", "7"),
        ("12.50 + 3.5 =", "16"),
        ("1e3 + 2.5E-1", "1000.25"),
        ("max(1, 2.5, -3)", "2.5"),
        ("min(4;2)", "2"),
        ("MAX(1,200)", "200"),
        ("[1 + 2] * 3", "9"),
        ("+5 - -5", "10"),
    ]);
}

#[test]
fn percent_is_a_part_of_what_stands_before() {
    check(&[
        ("200 + 10%", "220"),
        ("200 - 10%", "180"),
        ("10% + 5%", "0.15"),
        ("50%", "0.5"),
        ("200 + 10% * 5", "200.5"),
        ("(100 + 50) + 10%", "165"),
        ("10 + 20% of 50", "20"),
        ("-10% * 50", "-5"),
    ]);
}

#[test]
fn precedence_is_that_of_mathematics() {
    check(&[
        ("2 + 3 * 4", "14"),
        ("-2^2", "-4"),
        ("2^3^2", "512"),
        ("2^-2", "0.25"),
        ("8 / 2 / 2", "2"),
        ("10 - 4 - 3", "3"),
        ("17 mod 5 * 2", "4"),
        ("-7 mod 3", "2"),
    ]);
}

#[test]
fn functions_have_their_values() {
    check(&[
        ("sqrt(2.25)", "1.5"),
        ("cbrt(-27)", "-3"),
        ("root(1024, 10)", "2"),
        ("4^0.5", "2"),
        ("8^-0.5 * 0", "0 (rounded to 34 significant digits)"),
        ("abs(-3.5)", "3.5"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(2.345, 2)", "2.35"),
        ("round(1234, -2)", "1200"),
        ("round(0.4)", "0"),
        ("round(0.04, 1)", "0"),
        ("floor(-1.5)", "-2"),
        ("ceil(-1.5)", "-1"),
        ("trunc(-1.5)", "-1"),
        ("log10(1000)", "3"),
        ("log2(0.125)", "-3"),
        ("exp(0)", "1"),
        ("ln(1)", "0"),
        ("cos(0)", "1"),
        ("sum(0.1, 0.2)", "0.3"),
        ("avg(1, 2)", "1.5"),
        (
            "2^300",
            "2037035976334486086268445688409378161051468393665936250636140449354381299763336706183397376",
        ),
    ]);
    for (expression, expected) in [
        ("pi", "3.141592653589793238462643383279503"),
        ("e", "2.718281828459045235360287471352662"),
        ("sin(30°)", "0.5"),
        ("sin(pi)", "0"),
        ("1/3*3", "1"),
        ("cos(1)", "0.5403023058681397174009366074429766"),
        ("tan(1)", "1.557407724654902230506974807458360"),
        ("atan(1) * 4 - pi", "0"),
        ("2/3", "0.6666666666666666666666666666666667"),
    ] {
        let found = evaluate(expression).expect(expression);
        let digits = found.strip_suffix(ROUNDED).unwrap_or_else(|| panic!("{expression} = {found}"));
        let expected = if expected.contains('.') { expected.trim_end_matches('0') } else { expected };
        assert_eq!(digits, expected, "{expression}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    check_errors(&[
        ("", "empty"),
        ("   ", "empty"),
        ("1 +", "ends where"),
        ("(1 + 2", "')'"),
        ("1 + )", "at character 5"),
        ("1 / 0", "at character 3: division by zero"),
        ("5 mod 0", "division by zero"),
        ("1 2", "at character 3"),
        ("2(3)", "operator"),
        ("17 % 5", "mod"),
        ("foo(1)", "\"foo\" is not known"),
        ("sqrt(-1)", "even root"),
        ("(-8)^0.5", "whole powers"),
        ("ln(0)", "above zero"),
        ("0^0", "no value"),
        ("0^-1", "division by zero"),
        ("1,23", "groups of three"),
        ("1.234,56", "groups of three"),
        ("1.2.3", "one decimal point"),
        ("$5 * 2", "leave units out"),
        ("1 = 1", "without ="),
        ("max()", "max takes"),
        ("sqrt(1, 2)", "sqrt takes 1 value"),
        ("max(1,200, 3,400)", "thousands"),
        ("sqrt 4", "( after sqrt"),
        ("1e999999", "exponent"),
        ("1e99999", "larger than"),
        ("tan(pi/2)", "no value"),
        ("asin(2)", "from -1 to 1"),
    ]);
}

/// Nothing that fits in an expression may keep the machine busy.
#[test]
fn nothing_spins() {
    let deep = format!("{}1{}", "(".repeat(400), ")".repeat(400));
    let signs = format!("{}1", "-".repeat(900));
    let powers = ["9"; 60].join("^");
    let long = "1+".repeat(600) + "1";
    let sines = "sin(1)+".repeat(140) + "1";
    let products = ["1.23456789e99"; 70].join("*");
    let roots = format!("{}2{}", "√(".repeat(60), ")".repeat(60));
    for expression in [
        deep.as_str(),
        &signs,
        &powers,
        &long,
        &sines,
        &products,
        &roots,
        "9^9^9",
        "1.1^99999999999999999",
        "0.9^99999999999999",
        "(1/3)^99999999",
        "exp(22999.5)",
        "exp(-22999)",
        "1e9999+1e-9999",
        "1e9999 mod 1e-9999",
        "round(1e-9999, 1000)",
        "floor(-1e-9999)",
        "sin(1e40)",
        "sin(1e41)",
        "ln(1e-9999)",
        "root(2, 1000)",
        "2^0.0000000001",
        "1e5000^2",
        "(-1)^99999999999999",
        "1e-9999 ^ 1e-9999",
        "10^9999.5",
    ] {
        let began = std::time::Instant::now();
        let found = evaluate(expression);
        assert!(began.elapsed().as_secs() < 3, "{expression} took {:?}", began.elapsed());
        if let Ok(text) = found {
            assert!(text.len() < 600, "{expression} gave {} bytes", text.len());
        }
    }
}

proptest! {
    /// Any text gives a result or a message, never a panic.
    #[test]
    fn any_text_is_answered(text in "[-0-9a-z+*/^%().,√°² ]{0,60}") {
        let _ = evaluate(&text);
    }

    #[test]
    fn arithmetic_is_that_of_integers(a in -10_i128.pow(15)..10_i128.pow(15), b in -10_i128.pow(15)..10_i128.pow(15)) {
        prop_assert_eq!(evaluate(&format!("({a}) + ({b})")), Ok((a + b).to_string()));
        prop_assert_eq!(evaluate(&format!("({a}) - ({b})")), Ok((a - b).to_string()));
        prop_assert_eq!(evaluate(&format!("({a}) * ({b})")), Ok((a * b).to_string()));
        if b != 0 {
            prop_assert_eq!(evaluate(&format!("({a}) mod ({b})")), Ok((((a % b) + b) % b).to_string()));
        }
    }

    /// A rounded quotient times its divisor is within half a unit of the last place.
    #[test]
    fn a_quotient_times_its_divisor_is_the_dividend(a in 1_u64.., b in 1_u64..) {
        prop_assert_eq!(
            evaluate(&format!("({a} / {b}) * {b}")).map(|text| text.replace(ROUNDED, "")),
            Ok(a.to_string())
        );
    }

    #[test]
    fn the_power_of_a_root_is_the_number(x in 1_u32.., n in 2_u32..9) {
        let back = evaluate(&format!("root({x}, {n})^{n}")).map(|text| text.replace(ROUNDED, ""));
        prop_assert_eq!(back, Ok(x.to_string()));
    }
}
