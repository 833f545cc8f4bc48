//! Who works on which tile: many threads take tiles in order, one thread writes them in the same order, and nobody runs
//! far ahead of the writer, which bounds the memory.
//!
//! `tests/turns.rs` runs through every interleaving of a few threads, with `sync` from a model checker.

use super::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering};

/// The state that workers and the writer share.
pub struct Turns {
    tiles: usize,
    ahead: usize,
    next: AtomicUsize,
    written: Mutex<usize>,
    moved: Condvar,
    stop: AtomicBool,
}

impl Turns {
    /// For `tiles` tiles of which those that are not yet written are at most `ahead` (at least one).
    pub fn new(tiles: usize, ahead: usize) -> Self {
        Turns {
            tiles,
            ahead: ahead.max(1),
            next: AtomicUsize::new(0),
            written: Mutex::new(0),
            moved: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    /// The next tile of a worker, once the writer is near; `None` when all are taken or the run ends.
    pub fn take(&self) -> Option<usize> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.tiles {
            return None;
        }
        let mut written = self.lock();
        while index >= *written + self.ahead && !self.stop.load(Ordering::Relaxed) {
            written = self.moved.wait(written).unwrap_or_else(|e| e.into_inner());
        }
        (!self.stop.load(Ordering::Relaxed)).then_some(index)
    }

    /// The writer is done with one more tile.
    pub fn wrote(&self) {
        *self.lock() += 1;
        self.moved.notify_all();
    }

    /// Ends the run: nobody gets or waits for a tile any more.
    pub fn stop(&self) {
        // With the lock held, so that nobody goes to sleep between a look at the flag and the wake-up.
        let written = self.lock();
        self.stop.store(true, Ordering::Relaxed);
        drop(written);
        self.moved.notify_all();
    }

    /// Set when the run ends; workers look at it within a tile.
    pub fn stopping(&self) -> &AtomicBool {
        &self.stop
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.written.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Ends the run when the thread that holds it panics: its tile will never be written, and others would wait for that.
pub struct EndsOnPanic<'a>(pub &'a Turns);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}
