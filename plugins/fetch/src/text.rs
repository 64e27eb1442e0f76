//! Results as text: bounded, with sizes in words.

/// The most bytes of a result, but for the notes after it. The host takes 64 KiB.
pub const MAX_OUTPUT_BYTES: usize = 60_000;

/// A size for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if bytes < 1_024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10 / 1_024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// At most so many bytes of a text, up to the end of a line where one is near.
pub fn head(text: &str, at_most: usize) -> &str {
    if text.len() <= at_most {
        return text;
    }
    let whole = &text[..text.floor_char_boundary(at_most)];
    match whole.rfind('\n') {
        Some(end) if end > at_most / 2 => &whole[..end],
        _ => whole,
    }
}

/// The text on one line, at most so many bytes of it.
pub fn line(text: &str, at_most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = words.chars().filter(|c| !c.is_control()).collect();
    if plain.len() <= at_most {
        return plain;
    }
    format!("{}…", &plain[..plain.floor_char_boundary(at_most)])
}
