//! The limits of the disk: how much is read, held and kept busy at most.

/// What a disk may use. [`Limits::default`] fits a laptop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files larger than this are skipped by their size alone and never read, in bytes.
    pub file_bytes_max: u64,
    /// A folder with more files than this is not indexed beyond them.
    pub files_max: u64,
    /// Threads that read and cut files, and as many that index; 0 takes the number of cores.
    pub threads: usize,
    /// Memory of one indexing thread before it writes to disk, in bytes (at least 15 MB).
    pub writer_memory_bytes: usize,
    /// After this time what was indexed is made safe, in milliseconds.
    pub commit_interval_ms: u64,
    /// After this much text what was indexed is made safe, in bytes.
    pub commit_bytes: u64,
    /// An index up to this size is checked whole, by its checksums, when it is first opened, in bytes.
    pub verify_bytes_max: u64,
    /// A query keeps at most this many different words, the rarest.
    pub query_terms_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 4 << 20,
            files_max: 2_000_000,
            threads: 0,
            writer_memory_bytes: 64_000_000,
            commit_interval_ms: 10_000,
            commit_bytes: 256 << 20,
            verify_bytes_max: 256 << 20,
            query_terms_max: 32,
        }
    }
}

/// No more threads than this read and cut, whatever the machine has.
const THREADS_MAX: usize = 8;

impl Limits {
    /// How many threads read and cut.
    pub(crate) fn threads(&self) -> usize {
        let wanted = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        wanted.clamp(1, THREADS_MAX)
    }
}
