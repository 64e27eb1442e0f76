//! Turns a drawn screen into an SVG picture, for the README.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::text::{columns, width_of};

const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: f32 = 18.0;
const MARGIN: f32 = 14.0;
const TITLE_HEIGHT: f32 = 30.0;
const INK: &str = "#d8dee9";
const PAPER: &str = "#1b1f27";

/// How long the last picture of a film stays, in milliseconds.
const LAST_MS: u64 = 6_000;

/// Draws a buffer as a terminal window with this title.
pub fn render(buffer: &Buffer, title: &str) -> String {
    let mut out = String::new();
    window(&mut out, buffer, title);
    for y in 0..buffer.area.height {
        row(&mut out, buffer, y, y);
    }
    out.push_str("</svg>\n");
    out
}

/// Draws buffers one after the other, each from its time in milliseconds on, again and again. Rows that
/// look alike are drawn once and used in all pictures that have them.
pub fn film(pictures: &[(u64, Buffer)], title: &str) -> String {
    let mut out = String::new();
    let Some((_, first)) = pictures.first() else { return out };
    let all_ms = pictures.last().map_or(0, |(ms, _)| *ms) + LAST_MS;
    window(&mut out, first, title);
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    let (mut shown, mut style) = (String::new(), String::new());
    for (at, (from, buffer)) in pictures.iter().enumerate() {
        let to = pictures.get(at + 1).map_or(all_ms, |(ms, _)| *ms);
        let part = |ms: u64| ms as f64 * 100.0 / all_ms as f64;
        // Writing into a String cannot fail.
        let _ = writeln!(
            style,
            "@keyframes k{at}{{0%{{visibility:hidden}}{:.3}%{{visibility:visible}}{:.3}%{{visibility:hidden}}\
             100%{{visibility:hidden}}}}#p{at}{{animation-name:k{at}}}",
            part(*from),
            part(to)
        );
        let _ = writeln!(shown, "<g class=\"p\" id=\"p{at}\">");
        for y in 0..buffer.area.height {
            let mut drawn = String::new();
            row(&mut drawn, buffer, y, 0);
            if !drawn.is_empty() {
                let next = rows.len();
                let number = *rows.entry(drawn).or_insert(next);
                let down = f32::from(y) * CELL_HEIGHT;
                let _ = writeln!(shown, "<use href=\"#r{number}\" y=\"{down:.1}\"/>");
            }
        }
        shown.push_str("</g>\n");
    }
    // Who does not move it sees its end.
    let last = pictures.len() - 1;
    let _ = writeln!(style, "#p{last}{{visibility:visible}}");
    let seconds = all_ms as f64 / 1000.0;
    let _ = writeln!(
        out,
        "<style>.p{{visibility:hidden;animation:{seconds:.2}s steps(1,end) infinite}}\n{style}</style>\n<defs>"
    );
    for (drawn, number) in &rows {
        let _ = write!(out, "<g id=\"r{number}\">\n{drawn}</g>\n");
    }
    let _ = write!(out, "</defs>\n{shown}</svg>\n");
    out
}

/// The window, with nothing in it.
fn window(out: &mut String, buffer: &Buffer, title: &str) {
    let width = f32::from(buffer.area.width) * CELL_WIDTH + 2.0 * MARGIN;
    let height = f32::from(buffer.area.height) * CELL_HEIGHT + TITLE_HEIGHT + MARGIN;
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"'DejaVu Sans Mono', ui-monospace, Menlo, Consolas, monospace\" font-size=\"14\">"
    );
    let _ = writeln!(out, "<title>{}</title>", escape(title));
    let _ = writeln!(out, "<rect width=\"100%\" height=\"100%\" rx=\"9\" fill=\"{PAPER}\"/>");
    for (at, color) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        let x = MARGIN + 5.0 + 18.0 * at as f32;
        let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"15\" r=\"5.5\" fill=\"{color}\"/>");
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"20\" text-anchor=\"middle\" fill=\"{INK}\" opacity=\"0.7\">{}</text>",
        width / 2.0,
        escape(title)
    );
}

