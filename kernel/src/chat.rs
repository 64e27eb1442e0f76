//! Chat formats: how a model frames who speaks, found by rendering its own template.
//!
//! The template is rendered on probe conversations whose contents are marks that occur
//! nowhere else; what stands between the marks is the framing. The framing found must
//! rebuild the full rendering of other probes exactly, else a named built-in is used.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::abi::{Encoded, Role, TokenCount};
use crate::port::ChatTemplate;

/// What stands before and after the content of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Span<T> {
    /// Before.
    pub prefix: T,
    /// After.
    pub suffix: T,
}

impl Span<Encoded> {
    /// Tokens of the framing.
    pub fn cost(&self) -> TokenCount {
        self.prefix.count().saturating_add(self.suffix.count())
    }
}

/// The framing of every role, as text (`T` = `String`) or as text with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Framing<T> {
    /// Instructions; always the first message, so its prefix holds the begin-of-text token.
    pub system: Span<T>,
    /// The user.
    pub user: Span<T>,
    /// The model, in turns that are over.
    pub assistant: Span<T>,
    /// A tool's result.
    pub tool: Span<T>,
    /// What opens the answer that is to be decoded.
    pub generate: T,
}

/// Framing as tokens.
pub type ChatTokens = Framing<Encoded>;

impl<T> Framing<T> {
    /// The framing of one role.
    pub const fn span(&self, role: Role) -> &Span<T> {
        match role {
            Role::System => &self.system,
            Role::User => &self.user,
            Role::Assistant => &self.assistant,
            Role::Tool => &self.tool,
        }
    }
}

impl Framing<String> {
    /// Turns the framing into tokens. Special tokens in it must become tokens.
    ///
    /// # Errors
    /// Those of `encode`.
    pub fn encode<E>(&self, mut encode: impl FnMut(&str) -> Result<Encoded, E>) -> Result<ChatTokens, E> {
        let mut span = |from: &Span<String>| -> Result<Span<Encoded>, E> {
            Ok(Span { prefix: encode(&from.prefix)?, suffix: encode(&from.suffix)? })
        };
        Ok(Framing {
            system: span(&self.system)?,
            user: span(&self.user)?,
            assistant: span(&self.assistant)?,
            tool: span(&self.tool)?,
            generate: encode(&self.generate)?,
        })
    }

    fn compose(&self, messages: &[(Role, &str)], generate: bool) -> String {
        let mut out = String::new();
        for (role, content) in messages {
            let span = self.span(*role);
            out.push_str(&span.prefix);
            out.push_str(content);
            out.push_str(&span.suffix);
        }
        if generate {
            out.push_str(&self.generate);
        }
        out
    }
}

/// Where a framing came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatSource {
    /// The model's own template.
    Template,
    /// A built-in format, and why the template was not used.
    Builtin {
        /// The format's name.
        name: String,
        /// Why.
        reason: String,
    },
}

/// A model's chat format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatFormat {
    /// The framing.
    pub framing: Framing<String>,
    /// Where it came from.
    pub source: FormatSource,
}

impl ChatFormat {
    /// Finds the format of a model from its template.
    pub fn probe(template: &ChatTemplate) -> Self {
        let found = match &template.source {
            None => Err("the model file has no chat template".to_owned()),
            Some(source) => Renderer::new(source, template).and_then(|renderer| find(&renderer)),
        };
        match found {
            Ok(framing) => Self { framing, source: FormatSource::Template },
            Err(reason) => {
                Self { framing: chatml(), source: FormatSource::Builtin { name: "chatml".into(), reason } }
            }
        }
    }
}

/// ChatML, the format of most small models that carry no template.
/// Source: <https://github.com/openai/openai-python/blob/release-v0.28.0/chatml.md>.
pub fn chatml() -> Framing<String> {
    let span =
        |role: &str| Span { prefix: format!("<|im_start|>{role}\n"), suffix: "<|im_end|>\n".to_owned() };
    Framing {
        system: span("system"),
        user: span("user"),
        assistant: span("assistant"),
        tool: Span {
            prefix: "<|im_start|>user\n<tool_response>\n".to_owned(),
            suffix: "\n</tool_response><|im_end|>\n".to_owned(),
        },
        generate: "<|im_start|>assistant\n".to_owned(),
    }
}

/// The longest template that is read, in bytes.
const MAX_TEMPLATE_BYTES: usize = 256 * 1024;

/// How much work a template may do, in minijinja's own units of about one instruction.
const MAX_TEMPLATE_FUEL: u64 = 2_000_000;

const SYSTEM: &str = "Q1systemQ1";
const USER: &str = "Q2userQ2";
const ANSWER: &str = "Q3answerQ3";
const AGAIN: &str = "Q4againQ4";
const LAST: &str = "Q5lastQ5";

struct Renderer<'a> {
    env: minijinja::Environment<'a>,
    template: &'a ChatTemplate,
}

