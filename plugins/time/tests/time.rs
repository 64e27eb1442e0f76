//! The functions with a clock that stands at 2026-03-01T13:00:05.25Z, a Sunday.

use jiff::Timestamp;
use proptest::prelude::*;
use time::answers::{add, between, calendar, convert, now};

fn clock() -> Result<Timestamp, String> {
    "2026-03-01T13:00:05.25Z".parse().map_err(|error: jiff::Error| error.to_string())
}

fn no_clock() -> Result<Timestamp, String> {
    Err("there is no clock".into())
}

fn refused(result: Result<String, String>, part: &str) {
    let error = result.expect_err(part);
    assert!(error.contains(part), "{error}");
}

/// A date-time as it was read, in the form of ISO 8601.
fn read(text: &str) -> Result<String, String> {
    add(text, "P0D", &clock).map(|sum| sum.split(", ").next().unwrap_or_default().to_owned())
}

#[test]
fn tells_the_time_in_a_zone() {
    assert_eq!(now(None, &clock).unwrap(), "2026-03-01T13:00:05Z, Sunday, Unix time 1772370005");
    for (zone, expected) in [
        ("Europe/Vienna", "2026-03-01T14:00:05+01:00[Europe/Vienna], Sunday"),
        ("europe/vienna", "2026-03-01T14:00:05+01:00[Europe/Vienna], Sunday"),
        ("Tokyo", "2026-03-01T22:00:05+09:00[Asia/Tokyo], Sunday"),
        ("new york", "2026-03-01T08:00:05-05:00[America/New_York], Sunday"),
        ("UTC+2", "2026-03-01T15:00:05+02:00, Sunday"),
        ("GMT-3:30", "2026-03-01T09:30:05-03:30, Sunday"),
        ("+0545", "2026-03-01T18:45:05+05:45, Sunday"),
        ("Etc/GMT-3", "2026-03-01T16:00:05+03:00[Etc/GMT-3], Sunday"),
        ("Pacific/Auckland", "2026-03-02T02:00:05+13:00[Pacific/Auckland], Monday"),
        ("utc", "2026-03-01T13:00:05Z, Sunday"),
    ] {
        let found = now(Some(zone), &clock).expect(zone);
        assert_eq!(found, format!("{expected}, Unix time 1772370005"), "{zone}");
    }
    refused(now(None, &no_clock), "no clock");
    refused(now(Some(""), &clock), "empty");
    refused(now(Some("Europe/Wien"), &clock), "there is no time zone \"Europe/Wien\"");
    refused(now(Some("Argentina"), &clock), "America/Argentina/Buenos_Aires");
    refused(now(Some("Eastern"), &clock), "several time zones");
    refused(now(Some("PST"), &clock), "America/Los_Angeles");
    refused(now(Some("+99:00"), &clock), "+05:30");
    refused(now(Some(&"x".repeat(100)), &clock), "at most 60");
}

