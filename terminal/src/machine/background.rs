//! What is done while nobody waits for an answer: pages are prepared to be found by their meaning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded};
use lucid_kernel::port::{CancelFlag, Disk, DiskError};

use super::api::Notice;
use super::swap::SwapSpace;

/// So many pages are prepared between two looks at whether a turn has begun.
const AT_ONCE: usize = 8;

/// A thread that works between turns. It ends when this is dropped.
pub struct Background {
    wake: Sender<()>,
    busy: Arc<AtomicBool>,
}

impl Background {
    /// Starts it; it works from the first [`Background::wake`] on.
    pub fn start(disk: Option<Arc<dyn Disk>>, swap: SwapSpace, notices: Sender<Notice>) -> Self {
        // One that waits is enough: it finds all that there is to do.
        let (wake, woken) = bounded(1);
        let busy = Arc::new(AtomicBool::new(false));
        let is_busy = Arc::clone(&busy);
        std::thread::spawn(move || {
            let mut told = false;
            for () in woken {
                while !is_busy.load(Ordering::Relaxed) {
                    match embed(disk.as_deref(), &swap) {
                        Ok(true) => {}
                        Ok(false) => break,
                        Err(error) => {
                            if !std::mem::replace(&mut told, true) {
                                let message = format!("files are found by their words alone: {error}");
                                drop(notices.send(Notice::Failed { message }));
                            }
                            break;
                        }
                    }
                }
            }
        });
        Self { wake, busy }
    }

    /// There may be something to do.
    pub fn wake(&self) {
        // It is full when it was woken already.
        let _ = self.wake.try_send(());
    }

    /// Whether somebody waits for an answer, for which all is left alone.
    pub fn set_busy(&self, busy: bool) {
        self.busy.store(busy, Ordering::Relaxed);
        if !busy {
            self.wake();
        }
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
