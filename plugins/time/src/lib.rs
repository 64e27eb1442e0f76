//! Dates and times: what time it is, and arithmetic with time zones.
//!
//! The clock is an argument of every function, so that tests choose the time.

#![deny(unsafe_code)]
#![warn(missing_docs)]

pub mod answers;
pub mod durations;
mod numbers;
pub mod reading;
mod words;
pub mod zones;

use jiff::Timestamp;

use crate::bindings::wasi::clocks::wall_clock;

lucid_plugin::plugin! {
    fn now(zone: Option<String>) -> Result<String, String> {
        answers::now(zone.as_deref(), &host_clock)
    }

    fn convert(time: String, to: String, from: Option<String>) -> Result<String, String> {
        answers::convert(&time, &to, from.as_deref(), &host_clock)
    }

    fn add(time: String, duration: String) -> Result<String, String> {
        answers::add(&time, &duration, &host_clock)
    }

    fn between(from: String, to: String) -> Result<String, String> {
        answers::between(&from, &to, &host_clock)
    }

    fn calendar(date: String) -> Result<String, String> {
        answers::calendar(&date, &host_clock)
    }
}

/// Tells the time. It is asked only where the answer depends on it.
pub type Clock<'a> = &'a dyn Fn() -> Result<Timestamp, String>;

fn host_clock() -> Result<Timestamp, String> {
    let time = wall_clock::now();
    let fault = || "the clock of this machine is wrong".to_owned();
    let seconds = i64::try_from(time.seconds).map_err(|_| fault())?;
    let nanoseconds = i32::try_from(time.nanoseconds).map_err(|_| fault())?;
    Timestamp::new(seconds, nanoseconds).map_err(|_| fault())
}
