//! Tests of the screen. The helpers here drive a [`State`] as the loop does, without a terminal.

mod editor;
mod flows;
mod highlight;
mod keymap;
mod keys;
mod markdown;
mod parts;
mod random;
mod screens;
mod sizes;
mod vi;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use lucid_kernel::abi::{
    Call, Citation, Encoded, EngineInfo, FileRange, Label, MemoryUse, PageId, Pid, Provenance, Returned,
    SourcePage, Trust, TurnEnd, TurnReport, Usage,
};
use lucid_kernel::port::{Delta, Mount, MountOptions};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::Setup;
use super::history::History;
use super::host::Opening;
use super::keymap::Keymap;
use super::state::{Action, Msg, State};
use super::view;
use crate::machine::api::{Beginning, Command, Notice, PageRow};

fn setup() -> Setup {
    Setup {
        folder: "/home/ada/project".into(),
        home: Some("/home/ada".into()),
        history_path: "unused".into(),
        offers: Vec::new(),
        offer_mount: false,
        opening: Opening::default(),
        color: true,
        keymap: Keymap::default(),
        vi: false,
        mouse: true,
        panics: false,
        version: "0.1.0".into(),
    }
}

/// A state and all that it asked to be done.
struct Stage {
    state: State,
    actions: Vec<Action>,
}

impl Stage {
    fn new() -> Self {
        Self::with(&setup())
    }

    fn with(setup: &Setup) -> Self {
        Self { state: State::new(setup, History::default()), actions: Vec::new() }
    }

    /// With the model loaded.
    fn ready() -> Self {
        let mut stage = Self::new();
        stage.hear(ready());
        stage
    }

    fn size(mut self, width: u16, height: u16) -> Self {
        self.state.update(Msg::Resize(width, height));
        self
    }

    fn hear(&mut self, notice: Notice) -> &mut Self {
        self.msg(Msg::Notice(Box::new(notice)))
    }

    fn msg(&mut self, msg: Msg) -> &mut Self {
        let actions = self.state.update(msg);
        self.actions.extend(actions);
        self
    }

    fn key(&mut self, key: &str) -> &mut Self {
        self.msg(Msg::Key(parse_key(key)))
    }

    /// Keys as words between blanks; a word that names no key is typed.
    fn keys(&mut self, keys: &str) -> &mut Self {
        for word in keys.split_whitespace() {
            if is_key(word) {
                self.key(word);
            } else {
                word.chars().for_each(|c| {
                    self.msg(Msg::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)));
                });
            }
        }
        self
    }

    fn say(&mut self, line: &str) -> &mut Self {
        self.msg(Msg::Paste(line.into())).key("Enter")
    }

    fn at(&mut self, ms: u64) -> &mut Self {
        self.msg(Msg::Tick(ms))
    }

    /// What was sent to the machine so far, in short.
    fn sent(&self) -> Vec<String> {
        let sent = self.actions.iter().filter_map(|action| match action {
            Action::Send(command) => Some(match command.as_ref() {
                Command::Input { text, .. } => format!("input {text}"),
                Command::Cancel { .. } => "cancel".into(),
                Command::Begin => "begin".into(),
                Command::Background { text, .. } => format!("background {text}"),
                Command::Kill { pid } => format!("kill {pid}"),
                Command::Search { query, .. } => format!("search {query}"),
                Command::Answer { id, allow, .. } => format!("answer {id} {allow}"),
                Command::Mount { path } => format!("mount {path}"),
                Command::Unmount { path } => format!("unmount {path}"),
                Command::ShowPage { page } => format!("page {page}"),
                Command::Pin { page, pinned } => format!("pin {page} {pinned}"),
                Command::Evict { page } => format!("evict {page}"),
                Command::Remember { text } => format!("remember {text}"),
                Command::Forget { page } => format!("forget {page}"),
                Command::Fork => "fork".into(),
                Command::Foreground { pid } => format!("foreground {pid}"),
                Command::Tools => "tools".into(),
                // Asked for at each start.
                Command::Conversations => return None,
                Command::Quit => "quit".into(),
            }),
            _ => None,
        });
        sent.collect()
    }

    fn left(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Leave))
    }

    fn screen(&self) -> String {
        let (width, height) = self.state.size;
        draw(&self.state, width, height)
    }
}

/// The screen as text, one line a row, without blanks at the ends.
fn draw(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(state, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut out = String::new();
    for y in 0..height {
        let mut row = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            row.push_str(symbol);
            x += u16::try_from(super::text::width_of(symbol).max(1)).unwrap();
        }
        out.push_str(row.trim_end());
        out.push('\n');
    }
    out
}

const KEY_NAMES: [(&str, KeyCode); 17] = [
    ("F2", KeyCode::F(2)),
    ("F3", KeyCode::F(3)),
    ("F6", KeyCode::F(6)),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Backspace", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Space", KeyCode::Char(' ')),
];

