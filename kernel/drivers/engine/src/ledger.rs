//! The book of what mistralrs keeps: it reports neither which sequences its prefix cache
//! holds nor what they cost, and on a CPU it never lets one go. The rules here mirror its
//! `PrefixCacheManagerV2` and `SingleCache` (mistralrs-core 0.8.1).

use lucid_kernel::abi::Token;

/// A cached sequence grows by this many tokens at a time.
const GROW_TOKENS: usize = 512;

/// What a new prompt would find in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// Tokens at the front whose keys and values are there.
    pub(crate) reused: usize,
    /// Room of the cached sequence that would be copied; 0 when none is.
    capacity: usize,
}

/// The sequences in the prefix cache, oldest first.
#[derive(Debug)]
pub(crate) struct Ledger {
    sequences: Vec<Sequence>,
    bytes_per_token: u64,
    limit_bytes: u64,
    /// How many sequences are kept before the oldest goes; none on a CPU.
    at_most: Option<usize>,
}

#[derive(Debug)]
struct Sequence {
    tokens: Vec<Token>,
    capacity: usize,
}

impl Ledger {
    pub(crate) fn new(bytes_per_token: u64, limit_bytes: u64, at_most: Option<usize>) -> Self {
        Self { sequences: Vec::new(), bytes_per_token, limit_bytes, at_most }
    }

    /// What the cache holds for this prompt.
    pub(crate) fn find(&self, prompt: &[Token]) -> Match {
        let mut best: Option<(usize, &Sequence)> = None;
        for sequence in &self.sequences {
            let shared = shared_prefix(prompt, &sequence.tokens);
            if shared > 0 && best.is_none_or(|(longest, _)| shared > longest) {
                best = Some((shared, sequence));
            }
        }
        match best {
            // A prompt that lies wholly inside a cached sequence is not reused at all.
            Some((shared, sequence)) if shared < prompt.len() => {
                Match { reused: shared, capacity: sequence.capacity }
            }
            _ => Match { reused: 0, capacity: 0 },
        }
    }

    /// Enters a finished sequence that began with `found`.
    pub(crate) fn insert(&mut self, tokens: Vec<Token>, found: Match) {
        let capacity = room(tokens.len(), found);
        if let Some(same) = self.sequences.iter_mut().find(|s| s.tokens == tokens) {
            same.capacity = capacity;
            return;
        }
        self.sequences.push(Sequence { tokens, capacity });
        while self.at_most.is_some_and(|n| self.sequences.len() > n) {
            self.sequences.remove(0);
        }
    }

    /// Whether a sequence of this many tokens can be added without passing the limit. One
    /// sequence alone always can: there is no smaller unit.
    pub(crate) fn has_room_for(&self, tokens: usize, found: Match) -> bool {
        self.sequences.is_empty()
            || self.at_most.is_some()
            || self.bytes().saturating_add(self.cost(tokens, found)) <= self.limit_bytes
    }

    /// Whether keeping a finished sequence pays. Each one brings the next rebuild nearer, in
    /// which all its tokens are computed again; so it pays when the tokens that it adds are
    /// at least its share of that: `new / all >= cost / limit`.
    pub(crate) fn pays(&self, tokens: &[Token], found: Match) -> bool {
        if self.sequences.is_empty() || self.at_most.is_some() {
            return true;
        }
        let known = self.sequences.iter().map(|s| shared_prefix(tokens, &s.tokens)).max().unwrap_or(0);
        let new = tokens.len().saturating_sub(known) as u128;
        let cost = u128::from(self.cost(tokens.len(), found));
        new * u128::from(self.limit_bytes) >= tokens.len() as u128 * cost
    }

    /// Forgets all: the cache is empty.
    pub(crate) fn clear(&mut self) {
        self.sequences.clear();
    }

    /// Memory of all cached sequences, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let tokens: usize = self.sequences.iter().map(|s| s.capacity).sum();
        (tokens as u64).saturating_mul(self.bytes_per_token)
    }

    /// How many sequences are cached.
    pub(crate) fn len(&self) -> usize {
        self.sequences.len()
    }

    /// The most memory that cached sequences may take, in bytes.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    fn cost(&self, tokens: usize, found: Match) -> u64 {
        (room(tokens, found) as u64).saturating_mul(self.bytes_per_token)
    }
}

/// The room of a sequence: a copy keeps that of what it was copied from.
fn room(tokens: usize, found: Match) -> usize {
    tokens.div_ceil(GROW_TOKENS).saturating_mul(GROW_TOKENS).max(found.capacity)
}

fn shared_prefix(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::{Ledger, Match};

    const NONE: Match = Match { reused: 0, capacity: 0 };

    #[test]
    fn the_longest_shared_prefix_is_reused_but_never_a_whole_prompt() {
        let mut ledger = Ledger::new(1, u64::MAX, None);
        ledger.insert(vec![1, 2, 3, 9], NONE);
        ledger.insert(vec![1, 2, 3, 4, 5, 9], NONE);
        assert_eq!(ledger.find(&[1, 2, 3, 4, 6]).reused, 4);
        assert_eq!(ledger.find(&[1, 2, 3, 4]).reused, 0);
        assert_eq!(ledger.find(&[7]).reused, 0);
    }

    #[test]
    fn memory_is_counted_in_blocks_and_a_copy_keeps_its_room() {
        let mut ledger = Ledger::new(10, u64::MAX, None);
        ledger.insert((0..600).collect(), NONE);
        assert_eq!(ledger.bytes(), 10_240);
        let found = ledger.find(&[0, 1, 2, 7]);
        ledger.insert(vec![0, 1, 2, 7], found);
        assert_eq!(ledger.bytes(), 20_480);
        ledger.clear();
        assert_eq!((ledger.bytes(), ledger.len()), (0, 0));
    }

    #[test]
    fn a_sequence_is_kept_when_what_it_adds_is_worth_its_share_of_the_limit() {
        // Room for ten blocks: a sequence must add a tenth of itself.
        let mut ledger = Ledger::new(1, 5120, None);
        ledger.insert((0..400).collect(), NONE);
        let grown: Vec<u32> = (0..500).collect();
        assert!(ledger.pays(&grown, NONE));
        let hardly: Vec<u32> = (0..410).collect();
        assert!(!ledger.pays(&hardly, NONE));
        assert!(ledger.has_room_for(512 * 9, NONE));
        assert!(!ledger.has_room_for(512 * 9 + 1, NONE));
    }

    #[test]
    fn an_accelerator_lets_the_oldest_go() {
        let mut ledger = Ledger::new(1, 0, Some(2));
        for n in 0..5 {
            ledger.insert(vec![n, n], NONE);
        }
        assert_eq!(ledger.len(), 2);
        assert_eq!(ledger.find(&[4, 1]).reused, 1);
        assert_eq!(ledger.find(&[0, 1]).reused, 0);
    }
}
