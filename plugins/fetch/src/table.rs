//! Tables of data. Those that only lay a page out are none.

use crate::inline::Page;
use crate::text::MAX_OUTPUT_BYTES;

/// The most columns. A table with more is written as text.
const MAX_COLUMNS: usize = 40;
/// How many columns one cell may span.
const MAX_SPAN: usize = 20;

/// The rows of a table, or none when it holds no data: a single column, tables or lists in cells.
pub fn written(page: &Page<'_>, table: usize) -> Option<String> {
    let mut found = Found::default();
    collect(page, table, &mut found);
    let columns = found.rows.iter().map(Vec::len).max().unwrap_or_default();
    if found.is_layout || !(2..=MAX_COLUMNS).contains(&columns) {
        return None;
    }
    let mut out = String::new();
    for caption in &found.captions {
        out.push_str(caption);
        out.push_str("\n\n");
    }
    for (index, row) in found.rows.iter().enumerate() {
        let mut cells = row.clone();
        cells.resize(columns, String::new());
        if page.has_marks {
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
            if index == 0 {
                out.push_str(&format!("|{}\n", " --- |".repeat(columns)));
            }
        } else {
            out.push_str(&cells.join(" | "));
            out.push('\n');
        }
    }
    Some(out.trim_end().to_owned())
}

#[derive(Default)]
struct Found {
    rows: Vec<Vec<String>>,
    captions: Vec<String>,
    bytes: usize,
    is_layout: bool,
}

fn collect(page: &Page<'_>, index: usize, found: &mut Found) {
    for child in page.dom.children(index) {
        if found.is_layout || found.bytes > MAX_OUTPUT_BYTES || page.is_passed_over(child) {
            continue;
        }
        match &*page.dom.nodes[child].name {
            "caption" => {
                let text = page.line_of(child);
                found.captions.extend((!text.is_empty()).then_some(text));
            }
            "thead" | "tbody" | "tfoot" => collect(page, child, found),
            "tr" => row(page, child, found),
            "" | "colgroup" | "col" => {}
            // What stands where only rows may is moved before the table by browsers.
            _ => found.is_layout = true,
        }
    }
}

fn row(page: &Page<'_>, index: usize, found: &mut Found) {
    let mut cells = Vec::new();
    for child in page.dom.children(index) {
        let node = &page.dom.nodes[child];
        if !matches!(&*node.name, "td" | "th") || page.is_passed_over(child) {
            continue;
        }
        if holds_blocks(page, child) {
            found.is_layout = true;
            return;
        }
        let text = page.line_of(child).replace('\n', " ");
        let text = if page.has_marks { text.replace('|', "\\|") } else { text };
        // Its bars and spaces count too.
        found.bytes += text.len() + 3;
        let span = node.attribute("colspan").and_then(|span| span.parse().ok()).unwrap_or(1_usize);
        cells.push(text);
        cells.extend((1..span.min(MAX_SPAN)).map(|_| String::new()));
        if cells.len() > MAX_COLUMNS {
            found.is_layout = true;
            return;
        }
    }
    if cells.iter().any(|cell| !cell.is_empty()) {
        found.rows.push(cells);
    }
}

/// Whether a cell holds what does not fit on a line.
fn holds_blocks(page: &Page<'_>, index: usize) -> bool {
    page.dom.children(index).any(|child| {
        let node = &page.dom.nodes[child];
        node.has_block
            && (matches!(
                &*node.name,
                "table" | "ul" | "ol" | "dl" | "pre" | "blockquote" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
            ) || holds_blocks(page, child))
    })
}
