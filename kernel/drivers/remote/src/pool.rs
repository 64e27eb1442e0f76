//! Which endpoint is asked: the one with the least to do, in turn where that is equal; one that
//! failed is left alone for a while, then tried by a single request before all come back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an endpoint is left alone after its first failure; each further one doubles it.
const FIRST_REST: Duration = Duration::from_secs(1);
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
struct State {
    in_flight: usize,
    failures: u32,
    rests_until: Option<Instant>,
    /// Whether a request is under way that shows if it works again.
    on_trial: bool,
}

impl State {
    fn is_avoided(&self, now: Instant) -> bool {
        self.on_trial || self.rests_until.is_some_and(|until| now < until)
    }
}

/// The state of all endpoints.
#[derive(Debug)]
pub(crate) struct Pool {
    states: Mutex<(Vec<State>, usize)>,
}

impl Pool {
    pub(crate) fn new(endpoints: usize) -> Self {
        Self { states: Mutex::new((vec![State::default(); endpoints], 0)) }
    }

    fn lock(&self) -> MutexGuard<'_, (Vec<State>, usize)> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The best endpoint that was not tried; one that rests only when there is no other.
    pub(crate) fn pick(&self, tried: &[bool], now: Instant) -> Option<Lease<'_>> {
        let mut guard = self.lock();
        let (states, turn) = &mut *guard;
        let all = states.len();
        let index =
            (0..all).filter(|index| !tried.get(*index).copied().unwrap_or(false)).min_by_key(|index| {
                let state = &states[*index];
                (state.is_avoided(now), state.in_flight, (index + all - *turn) % all)
            })?;
        *turn = (index + 1) % all;
        let state = &mut states[index];
        state.in_flight += 1;
        let trial = state.failures > 0 && !state.is_avoided(now);
        state.on_trial |= trial;
        drop(guard);
        Some(Lease { pool: self, index, trial })
    }

    fn with(&self, index: usize, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.lock().0.get_mut(index) {
            change(state);
        }
    }

    /// Notes that an endpoint failed.
    pub(crate) fn failed(&self, index: usize, at_least: Option<Duration>, now: Instant) {
        self.with(index, |state| {
            let rest = FIRST_REST.saturating_mul(1 << state.failures.min(10)).min(LONGEST_REST);
            state.failures = state.failures.saturating_add(1);
            state.rests_until = Some(now + rest.max(at_least.unwrap_or_default().min(LONGEST_REST)));
        });
    }
}

/// A request to an endpoint under way.
#[derive(Debug)]
pub(crate) struct Lease<'a> {
    pool: &'a Pool,
    index: usize,
    trial: bool,
}

impl Lease<'_> {
    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn worked(&self) {
        self.pool.with(self.index, |state| {
            state.failures = 0;
            state.rests_until = None;
        });
    }

    pub(crate) fn failed(&self, at_least: Option<Duration>, now: Instant) {
        self.pool.failed(self.index, at_least, now);
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let trial = self.trial;
        self.pool.with(self.index, |state| {
            state.in_flight = state.in_flight.saturating_sub(1);
            state.on_trial &= !trial;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{FIRST_REST, Pool};

    #[test]
    fn load_is_spread() {
        let pool = Pool::new(3);
        let now = Instant::now();
        let leases: Vec<_> = (0..6).map(|_| pool.pick(&[], now).unwrap()).collect();
        let indexes: Vec<_> = leases.iter().map(super::Lease::index).collect();
        assert_eq!(indexes, [0, 1, 2, 0, 1, 2]);
        drop(leases);
        // One by one they take turns too.
        let indexes: Vec<_> = (0..4).map(|_| pool.pick(&[], now).unwrap().index()).collect();
        assert_eq!(indexes, [0, 1, 2, 0]);
        assert_eq!(pool.pick(&[true, false, true], now).unwrap().index(), 1);
        assert!(pool.pick(&[true; 3], now).is_none());
    }

    #[test]
    fn a_failed_endpoint_rests_and_comes_back_by_a_single_request() {
        let pool = Pool::new(2);
        let now = Instant::now();
        pool.pick(&[], now).unwrap().failed(None, now);
        for _ in 0..3 {
            assert_eq!(pool.pick(&[], now).unwrap().index(), 1);
        }
        // Alone it is still asked.
        assert_eq!(pool.pick(&[false, true], now).unwrap().index(), 0);
        let later = now + FIRST_REST;
        let held = pool.pick(&[false, true], later).unwrap();
        for _ in 0..3 {
            assert_eq!(pool.pick(&[], later).unwrap().index(), 1);
        }
        held.worked();
        drop(held);
        let next: Vec<_> = (0..2).map(|_| pool.pick(&[], later).unwrap().index()).collect();
        assert!(next.contains(&0), "{next:?}");
    }

    #[test]
    fn rests_grow_and_are_at_least_what_the_server_asked_for() {
        let pool = Pool::new(2);
        let now = Instant::now();
        pool.failed(0, Some(Duration::from_secs(20)), now);
        assert_eq!(pool.pick(&[], now + Duration::from_secs(19)).unwrap().index(), 1);
        pool.failed(0, None, now);
        pool.failed(0, None, now);
        let states = pool.lock();
        assert_eq!(states.0[0].rests_until, Some(now + 4 * FIRST_REST));
    }
}
