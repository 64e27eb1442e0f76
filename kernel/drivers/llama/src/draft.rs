//! Drafts of what an answer says next, which the model checks in one step, so that a right one
//! costs a fraction of decoding it. They are taken from what was said before: an answer that
//! quotes its pages repeats them word for word ("prompt lookup decoding", A. Saxena 2023,
//! <https://github.com/apoorvumang/prompt-lookup-decoding>). Where nothing like it was said, a
//! smaller model may write them ("speculative decoding", Leviathan et al. 2023,
//! <https://arxiv.org/abs/2211.17192>). Whether drafts pay is measured while decoding; where they
//! do not, they pause.

use std::time::{Duration, Instant};

use lucid_kernel::abi::Token;

/// So many tokens in a row must have been said before, for what followed them to be a draft.
const MATCH_TOKENS: usize = 3;
/// The shortest and the longest draft from what was said, in tokens.
const LOOKUP_TOKENS: (usize, usize) = (3, 24);
/// The shortest and the longest draft of a smaller model, in tokens.
const MODEL_TOKENS: (usize, usize) = (3, 12);
/// How many steps the first pause lasts; each further one lasts twice as long.
const PAUSE_STEPS: u32 = 16;
/// The longest pause, in steps.
const PAUSE_STEPS_MAX: u32 = 1024;
/// How much of an average each new time changes.
const LEARNING_RATE: f64 = 0.2;

/// A smaller model: writes what may come after these tokens, at most so many.
pub(crate) type Write<'w> = &'w mut dyn FnMut(&[Token], usize) -> Vec<Token>;

/// Makes drafts for one answer.
#[derive(Debug)]
pub(crate) struct Drafter {
    /// The time of a step without a draft, in seconds; none before the first.
    step_s: Option<f64>,
    lookup: Pace,
    model: Pace,
    /// Whose draft the current step checks, and how long it took to make, in seconds.
    made: Option<(Source, f64)>,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Lookup,
    Model,
}

/// How far one source of drafts is trusted.
#[derive(Debug)]
struct Pace {
    /// The shortest and the longest draft, in tokens.
    bounds: (usize, usize),
    /// The longest draft that is made now.
    length: usize,
    /// What drafts have won since the last pause, in seconds.
    balance_s: f64,
    pause: u32,
    next_pause: u32,
}

impl Default for Drafter {
    fn default() -> Self {
        Self { step_s: None, lookup: Pace::new(LOOKUP_TOKENS), model: Pace::new(MODEL_TOKENS), made: None }
    }
}

impl Drafter {
    /// What may come after `said`: at most `room` tokens.
    pub(crate) fn draft(&mut self, said: &[Token], room: usize, model: Option<Write<'_>>) -> Vec<Token> {
        self.made = None;
        // The first steps show what a step without a draft takes.
        if self.step_s.is_none() {
            return Vec::new();
        }
        let (may_look, may_write) = (self.lookup.is_due(), model.is_some() && self.model.is_due());
        if may_look {
            let found: Vec<Token> =
                following(said).iter().take(self.lookup.length.min(room)).copied().collect();
            if !found.is_empty() {
                self.made = Some((Source::Lookup, 0.0));
                return found;
            }
        }
        let Some(write) = model.filter(|_| may_write) else { return Vec::new() };
        let began = Instant::now();
        let written = write(said, self.model.length.min(room));
        self.made = Some((Source::Model, began.elapsed().as_secs_f64()));
        written
    }

    /// Learns from a step that took so long, of whose draft so many tokens were right.
    pub(crate) fn learn(&mut self, drafted: usize, right: usize, took: Duration) {
        let took = took.as_secs_f64();
        let Some(step_s) = self.step_s else {
            self.step_s = (drafted == 0).then_some(took);
            return;
        };
        if drafted == 0 {
            self.step_s = Some(step_s + (took - step_s) * LEARNING_RATE);
        }
        match self.made.take() {
            Some((Source::Lookup, making)) => self.lookup.learn(drafted, right, took + making, step_s),
            Some((Source::Model, making)) => self.model.learn(drafted, right, took + making, step_s),
            None => {}
        }
    }
}

impl Pace {
    const fn new(bounds: (usize, usize)) -> Self {
        Self { bounds, length: bounds.0, balance_s: 0.0, pause: 0, next_pause: PAUSE_STEPS }
    }

