//! An engine that answers by a script: the same in every run, for tests of all that stands
//! above an engine.
//!
//! Its tokens are pieces of at most three bytes, so that counts are near those of real
//! models and every text comes back as it was; the special tokens of ChatML are tokens.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lucid_kernel::abi::{Decoded, EngineInfo, StopReason, Token, TokenCount, Usage};
use lucid_kernel::port::{CancelFlag, ChatTemplate, DecodeRequest, Delta, Engine, EngineError};
use lucid_model::grammar::compile;
use lucid_model::llguidance::toktrie::ApproximateTokEnv;
use lucid_model::llguidance::{Matcher, ParserFactory};
use lucid_model::request::{count, millis};
use lucid_model::text::TextStream;

/// The texts of the special tokens, in the order of their ids.
const SPECIAL: [&str; 6] =
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", "<|vision_pad|>"];
/// Tokens that end an answer.
const STOP: [&str; 2] = ["<|im_end|>", "<|endoftext|>"];
/// Ids of special tokens begin here.
const FIRST_SPECIAL: Token = 0xff00_0000;
/// Bytes of one ordinary token, at most.
const PIECE_BYTES: usize = 3;
/// The window when nothing else is said.
const DEFAULT_WINDOW: TokenCount = 4096;
/// How much of a prompt an error shows, in bytes.
const SHOWN_BYTES: usize = 300;
/// How often a pause looks at the cancel flag.
const CANCEL_POLL: Duration = Duration::from_millis(5);

/// ChatML, written out by hand.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// What a prompt must be for an exchange to be its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Anything,
    /// It contains this text.
    Contains(String),
    /// It ends in this text.
    EndsWith(String),
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What the prompt must be.
    pub expect: Expect,
    /// What is answered. It ends at a stop token, if it holds one.
    pub reply: String,
}

impl Exchange {
    /// Answers any prompt with this text.
    pub fn any(reply: impl Into<String>) -> Self {
        Self { expect: Expect::Anything, reply: reply.into() }
    }

    /// Answers a prompt that contains `part`.
    pub fn containing(part: impl Into<String>, reply: impl Into<String>) -> Self {
        Self { expect: Expect::Contains(part.into()), reply: reply.into() }
    }
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// For each prompt token that is not reused.
    pub prefill_per_token: Duration,
    /// For each token of the answer.
    pub decode_per_token: Duration,
}

type Answer = Box<dyn FnMut(&str, &DecodeRequest) -> Result<String, EngineError> + Send>;

/// An engine that answers by a script.
pub struct Scripted {
    state: Mutex<State>,
    window: TokenCount,
    pace: Pace,
    grammars: Option<ParserFactory>,
}

struct State {
    answer: Answer,
    /// Finished sequences, as a prefix cache would hold them.
    seen: Vec<Vec<Token>>,
}

