//! The status line: what goes on, the model, how full its window is, what the last turn cost.

use lucid_kernel::abi::Pid;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::state::{State, Talk};
use super::text::{columns, count, fit, seconds, thousands};

const BAR_COLUMNS: usize = 10;
const GAP: &str = " · ";
/// The most of a message on loading or of a name that is shown.
const MAX_PART_COLUMNS: usize = 44;

/// The status line on the one or two rows of this area.
pub fn lines(state: &State, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let now = activity(state, width);
    let top = [vi(state), Some(now), window(state, width), model(state), behind(state)];
    let bottom = [tokens(state), speed(state), mounts(state)];
    match area.height {
        0 => Vec::new(),
        1 => vec![join(top.into_iter().chain(bottom), width, state)],
        _ => vec![join(top.into_iter(), width, state), join(bottom.into_iter(), width, state)],
    }
}

/// A part of the line: pieces of text, each in its style.
type Part = Vec<Span<'static>>;

/// Joins what fits, in order; the first part is cut rather than left out.
fn join(parts: impl Iterator<Item = Option<Part>>, width: usize, state: &State) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut used = 0;
    for part in parts.flatten() {
        let gap = if spans.is_empty() { 0 } else { columns(GAP) };
        let wide: usize = part.iter().map(|span| columns(&span.content)).sum();
        if used + gap + wide > width {
            if spans.is_empty() {
                let text: String = part.iter().map(|span| span.content.as_ref()).collect();
                return Line::styled(fit(&text, width), part.first().map_or(Style::new(), |span| span.style));
            }
            continue;
        }
        if gap > 0 {
            spans.push(Span::styled(GAP, state.theme.dim()));
        }
        spans.extend(part);
        used += gap + wide;
    }
    Line::from(spans)
}

fn part(text: impl Into<String>, style: Style) -> Part {
    vec![Span::styled(text.into(), style)]
}

/// What a conversation does, in a word or two.
pub fn doing(state: &State, pid: Pid, talk: &Talk) -> String {
    if let Some(question) = state.questions.iter().find(|question| question.pid == pid) {
        return format!("{} waits for your answer", question.call.tool);
    }
    match &talk.turn {
        Some(turn) if turn.cancelled => "stopping".into(),
        Some(turn) => match &turn.calling[..] {
            [] if turn.pieces > 0 => "writing".into(),
            [] => "thinking".into(),
            running => {
                let tools: Vec<&str> = running.iter().map(|(_, tool)| tool.as_str()).collect();
                format!("calling {}", tools.join(", "))
            }
        },
        None if talk.stopping => "stopping".into(),
        None => "ready".into(),
    }
}

/// What goes on, the most urgent first.
fn activity(state: &State, width: usize) -> Part {
    let theme = state.theme;
    let room = (width / 2).clamp(10, MAX_PART_COLUMNS);
    if state.dead.is_some() {
        return part("stopped", theme.error());
    }
    if let Some(question) = state.questions.front() {
        return part(format!("{} waits for your answer", fit(&question.call.tool, room)), theme.accent());
    }
    if let Some(turn) = state.talk.turn.as_ref().filter(|turn| !turn.cancelled) {
        let elapsed = seconds(state.now_ms.saturating_sub(turn.since_ms));
        let telling = turn.told.as_ref().and_then(|told| {
            let of = turn.calling.iter().find(|of| of.0 == told.0);
            of.map(|(_, tool)| (tool, &told.1, told.2))
        });
        let what = match (&turn.calling[..], telling) {
            ([], _) => "thinking".into(),
            (_, Some((tool, message, done))) => {
                let part = done.map_or_else(String::new, |done| format!(" {:.0} %", done * 100.0));
                fit(&format!("{tool}: {message}{part}"), room)
            }
            (running, None) => {
                let tools: Vec<&str> = running.iter().map(|(_, tool)| tool.as_str()).collect();
                format!("calling {}", fit(&tools.join(", "), room))
            }
        };
        return part(format!("{what} {elapsed}"), theme.accent());
    }
    if state.talk.stopping || state.talk.turn.is_some() {
        return part("stopping", theme.accent());
    }
    if let Some((what, done)) = &state.loading {
        let mut spans = part(fit(what, room), theme.accent());
        if let Some(done) = done {
            spans.push(Span::raw(" "));
            spans.extend(bar(f64::from(*done), BAR_COLUMNS, state));
            spans.push(Span::raw(format!(" {:.0} %", (f64::from(*done) * 100.0).clamp(0.0, 100.0))));
        }
        return spans;
    }
    if let Some(progress) = &state.mounting {
        let (done, found) = (thousands(progress.files_done), thousands(progress.files_found));
        return part(format!("indexing {done}/{found} files"), theme.accent());
    }
    part("ready", theme.good())
}

