//! `/think`: one question is asked several times, each in a conversation of its own, and the answer that
//! most of them come to is gone on with. The others stay to be looked at.

use lucid_kernel::abi::{Pid, Sampling, TurnEnd, TurnOptions, TurnReport};

use super::state::{Action, State};
use super::text::fit;
use crate::machine::api::Command;

/// How often it is asked: once as always, and the other times with other draws.
const BRANCHES: usize = 3;
/// How tokens are drawn in those.
const TEMPERATURE: f32 = 0.7;
const TOP_P: f32 = 0.95;
/// So much of an answer is shown when they are compared.
const SHOWN_COLUMNS: usize = 60;

/// A question that is being thought about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thinking {
    /// What was asked.
    pub text: String,
    /// The conversations in which it is, and what each came to; none while it is at it or when it failed.
    branches: Vec<(Pid, Option<String>)>,
    /// How many of them have ended.
    ended: usize,
}

impl Thinking {
    /// Whether all of its conversations have begun.
    pub const fn has_begun(&self) -> bool {
        self.branches.len() == BRANCHES
    }

    /// Whether a conversation is one of those.
    pub fn is_in(&self, pid: Pid) -> bool {
        self.branches.iter().any(|(of, _)| *of == pid)
    }
}

impl State {
    /// Asks a question several times.
    pub(super) fn think(&mut self, text: String, actions: &mut Vec<Action>) {
        if self.engine.is_none() || self.dead.is_some() || self.talk.turn.is_some() {
            self.hint = Some("it can be thought about when nothing is under way here".into());
            return;
        }
        if self.thinking.is_some() {
            self.hint = Some("one question is being thought about already; /jobs shows it".into());
            return;
        }
        for at in 0..BRANCHES {
            let sampling = match at {
                0 => Sampling::default(),
                seed => Sampling { temperature: TEMPERATURE, top_p: TOP_P, seed: seed as u64 },
            };
            let options = TurnOptions { sampling, ..TurnOptions::default() };
            actions.push(Action::send(Command::Background { text: text.clone(), options }));
        }
        self.thinking = Some(Thinking { text, branches: Vec::new(), ended: 0 });
    }

    /// A conversation began in the background; says whether it is one that thinks.
    pub(super) fn thinks_in(&mut self, pid: Pid, text: &str) -> bool {
        match &mut self.thinking {
            Some(thinking) if thinking.text == text && thinking.branches.len() < BRANCHES => {
                thinking.branches.push((pid, None));
                true
            }
            _ => false,
        }
    }

    /// A turn ended; says whether it was one that thinks. With the last one, the answers are compared.
    pub(super) fn thought(&mut self, pid: Pid, report: &TurnReport, actions: &mut Vec<Action>) -> bool {
        let Some(thinking) = &mut self.thinking else { return false };
        let Some(branch) = thinking.branches.iter_mut().find(|(of, _)| *of == pid) else { return false };
        if matches!(report.end, TurnEnd::Answered | TurnEnd::Cut) {
            branch.1 = Some(report.answer.clone());
        }
        thinking.ended += 1;
        if thinking.ended == BRANCHES
            && let Some(thinking) = self.thinking.take()
        {
            self.compare(&thinking, actions);
        }
        true
    }

    fn compare(&mut self, thinking: &Thinking, actions: &mut Vec<Action>) {
        let votes = |answer: &str| {
            let said = thinking.branches.iter().filter_map(|(_, other)| other.as_deref());
            said.filter(|other| gist(other) == gist(answer)).count()
        };
        let mut lines = Vec::new();
        let mut best: Option<(Pid, usize)> = None;
        for (pid, answer) in &thinking.branches {
            let Some(answer) = answer else {
                lines.push(format!("{pid} came to no answer"));
                continue;
            };
            let agree = votes(answer);
            lines.push(format!("{pid}: {} ({agree} of {BRANCHES})", fit(answer.trim(), SHOWN_COLUMNS)));
            // Of equals the first wins, which was asked as always.
            if best.is_none_or(|(_, most)| agree > most) {
                best = Some((*pid, agree));
            }
        }
        match best {
            Some((pid, agree)) => {
                let how = if agree > 1 { "most agree" } else { "none agree, this is the likeliest" };
                lines.push(format!("going on with {pid}: {how}"));
                actions.push(Action::send(Command::Foreground { pid }));
            }
            None => lines.push("none came to an answer".into()),
        }
        self.tell(lines.join("\n"));
    }
}

/// What an answer comes to: its last number where it has any, else its words.
fn gist(answer: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
    let numbers = answer.split(|c| !is_part(c)).map(|part| part.trim_matches(['.', ',']).replace(',', ""));
    let mut numbers = numbers.filter(|part| part.contains(|c: char| c.is_ascii_digit()));
    if let Some(number) = numbers.next_back() {
        // 404.320 and 404.32 are the same.
        let is_broken = number.contains('.');
        return if is_broken { number.trim_end_matches('0').trim_end_matches('.').into() } else { number };
    }
    let words = answer.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_agree_by_their_last_number_or_their_words() {
        for (one, other, agree) in [
            ("17 times 23 is 391.", "It is 391", true),
            ("The total is 1,404.320.", "1404.32", true),
            ("It is 391.", "It is 392.", false),
            ("Paris.", "paris", true),
            ("Paris", "Rome", false),
            ("ten", "10", false),
        ] {
            assert_eq!(gist(one) == gist(other), agree, "{one} {other}");
        }
    }
}