impl Scripted {
    /// Answers with these exchanges, one for each `decode`, in order. A prompt that is not
    /// what its exchange expects, or one too many, is an [`EngineError::Failed`].
    pub fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let mut exchanges = exchanges.into_iter().collect::<Vec<_>>().into_iter().enumerate();
        Self::with(move |prompt, _| {
            let Some((index, exchange)) = exchanges.next() else {
                return Err(EngineError::Failed(format!(
                    "the script is at its end; the prompt ends in {:?}",
                    tail(prompt)
                )));
            };
            let fits = match &exchange.expect {
                Expect::Anything => true,
                Expect::Contains(part) => prompt.contains(part.as_str()),
                Expect::EndsWith(part) => prompt.ends_with(part.as_str()),
            };
            if fits {
                return Ok(exchange.reply);
            }
            Err(EngineError::Failed(format!(
                "exchange {index} of the script expects {:?}; the prompt ends in {:?}",
                exchange.expect,
                tail(prompt)
            )))
        })
    }

    /// Answers with what the closure gives for the prompt's text and the request.
    pub fn with(
        answer: impl FnMut(&str, &DecodeRequest) -> Result<String, EngineError> + Send + 'static,
    ) -> Self {
        Self {
            state: Mutex::new(State { answer: Box::new(answer), seen: Vec::new() }),
            window: DEFAULT_WINDOW,
            pace: Pace::default(),
            grammars: ParserFactory::new_simple(&ApproximateTokEnv::single_byte_env()).ok(),
        }
    }

    /// The same with another window, in tokens.
    #[must_use]
    pub fn window(mut self, tokens: TokenCount) -> Self {
        self.window = tokens;
        self
    }

    /// The same, taking time.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    fn matcher(&self, request: &DecodeRequest) -> Result<Option<Matcher>, EngineError> {
        let Some(grammar) = &request.grammar else { return Ok(None) };
        let factory = self
            .grammars
            .as_ref()
            .ok_or_else(|| EngineError::Grammar("grammars are not available".into()))?;
        compile(factory, grammar).map(Some)
    }

    fn prompt(&self, request: &DecodeRequest) -> Result<Vec<Token>, EngineError> {
        let prompt: Vec<Token> =
            request.layout.iter().flat_map(|segment| segment.tokens.iter().copied()).collect();
        if prompt.is_empty() {
            return Err(EngineError::Failed("the prompt is empty; give at least one token".into()));
        }
        let all = count(prompt.len()).saturating_add(request.max_tokens);
        if all > self.window {
            return Err(EngineError::WindowFull { prompt: all, window: self.window });
        }
        Ok(prompt)
    }

    /// Writes the reply token by token.
    fn write(
        &self,
        reply: &[Token],
        request: &DecodeRequest,
        mut matcher: Option<Matcher>,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Written, EngineError> {
        let mut written = Written::default();
        let mut stream = TextStream::default();
        let begun = Instant::now();
        written.stop = loop {
            if written.tokens.len() >= request.max_tokens as usize {
                break StopReason::Limit;
            }
            if !pause(self.pace.decode_per_token, cancel) {
                break StopReason::Cancelled;
            }
            let Some(token) = reply.get(written.tokens.len()).filter(|token| !is_stop(**token)) else {
                break StopReason::Stop;
            };
            let bytes = bytes_of(*token);
            obey(&mut matcher, &bytes, &written.text)?;
            written.first.get_or_insert_with(|| begun.elapsed());
            written.tokens.push(*token);
            written.show(stream.push(&bytes), on_delta);
        };
        written.show(stream.finish(), on_delta);
        let complete = matcher.is_none_or(|mut matcher| matcher.is_accepting().unwrap_or(false));
        if written.stop == StopReason::Stop && !complete {
            return Err(EngineError::Failed(format!(
                "the script's reply {:?} ends before its grammar does",
                written.text
            )));
        }
        Ok(written)
    }
}

impl Engine for Scripted {
    fn info(&self) -> EngineInfo {
        let rate = self.pace.prefill_per_token.as_secs_f32();
        EngineInfo {
            engine: "scripted".into(),
            model: "scripted".into(),
            n_ctx: self.window,
            architecture: "scripted".into(),
            prefill_tokens_per_s: (rate > 0.0).then(|| rate.recip()),
            host: None,
            closes_gaps: false,
            slots: 1,
        }
    }

    fn chat_template(&self) -> ChatTemplate {
        ChatTemplate { source: Some(CHATML.into()), bos: String::new(), eos: "<|im_end|>".into() }
    }

    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<Token>, EngineError> {
        let mut tokens = Vec::with_capacity(text.len() / 2);
        let mut rest = text;
        while !rest.is_empty() {
            let next = if special { first_special(rest) } else { None };
            let (plain, token) = match next {
                Some((at, id)) => (at, Some(id)),
                None => (rest.len(), None),
            };
            split(&rest.as_bytes()[..plain], &mut tokens);
            rest = &rest[plain..];
            if let Some(id) = token {
                tokens.push(FIRST_SPECIAL + count(id));
                rest = &rest[SPECIAL[id].len()..];
            }
        }
        Ok(tokens)
    }

