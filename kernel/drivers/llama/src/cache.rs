//! The book of what the key-value cache holds: which sequences, of which tokens, in how many
//! cells. It decides what of a new prompt is reused and what must go to make room.
//!
//! All sequences share one pool of cells. A sequence that is forked from another shares the
//! cells of their common prefix, so the cells in use are about those of a prefix tree. They are
//! a few more where a branch came to say what another had said before; should the pool then
//! be full against the book, whoever computes drops all other sequences.

use std::ops::Range;

use lucid_kernel::abi::Token;
use lucid_kernel::memory::reuse::GAIN_TOKENS;

/// Names a sequence.
pub(crate) type SequenceId = i32;

/// A tail shorter than this is cut off rather than kept beside a fork, in tokens: computing it
/// again costs less than looking past it in every step.
const KEEP_TAIL_TOKENS: usize = 64;
/// So many tokens must be the same behind a gap for the gap to be what was evicted.
const ANCHOR_TOKENS: usize = 32;
/// At most so many gaps are closed at once.
const GAPS_MAX: usize = 16;

/// What to do before a prompt is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The sequence to compute in.
    pub(crate) sequence: SequenceId,
    /// So many tokens at the prompt's front are there already.
    pub(crate) reused: usize,
    /// Where they are, if not in the sequence itself: it is emptied and forked from this one.
    /// Otherwise what it holds after them is removed.
    pub(crate) fork_from: Option<SequenceId>,
    /// Places in the sequence that are removed, in order; what stands behind them moves up.
    pub(crate) gaps: Vec<Range<usize>>,
    /// These are removed whole, after that.
    pub(crate) drop: Vec<SequenceId>,
}

/// A sequence in the cache.
#[derive(Debug, Clone)]
struct Held {
    id: SequenceId,
    tokens: Vec<Token>,
    last_used: u64,
    /// Cells that it may still come to need, while it is computed.
    growing: Option<usize>,
}

/// The sequences in the cache.
#[derive(Debug)]
pub(crate) struct Cache {
    held: Vec<Held>,
    cells: usize,
    sequences_max: usize,
    /// Whether tokens may move to other positions.
    shifts: bool,
    clock: u64,
}

impl Cache {
    /// An empty cache of so many cells and, at most, sequences (at least 2).
    pub(crate) const fn new(cells: usize, sequences_max: usize) -> Self {
        Self { held: Vec::new(), cells, sequences_max, shifts: false, clock: 0 }
    }

    /// Whether what stands behind removed tokens may move up, from now on.
    pub(crate) const fn set_shifts(&mut self, shifts: bool) {
        self.shifts = shifts;
    }

    /// Plans the computing of a prompt with room for `more` tokens after it. The last token of
    /// a prompt is always computed, since its logits are wanted. The sequence computed in is
    /// booked until [`Cache::done`] or [`Cache::failed`]. None when what is being computed
    /// leaves no room: ask again when some of it is done.
    pub(crate) fn plan(&mut self, prompt: &[Token], more: usize) -> Option<Plan> {
        let growing: Vec<&[Token]> = self.growing().map(|held| held.tokens.as_slice()).collect();
        let taken = growing.len();
        let least = cells(growing.into_iter().chain([prompt]).collect()) + self.grows() + more;
        if taken > 0 && (least > self.cells || taken + 1 >= self.sequences_max) {
            return None;
        }
        let mut plan = self.reuse(prompt);
        self.clock += 1;
        self.forget(plan.sequence);
        let (id, tokens) = (plan.sequence, prompt.to_vec());
        self.held.push(Held { id, tokens, last_used: self.clock, growing: Some(more) });
        while self.used() + self.grows() > self.cells {
            let Some(oldest) = self.oldest(None) else { break };
            self.forget(oldest);
            plan.drop.push(oldest);
        }
        Some(plan)
    }

