//! Snapshots of computed sequences on disk. The instructions that open every process are the
//! same at every start, so that a later start reads what an earlier one computed; and what was
//! said in a process is there when it goes on.
//!
//! A snapshot is a file of llama.cpp's and beside it the file's SHA-256 with its tokens, without
//! which it is not read: llama.cpp ends the process when it reads a damaged one. Both appear
//! whole or not at all, and few are kept.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use llama_cpp_2::context::LlamaContext;
use lucid_kernel::abi::Token;
use sha2::{Digest, Sha256};

use crate::cache::SequenceId;
use crate::vocabulary::native;

/// What a snapshot depends on besides model and tokens. It changes with the form of the file.
const FORM: &str = "lucid-snapshot-2 llama-cpp-2 0.1.160 f16";
/// A shorter beginning is computed faster than it is worth keeping, in tokens.
pub(crate) const TOKENS_MIN: usize = 64;
/// So many snapshots are kept.
const SNAPSHOTS_MAX: usize = 8;
/// A snapshot larger than this is not kept, in bytes.
const BYTES_MAX: u64 = 512 << 20;
/// So much of a model's file tells it from others, in bytes.
const MODEL_HEAD_BYTES: u64 = 8 << 20;
/// Ending of a snapshot.
const STATE: &str = "state";
/// Ending of its list: the SHA-256 of the snapshot, then the tokens that it holds.
const LIST: &str = "tokens";
/// Ending of the file with a model's speed.
const RATE: &str = "rate";
/// A longer list is not read, in bytes.
const LIST_BYTES_MAX: u64 = 4 << 20;
/// So many files of the folder are looked at.
const ENTRIES_MAX: usize = 256;

/// A snapshot on disk.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    path: PathBuf,
    sum: [u8; 32],
    tokens: usize,
}

impl Snapshot {
    /// How many tokens it holds.
    pub(crate) const fn tokens(&self) -> usize {
        self.tokens
    }
}

/// Where snapshots of one model lie.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    folder: PathBuf,
    model: [u8; 32],
}

impl Snapshots {
    /// Snapshots of the model in this file; none when it cannot be read.
    pub(crate) fn new(folder: &Path, model: &Path) -> Option<Self> {
        let file = fs::File::open(model).ok()?;
        let bytes = file.metadata().ok()?.len();
        let mut head = Vec::new();
        file.take(MODEL_HEAD_BYTES).read_to_end(&mut head).ok()?;
        let model = Sha256::new().chain_update(FORM).chain_update(bytes.to_le_bytes()).chain_update(head);
        Some(Self { folder: folder.to_path_buf(), model: model.finalize().into() })
    }

    fn path(&self, tokens: &[Token]) -> PathBuf {
        let mut key = Sha256::new().chain_update(self.model);
        for token in tokens {
            key.update(token.to_le_bytes());
        }
        self.folder.join(hex(&key.finalize())).with_extension(STATE)
    }

    /// How fast this model computed prompts with so many threads when it last ran, in tokens a
    /// second; none when that is not known.
    pub(crate) fn rate(&self, threads: i32) -> Option<f32> {
        let text = fs::read_to_string(self.rate_path(threads)).ok()?;
        text.trim().parse().ok().filter(|rate: &f32| rate.is_finite() && *rate > 0.0)
    }

    /// Keeps that for the next start. Not being able to is no harm.
    pub(crate) fn keep_rate(&self, threads: i32, rate: f32) {
        let _ = make_private_folder(&self.folder)
            .and_then(|()| fs::write(self.rate_path(threads), rate.to_string()));
    }

    fn rate_path(&self, threads: i32) -> PathBuf {
        let key = Sha256::new().chain_update(self.model).chain_update(threads.to_le_bytes());
        self.folder.join(hex(&key.finalize())).with_extension(RATE)
    }

    /// The longest beginning of this prompt that lies on disk. The last token of a prompt is
    /// never among it.
    pub(crate) fn longest(&self, prompt: &[Token]) -> Option<Snapshot> {
        let entries = fs::read_dir(&self.folder).ok()?.take(ENTRIES_MAX);
        let lists = entries.flatten().map(|entry| entry.path()).filter(|path| has_ending(path, LIST));
        let found = lists.filter_map(|list| {
            let (sum, tokens) = read_list(&list)?;
            if tokens.len() >= prompt.len() || !prompt.starts_with(&tokens) {
                return None;
            }
            let path = self.path(&tokens);
            (path.with_extension(LIST) == list).then_some(Snapshot { path, sum, tokens: tokens.len() })
        });
        found.max_by_key(|snapshot| snapshot.tokens)
    }

