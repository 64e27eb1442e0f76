//! What is kept of a command's output.

use std::collections::VecDeque;
use std::fmt;

/// The beginning and the end of an output; the middle of a long one is left out.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// How much is kept of the beginning, and how much of the end, in bytes.
    half: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// All that was written, in bytes.
    pub(super) written: u64,
}

impl Output {
    /// Of which at most so many bytes are kept.
    pub(super) fn of(bytes: usize) -> Self {
        Self { half: bytes / 2, ..Self::default() }
    }

    /// Takes in what was written next.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.written += bytes.len() as u64;
        let (front, rest) = bytes.split_at(bytes.len().min(self.half - self.head.len()));
        self.head.extend_from_slice(front);
        let last = &rest[rest.len().saturating_sub(self.half)..];
        let over = (self.tail.len() + last.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.tail.extend(last);
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (front, back) = self.tail.as_slices();
        let tail = [front, back].concat();
        let left_out = self.written - self.head.len() as u64 - tail.len() as u64;
        match (self.written, left_out) {
            (0, _) => f.write_str("(no output)"),
            // Together, so that no character is cut in two where nothing is left out.
            (_, 0) => f.write_str(&String::from_utf8_lossy(&[&self.head[..], &tail].concat())),
            _ => {
                let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&tail));
                write!(f, "{head}\n[cut: {left_out} bytes of the output are left out here]\n{tail}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_long_output_is_left_out() {
        let of = |parts: &[&str]| {
            let mut output = Output::of(8);
            parts.iter().for_each(|part| output.add(part.as_bytes()));
            output.to_string()
        };
        assert_eq!(of(&[]), "(no output)");
        assert_eq!(of(&["abcd", "efgh"]), "abcdefgh");
        assert_eq!(of(&["abé", "é"]), "abéé");
        assert_eq!(
            of(&["ab", "cdé", "fgh"]),
            "abcd\n[cut: 1 bytes of the output are left out here]\n\u{fffd}fgh"
        );
        let cut = "abcd\n[cut: 12 bytes of the output are left out here]\nqrst";
        assert_eq!(of(&["abcdefghijklmnopqrst"]), cut);
        assert_eq!(of(&["ab", "cdefghijklmno", "pqr", "s", "t"]), cut);
    }
}
