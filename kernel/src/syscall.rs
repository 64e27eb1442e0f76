//! System calls: the few things a model may ask of the kernel. What it wrote is an
//! allegation until it is checked here.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::abi::{Call, PageId, ToolSpec};
use crate::relevance::raw_words;
use crate::routing::Choice;

/// A checked request of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Syscall {
    /// Answer the user: the turn ends.
    Answer(String),
    /// Run tools, side by side: at least one.
    Calls(Vec<Call>),
    /// Find pages on the disk.
    Search {
        /// Free text.
        query: String,
    },
    /// Bring a page back into the window.
    Read {
        /// Its address.
        page: PageId,
        /// So many of its characters are left out at its beginning.
        from: u64,
    },
    /// Look for tools that fit.
    FindTools {
        /// What for.
        query: String,
    },
    /// Let something be known in every turn.
    Remember {
        /// What.
        text: String,
    },
    /// Let something not be known any more.
    Forget {
        /// The page that says it.
        page: PageId,
    },
}

/// Why what the model wrote is no system call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSyscall {
    /// The output broke off in the middle of a call.
    #[error("the call was cut off before its end")]
    CutOff,
    /// The output is not what was asked for.
    #[error("what the model wrote is not a call: {0}")]
    NotACall(String),
    /// The arguments do not fit.
    #[error("the arguments of {tool} do not fit its schema: {reason}")]
    BadArguments {
        /// The tool.
        tool: String,
        /// What does not fit.
        reason: String,
    },
    /// The answer does not fit the schema it is held to.
    #[error("the answer does not fit its schema: {0}")]
    BadAnswer(String),
}

/// The name of the system call that searches the disk.
pub const SEARCH: &str = "search";

/// The name of the system call that reads a page.
pub const READ: &str = "read";

/// The name of the system call that looks for tools.
pub const FIND_TOOLS: &str = "find_tools";

/// The name of the system call that adds to the core memory.
pub const REMEMBER: &str = "remember";

/// The name of the system call that takes away from it.
pub const FORGET: &str = "forget";

/// Whether a name is that of a system call, which no tool can take.
pub fn is_one(name: &str) -> bool {
    matches!(name, SEARCH | READ | FIND_TOOLS) || is_of_memory(name)
}

/// Whether a call changes the core memory.
pub fn is_of_memory(name: &str) -> bool {
    matches!(name, REMEMBER | FORGET)
}

/// Whether a question itself tells to do what this call on the core memory does: "remember that
/// the rent is due on the fifth", "please forget p7".
pub fn tells(question: &str, name: &str) -> bool {
    let lower = question.to_lowercase();
    let mut words = raw_words(&lower).filter(|word| !matches!(*word, "please" | "and" | "also" | "now"));
    let first = words.next();
    let says = match name {
        REMEMBER => matches!(first, Some("remember" | "memorize" | "memorise")),
        FORGET => first == Some("forget"),
        _ => false,
    };
    says && words.next().is_some()
}

/// What sends pages labelled private to an engine on another machine. No model can call it: the
/// kernel asks policy for it, and the user where no rule says otherwise.
pub const SEND_PAGES: &str = "send_pages";

/// What an address looks like.
const ADDRESS: &str = "^p[0-9]{1,9}$";

fn spec(name: &str, description: &str, keywords: &[&str], properties: Value, required: &str) -> ToolSpec {
    ToolSpec {
        wants: Vec::new(),
        described: None,
        name: name.to_owned(),
        description: description.to_owned(),
        keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
        parameters: json!({
            "type": "object",
            "properties": properties,
            "required": [required],
            "additionalProperties": false,
        }),
    }
}

/// The system calls that a process with mounted folders offers the model beside its tools.
pub fn disk_calls() -> Vec<ToolSpec> {
    let query = json!({ "query": { "type": "string" } });
    vec![
        spec(SEARCH, "Finds more pages of the user's files.", &["search", "look up"], query, "query"),
        spec(
            READ,
            "Brings back a page that is no longer shown, by its address.",
            &["reread", "page"],
            json!({
                "page": { "type": "string", "pattern": ADDRESS },
                "from": { "type": "integer", "minimum": 0, "maximum": 1_000_000_000 },
            }),
            "page",
        ),
    ]
}

/// The system call that looks for tools, where the instructions do not name them all.
pub fn tool_calls() -> Vec<ToolSpec> {
    let query = json!({ "query": { "type": "string" } });
    let words = ["find tools", "tools", "tool", "plugins", "plugin", "capabilities"];
    vec![spec(FIND_TOOLS, "Lists tools that can do something.", &words, query, "query")]
}

/// The system calls on the core memory.
pub fn memory_calls() -> Vec<ToolSpec> {
    let text = json!({ "text": { "type": "string", "minLength": 1, "maxLength": MAX_REMEMBERED_CHARS } });
    let page = json!({ "page": { "type": "string", "pattern": ADDRESS } });
    vec![
        spec(REMEMBER, "Keeps a fact for this and all later conversations.", &["remember"], text, "text"),
        spec(FORGET, "Drops a fact that was kept, by its address.", &["forget"], page, "page"),
    ]
}

