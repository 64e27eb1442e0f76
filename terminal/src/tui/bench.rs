//! The screen's speed: the real loop, view and terminal output, with keys and notices by a script.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, never, unbounded};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use lucid_kernel::abi::{
    Call, Citation, EffectId, Encoded, EngineInfo, MemoryUse, PageId, Pid, Returned, TurnEnd, TurnReport,
    Usage,
};
use lucid_kernel::port::Delta;
use serde_json::{Value, json};

use super::host::{Answer, Host, Opening, Wish};
use super::screen::Screen;
use super::{Session, Setup};
use crate::exit::Failure;
use crate::machine::Machine;
use crate::machine::api::{Command, Notice};

/// Columns and rows.
const SIZE: (u16, u16) = (200, 60);
/// Pieces of text a second while it streams: each is about a token.
const TOKENS_PER_S: u32 = 200;
/// How long it streams.
const STREAM: Duration = Duration::from_secs(10);
/// How often a key is pressed meanwhile.
const KEY_EVERY: Duration = Duration::from_millis(37);
/// How long nothing happens, to see what that costs.
const IDLE: Duration = Duration::from_secs(5);
/// Tokens of the session whose memory is measured.
const SESSION_TOKENS: usize = 100_000;
const PID: Pid = Pid(1);

/// When each drawing began and ended, and when each input was taken in.
#[derive(Debug, Default)]
pub struct Measured {
    /// The drawings.
    pub frames: Vec<(Instant, Instant)>,
    /// The inputs.
    pub inputs: Vec<Instant>,
}

/// Counts what would be written to the terminal.
struct Counter(Arc<AtomicU64>);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives the one machine that the script speaks for.
struct Script(std::sync::Mutex<Option<Machine>>);

impl Host for Script {
    fn open(&self, _: &Opening) -> Result<Machine, Failure> {
        let machine = self.0.lock().ok().and_then(|mut machine| machine.take());
        machine.ok_or_else(|| Failure::task("there is one machine only"))
    }

    fn carry_out(&self, _: Wish) -> Answer {
        Answer::Failed("nothing can be done here".into())
    }
}

/// Measures with a transcript of so many items.
///
/// # Errors
/// When the loop fails.
pub fn run(setup: Setup, blocks: usize) -> anyhow::Result<Value> {
    let written = Arc::new(AtomicU64::new(0));
    let (notices, heard) = unbounded();
    let (commands, sent) = unbounded::<Command>();
    let (keys, events) = bounded(1024);
    let host = Script(std::sync::Mutex::new(Some(Machine::scripted(commands, heard))));
    let screen = Screen::written_to(Box::new(Counter(Arc::clone(&written))), SIZE.0, SIZE.1)?;
    let mut session = Session::new(Some(screen), Arc::new(host), setup);
    session.measured = Some(Measured::default());
    let script = thread::spawn(move || {
        let keys = Keys { to: keys, sent: Cell::new(0), commands: sent };
        let played = play(&notices, &keys, blocks);
        // One clears the line, the next ones leave.
        for _ in 0..6 {
            keys.send(key(KeyCode::Char('c'), KeyModifiers::CONTROL));
        }
        // Held until the loop has ended.
        (played, keys)
    });
    session.show(&events, &never())?;
    let measured = session.measured.take().unwrap_or_default();
    session.close();
    let (played, _keys) = script.join().map_err(|_| anyhow::anyhow!("the script failed"))?;
    Ok(report(&measured, &played, blocks, written.load(Ordering::Relaxed)))
}

/// The user's side: what is sent is taken in the same order.
struct Keys {
    to: Sender<io::Result<Event>>,
    sent: Cell<usize>,
    /// What the machine is told.
    commands: Receiver<Command>,
}

impl Keys {
    fn send(&self, event: Event) {
        self.sent.set(self.sent.get() + 1);
        let _ = self.to.send(Ok(event));
    }

