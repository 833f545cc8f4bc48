//! A deliberate defect, for tests only: feature `test-hooks`. Not in the header.

use super::guard::call;
use super::host::{self, Callbacks};
use super::types::*;
use std::ffi::c_int;

/// Panics on the calling thread (0), on the call's own thread (1) or in a worker of a pool (2).
///
/// # Safety
/// `ctx` is NULL or a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_test_panic(ctx: *mut shiftmap_context, place: c_int) -> c_int {
    // SAFETY: as above.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(None, std::ptr::null_mut(), *context.settings());
            match place {
                0 => panic!("a deliberate panic"),
                1 => host::run::<()>(&callbacks, |_| panic!("a deliberate panic")).map(|_| ()),
                _ => host::run(&callbacks, |_| {
                    let pool = crate::threads::pool(2).map_err(|e| super::guard::Failure::of("", e))?;
                    pool.install(|| panic!("a deliberate panic"))
                })
                .map(|((), _)| ()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capi::context::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_a_code_and_the_context_lives_on() {
        let ctx = shiftmap_context_new();
        for place in 0..3 {
            // SAFETY: a live context.
            let (code, text) = unsafe { (shiftmap_test_panic(ctx, place), CStr::from_ptr(shiftmap_last_error(ctx))) };
            assert_eq!(code, SHIFTMAP_ERR_PANIC, "{place}");
            assert_eq!(text.to_str().unwrap(), "internal error: a deliberate panic; please report it");
        }
        // SAFETY: a live context.
        assert_eq!(unsafe { shiftmap_set_threads(ctx, 2) }, SHIFTMAP_OK);
        // SAFETY: made above.
        unsafe { shiftmap_context_free(ctx) };
    }
}
