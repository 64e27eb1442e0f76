//! Durations as people write and read them.

use jiff::Span;

/// The longest text, in characters.
const MAX_CHARS: usize = 200;

const FORMS: &str = "write one such as `2 weeks 3 days`, `-90 minutes` or `P1M2DT3H`";

const NUMBERS: [(&str, &str); 14] = [
    ("a", "1"),
    ("an", "1"),
    ("one", "1"),
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
];

/// Reads a duration: ISO 8601 (`P1M2DT3H`) or words (`2 weeks and 3 days`, `90 min`, `3 days ago`).
///
/// # Errors
/// When it cannot be read or is too long.
pub fn read(text: &str) -> Result<Span, String> {
    if text.trim().is_empty() {
        return Err(format!("the duration is empty; {FORMS}"));
    }
    if text.chars().count() > MAX_CHARS {
        return Err(format!("the duration has more than {MAX_CHARS} characters; {FORMS}"));
    }
    let plain = text.replace(['\u{2212}', '\u{2013}'], "-").replace(',', " ").to_lowercase();
    let words = plain.split_whitespace().filter(|word| !matches!(*word, "and" | "in" | "from" | "now"));
    let plain = words.map(number).collect::<Vec<_>>().join(" ");
    // A sign may stand apart, as in `- 3 days`.
    let plain = match plain.strip_prefix("- ") {
        Some(rest) => format!("-{rest}"),
        None => plain,
    };
    plain.parse().map_err(|error| format!("the duration {text:?} cannot be read: {error}; {FORMS}"))
}

/// A number that is written as a word, in digits.
fn number(word: &str) -> &str {
    NUMBERS.iter().find(|(name, _)| *name == word).map_or(word, |(_, digits)| digits)
}

/// Whether a duration has hours or less in it.
pub fn has_time(span: &Span) -> bool {
    let times = [
        i64::from(span.get_hours()),
        span.get_minutes(),
        span.get_seconds(),
        span.get_milliseconds(),
        span.get_microseconds(),
        span.get_nanoseconds(),
    ];
    times.iter().any(|it| *it != 0)
}

/// A duration in words: `1 month, 2 days`.
pub fn shown(span: &Span) -> String {
    let seconds = span.get_seconds();
    let units = [
        (i64::from(span.get_years()), "year"),
        (i64::from(span.get_months()), "month"),
        (i64::from(span.get_weeks()), "week"),
        (i64::from(span.get_days()), "day"),
        (i64::from(span.get_hours()), "hour"),
        (span.get_minutes(), "minute"),
        (seconds, "second"),
        (span.get_milliseconds(), "millisecond"),
        (span.get_microseconds(), "microsecond"),
        (span.get_nanoseconds(), "nanosecond"),
    ];
    let parts: Vec<String> = units
        .iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, unit)| format!("{} {unit}{}", count.abs(), if count.abs() == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() { "no time".into() } else { parts.join(", ") }
}

/// A number of seconds in a larger unit, to two places: `28.5`.
pub fn in_units(seconds: i64, unit: i64) -> String {
    let hundredths = i128::from(seconds) * 100;
    let unit = i128::from(unit);
    let rounded = (hundredths.abs() + unit / 2) / unit;
    let sign = if seconds < 0 && rounded > 0 { "-" } else { "" };
    let number = format!("{sign}{}.{:02}", rounded / 100, rounded % 100);
    let about = if hundredths.abs() % unit == 0 { "" } else { "about " };
    format!("{about}{}", number.trim_end_matches('0').trim_end_matches('.'))
}
