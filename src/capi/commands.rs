//! The other commands of the command line, and any command by its name.

use super::guard::call;
use super::host::{self, Callbacks};
use super::text::{options, text, texts};
use super::types::*;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

/// Makes test data with exactly known displacement in the folder `dst`: `shiftmap synth WHAT --help`; `what` is "pair",
/// "dataset" or "insar". Commands with more arguments, such as "synth field", are for shiftmap_run. Options and callbacks as
/// for shiftmap_displacement. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_synth(
    ctx: *mut shiftmap_context,
    what: *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let command = format!("synth {}", text(what, "what")?);
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, &command, &[text(dst, "dst")?], options(options_list)?, null_mut())
        })
    }
}

/// What precision a pair can give, before any matching: writes the raster `dst` with the bands East sigma, North sigma
/// and Status, `shiftmap precision --help`. Options and callbacks as for shiftmap_displacement. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_precision(
    ctx: *mut shiftmap_context,
    pre: *const c_char,
    post: *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let paths = [text(pre, "pre")?, text(post, "post")?, text(dst, "dst")?];
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "precision", &paths, options(options_list)?, null_mut())
        })
    }
}

/// Offsets across a fault, `shiftmap profile --help`: `map` is a displacement map, `trace` a layer of lines; writes
/// tables, layers, graphs and a report into the folder `dst`. Options and callbacks as for shiftmap_displacement.
/// Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_profile(
    ctx: *mut shiftmap_context,
    map: *const c_char,
    trace: *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let paths = [text(map, "map")?, text(trace, "trace")?, text(dst, "dst")?];
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "profile", &paths, options(options_list)?, null_mut())
        })
    }
}

/// Strain and rotation of the displacement map `map`, with standard deviations, as the raster `dst`,
/// `shiftmap strain --help`. Options and callbacks as for shiftmap_displacement. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_strain(
    ctx: *mut shiftmap_context,
    map: *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let paths = [text(map, "map")?, text(dst, "dst")?];
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "strain", &paths, options(options_list)?, null_mut())
        })
    }
}

/// Aligns the image `post` with `pre` on ground that has not moved and writes it to `dst`, with the model beside it; or the
/// model only, when `dst` ends in ".json": `shiftmap coregister --help`. Options and callbacks as for shiftmap_displacement.
/// Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_coregister(
    ctx: *mut shiftmap_context,
    pre: *const c_char,
    post: *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let paths = [text(pre, "pre")?, text(post, "post")?, text(dst, "dst")?];
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "coregister", &paths, options(options_list)?, null_mut())
        })
    }
}

/// Cleans the displacement map `map` and writes it to `dst`: outliers, ramps, stripes, noise, holes,
/// `shiftmap filter --help`. Options and callbacks as for shiftmap_displacement. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_filter(
    ctx: *mut shiftmap_context,
    map: *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let paths = [text(map, "map")?, text(dst, "dst")?];
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "filter", &paths, options(options_list)?, null_mut())
        })
    }
}

/// Errors of a displacement map against a known truth, `shiftmap evaluate --help`. `*json` receives the result as JSON,
/// to be released with shiftmap_free; it is set only on SHIFTMAP_OK. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_evaluate(
    ctx: *mut shiftmap_context,
    estimate: *const c_char,
    truth: *const c_char,
    options_list: *const *const c_char,
    json: *mut *mut c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let files = [text(estimate, "estimate")?, text(truth, "truth")?];
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "evaluate", &files, options(options_list)?, json)
        })
    }
}

/// What error and what sigma to expect on the user's own images, with a known earthquake simulated on them,
/// `shiftmap verify --help`. `post` may be NULL: then `pre` is displaced itself. `*json` receives the result as JSON, to be
/// released with shiftmap_free; it is set only on SHIFTMAP_OK. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_verify(
    ctx: *mut shiftmap_context,
    pre: *const c_char,
    post: *const c_char,
    options_list: *const *const c_char,
    json: *mut *mut c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let mut files = vec![text(pre, "pre")?];
            if !post.is_null() {
                files.push(text(post, "post")?);
            }
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "verify", &files, options(options_list)?, json)
        })
    }
}

/// Several displacement maps brought together as the raster `dst`: of one event, or of a network of dates,
/// `shiftmap stack --help`. `maps` is ended by NULL; it may be NULL with `DATES=TABLE`, whose table lists the maps. `*json`
/// receives what was found as JSON, to be released with shiftmap_free; `json` may be NULL. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_stack(
    ctx: *mut shiftmap_context,
    maps: *const *const c_char,
    dst: *const c_char,
    options_list: *const *const c_char,
    json: *mut *mut c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let mut files = texts(maps, "a map")?;
            files.push(text(dst, "dst")?);
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "stack", &files, options(options_list)?, json)
        })
    }
}

/// East, north and up from interferograms, offset maps and GNSS stations as the raster `dst`: `shiftmap combine --help`.
/// The maps and stations are options, which may be repeated: `LOS=los.tif,unit=unit.tif`, `OFFSETS=map.tif`,
/// `GNSS=gnss.csv`. `*json` receives what was found as JSON, to be released with shiftmap_free; `json` may be
/// NULL. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_combine(
    ctx: *mut shiftmap_context,
    dst: *const c_char,
    options_list: *const *const c_char,
    json: *mut *mut c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "combine", &[text(dst, "dst")?], options(options_list)?, json)
        })
    }
}

/// Simulates an earthquake, measures it with several methods and draws the result into the folder `dst`: `shiftmap demo
/// --help`. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_demo(
    ctx: *mut shiftmap_context,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "demo", &[text(dst, "dst")?], options(options_list)?, null_mut())
        })
    }
}

/// Versions of shiftmap and of the libraries it uses, and where they were found, as JSON, to be released with
/// shiftmap_free. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_info(ctx: *mut shiftmap_context, json: *mut *mut c_char) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(None, null_mut(), *context.settings());
            host::command(&callbacks, "info", &[], Vec::new(), json)
        })
    }
}

/// Runs any command of the command line: `command` is its name ("displacement", "synth pair"), `arguments` are its
/// arguments without options, ended by NULL (or NULL for none), `options` are `"KEY=VALUE"` strings ended by NULL. `*json` receives
/// what `--json` would print, to be released with shiftmap_free; `json` may be NULL.
///
/// Commands that are new in a later version of the library can be reached with it. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_run(
    ctx: *mut shiftmap_context,
    command: *const c_char,
    arguments: *const *const c_char,
    options_list: *const *const c_char,
    json: *mut *mut c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let (command, arguments) = (text(command, "command")?, texts(arguments, "an argument")?);
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, command, &arguments, options(options_list)?, json)
        })
    }
}
