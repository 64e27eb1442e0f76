//! The clock that interrupts running guests: one thread, awake only while calls are under way.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::EngineWeak;

use crate::limits::{TICK_MS, TICKER_LINGER_TICKS};

/// Advances the engine's epoch every [`TICK_MS`] while a [`Running`] is held.
pub(crate) struct Ticker(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    engine: EngineWeak,
}

#[derive(Default)]
struct State {
    running: u32,
    spawned: bool,
    asleep: bool,
    stopped: bool,
}

/// Held while a call runs.
pub(crate) struct Running(Arc<Shared>);

impl Ticker {
    pub(crate) fn new(engine: EngineWeak) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), wake: Condvar::new(), engine }))
    }

    /// Starts a call. The thread is made at the first one.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn run(&self) -> std::io::Result<Running> {
        let mut state = self.0.lock();
        if !state.spawned {
            let shared = Arc::clone(&self.0);
            std::thread::Builder::new().name("tool-ticker".into()).spawn(move || shared.tick())?;
            state.spawned = true;
        }
        state.running += 1;
        if state.asleep {
            self.0.wake.notify_one();
        }
        drop(state);
        Ok(Running(Arc::clone(&self.0)))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.wake.notify_one();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut idle_ticks = 0;
        loop {
            std::thread::sleep(Duration::from_millis(TICK_MS));
            let mut state = self.lock();
            idle_ticks = if state.running > 0 { 0 } else { idle_ticks + 1 };
            if idle_ticks > TICKER_LINGER_TICKS {
                state.asleep = true;
                state = self
                    .wake
                    .wait_while(state, |state| state.running == 0 && !state.stopped)
                    .unwrap_or_else(PoisonError::into_inner);
                state.asleep = false;
                idle_ticks = 0;
            }
            if state.stopped {
                return;
            }
            drop(state);
            let Some(engine) = self.engine.upgrade() else { return };
            engine.increment_epoch();
        }
    }
}