/// Writes a row at the height of another one: neighbours that look alike become one piece of text.
fn row(out: &mut String, buffer: &Buffer, y: u16, to: u16) {
    let mut x = 0;
    while x < buffer.area.width {
        let Some(cell) = cell(buffer, x, y) else { break };
        let mut run = Run { x, y: to, columns: 0, text: String::new() };
        let block = block_opacity(cell.symbol());
        while let Some(next) = cell_like(buffer, cell, x, y) {
            if block_opacity(next.symbol()) != block {
                break;
            }
            let wide = width_of(next.symbol()).max(1);
            // A wide character is its own run, so that the others stay on their columns.
            if wide > 1 && run.columns > 0 {
                break;
            }
            run.text.push_str(next.symbol());
            run.columns += wide;
            x += wide as u16;
            if wide > 1 {
                break;
            }
        }
        run.write(out, cell, block);
    }
}

struct Run {
    x: u16,
    y: u16,
    columns: usize,
    text: String,
}

impl Run {
    fn write(&self, out: &mut String, cell: &Cell, block: Option<f32>) {
        let x = MARGIN + f32::from(self.x) * CELL_WIDTH;
        let y = TITLE_HEIGHT + f32::from(self.y) * CELL_HEIGHT;
        let width = self.columns as f32 * CELL_WIDTH;
        let mut ink = hex(cell.fg).unwrap_or(INK);
        let mut paper = hex(cell.bg);
        if cell.modifier.contains(Modifier::REVERSED) {
            let behind = paper.unwrap_or(PAPER);
            paper = Some(ink);
            ink = behind;
        }
        if let Some(paper) = paper {
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" fill=\"{paper}\"/>"
            );
        }
        if let Some(opacity) = block {
            // Drawn, not written: fonts leave gaps between block characters.
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{ink}\" opacity=\"{opacity}\"/>",
                y + 3.0,
                CELL_HEIGHT - 6.0
            );
            return;
        }
        // Blanks at the ends are left out, for not every reader of SVG keeps them.
        let text = self.text.trim();
        if text.is_empty() {
            return;
        }
        let blanks = columns(&self.text[..self.text.len() - self.text.trim_start().len()]);
        let x = x + blanks as f32 * CELL_WIDTH;
        let width = columns(text) as f32 * CELL_WIDTH;
        let weight = if cell.modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
        let dim = if cell.modifier.contains(Modifier::DIM) { " opacity=\"0.6\"" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{:.1}\" fill=\"{ink}\"{weight}{dim} textLength=\"{width:.1}\" \
             lengthAdjust=\"spacingAndGlyphs\" xml:space=\"preserve\">{}</text>",
            y + 13.5,
            escape(text)
        );
    }
}

fn cell(buffer: &Buffer, x: u16, y: u16) -> Option<&Cell> {
    buffer.cell((buffer.area.x + x, buffer.area.y + y))
}

/// The cell at a place, when it looks like `other`.
fn cell_like<'a>(buffer: &'a Buffer, other: &Cell, x: u16, y: u16) -> Option<&'a Cell> {
    let look = |cell: &Cell| (cell.fg, cell.bg, cell.modifier);
    (x < buffer.area.width).then(|| cell(buffer, x, y)).flatten().filter(|cell| look(cell) == look(other))
}

fn block_opacity(symbol: &str) -> Option<f32> {
    match symbol {
        "█" => Some(1.0),
        "░" => Some(0.25),
        _ => None,
    }
}

/// The colours that the theme uses, on a dark ground.
fn hex(color: Color) -> Option<&'static str> {
    match color {
        Color::Black => Some("#3b4252"),
        Color::Red | Color::LightRed => Some("#f7768e"),
        Color::Green | Color::LightGreen => Some("#9ece6a"),
        Color::Yellow | Color::LightYellow => Some("#e0af68"),
        Color::Blue | Color::LightBlue => Some("#7aa2f7"),
        Color::Magenta | Color::LightMagenta => Some("#bb9af7"),
        Color::Cyan | Color::LightCyan => Some("#7dcfff"),
        Color::Gray | Color::White => Some("#e5e9f0"),
        Color::DarkGray => Some("#7b8394"),
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => None,
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