/// The longest text that is kept at once, in characters.
const MAX_REMEMBERED_CHARS: u64 = 300;

/// Checks what the model wrote.
///
/// # Errors
/// See [`BadSyscall`].
pub fn parse(text: &str, choice: &Choice, tools: &[ToolSpec], cut: bool) -> Result<Syscall, BadSyscall> {
    let trimmed = text.trim();
    let offered = match choice {
        Choice::Answer => return Ok(Syscall::Answer(trimmed.to_owned())),
        Choice::May(names) | Choice::Must(names) => names,
    };
    let must = matches!(choice, Choice::Must(_));
    let mut alleged = find_calls(trimmed).into_iter();
    match alleged.next() {
        Some(first) if offered.contains(&first.tool) => {
            let first = check(first, tools)?;
            let Syscall::Calls(mut calls) = first else { return Ok(first) };
            // Behind the first one only so many count as are tools too, and rightly called.
            let more = alleged.map_while(|call| match check(call, tools) {
                Ok(Syscall::Calls(call)) if offered.contains(&call[0].tool) => Some(call),
                _ => None,
            });
            calls.extend(more.flatten());
            Ok(Syscall::Calls(calls))
        }
        Some(first) if must => Err(BadSyscall::NotACall(format!("{} is not offered", first.tool))),
        None if must && cut => Err(BadSyscall::CutOff),
        None if must => Err(BadSyscall::NotACall(preview(trimmed))),
        _ if cut && trimmed.starts_with('{') => Err(BadSyscall::CutOff),
        _ => Ok(Syscall::Answer(trimmed.to_owned())),
    }
}

/// Checks an answer that is held to a schema.
///
/// # Errors
/// [`BadSyscall::BadAnswer`] when it is no JSON or does not fit.
pub fn parse_value(text: &str, schema: &Value) -> Result<Value, BadSyscall> {
    let value: Value =
        serde_json::from_str(text.trim()).map_err(|error| BadSyscall::BadAnswer(error.to_string()))?;
    validate(&value, schema).map_err(BadSyscall::BadAnswer)?;
    Ok(value)
}

/// Whether a value fits a schema; the reason when it does not.
///
/// # Errors
/// What does not fit, or why the schema cannot be used.
pub fn validate(value: &Value, schema: &Value) -> Result<(), String> {
    let validator = jsonschema::validator_for(schema).map_err(|error| error.to_string())?;
    validator.validate(value).map_err(|error| format!("at {:?}: {error}", error.instance_path().as_str()))
}

/// The calls in the model's output: all that follow each other with nothing but white space between,
/// at its beginning, in a fence, or behind some words.
fn find_calls(text: &str) -> Vec<Call> {
    let calls_at = |at: usize| {
        let values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.map_while(|value| value.ok().and_then(from_value)).collect::<Vec<_>>()
    };
    let places = text.match_indices('{').take(MAX_CANDIDATES).map(|(at, _)| calls_at(at));
    places.into_iter().find(|calls| !calls.is_empty()).unwrap_or_default()
}

/// How many opening braces of one output are looked at.
const MAX_CANDIDATES: usize = 32;

fn from_value(value: Value) -> Option<Call> {
    let Value::Object(mut map) = value else { return None };
    let tool = map.remove("name")?.as_str()?.to_owned();
    let arguments = map.remove("arguments")?;
    (arguments.is_object() && map.is_empty()).then_some(Call { tool, arguments })
}

fn check(call: Call, tools: &[ToolSpec]) -> Result<Syscall, BadSyscall> {
    let Some(spec) = tools.iter().find(|spec| spec.name == call.tool) else {
        return Err(BadSyscall::NotACall(format!("{} does not exist", call.tool)));
    };
    validate(&call.arguments, &spec.parameters)
        .map_err(|reason| BadSyscall::BadArguments { tool: call.tool.clone(), reason })?;
    let text_of = |key: &str| call.arguments[key].as_str().unwrap_or_default().to_owned();
    let page = || {
        let address: Result<PageId, _> = text_of("page").parse();
        address
            .map_err(|error| BadSyscall::BadArguments { tool: call.tool.clone(), reason: format!("{error}") })
    };
    match call.tool.as_str() {
        SEARCH => Ok(Syscall::Search { query: text_of("query") }),
        READ => page().map(|page| {
            let from = call.arguments["from"].as_u64().unwrap_or(0);
            Syscall::Read { page, from }
        }),
        FIND_TOOLS => Ok(Syscall::FindTools { query: text_of("query") }),
        REMEMBER => Ok(Syscall::Remember { text: text_of("text") }),
        FORGET => page().map(|page| Syscall::Forget { page }),
        _ => Ok(Syscall::Calls(vec![call])),
    }
}

fn preview(text: &str) -> String {
    text.chars().take(60).collect()
}
