//! Contexts.

use super::guard::{Context, Outcome, call, free, plain};
use super::types::*;
use std::ffi::{CString, c_char, c_int, c_void};

/// A new context, to be released with shiftmap_context_free; NULL when there is no memory. Since 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn shiftmap_context_new() -> *mut shiftmap_context {
    plain(std::ptr::null_mut(), || {
        super::quiet::install();
        Box::into_raw(Box::new(shiftmap_context { inner: Context::new() }))
    })
}

/// Releases a context; NULL is allowed. Inside a callback of the context's own call it is released when that call
/// ends. Since 0.1.0.
///
/// # Safety
/// `ctx` is NULL or a context that was not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_context_free(ctx: *mut shiftmap_context) {
    // SAFETY: as the header asks of the caller.
    plain((), || unsafe { free(ctx) });
}

/// The text of the last call's error in English, one line, UTF-8; empty after SHIFTMAP_OK. It is the context's, and valid until
/// its next call. Since 0.1.0.
///
/// # Safety
/// `ctx` is NULL or a context that was not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_last_error(ctx: *const shiftmap_context) -> *const c_char {
    if ctx.is_null() {
        return c"the context is NULL".as_ptr();
    }
    // SAFETY: as the header asks of the caller.
    plain(c"".as_ptr(), || unsafe { &(*ctx).inner }.last().1.as_ptr())
}

/// The code that the last call returned. Since 0.1.0.
///
/// # Safety
/// `ctx` is NULL or a context that was not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_last_code(ctx: *const shiftmap_context) -> c_int {
    if ctx.is_null() {
        return SHIFTMAP_ERR_NULL;
    }
    // SAFETY: as the header asks of the caller.
    plain(SHIFTMAP_ERR_PANIC, || unsafe { &(*ctx).inner }.last().0)
}

/// Sets the function that receives messages of all later calls, NULL for none; nothing is ever printed.
/// Since 0.1.0.
///
/// # Safety
/// `ctx` is NULL or a context; `log` may be called with `userdata` as long as the context is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_set_log(
    ctx: *mut shiftmap_context,
    log: shiftmap_log_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let mut settings = context.settings();
            (settings.log, settings.userdata) = (log, userdata);
            Ok(())
        })
    }
}

/// Sets how many worker threads later calls use, 0 (the default) for one for each core; the option THREADS goes before. Results do
/// not depend on it. Since 0.1.0.
///
/// # Safety
/// `ctx` is NULL or a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_set_threads(ctx: *mut shiftmap_context, threads: c_int) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe { call(ctx, |context| set_threads(context, threads)) }
}

fn set_threads(context: &Context, threads: c_int) -> Outcome<()> {
    let checked = u16::try_from(threads).ok().filter(|n| *n <= 1024);
    let refused =
        || super::guard::Failure::new(SHIFTMAP_ERR_ARGUMENT, format!("{threads} threads; 0 to 1024 are possible"));
    context.settings().threads = checked.ok_or_else(refused)?;
    Ok(())
}

/// Releases a text that a function handed out; NULL is allowed. Since 0.1.0.
///
/// # Safety
/// `text` is NULL or was handed out by this library and not released.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: made by `CString::into_raw`.
        plain((), || drop(unsafe { CString::from_raw(text) }));
    }
}
