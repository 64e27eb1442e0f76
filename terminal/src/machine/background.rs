//! What is done while nobody waits for an answer: what left the window is put into a line each, and
//! pages are prepared to be found by their meaning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Sender, bounded};
use lucid_kernel::abi::{Pid, Swapped};
use lucid_kernel::port::{CancelFlag, Disk, DiskError, Engine};

use super::api::Notice;
use super::core::Msg;
use super::swap::SwapSpace;
use super::{LoadWriter, digest};
use crate::exit::Failure;

/// So many pages are prepared between two looks at whether a turn has begun.
const AT_ONCE: usize = 8;

/// A thread that works between turns. It ends when this is dropped.
pub struct Background {
    wake: Sender<()>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// Set while somebody waits for an answer; another one for each pause.
    busy: CancelFlag,
    /// What left the window and has no line yet.
    undigested: Vec<(Pid, Swapped)>,
}

/// What the thread works with.
pub struct Work {
    /// Where files are found.
    pub disk: Option<Arc<dyn Disk>>,
    /// Where what was said is found.
    pub swap: SwapSpace,
    /// Loads the model that writes lines.
    pub writer: Option<LoadWriter>,
    /// Where lines go.
    pub to: Sender<Msg>,
    /// Where troubles go.
    pub notices: Sender<Notice>,
}

impl Background {
    /// Starts it; it works from the first [`Background::wake`] on.
    pub fn start(work: Work) -> Self {
        // One that waits is enough: it finds all that there is to do.
        let (wake, woken) = bounded(1);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let mut worker = Worker { work, shared: Arc::clone(&shared), writer: None, told: false };
        std::thread::spawn(move || {
            for () in woken {
                worker.work();
            }
        });
        Self { wake, shared }
    }

    /// There may be something to do.
    pub fn wake(&self) {
        // It is full when it was woken already.
        let _ = self.wake.try_send(());
    }

    /// Pages left the window of a conversation.
    pub fn left(&self, pid: Pid, pages: &[Swapped]) {
        lock(&self.shared).undigested.extend(pages.iter().map(|page| (pid, page.clone())));
    }

    /// Whether somebody waits for an answer, for which all is left alone.
    pub fn set_busy(&self, busy: bool) {
        let mut shared = lock(&self.shared);
        if busy {
            shared.busy.cancel();
        } else if shared.busy.is_cancelled() {
            shared.busy = CancelFlag::new();
            self.wake();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Worker {
    work: Work,
    shared: Arc<Mutex<Shared>>,
    writer: Option<Arc<dyn Engine>>,
    /// Whether a trouble was told; once is enough.
    told: bool,
}

impl Worker {
    fn work(&mut self) {
        let busy = lock(&self.shared).busy.clone();
        self.digest(&busy);
        while !busy.is_cancelled() {
            match embed(self.work.disk.as_deref(), &self.work.swap) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.tell(format!("files are found by their words alone: {error}"));
                    break;
                }
            }
        }
    }

    fn tell(&mut self, message: String) {
        if !std::mem::replace(&mut self.told, true) {
            drop(self.work.notices.send(Notice::Failed { message }));
        }
    }

    /// Puts what left the window into lines.
    fn digest(&mut self, busy: &CancelFlag) {
        let pages = std::mem::take(&mut lock(&self.shared).undigested);
        if pages.is_empty() {
            return;
        }
        if let Some(load) = self.work.writer.take() {
            match load() {
                Ok(engine) => self.writer = Some(engine),
                Err(Failure { message, .. }) => {
                    self.tell(format!("what was said is shortened without a model: {message}"));
                }
            }
        }
        let mut lines = Vec::new();
        for (at, (pid, page)) in pages.iter().enumerate() {
            if busy.is_cancelled() {
                lock(&self.shared).undigested.splice(0..0, pages[at..].iter().cloned());
                break;
            }
            let Ok(text) = self.work.swap.text(page.page, page.event) else { continue };
            lines.extend(
                digest::line(page, &text, self.writer.as_deref(), busy).map(|line| (*pid, page.page, line)),
            );
        }
        drop(self.work.to.send(Msg::Digested(lines)));
    }
}

/// Prepares some pages, first those that left the window; says whether any are left.
fn embed(disk: Option<&dyn Disk>, swap: &SwapSpace) -> Result<bool, DiskError> {
    let cancel = CancelFlag::new();
    if swap.embed(AT_ONCE, &cancel)? > 0 {
        return Ok(true);
    }
    let Some(disk) = disk else { return Ok(false) };
    for mount in disk.mounts()? {
        match disk.embed(&mount.root, AT_ONCE, &cancel) {
            // Another lucid does it, or nobody needs it any more.
            Ok(0) | Err(DiskError::Busy { .. } | DiskError::NotMounted { .. }) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
