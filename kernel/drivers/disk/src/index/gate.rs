//! Bounds how much text waits to be indexed: tantivy's own queue counts files, not bytes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// So much text may wait, in bytes.
const WAITING_BYTES_MAX: usize = 24 << 20;
/// No one waits longer than this at a time: if indexing stopped, the next step must find out.
const PATIENCE: Duration = Duration::from_millis(200);

/// Counts the bytes that wait.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Default)]
struct Inner {
    waiting_bytes: Mutex<usize>,
    fewer: Condvar,
}

/// So many bytes wait while this lives.
pub(crate) struct Permit {
    gate: Gate,
    bytes: usize,
}

impl Gate {
    /// Waits for room, but not for ever, then takes it.
    pub(crate) fn enter(&self, bytes: usize) -> Permit {
        let waiting = self.0.waiting_bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |waiting: &mut usize| *waiting > 0 && *waiting + bytes > WAITING_BYTES_MAX;
        let (mut waiting, _) = self
            .0
            .fewer
            .wait_timeout_while(waiting, PATIENCE, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        *waiting += bytes;
        Permit { gate: self.clone(), bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let inner = &self.gate.0;
        *inner.waiting_bytes.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        inner.fewer.notify_all();
    }
}
