//! What is refused because it is too large, and how places in a text are named.

/// The most bytes of a text that is searched, compared, hashed or counted.
pub const MAX_TEXT_BYTES: usize = 8 << 20;
/// The most bytes of a text that is read as data or encoded: what is made of it takes many times
/// the room, and a guest has 64 MiB.
pub const MAX_DATA_BYTES: usize = 1 << 20;
/// The most bytes of a list of results. The host takes 64 KiB and would drop all of a longer one.
pub const MAX_LIST_BYTES: usize = 48 << 10;
/// The most results of one call.
pub const MAX_RESULTS: usize = 1_000;

/// Refuses a text that is too long.
///
/// # Errors
/// When it has more than `limit` bytes.
pub fn check_size(what: &str, text: &str, limit: usize) -> Result<(), String> {
    if text.len() <= limit {
        return Ok(());
    }
    Err(format!("{what} has {} bytes, the most is {limit}; give a part of it", text.len()))
}

/// Where a byte of a text is, for people: `line 3, column 7`.
pub fn place(text: &str, byte: usize) -> String {
    let before = text.get(..byte.min(text.len())).unwrap_or_else(|| {
        let floor = text.floor_char_boundary(byte);
        &text[..floor]
    });
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

/// A text in at most `most` characters, for messages.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