    /// What of a prompt is there, and where.
    fn reuse(&mut self, prompt: &[Token]) -> Plan {
        let at_most = prompt.len().saturating_sub(1);
        let shared = |held: &Held| common_prefix(&held.tokens, prompt).min(at_most);
        let best = self.held.iter().max_by_key(|held| (shared(held), held.last_used));
        let prefix = best.map_or(0, shared);
        let closed = self.held.iter().filter_map(|held| self.closing(held, &prompt[..at_most]));
        if let Some((id, reused, gaps)) = closed.max_by_key(|(_, reused, _)| *reused)
            && reused >= prefix + GAIN_TOKENS
        {
            return Plan { sequence: id, reused, fork_from: None, gaps, drop: Vec::new() };
        }
        let plan = |sequence, fork_from| Plan {
            sequence,
            reused: prefix,
            fork_from,
            gaps: Vec::new(),
            drop: Vec::new(),
        };
        match best.filter(|_| prefix > 0).map(|held| (held.id, held.tokens.len(), held.growing.is_some())) {
            Some((id, len, false)) if len - prefix < KEEP_TAIL_TOKENS => plan(id, None),
            Some((id, ..)) => plan(self.free_id(Some(id)), Some(id)),
            None => plan(self.free_id(None), None),
        }
    }

    /// How much of a prompt a sequence holds once gaps in it are closed, and the gaps. Only
    /// where nobody else uses what would move.
    fn closing(&self, held: &Held, prompt: &[Token]) -> Option<(SequenceId, usize, Vec<Range<usize>>)> {
        if !self.shifts || held.growing.is_some() {
            return None;
        }
        let prefix = common_prefix(&held.tokens, prompt);
        let (mut at, mut there) = (prefix, prefix);
        let mut gaps = Vec::new();
        while gaps.len() < GAPS_MAX {
            let Some(anchor) = prompt.get(at..at + ANCHOR_TOKENS) else { break };
            let rest = &held.tokens[there..];
            let Some(gap) = rest.windows(ANCHOR_TOKENS).position(|window| window == anchor) else { break };
            gaps.push(there..there + gap);
            let same = common_prefix(&rest[gap..], &prompt[at..]);
            (at, there) = (at + same, there + gap + same);
        }
        let first = gaps.first()?.start;
        let others = self.held.iter().filter(|other| other.id != held.id);
        let alone = others.map(|other| common_prefix(&other.tokens, &held.tokens)).all(|n| n <= first);
        alone.then_some((held.id, at, gaps))
    }

    /// A sequence was computed and holds these tokens.
    pub(crate) fn done(&mut self, id: SequenceId, tokens: Vec<Token>) {
        self.clock += 1;
        self.forget(id);
        self.held.push(Held { id, tokens, last_used: self.clock, growing: None });
    }

    /// A sequence could not be computed and holds nothing.
    pub(crate) fn failed(&mut self, id: SequenceId) {
        self.forget(id);
    }

    /// Cells in use.
    pub(crate) fn used(&self) -> usize {
        cells(self.held.iter().map(|held| held.tokens.as_slice()).collect())
    }

    /// Forgets all that is not being computed; gives what that was.
    pub(crate) fn clear(&mut self) -> Vec<SequenceId> {
        let (growing, idle) = std::mem::take(&mut self.held).into_iter().partition(|h| h.growing.is_some());
        self.held = growing;
        idle.into_iter().map(|held: Held| held.id).collect()
    }

    /// How many sequences there are.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// The sequence that was computed last and is complete.
    pub(crate) fn newest(&self) -> Option<(SequenceId, &[Token])> {
        let idle = self.held.iter().filter(|held| held.growing.is_none());
        idle.max_by_key(|held| held.last_used).map(|held| (held.id, held.tokens.as_slice()))
    }

