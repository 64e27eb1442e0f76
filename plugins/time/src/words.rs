//! The words of a date or time that somebody wrote.

use jiff::civil::{Date, Time, Weekday};

/// What is told where something cannot be read.
pub const FORMS: &str = "write a date as 2026-03-01 and a time as 2026-03-01T14:00";

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The number of a month by its name or the first three letters and more of it.
pub fn month(word: &str) -> Option<i8> {
    let word = word.trim_end_matches('.');
    let at = position(&MONTHS, word).or_else(|| (word == "sept").then_some(8))?;
    i8::try_from(at + 1).ok()
}

/// A weekday by its name or the first three letters and more of it.
pub fn weekday(word: &str) -> Option<Weekday> {
    let at = position(&WEEKDAYS, word.trim_end_matches('.'))?;
    Weekday::from_monday_zero_offset(i8::try_from(at).ok()?).ok()
}

fn position(names: &[&str], word: &str) -> Option<usize> {
    if word.len() < 3 { None } else { names.iter().position(|name| name.starts_with(word)) }
}

/// `am` is false, `pm` is true.
pub fn half_of_day(word: &str) -> Option<bool> {
    match word {
        "am" | "a.m." | "a.m" => Some(false),
        "pm" | "p.m." | "p.m" => Some(true),
        _ => None,
    }
}

/// A time by its hour on a clock of 12 hours.
///
/// # Errors
/// When the hour is not from 1 to 12.
pub fn twelve(time: Time, is_pm: bool) -> Result<Time, String> {
    if !(1..=12).contains(&time.hour()) {
        return Err(format!("with am or pm the hour is from 1 to 12, and here it is {}", time.hour()));
    }
    let hour = time.hour() % 12 + if is_pm { 12 } else { 0 };
    time.with().hour(hour).build().map_err(|error| error.to_string())
}

/// A time such as `9:30` or `14:00:05.25`, and what is written directly behind it.
///
/// # Errors
/// When there is no such time.
pub fn clock_time(word: &str) -> Result<(Time, &str), String> {
    let end = word.find(|it: char| !it.is_ascii_digit() && it != ':' && it != '.').unwrap_or(word.len());
    let (digits, rest) = word.split_at(end);
    // `3.30 p.m.` leaves its dot behind.
    let digits = digits.trim_end_matches('.');
    let padded = if digits.find(':') == Some(1) { format!("0{digits}") } else { digits.to_owned() };
    let time = padded.parse().map_err(|_| format!("{word:?} is no time of day; write one such as 14:00"))?;
    Ok((time, rest))
}

/// A date in one word, such as `2026-03-01`, `1-Mar-2026` or `25/12/2026`; none when it is none.
///
/// # Errors
/// When there is no such day, or it could be two days.
pub fn date(word: &str) -> Option<Result<Date, String>> {
    if let Ok(week) = word.to_uppercase().parse::<jiff::civil::ISOWeekDate>() {
        return Some(Ok(week.date()));
    }
    let sign =
        word.chars().find(|it| matches!(it, '-' | '/' | '.' | '\u{2010}' | '\u{2011}' | '\u{2013}'))?;
    let parts: Vec<&str> = word.trim_end_matches('.').split(sign).collect();
    let [first, second, third] = parts[..] else { return None };
    let number = |part: &str| -> Option<(i16, usize)> {
        let fits = (1..=4).contains(&part.len()) && part.bytes().all(|it| it.is_ascii_digit());
        if fits { Some((part.parse().ok()?, part.len())) } else { None }
    };
    let day = |number: i16| i8::try_from(number).unwrap_or(i8::MAX);
    Some(match (number(first), number(second), number(third)) {
        (Some((year, 4)), Some((month, 1 | 2)), Some((last, 1 | 2))) => build(year, day(month), day(last)),
        (Some((one, 1 | 2)), Some((two, 1 | 2)), Some((year, 4))) => {
            shortest_first(word, sign, day(one), day(two), year)
        }
        (Some((one, 1 | 2)), None, Some((year, 4))) => build(year, month(second)?, day(one)),
        (Some((year, 4)), None, Some((last, 1 | 2))) => build(year, month(second)?, day(last)),
        (None, Some((one, 1 | 2)), Some((year, 4))) => build(year, month(first)?, day(one)),
        (Some(_), _, Some(_)) => Err(format!("{word:?} has no year of four digits; {FORMS}")),
        _ => return None,
    })
}

/// A date that ends in its year. With dots the day comes first wherever dates have dots; with
/// other signs it may be the month.
fn shortest_first(word: &str, sign: char, one: i8, two: i8, year: i16) -> Result<Date, String> {
    if sign == '.' || one > 12 || one == two {
        return build(year, two, one);
    }
    if two > 12 {
        return build(year, one, two);
    }
    Err(format!(
        "{word} could be {year:04}-{one:02}-{two:02} or {year:04}-{two:02}-{one:02}; write the one that is meant"
    ))
}

/// A date of its parts.
///
/// # Errors
/// When there is no such day.
pub fn build(year: i16, month: i8, day: i8) -> Result<Date, String> {
    Date::new(year, month, day)
        .map_err(|_| format!("there is no date {year:04}-{month:02}-{day:02}; the form is year-month-day"))
}

/// RFC 2822 has comments in parentheses.
pub fn without_comments(text: &str) -> String {
    let mut depth = 0_usize;
    let keep = |it: &char| {
        match it {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    text.chars().filter(keep).collect()
}
