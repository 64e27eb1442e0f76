//! Reading dates and times as people and programs write them.

use std::iter::Peekable;
use std::vec::IntoIter;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};

use crate::words::{self, FORMS};
use crate::{Clock, numbers, zones};

/// The longest text, in characters.
const MAX_CHARS: usize = 120;
/// Words that say nothing here.
const FILLERS: [&str; 5] = ["of", "at", "the", "on", "in"];

/// What was read.
#[derive(Debug, Clone)]
pub enum Moment {
    /// A day.
    Date(Date),
    /// A time on some clock, nobody says where.
    Local(DateTime),
    /// A time in a zone.
    Zoned(ZonedDateTime),
}

/// What was read, and what is special about it.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What was read.
    pub moment: Moment,
    /// Such as that the clocks went forward then.
    pub note: Option<String>,
    /// Whether the text says its zone itself.
    pub has_zone: bool,
}

/// Reads a date or time: ISO 8601 and RFC 9557, RFC 2822, `1 March 2026 2 pm`, `Mar 1, 2026`,
/// `tomorrow 14:00 Europe/Vienna`, Unix seconds. Without a zone of its own it is in `zone`, if any.
///
/// # Errors
/// When it cannot be read or could be two dates.
pub fn read(text: &str, zone: Option<&TimeZone>, clock: Clock<'_>) -> Result<Reading, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("the time is empty; {FORMS}"));
    }
    if text.chars().count() > MAX_CHARS {
        return Err(format!("the time has more than {MAX_CHARS} characters; {FORMS}"));
    }
    if let Some(timestamp) = numbers::unix(text)? {
        return Ok(zoned(timestamp, zone.unwrap_or(&TimeZone::UTC), true));
    }
    if text.eq_ignore_ascii_case("now") {
        return Ok(zoned(clock()?, zone.unwrap_or(&TimeZone::UTC), false));
    }
    let plain = words::without_comments(text).to_lowercase().replace([',', ';', '[', ']'], " ");
    let words: Vec<String> = plain.split_whitespace().map(str::to_owned).collect();
    let mut parts = Parts { text: text.to_owned(), ..Parts::default() };
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        parts.take(&word, &mut words)?;
    }
    parts.done(zone, clock)
}

fn zoned(timestamp: Timestamp, zone: &TimeZone, has_zone: bool) -> Reading {
    Reading { moment: Moment::Zoned(zones::moment(timestamp, zone)), note: None, has_zone }
}

/// What the words have said so far.
#[derive(Default)]
struct Parts {
    text: String,
    date: Option<Date>,
    /// Days from today.
    relative: Option<i64>,
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    weekday: Option<Weekday>,
    time: Option<Time>,
    offset: Option<Offset>,
    /// `Z` beside the name of a zone says nothing about its clocks.
    is_zulu: bool,
    /// Words that may be the name of a zone.
    rest: Vec<String>,
}

impl Parts {
    fn take(&mut self, word: &str, next: &mut Peekable<IntoIter<String>>) -> Result<(), String> {
        let is_digits = word.bytes().all(|it| it.is_ascii_digit());
        let starts_with_digit = word.starts_with(|it: char| it.is_ascii_digit());
        if starts_with_digit && word.contains('t') && self.pieces(word)? {
            return Ok(());
        }
        if is_digits {
            if let Some(is_pm) = next.peek().and_then(|it| words::half_of_day(it)) {
                next.next();
                return self.hour(word, is_pm);
            }
            return self.number(word);
        }
        if starts_with_digit && word.contains(':') {
            let (time, rest) = words::clock_time(word)?;
            let half = next.peek().and_then(|it| words::half_of_day(it)).filter(|_| rest.is_empty());
            if half.is_some() {
                next.next();
            }
            return self.clock(time, rest, half);
        }
        if starts_with_digit {
            let end = word.find(|it: char| !it.is_ascii_digit()).unwrap_or(word.len());
            let (digits, rest) = word.split_at(end);
            if let Some(is_pm) = words::half_of_day(rest) {
                return self.hour(digits, is_pm);
            }
            if matches!(rest, "st" | "nd" | "rd" | "th" | ".") {
                return self.number(digits);
            }
        }
        if let Some(date) = words::date(word) {
            let date = date?;
            return set(&mut self.date, date, "date");
        }
        self.name(word)
    }

