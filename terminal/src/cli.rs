//! The command line.

pub mod ask;
pub mod bench;
pub mod dev;
pub mod doctor;
pub mod host;
pub mod memory;
pub mod model;
pub mod mount;
pub mod out;
pub mod package;
pub mod plugin;
pub mod rights;
pub mod run;
pub mod session;
pub mod shell;
pub mod tryout;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use lucid_kernel::abi::Pid;
use lucid_tools::kit::Language;

/// Lucid: an operating shell whose kernel is a language model.
///
/// Without a command it opens the shell in the current folder. The model answers from pages
/// of the folders you mounted and shows where from, calls tools that run in a sandbox, and
/// runs on this machine. Nothing leaves it unless you name a server in the settings.
#[derive(Debug, Parser)]
#[command(name = "lucid", version, max_term_width = 100, after_long_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    pub shell: ShellArgs,
    #[command(subcommand)]
    pub command: Option<Cmd>,
}

const AFTER_HELP: &str = "\
Examples:
  lucid                                     open the shell here
  lucid mount ~/notes                       let the model read a folder
  lucid ask \"When is the rent due?\"         ask once, from a terminal or a script
  git diff | lucid ask \"What does this change?\"
  lucid ask --json \"What is 17.5% of 2310.40?\" | jq .answer
  lucid run report.md --param month=May     carry out the steps of a script
  lucid mem                                 what the last session has in memory

Exit codes: 0 done, 1 the task failed, 2 wrong use, 3 the model, the index or the settings
cannot be used, 4 not allowed, 130 cancelled.

Files: settings, index, sessions and models lie in the XDG folders, or all under LUCID_HOME
when that is set. `lucid doctor` shows where, and whether all is well.";

/// Which model, and how it is run.
#[derive(Debug, Clone, Args, Default)]
pub struct ModelArgs {
    /// The model: a name from `lucid model list`, a GGUF file, or a Hugging Face id
    #[arg(long, value_name = "NAME|PATH")]
    pub model: Option<String>,
    /// What runs the model: auto, llama.cpp, mistralrs, or an engine of the settings
    #[arg(long, value_name = "NAME")]
    pub engine: Option<String>,
    /// Use at most this many tokens of the model's window
    #[arg(long, value_name = "TOKENS")]
    pub window: Option<u32>,
}

/// What the shell can be started with.
#[derive(Debug, Clone, Args, Default)]
pub struct ShellArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub goes_on: GoesOnArgs,
    /// Offer the model no tools
    #[arg(long)]
    pub no_tools: bool,
    /// Lines instead of a screen: for screen readers, and terminals that cannot do more
    #[arg(long)]
    pub plain: bool,
    /// Stop by a mistake in the program, to see what becomes of the terminal
    #[arg(long, hide = true)]
    pub fail_for_a_test: bool,
}

