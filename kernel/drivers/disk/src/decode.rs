//! Turns the bytes of a file into text, and places in the text back into places in the file.
//!
//! UTF-8 and UTF-16 are told by their byte order mark or by being valid; anything else that
//! looks like text is detected (chardetng) and decoded by the tables of the WHATWG Encoding
//! Standard (encoding_rs). What cannot be decoded becomes U+FFFD; nothing is dropped.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::Encoding;

const UTF8_BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];
const UTF16_LE_BOM: [u8; 2] = [0xFF, 0xFE];
const UTF16_BE_BOM: [u8; 2] = [0xFE, 0xFF];
/// A NUL in this many first bytes means: not text.
const NUL_BYTES: usize = 8 << 10;
/// One control character in this many bytes means: not text.
const CONTROL_EVERY: usize = 50;

/// The text of a file, without its byte order mark.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The text.
    pub(crate) text: String,
    form: Form,
    mark_bytes: usize,
    file_bytes: usize,
}

/// How the file's bytes and the text's bytes go together.
#[derive(Debug)]
enum Form {
    /// One to one.
    Utf8,
    /// Two or four bytes a character.
    Utf16,
    /// One byte a character.
    SingleByte,
    /// UTF-8 with faults: the bytes are needed to find the way back.
    FaultyUtf8(Vec<u8>),
    /// An encoding with one to four bytes a character, such as GBK or Shift_JIS.
    Multibyte(&'static Encoding, Vec<u8>),
}

/// Whether the first bytes of a file show that it is not text.
pub(crate) fn is_binary_head(head: &[u8]) -> bool {
    if head.starts_with(b"%PDF-") || head.starts_with(&[0xFF, 0xFE, 0, 0]) {
        return true;
    }
    if is_utf16(head) {
        return false;
    }
    head[..head.len().min(NUL_BYTES)].contains(&0) || controls(head) * CONTROL_EVERY > head.len()
}

/// Decodes the bytes of a whole file; none when it is not text.
pub(crate) fn decode(bytes: Vec<u8>) -> Option<Decoded> {
    if is_binary_head(&bytes[..bytes.len().min(NUL_BYTES)]) {
        return None;
    }
    let file_bytes = bytes.len();
    let (text, form, mark_bytes) = if is_utf16(&bytes) {
        let text = decode_utf16(&bytes);
        if controls(text.as_bytes()) * CONTROL_EVERY > text.len() {
            return None;
        }
        (text, Form::Utf16, UTF16_LE_BOM.len())
    } else if controls(&bytes) * CONTROL_EVERY > bytes.len() {
        return None;
    } else {
        decode_bytes(bytes)
    };
    Some(Decoded { text, form, mark_bytes, file_bytes })
}

impl Decoded {
    /// A text that is not from a file: places in it are places in its UTF-8.
    pub(crate) fn plain(text: String) -> Self {
        let file_bytes = text.len();
        Self { text, form: Form::Utf8, mark_bytes: 0, file_bytes }
    }

    /// Where in the file these places of the text are, in bytes from its beginning, the byte
    /// order mark counted. The places must ascend and lie between characters.
    pub(crate) fn file_offsets(&self, places: &[usize]) -> Vec<u64> {
        match &self.form {
            Form::Utf8 => places.iter().map(|place| (place + self.mark_bytes) as u64).collect(),
            Form::Utf16 => self.by_character(places, |c| c.len_utf16() * 2),
            Form::SingleByte => self.by_character(places, |_| 1),
            Form::FaultyUtf8(bytes) => {
                let chunks = bytes.utf8_chunks().flat_map(|chunk| {
                    let (valid, faulty) = (chunk.valid().len(), chunk.invalid().len());
                    let fault = (faulty > 0).then_some((char::REPLACEMENT_CHARACTER.len_utf8(), faulty));
                    [Some((valid, valid)), fault].into_iter().flatten()
                });
                follow(places, self.mark_bytes, self.file_bytes, chunks)
            }
            Form::Multibyte(encoding, bytes) => {
                let mut decoder = encoding.new_decoder_without_bom_handling();
                let mut out = [0_u8; 32];
                let steps = bytes.iter().map(move |byte| {
                    let (_, _, written, _) = decoder.decode_to_utf8(&[*byte], &mut out, false);
                    (written, 1)
                });
                follow(places, self.mark_bytes, self.file_bytes, steps)
            }
        }
    }

