//! The main job: from file names, datasets, arrays.

use super::array::{ArrayImage, Shape, check_field, check_planes, fill, release, set_shape};
use super::dataset::Source;
use super::guard::{Failure, Outcome, call, plain};
use super::host::{self, Callbacks, RemoteProgress};
use super::text::{options, text};
use super::types::*;
use crate::job::Job;
use crate::layout::Layout;
use crate::net::models::Model;
use crate::pipeline::MethodName;
use crate::raster::{MemoryProduct, SharedImage, WriteOptions};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;

/// Measures the displacement between two images and writes the product `dst`: bands East displacement, North
/// displacement, Quality, East sigma, North sigma, Status; metres when the CRS is projected, east and north positive,
/// NaN where there is no value. The file gets its name when it is complete; nothing is left behind otherwise.
///
/// `pre`, `post`, `dst`: anything GDAL opens or writes, UTF-8. `options`: NULL, or `"KEY=VALUE"` strings ended by
/// NULL, the command line's options in capitals (`shiftmap displacement --help`, shiftmap_options). `progress` may be
/// NULL; `userdata` is handed to it.
///
/// `METHOD=net` runs the network `MODEL=` names; `ONNXRUNTIME=` is the library of ONNX Runtime or its folder, where it
/// is not found by itself. A process can use one ONNX Runtime.
///
/// Returns SHIFTMAP_OK or a code; shiftmap_last_error has the text. Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_displacement(
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
            host::command(&callbacks, "displacement", &paths, options(options_list)?, null_mut())
        })
    }
}

/// shiftmap_displacement for two open GDAL datasets (GDALDatasetH), of the same GDAL library that shiftmap uses: others
/// are refused with SHIFTMAP_ERR_GDAL. The datasets stay the caller's, are used on the calling thread only and must
/// not be used elsewhere during the call. A dataset that its name does not reopen, such as those of the MEM driver, is
/// copied in memory first, so file names are the better way where there are files.
///
/// Since 0.1.0.
///
/// # Safety
/// `pre` and `post` are open datasets; other pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_displacement_dataset(
    ctx: *mut shiftmap_context,
    pre: *mut c_void,
    post: *mut c_void,
    dst: *const c_char,
    options_list: *const *const c_char,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let (dst, list) = (text(dst, "dst")?, options(options_list)?);
            let (pre, post) = (Source::new(pre, "pre")?, Source::new(post, "post")?);
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            host::command(&callbacks, "displacement", &[&pre.path, &post.path, dst], list, null_mut())
        })
    }
}

/// Displacement between two arrays, in pixels: see shiftmap_image and shiftmap_field. Pixel (0, 0) of both images shows
/// the same ground when nothing moved. The options are those of shiftmap_displacement without bands, resampling and
/// output files. NODATA=auto, the default, means the image's own `nodata`.
///
/// `field` is changed only when the function returns SHIFTMAP_OK. Since 0.1.0.
///
/// # Safety
/// The arrays cover what their sizes and strides say; other pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_displacement_array(
    ctx: *mut shiftmap_context,
    pre: *const shiftmap_image,
    post: *const shiftmap_image,
    options_list: *const *const c_char,
    field: *mut shiftmap_field,
    progress: shiftmap_progress_fn,
    userdata: *mut c_void,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(progress, userdata, *context.settings());
            let job = array_job(&callbacks, options(options_list)?)?;
            let nodata = job.pre_options.nodata;
            let (pre, post) = (ArrayImage::new(pre, nodata, "pre")?, ArrayImage::new(post, nodata, "post")?);
            let field = check_field(field)?;
            let shape = shape(&job, crate::grid::ImageFile::size(&pre))?;
            check_planes(field, &shape)?;

            let product = MemoryProduct::default();
            let (pre, post) = (SharedImage::new(Box::new(pre)), SharedImage::new(Box::new(post)));
            let write = WriteOptions { memory: Some(product.clone()), ..WriteOptions::default() };
            let job = Job { pre: pre.path(), post: post.path(), write, ..job };
            host::run(&callbacks, |remote| {
                use crate::cli::ui::Host;
                let mut progress = RemoteProgress(remote.clone());
                let run = job.run(&mut |note| remote.note(note), &mut progress);
                run.map_err(|e| Failure::of("displacement", e))
            })?;
            fill(field, &shape, &product.take())
        })
    }
}

/// What shiftmap_displacement_array will give for an image of `width` x `height` pixels: sets `width`, `height`,
/// `first_x`, `first_y`, `step_x` and `step_y` of `field`, so that the caller can allocate its planes.
///
/// Since 0.1.0.
///
/// # Safety
/// Pointers are NULL or valid as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_field_shape(
    ctx: *mut shiftmap_context,
    width: usize,
    height: usize,
    options_list: *const *const c_char,
    field: *mut shiftmap_field,
) -> c_int {
    // SAFETY: as the header asks of the caller.
    unsafe {
        call(ctx, |context| {
            let callbacks = Callbacks::new(None, null_mut(), *context.settings());
            let job = array_job(&callbacks, options(options_list)?)?;
            let field = check_field(field)?;
            if width == 0 || height == 0 || width > i32::MAX as usize || height > i32::MAX as usize {
                return Err(Failure::new(SHIFTMAP_ERR_ARGUMENT, format!("an image of {width} x {height} pixels")));
            }
            set_shape(field, &shape(&job, (width, height))?);
            Ok(())
        })
    }
}

/// Releases the planes that the library allocated and sets them to NULL; the caller's own planes are left alone. NULL is
/// allowed. Since 0.1.0.
///
/// # Safety
/// `field` is NULL or a shiftmap_field.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shiftmap_field_free(field: *mut shiftmap_field) {
    // SAFETY: as the header asks of the caller.
    if let Ok(field) = unsafe { check_field(field) } {
        plain((), || release(field));
    }
}

pub(super) fn array_job(callbacks: &Callbacks, mut list: Vec<(String, String)>) -> Outcome<Job> {
    host::default_threads(callbacks, "displacement", &mut list);
    crate::options::array_job("pre", "post", &list).map_err(|e| Failure::of("displacement", e))
}

/// The side of the windows, which a network of windows knows itself.
fn window(job: &Job) -> crate::Result<(usize, usize)> {
    // The networks that are taken where none is named look at whole tiles.
    let named = job.params.method == MethodName::Net && job.net.model.is_some();
    let own = if named { Model::find(job.net.model())?.card.window() } else { None };
    Ok(own.unwrap_or(job.params.window))
}

fn shape(job: &Job, size: (usize, usize)) -> Outcome<Shape> {
    let fail = |e| Failure::of("displacement", e);
    let layout = Layout::new(size, window(job).map_err(fail)?, job.params.step, job.region).map_err(fail)?;
    let first = layout.centre(layout.region.x as usize, layout.region.y as usize);
    Ok(Shape {
        size: (layout.region.width, layout.region.height),
        first: (first.dx, first.dy),
        step: (layout.step.0 as f64, layout.step.1 as f64),
    })
}