impl<'a> Renderer<'a> {
    fn new(source: &'a str, template: &'a ChatTemplate) -> Result<Self, String> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(format!("its chat template has more than {MAX_TEMPLATE_BYTES} bytes"));
        }
        let mut env = minijinja::Environment::new();
        env.set_trim_blocks(true);
        env.set_lstrip_blocks(true);
        env.set_fuel(Some(MAX_TEMPLATE_FUEL));
        env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        env.add_function("raise_exception", |message: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, message))
        });
        // A constant date: the layout's front must be the same tomorrow.
        env.add_function("strftime_now", |_format: String| "1 January 2026".to_owned());
        env.add_template("chat", source).map_err(|error| format!("its chat template: {error}"))?;
        Ok(Self { env, template })
    }

    fn render(&self, messages: &[(Role, &str)], generate: bool) -> Result<String, String> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|(role, content)| json!({ "role": role_name(*role), "content": content }))
            .collect();
        let values = json!({
            "messages": messages,
            "add_generation_prompt": generate,
            "bos_token": self.template.bos,
            "eos_token": self.template.eos,
        });
        self.env
            .get_template("chat")
            .and_then(|template| template.render(values))
            .map_err(|error| format!("its chat template: {error}"))
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn find(renderer: &Renderer<'_>) -> Result<Framing<String>, String> {
    let one = renderer.render(&[(Role::System, SYSTEM), (Role::User, USER)], false)?;
    let open = renderer.render(&[(Role::System, SYSTEM), (Role::User, USER)], true)?;
    let two = renderer.render(
        &[
            (Role::System, SYSTEM),
            (Role::User, USER),
            (Role::Assistant, ANSWER),
            (Role::User, AGAIN),
            (Role::Assistant, LAST),
        ],
        false,
    )?;
    let user_suffix = after(&one, USER)?;
    let generate = strip_front(after(&open, USER)?, user_suffix)?;
    let assistant_prefix = strip_front(between(&two, USER, ANSWER)?, user_suffix)?;
    let assistant_suffix = after(&two, LAST)?;
    let user_prefix = strip_front(between(&two, ANSWER, AGAIN)?, assistant_suffix)?;
    let system_suffix = strip_back(between(&two, SYSTEM, USER)?, user_prefix)?;
    let mut framing = Framing {
        system: span(before(&two, SYSTEM)?, system_suffix),
        user: span(user_prefix, user_suffix),
        assistant: span(assistant_prefix, assistant_suffix),
        tool: Span::default(),
        generate: generate.to_owned(),
    };
    framing.tool = tool_span(renderer, &framing).unwrap_or_else(|| plain_tool(&framing));
    verify(renderer, &framing)?;
    Ok(framing)
}

fn span(prefix: &str, suffix: &str) -> Span<String> {
    Span { prefix: prefix.to_owned(), suffix: suffix.to_owned() }
}

fn tool_span(renderer: &Renderer<'_>, framing: &Framing<String>) -> Option<Span<String>> {
    let text = renderer
        .render(
            &[
                (Role::System, SYSTEM),
                (Role::User, USER),
                (Role::Assistant, ANSWER),
                (Role::Tool, AGAIN),
                (Role::Assistant, LAST),
            ],
            false,
        )
        .ok()?;
    let prefix = strip_front(between(&text, ANSWER, AGAIN).ok()?, &framing.assistant.suffix).ok()?;
    let suffix = strip_back(between(&text, AGAIN, LAST).ok()?, &framing.assistant.prefix).ok()?;
    Some(span(prefix, suffix))
}

/// A model whose template knows no tools reads a result as something the user shows it.
fn plain_tool(framing: &Framing<String>) -> Span<String> {
    Span {
        prefix: format!("{}Result of the tool:\n", framing.user.prefix),
        suffix: framing.user.suffix.clone(),
    }
}

fn verify(renderer: &Renderer<'_>, framing: &Framing<String>) -> Result<(), String> {
    let long = [
        (Role::System, "You help."),
        (Role::User, "First line.\n\nSecond line, 1 + 1 = 2."),
        (Role::Assistant, "Yes: {\"a\": 1}"),
        (Role::User, "And now?"),
    ];
    let done = [(Role::System, "S"), (Role::User, "Ü 한국어"), (Role::Assistant, "fine.")];
    for (messages, generate) in [(&long[..], true), (&done[..], false)] {
        if renderer.render(messages, generate)? != framing.compose(messages, generate) {
            return Err("its chat template frames messages by more than their role".to_owned());
        }
    }
    Ok(())
}

fn before<'t>(text: &'t str, mark: &str) -> Result<&'t str, String> {
    text.split_once(mark).map(|(left, _)| left).ok_or_else(|| lost(mark))
}

fn after<'t>(text: &'t str, mark: &str) -> Result<&'t str, String> {
    text.rsplit_once(mark).map(|(_, right)| right).ok_or_else(|| lost(mark))
}

fn between<'t>(text: &'t str, left: &str, right: &str) -> Result<&'t str, String> {
    before(after(text, left)?, right)
}

fn strip_front<'t>(text: &'t str, front: &str) -> Result<&'t str, String> {
    text.strip_prefix(front).ok_or_else(|| "its chat template frames the same role in two ways".to_owned())
}

fn strip_back<'t>(text: &'t str, back: &str) -> Result<&'t str, String> {
    text.strip_suffix(back).ok_or_else(|| "its chat template frames the same role in two ways".to_owned())
}

fn lost(mark: &str) -> String {
    let what = match mark {
        SYSTEM => "instructions",
        USER | AGAIN => "what the user says",
        _ => "what the model says",
    };
    format!("its chat template leaves out {what}")
}
