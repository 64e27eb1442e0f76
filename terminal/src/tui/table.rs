//! Tables in Markdown, with columns that are aligned and as wide as they need to be.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::markdown::inline;
use super::text::{columns, wrap};
use super::theme::Theme;

/// The narrowest column that a cell is wrapped to.
const MIN_COLUMNS: usize = 4;
/// What stands between two columns.
const BETWEEN: &str = " │ ";
const BETWEEN_COLUMNS: usize = 3;
/// The most columns of a table.
const MAX_CELLS: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
    Middle,
}

/// The table that a text begins with and how many of its lines it takes; none when there is none, or no
/// room for it.
pub fn render(lines: &[&str], width: usize, theme: Theme) -> Option<(Vec<Line<'static>>, usize)> {
    let (head, rule) = (cells(lines.first()?)?, cells(lines.get(1)?)?);
    let sides: Vec<Side> = rule.iter().map(|cell| side(cell)).collect::<Option<_>>()?;
    if sides.len() != head.len() || head.len() > MAX_CELLS {
        return None;
    }
    let mut rows = vec![head];
    for line in &lines[2..] {
        let Some(mut row) = cells(line) else { break };
        row.resize(sides.len(), "");
        rows.push(row);
    }
    let widths = widths(&rows, width)?;
    let mut out = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let base = if at == 0 { theme.strong() } else { theme.plain() };
        out.extend(draw(row, &widths, &sides, base, theme));
        if at == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            out.push(Line::styled(rule.join("─┼─"), theme.dim()));
        }
    }
    Some((out, rows.len() + 1))
}

/// The cells of a row; none when the line is none.
fn cells(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let inner = line.strip_prefix('|')?;
    let inner = inner.strip_suffix('|').filter(|it| !it.ends_with('\\')).unwrap_or(inner);
    let mut cells = Vec::new();
    let (mut from, mut is_code, mut is_escaped) = (0, false, false);
    for (at, c) in inner.char_indices() {
        match c {
            '|' if !is_code && !is_escaped => {
                cells.push(inner[from..at].trim());
                from = at + 1;
            }
            '`' => is_code = !is_code,
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    cells.push(inner[from..].trim());
    Some(cells)
}

/// What a cell of the line under the head says of its column.
fn side(cell: &str) -> Option<Side> {
    let dashes = cell.trim_matches(':');
    if dashes.is_empty() || !dashes.bytes().all(|byte| byte == b'-') {
        return None;
    }
    Some(match (cell.starts_with(':'), cell.ends_with(':')) {
        (true, true) => Side::Middle,
        (false, true) => Side::Right,
        _ => Side::Left,
    })
}

/// How wide each column is: as wide as its widest cell where there is room, else the widest ones less.
fn widths(rows: &[Vec<&str>], width: usize) -> Option<Vec<usize>> {
    let count = rows.first()?.len();
    let room = width.checked_sub(BETWEEN_COLUMNS * (count - 1))?;
    if room < MIN_COLUMNS * count {
        return None;
    }
    let widest = |at: usize| rows.iter().map(|row| shown_columns(row[at])).max().unwrap_or(0).max(1);
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

/// The columns of a cell without its marks.
fn shown_columns(cell: &str) -> usize {
    inline(cell, Style::default(), Theme { color: false }).iter().map(|span| columns(&span.content)).sum()
}

fn draw(row: &[&str], widths: &[usize], sides: &[Side], base: Style, theme: Theme) -> Vec<Line<'static>> {
    let none = Span::raw("");
    let wrapped: Vec<Vec<Line<'static>>> = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| wrap(&inline(cell, base, theme), *width, &none, &none))
        .collect();
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
                    Side::Left => 0,
                    Side::Right => free,
                    Side::Middle => free / 2,
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