    fn name(&mut self, word: &str) -> Result<(), String> {
        if let Some(month) = words::month(word) {
            return set(&mut self.month, month, "month");
        }
        if let Some(weekday) = words::weekday(word) {
            return set(&mut self.weekday, weekday, "weekday");
        }
        match word {
            "today" => set(&mut self.relative, 0, "date"),
            "tomorrow" => set(&mut self.relative, 1, "date"),
            "yesterday" => set(&mut self.relative, -1, "date"),
            "noon" => set(&mut self.time, Time::constant(12, 0, 0, 0), "time"),
            "midnight" => set(&mut self.time, Time::midnight(), "time"),
            _ if FILLERS.contains(&word) => Ok(()),
            _ => match zones::offset(word)? {
                Some(offset) => self.zone_offset(word, offset),
                None => {
                    self.rest.push(word.to_owned());
                    Ok(())
                }
            },
        }
    }

    /// A word that is a whole time by ISO 8601; false when it is none.
    fn pieces(&mut self, word: &str) -> Result<bool, String> {
        let Ok(pieces) = Pieces::parse(word) else { return Ok(false) };
        let Some(time) = pieces.time() else { return Ok(false) };
        set(&mut self.date, pieces.date(), "date")?;
        set(&mut self.time, time, "time")?;
        if let Some(offset) = pieces.offset() {
            self.is_zulu = matches!(offset, PiecesOffset::Zulu);
            set(&mut self.offset, pieces.to_numeric_offset().unwrap_or(Offset::UTC), "offset")?;
        }
        Ok(true)
    }

    fn zone_offset(&mut self, word: &str, offset: Offset) -> Result<(), String> {
        self.is_zulu = word == "z";
        set(&mut self.offset, offset, "offset")
    }

    fn hour(&mut self, digits: &str, is_pm: bool) -> Result<(), String> {
        let hour = digits.parse().ok().and_then(|hour| Time::new(hour, 0, 0, 0).ok());
        let hour = hour.ok_or_else(|| format!("{digits:?} is no hour; write a time such as 14:00"))?;
        set(&mut self.time, words::twelve(hour, is_pm)?, "time")
    }

    fn clock(&mut self, time: Time, rest: &str, half: Option<bool>) -> Result<(), String> {
        let half = half.or_else(|| words::half_of_day(rest));
        set(&mut self.time, half.map_or(Ok(time), |is_pm| words::twelve(time, is_pm))?, "time")?;
        if rest.is_empty() || words::half_of_day(rest).is_some() {
            return Ok(());
        }
        match zones::offset(rest)? {
            Some(offset) => self.zone_offset(rest, offset),
            None => Err(self.unreadable(rest)),
        }
    }

    fn number(&mut self, digits: &str) -> Result<(), String> {
        let number: i16 = match digits.len() {
            8 => {
                let date: Date = digits
                    .parse()
                    .map_err(|_| format!("{digits:?} is no date, and too short for Unix seconds; {FORMS}"))?;
                return set(&mut self.date, date, "date");
            }
            1..=4 => digits.parse().map_err(|_| self.unreadable(digits))?,
            _ => return Err(self.unreadable(digits)),
        };
        if digits.len() == 4 {
            return set(&mut self.year, number, "year");
        }
        match i8::try_from(number) {
            Ok(day @ 1..=31) if self.day.is_none() && digits.len() <= 2 => {
                self.day = Some(day);
                Ok(())
            }
            _ => Err(format!("{:?}: {digits} is no day, and a year has four digits; {FORMS}", self.text)),
        }
    }

