//! What networks are trained on.

use super::array::ArrayImage;
use super::guard::{Failure, Outcome, call};
use super::host::Callbacks;
use super::text::options;
use super::types::*;
use crate::grid::{Grid, ImageFile};
use crate::job::Search;
use crate::net::card::{FRONT_ENDS, FrontEnd};
use crate::net::features::{self, About};
use crate::pipeline::{Pair, Params};
use std::ffi::{c_char, c_int};
use std::ptr::null_mut;

/// Number of planes of shiftmap_features.
pub const SHIFTMAP_FEATURES: c_int = 48;

/// The input channels of networks with the front ends "dense-1" and "dense-2", for making training data: the
/// displacement of the method `dense` (for "dense-2" smoothed as `regularized` smooths), every window size's correction to
/// it with its standard deviation, and both images, normalised. The whole pair is one tile; the call works on one thread.
///
/// `start`: NULL, or two planes of `width` x `height` (displacement right, down; pixels) that the features are to be
/// about instead of what is found. `options`: FRONT_END=dense-1 (the default) or dense-2, and those of
/// shiftmap_displacement_array that describe images and search (up to 32 pixels). `out`: SHIFTMAP_FEATURES planes of
/// `width` x `height`, row by row; `out_count` says how many numbers it holds. Written only on SHIFTMAP_OK.
///
/// Plane 0 and 1: pre image and post image warped by the displacement, normalised in boxes of 31 px; 2 and 3: in boxes
/// of 5 px; 4 and 5: the displacement right and DOWN, pixels; 6 and 7: logarithm of its standard deviations; 8: 1 where
/// both images are valid; 9 to 11: correction right and down by 9 px windows alone, logarithm of its standard
/// deviation; then three planes of that kind for windows of 5, 9, 18, 36, 72, 144 px, each for the normalisation in
/// boxes of 31 px and of 5 px. Since 0.1.0.
///
/// # Safety
/// The arrays hold what their sizes say; other pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_features(
    ctx: *mut shiftmap_context,
    pre: *const shiftmap_image,
    post: *const shiftmap_image,
    start: *const f32,
    options_list: *const *const c_char,
    out: *mut f32,
    out_count: usize,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(None, null_mut(), *context.settings());
            let (list, front_end) = front_end(options(options_list)?)?;
            let job = super::displacement::array_job(&callbacks, list)?;
            let nodata = job.pre_options.nodata;
            let (pre, post) = (ArrayImage::new(pre, nodata, "pre")?, ArrayImage::new(post, nodata, "post")?);
            let (width, height) = pre.size();
            if out.is_null() {
                return Err(Failure::null("out"));
            }
            let wanted = features::CHANNELS.checked_mul(width).and_then(|n| n.checked_mul(height));
            if wanted != Some(out_count) {
                let text = format!(
                    "out_count is {out_count}; features of {width} x {height} pixels are {} numbers",
                    wanted.map_or("too many".into(), |n| n.to_string())
                );
                return Err(Failure::new(SHIFTMAP_ERR_ARGUMENT, text));
            }
            let n = width * height;
            let start = (!start.is_null()).then(|| {
                // SAFETY: two planes, as the caller promises; sizes were checked above.
                let planes = std::slice::from_raw_parts(start, 2 * n);
                [0, 1].map(|i| Grid::from_vec(width, height, planes[i * n..(i + 1) * n].to_vec()))
            });
            let Search::Pixels(x, y) = job.search else {
                let text = "SEARCH is a number of pixels here, up to 32: features are made without georeference";
                return Err(Failure::new(SHIFTMAP_ERR_ARGUMENT, text));
            };
            let params = Params { search: (x, y), ..job.params };
            let fail = |e| Failure::of("displacement", e);
            let pool = crate::threads::pool(1).map_err(fail)?;
            let pair = Pair::new(&pre, &post, (0.0, 0.0));
            let about = start.as_ref().map_or(About::Found(front_end), About::Given);
            let found = pool.install(|| features::of_pair(&pair, &params, about)).map_err(fail)?;
            // SAFETY: `out` holds `out_count` numbers, which is what there are; our array is not the caller's.
            std::ptr::copy_nonoverlapping(found.data.as_ptr(), out, found.data.len());
            Ok(())
        })
    }
}

/// The options without FRONT_END, and what that says.
fn front_end(list: Vec<(String, String)>) -> Outcome<(Vec<(String, String)>, FrontEnd)> {
    let (own, rest): (Vec<_>, _) = list.into_iter().partition(|(k, _)| k.eq_ignore_ascii_case("FRONT_END"));
    let Some((_, name)) = own.last() else { return Ok((rest, FrontEnd::Dense1)) };
    let known = FRONT_ENDS.iter().find(|(known, _)| known == name);
    let names = FRONT_ENDS.map(|(known, _)| known).join(", ");
    let wrong = || Failure::new(SHIFTMAP_ERR_ARGUMENT, format!("FRONT_END is `{name}`; known are {names}"));
    Ok((rest, known.ok_or_else(wrong)?.1))
}

const _: () = assert!(SHIFTMAP_FEATURES as usize == features::CHANNELS);