#[test]
fn dates_are_read_as_people_write_them() {
    for (text, expected) in [
        ("2026-03-01", "2026-03-01"),
        ("20260301", "2026-03-01"),
        ("2026/3/1", "2026-03-01"),
        ("2026-W09-7", "2026-03-01"),
        ("1 March 2026", "2026-03-01"),
        ("1st of March, 2026", "2026-03-01"),
        ("Mar 1, 2026", "2026-03-01"),
        ("March 1st 2026", "2026-03-01"),
        ("Sunday, 1 March 2026", "2026-03-01"),
        ("1-Mar-2026", "2026-03-01"),
        ("2026 Sept 30", "2026-09-30"),
        ("25/12/2026", "2026-12-25"),
        ("12/25/2026", "2026-12-25"),
        ("3/3/2026", "2026-03-03"),
        ("1.3.2026", "2026-03-01"),
        ("today", "2026-03-01"),
        ("tomorrow", "2026-03-02"),
        ("Yesterday", "2026-02-28"),
        ("2026-03-01 14:00", "2026-03-01T14:00:00"),
        ("2026-03-01T14:00", "2026-03-01T14:00:00"),
        ("20260301T140005", "2026-03-01T14:00:05"),
        ("2026-03-01 2 pm", "2026-03-01T14:00:00"),
        ("2026-03-01, 9:30am", "2026-03-01T09:30:00"),
        ("March 1, 2026 at 12:15 a.m.", "2026-03-01T00:15:00"),
        ("1 March 2026 noon", "2026-03-01T12:00:00"),
        ("2026-03-01T14:00:00.5", "2026-03-01T14:00:00.5"),
        ("2026-03-01T14:00:00Z", "2026-03-01T14:00:00Z"),
        ("2026-03-01T14:00+05:30", "2026-03-01T14:00:00+05:30"),
        ("2026-03-01 14:00 +0530", "2026-03-01T14:00:00+05:30"),
        ("2026-03-01 14:00+01:00", "2026-03-01T14:00:00+01:00"),
        ("2026-03-01T14:00 Europe/Vienna", "2026-03-01T14:00:00+01:00[Europe/Vienna]"),
        ("2026-03-01T14:00[Europe/Vienna]", "2026-03-01T14:00:00+01:00[Europe/Vienna]"),
        ("2026-03-01T13:00Z[Europe/Vienna]", "2026-03-01T14:00:00+01:00[Europe/Vienna]"),
        ("2026-03-01T14:00:00+01:00[Europe/Vienna], Sunday", "2026-03-01T14:00:00+01:00[Europe/Vienna]"),
        ("2026-03-01 8 am New York", "2026-03-01T08:00:00-05:00[America/New_York]"),
        ("today 3 pm UTC", "2026-03-01T15:00:00Z"),
        ("Sun, 01 Mar 2026 14:00:00 +0100", "2026-03-01T14:00:00+01:00"),
        ("Sun, 1 Mar 2026 13:00:00 GMT (a comment)", "2026-03-01T13:00:00Z"),
        ("Sun Mar  1 14:00:05 2026", "2026-03-01T14:00:05"),
        ("1772370005", "2026-03-01T13:00:05Z"),
        ("1772370005123", "2026-03-01T13:00:05.123Z"),
        ("@0", "1970-01-01T00:00:00Z"),
        ("@-0.5", "1969-12-31T23:59:59.5Z"),
        ("1772370005.25", "2026-03-01T13:00:05.25Z"),
        ("@-1", "1969-12-31T23:59:59Z"),
        ("now", "2026-03-01T13:00:05.25Z"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_could_be_two_dates_is_refused() {
    refused(read("03/04/2026"), "2026-03-04 or 2026-04-03");
    refused(read("3-4-2026"), "2026-03-04 or 2026-04-03");
    for (text, part) in [
        ("", "empty"),
        ("1/2/26", "four digits"),
        ("1 March", "no year"),
        ("1 March 26", "four digits"),
        ("March 2026", "no day"),
        ("1 2026", "no month"),
        ("2026", "no month"),
        ("29 February 2026", "there is no date 2026-02-29"),
        ("2026-13-01", "there is no date"),
        ("32/12/2026", "there is no date"),
        ("Monday, 1 March 2026", "is a Sunday and not a Monday"),
        ("next tuesday", "cannot be read"),
        ("soon", "2026-03-01T14:00"),
        ("2026-03-01 25:00", "no time of day"),
        ("2026-03-01 13 pm", "from 1 to 12"),
        ("2026-03-01 14:00 14:00", "two of this: time"),
        ("2026-03-01 1 March 2026", "two dates"),
        ("14:00", "no date"),
        ("2026-03-01 UTC", "no time"),
        ("2026-03-01T14:00+05:00[Europe/Vienna]", "+01"),
        ("@x", "seconds since 1970"),
        ("@99999999999999", "beyond"),
        (&"1".repeat(200), "more than 120"),
    ] {
        refused(read(text), part);
    }
}

#[test]
fn converts_between_zones() {
    let to = |time: &str, to: &str, from: Option<&str>| convert(time, to, from, &clock);
    for (time, zone, from, expected) in [
        (
            "2026-03-01T14:00",
            "Asia/Tokyo",
            Some("Europe/Vienna"),
            "2026-03-01T22:00:00+09:00[Asia/Tokyo], Sunday",
        ),
        ("2026-07-01 14:00", "UTC", Some("Europe/Vienna"), "2026-07-01T12:00:00Z, Wednesday"),
        ("2026-03-01T14:00Z", "Europe/Vienna", None, "2026-03-01T15:00:00+01:00[Europe/Vienna], Sunday"),
        ("2026-03-01T14:00Z", "Vienna", Some("UTC"), "2026-03-01T15:00:00+01:00[Europe/Vienna], Sunday"),
        ("now", "Tokyo", Some("Europe/Vienna"), "2026-03-01T22:00:05.25+09:00[Asia/Tokyo], Sunday"),
        ("3 pm", "Tokyo", Some("New York"), "2026-03-02T05:00:00+09:00[Asia/Tokyo], Monday (the day after)"),
        (
            "9:00 Tokyo",
            "New York",
            None,
            "2026-02-28T19:00:00-05:00[America/New_York], Saturday (the day before)",
        ),
        ("tomorrow 9:00", "UTC", Some("Tokyo"), "2026-03-02T00:00:00Z, Monday"),
        ("1772370005", "UTC", None, "2026-03-01T13:00:05Z, Sunday"),
        (
            "2026-03-29 02:30",
            "UTC",
            Some("Europe/Vienna"),
            "2026-03-29T01:30:00Z, Sunday (the clocks went forward and left 02:30:00 out; 03:30:00 was taken)",
        ),
        (
            "2026-10-25 02:30",
            "UTC",
            Some("Europe/Vienna"),
            "2026-10-25T00:30:00Z, Sunday (the clocks went back and showed 02:30:00 twice; the first was taken, \
             the second is 2026-10-25T02:30:00+01:00[Europe/Vienna])",
        ),
    ] {
        assert_eq!(to(time, zone, from).as_deref(), Ok(expected), "{time}");
    }
    refused(to("2026-03-01T14:00", "UTC", None), "name it in `from`");
    refused(to("2026-03-01", "UTC", Some("UTC")), "add a time");
    refused(to("2026-03-01T14:00Z", "UTC", Some("Asia/Tokyo")), "leave `from` out");
    refused(to("2026-03-01T14:00Z", "Nowhere", None), "no time zone \"Nowhere\"");
}

#[test]
fn adds_durations() {
    for (time, duration, expected) in [
        ("2026-03-01", "2 weeks 3 days", "2026-03-18, Wednesday"),
        ("2026-03-01", "two weeks and three days", "2026-03-18, Wednesday"),
        ("2026-03-01", "-1 day", "2026-02-28, Saturday"),
        ("2026-03-01", "- 1 day", "2026-02-28, Saturday"),
        ("2026-03-01", "1 day ago", "2026-02-28, Saturday"),
        ("2026-03-01", "P1M2DT3H", "2026-04-03T03:00:00, Friday"),
        ("2026-03-01", "-P1Y", "2025-03-01, Saturday"),
        ("2026-03-01", "90 minutes", "2026-03-01T01:30:00, Sunday"),
        ("2026-03-01 14:00", "1h 30m", "2026-03-01T15:30:00, Sunday"),
        ("2026-03-01 14:00", "in 1.5 hours", "2026-03-01T15:30:00, Sunday"),
        ("2026-03-01T14:00Z", "P1D", "2026-03-02T14:00:00Z, Monday"),
        // A day is a day of the clock, 24 hours are 24 hours.
        ("2026-03-28 12:00 Europe/Vienna", "1 day", "2026-03-29T12:00:00+02:00[Europe/Vienna], Sunday"),
        ("2026-03-28 12:00 Europe/Vienna", "24 hours", "2026-03-29T13:00:00+02:00[Europe/Vienna], Sunday"),
        ("2026-01-31", "1 month", "2026-02-28, Saturday (2026-02 has no day 31, so its last was taken)"),
        ("2024-02-29", "-1 year", "2023-02-28, Tuesday (2023-02 has no day 29, so its last was taken)"),
        ("today", "100 days", "2026-06-09, Tuesday"),
    ] {
        assert_eq!(add(time, duration, &clock).as_deref(), Ok(expected), "{time} {duration}");
    }
    refused(add("2026-03-01", "", &clock), "empty");
    refused(add("2026-03-01", "a while", &clock), "2 weeks 3 days");
    refused(add("2026-03-01", "1.5 days", &clock), "cannot be read");
    refused(add("2026-03-01", "9000 years", &clock), "beyond");
    refused(add("2026-03-01", "99999999999999999999 days", &clock), "cannot be read");
}

#[test]
fn measures_what_is_between() {
    for (from, to, expected) in [
        ("2026-03-01", "2026-03-01", "no time; in total 0 days, 0 hours or 0 seconds"),
        ("2024-02-29", "2026-03-01", "2 years, 1 day; in total 731 days, 17544 hours or 63158400 seconds"),
        (
            "2026-03-01",
            "2026-01-15",
            "1 month, 14 days back; in total -45 days, -1080 hours or -3888000 seconds",
        ),
        ("2026-03-01 14:00", "2 March 2026", "10 hours; in total about 0.42 days, 10 hours or 36000 seconds"),
        (
            "2026-03-28 12:00 Europe/Vienna",
            "2026-03-29 12:00",
            "1 day; in total about 0.96 days, 23 hours or 82800 seconds (the clocks were changed in between; a \
             total day has 24 hours)",
        ),
        (
            "2026-03-01T14:00+01:00",
            "2026-03-01T14:00Z",
            "1 hour; in total about 0.04 days, 1 hours or 3600 seconds",
        ),
        ("today", "2026-12-25", "9 months, 24 days; in total 299 days, 7176 hours or 25833600 seconds"),
    ] {
        assert_eq!(between(from, to, &clock).as_deref(), Ok(expected), "{from} {to}");
    }
    refused(between("2026-03-01", "05/06/2026", &clock), "2026-05-06 or 2026-06-05");
}

#[test]
fn knows_the_calendar() {
    for (date, expected) in [
        (
            "2026-03-01",
            "2026-03-01: Sunday, ISO week 2026-W09, day 60 of 365 in 2026, which is no leap year; quarter 1; the \
             month has 31 days",
        ),
        (
            "2024-12-30",
            "2024-12-30: Monday, ISO week 2025-W01, day 365 of 366 in 2024, which is a leap year; quarter 4; the \
             month has 31 days",
        ),
    ] {
        assert_eq!(calendar(date, &clock).as_deref(), Ok(expected));
    }
    assert!(calendar("1900-02-28", &clock).unwrap().contains("no leap year; quarter 1; the month has 28"));
    assert!(calendar("2000-02-28", &clock).unwrap().contains("a leap year; quarter 1; the month has 29"));
    assert!(calendar("2026-03-01T23:00:00-05:00", &clock).unwrap().starts_with("2026-03-01: Sunday"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Any text is answered, never with a panic.
    #[test]
    fn any_text_is_answered(
        text in "\\PC{0,30}|[-+:/.,@0-9tzpamw ]{0,24}|(-|\\+)?[0-9]{1,20}(\\.[0-9]{0,3})?|\
                 [0-9]{1,4}[-/. ][0-9a-z]{1,4}[-/. ][0-9]{1,4}( [0-9]{1,2}:[0-9]{1,2}(am|pm| Vienna|\\+[0-9]{2,4})?)?",
        duration in "\\PC{0,20}|-?P?[0-9TYMDHS.]{1,12}|-?[0-9]{1,19} ?(years?|mo|weeks|d|h|minutes|s|ms|ns)( ago)?",
    ) {
        let _ = calendar(&text, &clock);
        let _ = convert(&text, "Europe/Vienna", Some(&text), &clock);
        let _ = convert(&text, &text, Some("America/New_York"), &clock);
        let _ = now(Some(&text), &clock);
        for time in [&text[..], "2026-03-31", "9999-12-31T23:59:59Z", "-9999-01-01", "2026-03-29 02:30 Vienna"] {
            let _ = add(time, &duration, &clock);
            let _ = between(time, &text, &clock);
            let _ = between(&text, time, &clock);
        }
    }

    /// What is between two dates, added to the first, is the second.
    #[test]
    fn between_and_add_agree(from in -700_000_i64..2_900_000, to in -700_000_i64..2_900_000) {
        let day = |days: i64| read(&format!("@{}", days * 86_400)).expect("a date")[..10].to_owned();
        let (from, to) = (from.min(to), from.max(to));
        let (from, to) = (day(from), day(to));
        let found = between(&from, &to, &clock).expect("both are dates");
        let (span, totals) = found.split_once("; in total ").expect("totals");
        let span = if span == "no time" { "0 days" } else { span };
        let sum = add(&from, span, &clock).expect("a sum");
        prop_assert_eq!(&sum[..10], &to);
        let days = totals.split(" days").next().expect("days");
        prop_assert_eq!(&add(&from, &format!("{days} days"), &clock).expect("a sum")[..10], &to);
    }

    /// A time in one zone is the same time in another and back.
    #[test]
    fn conversion_goes_back(seconds in 0_i64..4_000_000_000, first in 0..ZONES.len(), second in 0..ZONES.len()) {
        let there = convert(&format!("@{seconds}"), ZONES[first], None, &clock).expect("converted");
        let there = there.split(", ").next().expect("a time");
        let other = convert(there, ZONES[second], None, &clock).expect("converted");
        let back = convert(other.split(", ").next().expect("a time"), "UTC", None, &clock).expect("converted");
        let expected = Timestamp::from_second(seconds).expect("in range").to_string();
        prop_assert_eq!(back.split(", ").next(), Some(expected.as_str()));
    }
}

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Vienna",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Monrovia",
    "UTC-9:30",
];
