//! Tables in Markdown, with columns that are aligned and as wide as they need to be.

use pulldown_cmark::{Alignment, Event, Parser, Tag, TagEnd};
use ratatui::text::{Line, Span};

use super::inline::{Inline, OPTIONS, mask};
use super::text::{columns, wrap};
use super::theme::Theme;

/// The narrowest column that a cell is wrapped to.
const MIN_COLUMNS: usize = 4;
/// What stands between two columns.
const BETWEEN: &str = " │ ";
const BETWEEN_COLUMNS: usize = 3;
/// The most columns of a table.
const MAX_CELLS: usize = 32;

/// What a cell shows.
type Cell = Vec<Span<'static>>;

/// Draws a table from its rows as they are written, the head first, and says how many of them
/// it took: a line without a bar is none. Nothing when there is no room for it.
pub(super) fn render(
    rows: &[&str],
    sides: &[Alignment],
    width: usize,
    theme: Theme,
) -> Option<(Vec<Line<'static>>, usize)> {
    if sides.is_empty() || sides.len() > MAX_CELLS {
        return None;
    }
    let taken = rows.iter().skip(1).position(|row| !row.contains('|')).map_or(rows.len(), |at| at + 1);
    let rows = parse(&rows[..taken], sides.len(), theme)?;
    let widths = widths(&rows, width)?;
    let mut out = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        out.extend(draw(row, &widths, sides, theme));
        if at == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            out.push(Line::styled(rule.join("─┼─"), theme.dim()));
        }
    }
    Some((out, taken))
}

/// What the cells of each row show. The rows are split here, and not by the parser, because
/// models write bars in code, and cells beyond the last column must not get lost.
fn parse(rows: &[&str], count: usize, theme: Theme) -> Option<Vec<Vec<Cell>>> {
    let mut source = String::new();
    for (at, row) in rows.iter().enumerate() {
        source.push('|');
        source.extend(cells(row, count).iter().map(|cell| format!(" {} |", escape(cell))));
        source.push('\n');
        if at == 0 {
            source.push_str(&"|-".repeat(count));
            source.push_str("|\n");
        }
    }
    let masked = mask(&source);
    let mut parsed: Vec<Vec<Cell>> = Vec::new();
    let mut cell: Option<Inline<'_>> = None;
    for (event, range) in Parser::new_ext(&masked, OPTIONS).into_offset_iter() {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => parsed.push(Vec::with_capacity(count)),
            Event::Start(Tag::TableCell) => {
                let base = if parsed.len() == 1 { theme.strong() } else { theme.plain() };
                cell = Some(Inline::new(&source, base, theme));
            }
            Event::End(TagEnd::TableCell) => {
                parsed.last_mut()?.push(cell.take().map(Inline::into_spans).unwrap_or_default());
            }
            event => {
                if let Some(cell) = &mut cell {
                    cell.event(event, range);
                }
            }
        }
    }
    (parsed.len() == rows.len() && parsed.iter().all(|row| row.len() == count)).then_some(parsed)
}

/// A cell with its bars escaped, in code too.
fn escape(cell: &str) -> String {
    let mut out = String::with_capacity(cell.len());
    let mut is_escaped = false;
    for c in cell.chars() {
        if c == '|' && !is_escaped {
            out.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        out.push(c);
    }
    out
}

/// As many cells of a row as there are columns; the last one takes what is left over.
fn cells(line: &str, count: usize) -> Vec<&str> {
    let line = line.trim();
    let inner = line.strip_prefix('|').unwrap_or(line);
    let inner = inner.strip_suffix('|').filter(|it| !it.ends_with('\\')).unwrap_or(inner);
    let mut cells = Vec::with_capacity(count);
    let (mut from, mut is_code, mut is_escaped) = (0, false, false);
    for (at, c) in inner.char_indices() {
        match c {
            '|' if !is_code && !is_escaped && cells.len() + 1 < count => {
                cells.push(inner[from..at].trim());
                from = at + 1;
            }
            // A sign without its partner begins no code.
            '`' => is_code = !is_code && inner[at + 1..].contains('`'),
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    cells.push(inner[from..].trim());
    cells.resize(count, "");
    cells
}

/// How wide each column is: as wide as its widest cell where there is room, else the widest ones less.
fn widths(rows: &[Vec<Cell>], width: usize) -> Option<Vec<usize>> {
    let count = rows.first()?.len();
    let room = width.checked_sub(BETWEEN_COLUMNS * (count - 1))?;
    if room < MIN_COLUMNS * count {
        return None;
    }
    let widest = |at: usize| rows.iter().map(|row| shown_columns(&row[at])).max().unwrap_or(0).max(1);
    let mut widths: Vec<usize> = (0..count).map(widest).collect();
    // The narrower ones keep what they need; what is left goes to the others in equal parts.
    let (mut left, mut open) = (room, (0..count).collect::<Vec<_>>());
    open.sort_by_key(|at| widths[*at]);
    for (done, at) in open.iter().enumerate() {
        let share = left / (count - done);
        widths[*at] = widths[*at].min(share);
        left -= widths[*at];
    }
    Some(widths)
}

fn shown_columns(cell: &Cell) -> usize {
    cell.iter().map(|span| columns(&span.content)).sum()
}

fn draw(row: &[Cell], widths: &[usize], sides: &[Alignment], theme: Theme) -> Vec<Line<'static>> {
    let none = Span::raw("");
    let wrapped: Vec<Vec<Line<'static>>> =
        row.iter().zip(widths).map(|(cell, width)| wrap(cell, *width, &none, &none)).collect();
    let height = wrapped.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let last = widths.len() - 1;
    (0..height)
        .map(|at| {
            let mut spans = Vec::new();
            for (column, (cell, (width, side))) in wrapped.iter().zip(widths.iter().zip(sides)).enumerate() {
                if column > 0 {
                    spans.push(Span::styled(BETWEEN, theme.dim()));
                }
                let line = cell.get(at).cloned().unwrap_or_default();
                let free = width.saturating_sub(line.width());
                let before = match side {
                    Alignment::None | Alignment::Left => 0,
                    Alignment::Right => free,
                    Alignment::Center => free / 2,
                };
                // Nothing stands behind the last cell.
                let after = if column == last { 0 } else { free - before };
                spans.push(Span::raw(" ".repeat(before)));
                spans.extend(line.spans);
                spans.push(Span::raw(" ".repeat(after)));
            }
            spans.retain(|span| !span.content.is_empty());
            Line::from(spans)
        })
        .collect()
}
