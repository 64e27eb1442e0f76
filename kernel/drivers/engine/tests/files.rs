//! Model files, sound and damaged.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use lucid_contract::{QWEN_05B, SMOLLM2, model_path};
use lucid_engine::Mistralrs;
use lucid_kernel::port::EngineError;
use lucid_model::gguf::inspect;
use lucid_model::load::{LoadOptions, ModelSource, ModelSpec};

/// Both ways into a file must refuse it with a reason that holds `part`.
fn check_refused(path: &Path, part: &str) {
    let spec = ModelSpec { name: "the-model".into(), source: ModelSource::Gguf(path.into()) };
    let loaded = Mistralrs::load(&spec, &LoadOptions::default(), &mut |_| ()).map(|_| ());
    for (way, result) in [("inspect", inspect(path).map(|_| ())), ("load", loaded)] {
        match result {
            Err(EngineError::Load { reason, .. }) => {
                assert!(reason.contains(part), "{way}: {reason:?} lacks {part:?}")
            }
            other => panic!("{way} of {}: {other:?}", path.display()),
        }
    }
}

#[test]
fn a_model_file_tells_what_it_holds() {
    let info = inspect(&model_path(SMOLLM2)).unwrap();
    assert_eq!((info.architecture.as_str(), info.n_ctx, info.n_layers), ("llama", Some(8192), 30));
    assert_eq!((info.n_kv_heads, info.head_dim, info.kv_numbers_per_token), (90, 64, 11_520));
    assert_eq!(info.bytes, 98_362_432);
    let qwen = inspect(&model_path(QWEN_05B)).unwrap();
    assert_eq!((qwen.architecture.as_str(), qwen.n_ctx, qwen.n_layers), ("qwen2", Some(32_768), 24));
    assert_eq!((qwen.n_kv_heads, qwen.head_dim, qwen.kv_numbers_per_token), (48, 64, 6_144));
    assert!(qwen.chat_template.as_ref().is_some_and(|template| template.contains("<tool_call>")));
    assert_eq!(qwen.eos.as_ref().map(|token| (token.id, token.text.as_str())), Some((151_645, "<|im_end|>")));
    let stop: Vec<u32> = qwen.stop.iter().map(|token| token.id).collect();
    assert_eq!(stop, [151_645, 151_643]);
    assert!(qwen.missing.is_empty());
}

#[test]
fn missing_files_folders_and_garbage_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(&folder.path().join("none.gguf"), "No such file");
    check_refused(folder.path(), "folder");
    let file = folder.path().join("x.gguf");
    for (bytes, part) in [
        (Vec::new(), "0 bytes"),
        (b"GGUF".to_vec(), "4 bytes"),
        (vec![7; 4096], "not a GGUF file"),
        (b"{\"this\": \"is a JSON file and long enough\"}".to_vec(), "not a GGUF file"),
        ([b"GGUF".as_slice(), &[9, 0, 0, 0], &[0; 64]].concat(), "version is 9"),
        ([b"GGUF".as_slice(), &[3, 0, 0, 0], &[255; 64]].concat(), "damaged"),
        // One entry whose key claims to be as long as all memory.
        (
            [b"GGUF".as_slice(), &[3, 0, 0, 0], &[0; 8], &[1, 0, 0, 0, 0, 0, 0, 0], &[255; 64]].concat(),
            "damaged",
        ),
    ] {
        fs::write(&file, &bytes).unwrap();
        check_refused(&file, part);
    }
}

#[test]
fn cut_files_are_refused_wherever_they_are_cut() {
    let folder = tempfile::tempdir().unwrap();
    let whole = model_path(SMOLLM2);
    let bytes = fs::metadata(&whole).unwrap().len();
    let mut head = vec![0; 4 << 20];
    fs::File::open(&whole).unwrap().read_exact(&mut head).unwrap();
    let file = folder.path().join("cut.gguf");
    for length in [20, 100, 1_000, 50_000, 1 << 20, 2 << 20, 4 << 20] {
        fs::write(&file, &head[..length]).unwrap();
        let error = inspect(&file).unwrap_err().to_string();
        assert!(error.contains("cut off") || error.contains("bytes"), "{length}: {error}");
    }
    // All but the last byte.
    fs::copy(&whole, &file).unwrap();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(bytes - 1).unwrap();
    check_refused(&file, "cut off");
}

#[test]
fn flipped_bytes_in_the_header_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("flipped.gguf");
    fs::copy(model_path(SMOLLM2), &file).unwrap();
    let mut open = fs::OpenOptions::new().read(true).write(true).open(&file).unwrap();
    let mut state = 0x2545_f491_u64;
    for _ in 0..400 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // The first 4 KiB hold the counts and most keys; the rest is mostly the token list.
        let at = (state >> 33) % 4096;
        let mut old = [0];
        open.seek(SeekFrom::Start(at)).unwrap();
        open.read_exact(&mut old).unwrap();
        open.seek(SeekFrom::Start(at)).unwrap();
        open.write_all(&[old[0] ^ (1 << (state >> 61))]).unwrap();
        // Sound or not, it must come back.
        let _ = inspect(&file);
        open.seek(SeekFrom::Start(at)).unwrap();
        open.write_all(&old).unwrap();
    }
    assert!(inspect(&file).is_ok());
}

#[test]
fn a_file_without_its_window_or_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changed.gguf");
    for (from, to, part) in [
        ("llama.context_length", "llama.context_lengtX", "llama.context_length"),
        ("general.architecture", "general.architecturX", "architecture"),
    ] {
        let mut bytes = fs::read(model_path(SMOLLM2)).unwrap();
        let at = bytes[..1 << 20].windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        fs::write(&file, &bytes).unwrap();
        let spec = ModelSpec { name: "the-model".into(), source: ModelSource::Gguf(file.clone()) };
        let error =
            Mistralrs::load(&spec, &LoadOptions::default(), &mut |_| ()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