    /// Reads a snapshot of these tokens into an empty sequence. False when it is not sound; the
    /// sequence may then hold anything.
    pub(crate) fn load(
        &self,
        context: &mut LlamaContext<'_>,
        id: SequenceId,
        snapshot: &Snapshot,
        tokens: &[Token],
    ) -> bool {
        let path = &snapshot.path;
        if sum_of(path).is_none_or(|sum| sum != snapshot.sum) {
            remove(path);
            return false;
        }
        // Its age tells which is used.
        let touched = fs::File::options().append(true).open(path);
        let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
        match context.state_seq_load_file(path, id, tokens.len()) {
            Ok((held, _)) => held.iter().map(|token| token.0).eq(tokens.iter().map(|token| native(*token).0)),
            Err(_) => false,
        }
    }

    /// Keeps a sequence that holds exactly these tokens. Not being able to is no harm.
    pub(crate) fn save(&self, context: &LlamaContext<'_>, id: SequenceId, tokens: &[Token]) {
        let _ = self.try_save(context, id, tokens);
    }

    fn try_save(&self, context: &LlamaContext<'_>, id: SequenceId, tokens: &[Token]) -> Option<()> {
        let path = self.path(tokens);
        if path.with_extension(LIST).exists() {
            return None;
        }
        make_private_folder(&self.folder).ok()?;
        let tag = format!("{}.tmp", std::process::id());
        let (state, list) = (path.with_extension(format!("state.{tag}")), path.with_extension(&tag));
        let native: Vec<_> = tokens.iter().map(|token| native(*token)).collect();
        let written = context.state_seq_save_file(&state, id, &native).ok();
        let small = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() <= BYTES_MAX);
        let kept = written.filter(|_| small(&state)).and_then(|_| sum_of(&state)).and_then(|sum| {
            let tokens = tokens.iter().flat_map(|token| token.to_le_bytes());
            fs::write(&list, sum.into_iter().chain(tokens).collect::<Vec<u8>>()).ok()?;
            // The list comes last: without it the rest is not read.
            fs::rename(&state, &path).ok()?;
            fs::rename(&list, path.with_extension(LIST)).ok()
        });
        let _ = (fs::remove_file(&state), fs::remove_file(&list));
        self.prune();
        kept
    }

    /// Removes the snapshots that were used longest ago.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut states: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| has_ending(path, STATE))
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        states.sort();
        let surplus = states.len().saturating_sub(SNAPSHOTS_MAX);
        for (_, path) in states.into_iter().take(surplus) {
            remove(&path);
        }
    }
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found == ending)
}

/// Makes a folder that its owner alone can read: what a model has in mind tells what was said.
fn make_private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The sum and the tokens of a snapshot.
fn read_list(path: &Path) -> Option<([u8; 32], Vec<Token>)> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(LIST_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let (sum, tokens) = bytes.split_first_chunk::<32>()?;
    let (tokens, rest) = tokens.as_chunks::<4>();
    rest.is_empty().then(|| (*sum, tokens.iter().map(|token| Token::from_le_bytes(*token)).collect()))
}

fn remove(path: &Path) {
    let _ = (fs::remove_file(path.with_extension(LIST)), fs::remove_file(path));
}

fn sum_of(path: &Path) -> Option<[u8; 32]> {
    let mut file = fs::File::open(path).ok()?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).ok()?;
    Some(hasher.finalize().into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("lucid-lists-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let model = folder.join("model");
        fs::write(&model, "weights").unwrap();
        let snapshots = Snapshots::new(&folder, &model).unwrap();
        let keep = |tokens: &[Token], name: &Path| {
            let tokens = tokens.iter().flat_map(|token| token.to_le_bytes());
            fs::write(name, [7; 32].into_iter().chain(tokens).collect::<Vec<u8>>()).unwrap();
        };
        for tokens in [&[1, 2, 3][..], &[1, 2], &[1, 2, 4, 5]] {
            keep(tokens, &snapshots.path(tokens).with_extension(LIST));
        }
        let longest = |prompt: &[Token]| snapshots.longest(prompt).map(|snapshot| snapshot.tokens());
        assert_eq!(longest(&[1, 2, 3, 9]), Some(3));
        // The last token is computed anew.
        assert_eq!(longest(&[1, 2, 3]), Some(2));
        assert_eq!(longest(&[2, 1]), None);
        assert_eq!(snapshots.rate(2), None);
        snapshots.keep_rate(2, 120.5);
        assert_eq!((snapshots.rate(2), snapshots.rate(4)), (Some(120.5), None));
        fs::write(snapshots.rate_path(2), "NaN").unwrap();
        assert_eq!(snapshots.rate(2), None);
        // A list under another's name, a cut one and an empty one are no snapshots.
        keep(&[1, 2, 3, 9], &folder.join("other.tokens"));
        fs::write(snapshots.path(&[1, 2, 3]).with_extension(LIST), [7; 41]).unwrap();
        fs::write(snapshots.path(&[1, 2]).with_extension(LIST), []).unwrap();
        assert_eq!(longest(&[1, 2, 3, 9, 9]), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
