//! Pictures that tools gave: by the terminal's own protocol for them where it has one, else in half
//! blocks. The file of each is named under it.

use std::fmt;
use std::sync::Arc;

use image::{ImageReader, Limits};
use ratatui::Frame;
use ratatui::layout::{Rect, Size};
use ratatui_image::picker::{Picker, ProtocolType};
use ratatui_image::protocol::Protocol;
use ratatui_image::{FontSize, Image, Resize};
use serde_json::Value;

/// The most columns and rows of a picture.
pub const COLUMNS: u16 = 72;
/// See [`COLUMNS`].
pub const ROWS: u16 = 20;
/// The most pixels of a side, and the most memory that decoding takes, in bytes.
const SIDE_MAX: u32 = 16_384;
const DECODED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A picture as the terminal takes it.
#[derive(Clone)]
pub struct Drawable(Arc<Protocol>);

impl fmt::Debug for Drawable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Drawable({} rows)", self.rows())
    }
}

impl Drawable {
    /// Reads a picture, at most so wide and so high as is drawn.
    ///
    /// # Errors
    /// Words for a person, when it cannot be read or is no picture.
    pub fn load(path: &str) -> Result<Self, String> {
        let failed = |reason: String| format!("the picture {path} cannot be shown: {reason}");
        let mut reader = ImageReader::open(path)
            .and_then(ImageReader::with_guessed_format)
            .map_err(|error| failed(error.to_string()))?;
        let mut limits = Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(SIDE_MAX), Some(SIDE_MAX));
        limits.max_alloc = Some(DECODED_BYTES_MAX);
        reader.limits(limits);
        let picture = reader.decode().map_err(|error| failed(error.to_string()))?;
        let size = Size::new(COLUMNS, ROWS);
        let drawn = picker().new_protocol(picture, size, Resize::Fit(None));
        drawn.map(|drawn| Self(Arc::new(drawn))).map_err(|error| failed(error.to_string()))
    }

    /// How many rows it takes.
    pub fn rows(&self) -> u16 {
        self.0.size().height
    }

    /// Draws it.
    pub fn draw(&self, frame: &mut Frame<'_>, area: Rect) {
        frame.render_widget(Image::new(&self.0), area);
    }
}

/// What the terminal can do, by what it says of itself in the environment: to ask it would take time at
/// the start, and its answer would come among the keys.
fn picker() -> Picker {
    let is = |name: &str, what: &str| std::env::var(name).is_ok_and(|value| value.contains(what));
    // What lies between would have to let pictures through.
    let is_direct = std::env::var_os("TMUX").is_none() && std::env::var_os("STY").is_none();
    let protocol = if !is_direct {
        ProtocolType::Halfblocks
    } else if is("TERM", "kitty") || is("TERM", "ghostty") || is("TERM_PROGRAM", "ghostty") {
        ProtocolType::Kitty
    } else if is("TERM_PROGRAM", "WezTerm") || is("TERM_PROGRAM", "iTerm") || is("LC_TERMINAL", "iTerm") {
        ProtocolType::Iterm2
    } else if is("TERM", "foot") || is("TERM", "mlterm") || is("TERM", "sixel") {
        ProtocolType::Sixel
    } else {
        ProtocolType::Halfblocks
    };
    let mut picker = match cell() {
        Some(cell) if protocol != ProtocolType::Halfblocks =>
        {
            #[expect(deprecated, reason = "what replaces it asks the terminal")]
            Picker::from_fontsize(cell)
        }
        _ => Picker::halfblocks(),
    };
    picker.set_protocol_type(protocol);
    picker
}

/// The pixels of a cell, where the terminal tells them.
fn cell() -> Option<FontSize> {
    let size = crossterm::terminal::window_size().ok()?;
    let (width, height) = (size.width.checked_div(size.columns)?, size.height.checked_div(size.rows)?);
    (width > 0 && height > 0).then(|| FontSize::new(width, height))
}

/// The files of the pictures that a result of a tool names.
pub fn named(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default();
            if fields.contains_key("attachment") && text("media-type").starts_with("image/") {
                found.push(text("file").to_owned());
            }
            fields.values().for_each(|value| collect(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_in_results_and_bad_ones_are_told() {
        let value = serde_json::json!({
            "text": "done",
            "figures": [
                { "attachment": 0, "media-type": "image/png", "file": "/f/a.png", "bytes": 9 },
                { "attachment": 1, "media-type": "text/csv", "file": "/f/b.csv", "bytes": 9 },
            ],
        });
        assert_eq!(named(&value), ["/f/a.png"]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\nrubbish").unwrap();
        assert!(Drawable::load(&path.display().to_string()).unwrap_err().contains("cannot be shown"));
        let good = dir.path().join("good.png");
        image::RgbImage::from_pixel(400, 100, image::Rgb([200, 30, 30])).save(&good).unwrap();
        let drawable = Drawable::load(&good.display().to_string()).unwrap();
        assert!((1..=ROWS).contains(&drawable.rows()));
    }
}
