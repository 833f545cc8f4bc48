//! The front end of networks over the C interface.

use super::common::rough_at;
use shiftmap::capi::context::*;
use shiftmap::capi::features::*;
use shiftmap::capi::types::*;
use shiftmap::grid::Grid;
use shiftmap::net::features::{CHANNELS, LOG_SIGMA};
use std::ffi::{CStr, c_int, c_void};
use std::ptr::null;

const SIDE: usize = 160;

fn image(data: &[f32], mask: Option<&[u8]>) -> shiftmap_image {
    shiftmap_image {
        struct_size: size_of::<shiftmap_image>(),
        data: data.as_ptr().cast::<c_void>(),
        pixel_type: SHIFTMAP_F32,
        has_nodata: 0,
        width: SIDE,
        height: data.len() / SIDE,
        pixel_stride: 0,
        row_stride: 0,
        mask: mask.map_or(null(), <[u8]>::as_ptr),
        mask_row_stride: 0,
        nodata: 0.0,
    }
}

fn scene(dx: f64, dy: f64) -> Vec<f32> {
    Grid::from_fn(SIDE, SIDE, |x, y| rough_at(x as f64 - dx, y as f64 - dy) as f32).data
}

/// Code, message and planes; `count` numbers are announced.
fn call(pre: &shiftmap_image, post: &shiftmap_image, start: Option<&[f32]>, count: usize) -> (c_int, String, Vec<f32>) {
    call_with(pre, post, start, count, None)
}

fn call_with(
    pre: &shiftmap_image,
    post: &shiftmap_image,
    start: Option<&[f32]>,
    count: usize,
    option: Option<&CStr>,
) -> (c_int, String, Vec<f32>) {
    let list = [option.map_or(null(), CStr::as_ptr), null()];
    let ctx = shiftmap_context_new();
    let mut out = vec![f32::NAN; CHANNELS * SIDE * SIDE];
    // SAFETY: everything lives until the end of the block and is as large as it says.
    unsafe {
        let start = start.map_or(null(), <[f32]>::as_ptr);
        let code = shiftmap_features(ctx, pre, post, start, list.as_ptr(), out.as_mut_ptr(), count);
        let text = CStr::from_ptr(shiftmap_last_error(ctx)).to_string_lossy().into_owned();
        shiftmap_context_free(ctx);
        (code, text, out)
    }
}

fn middle(out: &[f32], channel: usize) -> Vec<f32> {
    let at = |x: usize, y: usize| out[(channel * SIDE + y) * SIDE + x];
    (40..SIDE - 40).flat_map(|y| (40..SIDE - 40).map(move |x| at(x, y))).collect()
}

fn mean(v: &[f32]) -> f64 {
    v.iter().map(|v| f64::from(*v)).sum::<f64>() / v.len() as f64
}

#[test]
fn channels_are_what_they_are_called() {
    let (pre, post) = (scene(0.0, 0.0), scene(0.4, -0.3));
    let all = CHANNELS * SIDE * SIDE;
    let (code, text, out) = call(&image(&pre, None), &image(&post, None), None, all);
    assert_eq!(code, SHIFTMAP_OK, "{text}");
    assert!(out.iter().all(|v| v.is_finite()));
    assert!((mean(&middle(&out, 4)) - 0.4).abs() < 0.01 && (mean(&middle(&out, 5)) + 0.3).abs() < 0.01);
    assert!(middle(&out, 8).iter().all(|v| *v == 1.0));
    // The warped post image is the pre image.
    for k in [0, 2] {
        let (a, b) = (middle(&out, k), middle(&out, k + 1));
        let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).collect();
        assert!(mean(&difference) < 0.1 && mean(&a.iter().map(|v| v.abs()).collect::<Vec<_>>()) > 0.3);
    }
    // Nothing is left to correct, and every window says how sure it is.
    for c in std::iter::once(9).chain((12..CHANNELS).step_by(3)) {
        assert!(mean(&middle(&out, c)).abs() < 0.02 && mean(&middle(&out, c + 1)).abs() < 0.02, "{c}");
        assert!(middle(&out, c + 2).iter().all(|v| (LOG_SIGMA.0..=LOG_SIGMA.1).contains(v)));
    }
    // About a start that is off by a tenth of a pixel, one linear step finds the tenth nearly.
    let start: Vec<f32> = [vec![0.3f32; SIDE * SIDE], vec![-0.3; SIDE * SIDE]].concat();
    let (code, text, about) = call(&image(&pre, None), &image(&post, None), Some(&start), all);
    assert_eq!(code, SHIFTMAP_OK, "{text}");
    assert_eq!(about[4 * SIDE * SIDE..6 * SIDE * SIDE], start);
    for c in (24..CHANNELS).step_by(3) {
        let found = (mean(&middle(&about, c)), mean(&middle(&about, c + 1)));
        assert!((found.0 - 0.1).abs() < 0.03 && found.1.abs() < 0.02, "{c}: {found:?}");
    }
    assert_eq!(call(&image(&pre, None), &image(&post, None), None, all).2, out);
}