    fn by_character(&self, places: &[usize], file_bytes: impl Fn(char) -> usize) -> Vec<u64> {
        let steps = self.text.chars().map(|c| (c.len_utf8(), file_bytes(c)));
        follow(places, self.mark_bytes, self.file_bytes, steps)
    }
}

/// Walks text and file side by side: each step is so many bytes of text and so many of the file.
/// Within a step of equal lengths a place is found exactly, else it is the step's beginning.
fn follow(
    places: &[usize],
    mark_bytes: usize,
    file_bytes: usize,
    steps: impl Iterator<Item = (usize, usize)>,
) -> Vec<u64> {
    let mut found = Vec::with_capacity(places.len());
    let (mut text_at, mut file_at) = (0, mark_bytes);
    // Bytes of the file that were taken in but gave no text yet belong to the text to come.
    let mut pending = 0;
    for (text_step, file_step) in steps {
        if text_step == 0 {
            pending += file_step;
            continue;
        }
        let file_step = file_step + pending;
        pending = 0;
        while let Some(&place) = places.get(found.len()) {
            if place >= text_at + text_step {
                break;
            }
            let inside = if text_step == file_step { place.saturating_sub(text_at) } else { 0 };
            found.push((file_at + inside).min(file_bytes) as u64);
        }
        if found.len() == places.len() {
            return found;
        }
        text_at += text_step;
        file_at += file_step;
    }
    found.resize(places.len(), file_bytes as u64);
    found
}

fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(&UTF16_LE_BOM) || bytes.starts_with(&UTF16_BE_BOM)
}

/// An odd last byte becomes U+FFFD, as does half of a surrogate pair.
fn decode_utf16(bytes: &[u8]) -> String {
    let big_endian = bytes.starts_with(&UTF16_BE_BOM);
    let (pairs, odd) = bytes[UTF16_LE_BOM.len()..].as_chunks::<2>();
    let units = pairs
        .iter()
        .map(|pair| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) });
    let mut text = String::with_capacity(bytes.len());
    text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    if !odd.is_empty() {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

fn decode_bytes(mut bytes: Vec<u8>) -> (String, Form, usize) {
    let mut mark_bytes = 0;
    if bytes.starts_with(&UTF8_BOM) {
        mark_bytes = UTF8_BOM.len();
        bytes.drain(..mark_bytes);
    }
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return (text, Form::Utf8, mark_bytes),
        Err(error) => error.into_bytes(),
    };
    if mark_bytes > 0 || is_mostly_utf8(&bytes) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        return (text, Form::FaultyUtf8(bytes), mark_bytes);
    }
    let encoding = detect(&bytes);
    let (text, _) = encoding.decode_without_bom_handling(&bytes);
    let text = text.into_owned();
    let form = if encoding.is_single_byte() { Form::SingleByte } else { Form::Multibyte(encoding, bytes) };
    (text, form, 0)
}

/// Whether there are more well-formed characters beyond ASCII than faults: UTF-8 that was
/// damaged, rather than another encoding.
fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut faults) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    good > faults
}

fn detect(bytes: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Deny)
}

