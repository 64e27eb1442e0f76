//! Bytes of tokens to text: a character may be spread over several tokens, and what is shown
//! must be whole characters.

/// Joins bytes to text as they come. What it gives out, put together, is what
/// [`String::from_utf8_lossy`] makes of all bytes.
#[derive(Debug, Default)]
pub struct TextStream {
    held: Vec<u8>,
}

impl TextStream {
    /// Takes more bytes and gives the characters that are complete now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let keep = incomplete_tail(&self.held);
        let ready = self.held.len() - keep;
        let text = String::from_utf8_lossy(&self.held[..ready]).into_owned();
        self.held.drain(..ready);
        text
    }

    /// Gives what is left; a character that never became complete is shown as U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held.clear();
        text
    }
}

/// How many bytes at the end begin a character that may still become complete.
fn incomplete_tail(bytes: &[u8]) -> usize {
    // A character has at most four bytes, so an incomplete one has at most three.
    for back in 1..=bytes.len().min(3) {
        let tail = &bytes[bytes.len() - back..];
        if tail[0] & 0b1100_0000 == 0b1000_0000 {
            continue;
        }
        let unfinished =
            std::str::from_utf8(tail).is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none());
        return if unfinished { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::TextStream;

    fn check(bytes: &[u8]) {
        for step in 1..=bytes.len().max(1) {
            let mut stream = TextStream::default();
            let mut text = String::new();
            for chunk in bytes.chunks(step) {
                text += &stream.push(chunk);
            }
            text += &stream.finish();
            assert_eq!(text, String::from_utf8_lossy(bytes), "{bytes:?} by {step}");
        }
    }

    #[test]
    fn any_cut_gives_the_same_text() {
        check("plain".as_bytes());
        check("Grüße, 世界 🦀!".as_bytes());
        check(b"bad \xff\xfe middle");
        check("cut 🦀".as_bytes().split_last().map_or(&[], |(_, rest)| rest));
        check(b"\xe4\xb8 then \xf0\x9f\xa6 and \x80\x80");
    }

    #[test]
    fn nothing_is_shown_before_it_is_whole() {
        let mut stream = TextStream::default();
        assert_eq!(stream.push(&[0xf0, 0x9f]), "");
        assert_eq!(stream.push(&[0xa6]), "");
        assert_eq!(stream.push(&[0x80, b'!']), "🦀!");
    }
}
