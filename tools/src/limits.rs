//! The limits that every tool call runs under.

use crate::rights::{Right, Rights};

/// What one call may use. A call that goes over is stopped and the model reads why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of the guest, all its memories together, in bytes.
    pub memory_bytes: usize,
    /// Wall-clock time, in milliseconds.
    pub timeout_ms: u64,
    /// The result as the model reads it, in bytes.
    pub output_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, timeout_ms: 10_000, output_bytes: 64 << 10 }
    }
}

impl Limits {
    /// With what was granted beyond them.
    pub(crate) fn raised(self, rights: &Rights) -> Self {
        let most = |of: fn(&Right) -> Option<u64>| rights.most(of);
        let memory = most(|right| if let Right::Memory(mib) = right { Some(mib << 20) } else { None });
        let time = most(|right| if let Right::Time(seconds) = right { Some(seconds * 1_000) } else { None });
        let output = most(|right| if let Right::Output(mib) = right { Some(mib << 20) } else { None });
        let bytes = |bytes: Option<u64>| usize::try_from(bytes.unwrap_or(0)).unwrap_or(usize::MAX);
        Self {
            memory_bytes: self.memory_bytes.max(bytes(memory)),
            timeout_ms: self.timeout_ms.max(time.unwrap_or(0)),
            output_bytes: self.output_bytes.max(bytes(output)),
        }
    }
}

/// How often a running guest is interrupted to look at its time and its cancel flag.
pub(crate) const TICK_MS: u64 = 10;
/// How many ticks without a call the ticker waits before it sleeps.
pub(crate) const TICKER_LINGER_TICKS: u32 = 50;
/// The largest component that is read, in bytes.
pub(crate) const MAX_COMPONENT_BYTES: u64 = 256 << 20;
/// The most tools of one plugin.
pub(crate) const MAX_TOOLS: usize = 128;
/// How deep types and values may nest.
pub(crate) const MAX_DEPTH: usize = 32;
/// The most nodes of one tool's JSON schema.
pub(crate) const MAX_SCHEMA_NODES: usize = 4_096;
/// The most elements of a table of the guest.
pub(crate) const MAX_TABLE_ELEMENTS: usize = 100_000;
/// The most core instances, memories and tables of one call.
pub(crate) const MAX_INSTANCES: usize = 64;
/// The most resources of the host that a guest may hold at once: open files, streams, sets of headers.
pub(crate) const MAX_RESOURCES: usize = 2_000;
/// What a set of headers that a guest makes may take, in bytes: the host keeps it.
pub(crate) const MAX_HEADERS_BYTES: usize = 32 << 10;
/// What is kept of a guest's own words (its standard error and its reports), in bytes.
pub(crate) const MAX_REPORT_BYTES: usize = 4 << 10;
/// The stack of a guest, in bytes. An interpreter that runs what calls itself takes the most.
pub(crate) const MAX_GUEST_STACK_BYTES: usize = 4 << 20;
/// The same with that of the host's functions that it calls. It is taken as it is used.
pub(crate) const STACK_BYTES: usize = MAX_GUEST_STACK_BYTES + (2 << 20);
/// What compiled components may take on disk, in bytes. The least recently used go first.
pub(crate) const MAX_CACHE_BYTES: u64 = 1 << 30;
/// The longest name of a plugin, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 40;
/// What lifting a result may allocate, per byte of output that is allowed. A value takes more
/// room as a tree than as text; what comes out is measured again.
pub(crate) const LIFT_BYTES_PER_OUTPUT_BYTE: usize = 32;
