//! What is offered or asked at the start: a model, the session of before, mounting the folder.

use ratatui::text::{Line, Span};

use super::host::{ModelRow, Opening};
use super::state::{Action, State};
use super::text::wrap;
use crate::machine::api::Command;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// The first start: which model.
    Model(Vec<ModelRow>),
    /// A session that did not end as it should: its name, and what was asked last.
    Resume(String, String),
    /// Mounting the folder; and whether it is the second step of the first start.
    Mount(bool),
}

impl Offer {
    /// Whether it is that of mounting.
    pub const fn is_mount(&self) -> bool {
        matches!(self, Self::Mount(_))
    }

    /// Whether the machine waits for the answer.
    pub const fn is_before_start(&self) -> bool {
        !self.is_mount()
    }
}

impl State {
    /// A key on an empty line that answers the offer; says whether it does.
    pub(super) fn on_offer_key(&mut self, letter: char, actions: &mut Vec<Action>) -> bool {
        let Some(offer) = self.offers.front().cloned() else { return false };
        let letter = letter.to_ascii_lowercase();
        match offer {
            Offer::Model(models) => {
                let at = letter.to_digit(10).and_then(|digit| digit.checked_sub(1));
                let Some(model) = at.and_then(|at| models.get(at as usize)) else { return false };
                self.choose_model(model.name.clone(), actions);
            }
            Offer::Resume(session, _) if "yn".contains(letter) => {
                self.offers.pop_front();
                let session = (letter == 'y').then_some(session);
                self.open(Opening { session, ..Opening::default() }, actions);
            }
            Offer::Mount(is_first) if "yn".contains(letter) => {
                self.offers.pop_front();
                self.declined = letter == 'n';
                if letter == 'y' {
                    actions.push(Action::send(Command::Mount { path: self.folder.clone() }));
                } else {
                    self.hint = Some("not mounted; /mount DIR does it later".into());
                }
                if is_first {
                    self.note(
                        "Step 3 of 3: ask something. What is typed before the model is ready waits for it.",
                    );
                }
            }
            _ => return false,
        }
        true
    }

    /// Enter on an empty line takes what the offer suggests; says whether there was one.
    pub(super) fn on_offer_enter(&mut self, actions: &mut Vec<Action>) -> bool {
        let Some(Offer::Model(models)) = self.offers.front() else { return false };
        let Some(model) = models.iter().find(|model| model.is_chosen).or(models.first()) else {
            return false;
        };
        self.choose_model(model.name.clone(), actions);
        true
    }

    /// Esc puts the offer away.
    pub(super) fn on_offer_esc(&mut self, actions: &mut Vec<Action>) -> bool {
        let Some(offer) = self.offers.pop_front() else { return false };
        if offer.is_before_start() {
            self.open(Opening::default(), actions);
        }
        true
    }

    /// Whoever asks something has decided.
    pub(super) fn pass_offers(&mut self, actions: &mut Vec<Action>) {
        if self.offers.front().is_some_and(Offer::is_before_start) {
            self.offers.pop_front();
            self.open(Opening::default(), actions);
        }
        self.offers.clear();
        self.offers_mount = false;
    }

    fn choose_model(&mut self, model: String, actions: &mut Vec<Action>) {
        self.offers.pop_front();
        actions.push(Action::Wish(super::host::Wish::Use { model: model.clone() }));
        self.open(Opening { model: Some(model), session: None }, actions);
    }
}

/// The offer's lines.
pub fn lines(state: &State) -> Vec<Line<'static>> {
    let Some(offer) = state.offers.front() else { return Vec::new() };
    let theme = state.theme;
    let width = usize::from(state.size.0);
    let none = Span::raw("");
    let asked = |text: String, keys: &'static str| {
        wrap(&[Span::styled(text, theme.strong()), Span::styled(keys, theme.user())], width, &none, &none)
    };
    match offer {
        Offer::Mount(is_first) => {
            let step = if *is_first { "Step 2 of 3: mount " } else { "Mount " };
            let text = format!("{step}{}, so that answers can come from its files?  ", state.shown_folder());
            asked(text, "y / n")
        }
        Offer::Resume(_, last) => {
            let last = super::text::fit(last, 60);
            asked(format!("The last session here was cut off after “{last}”. Go on with it?  "), "y / n")
        }
        Offer::Model(models) => {
            let mut lines = asked(
                "Step 1 of 3: which model shall run here?  ".into(),
                "Enter takes the marked one, a number another",
            );
            for (at, model) in models.iter().enumerate() {
                let mark = if model.is_chosen { ">" } else { " " };
                let here = if model.is_here { "on this machine" } else { &model.size };
                let first = Span::styled(format!("{mark} {} ", at + 1), theme.user());
                let name = Span::styled(model.name.clone(), theme.strong());
                let rest = Span::styled(format!("  {here}  {}", model.about), theme.dim());
                lines.extend(wrap(&[name, rest], width, &first, &Span::raw("    ")).into_iter().take(1));
            }
            lines
        }
    }
}
