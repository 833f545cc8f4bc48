//! The GDAL driver `SHIFTMAP`: a read-only virtual raster with the bands, grid and metadata of the product of
//! `shiftmap displacement`, whose blocks are computed when they are read.
//!
//! `gdalinfo SHIFTMAP:pre.tif,post.tif`, or a job file ([`connection`]). GDAL loads the library when it finds it as
//! `gdal_SHIFTMAP.so` in a folder of `GDAL_DRIVER_PATH`.
//!
//! * A block of the raster is a tile of the run, so its values are the command line's, byte for byte.
//! * Opening reads the headers of the images, nothing more; the scene is analysed with the first block.
//! * All handles of a process on the same images (their state counts too) and parameters share one plan and one cache
//!   of tiles, whose limit is GDAL's configuration option `SHIFTMAP_CACHEMAX` (megabytes, 256 by default). A tile has
//!   all six bands and is computed once, whoever asks. Readings of several blocks compute them in parallel (`THREADS`).
//! * Overviews are the same measurement at a step 2, 4, ... times as large, until 256 cells. Their first cell's corner is
//!   that of the raster, to half a pixel of the pre image; the last column and row may reach beyond it.
//! * Errors are GDAL errors with this library's message. `CPL_DEBUG=SHIFTMAP` tells every tile that is computed; the
//!   metadata domain `SHIFTMAP_CACHE` counts them.
//!
//! | file | what |
//! |---|---|
//! | driver.cpp | the subclasses that GDAL wants, forwarding to a table of functions |
//! | entry.rs, pooled.rs, stamp.rs, this file | that table and GDAL's C functions: the unsafe part |
//! | [`connection`] | connection strings and job files |
//! | handle.rs, source.rs, registry.rs, cache.rs | an open raster; what rasters on one pair share; all pairs; all tiles |
//! | refusal.rs | which GDAL libraries are refused |

#[forbid(unsafe_code)]
mod cache;
#[forbid(unsafe_code)]
pub mod connection;
mod entry;
#[forbid(unsafe_code)]
mod handle;
mod pooled;
#[forbid(unsafe_code)]
mod refusal;
#[forbid(unsafe_code)]
mod registry;
#[forbid(unsafe_code)]
mod source;
mod stamp;

pub use entry::{GDALRegister_SHIFTMAP, register};

use std::ffi::{CStr, CString, c_char};

/// The `SHIFTMAP` driver that GDAL has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Installed {
    /// Version of shiftmap.
    pub version: String,
    /// The library that provides it.
    pub library: String,
}

/// The driver, when GDAL has found it as a plugin or this process has registered it.
pub fn installed() -> Option<Installed> {
    // SAFETY: loads GDAL's drivers, plugins included; may be called again.
    unsafe { gdal_sys::GDALAllRegister() };
    // SAFETY: a NUL-terminated name.
    let driver = unsafe { gdal_sys::GDALGetDriverByName(c"SHIFTMAP".as_ptr()) };
    if driver.is_null() {
        return None;
    }
    let item = |key: &CStr| {
        // SAFETY: the driver is there for good; the answer is copied.
        let text = unsafe { gdal_sys::GDALGetMetadataItem(driver, key.as_ptr(), std::ptr::null()) };
        if text.is_null() {
            return String::new();
        }
        // SAFETY: a NUL-terminated string.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    Some(Installed { version: item(c"SHIFTMAP_VERSION"), library: item(c"SHIFTMAP_LIBRARY") })
}

unsafe extern "C" {
    fn shiftmap_driver_stat(path: *const c_char, size: *mut i64, time: *mut i64) -> i32;
}

/// Size and time of change of anything GDAL's file functions know.
fn virtual_stat(path: &str) -> Option<(i64, i64)> {
    let path = CString::new(path).ok()?;
    let (mut size, mut time) = (0, 0);
    // SAFETY: a NUL-terminated path and places for the answer.
    let found = unsafe { shiftmap_driver_stat(path.as_ptr(), &mut size, &mut time) };
    (found != 0).then_some((size, time))
}

/// Whether there is such a file, for GDAL.
fn exists(path: &str) -> bool {
    virtual_stat(path).is_some()
}
