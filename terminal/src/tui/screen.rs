//! The terminal itself: taken over at the start, given back at the end, on a panic too.

use std::fmt;
use std::io::{self, BufWriter, Write, stdout};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use crossterm::clipboard::CopyToClipboard;
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, Event};
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{Command, cursor, event, execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};

/// Events that may wait to be looked at; the terminal holds back what comes beyond.
const MAX_WAITING_EVENTS: usize = 256;
/// Panics of other threads that may wait to be shown.
const MAX_WAITING_PANICS: usize = 8;
/// How often the reading thread looks whether it should end.
const READ_POLL: Duration = Duration::from_millis(200);
/// How long the reading thread may take to end.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// The most bytes of a frame that are held back.
const FRAME_BYTES: usize = 256 * 1024;

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Sync + Send + 'static>;

/// The terminal, in raw mode and on its alternate screen while this lives.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Box<dyn Write>>>,
    /// Its size, where it is no real terminal that would have to be given back.
    fixed: Option<(u16, u16)>,
    /// Whether the mouse is listened to.
    mouse: bool,
    /// Panics of other threads, which must not write over the screen.
    pub panics: Receiver<String>,
    previous: Option<Arc<Hook>>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When standard input or output is no terminal.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let (sender, panics) = bounded(MAX_WAITING_PANICS);
        take_over(mouse)?;
        let previous = hook_panics(sender);
        // A frame is written as a whole, so that nobody sees half of it.
        let out: Box<dyn Write> = Box::new(BufWriter::with_capacity(FRAME_BYTES, stdout()));
        let terminal = Terminal::new(CrosstermBackend::new(out)).inspect_err(|_| give_back())?;
        Ok(Self { terminal, fixed: None, mouse, panics, previous: Some(previous) })
    }

    /// A screen of a fixed size that is written elsewhere.
    ///
    /// # Errors
    /// None that can be met.
    pub fn written_to(out: Box<dyn Write>, width: u16, height: u16) -> io::Result<Self> {
        let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, width, height)) };
        let terminal = Terminal::with_options(CrosstermBackend::new(out), options)?;
        Ok(Self {
            terminal,
            fixed: Some((width, height)),
            mouse: false,
            panics: crossbeam_channel::never(),
            previous: None,
        })
    }

    /// Its columns and rows.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        match self.fixed {
            Some(size) => Ok(size),
            None => self.terminal.size().map(|size| (size.width, size.height)),
        }
    }

    /// Draws a frame, which terminals that can show at once.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), terminal::BeginSynchronizedUpdate)?;
        self.terminal.draw(view)?;
        execute!(self.terminal.backend_mut(), terminal::EndSynchronizedUpdate)
    }

    /// Draws all anew next time.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn clear(&mut self) -> io::Result<()> {
        self.terminal.clear()
    }

    /// Lets the terminal ring, or show that something wants to be seen.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn ring(&mut self) -> io::Result<()> {
        let out = self.terminal.backend_mut();
        out.write_all(b"\x07")?;
        out.flush()
    }

    /// Puts a text onto the clipboard of the terminal, over SSH too (OSC 52).
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Hands the terminal to the shell that started us, until it wakes us again.
    ///
    /// # Errors
    /// When the terminal cannot be taken over again.
    pub fn suspend(&mut self) -> io::Result<()> {
        #[cfg(unix)]
        {
            give_back();
            signal_hook::low_level::raise(signal_hook::consts::SIGTSTP)?;
            self.resume()?;
        }
        Ok(())
    }

    /// Takes the terminal over again and draws all anew.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn resume(&mut self) -> io::Result<()> {
        take_over(self.mouse)?;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.fixed.is_some() {
            return;
        }
        give_back();
        // The hook cannot be changed while its thread panics, and the process is ending then.
        if let Some(previous) = self.previous.take().filter(|_| !thread::panicking()) {
            panic::set_hook(Box::new(move |info| previous(info)));
        }
    }
}

/// Wheel, buttons and what is dragged: crossterm's own command would report every move of the mouse too.
struct EnableButtons;

impl Command for EnableButtons {
    fn write_ansi(&self, f: &mut impl fmt::Write) -> fmt::Result {
        f.write_str("\x1b[?1002h\x1b[?1006h")
    }

    #[cfg(windows)]
    fn execute_winapi(&self) -> io::Result<()> {
        event::EnableMouseCapture.execute_winapi()
    }
}

fn take_over(mouse: bool) -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste).inspect_err(|_| give_back())?;
    if mouse {
        execute!(stdout(), EnableButtons).inspect_err(|_| give_back())?;
    }
    Ok(())
}

/// Errors are not looked at: the terminal may be gone, and there is nowhere left to say so.
fn give_back() {
    let _ =
        execute!(stdout(), DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
}

/// A panic of this thread gives the terminal back before its message is written; the message
/// of another thread's panic goes to the screen's own loop.
fn hook_panics(sender: Sender<String>) -> Arc<Hook> {
    let previous: Arc<Hook> = Arc::new(panic::take_hook());
    let screen_thread = thread::current().id();
    let before = Arc::clone(&previous);
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == screen_thread {
            give_back();
            before(info);
        } else {
            // Full means that enough was said.
            let _ = sender.try_send(info.to_string());
        }
    }));
    previous
}

/// The thread that reads the terminal.
pub struct Reader {
    /// What was read; an error is the last item.
    pub events: Receiver<io::Result<Event>>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    /// Starts to read.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start() -> io::Result<Self> {
        let (sender, events) = bounded(MAX_WAITING_EVENTS);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        thread::Builder::new().name("terminal".into()).spawn(move || read(&sender, &seen))?;
        Ok(Self { events, stop })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The thread lets go of the channel when it ends. It never does where the terminal has
        // vanished: crossterm 0.29 then reads its end for ever. The process ends without it.
        let until = Instant::now() + STOP_TIMEOUT;
        while !matches!(self.events.recv_deadline(until), Err(RecvTimeoutError::Disconnected)) {
            if Instant::now() >= until {
                return;
            }
        }
    }
}

fn read(sender: &Sender<io::Result<Event>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let event = match event::poll(READ_POLL) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let failed = event.is_err();
        if sender.send(event).is_err() || failed {
            return;
        }
    }
}

/// A wish from outside the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End, with the exit code that a shell expects after this signal.
    End(u8),
    /// The process was stopped and goes on: the terminal may look different.
    Continued,
}

/// Signals that end the process or wake it. Where there are none, nothing ever comes.
///
/// # Errors
/// When they cannot be listened to.
pub fn signals() -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = bounded(4);
    #[cfg(unix)]
    {
        use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};
        let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM, SIGCONT])?;
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let wish = match signal {
                    SIGCONT => Signal::Continued,
                    // 128 and the signal's number, as shells have it.
                    other => Signal::End(u8::try_from(other).unwrap_or(0) | 128),
                };
                // The screen is gone: the signal does what it does to any program.
                if sender.send(wish).is_err() && signal != SIGCONT {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
            }
        })?;
    }
    #[cfg(not(unix))]
    drop(sender);
    Ok(receiver)
}
