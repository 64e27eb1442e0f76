//! How far a download is: one value that the terminal's bar and the shell both show.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Without a terminal, a line is written each time so many percent more are done.
const LINE_STEP_PERCENT: u64 = 10;

/// How often the bar moves by itself, so that a slow network does not look like a halt.
const TICK_MS: u64 = 200;

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, such as `fetching smollm2-135m`. Another text is another step, which
    /// counts from 0 again.
    pub what: String,
    /// Which of several parts is at hand, counted from 1, and how many there are.
    pub part: Option<(usize, usize)>,
    /// Bytes done. Never falls within a step, unless bad data had to be thrown away.
    pub done_bytes: u64,
    /// Bytes in all; none while it is not known.
    pub total_bytes: Option<u64>,
}

impl Progress {
    /// The percentage done, 0 to 100, when the total is known.
    pub fn percent(&self) -> Option<u64> {
        let total = self.total_bytes.filter(|total| *total > 0)?;
        u64::try_from(u128::from(self.done_bytes.min(total)) * 100 / u128::from(total)).ok()
    }
}

/// A number of bytes for people, in powers of 1000: `98.4 MB`, `1.12 GB`.
pub fn bytes_text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(UNITS[unit] == "GB" && value < 10.0) + 1;
    format!("{value:.digits$} {}", UNITS[unit])
}

/// Shows progress on standard error: a bar on a terminal, some plain lines elsewhere.
#[derive(Debug)]
pub struct Bar {
    bar: Option<ProgressBar>,
    lines: Lines,
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Bar {
    /// For standard error as it is.
    pub fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(TICK_MS));
            bar
        });
        Self { bar, lines: Lines::default() }
    }

    /// Shows how far it is now.
    pub fn show(&mut self, progress: &Progress) {
        let line = self.lines.next(progress);
        let Some(bar) = &self.bar else {
            if let Some(line) = line {
                // A closed standard error is no reason to stop a download.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            return;
        };
        if line.is_some_and(|_| self.lines.step_is_new) {
            bar.reset();
            bar.set_style(style(progress.total_bytes.is_some()));
        }
        if let Some(total) = progress.total_bytes {
            bar.set_length(total);
        }
        bar.set_message(title(progress));
        bar.set_position(progress.done_bytes);
    }

    /// Takes the bar off the screen. Plain lines stay.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}

fn style(has_total: bool) -> ProgressStyle {
    // A template that indicatif refused would be a mistake of ours: its own bar is good enough.
    ProgressStyle::with_template(template(has_total))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

const fn template(has_total: bool) -> &'static str {
    if has_total {
        "{msg} [{bar:24}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}"
    } else {
        "{msg} {spinner} {decimal_bytes} {decimal_bytes_per_sec}"
    }
}

fn title(progress: &Progress) -> String {
    match progress.part {
        Some((part, parts)) if parts > 1 => format!("{}, part {part} of {parts}", progress.what),
        _ => progress.what.clone(),
    }
}

/// Decides which of many reports become lines.
#[derive(Debug, Default)]
struct Lines {
    what: Option<String>,
    next_percent: u64,
    step_is_new: bool,
}

impl Lines {
    fn next(&mut self, progress: &Progress) -> Option<String> {
        self.step_is_new = self.what.as_ref() != Some(&progress.what);
        if self.step_is_new {
            self.what = Some(progress.what.clone());
            self.next_percent = 0;
        }
        let percent = progress.percent();
        let due = percent.map_or(self.step_is_new, |percent| percent >= self.next_percent);
        if !due {
            return None;
        }
        let Some((percent, total)) = percent.zip(progress.total_bytes) else {
            return Some(title(progress));
        };
        self.next_percent = percent - percent % LINE_STEP_PERCENT + LINE_STEP_PERCENT;
        let (done, total) = (bytes_text(progress.done_bytes), bytes_text(total));
        Some(format!("{}: {percent} % ({done} of {total})", title(progress)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        for (bytes, expect) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (98_362_432, "98.4 MB"),
            (999_999_999, "1.00 GB"),
            (1_117_320_768, "1.12 GB"),
            (22_100_000_000, "22.1 GB"),
            (u64::MAX, "18446744.1 TB"),
        ] {
            assert_eq!(bytes_text(bytes), expect);
        }
    }

    #[test]
    fn few_lines_are_written_for_many_reports() {
        let mut lines = Lines::default();
        let written: Vec<String> = (0..=1000)
            .filter_map(|n| {
                lines.next(&Progress {
                    what: "fetching x".into(),
                    part: Some((n as usize / 501 + 1, 2)),
                    done_bytes: n * 1000,
                    total_bytes: Some(1_000_000),
                })
            })
            .collect();
        assert_eq!(written.len(), 11, "{written:?}");
        assert_eq!(written[0], "fetching x, part 1 of 2: 0 % (0 bytes of 1.0 MB)");
        assert_eq!(written[10], "fetching x, part 2 of 2: 100 % (1.0 MB of 1.0 MB)");
    }

    #[test]
    fn a_step_without_a_total_is_one_line() {
        let mut lines = Lines::default();
        let report =
            |what: &str| Progress { what: what.into(), part: None, done_bytes: 5, total_bytes: None };
        let written: Vec<String> =
            ["a", "a", "b", "b"].iter().filter_map(|what| lines.next(&report(what))).collect();
        assert_eq!(written, ["a", "b"]);
    }

    #[test]
    fn the_bar_s_templates_are_valid() {
        for has_total in [true, false] {
            assert!(ProgressStyle::with_template(template(has_total)).is_ok());
        }
    }
}
