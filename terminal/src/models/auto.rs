//! Chooses a model by the machine, and says why.

use super::catalogue::{CATALOGUE, Entry};
use super::machine::Machine;
use super::progress::bytes_text;

/// What the user types to have the model chosen.
pub const AUTO: &str = "auto";

/// The models to choose from, the best first. Each is taken where the memory is free that
/// its entry asks for; the last is taken in any case.
const CANDIDATES: [&str; 2] = ["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"];

/// A model that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its name in the catalogue.
    pub name: &'static str,
    /// One line for people: what was found, and what was chosen.
    pub why: String,
}

/// Chooses a model for this machine. The same machine gives the same choice.
///
/// The larger one is chosen where 4 GB of memory are free; an accelerator's own memory counts
/// when it is known to be more.
pub fn choose(machine: &Machine) -> Choice {
    let device_bytes = machine.accelerator.as_ref().and_then(|device| device.memory_bytes).unwrap_or(0);
    let free_bytes = machine.available_memory_bytes.max(device_bytes);
    let mut entries = CANDIDATES.iter().filter_map(|name| CATALOGUE.iter().find(|entry| entry.name == *name));
    let fits = |entry: &&Entry| entry.memory_bytes <= free_bytes;
    let entry = entries.clone().find(fits).or_else(|| entries.next_back()).unwrap_or(&CATALOGUE[0]);
    Choice { name: entry.name, why: format!("{}: {}", machine_text(machine), entry.title) }
}

fn machine_text(machine: &Machine) -> String {
    let cores = match machine.cores {
        1 => "1 core".into(),
        cores => format!("{cores} cores"),
    };
    let device = machine.accelerator.as_ref().map(|device| format!(", {}", device.name)).unwrap_or_default();
    format!("{cores}{device}, {} of memory free", bytes_text(machine.available_memory_bytes))
}

#[cfg(test)]
mod tests {
    use super::super::machine::Accelerator;
    use super::*;

    fn machine(available_memory_bytes: u64) -> Machine {
        Machine { total_memory_bytes: 24_000_000_000, available_memory_bytes, cores: 2, accelerator: None }
    }

    #[test]
    fn four_gigabytes_make_the_difference() {
        for (free, expect) in [
            (22_100_000_000, "2 cores, 22.1 GB of memory free: Qwen2.5-Coder-1.5B"),
            (4_000_000_000, "2 cores, 4.00 GB of memory free: Qwen2.5-Coder-1.5B"),
            (3_999_000_000, "2 cores, 4.00 GB of memory free: Qwen2.5-Coder-0.5B"),
            (0, "2 cores, 0 bytes of memory free: Qwen2.5-Coder-0.5B"),
        ] {
            assert_eq!(choose(&machine(free)).why, expect);
        }
        assert_eq!(choose(&machine(4_000_000_000)).name, "qwen2.5-coder-1.5b");
        assert_eq!(choose(&machine(1)).name, "qwen2.5-coder-0.5b");
    }

    #[test]
    fn an_accelerator_with_memory_of_its_own_counts() {
        let device = Accelerator { name: "Some GPU".into(), memory_bytes: Some(8_000_000_000) };
        let machine = Machine { cores: 1, accelerator: Some(device), ..machine(2_000_000_000) };
        assert_eq!(
            choose(&machine),
            Choice {
                name: "qwen2.5-coder-1.5b",
                why: "1 core, Some GPU, 2.00 GB of memory free: Qwen2.5-Coder-1.5B".into()
            }
        );
    }
}
