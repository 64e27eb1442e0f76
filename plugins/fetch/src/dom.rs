//! A page as a tree.
//!
//! The tokens come from `html5gum`, which follows the HTML standard. [`crate::tree`]
//! makes the tree of them.

use html5gum::{DefaultEmitter, HtmlString, Token, Tokenizer};

use crate::tree::Builder;

/// The longest attribute that is kept, in bytes.
const MAX_ATTRIBUTE_BYTES: usize = 4_096;

/// Which attributes are kept.
const ATTRIBUTES: [&str; 10] =
    ["alt", "aria-hidden", "class", "colspan", "hidden", "href", "role", "src", "start", "style"];

/// A node of the tree.
#[derive(Debug)]
pub struct Node {
    /// The name of an element. Empty for text.
    pub name: Box<str>,
    /// The text of a text.
    pub text: Box<str>,
    /// What is in it.
    pub children: Vec<u32>,
    /// Whether it, or something in it, begins a new block.
    pub has_block: bool,
    pub(crate) attributes: Vec<(&'static str, Box<str>)>,
}

impl Node {
    /// An attribute, if it is there and is one that is kept.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| &**value)
    }
}

/// A page. Node 0 holds all of it.
#[derive(Debug)]
pub struct Dom {
    /// The nodes; what is in one comes after it.
    pub nodes: Vec<Node>,
    /// What the page calls itself.
    pub title: String,
    /// What its links are relative to, if it says so.
    pub base: Option<String>,
    /// Whether some of it was left out.
    pub is_cut: bool,
}

impl Dom {
    /// Reads a page. Every text is one.
    pub fn parse(html: &str) -> Self {
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut builder = Builder::default();
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => {
                    let mut attributes = Vec::new();
                    for key in ATTRIBUTES {
                        if let Some(value) = tag.attributes.get(key.as_bytes()) {
                            let value = text_of(&value.value);
                            if value.len() <= MAX_ATTRIBUTE_BYTES {
                                attributes.push((key, value));
                            }
                        }
                    }
                    builder.start(&text_of(&tag.name), attributes, tag.self_closing);
                }
                Token::EndTag(tag) => builder.end(&text_of(&tag.name)),
                Token::String(text) => builder.text(&text_of(&text.value)),
                Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
            if builder.is_full() {
                break;
            }
        }
        builder.finish()
    }

    /// The children of a node.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        self.nodes[index].children.iter().map(|child| *child as usize)
    }
}

fn text_of(bytes: &HtmlString) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