/// The mode of vi's keys.
fn vi(state: &State) -> Option<Part> {
    let label = state.vi.as_ref()?.label()?;
    Some(part(label, state.theme.strong()))
}

/// Which conversation it is where there are several, and how many others have something under way.
fn behind(state: &State) -> Option<Part> {
    let pid = state.pid.filter(|_| !state.others.is_empty())?;
    let busy = state.others.values().filter(|talk| talk.turn.is_some()).count();
    let news = state.others.values().filter(|talk| talk.is_news).count();
    let text = match (busy, news) {
        (0, 0) => pid.to_string(),
        (0, news) => format!("{pid}, {news} done"),
        (busy, _) => format!("{pid}, {busy} behind"),
    };
    Some(part(text, state.theme.accent()))
}

fn model(state: &State) -> Option<Part> {
    let engine = state.engine.as_ref()?;
    Some(match &engine.host {
        None => part(fit(&engine.model, MAX_PART_COLUMNS), state.theme.plain()),
        // What is said leaves the machine.
        Some(host) => {
            part(fit(&format!("{} at {host}", engine.model), 2 * MAX_PART_COLUMNS), state.theme.tool())
        }
    })
}

fn window(state: &State, width: usize) -> Option<Part> {
    let (resident, budget) = state.occupancy()?;
    let (bar_columns, unit) = match width {
        0..30 => (0, ""),
        30..60 => (6, ""),
        _ => (BAR_COLUMNS, " tokens"),
    };
    let mut spans = bar(f64::from(resident) / f64::from(budget.max(1)), bar_columns, state);
    let gap = if bar_columns == 0 { "" } else { " " };
    spans.push(Span::raw(format!("{gap}{}/{}{unit}", thousands(resident), thousands(budget))));
    Some(spans)
}

/// What the turn at hand costs, or what the last one did.
fn tokens(state: &State) -> Option<Part> {
    let running = state.talk.turn.as_ref().and_then(|turn| turn.prefill);
    let text = match (running, state.talk.cost) {
        (Some((prefilled, reused)), _) => {
            format!("prefilling {}, reused {}", thousands(prefilled), thousands(reused))
        }
        (None, Some(cost)) => {
            let usage = cost.usage;
            let (prefilled, reused) = (thousands(usage.prefilled), thousands(usage.reused));
            format!("prefilled {prefilled}, reused {reused}, decoded {}", thousands(usage.decoded))
        }
        (None, None) => return None,
    };
    Some(part(text, state.theme.dim()))
}

/// Tokens a second while the model wrote.
fn speed(state: &State) -> Option<Part> {
    let usage = state.talk.cost?.usage;
    let ms = usage.total_ms.saturating_sub(usage.first_token_ms);
    // The first token's time is not among these.
    let tokens = usage.decoded.saturating_sub(1);
    (ms > 0 && tokens > 0)
        .then(|| part(format!("{:.1} tokens/s", f64::from(tokens) * 1000.0 / ms as f64), state.theme.dim()))
}

fn mounts(state: &State) -> Option<Part> {
    let text = match state.mounts.as_slice() {
        [] => "nothing mounted".to_owned(),
        [mount] => {
            format!("mounted {}", fit(mount.root.rsplit('/').next().unwrap_or(&mount.root), MAX_PART_COLUMNS))
        }
        mounts => count(mounts.len() as u64, "mount"),
    };
    Some(part(text, state.theme.dim()))
}

/// A bar, `part` of it full.
pub fn bar(part: f64, width: usize, state: &State) -> Part {
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let mut full = (part * width as f64).round() as usize;
    if part > 0.0 {
        full = full.max(1).min(width);
    }
    vec![
        Span::styled("█".repeat(full), state.theme.accent()),
        Span::styled("░".repeat(width.saturating_sub(full)), state.theme.dim()),
    ]
}
