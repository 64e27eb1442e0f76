//! The languages that a plugin can be written in.

use serde::Deserialize;

/// A language that `lucid plugin new` writes and `lucid plugin build` builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust.
    #[default]
    Rust,
    /// JavaScript, run by QuickJS.
    Js,
    /// Python, run by CPython.
    Python,
    /// C.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::Js, Self::Python, Self::C];

    /// What a command line and `plugin.toml` call it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
            Self::C => "c",
        }
    }

    /// The file in which the author writes functions.
    pub fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Js => "src/plugin.js",
            Self::Python => "src/plugin.py",
            Self::C => "src/plugin.c",
        }
    }

    /// What to install where nothing can build it, one way a line.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Rust => "with an open network run `rustup target add wasm32-unknown-unknown` and try again",
            Self::Js => {
                "install one of these and try again:\n\
                 - Node.js 18 or newer with npm, such as Debian's `apt-get install nodejs npm`; \
                 the rest is fetched from npm\n\
                 - without fetching: `npm install --global componentize-qjs@0.4.5`"
            }
            Self::Python => {
                "install one of these and try again:\n\
                 - Python 3.10 or newer with venv, such as Debian's `apt-get install python3-venv`; \
                 the rest is fetched from PyPI\n\
                 - without fetching: `pipx install componentize-py==0.25.1`"
            }
            Self::C => {
                "install one of these and try again:\n\
                 - Debian: `apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32`\n\
                 - the WASI SDK, with WASI_SDK_PATH set to its folder\n\
                 - Python with venv, such as `apt-get install python3-venv`; \
                 the compiler `ziglang` is then fetched from PyPI"
            }
        }
    }

    /// `name` as a function of this language, for a function that WIT calls so.
    pub(super) fn identifier(self, name: &str) -> String {
        match self {
            Self::Js => camel(name),
            Self::Rust | Self::Python | Self::C => name.to_ascii_lowercase().replace('-', "_"),
        }
    }

    /// Whether a plugin and its function cannot be called so, because the language or WIT uses
    /// the word itself.
    pub(super) fn reserves(self, identifier: &str) -> bool {
        self.is_word(identifier) || WIT_WORDS.split(' ').any(|word| word == identifier)
    }

    /// Whether the language uses the word itself.
    pub(super) fn is_word(self, identifier: &str) -> bool {
        let words = match self {
            Self::Rust => RUST_WORDS,
            Self::Js => JS_WORDS,
            Self::Python => PYTHON_WORDS,
            // There the name has a prefix.
            Self::C => "",
        };
        words.split(' ').any(|word| word == identifier)
    }
}

impl std::fmt::Display for Language {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rust => "Rust",
            Self::Js => "JavaScript",
            Self::Python => "Python",
            Self::C => "C",
        })
    }
}

impl std::str::FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|language| language.key() == text);
        found.ok_or_else(|| format!("{text} is none of {}", Self::ALL.map(Self::key).join(", ")))
    }
}

// Only words that can be the name of a plugin: in lower case, of letters.
const WIT_WORDS: &str = "as async bool borrow char constructor enum export flags from func future include \
    import interface list map option own package record resource result static stream string tuple type \
    use variant with world";
const RUST_WORDS: &str = "abstract as async await become box break const continue crate do dyn else enum \
    extern false final fn for gen if impl in let loop macro match mod move mut override priv pub ref return \
    self static struct super trait true try type typeof unsafe unsized use virtual where while yield";
const JS_WORDS: &str = "arguments await break case catch class const continue debugger default delete do \
    else enum eval export extends false finally for function if implements import in instanceof interface \
    let new null package private protected public return static super switch this throw true try typeof \
    var void while with yield";
const PYTHON_WORDS: &str = "and as assert async await break class continue def del elif else except finally \
    for from global if import in is lambda nonlocal not or pass raise return try while with yield";

/// `say-hello` as `sayHello`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    for (n, word) in name.split('-').enumerate() {
        let word = word.to_ascii_lowercase();
        match word.chars().next().filter(|_| n > 0) {
            Some(first) => {
                out.push(first.to_ascii_uppercase());
                out.push_str(&word[first.len_utf8()..]);
            }
            None => out.push_str(&word),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_the_language() {
        assert_eq!(Language::Js.identifier("say-hello-2u"), "sayHello2u");
        assert_eq!(Language::Js.identifier("get-URL"), "getUrl");
        assert_eq!(Language::Python.identifier("say-hello"), "say_hello");
        assert!(Language::Python.reserves("lambda") && !Language::C.reserves("lambda"));
        assert!(Language::ALL.iter().all(|language| language.reserves("list")));
    }

    #[test]
    fn a_language_is_read_as_it_is_written() {
        for language in Language::ALL {
            assert_eq!(language.key().parse(), Ok(language));
        }
        assert!("ruby".parse::<Language>().unwrap_err().contains("python"));
    }
}
