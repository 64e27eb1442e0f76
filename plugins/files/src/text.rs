//! Results and files as text: bounded output, sizes in words, and what a file is that is no text.

/// The most bytes of a result. The host takes 64 KiB.
pub const MAX_OUTPUT_BYTES: usize = 60_000;

/// Lines of a result, as many as fit.
#[derive(Debug, Default)]
pub struct Output {
    text: String,
    is_full: bool,
}

impl Output {
    /// Adds a line and says whether there was room for it. Once there was none, none is added.
    pub fn line(&mut self, line: &str) -> bool {
        self.is_full |= self.text.len() + line.len() + 1 > MAX_OUTPUT_BYTES;
        if !self.is_full {
            self.text.push_str(line);
            self.text.push('\n');
        }
        !self.is_full
    }

    /// Adds a remark, for which there is always room.
    pub fn note(&mut self, note: &str) {
        self.text.push_str(&format!("[{note}]\n"));
    }

    /// The text, without a line break at its end.
    pub fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end_matches('\n').len());
        self.text
    }
}

/// A size for people.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
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

/// `1 line`, `2 lines`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// How many lines a text has. A line break at its end begins no further line.
pub fn lines(text: &str) -> usize {
    text.lines().count()
}

/// At most so many bytes of a text, not more, with `…` where it was cut.
pub fn cut(text: &str, at_most: usize) -> String {
    if text.len() <= at_most {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(at_most)])
}

/// What a file is, judged by how it begins and what it is called. None for text.
pub fn binary(head: &[u8], name: &str) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 18] = [
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"GIF8", "a GIF picture"),
        (b"%PDF-", "a PDF document"),
        (b"\x1f\x8b", "data packed with gzip"),
        (b"BZh", "data packed with bzip2"),
        (b"\xfd7zXZ", "data packed with xz"),
        (b"\x28\xb5\x2f\xfd", "data packed with zstd"),
        (b"7z\xbc\xaf", "a 7z archive"),
        (b"\x7fELF", "a program"),
        (b"\0asm", "a WebAssembly module"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"OggS", "Ogg audio"),
        (b"ID3", "MP3 audio"),
        (b"fLaC", "FLAC audio"),
        (b"\xff\xfe", "text in UTF-16"),
        (b"\xfe\xff", "text in UTF-16"),
        (b"GGUF", "a model"),
    ];
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    if head.starts_with(b"PK\x03\x04") {
        return Some(match ending.as_deref() {
            Some("docx" | "odt") => "a text document",
            Some("xlsx" | "ods") => "a spreadsheet",
            Some("pptx" | "odp") => "a presentation",
            Some("epub") => "an e-book",
            Some("jar" | "apk") => "a program",
            _ => "a zip archive",
        });
    }
    // Some of these beginnings are words too, so they count only where something is no text.
    let has_nul = head.contains(&0);
    let is_text = !has_nul && is_utf8(head);
    if is_text && !head.starts_with(b"%PDF-") {
        return None;
    }
    let known = BEGINNINGS.iter().find(|(beginning, _)| head.starts_with(beginning));
    match known {
        Some((_, what)) => Some(what),
        None if head.get(4..8) == Some(b"ftyp") => Some("a video or picture"),
        None if head.starts_with(b"RIFF") => Some("audio, video or a picture"),
        None if has_nul => Some("binary data"),
        // Text in an old encoding: it can be read, with marks for what is not known.
        None => None,
    }
}

/// Whether this is UTF-8 that may be cut within its last character.
fn is_utf8(head: &[u8]) -> bool {
    std::str::from_utf8(head).err().is_none_or(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, words) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (10 << 20, "10.0 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert_eq!(binary(b"\x89PNG\r\n\x1a\n\0", "a"), Some("a PNG picture"));
        assert_eq!(binary(b"PK\x03\x04\0", "A.DOCX"), Some("a text document"));
        assert_eq!(binary(b"a\0b", "a.txt"), Some("binary data"));
        assert_eq!(binary("grün".as_bytes(), "a"), None);
        assert_eq!(binary(&"grün".as_bytes()[..3], "a"), None);
        assert_eq!(binary(b"gr\xfcn", "a"), None);
        assert_eq!(binary(b"BZh is a name", "a"), None);
        assert_eq!(binary(b"", "a"), None);
    }

    #[test]
    fn output_is_bounded_and_cut_at_characters() {
        let mut output = Output::default();
        assert!(output.line("first"));
        assert!(!output.line(&"x".repeat(MAX_OUTPUT_BYTES)));
        assert!(!output.line("later"));
        output.note("cut");
        assert_eq!(output.finish(), "first\n[cut]");
        assert_eq!(cut("grün", 3), "gr…");
        assert_eq!(cut("grün", 5), "grün");
    }
}
