//! Sentences of a grammar, drawn from the matcher that decoding obeys, one byte a token.

use lucid_model::llguidance::Matcher;

/// From so many bytes on, whatever ends the sentence is taken first.
const LONG: usize = 1_500;
/// No sentence is longer.
const MAX_BYTES: usize = 100_000;

/// How the next byte is chosen.
#[derive(Debug, Clone, Copy)]
pub enum Temper {
    /// Any, with what ends a part preferred a little: strings would all be as long as they may.
    Even,
    /// Any at all.
    Wild,
    /// The largest: numbers go up to their bounds.
    High,
    /// The smallest that is no white space.
    Low,
    /// What ends it soonest.
    Short,
}

impl Temper {
    pub const ALL: [Self; 8] =
        [Self::Even, Self::Wild, Self::High, Self::Even, Self::Low, Self::Even, Self::Short, Self::Even];
}

/// Draws a whole sentence. The same seed draws the same one.
///
/// # Errors
/// Where the matcher let nothing through, or did not end.
pub fn sentence(matcher: &mut Matcher, temper: Temper, seed: u64) -> Result<String, String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = Vec::new();
    let so_far = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    while !matcher.is_stopped() {
        let mask = matcher.compute_mask().map_err(|e| format!("{e:#} after {}", so_far(&bytes)))?;
        let open: Vec<u8> = (0..=u8::MAX).filter(|byte| mask.is_allowed(u32::from(*byte))).collect();
        let is_whole = matcher.is_accepting().map_err(|e| format!("{e:#}"))?;
        if is_whole {
            break;
        }
        if open.is_empty() || bytes.len() >= MAX_BYTES {
            return Err(format!("after {}", so_far(&bytes)));
        }
        // Numbers that may go on for ever do not.
        let temper = if bytes.len() > LONG { Temper::Short } else { temper };
        let byte = choose(&open, temper, &mut random);
        matcher.consume_token(u32::from(byte)).map_err(|e| format!("{e:#} after {}", so_far(&bytes)))?;
        bytes.push(byte);
    }
    String::from_utf8(bytes).map_err(|error| format!("it is no text: {error}"))
}

fn choose(open: &[u8], temper: Temper, random: &mut fastrand::Rng) -> u8 {
    let ends = || b"]}\",".iter().copied().find(|byte| open.contains(byte));
    let any = open[random.usize(..open.len())];
    match temper {
        Temper::Wild => any,
        Temper::Even if random.u8(..4) == 0 => ends().unwrap_or(any),
        // An escape is as likely as all characters together, and a sign as all digits.
        Temper::Even if random.u8(..8) == 0 => {
            b"\\-.".iter().copied().find(|byte| open.contains(byte)).unwrap_or(any)
        }
        Temper::Even => any,
        Temper::High => {
            // Its strings would never end.
            let digits = open.iter().copied().filter(u8::is_ascii_digit).max();
            let sign = open.contains(&b'-') && random.bool();
            if sign { b'-' } else { digits.or_else(ends).unwrap_or(any) }
        }
        Temper::Low => {
            let digits = open.iter().copied().filter(u8::is_ascii_digit).min();
            ends()
                .filter(|_| digits.is_none())
                .or(digits.filter(|_| random.u8(..8) > 0))
                .or_else(ends)
                .unwrap_or(any)
        }
        Temper::Short => ends().unwrap_or(any),
    }
}
