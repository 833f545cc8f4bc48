//! GDAL behind a wall: nothing outside this folder knows the gdal crate.
//!
//! * [`RasterBand`] reads one band of anything GDAL opens, with nodata, masks and scaling resolved, from many threads.
//! * [`GeoReference`] and [`compare`] say where two images lie on the ground and refuse pairs that do not fit.
//! * [`Resampled`] shows an image on another image's grid, computed on the fly.
//! * [`ProductWriter`] streams a displacement product; [`write_bands`], [`write_image`], [`write_png`] and
//!   [`write_lines`] write whole rasters, pictures and line layers. All write under a temporary name first;
//!   [`OutputFolder`] does the same for several files that belong together.

mod check;
mod compare;
mod copy;
mod cut_layer;
pub(crate) mod detect;
mod features;
mod folder;
mod georef;
mod jumps;
mod kernel;
mod layers;
mod memory;
mod open;
mod output;
mod places;
mod png;
mod points;
mod polygons;
mod product;
mod read;
mod resample;
mod shared;
mod simple;
mod target;
mod template;
mod vector;
mod work_folder;
mod writer;
pub(crate) mod xml;

pub use compare::compare;
pub use cut_layer::{CutLines, read_cuts};
pub use features::{Table, read_line_features, read_table};
pub use folder::OutputFolder;
pub use georef::{Crs, CrsKind, GeoReference, Ground, Units};
pub use jumps::JumpWriter;
pub use layers::{LayerSpec, LayerWriter, Placed, Shape};
pub use memory::MemoryProduct;
pub use open::{NoData, OpenOptions, RasterBand};
pub use output::{remove_unfinished, try_remove_unfinished};
pub use places::{MaskedImage, Places};
pub use png::{write_png, write_text};
pub use points::PointRaster;
pub use product::{BANDS, DOMAIN, ProductWriter, band_specs, band_values, status_metadata};
pub use read::read_complex;
pub use resample::Resampled;
pub use shared::SharedImage;
pub use simple::{Band, RasterFile, band_names, read_all_bands, read_metadata, write_bands, write_image};
pub use target::TargetGrid;
pub use template::empty_band;
pub use vector::{Line, Value, read_lines, write_lines};
pub use work_folder::final_names;
pub use writer::{BandSpec, PixelType, RasterSpec, RasterWriter, WriteOptions};

/// GDAL's own reason for a failure, on one line and without the crate's wrapping.
fn reason(error: gdal::errors::GdalError) -> String {
    use gdal::errors::GdalError as G;
    let text = match error {
        G::CplError { msg, .. } | G::NullPointer { msg, .. } if !msg.trim().is_empty() => msg,
        G::BadArgument(msg) => msg,
        G::NullPointer { method_name, .. } => format!("{method_name} gave no reason"),
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether two grids have the same pixels, to a hundredth of a pixel over a thousand.
fn same_place(a: &GeoReference, b: &GeoReference) -> bool {
    let crs = match (&a.crs, &b.crs) {
        (Some(p), Some(q)) => p.same(q),
        (None, None) => true,
        _ => false,
    };
    let (p, q) = (a.transform.0, b.transform.0);
    let pixel = a.transform.pixel_size();
    let pixel = pixel.0.min(pixel.1);
    let near = |k: usize, limit: f64| (p[k] - q[k]).abs() <= limit * pixel;
    crs && a.referenced == b.referenced
        && [0, 3].iter().all(|&k| near(k, 1e-2))
        && [1, 2, 4, 5].iter().all(|&k| near(k, 1e-5))
}

/// Version of the GDAL library in use, e.g. `3.6.2`.
pub fn gdal_version() -> String {
    gdal::version::VersionInfo::release_name()
}

/// Number of raster formats this GDAL knows.
pub fn raster_formats() -> usize {
    use gdal::Metadata;
    gdal::DriverManager::all().filter(|d| d.metadata_item("DCAP_RASTER", "").is_some()).count()
}

/// Stops GDAL from printing its messages on standard error; errors carry them anyway. What GDAL takes for fatal (memory
/// refused in the middle of something) would abort: it is told and ends the program, without unfinished results. Changes
/// the whole process: for programs, not for libraries.
pub fn silence_gdal() {
    gdal::config::set_error_handler(|class, _, message| {
        if class == gdal::errors::CplErrType::Fatal {
            let end = if try_remove_unfinished() { "; nothing was written" } else { "" };
            eprintln!(
                "ERROR: GDAL cannot go on: {message}; if memory is short, use --threads 1 or a part of the scene{end}"
            );
            std::process::exit(1);
        }
    });
}

/// Sets a GDAL configuration option for the whole process.
///
/// # Errors
/// [`Error::Option`](crate::Error::Option) for a key or value that cannot be one.
pub fn set_config(key: &str, value: &str) -> crate::Result<()> {
    gdal::config::set_config_option(key, value)
        .map_err(|e| crate::Error::option("--config", format!("{key} {value}"), reason(e)))
}

/// A GDAL configuration option of this process, empty when it is not set.
pub fn config(key: &str) -> String {
    gdal::config::get_config_option(key, "").unwrap_or_default()
}
