//! Drawing one token from logits: greedy, or by temperature and nucleus with a seed.

use lucid_kernel::abi::{Sampling, Token};

/// Temperatures below this are greedy.
const GREEDY_BELOW: f32 = 1e-5;
/// Logits this far below the best are never drawn: their probability is below 1e-11.
const NEGLIGIBLE: f32 = 25.0;

/// Draws the token at this position. The same logits, sampling and position always give the
/// same token. None when no logit is finite.
pub fn draw(logits: &[f32], sampling: Sampling, position: usize) -> Option<Token> {
    let best = greedy(logits)?;
    if sampling.temperature < GREEDY_BELOW {
        return Some(best);
    }
    let top = logits[best as usize];
    let mut weights: Vec<(Token, f64)> = (0..)
        .zip(logits)
        .filter(|(_, logit)| top - **logit < NEGLIGIBLE)
        .map(|(id, logit)| (id, f64::from((logit - top) / sampling.temperature).exp()))
        .collect();
    if sampling.top_p < 1.0 {
        keep_nucleus(&mut weights, f64::from(sampling.top_p.max(0.0)));
    }
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let mut left = uniform(sampling.seed, position as u64) * total;
    for (id, weight) in &weights {
        left -= weight;
        if left < 0.0 {
            return Some(*id);
        }
    }
    Some(best)
}

/// The token with the highest logit; the lowest id among equals.
fn greedy(logits: &[f32]) -> Option<Token> {
    let mut best: Option<(Token, f32)> = None;
    for (id, logit) in (0..).zip(logits) {
        if logit.is_finite() && best.is_none_or(|(_, highest)| *logit > highest) {
            best = Some((id, *logit));
        }
    }
    best.map(|(id, _)| id)
}

/// Keeps the fewest tokens whose probabilities reach `top_p`, the likeliest first.
fn keep_nucleus(weights: &mut Vec<(Token, f64)>, top_p: f64) {
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    weights.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut sum = 0.0;
    let kept = weights
        .iter()
        .take_while(|(_, weight)| {
            let wanted = sum < top_p * total;
            sum += weight;
            wanted
        })
        .count();
    weights.truncate(kept.max(1));
}

/// A number in [0, 1) from seed and position: SplitMix64,
/// <https://prng.di.unimi.it/splitmix64.c>.
#[allow(clippy::cast_precision_loss)]
fn uniform(seed: u64, position: u64) -> f64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = mix(seed.wrapping_add(STEP)).wrapping_add(position.wrapping_add(1).wrapping_mul(STEP));
    z = mix(z);
    (z >> 11) as f64 / (1_u64 << 53) as f64
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use lucid_kernel::abi::Sampling;

    use super::draw;

    const LOGITS: [f32; 4] = [1.0, 3.0, 3.0, f32::NEG_INFINITY];

    #[test]
    fn greedy_takes_the_best_and_the_first_among_equals() {
        assert_eq!(draw(&LOGITS, Sampling::default(), 0), Some(1));
        assert_eq!(draw(&[f32::NAN, f32::NEG_INFINITY], Sampling::default(), 0), None);
    }

    #[test]
    fn frequencies_follow_the_temperature_and_a_seed_repeats() {
        let sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 7 };
        let mut counts = [0_u32; 4];
        for position in 0..10_000 {
            let token = draw(&LOGITS, sampling, position).expect("finite logits");
            assert_eq!(draw(&LOGITS, sampling, position), Some(token));
            counts[token as usize] += 1;
        }
        // Softmax of 1, 3, 3 is 0.063, 0.468, 0.468.
        assert!((530..=740).contains(&counts[0]), "{counts:?}");
        assert!((4400..=4960).contains(&counts[1]), "{counts:?}");
        assert_eq!(counts[3], 0);
    }

    #[test]
    fn the_nucleus_leaves_the_tail_out() {
        let sampling = Sampling { temperature: 1.0, top_p: 0.9, seed: 1 };
        assert!((0..2_000).all(|position| draw(&LOGITS, sampling, position) != Some(0)));
    }
}
