//! Every call through a context: one at a time, panics caught, errors kept.

use super::types::*;
use crate::Error;
use std::any::Any;
use std::ffi::{CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const IDLE: u8 = 0;
const BUSY: u8 = 1;
/// Freed inside its own call: goes away when the call ends.
const DOOMED: u8 = 2;

/// What is behind a `shiftmap_context`.
pub struct Context {
    state: AtomicU8,
    last: Mutex<(c_int, CString)>,
    settings: Mutex<Settings>,
}

/// What the caller chose for all calls of a context.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) log: shiftmap_log_fn,
    pub(super) userdata: *mut c_void,
    /// 0: one for each core.
    pub(super) threads: u16,
}

/// A code and its text.
#[derive(Debug)]
pub(super) struct Failure {
    code: c_int,
    text: String,
}

pub(super) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(super) fn new(code: c_int, text: impl Into<String>) -> Failure {
        Failure { code, text: text.into() }
    }

    pub(super) fn null(what: &str) -> Failure {
        Failure::new(SHIFTMAP_ERR_NULL, format!("{what} is NULL"))
    }

    /// The error of `command` in the words of options.
    pub(super) fn of(command: &str, error: Error) -> Failure {
        let code = code(&error);
        let text = match error {
            Error::Exists(path) => format!("{} exists already: add OVERWRITE=YES to replace it", path.display()),
            other => crate::options::reworded(command, other).to_string(),
        };
        Failure { code, text }
    }

    pub(super) fn panic(payload: &(dyn Any + Send)) -> Failure {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason".into());
        Failure::new(SHIFTMAP_ERR_PANIC, format!("internal error: {text}; please report it"))
    }
}

fn code(error: &Error) -> c_int {
    match error {
        Error::Open { .. } => SHIFTMAP_ERR_OPEN,
        Error::Read { .. } => SHIFTMAP_ERR_READ,
        Error::Write { .. } => SHIFTMAP_ERR_WRITE,
        Error::Exists(_) => SHIFTMAP_ERR_EXISTS,
        Error::GridMismatch(_) => SHIFTMAP_ERR_GRID,
        Error::Option { .. } => SHIFTMAP_ERR_OPTION,
        Error::Data(_) => SHIFTMAP_ERR_DATA,
        Error::Cancelled => SHIFTMAP_ERR_CANCELLED,
        Error::Internal(_) => SHIFTMAP_ERR_INTERNAL,
    }
}

impl Context {
    pub(super) fn new() -> Context {
        let settings = Settings { log: None, userdata: std::ptr::null_mut(), threads: 0 };
        let last = (SHIFTMAP_OK, CString::default());
        Context { state: AtomicU8::new(IDLE), last: Mutex::new(last), settings: Mutex::new(settings) }
    }

    /// Code and text of the last call.
    pub(super) fn last(&self) -> MutexGuard<'_, (c_int, CString)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` with the context behind `ctx` and returns its code, which the context remembers together with the text.
///
/// # Safety
/// `ctx` is NULL or a context that was not freed.
pub(super) unsafe fn call(ctx: *mut shiftmap_context, work: impl FnOnce(&Context) -> Outcome<()>) -> c_int {
    if ctx.is_null() {
        return SHIFTMAP_ERR_NULL;
    }
    // SAFETY: the caller passes a context that was not freed; a free during this call waits for its end, see `free`.
    let context = unsafe { &(*ctx).inner };
    if context.state.compare_exchange(IDLE, BUSY, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return SHIFTMAP_ERR_BUSY;
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| super::quiet::quietly(|| work(context))))
        .unwrap_or_else(|payload| Err(Failure::panic(&*payload)));
    let (code, text) = match outcome {
        Ok(()) => (SHIFTMAP_OK, String::new()),
        Err(failure) => (failure.code, failure.text),
    };
    *context.last() = (code, CString::new(text.replace('\0', "\\0")).unwrap_or_default());
    if context.state.compare_exchange(BUSY, IDLE, Ordering::Release, Ordering::Relaxed).is_err() {
        // SAFETY: it was made by `Box::into_raw` and its owner gave it up inside a callback of this call.
        drop(unsafe { Box::from_raw(ctx) });
    }
    code
}

/// Frees the context, or leaves that to the end of the call that is using it.
///
/// # Safety
/// `ctx` is NULL or a context that was not freed.
pub(super) unsafe fn free(ctx: *mut shiftmap_context) {
    if ctx.is_null() {
        return;
    }
    // SAFETY: as the caller promises.
    let state = unsafe { &(*ctx).inner.state };
    if state.swap(DOOMED, Ordering::AcqRel) == IDLE {
        // SAFETY: made by `Box::into_raw`, and nobody uses it.
        drop(unsafe { Box::from_raw(ctx) });
    }
}

/// Runs `work` without a context; `fallback` stands for a panic.
pub(super) fn plain<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}
