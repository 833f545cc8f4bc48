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
/// [`Error::Data`] when the system gives no threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let mut builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
    if let Some(hooks) = HOOKS.get() {
        builder = builder.start_handler(|_| (hooks.start)()).exit_handler(|_| (hooks.exit)());
    }
    builder.build().map_err(refused)
}

/// Runs `work` on `threads` threads of its own, at least one, and waits for all of them. Unlike a wait inside a pool the
/// caller takes no other work meanwhile, so it may hold locks that the work of others needs.
///
/// # Errors
/// [`Error::Data`] when the system gives no threads, [`Error::Internal`] when `work` panics.
pub fn apart(threads: usize, work: impl Fn() + Sync) -> Result<()> {
    let hooked = || {
        let hooks = HOOKS.get();
        hooks.inspect(|h| (h.start)());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&work));
        hooks.inspect(|h| (h.exit)());
        outcome
    };
    std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, hooked);
        let started: Vec<_> = (0..threads.max(1)).map(start).collect();
        // Every thread is joined before anything is returned.
        let outcomes: Vec<_> = started.into_iter().map(|s| s.map(|thread| thread.join())).collect();
        outcomes.into_iter().try_for_each(|outcome| match outcome {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(panic)) | Err(panic)) => {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Err(Error::Internal(text.unwrap_or_else(|| "a worker panicked".into())))
            }
            Err(e) => Err(refused(e)),
        })
    })
}

fn refused(reason: impl std::fmt::Display) -> Error {
    Error::Data(format!(
        "cannot start threads ({reason}): the system refused a thread or its memory; use fewer (--threads 1) or raise the \
         limit (`ulimit -v`, `ulimit -u`)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn work_apart_is_done_by_all_and_panics_are_told() {
        let count = AtomicUsize::new(0);
        apart(3, || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 3);
        assert!(apart(2, || panic!("told")).unwrap_err().to_string().contains("told"));
    }
}