    fn detokenize(&self, tokens: &[Token]) -> Result<String, EngineError> {
        let mut bytes = Vec::with_capacity(tokens.len() * PIECE_BYTES);
        for token in tokens {
            let piece = bytes_of(*token);
            if piece.is_empty() {
                return Err(EngineError::Failed(format!("token {token} is not in the scripted vocabulary")));
            }
            bytes.extend(piece);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn decode(
        &self,
        request: &DecodeRequest,
        cancel: &CancelFlag,
        on_delta: &mut dyn FnMut(Delta),
    ) -> Result<Decoded, EngineError> {
        let started = Instant::now();
        let prompt = self.prompt(request)?;
        let matcher = self.matcher(request)?;
        let text = self.detokenize(&prompt)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let reused = reused(&state.seen, &prompt);
        let prefilled = prompt.len() - reused;
        on_delta(Delta::Prefill { prefilled: count(prefilled), reused: count(reused) });
        let wait = self.pace.prefill_per_token.saturating_mul(count(prefilled));
        let written = if pause(wait, cancel) {
            let reply = (state.answer)(&text, request)?;
            self.write(&self.tokenize(&reply, true)?, request, matcher, cancel, on_delta)?
        } else {
            Written { stop: StopReason::Cancelled, ..Written::default() }
        };
        state.seen.push(prompt.into_iter().chain(written.tokens.iter().copied()).collect());
        let total = started.elapsed();
        Ok(Decoded {
            usage: Usage {
                prefilled: count(prefilled),
                reused: count(reused),
                decoded: count(written.tokens.len()),
                first_token_ms: millis(written.first.map_or(total, |first| wait + first)),
                total_ms: millis(total),
            },
            tokens: written.tokens.into(),
            text: written.text.into(),
            stop: written.stop,
        })
    }
}

/// What was written so far.
struct Written {
    tokens: Vec<Token>,
    text: String,
    stop: StopReason,
    first: Option<Duration>,
}

impl Default for Written {
    fn default() -> Self {
        Self { tokens: Vec::new(), text: String::new(), stop: StopReason::Stop, first: None }
    }
}

impl Written {
    fn show(&mut self, text: String, on_delta: &mut dyn FnMut(Delta)) {
        if !text.is_empty() {
            self.text.push_str(&text);
            on_delta(Delta::Text(text));
        }
    }
}

/// Sleeps; false when it was cancelled meanwhile.
fn pause(length: Duration, cancel: &CancelFlag) -> bool {
    let until = Instant::now() + length;
    loop {
        if cancel.is_cancelled() {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(CANCEL_POLL));
    }
}

/// Holds a piece of the reply against the grammar.
fn obey(matcher: &mut Option<Matcher>, bytes: &[u8], before: &str) -> Result<(), EngineError> {
    let Some(matcher) = matcher else { return Ok(()) };
    let tokens: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte)).collect();
    if !matcher.is_stopped() && matcher.consume_tokens(&tokens).is_ok() {
        return Ok(());
    }
    Err(EngineError::Failed(format!(
        "the script's reply does not obey its grammar: {:?} may not follow {before:?}",
        String::from_utf8_lossy(bytes)
    )))
}

/// The longest prefix that a finished sequence shares. As in mistralrs, a prompt that lies
/// wholly inside one is not reused.
fn reused(seen: &[Vec<Token>], prompt: &[Token]) -> usize {
    let shared = |sequence: &Vec<Token>| sequence.iter().zip(prompt).take_while(|(a, b)| a == b).count();
    let longest = seen.iter().map(shared).max().unwrap_or(0);
    if longest == prompt.len() { 0 } else { longest }
}

/// Cuts bytes into ordinary tokens; a new word begins a new token.
fn split(bytes: &[u8], tokens: &mut Vec<Token>) {
    let mut piece: Vec<u8> = Vec::with_capacity(PIECE_BYTES);
    for byte in bytes {
        if piece.len() == PIECE_BYTES || (*byte == b' ' && !piece.is_empty()) {
            tokens.push(join(&piece));
            piece.clear();
        }
        piece.push(*byte);
    }
    if !piece.is_empty() {
        tokens.push(join(&piece));
    }
}

/// A token's id: how many bytes it has, then the bytes.
fn join(piece: &[u8]) -> Token {
    piece.iter().fold(count(piece.len()), |id, byte| (id << 8) | Token::from(*byte))
        << (8 * (PIECE_BYTES - piece.len()))
}

/// The bytes of a token; none when there is no such token.
fn bytes_of(token: Token) -> Vec<u8> {
    if token >= FIRST_SPECIAL {
        return SPECIAL
            .get((token - FIRST_SPECIAL) as usize)
            .map(|text| text.as_bytes().to_vec())
            .unwrap_or_default();
    }
    let [length, piece @ ..] = token.to_be_bytes();
    match usize::from(length) {
        length @ 1..=PIECE_BYTES => piece[..length].to_vec(),
        _ => Vec::new(),
    }
}

fn first_special(text: &str) -> Option<(usize, usize)> {
    (0..SPECIAL.len()).filter_map(|id| text.find(SPECIAL[id]).map(|at| (at, id))).min()
}

fn is_stop(token: Token) -> bool {
    token >= FIRST_SPECIAL
        && SPECIAL.get((token - FIRST_SPECIAL) as usize).is_some_and(|text| STOP.contains(text))
}

fn tail(prompt: &str) -> &str {
    let mut from = prompt.len().saturating_sub(SHOWN_BYTES);
    while !prompt.is_char_boundary(from) {
        from += 1;
    }
    &prompt[from..]
}
