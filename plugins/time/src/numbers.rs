//! Times that are numbers.

use jiff::Timestamp;

/// Unix seconds or milliseconds. Few digits may be a year or a day; `@` says that they are seconds.
///
/// # Errors
/// When the number is beyond what there are dates for, or no number follows `@`.
pub fn unix(text: &str) -> Result<Option<Timestamp>, String> {
    let marked = text.strip_prefix('@');
    let number = marked.unwrap_or(text);
    let digits = number.strip_prefix('-').unwrap_or(number);
    let whole = digits.split('.').next().unwrap_or_default();
    let fraction = digits.get(whole.len()..).unwrap_or_default().trim_start_matches('.');
    let is_number = !whole.is_empty() && digits.bytes().all(|it| it.is_ascii_digit() || it == b'.');
    let is_long = (9..=14).contains(&whole.len()) && digits.matches('.').count() <= 1;
    if !is_number || (marked.is_none() && !is_long) {
        return match marked {
            Some(_) => Err(format!("after @ the seconds since 1970 must follow, and {number:?} is none")),
            None => Ok(None),
        };
    }
    let beyond = || format!("{number} seconds since 1970 are beyond the years that there are dates for");
    let is_negative = digits.len() < number.len();
    let value = if is_negative { -1 } else { 1 } * whole.parse::<i64>().map_err(|_| beyond())?;
    if whole.len() >= 12 && marked.is_none() && fraction.is_empty() {
        return Timestamp::from_millisecond(value).map(Some).map_err(|_| beyond());
    }
    let nanoseconds = format!("{fraction:0<9}").get(..9).and_then(|it| it.parse::<i32>().ok());
    let nanoseconds = nanoseconds.ok_or_else(|| format!("{number:?} is no number of seconds"))?;
    Timestamp::new(value, if is_negative { -nanoseconds } else { nanoseconds })
        .map(Some)
        .map_err(|_| beyond())
}