/// What goes on.
#[derive(Debug, Clone, Args, Default)]
pub struct GoesOnArgs {
    /// Go on with the last session
    #[arg(long = "continue")]
    pub resume: bool,
    /// Go on with the last session in a conversation of its own: it knows what the other one knows,
    /// which stays as it was
    #[arg(long)]
    pub fork: bool,
    /// Go on with this conversation of the last session, such as t1; when not given, with the one
    /// spoken to last
    #[arg(long, value_name = "NAME")]
    pub conversation: Option<Pid>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Cmd {
    /// Ask one question and print the answer
    Ask(AskArgs),
    /// Carry out the numbered steps of a Markdown file
    Run(RunArgs),
    /// Mount folders, so that the model can read them
    Mount(MountArgs),
    /// Take folders out of the index
    Umount {
        /// The folders
        #[arg(required = true, value_name = "DIR")]
        dirs: Vec<PathBuf>,
    },
    /// List what is mounted
    Mounts {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Search the mounted folders
    Search(SearchArgs),
    /// Show what a session has in the model's memory
    Mem(MemArgs),
    /// Print one page of a session's memory, word for word
    Page(PageArgs),
    /// Keep a page in memory
    Pin(PageArgs),
    /// No longer keep a page in memory
    Unpin(PageArgs),
    /// Take a page out of memory; it can still be searched and read
    Evict(PageArgs),
    /// Keep a fact for all later sessions; without a text, list what is kept
    Remember(CoreArgs),
    /// Drop such a fact
    Forget(CoreArgs),
    /// List, fetch and choose models
    Model {
        #[command(subcommand)]
        command: ModelCmd,
    },
    /// Write, build, install and list tools
    Plugin {
        #[command(subcommand)]
        command: PluginCmd,
    },
    /// Keep secrets that plugins may have put into requests
    Secret {
        #[command(subcommand)]
        command: SecretCmd,
    },
    /// Check this machine and what lies on it
    Doctor {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure speed and print JSON
    Bench {
        #[command(subcommand)]
        command: BenchCmd,
    },
    /// Print a completion script for your shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Draw the shell's screen of a session as SVG
    #[command(hide = true)]
    Picture(PictureArgs),
    /// Become a command that is shut off from the user's files and the network
    #[cfg(target_os = "linux")]
    #[command(hide = true, name = lucid_tools::shell::CONFINED)]
    Confined {
        /// The folder that it may change
        work: PathBuf,
        /// The command and its arguments
        #[arg(required = true, last = true)]
        command: Vec<std::ffi::OsString>,
    },
}

/// `lucid ask`.
#[derive(Debug, Args)]
pub struct AskArgs {
    /// The question
    #[arg(value_name = "QUESTION")]
    pub question: Vec<String>,
    /// Mount this folder first, and answer from it alone (can be repeated)
    #[arg(long = "mount", value_name = "DIR")]
    pub mounts: Vec<PathBuf>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Offer the model no tools
    #[arg(long)]
    pub no_tools: bool,
    /// The seed of the draw; with it the model draws, without it it takes the likeliest token
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub goes_on: GoesOnArgs,
    /// Show what is in memory after the answer
    #[arg(long)]
    pub show_memory: bool,
    /// Mount even `/` or the home folder
    #[arg(long)]
    pub yes: bool,
}

/// `lucid run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The script
    #[arg(value_name = "SCRIPT.md")]
    pub script: PathBuf,
    /// A parameter of the script (can be repeated)
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `lucid mount`.
#[derive(Debug, Args)]
pub struct MountArgs {
    /// The folders
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Take hidden and secret files too
    #[arg(long)]
    pub hidden: bool,
    /// Throw the index away and make it anew
    #[arg(long)]
    pub rebuild: bool,
    /// Mount even `/` or the home folder
    #[arg(long)]
    pub yes: bool,
    /// Print one JSON object a folder
    #[arg(long)]
    pub json: bool,
}

/// `lucid search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// What to search for
    #[arg(required = true, value_name = "QUERY")]
    pub query: Vec<String>,
    /// How many pages
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub k: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `lucid mem`.
#[derive(Debug, Args)]
pub struct MemArgs {
    /// The session; the last one when not given
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Which of its conversations, such as t1; the one spoken to last when not given
    #[arg(long, value_name = "NAME")]
    pub conversation: Option<Pid>,
    /// List what left the window too
    #[arg(long)]
    pub all: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `lucid page`, `pin`, `unpin` and `evict`.
#[derive(Debug, Args)]
pub struct PageArgs {
    /// Its address, such as p42
    #[arg(value_name = "PAGE")]
    pub page: String,
    /// The session; the last one when not given
    #[arg(long, value_name = "NAME")]
    pub session: Option<String>,
    /// Which of its conversations, such as t1; the one spoken to last when not given
    #[arg(long, value_name = "NAME")]
    pub conversation: Option<Pid>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `lucid remember` and `forget`.
#[derive(Debug, Args)]
pub struct CoreArgs {
    /// The fact
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `lucid model`.
#[derive(Debug, Subcommand)]
pub enum ModelCmd {
    /// List the models that can be had, and which are there
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Fetch models
    Pull {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Use this model from now on (`auto`: choose by the machine)
    Use {
        /// Its name, a GGUF file, a Hugging Face id, or `auto`
        name: String,
    },
    /// Remove fetched models
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Print where a model's file is
    Path {
        /// Its name
        name: String,
    },
}

/// `lucid plugin`.
#[derive(Debug, Subcommand)]
pub enum PluginCmd {
    /// Write a new plugin into a folder of this name
    New {
        /// Its name: lower-case letters, digits and `-`
        name: String,
        /// The language to write it in
        #[arg(long, value_name = "LANG", default_value = "rust", value_parser = languages())]
        lang: Language,
    },
    /// Build the plugin in a folder
    Build {
        /// The folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Install a plugin from a file, a folder, an https URL or a registry
    Install(InstallArgs),
    /// Get what is newer of installed plugins
    Update {
        /// Their names; all that came from a server when none
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Say what is newer, and change nothing
        #[arg(long)]
        check: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Publish a built plugin in a registry
    Publish(PublishArgs),
    /// Sign a built plugin: the signature is written beside it
    Sign {
        /// The component, a `.wasm` file, or its folder
        file: PathBuf,
        /// The secret key's file; your own when not given
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Make the keys that sign your plugins
    Keygen(KeygenArgs),
    /// Show what a plugin is, what it asks for and what it may do
    Inspect {
        /// Its name, or a component's file
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Grant rights to a plugin, such as net:api.example.com, read:~/notes, or all that it asks for
    Grant {
        /// Its name
        name: String,
        /// The rights; `all` stands for all that it asks for
        #[arg(required = true, value_name = "RIGHT")]
        rights: Vec<String>,
        /// Grant even the whole home folder
        #[arg(long)]
        yes: bool,
    },
    /// Take rights back: those named, or all
    Revoke {
        /// Its name
        name: String,
        /// The rights
        #[arg(value_name = "RIGHT")]
        rights: Vec<String>,
    },
    /// Build, try and install a plugin again whenever its source changes; open shells take it at once
    Dev {
        /// The plugin's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Call a tool of a plugin, without a model
    Call(CallArgs),
    /// Run the cases of a plugin's `tests.toml` and show what the model will read
    Test {
        /// The plugin's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Remove an installed plugin
    Rm {
        /// Its name
        name: String,
    },
    /// List what is installed
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `lucid plugin install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// A `.wasm` file, the folder of a plugin that was built, https://…, oci://HOST/NAME:TAG, or `cpython`,
    /// which is made from what is on PyPI
    pub source: String,
    /// The SHA-256 that it must have
    #[arg(long, value_name = "DIGEST")]
    pub sha256: Option<String>,
    /// The public key that it must be signed by, or a file with it
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Grant it this right for ever, such as net:api.example.com; `all` stands for all that it asks for
    #[arg(long = "grant", value_name = "RIGHT")]
    pub grants: Vec<String>,
}

/// `lucid plugin publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The component, a `.wasm` file, or its folder; a signature beside it goes with it
    pub file: PathBuf,
    /// Where to: oci://HOST/NAME:TAG
    pub to: String,
    /// Sign it first, with the secret key in this file
    #[arg(long, value_name = "FILE")]
    pub sign: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `lucid plugin keygen`.
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// Where the secret key goes; the public one is put beside it
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Keep the secret key without a password
    #[arg(long)]
    pub no_password: bool,
}

/// `lucid plugin call`.
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The plugin's name, or a component's file
    pub plugin: String,
    /// The tool; the plugin's only one when not given
    pub tool: Option<String>,
    /// Its arguments, a JSON object
    #[arg(value_name = "JSON")]
    pub arguments: Option<String>,
    /// A right for this call (can be repeated); `all` stands for all that the plugin asks for
    #[arg(long = "grant", value_name = "RIGHT")]
    pub grants: Vec<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `lucid secret`.
#[derive(Debug, Subcommand)]
pub enum SecretCmd {
    /// Keep a secret, which is read from standard input
    Set {
        /// Its name
        name: String,
    },
    /// List the names of all
    List,
    /// Remove a secret
    Rm {
        /// Its name
        name: String,
    },
}

/// The languages of plugins, which help and completion list.
fn languages() -> impl TypedValueParser<Value = Language> {
    PossibleValuesParser::new(Language::ALL.map(Language::key)).try_map(|key| key.parse::<Language>())
}

/// `lucid bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCmd {
    /// Indexing and searching, against tantivy alone
    Disk {
        /// A folder of text files to take the pages from
        #[arg(long, value_name = "DIR")]
        corpus: PathBuf,
        /// How many files
        #[arg(long, default_value_t = 20_000)]
        files: usize,
    },
    /// From a question to the window: query, rank, load and place, beside tantivy's search alone
    PageIn {
        /// Whose tokens are counted
        #[command(flatten)]
        model: ModelArgs,
        /// A folder of text files to take the pages from
        #[arg(long, value_name = "DIR")]
        corpus: PathBuf,
        /// How many files
        #[arg(long, default_value_t = 20_000)]
        files: usize,
    },
    /// The kernel's step
    Kernel {
        /// How many pages are in the table
        #[arg(long, default_value_t = 1_000)]
        pages: usize,
        /// The window in tokens
        #[arg(long, default_value_t = 32_768)]
        window: u32,
    },
    /// Calling a tool
    Tools,
    /// The screen: drawing while an answer comes, and what a key takes to be seen
    Screen {
        /// How many items the transcript has
        #[arg(long, default_value_t = 10_000)]
        blocks: usize,
    },
    /// What of the prompts of one session is computed, and what is reused
    Session {
        #[command(flatten)]
        model: ModelArgs,
        /// Questions to ask, in order
        #[arg(required = true, value_name = "QUESTION")]
        questions: Vec<String>,
    },
    /// Chains of references in 140 pairs of keys and values, in a window of 2,048 tokens
    NestedKv {
        #[command(flatten)]
        model: ModelArgs,
        /// How many orderings of the pairs
        #[arg(long, default_value_t = 30)]
        orderings: usize,
        /// Begin with this one, counted from 0: a long run in parts
        #[arg(long, default_value_t = 0)]
        first: usize,
        /// Only chains that are nested so deep, from 0 to 4
        #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
        level: Option<u8>,
    },
    /// Facts told in 200 turns and asked for at the end, in a window of 2,048 tokens
    Dialogue {
        #[command(flatten)]
        model: ModelArgs,
    },
    /// How good searching is, on a collection with relevance judgements
    Retrieval {
        /// A folder in the form of the BEIR benchmark: corpus.jsonl, queries.jsonl, qrels/test.tsv
        collection: PathBuf,
    },
    /// What the prompts of 50 turns cost, against a sliding window and compaction
    Cost {
        #[command(flatten)]
        model: ModelArgs,
        /// A folder of text files to ask about
        #[arg(long, value_name = "DIR")]
        corpus: PathBuf,
    },
    /// Prefill, decode and prefix reuse, of every engine that is compiled in
    Engine {
        #[command(flatten)]
        model: ModelArgs,
    },
}

/// `lucid picture`.
#[derive(Debug, Args)]
pub struct PictureArgs {
    /// Questions to ask and commands to give, in order
    #[arg(required = true)]
    pub questions: Vec<String>,
    #[command(flatten)]
    pub model: ModelArgs,
    /// Draw all that happens as one animated picture
    #[arg(long)]
    pub film: bool,
    /// Columns
    #[arg(long, default_value_t = 100)]
    pub columns: u16,
    /// Rows
    #[arg(long, default_value_t = 30)]
    pub rows: u16,
}
