//! What the functions answer.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit, ZonedDateTime};

use crate::reading::{Moment, Reading, read};
use crate::zones::{self, shown};
use crate::{Clock, durations};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The date and time now, to the second.
///
/// # Errors
/// When there is no such zone.
pub fn now(zone: Option<&str>, clock: Clock<'_>) -> Result<String, String> {
    let zone = zone.map_or(Ok(TimeZone::UTC), zones::find)?;
    let seconds = clock()?.as_duration().as_secs();
    let timestamp = Timestamp::from_second(seconds).map_err(|error| error.to_string())?;
    let time = zones::moment(timestamp, &zone);
    Ok(format!("{}, {:?}, Unix time {seconds}", shown(&time), time.weekday()))
}

/// A time in another zone.
///
/// # Errors
/// When the time or a zone cannot be read, or nobody says what zone the time is in.
pub fn convert(time: &str, to: &str, from: Option<&str>, clock: Clock<'_>) -> Result<String, String> {
    let to = zones::find(to)?;
    let from = from.map(zones::find).transpose()?;
    let reading = read(time, from.as_ref(), clock)?;
    let time = match &reading.moment {
        Moment::Zoned(time) => time,
        Moment::Local(_) => return Err("the time does not say its time zone; name it in `from`".into()),
        Moment::Date(date) => {
            return Err(format!("a day is not converted; add a time, such as {date}T14:00"));
        }
    };
    if let Some(from) = from.filter(|_| reading.has_zone) {
        let there = zones::moment(time.timestamp(), &from);
        if there.offset() != time.offset() {
            return Err(format!(
                "the time says its own time zone, which is not `from`: {} is {}; leave `from` out",
                shown(time),
                shown(&there)
            ));
        }
    }
    let there = zones::moment(time.timestamp(), &to);
    let mut notes: Vec<String> = reading.note.into_iter().collect();
    match there.date().duration_since(time.date()).as_secs() / DAY {
        0 => {}
        1 => notes.push("the day after".into()),
        -1 => notes.push("the day before".into()),
        days => notes.push(format!("{} days {}", days.abs(), if days > 0 { "after" } else { "before" })),
    }
    Ok(with_notes(format!("{}, {:?}", shown(&there), there.weekday()), &notes))
}

/// A date or time and a duration together.
///
/// # Errors
/// When one of them cannot be read, or the sum is beyond what there are dates for.
pub fn add(time: &str, duration: &str, clock: Clock<'_>) -> Result<String, String> {
    let reading = read(time, None, clock)?;
    let span = durations::read(duration)?;
    let beyond = |_| format!("{time} and {duration} is beyond the years -9999 to 9999");
    let mut notes: Vec<String> = reading.note.clone().into_iter().collect();
    let (text, from, weekday) = match &reading.moment {
        Moment::Date(date) if !durations::has_time(&span) => {
            let sum = date.checked_add(span).map_err(beyond)?;
            (sum.to_string(), *date, sum.weekday())
        }
        Moment::Date(date) => {
            let sum = date.at(0, 0, 0, 0).checked_add(span).map_err(beyond)?;
            (sum.to_string(), *date, sum.weekday())
        }
        Moment::Local(time) => {
            let sum = time.checked_add(span).map_err(beyond)?;
            (sum.to_string(), time.date(), sum.weekday())
        }
        Moment::Zoned(time) => {
            let sum = time.checked_add(span).map_err(beyond)?;
            (shown(&sum), time.date(), sum.weekday())
        }
    };
    notes.extend(missing_day(from, &span));
    Ok(with_notes(format!("{text}, {weekday:?}"), &notes))
}

/// Says that a month is too short for the day: a month after 31 January is the last of February.
fn missing_day(from: Date, span: &Span) -> Option<String> {
    let months = Span::new().years(span.get_years().abs()).months(span.get_months().abs());
    let there = from.checked_add(if span.is_negative() { months.negate() } else { months }).ok()?;
    (there.day() != from.day()).then(|| {
        format!("{:04}-{:02} has no day {}, so its last was taken", there.year(), there.month(), from.day())
    })
}

