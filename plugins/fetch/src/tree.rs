//! The tree of a page, made of its tags one after the other.
//!
//! Here are the rules of the HTML standard that matter for reading: which ends are implied, and
//! how far an end tag reaches. Depth and size have limits, whatever a page holds.

use crate::dom::{Dom, Node};

/// How deep elements nest. Those that are deeper become part of the last one; the stack of a
/// guest is small.
const MAX_DEPTH: usize = 100;
/// The most nodes. What follows is left out.
const MAX_NODES: usize = 150_000;
/// Elements without content.
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
];
/// Elements of which nothing is read.
const DROPPED: [&str; 20] = [
    "audio", "button", "canvas", "datalist", "dialog", "embed", "frameset", "iframe", "map", "math",
    "noembed", "noframes", "noscript", "object", "script", "select", "style", "svg", "template", "textarea",
];
/// Elements that begin a new block of text. In order.
const BLOCKS: [&str; 45] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "caption",
    "center",
    "dd",
    "details",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "ul",
];
/// Where the search for an element to end stops.
const SCOPES: [&str; 4] = ["table", "td", "th", "caption"];

/// Whether an element of this name begins a new block.
fn is_block(name: &str) -> bool {
    BLOCKS.binary_search(&name).is_ok()
}

/// An element that is open, and its node unless it is dropped.
struct Open {
    name: Box<str>,
    node: Option<usize>,
}

/// A tree on its way.
pub struct Builder {
    dom: Dom,
    open: Vec<Open>,
    /// How many open elements are not in `open`, because they are too deep.
    too_deep: usize,
    titles: usize,
}

/// An empty page.
impl Default for Builder {
    fn default() -> Self {
        let mut builder = Self {
            dom: Dom { nodes: Vec::new(), title: String::new(), base: None, is_cut: false },
            open: Vec::new(),
            too_deep: 0,
            titles: 0,
        };
        let node = builder.add("html", "", Vec::new());
        builder.open.push(Open { name: "html".into(), node });
        builder
    }
}

impl Builder {
    /// Adds a node to the open element, unless that is dropped.
    fn add(&mut self, name: &str, text: &str, attributes: Vec<(&'static str, Box<str>)>) -> Option<usize> {
        if self.dom.nodes.len() >= MAX_NODES {
            self.dom.is_cut = true;
            return None;
        }
        let index = self.dom.nodes.len();
        if let Some(last) = self.open.last() {
            let children = &mut self.dom.nodes[last.node?].children;
            children.push(index as u32);
        }
        let has_block = is_block(name);
        let (name, text) = (name.into(), text.into());
        self.dom.nodes.push(Node { name, text, children: Vec::new(), has_block, attributes });
        Some(index)
    }

    /// A start tag.
    pub fn start(&mut self, name: &str, attributes: Vec<(&'static str, Box<str>)>, is_closed: bool) {
        if matches!(name, "html" | "head" | "body") {
            return;
        }
        if name == "base" && self.dom.base.is_none() {
            let href = attributes.iter().find(|(key, _)| *key == "href");
            self.dom.base = href.map(|(_, href)| href.to_string());
        }
        self.imply_ends(name);
        if VOID.contains(&name) {
            self.add(name, "", attributes);
            return;
        }
        let is_foreign = self.open.iter().any(|open| matches!(&*open.name, "svg" | "math"));
        if is_closed && (is_foreign || matches!(name, "svg" | "math")) {
            return;
        }
        if self.open.len() >= MAX_DEPTH {
            self.too_deep += 1;
            return;
        }
        // Pictures have titles too.
        self.titles += usize::from(name == "title" && !is_foreign);
        let is_dropped = DROPPED.contains(&name) || name == "title";
        let node = if is_dropped { None } else { self.add(name, "", attributes) };
        self.open.push(Open { name: name.into(), node });
    }

    /// Ends what the beginning of an element ends.
    fn imply_ends(&mut self, name: &str) {
        if is_block(name) {
            self.close("p", &SCOPES);
        }
        match name {
            "li" => self.close("li", &["ul", "ol", "menu", "table", "td", "th"]),
            "dt" | "dd" => {
                self.close("dt", &["dl", "table", "td", "th"]);
                self.close("dd", &["dl", "table", "td", "th"]);
            }
            "td" | "th" => {
                self.close("td", &["tr", "table"]);
                self.close("th", &["tr", "table"]);
            }
            "tr" => self.close("tr", &["table"]),
            "tbody" | "thead" | "tfoot" => {
                for part in ["tbody", "thead", "tfoot"] {
                    self.close(part, &["table"]);
                }
            }
            "a" => self.close("a", &SCOPES),
            "option" => self.close("option", &["select"]),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let last = self.open.last().map(|open| &*open.name);
                if matches!(last, Some("h1" | "h2" | "h3" | "h4" | "h5" | "h6")) {
                    self.open.pop();
                }
            }
            _ => {}
        }
    }

    /// An end tag.
    pub fn end(&mut self, name: &str) {
        if self.too_deep > 0 {
            self.too_deep -= usize::from(!VOID.contains(&name));
            return;
        }
        match name {
            "br" => drop(self.add("br", "", Vec::new())),
            "html" | "head" | "body" => {}
            "table" => self.close(name, &[]),
            "tr" | "td" | "th" | "tbody" | "thead" | "tfoot" | "caption" => self.close(name, &["table"]),
            _ if is_block(name) => self.close(name, &SCOPES),
            // The end of bold text does not end the section that began in it.
            _ => {
                let inner =
                    self.open.iter().rposition(|open| &*open.name == name).map_or(0, |index| index + 1);
                let ends_itself = |name: &str| matches!(name, "p" | "li" | "dt" | "dd") || !is_block(name);
                if inner > 0 && self.open[inner..].iter().all(|open| ends_itself(&open.name)) {
                    self.close(name, &SCOPES);
                }
            }
        }
    }

    /// Ends the innermost element of this name, with all that is open in it, unless one of the
    /// `scopes` is nearer.
    fn close(&mut self, name: &str, scopes: &[&str]) {
        for index in (1..self.open.len()).rev() {
            let found = &*self.open[index].name;
            if found == name {
                self.open.truncate(index);
                // What was too deep was in it.
                self.too_deep = 0;
                return;
            }
            if scopes.contains(&found) {
                return;
            }
        }
    }

    /// Text between tags.
    pub fn text(&mut self, text: &str) {
        if self.titles == 1 && self.open.last().is_some_and(|open| &*open.name == "title") {
            self.dom.title.push_str(text);
            return;
        }
        self.add("", text, Vec::new());
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.dom.is_cut
    }

    /// The tree.
    pub fn finish(mut self) -> Dom {
        // What is in a node comes after it, so one way back is enough.
        for index in (0..self.dom.nodes.len()).rev() {
            let inner = self.dom.children(index).any(|child| self.dom.nodes[child].has_block);
            self.dom.nodes[index].has_block |= inner;
        }
        self.dom
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_in_order_so_that_they_are_found() {
        assert!(BLOCKS.is_sorted());
        assert!(is_block("address") && is_block("ul") && !is_block("span"));
    }

    #[test]
    fn a_page_has_a_depth_and_a_size_whatever_it_holds() {
        let deep = Dom::parse(&"<div>".repeat(5_000));
        assert!(deep.nodes.len() <= MAX_DEPTH && !deep.is_cut);
        let long = Dom::parse(&"<br>".repeat(MAX_NODES + 10));
        assert!(long.nodes.len() == MAX_NODES && long.is_cut);
    }
}