    fn say(&self, line: &str) {
        self.send(Event::Paste(line.to_owned()));
        self.send(key(KeyCode::Enter, KeyModifiers::NONE));
        // The line is sent before its answer comes.
        while let Ok(command) = self.commands.recv_timeout(Duration::from_secs(2)) {
            if matches!(command, Command::Input { .. }) {
                break;
            }
        }
    }
}

/// When things happened, by the script's clock.
struct Played {
    streamed: (Instant, Instant),
    /// When each key was pressed, and how many events were sent before the first.
    pressed: Vec<Instant>,
    before: usize,
    idle_cpu_ms: Option<f64>,
    rss_before: Option<u64>,
    rss_after: Option<u64>,
}

fn play(notices: &Sender<Notice>, keys: &Keys, blocks: usize) -> Played {
    let tell = |notice: Notice| drop(notices.send(notice));
    tell(ready());
    for at in 0..blocks / 4 {
        turn(&tell, keys, at, &answer(at));
    }
    thread::sleep(Duration::from_secs(1));
    // An answer comes while the user types.
    keys.say("Tell me more.");
    let before = keys.sent.get();
    tell(Notice::Taken { pid: PID, before: 0 });
    let began = Instant::now();
    let (mut pressed, mut next_key, mut tokens) = (Vec::new(), began, 0_u32);
    while began.elapsed() < STREAM {
        let due = (began.elapsed().as_secs_f64() * f64::from(TOKENS_PER_S)) as u32;
        while tokens < due {
            tell(text(WORDS[tokens as usize % WORDS.len()]));
            tokens += 1;
        }
        if Instant::now() >= next_key {
            next_key += KEY_EVERY;
            let which = pressed.len();
            let code = match which % 20 {
                18 => KeyCode::PageUp,
                19 => KeyCode::PageDown,
                _ => KeyCode::Char(char::from(b'a' + (which % 26) as u8)),
            };
            pressed.push(Instant::now());
            keys.send(key(code, KeyModifiers::NONE));
        }
        thread::sleep(Duration::from_micros(500));
    }
    let ended = Instant::now();
    tell(end("It is done."));
    thread::sleep(Duration::from_secs(1));
    let used = cpu_ms();
    thread::sleep(IDLE);
    let idle_cpu_ms = used.zip(cpu_ms()).map(|(before, after)| after - before);
    // A long session: what it leaves in memory.
    let rss_before = rss();
    let mut at = 0;
    let mut said = 0;
    while said < SESSION_TOKENS {
        let answer = answer(at);
        said += answer.len() / 4;
        turn(&tell, keys, at, &answer);
        at += 1;
    }
    thread::sleep(Duration::from_secs(2));
    Played { streamed: (began, ended), pressed, before, idle_cpu_ms, rss_before, rss_after: rss() }
}

const WORDS: [&str; 12] = [
    "The ",
    "window ",
    "holds ",
    "`pages` ",
    "of ",
    "**tokens**",
    ", ",
    "which ",
    "come ",
    "and ",
    "go.\n",
    "\n- one\n",
];

fn answer(at: usize) -> String {
    format!(
        "Answer {at}: a **page** is a span of tokens with `p{at}` as its address.\n\n- one\n- two, which is \
         longer than the others and goes on for a while so that it has to be wrapped somewhere\n\n```rust\nlet \
         page = table.get(PageId({at}))?;\n```\n\n| a | b |\n|---|---|\n| {at} | 한국어 |\n"
    )
}

/// Four items: what was said, a call, an answer, and what it rests on.
fn turn(tell: &dyn Fn(Notice), keys: &Keys, at: usize, answer: &str) {
    keys.say(&format!("Question {at}?"));
    let id = EffectId(at as u64);
    tell(Notice::Taken { pid: PID, before: at as u64 });
    let call = Call { tool: "calc".into(), arguments: json!({ "expression": format!("{at} + 1") }) };
    tell(Notice::Calling { pid: PID, id, call, granted: Vec::new() });
    let value = json!(at + 1);
    let returned = Returned { value, content: Encoded::default(), chars: None, micros: 312 };
    tell(Notice::Returned { pid: PID, id, result: Ok(returned) });
    tell(end(answer));
}

const fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn text(text: &str) -> Notice {
    Notice::Delta { pid: PID, delta: Delta::Text(text.into()) }
}

fn ready() -> Notice {
    Notice::Ready {
        engine: EngineInfo {
            engine: "scripted".into(),
            model: "scripted".into(),
            n_ctx: 32_768,
            architecture: "none".into(),
            prefill_tokens_per_s: None,
            host: None,
            closes_gaps: false,
            slots: 1,
        },
        session: "bench".into(),
        pid: PID,
        tools: Vec::new(),
        load_ms: 0,
    }
}

fn end(answer: &str) -> Notice {
    let citation = Citation { path: "/docs/page.md".into(), lines: (1, 9), page: PageId(7) };
    Notice::Ended {
        pid: PID,
        report: Box::new(TurnReport {
            end: TurnEnd::Answered,
            answer: answer.into(),
            citations: vec![citation],
            calls: Vec::new(),
            usage: Usage { prefilled: 100, reused: 900, decoded: 50, first_token_ms: 100, total_ms: 1_000 },
            resident: 1_000,
            budget: 30_000,
            memory: MemoryUse::default(),
        }),
    }
}

fn report(measured: &Measured, played: &Played, blocks: usize, bytes: u64) -> Value {
    let (from, to) = played.streamed;
    let mut frames: Vec<f64> = measured
        .frames
        .iter()
        .filter(|(began, _)| (from..to).contains(began))
        .map(|(began, ended)| ms(ended.duration_since(*began)))
        .collect();
    let taken = measured.inputs.iter().skip(played.before);
    let mut delays: Vec<f64> = played
        .pressed
        .iter()
        .zip(taken)
        .filter_map(|(pressed, taken)| {
            // The first drawing that began when the key had been taken in shows what it did.
            let frame = measured.frames.iter().find(|(began, _)| began >= taken)?;
            Some(ms(frame.1.duration_since(*pressed)))
        })
        .collect();
    let growth = played.rss_before.zip(played.rss_after);
    json!({
        "bench": "screen",
        "columns": SIZE.0,
        "rows": SIZE.1,
        "blocks": blocks,
        "tokens_per_s": TOKENS_PER_S,
        "frames": frames.len(),
        "frame_ms": quantiles(&mut frames),
        "keys": delays.len(),
        "key_to_screen_ms": quantiles(&mut delays),
        "idle_cpu_percent": played.idle_cpu_ms.map(|cpu| cpu / ms(IDLE) * 100.0),
        "session_tokens": SESSION_TOKENS,
        "session_growth_mib": growth.map(|(before, after)| (after as f64 - before as f64) / 1_048_576.0),
        "rss_mib": played.rss_after.map(|bytes| bytes as f64 / 1_048_576.0),
        "bytes_written": bytes,
    })
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn quantiles(values: &mut [f64]) -> Value {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get(((values.len().max(1) - 1) as f64 * part) as usize).copied();
    json!({ "p50": at(0.5), "p99": at(0.99), "max": values.last() })
}

/// What the program takes of memory, in bytes; known on Linux alone.
fn rss() -> Option<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    pages.split_whitespace().nth(1)?.parse::<u64>().ok().map(|pages| pages * 4096)
}

/// The processor time that it took so far, in milliseconds; known on Linux alone.
fn cpu_ms() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let own: f64 = stat.split_whitespace().next()?.parse().ok()?;
    let mut all = own;
    // That file tells of the first thread alone.
    if let Ok(tasks) = std::fs::read_dir("/proc/self/task") {
        all = tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|stat| stat.split_whitespace().next()?.parse::<f64>().ok())
            .sum();
    }
    Some(all / 1e6)
}