    fn growing(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|held| held.growing.is_some())
    }

    /// Cells that are still to come.
    fn grows(&self) -> usize {
        self.held.iter().filter_map(|held| held.growing).sum()
    }

    fn forget(&mut self, id: SequenceId) {
        self.held.retain(|held| held.id != id);
    }

    /// The complete sequence that was used longest ago.
    fn oldest(&self, except: Option<SequenceId>) -> Option<SequenceId> {
        let others = self.held.iter().filter(|held| Some(held.id) != except && held.growing.is_none());
        others.min_by_key(|held| held.last_used).map(|held| held.id)
    }

    /// An id for a new sequence; the one that had it, if any, is gone.
    fn free_id(&mut self, except: Option<SequenceId>) -> SequenceId {
        let ids = 0..SequenceId::try_from(self.sequences_max).unwrap_or(SequenceId::MAX);
        let is_free = |id: &SequenceId| !self.held.iter().any(|held| held.id == *id);
        if let Some(id) = ids.into_iter().find(is_free) {
            return id;
        }
        let oldest = self.oldest(except).unwrap_or(0);
        self.forget(oldest);
        oldest
    }
}

/// Cells of sequences that share common prefixes: the nodes of their prefix tree.
fn cells(mut sequences: Vec<&[Token]>) -> usize {
    sequences.sort_unstable();
    let mut before: &[Token] = &[];
    let mut cells = 0;
    for sequence in sequences {
        cells += sequence.len() - common_prefix(before, sequence);
        before = sequence;
    }
    cells
}

