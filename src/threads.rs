//! Thread pools, and what a program that hosts the library does when one of their threads starts and ends.

use crate::{Error, Result};
use std::sync::OnceLock;

/// Called on every worker thread.
#[derive(Debug, Clone, Copy)]
pub struct Hooks {
    pub start: fn(),
    pub exit: fn(),
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Sets the hooks of all pools made from now on; the first call counts.
pub fn set_hooks(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// A pool of `threads` workers, at least one.
///
/// # Errors
/// [`Error::Internal`] when the system gives no threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let mut builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
    if let Some(hooks) = HOOKS.get() {
        builder = builder.start_handler(|_| (hooks.start)()).exit_handler(|_| (hooks.exit)());
    }
    builder.build().map_err(|e| Error::Internal(format!("cannot start threads: {e}")))
}
