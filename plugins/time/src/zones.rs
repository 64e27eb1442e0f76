//! Time zones by name.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

/// The longest name, in characters.
const MAX_CHARS: usize = 60;
/// The most names that an error proposes.
const MAX_PROPOSALS: usize = 6;

/// Abbreviations that stand for several zones, or for one half of the year only.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("AEST", "Australia/Brisbane or Australia/Sydney"),
    ("AEDT", "Australia/Sydney"),
    ("AST", "America/Halifax or Asia/Riyadh"),
    ("BST", "Europe/London or Asia/Dhaka"),
    ("CDT", "America/Chicago or America/Havana"),
    ("CEST", "Europe/Paris or another city of central Europe"),
    ("CST", "America/Chicago or Asia/Shanghai"),
    ("EDT", "America/New_York"),
    ("EEST", "Europe/Athens or another city of eastern Europe"),
    ("IST", "Asia/Kolkata, Europe/Dublin or Asia/Jerusalem"),
    ("JST", "Asia/Tokyo"),
    ("KST", "Asia/Seoul"),
    ("MDT", "America/Denver"),
    ("MSK", "Europe/Moscow"),
    ("PDT", "America/Los_Angeles"),
    ("PST", "America/Los_Angeles or Asia/Manila"),
    ("SGT", "Asia/Singapore"),
];

/// The zone of a name: one of the IANA database, its last part (`Tokyo`), or an offset (`UTC+2`).
///
/// # Errors
/// When there is none, or there are several.
pub fn find(name: &str) -> Result<TimeZone, String> {
    let name = name.trim();
    if name.is_empty() {
        return Err("the time zone is empty; write one such as UTC or Europe/Vienna".into());
    }
    if name.chars().count() > MAX_CHARS {
        return Err(format!("the name of a time zone has at most {MAX_CHARS} characters"));
    }
    if let Some(offset) = offset(name)? {
        return Ok(if offset.is_zero() { TimeZone::UTC } else { offset.to_time_zone() });
    }
    if let Some((_, instead)) = ABBREVIATIONS.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)) {
        return Err(format!("the time zone {name} is not clear; write {instead}"));
    }
    let wanted = name.replace(' ', "_");
    match jiff::tz::db().get(&wanted) {
        Ok(zone) => Ok(zone),
        Err(_) => by_last_part(name, &wanted.to_lowercase()),
    }
}

fn by_last_part(name: &str, wanted: &str) -> Result<TimeZone, String> {
    let mut exact: Vec<String> = Vec::new();
    let mut near: Vec<String> = Vec::new();
    for known in jiff::tz::db().available().map(|it| it.to_string()) {
        let lower = known.to_lowercase();
        if lower.rsplit('/').next() == Some(wanted) {
            exact.push(known);
        } else if lower.contains(wanted) && near.len() < MAX_PROPOSALS {
            near.push(known);
        }
    }
    let found = |name: &String| jiff::tz::db().get(name).map_err(|error| error.to_string());
    match exact.as_slice() {
        [only] => found(only),
        [] if near.is_empty() => Err(format!(
            "there is no time zone {name:?}; write Area/City for the largest city of the zone, such as \
             Europe/Vienna, or an offset such as UTC+2"
        )),
        [] => Err(format!("there is no time zone {name:?}; there are {}", near.join(", "))),
        several => Err(format!("there are several time zones {name:?}: {}", several.join(", "))),
    }
}

/// An offset: `Z`, `UTC`, `+01:00`, `+0100`, `-5`, `UTC+2`, `GMT-3:30`; none when it is written
/// otherwise.
///
/// # Errors
/// When it is too large.
pub fn offset(text: &str) -> Result<Option<Offset>, String> {
    let upper = text.to_ascii_uppercase().replace('\u{2212}', "-");
    let rest = upper.strip_prefix("UTC").or_else(|| upper.strip_prefix("GMT")).unwrap_or(&upper).trim();
    if upper == "Z" || (rest.is_empty() && !upper.is_empty()) {
        return Ok(Some(Offset::UTC));
    }
    let (sign, digits) = match (rest.strip_prefix('+'), rest.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        _ => return Ok(None),
    };
    let plain: String = digits.chars().filter(|it| *it != ':').collect();
    let colon = digits.find(':');
    let fits = match (plain.len(), colon) {
        (1 | 2, None) => true,
        (3, colon) => matches!(colon, None | Some(1)),
        (4, colon) => matches!(colon, None | Some(2)),
        _ => false,
    };
    if !fits || digits.matches(':').count() > 1 || !plain.chars().all(|it| it.is_ascii_digit()) {
        return Ok(None);
    }
    let number: i32 = plain.parse().map_err(|_| format!("the offset {text} is wrong"))?;
    let (hours, minutes) = if plain.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    if hours > 25 || minutes > 59 {
        return Err(format!("the offset {text} is wrong; write one such as +05:30"));
    }
    let seconds = sign * (hours * 3_600 + minutes * 60);
    Offset::from_seconds(seconds).map(Some).map_err(|error| format!("the offset {text} is wrong: {error}"))
}

/// A time of the clocks in a zone, and what is special about it: clocks that go forward leave
/// times out, and clocks that go back show some twice.
///
/// # Errors
/// When it is beyond what there are dates for.
pub fn at(zone: &TimeZone, time: DateTime) -> Result<(ZonedDateTime, Option<String>), String> {
    let found = zone.to_ambiguous_zoned_datetime(time);
    let offset = found.offset();
    let later = found.clone().later().map_err(|error| error.to_string())?;
    let zoned = found.compatible().map_err(|error| error.to_string())?;
    let note = match offset {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => {
            Some(format!("the clocks went forward and left {} out; {} was taken", time.time(), zoned.time()))
        }
        AmbiguousOffset::Fold { .. } => Some(format!(
            "the clocks went back and showed {} twice; the first was taken, the second is {}",
            time.time(),
            shown(&later)
        )),
    };
    Ok((zoned, note))
}

/// A time in a zone as people and this plugin read it.
pub fn shown(time: &ZonedDateTime) -> String {
    if time.time_zone() == &TimeZone::UTC {
        return format!("{}Z", time.datetime());
    }
    match time.time_zone().iana_name() {
        Some(_) => time.to_string(),
        None => time.timestamp().display_with_offset(time.offset()).to_string(),
    }
}

/// A moment in a zone.
pub fn moment(time: Timestamp, zone: &TimeZone) -> ZonedDateTime {
    time.to_zoned_datetime(zone.clone())
}
