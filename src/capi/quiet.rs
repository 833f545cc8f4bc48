//! A library prints nothing: GDAL's messages and panics are kept off standard error on the library's threads.

use crate::threads::{Hooks, set_hooks};
use std::cell::Cell;
use std::sync::Once;

thread_local! {
    /// How many calls of the library are under way on this thread.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Silence on this thread until dropped.
pub(crate) struct Quiet(());

impl Quiet {
    pub(crate) fn new() -> Quiet {
        enter();
        Quiet(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        exit();
    }
}

/// Runs `work` in silence; errors are in what it returns.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let _quiet = Quiet::new();
    work()
}

/// Prepares the threads that the library will start, and keeps panics that become codes from being printed.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hooks(Hooks { start: enter, exit });
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                others(info);
            }
        }));
    });
}

fn enter() {
    DEPTH.with(|d| d.set(d.get() + 1));
    // SAFETY: a handler that GDAL itself provides, for this thread only.
    unsafe { gdal_sys::CPLPushErrorHandler(Some(gdal_sys::CPLQuietErrorHandler)) };
}

fn exit() {
    // SAFETY: takes back what `enter` did on this thread.
    unsafe { gdal_sys::CPLPopErrorHandler() };
    // At the end of a thread its variables may be gone.
    let _ = DEPTH.try_with(|d| d.set(d.get().saturating_sub(1)));
}
