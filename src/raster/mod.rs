//! GDAL behind a wall: nothing outside this folder knows the gdal crate.
//!
//! * [`RasterBand`] reads one band of anything GDAL opens, with nodata, masks and scaling resolved, from many threads.
//! * [`GeoReference`] and [`compare`] say where two images lie on the ground and refuse pairs that do not fit.
//! * [`write_bands`], [`write_image`], [`write_png`] and
//!   [`write_lines`] write whole rasters, pictures and line layers. All write under a temporary name first.

mod georef;
mod open;
mod output;
mod png;
mod read;
mod simple;
mod template;
mod vector;
mod writer;
mod xml;

pub use georef::{Crs, CrsKind, GeoReference, Ground, Units, compare};
pub use open::{NoData, OpenOptions, RasterBand};
pub use png::write_png;
pub use simple::{Band, RasterFile, read_all_bands, write_bands, write_image};
pub use vector::{Line, Value, read_lines, write_lines};
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

/// Version of the GDAL library in use, e.g. `3.6.2`.
pub fn gdal_version() -> String {
    gdal::version::VersionInfo::release_name()
}