fn is_key(word: &str) -> bool {
    word.starts_with("Ctrl-") || word.starts_with("Alt-") || KEY_NAMES.iter().any(|(name, _)| *name == word)
}

fn parse_key(word: &str) -> KeyEvent {
    let (word, modifiers) = match (word.strip_prefix("Ctrl-"), word.strip_prefix("Alt-")) {
        (Some(rest), _) => (rest, KeyModifiers::CONTROL),
        (_, Some(rest)) => (rest, KeyModifiers::ALT),
        _ => (word, KeyModifiers::NONE),
    };
    let named = KEY_NAMES.iter().find(|(name, _)| *name == word).map(|(_, code)| *code);
    KeyEvent::new(named.unwrap_or_else(|| KeyCode::Char(word.chars().next().unwrap())), modifiers)
}

fn ready() -> Notice {
    Notice::Ready {
        pid: Pid(1),
        engine: EngineInfo {
            engine: "scripted".into(),
            model: "qwen2.5-coder-1.5b".into(),
            n_ctx: 4096,
            architecture: "qwen2".into(),
            prefill_tokens_per_s: Some(33.0),
            host: None,
            closes_gaps: false,
            slots: 1,
        },
        session: "s1".into(),
        tools: vec!["calc".into(), "files_read".into()],
        load_ms: 2_140,
    }
}

fn taken() -> Notice {
    Notice::Taken { pid: Pid(1), before: 7 }
}

fn retract() -> Notice {
    Notice::Retract { pid: Pid(1) }
}

fn told(rows: Vec<PageRow>) -> Notice {
    Notice::Memory { pid: Pid(1), rows }
}

fn wheel(lines: isize) -> Msg {
    let kind = if lines < 0 { MouseEventKind::ScrollUp } else { MouseEventKind::ScrollDown };
    Msg::Mouse(MouseEvent { kind, column: 1, row: 1, modifiers: KeyModifiers::NONE })
}

fn text(text: &str) -> Notice {
    Notice::Delta { pid: Pid(1), delta: Delta::Text(text.into()) }
}

fn prefill(prefilled: u32, reused: u32) -> Notice {
    Notice::Delta { pid: Pid(1), delta: Delta::Prefill { prefilled, reused } }
}

fn report(answer: &str, end: TurnEnd) -> TurnReport {
    TurnReport {
        end,
        answer: answer.into(),
        citations: Vec::new(),
        calls: Vec::new(),
        usage: Usage { prefilled: 118, reused: 812, decoded: 45, first_token_ms: 900, total_ms: 2_900 },
        resident: 1_204,
        budget: 3_584,
        memory: MemoryUse::default(),
    }
}

fn ended(answer: &str) -> Notice {
    Notice::Ended { pid: Pid(1), report: Box::new(report(answer, TurnEnd::Answered)) }
}

fn citation(path: &str, lines: (u32, u32), page: u64) -> Citation {
    Citation { path: path.into(), lines, page: PageId(page) }
}

fn calc(expression: &str) -> Call {
    Call { tool: "calc".into(), arguments: serde_json::json!({ "expression": expression }) }
}

fn returned(value: serde_json::Value, micros: u64) -> Returned {
    Returned { value, content: Encoded::default(), chars: None, micros }
}

fn mount(root: &str) -> Mount {
    Mount { root: root.into(), options: MountOptions::default(), files: 12, pages: 96, complete: true }
}

fn file(path: &str, lines: (u32, u32)) -> Provenance {
    Provenance::File(FileRange { path: path.into(), lines, bytes: (0, 10) })
}

fn row(page: u64, kind: &str, tokens: u32, resident: bool, provenance: Provenance, preview: &str) -> PageRow {
    PageRow {
        page: PageId(page),
        kind: kind.into(),
        tokens,
        resident,
        pinned: false,
        turn: 1,
        provenance,
        preview: preview.into(),
        shared_with: Vec::new(),
    }
}

fn memory() -> Vec<PageRow> {
    vec![
        row(0, "boot", 312, true, Provenance::System, "You are Lucid. Answer from the pages."),
        row(
            7,
            "file",
            480,
            true,
            file("/home/ada/project/docs/src/x.md", (10, 24)),
            "# The window A page is",
        ),
        row(8, "turn", 14, true, Provenance::User, "What is a page?"),
        row(9, "turn", 61, true, Provenance::Model, "A page is an immutable span of tokens"),
        row(5, "result", 1_204, false, Provenance::Tool { tool: "search".into() }, "[{\"path\": \"a.md\"}]"),
    ]
}

fn source_page(text: &str, provenance: Provenance) -> SourcePage {
    SourcePage {
        id: PageId(7),
        content: Encoded::default(),
        provenance,
        label: Label::public(Trust::File),
        text: text.into(),
        score: 0.0,
    }
}
