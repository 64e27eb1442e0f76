//! Text within a block: white space, emphasis, code, links and pictures.

use crate::dom::Dom;
use crate::links::Base;
use crate::text::line;

/// The longest description of a picture that is shown, in bytes.
const MAX_ALT_BYTES: usize = 300;

/// What is needed to write a page's text.
pub struct Page<'a> {
    /// The page.
    pub dom: &'a Dom,
    /// Where it is.
    pub base: Option<Base>,
    /// Whether it becomes Markdown, or text without marks.
    pub has_marks: bool,
    /// Whether what frames the content is passed over, such as navigation.
    pub content_only: bool,
}

/// A line of text on its way: runs of white space are one space, and none is at its beginning.
#[derive(Debug, Default)]
pub struct Line {
    text: String,
    /// Whether this is a part of a line, so that a space at its beginning matters.
    is_part: bool,
    /// What emphasis is on, so that it is not marked twice.
    is_bold: bool,
    is_italic: bool,
    in_link: bool,
}

impl Line {
    fn push(&mut self, text: &str) {
        for c in text.chars() {
            if !c.is_whitespace() && !c.is_control() {
                self.text.push(c);
            } else if (self.is_part || !self.text.is_empty()) && !self.text.ends_with([' ', '\n']) {
                self.text.push(' ');
            }
        }
    }

    /// Adds something that is not touched any more, with the spaces that were around it.
    fn marked(&mut self, inner: &str, write: impl FnOnce(&str) -> String) {
        let text = inner.trim();
        if text.is_empty() {
            self.push(inner);
            return;
        }
        if inner.starts_with(char::is_whitespace) {
            self.push(" ");
        }
        self.text.push_str(&write(text));
        if inner.ends_with(char::is_whitespace) {
            self.push(" ");
        }
    }

    /// The text, without white space at its ends.
    pub fn finish(self) -> String {
        self.text.trim().to_owned()
    }

    /// Whether there is anything to read in it.
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// A line within this one, with its emphasis.
    fn inner(&self) -> Self {
        Self { text: String::new(), is_part: true, ..*self }
    }
}

impl Page<'_> {
    /// Whether nothing of a node is read: it is not shown, or it frames the content.
    pub fn is_passed_over(&self, index: usize) -> bool {
        let node = &self.dom.nodes[index];
        let style = node.attribute("style").unwrap_or_default().replace(' ', "");
        if node.attribute("hidden").is_some()
            || node.attribute("aria-hidden") == Some("true")
            || style.contains("display:none")
        {
            return true;
        }
        let role = node.attribute("role").unwrap_or_default();
        self.content_only
            && (matches!(&*node.name, "nav" | "search")
                || matches!(role, "navigation" | "search" | "banner" | "contentinfo" | "dialog"))
    }

    /// The text of a node's children on one line.
    pub fn line_of(&self, index: usize) -> String {
        let mut line = Line::default();
        self.children_inline(index, &mut line);
        line.finish()
    }

    fn children_inline(&self, index: usize, line: &mut Line) {
        for child in self.dom.children(index) {
            self.inline(child, line);
        }
    }

    /// Adds a node to a line.
    pub fn inline(&self, index: usize, line: &mut Line) {
        let node = &self.dom.nodes[index];
        if node.name.is_empty() {
            line.push(&node.text);
            return;
        }
        if self.is_passed_over(index) {
            return;
        }
        match &*node.name {
            "br" => {
                line.text.truncate(line.text.trim_end_matches(' ').len());
                if !line.text.is_empty() {
                    line.text.push('\n');
                }
            }
            "wbr" => {}
            "img" => self.picture(index, line),
            "a" => self.link(index, line),
            "b" | "strong" if self.has_marks && !line.is_bold => {
                let mut inner = Line { is_bold: true, ..line.inner() };
                self.children_inline(index, &mut inner);
                line.marked(&inner.text, |text| format!("**{text}**"));
            }
            "i" | "em" if self.has_marks && !line.is_italic => {
                let mut inner = Line { is_italic: true, ..line.inner() };
                self.children_inline(index, &mut inner);
                line.marked(&inner.text, |text| format!("*{text}*"));
            }
            "del" | "s" | "strike" if self.has_marks => {
                let mut inner = line.inner();
                self.children_inline(index, &mut inner);
                line.marked(&inner.text, |text| format!("~~{text}~~"));
            }
            "code" | "kbd" | "samp" | "tt" if self.has_marks => {
                let text = self.plain_text(index);
                line.marked(&text, |text| code(&text.split_whitespace().collect::<Vec<_>>().join(" ")));
            }
            "sup" => {
                let mut inner = line.inner();
                self.children_inline(index, &mut inner);
                let is_power = inner.text.chars().all(|c| c.is_ascii_digit() || "+-−".contains(c));
                line.marked(&inner.text, |text| if is_power { format!("^{text}") } else { text.to_owned() });
            }
            "q" => {
                line.push("\u{201c}");
                self.children_inline(index, line);
                line.push("\u{201d}");
            }
            _ if node.has_block => {
                line.push(" ");
                self.children_inline(index, line);
                line.push(" ");
            }
            _ => self.children_inline(index, line),
        }
    }

    fn link(&self, index: usize, line: &mut Line) {
        let href = self.dom.nodes[index].attribute("href").filter(|_| self.has_marks && !line.in_link);
        let url = href.and_then(|href| self.base.as_ref()?.resolve(href));
        let Some(url) = url else { return self.children_inline(index, line) };
        let mut inner = Line { in_link: true, ..line.inner() };
        self.children_inline(index, &mut inner);
        line.marked(&inner.text, |text| {
            let text = text.replace('\n', " ");
            if text == url { format!("<{url}>") } else { format!("[{}]({url})", text.replace(']', "\\]")) }
        });
    }

    fn picture(&self, index: usize, out: &mut Line) {
        let node = &self.dom.nodes[index];
        let alt = line(node.attribute("alt").unwrap_or_default(), MAX_ALT_BYTES);
        if alt.is_empty() {
            return;
        }
        let url = node.attribute("src").and_then(|src| self.base.as_ref()?.resolve(src));
        match url.filter(|_| self.has_marks && !out.in_link) {
            Some(url) => out.text.push_str(&format!("![{}]({url})", alt.replace(']', "\\]"))),
            None => out.push(&alt),
        }
    }

    /// All text in a node, with its white space.
    pub fn plain_text(&self, index: usize) -> String {
        let mut out = String::new();
        self.add_plain(index, &mut out);
        out
    }

    fn add_plain(&self, index: usize, out: &mut String) {
        let node = &self.dom.nodes[index];
        out.push_str(&node.text);
        if &*node.name == "br" {
            out.push('\n');
        }
        for child in self.dom.children(index) {
            self.add_plain(child, out);
        }
    }
}

/// Code within text. Source: CommonMark 6.1: the fence is longer than any within.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_fence(text) + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// How long the longest run of backticks is.
pub fn longest_fence(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}
