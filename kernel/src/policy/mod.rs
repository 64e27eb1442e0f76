//! Policy: whether a call may run. The strictest rule that matches wins; what no rule
//! matches gets the default; a rule that cannot be read denies.

use serde::{Deserialize, Serialize};

use crate::abi::Call;

/// What policy says of a call, from the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It runs.
    Allow,
    /// The user is asked.
    Ask,
    /// It does not run.
    Deny,
}

/// With these words a call is refused that lacks rights, and those that it lacks follow.
pub const UNGRANTED: &str = "it was not allowed to";

/// The tool that runs commands of the system. What it does is in its argument alone, so the user is asked
/// before every call: no rule makes that milder, and no yes holds for the next one. A rule can deny it.
pub const SHELL: &str = "shell";

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// A tool's name; `*` at its end stands for any rest.
    pub tool: String,
    /// What it says of calls of that tool.
    pub verdict: Verdict,
}

/// The rules of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What holds where no rule matches.
    pub default: Verdict,
    /// The rules, in no order.
    pub rules: Vec<Rule>,
}

impl Default for Policy {
    /// Tools that hold no grants can touch nothing, so they may run.
    fn default() -> Self {
        Self { default: Verdict::Allow, rules: Vec::new() }
    }
}

impl Policy {
    /// What it says of a call.
    pub fn check(&self, call: &Call) -> Verdict {
        let verdict = self.check_or(call, self.default);
        if call.tool == SHELL { verdict.max(Verdict::Ask) } else { verdict }
    }

    /// What it says of a call for which another default holds.
    pub fn check_or(&self, call: &Call, default: Verdict) -> Verdict {
        let matching = self.rules.iter().filter_map(|rule| match rule.matches(&call.tool) {
            Some(true) => Some(rule.verdict),
            Some(false) => None,
            None => Some(Verdict::Deny),
        });
        matching.max().unwrap_or(default)
    }
}

impl Rule {
    /// Whether it is about this tool; none when its pattern cannot be read.
    fn matches(&self, tool: &str) -> Option<bool> {
        match self.tool.split_once('*') {
            None if self.tool.is_empty() => None,
            None => Some(self.tool == tool),
            Some((start, "")) => Some(tool.starts_with(start)),
            Some(_) => None,
        }
    }
}
