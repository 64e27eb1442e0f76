//! The cases of a plugin's author, `tests.toml`: calls, and what each must give.

use std::path::Path;

use lucid_kernel::abi::Call;
use lucid_kernel::port::CancelFlag;
use serde::Deserialize;
use serde_json::Value;

use super::KitError;
use crate::files::read_bounded;
use crate::host::ToolHost;
use crate::plugin::Plugin;
use crate::services::Scope;

/// The name of the file in a plugin's folder.
pub const FILE: &str = "tests.toml";
/// The largest file of cases that is read, in bytes.
const MAX_BYTES: u64 = 4 << 20;
/// What stands in a failure of what came instead, in characters.
const SHOWN_CHARS: usize = 400;

/// All cases of a plugin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    #[serde(default)]
    case: Vec<Case>,
}

/// One of them: a call, and what it must give.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The tool; the plugin's first when not said.
    pub tool: Option<String>,
    /// Its arguments.
    #[serde(default)]
    pub arguments: toml::Table,
    /// The rights that it has, as they are granted.
    #[serde(default)]
    pub grants: Vec<String>,
    /// What it must give.
    pub gives: Option<toml::Value>,
    /// What its result must hold.
    pub holds: Option<String>,
    /// What its error must hold.
    pub fails: Option<String>,
}

/// A case that was run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The call.
    pub call: Call,
    /// Why it does not hold, if it does not.
    pub failure: Option<String>,
}

impl Cases {
    /// The cases in a plugin's folder.
    ///
    /// # Errors
    /// When the file is not there, cannot be read, or a case says nothing of what it must give.
    pub fn read(dir: &Path) -> Result<Self, KitError> {
        let path = dir.join(FILE);
        let text = String::from_utf8_lossy(&read_bounded(&path, MAX_BYTES)?).into_owned();
        let bad = |reason: String| KitError::Cases { path: path.clone(), reason };
        let cases: Self = toml::from_str(&text).map_err(|error| bad(error.to_string()))?;
        let says_nothing = |case: &Case| case.gives.is_none() && case.holds.is_none() && case.fails.is_none();
        match cases.case.iter().position(says_nothing) {
            Some(at) => Err(bad(format!("case {} says neither gives nor holds nor fails", at + 1))),
            None => Ok(cases),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Case> {
        self.case.iter()
    }
}

impl Case {
    /// Runs it against a plugin that the host has loaded.
    pub fn run(&self, host: &ToolHost, plugin: &Plugin, scope: &Scope) -> Ran {
        let first = || plugin.tools.first().map(|tool| tool.name.clone()).unwrap_or_default();
        let tool = self.tool.clone().unwrap_or_else(first);
        let arguments = serde_json::to_value(&self.arguments).unwrap_or_default();
        let call = Call { tool, arguments };
        let given = host.call(&call, scope, &CancelFlag::new());
        let given = given.map(|output| (output.value, output.text)).map_err(|fault| fault.message);
        Ran { call, failure: self.judge(given).err() }
    }

    fn judge(&self, given: Result<(Value, String), String>) -> Result<(), String> {
        let short = |text: &str| text.chars().take(SHOWN_CHARS).collect::<String>();
        match (&self.fails, given) {
            (Some(wanted), Err(message)) if message.contains(wanted.as_str()) => Ok(()),
            (Some(wanted), Err(message)) => {
                Err(format!("its error is {:?}, without {wanted:?}", short(&message)))
            }
            (Some(_), Ok((_, text))) => Err(format!("it gives {:?} where it should fail", short(&text))),
            (None, Err(message)) => Err(short(&message)),
            (None, Ok((value, text))) => {
                let wanted =
                    self.gives.as_ref().map(|wanted| serde_json::to_value(wanted).unwrap_or_default());
                if let Some(wanted) =
                    wanted.filter(|wanted| *wanted != value && wanted.as_str() != Some(&text))
                {
                    return Err(format!("it gives {:?}, not {wanted}", short(&text)));
                }
                match &self.holds {
                    Some(wanted) if !text.contains(wanted.as_str()) => {
                        Err(format!("it gives {:?}, without {wanted:?}", short(&text)))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case(text: &str) -> Case {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_case_that_does_not_hold_says_what_came_instead() {
        let gave = |text: &str| Ok((Value::String(text.into()), text.to_owned()));
        assert_eq!(case("gives = \"2\"").judge(gave("2")), Ok(()));
        assert!(case("gives = \"2\"").judge(gave("3")).unwrap_err().contains("\"3\""));
        assert_eq!(case("holds = \"b\"").judge(gave("abc")), Ok(()));
        assert!(case("holds = \"x\"").judge(gave("abc")).is_err());
        assert_eq!(case("fails = \"empty\"").judge(Err("the name is empty".into())), Ok(()));
        assert!(case("fails = \"empty\"").judge(gave("Hello")).is_err());
        assert!(case("gives = 1").judge(Err("no".into())).is_err());
        assert_eq!(case("gives = { a = 1 }").judge(Ok((json!({ "a": 1 }), String::new()))), Ok(()));
    }
}