/// How many bytes are control characters that text does not have.
fn controls(bytes: &[u8]) -> usize {
    let is_control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x08 | 0x0C | 0x1B);
    bytes.iter().filter(|&&byte| is_control(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(bytes: &[u8]) -> Decoded {
        decode(bytes.to_vec()).expect("text")
    }

    /// All places between characters, and where they lie in the file.
    fn places(decoded: &Decoded) -> Vec<(usize, u64)> {
        let mut all: Vec<usize> = decoded.text.char_indices().map(|(at, _)| at).collect();
        all.push(decoded.text.len());
        let found = decoded.file_offsets(&all);
        all.into_iter().zip(found).collect()
    }

    #[test]
    fn utf8_with_mark() {
        let found = decoded(b"\xEF\xBB\xBFabc");
        assert_eq!(found.text, "abc");
        assert_eq!(found.file_offsets(&[0, 3]), [3, 6]);
    }

    #[test]
    fn utf16_both_ways() {
        for (mark, big) in [([0xFF, 0xFE], false), ([0xFE, 0xFF], true)] {
            let mut bytes = mark.to_vec();
            for unit in "é😀z".encode_utf16() {
                bytes.extend(if big { unit.to_be_bytes() } else { unit.to_le_bytes() });
            }
            let found = decoded(&bytes);
            assert_eq!(found.text, "é😀z");
            assert_eq!(found.file_offsets(&[0, 2, 6, 7]), [2, 4, 8, 10]);
        }
    }

    #[test]
    fn utf16_with_an_odd_byte_and_half_a_pair() {
        let found = decoded(&[0xFF, 0xFE, b'a', 0, 0x00, 0xD8, b'b', 0, b'!']);
        assert_eq!(found.text, "a\u{FFFD}b\u{FFFD}");
        assert_eq!(found.file_offsets(&[0, 1, 4, 5, 8]), [2, 4, 6, 8, 9]);
    }

    #[test]
    fn latin1() {
        let found = decoded(b"Le caf\xE9 est ferm\xE9 \xE0 midi, d\xE9sol\xE9.");
        assert_eq!(found.text, "Le café est fermé à midi, désolé.");
        assert_eq!(found.file_offsets(&[8, 9]), [7, 8]);
    }

    #[test]
    fn faulty_utf8_is_kept() {
        let found = decoded(
            "안녕하세요 ".as_bytes().iter().copied().chain(*b"\xFFend").collect::<Vec<_>>().as_slice(),
        );
        assert_eq!(found.text, "안녕하세요 \u{FFFD}end");
        assert_eq!(found.file_offsets(&[16, 19, 22]), [16, 17, 20]);
    }

    #[test]
    fn multibyte_places_are_exact() {
        let text = "日本語のテキストです。これは長い文章で、文字コードを当てるためのものです。\nabc";
        let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode(text);
        let found = decoded(&bytes);
        assert_eq!(found.text, text);
        let place = text.find("abc").expect("there");
        assert_eq!(found.file_offsets(&[0, 3, place]), [0, 2, (bytes.len() - 3) as u64]);
    }

    #[test]
    fn binaries_are_refused() {
        for bytes in [&b"\x7FELF\x02\x01\x01\0\0\0"[..], b"%PDF-1.7 text", b"\x01\x02\x03abc", b"a\0b"] {
            assert!(decode(bytes.to_vec()).is_none(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_ascending_places(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Some(found) = decode(bytes.clone()) {
                let places = places(&found);
                prop_assert!(places.windows(2).all(|pair| pair[0].1 <= pair[1].1));
                prop_assert_eq!(places.last().map(|place| place.1), Some(bytes.len() as u64));
            }
        }

        #[test]
        fn text_in_utf16_maps_exactly(text in "\\PC{0,80}") {
            let mut bytes = vec![0xFF, 0xFE];
            for unit in text.encode_utf16() {
                bytes.extend(unit.to_le_bytes());
            }
            let found = decode(bytes.clone()).expect("text");
            for (place, offset) in places(&found) {
                let expected = 2 + text[..place].encode_utf16().count() * 2;
                prop_assert_eq!(offset, expected as u64);
            }
        }
    }
}
