//! Code in answers, in its colours: what has been read by the highlighter, and what is still to be.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::highlight::Highlighted;

/// So many pieces of code are kept.
const MAX_KEPT: usize = 512;

/// The code that has been seen.
#[derive(Debug, Clone, Default)]
pub struct Code {
    /// None for what is being read or has no colours.
    kept: RefCell<HashMap<u64, Option<Rc<Highlighted>>>>,
    wanted: RefCell<Vec<(String, String)>>,
}

impl Code {
    /// A piece of code in its colours, if it has been read; else it is noted to be read.
    pub fn find(&self, language: &str, code: &str) -> Option<Rc<Highlighted>> {
        if language.is_empty() {
            return None;
        }
        let mut kept = self.kept.borrow_mut();
        let key = key(language, code);
        if let Some(found) = kept.get(&key) {
            return found.clone();
        }
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, None);
        self.wanted.borrow_mut().push((language.to_owned(), code.to_owned()));
        None
    }

    /// What is to be read.
    pub fn wanted(&self) -> Vec<(String, String)> {
        self.wanted.take()
    }

    /// A piece was read.
    pub fn read(&self, language: &str, code: &str, highlighted: Highlighted) {
        self.kept.borrow_mut().insert(key(language, code), Some(Rc::new(highlighted)));
    }
}

fn key(language: &str, code: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (language, code).hash(&mut hasher);
    hasher.finish()
}