/// How long it is from one date or time to another.
///
/// # Errors
/// When one of them cannot be read.
pub fn between(from: &str, to: &str, clock: Clock<'_>) -> Result<String, String> {
    let (first, second) = (read(from, None, clock)?, read(to, None, clock)?);
    let mut notes: Vec<String> = first.note.iter().chain(&second.note).cloned().collect();
    let found = match (&first.moment, &second.moment) {
        (Moment::Date(from), Moment::Date(to)) => days(*from, *to)?,
        (Moment::Zoned(zoned), _) | (_, Moment::Zoned(zoned)) => {
            let zone = zoned.time_zone().clone();
            let (from, to) = (in_zone(&first, &zone)?, in_zone(&second, &zone)?);
            if from.offset() != to.offset() {
                notes.push("the clocks were changed in between; a total day has 24 hours".into());
            }
            zoned_times(&from, &to)?
        }
        _ => local_times(local(&first), local(&second))?,
    };
    Ok(with_notes(found, &notes))
}

fn in_zone(reading: &Reading, zone: &TimeZone) -> Result<ZonedDateTime, String> {
    match &reading.moment {
        Moment::Zoned(time) => Ok(time.with_time_zone(zone.clone())),
        _ => zones::at(zone, local(reading)).map(|(time, _)| time),
    }
}

fn local(reading: &Reading) -> DateTime {
    match &reading.moment {
        Moment::Date(date) => date.at(0, 0, 0, 0),
        Moment::Local(time) => *time,
        Moment::Zoned(time) => time.datetime(),
    }
}

fn days(from: Date, to: Date) -> Result<String, String> {
    let (early, late) = (from.min(to), from.max(to));
    let span = early.until((Unit::Year, late)).map_err(|error| error.to_string())?;
    Ok(total(&span, from.duration_until(to).as_secs()))
}

fn local_times(from: DateTime, to: DateTime) -> Result<String, String> {
    let (early, late) = (from.min(to), from.max(to));
    let span = early.until((Unit::Year, late)).map_err(|error| error.to_string())?;
    Ok(total(&span, from.duration_until(to).as_secs()))
}

fn zoned_times(from: &ZonedDateTime, to: &ZonedDateTime) -> Result<String, String> {
    let (early, late) = (from.min(to), from.max(to));
    let span = early.until((Unit::Year, late)).map_err(|error| error.to_string())?;
    Ok(total(&span, from.duration_until(to).as_secs()))
}

fn total(span: &Span, seconds: i64) -> String {
    let (days, hours) = (durations::in_units(seconds, DAY), durations::in_units(seconds, HOUR));
    let back = if seconds < 0 { " back" } else { "" };
    format!("{}{back}; in total {days} days, {hours} hours or {seconds} seconds", durations::shown(span))
}

/// What a calendar says about a date.
///
/// # Errors
/// When it cannot be read.
pub fn calendar(date: &str, clock: Clock<'_>) -> Result<String, String> {
    let reading = read(date, None, clock)?;
    let date = local(&reading).date();
    let week = date.iso_week_date();
    let leap = if date.in_leap_year() { "a leap year" } else { "no leap year" };
    Ok(format!(
        "{date}: {:?}, ISO week {:04}-W{:02}, day {} of {} in {}, which is {leap}; quarter {}; the month has {} days",
        date.weekday(),
        week.year(),
        week.week(),
        date.day_of_year(),
        date.days_in_year(),
        date.year(),
        (date.month() + 2) / 3,
        date.days_in_month()
    ))
}

fn with_notes(text: String, notes: &[String]) -> String {
    if notes.is_empty() { text } else { format!("{text} ({})", notes.join("; ")) }
}
