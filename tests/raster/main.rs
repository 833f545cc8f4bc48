//! Reading and writing through GDAL.

#[path = "../common/mod.rs"]
mod common;
mod georef;
mod read;
mod resample;
mod write;

use common::*;
use shiftmap::grid::{Grid, Image, ImageFile, Window};
use shiftmap::raster::*;

fn open(path: &str) -> RasterBand {
    RasterBand::open(path, OpenOptions::default()).unwrap()
}

fn open_nodata(path: &str, nodata: NoData) -> RasterBand {
    RasterBand::open(path, OpenOptions { nodata, ..Default::default() }).unwrap()
}

fn read_all(raster: &impl ImageFile) -> Image {
    let (width, height) = raster.size();
    raster.open().unwrap().read(Window::new(0, 0, width, height)).unwrap()
}

/// Number of invalid pixels.
fn invalid(image: &Image) -> usize {
    image.valid.data.iter().filter(|&&v| !v).count()
}