    fn unreadable(&self, word: &str) -> String {
        format!("{word:?} in {:?} cannot be read; {FORMS}", self.text)
    }

    fn done(mut self, default: Option<&TimeZone>, clock: Clock<'_>) -> Result<Reading, String> {
        let named = match self.rest.join(" ") {
            name if name.is_empty() => None,
            name => Some(zones::find(&name).map_err(|error| format!("{}; {error}", self.unreadable(&name)))?),
        };
        let has_zone = named.is_some() || self.offset.is_some();
        let offset_zone = self.offset.map(|it| if it.is_zero() { TimeZone::UTC } else { it.to_time_zone() });
        let zone = named.clone().or(offset_zone).or_else(|| default.cloned());
        let date = self.whole_date(zone.as_ref(), clock)?;
        if let Some(weekday) = self.weekday.filter(|it| *it != date.weekday()) {
            return Err(format!("{date} is a {:?} and not a {weekday:?}", date.weekday()));
        }
        let reading = |moment, note| Ok(Reading { moment, note, has_zone });
        let Some(time) = self.time else {
            if self.offset.is_some() || named.is_some() {
                return Err(format!("{:?} has a time zone and no time; {FORMS}", self.text));
            }
            return reading(Moment::Date(date), None);
        };
        let local = date.to_datetime(time);
        let Some(zone) = zone else { return reading(Moment::Local(local), None) };
        let (Some(offset), Some(named)) = (self.offset, named) else {
            let (zoned, note) = zones::at(&zone, local)?;
            return reading(Moment::Zoned(zoned), note);
        };
        let timestamp = offset.to_timestamp(local).map_err(|error| error.to_string())?;
        let zoned = zones::moment(timestamp, &named);
        let apart = (zoned.offset().seconds() - offset.seconds()).abs();
        if self.is_zulu || apart == 0 {
            return reading(Moment::Zoned(zoned), None);
        }
        // Old offsets have seconds, which are rounded when they are written.
        if apart < 60 {
            let (zoned, note) = zones::at(&named, local)?;
            return reading(Moment::Zoned(zoned), note);
        }
        Err(format!(
            "{:?} has the offset {offset}, and in that time zone it is {} then; leave one of them out",
            self.text,
            zoned.offset()
        ))
    }

    fn whole_date(&mut self, zone: Option<&TimeZone>, clock: Clock<'_>) -> Result<Date, String> {
        let said = self.year.is_some() || self.month.is_some() || self.day.is_some();
        if usize::from(said) + usize::from(self.date.is_some()) + usize::from(self.relative.is_some()) > 1 {
            return Err(format!("{:?} has two dates; {FORMS}", self.text));
        }
        if let Some(date) = self.date {
            return Ok(date);
        }
        match (self.year, self.month, self.day) {
            (Some(year), Some(month), Some(day)) => words::build(year, month, day),
            (None, None, None) => {
                let days = match (self.relative, self.time, zone) {
                    (Some(days), ..) => days,
                    (None, Some(_), Some(_)) if self.weekday.is_none() => 0,
                    _ => return Err(format!("{:?} has no date; {FORMS}", self.text)),
                };
                let today = zones::moment(clock()?, zone.unwrap_or(&TimeZone::UTC)).date();
                today.checked_add(days.days()).map_err(|error| error.to_string())
            }
            (None, ..) => Err(format!("{:?} has no year of four digits; {FORMS}", self.text)),
            (_, None, _) => Err(format!("{:?} has no month; {FORMS}", self.text)),
            (.., None) => Err(format!("{:?} has no day; {FORMS}", self.text)),
        }
    }
}

fn set<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    if slot.is_some() {
        return Err(format!("it has two of this: {what}; {FORMS}"));
    }
    *slot = Some(value);
    Ok(())
}
