//! How a model is to be loaded, the same for every engine that runs one in this process.

use std::path::PathBuf;

use lucid_kernel::abi::TokenCount;

/// The part of the free memory that cached sequences may take when nothing else is said.
const FREE_MEMORY_SHARE: u64 = 4;
/// The least memory for cached sequences by default, in bytes.
const MIN_CACHE_BYTES: u64 = 64 << 20;

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A GGUF file on this machine.
    Gguf(PathBuf),
    /// A repository of the Hugging Face hub with safetensors, fetched by mistralrs itself.
    Hub {
        /// The repository, such as `Qwen/Qwen2.5-1.5B-Instruct`.
        repository: String,
        /// Branch, tag or commit; `main` when none.
        revision: Option<String>,
    },
}

/// Which model to load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSpec {
    /// Its name, as the user knows it.
    pub name: String,
    /// Where it comes from.
    pub source: ModelSource,
}

/// How to load a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// A smaller window than the model's own, in tokens.
    pub window: Option<TokenCount>,
    /// The most memory that cached sequences may take, in bytes; a quarter of the memory that
    /// is free after loading when none.
    pub cache_bytes: Option<u64>,
    /// Threads to compute with; one for each physical core when none. Some engines hold to the
    /// number of the first model that is loaded.
    pub threads: Option<usize>,
    /// Whether to measure the prefill speed at once (about half a second).
    pub measure: bool,
    /// Where engines that can keep computed prompt beginnings for the next start.
    pub snapshots: Option<PathBuf>,
    /// A smaller model of the same family, with whose drafts an engine that can may decode faster.
    pub draft: Option<ModelSpec>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { window: None, cache_bytes: None, threads: None, measure: true, snapshots: None, draft: None }
    }
}

impl LoadOptions {
    /// Threads to compute with.
    pub fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| num_cpus::get_physical().min(num_cpus::get())).max(1)
    }

    /// The most memory that cached sequences may take, in bytes. Looks at what is free now.
    pub fn cache_bytes(&self) -> u64 {
        self.cache_bytes.unwrap_or_else(|| (free_memory() / FREE_MEMORY_SHARE).max(MIN_CACHE_BYTES))
    }
}

/// Memory that can be had without swapping, in bytes; 0 when the system does not say.
pub fn free_memory() -> u64 {
    let memory = sysinfo::MemoryRefreshKind::nothing().with_ram();
    let system = sysinfo::System::new_with_specifics(sysinfo::RefreshKind::nothing().with_memory(memory));
    system.map_or(0, |system| system.available_memory())
}

/// How far loading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadProgress {
    /// Reading what the model's file says of itself.
    Inspecting,
    /// Reading the weights; so many bytes when it is known.
    Weights {
        /// Bytes of the file.
        bytes: Option<u64>,
    },
    /// Starting the engine.
    Starting,
    /// Measuring the prefill speed.
    Measuring,
}