/// Motion beyond the default search is found when the option asks for more.
#[test]
fn the_search_is_an_option() {
    let (pre, post) = (scene(0.0, 0.0), scene(7.6, -3.2));
    let count = CHANNELS * SIDE * SIDE;
    let (code, text, out) = call_with(&image(&pre, None), &image(&post, None), None, count, Some(c"SEARCH=10"));
    assert_eq!(code, SHIFTMAP_OK, "{text}");
    let found = (mean(&middle(&out, 4)), mean(&middle(&out, 5)));
    assert!((found.0 - 7.6).abs() < 0.01 && (found.1 + 3.2).abs() < 0.01, "{found:?}");
}

#[test]
fn gaps_are_marked_and_say_nothing() {
    let (mut pre, post) = (scene(0.0, 0.0), scene(0.2, 0.1));
    let mask = Grid::from_fn(SIDE, SIDE, |x, _| u8::from(x >= 90)).data;
    pre.iter_mut().zip(&mask).for_each(|(v, m)| *v = if *m == 0 { 1e9 } else { *v });
    let (code, text, out) = call(&image(&pre, Some(&mask)), &image(&post, None), None, CHANNELS * SIDE * SIDE);
    assert_eq!(code, SHIFTMAP_OK, "{text}");
    let at = |c: usize, x: usize| out[(c * SIDE + 80) * SIDE + x];
    assert_eq!((at(8, 60), at(8, 110)), (0.0, 1.0));
    // Far from valid pixels the smallest windows know nothing, and their correction is zero.
    assert_eq!((at(12, 40), at(13, 40), at(14, 40)), (0.0, 0.0, LOG_SIGMA.1));
    assert!(out.iter().all(|v| v.is_finite()));
}

/// What it does is tested with networks (tests/net/motion.rs).
#[test]
fn the_front_end_is_an_option() {
    let (pre, mut post) = (scene(0.0, 0.0), scene(0.4, -0.3));
    for (k, v) in post.iter_mut().enumerate() {
        *v += 0.3 * super::common::hashed_noise(k % SIDE, k / SIDE, 5) as f32;
    }
    let found = |option: Option<&CStr>| {
        let count = CHANNELS * SIDE * SIDE;
        let (code, text, out) = call_with(&image(&pre, None), &image(&post, None), None, count, option);
        assert_eq!(code, SHIFTMAP_OK, "{text}");
        out
    };
    let (first, second) = (found(Some(c"FRONT_END=dense-1")), found(Some(c"FRONT_END=dense-2")));
    assert_eq!(found(None), first);
    assert_ne!(first, second);
    for out in [first, second] {
        let errors: Vec<f32> = middle(&out, 4).iter().map(|v| (v - 0.4).abs()).collect();
        assert!(mean(&errors) < 0.01, "{}", mean(&errors));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let pre = scene(0.0, 0.0);
    let (code, text, out) = call(&image(&pre, None), &image(&pre, None), None, 7);
    assert_eq!(code, SHIFTMAP_ERR_ARGUMENT);
    assert!(text.contains("160 x 160") && text.contains(&(CHANNELS * SIDE * SIDE).to_string()), "{text}");
    assert!(out.iter().all(|v| v.is_nan()));
    let (code, text, _) = call(&image(&pre, None), &image(&pre[..SIDE * 100], None), None, CHANNELS * SIDE * SIDE);
    assert_eq!(code, SHIFTMAP_ERR_DATA);
    assert!(text.contains("160 x 100"), "{text}");
    let pre = image(&pre, None);
    for (option, part) in [(c"SEARCH=40m", "number of pixels"), (c"SEARCH=60", "up to 32 pixels")] {
        let (code, text, _) = call_with(&pre, &pre, None, CHANNELS * SIDE * SIDE, Some(option));
        assert!(code != SHIFTMAP_OK && text.contains(part), "{option:?}: {text}");
    }
    let mut start = vec![0.0; 2 * SIDE * SIDE];
    start[77] = f32::NAN;
    let (code, text, _) = call(&pre, &pre, Some(&start), CHANNELS * SIDE * SIDE);
    assert_eq!(code, SHIFTMAP_ERR_DATA);
    assert!(text.contains("no numbers"), "{text}");
    let (code, text, _) = call_with(&pre, &pre, None, CHANNELS * SIDE * SIDE, Some(c"FRONT_END=dense-9"));
    assert_eq!(code, SHIFTMAP_ERR_ARGUMENT);
    assert!(text.contains("dense-9") && text.contains("dense-1, dense-2"), "{text}");
}
