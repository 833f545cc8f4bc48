//! What options there are.

use super::guard::{Failure, Outcome, call};
use super::text::{give, options, text};
use super::types::*;
use crate::options::{self as core, Door};
use std::ffi::{c_char, c_int};

/// The options of a command ("displacement", "synth pair", ...) in the form of GDAL's option lists:
/// `<OptionList><Option name="METHOD" type="string-select" description="..." default="lsm"><Value>lsm</Value>...`.
/// `*xml` is to be released with shiftmap_free. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_options(
    ctx: *mut shiftmap_context,
    command: *const c_char,
    xml: *mut *mut c_char,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe { describe(ctx, command, xml, |list| core::xml("OptionList", list)) }
}

/// The same list as JSON: an array of objects with name, type (boolean, int, float, choice, string), default, choices
/// (value, help), values (how many), value_names, repeat, group, help. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_options_json(
    ctx: *mut shiftmap_context,
    command: *const c_char,
    json: *mut *mut c_char,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe { describe(ctx, command, json, |list| core::json(list).to_string()) }
}

/// The names of all commands, as a JSON array of objects with name and help. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_commands(ctx: *mut shiftmap_context, json: *mut *mut c_char) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |_| {
            let list =
                core::commands().into_iter().map(|(name, help)| serde_json::json!({ "name": name, "help": help }));
            hand_out(serde_json::Value::Array(list.collect()).to_string(), json)
        })
    }
}

/// Checks options without running anything: SHIFTMAP_OK, or SHIFTMAP_ERR_OPTION and the text names the first one that
/// is wrong. What depends on the images is not checked. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_check_options(
    ctx: *mut shiftmap_context,
    command: *const c_char,
    options_list: *const *const c_char,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |_| {
            let command = text(command, "command")?;
            core::check(command, &options(options_list)?).map_err(|e| Failure::of(command, e))
        })
    }
}

unsafe fn describe(
    ctx: *mut shiftmap_context,
    command: *const c_char,
    out: *mut *mut c_char,
    form: impl FnOnce(&[core::OptionInfo]) -> String,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |_| {
            let list = core::list(text(command, "command")?, Door::Files).map_err(|e| Failure::of("", e))?;
            hand_out(form(&list), out)
        })
    }
}

/// # Safety
/// `out` is NULL or may be written.
unsafe fn hand_out(text: String, out: *mut *mut c_char) -> Outcome<()> {
    if out.is_null() {
        return Err(Failure::null("the result"));
    }
    // SAFETY: not NULL, and as the caller promises.
    unsafe { give(text, out) };
    Ok(())
}
