//! The colours, all in one place.
//!
//! Taste, as a rule: the answer is plain text in the terminal's own colours, and everything
//! else steps back. One accent (cyan) marks what the user wrote or can do, one colour (magenta)
//! what a tool did, red only what went wrong, green only what is ready. Secondary text is dim,
//! never grey; no backgrounds; no yellow, blue or white, which vanish on some terminals.
//! Nothing is said by colour alone, so that `NO_COLOR` loses nothing.

use ratatui::style::{Color, Modifier, Style};

use super::highlight::Kind;

/// How things look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours may be used; bold, dim and the like always may.
    pub color: bool,
}

impl Theme {
    fn with(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// Answers and whatever else is read.
    pub fn plain(self) -> Style {
        Style::new()
    }

    /// What the user wrote.
    pub fn user(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    /// The prompt, keys that can be pressed, the full part of a bar.
    pub fn accent(self) -> Style {
        self.with(Color::Cyan)
    }

    /// What is secondary.
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What stands out without a colour: headings, names.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Calls of tools.
    pub fn tool(self) -> Style {
        self.with(Color::Magenta)
    }

    /// Code in an answer.
    pub fn code(self) -> Style {
        self.accent()
    }

    /// A part of code whose language is known. Most of it is as plain as the answer: what is
    /// coloured is what the eye looks for.
    pub fn syntax(self, kind: Kind) -> Style {
        match kind {
            Kind::Plain => self.plain(),
            // The words of the language stand out without a colour too.
            Kind::Keyword if self.color => self.with(Color::Magenta),
            Kind::Keyword => self.strong(),
            Kind::Text => self.with(Color::Green),
            Kind::Comment => self.dim(),
            Kind::Number | Kind::Name => self.with(Color::Cyan),
        }
    }

    /// What is stressed.
    pub fn emphasis(self) -> Style {
        Style::new().add_modifier(Modifier::ITALIC)
    }

    /// What no longer holds.
    pub fn struck(self) -> Style {
        Style::new().add_modifier(Modifier::CROSSED_OUT)
    }

    /// Links and the highest headings, over whatever else they are.
    pub fn underlined(self) -> Style {
        Style::new().add_modifier(Modifier::UNDERLINED)
    }

    /// What went wrong.
    pub fn error(self) -> Style {
        self.with(Color::Red)
    }

    /// Ready.
    pub fn good(self) -> Style {
        self.with(Color::Green)
    }
}
