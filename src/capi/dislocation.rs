//! Displacement of the ground by faults: rectangles and triangles in an elastic half-space.

use super::guard::{Context, Failure, Outcome, call};
use super::types::*;
use crate::synth::okada::{self, Rectangle};
use crate::synth::tde::{self, Triangle};
use std::ffi::c_int;

/// Displacement of the surface of an elastic half-space by rectangular faults with uniform slip (Okada 1985), summed
/// over the faults.
///
/// `faults`: 7 numbers each: east and north of the middle of the TOP edge, depth of the top edge (at least 0), strike
/// (degrees clockwise from north; the fault dips to the right of it), dip (degrees from the horizontal, 0 to 90),
/// length along strike, width down dip; metres. `slip`: 3 numbers each: strike slip (positive: left-lateral), dip slip
/// (positive: reverse), opening. `poisson`: Poisson's ratio, e.g. 0.25. `obs_xy`: 2 numbers each: east and north of the points,
/// metres. `out_enu`: 3 numbers each: east, north, up, in the unit of the slip; written only on SHIFTMAP_OK.
///
/// Arrays of no elements may be NULL. A fault that cannot be is SHIFTMAP_ERR_DATA. Since 0.1.0.
///
/// # Safety
/// Arrays hold what the counts say; `ctx` is NULL or a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_okada_surface(
    ctx: *mut shiftmap_context,
    n_faults: usize,
    faults: *const f64,
    slip: *const f64,
    poisson: f64,
    n_obs: usize,
    obs_xy: *const f64,
    out_enu: *mut f64,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let (faults, slip) = (rows::<7>(faults, n_faults, "faults")?, rows::<3>(slip, n_faults, "slip")?);
            let rectangle = |(f, s): (&[f64; 7], &[f64; 3])| {
                let [x, y, top_depth, strike, dip, length, width] = *f;
                Rectangle { x, y, top_depth, strike, dip, length, width, slip: *s }
            };
            let faults: Vec<Rectangle> = faults.iter().zip(slip).map(rectangle).collect();
            surface(context, n_obs, obs_xy, out_enu, |obs, out| okada::surface(&faults, poisson, obs, out))
        })
    }
}

/// Displacement of the surface of an elastic half-space by triangular elements with uniform slip (after Nikkhoo and
/// Walter 2015), summed over the triangles.
///
/// `vertices`: 9 numbers each: east, north, up (at most 0) of three corners, metres. With n = (P2 - P1) x (P3 - P1),
/// strike is e_z x n and the dip vector n x strike; order the corners so that n points up. `slip`: 3 numbers each:
/// along strike (positive: left-lateral), along the dip vector (positive: reverse where n points up), opening. The
/// rest is as for shiftmap_okada_surface. Since 0.1.0.
///
/// # Safety
/// Arrays hold what the counts say; `ctx` is NULL or a context.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_tde_surface(
    ctx: *mut shiftmap_context,
    n_triangles: usize,
    vertices: *const f64,
    slip: *const f64,
    poisson: f64,
    n_obs: usize,
    obs_xy: *const f64,
    out_enu: *mut f64,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let (vertices, slip) =
                (rows::<9>(vertices, n_triangles, "vertices")?, rows::<3>(slip, n_triangles, "slip")?);
            let triangle = |(v, s): (&[f64; 9], &[f64; 3])| Triangle {
                vertices: [[v[0], v[1], v[2]], [v[3], v[4], v[5]], [v[6], v[7], v[8]]],
                slip: *s,
            };
            let triangles: Vec<Triangle> = vertices.iter().zip(slip).map(triangle).collect();
            surface(context, n_obs, obs_xy, out_enu, |obs, out| tde::surface(&triangles, poisson, obs, out))
        })
    }
}

/// An array of `count` rows of `N` numbers.
///
/// # Safety
/// `pointer` is NULL or holds them, unchanged as long as the result is used.
unsafe fn rows<'a, const N: usize>(pointer: *const f64, count: usize, what: &str) -> Outcome<&'a [[f64; N]]> {
    check::<N>(pointer.is_null(), count, what)?;
    match count {
        0 => Ok(&[]),
        // SAFETY: not NULL, of a possible size, and as the caller promises.
        _ => Ok(unsafe { std::slice::from_raw_parts(pointer.cast(), count) }),
    }
}

fn check<const N: usize>(null: bool, count: usize, what: &str) -> Outcome<()> {
    if null && count > 0 {
        return Err(Failure::null(what));
    }
    match count.checked_mul(N * size_of::<f64>()).is_some_and(|bytes| bytes <= isize::MAX as usize) {
        true => Ok(()),
        false => Err(Failure::new(SHIFTMAP_ERR_ARGUMENT, format!("{what}: {count} is more than memory holds"))),
    }
}

/// Evaluates on the context's threads and copies the result out.
///
/// # Safety
/// The arrays hold `n_obs` rows.
unsafe fn surface(
    context: &Context,
    n_obs: usize,
    obs_xy: *const f64,
    out_enu: *mut f64,
    evaluate: impl FnOnce(&[[f64; 2]], &mut [[f64; 3]]) -> crate::Result<()> + Send,
) -> Outcome<()> {
    // SAFETY: as the caller promises.
    let obs = unsafe { rows::<2>(obs_xy, n_obs, "obs_xy") }?;
    check::<3>(out_enu.is_null(), n_obs, "out_enu")?;
    let threads = match context.settings().threads {
        0 => crate::cli::common::cores(),
        n => usize::from(n),
    };
    let mut out = vec![[0.0; 3]; n_obs];
    let fail = |e| Failure::of("", e);
    crate::threads::pool(threads).map_err(fail)?.install(|| evaluate(obs, &mut out)).map_err(fail)?;
    // SAFETY: `n_obs` rows of 3 fit, and our array is not the caller's; nothing happens when there are none.
    unsafe { std::ptr::copy_nonoverlapping(out.as_ptr(), out_enu.cast(), n_obs) };
    Ok(())
}
