//! A page as Markdown, or as text without marks.

use crate::dom::Dom;
use crate::inline::{Line, Page, longest_fence};
use crate::links::Base;
use crate::table;
use crate::text::{MAX_OUTPUT_BYTES, line};

/// The longest title, in bytes.
const MAX_TITLE_BYTES: usize = 300;
/// How much text the main part must have to stand for the page, in bytes.
const MIN_MAIN_BYTES: usize = 200;
/// The most figures of a list's number.
const MAX_START_DIGITS: usize = 6;

/// A paragraph, a list and the like.
pub struct Block {
    text: String,
    is_list: bool,
}

/// The page, and whether some of it was left out. `url` is where it came from.
pub fn written(html: &str, url: &str, has_marks: bool) -> (String, bool) {
    let dom = Dom::parse(html);
    let at = Base::parse(url);
    let base = dom.base.as_deref().and_then(|base| Base::parse(&at.as_ref()?.resolve(base)?));
    let mut page = Page { dom: &dom, base: base.or(at), has_marks, content_only: true };
    let mut writer = Writer { page: &page, written: 0, sections: 1 };
    let mut body = main_part(&dom).map(|main| writer.text(main)).unwrap_or_default();
    if body.len() < MIN_MAIN_BYTES {
        writer = Writer { page: &page, written: 0, sections: 0 };
        let whole = writer.text(0);
        body = if whole.len() > body.len() { whole } else { body };
    }
    let mut is_cut = dom.is_cut || writer.is_full();
    if body.is_empty() {
        // A page of navigation only: better that than nothing.
        page.content_only = false;
        let mut writer = Writer { page: &page, written: 0, sections: 1 };
        body = writer.text(0);
        is_cut = dom.is_cut || writer.is_full();
    }
    let title = line(&dom.title, MAX_TITLE_BYTES);
    let first = body.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    if title.is_empty() || !first.is_empty() && title.starts_with(first) {
        return (body, is_cut);
    }
    let mark = if has_marks { "# " } else { "" };
    let parts = [format!("{mark}{title}"), body];
    (parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("\n\n"), is_cut)
}

/// The part that the page calls its main one, or its only article.
fn main_part(dom: &Dom) -> Option<usize> {
    let named =
        |name: &'static str| (0..dom.nodes.len()).filter(move |index| &*dom.nodes[*index].name == name);
    let main = named("main").next();
    let main = main
        .or_else(|| (0..dom.nodes.len()).find(|index| dom.nodes[*index].attribute("role") == Some("main")));
    main.or_else(|| {
        let mut articles = named("article");
        articles.next().filter(|_| articles.next().is_none())
    })
}

/// Writes nodes as blocks.
pub struct Writer<'a> {
    /// What is written.
    pub page: &'a Page<'a>,
    /// How much text there is so far, in bytes. Past the limit nothing is added.
    written: usize,
    /// How many sections the current node is in. The head and foot of a section belong to it;
    /// those of the page frame it.
    sections: usize,
}

