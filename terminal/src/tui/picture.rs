//! A screen without a terminal, for pictures: it hears the same notices, takes the same keys
//! and is drawn by the same view.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::history::History;
use super::state::{Action, Msg, State};
use super::{Setup, svg, view};
use crate::machine::api::{Command, Notice};

/// A screen of a fixed size whose look can be kept.
pub struct Picture {
    state: State,
    film: Vec<(u64, Buffer)>,
}

impl Picture {
    /// A screen with so many columns and rows.
    pub fn new(setup: &Setup, width: u16, height: u16) -> Self {
        let mut state = State::new(setup, History::default());
        state.size = (width, height);
        Self { state, film: Vec::new() }
    }

    /// Types a piece of a line.
    pub fn type_text(&mut self, text: &str) {
        self.update(Msg::Paste(text.to_owned()));
    }

    /// Types a line and presses Enter. What comes back is for the machine.
    pub fn type_line(&mut self, line: &str) -> Vec<Command> {
        let mut commands = self.update(Msg::Paste(line.to_owned()));
        commands.extend(self.enter());
        commands
    }

    /// Presses Enter.
    pub fn enter(&mut self) -> Vec<Command> {
        self.update(Msg::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)))
    }

    /// Whether nothing is under way.
    pub const fn is_idle(&self) -> bool {
        self.state.talk.turn.is_none()
    }

    /// Hears a notice. What comes back is for the machine.
    pub fn notice(&mut self, notice: Notice) -> Vec<Command> {
        self.update(Msg::Notice(Box::new(notice)))
    }

    /// Lets time pass, to this many milliseconds after the start.
    pub fn tick(&mut self, now_ms: u64) {
        self.update(Msg::Tick(now_ms));
    }

    /// The screen as cells.
    ///
    /// # Errors
    /// None that can be met: the cells are in memory.
    fn buffer(&self) -> anyhow::Result<Buffer> {
        let (width, height) = self.state.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height))?;
        terminal.draw(|frame| view::draw(&self.state, frame))?;
        Ok(terminal.backend().buffer().clone())
    }

    /// Keeps the screen as the next picture of a film, unless it looks as the one before.
    ///
    /// # Errors
    /// As [`Picture::buffer`].
    pub fn take(&mut self, now_ms: u64) -> anyhow::Result<()> {
        let buffer = self.buffer()?;
        if self.film.last().is_none_or(|(_, last)| *last != buffer) {
            self.film.push((now_ms, buffer));
        }
        Ok(())
    }

    /// The film as an animated SVG picture.
    pub fn film(&self, title: &str) -> String {
        svg::film(&self.film, title)
    }

    /// The screen as an SVG picture.
    ///
    /// # Errors
    /// As [`Picture::buffer`].
    pub fn svg(&self, title: &str) -> anyhow::Result<String> {
        Ok(svg::render(&self.buffer()?, title))
    }

    fn update(&mut self, msg: Msg) -> Vec<Command> {
        let actions = self.state.update(msg).into_iter();
        actions
            .filter_map(|action| if let Action::Send(command) = action { Some(*command) } else { None })
            .collect()
    }
}