fn common_prefix(one: &[Token], other: &[Token]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn range(from: Token, to: Token) -> Vec<Token> {
        (from..to).collect()
    }

    fn plain(sequence: SequenceId, reused: usize, fork_from: Option<SequenceId>) -> Option<Plan> {
        Some(Plan { sequence, reused, fork_from, gaps: vec![], drop: vec![] })
    }

    #[test]
    fn a_conversation_goes_on_in_its_sequence() {
        let mut cache = Cache::new(1000, 4);
        assert_eq!(cache.plan(&range(0, 100), 50), plain(0, 0, None));
        cache.done(0, range(0, 120));
        assert_eq!(cache.plan(&range(0, 200), 50), plain(0, 120, None));
        cache.done(0, range(0, 200));
        // The same again: the last token is computed anew.
        assert_eq!(cache.plan(&range(0, 200), 50), plain(0, 199, None));
    }

    #[test]
    fn a_branch_shares_the_prefix_and_leaves_the_other_whole() {
        let mut cache = Cache::new(1000, 4);
        cache.done(0, range(0, 300));
        let prompt = [range(0, 100), range(500, 520)].concat();
        assert_eq!(cache.plan(&prompt, 10), plain(1, 100, Some(0)));
        cache.done(1, prompt);
        assert_eq!((cache.used(), cache.len()), (320, 2));
        // A short tail is not worth a fork.
        assert_eq!(cache.plan(&[range(0, 280), range(700, 710)].concat(), 10), plain(0, 280, None));
    }

    #[test]
    fn branches_are_computed_at_once_while_there_is_room() {
        let mut cache = Cache::new(400, 4);
        let branch = |first: Token| [range(0, 200), range(first, first + 10)].concat();
        assert_eq!(cache.plan(&branch(1000), 50), plain(0, 0, None));
        // The first one is still being computed: it is forked, never computed in.
        assert_eq!(cache.plan(&branch(2000), 50), plain(1, 200, Some(0)));
        assert_eq!(cache.plan(&branch(3000), 80), None);
        cache.done(0, branch(1000));
        // What is complete and differs by little is computed in.
        assert_eq!(cache.plan(&branch(3000), 80), plain(0, 200, None));
        cache.done(0, branch(3000));
        assert_eq!(cache.clear(), [0]);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let mut cache = Cache::new(300, 4);
        cache.done(0, range(0, 100));
        cache.done(1, range(1000, 1100));
        let plan = cache.plan(&range(2000, 2090), 50).unwrap();
        assert_eq!((plan.sequence, plan.drop), (2, vec![0]));
        cache.failed(2);
        // The one that a prompt is forked from may go too: the fork holds what it needs.
        let plan = cache.plan(&[range(1000, 1030), range(5000, 5200)].concat(), 60).unwrap();
        assert_eq!((plan.fork_from, plan.drop), (Some(1), vec![1]));
    }

    #[test]
    fn gaps_are_closed_where_nobody_else_uses_what_moves() {
        let mut cache = Cache::new(2000, 4);
        let prompt = [range(0, 100), range(200, 300), range(400, 500), range(900, 910)].concat();
        cache.done(0, range(0, 500));
        // Not unless the model can.
        assert_eq!(cache.plan(&prompt, 10).unwrap().reused, 100);
        cache.failed(1);
        cache.set_shifts(true);
        let plan = cache.plan(&prompt, 10).unwrap();
        assert_eq!((plan.sequence, plan.reused, plan.fork_from), (0, 300, None));
        assert_eq!(plan.gaps, [100..200, 300..400]);
        cache.done(0, range(0, 500));
        // Another sequence holds the same cells.
        cache.done(1, [range(0, 250), range(700, 710)].concat());
        assert_eq!(cache.plan(&prompt, 10), plain(2, 100, Some(1)));
    }

    /// What the cells hold, as llama.cpp would.
    fn follow(real: &mut HashMap<SequenceId, Vec<Token>>, plan: &Plan) {
        if let Some(from) = plan.fork_from {
            let shared = real[&from][..plan.reused].to_vec();
            real.insert(plan.sequence, shared);
        }
        let held = real.entry(plan.sequence).or_default();
        held.truncate(plan.reused + plan.gaps.iter().map(Range::len).sum::<usize>());
        for gap in plan.gaps.iter().rev() {
            held.drain(gap.clone());
        }
        for id in &plan.drop {
            assert_ne!(*id, plan.sequence);
            real.remove(id);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_promised_that_is_not_there(
            prompts in proptest::collection::vec(proptest::collection::vec(0_u32..3, 1..200), 1..60),
            more in 1_usize..40,
            at_once in 1_usize..3,
        ) {
            let mut cache = Cache::new(450, 4);
            cache.set_shifts(true);
            let mut real = HashMap::new();
            let mut running: Vec<(SequenceId, Vec<Token>)> = Vec::new();
            for prompt in prompts {
                let plan = loop {
                    if running.len() < at_once && let Some(plan) = cache.plan(&prompt, more) {
                        break plan;
                    }
                    let (id, whole) = running.remove(0);
                    real.insert(id, whole.clone());
                    cache.done(id, whole);
                };
                follow(&mut real, &plan);
                let held = &real[&plan.sequence];
                prop_assert_eq!(held.as_slice(), &prompt[..plan.reused]);
                prop_assert!(plan.reused < prompt.len());
                real.insert(plan.sequence, prompt.clone());
                prop_assert_eq!(cache.used(), cells(real.values().map(Vec::as_slice).collect()));
                running.push((plan.sequence, [prompt, vec![9; more]].concat()));
                prop_assert!(cache.used() + running.len() * more <= 450 && cache.len() <= 4);
            }
        }

        #[test]
        fn evicted_pages_leave_gaps_that_are_closed(
            pages in proptest::collection::vec((proptest::collection::vec(0_u32..1000, 64..120), any::<bool>()), 2..12),
        ) {
            let mut cache = Cache::new(4000, 4);
            cache.set_shifts(true);
            let boot = range(5000, 5100);
            let whole: Vec<Token> = boot.iter().copied().chain(pages.iter().flat_map(|(p, _)| p.clone())).collect();
            let kept = pages.iter().filter(|(_, stays)| *stays).flat_map(|(p, _)| p.clone());
            let prompt: Vec<Token> = boot.iter().copied().chain(kept).chain([7000]).collect();
            cache.done(0, whole.clone());
            let plan = cache.plan(&prompt, 10).unwrap();
            let mut real = HashMap::from([(0, whole)]);
            follow(&mut real, &plan);
            prop_assert_eq!(real[&plan.sequence].as_slice(), &prompt[..plan.reused]);
            // All that stays is reused, but for what could not be told from chance.
            prop_assert!(plan.reused + GAIN_TOKENS > prompt.len() - 1, "{} of {}", plan.reused, prompt.len());
        }
    }
}
