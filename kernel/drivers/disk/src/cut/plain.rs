//! Plain text: paragraphs.

use super::{Line, lines, rank};

pub(super) fn rank(text: &str) -> Vec<Line> {
    let mut after_blank = true;
    let rank_of = |(number, (start, line)): (u32, (usize, &str))| {
        let blank = line.bytes().all(|byte| byte.is_ascii_whitespace());
        let rank = match (blank, after_blank) {
            (true, _) => 0,
            (false, true) => rank::PARAGRAPH,
            (false, false) => rank::LINE,
        };
        after_blank = blank;
        Line { start, number, rank, blank, label: false, heading: 0 }
    };
    (1..).zip(lines(text)).map(rank_of).collect()
}
