//! Strings of the caller, and strings for the caller.

use super::guard::{Failure, Outcome};
use super::types::*;
use std::ffi::{CStr, CString, c_char};

/// The text behind a pointer.
///
/// # Safety
/// NULL, or a NUL-terminated string that stays unchanged as long as the result is used.
pub(super) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Outcome<&'a str> {
    if pointer.is_null() {
        return Err(Failure::null(what));
    }
    // SAFETY: not NULL, and as the caller promises.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|_| {
        Failure::new(SHIFTMAP_ERR_UTF8, format!("{what} is not UTF-8: `{}`", bytes.to_string_lossy().escape_debug()))
    })
}

/// The texts of a NULL-terminated list; a NULL list is empty.
///
/// # Safety
/// NULL, or an array of strings as for [`text`], ended by NULL.
pub(super) unsafe fn texts<'a>(list: *const *const c_char, what: &str) -> Outcome<Vec<&'a str>> {
    let mut out = Vec::new();
    if list.is_null() {
        return Ok(out);
    }
    loop {
        // SAFETY: every element up to the NULL may be read.
        let item = unsafe { *list.add(out.len()) };
        if item.is_null() {
            return Ok(out);
        }
        // SAFETY: as the caller promises for each string.
        out.push(unsafe { text(item, what) }?);
    }
}

/// The options of a `KEY=VALUE` list.
///
/// # Safety
/// As for [`texts`].
pub(super) unsafe fn options(list: *const *const c_char) -> Outcome<Vec<(String, String)>> {
    // SAFETY: as the caller promises.
    let list = unsafe { texts(list, "an option") }?;
    crate::options::pairs(&list).map_err(|e| Failure::of("", e))
}

/// Hands a text to the caller, who frees it with `shiftmap_free`.
///
/// # Safety
/// `out` is NULL (then nothing happens) or may be written.
pub(super) unsafe fn give(text: String, out: *mut *mut c_char) {
    if !out.is_null() {
        let text = CString::new(text.replace('\0', "\\0")).unwrap_or_default();
        // SAFETY: not NULL, and as the caller promises.
        unsafe { *out = text.into_raw() };
    }
}