    /// Whether a draft may be made for this step; a pause becomes shorter.
    const fn is_due(&mut self) -> bool {
        if self.pause == 0 {
            return true;
        }
        self.pause -= 1;
        false
    }

    fn learn(&mut self, drafted: usize, right: usize, took: f64, step_s: f64) {
        self.balance_s += (right + 1) as f64 * step_s - took;
        let (least, most) = self.bounds;
        self.length = if right == drafted { (drafted * 2).clamp(least, most) } else { least };
        if self.balance_s >= 0.0 {
            self.next_pause = PAUSE_STEPS;
            // What was won long ago says little about what comes.
            self.balance_s = self.balance_s.min(step_s);
        } else {
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 2).min(PAUSE_STEPS_MAX);
            self.balance_s = 0.0;
        }
    }
}

/// What followed the last tokens when they were last said before.
fn following(said: &[Token]) -> &[Token] {
    let Some(last) = said.last_chunk::<MATCH_TOKENS>() else { return &[] };
    let earlier = &said[..said.len() - 1];
    let found = earlier.windows(MATCH_TOKENS).rposition(|window| window == last);
    found.map_or(&[], |at| &said[at + MATCH_TOKENS..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(30);

    fn warm() -> Drafter {
        let mut drafter = Drafter::default();
        drafter.learn(0, 0, STEP);
        drafter
    }

    #[test]
    fn a_draft_is_what_followed_the_same_words() {
        let said = [1, 2, 3, 4, 5, 9, 9, 2, 3, 4, 6, 7, 2, 3, 4];
        assert_eq!(warm().draft(&said, 10, None), [6, 7, 2]);
        assert_eq!(warm().draft(&said, 2, None), [6, 7]);
        assert_eq!(warm().draft(&[1, 2, 3, 4], 10, None), Vec::<Token>::new());
        assert_eq!(Drafter::default().draft(&said, 10, None), Vec::<Token>::new());
        // A loop drafts itself.
        assert_eq!(warm().draft(&[5, 5, 5, 5], 10, None), [5]);
    }

    #[test]
    fn right_drafts_grow_and_wrong_ones_pause() {
        let said = [[1, 2, 3].as_slice(), &(10..60).collect::<Vec<_>>(), &[1, 2, 3]].concat();
        let mut drafter = warm();
        for length in [3, 6, 12, 24] {
            assert_eq!(drafter.draft(&said, 100, None).len(), length);
            drafter.learn(length, length, STEP * 2);
        }
        // What was won pays for one wrong draft, not for two.
        assert_eq!(drafter.draft(&said, 100, None).len(), 24);
        drafter.learn(24, 0, STEP * 2);
        assert_eq!(drafter.draft(&said, 100, None).len(), 3);
        drafter.learn(3, 0, STEP * 2);
        for _ in 0..PAUSE_STEPS {
            assert_eq!(drafter.draft(&said, 100, None).len(), 0);
        }
        assert_eq!(drafter.draft(&said, 100, None).len(), 3);
        drafter.learn(3, 0, STEP * 2);
        assert_eq!((0..100).filter(|_| drafter.draft(&said, 100, None).is_empty()).count(), 32);
    }

    #[test]
    fn a_smaller_model_writes_where_nothing_like_it_was_said() {
        let mut asked = 0;
        let mut write = |said: &[Token], most: usize| {
            asked += 1;
            vec![said.len() as Token; most]
        };
        let mut drafter = warm();
        assert_eq!(drafter.draft(&[1, 2, 3], 10, Some(&mut write)), [3, 3, 3]);
        drafter.learn(3, 3, STEP * 2);
        assert_eq!(drafter.draft(&[1, 2, 3], 10, Some(&mut write)).len(), 6);
        // It has lost more than it won before; what was said is looked up nevertheless.
        drafter.learn(6, 0, STEP * 4);
        assert_eq!(drafter.draft(&[1, 2, 3], 10, Some(&mut write)), Vec::<Token>::new());
        assert_eq!(drafter.draft(&[1, 2, 3, 4, 1, 2, 3], 10, Some(&mut write)), [4, 1, 2]);
        assert_eq!(asked, 2);
    }
}