impl Writer<'_> {
    fn is_full(&self) -> bool {
        self.written > MAX_OUTPUT_BYTES
    }

    fn text(&mut self, index: usize) -> String {
        let mut blocks = Vec::new();
        self.children(index, &mut blocks);
        joined(&blocks)
    }

    /// The children of a node as blocks; text between blocks is a paragraph.
    fn children(&mut self, index: usize, blocks: &mut Vec<Block>) {
        let mut open = Line::default();
        for child in self.page.dom.children(index) {
            if self.is_full() {
                break;
            }
            let node = &self.page.dom.nodes[child];
            // A link around blocks stays one line, so that it stays a link.
            if !node.has_block || &*node.name == "a" && node.attribute("href").is_some() {
                self.page.inline(child, &mut open);
            } else {
                self.paragraph(std::mem::take(&mut open), blocks);
                self.block(child, blocks);
            }
        }
        self.paragraph(open, blocks);
    }

    fn paragraph(&mut self, line: Line, blocks: &mut Vec<Block>) {
        if !line.is_empty() {
            let text = line.finish();
            let text = if self.page.has_marks { guarded(&text) } else { text };
            self.push(text, blocks);
        }
    }

    fn push(&mut self, text: String, blocks: &mut Vec<Block>) {
        if !text.is_empty() {
            self.written += text.len();
            blocks.push(Block { text, is_list: false });
        }
    }

    fn block(&mut self, index: usize, blocks: &mut Vec<Block>) {
        let node = &self.page.dom.nodes[index];
        if self.page.is_passed_over(index) {
            return;
        }
        let has_marks = self.page.has_marks;
        match &*node.name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                let text = self.page.line_of(index).replace('\n', " ");
                let level = usize::from(node.name.as_bytes()[1] - b'0');
                match text.is_empty() {
                    true => {}
                    false if has_marks => self.push(format!("{} {text}", "#".repeat(level)), blocks),
                    false => self.push(text, blocks),
                }
            }
            "ul" | "ol" | "menu" | "dir" => self.list(index, blocks),
            "li" => {
                let item = self.item(index, "- ");
                blocks.extend(item.map(|text| Block { text, is_list: true }));
            }
            "dt" => {
                let text = self.page.line_of(index);
                let marked = if has_marks && !text.is_empty() { format!("**{text}**") } else { text };
                self.push(marked, blocks);
            }
            "dd" => {
                let item = self.item(index, ": ");
                blocks.extend(item.map(|text| Block { text, is_list: true }));
            }
            "blockquote" if has_marks => {
                let text = self.text(index);
                let lines: Vec<_> =
                    text.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
                blocks.extend((!lines.is_empty()).then(|| Block { text: lines.join("\n"), is_list: false }));
            }
            "pre" => self.code(index, blocks),
            "hr" if has_marks => self.push("---".into(), blocks),
            "table" => match table::written(self.page, index) {
                Some(text) => self.push(text, blocks),
                None => self.children(index, blocks),
            },
            "header" | "footer" if self.is_frame(index) => {}
            "article" | "main" | "section" => {
                self.sections += 1;
                self.children(index, blocks);
                self.sections -= 1;
            }
            _ => self.children(index, blocks),
        }
    }

    /// Whether this is the head or foot of the page, and not one with the page's heading.
    fn is_frame(&self, index: usize) -> bool {
        self.page.content_only && self.sections == 0 && !self.holds_heading(index)
    }

    fn holds_heading(&self, index: usize) -> bool {
        &*self.page.dom.nodes[index].name == "h1"
            || self.page.dom.children(index).any(|child| self.holds_heading(child))
    }

    fn list(&mut self, index: usize, blocks: &mut Vec<Block>) {
        let node = &self.page.dom.nodes[index];
        let is_numbered = &*node.name == "ol";
        let start = node.attribute("start").filter(|text| text.len() <= MAX_START_DIGITS);
        let mut number: u64 = start.and_then(|text| text.parse().ok()).unwrap_or(1);
        let mut items = Vec::new();
        for child in self.page.dom.children(index) {
            let node = &self.page.dom.nodes[child];
            if self.is_full() || self.page.is_passed_over(child) {
                continue;
            }
            let mark = if is_numbered { format!("{number}. ") } else { "- ".into() };
            let item = match &*node.name {
                "li" => self.item(child, &mark),
                // Lists in lists that are not in an item belong to the one before.
                "ul" | "ol" => Some(indented(&self.text_of_block(child), "  ", "  ")),
                _ => Some(self.text_of_block(child)).filter(|text| !text.is_empty()),
            };
            number += u64::from(&*node.name == "li" && item.is_some());
            items.extend(item);
        }
        if !items.is_empty() {
            blocks.push(Block { text: items.join("\n"), is_list: true });
        }
    }

    fn text_of_block(&mut self, index: usize) -> String {
        let mut blocks = Vec::new();
        if self.page.dom.nodes[index].has_block {
            self.block(index, &mut blocks);
        } else {
            let mut line = Line::default();
            self.page.inline(index, &mut line);
            self.paragraph(line, &mut blocks);
        }
        joined(&blocks)
    }

    fn item(&mut self, index: usize, mark: &str) -> Option<String> {
        let text = self.text(index);
        (!text.is_empty()).then(|| indented(&text, mark, &" ".repeat(mark.len())))
    }

    fn code(&mut self, index: usize, blocks: &mut Vec<Block>) {
        let text = self.page.plain_text(index);
        let text = text.trim_matches(['\n', '\r']).replace('\r', "");
        if text.trim().is_empty() {
            return;
        }
        if !self.page.has_marks {
            return self.push(text, blocks);
        }
        let dom = self.page.dom;
        let language = std::iter::once(index)
            .chain(dom.children(index))
            .filter_map(|node| dom.nodes[node].attribute("class"))
            .flat_map(str::split_whitespace)
            .find_map(|class| class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-")))
            .filter(|name| name.len() <= 30 && !name.contains('`'))
            .unwrap_or_default();
        let fence = "`".repeat(longest_fence(&text).max(2) + 1);
        self.push(format!("{fence}{language}\n{text}\n{fence}"), blocks);
    }
}

fn joined(blocks: &[Block]) -> String {
    let mut out = String::new();
    for (index, block) in blocks.iter().enumerate() {
        let was_list = index > 0 && blocks[index - 1].is_list;
        match index {
            0 => {}
            // A list follows its words, and single items follow each other.
            _ if block.is_list && (was_list || index == 1) => out.push('\n'),
            _ => out.push_str("\n\n"),
        }
        out.push_str(&block.text);
    }
    out
}

fn indented(text: &str, first: &str, others: &str) -> String {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        if !line.is_empty() {
            out.push_str(if index == 0 { first } else { others });
            out.push_str(line);
        }
    }
    out
}

/// Text that begins as a heading or a list would is none.
fn guarded(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let rest = line.trim_start_matches('#');
        let is_heading = rest.len() < line.len() && (rest.is_empty() || rest.starts_with(' '));
        let is_item = line.starts_with("- ") || line.starts_with("+ ") || line.starts_with("* ");
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        if is_heading || is_item || line.starts_with('>') || line.starts_with("```") {
            format!("\\{line}")
        } else if (1..=9).contains(&digits) && line[digits..].starts_with(". ") {
            format!("{}\\{}", &line[..digits], &line[digits..])
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}
